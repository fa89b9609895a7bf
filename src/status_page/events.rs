//! The last events, read from the ends of the files of records, and their pictures: so those from before a restart are there,
//! too.

use crate::sink::{EventLog, record_files};
use serde_json::{Value, json};
use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// How much of a file's end is read: some hundred events.
pub const END: u64 = 64 << 10;
/// Events on the page.
const SHOWN: usize = 12;

/// The last events of a folder. Many ask twice a second; files are read again only when they have changed.
pub struct RecentEvents {
    folder: PathBuf,
    known: Mutex<CachedEvents>,
}

#[derive(Default)]
struct CachedEvents {
    /// The inode and length of the file that they were read from: it only grows, and is followed by another.
    file: Option<(u64, u64)>,
    events: Vec<Value>,
}

impl RecentEvents {
    /// Those of records and pictures in `folder`.
    pub fn new(folder: PathBuf) -> RecentEvents {
        RecentEvents { folder, known: Mutex::default() }
    }

    /// The last ones, newest first.
    pub fn last(&self) -> Vec<Value> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let about = std::fs::metadata(EventLog::path_in(&self.folder));
        let file = about.ok().map(|about| (about.ino(), about.len()));
        if known.file != file || file.is_none() {
            *known = CachedEvents { file, events: last_events(&self.folder) };
        }
        known.events.clone()
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }
}

/// Newest first; what is no whole record is passed over.
fn last_events(folder: &Path) -> Vec<Value> {
    let mut events = Vec::new();
    for file in record_files(folder).unwrap_or_default().iter().rev() {
        events.extend(events_in(file, SHOWN - events.len()));
        if events.len() == SHOWN {
            break;
        }
    }
    events
}

fn events_in(path: &Path, most: usize) -> Vec<Value> {
    let Some(end) = end_of(path) else { return Vec::new() };
    let records = end.split(|&byte| byte == b'\n').rev().filter_map(|line| serde_json::from_slice::<Value>(line).ok());
    records.filter(|record| record["record"] == "event").take(most).map(|record| shown(&record)).collect()
}

fn shown(record: &Value) -> Value {
    let picture = |name: &str| record["files"][name].as_str().filter(|file| is_picture_name(file));
    json!({
        "time": record["time"], "frame": record["frame"], "score": record["score"], "threshold": record["threshold"],
        "latency_ms": record["latency_ms"], "picture": picture("annotated"), "spot": picture("spot"),
    })
}

fn end_of(path: &Path) -> Option<Vec<u8>> {
    let mut file = File::open(path).ok()?;
    let length = file.metadata().ok()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(END))).ok()?;
    let mut end = Vec::new();
    file.take(END).read_to_end(&mut end).ok()?;
    Some(end)
}

/// Opens an event's picture, and gives its length. A name that leads elsewhere, a link, and what is no file is not opened.
pub fn open_picture(folder: &Path, name: &str) -> Option<(File, u64)> {
    if !is_picture_name(name) {
        return None;
    }
    let file =
        OpenOptions::new().read(true).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK).open(folder.join(name)).ok()?;
    let about = file.metadata().ok()?;
    about.is_file().then_some((file, about.len()))
}

/// Names as the writer makes them; without a slash none of them leaves the folder.
fn is_picture_name(name: &str) -> bool {
    let plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
    plain && !name.starts_with('.') && name.ends_with(".png")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn the_last_events_are_read_from_the_end_of_a_file_with_anything_in_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events.jsonl");
        assert!(last_events(folder.path()).is_empty());
        let event = |i: usize| {
            format!(
                "{{\"record\":\"event\",\"score\":{i},\"files\":{{\"annotated\":\"{i}.png\",\"spot\":\"../x.png\"}}}}\n"
            )
        };
        let mut text: String = (0..5000).map(event).collect();
        text += "{\"record\":\"stop\"}\n\0\0\nnull\n[1]\n{\"record\":\"event\",\"sco";
        std::fs::write(&path, text).unwrap();
        let events = last_events(folder.path());
        assert_eq!(events.len(), SHOWN);
        assert_eq!(
            (&events[0]["score"], &events[0]["picture"], &events[0]["spot"]),
            (&4999.into(), &"4999.png".into(), &Value::Null)
        );
        // A new file was begun a moment ago.
        let closed = folder.path().join("events-20261121T040000123Z.jsonl");
        std::fs::rename(&path, &closed).unwrap();
        std::fs::write(&path, "{\"record\":\"goes_on\"}\n".to_string() + &event(5000)).unwrap();
        let scores: Vec<u64> = last_events(folder.path()).iter().map(|one| one["score"].as_u64().unwrap()).collect();
        assert_eq!((scores.len(), &scores[..3]), (SHOWN, [5000, 4999, 4998].as_slice()));
        std::fs::remove_file(closed).unwrap();
        std::fs::write(&path, vec![b'x'; 300_000]).unwrap();
        assert!(last_events(folder.path()).is_empty());
    }

    #[test]
    fn a_record_that_was_added_is_seen() {
        let folder = tempfile::tempdir().unwrap();
        let events = RecentEvents::new(folder.path().to_path_buf());
        assert!(events.last().is_empty());
        let path = folder.path().join("events.jsonl");
        for count in 1..4 {
            let mut file = OpenOptions::new().append(true).create(true).open(&path).unwrap();
            file.write_all(b"{\"record\":\"event\"}\n").unwrap();
            assert_eq!((events.last().len(), events.last().len()), (count, count));
        }
    }

    #[test]
    fn only_pictures_in_the_folder_are_opened() {
        let outer = tempfile::tempdir().unwrap();
        let folder = outer.path().join("records");
        std::fs::create_dir(&folder).unwrap();
        for file in ["records/a.png", "records/.a.png", "records/a.jsonl", "secret.png"] {
            std::fs::write(outer.path().join(file), "x").unwrap();
        }
        std::os::unix::fs::symlink(outer.path().join("secret.png"), folder.join("link.png")).unwrap();
        std::fs::create_dir(folder.join("folder.png")).unwrap();
        assert_eq!(open_picture(&folder, "a.png").unwrap().1, 1);
        let absolute = outer.path().join("secret.png");
        for name in
            ["../secret.png", "..%2fsecret.png", "link.png", "folder.png", ".a.png", "a.jsonl", "", "no.png", "a.png\0"]
        {
            assert!(open_picture(&folder, name).is_none(), "{name}");
        }
        assert!(open_picture(&folder, absolute.to_str().unwrap()).is_none());
    }
}
