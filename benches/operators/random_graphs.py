"""Random graphs through the engine and through ONNX Runtime: python random_graphs.py LINESIDE [--seed S] [--count N] [--bytes] [--keep DIR]

LINESIDE is the program. A graph has one to seven operators with random attributes on a small input; ONNX Runtime, without its
optimizations, tells the shapes and what is right. In floats an element may differ by 2e-4 of the output's largest, with --bytes
(QuantizeLinear and DequantizeLinear around each operator) by one step for one operator and two for several. What differs is
printed, and kept in DIR; what the engine refuses is counted by its words. Where the two are known to differ, and why, is in
docs/operators.md.
"""

import argparse
import collections
import random
import re
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

OPSET = 21
UNARY = "Abs Neg Floor Ceil Round Relu Sigmoid Tanh Erf Softplus Softsign HardSwish Selu Mish Sin Cos Atan Asinh Sign".split()
REDUCE = "ReduceMean ReduceSum ReduceMax ReduceMin ReduceL1 ReduceL2 ReduceSumSquare ReduceLogSumExp".split()


class Graph:
    """A graph that grows at its end; all tensors are float32."""

    def __init__(self, seed, in_bytes):
        self.pick = random.Random(seed)
        self.numbers = np.random.default_rng(seed)
        self.nodes, self.constants, self.made, self.kinds = [], [], 0, []
        self.in_bytes = in_bytes
        rank = self.pick.choice([2, 3, 4, 4, 4])
        sizes = {2: [(1, 9), (1, 40)], 3: [(1, 2), (1, 9), (1, 9)], 4: [(1, 2), (1, 17), (2, 13), (2, 13)]}[rank]
        self.shape = [self.pick.randint(low, high) for low, high in sizes]
        self.input = self.normal(self.shape)
        self.tensors = [("x", self.input)]
        if in_bytes:
            self.tensors = [(self.as_bytes("x", 0.02, self.pick.choice([0, 128, 255]))[1], self.input)]

    def normal(self, shape, spread=1.0):
        return self.numbers.normal(0, spread, shape).astype(np.float32)

    def name(self):
        self.made += 1
        return f"t{self.made}"

    def constant(self, values, kind=np.float32):
        name = self.name()
        self.constants.append(numpy_helper.from_array(np.asarray(values, kind), name))
        return name

    def integers(self, values):
        return self.constant(values, np.int64)

    def node(self, kind, inputs, **attributes):
        output = self.name()
        self.nodes.append(helper.make_node(kind, inputs, [output], **attributes))
        return output

    def as_bytes(self, name, scale, zero):
        """The bytes of a tensor, and these as floats again."""
        parameters = [self.constant(scale), self.constant(zero, np.uint8)]
        stored = self.node("QuantizeLinear", [name, *parameters])
        return stored, self.node("DequantizeLinear", [stored, *parameters])

    def weights(self, shape, outputs_at):
        """A constant of weights, with --bytes behind DequantizeLinear with a scale for each output."""
        if not self.in_bytes:
            return self.constant(self.normal(shape, 0.5))
        stored = self.constant(self.numbers.integers(-127, 128, shape), np.int8)
        scales = self.constant(np.abs(self.numbers.normal(0, 0.01, shape[outputs_at])) + 0.002)
        zeros = self.constant(np.zeros(shape[outputs_at]), np.int8)
        return self.node("DequantizeLinear", [stored, scales, zeros], axis=outputs_at)

    def model(self, output, kind=TensorProto.FLOAT):
        x = helper.make_tensor_value_info("x", TensorProto.FLOAT, self.shape)
        y = helper.make_tensor_value_info(output, kind, None)
        graph = helper.make_graph(self.nodes, "random", [x], [y], self.constants)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=10)

    def grow(self):
        """Adds one operator, unless it does not fit what there is."""
        marks = len(self.nodes), len(self.constants)
        name, values = self.pick.choice(self.tensors[-3:])
        kind = self.pick.choice([kind for kind, rank in OPERATORS if values.ndim in rank])
        try:
            output = kind(self, name, list(values.shape))
            values = run(self.model(output), self.input)
            sound = 0 < values.size <= 100_000 and values.ndim and np.isfinite(values).all() and np.abs(values).max() < 1e4
            if not sound:
                raise ValueError("nothing to compare")
        except Exception:  # whatever ONNX Runtime says against it: the next one will do
            del self.nodes[marks[0] :], self.constants[marks[1] :]
            return
        if self.in_bytes:
            low, high = min(0.0, float(values.min())), max(0.0, float(values.max()))
            scale = max(1e-4, (high - low) / 255)
            self.stored, output = self.as_bytes(output, scale, int(np.clip(round(-low / scale), 0, 255)))
        self.kinds.append(kind.__name__)
        self.tensors.append((output, values))


