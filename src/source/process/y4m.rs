//! The header of YUV4MPEG2 (`.y4m`).

use super::stream_mode::StreamMode;
use lineside_picture::Range;

/// What a header says.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Y4mHeader<'a> {
    width: u32,
    height: u32,
    /// How chroma is sampled: `420jpeg`.
    chroma: &'a str,
    range: Option<Range>,
}

impl Y4mHeader<'_> {
    /// `YUV4MPEG2 W640 H480 F10:1 Ip A1:1 C420jpeg XCOLORRANGE=LIMITED`; parameters may come in any order.
    pub(super) fn parse(line: &str) -> Option<Y4mHeader<'_>> {
        let mut header = Y4mHeader { width: 0, height: 0, chroma: "420", range: None };
        for parameter in line.strip_prefix("YUV4MPEG2 ")?.split_ascii_whitespace() {
            let (key, value) = parameter.split_at_checked(1)?;
            match key {
                "W" => header.width = value.parse().ok()?,
                "H" => header.height = value.parse().ok()?,
                "C" => header.chroma = value,
                "X" if value == "COLORRANGE=FULL" => header.range = Some(Range::Full),
                "X" if value == "COLORRANGE=LIMITED" => header.range = Some(Range::Limited),
                _ => {}
            }
        }
        Some(header)
    }

    /// # Errors
    /// One line, where the stream is not what the configuration says, or has another format than 4:2:0 with 8 bits.
    pub(super) fn check(&self, mode: &StreamMode) -> Result<(), String> {
        let Y4mHeader { width, height, chroma, range } = *self;
        if !matches!(chroma, "420" | "420jpeg" | "420mpeg2" | "420paldv") {
            return Err(format!("its pixels are C{chroma}, only 4:2:0 with 8 bits is read (ffmpeg: -pix_fmt yuv420p)"));
        }
        if (width, height) != (mode.width, mode.height) {
            let (configured_width, configured_height) = (mode.width, mode.height);
            return Err(format!(
                "it sends {width}x{height}, not {configured_width}x{configured_height}; set width and height to what it sends"
            ));
        }
        match range {
            Some(range) if range != mode.range => {
                let word = if range == Range::Full { "full" } else { "limited" };
                Err(format!("its range is {word}; set range = \"{word}\""))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::stream_mode::StreamFormat;
    use super::*;

    #[test]
    fn a_header_must_say_what_the_configuration_says() {
        let mode = StreamMode { format: StreamFormat::Y4m, range: Range::Limited, width: 640, height: 480, fps: 10.0 };
        let check = |line: &str| Y4mHeader::parse(line).map(|header| header.check(&mode));
        assert_eq!(check("YUV4MPEG2 W640 H480"), Some(Ok(())));
        assert_eq!(check("YUV4MPEG2 H480 F10:1 W640 C420mpeg2 XCOLORRANGE=LIMITED XOTHER"), Some(Ok(())));
        for line in ["YUV4MPEG W640 H480", "YUV4MPEG2 Wide H480", "", "YUV4MPEG2 W99999999999 H1"] {
            assert_eq!(check(line), None, "{line}");
        }
        for (line, problem) in [
            ("YUV4MPEG2 W320 H240", "it sends 320x240, not 640x480; set width and height"),
            ("YUV4MPEG2 W640 H480 C444", "its pixels are C444"),
            ("YUV4MPEG2 W640 H480 C420p10", "its pixels are C420p10"),
            ("YUV4MPEG2 W640 H480 Cmono", "its pixels are Cmono"),
            ("YUV4MPEG2 W640 H480 XCOLORRANGE=FULL", "set range = \"full\""),
            ("YUV4MPEG2 F25:1", "it sends 0x0"),
        ] {
            let found = check(line).unwrap().unwrap_err();
            assert!(found.contains(problem), "{line}: {found}");
        }
    }
}
