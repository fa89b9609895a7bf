//! gzip and zstd are detected by their first bytes and decompressed while reading.

use std::io::{self, BufReader, Chain, Cursor, Read};

/// What an input is, by its first bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileKind {
    /// Text, or at least nothing else that is known.
    Text,
    /// RFC 1952.
    Gzip,
    /// RFC 8878.
    Zstd,
    /// A file of the systemd journal itself.
    Journal,
    /// Something that has to be unpacked first, and with what.
    Unsupported(&'static str),
    /// A picture or a program: no log.
    NotALog,
}

/// How many bytes [`detect`] wants to see.
pub const DETECT_BYTES: usize = 512;

/// Detects the kind of a file by its first bytes.
pub fn detect(first: &[u8]) -> FileKind {
    let begins = |magic: &[u8]| first.starts_with(magic);
    match () {
        () if begins(b"\x1f\x8b") => FileKind::Gzip,
        // A zstd frame, or a skippable frame before one.
        () if begins(b"\x28\xb5\x2f\xfd")
            || first.len() > 3 && first[0] & 0xf0 == 0x50 && first[1..4] == *b"\x2a\x4d\x18" =>
        {
            FileKind::Zstd
        }
        () if begins(b"LPKSHHRH") => FileKind::Journal,
        () if begins(b"\xfd7zXZ\0") => FileKind::Unsupported("xz -d"),
        () if begins(b"BZh") => FileKind::Unsupported("bzip2 -d"),
        // A frame of LZ4, and one of its first versions.
        () if begins(b"\x04\x22\x4d\x18") || begins(b"\x02\x21\x4c\x18") => FileKind::Unsupported("lz4 -d"),
        () if begins(b"PK\x03\x04") => FileKind::Unsupported("unzip"),
        () if first.get(257..262) == Some(b"ustar") => FileKind::Unsupported("tar -xf"),
        () if begins(b"\x89PNG") || begins(b"\xff\xd8\xff") || begins(b"\x7fELF") || begins(b"\x93NUMPY") => {
            FileKind::NotALog
        }
        () => FileKind::Text,
    }
}

/// Decompresses `stream` if needed.
///
/// # Errors
/// Where its first bytes cannot be read, or it is of a kind that is not unpacked here.
pub fn decompressed(mut stream: Box<dyn Read>) -> io::Result<Box<dyn Read>> {
    let mut first = Vec::new();
    stream.by_ref().take(DETECT_BYTES as u64).read_to_end(&mut first)?;
    let found = detect(&first);
    let whole: Whole = Cursor::new(first).chain(stream);
    match found {
        FileKind::Text => Ok(Box::new(whole)),
        FileKind::Gzip => refuse_archive(flate2::read::MultiGzDecoder::new(whole)),
        FileKind::Zstd => {
            refuse_archive(Zstd { decoder: None, rest: Some(BufReader::with_capacity(128 << 10, whole)) })
        }
        FileKind::Unsupported(with) => {
            Err(io::Error::other(format!("compressed or archived: extract it first with `{with}`")))
        }
        FileKind::Journal => {
            Err(io::Error::other("a binary journal file: run `journalctl --file FILE -o export | lineside inspect -`"))
        }
        FileKind::NotALog => Err(io::Error::other("an image or a program, not a log")),
    }
}

/// Hands on what was packed, unless that is an archive: its files would be read as one, whatever lies between them and in which order.
fn refuse_archive(mut packed: impl Read + 'static) -> io::Result<Box<dyn Read>> {
    let mut first = Vec::new();
    let read = packed.by_ref().take(DETECT_BYTES as u64).read_to_end(&mut first);
    if let FileKind::Unsupported(with) = detect(&first) {
        return Err(io::Error::other(format!("a compressed archive: extract it first with `{with}`")));
    }
    // What is wrong with the stream is found after what could be read of it.
    let failure = Failing(read.err());
    Ok(Box::new(Cursor::new(first).chain(failure).chain(packed)))
}

/// Fails once, where something has failed.
struct Failing(Option<io::Error>);

impl Read for Failing {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        self.0.take().map_or(Ok(0), Err)
    }
}

type Whole = Chain<Cursor<Vec<u8>>, Box<dyn Read>>;
type Buffered = BufReader<Whole>;

/// The frames of a zstd stream one after the other; `zstd` itself and logrotate write one, `cat` makes several.
struct Zstd {
    decoder: Option<Box<ruzstd::decoding::StreamingDecoder<Buffered, ruzstd::decoding::FrameDecoder>>>,
    rest: Option<Buffered>,
}

impl Read for Zstd {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        loop {
            if let Some(decoder) = &mut self.decoder {
                let read = decoder.read(into).map_err(|error| match error.to_string() {
                    why if why.contains("UnexpectedEof") => io::Error::other("the zstd stream is truncated"),
                    why => io::Error::other(format!("broken zstd: {why}")),
                })?;
                if read > 0 {
                    return Ok(read);
                }
                self.rest = self.decoder.take().map(|decoder| decoder.into_inner());
            }
            let Some(mut rest) = self.rest.take() else { return Ok(0) };
            if io::BufRead::fill_buf(&mut rest)?.is_empty() {
                return Ok(0);
            }
            self.begin(rest)?;
        }
    }
}

