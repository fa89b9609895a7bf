//! Kernels for x86-64.
//!
//! | file | holds |
//! |---|---|
//! | `simd` | the vector operations that the kernels are written in |
//! | `lanes` | between the order of outputs and the order of vectors |
//! | `tile` | convolution tiles and sums, over any of these operations |
//! | `depthwise` | depthwise convolution |
//! | `matmul` | products of two computed matrices |
//! | `narrow_output` | convolutions with few outputs |
//! | `winograd` | 3×3 convolutions with fewer multiplications, for AVX2 |
//! | `set` | a table of these functions as a kernel set |
//! | `avx2`, `avxvnni`, `avx512vnni` | the operations on each instruction set, and its table |
//!
//! A file imports only from files above it in this table.

mod avx2;
mod avx512vnni;
mod avxvnni;
mod depthwise;
mod lanes;
mod matmul;
mod narrow_output;
mod set;
mod simd;
mod tile;
mod winograd;

use super::Kernels;

/// The sets that this CPU can run, the best first.
pub fn available() -> Vec<&'static dyn Kernels> {
    let mut sets: Vec<&'static dyn Kernels> = Vec::new();
    let avx2 = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
    let wide = is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512vl")
        && is_x86_feature_detected!("avx512vnni");
    if wide && avx2 {
        sets.push(&avx512vnni::SET);
    }
    if is_x86_feature_detected!("avxvnni") && avx2 {
        sets.push(&avxvnni::SET);
    }
    if avx2 {
        sets.push(&avx2::SET);
    }
    sets
}

/// The extensions that the sets use and this CPU has.
pub fn features() -> Vec<&'static str> {
    let all = [
        ("avx2", is_x86_feature_detected!("avx2")),
        ("fma", is_x86_feature_detected!("fma")),
        ("avxvnni", is_x86_feature_detected!("avxvnni")),
        ("avx512f", is_x86_feature_detected!("avx512f")),
        ("avx512bw", is_x86_feature_detected!("avx512bw")),
        ("avx512vl", is_x86_feature_detected!("avx512vl")),
        ("avx512vnni", is_x86_feature_detected!("avx512vnni")),
    ];
    all.into_iter().filter_map(|(name, has)| has.then_some(name)).collect()
}
