"""What the measurement ran on."""

import platform
from pathlib import Path

# The instructions that decide how fast 8-bit products are added up.
TELLING = (
    "ssse3", "avx2", "fma", "avx_vnni", "avx_vnni_int8", "avx512f", "avx512bw", "avx512_vnni", "avx512_bf16",
    "amx_int8", "amx_bf16", "asimd", "asimddp", "i8mm", "sve", "bf16",
)


def describe():
    known = {}
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        key, _, value = line.partition(":")
        known.setdefault(key.strip().lower(), value.strip())
    flags = known.get("flags", known.get("features", "")).split()
    names = (known.get(key) for key in ("model name", "model", "hardware"))
    model = next((name for name in names if name and not name.isdigit()), platform.machine())
    family = " ".join(f"{key} {known[key]}" for key in ("cpu family", "model") if known.get(key, "").isdigit())
    return {
        "cpu": f"{model} ({family})" if family else model,
        "flags": [flag for flag in TELLING if flag in flags],
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
    }
