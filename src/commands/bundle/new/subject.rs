//! The network that a bundle is made of, and the pictures that there are.

use super::arguments::NewArguments;
use crate::commands::WrongArguments;
use crate::commands::dataset::{DataSet, DataSetLayout, Named, Purpose};
use crate::commands::evenly;
use crate::commands::prepared_pictures::MOST;
use crate::task::UNKNOWN;
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
    /// The pictures of the folders that the command line names, which may be data sets as they come.
    ///
    /// # Errors
    /// Where one of these cannot be read, or holds no picture.
    pub fn pictures(arguments: &NewArguments) -> anyhow::Result<(Vec<PathBuf>, Vec<PathBuf>)> {
        let (normal, defects) = (arguments.normal.as_deref(), arguments.defect.as_deref());
        let named = Named { normal, defects, masks: None, layout: DataSetLayout::Auto };
        let set = DataSet::read(&named, Purpose::Teach)?;
        for (file, problem) in &set.broken {
            log::warn!("{}: {problem}", file.display());
        }
        let most = usize::try_from(arguments.frames).unwrap_or(usize::MAX);
        let defects = set.defects.into_iter().map(|defect| defect.file).collect();
        Ok((evenly(set.normal, most, MOST), evenly(defects, most, MOST)))
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

/// Refuses a class or part that is called as what is none of them: nobody could tell the two apart.
pub fn refuse_unknown<'a>(mut names: impl Iterator<Item = &'a str>, from: &str) -> Result<(), WrongArguments> {
    if names.any(|name| name == UNKNOWN) {
        let problem =
            format!("{from}: one is called \"{UNKNOWN}\", the word for what is none of them: give it another name");
        return Err(WrongArguments(problem));
    }
    Ok(())
}

/// A problem with the network's file: what has to be stated is an argument that is missing.
pub fn blamed(model: &Path, error: MakeError) -> anyhow::Error {
    let name = model.display();
    match error {
        MakeError::Unstated(problem) => WrongArguments(format!("{name}: {problem}")).into(),
        other => anyhow::Error::from(other).context(name.to_string()),
    }
}
