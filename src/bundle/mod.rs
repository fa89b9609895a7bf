//! A model with all that it needs: a folder with `bundle.toml`, whose hashes name every other file in it.

mod draft;
mod find;
mod manifest;

pub use draft::Draft;
pub use find::{all, find, search_path};
pub use manifest::{
    AnomalySection, Channels, Golden, HeatSection, InputSection, Manifest, Method, Outputs, ScorerSection,
    SuperResolutionSection, Task,
};

use lineside_engine::{Model, Tensor, npy};
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};

/// A bundle whose manifest is read and whose every file has the hash that the manifest states.
pub struct Bundle {
    folder: PathBuf,
    manifest: Manifest,
    fingerprint: String,
}

/// A bundle that must not be used; the message names the file and what to do.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// No folder of that name on the search path.
    #[error("no bundle \"{name}\": looked for {name}/bundle.toml in {looked}")]
    NotFound {
        /// The name or path that was asked for.
        name: String,
        /// The folders that were searched.
        looked: String,
    },
    /// The manifest or a file is missing, damaged or inconsistent.
    #[error("{file}: {problem}")]
    Bad {
        /// The file, with a line number where one is known.
        file: String,
        /// What is wrong with it and what to do.
        problem: String,
    },
}

impl BundleError {
    fn bad(file: &Path, problem: impl std::fmt::Display) -> BundleError {
        BundleError::Bad { file: file.display().to_string(), problem: problem.to_string() }
    }
}

impl Bundle {
    /// Opens the bundle at `folder` and verifies the hash of every file that it names.
    ///
    /// # Errors
    /// [`BundleError::Bad`] for a manifest that does not parse or a file that is missing or has another hash.
    pub fn open(folder: &Path) -> Result<Bundle, BundleError> {
        let path = folder.join("bundle.toml");
        let text = std::fs::read_to_string(&path).map_err(|e| BundleError::bad(&path, e))?;
        let manifest = Manifest::parse(&text, &path)?;
        for (name, stated) in &manifest.files {
            let file = folder.join(name);
            let bytes = std::fs::read(&file).map_err(|e| BundleError::bad(&file, e))?;
            let found = sha256(&bytes);
            if found != *stated {
                let problem = format!(
                    "SHA-256 is {found}, but {} states {stated}; the file was changed or damaged: install the bundle again",
                    path.display()
                );
                return Err(BundleError::bad(&file, problem));
            }
        }
        Ok(Bundle { folder: folder.to_path_buf(), fingerprint: sha256(text.as_bytes()), manifest })
    }

    /// The manifest.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The folder that the bundle lies in.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// SHA-256 of `bundle.toml`, which holds the hashes of all other files: one value for the whole bundle.
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// Parses the bundle's model.
    ///
    /// # Errors
    /// [`BundleError::Bad`] where the engine cannot use it.
    pub fn model(&self) -> Result<Model, BundleError> {
        let path = self.folder.join(&self.manifest.model);
        Model::load(&path).map_err(|e| BundleError::bad(&path, e))
    }

    /// Reads one of the bundle's files.
    ///
    /// # Errors
    /// [`BundleError::Bad`] where it cannot be read.
    pub fn read(&self, name: &str) -> Result<Vec<u8>, BundleError> {
        let path = self.folder.join(name);
        std::fs::read(&path).map_err(|e| BundleError::bad(&path, e))
    }

    /// An error about one of the bundle's files.
    pub fn blame(&self, name: &str, problem: impl std::fmt::Display) -> BundleError {
        BundleError::bad(&self.folder.join(name), problem)
    }

    /// Input and expected outputs of a golden vector.
    ///
    /// # Errors
    /// [`BundleError::Bad`] where one of the arrays cannot be read.
    pub fn golden(&self, golden: &Golden) -> Result<(Tensor, Vec<Tensor>), BundleError> {
        let array = |name: &String| npy::read(&self.read(name)?).map_err(|e| self.blame(name, e));
        Ok((array(&golden.input)?, golden.output.files().iter().map(array).collect::<Result<_, _>>()?))
    }
}

/// SHA-256 of some bytes, hexadecimal.
pub fn sha256(bytes: &[u8]) -> String {
    hexadecimal(&Sha256::digest(bytes))
}

/// Two hexadecimal digits a byte.
pub(crate) fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sha256_agrees_with_the_published_vector() {
        // FIPS 180-2, appendix B.1.
        assert_eq!(sha256(b"abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }
}
