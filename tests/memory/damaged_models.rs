//! Ten thousand damaged models: whatever is wrong with a file, loading it ends in a value, and in bounded memory.

use crate::common;
use lineside::memory::{heap_use, reset_peak};
use lineside_engine::Model;

/// What planning may take beside the file: the default budget.
const MOST_BYTES: usize = 192 << 20;

#[test]
fn ten_thousand_mutations_end_in_values() {
    let _alone = crate::alone();
    let networks = ["espcn", "mobilenet_v2", "qoperator_mix", "conv_dynamic", "small_ops"];
    let files: Vec<Vec<u8>> = networks
        .iter()
        .map(|name| {
            std::fs::read(common::root().join("crates/engine/tests/networks").join(name).join("model.onnx")).unwrap()
        })
        .collect();
    let mut state = 1u64;
    let mut random = move |below: usize| {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 33) as usize % below
    };
    let (mut sound, mut most) = (0, 0);
    for round in 0..10_000 {
        let mut bytes = files[round % files.len()].clone();
        match random(4) {
            0 => bytes.truncate(random(bytes.len())),
            1 => {
                let (from, to) = (random(bytes.len()), random(bytes.len()));
                let length = random(64).min(bytes.len() - from.max(to));
                bytes.copy_within(from..from + length, to);
            }
            _ => {
                for _ in 0..1 + random(4) {
                    let at = random(bytes.len());
                    bytes[at] ^= 1 << random(8);
                }
            }
        }
        let before = heap_use().in_use;
        reset_peak();
        sound += usize::from(Model::parse(&bytes).and_then(|model| model.plan(&[])).is_ok());
        most = most.max(heap_use().peak - before);
    }
    eprintln!("{sound} of 10000 still load; at most {} MiB taken", most >> 20);
    // Bit flips in weights leave a model sound; most others do not.
    assert!(sound > 1000 && sound < 9000, "{sound}");
    assert!(most < MOST_BYTES, "{most} bytes");
}
