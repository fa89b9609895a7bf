//! Writes the package's bill of materials, a CycloneDX 1.5 document (<https://cyclonedx.org/docs/1.5/json/>):
//!
//! ```text
//! cargo tree --locked --target TARGET -e normal,build,dev --prefix none >TREE
//! cargo metadata --format-version 1 --locked --filter-platform TARGET | cargo run --release --example sbom -- TARGET TIME TREE
//! ```
//!
//! `cross/package` puts it into the package.
//!
//! What is linked into the program has the scope `required`; what runs in the compiler only (procedural macros, build scripts and
//! what those need) has `excluded`. Hashes are those of `Cargo.lock`: SHA-256 of the archive that the registry serves. The same
//! source gives the same bytes in any folder.

mod metadata;

use metadata::{Error, Metadata, is_proc_macro, text};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;

fn main() -> Result<(), Error> {
    let mut arguments = std::env::args().skip(1);
    let (Some(target), Some(time), Some(tree)) = (arguments.next(), arguments.next(), arguments.next()) else {
        return Err("which target, time and tree? sbom x86_64-unknown-linux-gnu 2026-11-21T00:00:00Z TREE".into());
    };
    // `cargo metadata` lists optional packages, too, that no feature switches on.
    let tree = std::fs::read_to_string(tree)?;
    let compiled: BTreeSet<String> =
        tree.lines().filter_map(|line| line.split(" (").next()).map(String::from).collect();
    let metadata: Value = serde_json::from_reader(std::io::stdin().lock())?;
    let lock = std::fs::read_to_string(Path::new(text(&metadata, "workspace_root")?).join("Cargo.lock"))?;
    let mut document = document(&Metadata::new(&metadata)?, &compiled, &checksums(&lock)?, &target, &time)?;
    // A number of its own that depends on the content alone.
    let digest = Sha256::digest(document.to_string());
    let hex: String = digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    let serial = [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-");
    document["serialNumber"] = format!("urn:uuid:{serial}").into();
    println!("{}", serde_json::to_string_pretty(&document)?);
    Ok(())
}

/// SHA-256 by name and version, of those that come from a registry.
fn checksums(lock: &str) -> Result<HashMap<(String, String), String>, Error> {
    let lock: toml::Table = toml::from_str(lock)?;
    let packages = lock.get("package").and_then(toml::Value::as_array).ok_or("Cargo.lock lists no packages")?;
    let word = |package: &toml::Value, key: &str| package.get(key).and_then(toml::Value::as_str).map(String::from);
    let entry = |package| Some(((word(package, "name")?, word(package, "version")?), word(package, "checksum")?));
    Ok(packages.iter().filter_map(entry).collect())
}

fn document(
    metadata: &Metadata,
    compiled: &BTreeSet<String>,
    checksums: &HashMap<(String, String), String>,
    target: &str,
    time: &str,
) -> Result<Value, Error> {
    let is_compiled = |package: &Value| {
        let name = format!("{} v{}", package["name"].as_str().unwrap_or(""), package["version"].as_str().unwrap_or(""));
        compiled.contains(&name)
    };
    let linked = metadata.reached(|package, kind| kind.is_null() && !is_proc_macro(package) && is_compiled(package))?;
    // What runs in the compiler, too: procedural macros, build scripts, and what those need.
    let needs = |package: &Value, kind: &Value| (kind.is_null() || kind == "build") && is_compiled(package);
    let built = metadata.reached(needs)?;
    // By reference, so that the order depends on no folder.
    let (mut components, mut dependencies) = (BTreeMap::new(), BTreeMap::new());
    for &id in &built {
        let package = metadata.package(id)?;
        let reference = purl(package)?;
        let mut needed = metadata
            .dependencies(id, needs)?
            .into_iter()
            .map(|id| purl(metadata.package(id)?))
            .collect::<Result<Vec<String>, Error>>()?;
        needed.sort();
        dependencies.insert(reference.clone(), json!({ "ref": reference, "dependsOn": needed }));
        if id != metadata.root {
            let scope = if linked.contains(id) { "required" } else { "excluded" };
            components.insert(reference, component(package, "library", Some(scope), checksums)?);
        }
    }
    let program = component(metadata.package(metadata.root)?, "application", None, checksums)?;
    Ok(json!({
        "$schema": "http://cyclonedx.org/schema/bom-1.5.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "serialNumber": "",
        "version": 1,
        "metadata": {
            "timestamp": time,
            "component": program,
            "properties": [{ "name": "cargo:target", "value": target }],
        },
        "components": components.into_values().collect::<Vec<_>>(),
        "dependencies": dependencies.into_values().collect::<Vec<_>>(),
    }))
}

fn component(
    package: &Value,
    kind: &str,
    scope: Option<&str>,
    checksums: &HashMap<(String, String), String>,
) -> Result<Value, Error> {
    let (name, version, reference) = (text(package, "name")?, text(package, "version")?, purl(package)?);
    let mut component = json!({
        "type": kind, "bom-ref": reference, "name": name, "version": version, "purl": reference,
        // Cargo's older form has a slash for OR.
        "licenses": [{ "expression": text(package, "license")?.replace('/', " OR ") }],
    });
    let optional = [("description", &package["description"]), ("scope", &scope.into())];
    for (key, value) in optional.into_iter().filter(|(_, value)| value.is_string()) {
        component[key] = value.clone();
    }
    if let Some(checksum) = checksums.get(&(name.into(), version.into())) {
        component["hashes"] = json!([{ "alg": "SHA-256", "content": checksum }]);
    }
    if let Some(repository) = package["repository"].as_str() {
        component["externalReferences"] = json!([{ "type": "vcs", "url": repository }]);
    }
    Ok(component)
}

/// The package's URL: `pkg:cargo/…` of what a registry has, `pkg:generic/…` of what is in this source alone.
fn purl(package: &Value) -> Result<String, Error> {
    let kind = if package["source"].is_string() { "cargo" } else { "generic" };
    let version = text(package, "version")?.replace('+', "%2B");
    Ok(format!("pkg:{kind}/{}@{version}", text(package, "name")?))
}
