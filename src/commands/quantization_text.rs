//! What `quantize` says of what it did.

use super::comparison_text::{print_costs, print_outputs, print_verdict};
use crate::escape::one_line;
use lineside_quantize::{Comparison, DynamicReport, Mixed, Report, Simplified, Unfinished};
use std::io::{self, Write};
use std::path::Path;

/// Of a network whose ranges come from samples.
pub(super) fn print_quantized(
    out_path: &Path,
    report: &Report,
    comparison: &Comparison,
    threads: usize,
) -> anyhow::Result<()> {
    let mut out = super::stdout();
    let wide: Vec<&str> =
        report.layers.iter().filter(|layer| layer.is_a16w8).map(|layer| layer.name.as_str()).collect();
    writeln!(
        out,
        "{}: {} layers in integers, {}{} in floats",
        out_path.display(),
        report.layers.len() - wide.len(),
        if wide.is_empty() { String::new() } else { format!("{} in A16W8, ", wide.len()) },
        report.left.len()
    )?;
    if !wide.is_empty() {
        writeln!(out, "  in A16W8: {}", listed(&wide))?;
    }
    print_left(&mut out, &report.left)?;
    print_simplified(&mut out, &report.simplified, Some(report.float_drift))?;
    if let Some(mixed) = &report.mixed {
        print_mixed(&mut out, mixed)?;
    }
    if let Some(Unfinished { compared, tensors, rounded, layers, .. }) = report.unfinished {
        writeln!(
            out,
            "the time was over: the ranges of {compared} of {tensors} tensors were compared at the outputs, the weights of {rounded} of \
             {layers} layers rounded for theirs; --minutes allows more"
        )?;
    }
    if !report.constant_tensors.is_empty() {
        let first = one_line(&report.constant_tensors[0]);
        log::warn!(
            "{} tensors hold one value alone in all samples, such as \"{first}\": are these the pictures that the model will see?",
            report.constant_tensors.len()
        );
    }
    for outlier in report.outliers.iter().take(5) {
        let (reach, chosen) = (outlier.reaches, outlier.covered);
        writeln!(
            out,
            "  outliers: \"{}\" reaches {:.4} to {:.4}; bytes cover {:.4} to {:.4}",
            one_line(&outlier.tensor),
            reach.0,
            reach.1,
            chosen.0,
            chosen.1
        )?;
    }
    let on = if report.held_out > 0 {
        format!("{} samples that nothing was taken from", report.held_out)
    } else {
        format!("the {} samples that were calibrated with: give ten or more to hold some out", report.calibrated)
    };
    writeln!(out, "against the floats, on {on}:")?;
    print_comparison(&mut out, comparison, threads)?;
    Ok(())
}

/// Of a network whose weights alone are bytes; `sizes` are those of the files.
pub(super) fn print_dynamic(
    out_path: &Path,
    report: &DynamicReport,
    sizes: [usize; 2],
    comparison: Option<&Comparison>,
    threads: usize,
) -> anyhow::Result<()> {
    let mut out = super::stdout();
    let [before, after] = sizes.map(|bytes| bytes as f64 / 1e6);
    writeln!(
        out,
        "{}: {} layers in integers, {} tables as bytes, {} nodes with weights in floats; {after:.2} MB instead of {before:.2} MB",
        out_path.display(),
        report.layers.len(),
        report.tables.len(),
        report.left.len()
    )?;
    print_left(&mut out, &report.left)?;
    print_simplified(&mut out, &report.simplified, None)?;
    match comparison {
        Some(comparison) => {
            writeln!(out, "against the floats, on {} samples:", comparison.samples)?;
            print_comparison(&mut out, comparison, threads)?;
        }
        None => writeln!(out, "not measured, as no samples were given: `lineside compare` says what it cost")?,
    }
    Ok(())
}

fn print_comparison(out: &mut impl Write, comparison: &Comparison, threads: usize) -> io::Result<()> {
    print_outputs(out, comparison)?;
    print_costs(out, &comparison.a, &comparison.b, threads)?;
    print_verdict(out, comparison)
}

