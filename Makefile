# Every target makes what it needs (a Python environment in .venv, system packages where it may) and says what it does.
# `make demo` and `make test` work on a fresh clone with nothing else typed.

SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help demo test unit integration lint sanity package format soak bench build changelog clean programs wanted-programs environment

# The checkout is found as a collection through collections/, whatever the folder is called.
export PATH := $(CURDIR)/.venv/bin:$(PATH)
export ANSIBLE_COLLECTIONS_PATH := $(CURDIR)/collections
export PYTHONDONTWRITEBYTECODE := 1
# Ansible wants UTF-8, and must not read somebody's own settings.
export LC_ALL := C.UTF-8
unexport ANSIBLE_CONFIG

PYTHON := .venv/bin/python
# More arguments for pytest or ansible-test: make unit ARGS="-k retention", make sanity ARGS="--test pylint"
ARGS ?=

help:
	@echo "holdfast.db: database backups that are proven restorable."
	@echo
	@echo "  make demo         back up, lose, restore and prune a small shop's databases; about a minute"
	@echo "  make test         every check there is, with a summary at the end; what CI runs"
	@echo
	@echo "  make unit         pure logic, no server          (make unit ARGS='-k retention')"
	@echo "  make integration  real databases, started privately in temporary folders"
	@echo "  make lint         ruff, layers, ansible-lint, documentation, changelog"
	@echo "  make sanity       ansible-test sanity in a copy, on every Python found from 3.9 to 3.13"
	@echo "  make package      build and install the collection, look at what arrived, use it"
	@echo "  make format       let ruff rewrite the Python files"
	@echo "  make soak         the long tests: hundreds of kills, big databases"
	@echo "  make bench        measure against native tools; installs more packages into .venv-bench"
	@echo "  make build        build the collection's archive into dist/"
	@echo "  make changelog    move the fragments into the changelog of the version that galaxy.yml names"
	@echo "  make clean        remove everything that make has made"

environment:
	@tools/environment.sh .venv tests/requirements.txt

programs:
	@tools/system-packages.sh

# The demo does without PostgreSQL where it cannot be installed, and says so.
demo: wanted-programs environment
	@demo/run

wanted-programs:
	@tools/system-packages.sh || echo "The demo goes on with what is there."

test: programs environment
	@$(PYTHON) tools/check.py

unit: environment
	@$(PYTHON) tools/check.py unit -- $(ARGS)

integration: programs environment
	@$(PYTHON) tools/check.py integration -- $(ARGS)

soak: programs environment
	@$(PYTHON) tools/check.py soak -- $(ARGS)

lint: environment
	@$(PYTHON) tools/check.py ruff format house ansible-lint docs prose changelog

sanity: environment
	@$(PYTHON) tools/check.py sanity -- $(ARGS)

package: programs environment
	@$(PYTHON) tools/check.py package circle importer

format: environment
	@ruff check --fix --quiet . || true
	@ruff format .
	@echo "Next: make lint"

bench: programs
	@tools/environment.sh .venv-bench tests/requirements.txt tests/bench/requirements.txt
	@PATH="$(CURDIR)/.venv-bench/bin:$$PATH" .venv-bench/bin/python tests/bench/run.py $(ARGS)

build: environment
	@$(PYTHON) tools/build.py dist

changelog: environment
	@antsibull-changelog release --update-existing --reload-plugins
	@echo "Next: read CHANGELOG.rst, then make lint"

clean:
	rm -rf .venv .venv-bench .cache .ansible collections dist .demo .pytest_cache .ruff_cache .hypothesis
	@echo "Removed what make had made. Next: make demo, or make test"
