//! Single operators, in the forms in which quantizers and exporters write them, against ONNX Runtime's answers: on every kernel
//! set, with one thread and with two. `README.md` says where they come from.

use lineside_engine::{ElementKind, Model, Plan, Session, Tensor, kernel_names, npy};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// How far floats may be from ONNX Runtime's, which sums in another order and has other approximations of `exp` and `tanh`.
const FLOATS: f64 = 2e-6;

/// Models whose bytes may be one step from ONNX Runtime's, which computes them in floats.
const ONE_STEP: [&str; 2] = ["batchnorm_after_convolution", "transposed_convolutions_of_stated_size"];

fn folders() -> Vec<PathBuf> {
    let entries = std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/nodes")).unwrap();
    let mut folders: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    folders.retain(|folder| folder.join("model.onnx").is_file());
    folders.sort();
    folders
}

fn arrays(folder: &Path, what: &str) -> Vec<Tensor> {
    let path = |i: usize| folder.join(format!("{what}_{i}.npy"));
    let paths = (0..).map(path).take_while(|path| path.exists());
    paths.map(|path| npy::read(&std::fs::read(path).unwrap()).unwrap()).collect()
}

fn plan(folder: &Path, inputs: &[Tensor], kernel: &str) -> Arc<Plan> {
    let shapes: Vec<Vec<usize>> = inputs.iter().map(|input| input.shape().to_vec()).collect();
    let plan = Model::load(&folder.join("model.onnx")).unwrap().plan_with(&shapes, kernel);
    Arc::new(plan.unwrap_or_else(|error| panic!("{}: {error}", folder.display())))
}

fn outputs(plan: &Arc<Plan>, inputs: &[Tensor], threads: usize) -> Vec<Tensor> {
    let mut session = Session::with_threads(Arc::clone(plan), threads).unwrap();
    for (i, input) in inputs.iter().enumerate() {
        session.set_input(i, input.clone()).unwrap();
    }
    // Twice: a run must leave nothing behind that changes the next.
    session.run().unwrap();
    session.run().unwrap();
    session.outputs().to_vec()
}

#[test]
fn every_model_gives_onnx_runtimes_answers_and_the_same_bytes_everywhere() {
    let mut wrong = Vec::new();
    for folder in folders() {
        let name = folder.file_name().unwrap().to_str().unwrap();
        let (inputs, expected) = (arrays(&folder, "input"), arrays(&folder, "output"));
        let mut first: Option<Vec<Tensor>> = None;
        for kernel in kernel_names() {
            let plan = plan(&folder, &inputs, kernel);
            let found = outputs(&plan, &inputs, 1);
            if found != outputs(&plan, &inputs, 2) {
                wrong.push(format!("{name} {kernel}: two threads give other bytes"));
            }
            assert_eq!(found.len(), expected.len(), "{name}");
            for (i, (found, expected)) in found.iter().zip(&expected).enumerate() {
                let allowed = match found.kind() {
                    ElementKind::F32 => FLOATS,
                    _ if ONE_STEP.contains(&name) => 1.0,
                    _ => 0.0,
                };
                let difference = found.largest_difference(expected);
                if difference.is_none_or(|difference| difference > allowed) {
                    wrong.push(format!("{name} {kernel} output {i}: {difference:?}, {found} for {expected}"));
                }
            }
            if first.get_or_insert_with(|| found.clone()) != &found {
                wrong.push(format!("{name} {kernel}: other bytes than on {}", kernel_names()[0]));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn no_model_needs_another_runtime() {
    let folders = folders();
    assert!(folders.len() >= 29, "{folders:?}");
    for folder in folders {
        let plan = plan(&folder, &arrays(&folder, "input"), kernel_names()[0]);
        let islands: Vec<_> = plan.islands().collect();
        assert!(islands.is_empty(), "{}: {islands:?}", folder.display());
    }
}
