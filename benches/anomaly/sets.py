#!/usr/bin/env python3
"""Teaches and evaluates with default options on the plates and the solar cells: figures of docs/anomaly.md.

    benches/anomaly/sets.py [--data DIR] [--teach OPTION ...] [SET ...]

Sets: `fixed` and `moving` (a rendered plate), `elpv` (solar cells), `dark` (the darkest cells are taught, the brightest tested) and
`other` (cells of other modules are tested). Needs the lineside binary (LINESIDE_BIN, or target/release/lineside). Pictures are
linked, not copied.
"""

import argparse
import tempfile
from pathlib import Path

from protocol import PROJECT, candidates, teach_and_evaluate

SETS = ("fixed", "moving", "elpv", "dark", "other")


def folders(name, data, work):
    """The folders of pictures to teach, of unseen good ones and of defects."""
    if name in ("fixed", "moving"):
        plate = data / "plate" / name
        return plate / "good", plate / "good-unseen", plate / "bad"
    cells = data / "elpv-mono"
    if name == "elpv":
        return cells / "normal", cells / "test", cells / "defect"
    known = {path.name: path for path in cells.rglob("*.png")}
    for part in ("normal", "test"):
        (work / part).mkdir()
        for line in (cells / f"{name}-{part}.txt").read_text().split():
            file = Path(line).name
            (work / part / file).symlink_to(known[file])
    return work / "normal", work / "test", cells / "defect"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sets", nargs="*", default=SETS, metavar="SET")
    parser.add_argument("--data", type=Path, default=PROJECT.parent / "shared/data")
    parser.add_argument("--teach", nargs=argparse.REMAINDER, default=[], help="further options of lineside teach")
    arguments = parser.parse_args()
    for name in arguments.sets:
        with tempfile.TemporaryDirectory() as folder:
            work = Path(folder)
            figures = teach_and_evaluate(*folders(name, arguments.data, work), work / "bundle", arguments.teach)
        share, real = 100 * figures["found_at_threshold"], 100 * figures["false_alarm_rate"]
        kinds = "  ".join(f"{kind['kind']} {kind['auroc']:.3f} {kind['found']}/{kind['n']}" for kind in figures["kinds"])
        low, high = figures["lesson"]["false_alarms_interval"]
        print(
            f"{name:7} AUROC {figures['auroc']:.3f}  found {share:.0f} %, false alarms {real:.1f} % "
            f"(promised {low / 10:.1f} to {high / 10:.1f})  {kinds}\n        {candidates(figures['lesson'])}",
            flush=True,
        )


if __name__ == "__main__":
    main()
