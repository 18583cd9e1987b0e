# Tallybook. `make demo` and `make test` are all that a newcomer needs; each makes what it stands on.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.from-lock
# The first of these that is 3.11 or newer and can make an environment; PYTHON=... names another. The system's own
# comes first: distributions build it with profile-guided optimisation, version managers usually do not, and the
# services are a fifth slower on theirs (docs/decisions/speed.md).
PYTHON ?= $(shell for p in /usr/bin/python3 python3 python3.11 python3.12 python3.13 python3.14; do \
	    "$$p" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo "$$p"; break; }; done)

COMPILE = $(BIN)/python -m piptools compile --quiet --generate-hashes --allow-unsafe --strip-extras --no-header \
	  --no-emit-index-url --no-emit-find-links --no-emit-trusted-host

.PHONY: help demo test lint types proto bench up down status lock clean

help: ## What can be made
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-8s %s\n", $$1, $$2}'

demo: $(READY) ## A real year of purchases through the whole stack (ONCE=1: show, then end)
	$(BIN)/tally demo $(if $(ONCE),--once)

test: $(READY) ## The whole suite, on its own PostgreSQL and Kafka (TESTS=path narrows it)
	$(BIN)/python -m pytest -q -n 2 $(or $(TESTS),tests)

lint: $(READY) ## Style, formatting and the import rules
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-logo

types: $(READY) ## Static types
	$(BIN)/mypy

proto: $(READY) ## Generate code from the contracts; lint them; refuse a breaking change
	bash proto/generate.sh $(BIN)/python

bench: $(READY) ## The speeds of DESIGN section 11, each beside its limit (to bench-results/)
	$(BIN)/python -m tests.bench

up: $(READY) ## The whole stack on this machine, left running
	$(BIN)/tally up

status: $(READY) ## What runs, and how far each service has got
	$(BIN)/tally status

down: $(READY) ## Stop the stack and delete its folder
	$(BIN)/tally down

lock: $(READY) ## Resolve the newest versions that pyproject.toml allows into the two lock files
	$(COMPILE) --upgrade --all-extras --output-file requirements.lock pyproject.toml
	$(COMPILE) --constraint requirements.lock --output-file deploy/requirements.lock pyproject.toml

clean: ## Stop the stack, delete the virtual environment and every cache
	@if [ -x $(BIN)/tally ]; then $(BIN)/tally down; fi
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis *.egg-info proto/node_modules
	find services tests proto/gen -name __pycache__ -type d -prune -exec rm -rf {} +

# The environment is what the lock says, nothing more: every file is checked against its hash, and the project
# itself is linked in place.
$(READY): requirements.lock pyproject.toml
	@test -n "$(PYTHON)" || { echo "Tallybook needs Python 3.11 or newer with its module venv (Debian: apt-get install python3-venv), and found none" >&2; exit 1; }
	$(PYTHON) -m venv --clear $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@
