//! The command line of `lineside recalibrate`.

use std::path::PathBuf;

/// The arguments of `lineside recalibrate`.
#[derive(clap::Args)]
pub struct RecalibrateArguments {
    /// The bundle's name or folder; it stays as it is until --confirm
    pub bundle: String,
    /// A folder of pictures of good parts of the new batch: at least 8, better 30
    #[arg(long, value_name = "DIR", required_unless_present = "confirm", conflicts_with = "confirm")]
    pub good: Option<PathBuf>,
    /// The new bundle [default: BUNDLE.recalibrated, beside BUNDLE]
    #[arg(long, value_name = "NEW")]
    pub out: Option<PathBuf>,
    /// Put NEW in the place of BUNDLE, which is kept as BUNDLE.before
    #[arg(long)]
    pub confirm: bool,
    /// Allowed false alarms in 1000 normal frames [default: as the bundle has it]
    #[arg(long, value_name = "N", value_parser = crate::commands::false_alarm_rate, conflicts_with = "confirm")]
    pub false_alarms: Option<f64>,
    /// The most pictures to use, spread evenly over all
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(8..=1000), default_value_t = 1000)]
    pub frames: u64,
    /// Bits that are used of each sample of 16, where the files do not state it: 12 for a camera of 12 bits
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=16))]
    pub bits: Option<u8>,
    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
}
