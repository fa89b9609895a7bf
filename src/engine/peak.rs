//! What a kernel set reaches on this CPU when nothing holds it up.

use super::graph::{Conv, Finish, Graph, Op, Weights, ZeroPoint};
use super::kernels::available;
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
    let set = available().into_iter().find(|set| set.name() == kernel);
    let set = set.ok_or_else(|| EngineError::Unsupported(format!("this CPU has no kernels named {kernel}")))?;
    let mut graph = Graph::default();
    let x = graph.value("x", ElementKind::U8, &[ROWS, INPUTS]);
    graph.inputs.push(x);
    let weights = (0..INPUTS * OUTPUTS).map(|i| (i % 251) as i8).collect();
    let conv = Conv {
        weights: Weights { first: weights, second: None },
        outputs: OUTPUTS,
        inputs: INPUTS,
        groups: 1,
        kernel: [1, 1],
        stride: [1, 1],
        dilation: [1, 1],
        pads: [0; 4],
        zero_point: ZeroPoint::Known(3),
        bias: vec![0; OUTPUTS],
        finish: Finish::Bytes { multiplier: vec![1e-4; OUTPUTS], zero_point: 0, low: 0, high: 255 },
    };
    let y = graph.push("product", Op::Linear(conv), &[x], ElementKind::U8, &[ROWS, OUTPUTS]);
    graph.outputs.push(y);
    let mut session = Session::new(Arc::new(Plan::new(graph, set)?))?;
    let mut best = Duration::MAX;
    for _ in 0..2000 {
        best = best.min(session.run_timed()?[1].time);
    }
    Ok((ROWS * INPUTS * OUTPUTS) as f64 / best.as_secs_f64())
}
