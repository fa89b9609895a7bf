#!/usr/bin/env python3
"""Teaches one batch, recalibrates with a few good pictures of the next, and evaluates both: figures of docs/anomaly.md.

    benches/anomaly/next_batch.py TAUGHT NEXT OLD DEFECTS [--good 30] [--draws 5] [--teach OPTION ...]

TAUGHT, NEXT, OLD: good pictures of the batch that is taught, of the next one, and unseen ones of the first; DEFECTS: pictures with
defects. Each is a folder, or FILE@FOLDER[,FOLDER ...]: names in FILE, each in one of the folders. Of NEXT, `--good` pictures are drawn
at random for `lineside recalibrate`, the others are evaluated; figures are means over the draws.

Needs numpy and the lineside binary (LINESIDE_BIN, or target/release/lineside).
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np

from protocol import run


def pictures(text):
    """The pictures that an argument names."""
    if "@" not in text:
        return sorted(path.resolve() for path in Path(text).rglob("*") if path.is_file())
    names, folders = text.split("@")
    found = []
    for name in Path(names).read_text().split():
        found.append(next(Path(folder, name).resolve() for folder in folders.split(",") if Path(folder, name).exists()))
    return found


def linked(folder, files):
    folder.mkdir(parents=True)
    for number, file in enumerate(files):
        (folder / f"{number:04}{file.suffix}").symlink_to(file)
    return folder


def figures(bundle, normal, old, defect):
    """AUROC, false alarms and defects found in percent, for the next batch and for unseen pictures of the first."""
    result = run("eval", bundle, "--normal", normal, "--defect", defect)
    known = run("eval", bundle, "--normal", old, "--defect", defect)
    return [
        result["auroc"], 100 * result["false_alarm_rate"], 100 * result["found_at_threshold"],
        100 * result["recall_at_false_alarms"]["0.01"], known["auroc"], 100 * known["false_alarm_rate"],
    ]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("taught", "next", "old", "defects"):
        parser.add_argument(name)
    parser.add_argument("--good", type=int, default=30)
    parser.add_argument("--draws", type=int, default=5)
    parser.add_argument("--bundle", type=Path, help="a bundle that was taught already, instead of TAUGHT")
    parser.add_argument("--teach", nargs=argparse.REMAINDER, default=[], help="further options of lineside teach")
    arguments = parser.parse_args()
    following = pictures(arguments.next)
    with tempfile.TemporaryDirectory() as work:
        work = Path(work)
        bundle = arguments.bundle or work / "bundle"
        if arguments.bundle is None:
            run("teach", "--normal", linked(work / "taught", pictures(arguments.taught)), "--out", bundle, *arguments.teach)
        old = linked(work / "old", pictures(arguments.old))
        defect = linked(work / "defect", pictures(arguments.defects))
        before, after, reports = [], [], []
        for draw in range(arguments.draws):
            order = np.random.default_rng(draw).permutation(len(following))
            good = linked(work / f"{draw}/good", [following[i] for i in order[: arguments.good]])
            rest = linked(work / f"{draw}/rest", [following[i] for i in order[arguments.good :]])
            out = work / f"{draw}/bundle"
            report = run("recalibrate", bundle, "--good", good, "--out", out)
            before.append(figures(bundle, rest, old, defect))
            after.append(figures(out, rest, old, defect))
            taught = report["taught"] or {"false_alarms_before": 0, "false_alarms_after": 0, "frames": 1}
            reports.append([report["false_alarms_before"], report["false_alarms_after"], report["threshold_severity"],
                            100 * taught["false_alarms_after"] / taught["frames"], report["seconds"]])
            print(f"draw {draw}: {np.round(before[-1], 3)} -> {np.round(after[-1], 3)}  {np.round(reports[-1], 2)}", flush=True)
        names = ("AUROC", "false alarms %", "found %", "found at a true 1 %", "old AUROC", "old false alarms %")
        for name, was, now in zip(names, np.mean(before, axis=0), np.mean(after, axis=0)):
            print(f"{name:20} {was:8.3f} -> {now:8.3f}")
        print("of the report: alarms before, after, threshold's severity, old alarms %, seconds:", np.round(np.mean(reports, axis=0), 2))


if __name__ == "__main__":
    main()
