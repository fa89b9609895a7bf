//! The TOML file: types, defaults, and validation that names file and line in every error.

mod camera;
mod folder;
mod heat;
mod lines;
mod live;
mod mqtt;
mod presets;
mod process;
mod secrets;
mod starter;
mod status_page;
mod view;

use crate::files;
pub use camera::{CameraConfig, CameraFormat, ControlValue};
pub use folder::{FolderConfig, KeepOrMove};
pub use heat::{HeatConfig, SmallerConfig};
pub use lines::{AlarmConfig, HeartbeatConfig, Idle, TriggerConfig, TriggerEdge};
pub use live::LiveFrames;
pub use mqtt::{MqttConfig, TlsConfig};
pub use presets::{
    AutoFocus, FlipConfig, FocusConfig, GstreamerConfig, LibcameraConfig, RtspConfig, WhiteBalanceConfig,
    WhiteBalanceMode,
};
pub use process::{LumaRange, ProcessConfig, ProcessFormat};
pub use starter::Starter;
pub use status_page::StatusPageConfig;
pub use view::ViewConfig;

use crate::task::super_resolution::{MIN_SPOT, When};
use bytesize::ByteSize;
use serde::Deserialize;
use std::path::{Path, PathBuf};
use toml::Spanned;
use toml::de::DeTable;

/// The configuration of `lineside run` and `lineside check`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub struct Config {
    /// Limits of the process.
    #[serde(default)]
    pub budget: BudgetConfig,
    /// Where frames come from.
    pub source: Source,
    /// Anomaly detection.
    #[serde(default)]
    pub anomaly: AnomalyConfig,
    /// Super-resolution of the spot.
    #[serde(default)]
    pub super_resolution: SuperResolutionConfig,
    /// Where results go.
    #[serde(default)]
    pub output: OutputConfig,
    /// How models are run.
    #[serde(default)]
    pub engine: EngineConfig,
    /// The GPIO line that a defect raises.
    pub alarm: Option<AlarmConfig>,
    /// The GPIO line that toggles with every verdict.
    pub heartbeat: Option<HeartbeatConfig>,
    /// The GPIO line that requests a frame.
    pub trigger: Option<TriggerConfig>,
    /// How the load is reduced while the board is too hot.
    #[serde(default)]
    pub heat: HeatConfig,
    /// The status page.
    pub status_page: Option<StatusPageConfig>,
    /// The broker that receives all records.
    pub mqtt: Option<MqttConfig>,
    /// How the source's frames are to be looked at; among the keys of the source.
    #[serde(skip)]
    pub view: ViewConfig,
    #[serde(skip)]
    origin: Origin,
}

/// The file of a configuration, so that errors which are found later name its line, too.
#[derive(Debug, Default)]
struct Origin {
    path: PathBuf,
    /// Byte offsets of the ends of lines.
    ends: Vec<usize>,
}

/// `[budget]`: limits of the process.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "a table")]
pub struct BudgetConfig {
    /// Memory of the whole process, as in `"128 MiB"`.
    pub memory: Spanned<ByteSize>,
}

/// `[source]`: where frames come from.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// A folder of pictures.
    Folder(FolderConfig),
    /// The synthetic line.
    Pattern(PatternConfig),
    /// A camera.
    Camera(CameraConfig),
    /// A program that delivers frames.
    Process(ProcessConfig),
    /// A camera that libcamera drives.
    Libcamera(LibcameraConfig),
    /// A camera that is reached by RTSP.
    Rtsp(RtspConfig),
    /// A pipeline of GStreamer.
    Gstreamer(GstreamerConfig),
}

/// `[source.pattern]`: the synthetic line.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub struct PatternConfig {
    /// Width of a frame in pixels.
    #[serde(default = "pixels::<640>")]
    pub width: Spanned<usize>,
    /// Height of a frame in pixels.
    #[serde(default = "pixels::<480>")]
    pub height: Spanned<usize>,
    /// Frames per second; absent: as fast as they are inspected.
    pub fps: Option<Spanned<f64>>,
    /// The seed of the noise.
    #[serde(default)]
    pub seed: u64,
    /// Every Nth part has a scratch; 0: none.
    #[serde(default = "ten")]
    pub defect_every: u64,
    /// Number of frames; absent: without end.
    pub frames: Option<u64>,
}

