# The commands of this project. `make help` lists them.

.DEFAULT_GOAL := help
.PHONY: help demo test apart lint bench chaos soak waiting guards model shuttle consistency example-sqlx example-proxy example-fastapi deploy-check python python-built bench-python ui page

help: ## List the commands
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' $(MAKEFILE_LIST) | expand -t 16

demo: ## Run the demo API (ARGS="--tour" walks through it, ARGS="--help" tells more)
	cargo run --release --locked -p shelflife-cli -- demo $(ARGS)

test: ## Everything that must pass: format, lints, all tests on real servers, doctests
	cargo fmt --all --check
	./tools/need-redis
	$(LINTED) RUST_TEST_THREADS=$(THREADS) cargo test --locked --workspace --all-features
	./tools/side-by-side '$(MAKE) --no-print-directory apart' '$(MAKE) --no-print-directory BUILT=1 python'
	$(MAKE) --no-print-directory BUILT=1 example-proxy example-fastapi deploy-check page

# What is built for itself, beside the tests of Python: these wait for most of their time.
apart:
	$(INTERLEAVINGS)
	cargo check --locked -p shelflife --no-default-features
	cargo check --locked -p shelflife --no-default-features --features macros,tower
	$(MAKE) --no-print-directory example-sqlx

# Clippy and rustdoc look at what is compiled for the tests. `make lint` is for between: it runs nothing, and from cold it has all
# dependencies checked for themselves. (It also documents the binaries, and looks at what `make ui` compiles.)
LINTED = RUSTC_WORKSPACE_WRAPPER="$$(rustc --print sysroot)/bin/clippy-driver" CLIPPY_ARGS=-D__CLIPPY_HACKERY__warnings \
	RUSTDOC=$(CURDIR)/tools/rustdoc-and-lints

# Tests on real servers wait for most of their time. Hunts don't, and see to it themselves that no more go on than there are cores.
THREADS := $(shell echo $$(( $$(getconf _NPROCESSORS_ONLN) * 2 )))

ui: ## Compile what users of the macro may get wrong: each mistake has its message (builds everything once more)
	cargo test --locked -p shelflife --all-features --test trybuild

example-sqlx: ## Run the example with sqlx: a transaction, its commit, its rollback
	cargo run --locked -q --manifest-path examples/sqlx/Cargo.toml --target-dir target/examples

# The command that the examples run. The tests have built it already, with dependencies that cargo would build anew for it alone.
THE_COMMAND = $(if $(BUILT),test -x target/debug/shelflife,cargo build --locked -q -p shelflife-cli)

example-proxy: ## Run the example of the proxy: before an API that knows nothing of it
	$(THE_COMMAND)
	python3 examples/proxy/tour.py target/debug/shelflife

VENV := $(CURDIR)/target/venv
PACKAGE := crates/shelflife-py
python: python-built ## Build the Python package in a venv, check its types, run its tests on a real Redis
	cd $(PACKAGE) && $(VENV)/bin/mypy --strict python/shelflife typing
	cd $(PACKAGE) && $(VENV)/bin/basedpyright --level error --pythonpath $(VENV)/bin/python
	cd $(PACKAGE) && $(VENV)/bin/python -m mypy.stubtest shelflife._core --ignore-disjoint-bases --allowlist stubtest-allowlist.txt
	./tools/python-wheel
	cd $(PACKAGE) && RUST_COMMAND=$(CURDIR)/target/debug/shelflife $(VENV)/bin/python -m pytest -q tests

example-fastapi: python-built ## Run the example of FastAPI: beside the demo, on one Redis and one database (ARGS=--stay goes on)
	$(VENV)/bin/python examples/fastapi/tour.py target/debug/shelflife $(ARGS)

page: ## Test the page of the figures in a real browser, on a running demo (ARGS=--shots makes the pictures of docs/images)
	./tools/need-redis
	./tools/page-venv
	$(THE_COMMAND)
	CHROMIUM=$$(./tools/need-chromium) && cd crates/shelflife-admin/browser && $(VENV)-page/bin/python -m pytest -q -p no:cacheprovider \
	  --command=$(CURDIR)/target/debug/shelflife --chromium=$$CHROMIUM $(ARGS)

