//! Samples for a model of any kind: pictures through a stated pre-processing, or `.npy` arrays.

use super::WrongArguments;
use super::picture_reader::PictureReader;
use crate::files;
use crate::source::picture_files;
use anyhow::Context;
use lineside_engine::{ElementKind, StatedInput, Tensor, npy};
use lineside_picture::{Layout, Picture, Resizer, luma_into, rgb_into};
use lineside_quantize::{QuantizeError, Samples};
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// How pictures become what a model takes.
#[derive(clap::Args, Debug, Clone)]
#[command(next_help_heading = "Pictures")]
pub struct PreProcessing {
    /// What is subtracted from a byte: one number, or one for each channel [for example 127 or 123.7,116.3,103.5]
    #[arg(long, value_name = "M[,M,M]", value_delimiter = ',', allow_negative_numbers = true)]
    mean: Vec<f32>,
    /// What is divided by after that: one number, or one for each channel [for example 128 or 58.4,57.1,57.4]
    #[arg(long, value_name = "S[,S,S]", value_delimiter = ',')]
    std: Vec<f32>,
    /// Width and height, where the model leaves them open
    #[arg(long, value_name = "WxH", value_parser = size)]
    size: Option<(usize, usize)>,
    /// Order of the model's dimensions [default: as its shape tells]
    #[arg(long, value_enum)]
    layout: Option<Order>,
    /// Channels from blue to red
    #[arg(long)]
    bgr: bool,
    /// Samples at most, spread evenly over all
    #[arg(long, value_name = "N", default_value_t = 300, value_parser = clap::value_parser!(u64).range(1..=100_000))]
    samples: u64,
}

impl PreProcessing {
    /// Whether the command line states the size of pictures.
    pub fn states_size(&self) -> bool {
        self.size.is_some()
    }
}

#[derive(clap::ValueEnum, Debug, Clone, Copy, PartialEq)]
enum Order {
    Nchw,
    Nhwc,
}

fn size(text: &str) -> Result<(usize, usize), String> {
    let parts = text.split_once(['x', 'X']).and_then(|(w, h)| Some((w.trim().parse().ok()?, h.trim().parse().ok()?)));
    parts
        .filter(|&(w, h)| (1..=8192).contains(&w) && (1..=8192).contains(&h))
        .ok_or_else(|| "expected WIDTHxHEIGHT, as 224x224".into())
}

/// The samples of a command.
pub enum ModelSamples {
    /// Pictures.
    Pictures(Box<PictureSamples>),
    /// Arrays, one list for each input.
    Arrays(ArraySamples),
}

impl ModelSamples {
    /// From what the command line names: a folder of pictures, or arrays. A model of several inputs takes one array for each, in its
    /// order, each with the samples along its first dimension.
    pub fn new(paths: &[PathBuf], inputs: &[StatedInput], how: &PreProcessing) -> anyhow::Result<ModelSamples> {
        let is_array = |path: &PathBuf| path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("npy"));
        if paths.iter().all(is_array) {
            return Ok(ModelSamples::Arrays(ArraySamples::new(paths, inputs, how)?));
        }
        if let Some(array) = paths.iter().find(|path| is_array(path)) {
            let message =
                format!("{}: an array beside pictures: give arrays alone, or pictures alone", array.display());
            return Err(WrongArguments(message).into());
        }
        Ok(ModelSamples::Pictures(Box::new(PictureSamples::new(paths, inputs, how)?)))
    }

    /// What values an input can have at all, by its name: bytes through the pre-processing.
    pub fn known_ranges(&self) -> HashMap<String, (f32, f32)> {
        match self {
            ModelSamples::Pictures(pictures) => pictures.known_range(),
            ModelSamples::Arrays(_) => HashMap::new(),
        }
    }

    /// The files in the order of the samples, where each sample is one.
    pub fn files(&self) -> &[PathBuf] {
        match self {
            ModelSamples::Pictures(pictures) => &pictures.files,
            ModelSamples::Arrays(_) => &[],
        }
    }
}

impl Samples for ModelSamples {
    fn len(&self) -> usize {
        match self {
            ModelSamples::Pictures(pictures) => pictures.files.len(),
            ModelSamples::Arrays(arrays) => arrays.chosen.len(),
        }
    }

