//! `GET /events`: the records of frames, the newest first, page by page.
//!
//! A place in the records is the inode of a file and an offset: it stays the same when the file is closed and the next is begun. One
//! request reads at most [`SCANNED_BYTES`] and answers with at most [`ANSWER_BYTES`]; where it has found less than was asked for, `next`
//! goes on from there.

use super::request::HttpRequest;
use crate::files;
use crate::sink::{FrameMark, Marks, record_files};
use jiff::Timestamp;
use serde_json::Value;
use std::fmt::Write;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

/// The most records of one answer.
pub const MOST: usize = 200;
/// How many there are where nothing is said.
const USUAL: usize = 50;
/// The most bytes of record files that one request reads.
const SCANNED_BYTES: u64 = 4 << 20;
/// The most bytes of records in one answer.
const ANSWER_BYTES: usize = 256 << 10;
/// How much is read at a time; a longer line is passed over.
const CHUNK: u64 = 64 << 10;
/// Upper bound of the memory of one request, of which one runs at a time, in bytes: what is read, a line as a value, and the answer twice.
pub const HISTORY_BYTES: u64 = 4 * CHUNK + 16 * CHUNK + 3 * ANSWER_BYTES as u64;

/// A place in the records: the records before it are older.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct RecordPlace {
    inode: u64,
    offset: u64,
}

/// Which records are asked for.
#[derive(Debug, PartialEq)]
pub struct EventQuery {
    limit: usize,
    before: Option<RecordPlace>,
    from: Option<Timestamp>,
    to: Option<Timestamp>,
    kinds: Vec<String>,
    defect: Option<bool>,
    min_score: f64,
    max_score: f64,
    class: Option<String>,
    mark: Option<MarkFilter>,
}

/// By what people say of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum MarkFilter {
    None,
    Any,
    Good,
    Defect,
}

/// Reads the records of a folder, one request at a time: their memory is that of one.
#[derive(Default)]
pub struct History(Mutex<()>);

/// The kinds of records that are of frames.
const KINDS: [&str; 3] = ["event", "normal", "shadow"];

impl EventQuery {
    /// What a request asks for.
    ///
    /// # Errors
    /// One line for the first parameter that is not understood.
    pub fn of(request: &HttpRequest) -> Result<EventQuery, String> {
        const KNOWN: [&str; 10] =
            ["limit", "before", "from", "to", "kind", "defect", "min_score", "max_score", "class", "mark"];
        let names = request.query.split('&').filter(|pair| !pair.is_empty());
        for name in names.map(|pair| pair.split('=').next().unwrap_or_default()) {
            if !KNOWN.contains(&name) {
                return Err(format!("there is no parameter of that name: there are {}", KNOWN.join(", ")));
            }
        }
        let value = |name: &'static str| -> Result<Option<String>, String> {
            // A parameter without an equals sign has no value either.
            let is_given = request.query.split('&').any(|pair| pair.split('=').next() == Some(name));
            match request.decoded(name) {
                None if is_given => Err(format!("{name} is not percent-encoded text")),
                other => Ok(other),
            }
        };
        let time = |name: &'static str| {
            // A plus sign that was not encoded is a space.
            let parse = |text: String| text.replace(' ', "+").parse::<Timestamp>();
            let wrong = |_| format!("{name} must be a time as 2026-11-21T04:15:00Z");
            value(name)?.map(parse).transpose().map_err(wrong)
        };
        let number = |name: &'static str, usual: f64| {
            let number = value(name)?.map_or(Ok(usual), |text| text.parse::<f64>());
            number.ok().filter(|number| number.is_finite()).ok_or_else(|| format!("{name} must be a number"))
        };
        let limit = value("limit")?.map_or(Ok(USUAL), |text| text.parse::<usize>());
        let limit = limit.ok().filter(|limit| (1..=MOST).contains(limit));
        let defect = match value("defect")?.as_deref() {
            None => None,
            Some("true") => Some(true),
            Some("false") => Some(false),
            Some(_) => return Err("defect must be true or false".into()),
        };
        let kinds: Vec<String> = match value("kind")? {
            None => KINDS[..2].iter().map(|kind| (*kind).to_string()).collect(),
            Some(text) => text.split(',').map(str::to_string).collect(),
        };
        if !kinds.iter().all(|kind| KINDS.contains(&kind.as_str())) {
            return Err(format!("kind must be of {}, with commas between them", KINDS.join(", ")));
        }
        let mark = match value("mark")?.as_deref() {
            None => None,
            Some("none") => Some(MarkFilter::None),
            Some("any") => Some(MarkFilter::Any),
            Some("good") => Some(MarkFilter::Good),
            Some("defect") => Some(MarkFilter::Defect),
            Some(_) => return Err("mark must be none, any, good or defect".into()),
        };
        let before = value("before")?
            .map(|text| RecordPlace::parse(&text).ok_or("before must be the `next` or `at` of an answer"));
        Ok(EventQuery {
            limit: limit.ok_or_else(|| format!("limit must lie in 1..{MOST}"))?,
            before: before.transpose()?,
            from: time("from")?,
            to: time("to")?,
            kinds,
            defect,
            min_score: number("min_score", f64::MIN)?,
            max_score: number("max_score", f64::MAX)?,
            class: value("class")?,
            mark,
        })
    }

    fn wants(&self, record: &Value) -> bool {
        let text = |name: &str| record[name].as_str();
        let kind = text("record").unwrap_or_default();
        if !self.kinds.iter().any(|wanted| wanted == kind) {
            return false;
        }
        let time = || text("time").and_then(|time| time.parse::<Timestamp>().ok());
        let is_after = self.from.is_none_or(|from| time().is_some_and(|time| time >= from));
        let is_before = self.to.is_none_or(|to| time().is_some_and(|time| time < to));
        let score = record["score"].as_f64();
        let has_score = score.is_none_or(|score| (self.min_score..=self.max_score).contains(&score));
        let is_defect = is_defect(kind, record);
        is_after
            && is_before
            && has_score
            && self.defect.is_none_or(|wanted| wanted == is_defect)
            && self.class.as_deref().is_none_or(|class| text("class") == Some(class))
    }
}

