//! The right place of each sample, from a file of labels.

use super::samples::ModelSamples;
use crate::escape::one_line;
use crate::files;
use anyhow::Context;
use std::collections::HashMap;
use std::ffi::OsString;
use std::path::{Component, Path, PathBuf};

/// What stands between a file and its number; names may hold it, too, so that the last one counts.
const SEPARATORS: [char; 4] = [',', ';', '\t', ' '];

/// A line that names a file.
struct Label {
    line: usize,
    file: PathBuf,
    number: usize,
}

/// Reads labels in the order of the samples.
pub(super) fn read(path: &Path, samples: &ModelSamples) -> anyhow::Result<Vec<usize>> {
    let name = path.display();
    let text = files::read(path, 64 << 20).with_context(|| name.to_string())?;
    let text = String::from_utf8(text).map_err(|_| anyhow::anyhow!("{name}: is no text"))?;
    let (named, in_order) = parse(&text).with_context(|| name.to_string())?;
    if named.is_empty() {
        // Of all that there are, also where fewer are used: which these are is nothing that whoever wrote the labels knows.
        anyhow::ensure!(
            in_order.len() == samples.all(),
            "{name}: {} labels for {} samples",
            in_order.len(),
            samples.all()
        );
        return Ok(samples.places().map(|at| in_order[at]).collect());
    }
    anyhow::ensure!(
        !samples.files().is_empty(),
        "{name}: has names, but the samples are arrays: give one number each, in their order"
    );
    assign(&named, samples.files()).with_context(|| name.to_string())
}

/// The lines that name a file, or the numbers of lines without a name.
fn parse(text: &str) -> anyhow::Result<(Vec<Label>, Vec<usize>)> {
    let lines = text.trim_start_matches('\u{feff}').lines().map(str::trim).enumerate();
    let lines = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
    let (mut named, mut in_order) = (Vec::new(), Vec::new());
    for (place, (at, line)) in lines.enumerate() {
        let (file, number) = line.rsplit_once(SEPARATORS).unwrap_or(("", line));
        let Ok(number) = number.parse::<usize>() else {
            anyhow::ensure!(
                place == 0,
                "line {}: expected FILE NUMBER, or a number, found \"{}\"",
                at + 1,
                one_line(line)
            );
            // A line of headings.
            continue;
        };
        let file = file.trim_end_matches(SEPARATORS);
        let file = file.strip_prefix('"').and_then(|file| file.strip_suffix('"')).unwrap_or(file);
        if file.is_empty() {
            in_order.push(number);
        } else {
            named.push(Label { line: at + 1, file: file.into(), number });
        }
        anyhow::ensure!(
            named.is_empty() || in_order.is_empty(),
            "line {}: lines with a file and lines with a number alone cannot be mixed",
            at + 1
        );
    }
    Ok((named, in_order))
}

/// The number of each file: of the line that has most of its path, from its end on.
fn assign(labels: &[Label], files: &[PathBuf]) -> anyhow::Result<Vec<usize>> {
    let mut by_name: HashMap<_, Vec<&Label>> = HashMap::new();
    for label in labels {
        by_name.entry(label.file.file_name().unwrap_or_default()).or_default().push(label);
    }
    let mut taken: HashMap<usize, &Path> = HashMap::new();
    let mut numbers = Vec::with_capacity(files.len());
    for file in files {
        let shown = file.display();
        let of_name = by_name.get(file.file_name().unwrap_or_default()).map_or(&[][..], Vec::as_slice);
        let most = of_name.iter().map(|label| fit(&label.file, file)).max();
        let fitting: Vec<&&Label> = of_name.iter().filter(|label| Some(fit(&label.file, file)) == most).collect();
        let [first, others @ ..] = fitting.as_slice() else { anyhow::bail!("no label for {shown}") };
        if let Some(other) = others.iter().find(|other| other.number != first.number) {
            anyhow::bail!(
                "lines {} and {} have other numbers for {shown}: give more of its path",
                first.line,
                other.line
            );
        }
        for label in &fitting {
            if let Some(other) = taken.insert(label.line, file).filter(|other| *other != file) {
                let line = label.line;
                anyhow::bail!("line {line} fits {} and {shown}: give more of their paths", other.display());
            }
        }
        numbers.push(first.number);
    }
    Ok(numbers)
}

/// Names that a label's path and a file's share from their ends on, and whether these are all that the label has.
fn fit(label: &Path, file: &Path) -> (usize, bool) {
    let names = |path: &Path| -> Vec<OsString> {
        let normal = |component: Component<'_>| match component {
            Component::Normal(name) => Some(name.to_os_string()),
            _ => None,
        };
        path.components().rev().map_while(normal).collect()
    };
    let (label, file) = (names(label), names(file));
    let common = label.iter().zip(&file).take_while(|(a, b)| a == b).count();
    (common, common == label.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assigned(text: &str, files: &[&str]) -> Result<Vec<usize>, String> {
        let files: Vec<PathBuf> = files.iter().map(PathBuf::from).collect();
        let (named, in_order) = parse(text).map_err(|error| format!("{error:#}"))?;
        if named.is_empty() { Ok(in_order) } else { assign(&named, &files).map_err(|error| format!("{error:#}")) }
    }

    const FILES: [&str; 2] = ["p/red/0.png", "p/green/0.png"];

    #[test]
    fn files_of_one_name_are_told_apart_by_their_paths() {
        for text in [
            "red/0.png,2\ngreen/0.png,1\n",
            "file;class\n/home/a/red/0.png;2\n/home/a/green/0.png;1\n",
            "# by hand\n./p/red/0.png 2\n./p/green/0.png 1",
            "\u{feff}\"green/0.png\", 1\r\n\"red/0.png\", 2\r\n",
            // One without its folder is for what no other line fits better.
            "0.png 1\nred/0.png 2\n",
            "red/0.png 2\nred/0.png 2\ngreen/0.png 1\n",
        ] {
            assert_eq!(assigned(text, &FILES), Ok(vec![2, 1]), "{text}");
        }
        // A folder that had another name is no trouble while names are unique.
        assert_eq!(assigned("val/1.png 3\nval/2.png 4", &["held/2.png", "held/1.png"]), Ok(vec![4, 3]));
    }

    #[test]
    fn lines_that_fit_several_files_and_files_that_several_lines_fit_are_refused() {
        for (text, parts) in [
            ("0.png 1", ["line 1 fits", "p/red/0.png"]),
            ("blue/0.png 1", ["line 1 fits", "p/green/0.png"]),
            ("red/0.png 1\nred/0.png 2\ngreen/0.png 3", ["lines 1 and 2", "p/red/0.png"]),
            ("red/0.png 1\nred/1.png 2", ["line 1 fits", "more of their paths"]),
            ("red/1.png 1", ["no label for", "p/red/0.png"]),
            ("red/0.png 1\n2", ["line 2", "cannot be mixed"]),
            ("red/0.png 1\ngreen/0.png", ["line 2", "expected FILE NUMBER"]),
        ] {
            let problem = assigned(text, &FILES).unwrap_err();
            assert!(parts.iter().all(|part| problem.contains(part)), "{text}: {problem}");
        }
    }

    #[test]
    fn names_may_hold_blanks_and_commas() {
        let files = ["p/my part 1.png", "p/a, b;c.png", "p/7.png"];
        let text = "p/my part 1.png 4\np/a, b;c.png,5\n7.png\t 6\n";
        assert_eq!(assigned(text, &files), Ok(vec![4, 5, 6]));
        assert_eq!(assigned("number\n3\n1\n", &[]), Ok(vec![3, 1]));
    }
}
