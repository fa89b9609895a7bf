"""Builds the small models of this folder, one for each kind of thing that exporters and quantizers write, and ONNX Runtime's
answers to them: python make.py [NAME ...]. README.md says which packages this needs.
"""

import shutil
import sys
import zlib
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper, parser

HERE = Path(__file__).parent


def model(text, opset, **constants):
    """A model from ONNX's text form; constants by keyword: arrays, or tensors that are given whole."""
    made = parser.parse_model(f'<ir_version: 9, opset_import: ["" : {opset}, "com.microsoft" : 1]>\n{text}')
    for name, value in constants.items():
        tensor = value if isinstance(value, TensorProto) else numpy_helper.from_array(np.asarray(value), name)
        tensor.name = name
        made.graph.initializer.append(tensor)
    return made


def four_bits(values):
    return helper.make_tensor("W", TensorProto.INT4, values.shape, values.flatten().tolist())


def conv(rng, outputs, inputs, size):
    return rng.normal(0, 0.3, (outputs, inputs, size, size)).astype(np.float32)


def build(rng):
    """Name, model, inputs; and how far floats may be from ONNX Runtime's, which sums in another order."""
    f32 = lambda *shape: rng.normal(0, 1, shape).astype(np.float32)
    i8 = lambda *shape: rng.integers(-127, 128, shape).astype(np.int8)
    yield "float_conv", 2e-6, model("""
        g (float[1,3,9,9] x) => (float[1,6,5,5] y) {
            a = Conv<kernel_shape=[3,3], pads=[1,1,1,1], strides=[2,2]>(x, W, B)
            b = Relu(a)
            c = Conv<kernel_shape=[3,3], pads=[1,1,1,1], group=6>(b, V)
            d = Sigmoid(c)
            y = Mul(c, d)
        }""", 13, W=conv(rng, 6, 3, 3), B=f32(6), V=conv(rng, 6, 1, 3)), [f32(1, 3, 9, 9)]
    yield "u16_activations", 0, model("""
        g (float[1,3,6,6] x) => (float[1,4,6,6] y) {
            xq = com.microsoft.QuantizeLinear(x, s, z)
            xd = com.microsoft.DequantizeLinear(xq, s, z)
            Wd = com.microsoft.DequantizeLinear<axis=0>(W, ws, wz)
            c = Conv<kernel_shape=[3,3], pads=[1,1,1,1]>(xd, Wd)
            yq = com.microsoft.QuantizeLinear(c, t, u)
            y = com.microsoft.DequantizeLinear(yq, t, u)
        }""", 13, s=np.float32(1e-4), z=np.uint16(32768), W=i8(4, 3, 3, 3), ws=np.full(4, 0.01, np.float32),
        wz=np.zeros(4, np.int8), t=np.float32(1e-3), u=np.uint16(30000)), [f32(1, 3, 6, 6)]
    yield "i16_standard", 0, model("""
        g (float[2,5] x) => (float[2,5] y, int16[2,5] q) {
            q = QuantizeLinear(x, s, z)
            y = DequantizeLinear(q, s, z)
        }""", 21, s=np.float32(1e-3), z=np.int16(-100)), [f32(2, 5) * 20]
    yield "four_bit_weights", 1e-6, model("""
        g (float[2,8] x) => (float[2,5] y) {
            w = DequantizeLinear<axis=1>(W, s, z)
            y = MatMul(x, w)
        }""", 21, W=four_bits(rng.integers(-8, 8, (8, 5))), s=np.full(5, 0.1, np.float32),
        z=helper.make_tensor("z", TensorProto.INT4, [5], [0] * 5)), [f32(2, 8)]
    yield "half_at_the_border", 2e-3, model("""
        g (float16[2,8] x) => (float16[2,5] y) {
            a = MatMul(x, W)
            b = Add(a, B)
            y = Relu(b)
        }""", 13, W=f32(8, 5).astype(np.float16), B=f32(5).astype(np.float16)), [f32(2, 8).astype(np.float16)]
    yield "double_at_the_border", 1e-6, model("""
        g (double[2,8] x) => (double[2,8] y) {
            a = Cast<to=1>(x)
            b = Tanh(a)
            y = Cast<to=11>(b)
        }""", 13), [f32(2, 8).astype(np.float64)]
    yield "truth_and_choice", 0, model("""
        g (bool[2,1] mask, float[2,4] x) => (float[2,4] y, bool[2,4] z) {
            a = Greater(x, zero)
            n = Not(mask)
            z = And(a, n)
            y = Where(z, x, zero)
        }""", 13, zero=np.float32(0)), [np.array([[True], [False]]), f32(2, 4)]
    yield "symbolic_shapes", 2e-6, symbolic(rng), [f32(1, 3, 8, 8)]
    yield "shapes_of_parts", 1e-6, model("""
        g (float[1,4,6] x) => (float[24] y, int64[1] n) {
            s = Shape(x)
            c = Cast<to=6>(s)
            d = Cast<to=7>(c)
            a = Gather<axis=0>(d, one)
            b = Gather<axis=0>(d, two)
            p = Mul(a, b)
            axes = Constant<value_ints=[0]>()
            n = Unsqueeze(p, axes)
            y = Reshape(x, n)
        }""", 13, one=np.int64(1), two=np.int64(2)), [f32(1, 4, 6)]
    yield "softmax_between_quantized", 0, model("""
        g (float[2,9] x) => (float[2,9] y, float[2,9] b) {
            q = QuantizeLinear(x, s, z)
            d = DequantizeLinear(q, s, z)
            m = Softmax<axis=-1>(d)
            mq = QuantizeLinear(m, t, u)
            y = DequantizeLinear(mq, t, u)
            b = Selu(d)
        }""", 13, s=np.float32(0.05), z=np.uint8(128), t=np.float32(1 / 256), u=np.uint8(0)), [f32(2, 9)]
    yield "choice_of_graphs", 0, model("""
        g (float[2,3] x) => (float[2,3] y) {
            s = Shape(x)
            r = Size(s)
            c = Equal(r, two)
            y = If(c) <
                then_branch = g1 () => (float[2,3] t) { t = Neg(x) },
                else_branch = g2 () => (float[6] e) { m = Constant<value_ints=[6]>() e = Reshape(x, m) }
            >
        }""", 13, two=np.int64(2)), [f32(2, 3)]
    for mode in ("reflect", "edge", "wrap"):
        yield f"pad_{mode}", 0, model(f"""
            g (float[1,2,5,6] x) => (float[1,2,10,7] y) {{
                y = Pad<mode="{mode}">(x, p)
            }}""", 19, p=np.int64([0, 0, 3, 2, 0, 0, 2, -1])), [f32(1, 2, 5, 6)]
    yield "places_of_the_greatest", 0, model("""
        g (float[1,5,4,4] x) => (int64[1,1,4,4] y, int64[5,4,4] z) {
            y = ArgMax<axis=1>(x)
            z = ArgMin<axis=0, keepdims=0>(x)
        }""", 13), [np.round(f32(1, 5, 4, 4) * 2)]
    yield "repeated", 0, model("""
        g (int32[2,1,3] x) => (int32[2,4,3] y, int32[4,1,9] z) {
            y = Expand(x, s)
            z = Tile(x, r)
        }""", 13, s=np.int64([4, 3]), r=np.int64([2, 1, 3])), [rng.integers(-9, 9, (2, 1, 3)).astype(np.int32)]
    yield "whole_numbers", 0, model("""
        g (int64[6] a, int64[6] b) => (int64[6] s, int64[6] d, int64[6] m, int64[6] r, int64[1] p, bool[6] e) {
            s = Sub(a, b)
            d = Div(a, b)
            m = Mod(a, b)
            r = Mod<fmod=1>(a, b)
            p = ReduceProd(a)
            e = LessOrEqual(a, b)
        }""", 13), [np.int64([7, -7, 7, -7, 9, 1]), np.int64([3, 3, -3, -3, 3, 2])]
    attention = """
        g (float[1,5,12] q, float[1,7,6] k, float[1,7,6] v, bool[5,7] m) => (float[1,5,12] y) {
            y = Attention<q_num_heads=4, kv_num_heads=2, softcap=3.0>(q, k, v, m)
        }"""
    yield "attention", 1e-6, model(attention, 23), [f32(1, 5, 12), f32(1, 7, 6), f32(1, 7, 6), np.tri(5, 7, 1) > 0]
    yield "beside_the_model", 1e-6, model("""
        g (float[1,40] x) => (float[1,30] y) { y = MatMul(x, W) }""", 13, W=f32(40, 30)), [f32(1, 40)]


