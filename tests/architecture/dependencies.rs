//! Crates that the dependency tree must not hold, by `cargo tree` and `cargo metadata`. `deny.toml` has the policy for licences,
//! sources and duplicate versions.

use std::path::Path;
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
