//! Documents of JSON that are more than one object a line: indented objects (`journalctl -o json-pretty`, `jq`), arrays of entries
//! (exports of Grafana and Kibana), and answers of Loki and Elasticsearch. They are taken apart into their entries while they are
//! read, in bounded memory.

use super::fields::Fields;
use super::json;
use super::wrapped;
use crate::input::MAX_LINE;
use std::collections::VecDeque;

/// How deep containers may be nested.
const DEPTH: usize = 64;
/// Arrays of entries, by their names in the objects around them.
const LISTS: [&[u8]; 17] = [
    b"result",
    b"results",
    b"values",
    b"streams",
    b"entries",
    b"hits",
    b"logs",
    b"messages",
    b"events",
    b"records",
    b"rows",
    b"items",
    b"data",
    b"value",
    b"resourceLogs",
    b"scopeLogs",
    b"logRecords",
];

/// An entry of a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DocumentEntry {
    /// An object, or an array that begins with a string.
    pub text: Vec<u8>,
    /// The host that is named around it, as in a stream of Loki; empty if there is none.
    pub host: Vec<u8>,
}

/// Takes a document apart.
#[derive(Default)]
pub struct JsonSplitter {
    /// The containers that are open; whether each is an array.
    stack: Vec<bool>,
    /// The entry that is open: its text and the depth of its container.
    entry: Vec<u8>,
    depth: Option<usize>,
    in_string: bool,
    escaped: bool,
    /// The last string; a key, if a container follows.
    key: Vec<u8>,
    /// Whether an array has just begun that may be one of entries.
    list: bool,
    /// The host that is named around the entries.
    host: Vec<u8>,
    /// Whether an entry was too long.
    pub too_long: bool,
}

impl JsonSplitter {
    /// Whether a document is open.
    pub fn is_open(&self) -> bool {
        !self.stack.is_empty()
    }

    /// Whether an entry is open.
    pub fn in_entry(&self) -> bool {
        self.depth.is_some()
    }

    /// Whether the text breaks off within a string.
    pub fn in_string(&self) -> bool {
        self.in_string
    }

    /// Ends the document and returns the entry that was open.
    pub fn break_off(&mut self) -> Option<Vec<u8>> {
        let entry = self.depth.map(|_| std::mem::take(&mut self.entry)).filter(|entry| entry.len() > 1);
        let too_long = self.too_long;
        *self = JsonSplitter { too_long, ..JsonSplitter::default() };
        entry
    }

    /// Adds text and appends the entries that end in it. Returns how many bytes of it belong to the document: what follows its
    /// end is left.
    pub fn feed(&mut self, text: &[u8], entries: &mut VecDeque<DocumentEntry>) -> usize {
        for (at, byte) in text.iter().enumerate() {
            if self.in_string {
                self.string(*byte);
                continue;
            }
            match byte {
                b'"' => self.begin_string(),
                b'{' | b'[' => {
                    if self.stack.len() == DEPTH {
                        self.break_off();
                        return text.len();
                    }
                    self.open(*byte);
                }
                b'}' | b']' => {
                    self.push(*byte);
                    self.stack.pop();
                    self.list = false;
                    if self.depth == Some(self.stack.len()) {
                        let (text, host) = (std::mem::take(&mut self.entry), self.host.clone());
                        entries.push_back(DocumentEntry { text, host });
                        self.depth = None;
                    }
                    if self.stack.is_empty() {
                        self.host.clear();
                        return at + 1;
                    }
                }
                b' ' | b'\t' | b'\r' => self.push(b' '),
                other => {
                    self.list = false;
                    self.push(*other);
                }
            }
        }
        text.len()
    }

    fn open(&mut self, byte: u8) {
        if std::mem::take(&mut self.list) {
            // What was taken for an entry is what holds them.
            let mut fields = Fields::default();
            json::read(&self.entry, &mut fields);
            let host = wrapped::host(&fields).unwrap_or_default();
            self.host = host[..host.len().min(255)].to_vec();
            self.entry.clear();
            self.depth = None;
        }
        match self.depth {
            None if byte == b'{' => self.depth = Some(self.stack.len()),
            // An array of arrays is looked into when its first string comes.
            None => (),
            Some(_) => {
                self.list = byte == b'[' && self.stack.last() == Some(&false) && LISTS.contains(&self.key.as_slice())
            }
        }
        self.stack.push(byte == b'[');
        self.key.clear();
        self.push(byte);
    }

    fn begin_string(&mut self) {
        self.list = false;
        self.in_string = true;
        self.escaped = false;
        self.key.clear();
        if self.depth.is_none() && self.stack.last() == Some(&true) {
            // `["1795897631009000000", "message"]`
            self.depth = Some(self.stack.len() - 1);
            self.entry.clear();
            self.push(b'[');
        }
        self.push(b'"');
    }

