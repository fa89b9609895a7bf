//! Zones by their names, as `date` and `journalctl -o short-full` write them.

use super::time::Millis;

/// Minutes from UTC. Names that stand for several zones (`IST`, `CST` of China) are left out or are those of most of their users.
const ZONES: [(&str, i16); 53] = [
    ("UTC", 0),
    ("GMT", 0),
    ("Z", 0),
    ("WET", 0),
    ("WEST", 60),
    ("BST", 60),
    ("CET", 60),
    ("MEZ", 60),
    ("CEST", 120),
    ("MESZ", 120),
    ("EET", 120),
    ("EEST", 180),
    ("MSK", 180),
    ("TRT", 180),
    ("SAST", 120),
    ("CAT", 120),
    ("EAT", 180),
    ("WAT", 60),
    ("PKT", 300),
    ("WIB", 420),
    ("WITA", 480),
    ("WIT", 540),
    ("HKT", 480),
    ("SGT", 480),
    ("PHT", 480),
    ("PST", -480),
    ("PDT", -420),
    ("MST", -420),
    ("MDT", -360),
    ("CST", -360),
    ("CDT", -300),
    ("EST", -300),
    ("EDT", -240),
    ("AST", -240),
    ("ADT", -180),
    ("NST", -210),
    ("NDT", -150),
    ("AKST", -540),
    ("AKDT", -480),
    ("HST", -600),
    ("BRT", -180),
    ("ART", -180),
    ("JST", 540),
    ("KST", 540),
    ("AWST", 480),
    ("ACST", 570),
    ("ACDT", 630),
    ("AEST", 600),
    ("AEDT", 660),
    ("NZST", 720),
    ("NZDT", 780),
    ("SST", -660),
    ("ChST", 600),
];

/// The offset from UTC of a zone by its name, such as `CET`, `+03` or `-0330`; `None` where it is not known.
pub fn named(name: &[u8]) -> Option<Millis> {
    if let Some((_, minutes)) = ZONES.iter().find(|(zone, _)| zone.as_bytes() == name) {
        return Some(Millis::from(*minutes) * 60_000);
    }
    let (sign, digits) = match name.split_first()? {
        (b'+', digits) => (1, digits),
        (b'-', digits) => (-1, digits),
        _ => return None,
    };
    let two = |from: usize| super::fields::count(digits.get(from..from + 2)?).map(|n| n as Millis);
    let minutes = match digits.len() {
        2 => two(0)? * 60,
        4 => two(0)? * 60 + two(2)?,
        5 if digits[2] == b':' => two(0)? * 60 + two(3)?,
        _ => return None,
    };
    (minutes <= 14 * 60).then_some(sign * minutes * 60_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zones_have_their_offsets() {
        for (name, minutes) in [
            ("UTC", Some(0)),
            ("CEST", Some(120)),
            ("+03", Some(180)),
            ("-0330", Some(-210)),
            ("+05:45", Some(345)),
            ("pi4", None),
            ("+99", None),
            ("", None),
        ] {
            assert_eq!(named(name.as_bytes()), minutes.map(|minutes: i64| minutes * 60_000), "{name}");
        }
    }
}
