//! Bytes in, lines out, in bounded memory whatever the bytes are.
//!
//! - A line longer than [`MAX_LINE`] is skipped and noted.
//! - NULs, which a power cut leaves in files, end a line as a newline does.
//! - UTF-16, which some shells write, is decoded from a byte-order mark at the beginning on; without one it is detected by its
//!   zero bytes, line by line, because a file may change its encoding.
//! - Colours and other control sequences of terminals are removed.

use super::colours;
use super::damage::{Damage, DamageKind};
use super::utf16::{Utf16Stream, utf16_to_utf8};
use std::io::{self, Cursor, Read};

/// The longest line that is read. Our own have about a kilobyte.
pub const MAX_LINE: usize = 1 << 20;

const READ_SIZE: usize = 256 << 10;

/// The lines of a stream.
pub struct LineReader {
    stream: Box<dyn Read>,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    ended: bool,
    number: u64,
    /// Where the last line began.
    last: usize,
    /// Bytes so far of a line that is skipped because it is too long.
    skipped: u64,
    /// Whether something was read.
    begun: bool,
    /// Whether lines end in a carriage return alone; `None` until the beginning was looked at.
    bare_returns: Option<bool>,
    utf8: Vec<u8>,
    plain: Vec<u8>,
    /// The damage so far.
    pub damage: Damage,
}

/// The position of a line in the buffer.
struct LineSpan {
    start: usize,
    end: usize,
    number: u64,
    ended: bool,
}

/// What becomes of a line that is longer than [`MAX_LINE`].
#[derive(Clone, Copy, PartialEq, Eq)]
enum Overlong {
    Skip,
    JsonInPieces,
    InPieces,
}

impl Overlong {
    /// Whether a line that begins with `first` is given in pieces.
    fn in_pieces(self, first: u8) -> bool {
        self == Overlong::InPieces || self == Overlong::JsonInPieces && matches!(first, b'{' | b'[')
    }
}

/// A line without its end.
pub struct Line<'a> {
    /// Its bytes: no newline, no NUL.
    pub bytes: &'a [u8],
    /// Its number, from 1.
    pub number: u64,
    /// Whether a newline ended it; if not, its last word may be truncated.
    pub ended: bool,
}

impl LineReader {
    /// Lines of `stream`.
    pub fn new(stream: Box<dyn Read>) -> LineReader {
        let buffer = vec![0; READ_SIZE];
        let damage = Damage::default();
        LineReader {
            stream,
            buffer,
            start: 0,
            end: 0,
            ended: false,
            number: 0,
            last: 0,
            skipped: 0,
            begun: false,
            bare_returns: None,
            utf8: Vec::new(),
            plain: Vec::new(),
            damage,
        }
    }

    /// How many lines were read.
    pub fn count(&self) -> u64 {
        self.number
    }

