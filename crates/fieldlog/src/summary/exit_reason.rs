//! Why a run ended.

use super::line_ref::LineRef;
use crate::parser::Millis;

/// Why a run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExitReason {
    /// The log ends before it does.
    Open,
    /// There is a stop record; its reason.
    Clean(String),
    /// It was restarted with a new configuration.
    Reload,
    /// The watchdog killed it: a thread hung.
    Watchdog,
    /// The kernel killed it because memory ran out.
    OutOfMemory,
    /// Somebody or something killed it: the signal.
    Killed(u32),
    /// The program has an error: it panicked or crashed.
    Panic(String),
    /// Invalid configuration or bundle: the program's message.
    Configuration(String),
    /// It exited with an error: exit status and last message.
    Failed(u32, String),
    /// The machine rebooted without a clean stop.
    Power,
    /// No stop record, and no other evidence.
    Cut,
}

impl ExitReason {
    /// The name in all outputs.
    pub fn name(&self) -> &'static str {
        match self {
            ExitReason::Open => "open",
            ExitReason::Clean(_) => "clean",
            ExitReason::Reload => "reload",
            ExitReason::Watchdog => "watchdog",
            ExitReason::OutOfMemory => "out of memory",
            ExitReason::Killed(_) => "killed",
            ExitReason::Panic(_) => "panic",
            ExitReason::Configuration(_) => "configuration",
            ExitReason::Failed(..) => "failed",
            ExitReason::Power => "power",
            ExitReason::Cut => "cut",
        }
    }

    /// For people.
    pub fn description(&self) -> String {
        let with =
            |what: &str, message: &str| if message.is_empty() { what.into() } else { format!("{what}: {message}") };
        match self {
            ExitReason::Open => "no stop record: still running, or the log is truncated".into(),
            ExitReason::Clean(reason) => with("clean stop", reason),
            ExitReason::Reload => "restarted with a new configuration".into(),
            ExitReason::Watchdog => "killed by the watchdog".into(),
            ExitReason::OutOfMemory => "killed by the kernel, out of memory".into(),
            ExitReason::Killed(signal) => format!("killed by signal {signal}"),
            ExitReason::Panic(message) => with("crashed", message),
            ExitReason::Configuration(message) => with("invalid configuration or bundle", message),
            ExitReason::Failed(status, message) => with(&format!("exited with status {status}"), message),
            ExitReason::Power => "power failure or reset".into(),
            ExitReason::Cut => "ended without a stop record; the journal has the reason".into(),
        }
    }

    /// Whether it ended on request, or is still running.
    pub fn is_expected(&self) -> bool {
        matches!(self, ExitReason::Open | ExitReason::Clean(_) | ExitReason::Reload)
    }
}

/// Evidence of why a run ended.
#[derive(Debug, Clone, Default)]
pub struct ExitEvidence {
    /// The reason in the stop record.
    pub stop: Option<(String, LineRef)>,
    /// The watchdog's line.
    pub watchdog: Option<LineRef>,
    /// The kernel's or systemd's line.
    pub out_of_memory: Option<LineRef>,
    /// The signal that ended the process.
    pub signal: Option<(u32, LineRef)>,
    /// The status with which the process ended.
    pub exit: Option<(u32, LineRef)>,
    /// The last panic: where in the program, and its message. Where the run went on after it, it was caught: see
    /// [`ExitEvidence::split_caught_panic`].
    pub panic: Option<(String, LineRef)>,
    /// The last message of the program.
    pub last_message: Option<(String, LineRef)>,
    /// The machine rebooted.
    pub boot: Option<LineRef>,
    /// The run after it: its time, its boot id, and what it found of this run.
    pub next: Option<NextRun>,
}

/// What is known from the start of the next run.
#[derive(Debug, Clone, Default)]
pub struct NextRun {
    /// When it began.
    pub time: Option<Millis>,
    /// The boot in which it runs.
    pub boot: String,
    /// `clean`, `cut`, `power` or `none`.
    pub previous: String,
    /// Its start.
    pub line_ref: LineRef,
}

