//! The TOML file: types, defaults, and validation that names file and line in every error.

mod array;
mod bundles;
mod bundles_in_use;
mod camera;
mod cameras;
mod folder;
mod heat;
mod limits;
mod lines;
mod live;
mod modbus;
mod mqtt;
mod origin;
mod part;
mod presets;
mod process;
mod product;
mod product_controls;
mod region;
mod secrets;
mod starter;
mod status_page;
mod task;
mod view;
mod words;

use crate::files;
pub use bundles::BundlesConfig;
pub use camera::{CameraConfig, CameraFormat, ControlValue};
pub use cameras::CameraIdentity;
pub use folder::{FolderConfig, KeepOrMove};
pub use heat::{HeatConfig, SmallerConfig};
use limits::{Violation, check_bytes, check_fps, check_range};
pub use lines::{AlarmConfig, HeartbeatConfig, Idle, TriggerConfig, TriggerEdge};
pub use live::LiveFrames;
pub use modbus::ModbusConfig;
pub use mqtt::{MqttConfig, TlsConfig};
pub use origin::ConfigError;
use origin::Origin;
pub use part::{EncoderConfig, NoResultLines, PartConfig, PartLineConfig, RejectConfig};
pub use presets::{
    AutoFocus, FlipConfig, FocusConfig, GstreamerConfig, LibcameraConfig, RtspConfig, WhiteBalanceConfig,
    WhiteBalanceMode,
};
pub use process::{LumaRange, ProcessConfig, ProcessFormat};
pub use product::{ProductConfig, ProductsConfig};
pub use starter::{Starter, StarterCamera};
pub use status_page::{PageTlsConfig, StatusPageConfig};
pub use task::TaskConfig;
pub use view::ViewConfig;

use crate::task::anomaly::RegionShape;
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
    /// Several tasks on one frame; `[anomaly]` is the short form of one.
    #[serde(default)]
    pub task: Vec<TaskConfig>,
    /// Products, one of which is inspected at a time.
    #[serde(default)]
    pub product: Vec<ProductConfig>,
    /// How one of them is chosen.
    #[serde(default)]
    pub products: ProductsConfig,
    /// Super-resolution of the spot.
    #[serde(default)]
    pub super_resolution: SuperResolutionConfig,
    /// Where results go.
    #[serde(default)]
    pub output: OutputConfig,
    /// How models are run.
    #[serde(default)]
    pub engine: EngineConfig,
    /// What a bundle must have to be used.
    #[serde(default)]
    pub bundles: BundlesConfig,
    /// The GPIO line that a defect raises.
    pub alarm: Option<AlarmConfig>,
    /// The GPIO line that toggles with every verdict.
    pub heartbeat: Option<HeartbeatConfig>,
    /// The GPIO line that requests a frame.
    pub trigger: Option<TriggerConfig>,
    /// A result for each part that the trigger announces.
    pub part: Option<PartConfig>,
    /// How the load is reduced while the board is too hot.
    #[serde(default)]
    pub heat: HeatConfig,
    /// The status page.
    pub status_page: Option<StatusPageConfig>,
    /// The broker that receives all records.
    pub mqtt: Option<MqttConfig>,
    /// The server for PLCs.
    pub modbus: Option<ModbusConfig>,
    /// How the source's frames are to be looked at; among the keys of the source.
    #[serde(skip)]
    pub view: ViewConfig,
    /// Which one it is of several cameras in one file ([`Config::load_all`]).
    #[serde(skip)]
    pub camera: Option<CameraIdentity>,
    #[serde(skip)]
    origin: Origin,
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

/// Each network has threads of its own, for each view and for the enlarger, and the service may have 192 in all (`TasksMax` of the unit).
const MAX_THREADS: usize = 4;

/// `[anomaly]`: anomaly detection.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "a table")]
pub struct AnomalyConfig {
    /// The name or folder of a bundle that judges frames.
    pub bundle: Spanned<String>,
    /// Replaces the bundle's threshold, 0..1.
    pub threshold: Option<Spanned<f64>>,
    /// How many of 1000 normal frames may raise an alarm; sets the threshold. A score is the share of normal frames that score
    /// lower, so each follows from the other.
    pub false_alarms: Option<Spanned<f64>>,
    /// The part of the frame that is inspected; absent: what the bundle was taught with.
    #[serde(deserialize_with = "region::shapes")]
    pub region: Option<Spanned<Vec<RegionShape>>>,
    /// A picture of the frame's size that is white where pixels are ignored.
    pub ignore: Option<Spanned<PathBuf>>,
    /// A frame that differs from the last inspected one by less than this many grey levels on average takes over its verdict.
    /// 0: every frame is inspected.
    pub skip_similar: Spanned<f64>,
    /// Threads that share the backbone's runs, where it is not [`EngineConfig::threads`] of them.
    pub threads: Option<Spanned<usize>>,
}

/// `[super_resolution]`: enlarging the spot.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "a table")]
pub struct SuperResolutionConfig {
    /// A bundle's name or folder.
    pub bundle: Spanned<String>,
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
    /// Run models that partly compute in floats: they take longer, and what is left to tract may differ between CPUs.
    pub allow_float: bool,
    /// Threads that share a run of a network, at most 4; the results are the same for any number. Absent: the cores less two, which
    /// are left to capture and output, shared by all cameras of the file, at least one.
    pub threads: Option<Spanned<usize>>,
}

impl EngineConfig {
    /// Threads that share a run, on a board with so many cores.
    pub fn threads_on(&self, cores: usize) -> usize {
        self.threads.as_ref().map_or(cores.saturating_sub(2).clamp(1, MAX_THREADS), |threads| *threads.get_ref())
    }
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
            bundle: Spanned::new(0..0, "inspect-demo".into()),
            threshold: None,
            false_alarms: None,
            region: None,
            ignore: None,
            skip_similar: Spanned::new(0..0, 0.0),
            threads: None,
        }
    }
}

