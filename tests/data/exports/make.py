"""Makes the networks of this folder: `python make.py` with onnx 1.19.1. Each is so small that its answers can be told by head."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

FLOAT, BOOL = TensorProto.FLOAT, TensorProto.BOOL


def value(name, shape, kind=FLOAT):
    return helper.make_tensor_value_info(name, kind, shape)


def node(op, inputs, outputs, **attributes):
    return helper.make_node(op, inputs, outputs if isinstance(outputs, list) else [outputs], name=f"{op}_{inputs[0]}", **attributes)


def constants(**arrays):
    return [numpy_helper.from_array(np.asarray(array), name) for name, array in arrays.items()]


def save(name, inputs, outputs, nodes, initializers, notes=None):
    graph = helper.make_graph(nodes, name, inputs, outputs, initializers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8, producer_name="make.py")
    if notes:
        helper.set_model_props(model, notes)
    onnx.checker.check_model(model)
    onnx.save(model, f"{name}.onnx")


# Which of three colours a picture has most of: planes of floats, any batch, logits, no names.
head = constants(weight=8 * np.eye(3, dtype=np.float32).reshape(3, 3, 1, 1))
save(
    "classifier",
    [value("image", ["N", 3, 32, 32])],
    [value("logits", ["N", 3])],
    [node("Conv", ["image", "weight"], "scores"), node("GlobalAveragePool", ["scores"], "pooled"), node("Flatten", ["pooled"], "logits")],
    head,
)

# The same as Keras has it: pixels with channels last, scaled inside, a softmax, and the names noted as Python writes them.
scaling = constants(factor=np.float32(1 / 127.5), one=np.float32(1))
save(
    "classifier_nhwc",
    [value("image", [1, 32, 32, 3])],
    [value("shares", [1, 3])],
    [
        node("Mul", ["image", "factor"], "scaled"),
        node("Sub", ["scaled", "one"], "centred"),
        node("Transpose", ["centred"], "planes", perm=[0, 3, 1, 2]),
        node("Conv", ["planes", "weight"], "scores"),
        node("GlobalAveragePool", ["scores"], "pooled"),
        node("Flatten", ["pooled"], "flat"),
        node("Softmax", ["flat"], "shares", axis=1),
    ],
    head + scaling,
    {"names": "{0: 'red', 1: 'green', 2: 'blue'}"},
)

# As Caffe has it: the means of the channels are taken off inside, which is no normalization of 0 to 1.
names = {"names": "{0: 'red', 1: 'green', 2: 'blue'}"}
pooled = [node("GlobalAveragePool", ["scores"], "pooled"), node("Flatten", ["pooled"], "logits")]
save(
    "classifier_caffe",
    [value("image", ["N", 3, 32, 32])],
    [value("logits", ["N", 3])],
    [node("Sub", ["image", "mean"], "centred"), node("Conv", ["centred", "weight"], "scores"), *pooled],
    head + constants(mean=np.array([103.939, 116.779, 123.68], np.float32).reshape(1, 3, 1, 1)),
    names,
)

# A learned layer first, which says nothing of pictures.
ones = np.ones(3, np.float32)
save(
    "classifier_batchnorm",
    [value("image", ["N", 3, 32, 32])],
    [value("logits", ["N", 3])],
    [
        node("BatchNormalization", ["image", "scale", "bias", "middle", "variance"], "centred"),
        node("Conv", ["centred", "weight"], "scores"),
        *pooled,
    ],
    head + constants(scale=ones, bias=0 * ones, middle=0.1 * ones, variance=ones),
    names,
)

# One of its weights is no number.
broken = 8 * np.eye(3, dtype=np.float32).reshape(3, 3, 1, 1)
broken[0, 0] = np.nan
save(
    "classifier_nan",
    [value("image", ["N", 3, 32, 32])],
    [value("logits", ["N", 3])],
    [node("Conv", ["image", "weight"], "scores"), *pooled],
    constants(weight=broken),
    names,
)

# As anomalib exports: sides open, normalized inside, four outputs. What stands out of its surroundings is abnormal.
image_net = constants(
    mean=np.array([0.485, 0.456, 0.406], np.float32).reshape(1, 3, 1, 1),
    std=np.array([0.229, 0.224, 0.225], np.float32).reshape(1, 3, 1, 1),
    half=np.float32(0.5),
)
anomaly = [
    node("Sub", ["image", "mean"], "centred"),
    node("Div", ["centred", "std"], "normalized"),
    node("AveragePool", ["normalized"], "smooth", kernel_shape=[9, 9], pads=[4, 4, 4, 4]),
    node("Sub", ["normalized", "smooth"], "difference"),
    node("Abs", ["difference"], "size"),
    node("ReduceMean", ["size"], "anomaly_map", axes=[1], keepdims=1),
    node("ReduceMax", ["anomaly_map"], "pred_score", axes=[1, 2, 3], keepdims=0),
    node("Greater", ["pred_score", "half"], "pred_label"),
    node("Greater", ["anomaly_map", "half"], "pred_mask"),
]
save(
    "anomaly",
    [value("image", ["N", 3, "H", "W"])],
    [
        value("pred_score", ["N"]),
        value("pred_label", ["N"], BOOL),
        value("anomaly_map", ["N", 1, "H", "W"]),
        value("pred_mask", ["N", 1, "H", "W"], BOOL),
    ],
    anomaly,
    image_net,
)

# The root of what is brighter than a half: no number for a dark picture.
save(
    "nan",
    [value("image", [1, 3, 32, 32])],
    [value("score", [1])],
    [
        node("ReduceMean", ["image"], "level", axes=[1, 2, 3], keepdims=0),
        node("Sub", ["level", "half"], "above"),
        node("Sqrt", ["above"], "score"),
    ],
    constants(half=np.float32(0.5)),
)

# Gives the picture back without its details: means of 4 x 4 pixels, of which each becomes 4 x 4 again.
save(
    "reconstruction",
    [value("image", [1, 3, 32, 32])],
    [value("picture", [1, 3, 32, 32])],
    [
        node("AveragePool", ["image"], "small", kernel_shape=[4, 4], strides=[4, 4]),
        node("Resize", ["small", "", "scales"], "picture", mode="nearest", coordinate_transformation_mode="asymmetric", nearest_mode="floor"),
    ],
    constants(scales=np.array([1, 1, 4, 4], np.float32)),
)

# A vector of twelve: the means of the colours, and these with each other.
mixed = np.random.default_rng(0).normal(size=(12, 3, 1, 1)).astype(np.float32)
save(
    "embedder",
    [value("image", [1, 3, 32, 32])],
    [value("embedding", [1, 12])],
    [
        node("Conv", ["image", "weight"], "mixed"),
        node("GlobalAveragePool", ["mixed"], "pooled"),
        node("Flatten", ["pooled"], "embedding"),
    ],
    constants(weight=mixed),
)

# Each pixel twice along both axes, less a tenth of its neighbours' difference: a receptive field of 1.
kernel = np.zeros((4, 1, 3, 3), np.float32)
kernel[:, 0, 1, 1] = 1
for at, (y, x) in enumerate([(0, 1), (1, 0), (1, 2), (2, 1)]):
    kernel[at, 0, y, x] += 0.1
    kernel[at, 0, 1, 1] -= 0.1
save(
    "enlarge",
    [value("luma", [1, 1, "H", "W"])],
    [value("large", [1, 1, "2H", "2W"])],
    [
        node("Conv", ["luma", "kernel"], "parts", pads=[1, 1, 1, 1]),
        node("DepthToSpace", ["parts"], "large", blocksize=2, mode="CRD"),
    ],
    constants(kernel=kernel),
)
