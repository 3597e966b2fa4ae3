# Everything a person or CI does with this repository. `make` alone lists it.
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.SUFFIXES:

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Stamps: what they say is installed already, so that the next `make` does not ask pip again.
READY := $(VENV)/.ready
DEV_READY := $(VENV)/.dev-ready

export MUSIC NOMARR_TEST_ARANGO_URL PYTHON
export PIP_DISABLE_PIP_VERSION_CHECK := 1
# Without bytecode every process of the tests would compile all that it imports.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

.PHONY: run
run: music $(READY) ## Serve a music folder until Ctrl-C, with a page that shows it: make run MUSIC=/path/to/music
	$(BIN)/nomarr serve "$$MUSIC"

.PHONY: test
test: $(DEV_READY) ## Run the whole test suite, in several processes
	$(BIN)/python -m pytest --numprocesses auto --dist loadfile --no-loadscope-reorder $(ARGS)

.PHONY: check
check: format-check lint types imports docs test ## Everything that CI checks

.PHONY: format-check
format-check: $(DEV_READY)
	$(BIN)/ruff format --check

.PHONY: lint
lint: $(DEV_READY) ## Look for mistakes and habits (ruff)
	$(BIN)/ruff check

.PHONY: types
types: $(DEV_READY) ## Check the types (mypy --strict)
	$(BIN)/mypy --strict

.PHONY: imports
imports: $(DEV_READY) ## Check the layers (import-linter)
	$(BIN)/lint-imports

.PHONY: docs
docs: $(DEV_READY) ## Check that the documentation's links lead somewhere
	$(BIN)/python -m pytest -q tests/unit/test_architecture.py -k documentation

.PHONY: bench
bench: $(DEV_READY) ## Measure scans against find and MPD
	$(BIN)/python -m benchmarks $(ARGS)

.PHONY: bench-watching
bench-watching: $(DEV_READY) ## Measure how soon changes are noticed, and what waiting for them costs
	$(BIN)/python benchmarks/watching.py $(ARGS)

.PHONY: bench-enrichment
bench-enrichment: $(DEV_READY) ## Measure enrichment against fpcalc, its memory, and how free the event loop stays
	$(BIN)/python benchmarks/enrichment.py $(ARGS)
	$(BIN)/python benchmarks/missing_rows.py

.PHONY: bench-service
bench-service: $(DEV_READY) ## Measure how the service answers while a large library is scanned
	$(BIN)/python benchmarks/service.py $(ARGS)

.PHONY: image
image: ## Build the image of the service with Docker
	docker build --file dockerfile.base --tag nomarr-base .
	docker build --file dockerfile --tag nomarr .

.PHONY: chaos
chaos: $(DEV_READY) ## Run the tests that kill, pause and race processes
	$(BIN)/python -m pytest -m chaos --timeout 3600 $(ARGS)

.PHONY: fuzz
fuzz: $(DEV_READY) ## Ask the service thousands of generated questions
	$(BIN)/python -m pytest -m fuzz --timeout 3600 $(ARGS)

.PHONY: test-arango
test-arango: arango-url $(DEV_READY) ## Run the tests of storage, scans and leases on a real ArangoDB server
	$(BIN)/python -m pytest tests/storage tests/scan tests/processes -m 'not chaos' \
	    -k 'arangodb or test_server_leases' $(ARGS)

.PHONY: coverage
coverage: $(DEV_READY) ## Show which lines no test reaches
	$(BIN)/coverage run -m pytest $(ARGS)
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report

.PHONY: format
format: $(DEV_READY) ## Format the code and mend what can be mended
	$(BIN)/ruff check --fix-only
	$(BIN)/ruff format

.PHONY: lock
lock: $(DEV_READY) ## Write requirements.txt anew from pyproject.toml
	CUSTOM_COMPILE_COMMAND="make lock" $(BIN)/pip-compile --quiet --upgrade --extra arangodb --extra dev --extra server --strip-extras \
	    --no-emit-index-url --no-emit-find-links --no-emit-trusted-host --output-file requirements.txt pyproject.toml

.PHONY: clean
clean: ## Remove the virtual environment and everything generated
	rm -rf $(VENV) build dist htmlcov .import_linter_cache .mypy_cache .pytest_cache .ruff_cache .hypothesis .coverage .coverage.*
	find nomarr tests scripts benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +

.PHONY: music
music:
	@test -n "$$MUSIC" || { echo 'Say where the music is: make run MUSIC=/path/to/music' >&2; exit 2; }
	@test -d "$$MUSIC" || { echo "There is no folder $$MUSIC" >&2; exit 2; }

.PHONY: arango-url
arango-url:
	@test -n "$$NOMARR_TEST_ARANGO_URL" || { echo 'Say where a server is on which databases may be created and dropped:' >&2; \
	    echo '  make test-arango NOMARR_TEST_ARANGO_URL=arangodb://root:password@127.0.0.1:8529/nomarr_test' >&2; exit 2; }

.PHONY: tools dev-tools
tools:
	@scripts/setup_system.sh
dev-tools:
	@scripts/setup_system.sh --dev

$(BIN)/python: | tools
	$(PYTHON) -m venv $(VENV)

$(READY): pyproject.toml requirements.txt $(BIN)/python | tools
	$(BIN)/pip install --quiet --constraint requirements.txt --editable '.[server]'
	@touch $@

$(DEV_READY): pyproject.toml requirements.txt $(BIN)/python | dev-tools
	$(BIN)/pip install --quiet --constraint requirements.txt --editable '.[arangodb,dev,server]'
	@touch $(READY) $@
