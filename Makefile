.PHONY: demo test lint bench microbench scaling regress suite soak fuzz fuzz-sql build install-build install-test fmt

# The story of the README, start to end. ONCE=1 ends after the last step; DATABASE_URL=... uses your own database.
demo: install-build
	cargo build --release --locked
	COLUMNSEAL_BIN=$(CURDIR)/target/release/columnseal scripts/demo.sh

# Everything that CI runs.
test: install-test lint
	scripts/test.sh

lint:
	cargo fmt --check
	cargo clippy --locked --all-targets -- -D warnings

fmt:
	cargo fmt

build: install-build
	cargo build --release --locked

# The proxy beside a direct connection, PgBouncer and a splice; encrypted columns beside plain ones, in a PostgreSQL of its own.
bench: build
	target/release/columnseal bench

# Criterion benchmarks of the crypto engine and of statement analysis.
microbench: install-build
	cargo bench --locked

# The simulation of docs/scaling.md. MEASURE=1 measures what it goes by instead, with a key server and a PostgreSQL that it starts.
scaling: install-build
	cargo bench --locked --bench scaling -- $(if $(MEASURE),measure)

# PostgreSQL's own regression scripts, directly and through the proxy. SUITE: a checkout of PostgreSQL's sources. See docs/testing.md.
regress: build
	COLUMNSEAL_BIN=$(CURDIR)/target/release/columnseal scripts/regress.sh $(SUITE)

# The test suite of a driver, directly and through the proxy. DRIVER: one of scripts/suites/*.sh; SUITE: a clone of it. See docs/testing.md.
suite: build
	COLUMNSEAL_BIN=$(CURDIR)/target/release/columnseal scripts/suites.sh $(DRIVER) $(SUITE)

# cargo-fuzz over all targets, or TARGET, for FUZZ_SECONDS each. See docs/testing.md.
FUZZ_SECONDS ?= 600
fuzz: install-build
	scripts/fuzz.sh $(FUZZ_SECONDS) $(TARGET)

# Random and hostile statements for an hour, or COLUMNSEAL_DIFF_SECONDS. See docs/testing.md.
fuzz-sql: export COLUMNSEAL_DIFF_SECONDS ?= 3600
fuzz-sql: install-test
	cargo test --locked --test it statements_tell_the_server -- --nocapture

# Mixed load with churn, cancels and restarts of the server for an hour, or COLUMNSEAL_SOAK_SECONDS. See docs/testing.md.
soak: export COLUMNSEAL_SOAK_SECONDS ?= 3600
soak: install-test
	cargo test --locked --test it nothing_is_left_over -- --nocapture

install-build:
	scripts/install.sh build

install-test:
	scripts/install.sh test
