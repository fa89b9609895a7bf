//! The most recent events and their images, read from the ends of the record files, so that those from before a restart are
//! included.

use crate::files;
use crate::sink::{EventLog, NORMAL, record_files};
use rustix::fs::OFlags;
use serde_json::{Value, json};
use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// How much of a file's end is read, in bytes: some hundred events.
pub const TAIL_BYTES: u64 = 64 << 10;
/// How many events the page shows.
const SHOWN: usize = 12;

/// The most recent events of a folder. Every client asks twice per second; files are read only after a change.
pub struct RecentEvents {
    folder: PathBuf,
    cache: Mutex<CachedEvents>,
}

#[derive(Default)]
struct CachedEvents {
    /// Inode and length of the active record file when they were read: a file only grows, and the next has another inode.
    file: Option<(u64, u64)>,
    events: Vec<Value>,
}

impl RecentEvents {
    /// The events in the record files of `folder`.
    pub fn new(folder: PathBuf) -> RecentEvents {
        RecentEvents { folder, cache: Mutex::default() }
    }

    /// The most recent events, the newest first.
    pub fn last(&self) -> Vec<Value> {
        let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        let about = std::fs::metadata(EventLog::path_in(&self.folder));
        let file = about.ok().map(|about| (about.ino(), about.len()));
        if cache.file != file || file.is_none() {
            *cache = CachedEvents { file, events: last_events(&self.folder) };
        }
        cache.events.clone()
    }

    /// The folder of records and images.
    pub fn folder(&self) -> &Path {
        &self.folder
    }
}

/// The newest first; incomplete records are skipped.
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
    let Some(tail) = tail_of(path) else { return Vec::new() };
    let records = tail.split(|&byte| byte == b'\n').rev().filter_map(|line| serde_json::from_slice::<Value>(line).ok());
    records.filter(|record| record["record"] == "event").take(most).map(|record| summary(&record)).collect()
}

fn summary(record: &Value) -> Value {
    let picture = |name: &str| record["files"][name].as_str().filter(|file| is_picture_name(file));
    json!({
        "time": record["time"], "frame": record["frame"], "score": record["score"], "severity": record["severity"],
        "threshold": record["threshold"],
        "latency_ms": record["latency_ms"], "cause": record["cause"], "class": record["class"], "picture": picture("annotated"), "spot": picture("spot"),
    })
}

fn tail_of(path: &Path) -> Option<Vec<u8>> {
    let (mut file, length) = files::open(path).ok()?;
    file.seek(SeekFrom::Start(length.saturating_sub(TAIL_BYTES))).ok()?;
    let mut tail = Vec::new();
    file.take(TAIL_BYTES).read_to_end(&mut tail).ok()?;
    Some(tail)
}

/// Opens an event's image; also returns its length. `None` for a name that leads out of the folder, a link, and what is not a
/// file.
pub fn open_picture(folder: &Path, name: &str) -> Option<(File, u64)> {
    if !is_picture_name(name) {
        return None;
    }
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits() as i32;
    let file = OpenOptions::new().read(true).custom_flags(flags).open(folder.join(name)).ok()?;
    let about = file.metadata().ok()?;
    about.is_file().then_some((file, about.len()))
}

/// Whether a name is one that the image store makes. It has no slash but that of the normal frames, so it cannot lead out of the folder.
fn is_picture_name(name: &str) -> bool {
    let name = name.strip_prefix(NORMAL).and_then(|rest| rest.strip_prefix('/')).unwrap_or(name);
    let plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
    plain && !name.starts_with('.') && name.ends_with(".png")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn a_pipe_in_the_place_of_the_records_is_not_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = EventLog::path_in(folder.path());
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
        assert!(RecentEvents::new(folder.path().into()).last().is_empty());
    }

    #[test]
    fn the_last_events_are_read_from_the_end_of_a_file_with_any_content() {
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
    fn a_record_that_is_appended_is_found() {
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
        for name in [
            "../secret.png",
            "normal/../secret.png",
            "normal/normal/a.png",
            "normal//a.png",
            "..%2fsecret.png",
            "link.png",
            "folder.png",
            ".a.png",
            "a.jsonl",
            "",
            "no.png",
            "a.png\0",
        ] {
            assert!(open_picture(&folder, name).is_none(), "{name}");
        }
        assert!(open_picture(&folder, absolute.to_str().unwrap()).is_none());
    }
}
