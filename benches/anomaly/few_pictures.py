#!/usr/bin/env python3
"""Teaches with few pictures, drawn at random, and evaluates on all others: the table of docs/anomaly.md.

    benches/anomaly/few_pictures.py --normal DIR --test DIR --defect DIR [--counts 10,20] [--draws 2] [--every N] [--every-defect M]
                                    [--teach OPTION ...]

Needs the lineside binary (LINESIDE_BIN, or target/release/lineside). Pictures are linked, not copied.
"""

import argparse
import random
import tempfile
from pathlib import Path

from protocol import run


def pictures(folder):
    return sorted(path for path in folder.resolve().rglob("*") if path.suffix.lower() in (".png", ".jpg", ".bmp"))


def link(folder, files):
    folder.mkdir()
    for number, file in enumerate(files):
        (folder / f"{number:04}-{file.name}").symlink_to(file)
    return folder


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, text in [("normal", "good pictures to draw from"), ("test", "good ones to test"), ("defect", "defects")]:
        parser.add_argument(f"--{name}", type=Path, required=True, help=text)
    parser.add_argument("--counts", default="10,20", help="pictures to teach")
    parser.add_argument("--draws", type=int, default=2)
    parser.add_argument("--every", type=int, default=1, help="test on every Nth good picture only")
    parser.add_argument("--every-defect", type=int, default=1, help="test on every Mth defect only")
    parser.add_argument("--teach", nargs=argparse.REMAINDER, default=[], help="further options of lineside teach")
    arguments = parser.parse_args()
    first = arguments.every - 1
    test = pictures(arguments.test)[first :: arguments.every]
    defects = pictures(arguments.defect)[first :: arguments.every_defect]
    for count in map(int, arguments.counts.split(",")):
        for draw in range(arguments.draws):
            drawn = random.Random(100 * draw + count).sample(pictures(arguments.normal), count)
            with tempfile.TemporaryDirectory() as folder:
                folder = Path(folder)
                taught = link(folder / "taught", drawn)
                lesson = run("teach", "--normal", taught, "--out", folder / "bundle", *arguments.teach)
                normal, defect = link(folder / "normal", test), link(folder / "defect", defects)
                figures = run("eval", folder / "bundle", "--normal", normal, "--defect", defect)
            low, high = lesson["false_alarms_interval"]
            print(
                f"{count:3} pictures, draw {draw}: AUROC {figures['auroc']:.3f}  "
                f"false alarms {100 * figures['false_alarm_rate']:.1f} % ({low / 10:.1f} to {high / 10:.1f} % promised)  "
                f"found {100 * figures['found_at_threshold']:.1f} %, "
                f"{100 * figures['recall_at_false_alarms']['0.01']:.1f} % at a true 1 %",
                flush=True,
            )


if __name__ == "__main__":
    main()