deploy-check: python-built ## Check what is in deploy/: its files, its Redis and the rights of its users, its services as processes
	$(VENV)/bin/python deploy/check.py target/debug/shelflife

# What these need: a Redis, the command, and the package in a venv.
python-built:
	./tools/need-redis
	./tools/python-venv
	$(THE_COMMAND)
	cd $(PACKAGE) && VIRTUAL_ENV=$(VENV) $(VENV)/bin/maturin develop --locked --quiet

lint: ## Format and lints, warnings as errors
	cargo fmt --all --check
	cargo clippy --locked --workspace --all-targets --all-features -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --locked --workspace --all-features --no-deps --document-private-items

bench: ## Measure: a table with ratios from one run (ARGS="--json FILE" keeps the figures)
	./tools/need-redis
	cargo run --release --locked -p shelflife-bench -- $(ARGS)
	$(if $(ARGS),,$(MAKE) --no-print-directory bench-python)

bench-python: ## Measure the Python package beside its peers (ARGS="--only web", ARGS="--json FILE")
	./tools/need-redis
	./tools/python-bench
	PYTHONPATH=$(PACKAGE) $(VENV)-bench/bin/python -m bench $(ARGS)

MINUTES ?= 2
TOPOLOGIES ?= single sentinel cluster
chaos: ## Hunt for broken promises while everything is killed, on one server, with sentinels, in a cluster (MINUTES=10 each, TOPOLOGIES=sentinel, ARGS="--seed 7")
	./tools/need-redis
	set -e; for topology in $(TOPOLOGIES); do \
	  cargo run --release --locked -p shelflife-hunt -- --topology $$topology --minutes $(MINUTES) $(ARGS); done

soak: ## Full load without faults: memory, connections and tasks must not grow (MINUTES=30, ARGS="--topology cluster")
	./tools/need-redis
	cargo run --release --locked -p shelflife-hunt -- --soak $(MINUTES) $(ARGS)

guards: ## Remove each guard of the protocol, and each rule of who may see the page, one at a time: its test has to fail (ARGS=--page, ARGS=--hunt)
	./tools/need-redis
	./tools/guards.sh $(ARGS)
	$(if $(ARGS),,./tools/guards.sh --page)

# In a target directory of its own: the flag would have everything built again. No store is asked.
INTERLEAVINGS = CARGO_TARGET_DIR=target/shuttle RUSTFLAGS="$(RUSTFLAGS) --cfg shelflife_shuttle -D warnings" \
	cargo test --locked -p shelflife --no-default-features --lib -- interleavings::
FACTOR ?= 300
SEED ?= $(shell date +%s)
shuttle: ## Explore the orders in which threads of a process go on, at length (FACTOR=3000, SEED=7)
	SHELFLIFE_TEST_INTERLEAVINGS=$(FACTOR) SHUTTLE_RANDOM_SEED=$(SEED) $(INTERLEAVINGS)

CALLERS ?= 100000
waiting: ## Measure what callers that wait take in memory (CALLERS=100000), each case in a process of its own
	./tools/need-redis
	SHELFLIFE_TEST_CALLERS=$(CALLERS) cargo test --locked -p shelflife --all-features --test waiting -- --nocapture

model: ## Explore the protocol in every order of its steps, and without each guard (ARGS="--json FILE")
	cargo run --release --locked -p shelflife-model -- $(ARGS)

FIGURES := target/consistency
consistency: ## Run model, guards and a hunt (MINUTES=10), and put their figures into docs/consistency.md
	mkdir -p $(FIGURES)
	$(MAKE) --no-print-directory model ARGS="--json $(FIGURES)/model.json"
	$(MAKE) --no-print-directory guards ARGS="--json $(FIGURES)/guards.json"
	$(MAKE) --no-print-directory chaos TOPOLOGIES=single ARGS="--json $(FIGURES)/hunt.json"
	cargo run --release --locked -q -p shelflife-hunt --bin shelflife-consistency -- --model $(FIGURES)/model.json \
	  --guards $(FIGURES)/guards.json --hunt $(FIGURES)/hunt.json --into docs/consistency.md