    fn string(&mut self, byte: u8) {
        const KEY: usize = 32;
        self.push(byte);
        match byte {
            _ if self.escaped => self.escaped = false,
            b'\\' => self.escaped = true,
            b'"' => {
                self.in_string = false;
                return;
            }
            _ => (),
        }
        if self.key.len() < KEY {
            self.key.push(byte);
        }
    }

    fn push(&mut self, byte: u8) {
        if self.depth.is_none() {
            return;
        }
        if self.entry.len() >= MAX_LINE {
            // What stands deeper in it may be entries.
            self.too_long = true;
            self.entry.clear();
            self.depth = None;
            return;
        }
        self.entry.push(byte);
    }
}

/// The strings of an array of strings.
pub fn strings(entry: &[u8]) -> Vec<Vec<u8>> {
    let text = String::from_utf8_lossy(entry);
    let Ok(values) = serde_json::from_str::<Vec<serde_json::Value>>(&text) else { return Vec::new() };
    values.into_iter().filter_map(|value| Some(value.as_str()?.as_bytes().to_vec())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(text: &str) -> Vec<String> {
        let mut all = Vec::new();
        for size in [1, 3, 1000] {
            let (mut splitter, mut entries) = (JsonSplitter::default(), VecDeque::new());
            for line in text.lines() {
                for piece in line.as_bytes().chunks(size) {
                    let mut at = 0;
                    while at < piece.len() {
                        at += splitter.feed(&piece[at..], &mut entries);
                    }
                }
            }
            assert!(!splitter.is_open() && !splitter.too_long);
            all.push(entries.into_iter().map(|entry| String::from_utf8(entry.text).unwrap()).collect::<Vec<_>>());
        }
        assert!(all[0] == all[1] && all[0] == all[2]);
        all.swap_remove(0)
    }

    #[test]
    fn documents_are_taken_apart() {
        for (text, expected) in [
            (
                "{\n\t\"a\" : \"b } \\\" {\",\n\t\"c\":[[1,2],[3]]\n}\n{\n\"d\":1}",
                vec!["{ \"a\" : \"b } \\\" {\", \"c\":[[1,2],[3]]}", "{\"d\":1}"],
            ),
            ("[{\"a\":1},{\"a\":2}]", vec!["{\"a\":1}", "{\"a\":2}"]),
            ("[\n{\"a\":{\"b\":[{}]}},\n{\"a\":2}\n]", vec!["{\"a\":{\"b\":[{}]}}", "{\"a\":2}"]),
            (
                "{\"hits\":{\"total\":2,\"hits\":[{\"_source\":{\"a\":1}},{\"_source\":{\"a\":2}}]}}",
                vec!["{\"_source\":{\"a\":1}}", "{\"_source\":{\"a\":2}}"],
            ),
            (
                "{\"data\":{\"result\":[{\"stream\":{\"host\":\"pi4\"},\"values\":[[\"1\",\"x\"],[\"2\",\"y\"]]}]}}",
                vec!["[\"1\",\"x\"]", "[\"2\",\"y\"]"],
            ),
            (
                "{\"regions\":[[1,2],[3]],\"values\":[1,2],\"data\":{\"x\":[]}}",
                vec!["{\"regions\":[[1,2],[3]],\"values\":[1,2],\"data\":{\"x\":[]}}"],
            ),
            ("[\"one\",\"two\"]", vec!["[\"one\",\"two\"]"]),
        ] {
            assert_eq!(entries(text), expected, "{text}");
        }
    }

    #[test]
    fn memory_is_bounded() {
        let (mut splitter, mut entries) = (JsonSplitter::default(), VecDeque::new());
        splitter.feed(b"{\"a\":\"", &mut entries);
        for _ in 0..3000 {
            splitter.feed(&[b'x'; 1024], &mut entries);
        }
        assert!(splitter.too_long && splitter.entry.len() <= MAX_LINE && entries.is_empty());
        splitter.feed("[".repeat(1 << 20).as_bytes(), &mut entries);
        splitter.break_off();
        splitter.feed("[".repeat(1 << 20).as_bytes(), &mut entries);
        assert!(splitter.stack.len() <= DEPTH);
        assert_eq!(strings(br#"["1","x\"y"]"#), [b"1".to_vec(), b"x\"y".to_vec()]);
    }

    proptest::proptest! {
        #[test]
        fn nothing_makes_it_panic(text in "[\\[\\]{}\",:\\\\a0 ]{0,60}", bytes: Vec<u8>) {
            let (mut splitter, mut entries) = (JsonSplitter::default(), VecDeque::new());
            splitter.feed(text.as_bytes(), &mut entries);
            splitter.feed(&bytes, &mut entries);
            for entry in &entries {
                strings(&entry.text);
            }
            splitter.break_off();
        }
    }
}
