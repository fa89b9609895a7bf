//! The order of rooms, derived from the paths in the source: nobody imports upwards, modules have no circles, and the map in
//! `src/lib.rs` is that order.

mod dependencies;
mod source;

use source::{Crate, ModulePath};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn crates() -> Vec<Crate> {
    let libraries = std::fs::read_dir(root().join("crates")).unwrap();
    let mut folders: Vec<String> =
        libraries.map(|entry| format!("crates/{}", entry.unwrap().file_name().display())).collect();
    folders.sort();
    folders.insert(0, String::new());
    folders.iter().map(|folder| Crate::read(root(), folder)).collect()
}

/// The rooms in the order in which the map of `src/lib.rs` lists them.
fn map() -> Vec<String> {
    let library = std::fs::read_to_string(root().join("src/lib.rs")).unwrap();
    let rows = library.lines().filter_map(|line| line.strip_prefix("//! | [`")?.split_once("`]"));
    rows.map(|(room, _)| room.to_string()).collect()
}

/// Modules that import each other, directly or by others; empty where there is an order.
fn circle<'a>(imports: &BTreeMap<&'a str, BTreeSet<&'a str>>) -> BTreeSet<&'a str> {
    let mut left: BTreeSet<&str> = imports.keys().copied().collect();
    loop {
        let none = BTreeSet::new();
        let others = |module: &str| imports.get(module).unwrap_or(&none);
        let imports_another = |module: &&str| others(module).iter().any(|other| left.contains(other));
        let imported = |module: &&str| left.iter().any(|other| others(other).contains(module));
        let next: BTreeSet<&str> =
            left.iter().copied().filter(|module| imports_another(module) && imported(module)).collect();
        if next.len() == left.len() {
            return left;
        }
        left = next;
    }
}

#[test]
fn no_room_imports_from_one_above_it_and_the_map_lists_them_in_that_order() {
    let program = Crate::read(root(), "");
    let (map, imports) = (map(), program.imports(&[]));
    let rooms: BTreeSet<&str> = map.iter().map(String::as_str).collect();
    assert_eq!(rooms, imports.keys().copied().collect(), "the map of src/lib.rs lists every room, and no other");
    let floor = |room: &str| map.iter().position(|known| known == room);
    let mut upwards = Vec::new();
    for (room, others) in &imports {
        upwards
            .extend(others.iter().filter(|other| floor(other) < floor(room)).map(|other| format!("{room} → {other}")));
    }
    assert!(upwards.is_empty(), "imports against the order of the map in src/lib.rs: {}", upwards.join(", "));
}

#[test]
fn modules_have_no_circles() {
    let mut circles = Vec::new();
    for source in crates() {
        let parents: BTreeSet<&[String]> =
            source.modules.keys().filter_map(|path| path.split_last()).map(|(_, parent)| parent).collect();
        for parent in parents {
            let imports = source.imports(parent);
            let circle = circle(&imports);
            if !circle.is_empty() {
                let place = [std::slice::from_ref(&source.name), parent].concat().join("/");
                let within = |module: &str| {
                    let others: Vec<&str> = imports[module].intersection(&circle).copied().collect();
                    format!("{module} → {}", others.join(" "))
                };
                circles.push(format!(
                    "{place}: {}",
                    circle.iter().map(|module| within(module)).collect::<Vec<_>>().join(", ")
                ));
            }
        }
    }
    assert!(circles.is_empty(), "modules that import each other:\n{}", circles.join("\n"));
}

/// Of these two only one is compiled, so that a type of each may have the same name.
const ALTERNATIVES: [[&[&str]; 2]; 4] = [
    [&["sink", "mqtt"], &["sink", "no_mqtt"]],
    [&["status_page", "tls"], &["status_page", "no_tls"]],
    [&["kernels", "aarch64"], &["kernels", "x86_64"]],
    [&["kernels", "float", "aarch64"], &["kernels", "float", "x86_64"]],
];

fn are_alternatives(a: &ModulePath, b: &ModulePath) -> bool {
    let starts =
        |path: &ModulePath, prefix: &[&str]| path.iter().zip(prefix).filter(|(a, b)| a == b).count() == prefix.len();
    ALTERNATIVES.iter().any(|[one, other]| (starts(a, one) && starts(b, other)) || (starts(a, other) && starts(b, one)))
}

#[test]
fn no_public_type_name_occurs_twice_in_a_crate() {
    let mut twice = Vec::new();
    for source in crates() {
        let mut known: BTreeMap<&str, &ModulePath> = BTreeMap::new();
        for (path, module) in &source.modules {
            for name in &module.types {
                if let Some(other) = known.insert(name, path).filter(|other| !are_alternatives(other, path)) {
                    twice.push(format!(
                        "{name}: {} and {}",
                        source.modules[other].file.display(),
                        module.file.display()
                    ));
                }
            }
        }
    }
    assert!(twice.is_empty(), "public type names that occur twice in a crate:\n{}", twice.join("\n"));
}
