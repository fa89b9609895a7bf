//! Masks: pictures in a folder of their own that mark the defects of other pictures.

use super::read_picture;
use anyhow::Context;
use lineside_picture::{Layout, Picture, PictureError};
use std::path::Path;

/// Reads the mask of a picture of `size` (width, height) that lies somewhere in the folder of defects. Its path in the
/// folder of masks is the same, or that with the ending `.png`. `mask` becomes grey, `[H, W]`: 255 where the file is
/// over 127 in its first channel, 0 elsewhere.
///
/// # Errors
/// Where the mask is missing, cannot be read or has another size than the picture; the error names the file.
pub(super) fn read(
    defects: &Path,
    masks: &Path,
    picture: &Path,
    size: (usize, usize),
    mask: &mut Picture,
) -> anyhow::Result<()> {
    let same = masks.join(picture.strip_prefix(defects).unwrap_or(picture));
    let png = same.with_extension("png");
    let path = [&same, &png].into_iter().find(|path| path.exists());
    let path = path.with_context(|| format!("{}: no mask: {} is missing", picture.display(), png.display()))?;
    read_picture(path, mask)?;
    let ((width, height), (actual_width, actual_height)) = (size, (mask.width(), mask.height()));
    if (width, height) != (actual_width, actual_height) {
        let error = PictureError::SizeMismatch { what: "mask", width, height, actual_width, actual_height };
        return Err(error).with_context(|| path.display().to_string());
    }
    let marks: Vec<u8> = mask.data().iter().step_by(mask.channels()).map(|&byte| (byte > 127) as u8 * 255).collect();
    mask.reshape(Layout::Grey, width, height);
    mask.data_mut().copy_from_slice(&marks);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use lineside_picture::write_png;

    #[test]
    fn marks_are_0_or_255_and_errors_name_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let (defects, masks) = (folder.path().join("defects"), folder.path().join("masks"));
        std::fs::create_dir_all(masks.join("crack")).unwrap();
        let colours = [128, 0, 0, 127, 255, 255, 255, 255, 255, 0, 0, 0];
        let coloured = Picture::from_data(Layout::Rgb, 2, 2, colours.to_vec()).unwrap();
        write_png(std::fs::File::create(masks.join("crack/a.png")).unwrap(), &coloured).unwrap();
        let mut mask = Picture::default();
        let mut error = |name: &str, size| match read(&defects, &masks, &defects.join(name), size, &mut mask) {
            Ok(()) => format!("{:?} {:?}", mask.layout(), mask.data()),
            Err(error) => format!("{error:#}"),
        };
        for name in ["crack/a.jpg", "crack/a.png"] {
            assert_eq!(error(name, (2, 2)), "Grey [255, 0, 255, 0]");
        }
        let other = error("crack/a.jpg", (3, 2));
        assert!(other.contains("a.png: mask is 2x2") && other.contains("expected 3x2"), "{other}");
        let missing = error("crack/b.jpg", (2, 2));
        assert!(missing.contains("b.jpg: no mask: ") && missing.contains("b.png is missing"), "{missing}");
    }
}