    /// The next line, or `None` at the end. Where the stream fails, it ends and the failure is noted.
    pub fn next(&mut self) -> Option<Line<'_>> {
        self.next_of(Overlong::Skip)
    }

    /// The next line, or a piece of one that is longer than [`MAX_LINE`] and begins as a JSON document.
    pub fn next_or_piece(&mut self) -> Option<Line<'_>> {
        self.next_of(Overlong::JsonInPieces)
    }

    /// The rest of a line of which a piece was taken, or a further piece of it; or the next line.
    pub fn next_piece(&mut self) -> Option<Line<'_>> {
        self.next_of(Overlong::InPieces)
    }

    fn next_of(&mut self, overlong: Overlong) -> Option<Line<'_>> {
        let LineSpan { start, end, number, ended } = self.find(overlong)?;
        let mut bytes = &self.buffer[start..end];
        if end > start + 1 && self.buffer[start + 1] == 0 {
            self.utf8.clear();
            utf16_to_utf8(bytes, &mut self.utf8);
            self.damage.note(DamageKind::Utf16, number);
            bytes = &self.utf8;
        }
        // A file that went from one system to another more than once may have several.
        while let Some(before) = bytes.strip_suffix(b"\r") {
            bytes = before;
        }
        if std::str::from_utf8(bytes).is_err() {
            self.damage.note(DamageKind::NotUtf8, number);
        }
        if colours::may_have(bytes) {
            self.plain.clear();
            colours::strip(bytes, &mut self.plain);
            // A colour is often reset behind the line end.
            while self.plain.ends_with(b"\r") {
                self.plain.pop();
            }
            bytes = &self.plain;
        }
        Some(Line { bytes, number, ended })
    }

    /// Puts back the last line, which must have ended with a newline, so that it is read again.
    pub fn unread_line(&mut self) {
        self.start = self.last;
        self.number -= 1;
    }

    /// Takes exactly `length` bytes, whatever they are, as the journal's export form needs. Returns `None` where they are more
    /// than [`MAX_LINE`] (they are skipped) or the stream ends before.
    pub fn read_exactly(&mut self, length: u64) -> Option<&[u8]> {
        let mut left = length;
        while length > MAX_LINE as u64 && left > 0 {
            if self.start == self.end && !self.fill() {
                return None;
            }
            let step = left.min((self.end - self.start) as u64);
            self.start += step as usize;
            left -= step;
        }
        if length > MAX_LINE as u64 {
            self.damage.too_long(self.number, length);
            return None;
        }
        let length = length as usize;
        while self.end - self.start < length {
            if !self.fill() {
                self.start = self.end;
                return None;
            }
        }
        let taken = self.start..self.start + length;
        self.start += length;
        self.number += memchr::memchr_iter(b'\n', &self.buffer[taken.clone()]).count() as u64;
        Some(&self.buffer[taken])
    }

    /// Takes a newline, where one is next.
    pub fn skip_newline(&mut self) {
        if (self.start < self.end || self.fill()) && self.buffer[self.start] == b'\n' {
            self.start += 1;
            self.number += 1;
        }
    }

    /// Finds the next line in the buffer.
    fn find(&mut self, overlong: Overlong) -> Option<LineSpan> {
        if self.bare_returns.is_none() {
            self.detect_bare_returns();
        }
        let mut searched = 0;
        loop {
            if searched == 0 && self.skipped == 0 {
                self.skip_nuls();
            }
            let unread = &self.buffer[self.start + searched..self.end];
            match memchr::memchr2(b'\n', 0, unread) {
                Some(found) => {
                    let (start, mut end) = (self.start, self.start + searched + found);
                    let nul = self.buffer[end] == 0;
                    if nul && self.skipped == 0 && end == start + 1 {
                        // `t\0i\0m\0e\0`: two bytes a character. The line ends at its newline.
                        if end + 2 >= self.end && self.end - start < MAX_LINE && self.fill() {
                            searched = 0;
                            continue;
                        }
                        if end + 2 < self.end && self.buffer[end + 1] != 0 && self.buffer[end + 2] == 0 {
                            match memchr::memchr(b'\n', &self.buffer[end..self.end]) {
                                Some(newline) => end += newline,
                                None if self.end - start < MAX_LINE && self.fill() => continue,
                                None => end = self.end,
                            }
                            self.number += 1;
                            self.start = (end + 1).min(self.end);
                            return Some(self.found(start, end, true));
                        }
                    }
                    self.start = end + 1;
                    self.number += u64::from(!nul);
                    if self.skipped > 0 {
                        self.damage.too_long(self.number, self.skipped + (end - start) as u64);
                        self.skipped = 0;
                        searched = 0;
                        continue;
                    }
                    if nul {
                        self.damage.note(DamageKind::Nul, self.number + 1);
                        return Some(LineSpan { number: self.number + 1, ..self.found(start, end, false) });
                    }
                    return Some(self.found(start, end, true));
                }
                None => searched = self.end - self.start,
            }
            if searched > MAX_LINE && self.skipped == 0 && overlong.in_pieces(self.buffer[self.start]) {
                let (start, end) = (self.start, self.end);
                self.start = self.end;
                return Some(LineSpan { number: self.number + 1, ..self.found(start, end, false) });
            }
            if searched > MAX_LINE || self.skipped > 0 {
                let skipped = &self.buffer[self.start..self.end];
                if is_record(skipped) {
                    self.damage.skipped_records();
                }
                self.skipped += searched as u64;
                self.start = self.end;
                searched = 0;
            }
            if !self.fill() {
                if self.skipped > 0 {
                    self.damage.too_long(self.number + 1, self.skipped);
                    self.skipped = 0;
                    return None;
                }
                let (start, end) = (self.start, self.end);
                self.start = self.end;
                if start == end {
                    return None;
                }
                self.number += 1;
                return Some(self.found(start, end, false));
            }
        }
    }

    fn found(&mut self, start: usize, end: usize, ended: bool) -> LineSpan {
        self.last = start;
        LineSpan { start, end, number: self.number, ended }
    }

    /// Skips NULs and byte-order marks before a line.
    fn skip_nuls(&mut self) {
        loop {
            let unread = &self.buffer[self.start..self.end];
            let nuls = unread.iter().position(|byte| *byte != 0).unwrap_or(unread.len());
            // The second half of a UTF-16 newline is no damage.
            if nuls > 1 {
                self.damage.nuls(self.number + 1, nuls as u64);
            }
            self.start += nuls;
            let mark = match &self.buffer[self.start..self.end] {
                [] | [0xff | 0xfe | 0xef] | [0xef, 0xbb] => 0,
                [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => 2,
                [0xef, 0xbb, 0xbf, ..] => 3,
                _ => return,
            };
            self.start += mark;
            if mark == 0 && !self.fill() {
                return;
            }
        }
    }

    /// Decodes the stream from here on where it begins with a byte-order mark of UTF-16.
    fn detect_utf16(&mut self) -> bool {
        let big_endian = match self.buffer[self.start..self.end] {
            [0xff] | [0xfe] => return true,
            [0xff, 0xfe, ..] => false,
            [0xfe, 0xff, ..] => true,
            _ => return false,
        };
        let rest = Cursor::new(self.buffer[self.start + 2..self.end].to_vec());
        let stream = std::mem::replace(&mut self.stream, Box::new(io::empty()));
        self.stream = Box::new(Utf16Stream::new(rest.chain(stream), big_endian));
        (self.start, self.end, self.begun) = (0, 0, true);
        self.damage.note(DamageKind::Utf16, 1);
        true
    }

    /// Looks at the beginning for lines that end in a carriage return alone, as old Macs wrote them; [`LineReader::fill`] turns
    /// these into newlines.
    fn detect_bare_returns(&mut self) {
        const LOOK: usize = 64 << 10;
        while memchr::memchr(b'\n', &self.buffer[self.start..self.end]).is_none() && self.end - self.start < LOOK {
            if !self.fill() {
                break;
            }
        }
        let seen = self.start..self.end;
        let text = &self.buffer[seen.clone()];
        let bare = memchr::memchr(b'\n', text).is_none() && memchr::memchr(b'\r', text).is_some();
        self.bare_returns = Some(bare);
        if bare {
            returns_to_newlines(&mut self.buffer[seen]);
        }
    }

    /// Reads more behind what is unread; false at the end.
    fn fill(&mut self) -> bool {
        if self.ended {
            return false;
        }
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        } else if self.start >= READ_SIZE {
            self.buffer.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        if self.buffer.len() - self.end < READ_SIZE / 2 {
            if self.start > 0 {
                self.buffer.copy_within(self.start..self.end, 0);
                (self.start, self.end) = (0, self.end - self.start);
            }
            if self.buffer.len() - self.end < READ_SIZE / 2 {
                self.buffer.resize(self.buffer.len() * 2, 0);
            }
        }
        loop {
            match self.stream.read(&mut self.buffer[self.end..]) {
                Ok(0) => self.ended = true,
                Ok(read) => {
                    if self.bare_returns == Some(true) {
                        returns_to_newlines(&mut self.buffer[self.end..self.end + read]);
                    }
                    self.end += read;
                    if !self.begun && self.detect_utf16() {
                        continue;
                    }
                    self.begun = true;
                    return true;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => {
                    self.damage.set_failure(self.number, error.to_string());
                    self.ended = true;
                }
            }
            return false;
        }
    }
}

fn returns_to_newlines(bytes: &mut [u8]) {
    bytes.iter_mut().filter(|byte| **byte == b'\r').for_each(|byte| *byte = b'\n');
}

/// Whether records stand in what is skipped: whole logs are in one line where their line ends were lost.
fn is_record(skipped: &[u8]) -> bool {
    let holds = |text: &[u8]| memchr::memmem::find(skipped, text).is_some();
    holds(b"record=") && holds(b" run=") || holds(b"record\\\":") || holds(b"\"record\":")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives its bytes in pieces of a size.
    struct Pieces(Vec<u8>, usize, usize);

    impl Read for Pieces {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            let left = &self.0[self.1..];
            let length = left.len().min(self.2).min(into.len());
            into[..length].copy_from_slice(&left[..length]);
            self.1 += length;
            Ok(length)
        }
    }

    fn read(bytes: &[u8]) -> (Vec<(u64, String, bool)>, Damage) {
        let mut all = Vec::new();
        for size in [1, 2, 3, 7, 1 << 20] {
            let mut lines = LineReader::new(Box::new(Pieces(bytes.to_vec(), 0, size)));
            let mut read = Vec::new();
            while let Some(line) = lines.next() {
                read.push((line.number, String::from_utf8_lossy(line.bytes).into_owned(), line.ended));
            }
            all.push((read, lines.damage));
        }
        for (read, _) in &all[1..] {
            assert_eq!(read, &all[0].0);
        }
        all.swap_remove(0)
    }

    fn line(number: u64, text: &str, ended: bool) -> (u64, String, bool) {
        (number, text.to_string(), ended)
    }

    #[test]
    fn lines_have_numbers_and_ends() {
        let (lines, damage) = read(b"one\r\n\ntwo\nthree");
        assert_eq!(lines, [line(1, "one", true), line(2, "", true), line(3, "two", true), line(4, "three", false)]);
        assert!(damage.is_none());
        assert!(read(b"").0.is_empty());
    }

    #[test]
    fn carriage_returns_alone_end_lines_where_there_are_no_newlines() {
        let (lines, damage) = read(b"one\rtwo\rthree");
        assert_eq!(lines, [line(1, "one", true), line(2, "two", true), line(3, "three", false)]);
        assert!(damage.is_none());
        // A progress bar in a file with newlines is one line.
        assert_eq!(read(b"10%\r20%\nend\n").0, [line(1, "10%\r20%", true), line(2, "end", true)]);
        let many = read(&b"abcdefgh\r".repeat(20_000)).0;
        assert_eq!((many.len(), &many[19_999]), (20_000, &line(20_000, "abcdefgh", true)));
    }

    #[test]
    fn nuls_end_a_line_and_are_told() {
        let (lines, damage) = read(b"one\ntwo and ha\0\0\0\0\0\0three\nfour\n\0\0\0\0");
        assert_eq!(lines[1], line(2, "two and ha", false));
        assert_eq!(lines[2], line(2, "three", true));
        assert_eq!(lines[3], line(3, "four", true));
        assert_eq!(lines.len(), 4);
        assert_eq!(damage.first(DamageKind::Nul), Some(2));
    }

    #[test]
    fn other_encodings_are_read_as_far_as_possible() {
        let mut bytes = b"plain\n\xff\xfe".to_vec();
        for unit in "time=1 a=é\r\nrecord=2\r\n".encode_utf16() {
            bytes.extend_from_slice(&unit.to_le_bytes());
        }
        bytes.extend_from_slice(b"latin \xe9\nplain\n");
        let (lines, damage) = read(&bytes);
        let texts: Vec<&str> = lines.iter().map(|line| line.1.as_str()).collect();
        assert_eq!(texts[2], "record=2");
        assert!(texts[1].ends_with("time=1 a=é"), "{texts:?}");
        assert_eq!(texts[3..], ["latin \u{fffd}", "plain"]);
        assert_eq!(damage.first(DamageKind::NotUtf8), Some(4));
        assert!(damage.first(DamageKind::Utf16).is_some());

        let mut bytes = b"\xfe\xff".to_vec();
        for unit in "time=1\nrecord=2\n".encode_utf16() {
            bytes.extend_from_slice(&unit.to_be_bytes());
        }
        let (lines, _) = read(&bytes);
        assert!(lines[0].1.ends_with("time=1"), "{lines:?}");
        assert_eq!(lines[1].1, "record=2");
    }

    /// Many bytes without holding them.
    struct Endless(u64, u8);

    impl Read for Endless {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            let length = (into.len() as u64).min(self.0);
            into[..length as usize].fill(self.1);
            self.0 -= length;
            Ok(length as usize)
        }
    }

    #[test]
    fn a_huge_line_is_passed_over_in_bounded_memory() {
        let stream = (&b"before\n"[..]).chain(Endless(300 << 20, b'x')).chain(&b"\nafter\n"[..]);
        let mut lines = LineReader::new(Box::new(stream));
        assert_eq!(lines.next().unwrap().bytes, b"before");
        let after = lines.next().unwrap();
        assert_eq!((after.bytes, after.number), (&b"after"[..], 3));
        assert!(lines.next().is_none());
        assert!(lines.buffer.len() <= 4 * MAX_LINE, "{}", lines.buffer.len());
        assert_eq!(lines.damage.first(DamageKind::TooLong), Some(2));
        assert_eq!(lines.damage.longest(), 300 << 20);
    }

    #[test]
    fn a_huge_line_of_records_is_a_loss() {
        let record = b"time=2026-11-21T04:00:00Z level=info record=status run=0a1b2c3d captured=1;";
        for (line, lost) in [(record.repeat(30_000), true), (vec![b'x'; 3 << 20], false)] {
            let mut lines = LineReader::new(Box::new(Cursor::new([&line[..], b"\nafter\n"].concat())));
            assert_eq!(lines.next().unwrap().bytes, b"after");
            assert_eq!(lines.damage.has_failure(), lost);
            assert_eq!(lines.damage.messages()[0].contains("with records in it"), lost);
        }
    }

    #[test]
    fn a_sea_of_nuls_is_passed_over() {
        let stream = (&b"before\n"[..]).chain(Endless(100 << 20, 0)).chain(&b"after\n"[..]);
        let mut lines = LineReader::new(Box::new(stream));
        assert_eq!(lines.next().unwrap().bytes, b"before");
        assert_eq!(lines.next().unwrap().bytes, b"after");
        assert!(lines.next().is_none());
    }

    #[test]
    fn exact_lengths_may_hold_newlines_and_nuls() {
        for size in [1, 5, 1 << 20] {
            let bytes = b"MESSAGE\na\nb\0c\nnext\n".to_vec();
            let mut lines = LineReader::new(Box::new(Pieces(bytes, 0, size)));
            assert_eq!(lines.next().unwrap().bytes, b"MESSAGE");
            assert_eq!(lines.read_exactly(5).unwrap(), b"a\nb\0c");
            lines.skip_newline();
            let next = lines.next().unwrap();
            assert_eq!((next.bytes, next.number), (&b"next"[..], 4));
            assert!(lines.read_exactly(5).is_none());
        }
    }
}
