# `make demo` and `make test` do everything on a fresh machine, installing what is missing.

DEMO_DURATION ?= 3s
DEMO_TRIALS   ?= 3
BENCH_FLAGS   ?=
PLANTS_FLAGS  ?=

.PHONY: help demo test bench plants build
.DEFAULT_GOAL := help

help: ## show this
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-6s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: ## build, climb the write ladder on a private PostgreSQL, print the climb (DEMO_DURATION, DEMO_TRIALS)
	@scripts/install-deps.sh demo
	cargo build --release --locked -p pinchpoint -p pinchpoint-app-axum -p pinchpoint-app-actix
	target/release/pinchpoint run ladder --duration $(DEMO_DURATION) --trials $(DEMO_TRIALS)

test: ## format, lint, and run every test against real servers
	@scripts/install-deps.sh test
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings
	cargo build --workspace --all-targets --locked
	cargo test --workspace --doc --locked --quiet
	cargo nextest run --workspace --locked

bench: ## the comparisons of BENCHMARKS.md, in one run (BENCH_FLAGS, such as "--only copy --trials 5")
	@scripts/install-deps.sh bench
	cargo build --release --locked -p pinchpoint -p pinchpoint-app-axum -p pinchpoint-bench
	python3 bench/run.py $(BENCH_FLAGS)

plants: ## plant every bottleneck on a real stack, and score the verdicts: docs/plants.md (PLANTS_FLAGS, such as "--only hot-row")
	@scripts/install-deps.sh test
	cargo build --release --locked -p pinchpoint -p pinchpoint-app-axum -p pinchpoint-plants
	target/release/plants --page docs/plants.md --json docs/plants.json $(PLANTS_FLAGS)

build: ## the command alone: target/release/pinchpoint
	cargo build --release --locked -p pinchpoint -p pinchpoint-app-axum -p pinchpoint-app-actix
