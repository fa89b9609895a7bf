//! Why a run ended.

use super::place::Place;
use crate::form::Millis;

/// Why a run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// The log ends before it does.
    Open,
    /// A stop record says so, with its reason.
    Clean(String),
    /// It was stopped for a new configuration.
    Reload,
    /// The watchdog ended it: a thread stood still.
    Watchdog,
    /// The kernel ended it for lack of memory.
    OutOfMemory,
    /// Somebody or something killed it: the signal.
    Killed(u32),
    /// The program has an error: it panicked or crashed.
    Panic(String),
    /// Bad configuration or bundle: what the program said.
    Configuration(String),
    /// It gave up by itself: exit status and last words.
    Failed(u32, String),
    /// The machine was started anew without a stop in order.
    Power,
    /// No stop record, and nothing that says why.
    Cut,
}

impl Ending {
    /// One word, the same in all outputs.
    pub fn word(&self) -> &'static str {
        match self {
            Ending::Open => "open",
            Ending::Clean(_) => "clean",
            Ending::Reload => "reload",
            Ending::Watchdog => "watchdog",
            Ending::OutOfMemory => "out of memory",
            Ending::Killed(_) => "killed",
            Ending::Panic(_) => "panic",
            Ending::Configuration(_) => "configuration",
            Ending::Failed(..) => "failed",
            Ending::Power => "power",
            Ending::Cut => "cut",
        }
    }

    /// For people.
    pub fn text(&self) -> String {
        let with = |what: &str, words: &str| if words.is_empty() { what.into() } else { format!("{what}: {words}") };
        match self {
            Ending::Open => "no stop in the log: it goes on, or was cut".into(),
            Ending::Clean(reason) => with("stopped in order", reason),
            Ending::Reload => "stopped for a new configuration".into(),
            Ending::Watchdog => "ended by the watchdog".into(),
            Ending::OutOfMemory => "ended by the kernel, out of memory".into(),
            Ending::Killed(signal) => format!("killed by signal {signal}"),
            Ending::Panic(words) => with("crashed", words),
            Ending::Configuration(words) => with("bad configuration or bundle", words),
            Ending::Failed(status, words) => with(&format!("gave up with status {status}"), words),
            Ending::Power => "power lost, or the machine was reset".into(),
            Ending::Cut => "cut; the journal would tell why".into(),
        }
    }

    /// Whether it ended as somebody wanted it to, or goes on.
    pub fn is_orderly(&self) -> bool {
        matches!(self, Ending::Open | Ending::Clean(_) | Ending::Reload)
    }
}

/// What speaks for an ending.
#[derive(Debug, Clone, Default)]
pub struct Evidence {
    /// The reason in the stop record.
    pub stop: Option<(String, Place)>,
    /// The watchdog's line.
    pub watchdog: Option<Place>,
    /// The kernel's or systemd's line.
    pub out_of_memory: Option<Place>,
    /// The signal that ended the process.
    pub signal: Option<(u32, Place)>,
    /// The status with which the process ended.
    pub exit: Option<(u32, Place)>,
    /// A panic: where in the program, and its message.
    pub panic: Option<(String, Place)>,
    /// What the program said last.
    pub last_words: Option<(String, Place)>,
    /// The machine was started anew.
    pub boot: Option<Place>,
    /// The run after it: its time, its boot id, and what it found of this run.
    pub next: Option<Next>,
}

/// What the next run tells of this one.
#[derive(Debug, Clone, Default)]
pub struct Next {
    /// When it began.
    pub time: Option<Millis>,
    /// The boot in which it runs.
    pub boot: String,
    /// `clean`, `cut`, `power` or `none`.
    pub previous: String,
    /// Its start.
    pub place: Place,
}

impl Evidence {
    /// Whether something says that the process is gone.
    pub fn is_over(&self) -> bool {
        self.stop.is_some()
            || self.signal.is_some()
            || self.exit.is_some()
            || self.out_of_memory.is_some()
            || self.boot.is_some()
    }

