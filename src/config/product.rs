//! `[[product]]`: what else than one product a line may be asked to inspect; `[products]`: how one is chosen.

use super::{Config, ConfigError, ControlValue, Violation, check_range, region};
use crate::board::{LineAddress, LineName};
use crate::pipeline::ChosenProduct;
use crate::task::anomaly::{RegionError, RegionShape, RegionSpec};
use serde::Deserialize;
use std::collections::BTreeMap;
use toml::Spanned;

/// The most products of a line, and lines that choose one.
const MOST: usize = 64;
const MOST_LINES: usize = 16;

/// `[[product]]`: a bundle, and the words by which it is chosen.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub struct ProductConfig {
    /// Its name in records, and for people.
    pub name: Spanned<String>,
    /// Its number for machines, 1 to 65535: lines that are all off say 0.
    pub code: Spanned<u16>,
    /// A bundle's name or folder.
    pub bundle: Spanned<String>,
    /// Replaces the bundle's threshold, 0..1.
    pub threshold: Option<Spanned<f64>>,
    /// How many of 1000 normal frames may raise an alarm; sets the threshold.
    pub false_alarms: Option<Spanned<f64>>,
    /// The part of the frame that is inspected; absent: what the bundle was taught with.
    #[serde(default, deserialize_with = "region::shapes")]
    pub region: Option<Spanned<Vec<RegionShape>>>,
    /// Controls of `[source.camera]` that it needs, over those that are stated there.
    #[serde(default)]
    pub controls: BTreeMap<Spanned<String>, ControlValue>,
}

/// `[products]`: how one of them is chosen.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "a table")]
pub struct ProductsConfig {
    /// The name of the product that a line starts with; absent: the first.
    pub start: Option<Spanned<String>>,
    /// Start with the product that was chosen last.
    pub remember: bool,
    /// The GPIO chip of the lines; not needed for lines with names.
    pub chip: Option<String>,
    /// GPIO lines that give the code of the product, the lowest bit first.
    pub lines: Spanned<Vec<LineName>>,
    /// How long the lines must stand still before their code counts, in milliseconds.
    pub settle_ms: Spanned<f64>,
    /// So many frames after the camera's controls were changed for another product are not judged.
    pub settle_frames: Spanned<u32>,
    /// What a run before was asked for.
    #[serde(skip)]
    chosen: Option<ChosenProduct>,
}

impl Default for ProductsConfig {
    fn default() -> Self {
        ProductsConfig {
            start: None,
            remember: false,
            chip: None,
            lines: Spanned::new(0..0, Vec::new()),
            settle_ms: Spanned::new(0..0, 50.0),
            settle_frames: Spanned::new(0..0, 4),
            chosen: None,
        }
    }
}

impl ProductConfig {
    /// The threshold that replaces the bundle's, where there is one.
    pub fn wanted_threshold(&self) -> Option<f64> {
        let rate = self.false_alarms.as_ref().map(|rate| 1.0 - rate.get_ref() / 1000.0);
        self.threshold.as_ref().map(|threshold| *threshold.get_ref()).or(rate)
    }

    /// The region that it asks for; `None`: what the bundle was taught with.
    ///
    /// # Errors
    /// [`RegionError`]: [`Config::product_region_error`] says where.
    pub fn region(&self) -> Result<Option<RegionSpec>, RegionError> {
        let Some(shapes) = &self.region else { return Ok(None) };
        RegionSpec::read(shapes.get_ref().clone(), None).map(Some)
    }
}

impl ProductsConfig {
    /// The addresses of the lines, the lowest bit first.
    pub fn addresses(&self) -> impl Iterator<Item = LineAddress<'_>> {
        self.lines.get_ref().iter().map(|line| LineAddress { chip: self.chip.as_deref(), line })
    }
}

impl Config {
    /// The product that the next run starts with.
    pub fn first_product(&self) -> ChosenProduct {
        if self.product.is_empty() {
            return ChosenProduct::Without;
        }
        let start = self.products.start.as_ref();
        let stated = start.map_or(Some(0), |name| self.product_named(name.get_ref()));
        self.products.chosen.unwrap_or(stated.map_or(ChosenProduct::Unknown, ChosenProduct::Known))
    }

