//! The kinds of defects that stand out: how each is drawn.

use super::Kind;
use super::faint::{crack, shade};
use super::fill::{Defect, Fill, Frame, Layers, Piece};
use super::random::Random;
use super::shapes::Ellipse;
use std::f64::consts::{PI, TAU};

/// Draws one defect: its mask into the layers, and what is under it. `None` where the draw came to nothing.
pub(super) fn draw(kind: Kind, frame: &Frame, random: &mut Random, layers: &mut Layers) -> Option<Defect> {
    match kind {
        Kind::Spot => Some(spot(frame, random, layers)),
        Kind::Scratch => scratch(frame, random, layers),
        Kind::Paste => paste(frame, random, layers),
        Kind::Region => Some(region(frame, random, layers)),
        Kind::Texture => Some(texture(frame, random, layers)),
        Kind::Bite => Some(bite(frame, random, layers)),
        Kind::Stain => stain(frame, random, layers),
        Kind::Crack => crack(frame, random, layers),
        Kind::Shade => Some(shade(frame, random, layers)),
    }
}

fn spot(frame: &Frame, random: &mut Random, layers: &mut Layers) -> Defect {
    let radius = random.octaves(0.012, 0.06) * frame.side;
    let stretch = random.octaves(1.0, 3.0).sqrt();
    let (x, y) = (random.unit() * frame.size.0 as f64, random.unit() * frame.size.1 as f64);
    let of = Ellipse {
        x,
        y,
        across: (radius * stretch).max(1.5),
        down: (radius / stretch).max(1.5),
        angle: random.unit() * PI,
        wobble: 0.25,
        soft: 1.2,
    };
    ellipse(frame, &of, random, layers);
    let factor = if random.chance(2.0 / 3.0) { random.between(0.25, 0.7) } else { random.between(1.3, 1.9) };
    grain(layers, 3.0 * frame.unit, random);
    let level = frame.mean_around(x, y, 2.0 * radius).map(|mean| mean * factor);
    Defect { fill: Fill::Flat { level, grain: frame.deviation.map(|d| d * 0.2) }, cut: 0.5 }
}

fn scratch(frame: &Frame, random: &mut Random, layers: &mut Layers) -> Option<Defect> {
    let length = random.octaves(0.12, 0.6) * frame.side;
    let (mut x, mut y) = (random.unit() * frame.size.0 as f64, random.unit() * frame.size.1 as f64);
    let mut angle = random.unit() * TAU;
    let bend = random.normal() * 0.5 / length;
    // The same line at any size of frame: 0.06 radians a unit of way, which add up as their squares.
    let jitter = 0.06 / frame.unit.sqrt();
    layers.path.clear();
    let inside = |x: f64, y: f64| x >= 0.0 && y >= 0.0 && x < frame.size.0 as f64 && y < frame.size.1 as f64;
    let mut seen = 0;
    for _ in 0..length as usize + 2 {
        layers.path.push((x, y));
        seen += usize::from(inside(x, y));
        angle += bend + random.normal() * jitter;
        let (sine, cosine) = libm::sincos(angle);
        (x, y) = (x + cosine, y + sine);
    }
    if seen < 5 {
        return None;
    }
    layers.mask.line(frame.size, &layers.path, random.octaves(0.8, 2.5) * frame.unit);
    grain(layers, 6.0 * frame.unit, random);
    layers.mask.thin(&layers.grain, |noise| 0.75 + 0.35 * noise);
    let factor = if random.chance(0.8) { random.between(0.3, 0.75) } else { random.between(1.25, 1.6) };
    Some(Defect { fill: Fill::Scaled(factor), cut: 0.3 })
}

fn paste(frame: &Frame, random: &mut Random, layers: &mut Layers) -> Option<Defect> {
    let foreign = random.chance(0.5);
    let turned = random.chance(0.5);
    let backwards = [random.chance(0.5), random.chance(0.5)];
    let from = if foreign { frame.donor } else { frame.source };
    let (across, down) = if turned { (from.height(), from.width()) } else { (from.width(), from.height()) };
    // A picture and its mirror image are one period.
    let start = [random.below(2 * across), random.below(2 * down)];
    let of = Ellipse::random(frame.size, (0.05, 0.25), 1.5 * frame.unit, random);
    ellipse(frame, &of, random, layers);
    let matched = random.chance(0.5);
    let piece = Piece { foreign, turned, backwards, start, matched };
    (layers.mask.count_above(0.5) >= 8).then_some(Defect { fill: Fill::Pasted(piece), cut: 0.5 })
}

