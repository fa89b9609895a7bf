//! Kinds of things that exporters and quantizers write, one small model each, against ONNX Runtime: `kinds/make.py` builds them.

use super::arrays;
use lineside_engine::{Model, Session, Tensor, kernel_names};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Models of floats, and how far they may be from ONNX Runtime's, which sums in another order; of the others every byte is equal.
const FLOATS: [(&str, f64); 8] = [
    ("float_conv", 2e-6),
    ("four_bit_weights", 1e-6),
    // A unit in the last place of half precision, of numbers up to 8.
    ("half_at_the_border", 4e-3),
    ("double_at_the_border", 1e-6),
    ("symbolic_shapes", 2e-6),
    ("attention", 1e-6),
    ("beside_the_model", 4e-6),
    ("softmax_between_quantized", 3e-7),
];

fn folders() -> Vec<PathBuf> {
    let entries = std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/networks/kinds")).unwrap();
    let mut folders: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    folders.retain(|folder| folder.join("model.onnx").is_file());
    folders.sort();
    assert!(folders.len() >= 19, "{folders:?}");
    folders
}

fn outputs(folder: &Path, kernel: &str, threads: usize) -> Vec<Tensor> {
    let inputs = arrays(folder, "input");
    let shapes: Vec<Vec<usize>> = inputs.iter().map(|input| input.shape().to_vec()).collect();
    let plan = Model::load(&folder.join("model.onnx")).unwrap().plan_with(&shapes, kernel).unwrap();
    // Nothing of these is left to another runtime.
    let islands: Vec<_> = plan.islands().collect();
    assert!(islands.is_empty(), "{}: {islands:?}", folder.display());
    let mut session = Session::with_threads(Arc::new(plan), threads).unwrap();
    for (i, input) in inputs.into_iter().enumerate() {
        session.set_input(i, input).unwrap();
    }
    session.run().unwrap();
    session.outputs().to_vec()
}

#[test]
fn every_kind_gives_what_onnx_runtime_gives_and_the_same_bits_everywhere() {
    for folder in folders() {
        let name = folder.file_name().unwrap().to_str().unwrap();
        let allowed = FLOATS.iter().find(|(float, _)| *float == name).map_or(0.0, |(_, allowed)| *allowed);
        let expected = arrays(&folder, "output");
        let reference = outputs(&folder, "scalar", 1);
        assert_eq!(reference.len(), expected.len(), "{name}");
        for (output, expected) in reference.iter().zip(&expected) {
            assert_eq!((output.kind(), output.shape()), (expected.kind(), expected.shape()), "{name}");
            let difference = output.largest_difference(expected);
            assert!(difference.is_some_and(|difference| difference <= allowed), "{name}: {difference:?}");
        }
        for kernel in kernel_names() {
            for threads in [1, 3] {
                assert_eq!(outputs(&folder, kernel, threads), reference, "{name} by {kernel} on {threads} threads");
            }
        }
    }
}

#[test]
fn weights_beside_a_model_are_not_there_for_a_reader_of_one_file() {
    let file = std::fs::read(folders().iter().find(|f| f.ends_with("beside_the_model")).unwrap().join("model.onnx"));
    let error = Model::parse(&file.unwrap()).err().unwrap().to_string();
    assert!(error.contains("\"W\"") && error.contains("weights.bin") && error.contains("save it"), "{error}");
}
