//! Drawing on pictures that people look at: boxes, labels, pictures side by side. What lies outside is clipped.

use std::convert::Infallible;

use embedded_graphics::Drawable;
use embedded_graphics::Pixel;
use embedded_graphics::draw_target::DrawTarget;
use embedded_graphics::geometry::{OriginDimensions, Point, Size};
use embedded_graphics::mono_font::ascii::{FONT_6X10, FONT_10X20};
use embedded_graphics::mono_font::{MonoFont, MonoTextStyle};
use embedded_graphics::pixelcolor::{Rgb888, RgbColor};
use embedded_graphics::text::{Baseline, Text};

use super::colour::{rgb_into, rgb_to_ycbcr};
use super::picture::{Layout, Picture, Rect};

/// A colour to draw with: red, green, blue. On a grey picture its luma is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Colour(pub u8, pub u8, pub u8);

impl Colour {
    /// For what is well, and plain text.
    pub const WHITE: Colour = Colour(255, 255, 255);
    /// For normal parts.
    pub const GREEN: Colour = Colour(64, 220, 96);
    /// For what to look at.
    pub const AMBER: Colour = Colour(255, 176, 0);
    /// For alarms.
    pub const RED: Colour = Colour(255, 48, 48);
    /// Behind text.
    const DARK: Colour = Colour(24, 24, 24);
}

/// Pixels between a label's text and the edge of its background.
const PADDING: usize = 2;
/// Pixels between pictures side by side.
const GAP: usize = 4;

/// Draws the frame of `rect`, its lines `thickness` pixels wide and inside it.
pub fn draw_box(picture: &mut Picture, rect: Rect, colour: Colour, thickness: usize) {
    let Rect { x, y, width, height } = rect;
    let (across, down) = (thickness.min(width), thickness.min(height));
    fill(picture, Rect { height: down, ..rect }, colour);
    fill(picture, Rect { y: y.saturating_add(height - down), height: down, ..rect }, colour);
    fill(picture, Rect { width: across, ..rect }, colour);
    fill(picture, Rect { x: x.saturating_add(width - across), width: across, ..rect }, colour);
}

/// Writes one line of text on a dark background whose upper left corner is at `x`, `y`, moved left and up where it would
/// not fit otherwise. The font is ASCII; other characters come out as `?`.
pub fn label(picture: &mut Picture, x: usize, y: usize, text: &str, colour: Colour) {
    let font = font_for(picture);
    let (width, height) = label_size(font, text);
    let x = x.min(picture.width().saturating_sub(width));
    let y = y.min(picture.height().saturating_sub(height));
    fill(picture, Rect { x, y, width, height }, Colour::DARK);
    write(picture, x + PADDING, y + PADDING, text, font, colour);
}

/// Puts pictures next to each other, each with its caption above, on a dark ground; the result is RGB.
pub fn side_by_side(pictures: &[(&Picture, &str)]) -> Picture {
    let Some(widest) = pictures.iter().map(|(picture, _)| picture).max_by_key(|picture| picture.width()) else {
        return Picture::default();
    };
    let font = font_for(widest);
    let column = |picture: &Picture, caption: &str| picture.width().max(label_size(font, caption).0);
    let heading = label_size(font, "").1;
    let width = pictures.iter().map(|(picture, caption)| column(picture, caption) + GAP).sum::<usize>() - GAP;
    let height = pictures.iter().map(|(picture, _)| picture.height()).max().unwrap_or(0) + heading;

    let mut sheet = Picture::new(Layout::Rgb, width, height);
    fill(&mut sheet, Rect { x: 0, y: 0, width, height }, Colour::DARK);
    let (mut rgb, mut x) = (Picture::default(), 0);
    for (picture, caption) in pictures {
        write(&mut sheet, x + PADDING, PADDING, caption, font, Colour::WHITE);
        rgb_into(picture, &mut rgb);
        for y in 0..rgb.height() {
            sheet.row_mut(heading + y)[x * 3..][..rgb.width() * 3].copy_from_slice(rgb.row(y));
        }
        x += column(picture, caption) + GAP;
    }
    sheet
}

/// Puts pictures below each other on a dark ground; the result is RGB.
pub fn stacked(pictures: &[Picture]) -> Picture {
    let width = pictures.iter().map(Picture::width).max().unwrap_or(0);
    let height = (pictures.iter().map(|picture| picture.height() + GAP).sum::<usize>()).saturating_sub(GAP);
    let mut sheet = Picture::new(Layout::Rgb, width, height);
    fill(&mut sheet, Rect { x: 0, y: 0, width, height }, Colour::DARK);
    let (mut rgb, mut top) = (Picture::default(), 0);
    for picture in pictures {
        rgb_into(picture, &mut rgb);
        for y in 0..rgb.height() {
            sheet.row_mut(top + y)[..rgb.width() * 3].copy_from_slice(rgb.row(y));
        }
        top += rgb.height() + GAP;
    }
    sheet
}

fn fill(picture: &mut Picture, rect: Rect, colour: Colour) {
    let rect = rect.clamp_to(picture.width(), picture.height());
    let bytes = colour_bytes(picture.layout(), colour);
    let channels = picture.channels();
    for y in rect.y..rect.bottom() {
        for pixel in picture.row_mut(y)[rect.x * channels..rect.right() * channels].chunks_exact_mut(channels) {
            pixel.copy_from_slice(&bytes[..channels]);
        }
    }
}

