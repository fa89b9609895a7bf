//! What `lineside teach` says when it is done.

use super::Arguments;
use crate::commands::print_json;
use crate::task::anomaly::teach::{Gain, Taught};
use std::collections::BTreeMap;
use std::io::Write;
use std::time::Instant;

/// False alarms in 1000 normal frames for which the found defects are told.
const RATES: [f64; 4] = [1.0, 10.0, 50.0, 100.0];

/// Prints what was learned, for people or as JSON.
pub fn print(
    arguments: &Arguments,
    taught: &Taught,
    pictures: usize,
    clusters: usize,
    start: Instant,
) -> anyhow::Result<()> {
    let asked = arguments.false_alarms;
    let [low, high] = taught.confidence.map(|share| 1000.0 * share);
    let threshold = taught.threshold;
    let seconds = start.elapsed().as_secs_f64();
    if arguments.json {
        let candidates: Vec<_> = taught
            .candidates
            .iter()
            .map(|c| serde_json::json!({ "method": c.method, "auroc_synthetic": c.auroc, "chosen": c.chosen }))
            .collect();
        let labelled = taught.gain.as_ref().map(|gain| {
            let kinds = gain.found(&taught.calibration, threshold);
            serde_json::json!({
                "count": gain.sums.len(), "auroc_without": gain.without, "auroc_with": gain.with, "helped": gain.helped,
                "found": kinds.iter().map(|(kind, (found, _))| (kind, found)).collect::<BTreeMap<_, _>>(),
                "by_kind": kinds.iter().map(|(kind, (_, all))| (kind, all)).collect::<BTreeMap<_, _>>(),
            })
        });
        return print_json(&serde_json::json!({
            "pictures": pictures, "groups": clusters, "seconds": seconds, "threshold": threshold,
            "false_alarms": asked, "false_alarms_interval": [low, high],
            "auroc_synthetic": taught.auroc, "candidates": candidates, "labelled": labelled,
            "out": arguments.out,
        }));
    }
    let mut out = std::io::stdout().lock();
    writeln!(out, "taught with {pictures} pictures in {clusters} groups of alike ones, in {seconds:.0} s")?;
    writeln!(out, "held-out pictures told from the same with painted defects (AUROC):")?;
    for candidate in &taught.candidates {
        let chosen = if candidate.chosen { "in the verdict" } else { "" };
        writeln!(out, "  {:<10} {:.4}  {chosen}", candidate.method.name(), candidate.auroc)?;
    }
    writeln!(out, "  {:<10} {:.4}", "verdict", taught.auroc)?;
    if let Some(gain) = &taught.gain {
        defects(&mut out, gain, taught)?;
    }
    let expected = 1000.0 * (1.0 - threshold);
    writeln!(
        out,
        "threshold {threshold:.4}: {expected:.1} false alarms in 1000 normal frames; {low:.1} to {high:.1} with 95 % confidence"
    )?;
    let path = arguments.out.display();
    writeln!(out, "written: {path}; how it does: lineside eval {path} --normal DIR --defect DIR")?;
    Ok(())
}

/// What labelled defects were good for.
fn defects(out: &mut impl Write, gain: &Gain, taught: &Taught) -> std::io::Result<()> {
    let count = gain.sums.len();
    write!(out, "{count} labelled defects, held out in turn: AUROC {:.4} without their help, ", gain.without)?;
    let kept = if gain.helped { "" } else { "; it misleads, so they only set the threshold" };
    writeln!(out, "{:.4} with it{kept}", gain.with)?;
    for (kind, (found, all)) in gain.found(&taught.calibration, taught.threshold) {
        writeln!(out, "  {kind:<16} {found} of {all} found at the threshold")?;
    }
    let found =
        |rate: f64| gain.sums.iter().filter(|sum| taught.calibration.score(**sum) >= 1.0 - rate / 1000.0).count();
    let rates = RATES.map(|rate| format!("{} with {rate}", found(rate)));
    writeln!(out, "  found by false alarms in 1000: {}", rates.join(", "))
}
