# Two commands: `make swarm` runs the shipped team, `make test` checks everything.
# Both set up .venv on their first run and leave it alone afterwards.

SHELL := /bin/bash
VENV := .venv
BIN := $(VENV)/bin

# The first of these that runs; choose another with `make PYTHON=python3.12 ...`.
PYTHON := $(shell for p in python3.11 python3.12 python3.13 python3; do \
	$$p -c '' 2>/dev/null && { echo $$p; break; }; done)

# A Python that was asked for must run, and .venv be of it: otherwise .venv is made anew.
ifeq ($(origin PYTHON),command line)
ASKED := $(shell $(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null)
FOUND := $(shell $(BIN)/python -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null)
ifeq ($(ASKED),)
$(error PYTHON=$(PYTHON) does not run here; give the name or path of a Python 3.11, 3.12 or 3.13)
endif
ifneq ($(ASKED),$(FOUND))
ANEW := anew
endif
endif

# Arguments of `eir swarm`; a fault given here takes the place of the default one.
ARGS :=
FAULT := r2:stop@10

# Length and seed of `make chaos`; without a seed one is drawn and told.
MINUTES := 10
SEED :=

SETUP := setup.py eir_ros/__init__.py constraints.txt scripts/setup_venv.py
CODE := eir_ros sim training benchmarks scripts launch tests docs setup.py

.DEFAULT_GOAL := help
.PHONY: help swarm test lint check-robustness chaos clean anew

help: ## show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 24

# Neither needs torch, so neither installs it.
$(VENV)/ready-swarm: $(SETUP) $(ANEW)
	@$(if $(PYTHON),,$(error no Python 3.11, 3.12 or 3.13 found, install python3.11))
	@$(PYTHON) scripts/setup_venv.py --venv $(VENV) --extras ros,sim,monitor
	@touch $@

$(VENV)/ready-test: $(SETUP) $(ANEW)
	@$(if $(PYTHON),,$(error no Python 3.11, 3.12 or 3.13 found, install python3.11))
	@$(PYTHON) scripts/setup_venv.py --venv $(VENV) --extras ros,sim,mpe,monitor,train,dev --chromium
	@touch $@ $(VENV)/ready-swarm

swarm: $(VENV)/ready-swarm ## run four robots and break one: make swarm [ARGS="--duration 30 --headless"]
	@$(BIN)/eir swarm $(if $(findstring --fault,$(ARGS)),,--fault $(FAULT)) $(ARGS)

test: lint ## lint, types and all tests
	$(BIN)/python -m pytest -n 2

lint: $(VENV)/ready-test ## lint, formatting and types
	$(BIN)/ruff check $(CODE)
	$(BIN)/ruff format --check $(CODE)
	$(BIN)/mypy

check-robustness: $(VENV)/ready-test ## play the shipped bundles against their scorecards
	@for bundle in policies/*/; do $(BIN)/eir bundle verify $$bundle --scorecard || exit; done

chaos: $(VENV)/ready-test ## break everything at random and judge the recording: make chaos [MINUTES=10] [SEED=1]
	@$(BIN)/python -m benchmarks.chaos --minutes $(MINUTES) $(if $(SEED),--seed $(SEED))

clean: ## remove what setting up, building and running made
	rm -rf $(VENV) build install log dist *.egg-info runs .pytest_cache .mypy_cache .ruff_cache .hypothesis
