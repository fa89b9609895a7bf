//! Which files of a folder are logs.

use super::decompress::{DETECT_BYTES, FileKind, decompressed, detect};
use super::regular::open_log;
use super::source::LogSource;
use std::collections::HashSet;
use std::fs::DirEntry;
use std::io::{Cursor, ErrorKind, Read};
use std::path::{Path, PathBuf};

/// How deep folders are searched: a folder for each plant, line, board and year, and in it one for rotated files.
const DEPTH: usize = 16;
/// The most files that are taken from a folder.
const FILES: usize = 10_000;
/// As much of a file without the name of a log is looked at for a record, in bytes.
const LOOK: u64 = 64 << 10;
/// Endings of packed files that are not unpacked here.
const PACKED: [&str; 16] = [
    ".xz", ".bz2", ".zip", ".7z", ".lz4", ".lzma", ".lzo", ".br", ".rar", ".z", ".tar", ".tgz", ".tar.gz", ".tar.zst",
    ".txz", ".tbz2",
];
/// Endings of what is no log: it is not opened. A folder of records may have very many pictures.
const OTHERS: [&str; 17] = [
    ".png", ".jpg", ".jpeg", ".bmp", ".webp", ".tif", ".tiff", ".pnm", ".ppm", ".pgm", ".pbm", ".gif", ".npy", ".npz",
    ".onnx", ".toml", ".html",
];

/// What tells whether the beginning of a file holds a record.
pub type HoldsRecord<'a> = &'a dyn Fn(Box<dyn Read>) -> bool;

