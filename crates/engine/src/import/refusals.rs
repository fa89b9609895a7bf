//! As `hostile`, for ops that are not of the quantized core: each is refused with a line that names the node.

use super::hostile::{between, integers};
use super::tests::{bytes, constant, floats, graph, input, model, node, refused, with_int};
use crate::{Model, Session};
use std::sync::Arc;
use tract_onnx::pb::AttributeProto;
use tract_onnx::pb::tensor_proto::DataType;

#[test]
fn normalisations_whose_parameters_do_not_fit() {
    let inputs = ["yf", "scale", "bias", "mean", "variance"];
    let sound = || inputs[1..].iter().map(|name| floats(name, &[1], &[1.0])).collect::<Vec<_>>();
    let of = |constants| between(node("BatchNormalization", &inputs, "f"), constants);
    assert!(Model::from_proto(of(sound())).plan(&[]).is_ok());
    let mut long = sound();
    long[2] = floats("mean", &[2], &[0.0; 2]);
    refused(of(long), &["node BatchNormalization of output \"f\"", "its mean [2] must be 1 floats"]);
    let mut negative = sound();
    negative[3] = floats("variance", &[1], &[-1.0]);
    refused(of(negative), &["node BatchNormalization of output \"f\"", "do not give finite numbers"]);
    let picture = between(node("BatchNormalization", &["yf", "yf", "bias", "mean", "variance"], "f"), sound());
    refused(picture, &["node BatchNormalization of output \"f\"", "its scale [1, 1, 2, 2] must be 1 floats"]);
    let missing = between(node("BatchNormalization", &inputs[..4], "f"), sound());
    refused(missing, &["node BatchNormalization of output \"f\"", "input 4 is missing"]);
    let training = with_int(node("BatchNormalization", &inputs, "f"), "training_mode", 1);
    refused(between(training, sound()), &["node BatchNormalization of output \"f\"", "for training"]);
}

/// A table of three rows of two bytes, gathered by what the input gives.
fn embedding() -> tract_onnx::pb::ModelProto {
    let mut model = model();
    graph(&mut model).node = vec![
        node("DequantizeLinear", &["t", "x_scale", "x_zero"], "tf"),
        node("Gather", &["tf", "x"], "yf"),
        node("QuantizeLinear", &["yf", "x_scale", "x_zero"], "y"),
    ];
    graph(&mut model).initializer.push(bytes("t", &[3, 2], DataType::Uint8, &[1, 2, 3, 4, 5, 6]));
    graph(&mut model).input = vec![input("x", DataType::Int64, &[2])];
    graph(&mut model).output = vec![input("y", DataType::Uint8, &[2, 2])];
    model
}

#[test]
fn indices_out_of_range() {
    for kernel in crate::kernel_names() {
        for threads in [1, 2] {
            let plan = Arc::new(Model::from_proto(embedding()).plan_with(&[], kernel).unwrap());
            let mut session = Session::with_threads(plan, threads).unwrap();
            for bad in [3, -4, i64::MAX, i64::MIN] {
                session.input_mut::<i64>(0).unwrap().copy_from_slice(&[0, bad]);
                let error = session.run().unwrap_err().to_string();
                let expected = format!("Gather \"yf\": index {bad} is out of range of 3 places");
                assert!(error.contains(&expected), "{error}");
            }
            session.input_mut::<i64>(0).unwrap().copy_from_slice(&[2, -3]);
            session.run().unwrap();
            assert_eq!(session.output::<u8>(0).unwrap(), &[5, 6, 1, 2], "{kernel}");
        }
    }
    let constant = between(node("Gather", &["yf", "i"], "f"), vec![integers("i", &[0, 1])]);
    refused(constant, &["node Gather of output \"f\"", "index 1 is out of range of axis 0 of [1, 1, 2, 2]"]);
}

