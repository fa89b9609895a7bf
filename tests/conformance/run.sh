#!/usr/bin/env bash
# Every picture of the public suites, and every coding that libjpeg-turbo's tools make of a JPEG, is equal to what a reference
# decoder (Pillow) makes of it, within the levels in compare.py, or it is refused: run.sh [FOLDER], where the suites are
# (LINESIDE_SUITES; fetch.sh fetches them). Prints a table; ends with 1 where there is a third answer. Needs Python with Pillow and
# numpy (PYTHON), and for the codings cjpeg, djpeg and jpegtran.
set -euo pipefail
cd "$(dirname "$0")/../.."
suites=${1:-${LINESIDE_SUITES:-}}
python=${PYTHON:-python3}
skip() {
    echo "skipped: conformance: $1"
    exit 0
}
[ -n "$suites" ] || skip "no suites (tests/conformance/fetch.sh FOLDER, then LINESIDE_SUITES=FOLDER)"
[ -d "$suites" ] || skip "$suites is not there"
"$python" -c 'import PIL, numpy' 2>/dev/null || skip "$python has no Pillow or no numpy"
cargo build -q --release -p lineside-picture --example decode
decode=$(realpath "${CARGO_TARGET_DIR:-target}")/release/examples/decode
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# Some damaged files announce sizes that Pillow takes memory for.
ulimit -v 4000000
if command -v cjpeg djpeg jpegtran >/dev/null; then
    tests/conformance/codings.sh "$suites/libjpeg-turbo/testimages/testorig.jpg" "$work/codings"
fi
exec "$python" -W ignore tests/conformance/compare.py "$decode" "$work" "$suites"/* "$work"/codings
