# Everything needed is installed or built on first use, into a cache outside the tree (FLEXVOLUME_CACHE; see CONTRIBUTING.md).
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

env := scripts/with-env
pytest := $(env) pytest
export DEMO_CLUSTER ?= demo

##@ Help

.PHONY: help
help: ## Show this list
	@awk -F ':.*## ' '/^##@/ { print "\n" substr($$0, 5) } /^[a-z-]+:.*## / { printf "  %-16s %s\n", $$1, $$2 }' Makefile

##@ The demo

.PHONY: demo demo-down kubeconfig
demo: ## Install the operator and a driver on a cluster (KUBECONFIG, else a new one on this machine) and read a volume through it
	@scripts/demo

demo-down: ## Remove the demo's cluster with everything in it
	@$(env) python -m testbed down --name $(DEMO_CLUSTER)

kubeconfig: ## Print the path of the demo cluster's kubeconfig
	@$(env) python -m testbed kubeconfig --name $(DEMO_CLUSTER)

##@ Tests

.PHONY: test test-unit test-packaging test-installer test-examples test-chart test-testbed test-cluster test-node
.PHONY: test-cluster-main test-cluster-many test-node-main test-node-apart test-node-mixed test-fuzz fuzz-aside lanes
.PHONY: test-faults test-faults-api test-faults-nodes prepare bench
# How many targets at a time: most of what each does is waiting, but with more than two of them both processors are busy throughout.
LANES ?= 4
# What is known soon first, then the longest first, so that all lanes end together.
all_tests := test-unit test-chart test-packaging test-cluster-main test-node-main test-node-apart test-node-mixed \
	test-faults-api test-cluster-many test-faults-nodes test-examples test-testbed test-installer

test: prepare ## Run every test, the fast ones first
	@echo "$(LANES) at a time, and the output of each when it is done (10 to 15 minutes with four): $(all_tests); the fuzz tests beside them"
	@$(MAKE) --jobs=2 --output-sync=target fuzz-aside lanes

# For three minutes it takes all the processor time that it gets: what the others leave.
fuzz-aside:
	@nice -n 19 $(MAKE) test-fuzz

# With slots of its own: it must not get one more when the fuzz tests are done.
lanes:
	@MAKEFLAGS='$(filter-out -j% --job%,$(MAKEFLAGS))' $(MAKE) --jobs=$(LANES) --output-sync=target --old-file=prepare $(all_tests)

prepare: ## Install packages and build programs and images for the test cluster, if that is not done
	@$(env) python -m testbed prepare
	@$(env) python -m testbed images >/dev/null

test-unit: ## Test the operator's pure code
	@$(pytest) tests/unit

test-packaging: ## Build the wheel and try it in an environment of its own
	@$(pytest) tests/packaging

test-installer: ## Test the node program
	@cd installer && go test -json ./... | ../$(env) python ../scripts/go_summary.py

test-fuzz: ## Give the node program's parsers what nobody thought of, FUZZTIME (1m) for each
	@scripts/fuzz

test-examples: ## Test the example drivers with real mounts
	@$(pytest) tests/examples

test-chart: prepare ## Render the Helm chart and check what comes out
	@$(pytest) tests/chart

test-testbed: prepare ## Test the test cluster itself
	@$(pytest) tests/testbed

test-cluster: prepare ## Test against a real API server
	@$(pytest) tests/cluster

test-cluster-main: prepare
	@$(pytest) tests/cluster --ignore=tests/cluster/many

test-cluster-many: prepare
	@$(pytest) tests/cluster/many

test-node: prepare ## Test with real kubelets
	@$(pytest) tests/node

test-node-main: prepare
	@$(pytest) tests/node --ignore=tests/node/apart --ignore=tests/node/mixed

test-node-apart: prepare
	@$(pytest) tests/node/apart

test-node-mixed: prepare
	@$(pytest) tests/node/mixed

test-faults: prepare ## Test what happens when operator, API server, network or nodes fail, with every loop at full length (30 minutes)
	@$(pytest) tests/faults --long

test-faults-api: prepare
	@$(pytest) tests/faults --ignore=tests/faults/nodes

test-faults-nodes: prepare
	@$(pytest) tests/faults/nodes

bench: prepare ## Measure speed and memory beside a bare DaemonSet, into bench/ (40 minutes; leave the machine alone)
	@$(env) python -m tests.scale

##@ Checks

.PHONY: check check-python check-go check-shell check-yaml check-images check-chart
check: check-python check-shell check-yaml check-images check-go check-chart ## Run every linter and type checker

check-python: ## ruff, mypy --strict, import-linter
	@$(env) ruff check
	@$(env) ruff format --check
	@$(env) mypy || { echo "once more without mypy's cache, which misses new modules of folders without __init__.py"; $(env) mypy --cache-dir=/dev/null; }
	@$(env) lint-imports --no-logo --no-cache

check-go: ## gofmt, go vet and staticcheck for each Go module
	@scripts/check-go

check-shell: ## shellcheck for everything that starts with #! and a shell
	@find . -path ./.git -prune -o -type f -exec awk 'FNR == 1 && /^#!.*[\/ ](ba)?sh/ { print FILENAME } { nextfile }' {} + \
	    | xargs -r $(env) shellcheck --external-sources

check-yaml: ## yamllint
	@$(env) yamllint --strict .

check-images: ## hadolint
	@find . -path ./.git -prune -o -name 'Dockerfile*' -print | xargs -r $(env) hadolint

check-chart: ## helm lint --strict
	@"$$($(env) python -m testbed helm)" lint --strict charts/flexvolume-operator

##@ Upkeep

.PHONY: format requirements clean
format: ## Format Python and Go and apply the safe fixes of ruff
	@$(env) ruff check --fix-only
	@$(env) ruff format
	@gofmt -w installer testbed

requirements: ## Pin what requirements/*.in ask for, at the newest versions
	@scripts/requirements

clean: ## Remove the cache with all that was built and installed
	@scripts/clean
