"""Compares the pictures below folders as the example `decode` and as Pillow decode them: compare.py DECODE WORK FOLDER...

A picture is equal within LEVELS, or refused, or there is no reference here (Pillow does not read it and no reference picture stands
in the suite), or it is named in KNOWN with the reason. Anything else is a third answer, which is printed; the exit status is then 1.
"""

import io
import subprocess
import sys
from pathlib import Path

import numpy
from PIL import Image, ImageOps

ENDINGS = {
    "PNG": (".png",),
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif"),
    "BMP": (".bmp",),
    "TIFF": (".tif", ".tiff"),
    "WebP": (".webp",),
    "PNM": (".pnm", ".pbm", ".pgm", ".ppm", ".pam"),
}
# The largest difference, of 255. JPEG: the inverse transform and the interpolation of chroma round in other places than
# libjpeg's, 1 level of YCbCr each. Of 16 bits, and of 5 and 6, Pillow takes the upper ones where we round.
LEVELS = {"PNG": 1, "JPEG": 5, "BMP": 1, "TIFF": 1, "WebP": 0, "PNM": 1}
# What Pillow does otherwise, and why ours stands.
KNOWN = {
    "flower-rgb-planar-16.tif": "Pillow reads its planes of 16 bits as of 8; flower-rgb-contig-16.tif, the same picture, is equal",
    "pal4rletrns.bmp": "pixels that its coding skips are left open by the format",
}
# Refusals that call the file damaged.
DAMAGED = ("broken ", "not a PNG", "picture is ")
BATCH = 50


def reference(file, suite):
    """The reference picture, 8 bits RGB, or None."""
    try:
        # Pillow wants the end marker.
        without_end = file.stem.endswith("no-end")
        image = Image.open(io.BytesIO(file.read_bytes() + b"\xFF\xD9") if without_end else file)
        image.load()
        image = ImageOps.exif_transpose(image)
        if image.mode.startswith("I"):
            grey = (numpy.asarray(image).astype("int64") * 255 + 32767) // 65535
            return numpy.repeat(grey[..., None], 3, 2)
        if image.mode in ("La", "RGBa"):
            image = image.convert(image.mode.upper())
        return numpy.asarray(image.convert("RGB")).astype(int)
    except (Exception, MemoryError):
        # The suite of the crate `image` has pictures to compare with.
        other = Path(str(file).replace("/tests/images/", "/tests/reference/") + ".png")
        if other != file and other.exists():
            return numpy.asarray(Image.open(other).convert("RGB")).astype(int)
        return None


def main():
    decode, work, *folders = sys.argv[1:]
    third, rows = [], []
    for folder in map(Path, folders):
        files = sorted(file for file in folder.rglob("*") if file.is_file())
        for kind, endings in ENDINGS.items():
            chosen = [file for file in files if file.suffix.lower() in endings]
            counts = {"equal": 0, "refused by name": 0, "refused as damaged": 0, "no reference": 0, "known": 0}
            worst = 0
            for start in range(0, len(chosen), BATCH):
                batch = chosen[start : start + BATCH]
                run = subprocess.run([decode, work, *batch], capture_output=True, text=True)
                answers = [line.split("\t", 1)[1] for line in run.stdout.splitlines()]
                if run.returncode or len(answers) != len(batch):
                    third.append(f"{batch[0]} and the next {len(batch) - 1}: {run.stderr.strip()[-300:]}")
                    continue
                for index, (file, answer) in enumerate(zip(batch, answers)):
                    if not answer.startswith("ok "):
                        damaged = answer.startswith(DAMAGED)
                        counts["refused as damaged" if damaged else "refused by name"] += 1
                        continue
                    if file.name in KNOWN:
                        counts["known"] += 1
                        continue
                    expected = reference(file, folder)
                    if expected is None:
                        counts["no reference"] += 1
                        continue
                    ours = numpy.asarray(Image.open(f"{work}/{index}.png").convert("RGB")).astype(int)
                    if ours.shape != expected.shape:
                        third.append(f"{file}: size {ours.shape}, expected {expected.shape}")
                        continue
                    difference = int(abs(ours - expected).max())
                    if difference > LEVELS[kind]:
                        third.append(f"{file}: {difference} levels from the reference, {LEVELS[kind]} allowed")
                        continue
                    counts["equal"] += 1
                    worst = max(worst, difference)
            if chosen:
                rows.append([folder.name, kind, len(chosen), *counts.values(), worst])
    print("| suite | format | files | equal | refused by name | refused as damaged | no reference | known | worst level |")
    print("|---|---|---|---|---|---|---|---|---|")
    for row in rows:
        print("| " + " | ".join(map(str, row)) + " |")
    for line in third:
        print(f"THIRD ANSWER: {line}")
    return 1 if third else 0


sys.exit(main())
