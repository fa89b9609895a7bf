//! Crates that the dependency tree must not hold, by `cargo tree` and `cargo metadata`. `deny.toml` has the policy for licences,
//! sources and duplicate versions.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The output of a command of the Cargo that runs this test. It downloads nothing: what is built here is there.
fn cargo(arguments: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO"));
    command.args(arguments).args(["--offline", "--locked"]).current_dir(Path::new(env!("CARGO_MANIFEST_DIR")));
    let output = command.output().unwrap();
    assert!(output.status.success(), "cargo {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// The names of all crates that a build takes.
fn tree(arguments: &[&str]) -> Vec<String> {
    let listed = cargo(&[&["tree", "--prefix", "none", "--no-dedupe"], arguments].concat());
    let names = listed.lines().filter_map(|line| line.split(' ').next());
    names.filter(|name| !name.is_empty()).map(String::from).collect()
}

#[test]
fn logs_are_read_and_plans_are_run_without_tract() {
    for selection in [&["-p", "lineside-fieldlog"][..], &["-p", "lineside-engine", "--no-default-features"]] {
        let names = tree(&[selection, &["--edges", "normal,build"]].concat());
        let tract: Vec<&String> = names.iter().filter(|name| name.starts_with("tract")).collect();
        assert!(names.len() > 5 && tract.is_empty(), "{selection:?}: {tract:?}");
    }
}

/// Its vector code gives other bytes than its scalar code. A crate that switches it on does so for all.
#[test]
fn jpegs_are_decoded_by_scalar_code() {
    let features = cargo(&["tree", "--workspace", "--edges", "features", "--invert", "zune-jpeg"]);
    assert!(features.contains("zune-jpeg feature \"std\""), "{features}");
    for feature in ["x86", "neon", "default"] {
        assert!(!features.contains(&format!("zune-jpeg feature \"{feature}\"")), "{feature}: {features}");
    }
}

#[test]
fn nobody_needs_libclang() {
    let names = tree(&["--workspace"]);
    assert!(names.len() > 100 && !names.iter().any(|name| ["bindgen", "clang-sys"].contains(&name.as_str())));
}

#[test]
fn no_dependency_needs_a_newer_compiler_than_we_do() {
    let triple = cargo_host();
    let metadata = cargo(&["metadata", "--format-version", "1", "--filter-platform", &triple]);
    let metadata: serde_json::Value = serde_json::from_str(&metadata).unwrap();
    // Packages of other platforms are listed, too; the graph is of this one.
    let nodes = metadata["resolve"]["nodes"].as_array().unwrap();
    let used = |id: &serde_json::Value| nodes.iter().any(|node| node["id"] == *id);
    let packages = metadata["packages"].as_array().unwrap().iter().filter(|package| used(&package["id"]));
    let stated: Vec<(&str, Vec<u32>)> = packages
        .filter_map(|package| Some((package["name"].as_str()?, version(package["rust_version"].as_str()?))))
        .collect();
    let ours = &stated.iter().find(|(name, _)| *name == "lineside").unwrap().1;
    let newer: Vec<_> = stated.iter().filter(|(_, version)| version > ours).collect();
    assert!(stated.len() > 50 && newer.is_empty(), "rust-version is {ours:?}, but {newer:?}");
}

/// Crates of the program, outside tract, whose code asks at run time what the CPU has, and why its results do not depend on the answer.
const ASK_THE_CPU: [(&str, &str); 24] = [
    ("aho-corasick", "searches bytes"),
    ("cpufeatures", "only reports"),
    ("crc32fast", "integers"),
    ("getrandom", "random on purpose"),
    ("half", "conversions, which are rounded in one way"),
    ("httparse", "searches bytes"),
    ("jpeg-encoder", "vector code is switched off"),
    ("libm", "fused multiply-add and rounding to integers, which have one answer"),
    ("lineside", "its own loops: integers, and floats in a fixed order (docs/numerics.md)"),
    ("lineside-engine", "its own kernels: the same bits from each"),
    ("lineside-picture", "its own loops: integers"),
    ("lineside-quantize", "its own loops: floats in a fixed order, nothing fused"),
    ("memchr", "searches bytes"),
    ("moxcms", "colour management, which is linked and never called"),
    ("multiversion", "compiles what it is given"),
    ("multiversion-macros", "compiles what it is given"),
    ("portable-atomic", "integers"),
    ("pxfm", "part of moxcms"),
    ("ring", "integers"),
    ("sha2", "integers"),
    ("simd-adler32", "integers"),
    ("simdutf8", "checks bytes"),
    ("zlib-rs", "bytes, whatever they are packed by"),
    ("zune-core", "only reports; the vector code of zune-jpeg is switched off, see above"),
];

/// Products of matrices by `matrixmultiply`, `gemm`, `faer` and their like are fused or not, by the CPU: a bundle would not be the same
/// on every one.
#[test]
fn no_dependency_chooses_its_arithmetic_at_run_time() {
    let metadata = cargo(&["metadata", "--format-version", "1", "--filter-platform", &cargo_host()]);
    let metadata: serde_json::Value = serde_json::from_str(&metadata).unwrap();
    let packages: BTreeMap<&str, &serde_json::Value> = metadata["packages"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|package| Some((package["id"].as_str()?, package)))
        .collect();
    let name = |id: &str| packages[id]["name"].as_str().unwrap();
    let nodes = metadata["resolve"]["nodes"].as_array().unwrap();
    // What runs in the program; tract's own arithmetic is held to ours by the engine's tests.
    let mut used = BTreeSet::new();
    let mut left: Vec<&str> = packages.keys().copied().filter(|id| name(id) == "lineside").collect();
    while let Some(id) = left.pop() {
        if !used.insert(id) {
            continue;
        }
        let node = nodes.iter().find(|node| node["id"] == id).unwrap();
        for dependency in node["deps"].as_array().unwrap() {
            let runs = dependency["dep_kinds"].as_array().unwrap().iter().any(|kind| kind["kind"].is_null());
            let id = dependency["pkg"].as_str().unwrap();
            if runs && !name(id).starts_with("tract") {
                left.push(id);
            }
        }
    }
    let asks = |id: &&str| {
        let source = Path::new(packages[*id]["manifest_path"].as_str().unwrap()).with_file_name("src");
        rust_files(&source).iter().any(|file| {
            let text = String::from_utf8_lossy(&std::fs::read(file).unwrap()).into_owned();
            ["feature_detected", "cpufeatures::new!", "__cpuid", "multiversion"].iter().any(|word| text.contains(word))
        })
    };
    let asking: BTreeSet<&str> = used.iter().copied().filter(asks).map(name).collect();
    let known: BTreeSet<&str> = ASK_THE_CPU.iter().map(|(name, _)| *name).collect();
    let new: Vec<&&str> = asking.difference(&known).collect();
    assert!(
        new.is_empty(),
        "{new:?}: asks at run time what the CPU has. Where that decides how floats are added or rounded, bundles and verdicts differ \
         from CPU to CPU: do without it. Where it does not, add it to ASK_THE_CPU with the reason"
    );
    assert!(asking.contains("memchr"), "the search finds what it should: {asking:?}");
    let gone: Vec<&&str> = known.iter().filter(|known| !used.iter().any(|id| name(id) == **known)).collect();
    assert!(gone.is_empty(), "{gone:?}: no part of the program any more; take it out of ASK_THE_CPU");
}

/// All Rust files below a folder; none where it does not exist.
fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut files = Vec::new();
    for path in entries.map(|entry| entry.unwrap().path()) {
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}

fn cargo_host() -> String {
    let about = Command::new(env!("CARGO")).arg("-vV").output().unwrap();
    let about = String::from_utf8(about.stdout).unwrap();
    about.lines().find_map(|line| line.strip_prefix("host: ")).unwrap().to_string()
}

/// As in "1.91" and "1.91.0", which are the same.
fn version(text: &str) -> Vec<u32> {
    let mut numbers: Vec<u32> = text.split('.').map(|number| number.parse().unwrap()).collect();
    numbers.resize(3, 0);
    numbers
}
