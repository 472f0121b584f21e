# Every target sets up what it needs; a second run finds the stamps in .venv and starts at once.
# Nothing here needs more than make 3.81, git and Python 3.11 with venv.

PYTHON ?= python3
# Parallel test processes, e.g. `make test TEST_JOBS=2`; every process starts its own PostgreSQL. One more runs the
# browser tests at the same time.
TEST_JOBS ?= 4
# The same for `make test-deep`, whose tests start more processes of their own.
DEEP_JOBS ?= 3
# More arguments for pytest, e.g. `make test TEST_ARGS="-k backup_code"`.
TEST_ARGS ?=
# `make lock UPGRADE=--upgrade` moves every pin, `UPGRADE="--upgrade-package httpx"` one.
UPGRADE ?=

# What `make attack` runs against, and how often it runs each race.
ATTACK_DEPLOYMENTS ?= sqlite-1 sqlite-4 postgres-4
ATTACK_ROUNDS ?= 50
# How often `make faults` kills each of the three deployments under load, and each database's migration.
FAULT_KILLS ?= 67
FAULT_MIGRATIONS ?= 20

# How much `make fuzz` tries; FUZZ_PARTS is of parsers, http and model.
FUZZ_INPUTS ?= 1000000
FUZZ_REQUESTS ?= 20000
FUZZ_MODEL_SECONDS ?= 480
FUZZ_PARTS ?= parsers http model

# After so long `make mutation` stops; the next one goes on.
MUTATION_MINUTES ?= 60