    /// Starts the next run with the product of a name instead; `None`: with one that is unknown, as a name that no product has is.
    pub fn start_with(&mut self, name: Option<&str>) {
        let known = name.and_then(|name| self.product_named(name));
        self.products.chosen = Some(known.map_or(ChosenProduct::Unknown, ChosenProduct::Known));
    }

    /// Starts the next run with the product that was asked for last with another configuration, where that had products, and with its alarm, where
    /// that waits to be acknowledged.
    pub fn continue_with(&mut self, before: &Config) {
        self.start_latched(before.alarm.as_ref().is_some_and(|alarm| alarm.latched));
        match before.products.chosen {
            Some(ChosenProduct::Known(at)) => {
                self.start_with(before.product.get(at).map(|product| product.name.get_ref().as_str()));
            }
            Some(ChosenProduct::Unknown) => self.start_with(None),
            Some(ChosenProduct::Without) | None => {}
        }
    }

    /// Leaves a product out, and starts the next run with one that is unknown; the last one stays.
    pub fn leave_out(&mut self, name: &str) {
        if self.product.len() > 1 {
            self.product.retain(|product| product.name.get_ref() != name);
        }
        self.start_with(None);
    }

    fn product_named(&self, name: &str) -> Option<usize> {
        self.product.iter().position(|product| product.name.get_ref() == name)
    }

    /// An error about a product's region, with the file and line where it is set.
    pub fn product_region_error(&self, product: &ProductConfig, error: &RegionError) -> ConfigError {
        let problem = format!("product.region of \"{}\": {error}", product.name.get_ref());
        match &product.region {
            Some(region) => self.error_at(region, problem),
            None => self.error_at(&product.name, problem),
        }
    }

    /// What is wrong with the products, if anything.
    pub(super) fn product_problem(&self) -> Option<Violation> {
        let ProductsConfig { start, lines, settle_ms, settle_frames, .. } = &self.products;
        let Some(first) = self.product.first() else {
            let start = start.as_ref().map(|start| ("start", start.span().start));
            let given = Some(("lines", lines.span().start)).filter(|_| !lines.get_ref().is_empty());
            let (key, at) = start.or(given)?;
            return Some((at, format!("products.{key}: there is no [[product]] to choose")));
        };
        let line = self.origin.line_of(first.name.span().start);
        let anomaly = &self.anomaly;
        let shorts = [
            // Where it is not set it lies nowhere in the file.
            Some(("anomaly.bundle", anomaly.bundle.span())).filter(|(_, span)| !span.is_empty()),
            anomaly.threshold.as_ref().map(|value| ("anomaly.threshold", value.span())),
            anomaly.false_alarms.as_ref().map(|value| ("anomaly.false_alarms", value.span())),
            anomaly.region.as_ref().map(|value| ("anomaly.region", value.span())),
            anomaly.ignore.as_ref().map(|value| ("anomaly.ignore", value.span())),
            self.task.first().map(|task| ("[[task]]", task.name.span())),
            self.heat.smaller.as_ref().map(|smaller| ("[heat.smaller]", smaller.width.span())),
        ];
        if let Some((key, span)) = shorts.into_iter().flatten().next() {
            return Some((
                span.start,
                format!("{key}: line {line} has a [[product]], each of which has a bundle of its own: state it there"),
            ));
        }
        if let Some(beyond) = self.product.get(MOST) {
            return Some((beyond.name.span().start, format!("a line has at most {MOST} products, this is one more")));
        }
        let problem = self.product.iter().enumerate().find_map(|(at, product)| self.problem_of_product(at, product));
        if problem.is_some() {
            return problem;
        }
        if let Some(start) = start.as_ref().filter(|start| self.product_named(start.get_ref()).is_none()) {
            return Some((start.span().start, format!("products.start: there is no product \"{}\"", start.get_ref())));
        }
        if lines.get_ref().len() > MOST_LINES {
            return Some((lines.span().start, format!("products.lines has more than {MOST_LINES} lines")));
        }
        let twice = lines.get_ref().iter().enumerate().find(|(at, line)| lines.get_ref()[..*at].contains(line));
        if let Some((_, twice)) = twice {
            let address = LineAddress { chip: None, line: twice };
            return Some((lines.span().start, format!("products.lines has {address} twice: each bit needs its own")));
        }
        check_range(settle_ms, "products.settle_ms", 1.0, 10_000.0)
            .or_else(|| check_range(settle_frames, "products.settle_frames", 0, 100))
            .or_else(|| self.unreachable_code())
            .or_else(|| self.controls_problem())
    }

