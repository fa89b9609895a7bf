//! Names of months as `strftime` writes them in the locales of glibc, and what a log itself shows about names that are in none.

use std::collections::HashMap;
use std::sync::LazyLock;

/// A month a line: its number and its short names, from the locales of glibc 2.36 and a few other sources.
const TABLE: &str = include_str!("months.txt");

static NAMES: LazyLock<HashMap<&str, Vec<u8>>> = LazyLock::new(|| {
    let mut names: HashMap<&str, Vec<u8>> = HashMap::new();
    for line in TABLE.lines() {
        let mut parts = line.split('|');
        let Some(month) = parts.next().and_then(|number| number.parse().ok()) else { continue };
        for name in parts {
            // Croatian and Polish or Czech have names in common: the later month is that of the more common language.
            names.entry(name).or_default().insert(0, month);
        }
    }
    names
});

/// The longest name, in bytes.
const MAX: usize = 40;
/// Names that are learned from one input.
const LEARNED: usize = 64;

/// A month's name in a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MonthName {
    bytes: [u8; MAX],
    length: u8,
}

impl MonthName {
    /// The name in some bytes; `None` where they are too many.
    pub fn new(text: &[u8]) -> Option<MonthName> {
        let mut bytes = [0; MAX];
        bytes.get_mut(..text.len())?.copy_from_slice(text);
        Some(MonthName { bytes, length: text.len() as u8 })
    }

    /// The month by its English name.
    pub fn english(&self) -> Option<u8> {
        english(self.get())
    }

    /// The month, where its name stands for one only.
    pub fn known(&self) -> Option<u8> {
        self.english().or_else(|| candidates(self.get()).first().copied())
    }

    fn get(&self) -> &[u8] {
        &self.bytes[..usize::from(self.length)]
    }
}

/// The months that names in one input stand for.
#[derive(Debug, Clone, Default)]
pub struct Months {
    /// What records with a time of their own, or the order of the lines, showed.
    learned: Vec<(MonthName, u8)>,
    /// The name, the month and the day of the last line that was understood.
    last: Option<(MonthName, u8, u8)>,
    /// The name and the day of the last line, if it was not.
    unknown: Option<(MonthName, u8)>,
}

impl Months {
    /// The month, 1..=12, of a line of `day`. `hint`: the month and the day that the line's record has, at most a day apart.
    pub fn resolve(&mut self, name: &MonthName, day: u8, hint: Option<(u8, u8)>) -> Option<u8> {
        let Some(month) = english(name.get()).or_else(|| self.local(name, day, hint)) else {
            self.last = None;
            self.unknown = Some((*name, day));
            return None;
        };
        // The month before was the one whose name was not understood: known when the input is read again.
        if let Some((unknown, _)) = self.unknown.take().filter(|(unknown, before)| unknown != name && day < *before) {
            self.learn(&unknown, (month + 10) % 12 + 1);
        }
        self.last = Some((*name, month, day));
        Some(month)
    }

    fn local(&mut self, name: &MonthName, day: u8, hint: Option<(u8, u8)>) -> Option<u8> {
        if let Some((_, month)) = self.learned.iter().find(|(known, _)| known == name) {
            return Some(*month);
        }
        let candidates = candidates(name.get());
        if let Some((month, of)) = hint {
            // In another zone it may be the day before or after.
            let month = match (day, of) {
                (1, 28..) => month % 12 + 1,
                (28.., 1) => (month + 10) % 12 + 1,
                _ => month,
            };
            // A name that is known stays what it is.
            if candidates.is_empty() || candidates.len() > 1 && candidates.contains(&month) {
                return Some(self.learn(name, month));
            }
        }
        // The month after the last one, where the days begin anew and the name is another.
        let next =
            self.last.filter(|(last, _, before)| last != name && day < *before).map(|(_, month, _)| month % 12 + 1);
        match (candidates.as_slice(), next) {
            ([month], _) => Some(*month),
            ([], next) => next.map(|next| self.learn(name, next)),
            (several, Some(next)) if several.contains(&next) => Some(self.learn(name, next)),
            ([first, ..], _) => Some(*first),
        }
    }

    fn learn(&mut self, name: &MonthName, month: u8) -> u8 {
        match self.learned.iter().position(|(known, _)| known == name) {
            Some(at) => self.learned[at].1 = month,
            None if self.learned.len() < LEARNED => self.learned.push((*name, month)),
            None => (),
        }
        month
    }

    /// What was learned, without the last line: to read the input again.
    pub fn restart(&mut self) {
        (self.last, self.unknown) = (None, None);
    }
}

