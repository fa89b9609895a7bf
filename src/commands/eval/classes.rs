//! Evaluation of a bundle that knows names: a folder for each of them, with pictures of it.

use super::EvalArguments;
use super::batch::Batch;
use crate::bundle::Bundle;
use crate::commands::name_folders::name_folders;
use crate::commands::{WrongArguments, percentile, print_json};
use crate::escape::one_line;
use crate::source::list_pictures;
use crate::task::UNKNOWN;
use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// A picture that was taken for something else.
struct Mistake {
    file: PathBuf,
    is: String,
    /// The likeliest names with their shares.
    told: String,
}

/// How often pictures of one name were recognised as another.
#[derive(Default)]
struct Confusion {
    /// By name as it is, then by the word that was told.
    counts: BTreeMap<String, BTreeMap<String, usize>>,
}

/// One name's figures.
#[derive(serde::Serialize)]
struct ClassResult {
    class: String,
    n: usize,
    /// The share of its pictures that were recognised, 0..1.
    recall: f64,
    /// Of the pictures that were taken for it, the share that shows it, 0..1; none where there is no such picture.
    precision: Option<f64>,
}

pub(super) fn run(bundle: &Bundle, folder: &Path, arguments: &EvalArguments) -> anyhow::Result<ExitCode> {
    let mut batch = Batch::new(bundle, arguments, usize::MAX)?;
    let names = batch.judge().0.names().to_vec();
    if names.is_empty() {
        let task = bundle.manifest().task.name();
        return Err(
            WrongArguments(format!("this bundle is for {task} and knows no names: --normal DIR is needed")).into()
        );
    }
    let classes = class_folders(folder, &names)?;
    let (mut confusion, mut mistakes, mut broken, mut times) =
        (Confusion::default(), Vec::new(), Vec::new(), Vec::new());
    let mut pictures = Vec::new();
    for (class, path) in classes {
        let list = list_pictures(&path).map_err(anyhow::Error::msg)?;
        list.passed_over.log(&path);
        pictures.extend(list.files.into_iter().map(|file| (class.clone(), file)));
    }
    batch.expect(pictures.len());
    batch.run(
        pictures,
        |(_, file)| file,
        &mut broken,
        |(class, file), judged| {
            times.push(judged.ms);
            let (word, told) = match &judged.verdict.recognition {
                Some(recognition) => (recognition.word().to_string(), recognition.to_string()),
                None => (UNKNOWN.to_string(), String::new()),
            };
            confusion.add(&class, &word);
            if word != class {
                mistakes.push(Mistake { file, is: class, told });
            }
            Ok(())
        },
    )?;
    batch.finish();
    times.sort_by(f64::total_cmp);
    report(&confusion, &mistakes, &broken, percentile(&times, 0.5), arguments.json)?;
    super::complete(&broken)
}

/// The sub-folders of a folder, each of which has the name of a class or part.
fn class_folders(folder: &Path, names: &[String]) -> anyhow::Result<Vec<(String, PathBuf)>> {
    let shown = || folder.display().to_string();
    let classes = name_folders(folder)?;
    if let Some((_, path)) = classes.iter().find(|(name, _)| !names.contains(name)) {
        anyhow::bail!("{}: no class of the bundle has this name; it knows {}", path.display(), names.join(", "));
    }
    anyhow::ensure!(
        !classes.is_empty(),
        "{}: no folder of a class in it; it takes one for each of {}",
        shown(),
        names.join(", ")
    );
    Ok(classes)
}

fn report(
    confusion: &Confusion,
    mistakes: &[Mistake],
    broken: &[String],
    p50_ms: f64,
    json: bool,
) -> anyhow::Result<()> {
    let (right, total) = confusion.right_of();
    let accuracy = (total > 0).then(|| right as f64 / total as f64);
    let classes = confusion.classes();
    if json {
        let mistakes: Vec<serde_json::Value> = mistakes
            .iter()
            .map(|mistake| {
                serde_json::json!({ "file": mistake.file.display().to_string(), "is": mistake.is, "told": mistake.told })
            })
            .collect();
        return print_json(&serde_json::json!({
            "accuracy": accuracy, "n": total, "classes": classes, "confusion": confusion.counts, "mistakes": mistakes,
            "broken": broken, "p50_ms": p50_ms,
        }));
    }
    let mut out = crate::commands::stdout();
    let share = accuracy.unwrap_or_default() * 100.0;
    writeln!(out, "{right} of {total} pictures recognised ({share:.1} %), {p50_ms:.1} ms per picture (median)")?;
    for ClassResult { class, n, recall, precision } in &classes {
        let precision = precision.map_or("-".into(), |share| format!("{:.1} %", share * 100.0));
        let others = confusion.others(class);
        let class = one_line(class);
        writeln!(
            out,
            "  {class:<20} {n:>5} pictures  recognised {:>5.1} %  right when told {precision:>7}{others}",
            recall * 100.0
        )?;
    }
    for Mistake { file, is, told } in mistakes {
        let (file, told) = (file.display().to_string(), one_line(told));
        writeln!(out, "mistake  is {}  told {told}  {}", one_line(is), one_line(&file))?;
    }
    Ok(())
}

impl Confusion {
    fn add(&mut self, is: &str, told: &str) {
        *self.counts.entry(is.into()).or_default().entry(told.into()).or_default() += 1;
    }

    /// Pictures that were recognised, and all.
    fn right_of(&self) -> (usize, usize) {
        let right = self.counts.iter().filter_map(|(is, told)| told.get(is)).sum();
        (right, self.counts.values().flat_map(BTreeMap::values).sum())
    }

    fn classes(&self) -> Vec<ClassResult> {
        let result = |(is, told): (&String, &BTreeMap<String, usize>)| {
            let (n, right) = (told.values().sum::<usize>(), told.get(is).copied().unwrap_or(0));
            let taken: usize = self.counts.values().filter_map(|told| told.get(is)).sum();
            let precision = (taken > 0).then(|| right as f64 / taken as f64);
            ClassResult { class: is.clone(), n, recall: right as f64 / n.max(1) as f64, precision }
        };
        self.counts.iter().map(result).collect()
    }

    /// What pictures of a name were taken for, in words.
    fn others(&self, is: &str) -> String {
        let told = self.counts.get(is).into_iter().flatten();
        let mut others: Vec<(&String, &usize)> = told.filter(|(word, _)| *word != is).collect();
        others.sort_by(|a, b| b.1.cmp(a.1));
        let texts: Vec<String> = others.iter().map(|(word, count)| format!("{} {count}", one_line(word))).collect();
        if texts.is_empty() { String::new() } else { format!("  taken for {}", texts.join(", ")) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recall_and_precision_follow_from_the_counts() {
        let mut confusion = Confusion::default();
        for (is, told) in [("nut", "nut"), ("nut", "bolt"), ("nut", "unknown"), ("bolt", "bolt"), ("bolt", "bolt")] {
            confusion.add(is, told);
        }
        assert_eq!(confusion.right_of(), (3, 5));
        let figures: Vec<(String, usize, f64, Option<f64>)> =
            confusion.classes().into_iter().map(|c| (c.class, c.n, c.recall, c.precision)).collect();
        assert_eq!(figures[0], ("bolt".into(), 2, 1.0, Some(2.0 / 3.0)));
        assert_eq!(figures[1], ("nut".into(), 3, 1.0 / 3.0, Some(1.0)));
        assert_eq!(confusion.others("nut"), "  taken for bolt 1, unknown 1");
        assert_eq!(confusion.others("bolt"), "");
    }
}
