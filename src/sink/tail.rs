//! Repairs the end of a JSON-lines file after a power cut: what follows the last whole line is cut off.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};

/// The longest line, in bytes.
pub const LONGEST: u64 = 1 << 16;

/// Cuts off what follows the last whole line, which is a JSON object, and returns how many bytes that was. A file system that
/// had stored the length of a file but not its content leaves zeros there.
///
/// # Errors
/// If the file cannot be read or truncated.
pub fn truncate_partial_line(mut file: &File) -> io::Result<u64> {
    let length = file.metadata()?.len();
    let mut end = length;
    let mut bytes = Vec::new();
    loop {
        let begin = end.saturating_sub(LONGEST);
        bytes.resize((end - begin) as usize, 0);
        file.seek(SeekFrom::Start(begin))?;
        file.read_exact(&mut bytes)?;
        let whole = last_whole_line(&bytes, begin == 0);
        if let Some(whole) = whole {
            end = begin + whole as u64;
            break;
        }
        if begin == 0 {
            end = 0;
            break;
        }
        // There may be many zeros; a line that ends in this block begins in the one before.
        end = begin + bytes.iter().position(|&byte| byte == b'\n').map_or(0, |at| at as u64 + 1).min(LONGEST - 1);
    }
    if end < length {
        file.set_len(end)?;
        file.sync_all()?;
    }
    Ok(length - end)
}

/// Where the last whole line of a block ends; its first line is whole only if the block `is_first` of the file.
fn last_whole_line(bytes: &[u8], is_first: bool) -> Option<usize> {
    let mut end = bytes.len();
    loop {
        end = bytes[..end].iter().rposition(|&byte| byte == b'\n')? + 1;
        let before = bytes[..end - 1].iter().rposition(|&byte| byte == b'\n');
        if before.is_none() && !is_first {
            return None;
        }
        let line = &bytes[before.map_or(0, |at| at + 1)..end - 1];
        if serde_json::from_slice::<serde::de::IgnoredAny>(line).is_ok() && line.first() == Some(&b'{') {
            return Some(end);
        }
        end -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn left(content: &[u8]) -> (u64, Vec<u8>) {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(content).unwrap();
        let cut = truncate_partial_line(&file).unwrap();
        let mut left = Vec::new();
        file.seek(SeekFrom::Start(0)).unwrap();
        file.read_to_end(&mut left).unwrap();
        assert_eq!(cut as usize, content.len() - left.len());
        (cut, left)
    }

    #[test]
    fn whole_lines_stay_wherever_the_file_was_cut() {
        let lines = b"{\"a\":1}\n{\"b\":\"x\\ny\"}\n{\"c\":{}}\n";
        let ends: Vec<usize> = (0..lines.len()).filter(|&at| lines[at] == b'\n').map(|at| at + 1).collect();
        for cut in 0..=lines.len() {
            let whole = ends.iter().copied().filter(|&end| end <= cut).max().unwrap_or(0);
            assert_eq!(left(&lines[..cut]).1, lines[..whole], "{cut}");
        }
    }

    #[test]
    fn zeros_and_garbage_at_the_end_are_cut_off_however_long() {
        let long = format!("{{\"long\":\"{}\"}}\n", "x".repeat(50_000));
        for lines in ["{\"a\":1}\n", &format!("{{\"a\":1}}\n{long}"), ""] {
            for rest in
                [&[0_u8; 300_000][..], b"\n\n", b"\0\n\0\n", b"{\"cut\":", b"no json\n", b"17\n", &[b'x'; 200_000]]
            {
                let content = [lines.as_bytes(), rest].concat();
                assert_eq!(left(&content).1, lines.as_bytes(), "{} {:?}", lines.len(), &rest[..2]);
            }
        }
    }

    #[test]
    fn what_stands_before_the_last_line_is_left_alone() {
        let content = b"an old cut line\n{\"a\":1}\n";
        assert_eq!(left(content), (0, content.to_vec()));
    }
}
