# make sweep and make test need nothing but Python 3.11 or newer: both install into .venv first.
PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/installed
PYTEST := $(BIN)/python -m pytest -n 2

.PHONY: setup sweep test test-long test-ui test-cluster test-gpu check bench ui secrets clean
.PHONY: types fast-tests-of-rooms fast-tests-of-the-rest
.DEFAULT_GOAL := setup

setup: $(INSTALLED)

$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "hpsearch needs Python 3.11 or newer, and '$(PYTHON)' is $$($(PYTHON) --version 2>&1); try make PYTHON=python3.12 $(or $(MAKECMDGOALS),setup)" >&2; exit 1; }
	@echo "installing into .venv (about 2 GB; a few minutes the first time)"
	@test -x $(BIN)/pip || $(PYTHON) -m venv --clear .venv
	@$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt hatchling editables
	@$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --no-build-isolation --editable '.[dev]'
	@touch $@

sweep: setup
	$(BIN)/hpsearch run search_spaces/digits_mlp.yaml

test: setup
	$(PYTEST) -m "not cluster and not long and not ui"

test-long: setup
	$(PYTEST) -m "long and not cluster"

test-ui: setup
	$(BIN)/python -m pytest -m ui

# One file after another, each in a process of its own: it starts a cluster, whose token Ray reads once a process.
test-cluster: setup
	@failed=0; for file in $$(grep -rl 'mark\.cluster' tests --include='test_*.py' | sort); do \
	  $(BIN)/python -m pytest -q -m cluster $$file || failed=1; done; exit $$failed

test-gpu: setup
	@$(BIN)/python -c 'import sys, torch; sys.exit(not torch.cuda.is_available())' || { echo "torch sees no GPU here" >&2; exit 1; }
	$(BIN)/python -m pytest tests/gpu

# For two cores: types, then some rooms' tests, beside the rest. Workers that share the tests out would each import all of them.
check: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	@$(MAKE) --no-print-directory -j 2 types fast-tests-of-the-rest fast-tests-of-rooms

types:
	$(BIN)/mypy

ROOMS := $(addprefix tests/,executors gpu ledger models search tasks training)

fast-tests-of-rooms:
	$(BIN)/python -m pytest -q -m "not slow" $(ROOMS)

fast-tests-of-the-rest:
	$(BIN)/python -m pytest -q -m "not slow" $(ROOMS:%=--ignore=%)

bench: setup
	$(BIN)/python -m benchmarks.overhead
	$(BIN)/python -m benchmarks.memory
	$(BIN)/python -m benchmarks.families
	$(BIN)/python -m benchmarks.ray
	$(BIN)/python -m benchmarks.tracking

ui: setup
	$(BIN)/hpsearch ui

# For compose.yaml; what is there already is kept.
secrets:
	@$(PYTHON) compose/make_secrets.py secrets

# Not .hpsearch: it holds the results.
clean:
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache build dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
