//! Colour: RGB to luma and YCbCr and back, by ITU-R BT.601 in 16-bit fixed point.
//!
//! Every conversion is `(sum of coefficient * value + 1/2) >> 16`, clamped to 0..=255: at most 1 LSB from the formula
//! in real numbers. The luma coefficients sum to exactly one and the chroma coefficients to exactly zero, so grey
//! stays grey to the last bit.

use super::PictureError;
use super::picture::{Layout, Picture};

/// Which luma is black and white.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Range {
    /// 0 and 255: what is assumed where a source states nothing.
    #[default]
    Full,
    /// 16 and 235, as in video.
    Limited,
}

const FRACTION: u32 = 16;
const HALF: i32 = 1 << (FRACTION - 1);

// BT.601: Kr = 0.299, Kb = 0.114; each is the real coefficient times 65536.
const Y_R: i32 = 19_595;
const Y_G: i32 = 38_470;
const Y_B: i32 = 7_471;
const CB_R: i32 = -11_058;
const CB_G: i32 = -21_710;
const CB_B: i32 = 32_768;
const CR_R: i32 = 32_768;
const CR_G: i32 = -27_439;
const CR_B: i32 = -5_329;

/// How YCbCr becomes RGB: each coefficient is the real one times 65536.
pub(super) struct Inverse {
    black: i32,
    y: i32,
    r_cr: i32,
    g_cb: i32,
    g_cr: i32,
    b_cb: i32,
}

/// 0 is black, 255 is white (JFIF).
const FULL: Inverse = Inverse { black: 0, y: 65_536, r_cr: 91_881, g_cb: -22_554, g_cr: -46_802, b_cb: 116_130 };
/// 16 is black, 235 is white (video): luma times 255/219, chroma times 255/224.
const LIMITED: Inverse = Inverse { black: 16, y: 76_309, r_cr: 104_597, g_cb: -25_675, g_cr: -53_279, b_cb: 132_201 };

fn to_byte(fixed: i32) -> u8 {
    ((fixed + HALF) >> FRACTION).clamp(0, 255) as u8
}

#[inline]
fn luma(r: u8, g: u8, b: u8) -> u8 {
    to_byte(Y_R * i32::from(r) + Y_G * i32::from(g) + Y_B * i32::from(b))
}

/// RGB to full-range Y, Cb, Cr.
#[inline]
pub(super) fn rgb_to_ycbcr(r: u8, g: u8, b: u8) -> [u8; 3] {
    let (red, green, blue) = (i32::from(r), i32::from(g), i32::from(b));
    let middle = 128 << FRACTION;
    [
        luma(r, g, b),
        to_byte(CB_R * red + CB_G * green + CB_B * blue + middle),
        to_byte(CR_R * red + CR_G * green + CR_B * blue + middle),
    ]
}

impl Inverse {
    #[inline]
    pub(super) fn of(range: Range) -> Inverse {
        match range {
            Range::Full => FULL,
            Range::Limited => LIMITED,
        }
    }

    /// What a pair of chroma values adds to red, green and blue.
    #[inline]
    pub(super) fn chroma(&self, cb: u8, cr: u8) -> [i32; 3] {
        let (cb, cr) = (i32::from(cb) - 128, i32::from(cr) - 128);
        [self.r_cr * cr, self.g_cb * cb + self.g_cr * cr, self.b_cb * cb]
    }

    /// Luma and what its chroma adds, as RGB.
    #[inline]
    pub(super) fn rgb(&self, y: u8, chroma: [i32; 3]) -> [u8; 3] {
        let y = (i32::from(y) - self.black) * self.y;
        chroma.map(|part| to_byte(y + part))
    }
}

/// Y, Cb, Cr to RGB.
#[inline]
#[cfg(test)]
pub(super) fn ycbcr_to_rgb(range: Range, y: u8, cb: u8, cr: u8) -> [u8; 3] {
    let inverse = Inverse::of(range);
    inverse.rgb(y, inverse.chroma(cb, cr))
}

/// Luma alone, brought to full range.
#[inline]
pub(super) fn expand_luma(range: Range, y: u8) -> u8 {
    match range {
        Range::Full => y,
        Range::Limited => to_byte((i32::from(y) - LIMITED.black) * LIMITED.y),
    }
}

/// The luma of a picture; a grey picture is its own luma.
pub fn luma_into(picture: &Picture, out: &mut Picture) {
    match picture.layout() {
        Layout::Grey => out.copy_from(picture),
        Layout::Rgb => {
            out.reshape(Layout::Grey, picture.width(), picture.height());
            luma_row(Layout::Rgb, picture.data(), out.data_mut());
        }
    }
}