VENV := .venv
IN := $(VENV)/bin
COMPILE := $(IN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" $(UPGRADE)

# Compiled modules are kept even if the environment says otherwise: each process would compile the tests again.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: help setup setup-dev serve demo test test-main test-browser test-deep attack faults fuzz bench capacity growth peers mutation check extras reference docs screenshots lock release clean

help:
	@echo "make setup    .venv with the locked packages and the czo-auth command"
	@echo "make serve    the server, set by AUTH_ENCRYPTION_KEY and CZO_AUTH_* of the environment"
	@echo "make setup-dev  the same .venv with everything for tests and checks"
	@echo "make demo     a server of its own, and a walk through everything as a client"
	@echo "make test     the tests, in minutes; PostgreSQL comes with the test packages"
	@echo "make test-deep  the attacks, better-auth's client, and the contract once more on PostgreSQL"
	@echo "make attack   every attack on SQLite with one and four processes and on PostgreSQL with four"
	@echo "make faults   200 kills under load, outages, clocks, keys and sinks that fail"
	@echo "make fuzz     a million inputs to the parsers, 20,000 generated requests, the model: 20 minutes"
	@echo "make bench    every figure of docs/performance.md, 25 minutes; QUICK=1: ours only, 4 minutes; BASE=COMMIT: against that one; PROFILE=1: where the time of writes and key checks goes, 3 minutes"
	@echo "make capacity  the tables of docs/scaling.md, 2 minutes"
	@echo "make growth   the same work with a thousand people and with GROWTH_USERS, 100,000: some minutes; GROWTH_ARGS=--write: into docs/performance.md"
	@echo "make peers    the attacks that can be asked of other products, of them and of this one"
	@echo "make mutation  change one thing at a time in the code, and see that a test notices"
	@echo "make check    ruff, mypy, import contracts, tree rules, advisories"
	@echo "make extras   install the wheel with each extra in an empty environment, and measure"
	@echo "make release  build and check wheel, sdist and bill of materials from a clean tree, into dist/"
	@echo "make reference  write docs/reference/ again from the code"
	@echo "make docs     build the documentation site into site/ and follow its pages; a broken link or example fails"
	@echo "make screenshots  take the documentation's pictures again; needs Chromium"
	@echo "make lock     write requirements/*.txt again from pyproject.toml"
	@echo "make clean    remove .venv, builds and caches"

setup: $(VENV)/.base-installed

setup-dev: $(VENV)/.dev-installed

serve: $(VENV)/.base-installed
	@exec $(IN)/czo-auth serve

demo: $(VENV)/.base-installed
	@exec $(IN)/czo-auth demo

# Each process gets neighboring tests, and takes some of another one's when it has none left: servers and prepared
# databases that the tests of a file or folder share are then started in few processes instead of in every one.
SHARED_OUT := --dist worksteal

# Playwright keeps an event loop running in its process, where no other test could begin one: its tests have a process
# of their own, beside the others. What that one says is shown when it has ended.
test: $(VENV)/.tests-compiled
	@$(MAKE) --no-print-directory -j 2 test-browser test-main

test-main: $(VENV)/.tests-compiled
	$(IN)/python -m pytest -n $(TEST_JOBS) $(SHARED_OUT) -m "not deep" --ignore tests/browser $(TEST_ARGS)

test-browser: $(VENV)/.tests-compiled
	@$(IN)/python -m pytest -n 0 -m "not deep" -o cache_dir=.pytest_cache/browser tests/browser \
		> $(VENV)/browser-tests.txt 2>&1; \
		status=$$?; cat $(VENV)/browser-tests.txt; exit $$status

test-deep: $(VENV)/.tests-compiled
	$(IN)/python -m pytest -n $(DEEP_JOBS) $(SHARED_OUT) -m deep --ignore tests/browser $(TEST_ARGS)
	$(IN)/python -m pytest -n 2 -m deep tests/browser

attack: $(VENV)/.dev-installed
	@for deployment in $(ATTACK_DEPLOYMENTS); do \
		echo "== $$deployment"; \
		ATTACK_DEPLOYMENT=$$deployment ATTACK_ROUNDS=$(ATTACK_ROUNDS) $(IN)/python -m pytest -q --timeout 3600 tests/attacks \
			$(TEST_ARGS) || exit 1; \
	done
	$(IN)/python -m tests.attacks.timing

faults: $(VENV)/.dev-installed
	FAULT_KILLS=$(FAULT_KILLS) FAULT_MIGRATIONS=$(FAULT_MIGRATIONS) $(IN)/python -m pytest -q --timeout 7200 tests/faults $(TEST_ARGS)

fuzz: $(VENV)/.fuzz-installed
	FUZZ_INPUTS=$(FUZZ_INPUTS) FUZZ_REQUESTS=$(FUZZ_REQUESTS) FUZZ_MODEL_SECONDS=$(FUZZ_MODEL_SECONDS) \
		$(IN)/python -m tests.fuzz $(FUZZ_PARTS)

capacity: $(VENV)/.dev-installed
	$(IN)/python -m benchmarks.capacity

# People of the larger database, and which ones: sqlite,postgresql.
GROWTH_USERS ?= 100000
GROWTH_DATABASES ?= sqlite,postgresql
# `make growth GROWTH_ARGS=--write` puts the tables into docs/performance.md.
GROWTH_ARGS ?=

growth: $(VENV)/.dev-installed
	$(IN)/python -m benchmarks.growth --users $(GROWTH_USERS) --databases $(GROWTH_DATABASES) $(GROWTH_ARGS)

bench: $(VENV)/.dev-installed
	QUICK=$(QUICK) BASE=$(BASE) PROFILE=$(PROFILE) $(IN)/python -m benchmarks

peers: $(VENV)/.dev-installed
	$(IN)/python -m benchmarks.attacks

# Goes on where the last run ended; results are kept in .mutation/.
mutation: $(VENV)/.dev-installed
	$(IN)/python -m tools.mutation --write --minutes $(MUTATION_MINUTES)

check: $(VENV)/.dev-installed $(VENV)/.audit-installed
	$(IN)/ruff check .
	$(IN)/ruff format --check .
	$(IN)/mypy --strict src tools tests/support
	$(IN)/lint-imports --no-logo
	$(IN)/python tools/check_tree.py
	$(IN)/python tools/check_words.py
	$(IN)/python tools/check_advisories.py requirements/base.txt requirements/dev.txt

extras: $(VENV)/.dev-installed
	$(IN)/python tools/measure_extras.py $(EXTRAS_ARGS)

release: $(VENV)/.release-installed
	$(IN)/python tools/release.py $(RELEASE_ARGS)

reference: $(VENV)/.dev-installed
	$(IN)/python tools/write_reference.py

# The cache of an earlier build would keep quiet about links that were fine then.
docs: $(VENV)/.docs-installed $(VENV)/.dev-installed
	@rm -rf site .cache
	$(IN)/zensical build --strict
	$(IN)/python tools/check_site.py
	$(IN)/python -m pytest -n 2 -q -m deep tests/docs/test_pages.py -k test_page_does_what_it_says

screenshots: $(VENV)/.docs-installed
	$(IN)/python -m pytest -q tests/browser/screenshots.py

lock: $(VENV)/.installer-installed
	$(COMPILE) --group pyproject.toml:installer --output-file requirements/uv.txt
	$(COMPILE) pyproject.toml --extra server --group build --output-file requirements/base.txt
	sed -n 's/^\([A-Za-z0-9._-]*==[^ ;\\]*\).*/\1/p' requirements/base.txt > src/czo_auth/doctor/tested.txt
	$(COMPILE) pyproject.toml --all-extras --group build --group dev --constraints requirements/base.txt \
		--output-file requirements/dev.txt
	$(COMPILE) pyproject.toml --extra server --extra nats --extra rabbitmq --extra redis --extra otel --group build \
		--constraints requirements/dev.txt --output-file requirements/deploy.txt
	$(COMPILE) --group pyproject.toml:fuzz --constraints requirements/dev.txt --output-file requirements/fuzz.txt
	$(COMPILE) --group pyproject.toml:docs --constraints requirements/dev.txt --output-file requirements/docs.txt
	$(COMPILE) --group pyproject.toml:release --constraints requirements/dev.txt --output-file requirements/release.txt
	$(COMPILE) --group pyproject.toml:audit --constraints requirements/dev.txt --output-file requirements/audit.txt

clean:
	rm -rf $(VENV) build dist dist-sbom site .cache .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis .schemathesis .fuzz-corpus
	find src tests tools -name __pycache__ -type d -prune -exec rm -rf {} +

# uv installs several times faster than pip; where pip cannot get it, pip does the work itself.
$(VENV)/.installer-installed: requirements/uv.txt
	@$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 11))" || { \
		echo "czo-auth needs Python 3.11 or newer; name one: make PYTHON=python3.12 ..." >&2; exit 1; }
	@test -x $(IN)/python || echo "making $(VENV)"
	@$(PYTHON) -m venv $(VENV)
	@$(PIP_INSTALL) --require-hashes --only-binary :all: -r requirements/uv.txt || \
		echo "uv is not to be had: going on with pip"
	@touch $@

