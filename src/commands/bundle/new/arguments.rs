//! The command line of `lineside bundle new`.

use crate::bundle::{ClassValues, Task};
use crate::commands::WrongArguments;
use crate::commands::bundle::place::installable_name;
use crate::commands::preparation::{InputArguments, finite, share_over_0};
use crate::escape::one_line;
use std::path::PathBuf;

/// Allowed false alarms in 1000 normal frames, where not stated.
const FALSE_ALARMS: f64 = 10.0;

/// The arguments of `lineside bundle new`.
#[derive(clap::Args)]
pub struct NewArguments {
    /// The network, an ONNX file
    pub model: PathBuf,
    /// What is asked of a frame
    #[arg(long, value_enum)]
    pub task: NewTask,
    /// The bundle to write; an existing one is replaced
    #[arg(long, value_name = "BUNDLE")]
    pub out: PathBuf,
    /// Its name [default: that of BUNDLE]
    #[arg(long, value_name = "NAME", value_parser = installable_name)]
    pub name: Option<String>,
    /// Its version [default: the time]
    #[arg(long, value_name = "VERSION")]
    pub version: Option<String>,
    /// The licence of the network's weights and data
    #[arg(long, value_name = "LICENCE", default_value = "not stated")]
    pub licence: String,
    /// Quantize a float network to INT8 on the way; needs --calibrate
    #[arg(long, requires = "calibrate")]
    pub quantize: bool,
    /// Pictures to quantize with: 100 to 500, of all kinds that the network will see
    #[arg(long, value_name = "DIR", requires = "quantize")]
    pub calibrate: Option<PathBuf>,
    /// Pictures of good parts, others than it was trained with: 10 at least, better 100. They set the threshold and the baseline of drift
    #[arg(long, value_name = "DIR")]
    pub normal: Option<PathBuf>,
    /// Pictures of known defects: how many are found is measured
    #[arg(long, value_name = "DIR")]
    pub defect: Option<PathBuf>,
    /// Allowed false alarms in 1000 normal frames [default: 10]
    #[arg(long, value_name = "N", value_parser = crate::commands::false_alarm_rate)]
    pub false_alarms: Option<f64>,
    /// The most pictures of a folder to use, spread evenly over all
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=10_000), default_value_t = 500)]
    pub frames: u64,
    /// Number of threads [default: all cores, four at most]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=64))]
    pub threads: Option<u32>,
    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub input: InputArguments,
    /// With --fit crop: the share that is kept, such as 0.875
    #[arg(long, value_name = "SHARE", value_parser = share_over_0, help_heading = "How a picture becomes the input")]
    pub keep: Option<f64>,
    #[command(flatten)]
    pub meaning: MeaningArguments,
}

/// What the outputs mean.
#[derive(clap::Args)]
#[command(next_help_heading = "What the outputs mean")]
pub struct MeaningArguments {
    /// The output that serves the task [default: the one of the right shape]
    #[arg(long, value_name = "NAME")]
    pub output: Option<String>,
    /// classify: the names of the classes, one a line or JSON [default: those that the model's file notes]
    #[arg(long, value_name = "FILE")]
    pub labels: Option<PathBuf>,
    /// classify: what the output holds [default: as the graph or its values tell]
    #[arg(long, value_enum)]
    pub values: Option<ValuesBy>,
    /// classify: the classes of good parts; embed: the right parts. Without: every one, it is only named
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub ok: Vec<String>,
    /// classify: a frame whose best class leads the second by less than this probability is unknown, and not good
    #[arg(long, value_name = "P", value_parser = share)]
    pub margin: Option<f64>,
    /// classify: CLASS=P, the probability from which on a class counts; may be repeated. anomaly-map without --normal: the value from
    /// which on a frame counts as defect
    #[arg(long, value_name = "T", allow_negative_numbers = true)]
    pub threshold: Vec<String>,
    /// anomaly-map: the output with the frame's value [default: by name and shape]
    #[arg(long, value_name = "NAME")]
    pub score: Option<String>,
    /// anomaly-map: the output with the map [default: by name and shape]
    #[arg(long, value_name = "NAME")]
    pub map: Option<String>,
    /// reconstruction: the side of the squares over which differences are averaged, in pixels [default: a 32nd of the input, 4 at least]
    #[arg(long, value_name = "PIXELS", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub cell: Option<u16>,
    /// embed: a folder for each known part, with pictures of it
    #[arg(long, value_name = "DIR")]
    pub references: Option<PathBuf>,
    /// embed: how many references vote [default: 3 where every part has as many, else 1]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=32))]
    pub nearest: Option<u8>,
    /// superres: the radius of what an output pixel depends on, in input pixels [default: measured]
    #[arg(long, value_name = "PIXELS", value_parser = clap::value_parser!(u8).range(0..=64))]
    pub receptive_field: Option<u8>,
}

