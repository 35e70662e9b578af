# Recipes for maintainers; `just` lists them.

_default:
    @just --list

# Format, clippy and docs, as in CI
check:
    cargo fmt --all --check
    cargo clippy --locked --workspace --all-targets -- -D warnings
    RUSTDOCFLAGS="-D warnings" cargo doc --locked --workspace --no-deps

# All tests; `just test -- NAME` selects some
test *ARGS:
    cargo test --release {{ARGS}}

# One room's own tests, in the dev profile: `just room rollout`
room NAME:
    cargo test -p botops-{{NAME}}

# Rewrite generated files: snapshots of the command line and docs/reference
bless:
    INSTA_UPDATE=always BOTOPS_BLESS=1 cargo test --release --test it

# One benchmark: `just bench learning`
bench NAME *ARGS:
    cargo bench --bench {{NAME}} -- {{ARGS}}

# API documentation, and the generated reference held against the code
docs:
    cargo doc --workspace --no-deps --open
    cargo test --release --test it reference
