//! What an arena holds from other runs changes nothing.

use super::*;
use crate::graph::{Arithmetic, Graph, NumberOp, Op};
use crate::{ElementKind, Model, Session, Tensor, kernel_names, npy};
use std::path::{Path, PathBuf};

fn networks() -> Vec<PathBuf> {
    let entries = std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/networks")).unwrap();
    let mut folders: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    folders.retain(|folder| folder.join("model.onnx").is_file());
    assert!(folders.len() >= 18, "{folders:?}");
    folders
}

fn inputs(folder: &Path) -> Vec<Tensor> {
    let read = |i: usize| std::fs::read(folder.join(format!("input_{i}.npy"))).ok();
    (0..).map_while(read).map(|bytes| npy::read(&bytes).unwrap()).collect()
}

#[test]
fn nothing_depends_on_what_an_arena_held_before() {
    for folder in networks() {
        let inputs = inputs(&folder);
        let shapes: Vec<Vec<usize>> = inputs.iter().map(|input| input.shape().to_vec()).collect();
        let model = Model::load(&folder.join("model.onnx")).unwrap();
        for kernel in kernel_names() {
            let plan = Arc::new(model.clone().plan_with(&shapes, kernel).unwrap());
            for threads in [1, 2] {
                let workspace = Workspace::new(threads).unwrap();
                let mut session = Session::in_workspace(Arc::clone(&plan), &workspace).unwrap();
                for (i, input) in inputs.iter().enumerate() {
                    session.set_input(i, input.clone()).unwrap();
                }
                let outputs = [0, 0x5A, 0xFF].map(|byte| {
                    workspace.overwrite(byte);
                    session.run().unwrap();
                    session.outputs().to_vec()
                });
                assert!(outputs[0] == outputs[1] && outputs[0] == outputs[2], "{} {kernel}", folder.display());
            }
        }
    }
}

#[test]
fn constants_are_loaded_again_for_another_plan_at_the_same_address() {
    // Each plan is dropped before the next is made, which then often lies where the other was.
    let workspace = Workspace::new(1).unwrap();
    for constant in 0..64_i32 {
        let mut graph = Graph::default();
        let x = graph.value("x", ElementKind::I32, &[4]);
        graph.inputs.push(x);
        let bytes = constant.to_ne_bytes().repeat(4).into();
        let c = graph.push("c", Op::Constant(bytes), &[], ElementKind::I32, &[4]);
        let sum = Op::Number(NumberOp::Arithmetic(Arithmetic::Add));
        let y = graph.push("y", sum, &[x, c], ElementKind::I32, &[4]);
        graph.outputs.push(y);
        let plan = Plan::new(graph, crate::kernels::available()[0]).unwrap();
        let mut session = Session::in_workspace(Arc::new(plan), &workspace).unwrap();
        session.run().unwrap();
        session.run().unwrap();
        assert_eq!(session.output::<i32>(0).unwrap(), [constant; 4]);
    }
}
