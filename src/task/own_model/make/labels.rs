//! The names of classes, in the forms in which networks bring them.

use lineside_engine::Outline;
use serde_json::Value;

/// Notes of a file under which exporters keep the names of classes.
const NOTES: [&str; 5] = ["labels", "classes", "class_names", "names", "id2label"];

/// The names of a file: one a line; or JSON, a list, `{"0": "name"}`, `{"name": 0}`, or Keras's `{"0": ["n01440764", "tench"]}`.
///
/// # Errors
/// One line, where it is none of these.
pub fn parse_labels(text: &str) -> Result<Vec<String>, String> {
    let text = text.trim_start_matches('\u{feff}').trim();
    if !text.starts_with(['[', '{']) {
        let names: Vec<String> =
            text.lines().map(str::trim).filter(|line| !line.is_empty()).map(String::from).collect();
        return if names.is_empty() { Err("no label in it".into()) } else { Ok(names) };
    }
    let json: Value = serde_json::from_str(text).or_else(|error| {
        // Python's way to write a dictionary, as some exporters note it.
        serde_json::from_str(&quoted(text)).map_err(|_| format!("is no list of labels: {error}"))
    })?;
    of_json(&json).ok_or_else(|| "is no list of labels: a list of names, or {\"0\": \"name\", ...} is expected".into())
}

/// The names that a network's file notes; `None` where it does not.
pub fn noted_labels(outline: &Outline) -> Option<Vec<String>> {
    let mut notes = NOTES.iter().filter_map(|name| outline.note(name));
    notes.find_map(|note| {
        let separated = || note.split([',', '\n']).map(|name| name.trim().to_string()).collect::<Vec<_>>();
        let names = if note.trim().starts_with(['[', '{']) { parse_labels(note).ok()? } else { separated() };
        (names.len() > 1 && names.iter().all(|name| !name.is_empty())).then_some(names)
    })
}

/// Names that occur twice get a number: ImageNet has two cranes. Returns how many were changed, and one of them.
pub fn made_distinct(labels: &mut [String]) -> Option<(usize, String)> {
    let mut changed: Option<(usize, String)> = None;
    for at in 1..labels.len() {
        let (before, rest) = labels.split_at_mut(at);
        let name = &rest[0];
        let mut number = 2;
        let mut distinct = name.clone();
        while before.contains(&distinct) {
            distinct = format!("{name} ({number})");
            number += 1;
        }
        if distinct != *name {
            let (count, _) = changed.get_or_insert_with(|| (0, name.clone()));
            *count += 1;
            rest[0] = distinct;
        }
    }
    changed
}

fn of_json(json: &Value) -> Option<Vec<String>> {
    match json {
        Value::Array(list) if !list.is_empty() => list.iter().map(name).collect(),
        Value::Object(table) if !table.is_empty() => {
            let by_number = |key: &String, value: &Value| Some((key.parse::<usize>().ok()?, name(value)?));
            let by_name = |key: &String, value: &Value| Some((usize::try_from(value.as_u64()?).ok()?, key.clone()));
            let numbered: Option<Vec<_>> = table.iter().map(|(key, value)| by_number(key, value)).collect();
            let numbered = numbered.or_else(|| table.iter().map(|(key, value)| by_name(key, value)).collect());
            let mut numbered = numbered?;
            numbered.sort();
            let is_whole = numbered.iter().enumerate().all(|(at, (number, _))| at == *number);
            is_whole.then(|| numbered.into_iter().map(|(_, name)| name).collect())
        }
        _ => None,
    }
}

/// A name, or the last of several.
fn name(value: &Value) -> Option<String> {
    match value {
        // A bundle has one a line.
        Value::String(name) => Some(name.trim().replace(char::is_control, " ")),
        Value::Array(names) => name(names.last()?),
        _ => None,
    }
}

/// `{0: 'a'}` as `{"0": "a"}`.
fn quoted(text: &str) -> String {
    let (mut out, mut quote, mut number) = (String::with_capacity(text.len()), None, false);
    for c in text.chars() {
        let is_digit = c.is_ascii_digit() && quote.is_none();
        if is_digit != number {
            out.push('"');
            number = is_digit;
        }
        match quote {
            None if c == '\'' || c == '"' => {
                quote = Some(c);
                out.push('"');
            }
            Some(open) if c == open => {
                quote = None;
                out.push('"');
            }
            Some(_) if c == '"' => out.push_str("\\\""),
            _ => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_gives_the_same_names() {
        for text in [
            "good\nscratch\n\ndent\n",
            "\u{feff}good\r\nscratch\r\ndent",
            "[\"good\", \"scratch\", \"dent\"]",
            "{\"0\": \"good\", \"2\": \"dent\", \"1\": \"scratch\"}",
            "{\"good\": 0, \"scratch\": 1, \"dent\": 2}",
            "{\"0\": [\"n1\", \"good\"], \"1\": [\"n2\", \"scratch\"], \"2\": [\"n3\", \"dent\"]}",
            "{0: 'good', 1: 'scratch', 2: 'dent'}",
        ] {
            assert_eq!(parse_labels(text).unwrap(), ["good", "scratch", "dent"], "{text}");
        }
        assert_eq!(parse_labels("[\"a\\nb\", \"c\"]").unwrap(), ["a b", "c"]);
        assert_eq!(parse_labels("{0: \"crow's foot\", 1: 'b'}").unwrap(), ["crow's foot", "b"]);
        for text in ["", "[]", "{", "{\"0\": 1}", "{\"1\": \"a\", \"2\": \"b\"}", "[1, 2]"] {
            assert!(parse_labels(text).is_err(), "{text}");
        }
    }

    #[test]
    fn names_that_occur_twice_get_a_number() {
        let mut labels = ["crane", "tub", "crane", "crane"].map(String::from);
        assert_eq!(made_distinct(&mut labels), Some((2, "crane".into())));
        assert_eq!(labels, ["crane", "tub", "crane (2)", "crane (3)"]);
        assert_eq!(made_distinct(&mut labels), None);
    }
}
