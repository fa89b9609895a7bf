//! The network that a bundle is made of, and the pictures that there are.

use super::arguments::NewArguments;
use crate::commands::WrongArguments;
use crate::commands::prepared_pictures::pictures_of;
use crate::task::own_model::Network;
use crate::task::own_model::make::MakeError;
use lineside_engine::{Outline, TensorInfo};
use std::path::{Path, PathBuf};

/// The network that a bundle is made of, and the pictures that there are.
pub struct Subject<'a> {
    pub arguments: &'a NewArguments,
    pub network: Network,
    pub outline: Outline,
    /// Of good parts; empty where none are named.
    pub normal: Vec<PathBuf>,
    /// Of defects; empty where none are named.
    pub defects: Vec<PathBuf>,
}

impl Subject<'_> {
    /// The pictures of the folders that the command line names.
    ///
    /// # Errors
    /// Where one of these cannot be read, or holds no picture.
    pub fn pictures(arguments: &NewArguments) -> anyhow::Result<(Vec<PathBuf>, Vec<PathBuf>)> {
        let of = |folder: &Option<PathBuf>| {
            folder.as_ref().map_or(Ok(Vec::new()), |folder| pictures_of(folder, arguments.frames))
        };
        Ok((of(&arguments.normal)?, of(&arguments.defect)?))
    }

    /// The network's outputs.
    pub fn outputs(&self) -> &[TensorInfo] {
        self.network.plan().outputs()
    }

    /// What is wrong with the network, or the command line, by the file's name.
    pub fn blame(&self, problem: impl std::fmt::Display) -> anyhow::Error {
        anyhow::anyhow!("{}: {problem}", self.arguments.model.display())
    }
}

/// A problem with the network's file: what has to be stated is an argument that is missing.
pub fn blamed(model: &Path, error: MakeError) -> anyhow::Error {
    let name = model.display();
    match error {
        MakeError::Unstated(problem) => WrongArguments(format!("{name}: {problem}")).into(),
        other => anyhow::Error::from(other).context(name.to_string()),
    }
}
