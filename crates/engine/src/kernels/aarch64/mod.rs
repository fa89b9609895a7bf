//! Kernels for aarch64. Activations are stored as `i8`: products are of signed bytes.
//!
//! | file | holds |
//! |---|---|
//! | `finish` | from accumulators to bytes, and sums: for every set |
//! | `winograd` | 3×3 convolutions with fewer multiplications, for `neon` |
//! | `neon` | every aarch64 CPU: 8-bit products widened to 16 bits, then added in pairs to 32 |
//! | `quads` | quads of bytes, and `sdot` |
//! | `matmul` | products of two computed matrices |
//! | `dotprod` | cores with `sdot`: four products and their sum in one instruction |
//! | `i8mm` | cores with `smmla`: two pixels by two outputs in one instruction |
//!
//! A file imports only from files above it in this table.

mod dotprod;
mod finish;
mod i8mm;
mod matmul;
mod neon;
mod quads;
mod winograd;

use super::Kernels;

/// The sets that this CPU can run, the best first.
pub fn available() -> Vec<&'static dyn Kernels> {
    let mut sets: Vec<&'static dyn Kernels> = Vec::new();
    let dotprod = std::arch::is_aarch64_feature_detected!("dotprod");
    if dotprod && std::arch::is_aarch64_feature_detected!("i8mm") {
        sets.push(&i8mm::I8mm);
    }
    if dotprod {
        sets.push(&dotprod::Dotprod);
    }
    sets.push(&neon::Neon);
    sets
}

/// The extensions that the sets use and this CPU has.
pub fn features() -> Vec<&'static str> {
    let all = [
        ("neon", std::arch::is_aarch64_feature_detected!("neon")),
        ("dotprod", std::arch::is_aarch64_feature_detected!("dotprod")),
        ("i8mm", std::arch::is_aarch64_feature_detected!("i8mm")),
    ];
    all.into_iter().filter_map(|(name, has)| has.then_some(name)).collect()
}