impl Default for SuperResolutionConfig {
    fn default() -> Self {
        SuperResolutionConfig {
            bundle: Spanned::new(0..0, "superres-camera".into()),
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

/// Cores that this process may use.
fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

fn pixels<const N: usize>() -> Spanned<usize> {
    Spanned::new(0..0, N)
}

fn ten() -> u64 {
    10
}

impl Config {
    /// Reads and validates the file at `path`.
    ///
    /// # Errors
    /// [`ConfigError`] where it cannot be read or has an invalid value.
    pub fn load(path: &Path) -> Result<Config, ConfigError> {
        Config::parse(&Config::read(path)?, path)
    }

    /// Parses and validates `text`, the content of the file at `path`, which has one source.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn parse(text: &str, path: &Path) -> Result<Config, ConfigError> {
        let origin = Origin::new(text, path);
        let root = origin.read_table(text)?;
        if let Some((key, _)) = root.get_ref().get_key_value("camera") {
            let problem = "[[camera]]: the file has several cameras, and one is wanted here (teach --camera FILE#NAME takes one of them)";
            return Err(origin.error_at(key.span().start, problem.into()));
        }
        Config::of_table(root, text, origin)
    }

    fn read(path: &Path) -> Result<String, ConfigError> {
        files::read_text(path, files::MAX_TEXT).map_err(|error| ConfigError::of_file(path, error))
    }

    /// A configuration out of the table of a file, or of what holds for one of its cameras.
    fn of_table(mut root: Spanned<DeTable>, text: &str, origin: Origin) -> Result<Config, ConfigError> {
        let wrong = words::several_sources(root.get_ref()).or_else(|| words::unexpanded(root.get_ref()));
        if let Some((start, problem)) = wrong {
            return Err(origin.error_at(start, problem));
        }
        let explained = |error| origin.explain(text, error);
        let view = ViewConfig::take_from(&mut root).map_err(explained)?;
        let config = Config::deserialize(toml::Deserializer::from(root)).map_err(explained)?;
        let mut config = Config { view, ..config };
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
            task: Vec::new(),
            product: Vec::new(),
            products: ProductsConfig::default(),
            super_resolution: SuperResolutionConfig::default(),
            output: OutputConfig::default(),
            engine: EngineConfig::default(),
            bundles: BundlesConfig::default(),
            alarm: None,
            heartbeat: None,
            trigger: None,
            part: None,
            heat: HeatConfig::default(),
            status_page: None,
            mqtt: None,
            modbus: None,
            view: ViewConfig::default(),
            camera: None,
            origin: Origin::default(),
        }
    }

    /// Threads that share a run of the networks for anomaly detection here.
    pub fn anomaly_threads(&self) -> usize {
        self.anomaly.threads.as_ref().map_or_else(|| self.engine_threads(), |threads| *threads.get_ref())
    }

    /// Threads that share a run of any other network here.
    pub fn engine_threads(&self) -> usize {
        // All cameras of a file inspect at the same time: each has its share of the cores.
        self.engine.threads_on(2 + cores().saturating_sub(2) / self.cameras())
    }

    /// How many cameras there are in the file.
    pub fn cameras(&self) -> usize {
        self.camera.as_ref().map_or(1, |camera| camera.of)
    }

    /// How many times longer a network takes while all cameras of the file inspect than while it runs alone: 1 where each has a core.
    pub fn crowding(&self) -> f64 {
        (self.cameras() as f64 / cores() as f64).max(1.0)
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
            .or_else(|| check_range(self.anomaly.threads.as_ref()?, "anomaly.threads", 1, MAX_THREADS))
            .or_else(|| check_range(self.engine.threads.as_ref()?, "engine.threads", 1, MAX_THREADS))
            .or_else(|| check_range(&self.super_resolution.spot, "super_resolution.spot", MIN_SPOT, 512))
            .or_else(|| check_range(self.super_resolution.max_ms.as_ref()?, "super_resolution.max_ms", 0.1, 60_000.0))
            .or_else(|| check_bytes(&self.budget.memory, "budget.memory", ByteSize::mib(1), ByteSize::tib(1)))
            .or_else(|| {
                let folder = Some(&self.output.folder).filter(|folder| folder.get_ref().as_os_str().is_empty())?;
                Some((folder.span().start, "output.folder is empty: name a folder for records and pictures".into()))
            })
            .or_else(|| check_bytes(&self.output.records, "output.records", ByteSize::kib(64), ByteSize::tib(1)))
            .or_else(|| check_bytes(&self.output.pictures, "output.pictures", ByteSize::mib(1), ByteSize::pib(1)))
            .or_else(|| {
                // None, or something.
                let keep_free = Some(&self.output.keep_free).filter(|size| size.get_ref().as_u64() > 0)?;
                check_bytes(keep_free, "output.keep_free", ByteSize::kib(64), ByteSize::pib(1))
            })
            .or_else(|| check_range(&self.output.normal_every, "output.normal_every", 0, 1_000_000_000))
            .or_else(|| self.product_problem())
            .or_else(|| self.task_problem())
            .or_else(|| self.line_problem())
            .or_else(|| self.part_problem())
            .or_else(|| self.heat_problem())
            .or_else(|| self.page_problem())
            .or_else(|| self.mqtt.as_ref()?.problem())
            .or_else(|| self.modbus_problem())
            .or_else(|| self.listen_problem())
    }
}

#[cfg(test)]
mod tests;
