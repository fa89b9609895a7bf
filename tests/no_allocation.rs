//! A session allocates nothing in `run` after the first: counted by the allocator, for every shipped model.

mod common;

use lineside::engine::{Model, Session};
use lineside::memory::{CountingAllocator, seal_this_thread, sealed_allocations};
use std::sync::Arc;

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

#[test]
fn a_run_allocates_nothing() {
    let models = [("inspect-demo", vec![1, 3, 192, 256]), ("superres-x3", vec![1, 1, 60, 80])];
    for (bundle, shape) in models {
        let model = Model::load(&common::root().join("models").join(bundle).join("model.onnx")).unwrap();
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
        assert_eq!(allocations.join().unwrap(), 0, "{bundle}");
    }
}