    fn problem_of_product(&self, at: usize, product: &ProductConfig) -> Option<Violation> {
        let (name, code) = (product.name.get_ref(), product.code.get_ref());
        let is_word = |c: char| c.is_alphanumeric() || "-_.".contains(c);
        if name.is_empty() || name.len() > 64 || !name.chars().all(is_word) {
            let problem = format!("product.name \"{name}\": letters, digits, - _ and . are wanted, 64 at most");
            return Some((product.name.span().start, problem));
        }
        if name == ChosenProduct::UNKNOWN_NAME {
            let problem =
                format!("product.name \"{name}\" is what records say of a product that there is not: take another");
            return Some((product.name.span().start, problem));
        }
        let line_of = |other: &ProductConfig| self.origin.line_of(other.name.span().start);
        if let Some(other) = self.product[..at].iter().find(|other| other.name.get_ref() == name) {
            let problem = format!("product.name \"{name}\": the product on line {} has this name", line_of(other));
            return Some((product.name.span().start, problem));
        }
        if *code == 0 {
            let problem = "product.code 0 is what lines say that are all off, or broken: take one from 1 on";
            return Some((product.code.span().start, problem.into()));
        }
        if let Some(other) = self.product[..at].iter().find(|other| other.code.get_ref() == code) {
            let (named, line) = (other.name.get_ref(), line_of(other));
            let problem = format!("product.code {code} is that of \"{named}\" on line {line}, too: each needs its own");
            return Some((product.code.span().start, problem));
        }
        let (threshold, rate) = (product.threshold.as_ref(), product.false_alarms.as_ref());
        threshold
            .and_then(|value| check_range(value, "product.threshold", 0.0, 1.0))
            .or_else(|| rate.and_then(|value| check_range(value, "product.false_alarms", 0.01, 500.0)))
            .or_else(|| {
                let both = threshold.and(rate)?;
                Some((both.span().start, "product.threshold is set, too: each determines the other".into()))
            })
    }

