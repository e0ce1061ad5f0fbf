# What people and CI call alike. Everything is installed into a virtual environment beside this file and nowhere else.
# Another Python has an environment of its own: make test PYTHON=python3.13

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help
# The suite starts hundreds of processes: each would compile every module again.
unexport PYTHONDONTWRITEBYTECODE
MAKEFLAGS += --no-builtin-rules

PYTHON ?= python3
ifndef VENV
ifeq ($(PYTHON),python3)
VENV := .venv
else
VENV := .venv-$(shell $(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])')
endif
endif

# Absolute, so that commands work from any folder.
BIN := $(abspath $(VENV))/bin
PIP := PIP_DISABLE_PIP_VERSION_CHECK=1 $(BIN)/python -m pip install --quiet --no-input --no-compile --no-deps
RUN_READY := $(VENV)/run-ready
DEV_READY := $(VENV)/dev-ready
NPM_READY := tests/npm/node_modules/.package-lock.json
AGENTS_READY := tests/agents/npm/node_modules/.package-lock.json
# Tests of processes wait more than they compute.
JOBS ?= $(shell expr 2 \* $$(nproc))

# How long `make soak` goes on; CONTRIBUTING.md says of what each is the number.
SEED ?= 1
KILLS ?= 500
FLIPS ?= 10000
SWAPS ?= 50000
IMAGES ?= 1700
FUZZ ?= 20000
STALLS ?= 500
UNREAD ?= 1000
SIEGE ?= 30
BOUNDS ?= 20000
AUDIT ?= 100000
ROUNDS ?= 20
LOGINS ?= 200
CANARIES ?= 100000
ESCALATIONS ?= 20000
RACES ?= 2000
HEADS ?= 2000
SHARED ?= 3200
REGISTRATIONS ?= 10000
RESTARTS ?= 60
SCHEMA ?= 50

PREFIX ?= /usr/local
SYSCONFDIR ?= /etc
ACCOUNT ?= yes
INSTALL = DESTDIR='$(DESTDIR)' PREFIX='$(PREFIX)' SYSCONFDIR='$(SYSCONFDIR)' ACCOUNT='$(ACCOUNT)' \
  PYTHON='$(PYTHON)' tools/install.sh

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { \
	  line = sprintf("  make %-11s", $$1); count = split($$2, words, " "); \
	  for (i = 1; i <= count; i++) { \
	    if (length(line words[i]) > 78) { print line; line = sprintf("%18s", "") }; line = line " " words[i] }; \
	  print line }' $(MAKEFILE_LIST)

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo 'herod needs Python 3.11 or newer: make PYTHON=python3.13 ...' >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
	  { echo 'this Python cannot create virtual environments: apt install python3-venv' >&2; exit 1; }
	@echo 'making $(VENV)'
	@$(PYTHON) -m venv $(VENV)

# An editable install: a change to the code needs no new one.
$(RUN_READY): requirements/run.txt requirements/build.txt pyproject.toml clients/python/pyproject.toml | $(BIN)/python
	@echo 'installing the locked dependencies'
	@$(PIP) --require-hashes -r requirements/run.txt -r requirements/build.txt
	@$(PIP) --no-build-isolation --editable clients/python --editable .
	@touch $@

$(DEV_READY): requirements/dev.txt pyproject.toml | $(RUN_READY)
	@echo 'installing the locked tools'
	@$(PIP) --require-hashes -r requirements/dev.txt
	@touch $@

