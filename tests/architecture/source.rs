//! Just enough of Rust's grammar to see what a module names: paths, module declarations and the names of types.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// The source of a crate, without its tests.
pub struct Crate {
    pub name: String,
    pub modules: BTreeMap<ModulePath, Module>,
}

/// A module by its path from the crate's root, which is empty.
pub type ModulePath = Vec<String>;

pub struct Module {
    pub file: PathBuf,
    /// Absolute paths that its code names, from the crate's root.
    names: BTreeSet<Vec<String>>,
    /// `pub use child::Name`, by the name under which it can be reached here.
    reexports: BTreeMap<String, Vec<String>>,
    /// Names of its public types.
    pub types: Vec<String>,
}

impl Crate {
    /// Reads all files under `folder/src`; the crate is called by its folder, relative to the workspace.
    pub fn read(workspace: &Path, folder: &str) -> Crate {
        let root = workspace.join(folder).join("src");
        let mut sources = BTreeMap::new();
        collect(&root, &mut Vec::new(), &mut sources);
        // Modules that exist only for tests.
        let mut tests = BTreeSet::new();
        for (path, (_, text)) in &sources {
            for name in test_modules(text) {
                tests.insert([&path[..], &[name]].concat());
            }
        }
        let mut modules = BTreeMap::new();
        for (path, (file, text)) in sources {
            if !tests.iter().any(|test: &ModulePath| path.starts_with(test)) {
                let code = without_tests(&text);
                let names = paths(&code).into_iter().filter_map(|name| absolute(&path, name)).collect();
                let file = file.strip_prefix(workspace).unwrap().to_path_buf();
                modules.insert(path, Module { file, names, reexports: reexports(&code), types: public_types(&code) });
            }
        }
        Crate { name: Path::new(folder).join("src").display().to_string(), modules }
    }

    /// Between the children of a module: which of them names which others.
    pub fn imports(&self, parent: &[String]) -> BTreeMap<&str, BTreeSet<&str>> {
        let mut imports: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for (path, module) in self.modules.iter().filter(|(path, _)| path.starts_with(parent)) {
            let Some(from) = path.get(parent.len()) else { continue };
            let others = imports.entry(from).or_default();
            let named = module.names.iter().filter(|name| name.starts_with(parent));
            let named = named.filter_map(|name| self.child(parent, name.get(parent.len())?));
            others.extend(named.filter(|other| other != from));
        }
        imports
    }

    /// The child of a module in which a name of that module is defined; `None` where that is the module itself.
    fn child(&self, parent: &[String], name: &str) -> Option<&str> {
        let reexported = self.modules.get(parent).and_then(|module| module.reexports.get(name));
        let child = reexported.map_or(name, |path| &path[0]);
        let (path, _) = self.modules.get_key_value(&[parent, &[child.to_string()]].concat())?;
        path.last().map(String::as_str)
    }
}

fn collect(folder: &Path, path: &mut ModulePath, sources: &mut BTreeMap<ModulePath, (PathBuf, String)>) {
    let mut entries: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    for entry in entries {
        let name = entry.file_stem().unwrap().to_str().unwrap().to_string();
        if entry.is_dir() {
            path.push(name);
            collect(&entry, path, sources);
            path.pop();
        } else if entry.extension().is_some_and(|extension| extension == "rs") && name != "main" {
            let text = blanked(&std::fs::read_to_string(&entry).unwrap());
            let module = if name == "lib" || name == "mod" { path.clone() } else { [&path[..], &[name]].concat() };
            sources.insert(module, (entry, text));
        }
    }
}

/// The code with comments, strings and characters taken out.
pub fn blanked(text: &str) -> String {
    let (mut out, mut rest) = (String::with_capacity(text.len()), text);
    while let Some(c) = rest.chars().next() {
        let raw = raw_string(rest);
        let end = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            rest.find("*/").map_or(rest.len(), |end| end + 2)
        } else if let Some(end) = raw.filter(|_| !out.ends_with(is_word)) {
            end
        } else if c == '"' {
            closing(rest, '"')
        } else if c == '\'' && is_character(rest) {
            closing(rest, '\'')
        } else {
            out.push(c);
            rest = &rest[c.len_utf8()..];
            continue;
        };
        out.push(' ');
        rest = &rest[end..];
    }
    out
}

/// The length of the raw string that begins here.
fn raw_string(text: &str) -> Option<usize> {
    let hashes = text.strip_prefix("r").or(text.strip_prefix("br"))?;
    let count = hashes.len() - hashes.trim_start_matches('#').len();
    let body = hashes[count..].strip_prefix('"')?;
    let end = format!("\"{}", "#".repeat(count));
    Some(text.len() - body.len() + body.find(&end).map_or(body.len(), |at| at + end.len()))
}

