"""Writes an INT8 network as TFLite: the same levels, scales and biases as the QDQ ONNX, in NHWC with i8 activations.

An activation of u8 with zero point z is the one of i8 with z - 128. Only the ops of networks.py are known. Two places
differ: TFLite fixes the scale of a sigmoid at 1/256, and a padding that is neither none nor TensorFlow's "same" is an
op of its own.
"""

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from onnx import numpy_helper, shape_inference

OPS, KINDS = schema.BuiltinOperator, schema.BuiltinOptions
SAME, VALID = schema.Padding.SAME, schema.Padding.VALID
TYPES = {"float32": schema.TensorType.FLOAT32, "int32": schema.TensorType.INT32, "int8": schema.TensorType.INT8}
# Since these versions the ops take i8, weights with a scale for each channel among them.
VERSIONS = {
    OPS.CONV_2D: 3, OPS.DEPTHWISE_CONV_2D: 3, OPS.FULLY_CONNECTED: 4, OPS.ADD: 2, OPS.MEAN: 2, OPS.MAX_POOL_2D: 2,
    OPS.PAD: 2, OPS.LOGISTIC: 2, OPS.RESIZE_NEAREST_NEIGHBOR: 2, OPS.DEQUANTIZE: 2, OPS.DEPTH_TO_SPACE: 1,
    OPS.QUANTIZE: 1,
}


def convert(model):
    """The bytes of the .tflite file."""
    return Converter(shape_inference.infer_shapes(model).graph).convert()