# The secret is kept where the daemon keeps its store by default, so that every clone opens the same store. Without
# XDG_RUNTIME_DIR (su, a container), and if the system's socket folder is not writable, the socket goes there too, where
# the commands and clients look for it. A relative XDG_STATE_HOME counts as not set, as everywhere.
.PHONY: run
run: $(RUN_READY) ## start the daemon: Unix socket, 127.0.0.1:3350, embedded store (ARGS="--port 4000")
	@if (( $$(id -u) == 0 )); then folder=/var/lib/herod; \
	elif [[ "$${XDG_STATE_HOME:-}" == /* ]]; then folder="$$XDG_STATE_HOME/herod"; \
	else folder="$${HOME:?is not set}/.local/state/herod"; fi; \
	if [[ -z "$${HERO_SECRET:-}$${HERO_SECRET_FILE:-}" ]]; then \
	  export HERO_SECRET_FILE="$$folder/hero_secret"; \
	  if [[ ! -e "$$HERO_SECRET_FILE" ]]; then \
	    (umask 077; mkdir -p "$$folder"; $(BIN)/herod secret generate --output-file "$$HERO_SECRET_FILE"); \
	  fi; \
	fi; \
	if (( $$(id -u) != 0 )) && [[ -z "$${XDG_RUNTIME_DIR:-}" && ! -w /run/herod ]]; then \
	  export XDG_RUNTIME_DIR="$$folder/run"; (umask 077; mkdir -p "$$XDG_RUNTIME_DIR"); \
	fi; \
	exec $(BIN)/herod serve $(ARGS)

# Schemas, checkers, generators and clients from npm. Without them the tests that need them are skipped, and say so.
$(NPM_READY): tests/npm/package-lock.json
	@command -v npm > /dev/null && npm ci --silent --ignore-scripts --prefix tests/npm && touch $@ || \
	  { rm -rf tests/npm/node_modules; echo 'npm is missing or cannot reach a registry: some tests are skipped' >&2; }

.PHONY: test
test: $(DEV_READY) $(NPM_READY) ## run the whole suite
	@$(BIN)/python -m pytest -n $(JOBS) --dist loadscope --no-loadscope-reorder

.PHONY: coverage
coverage: $(DEV_READY) $(NPM_READY) ## run the whole suite and more examples of the schema, and hold the coverage promised in CONTRIBUTING.md
	@rm -f .coverage .coverage.*
	@HEROD_SCHEMA=3 $(BIN)/coverage run -m pytest -n $(JOBS) --dist loadscope --no-loadscope-reorder
	@$(BIN)/coverage combine --quiet
	@$(BIN)/coverage report --fail-under=100 \
	  --include='herod/scopes/*,herod/credentials/**,clients/python/herod_client/core/*,herod/pipeline/pipeline.py,herod/pipeline/command_transactions.py,herod/pipeline/admission.py,herod/pipeline/targets.py'
	@$(BIN)/coverage report --fail-under=95

.PHONY: smoke
smoke: $(RUN_READY) ## the 24 checks against a daemon of its own, over the Unix socket and TCP (REPORTS=folder for JUnit)
	@tools/smoke.sh $(BIN) $(REPORTS)

.PHONY: lint
lint: $(DEV_READY) ## check style, types and who imports whom
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy
	@$(BIN)/lint-imports

.PHONY: fmt
fmt: $(DEV_READY) ## format the code and fix what can be fixed
	@$(BIN)/ruff check --fix --exit-zero
	@$(BIN)/ruff format

.PHONY: soak
soak: $(DEV_READY) ## the long version of the suite (KILLS=500 FLIPS=10000 SWAPS=50000 IMAGES=1700 FUZZ=20000 STALLS=500 UNREAD=1000 SIEGE=30 ROUNDS=20 SEED=1, and more)
	@HEROD_SEED=$(SEED) HEROD_KILL_ROUNDS=$(KILLS) HEROD_SIGNING_KILLS=$(KILLS) HEROD_IMPORT_KILLS=$(KILLS) \
	  HEROD_FLIPS=$(FLIPS) HEROD_SWAPS=$(SWAPS) HEROD_IMAGES=$(IMAGES) HEROD_FUZZ=$(FUZZ) HEROD_FUZZ_BYTES=$(FUZZ) \
	  HEROD_STALLS=$(STALLS) HEROD_UNREAD=$(UNREAD) HEROD_SIEGE=$(SIEGE) HEROD_BOUNDS=$(BOUNDS) \
	  HEROD_AUDIT=$(AUDIT) HEROD_BACKUP_ROUNDS=$(ROUNDS) HEROD_EIO_ROUNDS=$(ROUNDS) HEROD_LOGINS=$(LOGINS) \
	  HEROD_CANARIES=$(CANARIES) \
	  HEROD_ESCALATIONS=$(ESCALATIONS) HEROD_RACES=$(RACES) HEROD_HEADS=$(HEADS) HEROD_SHARED=$(SHARED) \
	  HEROD_REGISTRATIONS=$(REGISTRATIONS) HEROD_RESTART_SECONDS=$(RESTARTS) \
	  HEROD_SCHEMA=$(SCHEMA) \
	  $(BIN)/pytest -n $(JOBS) --dist loadscope --no-loadscope-reorder -m 'not check' $(ARGS)

$(AGENTS_READY): tests/agents/npm/package-lock.json
	@npm ci --silent --ignore-scripts --prefix tests/agents/npm
	@touch $@

.PHONY: check
check: $(DEV_READY) $(NPM_READY) $(AGENTS_READY) ## sign coding agents in (Claude Code and Codex; fetches 660 MB, needs chromium)
	@$(BIN)/python -m pytest -m check tests/agents

.PHONY: bench
bench: $(DEV_READY) ## measure, beside the floors of the same run
	@for script in $(filter-out bench/load.py,$(wildcard bench/*.py)); do $(BIN)/python "$$script"; done

.PHONY: screenshots
screenshots: $(DEV_READY) ## take the README's pictures (needs chromium)
	@$(BIN)/python tools/screenshots.py

.PHONY: build
build: $(DEV_READY) ## build the wheels, source archives and the list of dependencies (CycloneDX) into dist/
	@for project in . clients/python; do (cd $$project && $(BIN)/python -m hatchling build -d $(abspath dist)); done
	@PYTHONWARNINGS=ignore $(BIN)/cyclonedx-py requirements --pyproject pyproject.toml --output-reproducible \
	  --output-file dist/herod.cdx.json requirements/run.txt

# Uses nothing of this folder's environment: it works in a bare clone and leaves nothing here.
.PHONY: install
install: ## install as a system service (PREFIX=/usr/local SYSCONFDIR=/etc DESTDIR= ACCOUNT=yes)
	@$(INSTALL) install

.PHONY: uninstall
uninstall: ## remove what install put there; the secret, the settings and the store stay
	@$(INSTALL) uninstall

.PHONY: lock
lock: ## resolve the dependencies again (needs uv)
	@command -v uv > /dev/null || { echo 'uv is missing: see its own documentation' >&2; exit 1; }
	@compile='uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header'; \
	compile="$$compile --no-emit-package herod-client"; \
	$$compile $(LOCK_ARGS) --group dev pyproject.toml -o requirements/dev.txt; \
	$$compile -c requirements/dev.txt pyproject.toml -o requirements/run.txt; \
	$$compile -c requirements/dev.txt --group build -o requirements/build.txt

.PHONY: clean
clean: ## remove environments, caches and builds; the secret and the store stay
	@rm -rf .venv .venv-* build dist .coverage .coverage.* .mypy_cache .pytest_cache .ruff_cache .hypothesis .schemathesis \
	  .import_linter_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
