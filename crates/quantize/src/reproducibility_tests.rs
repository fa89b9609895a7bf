//! The same network and samples give the same file on every CPU and with any number of threads: compared with a hash that was taken on
//! x86-64 with AVX-512; `./test` runs this on aarch64, too.
//!
//! A change to what the quantizer chooses changes the hash. The test prints the new one; it belongs here if what changed was meant to.

use crate::{Options, quantize};
use lineside_engine::Tensor;
use std::path::Path;

/// FNV-1a.
fn hash_of(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

/// Pictures of stripes, another one for each number.
fn samples() -> Vec<Vec<Tensor>> {
    let picture = |number: u32| {
        let (period, level) = (2 + number * 7 % 9, number * 53 % 200);
        let values = (0..3 * 32 * 32u32).map(|at| {
            let wave = (at % 32 / period + at / 32 / (period + 1)) % 2 * 55;
            ((level + wave + at * number % 31).min(255) as f32 - 127.0) / 128.0
        });
        vec![Tensor::new(vec![1, 3, 32, 32], values.collect::<Vec<f32>>()).unwrap()]
    };
    (1..25).map(picture).collect()
}

#[test]
fn the_file_is_the_same_everywhere() {
    let small = std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/small.onnx")).unwrap();
    for threads in [1, 2, 3] {
        let options = Options { threads, fix_shapes: true, ..Options::default() };
        let quantized = quantize(&small, &mut samples(), &options, &mut |_, _, _| Ok(())).unwrap();
        assert_eq!(format!("{:016x}", hash_of(&quantized.bytes)), "b73978fc9e80cf87", "with {threads} threads");
    }
}
