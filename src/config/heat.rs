//! `[heat]`: what is given up while the board is too hot.

use super::{Config, Outside, Source, outside, pixels};
use crate::board::heat::{Rung, Terms};
use crate::task::super_resolution::When;
use serde::Deserialize;
use std::path::PathBuf;
use std::time::Duration;
use toml::Spanned;

/// What is given up while the board is too hot. The temperature is logged in any case.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Heat {
    /// Whether anything is given up at all. Off, because a lower rate may let a part pass that nobody looked at, and the
    /// firmware of a board protects it anyway.
    pub degrade: Spanned<bool>,
    /// Too hot from here on, in °C. A Raspberry Pi slows itself down from 80 on.
    pub limit: Spanned<f64>,
    /// Cool from so many degrees below the limit on.
    pub hysteresis: Spanned<f64>,
    /// One rung up after so many seconds of too hot on end.
    pub climb_s: Spanned<f64>,
    /// One rung down after so many seconds of cool on end.
    pub descend_s: Spanned<f64>,
    /// The rung `rate`: every how many frames one is inspected.
    pub every: Spanned<usize>,
    /// The rung `size`; without it there is none.
    pub smaller: Option<Smaller>,
    /// Where the kernel shows the board; elsewhere than in `/sys` where that of the host is mounted into a container.
    pub sysfs: PathBuf,
}

/// Smaller frames, and a bundle that was taught with such ones: what is normal in a frame depends on its size.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Smaller {
    /// Width of a smaller frame in pixels.
    pub width: Spanned<usize>,
    /// Height of a smaller frame in pixels.
    pub height: Spanned<usize>,
    /// A bundle's name or folder.
    pub bundle: String,
}

impl Default for Heat {
    fn default() -> Self {
        let number = |value| Spanned::new(0..0, value);
        Heat {
            degrade: Spanned::new(0..0, false),
            limit: number(75.0),
            hysteresis: number(5.0),
            climb_s: number(10.0),
            descend_s: number(60.0),
            every: pixels::<2>(),
            smaller: None,
            sysfs: "/sys".into(),
        }
    }
}

impl Heat {
    /// When the ladder is climbed.
    pub fn terms(&self) -> Terms {
        Terms {
            limit: *self.limit.get_ref(),
            hysteresis: *self.hysteresis.get_ref(),
            climb: Duration::from_secs_f64(*self.climb_s.get_ref()),
            descend: Duration::from_secs_f64(*self.descend_s.get_ref()),
        }
    }
}

impl Smaller {
    /// Width and height.
    pub fn size(&self) -> (usize, usize) {
        (*self.width.get_ref(), *self.height.get_ref())
    }
}

impl Config {
    /// What can be given up, in this order. With a trigger every frame is a part, so none may be left out; and where only
    /// spots on defects are enlarged, there is little to save.
    pub fn rungs(&self) -> Vec<Rung> {
        if !self.heat.degrade.get_ref() {
            return Vec::new();
        }
        let rate = self.trigger.is_none().then_some(Rung::Rate);
        let spots = (self.super_resolution.when == When::Always).then_some(Rung::Spots);
        let size = self.heat.smaller.as_ref().map(|_| Rung::Size);
        [rate, spots, size].into_iter().flatten().collect()
    }

    /// The first value of `[heat]` that is out of range or cannot be.
    pub(super) fn heat_problem(&self) -> Option<Outside> {
        let heat = &self.heat;
        outside(&heat.limit, "heat.limit", 20.0, 120.0)
            .or_else(|| outside(&heat.hysteresis, "heat.hysteresis", 0.5, 50.0))
            .or_else(|| outside(&heat.climb_s, "heat.climb_s", 1.0, 3600.0))
            .or_else(|| outside(&heat.descend_s, "heat.descend_s", 1.0, 86_400.0))
            .or_else(|| outside(&heat.every, "heat.every", 2, 100))
            .or_else(|| self.smaller_problem(heat.smaller.as_ref()?))
            .or_else(|| {
                let nothing = *heat.degrade.get_ref() && self.rungs().is_empty();
                let problem = "heat.degrade has nothing to give up: with [trigger] no frame may be left out, and only \
                               spots on defects are enlarged; add [heat.smaller], or leave it off";
                nothing.then(|| (heat.degrade.span().start, problem.into()))
            })
    }

    fn smaller_problem(&self, smaller: &Smaller) -> Option<Outside> {
        let at = smaller.width.span().start;
        if !self.heat.degrade.get_ref() {
            return Some((at, "heat.smaller does nothing without heat.degrade = true".into()));
        }
        let (width, height) = match &self.source {
            Source::Folder(_) => {
                let problem = "heat.smaller needs a source that can give smaller frames: [source.camera]";
                return Some((at, problem.into()));
            }
            Source::Camera(camera) => (*camera.width.get_ref(), *camera.height.get_ref()),
            Source::Pattern(pattern) => (*pattern.width.get_ref(), *pattern.height.get_ref()),
        };
        outside(&smaller.width, "heat.smaller.width", 32, width)
            .or_else(|| outside(&smaller.height, "heat.smaller.height", 32, height))
            .or_else(|| {
                let same = smaller.size() == (width, height);
                same.then(|| (at, format!("heat.smaller is {width}x{height}, as large as the source's frames")))
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn rungs(more: &str) -> Vec<Rung> {
        let text = format!("[source.pattern]\n{more}");
        Config::parse(&text, Path::new("line.toml")).unwrap().rungs()
    }

    #[test]
    fn a_line_has_the_rungs_that_it_can_give_up() {
        let always = "[super_resolution]\nwhen = \"always\"\n";
        let trigger = "[trigger]\nline = \"PART\"\n";
        let heat = "[heat]\ndegrade = true\n";
        let smaller = "[heat.smaller]\nwidth = 320\nheight = 240\nbundle = \"small\"\n";
        assert_eq!(rungs(""), []);
        assert_eq!(rungs("[heat]\nlimit = 60\n"), []);
        assert_eq!(rungs(heat), [Rung::Rate]);
        assert_eq!(rungs(&format!("{always}{heat}")), [Rung::Rate, Rung::Spots]);
        assert_eq!(rungs(&format!("{always}{heat}{smaller}")), [Rung::Rate, Rung::Spots, Rung::Size]);
        assert_eq!(rungs(&format!("{trigger}{heat}{smaller}")), [Rung::Size], "no part without its frame");
    }

    #[test]
    fn a_board_that_says_nothing_has_sensible_terms() {
        let heat = Heat::default();
        let Terms { limit, hysteresis, climb, descend } = heat.terms();
        assert!(limit < 80.0 && limit - hysteresis > 60.0, "below what slows a Raspberry Pi down, above a warm hall");
        assert!(climb < descend && !heat.degrade.get_ref());
        assert_eq!(heat.sysfs, Path::new("/sys"));
    }
}
