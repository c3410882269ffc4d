# Every target that runs something builds .venv first; nothing needs to be prepared.
PYTHON ?= python3
BIN := .venv/bin
# A command is started a thousand times, and would compile our modules each time.
unexport PYTHONDONTWRITEBYTECODE
# Two processes for each core, since many tests wait for a server that is slow; each process has an
# object store of its own, so not too many.
SIDE_BY_SIDE := --numprocesses $(shell expr 2 '*' `nproc`) --maxprocesses 4 --dist worksteal \
	--durations=10

# Side by side, each with its output in one piece; what fails, fails the whole.
AT_ONCE := $(MAKE) --no-print-directory --jobs=2 --output-sync=target

.PHONY: install packages servers demo test check style mypy pyright imports unit chaos \
	test-cloud image clean-cloud bench prices lock clean

install: .venv/installed

# torch comes first and alone: on its own it resolves to the CPU build that is at hand. pip compiles
# one file after the other, compileall one on each core; packages also hold files that are no Python
# of this version.
INSTALL := $(BIN)/pip install --quiet --no-compile --constraint constraints.txt
.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -P -m venv .venv
	$(BIN)/python -P -m pip install --quiet --upgrade pip
	$(INSTALL) torch
	$(INSTALL) --editable '.[trainer,audio,eval,sky,test]'
	$(BIN)/python -P -m compileall -qq -j 0 .venv/lib 2> /dev/null || true
	touch $@

demo: install
	examples/kalevala/demo.sh

# pyright takes one core for minutes; the unit tests have the other one.
test:
	$(AT_ONCE) install packages
	$(AT_ONCE) mypy image style imports
	$(AT_ONCE) pyright unit
	$(MAKE) test-cloud

check: install
	$(AT_ONCE) mypy pyright style imports

style: install
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

mypy: install
	$(BIN)/mypy

pyright: install
	$(BIN)/pyright

imports: install
	$(BIN)/lint-imports --no-cache

# Debian's: what unit tests run for real.
packages:
	tests/install_packages.sh

servers: install packages
	tests/install_swift.sh
	tests/install_trackers.sh
	tests/install_vast.sh
	tests/install_eval_models.sh

unit: servers
	$(BIN)/pytest $(SIDE_BY_SIDE)

# Kills a committing process N times at random moments, against a real object store.
N ?= 300
chaos: servers
	CHAOS_KILLS=$(N) $(BIN)/pytest tests/store/checkpoints/test_chaos.py

# Real SkyPilot against clouds emulated on this machine: needs root and Debian.
# ONLY: as pytest's -k has it; it also selects among the tests that otherwise do not run (by_hand).
# KILLS: of how many launches. ENCLOSURES: how many rigs work side by side, with the tests of a file
# each; a launch alone is a hundred starts of Python.
CLOUD := $(BIN)/python tests/emulated_aws
KILLS ?= 2
ENCLOSURES ?= 2
IN_ENCLOSURES := --tx '$(ENCLOSURES)*popen//python=$(CLOUD) run $(BIN)/python' \
	--dist loadfile --no-loadscope-reorder
test-cloud: image
	@expr '$(ENCLOSURES)' : '[1-9]$$' '&' '$(KILLS)' : '[1-9][0-9]*$$' > /dev/null \
		|| { echo 'ENCLOSURES is from 1 to 9, KILLS from 1 on' >&2; exit 2; }
	LAUNCH_KILLS=$(KILLS) $(BIN)/pytest tests/emulated_aws tests/emulated_clouds -v \
		--durations=0 --durations-min=5 $(IN_ENCLOSURES) \
		$(if $(ONLY),-m cloud -k '$(ONLY)',-m 'cloud and not by_hand')

# The disk that the instances start from.
image: install .emulated-aws/tools
	$(CLOUD) build

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
	$(BIN)/python -P -m fintts_cli.infra.sky.prices.renew_prices $(CLOUDS)

# Renews the lock of what an instance installs, after a change of its pins. Hashes and dependencies
# come from PyPI's index; nothing is downloaded.
INSTANCE := task_templates/fintts_templates/instance
TRACKING := remote_trainer/fintts_trainer/tracking
lock: install
	$(BIN)/uv pip compile --quiet --no-config --default-index https://pypi.org/simple \
		--generate-hashes --no-annotate --custom-compile-command 'make lock' \
		--python-version 3.11 --python-platform x86_64-manylinux_2_28 \
		--constraints constraints.txt --output-file $(INSTANCE)/requirements.txt $(INSTANCE)/requirements.in
	$(BIN)/uv pip compile --quiet --no-config --default-index https://pypi.org/simple \
		--generate-hashes --no-annotate --custom-compile-command 'make lock' \
		--python-version 3.11 --python-platform x86_64-manylinux_2_28 \
		--constraints constraints.txt --output-file $(INSTANCE)/requirements-eval.txt \
		$(INSTANCE)/requirements.in $(INSTANCE)/eval.in
	for tracker in wandb trackio; do \
		$(BIN)/uv pip compile --quiet --no-config --default-index https://pypi.org/simple \
			--generate-hashes --no-annotate --custom-compile-command 'make lock' \
			--python-version 3.11 --python-platform x86_64-manylinux_2_28 \
			--output-file $(TRACKING)/$$tracker.txt $(TRACKING)/$$tracker.in || exit; \
	done

clean: clean-cloud
	rm -rf .venv demo-run .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
