# Every target that runs something builds .venv first; nothing needs to be prepared.
PYTHON ?= python3
BIN := .venv/bin
# A process for each core; each has an object store of its own, so not too many.
SIDE_BY_SIDE := --numprocesses auto --maxprocesses 4 --dist worksteal --durations=10

.PHONY: install servers demo test check unit chaos test-cloud clean-cloud bench prices lock clean

install: .venv/installed

# torch comes first and alone: on its own it resolves to the CPU build that is at hand.
.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -P -m venv .venv
	$(BIN)/python -P -m pip install --quiet --upgrade pip
	$(BIN)/pip install --quiet --constraint constraints.txt torch
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[trainer,sky,test]'
	touch $@

demo: install
	examples/kalevala/demo.sh

test: check unit test-cloud

check: install
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/mypy tests
	$(BIN)/pyright
	$(BIN)/lint-imports --no-cache

servers:
	tests/install_servers.sh

unit: install servers
	$(BIN)/pytest $(SIDE_BY_SIDE)

# Kills a committing process N times at random moments, against a real object store.
N ?= 300
chaos: install servers
	CHAOS_KILLS=$(N) $(BIN)/pytest tests/store/checkpoints/test_chaos.py

# Real SkyPilot against an AWS emulated on this machine: needs root and Debian.
# ONLY: as pytest's -k has it. KILLS: of how many launches. ENCLOSURES: how many clouds work side by
# side, with the tests of a file each; a launch alone is a hundred starts of Python.
CLOUD := $(BIN)/python tests/emulated_aws
KILLS ?= 3
ENCLOSURES ?= 2
IN_ENCLOSURES := --tx '$(ENCLOSURES)*popen//python=$(CLOUD) run $(BIN)/python' \
	--dist loadfile --no-loadscope-reorder
test-cloud: install .emulated-aws/tools
	@expr '$(ENCLOSURES)' : '[1-9]$$' '&' '$(KILLS)' : '[1-9][0-9]*$$' > /dev/null \
		|| { echo 'ENCLOSURES is from 1 to 9, KILLS from 1 on' >&2; exit 2; }
	$(CLOUD) build
	LAUNCH_KILLS=$(KILLS) $(BIN)/pytest tests/emulated_aws -m cloud -v --durations=0 --durations-min=5 $(IN_ENCLOSURES) \
		$(if $(ONLY),-k '$(ONLY)')

# What SkyPilot's client calls, and what the rig itself does.
.emulated-aws/tools: tests/emulated_aws/install_tools.sh
	tests/emulated_aws/install_tools.sh
	mkdir -p .emulated-aws
	touch $@

clean-cloud:
	rm -rf .emulated-aws

bench: install
	$(BIN)/python benchmarks/cli.py
	$(BIN)/python benchmarks/budget.py
	$(BIN)/python benchmarks/data.py
	$(BIN)/python benchmarks/step.py
	$(BIN)/python benchmarks/save.py

# Renews the list of prices that comes along, from SkyPilot's catalog; needs the network.
CLOUDS ?= aws azure gcp lambda nebius runpod vast verda
prices: install
	$(BIN)/python -P -m fintts_cli.infra.sky.renew_prices $(CLOUDS)

# Renews the lock of what an instance installs, after a change of its pins. Hashes and dependencies
# come from PyPI's index; nothing is downloaded.
INSTANCE := task_templates/fintts_templates/instance
lock: install
	$(BIN)/uv pip compile --quiet --no-config --default-index https://pypi.org/simple \
		--generate-hashes --no-annotate --custom-compile-command 'make lock' \
		--python-version 3.11 --python-platform x86_64-manylinux_2_28 \
		--constraints constraints.txt --output-file $(INSTANCE)/requirements.txt $(INSTANCE)/requirements.in

clean: clean-cloud
	rm -rf .venv demo-run .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
