//! Camera simulation: turns a large picture into the small one that a camera would have taken, with blur, noise and JPEG loss.
//!
//! Bicubic reduction makes pictures that no camera takes. To measure super-resolution on pictures of cameras, an original is blurred
//! by a lens, averaged over photosites, and gets a sensor's noise and the loss of JPEG. The strengths are random for each picture,
//! and the same for the same seed on every CPU.

use lineside_picture::{Picture, PictureError, simulate_jpeg};
use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{Rng, SeedableRng};
use std::f64::consts::TAU;

/// The Gaussian blur of the lens, in small pixels (σ). Together with the area of a photosite it leaves half of the contrast at 0.22
/// to 0.37 cycles per pixel.
const BLUR: (f64, f64) = (0.4, 0.8);
/// The noise of a white pixel, in grey levels (σ).
const NOISE: (f64, f64) = (2.0, 6.0);
/// Read noise: the share of a white pixel's variance that a black pixel has too.
const NOISE_OF_BLACK: f64 = 0.2;
/// The quality of JPEG.
const QUALITY: (u8, u8) = (60, 90);

/// The picture that a camera takes of `original`, `scale` times smaller; both sides of `original` must be multiples of `scale`.
/// `shot` numbers the pictures of a `seed`.
///
/// # Errors
/// [`PictureError::Empty`] where no pixel is left.
pub fn simulate_camera(original: &Picture, scale: usize, seed: u32, shot: u32) -> Result<Picture, PictureError> {
    let mut random = CameraRandom::new(u64::from(seed) << 32 | u64::from(shot));
    let blur = random.between(BLUR.0, BLUR.1) * scale as f64;
    let noise = random.between(NOISE.0, NOISE.1);
    let quality = QUALITY.0 + (random.unit() * f64::from(QUALITY.1 - QUALITY.0 + 1)) as u8;
    let planes: Vec<ChannelPlane> = (0..original.channels())
        .map(|channel| ChannelPlane::of(original, channel).blurred(blur).averaged(scale))
        .collect();
    let mut small = Picture::new(original.layout(), original.width() / scale, original.height() / scale);
    let channels = small.channels();
    for (i, pixel) in small.data_mut().chunks_exact_mut(channels).enumerate() {
        let luma = match planes.as_slice() {
            [r, g, b] => 0.299 * r.values[i] + 0.587 * g.values[i] + 0.114 * b.values[i],
            _ => planes[0].values[i],
        };
        // The same for all channels: cameras remove chroma noise.
        let variance = NOISE_OF_BLACK + (1.0 - NOISE_OF_BLACK) * luma / 255.0;
        let error = noise * variance.sqrt() * random.normal();
        for (byte, plane) in pixel.iter_mut().zip(&planes) {
            *byte = (plane.values[i] + error).round().clamp(0.0, 255.0) as u8;
        }
    }
    simulate_jpeg(&mut small, quality)?;
    Ok(small)
}

/// One channel, in floats.
struct ChannelPlane {
    width: usize,
    values: Vec<f64>,
}

impl ChannelPlane {
    fn of(picture: &Picture, channel: usize) -> ChannelPlane {
        let values = picture.data().iter().skip(channel).step_by(picture.channels()).map(|v| f64::from(*v)).collect();
        ChannelPlane { width: picture.width(), values }
    }

    /// Blurred by a Gaussian of `sigma` pixels along both axes, truncated at 3 σ; edges are repeated.
    fn blurred(self, sigma: f64) -> ChannelPlane {
        let radius = (3.0 * sigma).ceil() as usize;
        let weight = |distance: usize| libm::exp(-((distance * distance) as f64) / (2.0 * sigma * sigma));
        let total: f64 = (0..=2 * radius).map(|i| weight(i.abs_diff(radius))).sum();
        let weights: Vec<f64> = (0..=2 * radius).map(|i| weight(i.abs_diff(radius)) / total).collect();
        let (width, height) = (self.width, self.values.len() / self.width);
        let near = |at: usize, i: usize, length: usize| (at + i).saturating_sub(radius).min(length - 1);
        let mut across = Vec::with_capacity(self.values.len());
        for row in self.values.chunks_exact(width) {
            across.extend((0..width).map(|x| sum(&weights, |i| row[near(x, i, width)])));
        }
        let down =
            (0..height * width).map(|at| sum(&weights, |i| across[near(at / width, i, height) * width + at % width]));
        ChannelPlane { width, values: down.collect() }
    }

