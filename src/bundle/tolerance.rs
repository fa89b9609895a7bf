//! How far good frames may vary beyond what was shown in teaching, as the user states it: `shift=5%,turn=3deg,scale=5%,light=20%`.

use serde::{Deserialize, Serialize};
use std::fmt::{self, Display, Formatter};
use std::str::FromStr;

/// Limits of variation, each to both sides; 0 where nothing is stated.
#[derive(Debug, Clone, Copy, PartialEq, Default, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct Tolerance {
    /// Shift, in percent of the frame's width and height.
    pub shift: f64,
    /// Rotation, in degrees.
    pub turn: f64,
    /// Change of size, in percent.
    pub scale: f64,
    /// Change of brightness, in percent.
    pub light: f64,
}

/// The keys, with their units and the largest value of each.
const KEYS: [(&str, &str, f64); 4] =
    [("shift", "%", 20.0), ("turn", "deg", 15.0), ("scale", "%", 20.0), ("light", "%", 50.0)];
/// What the user may copy.
const EXAMPLE: &str = "shift=5%,turn=3deg,scale=5%,light=20%";

impl Tolerance {
    fn values(&self) -> [f64; 4] {
        [self.shift, self.turn, self.scale, self.light]
    }
}

impl FromStr for Tolerance {
    type Err = String;

    /// Reads the form in which it is displayed.
    fn from_str(text: &str) -> Result<Tolerance, String> {
        let mut values = [None; KEYS.len()];
        for part in text.split(',') {
            let (key, value) = part.split_once('=').map_or((part, ""), |(key, value)| (key, value));
            let (key, value) = (key.trim(), value.trim());
            let Some(at) = KEYS.iter().position(|(known, ..)| *known == key) else {
                return Err(format!("\"{key}\" is none of shift, turn, scale and light; an example: {EXAMPLE}"));
            };
            let (_, unit, largest) = KEYS[at];
            let number = value.strip_suffix(unit).and_then(|number| number.trim_end().parse::<f64>().ok());
            let Some(number) = number.filter(|number| (0.0..=largest).contains(number)) else {
                return Err(format!(
                    "{key} takes 0{unit} to {largest}{unit}, found \"{value}\"; an example: {EXAMPLE}"
                ));
            };
            if values[at].replace(number).is_some() {
                return Err(format!("{key} is stated twice; an example: {EXAMPLE}"));
            }
        }
        if values.iter().flatten().all(|value| *value == 0.0) {
            return Err(format!("nothing may vary by that; leave it away, or state limits above 0, as in {EXAMPLE}"));
        }
        let [shift, turn, scale, light] = values.map(Option::unwrap_or_default);
        Ok(Tolerance { shift, turn, scale, light })
    }
}

impl Display for Tolerance {
    fn fmt(&self, out: &mut Formatter) -> fmt::Result {
        let stated = KEYS.iter().zip(self.values()).filter(|(_, value)| *value > 0.0);
        let parts: Vec<String> = stated.map(|((key, unit, _), value)| format!("{key}={value}{unit}")).collect();
        out.write_str(&parts.join(","))
    }
}

impl TryFrom<String> for Tolerance {
    type Error = String;

    fn try_from(text: String) -> Result<Tolerance, String> {
        text.parse()
    }
}

impl From<Tolerance> for String {
    fn from(tolerance: Tolerance) -> String {
        tolerance.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_read_as_it_is_displayed() {
        let all: Tolerance = EXAMPLE.parse().unwrap();
        assert_eq!(all, Tolerance { shift: 5.0, turn: 3.0, scale: 5.0, light: 20.0 });
        assert_eq!(all.to_string(), EXAMPLE);
        let some: Tolerance = " light = 12.5 % , turn=0deg".parse().unwrap();
        assert_eq!(some, Tolerance { light: 12.5, ..Tolerance::default() });
        assert_eq!(some.to_string(), "light=12.5%");
    }

    #[test]
    fn each_mistake_is_named_with_an_example() {
        for (text, problem) in [
            ("", "\"\" is none of shift, turn, scale and light"),
            ("shift=5%,tilt=3deg", "\"tilt\" is none of"),
            ("shift", "shift takes 0% to 20%, found \"\""),
            ("shift=5", "shift takes 0% to 20%, found \"5\""),
            ("shift=21%", "shift takes 0% to 20%, found \"21%\""),
            ("turn=3%", "turn takes 0deg to 15deg, found \"3%\""),
            ("turn=-3deg", "turn takes 0deg to 15deg, found \"-3deg\""),
            ("scale=nan%", "scale takes 0% to 20%, found \"nan%\""),
            ("light=51%", "light takes 0% to 50%, found \"51%\""),
            ("light=5%,light=6%", "light is stated twice"),
            ("light=5%,", "\"\" is none of"),
            ("light=0%", "nothing may vary by that"),
        ] {
            let told = text.parse::<Tolerance>().unwrap_err();
            assert!(told.contains(problem) && told.ends_with(EXAMPLE) && !told.contains('\n'), "{text}: {told}");
        }
    }
}
