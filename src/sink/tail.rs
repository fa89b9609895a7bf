//! Repairs the end of a file of records after a power cut, and recognises a file that is not one.

use super::checksum::without_checksum;
use crate::storage;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// The longest line, in bytes.
pub const LONGEST: u64 = 1 << 16;
/// How much of the beginning and of the end of a file is searched for a record.
const SEARCHED: u64 = 1 << 20;
/// With what every record begins.
const BEGIN: &[u8] = b"{\"time\":\"";

/// Whether a file is a log of ours: it is empty, has a whole record in its first or last mebibyte, or holds nothing but the torn
/// beginning of one.
///
/// # Errors
/// If it cannot be read.
pub fn is_ours(file: &File) -> io::Result<bool> {
    let length = file.metadata()?.len();
    if length == 0 {
        return Ok(true);
    }
    let head = block(file, 0, length.min(SEARCHED))?;
    if head.split_inclusive(|byte| *byte == b'\n').any(is_record) {
        return Ok(true);
    }
    let begins = head.starts_with(BEGIN) || BEGIN.starts_with(&head);
    if length <= LONGEST && begins && !head.contains(&b'\n') {
        return Ok(true);
    }
    let tail = block(file, length.saturating_sub(SEARCHED), length)?;
    Ok(tail.split_inclusive(|byte| *byte == b'\n').any(is_record))
}

/// Whether a line is a whole record, also without its end.
fn is_record(line: &[u8]) -> bool {
    #[derive(serde::Deserialize)]
    struct AnyRecord<'a> {
        #[serde(borrow, rename = "record")]
        _kind: std::borrow::Cow<'a, str>,
    }
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.first() == Some(&b'{')
        && without_checksum(line).is_some_and(|line| serde_json::from_slice::<AnyRecord>(line).is_ok())
}

/// Makes a file of ours end with a whole line, and returns how many bytes were cut off for that: what a power cut left of the last
/// line. A file system that had stored the length of a file but not its content leaves zeros there. A last record that only lacks
/// its line end gets it. Whole lines of somebody else stay.
///
/// # Errors
/// If the file cannot be read or changed.
pub fn repair_tail(file: &File) -> io::Result<u64> {
    let length = file.metadata()?.len();
    let mut end = length;
    loop {
        let begin = line_end_before(file, end)?;
        if begin == end {
            // It ends with a line end. Nobody writes zeros into a line.
            let line = line_end_before(file, end.saturating_sub(1))?;
            if end == 0 || !contains_zero(file, line, end)? {
                break;
            }
            end = line;
            continue;
        }
        let written = end_of_text(file, begin, end)?;
        let is_long = written - begin > LONGEST;
        let is_whole = |line: &[u8]| is_record(line) && !line.ends_with(b"\t");
        if is_long || end == length && written == end && is_whole(&block(file, begin, end)?) {
            // No line of ours is so long: somebody else's text, which becomes a line.
            cut(file, length, written)?;
            storage::append(file, b"\n")?;
            storage::sync(file)?;
            return Ok(length - written);
        }
        end = begin;
    }
    cut(file, length, end)?;
    Ok(length - end)
}

fn cut(file: &File, length: u64, end: u64) -> io::Result<()> {
    if end < length {
        storage::truncate(file, end)?;
        storage::sync(file)?;
    }
    Ok(())
}

fn block(file: &File, from: u64, to: u64) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; (to - from) as usize];
    file.read_exact_at(&mut bytes, from)?;
    Ok(bytes)
}

/// Where the last line end before `end` ends; 0 where there is none.
fn line_end_before(file: &File, mut end: u64) -> io::Result<u64> {
    while end > 0 {
        let from = end.saturating_sub(LONGEST);
        if let Some(at) = block(file, from, end)?.iter().rposition(|byte| *byte == b'\n') {
            return Ok(from + at as u64 + 1);
        }
        end = from;
    }
    Ok(0)
}

/// The end of a range without the zeros at its end.
fn end_of_text(file: &File, begin: u64, mut end: u64) -> io::Result<u64> {
    while end > begin {
        let from = end.saturating_sub(LONGEST).max(begin);
        if let Some(at) = block(file, from, end)?.iter().rposition(|byte| *byte != 0) {
            return Ok(from + at as u64 + 1);
        }
        end = from;
    }
    Ok(begin)
}

