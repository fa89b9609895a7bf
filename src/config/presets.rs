//! Sources on top of a program that is known: `[source.libcamera]`, `[source.rtsp]`, `[source.gstreamer]`.

use super::array::exactly;
use super::camera::{ten_hertz, ten_seconds};
use super::{Config, ConfigError, LiveFrames, Violation, check_range, pixels};
use crate::source::process::{
    LibcameraFocus, LibcameraOptions, LibcameraWhiteBalance, RtspOptions, RtspTransport, has_password, has_stray_at,
};
use serde::Deserialize;
use std::path::PathBuf;
use toml::Spanned;

/// `[source.libcamera]`: a camera that libcamera drives.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub struct LibcameraConfig {
    /// Its number.
    #[serde(default = "first")]
    pub camera: Spanned<u32>,
    /// Width of a frame in pixels.
    #[serde(default = "pixels::<640>")]
    pub width: Spanned<usize>,
    /// Height of a frame in pixels.
    #[serde(default = "pixels::<480>")]
    pub height: Spanned<usize>,
    /// Frames per second.
    #[serde(default = "ten_hertz")]
    pub fps: Spanned<f64>,
    /// After how many seconds a picture that stays bit-identical counts as frozen; 0: never.
    #[serde(default = "ten_seconds")]
    pub frozen_s: Spanned<f64>,
    /// Time of exposure in microseconds; absent: automatic.
    pub exposure_us: Option<Spanned<u32>>,
    /// Gain; absent: automatic.
    pub gain: Option<Spanned<f64>>,
    /// A mode of libcamera, or gains of red and blue.
    #[serde(default)]
    pub white_balance: WhiteBalanceConfig,
    /// `"auto"`, or a distance in dioptres; absent: as the camera has it.
    pub focus: Option<FocusConfig>,
    /// What is swapped.
    #[serde(default)]
    pub flip: FlipConfig,
    /// The part of the sensor that is used: left, top, width and height as shares of it.
    #[serde(default, deserialize_with = "exactly")]
    pub region: Option<Spanned<[f64; 4]>>,
}

/// White balance.
#[derive(Debug, Deserialize)]
#[serde(untagged, expecting = "a mode such as \"auto\" or \"daylight\", or the gains of red and blue as in [1.8, 1.5]")]
pub enum WhiteBalanceConfig {
    /// By a mode of libcamera.
    Mode(WhiteBalanceMode),
    /// Gains of red and blue.
    Gains([f64; 2]),
}

/// Modes of libcamera's white balance.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)] // as in libcamera
pub enum WhiteBalanceMode {
    #[default]
    Auto,
    Incandescent,
    Tungsten,
    Fluorescent,
    Indoor,
    Daylight,
    Cloudy,
}

/// Focus.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(untagged, expecting = "\"auto\", or a distance in dioptres (1 / metres)")]
pub enum FocusConfig {
    /// It follows the picture.
    Word(AutoFocus),
    /// A distance in dioptres.
    Dioptres(f64),
}

/// The word for a focus that follows the picture.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)]
pub enum AutoFocus {
    Auto,
}

/// What is swapped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FlipConfig {
    /// Nothing.
    #[default]
    None,
    /// Left and right.
    Horizontal,
    /// Upside and down.
    Vertical,
    /// Both: turned by 180 degrees.
    Both,
}

/// `[source.rtsp]`: a camera that is reached by RTSP.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub struct RtspConfig {
    /// Its address.
    pub url: Spanned<String>,
    /// How pictures travel.
    #[serde(default)]
    pub transport: RtspTransport,
    /// A file with user and password in its first line, `user:password`.
    pub credentials_file: Option<Spanned<PathBuf>>,
    /// Width of a frame in pixels; a stream of another size is scaled.
    #[serde(default = "pixels::<640>")]
    pub width: Spanned<usize>,
    /// Height of a frame in pixels.
    #[serde(default = "pixels::<480>")]
    pub height: Spanned<usize>,
    /// Frames per second that the camera sends, at least.
    #[serde(default = "ten_hertz")]
    pub fps: Spanned<f64>,
    /// After how many seconds a picture that stays bit-identical counts as frozen; 0: never.
    #[serde(default = "ten_seconds")]
    pub frozen_s: Spanned<f64>,
}

/// `[source.gstreamer]`: a pipeline of GStreamer.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub struct GstreamerConfig {
    /// The pipeline, as `gst-launch-1.0` takes it, without a sink.
    pub pipeline: Spanned<String>,
    /// Width of a frame in pixels; pictures of another size are scaled.
    #[serde(default = "pixels::<640>")]
    pub width: Spanned<usize>,
    /// Height of a frame in pixels.
    #[serde(default = "pixels::<480>")]
    pub height: Spanned<usize>,
    /// Frames per second that the pipeline delivers, at least.
    #[serde(default = "ten_hertz")]
    pub fps: Spanned<f64>,
    /// After how many seconds a picture that stays bit-identical counts as frozen; 0: never.
    #[serde(default = "ten_seconds")]
    pub frozen_s: Spanned<f64>,
}