/// The length of a literal, with its quotes.
fn closing(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == quote => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// A character and not a lifetime.
fn is_character(text: &str) -> bool {
    let mut chars = text.chars().skip(1);
    match (chars.next(), chars.next()) {
        (Some('\\'), _) => true,
        (_, after) => after == Some('\''),
    }
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

const TEST: &str = "#[cfg(test)]";

/// `#[cfg(test)] mod name;`
fn test_modules(code: &str) -> Vec<String> {
    let items = code.split(TEST).skip(1);
    let declared = items.filter_map(|item| item[..item.find([';', '{'])?].split_once("mod ").zip(item.find(';')));
    declared.map(|((_, name), _)| name.trim().to_string()).collect()
}

/// The code without the items that are only there for tests.
fn without_tests(code: &str) -> String {
    let (mut out, mut rest) = (String::new(), code);
    while let Some(at) = rest.find(TEST) {
        out.push_str(&rest[..at]);
        let item = &rest[at..];
        let mut depth = 0;
        let end = item.char_indices().find(|(_, c)| match c {
            '{' => {
                depth += 1;
                false
            }
            '}' => {
                depth -= 1;
                depth == 0
            }
            c => *c == ';' && depth == 0,
        });
        rest = end.map_or("", |(at, _)| &item[at + 1..]);
    }
    out + rest
}

/// Every path in the code that begins with `crate` or `super`; those in braces one by one.
fn paths(code: &str) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    for start in ["crate::", "super::"] {
        for (at, _) in code.match_indices(start) {
            let before = code[..at].chars().next_back();
            if !before.is_some_and(|c| is_word(c) || c == ':') {
                tree(&code[at..], &mut Vec::new(), &mut found);
            }
        }
    }
    found
}

/// Reads a path, or a tree of them, and returns what follows it.
fn tree<'a>(code: &'a str, path: &mut Vec<String>, found: &mut Vec<Vec<String>>) -> &'a str {
    let code = code.trim_start();
    if let Some(mut rest) = code.strip_prefix('{') {
        loop {
            rest = tree(rest, path, found).trim_start();
            match rest.strip_prefix(',') {
                Some(next) if !next.trim_start().starts_with('}') => rest = next,
                Some(next) => return next.trim_start().strip_prefix('}').unwrap_or(""),
                None => return rest.strip_prefix('}').unwrap_or(rest),
            }
        }
    }
    let word = code.find(|c| !is_word(c)).unwrap_or(code.len());
    path.push(code[..word].to_string());
    let mut rest = code[word..].trim_start();
    match rest.strip_prefix("::") {
        Some(next) if next.trim_start().starts_with(|c| is_word(c) || c == '{') => rest = tree(next, path, found),
        _ => found.push(path.clone()),
    }
    path.pop();
    // `name as other` in a list of imports.
    let alias = rest.trim_start().strip_prefix("as ").map(|rest| rest.trim_start().trim_start_matches(is_word));
    alias.unwrap_or(rest)
}

/// From the crate's root.
fn absolute(module: &[String], path: Vec<String>) -> Option<Vec<String>> {
    if path[0] == "crate" {
        return Some(path[1..].to_vec());
    }
    let up = path.iter().take_while(|word| *word == "super").count();
    let parent = module.get(..module.len().checked_sub(up)?)?;
    Some([parent, &path[up..]].concat())
}

/// `pub use child::{Name, …};` of a module, by name.
fn reexports(code: &str) -> BTreeMap<String, Vec<String>> {
    let mut found = Vec::new();
    for (at, start) in code.match_indices("pub use ").chain(code.match_indices("pub(crate) use ")) {
        tree(&code[at + start.len()..], &mut Vec::new(), &mut found);
    }
    let own = found.into_iter().filter(|path| path.len() > 1 && path[0] != "crate" && path[0] != "super");
    own.filter_map(|path| Some((path.last()?.clone(), path))).collect()
}

/// The names of `pub struct`, `pub enum`, `pub trait` and `pub type`.
fn public_types(code: &str) -> Vec<String> {
    let mut names = Vec::new();
    for line in code.lines().map(str::trim_start).filter_map(|line| line.strip_prefix("pub ")) {
        let line = line.strip_prefix("unsafe ").unwrap_or(line);
        for kind in ["struct ", "enum ", "trait ", "type ", "union "] {
            let name = line.strip_prefix(kind).map(|rest| rest.split(|c| !is_word(c)).next().unwrap_or(rest));
            names.extend(name.map(str::to_string));
        }
    }
    names
}