def run(model, x):
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads, options.log_severity_level = 1, 4
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return session.run(None, {"x": x})[0]


# --- operators: each takes the graph, a tensor and its shape, and gives the name of what it makes ------------------------------


def function(g, x, _):
    return g.node(g.pick.choice(UNARY), [x])


def function_with_attributes(g, x, _):
    kind, attributes = g.pick.choice(
        [("LeakyRelu", {"alpha": 0.1}), ("Elu", {"alpha": 1.5}), ("Celu", {"alpha": 0.5}), ("HardSigmoid", {"alpha": 1 / 6})]
        + [("Gelu", {"approximate": how}) for how in ("none", "tanh")]
    )
    return g.node(kind, [x], **attributes)


def clip(g, x, _):
    low, high = sorted(g.numbers.normal(0, 1, 2))
    return g.node("Clip", [x, g.constant(low), g.constant(high)])


def two_tensors(g, x, shape):
    other = g.pick.choice([name for name, values in g.tensors if list(values.shape) == shape])
    return g.node(g.pick.choice(["Add", "Sub", "Mul", "Max", "Min"]), [x, other])


def with_constant(g, x, shape):
    kept = [dim if g.pick.random() < 0.6 else 1 for dim in shape][g.pick.randrange(len(shape) + 1) :]
    operands = [x, g.constant(g.normal(kept))]
    return g.node(g.pick.choice(["Add", "Sub", "Mul", "Max", "PRelu"]), operands)


def reduce(g, x, shape):
    axes = g.pick.sample(range(len(shape)), g.pick.randint(1, len(shape)))
    return g.node(g.pick.choice(REDUCE), [x, g.integers(sorted(axes))], keepdims=g.pick.randint(0, 1))


def softmax(g, x, shape):
    return g.node(g.pick.choice(["Softmax", "LogSoftmax"]), [x], axis=g.pick.randrange(-len(shape), len(shape)))


def transpose(g, x, shape):
    return g.node("Transpose", [x], perm=g.pick.sample(range(len(shape)), len(shape)))


def reshape(g, x, shape):
    size = int(np.prod(shape))
    first = g.pick.choice([part for part in range(1, size + 1) if size % part == 0])
    return g.node("Reshape", [x, g.integers([first, -1])])


def cut(g, x, shape):
    axis, step = g.pick.randrange(len(shape)), g.pick.choice([1, 1, 2, -1])
    first = g.pick.randrange(shape[axis])
    end = -shape[axis] - 1 if step < 0 else g.pick.randint(first + 1, shape[axis])
    return g.node("Slice", [x, *(g.integers([value]) for value in (first, end, axis, step))])


def pad(g, x, shape):
    pads = [g.pick.randint(0, min(2, dim - 1)) for dim in shape * 2]
    return g.node("Pad", [x, g.integers(pads)], mode=g.pick.choice(["constant", "reflect", "edge"]))


