//! What loading a model holds at its peak: each weight as it was parsed, as it is packed or, one layer at a time, as both.

use crate::common;
use lineside::memory::{heap_use, reset_peak};
use lineside_engine::Model;

#[test]
fn only_one_layers_weights_lie_in_memory_twice() {
    let _alone = crate::alone();
    let path = common::root().join("models/inspect-demo/model.onnx");
    let file = std::fs::metadata(&path).unwrap().len() as usize;
    let before = heap_use().in_use;
    // Names, shapes and nodes, of which the file's format takes less than what is parsed from it: half of the file's size
    // for this one of some 500 small nodes.
    let rest = file / 2;

    reset_peak();
    let model = Model::load(&path).unwrap();
    let parsed = heap_use().peak - before;
    assert!(parsed <= file + rest, "{parsed} bytes to parse a file of {file}");

    reset_peak();
    let plan = model.plan_with(&[vec![1, 3, 320, 320]], "scalar").unwrap();
    let planned = heap_use().peak - before;
    assert!(planned <= file * 13 / 10 + rest, "{planned} bytes to plan a file of {file}");
    assert!(plan.memory().weights_bytes as usize > file / 2, "a file of weights shows it");
}
