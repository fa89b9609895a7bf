//! How frames are brought into place before they are inspected, in the manifest of a bundle.

use super::tolerance::Tolerance;
use serde::{Deserialize, Serialize};
use std::fmt::{self, Display, Formatter};
use std::str::FromStr;

/// The greatest width and height of a frame, in pixels.
const MAX_FRAME_SIDE: usize = 16_384;

/// The mark by which frames are brought into place.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct AlignmentSection {
    /// Width and height of the frames, in pixels.
    pub frame: [usize; 2],
    /// The mark in the picture in which it was drawn: x, y, width and height in pixels.
    pub mark: [usize; 4],
    /// How far it may lie from there.
    pub within: AlignWithin,
    /// The correlation with the template below which the mark is not found, 0..1.
    pub correlation: f64,
    /// The file of the mark as it looks: grey, reduced.
    pub template: String,
    /// The file of how much each of its pixels counts.
    pub weights: String,
}

impl AlignmentSection {
    /// The files that it names.
    pub(super) fn files(&self) -> [&String; 2] {
        [&self.template, &self.weights]
    }

    /// What is wrong with the section, if anything.
    pub(super) fn fault(&self) -> Option<String> {
        let [x, y, width, height] = self.mark;
        let fits = |start: usize, length: usize, side: usize| start <= side && length <= side - start;
        if !self.frame.iter().all(|side| (32..=MAX_FRAME_SIDE).contains(side)) {
            return Some(format!("anomaly.alignment.frame must lie in 32..{MAX_FRAME_SIDE}, found {:?}", self.frame));
        }
        if !fits(x, width, self.frame[0]) || !fits(y, height, self.frame[1]) {
            return Some(format!("anomaly.alignment.mark reaches beyond the frame, found {:?}", self.mark));
        }
        let range = 0.0..=1.0;
        let found = self.correlation;
        (!range.contains(&found)).then(|| format!("anomaly.alignment.correlation must lie in 0..1, found {found}"))
    }
}

/// How far a part may lie from where it was taught, to both sides: `shift=8%,turn=5deg,scale=0%`.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct AlignWithin(Tolerance);

impl AlignWithin {
    /// Shift, in percent of the frame's width and height.
    pub fn shift(&self) -> f64 {
        self.0.shift
    }

    /// Rotation, in degrees.
    pub fn turn(&self) -> f64 {
        self.0.turn
    }

    /// Change of size, in percent.
    pub fn scale(&self) -> f64 {
        self.0.scale
    }
}

impl Default for AlignWithin {
    /// What parts on a belt do.
    fn default() -> AlignWithin {
        AlignWithin(Tolerance { shift: 8.0, turn: 5.0, ..Tolerance::default() })
    }
}

impl FromStr for AlignWithin {
    type Err = String;

    /// Reads the form in which it is displayed.
    fn from_str(text: &str) -> Result<AlignWithin, String> {
        let within: Tolerance = text.parse()?;
        if within.light > 0.0 {
            return Err(
                "light cannot be brought into place: state it as --tolerance; an example: shift=8%,turn=5deg".into()
            );
        }
        Ok(AlignWithin(within))
    }
}

impl Display for AlignWithin {
    fn fmt(&self, out: &mut Formatter) -> fmt::Result {
        self.0.fmt(out)
    }
}

impl TryFrom<String> for AlignWithin {
    type Error = String;

    fn try_from(text: String) -> Result<AlignWithin, String> {
        text.parse()
    }
}

impl From<AlignWithin> for String {
    fn from(within: AlignWithin) -> String {
        within.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_read_as_it_is_displayed_and_light_is_refused() {
        assert_eq!(AlignWithin::default().to_string(), "shift=8%,turn=5deg");
        for text in ["shift=8%,turn=5deg", "turn=2.5deg", "shift=1%,turn=1deg,scale=3%"] {
            assert_eq!(text.parse::<AlignWithin>().unwrap().to_string(), text);
        }
        assert!("light=5%".parse::<AlignWithin>().unwrap_err().contains("--tolerance"));
        assert!("shift=50%".parse::<AlignWithin>().unwrap_err().contains("shift takes 0% to 20%"));
    }

    #[test]
    fn it_is_written_and_read_back_and_faults_are_named() {
        let section = AlignmentSection {
            frame: [640, 480],
            mark: [160, 120, 320, 240],
            within: AlignWithin::default(),
            correlation: 0.625,
            template: "alignment.png".into(),
            weights: "alignment-weights.png".into(),
        };
        let text = toml::to_string(&section).unwrap();
        assert_eq!(toml::from_str::<AlignmentSection>(&text).unwrap(), section, "{text}");
        assert_eq!(section.fault(), None);
        for (changed, problem) in [
            (AlignmentSection { frame: [8, 480], ..section.clone() }, "frame must lie in 32..16384"),
            (AlignmentSection { mark: [400, 0, 241, 100], ..section.clone() }, "mark reaches beyond the frame"),
            (AlignmentSection { mark: [usize::MAX, 0, 2, 2], ..section.clone() }, "mark reaches beyond the frame"),
            (AlignmentSection { correlation: f64::NAN, ..section.clone() }, "correlation must lie in 0..1"),
        ] {
            assert!(changed.fault().unwrap().contains(problem), "{problem}");
        }
    }
}
