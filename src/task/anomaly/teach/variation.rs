//! Copies of good pictures, varied within the limits that the user states: good frames of a kind that was not shown, but will come.
//!
//! A copy is a normal picture of its own. Synthetic defects are painted into it as into its original: copies without any would be
//! recognized as copies. It is held out together with its original.
//!
//! Few pictures are joined by copies even if nothing is stated: without them what is normal is learned too narrowly.

use crate::bundle::Tolerance;
use lineside_picture::{Border, Movement, Picture};
use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::Rng;

/// Pictures with their copies, about, and the most copies of each.
const PICTURES: usize = 600;
const MAX_COPIES: usize = 4;
/// Fewer pictures than this are few, and vary by this at least: no part is placed more exactly.
const FEW: usize = 30;
const SMALL: Tolerance = Tolerance { shift: 1.0, turn: 1.0, scale: 1.0, light: 5.0 };

/// How many copies each of so many pictures gets: the fewer there are, the more.
pub fn copies(pictures: usize) -> usize {
    (PICTURES / pictures.max(1)).saturating_sub(1).clamp(1, MAX_COPIES)
}

/// The limits within which copies of so many pictures vary; `None` where there are to be no copies.
pub fn limits(stated: Option<Tolerance>, pictures: usize) -> Option<Tolerance> {
    stated.or((pictures < FEW).then_some(SMALL))
}

/// One variation within the limits.
struct Variation {
    movement: Movement,
    border: Border,
    /// By which brightness is multiplied.
    light: f64,
}

impl Variation {
    /// Draws each quantity uniformly within its limits, for a picture of a size (width, height) in pixels.
    fn draw(tolerance: &Tolerance, (width, height): (usize, usize), random: &mut Xoshiro256PlusPlus) -> Variation {
        // In -1..1, 53 bits.
        let mut within = |limit: f64| limit * ((random.next_u64() >> 11) as f64 / (1u64 << 52) as f64 - 1.0);
        let shares = [within(tolerance.shift), within(tolerance.shift)];
        let [right, down] = [shares[0] * width as f64, shares[1] * height as f64];
        Variation {
            movement: Movement {
                // Whole pixels: a shift alone does not blur.
                shift: ((right / 100.0).round(), (down / 100.0).round()),
                turn: within(tolerance.turn),
                scale: 1.0 + within(tolerance.scale) / 100.0,
            },
            // Nobody knows what lies beyond the frame: sometimes a background that goes on, sometimes a texture.
            border: if within(1.0) < 0.0 { Border::Replicate } else { Border::Mirror },
            light: 1.0 + within(tolerance.light) / 100.0,
        }
    }
}

/// Writes a copy of the picture, varied within the limits, to `out`.
pub fn vary(tolerance: &Tolerance, picture: &Picture, random: &mut Xoshiro256PlusPlus, out: &mut Picture) {
    let variation = Variation::draw(tolerance, (picture.width(), picture.height()), random);
    variation.movement.apply(picture, variation.border, out);
    let levels: Vec<u8> = (0..=u8::MAX).map(|level| (f64::from(level) * variation.light + 0.5) as u8).collect();
    out.data_mut().iter_mut().for_each(|byte| *byte = levels[usize::from(*byte)]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use lineside_picture::{Layout, testing::synthetic};
    use rand_xoshiro::rand_core::SeedableRng;

    fn tolerance(text: &str) -> Tolerance {
        text.parse().unwrap()
    }

    #[test]
    fn variations_fill_their_limits_and_nothing_else_varies() {
        let mut random = Xoshiro256PlusPlus::seed_from_u64(3);
        let all = tolerance("shift=5%,turn=3deg,scale=4%,light=20%");
        let drawn: Vec<Variation> = (0..500).map(|_| Variation::draw(&all, (200, 100), &mut random)).collect();
        let range = |of: fn(&Variation) -> f64| {
            drawn.iter().map(of).fold((f64::MAX, f64::MIN), |(low, high), value| (low.min(value), high.max(value)))
        };
        assert_eq!(range(|v| v.movement.shift.0), (-10.0, 10.0));
        assert_eq!(range(|v| v.movement.shift.1), (-5.0, 5.0));
        let near = |(low, high): (f64, f64), limits: (f64, f64)| {
            let margin = 0.03 * (limits.1 - limits.0);
            assert!(limits.0 <= low && low < limits.0 + margin, "{low} {limits:?}");
            assert!(high <= limits.1 && limits.1 - margin < high, "{high} {limits:?}");
        };
        near(range(|v| v.movement.turn), (-3.0, 3.0));
        near(range(|v| v.movement.scale), (0.96, 1.04));
        near(range(|v| v.light), (0.8, 1.2));
        assert!([Border::Replicate, Border::Mirror].iter().all(|border| drawn.iter().any(|v| v.border == *border)));

        let picture = synthetic(Layout::Rgb, 40, 30);
        let mut copy = Picture::default();
        vary(&tolerance("light=50%"), &picture, &mut random, &mut copy);
        let ratio = f64::from(copy.data()[3]) / f64::from(picture.data()[3].max(1));
        for (&before, &after) in picture.data().iter().zip(copy.data()).filter(|(_, after)| **after < 255) {
            assert!((f64::from(after) - ratio * f64::from(before)).abs() <= 0.02 * f64::from(before) + 1.0);
        }
    }

    #[test]
    fn the_same_seed_gives_the_same_copy_and_fewer_pictures_get_more_copies() {
        let picture = synthetic(Layout::Grey, 60, 50);
        let copy = |seed: u64| {
            let mut out = Picture::default();
            let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
            vary(&tolerance("shift=5%,turn=3deg,scale=5%,light=20%"), &picture, &mut random, &mut out);
            out
        };
        assert!(copy(1) == copy(1) && copy(1) != copy(2));
        assert_eq!([0, 10, 100, 150, 250, 1000].map(copies), [4, 4, 4, 3, 1, 1]);
        assert_eq!([9, 29, 30].map(|pictures| limits(None, pictures).is_some()), [true, true, false]);
        let stated = Some(tolerance("turn=3deg"));
        assert_eq!([9, 30].map(|pictures| limits(stated, pictures)), [stated; 2]);
        assert!((1..=1000).all(|pictures| copies(pictures) == 1 || pictures * (1 + copies(pictures)) <= 1000));
    }
}
