//! Ops that choose by indices, or give them: TopK, GatherElements, OneHot.

use super::hostile::integers;
use super::tests::{floats, graph, input, node, one_node, refused, with_int};
use crate::{Model, Session};
use std::sync::Arc;
use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::{NodeProto, TensorProto};

#[test]
fn the_greatest_come_in_order_and_of_equal_ones_the_first() {
    const NAN: f32 = f32::NAN;
    let ranked = |axis: i64, largest: i64, shape: [i64; 2], x: &[f32; 6], k: i64| {
        let mut choice = with_int(with_int(node("TopK", &["x", "k"], "v"), "axis", axis), "largest", largest);
        choice.output.push("p".into());
        let mut model = one_node(choice, input("x", DataType::Float, &shape), vec![integers("k", &[k])]);
        graph(&mut model).output = ["v", "p"].map(|name| input(name, DataType::Undefined, &[])).to_vec();
        let mut session = Session::new(Arc::new(Model::from_proto(model).plan(&[])?)).unwrap();
        session.input_mut::<f32>(0).unwrap().copy_from_slice(x);
        session.run().unwrap();
        let [values, places] = session.outputs() else { panic!() };
        assert_eq!(values.shape(), places.shape());
        Ok::<_, crate::EngineError>((
            values.values::<f32>().unwrap().to_vec(),
            places.values::<i64>().unwrap().to_vec(),
        ))
    };
    let x = [3.0, 7.0, 7.0, -1.0, 7.0, 0.0];
    assert_eq!(ranked(1, 1, [1, 6], &x, 4).unwrap(), (vec![7.0, 7.0, 7.0, 3.0], vec![1, 2, 4, 0]));
    assert_eq!(ranked(-1, 0, [1, 6], &x, 2).unwrap(), (vec![-1.0, 0.0], vec![3, 5]));
    assert_eq!(ranked(0, 1, [3, 2], &x, 2).unwrap(), (vec![7.0, 7.0, 7.0, 0.0], vec![1, 0, 2, 2]));
    assert_eq!(ranked(0, 1, [6, 1], &x, 6).unwrap().1, [1, 2, 4, 0, 5, 3]);
    // Both zeros are one, and NaN is greater than everything.
    assert_eq!(ranked(1, 1, [1, 6], &[0.0, -0.0, 0.0, NAN, f32::INFINITY, -NAN], 6).unwrap().1, [3, 5, 4, 0, 1, 2]);
    assert_eq!(ranked(1, 0, [1, 6], &[0.0, -0.0, -2.0, NAN, f32::NEG_INFINITY, 1.0], 4).unwrap().1, [4, 2, 0, 1]);
    for k in [0, 7, -1] {
        assert!(ranked(1, 1, [1, 6], &x, k).unwrap_err().to_string().contains("from 1 to 6"), "{k}");
    }
    // Of bytes, by an attribute as before opset 10, and of all orders of a few numbers what a sort says.
    let old = with_int(with_int(node("TopK", &["x"], "y"), "k", 5), "axis", 0);
    let mut session = {
        let model = one_node(old, input("x", DataType::Int8, &[5]), Vec::new());
        Session::new(Arc::new(Model::from_proto(model).plan(&[]).unwrap())).unwrap()
    };
    for order in 0..5u32.pow(5) {
        let x: Vec<i8> = (0..5).map(|i| (order / 5u32.pow(i) % 5) as i8 - 2).collect();
        session.input_mut::<i8>(0).unwrap().copy_from_slice(&x);
        session.run().unwrap();
        let mut sorted = x.clone();
        sorted.sort_by(|a, b| b.cmp(a));
        assert_eq!(session.outputs()[0].values::<i8>().unwrap(), sorted, "{x:?}");
    }
}

