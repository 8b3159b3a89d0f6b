# `make demo` and `make test` do everything on a fresh machine, installing what is missing.

DEMO_DURATION ?= 3s
DEMO_TRIALS   ?= 3

.PHONY: demo test bench build

demo: ## build, climb the write ladder on a private PostgreSQL, print the climb
	@scripts/install-deps.sh demo
	cargo build --release --locked
	target/release/pinchpoint run ladder --duration $(DEMO_DURATION) --trials $(DEMO_TRIALS)

test: ## format, lint, and run every test against real servers
	@scripts/install-deps.sh test
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings
	cargo build --locked -p pinchpoint
	cargo nextest run --workspace --locked

bench: ## the comparisons of BENCHMARKS.md, in one run
	@scripts/install-deps.sh bench
	cargo build --release --locked -p pinchpoint -p pinchpoint-bench
	python3 bench/run.py

build:
	cargo build --release --locked