/// The inputs that the paths name: `-` is standard input, of a folder all files whose names are those of logs, and others that
/// begin as a log does (`holds_record`). A path that is a link is followed; in a folder links to files are, and links to folders are
/// not: they may lead in a circle, or to all of a disk. What is beyond the limits, lies behind such a link or has to be unpacked is an
/// input, too, so that the report names it: [`LogSource::PassedOver`].
pub fn find(paths: &[PathBuf], holds_record: HoldsRecord) -> Vec<LogSource> {
    let mut sources: Vec<LogSource> = Vec::new();
    let searched: Vec<PathBuf> =
        paths.iter().filter(|path| path.is_dir()).filter_map(|path| path.canonicalize().ok()).collect();
    for path in paths {
        if path.as_os_str() == "-" {
            sources.push(LogSource::Stdin);
        } else if path.is_dir() {
            let mut search = Search::new(&searched);
            search.folder(path, DEPTH, holds_record);
            search.files.sort();
            let passed_over = search.passed_over();
            let files: Vec<PathBuf> = search.files.into_iter().take(FILES).collect();
            sources.extend(files.into_iter().map(LogSource::File));
            sources.extend(passed_over.map(|what| LogSource::PassedOver { folder: path.clone(), what }));
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

/// Files with the names of logs in a folder and those in it.
#[derive(Default)]
struct Search<'a> {
    files: Vec<PathBuf>,
    /// Files beyond the most that are taken, by count.
    more: u64,
    /// Folders that lie too deep.
    deep: Skipped,
    /// Folders that cannot be read to their end.
    closed: Skipped,
    /// Links to folders that are not searched without them.
    linked: Skipped,
    /// Files that have to be unpacked first.
    packed: Skipped,
    /// All folders that are searched with those in them, without links in their paths.
    searched: &'a [PathBuf],
}

/// What is passed over for one reason: how many, and the first with more about it.
#[derive(Default)]
struct Skipped {
    count: u64,
    first: Option<(PathBuf, String)>,
}

impl Skipped {
    fn note(&mut self, path: &Path, more: impl Into<String>) {
        self.count += 1;
        self.first.get_or_insert_with(|| (path.to_path_buf(), more.into()));
    }

    /// `2 folders are …, FIRST among them`, and what is known of the first; `None` where nothing was passed over.
    fn sentence(&self, one: &str, many: &str, what: &str) -> Option<(String, &str)> {
        let (first, more) = self.first.as_ref()?;
        let subject = if self.count == 1 { format!("{one} is") } else { format!("{many} are") };
        Some((format!("{} {subject} {what}, {} among them", self.count, first.display()), more))
    }
}

impl<'a> Search<'a> {
    fn new(searched: &'a [PathBuf]) -> Search<'a> {
        Search { searched, ..Search::default() }
    }

    fn folder(&mut self, folder: &Path, depth: usize, holds_record: HoldsRecord) {
        let mut entries: Vec<DirEntry> = Vec::new();
        match std::fs::read_dir(folder) {
            Err(error) => self.closed.note(folder, error.to_string()),
            Ok(all) => {
                for entry in all {
                    match entry {
                        Ok(entry) => entries.push(entry),
                        Err(error) => self.closed.note(folder, error.to_string()),
                    }
                }
            }
        }
        entries.sort_by_key(DirEntry::file_name);
        for entry in entries {
            let path = entry.path();
            let kind = match entry.file_type() {
                Ok(kind) => kind,
                // Gone meanwhile.
                Err(error) if error.kind() == ErrorKind::NotFound => continue,
                Err(error) => {
                    self.closed.note(&path, error.to_string());
                    continue;
                }
            };
            if kind.is_dir() && depth > 0 {
                self.folder(&path, depth - 1, holds_record);
            } else if kind.is_dir() {
                self.deep.note(&path, "");
            } else if path.is_dir() {
                if !self.is_searched(&path) {
                    self.linked.note(&path, "");
                }
            } else {
                self.file(path, &entry.file_name().to_string_lossy().to_ascii_lowercase(), holds_record);
            }
        }
    }

    /// Whether a link leads to a folder that is searched by its own path: nothing is missed where it is not followed.
    fn is_searched(&self, link: &Path) -> bool {
        link.canonicalize().is_ok_and(|target| self.searched.iter().any(|folder| target.starts_with(folder)))
    }

    /// A file by its name, in small letters, or else by its beginning.
    fn file(&mut self, path: PathBuf, name: &str, holds_record: HoldsRecord) {
        if !is_log(name) && !self.other(&path, name, holds_record) {
            return;
        }
        // A pipe or a link to nothing with the name of a log, too: opening it will report what it is.
        if self.files.len() < 4 * FILES {
            self.files.push(path);
        } else {
            self.more += 1;
        }
    }

    /// Whether a file without the name of a log is one, as `lineside.log.1.old` may be.
    fn other(&mut self, path: &Path, name: &str, holds_record: HoldsRecord) -> bool {
        let ends = |ends: &[&str]| ends.iter().any(|end| name.ends_with(end));
        if ends(&OTHERS) {
            return false;
        }
        let is_packed = ends(&PACKED);
        let mut packed = |what: String| {
            self.packed.note(path, what);
            false
        };
        let file = match open_log(path) {
            Ok(file) => file,
            // Opening it will report why.
            Err(error) => return error.kind() == ErrorKind::PermissionDenied && name.contains("log"),
        };
        let mut first = Vec::new();
        if (&file).take(DETECT_BYTES as u64).read_to_end(&mut first).is_err() {
            return name.contains("log");
        }
        match detect(&first) {
            FileKind::NotALog => false,
            FileKind::Journal => {
                packed("a file of the journal: read it with `journalctl --file FILE -o export`".into())
            }
            FileKind::Unsupported(with) if is_packed || name.contains("log") => {
                packed(format!("compressed or archived: extract it first with `{with}`"))
            }
            FileKind::Unsupported(_) => false,
            _ if is_packed => packed("compressed or archived: extract it first".into()),
            FileKind::Text | FileKind::Gzip | FileKind::Zstd => {
                let whole = Cursor::new(first).chain(file);
                decompressed(Box::new(whole)).is_ok_and(|stream| holds_record(Box::new(stream.take(LOOK))))
            }
        }
    }

    /// What lies beyond the limits, in one sentence.
    fn passed_over(&self) -> Option<String> {
        let mut parts = Vec::new();
        if let Some(first) = self.files.get(FILES) {
            let count = (self.files.len() - FILES) as u64 + self.more;
            let (files, are) = if count == 1 { ("file", "is") } else { ("files", "are") };
            parts.push(format!(
                "{count} {files} beyond the first {FILES} {are} not read, {} among them",
                first.display()
            ));
        }
        let levels = format!("deeper than {DEPTH} levels");
        let deep = self.deep.sentence(&format!("folder {levels}"), &format!("folders {levels}"), "not searched");
        parts.extend(deep.map(|(sentence, _)| sentence));
        if !parts.is_empty() {
            parts = vec![parts.join("; ") + ": name them, or folders with fewer files"];
        }
        let linked = self.linked.sentence("link to a folder", "links to folders", "not followed");
        parts.extend(linked.map(|(sentence, _)| sentence + ": name what is to be read, too"));
        let closed = self.closed.sentence("folder", "folders", "not read, or not to the end");
        parts.extend(closed.map(|(sentence, why)| format!("{sentence}: {why}")));
        let packed = self.packed.sentence("file", "files", "passed over");
        parts.extend(packed.map(|(sentence, what)| format!("{sentence}: {what}")));
        (!parts.is_empty()).then(|| parts.join("; "))
    }
}

/// A name in small letters: `events.jsonl`, `events-20261121T041500123Z.jsonl`, `lineside.log.3.gz`, `syslog`, `board7.txt`, `journal.export.zst`.
fn is_log(name: &str) -> bool {
    let name = name.strip_suffix(".gz").or_else(|| name.strip_suffix(".zst")).unwrap_or(name);
    let name = name.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.' || c == '-');
    [".jsonl", ".json", ".ndjson", ".log", ".txt", ".csv", ".tsv", ".export"].iter().any(|end| name.ends_with(end))
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
            "Explore-logs-2026-11-28.csv",
            "hits.ndjson.gz",
        ] {
            assert!(is_log(&name.to_ascii_lowercase()), "{name}");
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
        let found = find(&[folder.path().to_path_buf(), folder.path().join("b.log"), "-".into()], &|_| false);
        assert_eq!(found.len(), 3, "{found:?}");
        assert!(matches!(&found[1], LogSource::File(path) if path.ends_with("line3/events.jsonl")));
    }

    #[test]
    fn what_is_beyond_the_limits_is_counted_and_named() {
        let folder = tempfile::tempdir().unwrap();
        let mut deep = folder.path().to_path_buf();
        for level in 0..DEPTH {
            deep.push(level.to_string());
        }
        std::fs::create_dir_all(deep.join("too deep")).unwrap();
        std::fs::write(deep.join("a.log"), "x").unwrap();
        std::fs::write(deep.join("too deep/b.log"), "x").unwrap();
        let found = find(&[folder.path().to_path_buf()], &|_| false);
        assert!(matches!(&found[0], LogSource::File(path) if path.ends_with("a.log")), "{found:?}");
        let LogSource::PassedOver { what, .. } = &found[1] else { panic!("{found:?}") };
        assert!(
            what.starts_with("1 folder deeper than 16 levels is not searched") && what.contains("too deep"),
            "{what}"
        );
        let files = (0..FILES + 3).map(|number| PathBuf::from(format!("{number:06}.log"))).collect();
        let search = Search { files, ..Search::default() };
        let what = search.passed_over().unwrap();
        assert!(what.starts_with("3 files beyond the first 10000 are not read, 010000.log among them"), "{what}");
    }

    #[test]
    fn a_link_to_a_folder_is_named_unless_the_folder_is_searched() {
        use std::os::unix::fs::symlink;
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for name in ["logs/2026", "beside", "only"] {
            std::fs::create_dir_all(at(name)).unwrap();
        }
        for name in ["logs/2026/a.log", "beside/b.log"] {
            std::fs::write(at(name), "x").unwrap();
        }
        symlink("2026", at("logs/current")).unwrap();
        symlink(at("beside/b.log"), at("logs/b.log")).unwrap();
        let find = |paths: &[&str]| {
            let paths: Vec<PathBuf> = paths.iter().map(|name| at(name)).collect();
            let (mut files, mut passed_over) = (0, Vec::new());
            for source in find(&paths, &|_| false) {
                match source {
                    LogSource::PassedOver { what, .. } => passed_over.push(what),
                    _ => files += 1,
                }
            }
            (files, passed_over.join("; "))
        };
        // A link to a file is followed, and one to a folder that is searched hides nothing.
        assert_eq!(find(&["logs"]), (2, String::new()));
        symlink(at("beside"), at("logs/old")).unwrap();
        symlink("..", at("logs/up")).unwrap();
        let (files, what) = find(&["logs"]);
        assert_eq!(files, 2);
        assert!(
            what.starts_with("2 links to folders are not followed, ") && what.contains("logs/old among them"),
            "{what}"
        );
        // All that is named is searched, also by a link.
        assert_eq!(find(&["logs", "beside"]).1.matches("1 link to a folder is not followed").count(), 1);
        symlink(at("logs"), at("only/link")).unwrap();
        let (files, what) = find(&["only"]);
        assert!(files == 0 && what.contains("only/link among them"), "{what}");
        assert_eq!(find(&["only/link"]).0, 2);
    }

    #[test]
    fn a_folder_that_cannot_be_read_is_named_with_the_reason() {
        let folder = tempfile::tempdir().unwrap();
        let mut search = Search::default();
        search.folder(&folder.path().join("away"), DEPTH, &|_| false);
        let what = search.passed_over().unwrap();
        assert!(what.contains("away among them: No such file or directory"), "{what}");
    }
}
