//! A planned model runs without a single allocation.

use crate::common::root;
use lineside::memory::{seal_this_thread, sealed_allocations};
use lineside_engine::{Model, Session, npy};
use std::path::PathBuf;
use std::sync::Arc;

/// The first input of a network of the engine's tests.
fn input_shape(folder: &std::path::Path) -> Vec<usize> {
    npy::read(&std::fs::read(folder.join("input_0.npy")).unwrap()).unwrap().shape().to_vec()
}

#[test]
fn a_run_allocates_nothing() {
    let _alone = crate::alone();
    let bundles = ["inspect-demo", "superres-x3"].map(|name| root().join("models").join(name));
    let mut models: Vec<(PathBuf, Vec<usize>)> =
        bundles.into_iter().zip([vec![1, 3, 192, 256], vec![1, 1, 60, 80]]).collect();
    let entries = std::fs::read_dir(root().join("crates/engine/tests/networks")).unwrap();
    let networks = entries.map(|entry| entry.unwrap().path()).filter(|folder| folder.join("model.onnx").is_file());
    models.extend(networks.map(|folder| (folder.clone(), input_shape(&folder))));
    assert!(models.len() >= 19, "{models:?}");
    for (folder, shape) in models {
        let model = Model::load(&folder.join("model.onnx")).unwrap();
        let mut session = Session::new(Arc::new(model.plan(&[shape]).unwrap())).unwrap();
        session.run().unwrap();
        let allocations = std::thread::spawn(move || {
            let before = sealed_allocations();
            seal_this_thread();
            for _ in 0..3 {
                session.run().unwrap();
            }
            sealed_allocations() - before
        });
        assert_eq!(allocations.join().unwrap(), 0, "{}", folder.display());
    }
}
