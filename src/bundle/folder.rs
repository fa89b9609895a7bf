//! A bundle on the disk: a folder whose every file has the hash that the manifest states; or the active version of a home.

use super::error::BundleError;
use super::hash::{sha256, sha256_of_file};
use super::kernels::load_model;
use super::manifest::{Golden, Manifest};
use super::state::{State, VERSIONS};
use crate::files;
use bytesize::ByteSize;
use lineside_engine::{EngineError, Model, Tensor, npy};
use std::io;
use std::path::{Path, PathBuf};

/// A bundle whose manifest was read and whose files were verified.
#[derive(Clone)]
pub struct Bundle {
    folder: PathBuf,
    manifest: Manifest,
    fingerprint: String,
    /// The home whose active version it is.
    home: Option<PathBuf>,
    /// The memory of the line that uses it, in bytes.
    budget: Option<u64>,
}

/// The manifest of the bundle in a folder, whose files are not verified, and the bundle's fingerprint.
pub(super) fn read_manifest(folder: &Path) -> Result<(Manifest, String), BundleError> {
    let path = folder.join("bundle.toml");
    let text = files::read_text(&path, files::MAX_TEXT).map_err(|e| BundleError::bad(&path, e))?;
    Ok((Manifest::parse(&text, &path)?, sha256(text.as_bytes())))
}

impl Bundle {
    /// Opens the bundle in `folder`, or the active version where `folder` is a home, and verifies the hash of every file in its
    /// manifest.
    ///
    /// # Errors
    /// [`BundleError::Bad`] for a manifest that does not parse or a file that is missing or has another hash.
    pub fn open(folder: &Path) -> Result<Bundle, BundleError> {
        match State::read(folder)? {
            None => Bundle::open_plain(folder),
            Some(state) => {
                let bundle = Bundle::open_plain(&folder.join(VERSIONS).join(state.active))?;
                Ok(Bundle { home: Some(folder.to_path_buf()), ..bundle })
            }
        }
    }

    /// Opens a folder that is no home.
    pub(super) fn open_plain(folder: &Path) -> Result<Bundle, BundleError> {
        let path = folder.join("bundle.toml");
        let (manifest, fingerprint) = read_manifest(folder)?;
        for (name, stated) in &manifest.files {
            let file = folder.join(name);
            let found = sha256_of_file(&file).map_err(|e| BundleError::bad(&file, e))?;
            if found != *stated {
                let problem = format!(
                    "SHA-256 is {found}, but {} states {stated}; the file was changed or damaged: install the bundle again",
                    path.display()
                );
                return Err(BundleError::bad(&file, problem));
            }
        }
        Ok(Bundle { folder: folder.to_path_buf(), fingerprint, manifest, home: None, budget: None })
    }

    /// The same bundle for a line with a budget in bytes: no file of it that is larger is read.
    pub fn within(self, budget: u64) -> Bundle {
        Bundle { budget: Some(budget), ..self }
    }

    fn max_file_bytes(&self) -> u64 {
        self.budget.unwrap_or(files::MAX_ARRAY)
    }

    fn unreadable(&self, path: &Path, error: &io::Error) -> BundleError {
        match self.budget {
            Some(budget) if error.kind() == io::ErrorKind::FileTooLarge => {
                BundleError::bad(path, format!("budget.memory is {}, but {error}", ByteSize(budget)))
            }
            _ => BundleError::bad(path, error),
        }
    }

    /// The manifest.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The folder of the bundle.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The home of which it is the active version, where it is one.
    pub fn home(&self) -> Option<&Path> {
        self.home.as_deref()
    }

    /// Where the bundle is found: its home, or its folder.
    pub fn place(&self) -> &Path {
        self.home.as_deref().unwrap_or(&self.folder)
    }

    /// SHA-256 of `bundle.toml`, which holds the hashes of all other files: identifies the whole bundle.
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// The bytes of `bundle.toml`, by which the bundle was opened.
    ///
    /// # Errors
    /// [`BundleError::Bad`] where the file was changed meanwhile.
    pub fn manifest_bytes(&self) -> Result<Vec<u8>, BundleError> {
        let path = self.folder.join("bundle.toml");
        let bytes = files::read(&path, files::MAX_TEXT).map_err(|error| BundleError::bad(&path, error))?;
        let unchanged = sha256(&bytes) == self.fingerprint;
        unchanged.then_some(bytes).ok_or_else(|| BundleError::bad(&path, "was changed while it was read: try again"))
    }

    /// Parses the bundle's model. Clones of it share what was parsed.
    ///
    /// # Errors
    /// [`BundleError::Bad`] where the engine cannot use it.
    pub fn model(&self) -> Result<Model, BundleError> {
        let path = self.folder.join(&self.manifest.model);
        let model = load_model(&path, self.max_file_bytes()).map_err(|error| match error {
            EngineError::File(error) => self.unreadable(&path, &error),
            other => BundleError::bad(&path, other),
        })?;
        Ok(match self.budget {
            Some(budget) => model.within(budget, "budget.memory"),
            None => model,
        })
    }

    /// Reads a file of the bundle.
    ///
    /// # Errors
    /// [`BundleError::Bad`] where it cannot be read.
    pub fn read(&self, name: &str) -> Result<Vec<u8>, BundleError> {
        let path = self.folder.join(name);
        files::read(&path, self.max_file_bytes()).map_err(|e| self.unreadable(&path, &e))
    }

    /// An error about a file of the bundle.
    pub fn blame(&self, name: &str, problem: impl std::fmt::Display) -> BundleError {
        BundleError::bad(&self.folder.join(name), problem)
    }

    /// The input and the expected outputs of a golden vector.
    ///
    /// # Errors
    /// [`BundleError::Bad`] where an array cannot be read.
    pub fn golden(&self, golden: &Golden) -> Result<(Tensor, Vec<Tensor>), BundleError> {
        let array = |name: &String| npy::read(&self.read(name)?).map_err(|e| self.blame(name, e));
        Ok((array(&golden.input)?, golden.output.files().iter().map(array).collect::<Result<_, _>>()?))
    }
}
