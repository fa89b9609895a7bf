//! Memory that grows, or is nearly used up.

use super::{Finding, Weight};
use crate::say;
use crate::story::{Board, Story};

/// From this share of the budget on it is near.
const NEAR: f64 = 0.9;

pub fn find(_: &Story, board: &Board, findings: &mut Vec<Finding>) {
    let budget = board.start.as_ref().and_then(|start| start.budget).map(|budget| budget as f64);
    if let Some(grown) = board.growth {
        let hour = grown.slope * 3600.0;
        let mut text = format!(
            "Memory grows: from {} to {} in {}, {} an hour",
            say::bytes(grown.from),
            say::bytes(grown.to),
            say::seconds(grown.seconds),
            say::bytes(hour)
        );
        if let Some(left) = budget.map(|budget| budget - grown.to).filter(|left| *left > 0.0) {
            text += &format!("; at this rate the budget is reached {} later", say::seconds(left / grown.slope));
        }
        let advice = "Lineside's memory is fixed after its start: please report this with the log. Until then a restart by night helps.";
        findings.push(
            Finding::new(Weight::Warning, "memory_grows", text + ".").advice(advice).shown(grown.places).order(40.0),
        );
    }
    let (Some(place), Some(budget)) = (board.rss_share.place, budget) else { return };
    let share = board.rss_share.value;
    if share >= NEAR {
        let text = format!(
            "The program held {} of its budget of {} ({}).",
            say::bytes(share * budget),
            say::bytes(budget),
            say::share(share, 1.0)
        );
        let weight = if share >= 1.0 { Weight::Grave } else { Weight::Warning };
        let advice = "`lineside check` prints the bill: what takes how much. Raise budget.memory and, with it, MemoryMax= of the unit.";
        findings
            .push(Finding::new(weight, "memory_near_budget", text).advice(advice).shown([place]).order(100.0 * share));
    }
}
