#!/usr/bin/env python3
"""Asks llvm-mca how many cycles the inner loops of the aarch64 kernels take.

    benches/aarch64/loops.py [BINARY]

Finds each kernel's loop with the most multiplications in the disassembly. Needs aarch64-linux-gnu-objdump and llvm-mca.
"""

import re
import subprocess
import sys

# Function, instruction that multiplies, multiply-accumulates of an iteration, cores.
KERNELS = [
    ("neon4tile", "smlal2", 256, ["cortex-a53", "cortex-a72"]),
    ("winograd8products", "smlal2", 512, ["cortex-a53", "cortex-a72"]),
    ("dotprod4tile", "sdot", 1536, ["cortex-a76"]),
    ("i8mm4tile", "smmla", 1024, ["neoverse-n2"]),
]


def main():
    binary = sys.argv[1] if len(sys.argv) > 1 else "target/aarch64-unknown-linux-gnu/release/lineside"
    functions = disassembled(binary)
    for name, multiply, macs, cores in KERNELS:
        bodies = [body for symbol, code in functions.items() if name in symbol for body in loops(code)]
        body = max(bodies, key=lambda body: sum(line.startswith(multiply) for line in body))
        source = "\n".join(re.sub(r"^(b\.\w+|cbnz|cbz)(.*?)[0-9a-f]+ <.*", r"\1\2.", line) for line in body)
        for core in cores:
            command = ["llvm-mca", "-march=aarch64", f"-mcpu={core}", "-mattr=+dotprod,+i8mm", "-iterations=100"]
            report = subprocess.run(command, input=source, text=True, capture_output=True, check=True).stdout
            cycles = int(re.search(r"Total Cycles:\s+(\d+)", report).group(1)) / 100
            print(f"{name} {core}: {len(body)} instructions, {cycles:.1f} cycles, {macs / cycles:.1f} MAC a cycle")


def disassembled(binary):
    """Instructions with their addresses, by symbol."""
    command = ["aarch64-linux-gnu-objdump", "-d", "--no-show-raw-insn", binary]
    functions, code = {}, []
    for line in subprocess.run(command, text=True, capture_output=True, check=True).stdout.splitlines():
        if head := re.match(r"[0-9a-f]+ <(.*)>:$", line):
            code = functions.setdefault(head.group(1), [])
        elif instruction := re.match(r"\s+([0-9a-f]+):\t(.*)$", line):
            code.append((int(instruction.group(1), 16), instruction.group(2).split("//")[0].strip()))
    return functions


def loops(code):
    """Innermost loops: from the target of a backward branch to the branch, with no other branch between."""
    places = {address: i for i, (address, _) in enumerate(code)}
    for i, (_, text) in enumerate(code):
        branch = re.match(r"(?:b\.\w+|cbnz|cbz|tbz|tbnz)\s+(?:\S+,\s+)*([0-9a-f]+) <", text)
        start = places.get(int(branch.group(1), 16), i) if branch else i
        body = [line for _, line in code[start : i + 1]]
        if start < i and not any(re.match(r"b\.|b |cb|tb|bl|ret", line) for line in body[:-1]):
            yield body


main()