#[test]
fn gathers_that_contradict_themselves() {
    let mut float = embedding();
    graph(&mut float).input = vec![input("x", DataType::Float, &[2])];
    refused(float, &["node Gather of output \"yf\"", "its input 0 has elements of type f32"]);
    let mut axis = embedding();
    graph(&mut axis).node[1] = with_int(node("Gather", &["tf", "x"], "yf"), "axis", 2);
    refused(axis, &["node Gather of output \"yf\"", "axis 2 of 2 dimensions"]);
    let mut missing = embedding();
    graph(&mut missing).node[1].input.pop();
    refused(missing, &["node Gather of output \"yf\"", "input 1 is missing"]);
}

/// An LSTM of two steps, three inputs and one hidden number.
fn lstm() -> tract_onnx::pb::ModelProto {
    let mut model = model();
    let layer = node("LSTM", &["x", "w", "r", "b", "lengths"], "y");
    graph(&mut model).node = vec![with_int(layer, "hidden_size", 1)];
    graph(&mut model).initializer =
        vec![floats("w", &[1, 4, 3], &[0.5; 12]), floats("r", &[1, 4, 1], &[0.5; 4]), floats("b", &[1, 8], &[0.0; 8])];
    graph(&mut model).input = vec![input("x", DataType::Float, &[2, 1, 3]), input("lengths", DataType::Int32, &[1])];
    graph(&mut model).output = vec![input("y", DataType::Float, &[2, 1, 1, 1])];
    model
}

#[test]
fn sequence_lengths_out_of_range() {
    for threads in [1, 2] {
        let mut session =
            Session::with_threads(Arc::new(Model::from_proto(lstm()).plan(&[]).unwrap()), threads).unwrap();
        for bad in [3, -1, i32::MIN] {
            session.input_mut::<i32>(1).unwrap()[0] = bad;
            let error = session.run().unwrap_err().to_string();
            assert!(
                error.contains(&format!("Lstm \"y\": a sequence length of {bad} is out of range of 2 steps")),
                "{error}"
            );
        }
        session.input_mut::<i32>(1).unwrap()[0] = 0;
        session.run().unwrap();
        assert_eq!(session.output::<f32>(0).unwrap(), &[0.0; 2]);
    }
}

#[test]
fn recurrent_layers_that_contradict_themselves() {
    let with = |name: &str, dims: &[i64]| {
        let mut model = lstm();
        let count = dims.iter().product::<i64>().max(0) as usize;
        *constant(&mut model, name) = floats(name, dims, &vec![0.5; count]);
        model
    };
    let node_of = "node LSTM of output \"y\"";
    refused(with("w", &[1, 4, 2]), &[node_of, "its input weights [1, 4, 2] must be floats of shape [1, 4, 3]"]);
    refused(with("w", &[1, 12]), &[node_of, "its input weights [1, 12]"]);
    refused(with("r", &[1, 4, 2]), &[node_of, "its recurrence weights [1, 4, 2] do not fit 1 hidden numbers"]);
    refused(with("r", &[2, 4, 1]), &[node_of, "its recurrence weights [2, 4, 1] must be floats"]);
    refused(with("r", &[1]), &[node_of, "its recurrence weights [1] do not fit"]);
    refused(with("b", &[1, 4]), &[node_of, "its input 3 [1, 4] must have the shape [1, 8]"]);
    for hidden in [0, -1, 2, i64::MAX] {
        let mut model = lstm();
        graph(&mut model).node[0].attribute[0].i = hidden;
        refused(model, &[node_of, "do not fit"]);
    }
    let attribute = |name: &str, text: &str, number: i64| {
        let mut model = lstm();
        let (name, s) = (name.into(), text.into());
        let strings = vec![text.as_bytes().to_vec()];
        let attribute = AttributeProto { name, s, i: number, strings, ..Default::default() };
        graph(&mut model).node[0].attribute.push(attribute);
        model
    };
    refused(attribute("direction", "sideways", 0), &[node_of, "direction sideways"]);
    refused(attribute("input_forget", "", 1), &[node_of, "input_forget"]);
    refused(attribute("activations", "Softsign", 0), &[node_of, "activation softsign"]);
    refused(attribute("activations", "Tanh", 0), &[node_of, "1 activations are listed, 3 are needed"]);
    refused(attribute("clip", "", 0), &[node_of, "clip must be positive"]);
    let mut missing = lstm();
    graph(&mut missing).node[0].input.truncate(2);
    refused(missing, &[node_of, "input 2 is missing"]);
    let mut flat = lstm();
    graph(&mut flat).input[0] = input("x", DataType::Float, &[2, 3]);
    refused(flat, &[node_of, "its input [2, 3] must have three dimensions"]);
    let mut whole = lstm();
    graph(&mut whole).input[0] = input("x", DataType::Int64, &[2, 1, 3]);
    refused(whole, &[node_of, "its input must be of type f32"]);
    let mut quantized = lstm();
    graph(&mut quantized).node[0].op_type = "DynamicQuantizeLSTM".into();
    refused(quantized, &["node DynamicQuantizeLSTM of output \"y\""]);
}

