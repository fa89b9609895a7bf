//! What was wrong with a log, so that it can be said: how often and where first.

/// Kinds of damage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hurt {
    /// A line that breaks off.
    Cut,
    /// NULs in the text.
    Nul,
    /// Bytes that are not UTF-8.
    NotUtf8,
    /// Two bytes a character.
    Wide,
    /// A line that is too long to be a record.
    Long,
    /// The clock went backwards.
    Backwards,
    /// A time before there was such a program: a clock that was not set.
    Unset,
    /// A local time without its zone.
    NoZone,
}

const KINDS: usize = 8;

/// What was wrong with one input.
#[derive(Debug, Clone, Default)]
pub struct Damage {
    /// Count and first line of each kind.
    seen: [(u64, u64); KINDS],
    longest: u64,
    nuls: u64,
    broke: Option<(u64, String)>,
}

impl Damage {
    /// Notes damage in a line.
    pub fn note(&mut self, hurt: Hurt, line: u64) {
        let (count, first) = &mut self.seen[hurt as usize];
        if *count == 0 {
            *first = line;
        }
        *count += 1;
    }

    /// Notes a line of `length` bytes that was passed over.
    pub fn long(&mut self, line: u64, length: u64) {
        self.note(Hurt::Long, line);
        self.longest = self.longest.max(length);
    }

    /// Notes NULs between lines.
    pub fn nuls(&mut self, line: u64, count: u64) {
        if self.nuls == 0 {
            self.note(Hurt::Nul, line);
        }
        self.nuls += count;
    }

    /// Notes why the input could not be read on.
    pub fn broke(&mut self, line: u64, why: String) {
        self.broke.get_or_insert((line, why));
    }

    /// How often a kind was met.
    #[cfg(test)]
    pub fn count(&self, hurt: Hurt) -> u64 {
        self.seen[hurt as usize].0
    }

    /// The first line that has such damage.
    #[cfg(test)]
    pub fn first(&self, hurt: Hurt) -> Option<u64> {
        let (count, first) = self.seen[hurt as usize];
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
        self.broke.is_none() && self.seen.iter().all(|(count, _)| *count == 0)
    }

    /// One line for each kind of damage.
    pub fn lines(&self) -> Vec<String> {
        let mut said = Vec::new();
        let mut say = |hurt: Hurt, text: &dyn Fn(u64, u64) -> String| {
            if let (count @ 1.., first) = self.seen[hurt as usize] {
                said.push(text(count, first));
            }
        };
        say(Hurt::Cut, &|count, first| {
            format!("{} cut; each was read up to the cut (first: line {first})", lines_are(count))
        });
        say(Hurt::Nul, &|_, first| {
            let many = if self.nuls > 1 { bytesize::ByteSize(self.nuls).to_string() + " of " } else { String::new() };
            format!("{many}NULs in the text, as a power cut leaves them (first: line {first}); passed over")
        });
        say(Hurt::NotUtf8, &|count, first| {
            format!("{} not in UTF-8; what is no text is shown as \u{fffd} (first: line {first})", lines_are(count))
        });
        say(Hurt::Wide, &|count, first| format!("{} in UTF-16; read as such (first: line {first})", lines_are(count)));
        say(Hurt::Long, &|count, first| {
            let longest = bytesize::ByteSize(self.longest);
            format!("{} too long to be a record ({longest}, first: line {first}); passed over", lines_are(count))
        });
        say(Hurt::Backwards, &|count, first| {
            format!("the clock goes backwards {} (first: line {first}); read in the order of the file", times(count))
        });
        say(Hurt::Unset, &|count, first| {
            format!(
                "{} from before the clock was set (first: line {first}); counted, but not placed in time",
                lines_are(count)
            )
        });
        say(Hurt::NoZone, &|_, first| format!("local times without their zone (first: line {first}); taken as UTC"));
        if let Some((line, why)) = &self.broke {
            let beyond = if *line == 0 { String::new() } else { format!(" beyond line {line}") };
            said.push(format!("it could not be read{beyond}: {why}"));
        }
        said
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
    fn damage_is_said_with_its_first_line() {
        let mut damage = Damage::default();
        damage.note(Hurt::Cut, 7);
        damage.note(Hurt::Cut, 9);
        damage.long(12, 10 << 30);
        damage.broke(20, "corrupt deflate stream".into());
        let said = damage.lines().join("\n");
        assert!(said.contains("2 lines are cut") && said.contains("line 7"), "{said}");
        assert!(said.contains("10.0 GiB") && said.contains("line 12"), "{said}");
        assert!(said.contains("beyond line 20: corrupt deflate stream"), "{said}");
    }
}