    fn get(&mut self, index: usize) -> Result<Vec<Tensor>, QuantizeError> {
        match self {
            ModelSamples::Pictures(pictures) => {
                pictures.get(index).map_err(|error| QuantizeError::Data(format!("{error:#}")))
            }
            ModelSamples::Arrays(arrays) => {
                arrays.get(index).map_err(|error| QuantizeError::Data(format!("{error:#}")))
            }
        }
    }

    fn name(&self, index: usize) -> String {
        self.files().get(index).map_or_else(|| format!("sample {index}"), |path| path.display().to_string())
    }
}

/// Pictures of files, one sample each.
pub struct PictureSamples {
    files: Vec<PathBuf>,
    input: StatedInput,
    order: Order,
    channels: usize,
    size: (usize, usize),
    mean: Vec<f32>,
    std: Vec<f32>,
    bgr: bool,
    reader: PictureReader,
    /// The resizer for pictures of the size and layout before.
    resizer: Option<((Layout, usize, usize), Resizer)>,
}

impl PictureSamples {
    fn new(paths: &[PathBuf], inputs: &[StatedInput], how: &PreProcessing) -> anyhow::Result<PictureSamples> {
        let [input] = inputs else {
            let names: Vec<&str> = inputs.iter().map(|input| input.name.as_str()).collect();
            let message =
                format!("the model has {} inputs ({}): give a .npy array for each", inputs.len(), names.join(", "));
            return Err(WrongArguments(message).into());
        };
        let wrong = |message: String| anyhow::Error::from(WrongArguments(message));
        let &[_, a, b, c] = input.shape.as_slice() else {
            let rank = input.shape.len();
            return Err(wrong(format!("input \"{}\" has {rank} dimensions, no picture: give .npy arrays", input.name)));
        };
        let is_channels = |dim: Option<usize>| matches!(dim, Some(1 | 3));
        let order = match how.layout {
            Some(order) => order,
            None if is_channels(a) => Order::Nchw,
            None if is_channels(c) => Order::Nhwc,
            None => {
                return Err(wrong(format!(
                    "input \"{}\" does not say where its channels are: state --layout",
                    input.name
                )));
            }
        };
        let (channels, height, width) = if order == Order::Nchw { (a, b, c) } else { (c, a, b) };
        let channels = channels.unwrap_or(3);
        if !matches!(channels, 1 | 3) {
            return Err(wrong(format!(
                "input \"{}\" has {channels} channels: pictures have 1 or 3; give .npy arrays",
                input.name
            )));
        }
        let size = match (width.zip(height), how.size) {
            (Some(own), Some(stated)) if own != stated => {
                return Err(wrong(format!("--size {}x{}: the model takes {}x{}", stated.0, stated.1, own.0, own.1)));
            }
            (Some(size), _) | (None, Some(size)) => size,
            (None, None) => {
                return Err(wrong(format!(
                    "input \"{}\" leaves its width and height open: state --size, as 224x224",
                    input.name
                )));
            }
        };
        if input.kind == ElementKind::F32 && (how.mean.is_empty() || how.std.is_empty()) {
            return Err(wrong(format!(
                "input \"{}\" takes floats: state what the model was trained with, as --mean 127 --std 128 (bytes to -1..1), or --mean 0 --std 255 (to 0..1)",
                input.name
            )));
        }
        let each = |name: &str, values: &[f32], default: f32| -> anyhow::Result<Vec<f32>> {
            match values.len() {
                0 => Ok(vec![default; channels]),
                1 => Ok(vec![values[0]; channels]),
                n if n == channels => Ok(values.to_vec()),
                n => Err(wrong(format!("{name}: {n} numbers for {channels} channels"))),
            }
        };
        let (mean, std) = (each("--mean", &how.mean, 0.0)?, each("--std", &how.std, 1.0)?);
        if let Some(bad) = mean.iter().chain(&std).find(|value| !value.is_finite()) {
            return Err(wrong(format!("--mean, --std: {bad} is no number to use")));
        }
        if std.contains(&0.0) {
            return Err(wrong("--std: 0 cannot be divided by".into()));
        }
        if !matches!(input.kind, ElementKind::F32 | ElementKind::U8) {
            return Err(wrong(format!("input \"{}\" takes {}, no picture: give .npy arrays", input.name, input.kind)));
        }
        let mut files = Vec::new();
        for path in paths {
            if path.is_dir() {
                files.extend(picture_files(path).map_err(anyhow::Error::msg)?);
            } else {
                files.push(path.clone());
            }
        }
        let files = evenly(files, how.samples);
        let reader = PictureReader::new(None);
        let (input, bgr) = (input.clone(), how.bgr);
        Ok(PictureSamples { files, input, order, channels, size, mean, std, bgr, reader, resizer: None })
    }

