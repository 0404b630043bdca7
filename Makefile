# Everything runs in a virtual environment of its own, made on first use from the hashed lock file.
# A stamp remembers what was installed, so a second run starts at once.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
# Where data goes, if not to .tocsin/demo and .tocsin/up.
DATA   ?=
ARGS   ?=
PAGE   := logsvc/web/dist/index.html
# What the page is made from.
WEB    := $(shell find logsvc/web -type f -not -path '*/node_modules/*' -not -path '*/dist/*' 2>/dev/null)

.DEFAULT_GOAL := help
.PHONY: help install demo up doctor test check lint web tools bench chaos docs pictures recording audit sbom clean

help: ## Show this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /  make \1\t/' | expand -t 20

install: $(STAMP) ## Make the virtual environment and install everything into it

# Stamped when it is whole: one whose making was interrupted has a python but no pip.
$(VENV)/.made:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Tocsin needs Python 3.11 or newer; $(PYTHON) is `$(PYTHON) -V 2>&1`. Try: make PYTHON=python3.12 ..."; exit 1; }
	@echo "making $(VENV)"
	@$(PYTHON) -m venv $(VENV) || { echo "on Debian and Ubuntu: apt-get install python3-venv"; exit 1; }
	@touch $@

$(VENV)/.requirements: requirements.lock | $(VENV)/.made
	@echo "installing the locked packages (about 400 MB to download the first time; Kafka and Java come with the first start)"
	@$(BIN)/python -m pip install --require-hashes -r requirements.lock
	@touch $@

$(PAGE): $(VENV)/.requirements hatch_build.py $(WEB)
	@echo "building the page"
	@$(BIN)/python -c 'import hatch_build; hatch_build.build_page(hatch_build.WEB)'
	@touch $@

$(STAMP): $(VENV)/.requirements pyproject.toml hatch_build.py $(PAGE)
	@echo "installing Tocsin"
	@$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation -e .
	@touch $@

demo: $(STAMP) ## Run everything here with a sample app and a stand-in for Telegram
	@exec $(BIN)/tocsin up --demo $(if $(DATA),--data $(DATA)) $(ARGS)

up: $(STAMP) ## Run everything here on your REDIS_URL and TELEGRAM_BOT_TOKEN
	@exec $(BIN)/tocsin up $(if $(DATA),--data $(DATA)) $(ARGS)

doctor: $(STAMP) ## Check settings and servers; say what mends a problem
	@exec $(BIN)/tocsin doctor

test: lint web tools ## Linters, types, the page, and all tests on real servers but the chaos suite
	@exec $(BIN)/python -m pytest -m 'not chaos' -n 4 --dist worksteal $(ARGS)

check: lint ## Linters, types, import rules, unit and contract tests
	$(BIN)/python -m pytest -q tests/unit tests/contract $(ARGS)

lint: $(STAMP) ## Linters, types, import rules
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/pyright
	PYTHONPATH=. $(BIN)/lint-imports --no-logo

web: $(STAMP) ## The page's format, types, linter, unit tests and size budget
	$(BIN)/python -m tests.web_checks

tools: ## Get the programs only tests need: Consul, HAProxy, promtool, docker-compose, kustomize, a browser
	@bash tests/install.sh || test -z "$(CI)"

bench: $(STAMP) ## Print the benchmarks' figures
	@for file in benchmarks/*.py; do $(BIN)/python -m benchmarks.$$(basename $$file .py) || exit 1; done

chaos: $(STAMP) ## Kill things for minutes and count what arrives
	@exec $(BIN)/python -m pytest -m chaos $(ARGS)

docs: $(STAMP) ## Write anew what is generated: the pages of settings and metrics, Grafana's dashboards
	@for page in settings_page metrics_page dashboards; do $(BIN)/python -m tests.generate.$$page || exit 1; done

PICTURED = tests/integration/logsvc/test_shell.py tests/integration/logsvc/test_pages.py \
	tests/integration/logsvc/test_dead_letters.py tests/e2e/test_page_jobs.py tests/e2e/test_page_handling.py \
	tests/e2e/test_login.py
pictures: $(STAMP) ## Take the pictures of every page in docs/screenshots anew
	@TOCSIN_SCREENSHOTS=docs/screenshots exec $(BIN)/python -m pytest -q $(PICTURED)

recording: $(STAMP) ## Record docs/screenshots/recording.webp from a demo of its own; takes up to six minutes
	@exec $(BIN)/python -m tests.generate.recording

audit: ## Ask PyPI and npm for known weaknesses of what is locked
	@.ci/supply audit

sbom: ## Write CycloneDX lists of what Tocsin is made of to .tocsin/sbom
	@.ci/supply sbom .tocsin/sbom

clean: ## Remove the environment, the data of make demo, and caches; the data of make up stays
	rm -rf $(VENV) .tocsin/demo .pytest_cache .ruff_cache .import_linter_cache .hypothesis