fn contains_zero(file: &File, mut from: u64, to: u64) -> io::Result<bool> {
    while from < to {
        let end = (from + LONGEST).min(to);
        if block(file, from, end)?.contains(&0) {
            return Ok(true);
        }
        from = end;
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Seek, SeekFrom, Write};

    fn file(content: &[u8]) -> File {
        let folder = tempfile::tempdir().unwrap();
        let mut file = storage::create_new(&folder.path().join("a")).unwrap();
        file.write_all(content).unwrap();
        file
    }

    fn left(content: &[u8]) -> (u64, Vec<u8>) {
        let mut file = file(content);
        let cut = repair_tail(&file).unwrap();
        let mut left = Vec::new();
        file.seek(SeekFrom::Start(0)).unwrap();
        file.read_to_end(&mut left).unwrap();
        (cut, left)
    }

    #[test]
    fn whole_lines_stay_wherever_the_file_was_cut() {
        let lines = b"{\"record\":1}\n{\"record\":\"x\\ny\"}\n{\"record\":\"c\",\"d\":{}}\n";
        let ends: Vec<usize> = (0..lines.len()).filter(|&at| lines[at] == b'\n').map(|at| at + 1).collect();
        for cut in 0..=lines.len() {
            let whole = ends.iter().copied().filter(|&end| end <= cut).max().unwrap_or(0);
            let (bytes, left) = left(&lines[..cut]);
            // A record that lacks nothing but its line end gets it.
            if cut + 1 == ends[1] || cut + 1 == ends[2] {
                assert_eq!((bytes, &left[..]), (0, &lines[..=cut]), "{cut}");
            } else {
                assert_eq!((bytes as usize, &left[..]), (cut - whole, &lines[..whole]), "{cut}");
            }
        }
    }

    #[test]
    fn zeros_and_torn_lines_at_the_end_are_cut_off() {
        let long = format!("{{\"long\":\"{}\"}}\n", "x".repeat(50_000));
        for lines in ["{\"a\":1}\n", &format!("{{\"a\":1}}\n{long}"), ""] {
            for rest in
                [&[0_u8; 300_000][..], b"\0\n\0\n", b"{\"cut\":", b"{\"c\0\0\":1}\n", b"{\"cut\":\0\0", &[b'x'; 60_000]]
            {
                let content = [lines.as_bytes(), rest].concat();
                let (cut, left) = left(&content);
                assert_eq!(
                    (cut as usize, left),
                    (rest.len(), lines.as_bytes().to_vec()),
                    "{} {:?}",
                    lines.len(),
                    &rest[..2]
                );
            }
        }
    }

    #[test]
    fn what_others_wrote_stays() {
        for content in [&b"an old cut line\n{\"a\":1}\n"[..], b"{\"a\":1}\na note\n", b"{\"a\":1}\n\n\n", b""] {
            assert_eq!(left(content), (0, content.to_vec()));
        }
        let long = [&b"{\"a\":1}\n"[..], &[b'x'; 200_000]].concat();
        assert_eq!(left(&long), (0, [&long[..], b"\n"].concat()));
    }

    #[test]
    fn a_file_of_ours_has_a_record() {
        let far = [&b"old text\n".repeat(300_000)[..], b"{\"time\":\"t\",\"record\":\"event\"}\n"].concat();
        let torn = b"{\"time\":\"2026-11-29T04:00:00Z\",\"reco";
        for ours in [
            &b""[..],
            b"{\"record\":\"start\"}\n",
            b"{\"record\":\"start\"}",
            b"x\n{\"record\":\"a\"}\n{\"b",
            &far,
            torn,
            b"{\"ti",
        ] {
            assert!(is_ours(&file(ours)).unwrap(), "{:?}", &ours[..ours.len().min(30)]);
        }
        let many = b"no record of ours\n".repeat(300_000);
        let bytes: Vec<u8> = (0..=255).cycle().take(100_000).collect();
        for foreign in [
            &b"\n"[..],
            b"text",
            b"{\"a\":1}\n",
            b"[{\"record\":\"a\"}]\n",
            b"{\"record\":7}\n",
            &[0; 5000],
            &many,
            &bytes,
        ] {
            assert!(!is_ours(&file(foreign)).unwrap(), "{:?}", &foreign[..foreign.len().min(30)]);
        }
    }
}
