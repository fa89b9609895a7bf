"""Runs one runtime on one network, in this process alone, and prints one JSON document. Times are in ms.

    worker.py RUNTIME FOLDER NETWORK --runs N [--output Y.npy]

Exit code 1 and a line on stderr: the runtime cannot run this network.
"""

import argparse
import importlib
import json
import statistics
import sys
import time
from pathlib import Path

import numpy as np

WARM_UP = 5


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("runtime")
    arguments.add_argument("folder", type=Path)
    arguments.add_argument("network")
    arguments.add_argument("--runs", type=int, default=30)
    arguments.add_argument("--output", type=Path)
    arguments = arguments.parse_args()
    python_kib = peak_kib()
    runtime = importlib.import_module(f"with_{arguments.runtime}")
    measure = getattr(runtime, "measure", None) or (lambda *rest: measure_here(runtime, *rest))
    try:
        result = measure(arguments.folder, arguments.network, arguments.runs, arguments.output)
    except Exception as error:
        sys.exit(" ".join(str(error).split())[:300] or type(error).__name__)
    print(json.dumps({"python_kib": python_kib, **result}))


def measure_here(runtime, folder, network, runs, output):
    """A runtime that is a Python package: it offers load(folder, network) -> (run, details).

    Its prepare and finish, where it has them, change the layout of input and output, outside of the time.
    """
    prepare, finish = (getattr(runtime, name, lambda array: array) for name in ("prepare", "finish"))
    array = prepare(np.load(folder / f"{network}.input.npy"))
    start = time.perf_counter()
    run, details = runtime.load(folder, network)
    load_ms = milliseconds(start)
    for _ in range(WARM_UP):
        run(array)
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        result = run(array)
        times.append(milliseconds(start))
    peak = peak_kib()
    if output:
        np.save(output, finish(result))
    return {"p50_ms": statistics.median(times), "load_ms": load_ms, "peak_kib": peak, **details()}


def peak_kib():
    return int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0])


def milliseconds(start):
    return (time.perf_counter() - start) * 1e3


if __name__ == "__main__":
    main()