#[test]
fn elements_are_gathered_by_indices_of_their_own() {
    let gathered = |axis: i64, shape: &[i64], indices: &[i64], dims: &[i64]| {
        let gather = with_int(node("GatherElements", &["x", "i"], "y"), "axis", axis);
        let indices = TensorProto { dims: dims.to_vec(), ..integers("i", indices) };
        let model = one_node(gather, input("x", DataType::Float, shape), vec![indices]);
        let mut session = Session::new(Arc::new(Model::from_proto(model).plan(&[])?))?;
        session.input_mut::<f32>(0).unwrap().iter_mut().zip(0u8..).for_each(|(x, i)| *x = i.into());
        session.run()?;
        Ok::<_, crate::EngineError>(session.outputs()[0].values::<f32>().unwrap().to_vec())
    };
    assert_eq!(gathered(0, &[3, 3], &[1, 2, 0, 2, 0, -3], &[2, 3]).unwrap(), [3.0, 7.0, 2.0, 6.0, 1.0, 2.0]);
    assert_eq!(gathered(1, &[2, 2], &[0, -1, -1, 0], &[2, 2]).unwrap(), [0.0, 1.0, 3.0, 2.0]);
    // Fewer places than the data has along other axes.
    assert_eq!(gathered(-1, &[2, 3], &[2, 2, 1, 0], &[1, 4]).unwrap(), [2.0, 2.0, 1.0, 0.0]);
    for index in [3, -4, i64::MIN] {
        let error = gathered(0, &[3], &[index], &[1]).unwrap_err().to_string();
        assert!(error.contains(&format!("index {index} is out of range of 3 places")), "{error}");
    }
    assert!(gathered(0, &[3, 2], &[0; 3], &[1, 3]).unwrap_err().to_string().contains("does not make"));
}

#[test]
fn an_index_out_of_range_gives_a_row_of_what_is_off() {
    let whole = |name: &str, dims: &[i64], value: i64| TensorProto { dims: dims.to_vec(), ..integers(name, &[value]) };
    for (axis, shape, expected) in [
        // Indices 0, 2, -1, 3, -4 and the greatest, of three.
        (-1, [6, 3], [5., 2., 2., 2., 2., 5., 2., 2., 5., 2., 2., 2., 2., 2., 2., 2., 2., 2.]),
        (0, [3, 6], [5., 2., 2., 2., 2., 2., 2., 2., 2., 2., 2., 2., 2., 5., 5., 2., 2., 2.]),
    ] {
        let hot = with_int(node("OneHot", &["x", "depth", "values"], "y"), "axis", axis);
        let constants = || vec![whole("depth", &[1], 3), floats("values", &[2], &[2.0, 5.0])];
        let model = one_node(hot.clone(), input("x", DataType::Int64, &[6]), constants());
        let mut session = Session::new(Arc::new(Model::from_proto(model).plan(&[]).unwrap())).unwrap();
        session.input_mut::<i64>(0).unwrap().copy_from_slice(&[0, 2, -1, 3, -4, i64::MAX]);
        session.run().unwrap();
        let y = &session.outputs()[0];
        assert_eq!((y.shape(), y.values::<f32>().unwrap()), (&shape[..], &expected[..]));
        // Indices may be floats, and all that is known at load is computed there.
        let mut known = one_node(hot.clone(), input("x", DataType::Float, &[1]), constants());
        graph(&mut known).initializer.push(floats("i", &[6], &[0.0, 2.0, -1.0, 3.0, -4.0, 1e9]));
        graph(&mut known).node = vec![
            NodeProto { input: vec!["i".into(), "depth".into(), "values".into()], output: vec!["h".into()], ..hot },
            node("Add", &["x", "h"], "y"),
        ];
        let mut session = Session::new(Arc::new(Model::from_proto(known).plan(&[]).unwrap())).unwrap();
        session.input_mut::<f32>(0).unwrap()[0] = 0.0;
        session.run().unwrap();
        assert_eq!(session.outputs()[0].values::<f32>().unwrap(), &expected);
    }
    let hot = node("OneHot", &["x", "depth", "values"], "y");
    for (depth, values, part) in [
        (whole("depth", &[], 0), floats("values", &[2], &[0.0, 1.0]), "its depth is [0]"),
        (whole("depth", &[], 3), floats("values", &[3], &[0.0, 1.0, 2.0]), "off and on"),
        (whole("depth", &[], i64::MAX), floats("values", &[2], &[0.0, 1.0]), "OneHot"),
    ] {
        refused(one_node(hot.clone(), input("x", DataType::Int64, &[6]), vec![depth, values]), &[part]);
    }
}
