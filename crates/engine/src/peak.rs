//! What a kernel set reaches on this CPU when nothing holds it up.

use super::graph::{Conv, Finish, Graph, Op, Weights};
use super::kernels::named;
use super::{ElementKind, EngineError, Plan, Session};
use std::sync::Arc;
use std::time::Duration;

/// Multiply-accumulates a second on one core, measured: a matrix product whose operands stay in the first-level cache.
///
/// # Errors
/// [`EngineError::Unsupported`] where this CPU has no kernels of that name.
pub fn measured_peak(kernel: &str) -> Result<f64, EngineError> {
    const ROWS: usize = 24;
    const INPUTS: usize = 576;
    const OUTPUTS: usize = 32;
    let set = named(kernel)?;
    let mut graph = Graph::default();
    let x = graph.value("x", ElementKind::U8, &[ROWS, INPUTS]);
    graph.inputs.push(x);
    let weights = (0..INPUTS * OUTPUTS).map(|i| (i % 251) as i8).collect();
    let finish = Finish::Bytes { multiplier: vec![1e-4; OUTPUTS], zero_point: 0, low: 0, high: 255 };
    let conv = Conv::linear(Weights { first: weights, rest: Vec::new() }, [OUTPUTS, INPUTS], 3, finish);
    let y = graph.push("product", Op::Linear(conv), &[x], ElementKind::U8, &[ROWS, OUTPUTS]);
    graph.outputs.push(y);
    let mut session = Session::new(Arc::new(Plan::new(graph, set)?))?;
    let mut best = Duration::MAX;
    for _ in 0..2000 {
        best = best.min(session.run_timed()?[1].time);
    }
    Ok((ROWS * INPUTS * OUTPUTS) as f64 / best.as_secs_f64())
}