fn english(name: &[u8]) -> Option<u8> {
    const ENGLISH: [&[u8]; 12] =
        [b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec"];
    ENGLISH.iter().position(|month| *month == name).map(|at| at as u8 + 1)
}

/// The months that a name may stand for, the likeliest first.
fn candidates(name: &[u8]) -> Vec<u8> {
    // What is not UTF-8 is Latin-1, or another of the encodings with a byte a character.
    let utf8 = std::str::from_utf8(name);
    let text = utf8.map_or_else(|_| name.iter().map(|byte| char::from(*byte)).collect(), str::to_string);
    let lower = text.to_lowercase();
    let trimmed = lower.trim_matches(|c: char| c == '.' || c == ',' || c.is_whitespace());
    if let Some(month) = numbered(trimmed) {
        return vec![month];
    }
    // Behind a weekday or a preposition: `sam. déc.`, `de març`.
    let last = trimmed.rsplit([' ', '\u{a0}']).next().unwrap_or_default();
    for name in [trimmed, last, last.trim_start_matches("d’").trim_start_matches("d'")] {
        if let Some(months) = NAMES.get(name) {
            return months.clone();
        }
        if let Some(month) = numbered(name) {
            return vec![month];
        }
    }
    let mut found: Vec<u8> = Vec::new();
    if utf8.is_err() && trimmed.chars().any(|c| c.is_ascii_alphabetic()) {
        let fits = |name: &str| {
            name.chars().count() == trimmed.chars().count()
                && name.chars().zip(trimmed.chars()).all(|(a, b)| a == b || !b.is_ascii() && !a.is_ascii())
        };
        for (_, months) in NAMES.iter().filter(|(name, _)| fits(name)) {
            found.extend_from_slice(months);
        }
        found.sort_unstable();
        found.dedup();
        // More than one: a guess would be wrong without a word.
        if found.len() > 1 {
            found.clear();
        }
    }
    found
}

/// `12月`, `12월`, `thg 12`, `th12`.
fn numbered(name: &str) -> Option<u8> {
    let digits = name
        .strip_suffix('月')
        .or_else(|| name.strip_suffix('월'))
        .or_else(|| name.strip_prefix("thg"))
        .or_else(|| name.strip_prefix("th"))?;
    digits.trim().parse().ok().filter(|month| (1..=12).contains(month))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn month(name: &str) -> Option<u8> {
        Months::default().resolve(&MonthName::new(name.as_bytes()).unwrap(), 3, None)
    }

    #[test]
    fn months_of_many_locales_in_any_case_with_and_without_dots() {
        for (names, locale) in [
            ("Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec", "en"),
            ("Jan Feb Mär Apr Mai Jun Jul Aug Sep Okt Nov Dez", "de"),
            ("Jän FEB MÄR Apr. Mai Juni Juli aug sept OKT. nov. dez.", "de, other ways"),
            ("janv. févr. mars avril mai juin juil. août sept. oct. nov. déc.", "fr"),
            ("ene feb mar abr may jun jul ago sep oct nov dic", "es"),
            ("gen feb mar apr mag giu lug ago set ott nov dic", "it"),
            ("jan fev mar abr mai jun jul ago set out nov dez", "pt"),
            ("jan feb mrt apr mei jun jul aug sep okt nov dec", "nl"),
            ("sty lut mar kwi maj cze lip sie wrz paź lis gru", "pl"),
            ("led úno bře dub kvě čen čec srp zář říj lis pro", "cs"),
            ("янв фев мар апр мая июн июл авг сен окт ноя дек", "ru"),
            ("січ лют бер кві тра чер лип сер вер жов лис гру", "uk"),
            ("Oca Şub Mar Nis May Haz Tem Ağu Eyl Eki Kas Ara", "tr"),
            ("tammi helmi maalis huhti touko kesä heinä elo syys loka marras joulu", "fi"),
            ("1月 2月 3月 4月 5月 6月 7月 8月 9月 10月 11月 12月", "ja and zh"),
            ("1월 2월 3월 4월 5월 6월 7월 8월 9월 10월 11월 12월", "ko"),
            ("Th01 Th02 Th03 Th04 Th05 Th06 Th07 Th08 Th09 Th10 Th11 Th12", "vi"),
        ] {
            for (at, name) in names.split(' ').enumerate() {
                assert_eq!(month(name), Some(at as u8 + 1), "{locale}: {name}");
            }
        }
        assert_eq!(month("Thg 12"), Some(12));
        assert_eq!(month("sam. déc."), Some(12));
        assert_eq!(month("Xyz"), None);
        assert_eq!(month("13月"), None);
    }

    #[test]
    fn bytes_of_other_encodings_are_read_where_one_month_fits() {
        for (name, expected) in [
            (&b"M\xe4r"[..], Some(3)),
            (b"d\xe9c.", Some(12)),
            (b"f\xe9vr.", Some(2)),
            (b"ao\xfbt", Some(8)),
            (b"pa\xbc", Some(10)),
            (b"\xf8\xedj", Some(10)),
            (b"\xff\xff\xff", None),
        ] {
            let read = Months::default().resolve(&MonthName::new(name).unwrap(), 3, None);
            assert_eq!(read, expected, "{}", name.escape_ascii());
        }
    }

    #[test]
    fn unknown_names_are_learned_from_records_and_from_order() {
        let name = |text: &str| MonthName::new(text.as_bytes()).unwrap();
        let mut months = Months::default();
        assert_eq!(months.resolve(&name("Xyz"), 30, None), None);
        assert_eq!(months.resolve(&name("Nov"), 30, None), Some(11));
        assert_eq!(months.resolve(&name("Xyz"), 1, None), Some(12), "the days begin anew");
        assert_eq!(months.resolve(&name("Xyz"), 7, None), Some(12));
        assert_eq!(months.resolve(&name("Abc"), 1, None), Some(1));
        assert_eq!(months.resolve(&name("Other"), 9, None), None, "that a month went by is not known");
        assert_eq!(months.resolve(&name("Lok"), 1, Some((3, 31))), Some(4), "a record of the day before, in UTC");
        assert_eq!(months.resolve(&name("Lok"), 2, None), Some(4));
        // Croatian, where Polish has the same name for another month.
        assert_eq!(months.resolve(&name("lis"), 3, None), Some(11));
        let mut months = Months::default();
        months.resolve(&name("ruj"), 30, None);
        assert_eq!(months.resolve(&name("lis"), 1, None), Some(10));
    }
}
