//! A fixed number of threads that share every step of a run.
//!
//! Work is split by position, not by who is free: the same thread computes the same part of an output in every run, and
//! the bytes are the same for any number of threads. Between steps the threads meet at a barrier, spinning; between runs
//! they sleep.

use super::Plan;
use super::kernels::memory::Memory;
use super::step::Context;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;

/// The threads beside the caller's.
pub struct Pool {
    shared: Arc<Shared>,
    workers: Vec<JoinHandle<()>>,
}

struct Shared {
    threads: usize,
    /// Runs that were started.
    run: AtomicUsize,
    /// Threads that have arrived at the barrier, over all steps and runs.
    arrived: AtomicUsize,
    stop: AtomicBool,
    /// A thread has panicked: nobody may wait for it.
    failed: AtomicBool,
}

/// Marks the pool as failed where its thread unwinds.
pub struct Witness<'a>(&'a Shared);

impl Drop for Witness<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.failed.store(true, Ordering::Release);
        }
    }
}

/// Turns of a spinning thread before it lets others have the core.
const PATIENCE: usize = if cfg!(miri) { 0 } else { 1 << 12 };

fn wait_until(mut ready: impl FnMut() -> bool) {
    for _ in 0..PATIENCE {
        if ready() {
            return;
        }
        std::hint::spin_loop();
    }
    while !ready() {
        std::thread::yield_now();
    }
}

impl Shared {
    /// Waits until every thread is done with step `step`, counted over all runs.
    fn meet(&self, step: usize) {
        self.arrived.fetch_add(1, Ordering::AcqRel);
        let all = (step + 1) * self.threads;
        wait_until(|| self.arrived.load(Ordering::Acquire) >= all || self.failed.load(Ordering::Acquire));
    }
}

impl Pool {
    /// A pool of `threads` in all, for one session of a plan.
    pub fn new(plan: &Arc<Plan>, memory: Memory, threads: usize) -> std::io::Result<Pool> {
        let shared = Shared {
            threads,
            run: AtomicUsize::new(0),
            arrived: AtomicUsize::new(0),
            stop: AtomicBool::new(false),
            failed: AtomicBool::new(false),
        };
        let mut pool = Pool { shared: Arc::new(shared), workers: Vec::new() };
        for part in 1..threads {
            let (shared, plan) = (Arc::clone(&pool.shared), Arc::clone(plan));
            let context = Context { kernels: plan.kernels, memory, part: (part, threads) };
            let work = move || work(&shared, &plan, &context);
            pool.workers.push(std::thread::Builder::new().name(format!("engine-{part}")).spawn(work)?);
        }
        Ok(pool)
    }

    /// Wakes the threads for a run; its first step has this number.
    pub fn start(&self, steps: usize) -> usize {
        let run = self.shared.run.fetch_add(1, Ordering::Release);
        for worker in &self.workers {
            worker.thread().unpark();
        }
        run * steps
    }

    /// The caller's end of a step: returns when every thread is done with it.
    ///
    /// # Errors
    /// Where one of them has failed.
    pub fn meet(&self, step: usize) -> Result<(), String> {
        self.shared.meet(step);
        self.sound()
    }

    /// Whether every thread is still there: where one has failed, the others may be at work in the arena yet, and no
    /// run may begin.
    ///
    /// # Errors
    /// Where one of them has failed.
    pub fn sound(&self) -> Result<(), String> {
        match self.shared.failed.load(Ordering::Acquire) {
            true => Err("a thread of the engine has failed".into()),
            false => Ok(()),
        }
    }

    /// For the caller's own share of a run: nobody waits for a caller that unwinds.
    pub fn witness(&self) -> Witness<'_> {
        Witness(&self.shared)
    }

    pub fn threads(&self) -> usize {
        self.shared.threads
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Release);
        for worker in self.workers.drain(..) {
            worker.thread().unpark();
            // A worker that panicked has said so; there is nothing to hand on.
            let _ = worker.join();
        }
    }
}

