//! `[heat]`: how the load is reduced while the board is too hot.

use super::{Config, Source, Violation, check_range, pixels};
use crate::board::heat::{DegradeStep, ThrottleLimits};
use crate::task::super_resolution::When;
use serde::Deserialize;
use std::path::PathBuf;
use std::time::Duration;
use toml::Spanned;

/// `[heat]`: how the load is reduced while the board is too hot. The temperature is recorded in any case.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "a table")]
pub struct HeatConfig {
    /// Whether the load is reduced at all. Off by default, because a lower rate may let a part pass uninspected, and the firmware of
    /// a board protects it anyway.
    pub degrade: Spanned<bool>,
    /// Too hot from this temperature on, in °C. A Raspberry Pi slows itself down from 80 on.
    pub limit: Spanned<f64>,
    /// Cool from this many degrees below the limit on.
    pub hysteresis: Spanned<f64>,
    /// One step more after this many seconds too hot without interruption.
    pub climb_s: Spanned<f64>,
    /// One step less after this many seconds cool without interruption.
    pub descend_s: Spanned<f64>,
    /// The step `rate`: one of this many frames is inspected.
    pub every: Spanned<usize>,
    /// The step `size`; absent: there is no such step.
    pub smaller: Option<SmallerConfig>,
    /// Where sysfs is mounted; another path than `/sys` where the host's is mounted into a container.
    pub sysfs: PathBuf,
}

/// `[heat.smaller]`: smaller frames, and a bundle that was taught with frames of that size.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub struct SmallerConfig {
    /// Width of a smaller frame in pixels.
    pub width: Spanned<usize>,
    /// Height of a smaller frame in pixels.
    pub height: Spanned<usize>,
    /// A bundle's name or folder.
    pub bundle: Spanned<String>,
}

impl Default for HeatConfig {
    fn default() -> Self {
        let number = |value| Spanned::new(0..0, value);
        HeatConfig {
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

impl HeatConfig {
    /// When a step begins and ends.
    pub fn limits(&self) -> ThrottleLimits {
        ThrottleLimits {
            limit: *self.limit.get_ref(),
            hysteresis: *self.hysteresis.get_ref(),
            degrade_after: Duration::from_secs_f64(*self.climb_s.get_ref()),
            recover_after: Duration::from_secs_f64(*self.descend_s.get_ref()),
        }
    }
}

impl SmallerConfig {
    /// Width and height.
    pub fn size(&self) -> (usize, usize) {
        (*self.width.get_ref(), *self.height.get_ref())
    }
}

impl Config {
    /// The steps that can reduce this line's load, in this order. With a trigger every frame is a part, so none may be skipped; and
    /// where only the spots of defects are enlarged, there is little to save.
    pub fn degrade_steps(&self) -> Vec<DegradeStep> {
        if !self.heat.degrade.get_ref() {
            return Vec::new();
        }
        let rate = self.trigger.is_none().then_some(DegradeStep::Rate);
        let spots = (self.super_resolution.when == When::Always).then_some(DegradeStep::Spots);
        let size = self.heat.smaller.as_ref().map(|_| DegradeStep::Size);
        [rate, spots, size].into_iter().flatten().collect()
    }

    /// The first invalid value of `[heat]`.
    pub(super) fn heat_problem(&self) -> Option<Violation> {
        let heat = &self.heat;
        check_range(&heat.limit, "heat.limit", 20.0, 120.0)
            .or_else(|| check_range(&heat.hysteresis, "heat.hysteresis", 0.5, 50.0))
            .or_else(|| check_range(&heat.climb_s, "heat.climb_s", 1.0, 3600.0))
            .or_else(|| check_range(&heat.descend_s, "heat.descend_s", 1.0, 86_400.0))
            .or_else(|| check_range(&heat.every, "heat.every", 2, 100))
            .or_else(|| self.smaller_problem(heat.smaller.as_ref()?))
            .or_else(|| {
                let nothing = *heat.degrade.get_ref() && self.degrade_steps().is_empty();
                let problem = "heat.degrade has no step that it could take: with [trigger] no frame may be skipped, and only \
                               the spots of defects are enlarged; add [heat.smaller], or set it to false";
                nothing.then(|| (heat.degrade.span().start, problem.into()))
            })
    }

    fn smaller_problem(&self, smaller: &SmallerConfig) -> Option<Violation> {
        let at = smaller.width.span().start;
        if !self.heat.degrade.get_ref() {
            return Some((at, "heat.smaller has no effect without heat.degrade = true".into()));
        }
        if !self.view.view().is_plain() {
            let problem = "heat.smaller does not go with a source's rotate, flip or crop: its bundle would see other parts of a frame";
            return Some((at, problem.into()));
        }
        let (width, height) = match &self.source {
            Source::Camera(camera) => (*camera.width.get_ref(), *camera.height.get_ref()),
            Source::Pattern(pattern) => (*pattern.width.get_ref(), *pattern.height.get_ref()),
            _ => {
                let problem = "heat.smaller needs a source that can deliver smaller frames: [source.camera]";
                return Some((at, problem.into()));
            }
        };
        check_range(&smaller.width, "heat.smaller.width", 32, width)
            .or_else(|| check_range(&smaller.height, "heat.smaller.height", 32, height))
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

    fn steps(more: &str) -> Vec<DegradeStep> {
        let text = format!("[source.pattern]\n{more}");
        Config::parse(&text, Path::new("line.toml")).unwrap().degrade_steps()
    }

    #[test]
    fn a_line_has_the_steps_that_reduce_its_load() {
        let always = "[super_resolution]\nwhen = \"always\"\n";
        let trigger = "[trigger]\nline = \"PART\"\n";
        let heat = "[heat]\ndegrade = true\n";
        let smaller = "[heat.smaller]\nwidth = 320\nheight = 240\nbundle = \"small\"\n";
        assert_eq!(steps(""), []);
        assert_eq!(steps("[heat]\nlimit = 60\n"), []);
        assert_eq!(steps(heat), [DegradeStep::Rate]);
        assert_eq!(steps(&format!("{always}{heat}")), [DegradeStep::Rate, DegradeStep::Spots]);
        assert_eq!(
            steps(&format!("{always}{heat}{smaller}")),
            [DegradeStep::Rate, DegradeStep::Spots, DegradeStep::Size]
        );
        assert_eq!(steps(&format!("{trigger}{heat}{smaller}")), [DegradeStep::Size], "no part without its frame");
    }

    #[test]
    fn the_default_limits_are_sensible() {
        let heat = HeatConfig::default();
        let ThrottleLimits { limit, hysteresis, degrade_after, recover_after } = heat.limits();
        assert!(limit < 80.0 && limit - hysteresis > 60.0, "below what slows a Raspberry Pi down, above a warm hall");
        assert!(degrade_after < recover_after && !heat.degrade.get_ref());
        assert_eq!(heat.sysfs, Path::new("/sys"));
    }
}
