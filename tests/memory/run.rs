//! Planned models run without a single allocation, alone and in turns.

use crate::common::root;
use lineside::memory::{seal_this_thread, sealed_allocations};
use lineside_engine::{Model, Plan, Session, Workspace, npy};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The first input of a network of the engine's tests.
fn input_shape(folder: &Path) -> Vec<usize> {
    npy::read(&std::fs::read(folder.join("input_0.npy")).unwrap()).unwrap().shape().to_vec()
}

/// Models of bundles and of the engine's tests.
fn plans() -> Vec<(PathBuf, Arc<Plan>)> {
    let bundles = ["inspect-demo", "superres-x3"].map(|name| root().join("models").join(name));
    let mut models: Vec<(PathBuf, Vec<usize>)> =
        bundles.into_iter().zip([vec![1, 3, 192, 256], vec![1, 1, 60, 80]]).collect();
    let entries = std::fs::read_dir(root().join("crates/engine/tests/networks")).unwrap();
    let networks = entries.map(|entry| entry.unwrap().path()).filter(|folder| folder.join("model.onnx").is_file());
    models.extend(networks.map(|folder| (folder.clone(), input_shape(&folder))));
    assert!(models.len() >= 19, "{models:?}");
    let plan = |(folder, shape): (PathBuf, Vec<usize>)| {
        let model = Model::load(&folder.join("model.onnx")).unwrap();
        let plan = Arc::new(model.plan(&[shape]).unwrap());
        (folder, plan)
    };
    models.into_iter().map(plan).collect()
}

#[test]
fn a_run_allocates_nothing() {
    let _alone = crate::alone();
    for (folder, plan) in plans() {
        let mut session = Session::new(plan).unwrap();
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

#[test]
fn runs_in_turns_in_one_workspace_allocate_nothing() {
    let _alone = crate::alone();
    let workspace = Workspace::new(2).unwrap();
    let plans = plans();
    let session = |(_, plan): &(PathBuf, Arc<Plan>)| Session::in_workspace(Arc::clone(plan), &workspace).unwrap();
    let mut sessions: Vec<Session> = plans.iter().map(session).collect();
    sessions.iter_mut().for_each(|session| session.run().unwrap());
    let allocations = std::thread::spawn(move || {
        let before = sealed_allocations();
        seal_this_thread();
        for _ in 0..3 {
            sessions.iter_mut().for_each(|session| session.run().unwrap());
        }
        sealed_allocations() - before
    });
    assert_eq!(allocations.join().unwrap(), 0);
}
