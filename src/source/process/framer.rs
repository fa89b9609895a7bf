//! Cuts a stream of bytes into frames.

use super::jpeg_scan::JpegScan;
use super::stream_mode::{StreamFormat, StreamMode};
use super::y4m::Y4mHeader;
use crate::escape::one_line;
use lineside_picture::PixelFormat;

/// Cuts a stream into frames.
pub(super) struct Framer {
    mode: StreamMode,
    frame_bytes: usize,
    state: State,
}

enum State {
    Raw,
    Jpeg(JpegScan),
    /// Reading the line before the first frame, or before each.
    Y4mLine {
        is_first: bool,
        line: Vec<u8>,
    },
    Y4mPixels,
}

/// What a stream of it begins with.
const MAGIC: &str = "YUV4MPEG2";
/// The most bytes of a line of YUV4MPEG2.
const LINE: usize = 256;

impl Framer {
    /// For a stream that begins.
    pub(super) fn new(mode: StreamMode) -> Framer {
        let state = match mode.format {
            StreamFormat::Y4m => State::Y4mLine { is_first: true, line: Vec::with_capacity(LINE) },
            StreamFormat::Frames(PixelFormat::Mjpeg) => State::Jpeg(JpegScan::default()),
            StreamFormat::Frames(_) => State::Raw,
        };
        Framer { mode, frame_bytes: mode.frame_bytes(), state }
    }

    /// Appends to `frame` what belongs to it; returns how many bytes of `input` were used, and whether the frame has ended. One
    /// that has ended without any bytes stands for a stretch without a frame.
    ///
    /// # Errors
    /// One line, where the stream is not what the configuration says.
    pub(super) fn push(&mut self, input: &[u8], frame: &mut Vec<u8>) -> Result<(usize, bool), String> {
        match &mut self.state {
            State::Raw => Ok(fill(input, frame, self.frame_bytes)),
            State::Jpeg(scan) => Ok(scan.push(input, frame, self.frame_bytes)),
            State::Y4mLine { is_first, line } => {
                let end = input.iter().position(|byte| *byte == b'\n');
                let used = end.map_or(input.len(), |end| end + 1);
                line.extend_from_slice(&input[..used.min(LINE - line.len())]);
                if line.len() >= LINE || (end.is_some() && line.last() != Some(&b'\n')) {
                    let is_header = *is_first && line.starts_with(MAGIC.as_bytes());
                    let long = || format!("its {MAGIC} header is longer than {LINE} bytes");
                    return Err(if is_header { long() } else { not_y4m(*is_first) });
                }
                if end.is_some() {
                    let text = std::str::from_utf8(line).unwrap_or("").trim_end();
                    if *is_first {
                        Y4mHeader::parse(text).ok_or_else(|| wrong_header(text))?.check(&self.mode)?;
                        *is_first = false;
                        line.clear();
                    } else if text.split(' ').next() == Some("FRAME") {
                        self.state = State::Y4mPixels;
                    } else {
                        return Err(not_y4m(false));
                    }
                }
                Ok((used, false))
            }
            State::Y4mPixels => {
                let (used, is_whole) = fill(input, frame, self.frame_bytes);
                if is_whole {
                    self.state = State::Y4mLine { is_first: false, line: Vec::with_capacity(LINE) };
                }
                Ok((used, is_whole))
            }
        }
    }
}

fn fill(input: &[u8], frame: &mut Vec<u8>, frame_bytes: usize) -> (usize, bool) {
    let used = input.len().min(frame_bytes - frame.len());
    frame.extend_from_slice(&input[..used]);
    (used, frame.len() == frame_bytes)
}

/// Of a first line that is no header.
fn wrong_header(line: &str) -> String {
    match line.strip_prefix(MAGIC) {
        Some(parameters) => {
            format!("its {MAGIC} header has no width and height that make sense: {}", one_line(parameters.trim()))
        }
        None => not_y4m(true),
    }
}

fn not_y4m(is_first: bool) -> String {
    let what = if is_first {
        "what it sends does not begin with YUV4MPEG2"
    } else {
        "its YUV4MPEG2 has no FRAME line where one is due"
    };
    format!("{what}: let the program write that (ffmpeg: -f yuv4mpegpipe), or set format to what it writes")
}

#[cfg(test)]
mod tests {
    use super::*;
    use lineside_picture::Range;

    fn mode(format: StreamFormat, width: u32, height: u32) -> StreamMode {
        StreamMode { format, range: Range::Limited, width, height, fps: 10.0 }
    }

    /// All frames of a stream that comes in pieces of `piece` bytes, and what is left.
    fn cut(mode: StreamMode, stream: &[u8], piece: usize) -> Result<(Vec<Vec<u8>>, Vec<u8>), String> {
        let (mut framer, mut frames, mut frame) = (Framer::new(mode), Vec::new(), Vec::new());
        for mut input in stream.chunks(piece) {
            while !input.is_empty() {
                let (used, is_whole) = framer.push(input, &mut frame)?;
                input = &input[used..];
                if is_whole {
                    frames.push(std::mem::take(&mut frame));
                }
            }
        }
        Ok((frames, frame))
    }

    #[test]
    fn raw_frames_follow_each_other() {
        let formats = [
            (PixelFormat::Grey, 15),
            (PixelFormat::Rgb24, 45),
            (PixelFormat::Yuyv, 36),
            (PixelFormat::Nv12, 27),
            (PixelFormat::Yuv420, 27),
        ];
        for (format, bytes) in formats {
            let mode = mode(StreamFormat::Frames(format), 5, 3);
            assert_eq!(mode.frame_bytes(), bytes, "{format:?}");
            let stream: Vec<u8> = (0..bytes * 2 + 3).map(|byte| byte as u8).collect();
            for piece in [1, 7, bytes, 1000] {
                let (frames, left) = cut(mode, &stream, piece).unwrap();
                assert_eq!(frames, [&stream[..bytes], &stream[bytes..2 * bytes]]);
                assert_eq!(left, stream[2 * bytes..]);
            }
        }
    }

    #[test]
    fn y4m_is_read_with_its_parameters_and_any_pieces() {
        let mode = mode(StreamFormat::Y4m, 4, 2);
        let (a, b) = ([1_u8; 12], [b'\n'; 12]);
        let header = b"YUV4MPEG2 W4 H2 F30000:1001 Ip A1:1 C420jpeg XYSCSS=420JPEG\n".as_slice();
        let stream = [header, b"FRAME\n", &a, b"FRAME Ip\n", &b, b"FRA"].concat();
        for piece in [1, 5, 1000] {
            assert_eq!(cut(mode, &stream, piece).unwrap(), (vec![a.to_vec(), b.to_vec()], vec![]));
        }
        for (stream, problem) in [
            (b"RIFF\0\0\0\0AVI LIST\n".to_vec(), "does not begin with YUV4MPEG2"),
            (vec![0; 1000], "does not begin with YUV4MPEG2"),
            ([header, b"FROME\n"].concat(), "no FRAME line"),
            ([header, &[b'F'; 400]].concat(), "no FRAME line"),
        ] {
            for piece in [1, 1000] {
                assert!(cut(mode, &stream, piece).unwrap_err().contains(problem), "{problem}");
            }
        }
    }
}
