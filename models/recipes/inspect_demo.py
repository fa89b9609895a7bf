"""inspect-demo: what normal flanges look like, taught by `lineside teach`, and the frames of a demo line.

    models/recipes/build inspect-demo

Needs the lineside binary: LINESIDE_BIN, or target/release/lineside.
"""

import io
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

import demo_line
from bundle import rehash
from taught import describe, figures

HERE = Path(__file__).parent
BUNDLE = HERE.parent / "inspect-demo"

# Every frame is its seed; no two sets share one.
SHIPPED, TAUGHT, STUDY_NORMAL, STUDY_DEFECT = (1, 2000, 4000, 5000)
TAUGHT_FRAMES = 120
DEFECT_AT = {
    5: "scratch", 9: "stain", 12: "missing", 16: "dent", 20: "scratch", 24: "missing", 27: "stain", 31: "dent",
}  # fmt: skip


# --- pictures -------------------------------------------------------------------------------------------------------


def jpeg(pixels):
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=92, subsampling="4:2:0")
    return buffer.getvalue()


def write_frame(path, seed, defect=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(jpeg(demo_line.render(seed, defect)[0]))


def write_line(folder):
    """The line as it ships."""
    for number in range(SHIPPED, SHIPPED + 32):
        kind = DEFECT_AT.get(number)
        name = f"defect/part-{number:02}-{kind}.jpg" if kind else f"normal/part-{number:02}.jpg"
        write_frame(folder / name, number, kind)


# --- the recipe -----------------------------------------------------------------------------------------------------


def teach(folder):
    for i in range(TAUGHT_FRAMES):
        write_frame(folder / f"{i:03}.jpg", TAUGHT + i)
    return figures("teach", "--normal", folder, "--out", BUNDLE)


def study(folder):
    """More parts than ship, none chosen: 200 normal ones and 50 of each defect."""
    for i in range(200):
        write_frame(folder / f"normal/{i:03}.jpg", STUDY_NORMAL + i)
    for k, kind in enumerate(demo_line.DEFECTS):
        for i in range(50):
            write_frame(folder / f"defect/{kind}/{i:03}.jpg", STUDY_DEFECT + 100 * k + i, kind)
    return figures("eval", BUNDLE, "--normal", folder / "normal", "--defect", folder / "defect")


def main():
    with tempfile.TemporaryDirectory() as folder:
        lesson = teach(Path(folder))
    write_line(BUNDLE / "frames")
    shipped = figures("eval", BUNDLE, "--normal", BUNDLE / "frames/normal", "--defect", BUNDLE / "frames/defect")
    with tempfile.TemporaryDirectory() as folder:
        more = study(Path(folder))
    measured = {name: shipped[name] for name in ("auroc", "f1", "n_normal", "n_defect")}
    card = (HERE / "inspect_demo.card.md").read_text().format(
        **measured,
        pictures=lesson["pictures"],
        synthetic=lesson["auroc_synthetic"],
        methods=", ".join(c["method"] for c in lesson["candidates"] if c["chosen"]),
        threshold=lesson["threshold"],
        false_alarms=lesson["false_alarms"],
        low=lesson["false_alarms_interval"][0],
        high=lesson["false_alarms_interval"][1],
        study_auroc=more["auroc"],
        study_false_alarms=len(more["false_alarms"]),
        study="\n".join(
            f"| {kind['kind']} | {kind['n']} | {kind['auroc']:.4f} | {kind['n'] - kind['found']} |"
            for kind in more["kinds"]
        ),
    )
    (BUNDLE / "CARD.md").write_text(card)
    (BUNDLE / "NOTICE").write_text((HERE / "inspect_demo.notice.txt").read_text())
    words = {
        "version": "0.2.0",
        "description": "Finds scratches, dents, stains and missing pieces on the turned flanges of the demo line",
        "licence": "Apache-2.0 (backbone weights), MIT OR Apache-2.0 (statistics, frames)",
    }
    describe(BUNDLE, words, measured)
    rehash(BUNDLE)
    print(card)


if __name__ == "__main__":
    main()
