//! How much detail of a frame a bundle sees: the sizes of its views, and so what a frame costs.
//!
//! A backbone of convolutions alone takes any size. One run on a larger view costs as much per pixel as on a small one, needs no
//! overlap as tiles do, and has no seams: no cell is at the border of a tile, where the backbone sees its own padding.

use crate::bundle::ViewSize;

/// The view of the image-level scorers, of the place scorer and of the heatmap, then that of the other patch-level scorers.
pub type Views = [ViewSize; 2];

const COARSE: Views = [ViewSize::square(224), ViewSize::square(96)];
const NORMAL: Views = [ViewSize::square(320), ViewSize::square(128)];
/// The most pixels of the larger view: with the smaller one 2.5 G multiply-accumulates of backbone-lite0, 7251 a pixel.
const MAX_PIXELS: usize = 328_000;

/// Cells of the larger view of [`Detail::Normal`].
const NORMAL_CELLS: usize = 400;
/// The place scorer's share of the most distant cells where there are more than [`NORMAL_CELLS`]: two of 1200 instead of twelve.
/// What is small covers one cell or two, however many there are.
const TOP_OF_MANY: f64 = 0.002;

/// The share of the cells, the most distant ones, whose mean distance is the frame's: `top` unless there are many.
pub fn top_of(cells: usize, top: f64) -> f64 {
    if cells > NORMAL_CELLS { top.min(TOP_OF_MANY) } else { top }
}

/// The detail that the user asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Detail {
    /// For slow boards: the frame in 224x224 pixels
    Coarse,
    /// The frame in 320x320 pixels
    #[default]
    Normal,
    /// For small defects: the frame in its own size, or as near to that as 2.5 G multiply-accumulates a frame allow
    Fine,
}

impl Detail {
    /// The views of frames, or of the inspected parts of them, of this width and height in pixels.
    pub fn views(self, frame: (usize, usize)) -> Views {
        match self {
            Detail::Coarse => COARSE,
            Detail::Normal => NORMAL,
            Detail::Fine => [fine(frame), NORMAL[1]],
        }
    }

    /// That with which a bundle of these views was taught.
    pub fn of(views: &[ViewSize]) -> Detail {
        match views.first() {
            Some(large) if *large == COARSE[0] => Detail::Coarse,
            Some(large) if *large == NORMAL[0] => Detail::Normal,
            _ => Detail::Fine,
        }
    }

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Detail::Coarse => "coarse",
            Detail::Normal => "normal",
            Detail::Fine => "fine",
        }
    }
}

/// The largest view of the frame's aspect ratio that has at most [`MAX_PIXELS`] and is not larger than the frame, to the nearest
/// multiple of 32; but along neither side is it smaller than that of [`Detail::Normal`].
fn fine((width, height): (usize, usize)) -> ViewSize {
    let least = NORMAL[0];
    let of_width = |view_width: usize| {
        let view_height = height * view_width / width.max(view_width);
        ViewSize { width: view_width, height: ViewSize::nearest_side(view_height).max(least.height) }
    };
    let widest = ViewSize::nearest_side(width).max(least.width);
    let mut sizes = (least.width..=widest).rev().step_by(ViewSize::MULTIPLE).map(of_width);
    sizes.find(|size| size.pixels() <= MAX_PIXELS).unwrap_or(least)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_detail_is_known_by_its_views() {
        for detail in [Detail::Coarse, Detail::Normal, Detail::Fine] {
            assert_eq!(Detail::of(&detail.views((640, 480))), detail);
        }
    }

    fn view(width: usize, height: usize) -> ViewSize {
        ViewSize { width, height }
    }

    #[test]
    fn fine_is_the_frame_itself_where_that_is_affordable() {
        for (frame, expected) in [
            ((640, 480), view(640, 480)),
            ((480, 640), view(480, 640)),
            ((320, 256), view(320, 320)),
            ((300, 300), view(320, 320)),
            ((400, 300), view(416, 320)),
            ((1280, 960), view(640, 480)),
            ((1920, 1080), view(736, 416)),
            ((4000, 300), view(1024, 320)),
            ((300, 4000), view(320, 1024)),
            ((200, 640), view(320, 640)),
            ((32, 32), view(320, 320)),
        ] {
            assert_eq!(Detail::Fine.views(frame), [expected, ViewSize::square(128)], "{frame:?}");
        }
    }

    #[test]
    fn fine_is_never_coarser_than_normal_nor_over_the_limit() {
        for width in (32..3000).step_by(37) {
            for height in (32..3000).step_by(41) {
                let [large, small] = Detail::Fine.views((width, height));
                let normal = Detail::Normal.views((width, height));
                assert!(large.pixels() <= MAX_PIXELS, "{width}x{height}: {large}");
                assert!(
                    large.width >= normal[0].width && large.height >= normal[0].height,
                    "{width}x{height}: {large}"
                );
                assert!(large.width % 32 == 0 && large.height % 32 == 0 && large.width.max(large.height) <= 1024);
                assert_eq!(small, normal[1]);
            }
        }
    }

    #[test]
    fn coarse_and_normal_do_not_depend_on_the_frame() {
        for detail in [Detail::Coarse, Detail::Normal] {
            assert_eq!(detail.views((32, 32)), detail.views((1280, 960)));
        }
        assert!(Detail::Coarse.views((640, 480))[0].pixels() < Detail::Normal.views((640, 480))[0].pixels());
    }
}
