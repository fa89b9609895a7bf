//! What `cargo metadata` prints, for the examples that make the package's documents.

use serde_json::Value;
use std::collections::{BTreeSet, HashMap};

/// Whatever went wrong, for people.
pub type Error = Box<dyn std::error::Error>;

/// The packages of a build, and what each depends on.
pub struct Metadata<'a> {
    packages: HashMap<&'a str, &'a Value>,
    nodes: HashMap<&'a str, &'a Value>,
    /// The id of the package that is built.
    pub root: &'a str,
}

impl<'a> Metadata<'a> {
    /// # Errors
    /// Where it is something else.
    pub fn new(metadata: &'a Value) -> Result<Metadata<'a>, Error> {
        let by_id = |list: &'a Value| -> Option<HashMap<&'a str, &'a Value>> {
            Some(list.as_array()?.iter().filter_map(|one| Some((one["id"].as_str()?, one))).collect())
        };
        let packages = by_id(&metadata["packages"]).ok_or("this is not what `cargo metadata` prints")?;
        let nodes = by_id(&metadata["resolve"]["nodes"]).ok_or("cargo metadata was asked for no dependencies")?;
        Ok(Metadata { packages, nodes, root: text(&metadata["resolve"], "root")? })
    }

    /// The package of an id.
    ///
    /// # Errors
    /// Where there is none.
    pub fn package(&self, id: &str) -> Result<&'a Value, Error> {
        self.packages.get(id).copied().ok_or_else(|| format!("the package {id} is missing").into())
    }

    /// Ids of the packages that a package needs, by dependencies of kinds (`null`, `"build"`, `"dev"`) that are wanted.
    ///
    /// # Errors
    /// Where a package is missing.
    pub fn dependencies(&self, id: &str, wanted: impl Fn(&Value, &Value) -> bool) -> Result<Vec<&'a str>, Error> {
        let Some(node) = self.nodes.get(id) else { return Ok(Vec::new()) };
        let mut found = Vec::new();
        for dependency in node["deps"].as_array().into_iter().flatten() {
            let needed = text(dependency, "pkg")?;
            let package = self.package(needed)?;
            if dependency["dep_kinds"].as_array().into_iter().flatten().any(|kind| wanted(package, &kind["kind"])) {
                found.push(needed);
            }
        }
        Ok(found)
    }

    /// Ids of the root and of all packages that it needs, directly or by others, as [`Metadata::dependencies`] takes them.
    ///
    /// # Errors
    /// Where a package is missing.
    pub fn reached(&self, wanted: impl Fn(&Value, &Value) -> bool) -> Result<BTreeSet<&'a str>, Error> {
        let (mut reached, mut ahead) = (BTreeSet::new(), vec![self.root]);
        while let Some(id) = ahead.pop() {
            if reached.insert(id) {
                ahead.extend(self.dependencies(id, &wanted)?);
            }
        }
        Ok(reached)
    }
}

/// Whether a package runs in the compiler.
pub fn is_proc_macro(package: &Value) -> bool {
    let targets = package["targets"].as_array().into_iter().flatten();
    targets.filter_map(|target| target["kind"].as_array()).flatten().any(|kind| kind == "proc-macro")
}

/// A string of an object.
///
/// # Errors
/// Where it has none of that name.
pub fn text<'a>(value: &'a Value, key: &str) -> Result<&'a str, Error> {
    value[key].as_str().ok_or_else(|| format!("no {key}").into())
}