    /// The mean over squares of `side` pixels: a photosite integrates the light on its area.
    fn averaged(self, side: usize) -> ChannelPlane {
        let width = self.width / side;
        let height = self.values.len() / self.width / side;
        let mean = |at: usize| {
            let corner = at / width * side * self.width + at % width * side;
            let rows = (0..side).flat_map(|y| &self.values[corner + y * self.width..][..side]);
            rows.sum::<f64>() / (side * side) as f64
        };
        let values = (0..width * height).map(mean).collect();
        ChannelPlane { width, values }
    }
}

fn sum(weights: &[f64], value: impl Fn(usize) -> f64) -> f64 {
    weights.iter().enumerate().map(|(i, weight)| weight * value(i)).sum()
}

struct CameraRandom(Xoshiro256PlusPlus);

impl CameraRandom {
    fn new(seed: u64) -> CameraRandom {
        CameraRandom(Xoshiro256PlusPlus::seed_from_u64(seed))
    }

    /// Uniform in 0..1, 53 bits.
    fn unit(&mut self) -> f64 {
        (self.0.next_u64() >> 11) as f64 / (1u64 << 53) as f64
    }

    fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.unit()
    }

    /// Of mean 0 and variance 1 (Box and Muller 1958, one of the pair).
    fn normal(&mut self) -> f64 {
        (-2.0 * libm::log(1.0 - self.unit())).sqrt() * libm::cos(TAU * self.unit())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lineside_picture::Layout;

    fn flat(level: u8) -> Picture {
        Picture::from_data(Layout::Grey, 300, 300, vec![level; 90_000]).unwrap()
    }

    fn spread(picture: &Picture) -> f64 {
        let n = picture.data().len() as f64;
        let mean = picture.data().iter().map(|v| f64::from(*v)).sum::<f64>() / n;
        let square = |v: &u8| (f64::from(*v) - mean) * (f64::from(*v) - mean);
        (picture.data().iter().map(square).sum::<f64>() / n).sqrt()
    }

    #[test]
    fn the_same_seed_gives_the_same_picture_and_another_shot_another() {
        let original = flat(150);
        let take = |seed, shot| simulate_camera(&original, 3, seed, shot).unwrap();
        assert_eq!(take(1, 0), take(1, 0));
        assert_ne!(take(1, 0), take(1, 1));
        assert_ne!(take(1, 0), take(2, 0));
        assert_eq!((take(1, 0).width(), take(1, 0).height()), (100, 100));
    }

    #[test]
    fn light_has_more_noise_than_dark_and_grey_in_colour_stays_grey() {
        for shot in 0..5 {
            let [dark, light] = [20, 200].map(|level| spread(&simulate_camera(&flat(level), 3, 1, shot).unwrap()));
            // JPEG takes some of the noise, more of it where the quality is low.
            assert!(light > dark && light < 6.5, "{dark} {light}");
        }
        let colour = flat(150).data().iter().flat_map(|v| [*v; 3]).collect();
        let colour = Picture::from_data(Layout::Rgb, 300, 300, colour).unwrap();
        let (small, grey) = (simulate_camera(&colour, 2, 1, 0).unwrap(), simulate_camera(&flat(150), 2, 1, 0).unwrap());
        assert!(small.data().chunks_exact(3).zip(grey.data()).all(|(pixel, level)| pixel == [*level; 3]));
    }

    /// An edge keeps its place: blur and photosites are centred.
    #[test]
    fn nothing_is_shifted() {
        let mut edge = Picture::new(Layout::Grey, 120, 120);
        for y in 0..120 {
            edge.row_mut(y)[60..].fill(200);
        }
        for scale in [2, 3, 4] {
            let small = simulate_camera(&edge, scale, 1, 0).unwrap();
            let width = small.width();
            let column =
                |x: usize| (0..small.height()).map(|y| f64::from(small.row(y)[x])).sum::<f64>() / small.height() as f64;
            let sum = column(width / 2 - 1) + column(width / 2);
            assert!((sum - 200.0).abs() < 6.0, "both sides of the edge lie around its middle: {sum}");
        }
    }
}