/// Whether the frame of a record counted as defect.
fn is_defect(kind: &str, record: &Value) -> bool {
    record["defect"].as_bool().unwrap_or(kind == "event")
}

impl RecordPlace {
    fn parse(text: &str) -> Option<RecordPlace> {
        let (inode, offset) = text.split_once('-')?;
        let number = |digits: &str| {
            let fits = (1..=16).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
            fits.then(|| u64::from_str_radix(digits, 16).ok()).flatten()
        };
        Some(RecordPlace { inode: number(inode)?, offset: number(offset)? })
    }

    fn text(self) -> String {
        format!("{:x}-{:x}", self.inode, self.offset)
    }
}

impl History {
    /// The answer to a query: JSON. `None` where the file of `before` was deleted since.
    pub fn find(&self, folder: &Path, marks: Option<&Marks>, query: &EventQuery) -> Option<String> {
        let _one_at_a_time = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let files = record_files(folder).unwrap_or_default();
        let mut open: Vec<(File, u64, u64)> = Vec::with_capacity(files.len());
        for path in &files {
            // One that was deleted a moment ago is not there any more.
            if let Ok((file, length)) = files::open(path)
                && let Ok(about) = file.metadata()
            {
                open.push((file, about.ino(), length));
            }
        }
        if let Some(before) = query.before {
            let at = open.iter().position(|(_, inode, length)| *inode == before.inode && before.offset <= *length)?;
            open.truncate(at + 1);
            if let Some((_, _, length)) = open.last_mut() {
                *length = before.offset;
            }
        }
        let kinds = marks.and_then(|marks| marks.kinds().ok()).unwrap_or_default();
        let mut page = Page { query, marks, kinds, text: String::from("{\"events\":["), count: 0, next: None };
        let mut budget = SCANNED_BYTES;
        for (file, inode, end) in open.iter_mut().rev() {
            if !page.read_backwards(file, *inode, *end, &mut budget) {
                break;
            }
        }
        let next = page.next.map_or("null".to_string(), |next| format!("\"{}\"", next.text()));
        let _ = writeln!(page.text, "],\"next\":{next}}}");
        Some(page.text)
    }
}

/// An answer that is being made.
struct Page<'a> {
    query: &'a EventQuery,
    marks: Option<&'a Marks>,
    /// The kinds of marked defects.
    kinds: Vec<String>,
    text: String,
    count: usize,
    /// Where to go on.
    next: Option<RecordPlace>,
}

