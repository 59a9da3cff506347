# One command file: `make` is check + test. Everything is set up by the targets themselves, in .venv.

.DEFAULT_GOAL := all
.PHONY: all demo test test-fast check format bench docs clean

# The first Python from 3.11 on that really runs (a shim may be there without its Python).
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; raise SystemExit(sys.version_info < (3, 11))' >/dev/null 2>&1 && { command -v $$p; break; }; done)
BIN := .venv/bin
PIP := $(BIN)/python -m pip install --quiet --no-input --disable-pip-version-check --constraint constraints.txt
PYTEST := $(BIN)/python -m pytest

all: check test

.venv/pyvenv.cfg:
	@test -n "$(PYTHON)" || { echo "Clew needs Python 3.11 or newer; none was found (set PYTHON=...)" >&2; exit 1; }
	@$(PYTHON) -m venv .venv || { echo "python3-venv is missing: apt-get install python3-venv" >&2; exit 1; }

.venv/.run: pyproject.toml constraints.txt | .venv/pyvenv.cfg
	@echo "setting up .venv"
	@$(PIP) --editable . pytest  # the demo's package is tested with it
	@touch $@

.venv/.dev: .venv/.run
	@echo "setting up the tools for tests"
	@$(PIP) --editable '.[dev]'
	@touch $@

demo: .venv/.run  ## run the main job on a real, small, buggy package; no key, no server
	@$(BIN)/python examples/fix-failing-test/demo.py

test: .venv/.dev  ## every test, with coverage of the quick ones
	@rm -f .coverage .coverage.*
	COVERAGE_PROCESS_START=$(CURDIR)/pyproject.toml $(PYTEST) -q -n 2 --dist loadgroup -m "not slow and not chaos"
	@$(BIN)/coverage combine -q
	$(BIN)/coverage report --fail-under=90 --skip-covered --skip-empty
	$(BIN)/coverage report --fail-under=100 --include='src/clew/core/*,src/clew/gate/*' --skip-covered
	$(PYTEST) -q -n 2 --dist loadgroup -m "slow or chaos"

test-fast: .venv/.dev  ## what to run often
	$(PYTEST) -q -x -m "not slow and not chaos"

check: .venv/.dev  ## format, lint, types, layers
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/pyright
	$(BIN)/lint-imports --no-logo

format: .venv/.dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: .venv/.dev  ## the engine beside its peers, where they are installed
	$(BIN)/python bench/engine.py
	$(BIN)/python bench/agent.py
	$(BIN)/python bench/gateway.py
	$(BIN)/python bench/sandbox.py

docs: .venv/.dev  ## generated references, made anew
	$(BIN)/python -m clew.cli.docs
	$(BIN)/python -m clew.manifest.generate
	$(BIN)/python docs/generate.py

clean:
	rm -rf .venv .pytest_cache .hypothesis .ruff_cache .coverage .coverage.* build dist
