//! Whole networks of different kinds against ONNX Runtime: equal bytes with every kernel set of this CPU. `make.py` builds them.

mod kinds;
mod shared;

use lineside_engine::{Model, Session, Tensor, kernel_names, npy};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Networks whose outputs come from float ops between integer ones, and how far they may be from ONNX Runtime's floats,
/// which are summed in another order.
const FLOATS: [(&str, f64); 1] = [("transformer_dynamic", 1e-5)];

fn folders() -> Vec<PathBuf> {
    let entries = std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/networks")).unwrap();
    let mut folders: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    folders.retain(|folder| folder.join("model.onnx").is_file());
    folders.sort();
    assert!(folders.len() >= 18, "{folders:?}");
    folders
}

fn arrays(folder: &Path, what: &str) -> Vec<Tensor> {
    let path = |i: usize| folder.join(format!("{what}_{i}.npy"));
    (0..)
        .map(path)
        .take_while(|path| path.exists())
        .map(|path| npy::read(&std::fs::read(path).unwrap()).unwrap())
        .collect()
}

fn session(folder: &Path, kernel: &str) -> Session {
    let inputs = arrays(folder, "input");
    let shapes: Vec<Vec<usize>> = inputs.iter().map(|input| input.shape().to_vec()).collect();
    let plan = Model::load(&folder.join("model.onnx")).unwrap().plan_with(&shapes, kernel).unwrap();
    let mut session = Session::new(Arc::new(plan)).unwrap();
    for (i, input) in inputs.into_iter().enumerate() {
        session.set_input(i, input).unwrap();
    }
    session
}

#[test]
fn every_network_gives_the_bytes_of_onnx_runtime() {
    for folder in folders() {
        let name = folder.file_name().unwrap().to_str().unwrap();
        let allowed = FLOATS.iter().find(|(float, _)| *float == name).map_or(0.0, |(_, allowed)| *allowed);
        let expected = arrays(&folder, "output");
        for kernel in kernel_names() {
            let mut session = session(&folder, kernel);
            session.run().unwrap();
            assert_eq!(session.outputs().len(), expected.len(), "{name}");
            for (output, expected) in session.outputs().iter().zip(&expected) {
                let difference = output.largest_difference(expected);
                assert!(difference.is_some_and(|difference| difference <= allowed), "{name} {kernel}: {difference:?}");
            }
        }
    }
}

#[test]
fn threads_change_nothing() {
    for folder in folders() {
        let inputs = arrays(&folder, "input");
        let shapes: Vec<Vec<usize>> = inputs.iter().map(|input| input.shape().to_vec()).collect();
        let plan = Arc::new(Model::load(&folder.join("model.onnx")).unwrap().plan(&shapes).unwrap());
        let outputs: Vec<Vec<Tensor>> = [1, 2, 3]
            .into_iter()
            .map(|threads| {
                let mut session = Session::with_threads(Arc::clone(&plan), threads).unwrap();
                for (i, input) in inputs.iter().enumerate() {
                    session.set_input(i, input.clone()).unwrap();
                }
                session.run().unwrap();
                session.run().unwrap();
                session.outputs().to_vec()
            })
            .collect();
        assert!(outputs[0] == outputs[1] && outputs[0] == outputs[2], "{}", folder.display());
    }
}

#[test]
fn every_multiplication_of_a_quantized_network_is_in_integers() {
    for folder in folders() {
        let session = session(&folder, "scalar");
        let coverage = session.plan().integer_coverage();
        // Attention is left in floats by dynamic quantization.
        let expected = if folder.ends_with("transformer_dynamic") { 0.8 } else { 1.0 };
        assert!(coverage >= expected, "{}: {coverage}", folder.display());
    }
}

#[test]
fn quantized_networks_run_in_floats_for_comparison() {
    for folder in folders() {
        let expected = arrays(&folder, "output");
        let shapes: Vec<Vec<usize>> = arrays(&folder, "input").iter().map(|input| input.shape().to_vec()).collect();
        let floats = Model::load(&folder.join("model.onnx")).unwrap().in_floats();
        if folder.to_str().unwrap().ends_with("_dynamic") {
            assert!(floats.is_err(), "{}", folder.display());
            continue;
        }
        let mut session = Session::new(Arc::new(floats.unwrap().plan(&shapes).unwrap())).unwrap();
        session.run().unwrap();
        // The numbers may differ: a quantizer drops what the range of an output implies.
        assert_eq!(session.outputs()[0].shape(), expected[0].shape(), "{}", folder.display());
        assert_eq!(session.plan().integer_coverage(), 0.0, "{}", folder.display());
    }
}