impl Page<'_> {
    /// Takes the records of a file before an offset, the last first; returns whether there is room for those of the file before it.
    fn read_backwards(&mut self, file: &mut File, inode: u64, end: u64, budget: &mut u64) -> bool {
        // Lines from `start` on that are not taken yet, of which the first may lack its beginning.
        let (mut start, mut lines) = (end, Vec::new());
        while start > 0 {
            if *budget == 0 {
                self.next = Some(RecordPlace { inode, offset: start + lines.len() as u64 });
                return false;
            }
            let from = start.saturating_sub(CHUNK);
            let Ok(mut chunk) = read_at(file, from, (start - from) as usize) else { return true };
            *budget = budget.saturating_sub(start - from);
            if lines.len() as u64 <= CHUNK {
                chunk.append(&mut lines);
            }
            (start, lines) = (from, chunk);
            // Whole lines begin after the first line end, or with the file.
            let whole = if start == 0 {
                0
            } else {
                lines.iter().position(|&byte| byte == b'\n').map_or(lines.len(), |at| at + 1)
            };
            let mut until = lines.len();
            while until > whole {
                let line_end = if lines[until - 1] == b'\n' { until - 1 } else { until };
                let begin =
                    lines[whole..line_end].iter().rposition(|&byte| byte == b'\n').map_or(whole, |at| whole + at + 1);
                let place = RecordPlace { inode, offset: start + begin as u64 };
                if !self.take(&lines[begin..line_end], place) {
                    self.next = Some(RecordPlace { inode, offset: start + until as u64 });
                    return false;
                }
                until = begin;
            }
            lines.truncate(whole);
        }
        true
    }

    /// Takes a record, if it is one that is asked for; returns whether there was room.
    fn take(&mut self, line: &[u8], place: RecordPlace) -> bool {
        let Ok(text) = std::str::from_utf8(line) else { return true };
        let Ok(record @ Value::Object(_)) = serde_json::from_str::<Value>(text) else { return true };
        if !self.query.wants(&record) {
            return true;
        }
        let picture = record["files"]["original"].as_str().filter(|_| self.marks.is_some());
        let mark = picture.and_then(|picture| self.marks?.mark_of(picture, &self.kinds));
        let has_mark = match self.query.mark {
            None => true,
            Some(MarkFilter::None) => mark.is_none(),
            Some(MarkFilter::Any) => mark.is_some(),
            Some(MarkFilter::Good) => mark == Some(FrameMark::Good),
            Some(MarkFilter::Defect) => mark.as_ref().is_some_and(FrameMark::is_defect),
        };
        if !has_mark {
            return true;
        }
        let Some(open) = text.trim_end().strip_suffix('}') else { return true };
        if self.count >= self.query.limit || self.text.len() + text.len() > ANSWER_BYTES {
            return false;
        }
        if self.count > 0 {
            self.text.push(',');
        }
        // The record to the byte as it was written: a number that is parsed and written again could be another one.
        self.text.push_str(open);
        if record["defect"].is_null() {
            let is_defect = is_defect(record["record"].as_str().unwrap_or_default(), &record);
            let _ = write!(self.text, ",\"defect\":{is_defect}");
        }
        match mark {
            None => {}
            Some(FrameMark::Good) => self.text.push_str(",\"mark\":\"good\""),
            // A kind has letters, digits and -_ only.
            Some(FrameMark::Defect(kind)) => {
                let _ = write!(self.text, ",\"mark\":\"defect\",\"mark_kind\":\"{kind}\"");
            }
        }
        let _ = write!(self.text, ",\"at\":\"{}\"}}", place.text());
        self.count += 1;
        true
    }
}

