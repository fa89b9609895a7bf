"""What the protocols of this folder share: running lineside, and lines of figures."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np

PROJECT = Path(__file__).resolve().parents[2]
# The demo line's pictures are of use here too.
sys.path.append(str(PROJECT / "models/recipes"))


def run(*arguments):
    """The JSON that the lineside binary (LINESIDE_BIN, or target/release/lineside) prints."""
    binary = os.environ.get("LINESIDE_BIN", PROJECT / "target/release/lineside")
    done = subprocess.run([binary, *map(str, arguments), "--json"], capture_output=True, text=True, cwd=PROJECT)
    if done.returncode != 0:
        raise SystemExit(f"lineside {arguments[0]} failed: {done.stderr}")
    return json.loads(done.stdout)


def teach_and_evaluate(taught, normal, defect, out, options=(), masks=None):
    """The figures of `lineside eval`, and under `lesson` those of `lineside teach`. All arguments are folders."""
    lesson = run("teach", "--normal", taught, "--out", out, *options)
    extra = ["--masks", masks] if masks else []
    figures = run("eval", out, "--normal", normal, "--defect", defect, *extra)
    figures["lesson"] = lesson
    return figures


def row(name, figures):
    line = {"name": name, "auroc": figures["auroc"]}
    line |= {kind["kind"]: kind["auroc"] for kind in figures["kinds"]}
    line |= {f"tpr{int(100 * float(share))}": value for share, value in figures["recall_at_false_alarms"].items()}
    line |= {"f1": figures["f1"], "real": 100 * len(figures["false_alarms"]) / figures["n_normal"]}
    if figures.get("pixel_auroc") is not None:
        line |= {"pixel": figures["pixel_auroc"], "pro": figures["pro"]}
    line |= {"synthetic": figures["lesson"]["auroc_synthetic"], "seconds": figures["lesson"]["seconds"]}
    return line


def candidates(lesson):
    """Every candidate with its AUROC on synthetic defects; a star marks those in the sum."""
    return " ".join(
        f"{c['method']}{'*' if c['chosen'] else ''} {c['auroc_synthetic']:.3f}" for c in lesson["candidates"]
    )


def mean(name, lines):
    return {"name": name, **{key: np.mean([line[key] for line in lines]) for key in lines[0] if key != "name"}}


def show(line, remark=""):
    values = "  ".join(f"{key} {value:.3f}" for key, value in line.items() if key != "name")
    print(f"{line['name']:10} {values}  {remark}".rstrip(), flush=True)
