//! What follows a run that another one is to follow. A line that has run goes on: where neither the new configuration nor the one in use until now
//! starts, both are tried again until one does. An exit of 78 would be for ever, and what is missing may be a share that is back in a minute.

use super::mode::Mode;
use super::plan::{LinePlan, plan};
use super::service::LineService;
use crate::config::Config;
use crate::pipeline::Shutdown;
use crate::service::{Feeder, Reload};
use crate::telemetry::Telemetry;
use log::Level;
use std::time::{Duration, Instant};

/// How long the first try waits for the next one, and the longest.
const FIRST_WAIT: Duration = Duration::from_secs(1);
pub(super) const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// How often somebody who waits looks whether to stop.
const LOOK: Duration = Duration::from_millis(20);

/// Tries one after the other, with longer and longer waits.
pub(super) struct Tries {
    wait: Duration,
}

/// What ends a wait before its time.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Interruption {
    /// Somebody has changed the configuration, and says so.
    Reload,
    /// A stop was asked for.
    Stop,
}

impl Interruption {
    pub(super) fn of(shutdown: &Shutdown, reload: &Reload) -> Option<Interruption> {
        match () {
            () if shutdown.is_signalled() => Some(Interruption::Stop),
            () if reload.take() => Some(Interruption::Reload),
            () => None,
        }
    }
}

impl Tries {
    pub(super) fn new() -> Tries {
        Tries { wait: FIRST_WAIT }
    }

    /// How long the next wait is.
    pub(super) fn next_wait(&self) -> Duration {
        self.wait
    }

    /// Waits for the next try, or until it is interrupted.
    pub(super) fn wait<T>(&mut self, mut interruption: impl FnMut() -> Option<T>) -> Option<T> {
        let begun = Instant::now();
        let wait = self.wait;
        self.wait = (2 * wait).min(LONGEST_WAIT);
        while begun.elapsed() < wait {
            if let Some(interruption) = interruption() {
                return Some(interruption);
            }
            std::thread::sleep(LOOK);
        }
        None
    }

    /// The same, while `feeder` feeds the watchdog: for the wait, and for the try that follows, as long as for the first one.
    pub(super) fn wait_fed<T>(&mut self, feeder: &Feeder, interruption: impl FnMut() -> Option<T>) -> Option<T> {
        feeder.begin_try();
        let interrupted = self.wait(interruption);
        feeder.begin_try();
        interrupted
    }
}

/// Reports that no run can begin now, and when it is tried again; returns that in words.
pub(super) fn report_down(telemetry: &Telemetry, error: &anyhow::Error, tries: &Tries) -> String {
    let (error, wait) = (format!("{error:#}"), tries.next_wait().as_secs());
    let record = telemetry.record(Level::Error, "start_failed").with("error", error.as_str());
    telemetry.log(record.with("retry_s", wait));
    format!("nothing is inspected: {error}; tried again in {wait} s")
}

/// The next run of a line.
pub(super) struct Planned {
    pub(super) config: Config,
    /// The configuration in use until now, where this is another one that has not run yet.
    pub(super) before: Option<Config>,
    pub(super) ready: LinePlan,
}

/// What is tried next.
pub(super) enum AnotherTry {
    /// Nothing: a stop was asked for.
    Stop,
    /// The configuration in use until now, and before it another one, where the file has one now.
    With(Option<Box<Config>>),
}

/// Plans the next run of a line that has run with `config`: with `next`, else as before, else again and again with either, or with what the
/// file says by then.
///
/// # Errors
/// The configuration in use until now, where a stop was asked for meanwhile.
pub(super) fn plan_next(
    service: &LineService,
    config: Config,
    mut next: Option<Config>,
    (tries, feeder, shutdown): (&mut Tries, &Feeder, &Shutdown),
) -> Result<Planned, Box<Config>> {
    loop {
        if let Some(new) = next.take() {
            match plan(&new, Mode::Run, &service.telemetry) {
                Ok(ready) => return Ok(Planned { config: new, before: Some(config), ready }),
                Err(error) => service.refuse_reload(&error),
            }
            feeder.begin_try();
        }
        let error = match plan(&config, Mode::Run, &service.telemetry) {
            Ok(ready) => return Ok(Planned { config, before: None, ready }),
            Err(error) => error,
        };
        match service.wait_for_another_try((&mut *tries, feeder, shutdown), &error, &config) {
            AnotherTry::Stop => return Err(Box::new(config)),
            AnotherTry::With(new) => next = new.map(|new| *new),
        }
    }
}

impl LineService<'_> {
    /// Reports that no run can begin now, and waits until it is tried again. The watchdog is fed for the wait and for the next try as it was for the
    /// first: however long a line is down, it is not killed for that.
    pub(super) fn wait_for_another_try(
        &self,
        (tries, feeder, shutdown): (&mut Tries, &Feeder, &Shutdown),
        error: &anyhow::Error,
        in_use: &Config,
    ) -> AnotherTry {
        self.manager.status(&report_down(&self.telemetry, error, tries));
        // The reload is over, as far as whoever asked for it is concerned.
        self.manager.ready();
        // An alarm may be on that must not stay so.
        let _orderly = shutdown.stop_orderly();
        match tries.wait_fed(feeder, || Interruption::of(shutdown, &self.reload)) {
            Some(Interruption::Stop) => AnotherTry::Stop,
            Some(Interruption::Reload) => AnotherTry::With(self.newest(in_use).map(Box::new)),
            None => AnotherTry::With(None),
        }
    }

    /// What the file says now, where it can be used.
    fn newest(&self, in_use: &Config) -> Option<Config> {
        let next = self.configuration().and_then(|next| next.check_secrets().map(|()| next).map_err(Into::into));
        match next {
            Ok(mut next) => {
                next.continue_with(in_use);
                Some(next)
            }
            Err(error) => {
                self.refuse_reload(&error);
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_and_end_when_somebody_asks() {
        let (mut tries, shutdown, reload) = (Tries::new(), Shutdown::default(), Reload::default());
        reload.ask();
        let interrupted = || Interruption::of(&shutdown, &reload);
        assert_eq!((tries.wait(interrupted), interrupted()), (Some(Interruption::Reload), None));
        assert_eq!(tries.next_wait(), 2 * FIRST_WAIT);
        for _ in 0..10 {
            assert_eq!(tries.wait(|| Some(())), Some(()));
        }
        assert_eq!(tries.next_wait(), LONGEST_WAIT);
    }

    #[test]
    fn the_watchdog_is_fed_for_each_wait_and_for_each_try() {
        let (feeder, feedings) = Feeder::once_a_try();
        let mut tries = Tries::new();
        feedings.recv().unwrap();
        for _ in 0..10 {
            // Once while it waits, and once for the try that follows.
            tries.wait_fed(&feeder, || feedings.recv().ok()).unwrap();
            feedings.recv().unwrap();
        }
        drop(feeder);
        assert_eq!(feedings.iter().count(), 0);
    }
}