fn region(frame: &Frame, random: &mut Random, layers: &mut Layers) -> Defect {
    let soft = random.octaves(0.8, 12.0) * frame.unit;
    patch(frame, (0.1, 0.4), soft, random, layers);
    let factor = random.octaves(1.12, 1.7);
    Defect { fill: Fill::Scaled(if random.chance(0.5) { factor } else { 1.0 / factor }), cut: 0.5 }
}

fn texture(frame: &Frame, random: &mut Random, layers: &mut Layers) -> Defect {
    patch(frame, (0.08, 0.35), 2.0 * frame.unit, random, layers);
    let factor = random.between(0.85, 1.18);
    let fill = match random.below(3) {
        0 => Fill::Blurred { sigma: random.octaves(1.2, 4.0) * frame.unit, factor },
        1 => Fill::Roughened { contrast: random.between(1.7, 3.0), factor },
        _ => {
            let strength = random.octaves(0.7, 2.0);
            let cell = random.octaves(1.5, 5.0) * frame.unit;
            grain(layers, cell, random);
            Fill::Grained { strength, factor }
        }
    };
    Defect { fill, cut: 0.5 }
}

fn bite(frame: &Frame, random: &mut Random, layers: &mut Layers) -> Defect {
    let (last_x, last_y) = (frame.size.0 as f64 - 1.0, frame.size.1 as f64 - 1.0);
    let side = random.below(4);
    let radius = random.octaves(0.04, 0.16) * frame.side;
    let along = radius * random.octaves(0.5, 3.0);
    let place = random.unit();
    let (x, y, across, down) = match side {
        0 => (place * last_x, 0.0, along, radius),
        1 => (place * last_x, last_y, along, radius),
        2 => (0.0, place * last_y, radius, along),
        _ => (last_x, place * last_y, radius, along),
    };
    let angle = random.normal() * 0.2;
    ellipse(frame, &Ellipse { x, y, across, down, angle, wobble: 0.25, soft: 1.5 * frame.unit }, random, layers);
    let factor = random.between(0.05, 0.75);
    grain(layers, 8.0 * frame.unit, random);
    let level = frame.mean.map(|mean| mean * factor);
    Defect { fill: Fill::Flat { level, grain: frame.deviation.map(|d| d * 0.3) }, cut: 0.5 }
}

fn stain(frame: &Frame, random: &mut Random, layers: &mut Layers) -> Option<Defect> {
    let cell = random.octaves(0.06, 0.25) * frame.side;
    let least = random.between(0.9, 1.5) as f32;
    let of = Ellipse::random(frame.size, (0.2, 0.6), 20.0 * frame.unit, random);
    ellipse(frame, &of, random, layers);
    let (width, height) = (layers.mask.area.width, layers.mask.area.height);
    layers.noise.render(width, height, cell, random, &mut layers.coarse);
    grain(layers, 8.0 * frame.unit, random);
    for (coarse, fine) in layers.coarse.iter_mut().zip(&layers.grain) {
        *coarse += 0.4 * fine;
    }
    layers.mask.thin(&layers.coarse, |noise| (noise - least) * 4.0 + 0.5);
    let factor = if random.chance(0.7) { random.between(0.35, 0.8) } else { random.between(1.2, 1.7) };
    (layers.mask.count_above(0.5) >= 30).then_some(Defect { fill: Fill::Scaled(factor), cut: 0.5 })
}

/// A patch with straight edges or a round one, as likely.
fn patch(frame: &Frame, radius: (f64, f64), soft: f64, random: &mut Random, layers: &mut Layers) {
    if random.chance(0.5) {
        let Layers { mask, noise, grain, .. } = layers;
        mask.polygon(frame.size, soft, frame.unit, noise, grain, random);
    } else {
        ellipse(frame, &Ellipse::random(frame.size, radius, soft, random), random, layers);
    }
}

fn ellipse(frame: &Frame, of: &Ellipse, random: &mut Random, layers: &mut Layers) {
    layers.mask.ellipse(frame.size, of, &mut layers.noise, &mut layers.grain, random);
}

/// Renders the grain over the mask's area.
pub(super) fn grain(layers: &mut Layers, cell: f64, random: &mut Random) {
    layers.noise.render(layers.mask.area.width, layers.mask.area.height, cell, random, &mut layers.grain);
}
