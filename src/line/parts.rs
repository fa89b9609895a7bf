//! Parts of a line: from `[part]` to the lines and the thread that serves them.

use super::signals::blame;
use crate::board::{Edges, open_output};
use crate::config::{Config, PartConfig, PartLineConfig, ProductConfig, TriggerEdge};
use crate::memory::Bill;
use crate::pipeline::ChosenProduct;
use crate::sink::part::{CountedProduct, MAX_IN_FLIGHT, PART_STACK, PartLine, PartOutputs, Parts, RejectRule};
use crate::sink::{OutputLine, SwitchLine};
use crate::source::{FrameSource, PartSource};
use crate::telemetry::{Cause, Telemetry};
use anyhow::Context;
use std::sync::Arc;
use std::time::Duration;

/// What parts of a product that the line does not know are counted as.
/// Bytes of one part in flight, in three queues.
const PART_BYTES: usize = 320;

/// Opens the lines of parts, where the configuration asks for results; with the source of their frames.
///
/// # Errors
/// Where a line cannot be opened; the error names the line of the configuration.
pub(super) fn open(
    config: &Config,
    source: Box<dyn FrameSource>,
    telemetry: &Telemetry,
) -> anyhow::Result<(Box<dyn FrameSource>, Option<PartLine>)> {
    let (Some(part), Some(trigger)) = (&config.part, &config.trigger) else { return Ok((source, None)) };
    let edges = |address, edge, debounce_ms: &f64, line| {
        let debounce = Duration::from_secs_f64(debounce_ms / 1e3);
        Edges::open(address, edge == TriggerEdge::Rising, debounce).map_err(|error| blame(config, line, error))
    };
    let trigger = edges(trigger.address(), trigger.edge, trigger.debounce_ms.get_ref(), &trigger.line)?;
    let encoder = part.reject.as_ref().and_then(|reject| reject.encoder.as_ref());
    let encoder = encoder
        .map(|encoder| edges(encoder.address(), encoder.edge, encoder.debounce_ms.get_ref(), &encoder.line))
        .transpose()?;
    let outputs = PartOutputs {
        ok: open_line(config, &part.ok, "part.ok", telemetry)?,
        nok: open_line(config, &part.nok, "part.nok", telemetry)?,
        strobe: open_line(config, &part.strobe, "part.strobe", telemetry)?,
        reject: open_reject(config, part, telemetry)?,
    };
    let shifts = part.shifts.iter().map(|shift| shift.get_ref().clone()).collect();
    let product = |product: &ProductConfig| CountedProduct {
        name: product.name.get_ref().clone(),
        code: Some(*product.code.get_ref()),
    };
    let mut products: Vec<CountedProduct> = config.product.iter().map(product).collect();
    if !products.is_empty() {
        products.push(CountedProduct { name: ChosenProduct::UNKNOWN_NAME.into(), code: None });
    }
    let parts = Parts::new(part.deadline(), part.timing().setup, products, shifts).context("cannot prepare [part]")?;
    let parts = Arc::new(parts);
    let reject = part.reject.as_ref().map(|reject| RejectRule { distance: reject.distance(), pulse: reject.pulse() });
    let name = trigger.line_name().to_string();
    let line = PartLine {
        parts: Arc::clone(&parts),
        trigger: Box::new(trigger),
        encoder: encoder.map(|encoder| Box::new(encoder) as _),
        outputs,
        timing: part.timing(),
        reject,
        results: None,
        telemetry: telemetry.clone(),
    };
    Ok((Box::new(PartSource::new(source, parts, name)), Some(line)))
}

fn open_line(
    config: &Config,
    line: &Option<PartLineConfig>,
    name: &'static str,
    telemetry: &Telemetry,
) -> anyhow::Result<Option<Box<dyn SwitchLine>>> {
    let Some(line) = line else { return Ok(None) };
    let pin = open_output(line.address(), line.active.level(false));
    let pin = pin.map_err(|error| blame(config, &line.line, error))?;
    Ok(Some(Box::new(OutputLine::new(pin, line.active, name, Cause::PartLine, telemetry.clone()))))
}

fn open_reject(
    config: &Config,
    part: &PartConfig,
    telemetry: &Telemetry,
) -> anyhow::Result<Option<Box<dyn SwitchLine>>> {
    let Some(reject) = &part.reject else { return Ok(None) };
    let pin = open_output(reject.address(), reject.active.level(false));
    let pin = pin.map_err(|error| blame(config, &reject.line, error))?;
    Ok(Some(Box::new(OutputLine::new(pin, reject.active, "part.reject", Cause::PartLine, telemetry.clone()))))
}

/// The thread that serves parts, and the parts in flight.
pub(super) fn add_to_bill(bill: &mut Bill) {
    bill.add("parts", (PART_STACK + MAX_IN_FLIGHT * PART_BYTES) as u64);
}

/// Describes the lines for `check`; `verdict_ms` is what a verdict takes here, where that was measured.
pub(super) fn describe(config: &Config, verdict_ms: Option<f64>) -> Vec<String> {
    let Some(part) = &config.part else { return Vec::new() };
    let deadline = part.deadline_ms.get_ref();
    let mut lines = vec![format!("part     a result within {deadline} ms of the trigger")];
    for (name, line) in [("ok", &part.ok), ("nok", &part.nok), ("strobe", &part.strobe)] {
        if let Some(line) = line {
            lines.push(format!("{name:<8} {}", line.address()));
        }
    }
    if let Some(reject) = &part.reject {
        let after = match (&reject.edges, &reject.delay_ms) {
            (Some(edges), _) => format!("{} edges of the encoder", edges.get_ref()),
            (None, delay) => format!("{} ms", delay.as_ref().map_or(0.0, |delay| *delay.get_ref())),
        };
        lines.push(format!("reject   {}, {after} after the trigger", reject.address()));
    }
    let left = deadline - part.setup_ms.get_ref();
    if let Some(verdict_ms) = verdict_ms.filter(|ms| *ms >= left) {
        let problem = format!(
            "a verdict takes {verdict_ms} ms here, and part.deadline_ms = {deadline} leaves {left} ms for frame and verdict: no part \
             would get one in time; raise the deadline, or take a smaller model or region"
        );
        let problem = config.error_at(&part.deadline_ms, problem).to_string();
        log::warn!("{problem}");
        lines.push(format!("         {problem}"));
    }
    lines
}
