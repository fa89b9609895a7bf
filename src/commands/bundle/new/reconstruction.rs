//! `--task reconstruction`: how far good parts are from the pictures that the network gives back.

use super::anomaly_map::folder_problem;
use super::made::{Made, Section};
use super::pictures::run_each;
use super::subject::{Subject, blamed};
use crate::bundle::ReconstructionSection;
use crate::task::anomaly::ImageStatsMeter;
use crate::task::own_model::Residual;
use crate::task::own_model::make::{MakeError, NormalMaps, NormalValues, picture_output};

/// The file of the calibration in a bundle.
const CALIBRATION: &str = "calibration.npy";
/// The side of a cell is this part of the input's shorter side, where it is not stated.
const CELLS: usize = 32;
/// And at least so many pixels: single ones are noise.
const SMALLEST_CELL: usize = 4;

/// Finds the output, and measures the pictures of good parts and of defects.
pub fn make(subject: &mut Subject) -> anyhow::Result<Made> {
    let arguments = subject.arguments;
    let blame = |error| blamed(&arguments.model, error);
    let shape = subject.network.plan().inputs().first().map(|input| input.shape.clone()).unwrap_or_default();
    let output = picture_output(subject.outputs(), &shape, arguments.meaning.output.as_deref()).map_err(blame)?;
    if arguments.normal.is_none() {
        let problem = "what is normal is not known: state --normal DIR with pictures of good parts";
        return Err(blame(MakeError::Unstated(problem.into())));
    }
    let (width, height) = subject.network.size();
    let own = (width.min(height) / CELLS).clamp(SMALLEST_CELL, 256);
    let cell = arguments.meaning.cell.map_or(own, usize::from);
    let mut section = ReconstructionSection { output, cell, threshold: 0.0, calibration: CALIBRATION.into(), hot: 1 };
    let mut residual = Residual::new(&subject.network, &section).map_err(|problem| subject.blame(problem))?;
    let (columns, rows) = residual.grid();
    let told = format!(
        "picture: output \"{}\"; differences are averaged over {cell}x{cell} pixels, {columns}x{rows} cells, and the greatest counts",
        section.output
    );
    let (mut normal, mut maps) = (NormalValues::default(), NormalMaps::default());
    let mut meter = ImageStatsMeter::new(width);
    run_each("good parts", &subject.normal, &mut subject.network, |_, network| {
        normal.values.push(residual.measure(network)?);
        normal.stats.push(meter.measure(network.fitted()));
        maps.add(residual.cells().map(f64::from));
        Ok(())
    })?;
    let mut defects = Vec::new();
    run_each("defects", &subject.defects, &mut subject.network, |_, network| {
        defects.push(residual.measure(network)?);
        Ok(())
    })?;
    let fit = normal.fit(arguments.false_alarms() / 1000.0).map_err(|problem| folder_problem(subject, &problem))?;
    section.threshold = fit.threshold;
    // Saturates; a cell that differs by nothing has no heat.
    section.hot = (maps.references().1.ceil() as u32).max(1);
    let mut made = Made::new(Section::Reconstruction(section));
    made.told.push(told);
    made.add_fit(&fit, CALIBRATION, normal.values.len(), arguments.false_alarms())?;
    made.add_baseline(&normal.baseline(|value| fit.calibration.score(value)))?;
    if !defects.is_empty() {
        let found = defects.iter().filter(|value| fit.calibration.score(**value) >= fit.threshold).count();
        made.add_defects(&normal.values, &defects, found);
    }
    Ok(made)
}