def symbolic(rng):
    """Shapes with names, as exporters write them for open dimensions, also of what is between."""
    made = model("""
        g (float[batch,3,height,width] x) => (float[batch,4,height,width] y) {
            a = Conv<kernel_shape=[3,3], pads=[1,1,1,1]>(x, W)
            y = HardSwish(a)
        }""", 14, W=conv(rng, 4, 3, 3))
    made.graph.value_info.append(
        helper.make_tensor_value_info("a", TensorProto.FLOAT, ["other", 4, "(height+1)/2", "width"]))
    return made


def write(name, made, inputs):
    folder = HERE / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    path = str(folder / "model.onnx")
    if name == "beside_the_model":
        onnx.save(made, path, save_as_external_data=True, location="weights.bin", size_threshold=0)
    else:
        onnx.save(made, path)
    onnx.checker.check_model(path)
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    if name == "four_bit_weights":
        # More than the basic optimisations quantize the input, too.
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_BASIC
    session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    feeds = {given.name: array for given, array in zip(session.get_inputs(), inputs)}
    for i, array in enumerate(inputs):
        np.save(folder / f"input_{i}.npy", array)
    for i, array in enumerate(session.run(None, feeds)):
        np.save(folder / f"output_{i}.npy", array)


if __name__ == "__main__":
    asked = sys.argv[1:]
    # A seed for all: a model that is added at the end leaves the others alone.
    rng = np.random.default_rng(zlib.crc32(b"kinds"))
    for name, allowed, made, inputs in build(rng):
        if not asked or name in asked:
            write(name, made, inputs)
            print(name, allowed)