    fn known_range(&self) -> HashMap<String, (f32, f32)> {
        if self.input.kind != ElementKind::F32 {
            return HashMap::new();
        }
        let ends = self.mean.iter().zip(&self.std).flat_map(|(mean, std)| [(0.0 - mean) / std, (255.0 - mean) / std]);
        let range = ends.fold((f32::INFINITY, f32::NEG_INFINITY), |(low, high), end| (low.min(end), high.max(end)));
        HashMap::from([(self.input.name.clone(), range)])
    }

    fn get(&mut self, index: usize) -> anyhow::Result<Vec<Tensor>> {
        let path: &Path = self.files.get(index).context("no such sample")?;
        let (mut picture, mut coloured, mut sized) = (Picture::default(), Picture::default(), Picture::default());
        self.reader.read(path, &mut picture)?;
        if self.channels == 1 {
            luma_into(&picture, &mut coloured)
        } else {
            rgb_into(&picture, &mut coloured)
        }
        let key = (coloured.layout(), coloured.width(), coloured.height());
        if (key.1, key.2) == self.size {
            sized = coloured;
        } else {
            if self.resizer.as_ref().is_none_or(|(known, _)| *known != key) {
                self.resizer = Some((key, Resizer::fit(key.0, (key.1, key.2), self.size)?));
            }
            if let Some((_, resizer)) = &mut self.resizer {
                resizer.run(&coloured, &mut sized)?;
            }
        }
        let (width, height) = self.size;
        let (channels, bytes) = (self.channels, sized.data());
        let at = |channel: usize, pixel: usize| {
            let channel = if self.bgr { channels - 1 - channel } else { channel };
            bytes[pixel * channels + channel]
        };
        let pixels = width * height;
        let places: Box<dyn Iterator<Item = (usize, usize)>> = match self.order {
            Order::Nchw => {
                Box::new((0..channels).flat_map(move |channel| (0..pixels).map(move |pixel| (channel, pixel))))
            }
            Order::Nhwc => {
                Box::new((0..pixels).flat_map(move |pixel| (0..channels).map(move |channel| (channel, pixel))))
            }
        };
        let shape = match self.order {
            Order::Nchw => vec![1, channels, height, width],
            Order::Nhwc => vec![1, height, width, channels],
        };
        let tensor = if self.input.kind == ElementKind::U8 {
            Tensor::new(shape, places.map(|(channel, pixel)| at(channel, pixel)).collect::<Vec<u8>>())?
        } else {
            let real = |(channel, pixel)| (f32::from(at(channel, pixel)) - self.mean[channel]) / self.std[channel];
            Tensor::new(shape, places.map(real).collect::<Vec<f32>>())?
        };
        Ok(vec![tensor])
    }
}

fn evenly<T: Clone>(all: Vec<T>, most: u64) -> Vec<T> {
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    if all.len() <= most {
        return all;
    }
    log::info!("{most} of {} samples are used, spread evenly over all: --samples sets how many", all.len());
    (0..most).map(|at| all[at * all.len() / most].clone()).collect()
}

/// Arrays, whose first dimension counts the samples.
pub struct ArraySamples {
    /// For each input, its arrays.
    arrays: Vec<Vec<Tensor>>,
    /// Array and row of each sample.
    chosen: Vec<(usize, usize)>,
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
        let chosen = evenly(all, how.samples);
        Ok(ArraySamples { arrays, chosen })
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
    part!(u8);
    part!(i8);
    part!(i32);
    part!(i64);
    anyhow::bail!("an array of {} is not read", array.kind())
}
