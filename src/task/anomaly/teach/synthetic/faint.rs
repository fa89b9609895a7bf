//! Two kinds of defects that are hard to see: hairline cracks, and drifting brightness.

use super::fill::{Defect, Fill, PaintBuffers, SourceFrame};
use super::random::Random;
use lineside_picture::Rect;
use std::f64::consts::TAU;

/// The short side divided by the width of a crack, about.
const HAIRLINES: f64 = 200.0;
/// A crack has at most this many arms.
const ARMS: usize = 6;

/// A dark line of straight pieces that turn sharply but keep their heading, with arms that branch off.
pub(super) fn crack(frame: &SourceFrame, random: &mut Random, buffers: &mut PaintBuffers) -> Option<Defect> {
    let hairline = (frame.side / HAIRLINES).max(1.0);
    let (width, height) = (frame.size.0 as f64, frame.size.1 as f64);
    // Where an arm starts, where it heads and how long it is, pixels.
    let mut arms = [(0.0, 0.0, 0.0, 0.0); ARMS];
    arms[0] = (
        random.unit() * width,
        random.unit() * height,
        random.unit() * TAU,
        random.log_uniform(0.25, 1.2) * frame.side,
    );
    let (mut count, mut at) = (1, 0);
    buffers.path.clear();
    while at < count {
        let (mut x, mut y, mut heading, mut left) = arms[at];
        at += 1;
        while left > 0.0 {
            let piece = (random.log_uniform(2.0, 10.0) * hairline).min(left);
            let (sine, cosine) = libm::sincos(heading + random.normal() * 0.5);
            // Half a pixel a step: no gap in the finest line.
            let steps = (2.0 * piece).ceil() as usize;
            for _ in 0..steps {
                buffers.path.push((x, y));
                (x, y) = (x + cosine * piece / steps as f64, y + sine * piece / steps as f64);
            }
            left -= piece;
            heading += random.normal() * 0.12;
            if count < ARMS && random.chance(0.06) {
                let away = random.between(0.4, 1.2);
                let turn = if random.chance(0.5) { away } else { -away };
                arms[count] = (x, y, heading + turn, left * random.between(0.2, 0.7));
                count += 1;
            }
        }
    }
    buffers.mask.line(frame.size, &buffers.path, random.between(0.0, 1.0) * hairline);
    buffers.render_grain(5.0 * hairline, random);
    buffers.mask.thin(&buffers.grain, |noise| 0.85 + 0.3 * noise);
    let factor = random.between(0.5, 0.85);
    (buffers.mask.count_above(0.3) >= 6).then_some(Defect { fill: Fill::Scaled(factor), cut: 0.3 })
}

/// A soft band across the frame, or a slope towards one of its edges, of 8 to 35 % of the brightness.
pub(super) fn shade(frame: &SourceFrame, random: &mut Random, buffers: &mut PaintBuffers) -> Defect {
    let (sine, cosine) = libm::sincos(random.unit() * TAU);
    let (width, height) = (frame.size.0 as f64, frame.size.1 as f64);
    // How far the frame extends in the direction in which brightness drifts, about its middle.
    let extent = width * cosine.abs() + height * sine.abs();
    let span = random.between(0.2, 0.6) * extent;
    let band = random.chance(0.5);
    let middle = if band { random.between(-0.4, 0.4) * extent } else { 0.5 * extent };
    // A band rises and falls within its span, a slope rises all the way to the edge.
    let reach = if band { 0.5 * span } else { span };
    buffers.mask.area = Rect { x: 0, y: 0, width: frame.size.0, height: frame.size.1 };
    buffers.render_grain(0.5 * frame.side, random);
    let wave = (0.1 * reach) as f32;
    let [across, down] = [cosine, sine].map(|v| v as f32);
    let start = (middle + 0.5 * (width * cosine + height * sine)) as f32;
    buffers.mask.fill(&buffers.grain, |x, y, noise| {
        let distance = (x * across + y * down + wave * noise - start).abs() / reach as f32;
        let near = (1.0 - distance).clamp(0.0, 1.0);
        near * near * (3.0 - 2.0 * near)
    });
    let factor = random.log_uniform(1.08, 1.35);
    Defect { fill: Fill::Scaled(if random.chance(0.6) { 1.0 / factor } else { factor }), cut: 0.5 }
}