/// `[anomaly]`: anomaly detection.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "a table")]
pub struct AnomalyConfig {
    /// A bundle's name or folder.
    pub bundle: String,
    /// Replaces the bundle's threshold, 0..1.
    pub threshold: Option<Spanned<f64>>,
    /// How many of 1000 normal frames may raise an alarm; sets the threshold. A score is the share of normal frames that score
    /// lower, so each follows from the other.
    pub false_alarms: Option<Spanned<f64>>,
    /// A frame that differs from the last inspected one by less than this many grey levels on average takes over its verdict.
    /// 0: every frame is inspected.
    pub skip_similar: Spanned<f64>,
}

/// `[super_resolution]`: enlarging the spot.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "a table")]
pub struct SuperResolutionConfig {
    /// A bundle's name or folder.
    pub bundle: String,
    /// When to enlarge.
    pub when: When,
    /// Side of the square around the maximum of the heatmap that is enlarged, in pixels.
    pub spot: Spanned<usize>,
    /// How long enlarging may take per frame, in milliseconds; a spot that takes longer on this machine is reduced. Absent: the
    /// time that the source's rate leaves after the verdict; without a rate, unlimited.
    pub max_ms: Option<Spanned<f64>>,
}

/// Where results go.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "a table")]
pub struct OutputConfig {
    /// The folder for `events.jsonl` and pictures.
    pub folder: Spanned<PathBuf>,
    /// Total size of the records there, in bytes; the oldest are deleted first.
    pub records: Spanned<ByteSize>,
    /// Total size of the pictures there, in bytes; the oldest of the lowest priority are deleted first.
    pub pictures: Spanned<ByteSize>,
    /// Free space on the disk that pictures must leave, in bytes.
    pub keep_free: Spanned<ByteSize>,
    /// Keep every Nth normal frame, for later teaching; 0: none.
    pub normal_every: Spanned<u64>,
}

/// `[engine]`: how models are run.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "a table")]
pub struct EngineConfig {
    /// Run models with float operators, whose results may differ between CPUs by one quantization step.
    pub allow_float: bool,
}

impl AnomalyConfig {
    /// The threshold that replaces the bundle's, where there is one.
    pub fn wanted_threshold(&self) -> Option<f64> {
        let rate = self.false_alarms.as_ref().map(|rate| 1.0 - rate.get_ref() / 1000.0);
        self.threshold.as_ref().map(|threshold| *threshold.get_ref()).or(rate)
    }
}

impl Source {
    /// Frames per second, where the source has a rate.
    pub fn fps(&self) -> Option<f64> {
        let fps = match self {
            Source::Folder(folder) => &folder.fps,
            Source::Pattern(pattern) => &pattern.fps,
            _ => return self.live_frames().map(|frames| *frames.fps.get_ref()),
        };
        fps.as_ref().map(|fps| *fps.get_ref())
    }
}

impl Default for BudgetConfig {
    fn default() -> Self {
        BudgetConfig { memory: Spanned::new(0..0, ByteSize::mib(192)) }
    }
}

impl Default for AnomalyConfig {
    fn default() -> Self {
        AnomalyConfig {
            bundle: "inspect-demo".into(),
            threshold: None,
            false_alarms: None,
            skip_similar: Spanned::new(0..0, 0.0),
        }
    }
}

impl Default for SuperResolutionConfig {
    fn default() -> Self {
        SuperResolutionConfig {
            bundle: "superres-camera".into(),
            when: When::Anomaly,
            spot: pixels::<96>(),
            max_ms: None,
        }
    }
}

