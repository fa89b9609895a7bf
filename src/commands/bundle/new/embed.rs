//! `--task embed`: the vectors of known parts, and how far pictures of one part are from each other.

use super::made::{Made, Section};
use super::pictures::run_each;
use super::subject::{Subject, blamed, refuse_unknown};
use crate::bundle::EmbedSection;
use crate::commands::WrongArguments;
use crate::commands::name_folders::name_folders;
use crate::commands::prepared_pictures::pictures_of;
use crate::escape::one_line;
use crate::task::anomaly::{ImageStatsMeter, Matrix};
use crate::task::own_model::Matcher;
use crate::task::own_model::make::{HeldOut, MakeError, NormalValues, References, vector_output};
use std::path::{Path, PathBuf};

/// Files of a bundle.
const REFERENCES: &str = "references.npy";
const PARTS: &str = "parts.txt";
const CALIBRATION: &str = "calibration.npy";
/// So many references vote where each part has as many.
const VOTES: usize = 3;

/// Takes the vectors of known parts, and measures how far they are from each other.
pub fn make(subject: &mut Subject) -> anyhow::Result<Made> {
    let arguments = subject.arguments;
    let meaning = &arguments.meaning;
    let blame = |error| blamed(&arguments.model, error);
    let output = vector_output(subject.outputs(), meaning.output.as_deref()).map_err(blame)?;
    let Some(folder) = &meaning.references else {
        let problem =
            "which parts there are is not known: state --references DIR, a folder for each part with pictures of it";
        return Err(blame(MakeError::Unstated(problem.into())));
    };
    let folders = part_folders(folder)?;
    refuse_unknown(folders.iter().map(|(part, _)| part.as_str()), &folder.display().to_string())?;
    let index = subject.network.floats_named(&output).map_err(|problem| subject.blame(problem))?;
    let mut references = References::default();
    let mut meter = ImageStatsMeter::new(subject.network.size().0);
    let mut stats = Vec::new();
    for (part, folder) in &folders {
        let files = pictures_of(folder, arguments.frames)?;
        run_each("parts", &files, &mut subject.network, |_, network| {
            references.add(part, network.floats(index)?).map_err(crate::task::TaskError::Output)?;
            stats.push(meter.measure(network.fitted()));
            Ok(())
        })?;
    }
    if let Some(name) = meaning.ok.iter().find(|name| !references.parts.contains(name)) {
        let there: Vec<&str> = folders.iter().map(|(part, _)| part.as_str()).collect();
        let problem = format!(
            "--ok {}: there is no such part in {}: there is {}",
            one_line(name),
            folder.display(),
            there.join(", ")
        );
        return Err(WrongArguments(problem).into());
    }
    let (mut normal, held_out) = references.hold_out();
    normal.stats = stats;
    let HeldOut { tried, right, mistaken } = held_out;
    let own = if references.fewest() >= VOTES { VOTES } else { 1 };
    let nearest = meaning.nearest.map_or(own, usize::from);
    let mut section = EmbedSection {
        output,
        references: REFERENCES.into(),
        parts: PARTS.into(),
        nearest,
        ok: meaning.ok.clone(),
        threshold: 0.0,
        calibration: CALIBRATION.into(),
    };
    let mut matcher = Matcher::new(&subject.network, &section, references.vectors.clone(), &references.parts)
        .map_err(|problem| subject.blame(problem))?;
    // Good parts that are no references say better how far they are from these.
    let mut further = NormalValues::default();
    run_each("good parts", &subject.normal, &mut subject.network, |_, network| {
        further.values.push(matcher.read(network)?.distance);
        further.stats.push(meter.measure(network.fitted()));
        Ok(())
    })?;
    let source = if further.values.is_empty() { &normal } else { &further };
    let fit = source.fit(arguments.false_alarms() / 1000.0);
    let from = arguments.normal.as_ref().unwrap_or(folder);
    let fit = fit.map_err(|problem| anyhow::anyhow!("{}: {problem}", from.display()))?;
    section.threshold = fit.threshold;
    let (mut found, mut defects) = (0, Vec::new());
    run_each("defects", &subject.defects, &mut subject.network, |_, network| {
        let matched = matcher.read(network)?;
        defects.push(matched.distance);
        found += usize::from(!matched.is_ok || fit.calibration.score(matched.distance) >= fit.threshold);
        Ok(())
    })?;
    let mut made = Made::new(Section::Embed(section));
    made.told.push(format!(
        "{} parts in {} pictures, vectors of {} values; {nearest} nearest vote{}",
        folders.len(),
        references.parts.len(),
        references.values,
        if nearest == 1 { "s" } else { "" }
    ));
    made.told.push(format!("{right} of {tried} pictures, each held out, are nearest to another one of their part"));
    if let Some((part, other)) = mistaken {
        made.warnings
            .push(format!("a picture of \"{part}\" is nearer to one of \"{other}\" than to any other of its own"));
    }
    made.count("parts", folders.len());
    made.count("held_out", tried);
    made.count("held_out_right", right);
    made.add_matrix(REFERENCES, &Matrix { columns: references.values, values: references.vectors.clone() })?;
    made.files.push((PARTS.into(), format!("{}\n", references.parts.join("\n")).into_bytes()));
    made.add_fit(&fit, CALIBRATION, source.values.len(), arguments.false_alarms())?;
    made.add_baseline(&source.baseline(|value| fit.calibration.score(value)))?;
    if !defects.is_empty() {
        made.add_defects(&source.values, &defects, found);
    }
    Ok(made)
}

/// The folders of a folder, each a part by its name.
fn part_folders(folder: &Path) -> anyhow::Result<Vec<(String, PathBuf)>> {
    let folders = name_folders(folder)?;
    let mut parts: Vec<(String, PathBuf)> =
        folders.into_iter().map(|(name, path)| (one_line(name.trim()).into_owned(), path)).collect();
    parts.sort();
    anyhow::ensure!(
        !parts.is_empty(),
        "{}: no folder in it: one for each part is expected, with pictures of it",
        folder.display()
    );
    Ok(parts)
}
