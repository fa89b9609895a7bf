//! Plots as SVG that scales with the page. Labels are HTML beside it, so that they stay readable on a phone.

use crate::humanize;
use crate::parser::Millis;
use maud::{Markup, html};
use std::fmt::Write as _;

/// Width of a plot in its own units.
const WIDE: f64 = 1000.0;
/// Height of a plot in its own units.
const HIGH: f64 = 100.0;

/// The time that all plots of a board share.
#[derive(Debug, Clone, Copy)]
pub struct Axis {
    /// Where it begins.
    pub from: Millis,
    /// Where it ends.
    pub to: Millis,
    /// How long a point lasts.
    pub width: Millis,
}

impl Axis {
    /// Where a time lies, in units.
    pub fn at(&self, time: Millis) -> f64 {
        ((time - self.from) as f64 / (self.to - self.from).max(1) as f64 * WIDE).clamp(0.0, WIDE)
    }
}

/// A plot in the making.
pub struct Plot {
    axis: Axis,
    title: String,
    /// Colours and their meaning.
    key: Vec<(&'static str, String)>,
    shapes: Vec<Markup>,
    low: f64,
    high: f64,
    labels: [String; 2],
    class: &'static str,
}

impl Plot {
    /// A plot of values from `low` to `high`, which are written beside it.
    pub fn new(axis: Axis, title: &str, (low, high): (f64, f64), labels: [String; 2]) -> Plot {
        Plot { axis, title: title.into(), key: Vec::new(), shapes: Vec::new(), low, high, labels, class: "" }
    }

    /// `low`, `tall` or as it is.
    pub fn class(mut self, class: &'static str) -> Plot {
        self.class = class;
        self
    }

    /// Explains a colour.
    pub fn key(&mut self, colour: &'static str, text: &str) {
        self.key.push((colour, text.into()));
    }

    fn height(&self, value: f64) -> f64 {
        HIGH - ((value - self.low) / (self.high - self.low).max(1e-9) * HIGH).clamp(0.0, HIGH)
    }

    /// A line; where nothing is known it is broken.
    pub fn line(&mut self, colour: &str, points: impl IntoIterator<Item = (Millis, Option<f64>)>) {
        let mut path = String::new();
        let mut last: Option<Millis> = None;
        for (time, value) in points {
            let Some(value) = value else { continue };
            let joined = last.is_some_and(|last| time - last <= 3 * self.axis.width);
            let x = self.axis.at(time + self.axis.width / 2);
            let _ = write!(path, "{}{x:.1} {:.1}", if joined { "L" } else { "M" }, self.height(value));
            if !joined {
                // A point alone is seen, too.
                let _ = write!(path, "h1");
            }
            last = Some(time);
        }
        self.shapes.push(html! {
            path d=(path) fill="none" stroke={ "var(" (colour) ")" } stroke-width="1.6" {}
        });
    }

    /// Columns from one height to another.
    pub fn columns(&mut self, colour: &str, columns: impl IntoIterator<Item = (Millis, f64, f64)>) {
        let mut path = String::new();
        for (time, from, to) in columns {
            let (left, right) = (self.axis.at(time), self.axis.at(time + self.axis.width));
            let (top, bottom) = (self.height(to), self.height(from));
            if bottom - top > 0.05 {
                let _ = write!(path, "M{left:.1} {top:.1}H{right:.1}V{bottom:.1}H{left:.1}z");
            }
        }
        if !path.is_empty() {
            self.shapes.push(html! { path d=(path) fill={ "var(" (colour) ")" } {} });
        }
    }

    /// Cells of equal opacity.
    pub fn cells(&mut self, colour: &str, opacity: f64, cells: impl IntoIterator<Item = (Millis, f64, f64)>) {
        let mut path = String::new();
        for (time, low, high) in cells {
            let (left, right) = (self.axis.at(time), self.axis.at(time + self.axis.width));
            let _ = write!(path, "M{left:.0} {:.0}H{right:.0}V{:.0}H{left:.0}z", self.height(high), self.height(low));
        }
        if !path.is_empty() {
            self.shapes.push(html! { path d=(path) fill={ "var(" (colour) ")" } fill-opacity=(opacity) {} });
        }
    }

    /// A limit across.
    pub fn limit(&mut self, value: f64) {
        let y = self.height(value);
        let y = format!("{y:.1}");
        self.shapes.push(html! { line.limit x1="0" x2=(WIDE) y1=(y) y2=(y) {} });
    }

    /// A vertical line at a time.
    pub fn mark(&mut self, time: Millis) {
        let x = self.axis.at(time);
        let x = format!("{x:.1}");
        self.shapes.push(html! { line.mark x1=(x) x2=(x) y1="0" y2=(HIGH) {} });
    }

    /// The plot as HTML.
    pub fn html(self) -> Markup {
        let Axis { from, to, .. } = self.axis;
        let span = Some((from, to));
        let middle = from + (to - from) / 2;
        let [low, high] = &self.labels;
        html! {
            figure {
                figcaption {
                    b { (self.title) }
                    @for (colour, text) in &self.key {
                        span.key { i style={ "background:var(" (colour) ")" } {} (text) }
                    }
                }
                div class={ "plot " (self.class) } {
                    div.y { span { (high) } span { (low) } }
                    svg viewBox={ "0 0 " (WIDE) " " (HIGH) } preserveAspectRatio="none" role="img" aria-label="plot" {
                        @if self.class != "low" {
                            line.grid x1="0" x2=(WIDE) y1="50" y2="50" {}
                        }
                        @for shape in &self.shapes { (shape) }
                    }
                    div.x {
                        @for time in [from, middle, to] {
                            span { (humanize::time_within(time, span)) }
                        }
                    }
                }
            }
        }
    }
}

/// The next of 1, 2, 5, 10, … that is not less.
pub fn round_up(value: f64) -> f64 {
    let ten = 10_f64.powf(value.max(1e-6).log10().floor());
    [1.0, 1.5, 2.0, 3.0, 5.0, 7.0, 10.0]
        .map(|step| step * ten)
        .into_iter()
        .find(|step| *step >= value * 0.999)
        .unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scales_end_at_round_numbers() {
        for (value, round) in [(0.9, 1.0), (1.2, 1.5), (41.0, 50.0), (96.0, 100.0), (100.0, 100.0), (134.2, 150.0)] {
            assert!((round_up(value) - round).abs() < 1e-9, "{value} {}", round_up(value));
        }
    }

    #[test]
    fn a_line_breaks_where_nothing_is_known() {
        let axis = Axis { from: 0, to: 1000, width: 10 };
        let mut plot = Plot::new(axis, "t", (0.0, 10.0), ["0".into(), "10".into()]);
        plot.line("--a", [(0, Some(5.0)), (10, Some(5.0)), (500, Some(10.0)), (510, None)]);
        let html = plot.html().into_string();
        assert_eq!(html.matches('M').count(), 2, "{html}");
        assert!(html.contains("L15.0 50.0"), "{html}");
    }
}
