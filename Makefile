# Everything that people and CI do here; `make help` lists it.
# A stamp file says that a step was done for the lock file as it is now.

SHELL := /bin/sh
VENV := .venv
PY := $(VENV)/bin/python
# Byte code is made on all cores afterwards, which takes half of pip's time; some packages hold
# templates that are no Python, so that the compiler's verdict says nothing.
COMPILE := $(PY) -m compileall -qq -j 0 $(VENV)/lib || true
# Hundreds of processes start in the tests; each would translate our own code anew.
COMPILE_OURS := $(PY) -m compileall -qq -j 0 event_protocol edge_agent central_server web
unexport PYTHONDONTWRITEBYTECODE
PIP_INSTALL := $(PY) -m pip install --quiet --disable-pip-version-check --no-compile
# One more than there are cores: many tests wait for cameras and processes in real time.
WORKERS := $(shell expr $$(nproc) + 1)
# The tracked Python that is held to the rules.
CODE := $(wildcard event_protocol edge_agent central_server web bench scripts tests)

RUNTIME := $(VENV)/.runtime-installed
DEV := $(VENV)/.dev-installed
ASSETS := web/static/vendor/.installed
ASYNCAPI := tests/asyncapi/node_modules/.installed
AXE := tests/axe/node_modules/.installed
SYSTEM := .cache/system-packages-checked

.DEFAULT_GOAL := help
.PHONY: help demo test check lint format bench soak fleet assets lock audit licences docs
.DELETE_ON_ERROR:

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# PORT=, SOURCE=, ZONES= and EMPTY= reach the demo through the environment.
demo: ## server, broker and edge agents here; PORT=8000, or SOURCE= ZONES= EMPTY= for one real desk
	@$(MAKE) --no-print-directory -j2 $(RUNTIME) $(ASSETS)
	@exec $(PY) -m scripts.demo

test: ## install what the tests need and run every test
	@$(MAKE) --no-print-directory -j2 $(DEV) $(ASSETS) $(ASYNCAPI) $(AXE) $(SYSTEM)
	@$(COMPILE_OURS)
	scripts/with_tests_folder.sh $(PY) -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder

check: lint test ## lint, then test

lint: $(DEV) ## format, lint, types, import contracts, lock files
	$(VENV)/bin/ruff format --check $(CODE)
	$(VENV)/bin/ruff check $(CODE)
	$(VENV)/bin/mypy $(CODE)
	$(VENV)/bin/lint-imports
	$(PY) -m scripts.check_locks
	$(PY) -m scripts.check_review

format: $(DEV) ## let ruff put the code into form
	$(VENV)/bin/ruff format $(CODE)
	$(VENV)/bin/ruff check --fix $(CODE)

bench: $(DEV) $(ASSETS) ## measure; a table on the screen and JSON in bench/results/ (PARTS="intake latency": some only)
	$(PY) -m bench $(PARTS)

soak: $(DEV) $(ASSETS) $(SYSTEM) ## an hour of video, damaged streams, then faults of every kind until one loses something or Ctrl-C (SEED=)
	$(PY) -m bench soak cameras
	FUZZ_MESSAGES=200000 FUZZ_SEED=$$$$ $(PY) -m pytest -q -s tests/central_server/services/test_payload_fuzz.py
	FUZZ_SEED=$$(date +%s) $(PY) -m pytest -q tests/edge_agent/runtime/test_fuzz.py
	$(PY) -m bench soak storm
	$(PY) -m bench soak cluster
	$(PY) -m bench soak faults $(SEED)

fleet: $(DEV) $(ASSETS) ## a simulated fleet into a real server, until Ctrl-C
	$(PY) -m bench soak

assets: $(ASSETS) ## page assets (htmx) from npm by lock file

docs: $(DEV) ## write the generated parts of docs/ anew
	$(PY) -m scripts.generate_docs

lock: ## choose dependencies anew and lock them (some minutes)
	scripts/lock_dependencies.sh
	@$(MAKE) --no-print-directory licences

audit: $(PY) ## ask an advisory database about every locked package; fails if none answers
	@[ -x .cache/audit/bin/pip-audit ] || { scripts/make_venv.sh .cache/audit; \
		.cache/audit/bin/python -m pip install --quiet --disable-pip-version-check pip-audit==2.10.1; }
	$(PY) -m scripts.audit .cache/audit/bin/pip-audit

licences: $(DEV) $(ASSETS) ## write THIRD_PARTY_LICENCES.md anew
	$(PY) -m scripts.list_licences

$(PY):
	@scripts/make_venv.sh $(VENV)

# --no-index: our own package is built with what the locks brought, and asks no registry.
$(RUNTIME): requirements/build.txt requirements/runtime.txt pyproject.toml | $(PY)
	@echo "Installing what both programs need (about a minute the first time) ..."
	@$(PIP_INSTALL) --require-hashes -r requirements/build.txt -r requirements/runtime.txt
	@$(PIP_INSTALL) --no-index --no-deps --no-build-isolation --editable .
	@$(COMPILE)
	@touch $@

$(DEV): requirements/dev.txt $(RUNTIME)
	@echo "Installing what the tests need ..."
	@$(PIP_INSTALL) --require-hashes -r requirements/dev.txt
	@$(COMPILE)
	@touch $@

$(ASSETS): web/package.json web/package-lock.json scripts/install_assets.sh
	@echo "Fetching page assets ..."
	@scripts/install_assets.sh
	@touch $@

# One after the other: the first may have to fetch npm itself.
$(ASYNCAPI): tests/asyncapi/package.json tests/asyncapi/package-lock.json | $(ASSETS)
	@echo "Fetching the AsyncAPI parser ..."
	@scripts/npm.sh ci --prefix tests/asyncapi
	@touch $@

$(AXE): tests/axe/package.json tests/axe/package-lock.json | $(ASYNCAPI)
	@echo "Fetching the accessibility rules ..."
	@scripts/npm.sh ci --prefix tests/axe
	@touch $@

$(SYSTEM): scripts/install_system_packages.sh
	@scripts/install_system_packages.sh
	@mkdir -p $(@D) && touch $@
