#!/usr/bin/env python3
"""Counts executed aarch64 instructions of one inference, by function.

    benches/aarch64/count.py --cpu cortex-a72 MODEL.onnx…

Needs a dynamically linked qemu-aarch64 of version 7.2 or later (a static one loads no plugins), its header qemu-plugin.h, a
C compiler, the cross-compiler's libraries under /usr/aarch64-linux-gnu, and
`cargo build --release --target aarch64-unknown-linux-gnu`.
"""

import argparse
import collections
import os
import subprocess
import tempfile
from pathlib import Path

HERE = Path(__file__).parent


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("models", nargs="+", type=Path)
    arguments.add_argument("--cpu", default="cortex-a72")
    arguments.add_argument("--qemu", default="qemu-aarch64")
    arguments.add_argument("--header", default="/usr/include", help="folder of qemu-plugin.h")
    arguments.add_argument("--binary", default="target/aarch64-unknown-linux-gnu/release/lineside")
    arguments.add_argument("--functions", type=int, default=6, help="how many to list")
    arguments = arguments.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        plugin = f"{folder}/instructions.so"
        source = HERE / "instructions.c"
        subprocess.run(["cc", "-O2", "-shared", "-fPIC", "-I", arguments.header, "-o", plugin, source], check=True)
        for model in arguments.models:
            one, two = (counts(arguments, plugin, model, runs, folder) for runs in (1, 2))
            two.subtract(one)
            print(f"{arguments.cpu} {model.name}: {two.total() / 1e6:.1f} M instructions")
            for name, count in two.most_common(arguments.functions):
                print(f"  {count / 1e6:9.2f} M  {name[-100:]}")


def counts(arguments, plugin, model, runs, folder):
    """Instructions by symbol of a process that loads the model and runs it so often."""
    out = f"{folder}/out"
    subprocess.run(
        [arguments.qemu, "-cpu", arguments.cpu, "-L", "/usr/aarch64-linux-gnu", "-plugin", plugin, arguments.binary,
         "bench", model, "--runs", str(runs), "--json"],
        check=True, stdout=subprocess.DEVNULL, env=os.environ | {"INSTRUCTIONS_OUT": out},
    )
    found = collections.Counter()
    for line in Path(out).read_text().splitlines():
        count, _, _, symbol = line.split(" ", 3)
        found[symbol] += int(count)
    return found


main()
