//! The report at the end of `lineside recalibrate`.

use crate::commands::{print_json, shell_word};
use crate::escape::one_line;
use crate::task::anomaly::recalibration::RecalibrationReport;
use std::io::Write;
use std::path::Path;

/// What is reported.
pub struct SideBySide<'a> {
    /// What changed.
    pub report: &'a RecalibrationReport,
    /// The bundle as it was named.
    pub bundle: &'a str,
    /// The new bundle.
    pub out: &'a Path,
    /// Whether `out` is where `--confirm` looks for it.
    pub is_default: bool,
    /// The threshold, a score.
    pub threshold: f64,
    /// Pictures that were left out.
    pub left_out: usize,
    /// Duration in seconds.
    pub seconds: f64,
}

impl SideBySide<'_> {
    /// Prints the report as JSON.
    pub fn print_json(&self) -> anyhow::Result<()> {
        let SideBySide { report, bundle, out, threshold, left_out, seconds, .. } = self;
        let taught = report.taught.map(|[frames, before, after]| {
            serde_json::json!({ "frames": frames, "false_alarms_before": before, "false_alarms_after": after })
        });
        print_json(&serde_json::json!({
            "bundle": bundle, "out": out, "frames": report.frames, "left_out": left_out, "threshold": threshold,
            "false_alarms_before": report.false_alarms_before, "false_alarms_after": report.false_alarms_after,
            "severity_before": report.severity_before, "severity_after": report.severity_after,
            "threshold_severity": report.threshold_severity, "taught": taught, "directions": report.directions,
            "doubtful": report.doubtful, "next": self.next(), "seconds": seconds,
        }))
    }

    /// Prints the report as text.
    pub fn print_text(&self) -> std::io::Result<()> {
        let SideBySide { report, out, seconds, .. } = self;
        let RecalibrationReport { frames, false_alarms_before, false_alarms_after, .. } = report;
        let mut to = crate::commands::stdout();
        writeln!(to, "recalibrated with {frames} good frames, in {seconds:.0} s   {:>8} {:>8}", "old", "new")?;
        writeln!(
            to,
            "  false alarms among these frames        {false_alarms_before:>8} {false_alarms_after:>8}   new: each judged without itself"
        )?;
        writeln!(
            to,
            "  their median severity (1: threshold)   {:>8.2} {:>8.2}",
            report.severity_before, report.severity_after
        )?;
        if let Some([taught, before, after]) = report.taught {
            let share = |count: usize| 100.0 * count as f64 / taught.max(1) as f64;
            writeln!(
                to,
                "  false alarms of frames taught before   {:>6.1} % {:>6.1} %   of {taught} kept ones",
                share(before),
                share(after)
            )?;
        }
        writeln!(to, "  threshold, in severity as taught       {:>8.2} {:>8.2}", 1.0, report.threshold_severity)?;
        match report.taught {
            Some(_) => {
                writeln!(to, "{} directions in which batches differ are left out of the score", report.directions)?
            }
            None => writeln!(
                to,
                "only the threshold was moved: this bundle keeps no frames of what was taught; one that is taught anew does"
            )?,
        }
        let path = out.display().to_string();
        writeln!(to, "written to {}; next:", one_line(&path))?;
        self.next().iter().try_for_each(|command| writeln!(to, "  {}", one_line(command)))
    }

    /// The commands that come next.
    fn next(&self) -> Vec<String> {
        let out = shell_word(&self.out.display().to_string());
        let named = if self.is_default { String::new() } else { format!(" --out {out}") };
        vec![
            format!("lineside eval {out} --normal DIR --defect DIR"),
            format!("lineside recalibrate {}{named} --confirm", shell_word(self.bundle)),
            "lineside check CONFIG".into(),
        ]
    }
}