impl Default for WhiteBalanceConfig {
    fn default() -> Self {
        WhiteBalanceConfig::Mode(WhiteBalanceMode::Auto)
    }
}

fn first() -> Spanned<u32> {
    Spanned::new(0..0, 0)
}

fn size(frames: &LiveFrames) -> (u32, u32) {
    (*frames.width.get_ref() as u32, *frames.height.get_ref() as u32)
}

impl LibcameraConfig {
    /// What its program is to do.
    pub fn options(&self) -> LibcameraOptions {
        LibcameraOptions {
            camera: *self.camera.get_ref(),
            size: size(&self.frames()),
            fps: *self.fps.get_ref(),
            exposure_us: self.exposure_us.as_ref().map(|exposure| *exposure.get_ref()),
            gain: self.gain.as_ref().map(|gain| *gain.get_ref()),
            white_balance: match self.white_balance {
                WhiteBalanceConfig::Mode(mode) => LibcameraWhiteBalance::Mode(format!("{mode:?}").to_lowercase()),
                WhiteBalanceConfig::Gains([red, blue]) => LibcameraWhiteBalance::Gains(red, blue),
            },
            focus: self.focus.map(|focus| match focus {
                FocusConfig::Word(AutoFocus::Auto) => LibcameraFocus::Auto,
                FocusConfig::Dioptres(dioptres) => LibcameraFocus::Dioptres(dioptres),
            }),
            flip: match self.flip {
                FlipConfig::None => (false, false),
                FlipConfig::Horizontal => (true, false),
                FlipConfig::Vertical => (false, true),
                FlipConfig::Both => (true, true),
            },
            region: self.region.as_ref().map(|region| *region.get_ref()),
        }
    }

    /// Its frames.
    pub fn frames(&self) -> LiveFrames<'_> {
        let LibcameraConfig { width, height, fps, frozen_s, .. } = self;
        LiveFrames { section: "libcamera", width, height, fps, frozen_s }
    }

    /// The first invalid value.
    pub(super) fn problem(&self) -> Option<Violation> {
        let region_problem = |region: &Spanned<[f64; 4]>| {
            let [left, top, width, height] = *region.get_ref();
            let inside =
                left >= 0.0 && top >= 0.0 && width > 0.0 && height > 0.0 && left + width <= 1.0 && top + height <= 1.0;
            let problem = "source.libcamera.region is [left, top, width, height] in shares of the sensor, 0..1, and must lie in it";
            (!inside).then(|| (region.span().start, problem.into()))
        };
        self.frames()
            .problem()
            .or_else(|| check_range(self.exposure_us.as_ref()?, "source.libcamera.exposure_us", 1, 200_000_000))
            .or_else(|| check_range(self.gain.as_ref()?, "source.libcamera.gain", 1.0, 64.0))
            .or_else(|| self.region.as_ref().and_then(region_problem))
    }
}

impl RtspConfig {
    /// What its program is to do.
    ///
    /// # Errors
    /// [`ConfigError`] where the file of the credentials cannot be read, is open to other users, or holds none.
    pub fn options(&self, config: &Config) -> Result<RtspOptions, ConfigError> {
        let credentials = self.credentials_file.as_ref().map(|file| config.user_and_password(file)).transpose()?;
        Ok(self.with_credentials(credentials))
    }

    /// The same without reading the file, for what must not fail.
    pub fn with_credentials(&self, credentials: Option<(String, String)>) -> RtspOptions {
        let (url, size) = (self.url.get_ref().trim().to_string(), size(&self.frames()));
        RtspOptions { url, transport: self.transport, credentials, size }
    }

    /// Its frames.
    pub fn frames(&self) -> LiveFrames<'_> {
        let RtspConfig { width, height, fps, frozen_s, .. } = self;
        LiveFrames { section: "rtsp", width, height, fps, frozen_s }
    }

    /// The first invalid value.
    pub(super) fn problem(&self) -> Option<Violation> {
        let url = self.url.get_ref().trim();
        let host = url.strip_prefix("rtsp://").or_else(|| url.strip_prefix("rtsps://"));
        let usable = host.is_some_and(|host| !host.is_empty() && !host.contains(char::is_control));
        // It may hold a password: it is not repeated.
        let problem =
            "source.rtsp.url must begin with rtsp:// or rtsps:// and a host; for another address use [source.process]";
        if !usable {
            return Some((self.url.span().start, problem.into()));
        }
        if has_stray_at(url) {
            let problem = "source.rtsp.url has an @ behind its host: in a password write / as %2F (or use credentials_file), in a path @ as %40";
            return Some((self.url.span().start, problem.into()));
        }
        if let Some(file) = self.credentials_file.as_ref().filter(|_| has_password(url)) {
            let problem = "source.rtsp.url has a password, too: take it out there, or credentials_file here";
            return Some((file.span().start, problem.into()));
        }
        self.frames().problem()
    }
}