    /// A code that the lines cannot give.
    fn unreachable_code(&self) -> Option<Violation> {
        let lines = self.products.lines.get_ref().len() as u32;
        if lines == 0 {
            return None;
        }
        let beyond = self.product.iter().find(|product| u32::from(*product.code.get_ref()) >> lines > 0)?;
        let (code, most) = (beyond.code.get_ref(), (1u32 << lines) - 1);
        let problem = format!("product.code {code}: {lines} lines (products.lines) give codes up to {most}");
        Some((beyond.code.span().start, problem))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::camera::ControlSetting;
    use std::path::Path;

    const TWO: &str = "[[product]]\nname = \"cap\"\ncode = 1\nbundle = \"caps\"\n\
                       [[product]]\nname = \"lid\"\ncode = 2\nbundle = \"lids\"\nfalse_alarms = 10\n";

    fn parse(text: &str) -> Result<Config, String> {
        let source = if text.contains("[source.camera]") { "" } else { "[source.pattern]" };
        let text = format!("{source}\n{text}\n");
        Config::parse(&text, Path::new("line.toml")).map_err(|error| error.to_string())
    }

    #[test]
    fn a_line_starts_with_the_first_the_stated_or_the_last_product() {
        let mut config = parse(TWO).unwrap();
        assert_eq!(config.product[1].wanted_threshold(), Some(0.99));
        assert_eq!(config.first_product(), ChosenProduct::Known(0));
        config.start_with(Some("lid"));
        assert_eq!(config.first_product(), ChosenProduct::Known(1));
        for unknown in [Some("nut"), None] {
            config.start_with(unknown);
            assert_eq!(config.first_product(), ChosenProduct::Unknown);
        }
        let stated = parse(&format!("{TWO}[products]\nstart = \"lid\"")).unwrap();
        assert_eq!(stated.first_product(), ChosenProduct::Known(1));
        assert_eq!(parse("").unwrap().first_product(), ChosenProduct::Without);
    }

    #[test]
    fn each_mistake_is_named_with_its_line() {
        let with = |more: &str| format!("{TWO}{more}");
        let camera = |more: &str| format!("{TWO}{more}\n[source.camera]\ndevice = \"0\"");
        for (text, expected) in [
            (TWO.replace("code = 2", "code = 1"), "line.toml:8: product.code 1 is that of \"cap\" on line 3, too"),
            (TWO.replace("\"lid\"", "\"cap\""), "line.toml:7: product.name \"cap\": the product on line 3"),
            (TWO.replace("code = 2", "code = 0"), "line.toml:8: product.code 0 is what lines say that are all off"),
            (TWO.replace("code = 2", "code = 65536"), "line.toml:8: "),
            (TWO.replace("\"lid\"", "\"l d\""), "line.toml:7: product.name \"l d\": letters"),
            (TWO.replace("false_alarms = 10", "threshold = 2"), "line.toml:10: product.threshold must lie in 0..1"),
            (TWO.replace("= 10", "= 10\nthreshold = 0.5"), "line.toml:10: product.threshold is set, too"),
            (TWO.replace("= 10", "= 10\nregion = \"1,2\""), "line.toml:11: region: \"1,2\": 2 numbers"),
            (with("[anomaly]\nbundle = \"x\""), "line.toml:12: anomaly.bundle: line 3 has a [[product]]"),
            (with("[[task]]\nname = \"a\"\nbundle = \"x\""), "[[task]]: line 3 has a [[product]]"),
            (with("[products]\nstart = \"nut\""), "line.toml:12: products.start: there is no product \"nut\""),
            (
                with("[products]\nlines = [\"A\"]"),
                "line.toml:8: product.code 2: 1 lines (products.lines) give codes up to 1",
            ),
            (with("[products]\nlines = [\"A\", \"A\"]"), "line.toml:12: products.lines has line \"A\" twice"),
            (
                with("[products]\nlines = [\"A\", \"B\"]\n[trigger]\nline = \"B\""),
                "line.toml:12: products.lines: line \"B\" is trigger.line, too",
            ),
            (with("[products]\nlines = [5, 6]"), "line.toml:12: products.lines: number 5 of which chip?"),
            (with("[products]\nsettle_frames = 101"), "line.toml:12: products.settle_frames must lie in 0..100"),
            (with("controls = { gain = 3 }"), "line.toml:11: product.controls: only a [source.camera] has controls"),
            (camera("controls = { gain = 3 }"), "product.controls.gain of \"lid\": product \"cap\" does not state it"),
            (camera("controls = { gane = 3 }"), "product.controls has no \"gane\"; there is "),
            (
                camera("controls = { zoom = \"auto\" }\n[source.camera.controls]\nzoom = 3"),
                "product.controls.zoom takes a number",
            ),
            (with("[products]\nsettle_ms = 0"), "line.toml:12: products.settle_ms must lie in 1..10000"),
            ("[products]\nstart = \"cap\"".into(), "line.toml:3: products.start: there is no [[product]] to choose"),
        ] {
            let message = parse(&text).unwrap_err();
            assert!(message.contains(expected), "{text}: {message}");
        }
        assert!(parse(&with("[products]\nlines = [\"A\", \"B\"]\nremember = true")).is_ok());
        assert!(parse(&with("[anomaly]\nskip_similar = 2")).is_ok());
        assert!(parse(&with("")).unwrap().product_controls().is_none());
        let config =
            parse(&camera("controls = { gain = 3 }\n[source.camera.controls]\ngain = 5\nfocus = \"auto\"")).unwrap();
        let (sets, settle) = config.product_controls().unwrap();
        let set =
            |gain| vec![("focus".to_string(), ControlSetting::Auto), ("gain".to_string(), ControlSetting::Value(gain))];
        assert_eq!((sets, settle.as_secs_f64()), (vec![set(5), set(3)], 0.4), "four frames at ten a second");
    }
}
