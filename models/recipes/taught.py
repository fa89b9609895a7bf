"""What the recipes of bundles that `lineside teach` writes have in common."""

import json
import os
import subprocess
from pathlib import Path

from bundle import MANIFEST

PROJECT = Path(__file__).parents[2]


def lineside(*arguments):
    """Runs the binary, LINESIDE_BIN or target/release/lineside; returns what it wrote."""
    binary = os.environ.get("LINESIDE_BIN", PROJECT / "target/release/lineside")
    command = [str(binary), *map(str, arguments)]
    return subprocess.run(command, stdout=subprocess.PIPE, check=True, cwd=PROJECT).stdout


def figures(*arguments):
    """What a command measures."""
    return json.loads(lineside(*arguments, "--json"))


def describe(bundle, words, measured):
    """Gives a taught bundle its words and its figures; teaching knew none of them."""
    path = bundle / MANIFEST
    words = {key: f'"{text}"' for key, text in words.items()}
    lines = []
    for line in path.read_text().splitlines():
        key = line.split(" = ")[0]
        lines.append(f"{key} = {words.pop(key)}" if key in words else line)
        if line == "[measured]":
            lines.extend(f"{name} = {value!r}" for name, value in measured.items())
    path.write_text("\n".join(lines) + "\n")
