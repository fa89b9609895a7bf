"""Writes an INT8 network as ncnn's .param and .bin, as its ncnn2int8 would: i8 convolutions, floats between.

The graph is the fp32 ONNX, weights and scales are those of the QDQ ONNX. ncnn's activations are i8 without a zero
point: 127 stands for the largest magnitude. Where a convolution feeds only convolutions it hands on i8 itself. Only
the ops of networks.py are known.
"""

from collections import Counter

import numpy as np
from onnx import numpy_helper

INT8_TAG = np.uint32(0x000D4B38).tobytes()  # Says in .bin that i8 weights follow.


def convert(fp32, int8):
    """The text of .param and the bytes of .bin."""
    return Writer(fp32.graph, int8.graph).convert()


class Writer:
    def __init__(self, fp32, int8):
        self.levels = {tensor.name: numpy_helper.to_array(tensor) for tensor in int8.initializer}
        self.floats = {tensor.name: numpy_helper.to_array(tensor) for tensor in fp32.initializer}
        self.grid = {node.input[0]: node.input[1:3] for node in int8.node if node.op_type == "QuantizeLinear"}
        self.nodes = list(fp32.node)
        self.users = {}
        for node in self.nodes:
            for name in node.input:
                self.users.setdefault(name, []).append(node)
        self.layers, self.data, self.blobs = [], [], 0
        self.copies = {}  # a blob with several users -> its copies that are not yet used

    def convert(self):
        self.layer("Input", "input", [], "input", {})
        skipped = set()
        for node in self.nodes:
            if node.output[0] in skipped:
                continue
            attributes = {a.name: list(a.ints) if a.ints else a.i for a in node.attribute}
            if node.op_type in ("Conv", "Gemm"):
                skipped.add(self.weighted(node, attributes))
            else:
                self.plain(node, attributes)
        head = f"7767517\n{len(self.layers)} {self.blobs}\n"
        return head + "\n".join(self.layers) + "\n", b"".join(self.data)

    def weighted(self, node, attributes):
        """A convolution or product with the activation behind it; gives the name of what it computes."""
        output, activation = node.output[0], {}
        users = self.users.get(output, [])
        if len(users) == 1 and users[0].op_type in ("Relu", "Clip"):
            output = users[0].output[0]
            activation = {9: 1} if users[0].op_type == "Relu" else {9: 3, -23310: "2,0.000000,6.000000"}
        weights = self.levels[node.input[1] + "_quantized"]
        scales = np.atleast_1d(self.levels[node.input[1] + "_scale"])
        tensors = [np.float32(1 / scales), self.magnitude(node.input[0])]
        handed_on = [user.op_type for user in self.users.get(output, [])]
        if node.op_type == "Gemm":
            kind, options = "InnerProduct", {0: len(weights), 1: 1, 2: weights.size, 8: 2, **activation}
        else:
            kind, term = "Convolution", 2
            if attributes["group"] > 1:
                kind, term = "ConvolutionDepthWise", 1
            if handed_on and set(handed_on) == {"Conv"}:
                term += 100
                tensors.append(self.magnitude(output))
            options = {
                0: len(weights), 1: weights.shape[2], 3: attributes["strides"][0], 4: attributes["pads"][0], 5: 1,
                6: weights.size, **({7: attributes["group"]} if attributes["group"] > 1 else {}), 8: term, **activation,
            }
        self.layer(kind, node.name, [node.input[0]], output, options)
        self.data += [INT8_TAG, weights.tobytes().ljust(-(-weights.size // 4) * 4, b"\0")]
        self.data += [np.float32(values).tobytes() for values in (self.floats[node.input[2]], *tensors)]
        return output

    def magnitude(self, name):
        """Levels for one unit, so that 127 stands for the largest magnitude that the u8 grid reaches."""
        scale, zero = (self.levels[constant] for constant in self.grid[name])
        return np.float32([127 / (scale * max(255 - int(zero), int(zero)))])

    def plain(self, node, attributes):
        inputs = [name for name in node.input if name and name not in self.floats]
        kind, options = {
            "Add": ("BinaryOp", {0: 0}),
            "Relu": ("ReLU", {}),
            "Sigmoid": ("Sigmoid", {}),
            "Flatten": ("Flatten", {}),
            "Resize": ("Interp", {0: 1, 1: 2.0, 2: 2.0}),
            "GlobalAveragePool": ("Pooling", {0: 1, 4: 1}),
            "DepthToSpace": ("PixelShuffle", {0: attributes.get("blocksize")}),
            "MaxPool": ("Pooling", {0: 0, 1: 3, 2: 2, 3: 1, 5: 1}),
        }[node.op_type]
        self.layer(kind, node.name, inputs, node.output[0], options)

    def layer(self, kind, name, inputs, output, options):
        """A line of .param, and a Split behind it where several layers use what it gives: ncnn wants one user each."""
        inputs = [self.copies[blob].pop() if blob in self.copies else blob for blob in inputs]
        self.line(kind, name, inputs, [output], options)
        users = Counter(blob for user in self.users.get(output, []) for blob in user.input)[output]
        if users > 1:
            copies = [f"{output}_copy{number}" for number in range(users)]
            self.line("Split", f"{output}_split", [output], copies, {})
            self.copies[output] = copies

    def line(self, kind, name, inputs, outputs, options):
        self.blobs += len(outputs)
        values = [f"{key}={value}" for key, value in options.items()]
        self.layers.append(" ".join([kind, name, str(len(inputs)), str(len(outputs)), *inputs, *outputs, *values]))
