//! Runs every file of `corpus/` and some mutations of them through each target. Seeded and counted, so that it is the same work on
//! every machine. `LINESIDE_FUZZ_ITERATIONS` and `LINESIDE_FUZZ_SEED` make it another. `LINESIDE_FUZZ_LAST=FILE` keeps each input in a
//! file before it is run: one that never ends, or takes all memory, is then there.

use lineside::memory::{CountingAllocator, heap_use, reset_peak};
use lineside_fuzz::{Mutator, TARGETS, Target};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, Once, PoisonError};

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

/// One target at a time, so that the memory is its own.
static ALONE: Mutex<()> = Mutex::new(());

fn corpus(target: &Target) -> Vec<(PathBuf, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target.name);
    let entries = std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.into_iter().map(|path| (path.clone(), std::fs::read(path).unwrap())).collect()
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|text| text.parse().unwrap_or_else(|error| panic!("{variable}={text}: {error}")))
}

/// Runs one input; one that fails is kept, and named.
fn run(target: &Target, origin: &str, input: &[u8]) {
    if let Some(last) = std::env::var_os("LINESIDE_FUZZ_LAST") {
        std::fs::write(last, input).unwrap();
    }
    reset_peak();
    let before = heap_use().in_use;
    let result = catch_unwind(AssertUnwindSafe(|| (target.run)(input)));
    let used = heap_use().peak.saturating_sub(before);
    let problem = match result {
        Err(panic) => panic.downcast_ref::<String>().cloned().unwrap_or_else(|| "a panic".into()),
        Ok(()) if used > target.max_memory => format!("{used} bytes of memory"),
        Ok(()) => return,
    };
    let path = std::env::temp_dir().join(format!("lineside-fuzz-{}-{}", target.name, std::process::id()));
    std::fs::write(&path, input).unwrap();
    panic!("{}: {origin}: {problem}; the input is {}", target.name, path.display());
}

/// Many panics are caught, such as those of decoders; a printed backtrace would only take time and memory.
fn silence_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let print = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if info.location().is_some_and(|at| at.file().ends_with("replay.rs")) {
                print(info);
            }
        }));
    });
}

fn replay(name: &str) {
    silence_panics();
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let target = TARGETS.iter().find(|target| target.name == name).unwrap();
    let corpus = corpus(target);
    assert!(corpus.len() >= 3, "{name} has no corpus");
    for (path, input) in &corpus {
        assert!(input.len() <= target.max_len, "{} is too long", path.display());
        run(target, &path.display().to_string(), input);
    }
    let seed = number("LINESIDE_FUZZ_SEED").unwrap_or(1);
    let mut mutator = Mutator::new(seed, target.words, target.max_len);
    for i in 0..number("LINESIDE_FUZZ_ITERATIONS").unwrap_or(target.iterations) {
        let (one, other) = (mutator.below(corpus.len()), mutator.below(corpus.len()));
        let input = mutator.mutate(&corpus[one].1, &corpus[other].1);
        run(target, &format!("mutation {i} of seed {seed}"), &input);
    }
}

macro_rules! replay {
    ($($name:ident)*) => {
        $(#[test]
        fn $name() {
            replay(stringify!($name));
        })*

        #[test]
        fn every_target_is_replayed() {
            let replayed = [$(stringify!($name)),*];
            assert!(TARGETS.iter().map(|target| target.name).eq(replayed));
        }
    };
}

replay!(array config jpeg log manifest modbus model packet picture png request tail);
