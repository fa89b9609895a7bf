//! `bundle.sig` as it lies in a bundle: bytes that only `signature.rs` understands.

use super::error::BundleError;
use crate::files;
use std::io;
use std::path::Path;

/// The file of a signature in a bundle.
pub const SIGNATURE: &str = "bundle.sig";
/// The most bytes of it.
const MAX_SIGNATURE: u64 = 1 << 12;

/// The signature of a bundle, where there is one.
pub(super) fn read_signature(folder: &Path) -> Result<Option<Vec<u8>>, BundleError> {
    let path = folder.join(SIGNATURE);
    match files::read(&path, MAX_SIGNATURE) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        read => read.map(Some).map_err(|error| BundleError::bad(&path, error)),
    }
}
