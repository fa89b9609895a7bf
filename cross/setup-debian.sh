#!/usr/bin/env bash
# Installs everything that building and testing for aarch64 needs on Debian 12 or 13, without containers. Asks nothing. A second
# call only checks.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
target=aarch64-unknown-linux-gnu
as_root=()
if [ "$(id -u)" != 0 ]; then as_root=(sudo); fi
say() { printf 'setup: %s\n' "$*"; }
fail() { printf 'setup: %s\n' "$*" >&2; exit 1; }

command -v apt-get >/dev/null || fail "this is not Debian: install the packages of $here/packages.txt and qemu-user by hand"
command -v cargo >/dev/null || fail "no cargo: install Rust 1.91 or newer first"

updated=
install() {
    if [ -z "$updated" ]; then "${as_root[@]}" apt-get update -q; updated=1; fi
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "$@"
}

missing=()
while read -r package; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
done < <(cat "$here/packages.txt" "$here/test-packages.txt")
if [ ${#missing[@]} -gt 0 ]; then
    say "installing ${missing[*]}"
    install "${missing[@]}"
fi

# QEMU 7.2 of Debian 12 passes the host's /proc/cpuinfo to the guest, which then chooses kernels for the wrong CPU. qemu-user runs
# programs, qemu-system whole machines (cross/vm).
qemu_major() { qemu-aarch64-static --version 2>/dev/null | sed -n '1s/.*version \([0-9]*\).*/\1/p'; }
has_machines() { command -v qemu-system-aarch64 && command -v qemu-img; } >/dev/null
if [ "$(qemu_major || true)" = "" ] || [ "$(qemu_major)" -lt 8 ] || ! has_machines; then
    if grep -q '^VERSION_CODENAME=bookworm' /etc/os-release; then
        say "installing QEMU from bookworm-backports"
        if ! grep -rqs 'bookworm-backports' /etc/apt/sources.list /etc/apt/sources.list.d; then
            # From the mirror that this machine already uses. Not all of these files exist everywhere.
            mirror=$(grep -rhoE 'https?://[^ ]+/debian/?( |$)' /etc/apt/sources.list /etc/apt/sources.list.d 2>/dev/null |
                head -n 1 | tr -d ' ' || true)
            [ -n "$mirror" ] || fail "no Debian source found in /etc/apt: add bookworm-backports by hand and run this again"
            echo "deb [arch=$(dpkg --print-architecture)] $mirror bookworm-backports main" |
                "${as_root[@]}" tee /etc/apt/sources.list.d/lineside-backports.list >/dev/null
            updated=
        fi
        install -t bookworm-backports qemu-user-static qemu-system-arm qemu-utils
    else
        say "installing QEMU"
        install qemu-user qemu-system-arm qemu-utils
        # In Debian 13 the static build is called qemu-aarch64.
        if ! command -v qemu-aarch64-static >/dev/null; then
            "${as_root[@]}" ln -s "$(command -v qemu-aarch64)" /usr/local/bin/qemu-aarch64-static
        fi
    fi
fi

# Prometheus with the checker of its text format and rules, and the checker of Alertmanager; the packages around them would also
# start servers.
unpack() {
    local package=$1 unpacked
    shift
    if command -v "$@" >/dev/null && [ "$(command -v "$@" | wc -l)" = $# ]; then return; fi
    say "unpacking $* from Debian's $package"
    if [ -z "$updated" ]; then "${as_root[@]}" apt-get update -q; updated=1; fi
    unpacked=$(mktemp -d)
    (cd "$unpacked" && apt-get download -q "$package" && dpkg-deb --fsys-tarfile "$package"_*.deb | tar -x "${@/#/./usr/bin/}")
    (cd "$unpacked/usr/bin" && "${as_root[@]}" cp "$@" /usr/local/bin/)
    rm -r "$unpacked"
}
unpack prometheus prometheus promtool
unpack prometheus-alertmanager amtool

std="$(rustc --print sysroot)/lib/rustlib/$target/lib"
if [ ! -d "$std" ]; then
    command -v rustup >/dev/null || fail "this Rust has no standard library for $target: use rustup, or install one by hand"
    say "adding Rust's standard library for $target"
    rustup target add "$target" || fail "rustup cannot add $target: give it a network, or link a toolchain that has it \
(rustup toolchain link NAME FOLDER) and choose that with RUSTUP_TOOLCHAIN"
fi

# The check of dependencies. A few runs do not pay for optimising it: without, it is built in a quarter of the time.
cargo_deny=0.20.2
tools=$HOME/.cache/lineside/tools
if [ "$("$tools/bin/cargo-deny" --version 2>/dev/null)" != "cargo-deny $cargo_deny" ]; then
    say "building cargo-deny $cargo_deny"
    CARGO_PROFILE_DEV_DEBUG=0 CARGO_TARGET_DIR=$tools/target \
        cargo install --quiet --locked --profile dev --root "$tools" "cargo-deny@$cargo_deny"
    rm -r "$tools/target"
fi
# Programs in Python by which tests check the HTTP interface and its client: schemathesis and mypy, in an environment of their own.
python=$tools/python
schemathesis=4.32.5 mypy=2.4.1
if [ "$("$tools/bin/schemathesis" --version 2>/dev/null)" != "schemathesis, version $schemathesis" ] ||
    ! "$tools/bin/mypy" --version 2>/dev/null | grep -q "^mypy $mypy "; then
    say "installing schemathesis $schemathesis and mypy $mypy"
    rm -rf "$python"
    python3 -m venv "$python"
    "$python/bin/pip" install -q --disable-pip-version-check "schemathesis==$schemathesis" "mypy==$mypy"
    mkdir -p "$tools/bin"
    ln -sf "$python/bin/schemathesis" "$python/bin/mypy" "$tools/bin/"
fi
# Other runtimes, which have to take the files that are written here.
onnx=$tools/onnx wanted=$here/../crates/quantize/tests/networks/requirements.txt
if ! cmp -s "$wanted" "$onnx/requirements.txt"; then
    say "installing onnx, onnxruntime and openvino"
    python3 -m venv --clear "$onnx"
    "$onnx/bin/pip" install -q --disable-pip-version-check -r "$wanted"
    cp "$wanted" "$onnx/requirements.txt"
fi
say "ready for $target"
