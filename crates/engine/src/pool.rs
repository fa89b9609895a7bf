//! A fixed number of threads that share every step of a run, of one plan after the other.
//!
//! Work is divided by position, not by which thread is free: the same thread computes the same part of an output in every
//! run, and the bytes are the same for any number of threads. Between steps the threads wait for each other at a barrier,
//! spinning; between runs they sleep.
//!
//! A thread that panics poisons the pool: the barrier releases everyone, no thread begins another step, and no other run
//! starts.

use super::Plan;
use super::kernels::arena::Arena;
use super::step::StepContext;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

/// The threads beside the caller's.
pub struct ThreadPool {
    state: Arc<PoolState>,
    workers: Vec<JoinHandle<()>>,
}

/// A run, as its threads take it.
#[derive(Clone)]
struct Job {
    /// Which one it is, counted from 1.
    run: usize,
    plan: Arc<Plan>,
    arena: Arena,
    /// The threads that take part: the caller's and the first workers.
    threads: usize,
    /// Arrivals at the barrier before it.
    arrived: usize,
}

/// The caller's end of a run.
pub struct SharedRun<'a> {
    state: &'a PoolState,
    threads: usize,
    arrived: usize,
}

struct PoolState {
    /// Runs that were started.
    run: AtomicUsize,
    /// The one that is in progress.
    job: Mutex<Option<Job>>,
    /// Threads that have arrived at the barrier, over all steps and runs.
    arrived: AtomicUsize,
    stop: AtomicBool,
    /// A thread has panicked and will not arrive at the barrier.
    poisoned: AtomicBool,
}

/// Poisons the pool if its thread unwinds.
pub struct PoisonGuard<'a>(&'a PoolState);

impl Drop for PoisonGuard<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.poisoned.store(true, Ordering::Release);
        }
    }
}

/// Turns of a spinning thread before it yields the core.
const SPIN_LIMIT: usize = if cfg!(miri) { 0 } else { 1 << 12 };

/// Spins, then yields, until `ready` returns something.
fn wait_for<T>(mut ready: impl FnMut() -> Option<T>) -> T {
    for _ in 0..SPIN_LIMIT {
        if let Some(value) = ready() {
            return value;
        }
        std::hint::spin_loop();
    }
    loop {
        if let Some(value) = ready() {
            return value;
        }
        std::thread::yield_now();
    }
}

impl PoolState {
    fn set_job(&self, job: Option<Job>) {
        *self.job.lock().unwrap_or_else(PoisonError::into_inner) = job;
    }

    /// Waits until there have been so many arrivals, its own among them: until every thread is done with a step.
    ///
    /// # Errors
    /// Where one of them has panicked: others may still be computing the step, so the caller must not touch the arena.
    fn barrier_wait(&self, all: usize) -> Result<(), Poisoned> {
        self.arrived.fetch_add(1, Ordering::AcqRel);
        wait_for(|| {
            if self.arrived.load(Ordering::Acquire) >= all {
                return Some(Ok(()));
            }
            self.poisoned.load(Ordering::Acquire).then_some(Err(Poisoned))
        })
    }
}

/// A thread of the pool has panicked.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("a thread of the engine has failed")]
pub struct Poisoned;

impl ThreadPool {
    /// A pool of `threads` in all.
    pub fn new(threads: usize) -> std::io::Result<ThreadPool> {
        let state = PoolState {
            run: AtomicUsize::new(0),
            job: Mutex::new(None),
            arrived: AtomicUsize::new(0),
            stop: AtomicBool::new(false),
            poisoned: AtomicBool::new(false),
        };
        let mut pool = ThreadPool { state: Arc::new(state), workers: Vec::new() };
        for part in 1..threads {
            let state = Arc::clone(&pool.state);
            let work = move || run_worker(&state, part);
            pool.workers.push(std::thread::Builder::new().name(format!("engine-{part}")).spawn(work)?);
        }
        Ok(pool)
    }

