//! What `compare` and `quantize` say of two models.

use crate::escape::one_line;
use lineside_quantize::{Comparison, Cost, LayerCounts, OutputDifference, UnreadSample, Verdict};
use std::io::Write;

/// All cores, four at most.
pub(super) fn default_threads() -> usize {
    std::thread::available_parallelism().map_or(1, |cores| cores.get().min(4))
}

/// Samples that were left out, and why the first of them.
pub(super) fn warn_of_unread(unread: &[UnreadSample], of: usize) {
    if let Some(first) = unread.first() {
        let count = unread.len();
        log::warn!("{count} of {of} samples cannot be read and are left out; the first: {}", one_line(&first.reason));
    }
}

/// The noise of an output in words.
pub(super) fn signal_to_noise(output: &OutputDifference) -> String {
    match (output.sqnr_db, output.is_same) {
        (Some(db), _) => format!("{db:.1} dB"),
        (None, true) => "the same".into(),
        (None, false) if output.largest_difference > 0.0 => "unknown (the first is 0 everywhere)".into(),
        (None, false) if output.sizes_apart > 0 => "unknown (other numbers of elements)".into(),
        (None, false) => "unknown (the same where it is finite)".into(),
    }
}

/// How near the outputs are.
pub(super) fn print_outputs(out: &mut impl Write, comparison: &Comparison) -> std::io::Result<()> {
    let pair = |(a, b): &(String, String)| format!("{} with {}", one_line(a), one_line(b));
    let pairs: Vec<String> = comparison.paired_in_order.iter().map(pair).collect();
    if !pairs.is_empty() {
        writeln!(out, "  paired in their order, as their names differ: {}", pairs.join(", "))?;
    }
    for output in &comparison.outputs {
        writeln!(
            out,
            "  {}: signal to noise {}, cosine {:.5}, largest difference {:.4}",
            one_line(&output.name),
            signal_to_noise(output),
            output.cosine,
            output.largest_difference
        )?;
        if let [first, second] = output.not_finite
            && first + second > 0
        {
            let alike = if output.not_finite_apart == 0 { "the same infinities" } else { "not the same" };
            writeln!(
                out,
                "    NaN or infinite: {first} numbers in the first, {second} in the second, {alike}; the figures are over the others"
            )?;
        }
        if output.sizes_apart > 0 {
            let count = output.sizes_apart;
            writeln!(out, "    another number of elements in {count} samples; the figures are over the others")?;
        }
    }
    if let (Some(top1), Some(top5)) = (comparison.top1_agreement, comparison.top5_agreement) {
        writeln!(
            out,
            "  first place the same in {:.1} %, among the first five in {:.1} %",
            100.0 * top1,
            100.0 * top5
        )?;
    }
    if let Some((a, b)) = comparison.accuracy {
        writeln!(out, "  right in {:.1} % and {:.1} %", 100.0 * a, 100.0 * b)?;
    }
    let shift = comparison.score_shift;
    let median = match shift.median {
        Some(median) if median != 0.0 && !shift.beyond_chance => {
            format!("{:.1} % of their spread (median; no more than chance explains)", 100.0 * median)
        }
        Some(median) => format!("{:.1} % of their spread (median)", 100.0 * median),
        None => "an unknown part of their spread: they have none in these samples".into(),
    };
    writeln!(out, "  scores moved by {median}, {:.3} (Kolmogorov-Smirnov)", shift.kolmogorov_smirnov)
}

/// How many layers have which precision, where they are not all alike.
fn precisions(layers: LayerCounts) -> String {
    let counts = [(layers.a8w8, "A8W8"), (layers.a16w8, "A16W8"), (layers.floats, "floats")];
    let there: Vec<String> =
        counts.iter().filter(|(count, _)| *count > 0).map(|(count, of)| format!("{count} layers in {of}")).collect();
    if there.len() < 2 { String::new() } else { format!(" ({})", there.join(", ")) }
}

/// What both cost on this CPU.
pub(super) fn print_costs(out: &mut impl Write, a: &Cost, b: &Cost, threads: usize) -> std::io::Result<()> {
    for (name, cost) in [("first", a), ("second", b)] {
        writeln!(
            out,
            "  {name}: {:.2} MB, p50 {:.2} ms, p95 {:.2} ms with {threads} thread{}, {:.1} MB of memory, loaded in {:.0} ms, {:.1} % in integers{}",
            cost.size_bytes as f64 / 1e6,
            cost.p50_ms,
            cost.p95_ms,
            if threads == 1 { "" } else { "s" },
            cost.memory_bytes as f64 / 1e6,
            cost.load_ms,
            100.0 * cost.integer_coverage,
            precisions(cost.layers)
        )?;
    }
    Ok(())
}

/// What is to be done, in words.
pub(super) fn print_verdict(out: &mut impl Write, comparison: &Comparison) -> std::io::Result<()> {
    let (verdict, reasons) = comparison.verdict();
    let words = match verdict {
        Verdict::Ship => "ship the second",
        Verdict::Keep => "keep the first",
        Verdict::Improve => "not yet",
    };
    let reasons: Vec<String> = reasons.iter().map(|reason| one_line(reason).to_string()).collect();
    writeln!(out, "{words}: {}", reasons.join("; "))?;
    if let Some(advice) = advice(verdict) {
        writeln!(out, "{advice}")?;
    }
    Ok(())
}

/// What to try where the result is not good enough.
fn advice(verdict: Verdict) -> Option<&'static str> {
    (verdict == Verdict::Improve).then_some(
        "try: more samples of the kind that the model will see; --keep for the layers where `lineside compare --layers` shows that they part",
    )
}
