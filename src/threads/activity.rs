//! Whether a thread is at work or hangs in the kernel.
//!
//! A thread that computes on a busy machine and one whose disk hangs both finish nothing for a second. The kernel tells them
//! apart: the first is runnable, or has had some of a CPU since; the second is neither
//! (`/proc/[pid]/task/[tid]/stat`, proc(5): fields 3 `state`, 14 `utime`, 15 `stime`).

use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// CPU time that proves no work, in ticks of 10 ms: to look again and again whether a disk still hangs takes some, too.
const LITTLE: u64 = 1;

/// The kernel's id of a thread, which that thread makes known itself.
#[derive(Clone, Default)]
pub struct ThreadId(Arc<AtomicI32>);

impl ThreadId {
    /// Makes the id of the calling thread known; without `/proc` it is none that exists.
    pub fn announce(&self) {
        let link = std::fs::read_link("/proc/thread-self").ok();
        let id = link.and_then(|link| link.file_name()?.to_str()?.parse().ok());
        self.0.store(id.unwrap_or(i32::MAX), Relaxed);
    }
}

/// Watches a thread of this process.
pub struct Activity {
    id: ThreadId,
    /// CPU time and finished steps, when it was last seen at work.
    seen: (u64, u64),
    since: Instant,
    /// The last look found it runnable.
    was_runnable: bool,
}

impl Activity {
    /// Watches the thread with that id from now on.
    pub fn of(id: &ThreadId) -> Activity {
        Activity { id: id.clone(), seen: (0, 0), since: Instant::now(), was_runnable: false }
    }

    /// For how long the thread has neither finished a step (`steps` counts them), nor had a CPU, nor waited for one. To be called
    /// many times a second. Where nothing is known of a thread only its steps count.
    pub fn idle(&mut self, steps: u64) -> Duration {
        let (is_runnable, cpu) = self.cpu().unwrap_or_default();
        // A starved thread is runnable whenever somebody looks, one that polls only by chance.
        let is_starved = is_runnable && self.was_runnable;
        self.was_runnable = is_runnable;
        if is_starved || steps != self.seen.1 || cpu > self.seen.0 + LITTLE {
            (self.seen, self.since) = ((cpu, steps), Instant::now());
        }
        self.since.elapsed()
    }

    /// Whether the thread is runnable, and its CPU time in ticks.
    fn cpu(&self) -> Option<(bool, u64)> {
        let id = self.id.0.load(Relaxed);
        if id == 0 {
            // It waits for its first moment on a CPU.
            return Some((true, 0));
        }
        let stat = std::fs::read_to_string(format!("/proc/self/task/{id}/stat")).ok()?;
        // The name in brackets may hold anything.
        let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
        let is_runnable = fields.next()? == "R";
        let mut times = fields.skip(10);
        let (user, system): (u64, u64) = (times.next()?.parse().ok()?, times.next()?.parse().ok()?);
        Some((is_runnable, user + system))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::channel;

    #[test]
    fn a_thread_that_computes_is_never_idle_and_one_that_waits_is_until_it_finishes_something() {
        let id = ThreadId::default();
        let (release, released) = channel::<()>();
        let (started, has_started) = channel();
        std::thread::scope(|scope| {
            let id = &id;
            scope.spawn(move || {
                id.announce();
                started.send(()).unwrap();
                let _ = released.recv();
            });
            has_started.recv().unwrap();
            let begun = Instant::now();
            let mut waiting = Activity::of(id);
            while waiting.idle(0) < Duration::from_millis(50) {
                std::thread::sleep(Duration::from_millis(5));
            }
            assert!(waiting.idle(1) < begun.elapsed(), "it finished something");
            release.send(()).unwrap();
        });
        let (own, begun) = (ThreadId::default(), Instant::now());
        own.announce();
        let mut mine = Activity::of(&own);
        while begun.elapsed() < Duration::from_millis(50) {
            mine.idle(0);
        }
        assert!(mine.idle(0) < begun.elapsed(), "it runs while it looks");
    }

    #[test]
    fn a_thread_that_has_not_begun_yet_is_not_idle() {
        let begun = Instant::now();
        let mut activity = Activity::of(&ThreadId::default());
        while begun.elapsed() < Duration::from_millis(20) {
            activity.idle(0);
        }
        assert!(activity.idle(0) < begun.elapsed());
    }
}
