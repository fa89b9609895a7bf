#!/usr/bin/env bash
# Looks for what tests cannot see: reads and writes beyond an end, and threads that share memory without agreeing on it.
#   tests/sanitizers/run.sh miri      the engine's portable code, interpreted (pointers, ends, shared bytes)
#   tests/sanitizers/run.sh thread    ThreadSanitizer: the engine's pool, and the program's threads; most of the time is the build of tract
# Both need a nightly toolchain: rustup toolchain install nightly --component miri,rust-src
# docs/reliability.md has what came out so far. No part of ./test: they build everything anew, the standard library included.
set -euo pipefail
cd "$(dirname "$0")/../.."
CARGO_TARGET_DIR=$(realpath -m "${CARGO_TARGET_DIR:-target}")/sanitizers
export CARGO_TARGET_DIR
cargo +nightly --version >/dev/null || {
    echo "no nightly toolchain: rustup toolchain install nightly --component miri,rust-src" >&2
    exit 1
}
host=$(rustc -vV | sed -n 's/^host: //p')
case ${1:-} in
    miri)
        export MIRIFLAGS=-Zmiri-disable-isolation
        cargo +nightly miri test -p lineside-engine --no-default-features --lib -- --test-threads 1 \
            pool tensor npy plan tests::add_pool tests::convolution::matrix
        ;;
    thread)
        # Without the standard library's own instrumentation it would report what that does right.
        export RUSTFLAGS=-Zsanitizer=thread TSAN_OPTIONS=halt_on_error=1
        test=(cargo +nightly test --release -Zbuild-std --target "$host")
        "${test[@]}" -p lineside-engine --no-default-features --lib
        "${test[@]}" -p lineside --lib -- pipeline threads sink source status_page telemetry line
        ;;
    *)
        sed -n '2,6p' "$0" | cut -c3-
        exit 2
        ;;
esac
