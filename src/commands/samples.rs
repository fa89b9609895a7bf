//! Samples for a model of any kind: pictures through a stated pre-processing, or `.npy` arrays.

use super::WrongArguments;
use super::dataset;
use super::preparation::{InputArguments, PreparedInput, share_over_0};
use super::prepared_pictures::PreparedPictures;
use crate::files;
use crate::task::own_model::FrameInput;
use crate::task::own_model::make::MakeError;
use anyhow::Context;
use lineside_engine::{Model, StatedInput, Tensor, f16, npy};
use lineside_quantize::{QuantizeError, Samples};
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// How pictures become what a model takes, and how many of them.
#[derive(clap::Args, Debug, Clone)]
pub struct PreProcessing {
    #[command(flatten)]
    pub input: InputArguments,
    /// Channels from blue to red, as --channels bgr
    #[arg(long, conflicts_with = "channels", help_heading = "How a picture becomes the input")]
    bgr: bool,
    /// With --fit crop: the share that is kept, such as 0.875
    #[arg(long, value_name = "SHARE", value_parser = share_over_0, help_heading = "How a picture becomes the input")]
    share: Option<f64>,
    /// Samples at most, spread evenly over all [default: 300]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=100_000))]
    samples: Option<u64>,
}

impl PreProcessing {
    /// Whether anything is stated of samples.
    pub fn states_anything(&self) -> bool {
        self.states_preparation() || self.samples.is_some()
    }

    /// Whether anything is stated of how a picture becomes the input.
    fn states_preparation(&self) -> bool {
        self.input.states_anything() || self.bgr || self.share.is_some()
    }

    fn most_samples(&self) -> u64 {
        self.samples.unwrap_or(300)
    }
}

/// The samples of a command.
pub enum ModelSamples {
    /// Pictures.
    Pictures(Box<PictureSamples>),
    /// Arrays, one list for each input.
    Arrays(ArraySamples),
}

/// Pictures of files, one sample each.
pub struct PictureSamples {
    pictures: PreparedPictures<FrameInput>,
    spread: Spread,
    /// What values the input can have at all, by its name.
    range: HashMap<String, (f32, f32)>,
    /// The model leaves its size open, and pictures have one.
    fixes_size: bool,
}

impl ModelSamples {
    /// For the model of a file, from what the command line names: a folder of pictures, or arrays. A model of several inputs takes one array for each, in its
    /// order, each with the samples along its first dimension.
    pub fn new(paths: &[PathBuf], of: (&Path, &Model), how: &PreProcessing) -> anyhow::Result<ModelSamples> {
        let is_array = |path: &PathBuf| path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("npy"));
        if paths.iter().all(is_array) {
            if let Some(path) = paths.first().filter(|_| how.states_preparation()) {
                let message = format!(
                    "{}: an array is taken as it is: leave out --size, --like, --mean and what else says how a picture becomes the input \
                     (--fix-shapes keeps the shape of the samples)",
                    path.display()
                );
                return Err(WrongArguments(message).into());
            }
            return Ok(ModelSamples::Arrays(ArraySamples::new(paths, &of.1.inputs()?, how)?));
        }
        if let Some(array) = paths.iter().find(|path| is_array(path)) {
            let message =
                format!("{}: an array beside pictures: give arrays alone, or pictures alone", array.display());
            return Err(WrongArguments(message).into());
        }
        Ok(ModelSamples::Pictures(Box::new(PictureSamples::new(paths, of, how)?)))
    }

    /// What values an input can have at all, by its name: bytes through the pre-processing.
    pub fn known_ranges(&self) -> HashMap<String, (f32, f32)> {
        match self {
            ModelSamples::Pictures(samples) => samples.range.clone(),
            ModelSamples::Arrays(_) => HashMap::new(),
        }
    }

    /// Whether the samples have a size that the model leaves open.
    pub fn fix_size(&self) -> bool {
        matches!(self, ModelSamples::Pictures(samples) if samples.fixes_size)
    }

    /// Samples that were named, of which these may be a part.
    pub fn all(&self) -> usize {
        self.spread().all
    }

    /// Where each of these stands among all that were named.
    pub fn places(&self) -> impl Iterator<Item = usize> {
        self.spread().places()
    }

    fn spread(&self) -> &Spread {
        match self {
            ModelSamples::Pictures(samples) => &samples.spread,
            ModelSamples::Arrays(samples) => &samples.spread,
        }
    }

    /// The files in the order of the samples, where each sample is one.
    pub fn files(&self) -> &[PathBuf] {
        match self {
            ModelSamples::Pictures(samples) => samples.pictures.files(),
            ModelSamples::Arrays(_) => &[],
        }
    }
}

impl Samples for ModelSamples {
    fn len(&self) -> usize {
        match self {
            ModelSamples::Pictures(samples) => samples.pictures.len(),
            ModelSamples::Arrays(arrays) => arrays.chosen.len(),
        }
    }

    fn get(&mut self, index: usize) -> Result<Vec<Tensor>, QuantizeError> {
        match self {
            ModelSamples::Pictures(samples) => samples.pictures.get(index),
            ModelSamples::Arrays(arrays) => {
                arrays.get(index).map_err(|error| QuantizeError::Data(format!("{error:#}")))
            }
        }
    }

    fn name(&self, index: usize) -> String {
        self.files().get(index).map_or_else(|| format!("sample {index}"), |path| path.display().to_string())
    }
}

