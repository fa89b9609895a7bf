//! Image statistics: brightness and sharpness of a frame, which distinguish a dirty lens or a failing lamp from a change of the parts.
//! Cheap enough for every frame: of the backbone's larger view, every fourth row and the one below it are read.

use lineside_picture::{Picture, luma_row};

/// The distance between rows that are read.
const ROW_STEP: usize = 4;
/// The frame is divided into this many cells per side, to detect motion.
const CELLS: usize = 16;
/// Two frames show the same scene if their cells, apart from brightness, differ by less than this, in grey levels (root mean square):
/// the noise of a sensor, averaged over hundreds of pixels. As in `teach/quality/findings.rs`.
const SAME_SCENE: f64 = 0.75;

/// Statistics of a frame, in integers: the same on every CPU.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ImageStats {
    /// Mean luma, in sixteenths of a grey level.
    pub brightness: u32,
    /// Mean absolute difference of neighbouring pixels, in 16000ths of the mean luma: independent of brightness, and lowered by grease
    /// or dust on the lens, which blur and cause haze. 0 for a black frame.
    pub sharpness: u32,
    /// The sum of the luma that was read, by cell.
    cells: [u32; CELLS * CELLS],
    /// The pixels of each cell.
    pixels: u32,
}

impl Default for ImageStats {
    fn default() -> Self {
        ImageStats { brightness: 0, sharpness: 0, cells: [0; CELLS * CELLS], pixels: 1 }
    }
}

impl ImageStats {
    /// Converts a brightness to grey levels.
    pub fn grey_levels(brightness: u32) -> f64 {
        f64::from(brightness) / 16.0
    }

    /// Converts a sharpness to thousandths.
    pub fn thousandths(sharpness: u32) -> f64 {
        f64::from(sharpness) / 16.0
    }

    /// Whether two frames show different scenes, apart from brightness and noise.
    pub fn differs_from(&self, other: &ImageStats) -> bool {
        let differences = self.cells.iter().zip(&other.cells).map(|(&a, &b)| i64::from(a) - i64::from(b));
        let (sum, squares) = differences.fold((0, 0), |(sum, squares), d| (sum + d, squares + d * d));
        let count = (CELLS * CELLS) as i64;
        let limit = SAME_SCENE * f64::from(self.pixels) * count as f64;
        (count * squares - sum * sum) as f64 >= limit * limit
    }
}

/// Measures frames; its buffers are reused.
#[derive(Default)]
pub struct ImageStatsMeter {
    row: Vec<u8>,
    below: Vec<u8>,
}

impl ImageStatsMeter {
    /// With buffers for views of this width.
    pub fn new(width: usize) -> ImageStatsMeter {
        ImageStatsMeter { row: vec![0; width], below: vec![0; width] }
    }

    /// Measures a resized frame of the width for which the buffers were made; its sides are multiples of 32.
    pub fn measure(&mut self, view: &Picture) -> ImageStats {
        let mut stats = ImageStats::default();
        let (width, height) = (view.width(), view.height());
        if width < 2 * CELLS || height < 2 * CELLS {
            return stats;
        }
        self.row.resize(width, 0);
        self.below.resize(width, 0);
        let (mut sum, mut differences, mut rows) = (0_u64, 0_u64, 0_u64);
        for y in (0..height - 1).step_by(ROW_STEP) {
            luma_row(view.layout(), view.row(y), &mut self.row);
            luma_row(view.layout(), view.row(y + 1), &mut self.below);
            rows += 1;
            let cells = &mut stats.cells[y * CELLS / height * CELLS..][..CELLS];
            for (cell, pixels) in cells.iter_mut().zip(self.row.chunks(width / CELLS)) {
                let level: u32 = pixels.iter().map(|&pixel| u32::from(pixel)).sum();
                *cell += level;
                sum += u64::from(level);
            }
            differences +=
                sum_of_differences(&self.row, &self.below) + sum_of_differences(&self.row[1..], &self.row[..width - 1]);
        }
        let (pixels, pairs) = (rows * width as u64, rows * (2 * width as u64 - 1));
        stats.pixels = (pixels / (CELLS * CELLS) as u64) as u32;
        stats.brightness = (16 * sum / pixels) as u32;
        stats.sharpness = (u128::from(16_000 * differences) * u128::from(pixels))
            .checked_div(u128::from(pairs) * u128::from(sum))
            .map_or(0, |sharpness| u32::try_from(sharpness).unwrap_or(u32::MAX));
        stats
    }
}

