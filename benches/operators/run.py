"""Runs ONNX's node tests for ai.onnx through the engine and says which operators pass: python run.py INFER [NAME…]

INFER is the engine's example (cargo build --release --workspace --example infer). The tests come from the package onnx, which
computes them; training, text, sequences and control flow are left out. A test counts where every output has the expected type
and shape and lies within the test's own tolerance. Inputs that plans need as constants (shapes, axes, pads) are given as such
where the model is refused otherwise.
"""

import collections
import concurrent.futures
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper
from onnx.backend.test.case.node import collect_testcases

# Training, text, sequences, optional values, chance, pictures in files.
LEFT_OUT = re.compile(
    "string|sequence|optional|gradient|adagrad|adam|momentum|training|softmax_cross|sce_|nllloss|negative_log|bernoulli"
    "|image_decoder|tfidf|label_encoder|tree_ensemble|array_feature|binarizer|_if_|loop|scan"
)
TEXT = onnx.TensorProto.STRING


def is_plain(case):
    """Whether all that goes in and out are tensors of types that NumPy has."""
    values = list(case.model.graph.input) + list(case.model.graph.output)
    tensors = all(v.type.HasField("tensor_type") and v.type.tensor_type.elem_type != TEXT for v in values)
    standard = all(opset.domain in ("", "ai.onnx") for opset in case.model.opset_import)
    if not (tensors and standard and case.data_sets):
        return False
    arrays = [array for part in case.data_sets[0] for array in part]
    return all(isinstance(a, (np.ndarray, np.generic)) and np.asarray(a).dtype.kind != "V" for a in arrays)


def attempt(infer, case, is_constant, folder):
    """Runs a test with some of its inputs as constants; None where the model is refused, else what is wrong, or nothing."""
    inputs, outputs = ([np.asarray(a) for a in part] for part in case.data_sets[0])
    model = onnx.ModelProto()
    model.CopyFrom(case.model)
    del model.graph.input[:]
    given = []
    for i, (value, array) in enumerate(zip(case.model.graph.input, inputs)):
        if is_constant(i, array):
            model.graph.initializer.append(numpy_helper.from_array(array, value.name))
        else:
            model.graph.input.append(value)
            np.save(folder / f"x{i}.npy", array)
            given.append(folder / f"x{i}.npy")
    onnx.save(model, folder / "model.onnx")
    files = [folder / f"y{i}.npy" for i in range(len(outputs))]
    run = subprocess.run([infer, folder / "model.onnx", *given, "-o", *files], capture_output=True, text=True, check=False)
    if run.returncode != 0:
        return None, run.stderr.strip().splitlines()[-1], False
    island = "\n  Island " in run.stdout
    for file, expected in zip(files, outputs):
        found = np.load(file)
        if found.dtype != expected.dtype or found.shape != expected.shape:
            return False, f"{found.dtype} {found.shape} for {expected.dtype} {expected.shape}", island
        close = {"rtol": case.rtol, "atol": case.atol, "equal_nan": True}
        if expected.dtype.kind == "f":
            if not np.allclose(found.astype(float), expected.astype(float), **close):
                return False, f"differs by {np.nanmax(np.abs(found.astype(float) - expected.astype(float)))}", island
        elif not np.array_equal(found, expected):
            return False, "differs", island
    return True, "", island


def judge(infer, case):
    """Passed, failed or refused, why, and whether tract was part of it."""
    with tempfile.TemporaryDirectory() as folder:
        refusal = ""
        for is_constant in (
            lambda i, a: False,
            lambda i, a: i > 0 and (a.dtype.kind in "iub" or a.size == 0),
            lambda i, a: i > 0,
        ):
            result, why, island = attempt(infer, case, is_constant, Path(folder))
            if result is not None:
                return ("passed" if result else "failed"), why, island
            refusal = refusal or why
        return "refused", refusal, False


def main():
    infer, names = sys.argv[1], sys.argv[2:]
    cases = [c for c in collect_testcases(None) if not LEFT_OUT.search(c.name) and is_plain(c)]
    if names:
        cases = [case for case in cases if any(name in case.name for name in names)]
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        results = list(pool.map(lambda case: judge(infer, case), cases))
    operators = collections.defaultdict(collections.Counter)
    for case, (result, why, island) in zip(cases, results):
        if result != "passed":
            print(f"{result:8} {case.name}: {why}")
        if len(case.model.graph.node) == 1:
            operators[case.model.graph.node[0].op_type][f"{result} by tract" if island else result] += 1
    print("\n| operator | passed | of them by tract | failed | refused |\n|---|---|---|---|---|")
    for name, counts in sorted(operators.items()):
        by_tract = counts["passed by tract"]
        failed = counts["failed"] + counts["failed by tract"]
        print(f"| {name} | {counts['passed'] + by_tract} | {by_tract} | {failed} | {counts['refused']} |")
    passed = sum(result == "passed" for result, _, _ in results)
    print(f"\n{passed} of {len(results)} node tests of onnx {onnx.__version__} pass: {100 * passed / max(len(results), 1):.1f} %")


if __name__ == "__main__":
    main()
