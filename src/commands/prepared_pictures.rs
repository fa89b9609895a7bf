//! Pictures of a folder, prepared as a line prepares them for a network, as samples for quantization and comparison.

use super::dataset;
use super::evenly;
use super::picture_reader::PictureReader;
use crate::task::own_model::FrameInput;
use anyhow::Context;
use lineside_engine::Tensor;
use lineside_picture::Picture;
use lineside_quantize::{QuantizeError, Samples};
use std::borrow::BorrowMut;
use std::path::{Path, PathBuf};

/// Pictures that are listed at most.
pub const MOST: u64 = 10_000;

/// The pictures of a folder, at most so many of them, spread evenly over all; of a data set those that it has to learn from.
///
/// # Errors
/// Where the folder cannot be read, or holds no picture.
pub fn pictures_of(folder: &Path, most: u64) -> anyhow::Result<Vec<PathBuf>> {
    let files = dataset::samples(folder)?;
    Ok(evenly(files, usize::try_from(most).unwrap_or(usize::MAX), MOST))
}

/// Prepared pictures as samples for quantization.
pub struct PreparedPictures<I> {
    files: Vec<PathBuf>,
    reader: PictureReader,
    input: I,
    picture: Picture,
}

impl<I: BorrowMut<FrameInput>> PreparedPictures<I> {
    /// Prepared as the network's line prepares them.
    pub fn new(files: Vec<PathBuf>, input: I) -> PreparedPictures<I> {
        PreparedPictures { files, reader: PictureReader::new(None), input, picture: Picture::default() }
    }

    /// The files, in the order of the samples.
    pub fn files(&self) -> &[PathBuf] {
        &self.files
    }

    /// The same with some of the files alone.
    pub fn only(self, wanted: impl Fn(usize) -> bool) -> PreparedPictures<I> {
        let files = self.files.into_iter().enumerate().filter(|(at, _)| wanted(*at)).map(|(_, file)| file).collect();
        PreparedPictures { files, ..self }
    }

    fn input(&mut self, index: usize) -> anyhow::Result<Tensor> {
        let file = self.files.get(index).context("there is no such picture")?;
        self.reader.read(file, &mut self.picture)?;
        let input = self.input.borrow_mut();
        input.prepare(&self.picture).with_context(|| file.display().to_string())?;
        Ok(input.tensor()?)
    }
}

impl<I: BorrowMut<FrameInput>> Samples for PreparedPictures<I> {
    fn len(&self) -> usize {
        self.files.len()
    }

    fn get(&mut self, index: usize) -> Result<Vec<Tensor>, QuantizeError> {
        match self.input(index) {
            Ok(input) => Ok(vec![input]),
            Err(error) => Err(QuantizeError::Data(format!("{error:#}"))),
        }
    }

    fn name(&self, index: usize) -> String {
        self.files.get(index).map_or_else(|| format!("picture {index}"), |file| file.display().to_string())
    }
}