impl GstreamerConfig {
    /// Its frames.
    pub fn frames(&self) -> LiveFrames<'_> {
        let GstreamerConfig { width, height, fps, frozen_s, .. } = self;
        LiveFrames { section: "gstreamer", width, height, fps, frozen_s }
    }

    /// The first invalid value.
    pub(super) fn problem(&self) -> Option<Violation> {
        let pipeline = self.pipeline.get_ref();
        let problem = if pipeline.trim().is_empty() {
            "source.gstreamer.pipeline is empty: write one as for gst-launch-1.0, without a sink"
        } else if pipeline.contains('\0') {
            "source.gstreamer.pipeline has a zero byte"
        } else if has_open_quote(pipeline) {
            "source.gstreamer.pipeline has a quote that is not closed: GStreamer would take what follows it for one value"
        } else {
            return self.frames().problem();
        };
        Some((self.pipeline.span().start, problem.into()))
    }
}

/// Whether a quotation mark is not closed, as GStreamer reads them: a backslash takes the meaning from what follows.
fn has_open_quote(pipeline: &str) -> bool {
    let (mut open, mut escaped) = (None, false);
    for c in pipeline.chars() {
        match c {
            _ if std::mem::take(&mut escaped) => (),
            '\\' => escaped = true,
            '"' | '\'' if open == Some(c) => open = None,
            '"' | '\'' if open.is_none() => open = Some(c),
            _ => (),
        }
    }
    open.is_some()
}

#[cfg(test)]
mod tests {
    use super::super::Source;
    use super::*;
    use std::path::Path;

    fn parse(text: &str) -> Result<Config, String> {
        Config::parse(text, Path::new("line.toml")).map_err(|error| error.to_string())
    }

    #[test]
    fn a_libcamera_camera_has_its_controls() {
        let text = "[source.libcamera]\ncamera = 1\nwidth = 1280\nheight = 960\nfps = 20.0\nexposure_us = 4000\ngain = 1.5\n\
                    white_balance = [1.8, 1.5]\nfocus = 4.5\nflip = \"both\"\nregion = [0.25, 0.25, 0.5, 0.5]\n";
        let Source::Libcamera(section) = parse(text).unwrap().source else { panic!("no libcamera") };
        let expected = LibcameraOptions {
            camera: 1,
            size: (1280, 960),
            fps: 20.0,
            exposure_us: Some(4000),
            gain: Some(1.5),
            white_balance: LibcameraWhiteBalance::Gains(1.8, 1.5),
            focus: Some(LibcameraFocus::Dioptres(4.5)),
            flip: (true, true),
            region: Some([0.25, 0.25, 0.5, 0.5]),
        };
        assert_eq!(section.options(), expected);
        let text = "[source.libcamera]\nwhite_balance = \"daylight\"\nfocus = \"auto\"\n";
        let Source::Libcamera(section) = parse(text).unwrap().source else { panic!("no libcamera") };
        assert_eq!(section.options().white_balance, LibcameraWhiteBalance::Mode("daylight".into()));
        assert_eq!(section.options().focus, Some(LibcameraFocus::Auto));
    }

    #[test]
    fn each_mistake_is_named_with_file_and_line() {
        for (text, expected) in [
            ("[source.libcamera]\nwhite_balance = \"blue\"\n", "line.toml:2: white_balance: a mode such as"),
            ("[source.libcamera]\nfocus = \"near\"\n", "line.toml:2: focus: \"auto\", or a distance"),
            ("[source.libcamera]\nregion = [0.5, 0, 0.6, 1]\n", "line.toml:2: source.libcamera.region is [left, top"),
            ("[source.libcamera]\ngain = 0\n", "line.toml:2: source.libcamera.gain must lie in 1..64, found 0"),
            ("[source.rtsp]\n", "line.toml:1: missing field `url`"),
            ("[source.rtsp]\nurl = \"http://u:s3cret@cam/\"\n", "line.toml:2: source.rtsp.url must begin with rtsp://"),
            (
                "[source.rtsp]\nurl = \"rtsp://cam\"\ntransport = \"http\"\n",
                "line.toml:3: transport: unknown variant `http`",
            ),
            (
                "[source.rtsp]\nurl = \"rtsp://u:s3/cret@cam/a\"\n",
                "line.toml:2: source.rtsp.url has an @ behind its host: in a password write / as %2F",
            ),
            (
                "[source.rtsp]\nurl = \"rtsp://u:s3cret@cam/a?b@c\"\ncredentials_file = \"x\"\n",
                "line.toml:3: source.rtsp.url has a password, too",
            ),
            (
                "[source.gstreamer]\npipeline = \"a ! caps=\\\"b ! c\"\n",
                "line.toml:2: source.gstreamer.pipeline has a quote",
            ),
            ("[source.gstreamer]\npipeline = \" \"\n", "line.toml:2: source.gstreamer.pipeline is empty"),
            (
                "[source.gstreamer]\npipeline = \"a\"\nwidth = 8\n",
                "line.toml:3: source.gstreamer.width must lie in 32..8192",
            ),
        ] {
            let refusal = parse(text).unwrap_err();
            assert!(refusal.contains(expected) && !refusal.contains("s3cret"), "{text:?}: {refusal}");
        }
    }
}