fn colour_bytes(layout: Layout, Colour(r, g, b): Colour) -> [u8; 3] {
    match layout {
        Layout::Rgb => [r, g, b],
        Layout::Grey => rgb_to_ycbcr(r, g, b),
    }
}

/// A small font for small pictures, so that a label leaves something to see.
fn font_for(picture: &Picture) -> &'static MonoFont<'static> {
    if picture.width() < 400 { &FONT_6X10 } else { &FONT_10X20 }
}

/// Width and height of a label with its background.
fn label_size(font: &MonoFont, text: &str) -> (usize, usize) {
    let Size { width, height } = font.character_size;
    (text.chars().count() * width as usize + 2 * PADDING, height as usize + 2 * PADDING)
}

fn write(picture: &mut Picture, x: usize, y: usize, text: &str, font: &MonoFont, Colour(r, g, b): Colour) {
    // A picture that fits in memory is far from the end of i32; saturating keeps the far end outside the picture.
    let at = Point::new(x.try_into().unwrap_or(i32::MAX / 2), y.try_into().unwrap_or(i32::MAX / 2));
    let style = MonoTextStyle::new(font, Rgb888::new(r, g, b));
    let Ok(_) = Text::with_baseline(text, at, style, Baseline::Top).draw(&mut Canvas(picture));
}

/// Lets embedded-graphics draw on a picture.
struct Canvas<'a>(&'a mut Picture);

impl OriginDimensions for Canvas<'_> {
    fn size(&self) -> Size {
        let side = |length: usize| u32::try_from(length).unwrap_or(u32::MAX);
        Size::new(side(self.0.width()), side(self.0.height()))
    }
}

impl DrawTarget for Canvas<'_> {
    type Color = Rgb888;
    type Error = Infallible;

    fn draw_iter<I: IntoIterator<Item = Pixel<Rgb888>>>(&mut self, pixels: I) -> Result<(), Infallible> {
        for Pixel(Point { x, y }, colour) in pixels {
            if let (Ok(x), Ok(y)) = (usize::try_from(x), usize::try_from(y)) {
                fill(self.0, Rect { x, y, width: 1, height: 1 }, Colour(colour.r(), colour.g(), colour.b()));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::synthetic;

    #[test]
    fn stacked_pictures_keep_their_rows() {
        let mut top = Picture::new(Layout::Grey, 2, 1);
        top.row_mut(0).copy_from_slice(&[10, 20]);
        let mut bottom = Picture::new(Layout::Rgb, 3, 2);
        bottom.row_mut(1)[6..].copy_from_slice(&[1, 2, 3]);
        let sheet = stacked(&[top, bottom]);
        assert_eq!((sheet.width(), sheet.height()), (3, 1 + GAP + 2));
        assert_eq!(sheet.row(0)[3..6], [20, 20, 20]);
        assert_eq!(sheet.row(1 + GAP + 1)[6..], [1, 2, 3]);
        assert!(stacked(&[]).is_empty());
    }

    #[test]
    fn frame_covers_its_lines_and_nothing_else() {
        let mut picture = Picture::new(Layout::Grey, 8, 7);
        draw_box(&mut picture, Rect { x: 1, y: 1, width: 5, height: 4 }, Colour::WHITE, 1);
        let drawn: String = picture
            .data()
            .chunks(8)
            .flat_map(|row| row.iter().map(|&v| if v == 255 { '#' } else { '.' }).chain(['\n']))
            .collect();
        assert_eq!(drawn, "........\n.#####..\n.#...#..\n.#...#..\n.#####..\n........\n........\n");
    }

    #[test]
    fn drawing_outside_is_clipped() {
        for layout in [Layout::Grey, Layout::Rgb] {
            for (width, height) in [(0, 0), (1, 1), (5, 30), (500, 3)] {
                let mut picture = Picture::new(layout, width, height);
                for far in [0, 3, 1 << 40, usize::MAX] {
                    label(&mut picture, far, far, "alarm \u{e9}", Colour::RED);
                    let rect = Rect { x: far, y: 1, width: far, height: usize::MAX };
                    draw_box(&mut picture, rect, Colour::AMBER, far);
                }
            }
        }
    }

    #[test]
    fn label_is_moved_to_fit() {
        let mut picture = Picture::new(Layout::Rgb, 100, 40);
        label(&mut picture, 99, 39, "OK", Colour::GREEN);
        let green = |x: usize, y: usize| picture.row(y)[x * 3..][..3] == [64, 220, 96];
        let count = (0..40).flat_map(|y| (0..100).map(move |x| (x, y))).filter(|&(x, y)| green(x, y)).count();
        assert!(count > 15, "{count} green pixels");
        assert!((0..100).all(|x| (0..26).all(|y| !green(x, y))));
    }

    #[test]
    fn side_by_side_holds_every_picture() {
        let (grey, rgb) = (synthetic(Layout::Grey, 100, 30), synthetic(Layout::Rgb, 60, 50));
        let sheet = side_by_side(&[(&grey, "grey"), (&rgb, "a caption wider than its picture")]);
        assert_eq!((sheet.layout(), sheet.width(), sheet.height()), (Layout::Rgb, 100 + GAP + 32 * 6 + 4, 50 + 14));
        assert_eq!(&sheet.row(14)[..3], [grey.data()[0]; 3]);
        assert_eq!(&sheet.row(14 + 49)[104 * 3..][..180], rgb.row(49));
        assert!(side_by_side(&[]).is_empty());
        side_by_side(&[(&Picture::default(), "")]);
    }
}