impl PictureSamples {
    fn new(paths: &[PathBuf], (name, model): (&Path, &Model), how: &PreProcessing) -> anyhow::Result<PictureSamples> {
        let mut input = how.input.clone();
        if how.bgr {
            input.blue_first();
        }
        let name = name.display();
        // What a picture cannot be made into, arrays can.
        let unfit = |problem: String| WrongArguments(format!("{name}: {problem}; or give .npy arrays"));
        let prepared = input.choose(model, how.share).map_err(|error| match error {
            MakeError::Unstated(problem) => anyhow::Error::from(WrongArguments(format!("{name}: {problem}"))),
            MakeError::Unfit(problem) => unfit(problem).into(),
            other => anyhow::Error::from(other).context(name.to_string()),
        })?;
        let PreparedInput { taken, chosen, section, .. } = prepared;
        log::info!("pictures: {}; {}", chosen.in_words(), chosen.why);
        let mut files = Vec::new();
        for path in paths {
            if path.is_dir() {
                files.extend(dataset::samples(path)?);
            } else {
                files.push(path.clone());
            }
        }
        let fixes_size = taken.size.is_none();
        let range = chosen.range().map(|range| (taken.name, range)).into_iter().collect();
        let input = FrameInput::new(&section, taken.kind).map_err(unfit)?;
        let spread = Spread::new(files.len(), how);
        let pictures = PreparedPictures::new(spread.places().map(|at| files[at].clone()).collect(), input);
        Ok(PictureSamples { pictures, spread, range, fixes_size })
    }
}

/// The samples that are used of all that there are.
struct Spread {
    all: usize,
    used: usize,
}

impl Spread {
    fn new(all: usize, how: &PreProcessing) -> Spread {
        let used = all.min(usize::try_from(how.most_samples()).unwrap_or(usize::MAX));
        if used < all {
            log::info!("{used} of {all} samples are used, spread evenly over all: --samples sets how many");
        }
        Spread { all, used }
    }

    /// Their places among all.
    fn places(&self) -> impl Iterator<Item = usize> {
        let Spread { all, used } = *self;
        (0..used).map(move |at| at * all / used)
    }
}

/// Arrays, whose first dimension counts the samples.
pub struct ArraySamples {
    /// For each input, its arrays.
    arrays: Vec<Vec<Tensor>>,
    /// Array and row of each sample.
    chosen: Vec<(usize, usize)>,
    spread: Spread,
}

impl ArraySamples {
    fn new(paths: &[PathBuf], inputs: &[StatedInput], how: &PreProcessing) -> anyhow::Result<ArraySamples> {
        let mut arrays: Vec<Vec<Tensor>> = vec![Vec::new(); inputs.len()];
        if inputs.len() > 1 && paths.len() != inputs.len() {
            let names: Vec<&str> = inputs.iter().map(|input| input.name.as_str()).collect();
            let message = format!(
                "the model has {} inputs ({}), but {} arrays were given",
                inputs.len(),
                names.join(", "),
                paths.len()
            );
            return Err(WrongArguments(message).into());
        }
        for (at, path) in paths.iter().enumerate() {
            let name = || path.display().to_string();
            let array = npy::read(&files::read(path, files::MAX_ARRAY).with_context(name)?).with_context(name)?;
            let place = if inputs.len() > 1 { at } else { 0 };
            let input = inputs.get(place).context("the model has no inputs")?;
            anyhow::ensure!(
                array.kind() == input.kind,
                "{}: holds {}, but input \"{}\" takes {}",
                path.display(),
                array.kind(),
                input.name,
                input.kind
            );
            let rank = input.shape.len();
            let fits = array.shape().len() == rank
                && array
                    .shape()
                    .iter()
                    .zip(&input.shape)
                    .skip(1)
                    .all(|(found, stated)| stated.is_none_or(|stated| stated == *found));
            anyhow::ensure!(
                fits && array.shape().first().is_some_and(|&count| count > 0),
                "{}: has the shape {:?}; input \"{}\" takes {:?}, samples along the first dimension",
                path.display(),
                array.shape(),
                input.name,
                input.shape
            );
            arrays[place].push(array);
        }
        let count = |place: usize| -> usize { arrays[place].iter().map(|array| array.shape()[0]).sum() };
        if let Some(other) = (1..inputs.len()).find(|&place| count(place) != count(0)) {
            anyhow::bail!(
                "{}: {} samples, but {} has {}: give one of each input for each sample",
                paths[other].display(),
                count(other),
                paths[0].display(),
                count(0)
            );
        }
        let all = arrays.first().into_iter().flatten().enumerate();
        let all: Vec<(usize, usize)> =
            all.flat_map(|(at, array)| (0..array.shape()[0]).map(move |row| (at, row))).collect();
        let spread = Spread::new(all.len(), how);
        let chosen = spread.places().map(|at| all[at]).collect();
        Ok(ArraySamples { arrays, chosen, spread })
    }

    fn get(&self, index: usize) -> anyhow::Result<Vec<Tensor>> {
        let &(at, row) = self.chosen.get(index).context("no such sample")?;
        self.arrays.iter().map(|arrays| row_of(arrays.get(at).context("no such array")?, row)).collect()
    }
}

/// One row of an array as a batch of one.
fn row_of(array: &Tensor, row: usize) -> anyhow::Result<Tensor> {
    let mut shape = array.shape().to_vec();
    shape[0] = 1;
    let length: usize = shape.iter().product();
    macro_rules! part {
        ($kind:ty) => {
            if let Some(values) = array.values::<$kind>() {
                return Ok(Tensor::new(shape, values[row * length..][..length].to_vec())?);
            }
        };
    }
    part!(f32);
    part!(f64);
    part!(f16);
    part!(bool);
    part!(u8);
    part!(i8);
    part!(u16);
    part!(i16);
    part!(u32);
    part!(i32);
    part!(u64);
    part!(i64);
    anyhow::bail!("an array of {} is not read", array.kind())
}
