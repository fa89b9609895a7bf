//! The command line of `lineside teach`.

use crate::bundle::{AlignWithin, Tolerance};
use crate::commands::dataset::DataSetLayout;
use crate::task::anomaly::RegionShape;
use crate::task::anomaly::teach::Detail;
use lineside_picture::Rect;
use std::path::PathBuf;
use std::str::FromStr;

/// The arguments of `lineside teach`.
#[derive(Clone, clap::Args)]
pub struct TeachArguments {
    /// A folder of pictures of good parts, or of a whole data set (see --layout)
    #[arg(long, value_name = "DIR", required_unless_present = "camera", conflicts_with = "camera")]
    pub normal: Option<PathBuf>,
    /// A camera that sees good parts: its device, or a configuration (.toml) with a [source.camera] and possibly a trigger,
    /// FILE.toml#NAME where it has several cameras. Its pictures are stored in BUNDLE.frames
    #[arg(long, value_name = "DEV")]
    pub camera: Option<String>,
    /// The product of that configuration that is taught: the camera gets its controls
    #[arg(long, value_name = "NAME", requires = "camera", conflicts_with = "normal")]
    pub product: Option<String>,
    /// Seconds between pictures of the camera
    #[arg(long, value_name = "S", default_value_t = 1.0, value_parser = pause, conflicts_with = "normal")]
    pub every: f64,
    /// A folder of pictures of known defects, used for training too; sub-folders are kinds of defect
    #[arg(long, value_name = "DIR")]
    pub defects: Option<PathBuf>,
    /// A folder of masks for --defects, at the same relative path, such as crack/001.png or crack/001_mask.png; without it masks
    /// are looked for beside the pictures
    #[arg(long, value_name = "DIR", requires = "defects")]
    pub masks: Option<PathBuf>,
    /// Teach as this bundle was: its backbone, region, alignment, tolerance and detail, and as many false alarms as its threshold allows
    #[arg(
        long,
        value_name = "BUNDLE",
        conflicts_with_all = ["region", "ignore", "align", "align_within", "false_alarms", "tolerance", "detail", "backbone"]
    )]
    pub like: Option<String>,
    /// The part of the frame that matters: a rectangle as X,Y,WIDTH,HEIGHT or a polygon as "X,Y X,Y X,Y ...", in pixels; may be
    /// repeated. What lies outside neither teaches nor counts later
    #[arg(long, value_name = "SHAPE", allow_hyphen_values = true)]
    pub region: Vec<RegionShape>,
    /// A picture of the frame's size that is white where pixels are to be ignored
    #[arg(long, value_name = "MASK")]
    pub ignore: Option<PathBuf>,
    /// Find the part in each frame and bring it to where it lies in the first picture, before it is inspected. With a rectangle
    /// X,Y,WIDTH,HEIGHT: by what is there in the first picture, in pixels; without: by the region, or the whole frame
    #[arg(long, value_name = "RECTANGLE", num_args = 0..=1, default_missing_value = "auto")]
    pub align: Option<AlignBy>,
    /// How far the part may lie from there, to both sides: shift in percent of the frame, turn in degrees, scale in percent, such as
    /// shift=8%,turn=5deg,scale=3% [default: shift=8%,turn=5deg]
    #[arg(long, value_name = "LIMITS", requires = "align")]
    pub align_within: Option<AlignWithin>,
    /// How a data set is laid out
    #[arg(long, value_name = "L", value_enum, default_value_t)]
    pub layout: DataSetLayout,
    /// The bundle to write; an existing one is replaced
    #[arg(long, value_name = "BUNDLE")]
    pub out: PathBuf,
    /// Allowed false alarms in 1000 normal frames
    #[arg(long, value_name = "N", default_value_t = 10.0, value_parser = crate::commands::false_alarm_rate)]
    pub false_alarms: f64,
    /// How far good frames may vary beyond these pictures, to both sides: shift in percent of the frame, turn in degrees, scale
    /// and light in percent, such as shift=5%,turn=3deg,scale=5%,light=20%. Each picture is joined by copies that are varied so
    #[arg(long, value_name = "LIMITS")]
    pub tolerance: Option<Tolerance>,
    /// How much detail of a frame, or of the region, is inspected. More of it finds smaller defects and costs more per frame:
    /// about 0.4, 0.9 and up to 2.5 G multiply-accumulates
    #[arg(long, value_name = "D", value_enum, default_value_t)]
    pub detail: Detail,
    /// The most pictures to use; with --camera, the number to take [default: 1000, with --camera 200]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1000))]
    pub frames: Option<u64>,
    /// The bundle with the backbone
    #[arg(long, value_name = "BUNDLE", default_value = "backbone-lite0")]
    pub backbone: String,
    /// Number of threads [default: the number of CPU cores, at most 4]
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=64))]
    pub threads: Option<u64>,
    /// Bits that are used of each sample of 16, where the files do not state it: 12 for a camera of 12 bits
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=16))]
    pub bits: Option<u8>,
    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
}

fn pause(text: &str) -> Result<f64, String> {
    let pause = text.parse::<f64>().ok().filter(|pause| (0.0..=3600.0).contains(pause));
    pause.ok_or_else(|| "expected seconds in 0..3600".into())
}

/// What is looked for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum AlignBy {
    /// The region, or the whole frame.
    Inspected,
    /// What is in a rectangle of the first picture.
    Mark(Rect),
}

impl FromStr for AlignBy {
    type Err = String;

    fn from_str(text: &str) -> Result<AlignBy, String> {
        if text == "auto" {
            return Ok(AlignBy::Inspected);
        }
        match text.parse::<RegionShape>()? {
            RegionShape::Rectangle(rect) => Ok(AlignBy::Mark(rect)),
            RegionShape::Polygon(_) => Err("takes a rectangle: X,Y,WIDTH,HEIGHT".into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rectangle_or_nothing_is_read() {
        assert_eq!("auto".parse(), Ok(AlignBy::Inspected));
        assert_eq!("1,2,30,40".parse(), Ok(AlignBy::Mark(Rect { x: 1, y: 2, width: 30, height: 40 })));
        assert!("1,2 30,40 5,60".parse::<AlignBy>().unwrap_err().contains("a rectangle"));
        assert!("plate".parse::<AlignBy>().is_err());
    }
}
