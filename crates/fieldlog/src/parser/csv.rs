//! Tables: exports of Grafana, Loki, Kibana, Splunk and spreadsheets, with a header that names the columns (RFC 4180; commas,
//! semicolons or tabs).

use super::fields::Fields;
use super::wrapped;
use std::ops::Range;

/// The columns of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    delimiter: u8,
    columns: Vec<String>,
}

impl Table {
    /// Reads a header: at least two columns, of which one holds messages, or a record's kind.
    pub fn header(line: &[u8]) -> Option<Table> {
        const LONGEST: usize = 4096;
        if line.len() > LONGEST
            || !line.first().is_some_and(|byte| byte.is_ascii_alphabetic() || b"\"@_#".contains(byte))
        {
            return None;
        }
        for delimiter in [b',', b';', b'\t'] {
            let mut fields = Fields::default();
            let cells = cells(line, delimiter)?;
            if cells.len() < 2 {
                continue;
            }
            let mut columns = Vec::new();
            for cell in cells {
                let from = fields.bytes().len();
                push_cell(&mut fields, b"", &line[cell]);
                columns.push(String::from_utf8(fields.bytes()[from..].to_vec()).ok()?.trim().to_string());
            }
            let is_name = |name: &String| name.len() <= 64 && !name.bytes().any(|byte| byte == b'=' || byte == b'{');
            let message = columns.iter().any(|name| wrapped::is_message(last(name)));
            let record =
                columns.iter().any(|name| name == "record") && columns.iter().any(|name| wrapped::is_time(name));
            let known = columns.iter().any(|name| wrapped::is_time(last(name)) || wrapped::is_host(last(name)));
            if columns.iter().all(is_name) && known && (message || record) {
                return Some(Table { delimiter, columns });
            }
        }
        None
    }

    /// Whether tabs part its cells.
    pub fn has_tabs(&self) -> bool {
        self.delimiter == b'\t'
    }

    /// Whether a row is whole: its last quote is closed.
    pub fn is_whole(&self, row: &[u8]) -> bool {
        cells(row, self.delimiter).is_some()
    }

    /// The cells of a row, by the names of their columns; the last part of a name with dots.
    pub fn read(&self, row: &[u8], fields: &mut Fields) {
        let Some(cells) = cells(row, self.delimiter) else { return };
        for (name, cell) in self.columns.iter().zip(cells) {
            if cell.is_empty() {
                continue;
            }
            let last = last(name);
            // Grafana calls it `Line`, others `MESSAGE`, `Host` or `Program`.
            let capital = last.chars().skip(1).all(|c| c.is_ascii_lowercase());
            let lower = if capital { last.to_ascii_lowercase() } else { last.to_string() };
            let name = if wrapped::is_message(last) { "message" } else { &lower };
            push_cell(fields, name.as_bytes(), &row[cell]);
        }
    }
}

fn last(name: &str) -> &str {
    name.rsplit('.').next().unwrap_or(name)
}

/// Where the cells of a row stand, with their quotes; `None` where a quote is open at its end.
fn cells(row: &[u8], delimiter: u8) -> Option<Vec<Range<usize>>> {
    let (mut cells, mut at) = (Vec::new(), 0);
    loop {
        let begin = at;
        if row.get(at) == Some(&b'"') {
            at += 1;
            loop {
                at += memchr::memchr(b'"', row.get(at..)?)? + 1;
                if row.get(at) != Some(&b'"') {
                    break;
                }
                at += 1;
            }
        }
        let end = at + memchr::memchr(delimiter, &row[at..]).unwrap_or(row.len() - at);
        cells.push(begin..end);
        if end == row.len() {
            return Some(cells);
        }
        at = end + 1;
    }
}

/// Adds a cell without its quotes.
fn push_cell(fields: &mut Fields, name: &[u8], cell: &[u8]) {
    let from = fields.append(name);
    match cell.strip_prefix(b"\"") {
        None => fields.push_with(from..from + name.len(), |bytes| bytes.extend_from_slice(cell)),
        Some(inside) => {
            let inside = inside.trim_ascii_end();
            let inside = inside.strip_suffix(b"\"").unwrap_or(inside);
            fields.push_with(from..from + name.len(), |bytes| {
                let mut quoted = false;
                for byte in inside {
                    quoted = *byte == b'"' && !quoted;
                    if !quoted {
                        bytes.push(*byte);
                    }
                }
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_with_any_delimiter() {
        for (header, row) in [
            ("Time,Line", "2026-11-28 20:27:11,\"record=x a=\"\"b, c\"\"\""),
            ("\"Date\";\"Line\"", "2026-11-28;\"record=x a=\"\"b, c\"\"\""),
            ("@timestamp\tagent.name\tlog.message", "2026\tpi4\trecord=x a=\"b, c\""),
        ] {
            let table = Table::header(header.as_bytes()).unwrap_or_else(|| panic!("{header}"));
            let mut fields = Fields::default();
            assert!(table.is_whole(row.as_bytes()));
            table.read(row.as_bytes(), &mut fields);
            assert_eq!(fields.text("message").unwrap(), "record=x a=\"b, c\"", "{header}");
        }
        let table = Table::header(b"Time,Line").unwrap();
        assert!(!table.is_whole(b"2026,\"thread panicked"));
        assert!(table.is_whole(b"2026,\"thread panicked\nhere\""));
        for line in ["a,b", "line", "record=x,message", "hello, line", "{\"a\":1,\"line\":2}", "", "\"open,line"] {
            assert!(Table::header(line.as_bytes()).is_none(), "{line}");
        }
    }

    proptest::proptest! {
        #[test]
        fn nothing_makes_it_panic(row in "[a\",;\n ]{0,30}", bytes: Vec<u8>) {
            for row in [row.as_bytes(), &bytes] {
                let table = Table::header(b"time,message").unwrap();
                table.is_whole(row);
                table.read(row, &mut Fields::default());
                Table::header(row);
            }
        }
    }
}