fn read_at(file: &mut File, offset: u64, length: usize) -> io::Result<Vec<u8>> {
    file.seek(SeekFrom::Start(offset))?;
    let mut bytes = vec![0; length];
    file.read_exact(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(text: &str) -> Result<EventQuery, String> {
        EventQuery::of(&HttpRequest { query: text.into(), ..HttpRequest::default() })
    }

    fn event(number: usize) -> String {
        let kind = if number.is_multiple_of(3) { "normal" } else { "event" };
        let padding = "x".repeat(number % 700);
        format!(
            "{{\"time\":\"2026-11-21T04:{:02}:{:02}.000Z\",\"record\":\"{kind}\",\"score\":0.{number:05},\"class\":\"cap {}\",\
             \"frame\":\"{number}{padding}\"}}\n",
            number / 60 % 60,
            number % 60,
            number % 2
        )
    }

    /// All records that a query finds, page by page, and how many pages there are.
    fn all(folder: &Path, text: &str) -> (Vec<Value>, usize) {
        let (mut found, mut pages, mut before) = (Vec::new(), 0, String::new());
        loop {
            let answer = History::default().find(folder, None, &query(&format!("{text}{before}")).unwrap()).unwrap();
            let answer: Value = serde_json::from_str(&answer).unwrap();
            found.extend(answer["events"].as_array().unwrap().iter().cloned());
            pages += 1;
            match answer["next"].as_str() {
                Some(next) => before = format!("&before={next}"),
                None => return (found, pages),
            }
        }
    }

    fn scores(found: &[Value]) -> Vec<usize> {
        found.iter().map(|one| (one["score"].as_f64().unwrap() * 1e5).round() as usize).collect()
    }

    #[test]
    fn all_records_come_once_the_newest_first_over_files_and_pages() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, numbers: std::ops::Range<usize>| {
            let text: String = numbers.map(event).collect();
            std::fs::write(folder.path().join(name), text).unwrap();
        };
        write("events-20261121T040000000Z.jsonl", 0..900);
        write("events-20261121T050000000Z.jsonl", 900..901);
        write("events.jsonl", 901..1500);
        let expected: Vec<usize> = (0..1500).rev().collect();
        for limit in [1, 7, 50, 200] {
            let (found, pages) = all(folder.path(), &format!("limit={limit}"));
            assert_eq!(scores(&found), expected, "{limit}");
            assert!(pages >= 1500 / limit, "{pages}");
        }
        let (found, _) = all(folder.path(), "limit=100&defect=false");
        assert_eq!(scores(&found), (0..1500).rev().filter(|number| number % 3 == 0).collect::<Vec<_>>());
        assert!(found.iter().all(|one| one["defect"] == false && one["record"] == "normal"));
        let (found, _) = all(folder.path(), "min_score=0.00100&max_score=0.00110&kind=event");
        assert_eq!(scores(&found), [110, 109, 107, 106, 104, 103, 101, 100]);
        let (found, _) = all(folder.path(), "from=2026-11-21T04:01:00Z&to=2026-11-21T04:01:03%2B00:00");
        assert_eq!(scores(&found), [62, 61, 60]);
        let (found, _) = all(folder.path(), "class=cap+1&max_score=0.00004");
        assert_eq!(scores(&found), [3, 1]);
    }

    #[test]
    fn a_page_goes_on_where_it_was_when_the_file_is_closed_and_says_when_it_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events.jsonl");
        std::fs::write(&path, (0..100).map(event).collect::<String>()).unwrap();
        let history = History::default();
        let answer: Value =
            serde_json::from_str(&history.find(folder.path(), None, &query("limit=10").unwrap()).unwrap()).unwrap();
        let next = query(&format!("limit=10&before={}", answer["next"].as_str().unwrap())).unwrap();
        let closed = folder.path().join("events-20261121T040000000Z.jsonl");
        std::fs::rename(&path, &closed).unwrap();
        std::fs::write(&path, event(100)).unwrap();
        let answer: Value = serde_json::from_str(&history.find(folder.path(), None, &next).unwrap()).unwrap();
        assert_eq!(scores(answer["events"].as_array().unwrap()), (80..90).rev().collect::<Vec<_>>());
        std::fs::remove_file(&closed).unwrap();
        assert!(history.find(folder.path(), None, &next).is_none());
    }

    #[test]
    fn files_of_any_content_are_read_within_bounds() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events.jsonl");
        let (found, pages) = all(folder.path(), "");
        assert!(found.is_empty() && pages == 1);
        let mut text =
            event(1) + "\0\u{1}\n[1]\nnull\n{\"record\":\"event\"\n\n" + &"y".repeat(300_000) + "\n" + &event(2);
        text += "{\"record\":\"event\",\"sco";
        std::fs::write(&path, &text).unwrap();
        assert_eq!(scores(&all(folder.path(), "").0), [2, 1]);
        // Nothing that is asked for in a large file: one request reads a part of it.
        let line = "{\"record\":\"status\",\"score\":0.5}\n";
        std::fs::write(&path, event(7) + &line.repeat((3 * SCANNED_BYTES as usize) / line.len())).unwrap();
        let (found, pages) = all(folder.path(), "");
        assert_eq!((scores(&found), pages), (vec![7], 4));
        // Long records: fewer of them in an answer.
        let long = |number: usize| {
            format!("{{\"record\":\"event\",\"score\":0.{number:05},\"frame\":\"{}\"}}\n", "z".repeat(50_000))
        };
        std::fs::write(&path, (1..9).map(long).collect::<String>()).unwrap();
        let (found, pages) = all(folder.path(), "");
        assert_eq!((scores(&found), pages), ((1..9).rev().collect(), 2));
    }

    #[test]
    fn what_is_not_understood_is_named() {
        for (text, said) in [
            ("limit=0", "limit must lie in 1..200"),
            ("limit=201", "limit must"),
            ("limit=", "limit must"),
            ("limit", "limit is not"),
            ("before=1", "before must be"),
            ("before=1-g", "before must be"),
            ("before=12345678901234567-1", "before must be"),
            ("from=yesterday", "from must be a time"),
            ("min_score=x", "min_score must be a number"),
            ("max_score=inf", "max_score must be a number"),
            ("defect=1", "defect must be true or false"),
            ("kind=event,status", "kind must be of event, normal, shadow"),
            ("Limit=3", "there is no parameter of that name: there are limit"),
            ("class=%ff", "class is not percent-encoded text"),
        ] {
            let error = query(text).unwrap_err();
            assert!(error.starts_with(said), "{text}: {error}");
        }
        assert_eq!(query("").unwrap().limit, USUAL);
    }
}