impl Zstd {
    fn begin(&mut self, mut rest: Buffered) -> io::Result<()> {
        use ruzstd::decoding::errors::{FrameDecoderError, ReadFrameHeaderError};
        loop {
            let header = io::BufRead::fill_buf(&mut rest)?;
            // The decoder takes what it reads from: a skippable frame is skipped before.
            if header.len() >= 8 && header[0] & 0xf0 == 0x50 && header[1..4] == *b"\x2a\x4d\x18" {
                let length = u32::from_le_bytes([header[4], header[5], header[6], header[7]]);
                io::copy(&mut rest.by_ref().take(8 + u64::from(length)), &mut io::sink())?;
                if io::BufRead::fill_buf(&mut rest)?.is_empty() {
                    return Ok(());
                }
                continue;
            }
            let decoder = ruzstd::decoding::StreamingDecoder::new(rest).map_err(|error| match error {
                FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::BadMagicNumber(_)) => {
                    io::Error::other("the data after the zstd frame is not zstd")
                }
                error => io::Error::other(format!("broken zstd: {error}")),
            })?;
            self.decoder = Some(Box::new(decoder));
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: Vec<u8>) -> (String, Option<String>) {
        let mut stream = match decompressed(Box::new(Cursor::new(bytes))) {
            Ok(stream) => stream,
            Err(error) => return (String::new(), Some(error.to_string())),
        };
        let (mut text, mut piece) = (Vec::new(), [0; 4096]);
        loop {
            match stream.read(&mut piece) {
                Ok(0) => return (String::from_utf8(text).unwrap(), None),
                Ok(length) => text.extend_from_slice(&piece[..length]),
                Err(error) => return (String::from_utf8(text).unwrap(), Some(error.to_string())),
            }
        }
    }

    fn gzip(text: &str) -> Vec<u8> {
        use std::io::Write;
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(text.as_bytes()).unwrap();
        encoder.finish().unwrap()
    }

    fn zstd(text: &str) -> Vec<u8> {
        ruzstd::encoding::compress_to_vec(text.as_bytes(), ruzstd::encoding::CompressionLevel::Fastest)
    }

    #[test]
    fn packed_and_plain_read_the_same_also_in_parts() {
        let text: String = (0..20_000).map(|i| format!("line {}\n", i * i % 977)).collect();
        assert_eq!(read(text.clone().into_bytes()), (text.clone(), None));
        for pack in [gzip, zstd] {
            assert_eq!(read(pack(&text)), (text.clone(), None));
            let twice = [pack("one\n"), pack("two\n")].concat();
            assert_eq!(read(twice), ("one\ntwo\n".into(), None));
        }
        let skipped = [&b"\x50\x2a\x4d\x18\x03\0\0\0abc"[..], &zstd("one\n")].concat();
        assert_eq!(read(skipped), ("one\n".into(), None));
    }

    #[test]
    fn cut_ones_are_read_up_to_the_cut() {
        let text: String = (0..200_000).map(|i| format!("line {}\n", i * 7919 % 100_003)).collect();
        for pack in [gzip, zstd] {
            let packed = pack(&text);
            let (read, error) = read(packed[..packed.len() / 2].to_vec());
            assert!(text.starts_with(&read), "what was read is the beginning");
            assert!(read.len() > text.len() / 4, "{} of {}", read.len(), text.len());
            assert!(error.is_some_and(|error| error.contains("stream")), "gzip's or zstd's stream is cut");
        }
    }

    #[test]
    fn a_packed_archive_is_not_read_as_one_log() {
        let mut archive = vec![0u8; 1024];
        archive[257..262].copy_from_slice(b"ustar");
        let archive = String::from_utf8(archive).unwrap();
        for pack in [gzip, zstd] {
            let (text, error) = read(pack(&archive));
            assert_eq!(text, "");
            assert!(error.is_some_and(|error| error.contains("archive") && error.contains("tar -xf")));
        }
        // A stream that is cut before its first bytes are whole.
        let (text, error) = read(gzip("some text")[..14].to_vec());
        assert!("some text".starts_with(&text) && error.is_some(), "{text}: {error:?}");
    }

    #[test]
    fn a_file_that_is_no_log_gets_a_hint() {
        assert!(read(b"\xfd7zXZ\0....".to_vec()).1.unwrap().contains("xz -d"));
        assert!(read(b"\x04\x22\x4d\x18....".to_vec()).1.unwrap().contains("lz4 -d"));
        assert!(read(b"LPKSHHRH....".to_vec()).1.unwrap().contains("journalctl --file"));
        assert!(read(b"\x89PNG....".to_vec()).1.unwrap().contains("not a log"));
        assert_eq!(read(Vec::new()), (String::new(), None));
    }
}