# Compiled at once, for otherwise the first start pays. The package itself is built with the locked build
# backend, so nothing unpinned is fetched.
UV_INSTALL := $(IN)/uv pip install --quiet --compile-bytecode --python $(IN)/python
PIP_INSTALL := $(IN)/python -m pip install --quiet --disable-pip-version-check --no-deps
EDITABLE := --no-deps --no-build-isolation --no-index --editable .

define install
	@echo "installing $(1)"
	@$(UV_INSTALL) --require-hashes -r $(1) || $(PIP_INSTALL) --require-hashes -r $(1)
	@$(UV_INSTALL) $(EDITABLE) || $(PIP_INSTALL) $(EDITABLE)
endef

$(VENV)/.base-installed: requirements/base.txt pyproject.toml $(VENV)/.installer-installed
	$(call install,requirements/base.txt)
	@touch $@

# The development set holds the base set with the same pins.
$(VENV)/.dev-installed: requirements/dev.txt requirements/base.txt pyproject.toml $(VENV)/.installer-installed
	$(call install,requirements/dev.txt)
	@touch $(VENV)/.base-installed $@

# pytest rewrites the assertions of a test file when it is collected first, and every process of a run collects all of
# them: two processes do it once, some folders at a time. What is wrong with a file is said by the run itself.
$(VENV)/.tests-compiled: $(VENV)/.dev-installed $(shell find tests -name '*.py')
	@echo "compiling the tests"
	@ls -d tests/*/ | xargs -P 2 -n 12 $(IN)/python -m pytest --collect-only -qq -n 0 >/dev/null 2>&1 || true
	@touch $@

$(VENV)/.fuzz-installed: requirements/fuzz.txt $(VENV)/.dev-installed
	@echo "installing requirements/fuzz.txt"
	@$(UV_INSTALL) --require-hashes -r $< || $(PIP_INSTALL) --require-hashes -r $<
	@touch $@

# The site's generator comes along only where the site is built; its pins agree with the development set's.
$(VENV)/.docs-installed: requirements/docs.txt $(VENV)/.dev-installed
	@echo "installing requirements/docs.txt"
	@$(UV_INSTALL) --require-hashes -r $< || $(PIP_INSTALL) --require-hashes -r $<
	@touch $@

$(VENV)/.release-installed: requirements/release.txt $(VENV)/.base-installed
	@echo "installing $<"
	@$(UV_INSTALL) --require-hashes -r $< || $(PIP_INSTALL) --require-hashes -r $<
	@touch $@

# As with the docs: only where it is used. Where it cannot be had, the check says so.
$(VENV)/.audit-installed: requirements/audit.txt $(VENV)/.dev-installed
	@echo "installing requirements/audit.txt"
	@$(UV_INSTALL) --require-hashes -r $< || $(PIP_INSTALL) --require-hashes -r $< || true
	@touch $@