fn work(shared: &Shared, plan: &Plan, context: &Context) {
    let _witness = Witness(shared);
    for run in 1.. {
        while shared.run.load(Ordering::Acquire) < run {
            if shared.stop.load(Ordering::Acquire) {
                return;
            }
            std::thread::park();
        }
        for (i, step) in plan.steps.iter().enumerate() {
            if step.is_shared() {
                // Shared steps do not fail.
                let _ = step.run(context);
            }
            shared.meet((run - 1) * plan.steps.len() + i);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::graph::{Graph, Op};
    use crate::kernels::conv::{ConvStep, DepthwiseStep, Packed, PackedDepthwise, Unpacked, UnpackedDepthwise};
    use crate::kernels::memory::Memory;
    use crate::kernels::{AddStep, Kernels};
    use crate::{ElementKind, EngineError, Plan, Session};
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::{Arc, mpsc};
    use std::time::Duration;

    /// Kernels of which the sum fails in one of the threads.
    struct Failing(usize);

    impl Kernels for Failing {
        fn name(&self) -> &'static str {
            "failing"
        }
        fn signed(&self) -> bool {
            false
        }
        fn add(&self, _: &AddStep, _: Memory, (part, _): (usize, usize)) {
            assert!(part != self.0, "this thread fails, as the test wants it");
        }
        unsafe fn sum(&self, _: &AddStep, _: [*const u8; 2], _: *mut u8, _: usize) {}
        fn pack(&self, _: &Unpacked) -> Packed {
            unreachable!("there are sums only")
        }
        fn conv(&self, _: &ConvStep, _: Memory, _: (usize, usize)) {}
        fn pack_depthwise(&self, _: &UnpackedDepthwise) -> PackedDepthwise {
            unreachable!("there are sums only")
        }
        fn depthwise(&self, _: &DepthwiseStep, _: Memory, _: (usize, usize)) {}
    }

    static SETS: [Failing; 5] = [Failing(0), Failing(1), Failing(2), Failing(3), Failing(4)];

    /// Three sums, one after the other.
    fn plan(failing: usize) -> Plan {
        let mut graph = Graph::default();
        let shape = [1, 4, 8, 8];
        let mut value = graph.value("x", ElementKind::U8, &shape);
        graph.inputs.push(value);
        for _ in 0..3 {
            let sum = Op::Add { ratios: [0.5; 2], fixed: 0.0, low: 0, high: 255 };
            value = graph.push("sum", sum, &[value, value], ElementKind::U8, &shape);
        }
        graph.outputs.push(value);
        Plan::new(graph, &SETS[failing]).unwrap()
    }

    /// Runs `test` and fails where it does not come to an end.
    fn ends(test: impl FnOnce() + Send + 'static) {
        let (done, ended) = mpsc::channel();
        let thread = std::thread::spawn(move || {
            test();
            let _ = done.send(());
        });
        match ended.recv_timeout(Duration::from_secs(60)) {
            Err(mpsc::RecvTimeoutError::Timeout) => panic!("it hangs"),
            _ => thread.join().unwrap(),
        }
    }

    #[test]
    fn a_thread_that_fails_ends_this_run_and_every_later_one_with_an_error() {
        for threads in [2, 4] {
            for failing in 1..threads {
                ends(move || {
                    let mut session = Session::with_threads(Arc::new(plan(failing)), threads).unwrap();
                    for _ in 0..3 {
                        let error = session.run().unwrap_err();
                        assert!(matches!(error, EngineError::Run(_)), "{error}");
                    }
                });
            }
        }
    }

    #[test]
    fn nobody_waits_for_a_caller_that_fails() {
        for threads in [1, 2, 4] {
            ends(move || {
                let mut session = Session::with_threads(Arc::new(plan(0)), threads).unwrap();
                assert!(catch_unwind(AssertUnwindSafe(|| session.run())).is_err());
                assert!(threads == 1 || session.run().is_err());
            });
        }
    }

    #[test]
    fn sound_threads_run_again_and_again() {
        for threads in [2, 3] {
            ends(move || {
                let mut session = Session::with_threads(Arc::new(plan(4)), threads).unwrap();
                for _ in 0..100 {
                    session.run().unwrap();
                }
            });
        }
    }
}
