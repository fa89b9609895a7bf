#!/bin/sh
# Makes the files of other formats that other programs write, 13x7 pixels: grey is 19x + 36y, RGB is that, 255 - that, and 11x.
# Needs Python with Pillow (13.0.0) and numpy, and tiffcp of libtiff (4.5.0).
set -eu
cd "$(dirname "$0")"
python=${PYTHON:-python3}
"$python" - <<'PYTHON'
import struct
import numpy as np
from PIL import Image

y, x = np.mgrid[0:7, 0:13]
grey = ((19 * x + 36 * y) % 256).astype("uint8")
rgb = np.stack([grey, 255 - grey, 11 * x], -1).astype("uint8")
Image.fromarray(rgb).save("rgb.tif")
Image.fromarray(rgb).save("rgb_lzw.tif", compression="tiff_lzw")
Image.fromarray(rgb).save("rgb_packbits.tif", compression="packbits")
Image.fromarray(grey).point(lambda v: 255 * (v > 127)).convert("1").save("bits_group4.tif", compression="group4")
Image.fromarray(grey).convert("P").save("palette.tif")
Image.fromarray(rgb).save("pages.tif", save_all=True, append_images=[Image.fromarray(grey)], compression="tiff_deflate")
Image.fromarray(rgb).save("lossless.webp", lossless=True)
Image.fromarray(rgb).save("lossy.webp", quality=90)


def bmp(name, bits, rows, compression=0, masks=b"", palette=b"", header=40, height=7, pixels=None):
    """A BMP whose rows come in the order of the file."""
    data = b"".join(row + b"\0" * (-len(row) % 4) for row in rows) if pixels is None else pixels
    if header == 12:
        info = struct.pack("<IHHHH", 12, 13, height, 1, bits)
    else:
        info = struct.pack("<IiiHHIIiiII", header, 13, height, 1, bits, compression, len(data), 3780, 3780, len(palette) // 4, 0)
        # Of a longer header, masks are a part.
        info += masks + b"\0" * max(0, header - 40 - len(masks))
    start = 14 + len(info) + len(palette)
    open(name, "wb").write(b"BM" + struct.pack("<IHHI", start + len(data), 0, 0, start) + info + palette + data)


up = range(6, -1, -1)
bgr = rgb[..., ::-1]
bmp("top_down.bmp", 24, [bgr[y].tobytes() for y in range(7)], height=-7)
bmp("os2.bmp", 24, [bgr[y].tobytes() for y in up], header=12)
r, g, b = (rgb[..., i].astype("uint16") for i in range(3))
bmp("565.bmp", 16, [((r >> 3) << 11 | (g >> 2) << 5 | b >> 3)[y].astype("<u2").tobytes() for y in up], 3, struct.pack("<III", 0xF800, 0x7E0, 0x1F))
bmp("555.bmp", 16, [((r >> 3) << 10 | (g >> 3) << 5 | b >> 3)[y].astype("<u2").tobytes() for y in up])
bgrx = np.dstack([bgr, np.zeros((7, 13), "uint8")])
bmp("32.bmp", 32, [bgrx[y].tobytes() for y in up])
alpha = np.dstack([bgr, np.full((7, 13), 255, "uint8")])
masks = struct.pack("<IIII", 0xFF0000, 0xFF00, 0xFF, 0xFF000000)
bmp("alpha.bmp", 32, [alpha[y].tobytes() for y in up], 3, masks, header=108)
ramp = b"".join(bytes([i, i, i, 0]) for i in range(256))
rle = b"".join(b"".join(bytes([1, v]) for v in grey[y]) + b"\0\0" for y in up) + b"\0\1"
bmp("rle8.bmp", 8, [], 1, palette=ramp, pixels=rle)
ramp = b"".join(bytes([17 * i] * 3 + [0]) for i in range(16))
rle = b"".join(b"".join(bytes([1, v & 0xF0]) for v in grey[y]) + b"\0\0" for y in up) + b"\0\1"
bmp("rle4.bmp", 4, [], 2, palette=ramp, pixels=rle)
PYTHON
tiffcp -t -w 16 -l 16 -c zip:2 rgb.tif tiles.tif
tiffcp -p separate rgb.tif planes.tif
tiffcp -8 -B rgb.tif big.tif
