//! Quality metrics of an enlarged picture against the original, by the literature's protocol: luma of BT.601 in studio range
//! (`Y = 16 + (65.481 R + 128.553 G + 24.966 B) / 255`, MATLAB's `rgb2ycbcr`), rounded to bytes as there, without a border as wide
//! as the scale.

use lineside_picture::{Layout, Picture};

/// The peak signal-to-noise ratio of luma in dB, peak 255; infinite for equal pictures, `None` if sizes differ or nothing is left
/// inside the border.
pub fn psnr_y(original: &Picture, enlarged: &Picture, border: usize) -> Option<f64> {
    let (a, b) = luma_pair(original, enlarged, border)?;
    let squares: f64 = a.values.iter().zip(&b.values).map(|(a, b)| (a - b) * (a - b)).sum();
    Some(10.0 * (255.0 * 255.0 * a.values.len() as f64 / squares).log10())
}

/// The structural similarity of luma (Wang et al. 2004: 11×11 Gaussian of σ = 1.5, K₁ = 0.01, K₂ = 0.03, only windows inside the
/// picture); `None` if sizes differ or no window fits.
pub fn ssim_y(original: &Picture, enlarged: &Picture, border: usize) -> Option<f64> {
    const C1: f64 = (0.01 * 255.0) * (0.01 * 255.0);
    const C2: f64 = (0.03 * 255.0) * (0.03 * 255.0);
    let (a, b) = luma_pair(original, enlarged, border)?;
    let product = |x: &LumaPlane, y: &LumaPlane| LumaPlane {
        values: x.values.iter().zip(&y.values).map(|(x, y)| x * y).collect(),
        width: x.width,
    };
    let (mean_a, mean_b) = (a.blurred()?, b.blurred()?);
    let (mean_aa, mean_bb, mean_ab) =
        (product(&a, &a).blurred()?, product(&b, &b).blurred()?, product(&a, &b).blurred()?);
    let mut sum = 0.0;
    for i in 0..mean_a.values.len() {
        let (ma, mb) = (mean_a.values[i], mean_b.values[i]);
        let (variance_a, variance_b) = (mean_aa.values[i] - ma * ma, mean_bb.values[i] - mb * mb);
        let covariance = mean_ab.values[i] - ma * mb;
        sum += ((2.0 * ma * mb + C1) * (2.0 * covariance + C2))
            / ((ma * ma + mb * mb + C1) * (variance_a + variance_b + C2));
    }
    Some(sum / mean_a.values.len() as f64)
}

/// Luma of a picture without its border.
struct LumaPlane {
    values: Vec<f64>,
    width: usize,
}

impl LumaPlane {
    fn luma(picture: &Picture, border: usize) -> Option<LumaPlane> {
        let (width, height) = (picture.width().checked_sub(2 * border)?, picture.height().checked_sub(2 * border)?);
        if width == 0 || height == 0 {
            return None;
        }
        let mut values = Vec::with_capacity(width * height);
        for y in border..border + height {
            let row = picture.row(y);
            for x in border..border + width {
                let [r, g, b] = match picture.layout() {
                    Layout::Grey => [f64::from(row[x]); 3],
                    Layout::Rgb => [0, 1, 2].map(|channel| f64::from(row[3 * x + channel])),
                };
                values.push((16.0 + (65.481 * r + 128.553 * g + 24.966 * b) / 255.0).round());
            }
        }
        Some(LumaPlane { values, width })
    }

    /// The means over the Gaussian window, where it lies inside.
    fn blurred(&self) -> Option<LumaPlane> {
        const SIDE: usize = 11;
        let height = self.values.len() / self.width;
        if self.width < SIDE || height < SIDE {
            return None;
        }
        let weight = |i: usize| {
            let distance = i as f64 - 5.0;
            (-(distance * distance) / (2.0 * 1.5 * 1.5)).exp()
        };
        let total: f64 = (0..SIDE).map(weight).sum();
        let window: Vec<f64> = (0..SIDE).map(|i| weight(i) / total).collect();
        let width = self.width - SIDE + 1;
        let mut across = Vec::with_capacity(width * height);
        for row in self.values.chunks_exact(self.width) {
            across.extend(row.windows(SIDE).map(|part| part.iter().zip(&window).map(|(v, w)| v * w).sum::<f64>()));
        }
        let down = |y: usize, x: usize| (0..SIDE).map(|i| across[(y + i) * width + x] * window[i]).sum::<f64>();
        let values =
            (0..height - SIDE + 1).flat_map(|y| (0..width).map(move |x| (y, x))).map(|(y, x)| down(y, x)).collect();
        Some(LumaPlane { values, width })
    }
}

fn luma_pair(original: &Picture, enlarged: &Picture, border: usize) -> Option<(LumaPlane, LumaPlane)> {
    if (original.width(), original.height()) != (enlarged.width(), enlarged.height()) {
        return None;
    }
    Some((LumaPlane::luma(original, border)?, LumaPlane::luma(enlarged, border)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grey(level: impl Fn(usize) -> u8) -> Picture {
        Picture::from_data(Layout::Grey, 20, 20, (0..400).map(level).collect()).unwrap()
    }

    #[test]
    fn a_known_error_has_the_known_ratio() {
        let (a, b) = (grey(|_| 0), grey(|_| 255));
        // Studio range: 16 against 235, so 20·log10(255 / 219).
        let expected = 20.0 * (255.0f64 / 219.0).log10();
        assert!((psnr_y(&a, &b, 3).unwrap() - expected).abs() < 1e-9);
        assert_eq!(psnr_y(&a, &a, 3), Some(f64::INFINITY));
        assert_eq!(psnr_y(&a, &Picture::new(Layout::Grey, 20, 19), 3), None);
        assert_eq!(psnr_y(&a, &b, 10), None);
    }

    #[test]
    fn similarity_is_one_for_equal_and_falls_with_noise() {
        let a = grey(|i| (i * 37 % 251) as u8);
        let b = grey(|i| (i * 37 % 251) as u8 ^ 16);
        assert!((ssim_y(&a, &a, 0).unwrap() - 1.0).abs() < 1e-12);
        let near = ssim_y(&a, &b, 0).unwrap();
        assert!(near < 0.999 && near > 0.5, "{near}");
        assert_eq!(ssim_y(&a, &b, 5), None);
    }
}
