//! `--task anomaly-map`: which outputs hold score and map, and what is normal.

use super::made::{Made, Section};
use super::pictures::run_each;
use super::subject::{Subject, blamed};
use crate::bundle::AnomalyMapSection;
use crate::commands::WrongArguments;
use crate::task::anomaly::ImageStatsMeter;
use crate::task::own_model::MapReader;
use crate::task::own_model::make::{AnomalyOutputs, MakeError, NormalMaps, NormalValues, anomaly_outputs};

/// The file of the calibration in a bundle.
const CALIBRATION: &str = "calibration.npy";

/// Finds the outputs, and measures the pictures of good parts and of defects.
pub fn make(subject: &mut Subject) -> anyhow::Result<Made> {
    let arguments = subject.arguments;
    let meaning = &arguments.meaning;
    let blame = |error| blamed(&arguments.model, error);
    let found = anomaly_outputs(subject.outputs(), meaning.score.as_deref(), meaning.map.as_deref()).map_err(blame)?;
    let AnomalyOutputs { score, map } = found;
    let stated = stated_threshold(subject)?;
    let mut section =
        AnomalyMapSection { score, map, threshold: stated.unwrap_or(0.0), calibration: None, cold: 0.0, hot: 1.0 };
    let reader = MapReader::new(&subject.network, &section).map_err(|problem| subject.blame(problem))?;
    let mut told = vec![match (&section.score, &section.map) {
        (Some(score), Some(map)) => format!("score: output \"{score}\"; map: output \"{map}\""),
        (Some(score), None) => format!("score: output \"{score}\"; no map, so that nothing says where"),
        (None, Some(map)) => format!("map: output \"{map}\"; the frame's value is its greatest"),
        (None, None) => String::new(),
    }];
    let (width, height) = reader.grid();
    if reader.has_map() {
        told.push(format!("heatmap: {width}x{height} cells"));
    }
    let (mut normal, mut maps) = (NormalValues::default(), NormalMaps::default());
    let mut meter = ImageStatsMeter::new(subject.network.size().0);
    let mut cells = vec![0_f32; width * height];
    run_each("good parts", &subject.normal, &mut subject.network, |_, network| {
        normal.values.push(reader.measure(network)?);
        normal.stats.push(meter.measure(network.fitted()));
        if reader.has_map() {
            reader.cells(network, &mut cells)?;
            maps.add(cells.iter().map(|cell| f64::from(*cell)));
        }
        Ok(())
    })?;
    let mut defects = Vec::new();
    run_each("defects", &subject.defects, &mut subject.network, |_, network| {
        defects.push(reader.measure(network)?);
        Ok(())
    })?;
    let mut made = match stated {
        Some(threshold) => {
            // The map has the unit of the value, as far as anything is known.
            section.hot = threshold;
            section.cold = if threshold > 0.0 { 0.0 } else { threshold - 1.0 };
            let mut made = Made::new(Section::AnomalyMap(section));
            told.push(format!("threshold: the value {threshold}, as stated"));
            made.warnings.push(
                "without pictures of good parts (--normal) nothing is known of what is normal: no score that is a share, no drift".into(),
            );
            made.told = told;
            made
        }
        None => {
            let fit =
                normal.fit(arguments.false_alarms() / 1000.0).map_err(|problem| folder_problem(subject, &problem))?;
            section.threshold = fit.threshold;
            section.calibration = Some(CALIBRATION.into());
            if reader.has_map() {
                (section.cold, section.hot) = maps.references();
            }
            let mut made = Made::new(Section::AnomalyMap(section));
            made.told = told;
            made.add_fit(&fit, CALIBRATION, normal.values.len(), arguments.false_alarms())?;
            made.add_baseline(&normal.baseline(|value| fit.calibration.score(value)))?;
            let found = defects.iter().filter(|value| fit.calibration.score(**value) >= fit.threshold).count();
            if !defects.is_empty() {
                made.add_defects(&normal.values, &defects, found);
            }
            return Ok(made);
        }
    };
    if let Some(threshold) = stated.filter(|_| !defects.is_empty()) {
        let found = defects.iter().filter(|value| **value >= threshold).count();
        made.add_defects(&normal.values, &defects, found);
    }
    Ok(made)
}

/// The threshold that takes the place of pictures of good parts.
fn stated_threshold(subject: &Subject) -> anyhow::Result<Option<f64>> {
    let arguments = subject.arguments;
    match (arguments.meaning.threshold.as_slice(), arguments.normal.is_some()) {
        ([], true) => Ok(None),
        ([], false) => Err(blamed(
            &arguments.model,
            MakeError::Unstated(
                "what is normal is not known: state --normal DIR with pictures of good parts, or --threshold with the network's own value \
                 (0.5 where anomalib normalized its scores)"
                    .into(),
            ),
        )),
        (_, false) if arguments.false_alarms.is_some() => {
            let problem = "--threshold and --false-alarms: one of the two sets the threshold, and --false-alarms needs --normal DIR";
            Err(WrongArguments(problem.into()).into())
        }
        (_, true) => {
            Err(WrongArguments("--threshold and --normal: one of the two sets the threshold".into()).into())
        }
        ([text], false) => match text.parse::<f64>().ok().filter(|value| value.is_finite()) {
            Some(value) => Ok(Some(value)),
            None => Err(WrongArguments(format!("--threshold {text}: a number in the unit of the network's value is expected")).into()),
        },
        (_, false) => Err(WrongArguments("--threshold: one number".into()).into()),
    }
}

/// A problem with the pictures of good parts.
pub fn folder_problem(subject: &Subject, problem: &str) -> anyhow::Error {
    let folder = subject.arguments.normal.as_ref().map_or(String::new(), |folder| folder.display().to_string());
    anyhow::anyhow!("{folder}: {problem}")
}
