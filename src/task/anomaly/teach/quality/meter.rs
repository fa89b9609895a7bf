//! The quality of one picture, in figures that can be compared across a set.

use crate::task::anomaly::teach::folds::THUMBNAIL_SIDE;
use lineside_picture::{Layout, Picture, PictureError, Resizer, luma_into};
use serde::{Deserialize, Serialize};

/// Sharpness is measured on a picture of at most this width, so that cameras can be compared.
const MAX_WIDTH: usize = 640;
/// A pixel counts as overexposed from the first level on, and as black up to the second.
const CLIPPED: u8 = 250;
const BLACK: u8 = 5;

/// Quality figures of a picture, from its luma.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct PictureQuality {
    /// Width and height, pixels.
    pub size: (usize, usize),
    /// Whether it is in colour.
    #[serde(default)]
    pub in_colour: bool,
    /// Mean, grey levels.
    pub mean: f64,
    /// Share of the pixels of 250 and more.
    pub overexposed: f64,
    /// Share of the pixels of 5 and less.
    pub black: f64,
    /// Standard deviation, grey levels.
    pub contrast: f64,
    /// Variance of the 4-neighbour Laplacian (Pech-Pacheco et al. 2000) as a share of the variance of the picture: how
    /// much of the picture is fine structure, independent of the brightness.
    pub sharpness: f64,
    /// Grey, [`THUMBNAIL_SIDE`] by [`THUMBNAIL_SIDE`] pixels.
    #[serde(with = "pixels")]
    pub thumbnail: Picture,
}

/// A thumbnail as a list of its pixels.
mod pixels {
    use super::{Layout, Picture, THUMBNAIL_SIDE};
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

    pub fn serialize<S: Serializer>(picture: &Picture, serializer: S) -> Result<S::Ok, S::Error> {
        picture.data().serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Picture, D::Error> {
        let pixels = Vec::<u8>::deserialize(deserializer)?;
        Picture::from_data(Layout::Grey, THUMBNAIL_SIDE, THUMBNAIL_SIDE, pixels).map_err(D::Error::custom)
    }
}

/// Measures pictures; its buffers are reused.
#[derive(Default)]
pub struct QualityMeter {
    grey: Picture,
    reduced: Picture,
    /// The size of the pictures, and the resizers for sharpness and for the thumbnail.
    resizers: Option<((usize, usize), Resizer, Resizer)>,
}

impl QualityMeter {
    /// Measures one picture.
    ///
    /// # Errors
    /// [`PictureError::Empty`] where it has no pixel.
    pub fn measure(&mut self, picture: &Picture) -> Result<PictureQuality, PictureError> {
        let size = (picture.width(), picture.height());
        let (_, reduce, shrink) = match &mut self.resizers {
            Some(resizers) if resizers.0 == size => resizers,
            stale => {
                let width = size.0.min(MAX_WIDTH);
                let height = (size.1 * width / size.0.max(1)).max(1);
                let reduce = Resizer::fit(Layout::Grey, size, (width, height))?;
                stale.insert((size, reduce, Resizer::fit(Layout::Grey, size, (THUMBNAIL_SIDE, THUMBNAIL_SIDE))?))
            }
        };
        luma_into(picture, &mut self.grey);
        reduce.run(&self.grey, &mut self.reduced)?;
        let mut thumbnail = Picture::default();
        shrink.run(&self.grey, &mut thumbnail)?;

        let pixels = self.grey.data();
        let share = |pick: fn(u8) -> bool| pixels.iter().filter(|&&v| pick(v)).count() as f64 / pixels.len() as f64;
        let (mean, variance) = moments(pixels.iter().map(|&v| i64::from(v)));
        let (_, reduced) = moments(self.reduced.data().iter().map(|&v| i64::from(v)));
        let (_, laplacian) = moments(laplacian(&self.reduced));
        Ok(PictureQuality {
            size,
            in_colour: picture.layout() == Layout::Rgb,
            mean,
            overexposed: share(|v| v >= CLIPPED),
            black: share(|v| v <= BLACK),
            contrast: variance.sqrt(),
            sharpness: if reduced > 0.0 { laplacian / reduced } else { 0.0 },
            thumbnail,
        })
    }
}

/// Four times each inner pixel minus its four neighbours.
fn laplacian(picture: &Picture) -> impl Iterator<Item = i64> {
    let (width, height) = (picture.width(), picture.height());
    (1..height.saturating_sub(1)).flat_map(move |y| {
        let (above, row, below) = (picture.row(y - 1), picture.row(y), picture.row(y + 1));
        (1..width.saturating_sub(1)).map(move |x| {
            let around = [row[x - 1], row[x + 1], above[x], below[x]];
            4 * i64::from(row[x]) - around.iter().map(|&v| i64::from(v)).sum::<i64>()
        })
    })
}

/// Mean and variance; the sums are exact.
fn moments(values: impl Iterator<Item = i64>) -> (f64, f64) {
    let (mut count, mut sum, mut squares) = (0i64, 0i64, 0i64);
    for value in values {
        count += 1;
        sum += value;
        squares += value * value;
    }
    let count = count.max(1) as f64;
    let mean = sum as f64 / count;
    (mean, (squares as f64 / count - mean * mean).max(0.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured(width: usize, height: usize, level: impl Fn(usize, usize) -> u8) -> PictureQuality {
        let data = (0..width * height).map(|i| level(i % width, i / width)).collect();
        QualityMeter::default().measure(&Picture::from_data(Layout::Grey, width, height, data).unwrap()).unwrap()
    }

    #[test]
    fn figures_of_simple_pictures() {
        let halves = measured(64, 48, |x, _| if x < 32 { 0 } else { 255 });
        assert_eq!((halves.mean, halves.overexposed, halves.black, halves.contrast), (127.5, 0.5, 0.5, 127.5));
        // Of 62 inner columns one holds -255 and one 255.
        assert!((halves.sharpness - 2.0 / 62.0 * 4.0).abs() < 1e-12, "{}", halves.sharpness);
        let flat = measured(40, 40, |_, _| 90);
        assert_eq!(
            (flat.contrast, flat.sharpness, flat.thumbnail.data()),
            (0.0, 0.0, &[90; THUMBNAIL_SIDE * THUMBNAIL_SIDE][..])
        );
        assert_eq!(measured(1, 2, |_, y| y as u8).sharpness, 0.0);
        assert!(QualityMeter::default().measure(&Picture::default()).is_err());
    }

    #[test]
    fn sharpness_falls_with_blur_and_not_with_brightness() {
        let texture = |x: usize, y: usize| (x * 37 + y * 91 + x * y * 13) % 200;
        let sharp = measured(200, 150, |x, y| texture(x, y) as u8).sharpness;
        let dim = measured(200, 150, |x, y| (texture(x, y) / 4) as u8).sharpness;
        let blurred = measured(200, 150, |x, y| {
            let square = (0..25).map(|i| texture(x + i % 5, y + i / 5));
            (square.sum::<usize>() / 25) as u8
        });
        assert!((dim / sharp - 1.0).abs() < 0.05, "{dim} {sharp}");
        assert!(blurred.sharpness < sharp / 4.0, "{} {sharp}", blurred.sharpness);
    }
}
