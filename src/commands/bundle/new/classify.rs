//! `--task classify`: which output holds the classes, what their names are, and what its values mean.

use super::made::{Made, Section};
use super::pictures::{pattern, run_each};
use super::subject::{Subject, blamed, refuse_unknown};
use crate::bundle::{ClassValues, ClassifySection};
use crate::commands::WrongArguments;
use crate::escape::one_line;
use crate::files;
use crate::task::anomaly::ImageStatsMeter;
use crate::task::own_model::make::{
    MakeError, NormalValues, class_output, class_values, listed, made_distinct, noted_labels, parse_labels,
};
use crate::task::own_model::{Classifier, Network};
use anyhow::Context;
use std::collections::BTreeMap;

/// The file of the labels in a bundle.
const LABELS: &str = "labels.txt";
/// Names that are listed in a message.
const LISTED: usize = 8;

/// Reads what the network and the command line say, and judges the pictures that there are.
pub fn make(subject: &mut Subject) -> anyhow::Result<Made> {
    let arguments = subject.arguments;
    let meaning = &arguments.meaning;
    let blame = |error| blamed(&arguments.model, error);
    let mut told = Vec::new();
    let mut labels = match &meaning.labels {
        Some(path) => {
            let name = || path.display().to_string();
            let text = files::read_text(path, files::MAX_TEXT).with_context(name)?;
            parse_labels(&text).map_err(anyhow::Error::msg).with_context(name)?
        }
        None => noted_labels(&subject.outline).ok_or_else(|| {
            blame(MakeError::Unstated(format!(
                "its file notes no names of classes, and its outputs are {}: state --labels FILE, one name a line in the order of the output",
                listed(subject.outputs())
            )))
        })?,
    };
    let from = meaning.labels.as_ref().map_or("the model's file".into(), |path| path.display().to_string());
    let mut warnings = Vec::new();
    if let Some((count, name)) = made_distinct(&mut labels) {
        warnings.push(format!(
            "{count} labels occur twice, such as \"{name}\": each further one got a number, as in \"{name} (2)\""
        ));
    }
    refuse_unknown(labels.iter().map(String::as_str), &from)?;
    let output = class_output(subject.outputs(), labels.len(), meaning.output.as_deref()).map_err(blame)?;
    told.push(format!("classes: {} in output \"{output}\", names from {from}", labels.len()));
    let (values, why) = match meaning.values {
        Some(values) => (values.values(), "as --values states"),
        None => match class_values(&subject.outline, &output).map_err(blame)? {
            Some(values) => (values, "as the graph ends"),
            None => (values_by_samples(subject, &output)?, "as its values on pictures tell"),
        },
    };
    let word = if values == ClassValues::Logits { "logits" } else { "probabilities" };
    told.push(format!("values: {word}, {why}"));
    let known = |name: &str| {
        if labels.iter().any(|label| label == name) {
            return Ok(());
        }
        let mut listed: Vec<&str> = labels.iter().take(LISTED).map(String::as_str).collect();
        if labels.len() > LISTED {
            listed.push("...");
        }
        Err(WrongArguments(format!("there is no class \"{}\": there is {}", one_line(name), listed.join(", "))))
    };
    meaning.ok.iter().try_for_each(|name| known(name))?;
    let thresholds = thresholds(&meaning.threshold)?;
    thresholds.keys().try_for_each(|name| known(name))?;
    told.push(match meaning.ok.as_slice() {
        [] => "good: every class, it is only named (--ok states which are good)".into(),
        ok => format!("good: {}", ok.join(", ")),
    });
    let section = ClassifySection {
        output,
        labels: LABELS.into(),
        values,
        ok: meaning.ok.clone(),
        margin: meaning.margin.unwrap_or(0.0),
        thresholds,
    };
    let classifier = Classifier::new(&subject.network, &section, labels.clone(), None).map_err(|e| subject.blame(e))?;
    let mut made = Made::new(Section::Classify(section));
    made.files.push((LABELS.into(), format!("{}\n", labels.join("\n")).into_bytes()));
    (made.told, made.warnings) = (told, warnings);
    judge_pictures(subject, classifier, &mut made)?;
    Ok(made)
}

