"""Networks that nobody here made, in floats and in INT8, beside ONNX Runtime on one thread: python field.py INFER FOLDER [ROUNDS]

INFER is the engine's example (cargo build --release --workspace --example infer); FOLDER is where benches/quantize/run put networks and
inputs: every NAME*.onnx there is run on NAME_test.npy, or on NAME-INPUT_test.npy for each of its inputs. The two take turns; each
turn is a median of nine runs, and the ratio is that of a median turn.
"""

import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import onnxruntime as ort

KINDS = {"tensor(float)": np.float32, "tensor(int64)": np.int64, "tensor(uint8)": np.uint8}


def inputs(session, folder, name):
    """One sample for each input of a network, or None where they are not there."""
    arrays = []
    for given in session.get_inputs():
        files = [folder / f"{name}_test.npy", folder / f"{name}-{given.name}_test.npy"]
        found = [file for file in files if file.exists()]
        if not found or given.type not in KINDS:
            return None
        arrays.append(np.load(found[0], mmap_mode="r")[:1].astype(KINDS[given.type]))
    return arrays


def ours(infer, model, arrays, count, folder):
    """Milliseconds, and the outputs."""
    files = [folder / f"x{i}.npy" for i in range(len(arrays))]
    results = [folder / f"y{i}.npy" for i in range(count)]
    for file, array in zip(files, arrays):
        np.save(file, array)
    run = subprocess.run([infer, model, *files, "-o", *results], capture_output=True, text=True, check=False)
    if run.returncode != 0:
        raise RuntimeError(run.stderr.strip().splitlines()[-1])
    share = float(re.search(r"([\d.]+) % of the mul", run.stdout)[1])
    return float(re.search(r"median time ([\d.]+) ms", run.stdout)[1]), [np.load(file) for file in results], share


def main():
    infer, folder = sys.argv[1], Path(sys.argv[2])
    rounds = int(sys.argv[3]) if len(sys.argv) > 3 else 5
    options = ort.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 3
    ratios = {"floats": [], "integers": []}
    print("| network | in integers | ours ms | ONNX Runtime ms | ratio (least to greatest) | largest difference of outputs |\n|---|---|---|---|---|---|")
    for path in sorted(folder.glob("*.onnx")):
        name = path.name.split(".")[0]
        session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        arrays = inputs(session, folder, name)
        if arrays is None:
            print(f"| {path.stem} | no inputs for it in {folder} |")
            continue
        feeds = {given.name: array for given, array in zip(session.get_inputs(), arrays)}
        expected = session.run(None, feeds)
        turns = []
        with tempfile.TemporaryDirectory() as scratch:
            for _ in range(rounds):
                times = []
                for _ in range(9):
                    start = time.perf_counter()
                    session.run(None, feeds)
                    times.append(1e3 * (time.perf_counter() - start))
                theirs = sorted(times)[4]
                try:
                    mine, found, share = ours(infer, path, arrays, len(expected), Path(scratch))
                except RuntimeError as error:
                    print(f"| {path.stem} | {error} |")
                    break
                turns.append((mine / theirs, mine, theirs))
        if not turns:
            continue
        turns.sort()
        ratio, mine, theirs = turns[len(turns) // 2]
        ratios["integers" if share > 50 else "floats"].append(ratio)
        apart = max(np.abs(a.astype(np.float64) - b.astype(np.float64)).max() for a, b in zip(found, expected))
        print(f"| {path.stem} | {share:.0f} % | {mine:.2f} | {theirs:.2f} | {ratio:.2f} ({turns[0][0]:.2f} to {turns[-1][0]:.2f}) | {apart:.2g} |", flush=True)
    for kind, found in ratios.items():
        if found:
            print(f"\ngeometric mean of {len(found)} in {kind}: {np.exp(np.mean(np.log(found))):.2f}")


if __name__ == "__main__":
    main()
