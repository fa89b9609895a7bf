//! The report at the end of `lineside teach`.

use super::detail::PlannedViews;
use crate::bundle::Tolerance;
use crate::commands::print_json;
use crate::escape::one_line;
use crate::task::anomaly::teach::{LabelGain, TrainedModel};
use crate::task::anomaly::{AlignmentReport, RegionOfInterest};
use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

/// False alarms in 1000 normal frames for which the number of defects found is reported.
const RATES: [f64; 4] = [1.0, 10.0, 50.0, 100.0];

/// What is reported.
pub struct Summary<'a> {
    /// The trained model.
    pub model: &'a TrainedModel,
    /// Its views.
    pub planned: PlannedViews,
    /// Number of normal pictures.
    pub pictures: usize,
    /// Number of varied copies of each, and the limits within which they vary.
    pub copies: usize,
    /// See `copies`.
    pub varied: Option<Tolerance>,
    /// The limits that the user stated.
    pub tolerance: Option<Tolerance>,
    /// Number of groups of near-duplicates among them.
    pub groups: usize,
    /// Duration in seconds.
    pub seconds: f64,
    /// Allowed false alarms in 1000 normal frames.
    pub false_alarms: f64,
    /// The part of the frame that was taught, where it is not all of it.
    pub region: Option<&'a RegionOfInterest>,
    /// How the part varies, where it is brought into place.
    pub alignment: Option<&'a AlignmentReport>,
    /// The same where it is not, but would better be.
    pub suggested: Option<&'a AlignmentReport>,
    /// The bundle that was written.
    pub out: &'a Path,
}

impl Summary<'_> {
    /// The 95 % confidence interval of the false alarms in 1000 normal frames.
    fn interval(&self) -> [f64; 2] {
        self.model.false_alarm_interval.map(|share| 1000.0 * share)
    }

    /// Prints the report as JSON.
    pub fn print_json(&self) -> anyhow::Result<()> {
        let &Summary {
            model, planned, pictures, copies, tolerance, groups, seconds, false_alarms, region, out, ..
        } = self;
        let candidates: Vec<_> = model
            .candidates
            .iter()
            .map(|c| serde_json::json!({ "method": c.method, "auroc_synthetic": c.auroc, "chosen": c.selected }))
            .collect();
        let labelled = model.gain.as_ref().map(|gain| {
            let kinds = gain.found(&model.calibration, model.threshold);
            serde_json::json!({
                "count": gain.sums.len(), "auroc_without": gain.without, "auroc_with": gain.with, "helped": gain.helped,
                "found": kinds.iter().map(|(kind, (found, _))| (kind, found)).collect::<BTreeMap<_, _>>(),
                "by_kind": kinds.iter().map(|(kind, (_, all))| (kind, all)).collect::<BTreeMap<_, _>>(),
            })
        });
        print_json(&serde_json::json!({
            "pictures": pictures, "copies": copies, "tolerance": tolerance, "groups": groups, "seconds": seconds,
            "threshold": model.threshold,
            "false_alarms": false_alarms, "false_alarms_interval": self.interval(),
            "painted": { "found": model.check.found, "count": model.check.painted }, "warnings": model.warnings(groups),
            "auroc_synthetic": model.auroc, "candidates": candidates, "labelled": labelled,
            "region": region.map(ToString::to_string), "alignment": self.alignment,
            "alignment_suggested": self.suggested, "out": out,
            "detail": planned.detail, "views": planned.sizes, "macs": planned.cost.macs,
            "backbone_ms": planned.cost.milliseconds(),
        }))
    }

    /// Prints the report as text.
    pub fn print_text(&self) -> std::io::Result<()> {
        let &Summary { model, pictures, copies, groups, seconds, .. } = self;
        let mut out = crate::commands::stdout();
        writeln!(out, "trained with {pictures} pictures in {groups} groups of near-duplicates, in {seconds:.0} s")?;
        if let Some(region) = self.region {
            writeln!(out, "inspected is {region}")?;
        }
        if let Some(AlignmentReport { mark, pictures, found, shift: [x, y], turn, scale, correlation }) = self.alignment
        {
            let of =
                if found == pictures { String::new() } else { format!(", found in {found} of {pictures} pictures") };
            write!(
                out,
                "brought into place by {mark}{of}: they vary by up to {x:.1} and {y:.1} pixels, {turn:.1} degrees"
            )?;
            writeln!(out, ", {scale:.1} % of size; not found below a correlation of {correlation:.2}")?;
        }
        if let Some(varied) = self.varied {
            let reason = if self.tolerance.is_none() { ", as there are few" } else { "" };
            writeln!(out, "each joined by {copies} copies of itself, varied by up to {varied}{reason}")?;
        }
        writeln!(out, "AUROC of held-out pictures against held-out synthetic defects:")?;
        for candidate in &model.candidates {
            let selected = if candidate.selected { "selected" } else { "" };
            writeln!(out, "  {:<11} {:.4}  {selected}", candidate.method.name(), candidate.auroc)?;
        }
        writeln!(out, "  {:<11} {:.4}", "verdict", model.auroc)?;
        if let Some(gain) = &model.gain {
            print_gain(&mut out, gain, model)?;
        }
        let (threshold, expected) = (model.threshold, 1000.0 * (1.0 - model.threshold));
        let [low, high] = self.interval();
        writeln!(
            out,
            "threshold {threshold:.4}: {expected:.1} false alarms in 1000 normal frames; {low:.1} to {high:.1} with 95 % confidence"
        )?;
        let check = &model.check;
        writeln!(out, "  {} of {} painted defects found at the threshold", check.found, check.painted)?;
        for warning in model.warnings(groups) {
            writeln!(out, "warning: {warning}")?;
        }
        if let Some(AlignmentReport { shift: [x, y], turn, .. }) = self.suggested {
            let with = if self.region.is_some() { "--align" } else { "--align, and --region around the part" };
            writeln!(
                out,
                "hint: the part lies up to {x:.0} and {y:.0} pixels and {turn:.1} degrees off; to bring it into place, teach with {with}"
            )?;
        }
        let path = self.out.display().to_string();
        let path = one_line(&path);
        writeln!(out, "written to {path}; to evaluate it: lineside eval {path} --normal DIR --defect DIR")
    }
}

/// Prints what labelled defects gained.
fn print_gain(out: &mut impl Write, gain: &LabelGain, model: &TrainedModel) -> std::io::Result<()> {
    let count = gain.sums.len();
    write!(out, "AUROC of {count} held-out labelled defects: {:.4} without training on labels, ", gain.without)?;
    let kept = if gain.helped { "" } else { "; labels do not help and are used for the threshold only" };
    writeln!(out, "{:.4} with it{kept}", gain.with)?;
    for (kind, (found, all)) in gain.found(&model.calibration, model.threshold) {
        let kind = one_line(kind);
        writeln!(out, "  {kind:<16} {found} of {all} found at the threshold")?;
    }
    let found =
        |rate: f64| gain.sums.iter().filter(|sum| model.calibration.score(**sum) >= 1.0 - rate / 1000.0).count();
    let rates = RATES.map(|rate| format!("{} at {rate}", found(rate)));
    writeln!(out, "  found by false alarms in 1000: {}", rates.join(", "))
}
