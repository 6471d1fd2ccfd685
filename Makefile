# make experiment | make test | make lint | make clean        (see README.md)
#
# The first target that needs it makes .venv from requirements.lock, with progress.

EXPERIMENT ?= gray-region
BACKENDS   ?= jetstream-stretched
RUNTIME    ?= auto
SEED       ?= 1
REPEATS    ?= 1
LEADERS_IN ?=
PYTHON     ?= python3

# They reach the shell as variables, never as text of a command.
export EXPERIMENT BACKENDS RUNTIME SEED REPEATS LEADERS_IN

SHELL := /bin/bash
BIN   := .venv/bin
READY := .venv/.ready

.PHONY: experiment test test-slow lint lock clean
.DEFAULT_GOAL := experiment

$(READY): requirements.lock pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "make: $(PYTHON) not found: install Python 3.11 or newer, or say make PYTHON=…"; exit 12; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "make: $(PYTHON) is $$($(PYTHON) -V): expected 3.11 or newer; say make PYTHON=python3.11"; exit 12; }
	@echo "Setting up .venv from requirements.lock (once, about half a minute) …"
	@$(PYTHON) -m venv .venv || { echo "make: $(PYTHON) can't make a venv: install its venv package (Debian: python3-venv)"; exit 12; }
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --only-binary=:all: -r requirements.lock
	@site=$$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))'); \
	  pwd > "$$site/isolation-lab.pth"; \
	  printf '#!/bin/sh\nexec "%s" -m lab "$$@"\n' "$$(pwd)/$(BIN)/python" > $(BIN)/lab; chmod +x $(BIN)/lab
	@touch $@

experiment: $(READY)
	@read -ra arms <<< "$$BACKENDS"; $(BIN)/lab run "$${arms[@]/#/--arm=}" --runtime "$$RUNTIME" \
	  --seed "$$SEED" --repeats "$$REPEATS" --leaders-in "$$LEADERS_IN" -- "$$EXPERIMENT"

test: $(READY)
	@$(BIN)/python -m pytest -m "not slow"

test-slow: $(READY)
	@$(BIN)/python -m pytest -m slow

lint: $(READY)
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy && $(BIN)/lint-imports

# Needs uv; run after changing dependencies in pyproject.toml.
lock:
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
	  --no-annotate --extra test pyproject.toml -o requirements.lock

clean: $(READY)
	@$(BIN)/lab clean