/// A task of a network that people bring.
#[derive(clap::ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
pub enum NewTask {
    /// Which class does the frame show?
    Classify,
    /// How abnormal is it, and where? By a network that says so
    AnomalyMap,
    /// The same, by a network that gives the picture back as it should be
    Reconstruction,
    /// The spot enlarged
    Superres,
    /// Which known part does it show?
    Embed,
}

#[derive(clap::ValueEnum, Debug, Clone, Copy)]
pub enum ValuesBy {
    Logits,
    Probabilities,
}

impl NewArguments {
    /// Refuses options of another task.
    ///
    /// # Errors
    /// [`WrongArguments`] with the option and its task.
    pub fn check(&self) -> Result<(), WrongArguments> {
        use NewTask::{AnomalyMap, Classify, Embed, Reconstruction, Superres};
        let MeaningArguments {
            output,
            labels,
            values,
            ok,
            margin,
            threshold,
            score,
            map,
            cell,
            references,
            nearest,
            ..
        } = &self.meaning;
        let judged: &[NewTask] = &[Classify, AnomalyMap, Reconstruction, Embed];
        let given: [(&str, bool, &[NewTask]); 16] = [
            ("--output", output.is_some(), &[Classify, Reconstruction, Embed]),
            ("--labels", labels.is_some(), &[Classify]),
            ("--values", values.is_some(), &[Classify]),
            ("--ok", !ok.is_empty(), &[Classify, Embed]),
            ("--margin", margin.is_some(), &[Classify]),
            ("--threshold", !threshold.is_empty(), &[Classify, AnomalyMap]),
            ("--score", score.is_some(), &[AnomalyMap]),
            ("--map", map.is_some(), &[AnomalyMap]),
            ("--cell", cell.is_some(), &[Reconstruction]),
            ("--references", references.is_some(), &[Embed]),
            ("--nearest", nearest.is_some(), &[Embed]),
            ("--receptive-field", self.meaning.receptive_field.is_some(), &[Superres]),
            ("--normal", self.normal.is_some(), judged),
            ("--defect", self.defect.is_some(), judged),
            ("--quantize", self.quantize, judged),
            ("--false-alarms", self.false_alarms.is_some(), &[AnomalyMap, Reconstruction, Embed]),
        ];
        match given.iter().find(|(_, is_given, tasks)| *is_given && !tasks.contains(&self.task)) {
            None if self.task == Classify => self.check_classes(),
            None => Ok(()),
            Some((option, _, tasks)) => {
                let names: Vec<&str> = tasks.iter().map(|task| task.name()).collect();
                Err(WrongArguments(format!(
                    "{option} belongs to --task {}, not to {}",
                    names.join(", "),
                    self.task.name()
                )))
            }
        }
    }
}

impl NewArguments {
    /// Allowed false alarms in 1000 normal frames.
    pub fn false_alarms(&self) -> f64 {
        self.false_alarms.unwrap_or(FALSE_ALARMS)
    }

    /// Without --ok every class is a good one, so that none of its thresholds makes a defect of a frame.
    fn check_classes(&self) -> Result<(), WrongArguments> {
        let MeaningArguments { ok, threshold, margin, .. } = &self.meaning;
        if !ok.is_empty() {
            return Ok(());
        }
        if let Some(first) = threshold.first() {
            return Err(WrongArguments(format!(
                "--threshold {}: without --ok every class is good, so that none is a defect: state --ok with the classes of good parts, all \
                 of them if a class below its threshold shall be unknown only",
                one_line(first)
            )));
        }
        if self.defect.is_some() && margin.is_none() {
            let problem = "--defect: without --ok every class is good, so that no defect can be found: state --ok with the classes of good parts";
            return Err(WrongArguments(problem.into()));
        }
        Ok(())
    }
}

impl NewTask {
    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            NewTask::Classify => "classify",
            NewTask::AnomalyMap => "anomaly-map",
            NewTask::Reconstruction => "reconstruction",
            NewTask::Superres => "superres",
            NewTask::Embed => "embed",
        }
    }

    /// As a manifest has it.
    pub fn task(self) -> Task {
        match self {
            NewTask::Classify => Task::Classify,
            NewTask::AnomalyMap => Task::AnomalyMap,
            NewTask::Reconstruction => Task::Reconstruction,
            NewTask::Superres => Task::SuperResolution,
            NewTask::Embed => Task::Embed,
        }
    }
}

impl ValuesBy {
    /// As a manifest has it.
    pub fn values(self) -> ClassValues {
        match self {
            ValuesBy::Logits => ClassValues::Logits,
            ValuesBy::Probabilities => ClassValues::Probabilities,
        }
    }
}

fn share(text: &str) -> Result<f64, String> {
    let value = finite(text).ok().filter(|value| (0.0..=1.0).contains(value));
    value.ok_or_else(|| "expected a number in 0..1".into())
}