/// A panic that ends a run does so within two seconds; what a run writes later shows that it was caught.
const PANIC_ENDS_WITHIN: Millis = 5000;

impl ExitEvidence {
    /// Takes the panic out if it was caught, as those of decoders are: the run wrote records long after it (the last at `last`),
    /// or stopped for another reason.
    pub fn split_caught_panic(&mut self, last: Option<Millis>) -> Option<(String, LineRef)> {
        let (_, line_ref) = self.panic.as_ref()?;
        let went_on = last.zip(line_ref.time).is_some_and(|(last, panic)| last > panic + PANIC_ENDS_WITHIN);
        let stopped = match &self.stop {
            Some((reason, _)) => reason != "a thread failed" && reason != "a thread could not be started",
            None => self.exit.is_some(),
        } && self.exit.is_none_or(|(status, _)| status == 0);
        if went_on || stopped { self.panic.take() } else { None }
    }

    /// Whether there is evidence that the process ended.
    pub fn has_ended(&self) -> bool {
        self.stop.is_some()
            || self.signal.is_some()
            || self.exit.is_some()
            || self.out_of_memory.is_some()
            || self.boot.is_some()
    }

    /// The most reliable explanation; `boot` is the boot of the run. In this order: who ended it, how the process exited, its
    /// own records and messages, and what followed.
    pub fn exit_reason(&self, boot: &str) -> (ExitReason, Option<LineRef>) {
        let message = || self.last_message.as_ref().map(|(message, _)| message.clone()).unwrap_or_default();
        if let Some(line_ref) = self.watchdog {
            return (ExitReason::Watchdog, Some(line_ref));
        }
        if let Some(line_ref) = self.out_of_memory {
            return (ExitReason::OutOfMemory, Some(line_ref));
        }
        if let Some((message, line_ref)) = &self.panic {
            return (ExitReason::Panic(message.clone()), Some(*line_ref));
        }
        match (self.exit, self.signal) {
            (Some((78, line_ref)), _) => return (ExitReason::Configuration(message()), Some(line_ref)),
            (Some((101, line_ref)), _) => return (ExitReason::Panic(message()), Some(line_ref)),
            (Some((status @ 1.., line_ref)), _) => return (ExitReason::Failed(status, message()), Some(line_ref)),
            // SIGILL, SIGTRAP, SIGABRT, SIGBUS, SIGFPE, SIGSEGV: the program itself.
            (_, Some((signal @ (4 | 5 | 6 | 7 | 8 | 11), line_ref))) => {
                return (ExitReason::Panic(format!("signal {signal}")), Some(line_ref));
            }
            // SIGTERM after a stop record is how a stop begins.
            (_, Some((signal, line_ref))) if self.stop.is_none() => {
                return (ExitReason::Killed(signal), Some(line_ref));
            }
            _ => (),
        }
        if let Some((reason, line_ref)) = &self.stop {
            let exit_reason = match reason.as_str() {
                "a new configuration" => ExitReason::Reload,
                // Also where the status page, the Modbus server or the broker's queue "cannot be started".
                reason if reason == "a thread could not be started" || reason.ends_with(" cannot be started") => {
                    ExitReason::Failed(1, reason.into())
                }
                "a thread failed" => ExitReason::Panic(reason.clone()),
                _ => ExitReason::Clean(reason.clone()),
            };
            return (exit_reason, Some(*line_ref));
        }
        if let Some((message, line_ref)) = &self.last_message {
            return (ExitReason::Failed(1, message.clone()), Some(*line_ref));
        }
        if let Some(line_ref) = self.boot {
            return (ExitReason::Power, Some(line_ref));
        }
        let Some(next) = &self.next else { return (ExitReason::Open, None) };
        if next.previous == "clean" {
            return (ExitReason::Clean("reported by the next start".into()), Some(next.line_ref));
        }
        let other_boot = !boot.is_empty() && !next.boot.is_empty() && boot != next.boot;
        let exit_reason = if other_boot || next.previous == "power" { ExitReason::Power } else { ExitReason::Cut };
        (exit_reason, Some(next.line_ref))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_after_which_the_run_goes_on_is_no_end() {
        let at = |seconds: i64| LineRef { input: 0, line: 7, time: Some(1000 * seconds) };
        let panic = |stop: Option<&str>, exit: Option<u32>| ExitEvidence {
            panic: Some(("thread 'capture' panicked".into(), at(100))),
            stop: stop.map(|reason| (reason.to_string(), at(101))),
            exit: exit.map(|status| (status, at(102))),
            ..ExitEvidence::default()
        };
        for (mut evidence, last, caught) in [
            (panic(None, None), 100, false),
            (panic(None, None), 104, false),
            (panic(None, None), 110, true),
            (panic(Some("stop asked for"), None), 101, true),
            (panic(Some("frame limit"), Some(0)), 101, true),
            (panic(None, Some(0)), 100, true),
            (panic(None, Some(101)), 100, false),
            (panic(Some("stop asked for"), Some(101)), 101, false),
            (panic(Some("a thread failed"), Some(1)), 101, false),
        ] {
            assert_eq!(evidence.split_caught_panic(Some(1000 * last)).is_some(), caught, "{evidence:?}");
            assert_eq!(evidence.panic.is_none(), caught);
        }
    }

    #[test]
    fn the_most_telling_evidence_decides() {
        let line_ref = LineRef { input: 0, line: 7, time: None };
        let next = |boot: &str, previous: &str| {
            Some(NextRun { boot: boot.into(), previous: previous.into(), ..NextRun::default() })
        };
        let stop = |reason: &str| Some((reason.to_string(), line_ref));
        let none = ExitEvidence::default;
        for (evidence, expected) in [
            (none(), ExitReason::Open),
            (
                ExitEvidence { stop: stop("stop asked for"), exit: Some((0, line_ref)), ..none() },
                ExitReason::Clean("stop asked for".into()),
            ),
            (ExitEvidence { stop: stop("a new configuration"), ..none() }, ExitReason::Reload),
            (
                ExitEvidence {
                    stop: stop("the status page, the Modbus server or the broker's queue cannot be started"),
                    ..none()
                },
                ExitReason::Failed(
                    1,
                    "the status page, the Modbus server or the broker's queue cannot be started".into(),
                ),
            ),
            (ExitEvidence { watchdog: Some(line_ref), signal: Some((9, line_ref)), ..none() }, ExitReason::Watchdog),
            (
                ExitEvidence { out_of_memory: Some(line_ref), signal: Some((9, line_ref)), ..none() },
                ExitReason::OutOfMemory,
            ),
            (ExitEvidence { signal: Some((9, line_ref)), next: next("b", ""), ..none() }, ExitReason::Killed(9)),
            (ExitEvidence { signal: Some((6, line_ref)), ..none() }, ExitReason::Panic("signal 6".into())),
            (
                ExitEvidence { exit: Some((78, line_ref)), last_message: stop("x.toml:3: no"), ..none() },
                ExitReason::Configuration("x.toml:3: no".into()),
            ),
            (ExitEvidence { exit: Some((1, line_ref)), ..none() }, ExitReason::Failed(1, String::new())),
            (ExitEvidence { next: next("b", "cut"), ..none() }, ExitReason::Power),
            (ExitEvidence { next: next("a", "cut"), ..none() }, ExitReason::Cut),
            (ExitEvidence { next: next("", "power"), ..none() }, ExitReason::Power),
            (
                ExitEvidence { next: next("b", "clean"), ..none() },
                ExitReason::Clean("reported by the next start".into()),
            ),
            (ExitEvidence { boot: Some(line_ref), ..none() }, ExitReason::Power),
        ] {
            assert_eq!(evidence.exit_reason("a").0, expected, "{evidence:?}");
        }
    }
}
