# The commands that never change. Each does its own set-up.
.DEFAULT_GOAL := help
VENV ?= .venv
PY := $(VENV)/bin/python
export SCALIX_VENV := $(VENV)
# Python keeps what it has compiled, also where the environment says otherwise: tests took 10 s longer to begin.
export PYTHONDONTWRITEBYTECODE :=
ARGS ?=

.PHONY: help run test check format bench soak clients lock setup setup-dev

help:
	@echo "make run     set up, then start the gateway (with a demo provider when no provider key is set)"
	@echo "make test    set up, then run all tests"
	@echo "make check   format, lint, types, import rules"
	@echo "make bench   the benchmarks        make soak    the tests too long for make test"
	@echo "make clients other people's clients against a gateway, each in an environment of its own (3 GB)"
	@echo "make format  rewrite the format    make lock    renew the pinned requirements"

setup:
	@tools/setup.sh run

setup-dev:
	@tools/setup.sh dev

run: setup
	@exec $(PY) start_scalix_litellm.py --demo-if-no-key $(ARGS)

test: setup-dev
	@$(PY) -m pytest -n 2 --dist loadfile --no-loadscope-reorder -m "not soak and not clients" $(ARGS)

soak: setup-dev
	@$(PY) -m pytest -m soak --timeout 3600 $(ARGS)

clients: setup-dev
	@$(PY) -m pytest -m clients tests/clients $(ARGS)

check: setup-dev
	@$(PY) -m ruff format --check .
	@$(PY) -m ruff check .
	@$(PY) -m mypy
	@$(PY) -m pytest -p no:cacheprovider tests/test_import_rules.py

format: setup-dev
	@$(PY) -m ruff format .
	@$(PY) -m ruff check --fix .

bench: setup-dev
	@$(PY) -m benchmarks $(ARGS)

lock: setup-dev
	@tools/lock.sh
