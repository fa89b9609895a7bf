//! Files that a transfer changed as if they were text: FTP in text mode, a mail program, a script that read them as UTF-8. Formats
//! without checksums decode to noise then.

/// So many line ends, or characters, are no chance any more.
const ENOUGH: usize = 16;

/// What a transfer changed, if it did: all line ends are of two bytes, or everything is valid UTF-8 with many characters beyond ASCII.
/// Of pixels, as of compressed data, neither is ever true of so many bytes.
pub(super) fn changed(file: &[u8]) -> Option<&'static str> {
    let ends = file.iter().filter(|byte| **byte == b'\n').count();
    let double = file.windows(2).filter(|pair| pair == b"\r\n").count();
    // One may stand at the very beginning.
    if double >= ENOUGH && ends == double {
        return Some("it was changed by a transfer in text mode (line ends): fetch it again in binary mode");
    }
    let beyond = file.iter().filter(|byte| !byte.is_ascii()).count();
    let is_text = beyond >= 2 * ENOUGH && std::str::from_utf8(file).is_ok();
    is_text.then_some("it was changed as if it were text (characters, UTF-8): fetch it again in binary mode")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Picture, decode_file};

    fn as_text(file: &[u8]) -> [Vec<u8>; 3] {
        let mut ends = Vec::new();
        for byte in file {
            ends.extend((*byte == b'\n').then_some(b'\r'));
            ends.push(*byte);
        }
        let latin: String = file.iter().map(|byte| char::from(*byte)).collect();
        [ends, latin.into_bytes(), String::from_utf8_lossy(file).into_owned().into_bytes()]
    }

    #[test]
    fn a_picture_that_was_taken_for_text_is_named() {
        let picture = crate::testing::synthetic(crate::Layout::Rgb, 96, 64);
        let pnm = [&b"P6\n96 64\n255\n"[..], picture.data()].concat();
        let mut bmp = Vec::new();
        let image = image::DynamicImage::from(picture.clone());
        image.write_to(&mut std::io::Cursor::new(&mut bmp), image::ImageFormat::Bmp).unwrap();
        let tiff = include_bytes!("testdata/big.tif").to_vec();
        for file in [pnm, bmp] {
            let mut out = Picture::default();
            decode_file(&file, 1 << 20, &mut out).unwrap();
            assert_eq!((out, changed(&file)), (picture.clone(), None));
            for changed in as_text(&file) {
                let refused = decode_file(&changed, 1 << 20, &mut Picture::default()).unwrap_err().to_string();
                assert!(refused.contains("fetch it again in binary mode"), "{refused}");
            }
            // What some writers leave at the end is none of it.
            decode_file(&[&file[..], &[0; 100]].concat(), 1 << 20, &mut Picture::default()).unwrap();
        }
        assert_eq!(changed(&tiff), None);
    }
}
