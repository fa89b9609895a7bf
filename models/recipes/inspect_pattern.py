"""inspect-pattern: what normal parts of the synthetic line look like, taught from [source.pattern] itself.

    models/recipes/build inspect-pattern

Needs the lineside binary: LINESIDE_BIN, or target/release/lineside.
"""

import json
import shutil
import tempfile
from pathlib import Path

from bundle import rehash
from taught import describe, figures, lineside

HERE = Path(__file__).parent
BUNDLE = HERE.parent / "inspect-pattern"

# Frames of no set have a seed in common.
TAUGHT_SEED, STUDY_SEED = 1, 7
TAUGHT_FRAMES, STUDY_FRAMES = 200, 1000
STUDY_DEFECT_EVERY = 4

# --- the line, as src/source/pattern.rs draws it --------------------------------------------------------------------

WIDTH, HEIGHT, STEP = 640, 480, 12


def scratch_columns(frame):
    """How many columns of a frame a scratch runs through."""
    pitch, radius = HEIGHT * 5 // 4, HEIGHT * 3 // 8
    columns = 0
    for x in range(WIDTH):
        part, at = divmod(x + frame * STEP, pitch)
        dx = at - pitch // 2
        on_part = dx > radius // 3 and dx * dx + (dx // 3) ** 2 <= radius * radius
        columns += on_part and part % STUDY_DEFECT_EVERY == STUDY_DEFECT_EVERY - 1
    return columns


# --- the recipe -----------------------------------------------------------------------------------------------------


def teach(folder):
    config = folder / "line.toml"
    config.write_text(f"[source.pattern]\nseed = {TAUGHT_SEED}\n")
    taught = folder / BUNDLE.name
    lesson = figures("teach", "--camera", config, "--every", 0, "--frames", TAUGHT_FRAMES, "--out", taught)
    shutil.rmtree(BUNDLE, ignore_errors=True)
    shutil.copytree(taught, BUNDLE)
    return lesson


def study(folder):
    """Other noise and more scratches than it was taught beside: which frames are events."""
    config, results = folder / "study.toml", folder / "results"
    config.write_text(
        f"[source.pattern]\nseed = {STUDY_SEED}\nframes = {STUDY_FRAMES}\ndefect_every = {STUDY_DEFECT_EVERY}\n"
        f'[anomaly]\nbundle = "{BUNDLE}"\n[super_resolution]\nwhen = "never"\n[output]\nfolder = "{results}"\n'
    )
    lineside("run", config)
    records = map(json.loads, (results / "events.jsonl").read_text().splitlines())
    events = {int(record["frame"].split("-")[1]) for record in records if record["record"] == "event"}
    columns = [scratch_columns(frame) for frame in range(STUDY_FRAMES)]
    normal = [frame for frame, count in enumerate(columns) if count == 0]
    # Half of the scratch at least: of one that enters or leaves the picture, less is no defect to rely on.
    scratched = [frame for frame, count in enumerate(columns) if 2 * count >= max(columns)]
    return {
        "n_normal": len(normal),
        "n_defect": len(scratched),
        "false_alarms": len(events.intersection(normal)),
        "missed": len(set(scratched) - events),
    }


def main():
    with tempfile.TemporaryDirectory() as folder:
        lesson = teach(Path(folder))
    with tempfile.TemporaryDirectory() as folder:
        measured = study(Path(folder))
    card = (HERE / "inspect_pattern.card.md").read_text().format(
        **measured,
        pictures=lesson["pictures"],
        methods=", ".join(c["method"] for c in lesson["candidates"] if c["chosen"]),
    )
    (BUNDLE / "CARD.md").write_text(card)
    words = {
        "version": "0.1.0",
        "description": "Finds scratches on the parts of the synthetic line, [source.pattern]",
        "licence": "Apache-2.0 (backbone weights), MIT OR Apache-2.0 (statistics)",
    }
    describe(BUNDLE, words, measured)
    rehash(BUNDLE)
    print(card)


if __name__ == "__main__":
    main()
