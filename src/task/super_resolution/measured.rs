//! What is measured of a network that enlarges: how much, and on how many pixels around one of its own depends.

use lineside_engine::{ElementKind, EngineError, Model, Session, Tensor};
use rand_xoshiro::SplitMix64;
use rand_xoshiro::rand_core::{Rng, SeedableRng};
use std::sync::Arc;

/// The widest receptive field that a bundle may have, as a radius in input pixels.
const WIDEST: usize = 64;
/// Pixels beside that, so that a wider one shows.
const BEYOND: usize = 8;
/// Pictures of noise in which one pixel is changed: where integers are rounded a single change may not come through.
const TRIALS: u64 = 12;
/// The side of a picture of which the scale is read.
const SIDE: usize = 32;

/// How many times a network enlarges luma.
///
/// # Errors
/// One line, where it takes or gives something else.
pub fn measured_scale(model: &Model) -> Result<usize, String> {
    let plan = model.clone().plan(&[vec![1, 1, SIDE, SIDE]]).map_err(|error| error.to_string())?;
    let (Some(input), [output, ..]) = (plan.inputs().first(), plan.outputs()) else {
        return Err("it has no input or no output".into());
    };
    if !matches!(input.kind, ElementKind::U8 | ElementKind::F32) || output.kind != input.kind {
        return Err(format!("it takes {} and gives {}: u8 or f32 for both is needed", input.kind, output.kind));
    }
    match output.shape[..] {
        _ if output.counted_axis.is_some() => {
            Err(format!("of luma it makes {output}: a size that is known before a run is needed"))
        }
        [1, 1, rows, columns] if rows == columns && rows % SIDE == 0 && (1..=8).contains(&(rows / SIDE)) => {
            Ok(rows / SIDE)
        }
        _ => Err(format!(
            "of {SIDE}x{SIDE} luma it makes {:?}: [1, 1, rows, columns], a whole number of times as large and 8 times at most, is needed",
            output.shape
        )),
    }
}

/// The radius of what an output pixel depends on, in input pixels: one pixel of pictures of noise is changed, and where the output
/// differs is looked at. `value`: what a byte becomes in the input.
///
/// # Errors
/// One line, where the network cannot be run, or depends on more than a bundle may.
pub fn measured_receptive_field(model: &Model, scale: usize, value: impl Fn(u8) -> f32) -> Result<usize, String> {
    let fault = |error: EngineError| error.to_string();
    let side = 2 * (WIDEST + BEYOND) + 1;
    let plan = model.clone().plan(&[vec![1, 1, side, side]]).map_err(fault)?;
    let is_bytes = plan.inputs().first().map(|input| input.kind) == Some(ElementKind::U8);
    let mut session = Session::new(Arc::new(plan)).map_err(fault)?;
    let mut random = SplitMix64::seed_from_u64(0);
    let centre = side / 2;
    let mut run = |noise: &[u8]| -> Result<Tensor, EngineError> {
        let shape = vec![1, 1, side, side];
        let input = match is_bytes {
            true => Tensor::new(shape, noise.to_vec())?,
            false => Tensor::new(shape, noise.iter().map(|byte| value(*byte)).collect::<Vec<f32>>())?,
        };
        session.set_input(0, input)?;
        session.run()?;
        session.outputs().first().cloned().ok_or(EngineError::Run("no output".into()))
    };
    let mut radius = 0;
    for _ in 0..TRIALS {
        let mut noise: Vec<u8> = (0..side * side).map(|_| random.next_u64() as u8).collect();
        noise[centre * side + centre] = 0;
        let before = run(&noise).map_err(fault)?;
        noise[centre * side + centre] = 255;
        let after = run(&noise).map_err(fault)?;
        let differs: Vec<usize> = match is_bytes {
            true => differing(before.values::<u8>(), after.values::<u8>()),
            false => differing(before.values::<f32>(), after.values::<f32>()),
        };
        for at in differs {
            let (x, y) = (at % (side * scale) / scale, at / (side * scale) / scale);
            radius = radius.max(x.abs_diff(centre)).max(y.abs_diff(centre));
        }
    }
    match radius {
        0..=WIDEST => Ok(radius),
        _ => {
            Err(format!("a pixel of its output depends on more than {WIDEST} pixels around: it cannot be run in tiles"))
        }
    }
}

fn differing<T: PartialEq>(before: Option<&[T]>, after: Option<&[T]>) -> Vec<usize> {
    let (Some(before), Some(after)) = (before, after) else { return Vec::new() };
    before.iter().zip(after).enumerate().filter(|(_, (a, b))| a != b).map(|(at, _)| at).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bundle::Bundle;
    use std::path::Path;

    #[test]
    fn what_the_shipped_bundles_state_is_what_is_measured() {
        let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("models");
        for (name, scale) in [("superres-x2", 2), ("superres-x3", 3), ("superres-x4", 4)] {
            let bundle = Bundle::open(&models.join(name)).unwrap();
            let stated = bundle.manifest().super_resolution.unwrap();
            let model = bundle.model().unwrap();
            assert_eq!(measured_scale(&model), Ok(scale), "{name}");
            let measured = measured_receptive_field(&model, scale, f32::from).unwrap();
            // What is stated is what the layers reach at most; weights near 0 at its border may not come through.
            assert!(measured <= stated.receptive_field && measured + 1 >= stated.receptive_field, "{name}: {measured}");
        }
    }
}