/// The luma of pixels that lie side by side in a layout.
pub fn luma_row(layout: Layout, from: &[u8], to: &mut [u8]) {
    match layout {
        Layout::Grey => to.copy_from_slice(from),
        Layout::Rgb => {
            for (to, &[r, g, b]) in to.iter_mut().zip(from.as_chunks::<3>().0) {
                *to = luma(r, g, b);
            }
        }
    }
}

/// The picture in RGB; a grey one gets three equal channels.
pub fn rgb_into(picture: &Picture, out: &mut Picture) {
    match picture.layout() {
        Layout::Rgb => out.copy_from(picture),
        Layout::Grey => {
            out.reshape(Layout::Rgb, picture.width(), picture.height());
            for (rgb, &grey) in out.data_mut().chunks_exact_mut(3).zip(picture.data()) {
                rgb.fill(grey);
            }
        }
    }
}

/// Splits a picture into full-range Y, Cb and Cr, each a grey picture of the same size. A grey picture has the neutral
/// chroma 128 everywhere.
pub fn split_ycbcr(picture: &Picture, y: &mut Picture, cb: &mut Picture, cr: &mut Picture) {
    for plane in [&mut *y, &mut *cb, &mut *cr] {
        plane.reshape(Layout::Grey, picture.width(), picture.height());
    }
    match picture.layout() {
        Layout::Grey => {
            y.copy_from(picture);
            cb.data_mut().fill(128);
            cr.data_mut().fill(128);
        }
        Layout::Rgb => {
            split_row(picture.data(), y.data_mut(), cb.data_mut(), cr.data_mut());
        }
    }
}

/// Splits RGB pixels that follow each other into full-range Y, Cb and Cr.
pub fn split_row(rgb: &[u8], y: &mut [u8], cb: &mut [u8], cr: &mut [u8]) {
    for (((y, cb), cr), rgb) in y.iter_mut().zip(cb).zip(cr).zip(rgb.chunks_exact(3)) {
        [*y, *cb, *cr] = rgb_to_ycbcr(rgb[0], rgb[1], rgb[2]);
    }
}

/// Joins full-range Y, Cb and Cr, three grey pictures of one size, into an RGB picture.
///
/// # Errors
/// [`PictureError::LayoutMismatch`] or [`PictureError::SizeMismatch`] when the planes don't fit together.
pub fn merge_ycbcr(y: &Picture, cb: &Picture, cr: &Picture, out: &mut Picture) -> Result<(), PictureError> {
    for (what, plane) in [("Y plane", y), ("Cb plane", cb), ("Cr plane", cr)] {
        expect_grey(what, plane, y.width(), y.height())?;
    }
    out.reshape(Layout::Rgb, y.width(), y.height());
    merge_row(y.data(), cb.data(), cr.data(), out.data_mut());
    Ok(())
}

/// Joins full-range Y, Cb and Cr of pixels that follow each other into RGB.
pub fn merge_row(y: &[u8], cb: &[u8], cr: &[u8], rgb: &mut [u8]) {
    let inverse = Inverse::of(Range::Full);
    for (rgb, ((&y, &cb), &cr)) in rgb.chunks_exact_mut(3).zip(y.iter().zip(cb).zip(cr)) {
        rgb.copy_from_slice(&inverse.rgb(y, inverse.chroma(cb, cr)));
    }
}

