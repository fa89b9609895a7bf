//! Writes a paragraph of Debian's copyright file for each licence text of the packages that are linked into the program:
//! `cargo metadata --format-version 1 --filter-platform TARGET | cargo run --release --example licences`. `cross/package`
//! sets them behind `debian/copyright`. Fails where a package offers no licence that is known here.

mod metadata;

use metadata::{Error, Metadata, is_proc_macro, text};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;

/// Of what a package offers, the first of these is taken. The text is recognized by its words.
const LICENCES: [(&str, &str); 6] = [
    ("MIT", "Permission is hereby granted, free of charge"),
    ("Apache-2.0", "Version 2.0, January 2004"),
    ("Zlib", "This software is provided 'as-is'"),
    ("ISC", "Permission to use, copy, modify, and/or distribute this software"),
    ("BSD-3-Clause", "Redistribution and use in source and binary forms"),
    ("IJG", "The authors make NO WARRANTY or representation"),
];

/// For packages that state the licence and ship no text of it.
const MIT: &str = include_str!("../LICENSE-MIT");
const APACHE: &str = "On Debian systems the full text is in /usr/share/common-licenses/Apache-2.0.";

fn main() -> Result<(), Error> {
    let metadata: Value = serde_json::from_reader(std::io::stdin().lock())?;
    // Packages by licence, text and holders: most texts are many packages' own.
    let mut paragraphs: BTreeMap<(String, String, String), Vec<String>> = BTreeMap::new();
    for package in linked(&metadata)? {
        let (name, version) = (text(package, "name")?, text(package, "version")?);
        let (licence, words, holders) = terms(package).map_err(|problem| format!("{name} {version}: {problem}"))?;
        paragraphs.entry((licence, words, holders)).or_default().push(format!("crates/{name}-{version}/*"));
    }
    for ((licence, words, holders), packages) in paragraphs {
        println!("\nFiles: {}", packages.join("\n "));
        println!("Copyright: {}", holders.replace('\n', "\n           "));
        println!("License: {licence}");
        for line in words.trim().lines().map(str::trim_end) {
            println!(" {}", if line.trim().is_empty() { "." } else { line });
        }
    }
    Ok(())
}

/// The packages whose code is in the program: what the root needs at run time, and what those need; not what runs in the
/// compiler. Lineside's own libraries are under its own licence, which `debian/copyright` states.
fn linked(metadata: &Value) -> Result<Vec<&Value>, Error> {
    let metadata = Metadata::new(metadata)?;
    let linked = metadata.reached(|package, kind| kind.is_null() && !is_proc_macro(package))?;
    let packages: Vec<&Value> = linked.into_iter().map(|id| metadata.package(id)).collect::<Result<_, _>>()?;
    let own = |package: &Value| text(package, "name").is_ok_and(|name| name.starts_with("lineside"));
    Ok(packages.into_iter().filter(|package| !own(package)).collect())
}

/// A package's licence, its words, and who holds the copyright. Of licences that hold together, all.
fn terms(package: &Value) -> Result<(String, String, String), Error> {
    let folder = Path::new(text(package, "manifest_path")?).parent().ok_or("no folder")?;
    let files = notices(folder)?;
    let (mut licences, mut words, mut holders) = (Vec::new(), Vec::new(), Vec::new());
    for offered in text(package, "license")?.replace('/', " OR ").split(" AND ") {
        let (licence, says, who) = terms_of(package, offered, &files)?;
        licences.push(licence);
        words.push(says);
        holders.extend(
            who.lines().filter(|line| !holders.contains(&line.to_string())).map(String::from).collect::<Vec<_>>(),
        );
    }
    Ok((licences.join(" and "), words.join("\n\n"), holders.join("\n")))
}

/// The same of one of the licences that hold together: of what it offers by OR, one is taken.
fn terms_of(package: &Value, offered: &str, files: &[(String, String)]) -> Result<(String, String, String), Error> {
    let offered: Vec<&str> = offered.split(" OR ").map(|word| word.trim_matches(['(', ')', ' '])).collect();
    let (licence, mark) = *LICENCES
        .iter()
        .find(|(licence, _)| offered.contains(licence))
        .ok_or_else(|| format!("{offered:?}: decide in examples/licences.rs"))?;
    let own = files.iter().find(|(_, words)| words.contains(mark)).map(|(_, words)| words.as_str());
    let holders = own.filter(|_| licence != "Apache-2.0").map(holders).filter(|holders| !holders.is_empty());
    let holders = holders.unwrap_or_else(|| authors(package));
    let words = match (licence, own) {
        ("Apache-2.0", _) => {
            let notices: Vec<&str> =
                files.iter().filter(|(name, _)| name.starts_with("NOTICE")).map(|(_, words)| words.as_str()).collect();
            format!("{APACHE}\n\n{}", notices.join("\n"))
        }
        (_, Some(own)) => without_apache(own),
        ("MIT", None) => MIT.lines().filter(|line| !line.starts_with("Copyright")).collect::<Vec<_>>().join("\n"),
        (_, None) => return Err("it ships no text of its licence".into()),
    };
    Ok((licence.into(), words, holders))
}

/// A text that holds Apache's licence among others, with a word about where that lies on Debian in its stead.
fn without_apache(words: &str) -> String {
    let lines: Vec<&str> = words.lines().collect();
    let begin = lines.iter().position(|line| line.trim() == "Apache License");
    let end = lines.iter().rposition(|line| line.trim() == "limitations under the License.");
    match (begin, end) {
        (Some(begin), Some(end)) if begin < end => {
            [&lines[..begin], &["Apache License, Version 2.0.", APACHE], &lines[end + 1..]].concat().join("\n")
        }
        _ => words.into(),
    }
}

/// The files of a package that speak of licences: names in capitals, and what they say.
fn notices(folder: &Path) -> Result<Vec<(String, String)>, Error> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().to_uppercase();
        let speaks = ["LICENSE", "LICENCE", "COPYING", "NOTICE"].iter().any(|begin| name.starts_with(begin));
        if speaks && entry.path().is_file() {
            files.push((name, std::fs::read_to_string(entry.path())?));
        }
    }
    files.sort();
    Ok(files)
}

/// Who claims the copyright, without the word itself and its sign.
fn holders(words: &str) -> String {
    let claims = words.lines().map(str::trim).filter_map(|line| {
        let claim = line.strip_prefix("Copyright").or_else(|| line.strip_prefix("COPYRIGHT"))?;
        let claim =
            claim.trim_start().trim_start_matches("(c)").trim_start_matches("(C)").trim_start_matches('©').trim();
        // "Copyright notice", and whatever else goes on in small letters, claims nothing.
        (!claim.is_empty() && !claim.starts_with(|c: char| c.is_lowercase())).then_some(claim)
    });
    claims.collect::<Vec<_>>().join("\n")
}

fn authors(package: &Value) -> String {
    let authors = package["authors"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let authors: Vec<&str> = authors.collect();
    let name = package["name"].as_str().unwrap_or_default();
    if authors.is_empty() { format!("the authors of {name}") } else { authors.join("\n") }
}