def join(g, x, shape):
    axis = g.pick.randrange(len(shape))
    others = shape[:axis] + shape[axis + 1 :]
    fit = [n for n, v in g.tensors if v.ndim == len(shape) and [*v.shape[:axis], *v.shape[axis + 1 :]] == others]
    return g.node("Concat", [x, g.pick.choice(fit)], axis=axis - g.pick.choice([0, len(shape)]))


def gather(g, x, shape):
    axis = g.pick.randrange(len(shape))
    places = [g.pick.randrange(-shape[axis], shape[axis]) for _ in range(g.pick.randint(1, 4))]
    return g.node("Gather", [x, g.integers(places)], axis=axis)


def normalization(g, x, shape):
    axis = g.pick.randrange(1, len(shape))
    scale, bias = (g.constant(g.normal(shape[axis:])) for _ in range(2))
    return g.node("LayerNormalization", [x, scale, bias], axis=axis)


def product(g, x, shape):
    return g.node("MatMul", [x, g.weights([shape[-1], g.pick.randint(1, 33)], 1)])


def convolution(g, x, shape):
    channels, sides = shape[1], len(shape) - 2
    group = g.pick.choice([1, 1, *(part for part in range(1, channels + 1) if channels % part == 0)])
    kernel = [g.pick.choice([1, 2, 3, 3, 5]) for _ in range(sides)]
    weights = g.weights([group * g.pick.randint(1, 9), channels // group, *kernel], 0)
    some = lambda most: [g.pick.randint(1, most) for _ in range(sides)]  # noqa: E731
    where = g.pick.choice([{"pads": [g.pick.randint(0, 2) for _ in range(2 * sides)]}, {"auto_pad": "SAME_UPPER"}])
    return g.node("Conv", [x, weights], group=group, strides=some(3), dilations=some(2), **where)


def transposed_convolution(g, x, shape):
    channels, sides = shape[1], len(shape) - 2
    kernel = [g.pick.choice([1, 2, 3, 4]) for _ in range(sides)]
    if g.in_bytes:
        return convolution(g, x, shape)
    weights = g.constant(g.normal([channels, g.pick.randint(1, 9), *kernel], 0.5))
    pads = [g.pick.randint(0, 1) for _ in range(2 * sides)]
    return g.node("ConvTranspose", [x, weights], strides=[g.pick.randint(1, 3) for _ in range(sides)], pads=pads)


def pool(g, x, shape):
    sides = len(shape) - 2
    kernel = [g.pick.randint(1, 3) for _ in range(sides)]
    pads = [g.pick.randint(0, side - 1) for side in kernel] * 2
    attributes = {"kernel_shape": kernel, "pads": pads, "strides": [g.pick.randint(1, 3) for _ in range(sides)]}
    if g.pick.random() < 0.5:
        return g.node("MaxPool", [x], ceil_mode=g.pick.randint(0, 1), **attributes)
    return g.node("AveragePool", [x], ceil_mode=g.pick.randint(0, 1), count_include_pad=g.pick.randint(0, 1), **attributes)


def resize(g, x, shape):
    mode = g.pick.choice(["nearest", "linear", "cubic"])
    place = g.pick.choice(["half_pixel", "asymmetric", "align_corners", "pytorch_half_pixel"])
    attributes = {"mode": mode, "coordinate_transformation_mode": place}
    if mode == "nearest":
        attributes["nearest_mode"] = g.pick.choice(["floor", "ceil", "round_prefer_floor", "round_prefer_ceil"])
    sizes = g.integers([*shape[:2], *(g.pick.randint(2, 25) for _ in shape[2:])])
    return g.node("Resize", [x, "", "", sizes], **attributes)


def normalization_by_channel(g, x, shape):
    scale, bias, mean = (g.constant(g.normal([shape[1]])) for _ in range(3))
    if g.pick.random() < 0.5:
        return g.node("InstanceNormalization", [x, scale, bias])
    return g.node("BatchNormalization", [x, scale, bias, mean, g.constant(np.abs(g.normal([shape[1]])) + 0.1)])


def global_pool(g, x, _):
    return g.node(g.pick.choice(["GlobalAveragePool", "GlobalMaxPool"]), [x])


def depth_to_space(g, x, _):
    return g.node("DepthToSpace", [x], blocksize=2, mode=g.pick.choice(["DCR", "CRD"]))


def quotient(g, x, shape):
    kept = [dim if g.pick.random() < 0.6 else 1 for dim in shape][g.pick.randrange(len(shape) + 1) :]
    if g.pick.random() < 0.5:
        return g.node("Div", [x, g.constant(np.sign(g.normal(kept)) * (np.abs(g.normal(kept)) + 0.3))])
    return g.node("Pow", [g.node("Abs", [x]), g.constant(g.pick.choice([0.5, 1.0, 2.0, 3.0]))])


def choice(g, x, shape):
    """By a comparison, and what comes of it as numbers."""
    bound = g.constant(g.normal([1]))
    kind = g.pick.choice(["Less", "Greater", "LessOrEqual", "GreaterOrEqual"])
    chosen = g.node(kind, [x, bound])
    if g.pick.random() < 0.3:
        chosen = g.node("Not", [chosen])
    if g.pick.random() < 0.3:
        return g.node("Cast", [chosen], to=TensorProto.FLOAT)
    other = g.pick.choice([name for name, values in g.tensors if list(values.shape) == shape])
    return g.node("Where", [chosen, x, g.pick.choice([other, bound])])


def largest(g, x, shape):
    kind, axis = g.pick.choice(["ArgMax", "ArgMin"]), g.pick.randrange(-len(shape), len(shape))
    found = g.node(kind, [x], axis=axis, keepdims=1, select_last_index=g.pick.randint(0, 1))
    if g.pick.random() < 0.5:
        return g.node("GatherElements", [x, found], axis=axis)
    return g.node("Cast", [found], to=TensorProto.FLOAT)


def repeat(g, x, shape):
    if g.pick.random() < 0.5:
        return g.node("Tile", [x, g.integers([g.pick.choice([1, 1, 2, 3]) for _ in shape])])
    return g.node("Expand", [x, g.integers([g.pick.randint(1, 2), *(dim if dim > 1 else g.pick.randint(1, 3) for dim in shape)])])


def part(g, x, shape):
    """One of several parts."""
    axis = g.pick.randrange(len(shape))
    if shape[axis] < 2:
        raise ValueError("nothing to split")
    first = g.pick.randint(1, shape[axis] - 1)
    names = [g.name(), g.name()]
    g.nodes.append(helper.make_node("Split", [x, g.integers([first, shape[axis] - first])], names, axis=axis))
    return g.pick.choice(names)


def another_rank(g, x, shape):
    ones = [axis for axis, dim in enumerate(shape) if dim == 1]
    if ones and g.pick.random() < 0.5:
        return g.node("Squeeze", [x, g.integers([g.pick.choice(ones)])])
    if g.pick.random() < 0.5:
        return g.node("Flatten", [x], axis=g.pick.randint(0, len(shape)))
    return g.node("Unsqueeze", [x, g.integers([g.pick.randrange(-len(shape) - 1, len(shape) + 1)])])


def by_shape(g, x, shape):
    """A shape that is computed in the graph, as exporters write it."""
    sides = g.node("Shape", [x])
    last = g.node("Gather", [sides, g.integers(len(shape) - 1)], axis=0)
    wanted = g.node("Concat", [g.integers([-1]), g.node("Unsqueeze", [last, g.integers([0])])], axis=0)
    return g.node("Reshape", [x, wanted])


def dense(g, x, shape):
    columns, turned = g.pick.randint(1, 33), g.pick.randint(0, 1)
    weights = g.weights([columns, shape[1]] if turned else [shape[1], columns], 0 if turned else 1)
    bias = [] if g.in_bytes else [g.constant(g.normal(g.pick.choice([[columns], [1, columns], [1]])))]
    factors = {} if g.in_bytes else {"alpha": g.pick.choice([1.0, 0.5]), "beta": g.pick.choice([1.0, 2.0])}
    return g.node("Gemm", [x, weights, *bias], transB=turned, **factors)


def attention(g, x, shape):
    """A product of a tensor with itself, turned."""
    turned = [*range(len(shape) - 2), len(shape) - 1, len(shape) - 2]
    scores = g.node("MatMul", [x, g.node("Transpose", [x], perm=turned)])
    scores = g.node("Mul", [scores, g.constant(1 / np.sqrt(shape[-1]))])
    return g.node("MatMul", [g.node("Softmax", [scores], axis=-1), x])


def sum_along(g, x, shape):
    return g.node("CumSum", [x, g.integers(g.pick.randrange(len(shape)))], exclusive=g.pick.randint(0, 1), reverse=g.pick.randint(0, 1))


def best(g, x, shape):
    axis = g.pick.randrange(len(shape))
    names = [g.name(), g.name()]
    k = g.integers([g.pick.randint(1, shape[axis])])
    g.nodes.append(helper.make_node("TopK", [x, k], names, axis=axis, largest=g.pick.randint(0, 1)))
    return names[0]


def in_groups(g, x, shape):
    group = g.pick.choice([part for part in range(1, shape[1] + 1) if shape[1] % part == 0])
    return g.node("GroupNormalization", [x, g.constant(g.normal([shape[1]])), g.constant(g.normal([shape[1]]))], num_groups=group)


def recurrent(g, x, shape):
    kind, hidden = g.pick.choice([("LSTM", 4), ("GRU", 3), ("RNN", 1)]), g.pick.randint(1, 9)
    directions = g.pick.choice([1, 2])
    inputs = [x]
    for sides in ([kind[1] * hidden, shape[2]], [kind[1] * hidden, hidden], [2 * kind[1] * hidden]):
        inputs.append(g.constant(g.normal([directions, *sides], 0.4)))
    direction = "bidirectional" if directions == 2 else g.pick.choice(["forward", "reverse"])
    more = {"linear_before_reset": g.pick.randint(0, 1)} if kind[0] == "GRU" else {}
    return g.node(kind[0], inputs, hidden_size=hidden, direction=direction, **more)


def triangle(g, x, _):
    return g.node("Trilu", [x, g.integers(g.pick.randint(-2, 2))], upper=g.pick.randint(0, 1))


def remainder(g, x, _):
    return g.node("Mod", [x, g.constant(g.pick.choice([0.7, 1.5, 3.0]))], fmod=1)


def space_to_depth(g, x, _):
    return g.node("SpaceToDepth", [x], blocksize=2)


def moved(g, x, shape):
    """Some elements replaced."""
    axis = g.pick.randrange(len(shape))
    count = g.pick.randint(1, 3)
    sides = [*shape[:axis], count, *shape[axis + 1 :]]
    places = np.stack([g.numbers.permutation(shape[axis])[:count] for _ in range(int(np.prod(sides)) // count)])
    places = np.moveaxis(places.reshape([*shape[:axis], *shape[axis + 1 :], count]), -1, axis)
    return g.node("ScatterElements", [x, g.integers(places), g.constant(g.normal(sides))], axis=axis)


def as_exported(g, x, shape):
    """Layer normalisation, Swish and Gelu as chains of smaller operators."""
    which = g.pick.randrange(3)
    if which == 0:
        mean = g.node("ReduceMean", [x, g.integers([-1])], keepdims=1)
        off = g.node("Sub", [x, mean])
        spread = g.node("ReduceMean", [g.node("Pow", [off, g.constant(2.0)]), g.integers([-1])], keepdims=1)
        root = g.node("Sqrt", [g.node("Add", [spread, g.constant(1e-5)])])
        return g.node("Add", [g.node("Mul", [g.node("Div", [off, root]), g.constant(g.normal(shape[-1:]))]), g.constant(g.normal(shape[-1:]))])
    if which == 1:
        return g.node("Mul", [x, g.node("Sigmoid", [x])])
    error = g.node("Erf", [g.node("Div", [x, g.constant(np.sqrt(2.0))])])
    return g.node("Mul", [g.node("Mul", [x, g.node("Add", [error, g.constant(1.0)])]), g.constant(0.5)])


ANY, PICTURE, MAPS = range(1, 7), [4], [3, 4]
OPERATORS = [
    *((kind, ANY) for kind in (function, function_with_attributes, clip, two_tensors, with_constant, reduce, softmax)),
    *((kind, ANY) for kind in (transpose, reshape, cut, pad, join, gather)),
    *((kind, ANY) for kind in (quotient, choice, largest, repeat, part, another_rank, by_shape, sum_along, best, remainder, moved)),
    *((kind, ANY) for kind in (as_exported, as_exported)),
    *((kind, [2]) for kind in (dense, dense)),
    *((kind, range(2, 7)) for kind in (attention, triangle)),
    *((kind, [3]) for kind in (recurrent, recurrent)),
    *((kind, MAPS) for kind in (in_groups,)),
    *((kind, range(2, 7)) for kind in (normalization, product, product)),
    *((kind, MAPS) for kind in (convolution, convolution, convolution, pool, pool, transposed_convolution)),
    *((kind, PICTURE) for kind in (resize, normalization_by_channel, global_pool, depth_to_space, space_to_depth)),
]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("lineside", type=lambda path: Path(path).resolve())
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--bytes", action="store_true")
    parser.add_argument("--keep", type=Path, default=Path("random-graphs"))
    arguments = parser.parse_args()
    counts, refused = collections.Counter(), collections.Counter()
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / name for name in ("model.onnx", "x.npy", "y.npy")]
        for number in range(arguments.seed * 1_000_000, arguments.seed * 1_000_000 + arguments.count):
            graph = Graph(number, arguments.bytes)
            for _ in range(graph.pick.randint(1, 7)):
                graph.grow()
            if not graph.kinds:
                continue
            # The last one in bytes; one that only passes them on would compare nothing.
            output, kind = (graph.stored, TensorProto.UINT8) if arguments.bytes else (graph.tensors[-1][0], TensorProto.FLOAT)
            model = graph.model(output, kind)
            try:
                expected = run(model, graph.input)
            except Exception:  # its own inference of shapes goes wrong now and then
                counts["not run by ONNX Runtime"] += 1
                continue
            counts["run"] += 1
            onnx.save(model, paths[0])
            np.save(paths[1], graph.input)
            command = [arguments.lineside, "infer", paths[0], "-i", paths[1], "-o", paths[2]]
            said = subprocess.run(command, capture_output=True, text=True, check=False)
            if said.returncode != 0:
                counts["refused"] += 1
                refused[re.sub(r"^.*?model\.onnx: |\bt?\d+\b", "", said.stderr.strip().splitlines()[-1])] += 1
                continue
            found = np.load(paths[2])
            if found.shape == expected.shape:
                difference = np.abs(found.astype(np.float64) - expected.astype(np.float64)).max()
                allowed = (1 if len(graph.kinds) == 1 else 2) if arguments.bytes else 2e-4 * max(1e-3, np.abs(expected).max())
                if difference <= allowed:
                    counts["equal" if difference == 0 else "near"] += 1
                    continue
                what = f"{difference:.3g}, {allowed:.3g} allowed"
            else:
                what = f"shape {found.shape}, not {expected.shape}"
            counts["different"] += 1
            arguments.keep.mkdir(exist_ok=True)
            onnx.save(model, arguments.keep / f"{number}.onnx")
            np.save(arguments.keep / f"{number}.npy", graph.input)
            print(f"{number}: {', '.join(graph.kinds)}: {what}", flush=True)
    print(", ".join(f"{count} {name}" for name, count in counts.items()))
    for words, count in refused.most_common():
        print(f"  {count} refused: {words}")


if __name__ == "__main__":
    main()
