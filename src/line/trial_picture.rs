//! What judges are tried with before the first frame: a picture that shows something.

use lineside_picture::{Layout, Picture};

/// What a bundle is tried with, of a width and height: levels that go up and down. Of a black frame sound networks may make what no
/// verdict follows from: a vector without direction, or NaN where they divide by its contrast.
pub(super) fn trial_picture((width, height): (usize, usize)) -> Picture {
    let mut picture = Picture::new(Layout::Rgb, width, height);
    for (at, pixel) in picture.data_mut().chunks_exact_mut(3).enumerate() {
        let (x, y) = (at % width, at / width);
        pixel.copy_from_slice(&[(x * 3) as u8, (y * 3) as u8, (x * 7 + y * 13) as u8]);
    }
    picture
}