class Converter:
    def __init__(self, graph):
        self.graph = graph
        self.constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
        self.shapes = {
            value.name: [d.dim_value for d in value.type.tensor_type.shape.dim]
            for value in (*graph.input, *graph.value_info, *graph.output)
        }
        self.grid = {node.input[0]: node for node in graph.node if node.op_type == "QuantizeLinear"}
        self.tensors, self.buffers, self.operators, self.codes = [], [schema.BufferT(data=None)], [], []
        # An activation's name in ONNX -> its tensor here.
        self.index = {}
        # What QuantizeLinear or DequantizeLinear gives -> the activation it stands for; or, where that is a constant,
        # the DequantizeLinear itself.
        self.levels = {}

    def convert(self):
        source, target = self.graph.input[0].name, self.graph.output[0].name
        first = self.index[source] = self.tensor(source, nhwc(self.shapes[source]), np.float32)
        for node in self.graph.node:
            if node.op_type == "QuantizeLinear":
                self.levels[node.output[0]] = node.input[0]
                if node.input[0] == source:
                    self.index[source] = self.activation(source)
                    self.op(OPS.QUANTIZE, [first], self.index[source])
            elif node.op_type == "DequantizeLinear":
                self.levels[node.output[0]] = self.levels.get(node.input[0], node)
            elif node.op_type == "Flatten":
                self.levels[node.output[0]] = self.levels[node.input[0]]
                self.index[node.output[0]] = self.index[self.levels[node.input[0]]]
            else:
                inputs = [self.levels[name] for name in node.input if name in self.levels]
                attributes = {a.name: list(a.ints) if a.ints else a.i for a in node.attribute}
                getattr(self, node.op_type.lower())(node.output[0], inputs, attributes)
        inner = self.index[self.levels.get(target, target)]
        last = self.tensor(target + "_float", self.tensors[inner].shape, np.float32)
        self.op(OPS.DEQUANTIZE, [inner], last)
        return self.file(first, last)

    def conv(self, output, inputs, attributes):
        x = self.index[inputs[0]]
        weights, scales = self.constant(inputs[1])
        stride, pad = attributes["strides"][0], attributes["pads"][0]
        padding = SAME if stride == 1 else VALID
        if pad and stride > 1:
            x = self.padded(x, pad)
        sizes = {"strideW": stride, "strideH": stride, "padding": padding}
        bias = self.weights(output + "_bias", *self.constant(inputs[2]), 0)
        if attributes["group"] > 1:
            weights = self.weights(output + "_weights", weights.transpose(1, 2, 3, 0), scales, 3)
            options = KINDS.DepthwiseConv2DOptions, schema.DepthwiseConv2DOptionsT(depthMultiplier=1, **sizes)
            self.emit(OPS.DEPTHWISE_CONV_2D, [x, weights, bias], output, *options)
        else:
            weights = self.weights(output + "_weights", weights.transpose(0, 2, 3, 1), scales, 0)
            self.emit(OPS.CONV_2D, [x, weights, bias], output, KINDS.Conv2DOptions, schema.Conv2DOptionsT(**sizes))

    def gemm(self, output, inputs, attributes):
        weights = self.weights(output + "_weights", *self.constant(inputs[1]), 0)
        bias = self.weights(output + "_bias", *self.constant(inputs[2]), 0)
        options = KINDS.FullyConnectedOptions, schema.FullyConnectedOptionsT()
        self.emit(OPS.FULLY_CONNECTED, [self.index[inputs[0]], weights, bias], output, *options)

    def add(self, output, inputs, attributes):
        pair = [self.index[name] for name in inputs]
        self.emit(OPS.ADD, pair, output, KINDS.AddOptions, schema.AddOptionsT())

    def globalaveragepool(self, output, inputs, attributes):
        axes = self.numbers(output + "_axes", [1, 2])
        self.shapes[output] = self.shapes[output][:2]
        options = KINDS.ReducerOptions, schema.ReducerOptionsT(keepDims=False)
        self.emit(OPS.MEAN, [self.index[inputs[0]], axes], output, *options)

    def maxpool(self, output, inputs, attributes):
        x = self.padded(self.index[inputs[0]], attributes["pads"][0])
        kernel, stride = attributes["kernel_shape"][0], attributes["strides"][0]
        sizes = {"filterWidth": kernel, "filterHeight": kernel, "strideW": stride, "strideH": stride, "padding": VALID}
        self.emit(OPS.MAX_POOL_2D, [x], output, KINDS.Pool2DOptions, schema.Pool2DOptionsT(**sizes), like=x)

    def resize(self, output, inputs, attributes):
        x, sides = self.index[inputs[0]], self.numbers(output + "_sides", self.shapes[output][2:])
        options = KINDS.ResizeNearestNeighborOptions, schema.ResizeNearestNeighborOptionsT()
        self.emit(OPS.RESIZE_NEAREST_NEIGHBOR, [x, sides], output, *options, like=x)

    def depthtospace(self, output, inputs, attributes):
        x, options = self.index[inputs[0]], schema.DepthToSpaceOptionsT(blockSize=attributes["blocksize"])
        self.emit(OPS.DEPTH_TO_SPACE, [x], output, KINDS.DepthToSpaceOptions, options, like=x)

    def sigmoid(self, output, inputs, attributes):
        y = self.index[output] = self.tensor(output, nhwc(self.shapes[output]), np.int8, [1 / 256], [-128])
        self.op(OPS.LOGISTIC, [self.index[inputs[0]]], y)

    def padded(self, x, pad):
        """Padded by what stands for 0, which is also the least value after a ReLU."""
        shape = self.tensors[x].shape
        shape = [shape[0], shape[1] + 2 * pad, shape[2] + 2 * pad, shape[3]]
        y = self.like(f"padded{len(self.tensors)}", shape, x)
        table = self.numbers(f"pads{len(self.tensors)}", [[0, 0], [pad, pad], [pad, pad], [0, 0]])
        self.op(OPS.PAD, [x, table], y, KINDS.PadOptions, schema.PadOptionsT())
        return y

    def emit(self, code, inputs, output, kind, options, like=None):
        """An op whose result has the grid of the QuantizeLinear behind it, or the one of the tensor `like`."""
        if like is None:
            self.index[output] = self.activation(output)
        else:
            self.index[output] = self.like(output, nhwc(self.shapes[output]), like)
        self.op(code, inputs, self.index[output], kind, options)

    def activation(self, name):
        scale, zero = (self.constants[constant] for constant in self.grid[name].input[1:3])
        return self.tensor(name + "_levels", nhwc(self.shapes[name]), np.int8, [scale], [int(zero) - 128])

    def like(self, name, shape, other):
        grid = self.tensors[other].quantization
        return self.tensor(name, shape, np.int8, grid.scale, grid.zeroPoint)

    def constant(self, dequantize):
        """A constant's levels, and the scales of its channels."""
        return self.constants[dequantize.input[0]], self.constants[dequantize.input[1]]

    def weights(self, name, levels, scales, dimension):
        scales = np.atleast_1d(scales)
        return self.tensor(name, levels.shape, levels.dtype, scales, [0] * len(scales), dimension, levels)

    def numbers(self, name, values):
        values = np.int32(values)
        return self.tensor(name, values.shape, np.int32, values=values)

    def tensor(self, name, shape, dtype, scales=None, zeros=None, dimension=0, values=None):
        buffer = 0
        if values is not None:
            buffer = len(self.buffers)
            self.buffers.append(schema.BufferT(data=np.frombuffer(np.ascontiguousarray(values).tobytes(), np.uint8)))
        grid = None
        if scales is not None:
            grid = schema.QuantizationParametersT(
                scale=np.float32(scales), zeroPoint=np.int64(zeros), quantizedDimension=dimension
            )
        self.tensors.append(schema.TensorT(
            name=name, shape=np.int32(shape), type=TYPES[np.dtype(dtype).name], buffer=buffer, quantization=grid
        ))
        return len(self.tensors) - 1

    def op(self, code, inputs, output, kind=KINDS.NONE, options=None):
        if code not in self.codes:
            self.codes.append(code)
        self.operators.append(schema.OperatorT(
            opcodeIndex=self.codes.index(code), inputs=np.int32(inputs), outputs=np.int32([output]),
            builtinOptionsType=kind, builtinOptions=options,
        ))

    def file(self, first, last):
        graph = schema.SubGraphT(
            tensors=self.tensors, inputs=np.int32([first]), outputs=np.int32([last]), operators=self.operators
        )
        codes = [
            schema.OperatorCodeT(deprecatedBuiltinCode=code, builtinCode=code, version=VERSIONS[code])
            for code in self.codes
        ]
        model = schema.ModelT(version=3, operatorCodes=codes, subgraphs=[graph], buffers=self.buffers)
        builder = flatbuffers.Builder(1 << 20)
        builder.Finish(model.Pack(builder), b"TFL3")
        return bytes(builder.Output())


def nhwc(shape):
    return [shape[0], *shape[2:], shape[1]] if len(shape) == 4 else shape
