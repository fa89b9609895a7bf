//! Networks that run one after the other in one workspace.

use super::{arrays, folders};
use lineside_engine::{Model, Plan, Session, Tensor, Workspace};
use std::path::{Path, PathBuf};
use std::sync::Arc;

struct Network {
    folder: PathBuf,
    plan: Arc<Plan>,
    inputs: Vec<Tensor>,
}

fn networks() -> Vec<Network> {
    let network = |folder: PathBuf| {
        let inputs = arrays(&folder, "input");
        let shapes: Vec<Vec<usize>> = inputs.iter().map(|input| input.shape().to_vec()).collect();
        let plan = Arc::new(Model::load(&folder.join("model.onnx")).unwrap().plan(&shapes).unwrap());
        Network { folder, plan, inputs }
    };
    folders().into_iter().map(network).collect()
}

fn session(network: &Network, workspace: &Workspace) -> Session {
    let mut session = Session::in_workspace(Arc::clone(&network.plan), workspace).unwrap();
    for (i, input) in network.inputs.iter().enumerate() {
        session.set_input(i, input.clone()).unwrap();
    }
    session
}

fn own_outputs(network: &Network) -> Vec<Tensor> {
    let mut session = session(network, &Workspace::new(1).unwrap());
    session.run().unwrap();
    session.outputs().to_vec()
}

fn name(folder: &Path) -> &str {
    folder.file_name().unwrap().to_str().unwrap()
}

#[test]
fn a_shared_workspace_is_as_large_as_the_largest_network_needs() {
    let networks = networks();
    for threads in [1, 2] {
        let shared = Workspace::new(threads).unwrap();
        assert_eq!(shared.bytes(), 0);
        let own = networks.iter().map(|network| {
            let own = Workspace::new(threads).unwrap();
            let _sessions = (session(network, &own), session(network, &shared));
            let memory = network.plan.memory();
            assert_eq!(own.bytes(), memory.arena_bytes + (threads as u64 - 1) * memory.thread_bytes);
            own.bytes()
        });
        let own: Vec<u64> = own.collect();
        assert_eq!(Some(shared.bytes()), own.iter().copied().max());
        assert!(shared.bytes() < own.iter().sum());
    }
}

#[test]
fn networks_that_take_turns_give_the_bytes_that_they_give_alone() {
    let networks = networks();
    let expected: Vec<Vec<Tensor>> = networks.iter().map(own_outputs).collect();
    for threads in [1, 2, 3] {
        let workspace = Workspace::new(threads).unwrap();
        // Some run on fewer threads than there are.
        let handle = |i: usize| workspace.on_threads(1 + i % 4);
        let sessions = networks.iter().enumerate().map(|(i, network)| session(network, &handle(i)));
        let mut sessions: Vec<Session> = sessions.collect();
        for round in 0..3 {
            // In another order each time; some run twice in a row.
            for i in 0..sessions.len() {
                let i = (i * (2 * round + 1) + round) % sessions.len();
                sessions[i].run().unwrap();
                if i.is_multiple_of(3) {
                    sessions[i].run().unwrap();
                }
            }
            // Read after all have run: what one gave outlasts the runs of the others.
            for ((session, expected), network) in sessions.iter().zip(&expected).zip(&networks) {
                assert!(session.outputs() == expected, "{} on {threads} threads", name(&network.folder));
            }
        }
    }
}

#[test]
fn sessions_on_several_threads_wait_for_each_other() {
    let networks = networks();
    let workspace = Workspace::new(2).unwrap();
    std::thread::scope(|scope| {
        for network in networks.iter().take(6) {
            let mut session = session(network, &workspace);
            scope.spawn(move || {
                let expected = own_outputs(network);
                for _ in 0..20 {
                    session.run().unwrap();
                    assert!(session.outputs() == expected, "{}", name(&network.folder));
                }
            });
        }
    });
}

#[test]
fn a_session_made_later_may_need_more() {
    let mut networks = networks();
    networks.sort_by_key(|network| network.plan.memory().arena_bytes);
    let workspace = Workspace::new(2).unwrap();
    let (small, large) = (&networks[0], &networks[networks.len() - 1]);
    let mut first = session(small, &workspace);
    first.run().unwrap();
    let mut second = session(large, &workspace);
    first.run().unwrap();
    second.run().unwrap();
    drop(second);
    first.run().unwrap();
    assert!(first.outputs() == own_outputs(small));
}
