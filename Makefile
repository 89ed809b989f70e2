# `make demo` and `make test` set themselves up; everything else is for people who work on the project.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.synced

.DEFAULT_GOAL := help
.PHONY: help setup demo dashboard test lint fuzz bench lock clean

help: ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | column -t -s '	'

$(STAMP): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "modellake needs Python 3.11 or later (set PYTHON=...)"; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	test -x $(BIN)/uv || $(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	$(BIN)/uv pip sync --python $(BIN)/python --quiet requirements.lock
	$(BIN)/uv pip install --python $(BIN)/python --quiet --no-deps --no-build-isolation --editable .
	@touch $(STAMP)

setup: $(STAMP) ## make the environment in .venv

demo: $(STAMP) ## real models: ingest, infer, show (DEMO_ARGS=--help for options)
	$(BIN)/python -m benchmarks.demo $(DEMO_ARGS)

dashboard: $(STAMP) ## open the dashboard on the demo's lake
	$(BIN)/modellake --directory demo/.modellake dashboard

test: $(STAMP) ## the whole suite: lint, types, unit, contract, attacks, architecture, browser
	$(MAKE) --no-print-directory lint
	$(BIN)/pytest $(PYTEST_ARGS)

lint: $(STAMP) ## ruff, mypy, import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

fuzz: $(STAMP) ## every parser against damaged files, FUZZ_SECONDS each (20)
	$(BIN)/python -m tests.attacks.fuzz $(FUZZ_TARGETS)

bench: $(STAMP) ## the slow studies behind docs/benchmarks.md
	$(BIN)/python -m benchmarks

lock: ## resolve the dependencies anew
	$(BIN)/uv pip compile pyproject.toml --extra lakes --extra py2neo --extra dev --universal --python-version 3.11 \
	  --prerelease if-necessary-or-explicit --generate-hashes --no-emit-index-url --no-emit-find-links \
	  --custom-compile-command "make lock" --quiet --output-file requirements.lock

clean: ## remove the environment and everything made
	rm -rf $(VENV) demo .cache build *.egg-info
