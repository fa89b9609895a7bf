//! How each kind of defect is drawn; those that are hard to see are in `faint.rs`.

use super::defect_kind::DefectKind;
use super::faint::{crack, shade};
use super::fill::{Defect, Fill, PaintBuffers, Piece, SourceFrame};
use super::random::Random;
use super::shapes::Ellipse;
use std::f64::consts::{PI, TAU};

/// Draws a defect: its mask into the buffers; returns how the pixels under it change. `None` where the draw failed.
pub(super) fn draw(
    kind: DefectKind,
    frame: &SourceFrame,
    random: &mut Random,
    buffers: &mut PaintBuffers,
) -> Option<Defect> {
    match kind {
        DefectKind::Spot => Some(spot(frame, random, buffers)),
        DefectKind::Scratch => scratch(frame, random, buffers),
        DefectKind::Paste => paste(frame, random, buffers),
        DefectKind::Region => Some(region(frame, random, buffers)),
        DefectKind::Texture => Some(texture(frame, random, buffers)),
        DefectKind::Bite => Some(bite(frame, random, buffers)),
        DefectKind::Stain => stain(frame, random, buffers),
        DefectKind::Crack => crack(frame, random, buffers),
        DefectKind::Shade => Some(shade(frame, random, buffers)),
    }
}

fn spot(frame: &SourceFrame, random: &mut Random, buffers: &mut PaintBuffers) -> Defect {
    let radius = random.log_uniform(0.012, 0.06) * frame.side;
    let stretch = random.log_uniform(1.0, 3.0).sqrt();
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
    ellipse(frame, &of, random, buffers);
    let factor = if random.chance(2.0 / 3.0) { random.between(0.25, 0.7) } else { random.between(1.3, 1.9) };
    buffers.render_grain(3.0 * frame.unit, random);
    let level = frame.mean_around(x, y, 2.0 * radius).map(|mean| mean * factor);
    Defect { fill: Fill::Flat { level, grain: frame.deviation.map(|d| d * 0.2) }, cut: 0.5 }
}

fn scratch(frame: &SourceFrame, random: &mut Random, buffers: &mut PaintBuffers) -> Option<Defect> {
    let length = random.log_uniform(0.12, 0.6) * frame.side;
    let (mut x, mut y) = (random.unit() * frame.size.0 as f64, random.unit() * frame.size.1 as f64);
    let mut angle = random.unit() * TAU;
    let bend = random.normal() * 0.5 / length;
    // The same line at any frame size: 0.06 radians per unit of length; variances add up.
    let jitter = 0.06 / frame.unit.sqrt();
    buffers.path.clear();
    let inside = |x: f64, y: f64| x >= 0.0 && y >= 0.0 && x < frame.size.0 as f64 && y < frame.size.1 as f64;
    let mut visible = 0;
    for _ in 0..length as usize + 2 {
        buffers.path.push((x, y));
        visible += usize::from(inside(x, y));
        angle += bend + random.normal() * jitter;
        let (sine, cosine) = libm::sincos(angle);
        (x, y) = (x + cosine, y + sine);
    }
    if visible < 5 {
        return None;
    }
    buffers.mask.line(frame.size, &buffers.path, random.log_uniform(0.8, 2.5) * frame.unit);
    buffers.render_grain(6.0 * frame.unit, random);
    buffers.mask.thin(&buffers.grain, |noise| 0.75 + 0.35 * noise);
    let factor = if random.chance(0.8) { random.between(0.3, 0.75) } else { random.between(1.25, 1.6) };
    Some(Defect { fill: Fill::Scaled(factor), cut: 0.3 })
}

fn paste(frame: &SourceFrame, random: &mut Random, buffers: &mut PaintBuffers) -> Option<Defect> {
    let foreign = random.chance(0.5);
    let turned = random.chance(0.5);
    let backwards = [random.chance(0.5), random.chance(0.5)];
    let from = if foreign { frame.donor } else { frame.source };
    let (across, down) = if turned { (from.height(), from.width()) } else { (from.width(), from.height()) };
    // The period is the picture and its mirror image.
    let start = [random.below(2 * across), random.below(2 * down)];
    let of = Ellipse::random(frame.size, (0.05, 0.25), 1.5 * frame.unit, random);
    ellipse(frame, &of, random, buffers);
    let matched = random.chance(0.5);
    let piece = Piece { foreign, turned, backwards, start, matched };
    (buffers.mask.count_above(0.5) >= 8).then_some(Defect { fill: Fill::Pasted(piece), cut: 0.5 })
}

