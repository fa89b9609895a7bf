//! Values that share a buffer: parts of a concatenation, channel slices, sums in place. Every set and number of threads must
//! give the reference implementation's bytes, and every step must pass the checks of `CheckedStep`.

use super::bytes;
use crate::graph::{Conv, Finish, Graph, Movement, Op, ValueId, Weights, Window, ZeroPoint};
use crate::kernels::available;
use crate::plan::Plan;
use crate::session::Session;
use crate::step::Step;
use crate::{ElementKind, Tensor};
use std::sync::Arc;

const SIZE: [usize; 2] = [9, 11];

/// A convolution of `kernel` by `kernel` pixels that keeps the size.
fn conv(graph: &mut Graph, x: ValueId, outputs: usize, kernel: usize) -> ValueId {
    let inputs = graph.values[x].shape[1];
    let count = outputs * inputs * kernel * kernel;
    let weights = bytes(count as u64, count, false).into_iter().map(|byte| byte as i8).collect();
    let conv = Conv {
        weights: Weights { first: weights, rest: Vec::new() },
        outputs,
        inputs,
        groups: 1,
        kernel: [kernel; 2],
        stride: [1, 1],
        dilation: [1, 1],
        pads: [kernel / 2; 4],
        zero_point: ZeroPoint::Known(7),
        bias: (0..outputs as i32).map(|o| o * 300 - 900).collect(),
        finish: Finish::Bytes { multiplier: vec![0.004; outputs], zero_point: 90, low: 0, high: 255 },
    };
    let shape = [2, outputs, SIZE[0], SIZE[1]];
    graph.push("conv", Op::Conv(conv), &[x], ElementKind::U8, &shape)
}

fn concat(graph: &mut Graph, parts: &[ValueId]) -> ValueId {
    let channels = parts.iter().map(|&id| graph.values[id].shape[1]).sum();
    let concat = Op::Movement(Movement::Concat { axis: 1 });
    graph.push("concat", concat, parts, ElementKind::U8, &[2, channels, SIZE[0], SIZE[1]])
}

fn max_pool(graph: &mut Graph, x: ValueId) -> ValueId {
    let shape = graph.values[x].shape.clone();
    let window = Window { kernel: [3, 3], stride: [1, 1], dilation: [1, 1], pads: [1; 4], count_pads: false };
    graph.push("pool", Op::MaxPool(window), &[x], ElementKind::U8, &shape)
}

fn slice(graph: &mut Graph, x: ValueId, first: usize, channels: usize) -> ValueId {
    let slice = Op::Movement(Movement::Slice { start: vec![0, first, 0, 0], step: vec![1; 4] });
    graph.push("slice", slice, &[x], ElementKind::U8, &[2, channels, SIZE[0], SIZE[1]])
}

fn add(graph: &mut Graph, a: ValueId, b: ValueId) -> ValueId {
    let shape = graph.values[a].shape.clone();
    let add = Op::Add { ratios: [0.6, 0.5], fixed: -3.0, low: 0, high: 255 };
    graph.push("add", add, &[a, b], ElementKind::U8, &shape)
}

/// A dense block, an inception block, a split with a residual sum.
fn graph(channels: usize) -> Graph {
    let mut graph = Graph::default();
    let input = graph.value("x", ElementKind::U8, &[2, 3, SIZE[0], SIZE[1]]);
    graph.inputs.push(input);
    let mut x = conv(&mut graph, input, channels, 3);
    for growth in [4, 5, 16] {
        let grown = conv(&mut graph, x, growth, 3);
        x = concat(&mut graph, &[x, grown]);
    }
    let (one, three, pooled) = (conv(&mut graph, x, 7, 1), conv(&mut graph, x, 9, 3), max_pool(&mut graph, x));
    let pooled_twice = max_pool(&mut graph, pooled);
    let x = concat(&mut graph, &[one, three, pooled, pooled_twice]);
    let (first, second) = (slice(&mut graph, x, 0, 13), slice(&mut graph, x, 13, 13));
    let changed = conv(&mut graph, first, 13, 3);
    let sum = add(&mut graph, changed, second);
    let sum = add(&mut graph, sum, first);
    let last = concat(&mut graph, &[sum, sum, second]);
    let last = conv(&mut graph, last, 6, 3);
    graph.outputs.push(last);
    graph
}

#[test]
fn values_that_share_a_buffer_are_computed_as_if_they_did_not() {
    for channels in if cfg!(miri) { 5..6 } else { 1..24 } {
        let x = bytes(channels as u64, 2 * 3 * SIZE[0] * SIZE[1], false);
        let x = Tensor::new(vec![2, 3, SIZE[0], SIZE[1]], x).unwrap();
        let outputs = |threads: usize| {
            available().into_iter().map(move |set| (set.name(), threads, Plan::new(graph(channels), set).unwrap()))
        };
        let mut expected = None;
        for (name, threads, plan) in outputs(1).chain(outputs(3)).collect::<Vec<_>>().into_iter().rev() {
            let mut session = Session::with_threads(Arc::new(plan), threads).unwrap();
            session.set_input(0, x.clone()).unwrap();
            session.run().unwrap();
            let expected = expected.get_or_insert_with(|| session.outputs()[0].clone());
            assert_eq!(session.outputs()[0], *expected, "{name}, {threads} threads, {channels} channels");
        }
    }
}

/// How many convolutions of a plan run on one thread.
fn unshared(graph: &dyn Fn() -> Graph) -> Vec<usize> {
    let count = |plan: &Plan| {
        plan.steps.iter().filter(|step| matches!(step.step(), Step::Conv(_)) && !step.is_shared()).count()
    };
    available().into_iter().map(|set| count(&Plan::new(graph(), set).unwrap())).collect()
}

#[test]
fn a_convolution_that_may_load_what_it_writes_runs_on_one_thread() {
    // A convolution that writes behind the channels that it reads, in the same pixels.
    let dense = |channels: usize| {
        let mut graph = Graph::default();
        let input = graph.value("x", ElementKind::U8, &[2, 3, SIZE[0], SIZE[1]]);
        graph.inputs.push(input);
        let x = conv(&mut graph, input, channels, 3);
        let grown = conv(&mut graph, x, 16, 3);
        let y = concat(&mut graph, &[x, grown]);
        graph.outputs.push(y);
        graph
    };
    assert!(unshared(&|| dense(5)).iter().all(|count| *count == 1));
    // Whole vectors end where the channels do.
    assert!(unshared(&|| dense(16)).iter().all(|count| *count == 0));
    let chain = || {
        let mut graph = Graph::default();
        let input = graph.value("x", ElementKind::U8, &[2, 3, SIZE[0], SIZE[1]]);
        graph.inputs.push(input);
        let x = conv(&mut graph, input, 5, 3);
        let y = conv(&mut graph, x, 7, 1);
        graph.outputs.push(y);
        graph
    };
    assert!(unshared(&chain).iter().all(|count| *count == 0));
}
