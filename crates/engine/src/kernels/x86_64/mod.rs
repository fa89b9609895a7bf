//! Kernels for x86-64.
//!
//! | file | holds |
//! |---|---|
//! | `simd` | the vector operations that the kernels are written in |
//! | `avx512vnni`, `avxvnni`, `avx2` | those operations on each instruction set, and its kernel table |
//! | `thin` | convolutions with few outputs |
//! | `winograd` | 3×3 convolutions with fewer multiplications, for AVX2 |
//! | `depthwise` | depthwise convolution over any of them |
//! | `tile` | convolution and sums over any of them |

mod avx2;
mod avx512vnni;
mod avxvnni;
mod depthwise;
mod simd;
mod thin;
mod tile;
mod winograd;

use super::Kernels;

/// Whether activations are stored as `i8`.
pub const SIGNED: bool = false;

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

/// What this CPU has of what the sets ask for.
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
