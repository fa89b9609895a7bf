//! Images for people: the annotated frame, and the upscaled spot.

use crate::task::anomaly::Verdict;
use lineside_picture::{
    Colour, Picture, PictureError, Rect, draw_box, label, overlay_heatmap, rgb_into, side_by_side, upscale_bicubic,
};

const ALARM: Colour = Colour(255, 64, 48);
/// Of what is inspected: nothing else is blue, neither heat nor boxes.
const OUTLINE: Colour = Colour(0, 152, 255);
/// It is a pixel wide, and from frames of this width on wider, so that it can be seen in a smaller copy.
const OUTLINE_FROM: usize = 480;
const TEXT: Colour = Colour(255, 255, 255);

/// The frame in colour with the heatmap as an overlay where it is above what normal frames reach, a box around each region, and the
/// class, the severity, or that the part was not found; where only a part of it is inspected, its outline. The boxes carry no numbers: the heat is on another scale.
///
/// # Errors
/// [`PictureError`] if the heatmap does not fit the frame.
pub fn annotated(frame: &Picture, verdict: &Verdict) -> Result<Picture, PictureError> {
    let mut picture = Picture::default();
    rgb_into(frame, &mut picture);
    let mut heat = Picture::default();
    verdict.heat_over((frame.width(), frame.height()), &mut heat)?;
    overlay_heatmap(&mut picture, &heat)?;
    let (size, wider) = ((picture.width(), picture.height()), picture.width() / OUTLINE_FROM);
    verdict.outline(size, |run| draw_box(&mut picture, widened(run, wider), OUTLINE, usize::MAX));
    for region in &verdict.regions {
        draw_box(&mut picture, region.area, ALARM, 2);
    }
    let class = verdict.recognition.as_ref().map_or(String::new(), |class| {
        let (word, share) = (class.word(), class.best().1);
        if class.is_unknown { format!("{word}  ") } else { format!("{word} {share:.2}  ") }
    });
    let summary = match (verdict.is_unknown_product, verdict.is_unfound()) {
        (true, _) => "the product is unknown".to_string(),
        (_, true) => "the part was not found".to_string(),
        (_, false) => format!("{class}severity {:.2}  alarm from 1", verdict.severity),
    };
    let y = picture.height().saturating_sub(16);
    label(&mut picture, 2, y, &summary, TEXT);
    Ok(picture)
}

/// A rectangle with so many pixels more on each side; drawing clips it.
fn widened(Rect { x, y, width, height }: Rect, by: usize) -> Rect {
    let (left, top) = (x.saturating_sub(by), y.saturating_sub(by));
    Rect { x: left, y: top, width: x + width + by - left, height: y + height + by - top }
}

/// The spot upscaled by super-resolution beside the bicubic upscaling of the same pixels.
///
/// # Errors
/// [`PictureError`] if the spot cannot be resized.
pub fn spot_beside_bicubic(spot: &Picture, enlarged: &Picture, scale: usize) -> Result<Picture, PictureError> {
    let mut bicubic = Picture::default();
    upscale_bicubic(spot, scale, &mut bicubic)?;
    let ours = format!("super-resolution x{scale}");
    Ok(side_by_side(&[(enlarged, ours.as_str()), (&bicubic, "bicubic")]))
}