    /// Judges the evidence; `boot` is the boot in which the run ran. The most telling comes first: who ended it, then how it
    /// ended, then what it said itself, then what came after it.
    pub fn ending(&self, boot: &str) -> (Ending, Option<Place>) {
        let words = || self.last_words.as_ref().map(|(words, _)| words.clone()).unwrap_or_default();
        if let Some(place) = self.watchdog {
            return (Ending::Watchdog, Some(place));
        }
        if let Some(place) = self.out_of_memory {
            return (Ending::OutOfMemory, Some(place));
        }
        if let Some((words, place)) = &self.panic {
            return (Ending::Panic(words.clone()), Some(*place));
        }
        match (self.exit, self.signal) {
            (Some((78, place)), _) => return (Ending::Configuration(words()), Some(place)),
            (Some((101, place)), _) => return (Ending::Panic(words()), Some(place)),
            (Some((status @ 1.., place)), _) => return (Ending::Failed(status, words()), Some(place)),
            // SIGILL, SIGTRAP, SIGABRT, SIGBUS, SIGFPE, SIGSEGV: the program itself.
            (_, Some((signal @ (4 | 5 | 6 | 7 | 8 | 11), place))) => {
                return (Ending::Panic(format!("signal {signal}")), Some(place));
            }
            // SIGTERM after a stop record is how a stop begins.
            (_, Some((signal, place))) if self.stop.is_none() => return (Ending::Killed(signal), Some(place)),
            _ => (),
        }
        if let Some((reason, place)) = &self.stop {
            let ending = match reason.as_str() {
                "a new configuration" => Ending::Reload,
                "a thread failed" => Ending::Panic(reason.clone()),
                _ => Ending::Clean(reason.clone()),
            };
            return (ending, Some(*place));
        }
        if let Some((words, place)) = &self.last_words {
            return (Ending::Failed(1, words.clone()), Some(*place));
        }
        if let Some(place) = self.boot {
            return (Ending::Power, Some(place));
        }
        let Some(next) = &self.next else { return (Ending::Open, None) };
        if next.previous == "clean" {
            return (Ending::Clean("as the next start tells".into()), Some(next.place));
        }
        let other_boot = !boot.is_empty() && !next.boot.is_empty() && boot != next.boot;
        let ending = if other_boot || next.previous == "power" { Ending::Power } else { Ending::Cut };
        (ending, Some(next.place))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_telling_evidence_decides() {
        let place = Place { input: 0, line: 7, time: None };
        let next =
            |boot: &str, previous: &str| Some(Next { boot: boot.into(), previous: previous.into(), ..Next::default() });
        let stop = |reason: &str| Some((reason.to_string(), place));
        let none = Evidence::default;
        for (evidence, expected) in [
            (none(), Ending::Open),
            (
                Evidence { stop: stop("stop asked for"), exit: Some((0, place)), ..none() },
                Ending::Clean("stop asked for".into()),
            ),
            (Evidence { stop: stop("a new configuration"), ..none() }, Ending::Reload),
            (Evidence { watchdog: Some(place), signal: Some((9, place)), ..none() }, Ending::Watchdog),
            (Evidence { out_of_memory: Some(place), signal: Some((9, place)), ..none() }, Ending::OutOfMemory),
            (Evidence { signal: Some((9, place)), next: next("b", ""), ..none() }, Ending::Killed(9)),
            (Evidence { signal: Some((6, place)), ..none() }, Ending::Panic("signal 6".into())),
            (
                Evidence { exit: Some((78, place)), last_words: stop("x.toml:3: no"), ..none() },
                Ending::Configuration("x.toml:3: no".into()),
            ),
            (Evidence { exit: Some((1, place)), ..none() }, Ending::Failed(1, String::new())),
            (Evidence { next: next("b", "cut"), ..none() }, Ending::Power),
            (Evidence { next: next("a", "cut"), ..none() }, Ending::Cut),
            (Evidence { next: next("", "power"), ..none() }, Ending::Power),
            (Evidence { next: next("b", "clean"), ..none() }, Ending::Clean("as the next start tells".into())),
            (Evidence { boot: Some(place), ..none() }, Ending::Power),
        ] {
            assert_eq!(evidence.ending("a").0, expected, "{evidence:?}");
        }
    }
}
