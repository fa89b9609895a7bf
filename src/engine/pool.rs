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
struct Witness<'a>(&'a Shared);

impl Drop for Witness<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.failed.store(true, Ordering::Release);
        }
    }
}

/// Turns of a spinning thread before it lets others have the core.
const PATIENCE: usize = 1 << 12;

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
        match self.shared.failed.load(Ordering::Acquire) {
            true => Err("a thread of the engine has failed".into()),
            false => Ok(()),
        }
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
