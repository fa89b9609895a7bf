//! Memory that grows, or is nearly used up.

use super::{Finding, Severity};
use crate::humanize;
use crate::summary::{Board, Summary};

/// From this share of the budget on it is near.
const NEAR: f64 = 0.9;

pub fn find(_: &Summary, board: &Board, findings: &mut Vec<Finding>) {
    let budget = board.start.as_ref().and_then(|start| start.budget).map(|budget| budget as f64);
    if let Some(grown) = board.growth {
        let hour = grown.slope * 3600.0;
        let mut text = format!(
            "Memory grew from {} to {} in {}, {} an hour",
            humanize::bytes(grown.from),
            humanize::bytes(grown.to),
            humanize::duration(grown.seconds),
            humanize::bytes(hour)
        );
        if let Some(left) = budget.map(|budget| budget - grown.to).filter(|left| *left > 0.0) {
            text += &format!(
                "; at this rate the budget is reached after another {}",
                humanize::duration(left / grown.slope)
            );
        }
        let advice = "Lineside's memory is fixed after its start: please report this with the log. Until then, restart the service every night.";
        findings.push(
            Finding::new(Severity::Warning, "memory_grows", text + ".")
                .advice(advice)
                .with_lines(grown.line_refs)
                .order(40.0),
        );
    }
    let (Some(line_ref), Some(budget)) = (board.rss_share.line_ref, budget) else { return };
    let share = board.rss_share.value;
    if share >= NEAR {
        let text = format!(
            "The program used {} of its budget of {} ({}).",
            humanize::bytes(share * budget),
            humanize::bytes(budget),
            humanize::percent(share, 1.0)
        );
        let severity = if share >= 1.0 { Severity::Critical } else { Severity::Warning };
        let advice =
            "`lineside check` prints how much memory each part needs. Raise budget.memory and MemoryMax= of the unit.";
        findings.push(
            Finding::new(severity, "memory_near_budget", text)
                .advice(advice)
                .with_lines([line_ref])
                .order(100.0 * share),
        );
    }
}
