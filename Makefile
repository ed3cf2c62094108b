# What you can do with Berth's source tree; `make` alone lists it. Every verb sets up what it needs.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.NOTPARALLEL:
MAKEFLAGS += --no-print-directory

VENV ?= .venv
export BERTH_VENV := $(VENV)
PY := $(VENV)/bin/python
SEEDS ?= 1000
PYTEST_ARGS ?=
PYTEST := $(PY) -m pytest $(PYTEST_ARGS)
# Whole files go to one of two processes, each with hosts, Engines and clusters of its own.
IN_TWO := -n 2 --dist loadfile

# $(call stage,TITLE): say where we are; the last line of a failed run then tells which stage it was.
stage = @printf '\n=== %s ===\n' "$(1)"
# $(call run_pytest,FOLDERS,OPTIONS): folders that hold no test yet are passed over, and say so.
run_pytest = @folders=(); for folder in $(1); do \
	if [ -n "$$(find "$$folder" -name 'test_*.py' -print -quit 2>/dev/null)" ]; then folders+=("$$folder"); \
	else echo "$$folder: no tests yet"; fi; done; \
	if [ "$${\#folders[@]}" -gt 0 ]; then $(PYTEST) "$${folders[@]}" $(2); fi

.PHONY: help
help: ## List these targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: setup
setup: ## Install what is missing: Debian packages (as root) and .venv
	@deploy/dev/setup.sh

.PHONY: demo
demo: setup ## Show the main job on this machine: three schedulers, three hosts, failures, updates
	@$(PY) -m tests.demo

.PHONY: test
test: setup ## Run everything: lint, unit, simulate, contract, e2e
	@for stage in lint unit simulate contract e2e; do $(MAKE) $$stage; done
	@printf '\nall stages passed\n'

.PHONY: check
check: lint unit ## Run what is quick: lint, types, contracts between packages, unit and property tests

.PHONY: lint
lint: setup ## Stage 1: format, lint, types, package contracts, fresh stubs
	$(call stage,lint)
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/ruff check .
	$(VENV)/bin/mypy
	$(VENV)/bin/mypy tests/hosts tests/cluster tests/machine tests/demo tests/conftest.py
	$(VENV)/bin/mypy --package deploy.grafana --package bench
	$(VENV)/bin/lint-imports
	deploy/dev/proto.sh --check

.PHONY: unit
unit: setup ## Stage 2: unit, property and transcript tests; no network, no engine
	$(call stage,unit and property)
	$(call run_pytest,tests/unit tests/property,$(IN_TWO))

.PHONY: simulate
simulate: setup ## Stage 3: 200 seeds of the simulator; it finds bugs that are planted
	$(call stage,simulator)
	@$(PY) -m tests.sim --seeds 200
	$(call run_pytest,tests/sim,)

.PHONY: contract
contract: setup ## Stage 4: fakes against real etcd, registry and Engines; the harness itself
	$(call stage,contract and integration)
	$(call run_pytest,tests/contract tests/integration tests/hosts tests/bench,$(IN_TWO) --durations=5)

.PHONY: e2e
e2e: setup ## Stage 5: whole clusters on several real Engines
	$(call stage,end to end)
	$(call run_pytest,tests/e2e,$(IN_TWO) --durations=5 --ignore=tests/e2e/test_alerts.py)

.PHONY: alerts-test
alerts-test: setup ## Every alert fired by its real fault on a live cluster (four minutes more)
	$(call stage,alerts)
	$(PYTEST) tests/e2e/test_alerts.py

.PHONY: pictures
pictures: setup ## Draw docs/pictures anew from a live cluster (matplotlib goes to a folder of its own)
	$(call stage,pictures of the dashboards)
	@mkdir -p .work; [ -x .work/pictures/bin/python ] || $(PY) -m venv .work/pictures
	@.work/pictures/bin/python -c 'import matplotlib' 2>/dev/null || .work/pictures/bin/pip install --quiet matplotlib==3.11.2
	BERTH_PANEL_DATA=$$(pwd)/.work/panels.json $(PYTEST) tests/e2e/test_dashboards.py
	.work/pictures/bin/python deploy/dev/draw_panels.py .work/panels.json docs/pictures

.PHONY: systemd-test
systemd-test: setup ## The units under a real systemd as PID 1; the first run makes an image (minutes)
	$(call stage,systemd)
	@command -v debootstrap >/dev/null || { echo "install debootstrap: apt-get install debootstrap" >&2; exit 1; }
	$(call run_pytest,tests/systemd,--durations=5)

.PHONY: sim
sim: setup ## Run many seeds of the simulator: make sim SEEDS=5000
	@$(PY) -m tests.sim --seeds $(SEEDS)

.PHONY: bench
bench: setup ## Measure all rows of docs/performance.md (within half an hour); figures in bench/results
	@$(PY) -m bench

.PHONY: proto
proto: setup ## Generate the stubs from proto/
	deploy/dev/proto.sh

.PHONY: rewrite-scripts
rewrite-scripts: setup ## Rewrite the expected effects in tests/scripts, and show the difference to judge
	BERTH_REWRITE_SCRIPTS=1 $(PYTEST) tests/unit -q -k script
	git --no-pager diff -- tests/scripts

.PHONY: lock
lock: setup ## Pin what is installed in .venv now into requirements.lock
	{ grep '^#' requirements.lock; \
	  $(PY) -m pip freeze --exclude-editable --all | grep -v -i '^pip==' | sort -f; } > requirements.lock.new
	mv requirements.lock.new requirements.lock

.PHONY: clean
clean: ## Remove caches, and the labs that killed runs left in this machine
	@if [ -x $(PY) ]; then $(PY) -m tests.hosts --clean; fi
	rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .coverage *.egg-info
	find . -path ./.venv -prune -o -name __pycache__ -type d -print0 | xargs -0 rm -rf
