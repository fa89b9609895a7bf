"""Lineside on the INT8 network: its own `bench` measures, a process of its own."""

import json
import os
import subprocess
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def measure(folder, network, runs, output):
    model = folder / f"{network}.int8.onnx"
    result, peak_kib = lineside("bench", model, "--runs", runs, "--json")
    result = json.loads(result)
    if output:
        lineside("infer", model, "-i", folder / f"{network}.input.npy", "-o", output)
    known = ("p50_ms", "load_ms", "macs", "integer_coverage", "arena_bytes", "weights_bytes", "kernel")
    found = {key: result[key] for key in known if key in result}
    return {**found, "peak_kib": peak_kib, "python_kib": 0, "version": lineside("--version")[0].split()[-1]}


def lineside(*arguments):
    """Standard output, and the peak resident memory in KiB, read from /proc while the process lives."""
    binary = Path(os.environ.get("LINESIDE_BIN") or ROOT / "target/release/lineside").resolve()
    if not binary.exists():
        raise FileNotFoundError("no binary: build one by `cargo build --release`, or name one in LINESIDE_BIN")
    command = [str(word) for word in (binary, *arguments)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    os.sched_setaffinity(0, range(os.cpu_count()))  # Whoever watches leaves the core to what is measured.
    peak_kib = 0
    while process.poll() is None:
        status = Path(f"/proc/{process.pid}/status").read_text()
        if "VmHWM:" in status:
            peak_kib = int(status.split("VmHWM:")[1].split()[0])
        time.sleep(0.02)
    output, errors = process.communicate()
    if process.returncode:
        raise RuntimeError(errors.strip().splitlines()[-1] if errors.strip() else f"exit code {process.returncode}")
    return output, peak_kib