/// The sum of the absolute differences of two rows.
fn sum_of_differences(a: &[u8], b: &[u8]) -> u64 {
    u64::from(a.iter().zip(b).map(|(&a, &b)| u32::from(a.abs_diff(b))).sum::<u32>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use lineside_picture::Layout;

    fn measure(level: impl Fn(usize, usize) -> u8) -> ImageStats {
        let data = (0..320 * 320).map(|i| level(i % 320, i / 320)).collect();
        ImageStatsMeter::new(320).measure(&Picture::from_data(Layout::Grey, 320, 320, data).unwrap())
    }

    fn texture(x: usize, y: usize) -> u8 {
        60 + ((x * 37 + y * 91 + x * y * 13) % 120) as u8
    }

    #[test]
    fn figures_of_simple_frames() {
        let flat = measure(|_, _| 90);
        assert_eq!((flat.brightness, flat.sharpness), (90 * 16, 0));
        assert_eq!((measure(|_, _| 0).brightness, measure(|_, _| 0).sharpness), (0, 0));
        // Neighbours in a row differ by 100 at a mean of 100, those above each other not at all.
        let stripes = measure(|x, _| 50 + 100 * (x % 2) as u8);
        assert_eq!(stripes.brightness, 1600);
        assert_eq!(stripes.sharpness, 16_000 * 319 / 639);
        // The largest there is: checks.
        assert_eq!(measure(|x, y| 255 * ((x + y) % 2) as u8).sharpness, 2 * 16_000);
        assert_eq!(ImageStatsMeter::default().measure(&Picture::new(Layout::Grey, 8, 8)), ImageStats::default());
    }

    #[test]
    fn blur_and_haze_lower_sharpness_and_brightness_does_not() {
        let sharp = measure(texture);
        let dim = measure(|x, y| texture(x, y) / 3);
        assert!((f64::from(dim.sharpness) / f64::from(sharp.sharpness) - 1.0).abs() < 0.02, "{dim:?}");
        assert!((f64::from(dim.brightness) * 3.0 / f64::from(sharp.brightness) - 1.0).abs() < 0.02);
        let blurred = measure(|x, y| {
            let square = (0..9).map(|i| usize::from(texture(x + i % 3, y + i / 3)));
            (square.sum::<usize>() / 9) as u8
        });
        let hazy = measure(|x, y| (texture(x, y) / 2) + 60);
        assert!(blurred.sharpness * 2 < sharp.sharpness, "{} {}", blurred.sharpness, sharp.sharpness);
        assert!(hazy.sharpness * 10 < sharp.sharpness * 6, "{} {}", hazy.sharpness, sharp.sharpness);
    }

    #[test]
    fn motion_is_a_difference_and_brightness_and_noise_are_none() {
        let part = |x: usize, y: usize, at: usize| {
            let (dx, dy) = (x.abs_diff(at), y.abs_diff(160));
            if dx * dx + dy * dy < 90 * 90 { 170 } else { 60 }
        };
        let here = measure(|x, y| part(x, y, 160));
        let moved = measure(|x, y| part(x, y, 166));
        let brighter = measure(|x, y| part(x, y, 160) + 9);
        let noisy = measure(|x, y| part(x, y, 160) + ((x * 7919 + y * 104_729) % 13) as u8 - 6);
        assert!(here.differs_from(&moved));
        assert!(!here.differs_from(&brighter) && !here.differs_from(&noisy) && !here.differs_from(&here));
    }

    #[test]
    fn colour_is_measured_by_its_luma() {
        let mut colour = Picture::new(Layout::Rgb, 64, 64);
        for (i, rgb) in colour.data_mut().chunks_exact_mut(3).enumerate() {
            rgb.copy_from_slice(&[i as u8, 200, (i / 7) as u8]);
        }
        let mut grey = Picture::default();
        lineside_picture::luma_into(&colour, &mut grey);
        assert_eq!(ImageStatsMeter::new(64).measure(&colour), ImageStatsMeter::new(64).measure(&grey));
    }

    /// The figure of docs/field-log.md: `cargo test --release --lib cost_of_image_stats -- --ignored --nocapture`.
    #[test]
    #[ignore = "a measurement"]
    fn cost_of_image_stats() {
        let mut square = Picture::new(Layout::Rgb, 320, 320);
        square.data_mut().iter_mut().enumerate().for_each(|(i, byte)| *byte = ((i * 7919) >> 5) as u8);
        let mut meter = ImageStatsMeter::new(320);
        let mut times: Vec<u128> = (0..2000)
            .map(|_| {
                let start = std::time::Instant::now();
                std::hint::black_box(meter.measure(std::hint::black_box(&square)));
                start.elapsed().as_nanos()
            })
            .collect();
        times.sort_unstable();
        println!("{:.1} us, median of {}", times[times.len() / 2] as f64 / 1e3, times.len());
    }
}