/// Refuses a picture that is not grey or not of the given size.
pub(super) fn expect_grey(
    what: &'static str,
    picture: &Picture,
    width: usize,
    height: usize,
) -> Result<(), PictureError> {
    if picture.layout() != Layout::Grey {
        return Err(PictureError::LayoutMismatch { what, expected: 1, actual: picture.channels() });
    }
    if (picture.width(), picture.height()) != (width, height) {
        let (actual_width, actual_height) = (picture.width(), picture.height());
        return Err(PictureError::SizeMismatch { what, width, height, actual_width, actual_height });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{checksum, synthetic};

    /// Every third value, and both ends.
    fn levels() -> impl Iterator<Item = u8> + Clone {
        (0..=255).step_by(3)
    }

    fn near(actual: [u8; 3], real: [f64; 3]) -> bool {
        actual.iter().zip(real).all(|(&a, r)| (f64::from(a) - r.clamp(0.0, 255.0).round()).abs() <= 1.0)
    }

    #[test]
    fn coefficients_balance() {
        assert_eq!(Y_R + Y_G + Y_B, 1 << FRACTION);
        assert_eq!(CB_R + CB_G + CB_B, 0);
        assert_eq!(CR_R + CR_G + CR_B, 0);
    }

    #[test]
    fn rgb_to_ycbcr_follows_the_formula() {
        for r in levels() {
            for g in levels() {
                for b in levels() {
                    let (rf, gf, bf) = (f64::from(r), f64::from(g), f64::from(b));
                    let y = 0.299 * rf + 0.587 * gf + 0.114 * bf;
                    let real = [y, 128.0 + (bf - y) / 1.772, 128.0 + (rf - y) / 1.402];
                    let actual = rgb_to_ycbcr(r, g, b);
                    assert!(near(actual, real), "{r} {g} {b}: {actual:?}, formula {real:?}");
                }
            }
        }
    }

    #[test]
    fn ycbcr_to_rgb_follows_the_formula() {
        for y in levels() {
            for cb in levels() {
                for cr in levels() {
                    let (yf, cbf, crf) = (f64::from(y), f64::from(cb) - 128.0, f64::from(cr) - 128.0);
                    let rgb = |y: f64, cb: f64, cr: f64| {
                        let (r, b) = (y + 1.402 * cr, y + 1.772 * cb);
                        [r, (y - 0.299 * r - 0.114 * b) / 0.587, b]
                    };
                    let (l, c) = (255.0 / 219.0, 255.0 / 224.0);
                    for (range, real) in
                        [(Range::Full, rgb(yf, cbf, crf)), (Range::Limited, rgb((yf - 16.0) * l, cbf * c, crf * c))]
                    {
                        let actual = ycbcr_to_rgb(range, y, cb, cr);
                        assert!(near(actual, real), "{range:?} {y} {cb} {cr}: {actual:?}, formula {real:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn grey_stays_grey() {
        for v in 0..=255 {
            assert_eq!(rgb_to_ycbcr(v, v, v), [v, 128, 128]);
            assert_eq!(ycbcr_to_rgb(Range::Full, v, 128, 128), [v; 3]);
            assert_eq!(ycbcr_to_rgb(Range::Limited, v, 128, 128), [expand_luma(Range::Limited, v); 3]);
        }
        assert_eq!(expand_luma(Range::Limited, 16), 0);
        assert_eq!(expand_luma(Range::Limited, 235), 255);
    }

    #[test]
    fn planes_come_back_within_the_rounding_of_8_bits() {
        let picture = synthetic(Layout::Rgb, 61, 37);
        let (mut y, mut cb, mut cr, mut back) = Default::default();
        split_ycbcr(&picture, &mut y, &mut cb, &mut cr);
        merge_ycbcr(&y, &cb, &cr, &mut back).unwrap();
        // Half an LSB of chroma is worth 0.9 LSB of blue, half an LSB of luma another 0.5; then clamping at 255.5.
        let worst = picture.data().iter().zip(back.data()).map(|(a, b)| a.abs_diff(*b)).max();
        assert!(worst <= Some(2), "{worst:?}");

        let mut grey = Picture::default();
        luma_into(&picture, &mut grey);
        assert_eq!(grey, y);
        rgb_into(&grey, &mut back);
        luma_into(&back, &mut y);
        assert_eq!(grey, y);
    }

    #[test]
    fn merge_refuses_planes_that_do_not_fit() {
        let (grey, small, rgb) =
            (Picture::new(Layout::Grey, 4, 4), Picture::new(Layout::Grey, 2, 2), Picture::new(Layout::Rgb, 4, 4));
        let mut out = Picture::default();
        let message = merge_ycbcr(&grey, &small, &grey, &mut out).unwrap_err().to_string();
        assert_eq!(message, "Cb plane is 2x2, expected 4x4");
        assert!(merge_ycbcr(&grey, &grey, &rgb, &mut out).is_err());
    }

    #[test]
    fn same_bytes_on_every_cpu() {
        let picture = synthetic(Layout::Rgb, 97, 53);
        let (mut y, mut cb, mut cr, mut back) = Default::default();
        split_ycbcr(&picture, &mut y, &mut cb, &mut cr);
        merge_ycbcr(&y, &cb, &cr, &mut back).unwrap();
        let actual = [&y, &cb, &cr, &back].map(checksum);
        let recorded = [0x3c3d0cc17cc2f25d, 0x3a415fb9a21a0714, 0x7f8e7d168a872c57, 0xa2c5c518a9c34890];
        assert_eq!(actual, recorded, "{actual:#x?}");
    }
}
