//! libFuzzer's program: `LINESIDE_FUZZ_TARGET` names the target. `fuzz/libfuzzer` builds and runs it.

#![no_main]

use libfuzzer_sys::{Corpus, fuzz_mutator, fuzz_target, fuzzer_mutate};
use lineside_fuzz::{Mutator, TARGETS, Target};
use std::panic::{catch_unwind, set_hook};
use std::sync::{LazyLock, Mutex, PoisonError};

static TARGET: LazyLock<&Target> = LazyLock::new(|| {
    let wanted = std::env::var("LINESIDE_FUZZ_TARGET").unwrap_or_default();
    // libfuzzer-sys ends the process at every panic. Some are caught: those of decoders, for example, become errors.
    set_hook(Box::new(|info| *REASON.lock().unwrap_or_else(PoisonError::into_inner) = info.to_string()));
    TARGETS.iter().find(|target| target.name == wanted).unwrap_or_else(|| {
        let names: Vec<&str> = TARGETS.iter().map(|target| target.name).collect();
        eprintln!("LINESIDE_FUZZ_TARGET is {wanted:?}, expected one of {}", names.join(", "));
        std::process::exit(2)
    })
});

/// What the last panic was about.
static REASON: Mutex<String> = Mutex::new(String::new());

fuzz_target!(|data: &[u8]| -> Corpus {
    let target = *TARGET;
    if data.len() > target.max_len {
        return Corpus::Reject;
    }
    if catch_unwind(|| (target.run)(data)).is_err() {
        eprintln!("{}", REASON.lock().unwrap_or_else(PoisonError::into_inner));
        std::process::abort();
    }
    Corpus::Keep
});

// In half of the cases with words of the format.
fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    if seed % 2 == 0 {
        return fuzzer_mutate(data, size, max_size);
    }
    let mutated = Mutator::new(seed.into(), TARGET.words, max_size).mutate(&data[..size], &[]);
    data[..mutated.len()].copy_from_slice(&mutated);
    mutated.len()
});
