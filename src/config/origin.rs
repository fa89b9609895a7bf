//! The file behind a configuration: which line a value is on, so that errors name it.

use super::words;
use std::path::{Path, PathBuf};
use toml::Spanned;
use toml::de::DeTable;

/// An error in a configuration: the file, the line, and what is wrong.
#[derive(Debug, thiserror::Error)]
#[error("{place}: {problem}")]
pub struct ConfigError {
    place: String,
    problem: String,
}

impl ConfigError {
    /// Of a file as a whole.
    pub(super) fn of_file(path: &Path, problem: impl std::fmt::Display) -> ConfigError {
        ConfigError { place: path.display().to_string(), problem: problem.to_string() }
    }
}

/// The file of a configuration, so that errors which are found later name its line, too.
#[derive(Debug, Clone, Default)]
pub(super) struct Origin {
    pub(super) path: PathBuf,
    /// Byte offsets of the ends of lines.
    ends: Vec<usize>,
    /// The name of the camera that is meant, where the file has several.
    camera: Option<String>,
}

impl Origin {
    pub(super) fn new(text: &str, path: &Path) -> Origin {
        let ends = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at).collect();
        Origin { path: path.into(), ends, camera: None }
    }

    /// Of one of the file's cameras, which its errors name.
    pub(super) fn of_camera(&self, name: &str) -> Origin {
        Origin { camera: Some(name.into()), ..self.clone() }
    }

    pub(super) fn read_table<'a>(&self, text: &'a str) -> Result<Spanned<DeTable<'a>>, ConfigError> {
        DeTable::parse(text).map_err(|error| self.explain(text, error))
    }

    pub(super) fn explain(&self, text: &str, error: toml::de::Error) -> ConfigError {
        let start = error.span().map_or(0, |span| span.start);
        self.error_at(start, words::explain(text, start, error.message()))
    }

    /// The number of the line with this byte.
    pub(super) fn line_of(&self, start: usize) -> usize {
        1 + self.ends.partition_point(|end| *end < start)
    }

    pub(super) fn error_at(&self, start: usize, problem: String) -> ConfigError {
        let line = self.line_of(start);
        // In one line: names in the file may hold line ends.
        let problem = problem.replace(char::is_control, "\u{fffd}");
        let problem = self.camera.as_ref().map_or_else(|| problem.clone(), |name| format!("camera {name}: {problem}"));
        ConfigError { place: format!("{}:{line}", self.path.display()), problem }
    }
}
