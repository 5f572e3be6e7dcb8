# The doors of the house. `make` alone lists them.
PYTHON_BIN := .venv/bin
PY := $(PYTHON_BIN)/python
CODE := src tests tools benchmarks examples
SEED ?=
# Tests run on both cores; JOBS=0 runs them in one process, which a debugger needs.
JOBS ?= 2

.DEFAULT_GOAL := help
.PHONY: help setup demo test check bench sim fuzz docs peers

help: ## list the doors
	@echo "Ringback: SIP in Python. The doors:"
	@awk -F ':.*## ' '/^[a-z]+:.*## / && $$1 != "help" { printf "  make %-7s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

setup: ## make .venv, with .venv/bin/ringback in it
	@tools/setup.sh

demo: setup ## a server, three phones, a forked call, its ladder drawn as it happens
	@$(PYTHON_BIN)/ringback demo

# The foreign peers that the tests talk to. A test that lacks one is skipped and says so; under CI=true it fails.
peers:
	@tools/debian.sh peers || true

test: setup peers ## everything: the core with its branch coverage, then the rest, foreign peers included
	@status=0; \
	$(PY) -m pytest tests/protocol -n $(JOBS) --cov --cov-report=term-missing:skip-covered --cov-fail-under=100 || status=1; \
	$(PY) -m pytest tests --ignore=tests/protocol -n $(JOBS) || status=1; \
	exit $$status

check: setup ## format, lint, types, layers, public API, pages made from the code
	@tools/lock.sh --check
	@$(PYTHON_BIN)/ruff format --check $(CODE)
	@$(PYTHON_BIN)/ruff check $(CODE)
	@$(PYTHON_BIN)/mypy
	@$(PYTHON_BIN)/lint-imports --no-cache
	@$(PY) tools/public_api.py --check
	@$(PY) tools/reference.py --check
	@$(PY) tools/diagrams.py --check

bench: setup peers ## CPU per call, REGISTER and MESSAGE, beside Kamailio in the same run
	@$(PY) -m benchmarks $(BENCH)

sim: setup ## replay a seed of the simulated world: make sim SEED=17
	@$(PY) tools/sim.py $(SEED)

fuzz: setup ## the property tests with fresh examples, EXAMPLES=2000 of each
	@EXAMPLES=$(or $(EXAMPLES),2000) $(PY) -m pytest tests -m hypothesis --hypothesis-profile=fuzz -n $(JOBS) -p no:cacheprovider

docs: setup ## write the pages that are made from the code, docs/conformance.md from the marks on the tests
	@$(PY) tools/reference.py
	@$(PY) tools/diagrams.py
	@$(PY) tools/public_api.py
	@$(PY) tools/conformance.py