fn region(frame: &SourceFrame, random: &mut Random, buffers: &mut PaintBuffers) -> Defect {
    let soft = random.log_uniform(0.8, 12.0) * frame.unit;
    patch(frame, (0.1, 0.4), soft, random, buffers);
    let factor = random.log_uniform(1.12, 1.7);
    Defect { fill: Fill::Scaled(if random.chance(0.5) { factor } else { 1.0 / factor }), cut: 0.5 }
}

fn texture(frame: &SourceFrame, random: &mut Random, buffers: &mut PaintBuffers) -> Defect {
    patch(frame, (0.08, 0.35), 2.0 * frame.unit, random, buffers);
    let factor = random.between(0.85, 1.18);
    let fill = match random.below(3) {
        0 => Fill::Blurred { sigma: random.log_uniform(1.2, 4.0) * frame.unit, factor },
        1 => Fill::Roughened { contrast: random.between(1.7, 3.0), factor },
        _ => {
            let strength = random.log_uniform(0.7, 2.0);
            let cell = random.log_uniform(1.5, 5.0) * frame.unit;
            buffers.render_grain(cell, random);
            Fill::Grained { strength, factor }
        }
    };
    Defect { fill, cut: 0.5 }
}

fn bite(frame: &SourceFrame, random: &mut Random, buffers: &mut PaintBuffers) -> Defect {
    let (last_x, last_y) = (frame.size.0 as f64 - 1.0, frame.size.1 as f64 - 1.0);
    let side = random.below(4);
    let radius = random.log_uniform(0.04, 0.16) * frame.side;
    let along = radius * random.log_uniform(0.5, 3.0);
    let place = random.unit();
    let (x, y, across, down) = match side {
        0 => (place * last_x, 0.0, along, radius),
        1 => (place * last_x, last_y, along, radius),
        2 => (0.0, place * last_y, radius, along),
        _ => (last_x, place * last_y, radius, along),
    };
    let angle = random.normal() * 0.2;
    ellipse(frame, &Ellipse { x, y, across, down, angle, wobble: 0.25, soft: 1.5 * frame.unit }, random, buffers);
    let factor = random.between(0.05, 0.75);
    buffers.render_grain(8.0 * frame.unit, random);
    let level = frame.mean.map(|mean| mean * factor);
    Defect { fill: Fill::Flat { level, grain: frame.deviation.map(|d| d * 0.3) }, cut: 0.5 }
}

fn stain(frame: &SourceFrame, random: &mut Random, buffers: &mut PaintBuffers) -> Option<Defect> {
    let cell = random.log_uniform(0.06, 0.25) * frame.side;
    let least = random.between(0.9, 1.5) as f32;
    let of = Ellipse::random(frame.size, (0.2, 0.6), 20.0 * frame.unit, random);
    ellipse(frame, &of, random, buffers);
    let (width, height) = (buffers.mask.area.width, buffers.mask.area.height);
    buffers.noise.render(width, height, cell, random, &mut buffers.coarse);
    buffers.render_grain(8.0 * frame.unit, random);
    for (coarse, fine) in buffers.coarse.iter_mut().zip(&buffers.grain) {
        *coarse += 0.4 * fine;
    }
    buffers.mask.thin(&buffers.coarse, |noise| (noise - least) * 4.0 + 0.5);
    let factor = if random.chance(0.7) { random.between(0.35, 0.8) } else { random.between(1.2, 1.7) };
    (buffers.mask.count_above(0.5) >= 30).then_some(Defect { fill: Fill::Scaled(factor), cut: 0.5 })
}

/// A patch with straight edges or a round one, equally likely.
fn patch(frame: &SourceFrame, radius: (f64, f64), soft: f64, random: &mut Random, buffers: &mut PaintBuffers) {
    if random.chance(0.5) {
        let PaintBuffers { mask, noise, grain, .. } = buffers;
        mask.polygon(frame.size, soft, frame.unit, noise, grain, random);
    } else {
        ellipse(frame, &Ellipse::random(frame.size, radius, soft, random), random, buffers);
    }
}

fn ellipse(frame: &SourceFrame, of: &Ellipse, random: &mut Random, buffers: &mut PaintBuffers) {
    buffers.mask.ellipse(frame.size, of, &mut buffers.noise, &mut buffers.grain, random);
}
