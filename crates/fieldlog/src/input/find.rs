//! Which files of a folder are logs.

use super::source::LogSource;
use std::collections::HashSet;
use std::path::{Path, PathBuf};

/// How deep folders are searched: a folder for each board, and in it one for rotated files.
const DEPTH: usize = 4;
/// The most files that are taken from a folder.
const FILES: usize = 10_000;

/// The inputs that the paths name: `-` is standard input, of a folder all files whose names are those of logs.
pub fn find(paths: &[PathBuf]) -> Vec<LogSource> {
    let mut sources: Vec<LogSource> = Vec::new();
    for path in paths {
        if path.as_os_str() == "-" {
            sources.push(LogSource::Stdin);
        } else if path.is_dir() {
            let mut files = Vec::new();
            search(path, DEPTH, &mut files);
            files.sort();
            sources.extend(files.into_iter().map(LogSource::File));
        } else {
            sources.push(LogSource::File(path.clone()));
        }
    }
    // The same file by two names is read once.
    let mut seen = HashSet::new();
    sources.retain(|source| {
        let LogSource::File(path) = source else { return true };
        seen.insert(path.canonicalize().unwrap_or_else(|_| path.clone()))
    });
    sources
}

fn search(folder: &Path, depth: usize, files: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(folder) else {
        // Opening it will report why.
        files.push(folder.to_path_buf());
        return;
    };
    for entry in entries.flatten() {
        let Ok(kind) = entry.file_type() else { continue };
        let path = entry.path();
        if kind.is_dir() && depth > 0 {
            search(&path, depth - 1, files);
        } else if !path.is_dir() && is_log(&entry.file_name().to_string_lossy()) && files.len() < FILES {
            // A pipe or a link to nothing with the name of a log, too: opening it will report what it is.
            files.push(path);
        }
    }
}

/// `events.jsonl`, `events-20261121T041500123Z.jsonl`, `lineside.log.3.gz`, `syslog`, `board7.txt`, `journal.export.zst`.
fn is_log(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let name = name.strip_suffix(".gz").or_else(|| name.strip_suffix(".zst")).unwrap_or(&name);
    let name = name.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.' || c == '-');
    [".jsonl", ".json", ".log", ".txt", ".export"].iter().any(|end| name.ends_with(end))
        || ["syslog", "journal", "messages"].iter().any(|begin| name.starts_with(begin) && !name.contains('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logs_are_told_from_pictures_by_their_names() {
        for name in [
            "events.jsonl",
            "events-20261121T041500123Z.jsonl",
            "lineside.log.3.gz",
            "a.log-20261121.zst",
            "syslog.1",
            "board7.txt",
            "journal",
            "x.export",
        ] {
            assert!(is_log(name), "{name}");
        }
        for name in ["a.png", "journal.png", "bundle.toml", "out.npy", ".hidden", "20261121"] {
            assert!(!is_log(name), "{name}");
        }
    }

    #[test]
    fn folders_are_searched_and_no_file_is_read_twice() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(folder.path().join("line3")).unwrap();
        for name in ["b.log", "a.png", "line3/events.jsonl"] {
            std::fs::write(folder.path().join(name), "x").unwrap();
        }
        let found = find(&[folder.path().to_path_buf(), folder.path().join("b.log"), "-".into()]);
        assert_eq!(found.len(), 3, "{found:?}");
        assert!(matches!(&found[1], LogSource::File(path) if path.ends_with("line3/events.jsonl")));
    }
}
