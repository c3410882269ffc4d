# Every target that runs something builds .venv first; nothing needs to be prepared.
PYTHON ?= python3
BIN := .venv/bin
# A process for each core; each has an object store of its own, so not too many.
SIDE_BY_SIDE := --numprocesses auto --maxprocesses 4 --dist worksteal

.PHONY: install servers demo test check unit chaos test-cloud test-launch clean-cloud bench prices clean

install: .venv/installed

# torch comes first and alone: on its own it resolves to the CPU build that is at hand.
.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/pip install --quiet --constraint constraints.txt torch
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[trainer,sky,test]'
	touch $@

demo: install
	examples/kalevala/demo.sh

test: check unit test-launch

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
	CHAOS_KILLS=$(N) $(BIN)/pytest tests/store/test_store_chaos.py

# Real SkyPilot against an AWS emulated on this machine: needs root and Debian.
# ONLY: as pytest's -k has it. KILLS: of how many launches. ENCLOSURES: how many clouds work side by
# side, with a test each; a launch alone is a hundred starts of Python.
CLOUD := $(BIN)/python tests/emulated_aws
KILLS ?= 10
ENCLOSURES ?= 1
IN_ENCLOSURES := --tx '$(ENCLOSURES)*popen//python=$(CLOUD) run $(BIN)/python' \
	--dist load --maxschedchunk 1
test-cloud: install .emulated-aws/tools
	$(CLOUD) build
	LAUNCH_KILLS=$(KILLS) $(BIN)/pytest tests/emulated_aws -m cloud -v $(IN_ENCLOSURES) \
		$(if $(ONLY),-k '$(ONLY)')

# Of these what everybody's change has to pass: the rig itself, a launch to its end, and what is
# refused.
EVERYBODYS := enclosure or test_instance or nobody_watching or cannot_be_rented
test-launch:
	$(MAKE) test-cloud ENCLOSURES=2 ONLY='$(EVERYBODYS)'

# What SkyPilot's client calls, and what the rig itself does.
.emulated-aws/tools: tests/emulated_aws/install_tools.sh
	tests/emulated_aws/install_tools.sh
	mkdir -p .emulated-aws
	touch $@

clean-cloud:
	rm -rf .emulated-aws

bench: install
	$(BIN)/python benchmarks/cli.py
	$(BIN)/python benchmarks/data.py
	$(BIN)/python benchmarks/step.py
	$(BIN)/python benchmarks/save.py

# Renews the list of prices that comes along, from SkyPilot's catalog; needs the network.
CLOUDS ?= aws azure gcp lambda nebius runpod vast verda
prices: install
	$(BIN)/python -m fintts_cli.renew_prices $(CLOUDS)

clean: clean-cloud
	rm -rf .venv demo-run .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
