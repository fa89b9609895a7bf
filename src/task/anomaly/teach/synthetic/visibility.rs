//! Whether a defect is visible.

use lineside_picture::{Picture, Rect};

/// A defect is visible if its mean change under the mask is above this share of the picture's standard deviation.
pub(super) const MIN_CHANGE: f64 = 0.03;
/// The lowest standard deviation that is used for that, in grey levels.
pub(super) const MIN_DEVIATION: f64 = 10.0;

/// The number of pixels under the mask and their mean absolute change in grey levels. The mask marks none outside `area`.
pub(super) fn change_under(mask: &Picture, area: Rect, before: &Picture, after: &Picture) -> (u64, f64) {
    let channels = before.channels();
    let (mut count, mut sum) = (0, 0);
    for y in area.y..area.bottom() {
        let pixels =
            |picture| Picture::row(picture, y)[area.x * channels..area.right() * channels].chunks_exact(channels);
        let marks = &mask.row(y)[area.x..area.right()];
        for ((before, after), _) in pixels(before).zip(pixels(after)).zip(marks).filter(|(_, mark)| **mark > 0) {
            count += 1;
            sum += before.iter().zip(after).map(|(a, b)| u64::from(a.abs_diff(*b))).sum::<u64>();
        }
    }
    (count, sum as f64 / (count * channels as u64).max(1) as f64)
}
