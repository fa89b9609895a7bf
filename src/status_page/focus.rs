//! A focus measure: the lens is turned until it is highest.

use lineside_picture::{Picture, luma_into};

/// Sharpness and mean brightness, in grey levels. Sharpness is the mean absolute Laplacian (4 neighbours) of the luma of every
/// second row. It rises with focus and with noise, so it compares frames of one camera in one light.
pub fn focus(picture: &Picture, luma: &mut Picture) -> (f64, f64) {
    luma_into(picture, luma);
    let (width, height) = (luma.width(), luma.height());
    let sum: u64 = luma.data().iter().map(|&y| u64::from(y)).sum();
    let brightness = sum as f64 / (width * height).max(1) as f64;
    if width < 3 || height < 3 {
        return (0.0, brightness);
    }
    let (mut edges, mut pixels) = (0u64, 0u64);
    for y in (1..height - 1).step_by(2) {
        let (above, row, below) = (luma.row(y - 1), luma.row(y), luma.row(y + 1));
        for x in 1..width - 1 {
            let level = |byte: u8| i32::from(byte);
            let around = level(above[x]) + level(below[x]) + level(row[x - 1]) + level(row[x + 1]);
            edges += u64::from((4 * level(row[x]) - around).unsigned_abs());
        }
        pixels += width as u64 - 2;
    }
    (edges as f64 / pixels as f64, brightness)
}

#[cfg(test)]
mod tests {
    use super::*;
    use lineside_picture::Layout;

    /// A step of 100 levels that takes `width` pixels.
    fn step(width: usize) -> f64 {
        let mut picture = Picture::new(Layout::Grey, 64, 48);
        for y in 0..48 {
            for (x, pixel) in picture.row_mut(y).iter_mut().enumerate() {
                *pixel = 50 + (100 * x.saturating_sub(30).min(width) / width) as u8;
            }
        }
        focus(&picture, &mut Picture::default()).0
    }

    #[test]
    fn a_sharper_edge_counts_for_more() {
        assert!(step(1) > 1.5 * step(4) && step(4) > 1.5 * step(16), "{} {} {}", step(1), step(4), step(16));
        let mut flat = Picture::new(Layout::Rgb, 32, 32);
        flat.data_mut().fill(80);
        assert_eq!(focus(&flat, &mut Picture::default()), (0.0, 80.0));
        assert_eq!(focus(&Picture::default(), &mut Picture::default()), (0.0, 0.0));
    }
}
