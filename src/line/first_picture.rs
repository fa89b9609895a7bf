//! The size of the first picture of a folder: all that can be known before a run of the frames of a source without a fixed size.

use crate::config::{Config, Source};
use crate::files;
use crate::source::list_pictures;
use lineside_picture::{Picture, decode_file, max_file_bytes};

/// Files that are tried until one can be read.
const TRIED: usize = 4;

/// The name of the first picture that can be read, and width and height of the frame that a line makes of it; `None` for other
/// sources, and where there is no such picture yet.
pub(super) fn first_picture(config: &Config) -> Option<(String, (usize, usize))> {
    let Source::Folder(section) = &config.source else { return None };
    let max_pixels = (section.max_megapixels.get_ref() * 1e6) as usize;
    let (view, mut picture) = (config.view.view(), Picture::default());
    list_pictures(section.path.get_ref()).ok()?.files.iter().take(TRIED).find_map(|file| {
        // What is wrong with a picture is reported when it is inspected.
        let bytes = files::read(file, max_file_bytes(max_pixels)).ok()?;
        decode_file(&bytes, max_pixels, &mut picture).ok()?;
        let area = view.area(picture.upright_size(view.orientation)).ok()?;
        Some((file.display().to_string(), (area.width, area.height)))
    })
}
