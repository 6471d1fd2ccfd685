# make doctor | images | demo | experiment | nightly | simulate | bench | notebook | test | lint | clean        (see README.md)
#
# The first target that needs it makes .venv from requirements.lock, with progress.
# Nothing is compiled ahead: that would take longer than all the rest, and most is never imported.

EXPERIMENT ?= gray-region
BACKENDS   ?= jetstream-stretched syncstore
RUNTIME    ?= auto
SEED       ?= 1
REPEATS    ?= 1
LEADERS_IN ?=
TOPOLOGY   ?=
BATCH      ?= experiments/nightly.yaml
JUNIT      ?=
SUMMARY    ?=
SEEDS      ?= 1000
BENCH_ROWS ?=
PYTHON     ?= python3

# They reach the shell as variables, never as text of a command …
GIVEN := EXPERIMENT BACKENDS RUNTIME SEED REPEATS LEADERS_IN TOPOLOGY BATCH JUNIT SUMMARY SEEDS BENCH_ROWS
export $(GIVEN)
# … and make takes what it is given as it is: `$(shell …)` in a value is text.
$(foreach name,$(GIVEN),$(if $(filter-out file,$(origin $(name))),$(eval override $(name) := $$(value $(name)))))

SHELL := /bin/bash
BIN   := .venv/bin
READY := .venv/.ready
JUPYTER := .venv/.jupyter

.PHONY: experiment nightly simulate bench test test-slow demo pictures doctor images notebook lint lock clean
.DEFAULT_GOAL := experiment

$(READY): requirements.lock pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "make: $(PYTHON) not found: install Python 3.11 or newer, or say make PYTHON=…"; exit 12; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "make: $(PYTHON) is $$($(PYTHON) -V): expected 3.11 or newer; say make PYTHON=python3.11"; exit 12; }
	@echo "Setting up .venv from requirements.lock (once, about half a minute) …"
	@$(PYTHON) -m venv .venv || { echo "make: $(PYTHON) can't make a venv: install its venv package (Debian: python3-venv)"; exit 12; }
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-compile --only-binary=:all: -r requirements.lock
	@site=$$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))'); \
	  pwd > "$$site/isolation-lab.pth"; \
	  printf '#!/bin/sh\nexec "%s" -m lab "$$@"\n' "$$(pwd)/$(BIN)/python" > $(BIN)/lab; chmod +x $(BIN)/lab
	@touch $@

experiment: $(READY)
	@read -ra arms <<< "$$BACKENDS"; $(BIN)/lab run "$${arms[@]/#/--arm=}" --runtime "$$RUNTIME" \
	  --seed "$$SEED" --repeats "$$REPEATS" --leaders-in "$$LEADERS_IN" --topology "$$TOPOLOGY" -- "$$EXPERIMENT"

# Without a SEED of yours: one made from the date, so that the same night's batch goes on where it stopped.
nightly: $(READY)
	@$(BIN)/lab batch --runtime "$$RUNTIME" $(if $(filter-out file,$(origin SEED)),$${SEED:+--seed="$$SEED"}) \
	  $${JUNIT:+--junit="$$JUNIT"} $${SUMMARY:+--summary="$$SUMMARY"} -- "$$BATCH"

# SyncStore in virtual time: so many worlds, each from its own seed.
simulate: $(READY)
	@$(BIN)/python -m lab.syncstore.simulate --seeds "$$SEEDS"

test: $(READY)
	@$(BIN)/python -m pytest -m "not slow"

test-slow: $(READY)
	@$(BIN)/python -m pytest -m slow

# SyncStore side by side with JetStream, about 13 minutes; BENCH_ROWS=1,2 for some of it. Leave the machine alone.
bench: $(READY)
	@$(BIN)/python -m lab.bench $${BENCH_ROWS:+--rows="$$BENCH_ROWS"}

# A run that git keeps, drawn here: no servers.
demo: $(READY)
	@$(BIN)/lab demo

# The picture in the README; needs a Chromium.
pictures: demo
	@$(BIN)/python -m lab.picture results/demo/report.html results/reference/report.png

doctor: $(READY)
	@$(BIN)/lab doctor

# The docker runtime's images, made without a registry; runs make what is missing by themselves.
images: $(READY)
	@$(BIN)/lab images

$(JUPYTER): $(READY) requirements-notebook.lock
	@echo "Adding JupyterLab to .venv from requirements-notebook.lock (once, about half a minute) …"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-compile --only-binary=:all: -r requirements-notebook.lock
	@mkdir -p .venv/share/jupyter/lab/settings
	@echo '{"@jupyterlab/docmanager-extension:plugin": {"defaultViewers": {"markdown": "Markdown Preview"}},' \
	  '"@jupyterlab/apputils-extension:notification": {"fetchNews": "false", "checkForUpdates": false}}' \
	  > .venv/share/jupyter/lab/settings/overrides.json
	@touch $@

# On this machine alone; where there is no screen it prints the address, and Ctrl-C ends it.
notebook: $(JUPYTER)
	@[ -n "$$DISPLAY$$WAYLAND_DISPLAY" ] || [ "$$(uname)" = Darwin ] || quiet=--no-browser; \
	  JUPYTER_PREFER_ENV_PATH=1 exec $(BIN)/python -m jupyterlab --ServerApp.ip=127.0.0.1 --ServerApp.root_dir="$$PWD" \
	  --LabApp.default_url=/lab/tree/notebooks/README.md --ServerApp.log_level=WARN --allow-root $$quiet

lint: $(READY)
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy && $(BIN)/lint-imports

# Needs uv; run after changing dependencies in pyproject.toml.
lock:
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
	  --no-annotate --extra test pyproject.toml -o requirements.lock
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
	  --no-annotate --extra notebook --constraints requirements.lock pyproject.toml -o requirements-notebook.lock

clean: $(READY)
	@$(BIN)/lab clean
