#!/usr/bin/env bash
# The fleet's files against real programs: rules by promtool, dashboards and metrics by a real Prometheus that scrapes five real
# lines, records by a real mosquitto, the apt repository by a real apt, the image's build commands in a chroot. run.sh [PART…] runs
# some parts only. PYTHON, CARGO_TARGET_DIR. A part that lacks its tool says so and is skipped; LINESIDE_REQUIRE_ALL=1 makes that a
# failure. The program must be built (target/release/lineside), the package too, for the image (cross/package).
set -euo pipefail
cd "$(dirname "$0")/../.."
python=${PYTHON:-/usr/bin/python3}
if ! "$python" -c 'import yaml' 2>/dev/null; then
    echo "skipped: fleet: $python has no yaml (python3-yaml)"
    [ "${LINESIDE_REQUIRE_ALL:-}" != 1 ] || { echo "test result: FAILED. 0 passed; 1 failed"; exit 1; }
    exit 0
fi
export PATH="$PATH:/usr/sbin:/sbin"
exec "$python" -B tests/fleet/run.py "$@"
