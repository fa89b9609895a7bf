//! What is wrong with a file, in the words of whoever wrote it: the reader of TOML and the types of values know neither the key nor
//! an example.

use super::Violation;
use toml::de::{DeTable, DeValue};

/// A message of the reader of TOML about what stands at a byte of the file: with the key whose value it is, and an example.
pub(super) fn explain(text: &str, at: usize, message: &str) -> String {
    let message = message.replace('\n', " ");
    let line = text.get(at..).unwrap_or_default().lines().next().unwrap_or_default().trim();
    if let Some(table) =
        line.strip_prefix('[').and_then(|line| line.strip_suffix(']')).filter(|name| !name.contains('['))
        && message.contains("expected a sequence")
    {
        return format!("[{table}]: there may be several of them: write [[{table}]]");
    }
    let message = in_plain_words(&message);
    let unnamed = key_of(text, at).filter(|key| !message.starts_with(key));
    let key = unnamed.map_or(String::new(), |key| format!("{key}: "));
    let example = if message.contains("invalid socket address syntax") {
        ": an address of this board and a port are wanted, as in \"0.0.0.0:8080\""
    } else if message.contains("expected parsable string") {
        "; a size is wanted, as in \"192 MiB\""
    } else {
        ""
    };
    format!("{key}{}{example}", message.replace(", expected parsable string", ""))
}

/// What the types of values say in words of this program's source.
fn in_plain_words(message: &str) -> String {
    let kinds = [
        ("invalid type: unit variant, expected newtype variant", "a table is wanted, as in [source.pattern]"),
        (", expected integer overflow", ": it is below 0"),
        ("wanted string or table", "a string or a table is wanted, such as \"anomaly\""),
        ("expected a sequence", "expected a list, as in [\"a\", \"b\"]"),
    ];
    kinds.iter().fold(message.to_string(), |message, (kind, words)| message.replace(kind, words))
}

/// The keys of files and folders.
const PATHS: [&str; 16] = [
    "folder",
    "path",
    "move_to",
    "bundle",
    "ignore",
    "keys",
    "sysfs",
    "token_file",
    "teach_token_file",
    "password_file",
    "credentials_file",
    "ca",
    "certificate",
    "key",
    "device",
    "chip",
];

/// Refuses a path that begins with what a shell would replace: no shell reads this file, and a folder of that very name is not meant.
pub(super) fn unexpanded(root: &DeTable) -> Option<Violation> {
    root.iter().find_map(|(key, value)| match value.get_ref() {
        DeValue::Table(table) => unexpanded(table),
        DeValue::Array(all) => all.iter().find_map(|one| match one.get_ref() {
            DeValue::Table(table) => unexpanded(table),
            _ => None,
        }),
        DeValue::String(path)
            if PATHS.contains(&key.get_ref().as_ref())
                && (path == "~" || path.starts_with("~/") || path.starts_with('$')) =>
        {
            let problem =
                format!("{} = \"{path}\": ~ and $NAME mean nothing here: write the whole path", key.get_ref());
            Some((value.span().start, problem))
        }
        _ => None,
    })
}

/// The key of the value at a byte of the file, where it is on the same line.
fn key_of(text: &str, at: usize) -> Option<&str> {
    let begin = text.get(..at)?.rfind('\n').map_or(0, |end| end + 1);
    let (key, _) = text[begin..at].split_once('=')?;
    let key = key.trim();
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
    (!key.is_empty() && key.chars().all(is_plain)).then_some(key)
}

/// Refuses a line with two sources by their names.
pub(super) fn several_sources(root: &DeTable) -> Option<Violation> {
    let DeValue::Table(sources) = root.get("source")?.get_ref() else { return None };
    let mut names: Vec<_> = sources.keys().map(|name| (name.span().start, name.get_ref())).collect();
    names.sort_by_key(|(at, _)| *at);
    let [(_, first), .., (at, last)] = &names[..] else { return None };
    let problem = format!(
        "[source.{last}]: a line has one source, and [source.{first}] is there, too: remove one of them, or run two lines"
    );
    Some((*at, problem))
}