/// A product of com.microsoft: floats by a matrix of bytes, with a scale, a zero point and a bias.
fn dynamic_product() -> tract_onnx::pb::ModelProto {
    let mut model = model();
    let mut product = node("DynamicQuantizeMatMul", &["x", "m", "s", "z", "b"], "y");
    product.domain = "com.microsoft".into();
    graph(&mut model).node = vec![product];
    graph(&mut model).initializer = vec![
        bytes("m", &[3, 2], DataType::Int8, &[1; 6]),
        floats("s", &[], &[0.5]),
        bytes("z", &[], DataType::Int8, &[0]),
        floats("b", &[2], &[1.0; 2]),
    ];
    graph(&mut model).input = vec![input("x", DataType::Float, &[4, 3])];
    graph(&mut model).output = vec![input("y", DataType::Float, &[4, 2])];
    model
}

#[test]
fn fused_products_that_contradict_themselves() {
    assert!(Model::from_proto(dynamic_product()).plan(&[]).is_ok());
    let with = |name: &str, tensor| {
        let mut model = dynamic_product();
        *constant(&mut model, name) = tensor;
        model
    };
    let of = "node DynamicQuantizeMatMul of output \"y\"";
    refused(
        with("m", bytes("m", &[2, 3], DataType::Int8, &[1; 6])),
        &[of, "shapes [4, 3] and [2, 3] cannot be multiplied"],
    );
    refused(with("m", bytes("m", &[6], DataType::Int8, &[1; 6])), &[of, "cannot be multiplied"]);
    refused(with("s", floats("s", &[3], &[0.5; 3])), &[of, "scales [3] do not fit 2 columns"]);
    refused(with("z", bytes("z", &[], DataType::Uint8, &[0])), &[of, "zero point \"z\" is of type u8"]);
    refused(with("b", floats("b", &[1], &[0.5])), &[of, "its bias [1] must be floats, one for each column"]);
    let mut bytes_in = dynamic_product();
    graph(&mut bytes_in).input = vec![input("x", DataType::Uint8, &[4, 3])];
    refused(bytes_in, &[of, "its first operand must be of type f32"]);
    let mut missing = dynamic_product();
    graph(&mut missing).node[0].input.truncate(2);
    refused(missing, &[of, "input 2 is missing"]);

    let fused = |attribute: &str, shapes: [&[i64]; 2]| {
        let mut model = dynamic_product();
        graph(&mut model).node = vec![with_int(node("FusedMatMul", &["x", "w"], "y"), attribute, 1)];
        graph(&mut model).input = vec![input("x", DataType::Float, shapes[0]), input("w", DataType::Float, shapes[1])];
        model
    };
    let of = "node FusedMatMul of output \"y\"";
    refused(fused("transA", [&[4, 3], &[3, 2]]), &[of, "shapes [3, 4] and [3, 2] cannot be multiplied"]);
    refused(fused("transB", [&[4, 3], &[3]]), &[of, "[3] has no two axes to exchange"]);
    refused(fused("transBatchA", [&[4, 3], &[3, 2]]), &[of, "transBatchA"]);

    let mut float = dynamic_product();
    graph(&mut float).node = vec![node("MatMulIntegerToFloat", &["x", "m", "s", "s"], "y")];
    refused(float, &["node MatMulIntegerToFloat of output \"y\""]);
}
