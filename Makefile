# The commands of this project. `make help` lists them.

.DEFAULT_GOAL := help
.PHONY: help demo test lint bench

help: ## List the commands
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' $(MAKEFILE_LIST) | expand -t 16

demo: ## Run the demo API (ARGS="--tour" walks through it, ARGS="--help" tells more)
	cargo run --release --locked -p shelflife-cli -- demo $(ARGS)

test: lint ## Everything that must pass: format, lints, all tests on real servers, doctests
	./tools/need-redis
	cargo test --locked --workspace --all-features
	cargo check --locked -p shelflife --no-default-features
	cargo check --locked -p shelflife --no-default-features --features macros,axum

lint: ## Format and lints, warnings as errors
	cargo fmt --all --check
	cargo clippy --locked --workspace --all-targets --all-features -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --locked --workspace --all-features --no-deps --document-private-items

bench: ## Measure: a table with ratios from one run (ARGS="--json FILE" keeps the figures)
	./tools/need-redis
	cargo run --release --locked -p shelflife-bench -- $(ARGS)