/// What layers outside A8W8 cost and gave: those of the stated loss, the best gain for its price first, or those by request.
fn print_mixed(out: &mut impl Write, mixed: &Mixed) -> io::Result<()> {
    let by_request = mixed.a16w8.len().saturating_sub(mixed.taken.len());
    let is_wide = mixed.taken.iter().any(|name| mixed.a16w8.contains(name));
    let precision = if is_wide { "A16W8" } else { "floats" };
    let what = match mixed.taken.len() {
        0 if by_request > 0 => format!("{by_request} layers in A16W8 by request"),
        count => format!(
            "for the stated loss: {count} layers in {precision}, {:.1} % of the multiply-accumulates",
            100.0 * mixed.price
        ),
    };
    writeln!(
        out,
        "{what}; signal to noise {:.1} dB instead of {:.1} dB, another first place in {:.1} % instead of {:.1} % of {} samples; {:.2} ms instead of {:.2} ms a run",
        mixed.reached.sqnr_db,
        mixed.before.sqnr_db,
        100.0 * mixed.reached.changed_first_places,
        100.0 * mixed.before.changed_first_places,
        mixed.samples,
        mixed.milliseconds.reached,
        mixed.milliseconds.before
    )?;
    if let (Some(floats), Some(a16w8)) = (mixed.milliseconds.floats, mixed.milliseconds.a16w8) {
        writeln!(out, "  all of it takes {floats:.2} ms in floats and {a16w8:.2} ms in A16W8 here")?;
    }
    for layer in mixed.layers.iter().filter(|layer| layer.kept) {
        let names: Vec<String> = layer.names.iter().map(|name| format!("\"{}\"", one_line(name))).collect();
        writeln!(
            out,
            "  {}: alone in {precision} {} away {:.1} % of the noise, for {:.1} % of the multiply-accumulates",
            names.join(" and "),
            if names.len() == 1 { "it takes" } else { "they take" },
            100.0 * layer.gain,
            100.0 * layer.price
        )?;
    }
    Ok(())
}

/// Which nodes stay in floats, those of one reason in one line.
fn print_left(out: &mut impl Write, left: &[(String, String)]) -> io::Result<()> {
    let mut reasons: Vec<&str> = Vec::new();
    for (_, reason) in left {
        if !reasons.contains(&reason.as_str()) {
            reasons.push(reason);
        }
    }
    for reason in reasons {
        let names: Vec<&str> = left.iter().filter(|(_, of)| of == reason).map(|(name, _)| name.as_str()).collect();
        writeln!(out, "  in floats: {}: {}", listed(&names), one_line(reason))?;
    }
    Ok(())
}

/// Names of nodes, the first of many.
fn listed(names: &[&str]) -> String {
    let shown: Vec<String> = names.iter().take(NAMES).map(|name| format!("\"{}\"", one_line(name))).collect();
    let more = if names.len() > NAMES { format!(" and {} more", names.len() - NAMES) } else { String::new() };
    format!("{}{more}", shown.join(", "))
}

/// Names of nodes in a line; all of them are in the report.
const NAMES: usize = 8;

fn print_simplified(out: &mut impl Write, simplified: &Simplified, drift: Option<f64>) -> io::Result<()> {
    let moved = drift.map_or_else(String::new, |drift| format!("; outputs moved by {drift:.1e} of their largest"));
    writeln!(
        out,
        "before: {} constants computed, {} factors and BatchNormalizations taken into weights, {} idle nodes removed{moved}",
        simplified.folded_constants,
        simplified.folded_affine + simplified.own_convolutions,
        simplified.removed
    )?;
    if simplified.equalized > 0 {
        writeln!(
            out,
            "the channels of {} tensors between two convolutions were brought to like ranges",
            simplified.equalized
        )?;
    }
    if let Some(opset) = simplified.raised_from_opset {
        writeln!(out, "opset {opset} was raised to 13, which alone has a scale for each channel")?;
    }
    Ok(())
}

/// The keys that scripts rely on, and all that is known besides.
pub(super) fn report_json(
    quantization: &impl serde::Serialize,
    comparison: Option<&Comparison>,
    size_bytes: usize,
) -> serde_json::Value {
    let verdict = comparison.map(Comparison::verdict);
    serde_json::json!({
        "sqnr_db": comparison.and_then(|comparison| comparison.outputs.first()).and_then(|output| output.sqnr_db),
        "size_bytes": size_bytes,
        "p50_ms": comparison.map(|comparison| comparison.b.p50_ms),
        "top1_agreement": comparison.and_then(|comparison| comparison.top1_agreement),
        "score_shift": comparison.map(|comparison| comparison.score_shift.median),
        "verdict": verdict.as_ref().map(|(verdict, _)| verdict),
        "reasons": verdict.as_ref().map(|(_, reasons)| reasons),
        "quantization": quantization,
        "comparison": comparison,
    })
}
