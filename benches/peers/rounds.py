"""Runs every runtime on every network in turns, each time in a new process on one core, and writes the results.

A runtime's figure is the median, over the rounds, of each round's median.
"""

import argparse
import datetime
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

import numpy as np

import machine
import table
from networks import NETWORKS

HERE = Path(__file__).resolve().parent
RUNTIMES = ("lineside", "onnxruntime", "openvino", "litert", "ncnn", "onnxruntime_fp32")
# What holds a runtime to an instruction set; the others cannot be held.
LIMITS = {"avx2": {"lineside": {"LINESIDE_KERNEL": "avx2"}, "openvino": {"ONEDNN_MAX_CPU_ISA": "AVX2"}}}


def main():
    arguments = parse()
    limits = LIMITS.get(arguments.isa)
    runtimes = [name for name in arguments.runtimes if limits is None or name in limits]
    networks = [json.loads((arguments.folder / f"{name}.json").read_text()) for name in arguments.networks]
    rounds = {(network["name"], runtime): [] for network in networks for runtime in runtimes}
    errors = {}
    for number in range(arguments.rounds):
        for network in arguments.networks:
            for step in range(len(runtimes)):
                runtime = runtimes[(number + step) % len(runtimes)]
                if (network, runtime) in errors:
                    continue
                environment = (limits or {}).get(runtime, {})
                result = measure(arguments, runtime, network, environment, first=number == 0)
                if "error" in result:
                    errors[network, runtime] = result["error"]
                else:
                    rounds[network, runtime].append(result)
                print(f"round {number + 1}  {network}  {runtime}  {brief(result)}", file=sys.stderr)

    for network in networks:
        name = network["name"]
        network["runtimes"] = {
            runtime: {"error": errors[name, runtime]} if (name, runtime) in errors
            else summary(rounds[name, runtime], difference(arguments.folder, name, runtime))
            for runtime in runtimes
        }
    document = {
        "date": datetime.date.today().isoformat(), "isa": arguments.isa, "rounds": arguments.rounds,
        "runs": arguments.runs, "machine": machine.describe(), "networks": networks,
        "left_out": [name for name in arguments.runtimes if name not in runtimes],
    }
    name = f"result-{arguments.isa}" if arguments.isa else "result"
    arguments.out.mkdir(parents=True, exist_ok=True)
    (arguments.out / f"{name}.json").write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n")
    (arguments.out / f"{name}.md").write_text(table.write(document))
    print(arguments.out / f"{name}.md")


def parse():
    arguments = argparse.ArgumentParser(prog="run")
    arguments.add_argument("folder", type=Path, help=argparse.SUPPRESS)
    arguments.add_argument("--networks", nargs="+", choices=NETWORKS, default=list(NETWORKS), metavar="NAME")
    arguments.add_argument("--runtimes", nargs="+", choices=RUNTIMES, default=list(RUNTIMES), metavar="NAME")
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument("--runs", type=int, default=30, help="timed inferences in each process")
    arguments.add_argument("--isa", choices=LIMITS)
    arguments.add_argument("--core", type=int, default=max(os.sched_getaffinity(0)))
    arguments.add_argument("--out", type=Path, default=HERE)
    return arguments.parse_args()


def measure(arguments, runtime, network, environment, first):
    command = ["taskset", "-c", str(arguments.core), sys.executable, str(HERE / "worker.py"), runtime]
    command += [str(arguments.folder), network, "--runs", str(arguments.runs)]
    if first:
        output(arguments.folder, network, runtime).unlink(missing_ok=True)
        command += ["--output", str(output(arguments.folder, network, runtime))]
    try:
        done = subprocess.run(command, env={**os.environ, **environment}, capture_output=True, text=True, timeout=600)
    except subprocess.TimeoutExpired:
        return {"error": "took longer than 10 minutes"}
    if done.returncode:
        said = done.stderr.strip().splitlines() if done.returncode == 1 else []
        return {"error": said[-1] if said else f"ends with exit code {done.returncode}"}
    return json.loads(done.stdout.splitlines()[-1])


def summary(results, off):
    """The rounds' figures in one; what is no number is the same in each round."""
    times = [result["p50_ms"] for result in results]
    together = dict(results[0])
    for key in ("p50_ms", "load_ms", "peak_kib"):
        if key in together:
            together[key] = statistics.median(result[key] for result in results)
    together["rounds_ms"] = times
    together["spread"] = (max(times) - min(times)) / together["p50_ms"]
    if off is not None:
        together["off"] = off
    return together


def difference(folder, network, runtime):
    """The largest difference from ONNX Runtime's output of the INT8 network, as a share of that output's range."""
    paths = output(folder, network, runtime), output(folder, network, "onnxruntime")
    if not all(path.exists() for path in paths):
        return None
    mine, other = (np.load(path).astype(np.float64) for path in paths)
    if mine.shape != other.shape:
        return None
    return float(np.abs(mine - other).max() / np.ptp(other))


def output(folder, network, runtime):
    return folder / f"{network}.{runtime}.npy"


def brief(result):
    return result.get("error") or f"{result['p50_ms']:.3f} ms"


if __name__ == "__main__":
    main()
