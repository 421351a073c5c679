# What people run. Each target installs or names what it needs by itself.

CARGO ?= cargo
QUOIT_PYTHON ?= $(CURDIR)/.venv/bin/python
QUOIT_NODE ?= $(CURDIR)/.venv/bin/node
export QUOIT_PYTHON QUOIT_NODE

# How long `make fuzz` takes for each of its targets.
FUZZ_SECONDS ?= 600

.PHONY: help setup demo test check fmt fuzz bench chaos model deny crd openapi

help: ## Show this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## (.*)/make \1\t\2/' | expand -t 14

setup: ## Install or name what this machine lacks (called by the others)
	@scripts/setup

demo: setup ## Load 20,000 real embeddings, search them, and stay up to be tried
	$(CARGO) run --release --bin quoit -- demo

test: setup check ## Everything that must pass: format, lints, all tests (no root needed)
	$(CARGO) test --workspace --doc
# The playground runs quoit-shard and quoit-router, which cargo builds for
# tests of their own packages only.
	$(CARGO) build --workspace --bins
	$(CARGO) test --workspace --all-targets
	scripts/fuzz 30

check: setup ## Format and lints only; changes nothing
	$(CARGO) fmt --all --check
	$(CARGO) fmt --manifest-path fuzz/Cargo.toml --check
	$(CARGO) clippy --workspace --all-targets --no-deps -- -D warnings

fmt: ## Format the code
	$(CARGO) fmt --all
	$(CARGO) fmt --manifest-path fuzz/Cargo.toml

fuzz: setup ## Feed every decoder with anything: FUZZ_SECONDS each, or 10 minutes
	scripts/fuzz $(FUZZ_SECONDS)

bench: setup ## Measure, and write docs/benchmarks.md anew
	$(CARGO) build --release --workspace --bins
	$(CARGO) run --release --package quoit-bench

chaos: setup ## 300 faults of nine replicas, 200 kills of one process; prove that no promise is broken
	$(CARGO) build --release --workspace --bins
	QUOIT_CHAOS_FAULTS=300 $(CARGO) test --release --workspace --test chaos -- --nocapture
	QUOIT_CHAOS_KILLS=200 $(CARGO) test --release --workspace --test kill -- --nocapture

model: setup ## Explore every order of a handoff's steps within larger bounds than the tests do
	$(CARGO) test --release --package quoit-sim -- --include-ignored --nocapture --test-threads=1

deny: ## Licences, sources and duplicates of dependencies (needs cargo-deny)
	$(CARGO) deny check bans licenses sources

crd: ## Write the CRD anew from the types
	$(CARGO) run --quiet --package quoit-crds --bin quoit-crdgen > crds/quoit.dev_vectorcollections.yaml

openapi: ## Write the description of the REST API anew from the handlers
	$(CARGO) run --quiet --package quoit-router --bin quoit-openapi > docs/openapi.json
