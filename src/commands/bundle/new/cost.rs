//! What a network takes on this machine.

use crate::board::machine;
use crate::commands::percentile;
use lineside_engine::Plan;
use std::time::{Duration, Instant};

/// Runs are timed for so long, or until there are as many.
const TIMED_FOR: Duration = Duration::from_secs(2);
const MOST_RUNS: usize = 200;

/// What a network takes on this machine.
pub struct NetworkCost {
    /// Median of a run in milliseconds.
    pub p50_ms: f64,
    /// 95th percentile of a run in milliseconds.
    pub p95_ms: f64,
    /// Multiply-accumulates of a run.
    pub macs: u64,
    /// Weights and arena in bytes.
    pub memory_bytes: u64,
    /// The share of multiply-accumulates in integers; of ops for a network without any.
    pub integer_coverage: f64,
    /// An op that runs through tract, and how many there are.
    pub islands: Option<(String, usize)>,
    /// Bytes of the file.
    pub size_bytes: usize,
    kernel: &'static str,
    threads: usize,
}

impl NetworkCost {
    /// Of a plan, with the times of its runs in milliseconds, ascending.
    pub fn new(times: Vec<f64>, plan: &Plan, size_bytes: usize, threads: usize) -> NetworkCost {
        let [p50_ms, p95_ms] = [0.5, 0.95].map(|q| percentile(&times, q));
        let memory = plan.memory();
        NetworkCost {
            p50_ms,
            p95_ms,
            macs: plan.macs(),
            memory_bytes: memory.weights_bytes + memory.arena_bytes,
            integer_coverage: plan.integer_coverage(),
            islands: plan.islands().next().map(|op| (op.name.clone(), plan.islands().count())),
            size_bytes,
            kernel: plan.kernel(),
            threads,
        }
    }

    /// Whether a line must allow floats to run it.
    pub fn needs_floats(&self) -> bool {
        self.integer_coverage < 1.0 || self.islands.is_some()
    }

    /// For people.
    pub fn in_words(&self) -> String {
        let NetworkCost { p50_ms, p95_ms, macs, memory_bytes, kernel, threads, size_bytes, .. } = self;
        format!(
            "p50 {p50_ms:.2} ms, p95 {p95_ms:.2} ms with {threads} thread{} (kernels {kernel}), {:.0} M multiply-accumulates, {:.1} % of {} in \
             integers, {:.1} MB of memory, {:.2} MB of file",
            if *threads == 1 { "" } else { "s" },
            *macs as f64 / 1e6,
            100.0 * self.integer_coverage,
            if *macs == 0 { "its ops" } else { "them" },
            *memory_bytes as f64 / 1e6,
            *size_bytes as f64 / 1e6
        )
    }

    /// What floats mean for the line, where there are any. `quantizes`: whether `bundle new` can make integers of them.
    pub fn advice(&self, quantizes: bool) -> Option<String> {
        let reason = match &self.islands {
            Some((op, count)) => format!(
                "{count} of its ops run through another runtime (\"{op}\"), where floats may differ from CPU to CPU, and cost allocations"
            ),
            None if self.integer_coverage < 1.0 && self.macs == 0 => format!(
                "{:.1} % of its ops are in floats, and it has no multiply-accumulates that could be quantized: the same result on every CPU",
                100.0 * (1.0 - self.integer_coverage)
            ),
            None if self.integer_coverage < 1.0 => format!(
                "{:.1} % of its multiply-accumulates are in floats: the same result on every CPU, but several times as long as in integers; \
                 {} makes an INT8 network of it",
                100.0 * (1.0 - self.integer_coverage),
                if quantizes { "--quantize --calibrate DIR" } else { "lineside quantize" }
            ),
            None => return None,
        };
        Some(format!("{reason}. The configuration has to allow it: [engine] allow_float = true"))
    }
}

/// Times of runs in milliseconds, ascending; the first one is not counted.
pub fn run_times(mut run: impl FnMut() -> anyhow::Result<()>) -> anyhow::Result<Vec<f64>> {
    run()?;
    let (start, mut times) = (Instant::now(), Vec::new());
    while times.len() < MOST_RUNS && (times.is_empty() || start.elapsed() < TIMED_FOR) {
        let begun = Instant::now();
        run()?;
        times.push(begun.elapsed().as_secs_f64() * 1e3);
    }
    times.sort_by(f64::total_cmp);
    Ok(times)
}

/// This machine, for people.
pub fn board_in_words() -> String {
    let machine = machine();
    let name = machine.board.or(machine.cpu).unwrap_or_else(|| "an unknown CPU".into());
    format!("{name}, {} core{}", machine.cores, if machine.cores == 1 { "" } else { "s" })
}