/// Whether values on pictures are shares that sum up to 1.
fn values_by_samples(subject: &mut Subject, output: &str) -> anyhow::Result<ClassValues> {
    let index = subject.network.output_named(output).map_err(|problem| subject.blame(problem))?;
    let mut is_share = true;
    let mut look = |network: &Network| -> Result<(), crate::task::TaskError> {
        let values = network.floats(index)?;
        let sum: f64 = values.iter().map(|value| f64::from(*value)).sum();
        is_share &= values.iter().all(|value| (0.0..=1.0).contains(value)) && (sum - 1.0).abs() <= 0.01;
        Ok(())
    };
    let files: Vec<_> = subject.normal.iter().chain(&subject.defects).take(5).cloned().collect();
    if files.is_empty() {
        let looked =
            subject.network.prepare(&pattern()).and_then(|()| subject.network.run()).map_err(anyhow::Error::from);
        let looked = looked.and_then(|()| Ok(look(&subject.network)?));
        looked.with_context(|| format!("{}: on a test pattern", subject.arguments.model.display()))?;
    } else {
        run_each("looking", &files, &mut subject.network, |_, network| look(network))?;
    }
    Ok(if is_share { ClassValues::Probabilities } else { ClassValues::Logits })
}

/// `CLASS=P` of each.
fn thresholds(stated: &[String]) -> Result<BTreeMap<String, f64>, WrongArguments> {
    let parse = |text: &String| {
        let (class, value) = text.rsplit_once('=')?;
        let value = value.trim().parse::<f64>().ok().filter(|value| (0.0..=1.0).contains(value))?;
        Some((class.trim().to_string(), value))
    };
    let mut thresholds = BTreeMap::new();
    for text in stated {
        let expected = || format!("--threshold {}: expected CLASS=P with P in 0..1, as scratch=0.4", one_line(text));
        let (class, value) = parse(text).ok_or_else(|| WrongArguments(expected()))?;
        if thresholds.insert(class, value).is_some() {
            return Err(WrongArguments(format!("--threshold {}: its class has one already", one_line(text))));
        }
    }
    Ok(thresholds)
}

/// What is judged of good parts and of defects: the baseline of drift, and how many are right.
fn judge_pictures(subject: &mut Subject, mut classifier: Classifier, made: &mut Made) -> anyhow::Result<()> {
    let mut normal = NormalValues::default();
    let mut meter = ImageStatsMeter::new(subject.network.size().0);
    let output = classifier.output();
    let (mut good, mut first, mut differ) = (0, None, false);
    run_each("good parts", &subject.normal, &mut subject.network, |_, network| {
        let classified = classifier.read(network)?;
        // Scores may be the same for good reason: they are 0 where every class is good.
        let values = network.floats(output)?;
        differ |= first.get_or_insert_with(|| values.to_vec()) != values;
        good += usize::from(!classified.defect);
        normal.values.push(classified.score);
        normal.stats.push(meter.measure(network.fitted()));
        Ok(())
    })?;
    let (mut found, mut defects) = (0, Vec::new());
    run_each("defects", &subject.defects, &mut subject.network, |_, network| {
        let classified = classifier.read(network)?;
        found += usize::from(classified.defect);
        defects.push(classified.score);
        Ok(())
    })?;
    let count = normal.values.len();
    // Where every class is good, and none unknown, there is nothing to be right about.
    let meaning = &subject.arguments.meaning;
    let names_good = !meaning.ok.is_empty() || meaning.margin.is_some();
    if count > 0 {
        made.count("pictures_normal", count);
        if names_good {
            made.count("normal_good", good);
            made.told.push(format!("{good} of {count} pictures of good parts are judged good"));
        }
        if count > 1 && !differ {
            made.warnings.push(format!(
                "the network gives the same for each of {count} pictures of good parts: it does not look at them, or they are all the same"
            ));
        }
        if good < count.div_ceil(2) {
            made.warnings.push(
                "most pictures of good parts are not judged good: is the preparation the one that it was trained with, and --ok right?".into(),
            );
        }
        made.add_baseline(&normal.baseline(|score| score))?;
    }
    if !defects.is_empty() && names_good {
        made.count("defects", defects.len());
        made.count("defects_found", found);
        made.told.push(format!("{found} of {} pictures of defects count as defects", defects.len()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thresholds_belong_to_classes() {
        let parsed = thresholds(&["scratch=0.4".into(), "a = b = 1".into()]).unwrap();
        assert_eq!((parsed["scratch"], parsed["a = b"]), (0.4, 1.0));
        for text in ["scratch", "scratch=", "scratch=2", "scratch=nan"] {
            assert!(thresholds(&[text.into()]).unwrap_err().0.contains("CLASS=P"), "{text}");
        }
        let twice = thresholds(&["b=0.5".into(), "b=0.6".into()]).unwrap_err().0;
        assert_eq!(twice, "--threshold b=0.6: its class has one already");
    }
}
