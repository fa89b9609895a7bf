//! Damage in a log: how often, and where first.

/// Kinds of damage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DamageKind {
    /// A line that breaks off.
    Truncated,
    /// NULs in the text.
    Nul,
    /// Bytes that are not UTF-8.
    NotUtf8,
    /// Two bytes a character.
    Utf16,
    /// A line that is too long to be a record.
    TooLong,
    /// The clock went backwards.
    ClockBackwards,
    /// A time before there was such a program: a clock that was not set.
    ClockUnset,
    /// A local time without its zone.
    NoTimeZone,
    /// Local time that steps by whole or half hours.
    LocalTimeStep,
}

const KINDS: usize = 9;

/// The damage in one input.
#[derive(Debug, Clone, Default)]
pub struct Damage {
    /// Count and first line of each kind.
    counts: [(u64, u64); KINDS],
    longest: u64,
    nuls: u64,
    /// Whether records were skipped in a line that is too long.
    skipped_records: bool,
    failure: Option<(u64, String)>,
}

impl Damage {
    /// Notes damage in a line.
    pub fn note(&mut self, kind: DamageKind, line: u64) {
        let (count, first) = &mut self.counts[kind as usize];
        if *count == 0 {
            *first = line;
        }
        *count += 1;
    }

    /// Notes a line of `length` bytes that was skipped.
    pub fn too_long(&mut self, line: u64, length: u64) {
        self.note(DamageKind::TooLong, line);
        self.longest = self.longest.max(length);
    }

    /// Notes that records were skipped in a line that is too long.
    pub fn skipped_records(&mut self) {
        self.skipped_records = true;
    }

    /// Notes NULs between lines.
    pub fn nuls(&mut self, line: u64, count: u64) {
        if self.nuls == 0 {
            self.note(DamageKind::Nul, line);
        }
        self.nuls += count;
    }

    /// Notes why the input could not be read on.
    pub fn set_failure(&mut self, line: u64, why: String) {
        self.failure.get_or_insert((line, why));
    }

    /// Whether the input could not be read to its end, or records were skipped in it.
    pub fn has_failure(&self) -> bool {
        self.failure.is_some() || self.skipped_records
    }

    /// Whether a kind occurred.
    pub fn has(&self, kind: DamageKind) -> bool {
        self.counts[kind as usize].0 > 0
    }

    /// Whether something was not read: the stream broke off, or a line was cut or skipped.
    pub fn is_loss(&self) -> bool {
        self.failure.is_some() || self.has(DamageKind::Truncated) || self.has(DamageKind::TooLong)
    }

    /// How often a kind occurred.
    #[cfg(test)]
    pub fn count(&self, kind: DamageKind) -> u64 {
        self.counts[kind as usize].0
    }

    /// The first line that has such damage.
    #[cfg(test)]
    pub fn first(&self, kind: DamageKind) -> Option<u64> {
        let (count, first) = self.counts[kind as usize];
        (count > 0).then_some(first)
    }

    /// The length of the longest line that was passed over, in bytes.
    #[cfg(test)]
    pub fn longest(&self) -> u64 {
        self.longest
    }

    /// Whether all was well.
    #[cfg(test)]
    pub fn is_none(&self) -> bool {
        self.failure.is_none() && self.counts.iter().all(|(count, _)| *count == 0)
    }

    /// One line for each kind of damage.
    pub fn messages(&self) -> Vec<String> {
        let mut messages = Vec::new();
        let mut push = |kind: DamageKind, text: &dyn Fn(u64, u64) -> String| {
            if let (count @ 1.., first) = self.counts[kind as usize] {
                messages.push(text(count, first));
            }
        };
        push(DamageKind::Truncated, &|count, first| {
            format!("{} truncated; read up to the break (first: line {first})", lines_are(count))
        });
        push(DamageKind::Nul, &|_, first| {
            let many = if self.nuls > 1 { bytesize::ByteSize(self.nuls).to_string() + " of " } else { String::new() };
            format!("{many}NUL bytes, typical after a power failure (first: line {first}); skipped")
        });
        push(DamageKind::NotUtf8, &|count, first| {
            format!("{} not valid UTF-8; invalid bytes are shown as \u{fffd} (first: line {first})", lines_are(count))
        });
        push(DamageKind::Utf16, &|_, first| format!("UTF-16 from line {first} on; decoded"));
        push(DamageKind::TooLong, &|count, first| {
            let longest = bytesize::ByteSize(self.longest);
            let records = if self.skipped_records { ", with records in it: split it into lines first" } else { "" };
            format!("{} too long to be a record ({longest}, first: line {first}); skipped{records}", lines_are(count))
        });
        push(DamageKind::ClockBackwards, &|count, first| {
            format!("the clock goes backwards {} (first: line {first}); lines keep the order of the file", times(count))
        });
        push(DamageKind::ClockUnset, &|count, first| {
            format!(
                "{} from before the clock was set (first: line {first}); counted, but not on the timeline",
                lines_are(count)
            )
        });
        push(DamageKind::NoTimeZone, &|_, first| {
            format!("local times without a time zone (first: line {first}); taken as UTC")
        });
        push(DamageKind::LocalTimeStep, &|count, first| {
            format!(
                "local time steps by whole or half hours {} (first: line {first}): summer time or another zone, and no clock that was set",
                times(count)
            )
        });
        if let Some((line, why)) = &self.failure {
            let beyond = if *line == 0 { String::new() } else { format!(" beyond line {line}") };
            messages.push(format!("it could not be read{beyond}: {why}"));
        }
        messages
    }
}

fn lines_are(count: u64) -> String {
    if count == 1 { "1 line is".into() } else { format!("{count} lines are") }
}

fn times(count: u64) -> String {
    if count == 1 { "once".into() } else { format!("{count} times") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn damage_is_reported_with_its_first_line() {
        let mut damage = Damage::default();
        damage.note(DamageKind::Truncated, 7);
        damage.note(DamageKind::Truncated, 9);
        damage.too_long(12, 10 << 30);
        damage.set_failure(20, "corrupt deflate stream".into());
        let messages = damage.messages().join("\n");
        assert!(messages.contains("2 lines are truncated") && messages.contains("line 7"), "{messages}");
        assert!(messages.contains("10.0 GiB") && messages.contains("line 12"), "{messages}");
        assert!(messages.contains("beyond line 20: corrupt deflate stream"), "{messages}");
    }
}
