//! Event pictures, found beside their records, as data URIs. Bounded in number and in size.

use crate::input::open_beside;
use crate::merge::Input;
use crate::summary::EventFrame;
use lineside_picture::{Picture, Resizer, decode_file, write_png};
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// Pictures on a page.
pub const MAX: usize = 24;
/// A file larger than this is not looked at.
const FILE: u64 = 32 << 20;
/// A picture whose file is larger is made smaller, to be this wide.
const EMBEDDED: usize = 300 << 10;
const WIDE: usize = 480;
const PIXELS: usize = 24_000_000;

/// The picture of an event as a data URI; `None` where it is not there or none that can be read.
pub fn data_uri(frame: &EventFrame, inputs: &[Input]) -> Option<String> {
    let name = Path::new(&frame.annotated);
    // Next to its own record, or next to the records of another input if the journal had the record first.
    let own = inputs.get(frame.line_ref.input as usize);
    let mut folders: Vec<&Path> = own.into_iter().chain(inputs).filter_map(Input::folder).take(64).collect();
    folders.dedup();
    let mut bytes = Vec::new();
    let mut read = |file: File| {
        bytes.clear();
        file.take(FILE + 1).read_to_end(&mut bytes).is_ok() && bytes.len() as u64 <= FILE
    };
    // The name comes from a log: it may not lead out of the log's folder.
    folders
        .into_iter()
        .filter_map(|folder| open_beside(folder, name).ok())
        .find_map(|file| read(file).then_some(()))?;
    // Decoding also ensures that it is an image and not another file that a log names.
    let mut picture = Picture::default();
    decode_file(&bytes, PIXELS, &mut picture).ok()?;
    if bytes.len() <= EMBEDDED {
        let kind = if bytes.starts_with(b"\xff\xd8") { "jpeg" } else { "png" };
        return Some(format!("data:image/{kind};base64,{}", base64(&bytes)));
    }
    let mut png = Vec::new();
    write_png(&mut png, &smaller(picture)?).ok()?;
    Some(format!("data:image/png;base64,{}", base64(&png)))
}

fn smaller(picture: Picture) -> Option<Picture> {
    let (width, height) = (picture.width(), picture.height());
    if width <= WIDE {
        return Some(picture);
    }
    let size = (WIDE, (height * WIDE / width).max(1));
    let mut small = Picture::new(picture.layout(), size.0, size.1);
    Resizer::fit(picture.layout(), (width, height), size).ok()?.run(&picture, &mut small).ok()?;
    Some(small)
}

/// RFC 4648.
fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for three in bytes.chunks(3) {
        let bits = three.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - three.len()));
        for letter in 0..4 {
            let six = (bits >> (18 - 6 * letter) & 63) as usize;
            text.push(if letter <= three.len() { char::from(LETTERS[six]) } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_pictures_beside_the_log_are_embedded() {
        use crate::input::LogSource;
        use crate::merge::MergedReader;
        let folder = tempfile::tempdir().unwrap();
        let inside = folder.path().join("events");
        std::fs::create_dir(&inside).unwrap();
        let picture = Picture::new(lineside_picture::Layout::Rgb, 900, 600);
        for path in [inside.join("a.png"), folder.path().join("b.png")] {
            write_png(std::fs::File::create(path).unwrap(), &picture).unwrap();
        }
        std::fs::write(inside.join("secret.png"), "password").unwrap();
        std::fs::write(inside.join("events.jsonl"), "{\"record\":\"x\"}\n").unwrap();
        let inputs = MergedReader::new(vec![LogSource::File(inside.join("events.jsonl"))], &[]).inputs;
        let uri = |name: &str| data_uri(&EventFrame { annotated: name.into(), ..EventFrame::default() }, &inputs);
        assert!(uri("a.png").unwrap().starts_with("data:image/png;base64,iVBOR"));
        // A link beside the log, to a picture outside and to one inside; a folder that is a link; a pipe.
        std::os::unix::fs::symlink(folder.path().join("b.png"), inside.join("link.png")).unwrap();
        std::os::unix::fs::symlink("a.png", inside.join("same.png")).unwrap();
        std::os::unix::fs::symlink(folder.path(), inside.join("up")).unwrap();
        rustix::fs::mkfifoat(rustix::fs::CWD, inside.join("pipe.png"), rustix::fs::Mode::RWXU).unwrap();
        let outside = folder.path().join("b.png").display().to_string();
        for name in [
            "../b.png",
            "/etc/passwd",
            "secret.png",
            "missing.png",
            "",
            ".",
            "link.png",
            "same.png",
            "up/b.png",
            "pipe.png",
            &outside,
        ] {
            assert_eq!(uri(name), None, "{name}");
        }
    }

    #[test]
    fn base64_is_that_of_the_rfc() {
        for (bytes, text) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")] {
            assert_eq!(base64(bytes.as_bytes()), text);
        }
    }
}
