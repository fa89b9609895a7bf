"""Writes a bundle's manifest and golden vectors: what every recipe does last.

A bundle is a folder with a model and all it needs; bundle.toml says what it is and holds the SHA-256 of every
other file in it.

    models/recipes/build rehash models/NAME       renews only the [files] table
"""

import hashlib
import json
import sys
from pathlib import Path

import numpy as np

MANIFEST = "bundle.toml"
FILES = "[files]\n"


def write_bundle(folder: Path, manifest: dict):
    """Writes folder/bundle.toml: `manifest` in the order given, then [files]. Call it when all files are in place."""
    (folder / MANIFEST).write_text(to_toml(manifest) + "\n" + files_table(folder), encoding="utf-8")


def rehash(folder: Path):
    """Renews the [files] table of an existing bundle and leaves the rest of its manifest as it stands."""
    path = folder / MANIFEST
    if not path.is_file():
        sys.exit(f"{path}: no such bundle")
    head, found, _ = path.read_text(encoding="utf-8").partition(FILES)
    if not found:
        sys.exit(f"{path}: no [files] table to renew")
    path.write_text(head + files_table(folder), encoding="utf-8")


def golden(folder: Path, n: int, given: np.ndarray, expected, tolerance: int) -> dict:
    """Saves golden vector `n` as npy (version 1, C order); returns its [[golden]] entry. `expected` is the output, or,
    of a model with several, the outputs by name in the model's order. `tolerance` is in LSB."""
    outputs = expected if isinstance(expected, dict) else {"output": expected}
    arrays = {f"golden/{n}.{name}.npy": array for name, array in {"input": given, **outputs}.items()}
    (folder / "golden").mkdir(parents=True, exist_ok=True)
    for file, array in arrays.items():
        with open(folder / file, "wb") as out:
            np.lib.format.write_array(out, np.ascontiguousarray(array), version=(1, 0))
    given_file, *files = arrays
    return {"input": given_file, "output": files if isinstance(expected, dict) else files[0], "tolerance": tolerance}


def files_table(folder: Path) -> str:
    names = sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())
    hashes = ((name, hashlib.sha256((folder / name).read_bytes()).hexdigest()) for name in names if name != MANIFEST)
    return FILES + "".join(f'{quoted(name)} = "{digest}"\n' for name, digest in hashes)


def to_toml(manifest: dict) -> str:
    """TOML of values, tables and arrays of tables, one level deep: all that a manifest is made of."""
    values, tables = [], []
    for key, value in manifest.items():
        if isinstance(value, dict):
            tables.append(f"\n[{key}]\n" + assignments(value))
        elif isinstance(value, list):
            tables.extend(f"\n[[{key}]]\n" + assignments(entry) for entry in value)
        else:
            values.append(f"{key} = {literal(value)}\n")
    return "".join(values + tables)


def assignments(table: dict) -> str:
    return "".join(f"{key} = {literal(value)}\n" for key, value in table.items())


def literal(value) -> str:
    if isinstance(value, str):
        return quoted(value)
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (int, np.integer)):
        return str(int(value))
    if isinstance(value, (float, np.floating)):
        return repr(float(value))
    if isinstance(value, list):
        return f"[{', '.join(map(literal, value))}]"
    raise TypeError(f"a manifest holds text, numbers, booleans and lists of them, not {value!r}")


def quoted(text: str) -> str:
    # A JSON string is a TOML basic string, as long as its characters are not escaped in surrogate pairs.
    return json.dumps(text, ensure_ascii=False)


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["rehash", folder]:
            rehash(Path(folder))
        case _:
            sys.exit("usage: build rehash models/NAME")
