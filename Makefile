# Everything that is run on a clone. Nothing but Python 3.11 or newer is needed beforehand; uv is
# used where it is installed.

PYTHON ?= python3
WORKERS ?= 2
PYTEST_OPTIONS ?=

BIN := .venv/bin
DEMO_COMMAND := $(BIN)/thalweg demo

# The stamps stand inside the environment: whoever deletes it deletes them too.
CREATED := .venv/.created
RUNTIME := .venv/.installed-runtime
DEV := .venv/.installed-dev
REQUIREMENTS := pyproject.toml studies/pyproject.toml constraints.txt

ifneq ($(shell command -v uv 2>/dev/null),)
CREATE = uv venv --python "$(PYTHON)" .venv
INSTALL = uv pip install --python $(BIN)/python -c constraints.txt
else
# An old pip does not know recent wheel tags and would try to compile.
CREATE = "$(PYTHON)" -m venv .venv && $(BIN)/python -m pip install --quiet --upgrade pip
INSTALL = $(BIN)/python -m pip install --quiet -c constraints.txt
endif

.PHONY: help demo test test-slow test-all lint format types imports check clean
.NOTPARALLEL:

help:
	@echo "make demo       set up .venv and run the demonstration"
	@echo "make test       the test suite, without what is marked slow"
	@echo "make test-slow  the tests that are marked slow"
	@echo "make test-all   both, and how many they are"
	@echo "make lint       style, formatting (ruff) and spelling (codespell)"
	@echo "make format     rewrite the code in the project's format"
	@echo "make types      types (mypy)"
	@echo "make imports    imports only point down the floors, without circles (import-linter)"
	@echo "make check      lint, types, imports and test"
	@echo "make clean      delete .venv and everything else that make and the tests leave"

demo: $(RUNTIME)
	$(DEMO_COMMAND)

# What the suite compiles is kept with the environment: a second run compiles only what has changed.
PYTEST = JAX_COMPILATION_CACHE_DIR=$(CURDIR)/.venv/.programs \
  $(BIN)/python -m pytest -n $(WORKERS) --dist loadgroup $(PYTEST_OPTIONS)

test: $(DEV)
	$(PYTEST)

test-slow: $(DEV)
	XLA_FLAGS="$(XLA_FLAGS)" $(PYTEST) -m "slow and not gpu"

# pytest prints the number of tests: "2 workers [8000 items]".
test-all: $(DEV)
	XLA_FLAGS="$(XLA_FLAGS)" $(PYTEST) -m "not gpu"

lint: $(DEV)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/codespell

format: $(DEV)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

types: $(DEV)
	$(BIN)/mypy

imports: $(DEV)
	$(BIN)/lint-imports

check: lint types imports test

clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build dist
	find src studies tests -name __pycache__ -type d -prune -exec rm -rf {} +

$(CREATED):
	@command -v "$(PYTHON)" >/dev/null || { \
	  echo "There is no '$(PYTHON)' here. Name a Python: make PYTHON=python3.12" >&2; exit 1; }
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "thalweg needs Python 3.11 or newer, and '$(PYTHON)' is" \
	    "$$("$(PYTHON)" --version 2>&1). Name a newer one: make PYTHON=python3.12" >&2; \
	  exit 1; }
	@rm -rf .venv
	$(CREATE)
	@touch $@

$(RUNTIME): $(CREATED) $(REQUIREMENTS)
	$(INSTALL) -e . -e studies
	@touch $@

$(DEV): $(CREATED) $(REQUIREMENTS)
	$(INSTALL) -e '.[dev]' -e studies
	@touch $(RUNTIME) $@
