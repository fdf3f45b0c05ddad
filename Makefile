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

.PHONY: test test-first-lane test-second-lane test-unit test-packaging test-installer test-examples test-chart test-testbed test-cluster test-node
.PHONY: test-faults test-faults-api test-faults-nodes prepare bench
test: test-unit test-packaging test-installer test-examples test-chart ## Run every test, the fast ones first
	@echo "Two lanes of real clusters, which mostly wait; the output of each comes when it is done (about 10 minutes)"
	@$(MAKE) --jobs=2 --output-sync=target test-first-lane test-second-lane

# No more than two at once: there are deadlines to meet.
test-first-lane:
	@$(MAKE) test-node
	@$(MAKE) test-faults-nodes

test-second-lane:
	@$(MAKE) test-testbed
	@$(MAKE) test-cluster
	@$(MAKE) test-faults-api

prepare: ## Install packages and build programs and images for the test cluster, if that is not done
	@$(env) python -m testbed prepare
	@$(env) python -m testbed images >/dev/null

test-unit: ## Test the operator's pure code
	@$(pytest) tests/unit

test-packaging: ## Build the wheel and try it in an environment of its own
	@$(pytest) tests/packaging

test-installer: ## Test the node program
	@cd installer && go test -json ./... | ../$(env) python ../scripts/go_summary.py

test-examples: ## Test the example drivers with real mounts
	@$(pytest) tests/examples

test-chart: prepare ## Render the Helm chart and check what comes out
	@$(pytest) tests/chart

test-testbed: prepare ## Test the test cluster itself
	@$(pytest) tests/testbed

test-cluster: prepare ## Test against a real API server
	@$(pytest) tests/cluster

test-node: prepare ## Test with real kubelets
	@$(pytest) tests/node

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