impl Default for OutputConfig {
    fn default() -> Self {
        OutputConfig {
            folder: Spanned::new(0..0, "lineside-out".into()),
            records: Spanned::new(0..0, ByteSize::mib(64)),
            pictures: Spanned::new(0..0, ByteSize::gib(1)),
            keep_free: Spanned::new(0..0, ByteSize::mib(64)),
            normal_every: Spanned::new(0..0, 0),
        }
    }
}

fn pixels<const N: usize>() -> Spanned<usize> {
    Spanned::new(0..0, N)
}

fn ten() -> u64 {
    10
}

/// An error in a configuration: the file, the line, and what is wrong.
#[derive(Debug, thiserror::Error)]
#[error("{place}: {problem}")]
pub struct ConfigError {
    place: String,
    problem: String,
}

impl Config {
    /// Reads and validates the file at `path`.
    ///
    /// # Errors
    /// [`ConfigError`] where it cannot be read or has an invalid value.
    pub fn load(path: &Path) -> Result<Config, ConfigError> {
        let text = files::read_text(path, files::MAX_TEXT)
            .map_err(|e| ConfigError { place: path.display().to_string(), problem: e.to_string() })?;
        Config::parse(&text, path)
    }

    /// Parses and validates `text`, the content of the file at `path`.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn parse(text: &str, path: &Path) -> Result<Config, ConfigError> {
        let ends = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at).collect();
        let origin = Origin { path: path.into(), ends };
        let parsed = DeTable::parse(text).and_then(|mut root| {
            let view = ViewConfig::take_from(&mut root)?;
            Ok(Config { view, ..Config::deserialize(toml::Deserializer::from(root))? })
        });
        let mut config = parsed.map_err(|e| {
            let start = e.span().map_or(0, |span| span.start);
            origin.error_at(start, e.message().replace('\n', " "))
        })?;
        config.origin = origin;
        match config.problem() {
            Some((start, problem)) => Err(config.origin.error_at(start, problem)),
            None => Ok(config),
        }
    }

    /// An error about a value, with the file and line where it is set.
    pub fn error_at<T>(&self, value: &Spanned<T>, problem: impl std::fmt::Display) -> ConfigError {
        self.origin.error_at(value.span().start, problem.to_string())
    }

    /// The configuration of `lineside run` without a file: the shipped frames, once.
    pub fn demo(frames: PathBuf) -> Config {
        Config {
            budget: BudgetConfig::default(),
            source: Source::Folder(FolderConfig::once(frames, 0.1)),
            anomaly: AnomalyConfig::default(),
            super_resolution: SuperResolutionConfig::default(),
            output: OutputConfig::default(),
            engine: EngineConfig { allow_float: false },
            alarm: None,
            heartbeat: None,
            trigger: None,
            heat: HeatConfig::default(),
            status_page: None,
            mqtt: None,
            view: ViewConfig::default(),
            origin: Origin::default(),
        }
    }

    /// The first invalid value: where it is set, and what is wrong with it.
    fn problem(&self) -> Option<Violation> {
        let source = match &self.source {
            Source::Folder(folder) => folder.problem(),
            Source::Pattern(pattern) => check_fps(&pattern.fps, "source.pattern.fps")
                .or_else(|| check_range(&pattern.width, "source.pattern.width", 32, 8192))
                .or_else(|| check_range(&pattern.height, "source.pattern.height", 32, 8192)),
            Source::Camera(camera) => camera.problem(),
            Source::Process(process) => process.problem(),
            Source::Libcamera(camera) => camera.problem(),
            Source::Rtsp(camera) => camera.problem(),
            Source::Gstreamer(pipeline) => pipeline.problem(),
        };
        let threshold = self.anomaly.threshold.as_ref();
        let false_alarms = self.anomaly.false_alarms.as_ref();
        source
            .or_else(|| self.view.problem())
            .or_else(|| threshold.and_then(|value| check_range(value, "anomaly.threshold", 0.0, 1.0)))
            .or_else(|| false_alarms.and_then(|value| check_range(value, "anomaly.false_alarms", 0.01, 500.0)))
            .or_else(|| {
                let both = threshold.and(false_alarms)?;
                Some((
                    both.span().start,
                    "anomaly.threshold is set, too: set only one of them, each determines the other".into(),
                ))
            })
            .or_else(|| check_range(&self.anomaly.skip_similar, "anomaly.skip_similar", 0.0, 255.0))
            .or_else(|| check_range(&self.super_resolution.spot, "super_resolution.spot", MIN_SPOT, 512))
            .or_else(|| check_range(self.super_resolution.max_ms.as_ref()?, "super_resolution.max_ms", 0.1, 60_000.0))
            .or_else(|| check_bytes(&self.budget.memory, "budget.memory", ByteSize::mib(1), ByteSize::tib(1)))
            .or_else(|| check_bytes(&self.output.records, "output.records", ByteSize::kib(64), ByteSize::tib(1)))
            .or_else(|| check_bytes(&self.output.pictures, "output.pictures", ByteSize::mib(1), ByteSize::pib(1)))
            .or_else(|| {
                // None, or something.
                let keep_free = Some(&self.output.keep_free).filter(|size| size.get_ref().as_u64() > 0)?;
                check_bytes(keep_free, "output.keep_free", ByteSize::kib(64), ByteSize::pib(1))
            })
            .or_else(|| check_range(&self.output.normal_every, "output.normal_every", 0, 1_000_000_000))
            .or_else(|| self.line_problem())
            .or_else(|| self.heat_problem())
            .or_else(|| self.page_problem())
            .or_else(|| self.mqtt.as_ref()?.problem())
    }
}

