# The commands that never change. Each does its own set-up.
.DEFAULT_GOAL := help
VENV ?= .venv
PY := $(VENV)/bin/python
export SCALIX_VENV := $(VENV)
# Python keeps what it has compiled, also where the environment says otherwise: tests took 10 s longer to begin.
export PYTHONDONTWRITEBYTECODE :=
ARGS ?=
T ?=
# More workers than the two cores of a small machine: half of the time a test waits for what it has started.
SPREAD := -n 4 --dist loadfile --no-loadscope-reorder
# Tests that run the product's code mostly in their own process.
MEASURED := tests/domain tests/store tests/service tests/edge tests/adapter tests/launch tests/cli

.PHONY: help run demo-data quick test engines coverage check format bench soak clients operate browser screenshots docs lock setup setup-dev

help:
	@echo "make run       set up, then start the gateway (with a demo provider when no provider key is set)"
	@echo "make demo-data a month of made up users and requests in an empty store, to look at; never in production"
	@echo "make quick     the tests of scalix/domain, which need no server: a few seconds"
	@echo "make test      set up, then run all tests; with T=tests/edge/test_guard.py that file, folder or test alone"
	@echo "make engines   tests of outcomes, crashes, the ledger, privacy and streams, with every request through LiteLLM"
	@echo "make check     format, lint, types, import rules, names of other packages"
	@echo "make format    rewrite the format"
	@echo "make coverage  the lines and branches that tests run without a whole gateway, or those of T=tests/domain"
	@echo "make bench     the benchmarks"
	@echo "make soak      the tests too long for make test"
	@echo "make clients   other people's clients against a gateway, each in an environment of its own (3 GB)"
	@echo "make operate   the gateway among HAProxy, nginx, Redis, Prometheus and podman, which it installs (Debian, as root)"
	@echo "make browser   every page in Chromium, in every role, both themes, narrow and wide; installs it (Debian, as root)"
	@echo "make docs      the documentation as a site, in site/, with its links checked"
	@echo "make lock      renew the pinned requirements"

setup:
	@tools/setup.sh run

setup-dev:
	@tools/setup.sh dev

run: setup
	@exec $(PY) start_scalix_litellm.py --demo-if-no-key $(ARGS)

demo-data: setup
	@$(PY) tools/demo_data.py $(ARGS)

# Neither workers nor plugins but the one that tells property tests, which take as long as all others.
quick: setup-dev
	@PYTEST_DISABLE_PLUGIN_AUTOLOAD=1 $(PY) -m pytest -p _hypothesis_pytestplugin -m "not hypothesis" \
		-W ignore::pytest.PytestConfigWarning tests/domain $(ARGS)

# What T names runs in this process, where a debugger and a print work.
test: setup-dev
	@$(PY) -m pytest -m "not soak and not clients and not operate and not browser" $(if $(T),$(T),$(SPREAD)) $(ARGS)

# Every gateway of these tests has `engine: litellm`; make test runs them as the config has it.
engines: setup-dev
	@SCALIX_TEST_ENGINE=litellm $(PY) -m pytest -m "not soak and not clients and not operate and not browser" $(SPREAD) \
		$(foreach name,outcomes chaos ledger_soak privacy canaries odd_streams odd_answers fallbacks streams,tests/e2e/test_$(name).py) \
		$(ARGS)

# With these variables the workers and the programs that a test starts count too, if they end by themselves.
coverage: setup-dev
	@rm -f .coverage .coverage.*
	@COVERAGE_PROCESS_START=$(CURDIR)/pyproject.toml COVERAGE_FILE=$(CURDIR)/.coverage $(PY) -m pytest \
		-m "not soak and not clients and not operate and not browser" $(or $(T),$(MEASURED) $(SPREAD)) $(ARGS)
	@$(PY) -m coverage combine -q
	@$(PY) -m coverage report

soak: setup-dev
	@$(PY) -m pytest -m soak --timeout 3600 $(ARGS)

clients: setup-dev
	@$(PY) -m pytest -m clients tests/clients $(ARGS)

operate: setup-dev
	@tools/operate.sh
	@$(PY) -m pytest -m operate --timeout 1200 tests/operate tests/store $(ARGS)

check: setup-dev
	@$(PY) -m ruff format --check .
	@$(PY) -m ruff check .
	@$(PY) -m mypy
	@$(PY) -m pytest -p no:cacheprovider tests/test_import_rules.py tests/test_typings.py tests/adapter/test_seams.py

format: setup-dev
	@$(PY) -m ruff format .
	@$(PY) -m ruff check --fix .

bench: setup-dev
	@$(PY) -m benchmarks $(ARGS)

browser: setup-dev
	@tools/browser.sh
	@$(PY) -m pytest -m browser --timeout 900 tests/browser $(ARGS)

screenshots: setup-dev
	@tools/browser.sh
	@$(PY) tools/screenshots.py

docs:
	@tools/setup.sh docs
	@$(PY) tools/site.py

lock: setup-dev
	@tools/lock.sh
