//! Heat: an anomaly map laid over the picture it belongs to.

use super::PictureError;
use super::colour::expect_grey;
use super::picture::{Layout, Picture};

/// What hardly any normal frame reaches, as the maps of the tasks put it. Below it the part shows through untouched: colour where
/// nothing is wrong only misleads.
const ALARM: i32 = 128;
/// Share of the colour in the mix at the threshold and at the hottest, of 256.
const OPACITY_AT_ALARM: i32 = 112;
const OPACITY_AT_HOTTEST: i32 = 184;

/// "Inferno" (matplotlib, public domain) at every 32nd value: lightness rises evenly, so that hotter is brighter for
/// every eye, colour-blind ones too.
const INFERNO: [[i32; 3]; 9] = [
    [0, 0, 4],
    [31, 12, 72],
    [85, 15, 109],
    [136, 34, 106],
    [186, 54, 85],
    [227, 89, 51],
    [249, 140, 10],
    [249, 201, 50],
    [252, 255, 164],
];

/// Colour and opacity of each heat.
const TABLE: [([i32; 3], i32); 256] = {
    let mut table = [([0; 3], 0); 256];
    let mut heat = 0;
    while heat < 256 {
        table[heat] = (colour(heat as i32), opacity(heat as i32));
        heat += 1;
    }
    table
};

const fn colour(heat: i32) -> [i32; 3] {
    let (anchor, part) = ((heat / 32) as usize, heat % 32);
    let mut rgb = [0; 3];
    let mut c = 0;
    while c < 3 {
        rgb[c] = (INFERNO[anchor][c] * (32 - part) + INFERNO[anchor + 1][c] * part + 16) / 32;
        c += 1;
    }
    rgb
}

const fn opacity(heat: i32) -> i32 {
    if heat < ALARM {
        0
    } else {
        OPACITY_AT_ALARM + (OPACITY_AT_HOTTEST - OPACITY_AT_ALARM) * (heat - ALARM) / (255 - ALARM)
    }
}

/// Lays `heat` over an RGB picture of the same size. Heat is 0..=255; below 128, which hardly any normal frame
/// reaches, the picture stays as it is.
///
/// # Errors
/// [`PictureError::LayoutMismatch`] or [`PictureError::SizeMismatch`] when `picture` is not RGB, `heat` not grey, or
/// their sizes differ.
pub fn overlay_heatmap(picture: &mut Picture, heat: &Picture) -> Result<(), PictureError> {
    if picture.layout() != Layout::Rgb {
        return Err(PictureError::LayoutMismatch { what: "picture under the heatmap", expected: 3, actual: 1 });
    }
    expect_grey("heatmap", heat, picture.width(), picture.height())?;
    for (pixel, &heat) in picture.data_mut().chunks_exact_mut(3).zip(heat.data()) {
        let (colour, opacity) = TABLE[usize::from(heat)];
        for (byte, colour) in pixel.iter_mut().zip(colour) {
            *byte = ((i32::from(*byte) * (256 - opacity) + colour * opacity + 128) >> 8) as u8;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cold_leaves_the_part_and_hot_gets_brighter() {
        let mut picture = Picture::new(Layout::Rgb, 256, 1);
        picture.data_mut().fill(60);
        let heat = Picture::from_data(Layout::Grey, 256, 1, (0..=255).collect()).unwrap();
        overlay_heatmap(&mut picture, &heat).unwrap();
        assert!(picture.data()[..ALARM as usize * 3].iter().all(|&v| v == 60));
        assert_ne!(picture.data()[ALARM as usize * 3..][..3], [60; 3]);
        let red: Vec<u8> = picture.data().iter().step_by(3).copied().collect();
        assert!(red[ALARM as usize..].is_sorted(), "{red:?}");
        assert!(red[255] > 190);
    }

    #[test]
    fn refuses_what_does_not_fit() {
        let (mut rgb, mut grey) = (Picture::new(Layout::Rgb, 4, 4), Picture::new(Layout::Grey, 4, 4));
        assert!(overlay_heatmap(&mut rgb, &grey).is_ok());
        assert!(overlay_heatmap(&mut grey, &Picture::new(Layout::Grey, 4, 4)).is_err());
        assert!(overlay_heatmap(&mut rgb, &Picture::new(Layout::Grey, 4, 5)).is_err());
    }
}
