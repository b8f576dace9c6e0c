# make demo    a virtual environment, engram, and a first training on bundled pictures
# make test    the same for the whole test suite
# make quick   the tests that train nothing large
# make check   style and types

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin

export OMP_WAIT_POLICY ?= PASSIVE

.PHONY: demo test quick check

demo: $(VENV)/installed
	$(BIN)/engram demo

test: $(VENV)/installed-dev
	$(BIN)/python -m pytest -n auto

quick: $(VENV)/installed-dev
	$(BIN)/python -m pytest -n auto -m "not slow"

check: $(VENV)/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(None if sys.version_info >= (3, 11) else "engram needs Python 3.11 or newer; this is " + sys.version.split()[0] + ". Name another: make PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/installed: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet -e .
	@touch $@

$(VENV)/installed-dev: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet -e '.[dev]'
	@touch $@ $(VENV)/installed