    /// Wakes `threads` of the threads, the caller's among them, for a run of `plan` in `arena`.
    pub fn start(&self, plan: &Arc<Plan>, arena: Arena, threads: usize) -> SharedRun<'_> {
        let threads = threads.clamp(1, self.workers.len() + 1);
        // Every thread has arrived at the end of every step of the runs before.
        let arrived = self.state.arrived.load(Ordering::Acquire);
        let run = self.state.run.load(Ordering::Relaxed) + 1;
        self.state.set_job(Some(Job { run, plan: Arc::clone(plan), arena, threads, arrived }));
        self.state.run.store(run, Ordering::Release);
        for worker in &self.workers[..threads - 1] {
            worker.thread().unpark();
        }
        SharedRun { state: &self.state, threads, arrived }
    }

    /// Forgets the plan of the run that has ended.
    pub fn end(&self) {
        self.state.set_job(None);
    }

    /// Checks that no thread has panicked. Once one has, the others may still be computing in the arena, and no run may
    /// begin.
    ///
    /// # Errors
    /// Where one of them has.
    pub fn check_poisoned(&self) -> Result<(), Poisoned> {
        if self.state.poisoned.load(Ordering::Acquire) { Err(Poisoned) } else { Ok(()) }
    }

    /// Poisons the pool if the calling thread unwinds while it holds the guard, so that the workers do not wait for it.
    pub fn poison_guard(&self) -> PoisonGuard<'_> {
        PoisonGuard(&self.state)
    }
}

impl SharedRun<'_> {
    /// The caller's end of a step: returns when every thread is done with it.
    ///
    /// # Errors
    /// Where one of them has panicked; the run must end without another step.
    pub fn barrier_wait(&self, step: usize) -> Result<(), Poisoned> {
        self.state.barrier_wait(self.arrived + (step + 1) * self.threads)
    }

    /// Threads that take part, the caller's among them.
    pub fn threads(&self) -> usize {
        self.threads
    }
}

impl Drop for ThreadPool {
    fn drop(&mut self) {
        self.state.stop.store(true, Ordering::Release);
        for worker in self.workers.drain(..) {
            worker.thread().unpark();
            // A worker's panic was reported when it happened.
            let _ = worker.join();
        }
    }
}

/// Thread `part` of the pool; the caller of a run is thread 0.
fn run_worker(state: &PoolState, part: usize) {
    let _poison_guard = PoisonGuard(state);
    let mut seen = 0;
    loop {
        let run = state.run.load(Ordering::Acquire);
        if run == seen {
            if state.stop.load(Ordering::Acquire) {
                return;
            }
            std::thread::park();
            continue;
        }
        let job = state.job.lock().unwrap_or_else(PoisonError::into_inner).clone();
        // None: the run has ended, which waits only for threads that take part.
        seen = job.as_ref().map_or(run, |job| job.run);
        let Some(Job { plan, arena, threads, arrived, .. }) = job else { continue };
        if part >= threads {
            continue;
        }
        let context = StepContext { kernels: plan.kernels, arena, part: (part, threads) };
        for (i, step) in plan.steps.iter().enumerate() {
            if step.is_shared() {
                // Shared steps do not fail.
                let _ = step.run(&context);
            }
            // Whoever goes on while others are in the previous step would race with them for the arena.
            if state.barrier_wait(arrived + (i + 1) * threads).is_err() {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::graph::{Graph, Op};
    use crate::kernels::Kernels;
    use crate::kernels::add::AddStep;
    use crate::kernels::arena::Arena;
    use crate::kernels::conv::{ConvStep, ConvWeights, PackedConv};
    use crate::kernels::depthwise::{DepthwiseStep, DepthwiseWeights, PackedDepthwise};
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
        fn add(&self, _: &AddStep, _: Arena, (part, _): (usize, usize)) {
            assert!(part != self.0, "this thread fails, as the test wants it");
        }
        unsafe fn add_contiguous(&self, _: &AddStep, _: [*const u8; 2], _: *mut u8, _: usize) {}
        fn pack(&self, _: &ConvWeights) -> PackedConv {
            unreachable!("there are sums only")
        }
        fn conv(&self, _: &ConvStep, _: Arena, _: (usize, usize)) {}
        fn pack_depthwise(&self, _: &DepthwiseWeights) -> PackedDepthwise {
            unreachable!("there are sums only")
        }
        fn depthwise(&self, _: &DepthwiseStep, _: Arena, _: (usize, usize)) {}
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
