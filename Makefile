# make demo, make test: each does all its own set-up (a virtual environment in .venv).
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
STACK  := $(VENV)/.openstack
ARGS   ?=

.PHONY: demo test test-openstack campaign fuzz-api reference lint bench clean help test-kills campaign-kills campaign-faults
.DEFAULT_GOAL := help

help:  ## say what the targets do
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit("zvmcloud needs Python 3.11 or newer; this is %d.%d. Try: make PYTHON=python3.11 ..." % sys.version_info[:2] if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@touch $@

# nova and neutron, for the tests of their drivers: some 110 packages more, about a minute.
$(STACK): $(STAMP)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev,openstack,openstack-tests]'
	@touch $@

demo: $(STAMP)  ## deploy a Linux guest on a z/VM in software and show what happened (ARGS=--keep leaves it running)
	$(BIN)/zvm demo $(ARGS)

# Tests start hundreds of programs: none of them should compile what the one before has compiled.
test: $(STACK)  ## run all tests
	PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest -n auto --dist loadfile --no-loadscope-reorder $(ARGS)

test-openstack: $(STAMP)  ## real keystone, glance, placement, nova, neutron and cinder over two z/VM systems in software (ARGS='--logs FOLDER')
	PYTHONPATH=tests $(BIN)/python -m openstack_proof $(ARGS)

campaign: $(STACK)  ## the long campaigns: 100,000 operations on disk space, volumes through crashes and relocations
	ZVM_OPERATIONS=100000 $(BIN)/python -m pytest -m campaign $(ARGS)

test-kills: $(STAMP)  ## kill the simulator 200 times under load and compare it with its journal (KILLS=n)
	KILLS=$(or $(KILLS),200) $(BIN)/python -m pytest tests/simulator/test_kills.py $(ARGS)

fuzz-api: $(STAMP)  ## send the native API what nobody would, while its z/VM misbehaves (FUZZ=requests of each operation)
	FUZZ=$(or $(FUZZ),40) $(BIN)/python -m pytest -s tests/e2e/test_fuzz.py $(ARGS)

reference: $(STAMP)  ## write the pages of docs/reference that are made from the code
	$(BIN)/python tests/reference.py

campaign-kills: $(STAMP)  ## kill the manager and the agent between all steps of all operations, and inside steps (KILLS=n|all|0, SEED=n, CASES=word, DATABASE=postgresql)
	KILLS=$(or $(KILLS),200) $(BIN)/python -m pytest -s tests/e2e/test_kill_campaign.py $(ARGS)

campaign-faults: $(STAMP)  ## refuse each SMAPI and CP call of every operation in turn, and look at the whole z/VM (CASES=expression)
	FAULTS=all $(BIN)/python -m pytest -n auto --dist load -rP tests/api/test_every_fault.py $(ARGS)

lint: $(STACK)  ## ruff, mypy --strict, the import law
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(STAMP)  ## measure, and print each figure beside what it is compared with
	$(BIN)/python -m benchmarks $(ARGS)

clean:  ## remove the virtual environment and caches
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