/// An invalid value: the byte offset where it is set, and what is wrong with it.
type Violation = (usize, String);

fn check_fps(fps: &Option<Spanned<f64>>, key: &str) -> Option<Violation> {
    fps.as_ref().and_then(|fps| check_range(fps, key, 0.01, 1000.0))
}

fn check_range<T: PartialOrd + std::fmt::Display>(value: &Spanned<T>, key: &str, low: T, high: T) -> Option<Violation> {
    let found = value.get_ref();
    let inside = *found >= low && *found <= high;
    (!inside).then(|| (value.span().start, format!("{key} must lie in {low}..{high}, found {found}")))
}

/// As [`check_range`]; a small number is taken for one whose unit is missing.
fn check_bytes(value: &Spanned<ByteSize>, key: &str, low: ByteSize, high: ByteSize) -> Option<Violation> {
    let (start, problem) = check_range(value, key, low, high)?;
    let bytes = value.get_ref().as_u64();
    let unit = format!("; {bytes} is {bytes} bytes: did you mean \"{bytes} MiB\"?");
    Some((start, if bytes < 100_000 && !bytes.is_multiple_of(1024) { problem + &unit } else { problem }))
}

impl Origin {
    fn error_at(&self, start: usize, problem: String) -> ConfigError {
        let line = 1 + self.ends.partition_point(|end| *end < start);
        // In one line: names in the file may hold line ends.
        let problem = problem.replace(char::is_control, "\u{fffd}");
        ConfigError { place: format!("{}:{line}", self.path.display()), problem }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::board::LineName;
    use crate::sink::ActiveLevel;
    use crate::source::camera::ControlSetting;
    use lineside_picture::PixelFormat;

    fn refusal(text: &str) -> String {
        Config::parse(text, Path::new("line.toml")).unwrap_err().to_string()
    }

    /// Found by fuzzing.
    #[test]
    fn an_error_about_a_name_with_line_ends_is_one_line() {
        let message = refusal("[source.pattern]\n\"a\\r\\n\\u001b\" = 1\n");
        assert!(message.contains("unknown field") && !message.contains(char::is_control), "{message:?}");
    }

    #[test]
    fn a_short_file_has_sensible_defaults() {
        let config = Config::parse("[source.pattern]\nfps = 5.0\n", Path::new("line.toml")).unwrap();
        assert_eq!(*config.budget.memory.get_ref(), ByteSize::mib(192));
        assert_eq!(config.super_resolution.when, When::Anomaly);
        assert_eq!(config.anomaly.wanted_threshold(), None);
        let text = "[source.pattern]\n[anomaly]\nfalse_alarms = 5\n";
        assert_eq!(Config::parse(text, Path::new("line.toml")).unwrap().anomaly.wanted_threshold(), Some(0.995));
        assert!(matches!(config.source, Source::Pattern(pattern) if *pattern.width.get_ref() == 640));
    }

    #[test]
    fn a_camera_and_lines_are_read() {
        let text = "[source.camera]\ndevice = \"/dev/video0\"\nformat = \"mjpeg\"\n[source.camera.controls]\nexposure = 120\n\
                    focus = \"auto\"\n[alarm]\nchip = \"gpiochip0\"\nline = 17\nactive = \"low\"\nidle = \"on\"\n[trigger]\n\
                    line = \"PART\"\nedge = \"falling\"\n";
        let config = Config::parse(text, Path::new("line.toml")).unwrap();
        assert_eq!(config.source.fps(), Some(10.0));
        let Source::Camera(camera) = &config.source else { panic!("no camera") };
        let controls: Vec<_> =
            camera.controls.iter().map(|(key, control)| (key.get_ref().as_str(), control.0)).collect();
        assert_eq!(controls, [("exposure", ControlSetting::Value(120)), ("focus", ControlSetting::Auto)]);
        assert_eq!(camera.format.map(CameraFormat::pixel_format), Some(PixelFormat::Mjpeg));
        let alarm = config.alarm.as_ref().unwrap();
        assert_eq!(
            (alarm.line.get_ref(), alarm.active, alarm.idle),
            (&LineName::Number(17), ActiveLevel::Low, Idle::On)
        );
        assert_eq!(config.trigger.as_ref().unwrap().edge, TriggerEdge::Falling);
        assert_eq!(config.error_at(&alarm.line, "no such line").to_string(), "line.toml:9: no such line");
    }

    #[test]
    fn each_mistake_is_named_with_file_and_line() {
        let pattern = "[source.pattern]\n";
        let camera = "[source.camera]\ndevice = \"0\"\n";
        let cases = [
            ("[source.pattern]\nwidht = 3\n", "line.toml:2: unknown field `widht`"),
            ("[source.pattern]\nwidth = \"3\"\n", "line.toml:2: invalid type: string \"3\""),
            ("[source.pattern]\nwidth = 0\n", "line.toml:2: source.pattern.width must lie in 32..8192, found 0"),
            ("[source.pattern]\n\nfps = -1\n", "line.toml:3: source.pattern.fps must lie in 0.01..1000, found -1"),
            ("[source.pattern]\nfps = nan\n", "source.pattern.fps must lie in 0.01..1000, found NaN"),
            ("[source.folder]\n", "missing field `path`"),
            ("[source.telescope]\n", "line.toml:1: unknown variant `telescope`"),
            ("[source.camera]\n", "line.toml:1: missing field `device`"),
            (
                "[source.camera]\ndevice = \"rtsp://10.0.0.5/1\"\n",
                "line.toml:2: source.camera.device is a camera of this board, not an address (rtsp://): use [source.rtsp]",
            ),
            ("[source.process]\nformat = \"y4m\"\n", "line.toml:1: missing field `command`"),
            ("[source.process]\ncommand = [\"a\"]\n", "line.toml:1: missing field `format`"),
            ("[source.process]\ncommand = \"a b\"\nformat = \"y4m\"\n", "line.toml:2: invalid type: string \"a b\""),
            (
                "[source.process]\nformat = \"y4m\"\ncommand = []\n",
                "line.toml:3: source.process.command names no program",
            ),
            ("[source.process]\nformat = \"h264\"\ncommand = [\"a\"]\n", "line.toml:2: unknown variant `h264`"),
            (
                "[source.process]\nformat = \"y4m\"\ncommand = [\"a\"]\nfps = 0\n",
                "line.toml:4: source.process.fps must lie in 0.01..1000, found 0",
            ),
            ("[source]\ncamera = 3\n", "line.toml:2: invalid type: integer `3`, expected a table"),
            (&format!("{camera}fps = 0\n"), "line.toml:3: source.camera.fps must lie in 0.01..1000, found 0"),
            (&format!("{camera}frozen_s = -1\n"), "line.toml:3: source.camera.frozen_s must lie in 0..86400, found -1"),
            (&format!("{camera}format = \"h264\"\n"), "line.toml:3: unknown variant `h264`"),
            (
                &format!("{camera}[source.camera.controls]\nshutter = 5\n"),
                "line.toml:4: source.camera.controls has no \"shutter\"; there is exposure",
            ),
            (
                &format!("{camera}[source.camera.controls]\nexposure = \"long\"\n"),
                "line.toml:4: invalid value: string \"long\", expected a whole number or \"auto\"",
            ),
            (
                &format!("{camera}[source.camera.controls]\nzoom = \"auto\"\n"),
                "line.toml:4: source.camera.controls.zoom takes a number",
            ),
            (&format!("{pattern}[alarm]\n"), "line.toml:2: missing field `line`"),
            (
                &format!("{pattern}[alarm]\nline = 3\n"),
                "line.toml:3: alarm.line is number 3 of which chip? set alarm.chip, too",
            ),
            (&format!("{pattern}[alarm]\nline = -3\n"), "line.toml:3: invalid value: integer `-3`"),
            (
                &format!("{pattern}[alarm]\nline = \"A\"\nhold_ms = 0\n"),
                "line.toml:4: alarm.hold_ms must lie in 1..3600000, found 0",
            ),
            (&format!("{pattern}[alarm]\nline = \"A\"\nactive = \"up\"\n"), "line.toml:4: unknown variant `up`"),
            (
                &format!("{pattern}[alarm]\nline = \"A\"\n[trigger]\nline = \"A\"\n"),
                "line.toml:5: trigger.line is the line of alarm, too",
            ),
            ("", "missing field `source`"),
            ("[source", "line.toml:1: "),
            (
                &format!("{pattern}[anomaly]\nthreshold = 7\n"),
                "line.toml:3: anomaly.threshold must lie in 0..1, found 7",
            ),
            (
                &format!("{pattern}[anomaly]\nfalse_alarms = 1000\n"),
                "line.toml:3: anomaly.false_alarms must lie in 0.01..500, found 1000",
            ),
            (
                &format!("{pattern}[anomaly]\nthreshold = 0.5\nfalse_alarms = 5\n"),
                "line.toml:4: anomaly.threshold is set, too",
            ),
            (&format!("{pattern}[budget]\nmemory = \"many\"\n"), "line.toml:3: "),
            (
                &format!("{pattern}[budget]\nmemory = 192\n"),
                "line.toml:3: budget.memory must lie in 1.0 MiB..1.0 TiB, found 192 B; 192 is 192 bytes: did you mean \"192 MiB\"?",
            ),
            (&format!("{pattern}[output]\nkeep_free = 64\n"), "64 is 64 bytes: did you mean \"64 MiB\"?"),
            (&format!("{pattern}[super_resolution]\nwhen = \"often\"\n"), "line.toml:3: unknown variant `often`"),
            (
                &format!("{pattern}[super_resolution]\nmax_ms = 0\n"),
                "line.toml:3: super_resolution.max_ms must lie in 0.1..60000, found 0",
            ),
            (
                &format!("{pattern}[output]\nrecords = \"1 KiB\"\n"),
                "line.toml:3: output.records must lie in 64.0 KiB..1.0 TiB, found 1.0 KiB",
            ),
            (&format!("{pattern}[super_resolution]\nspot = 0\n"), "super_resolution.spot must lie in 16..512, found 0"),
        ];
        for (text, expected) in cases {
            let error = refusal(text);
            assert!(error.contains(expected), "{text:?}: {error}");
            assert_eq!(error.lines().count(), 1, "{error}");
        }
    }
}
