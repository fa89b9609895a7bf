//! The kernel set that `LINESIDE_KERNEL` asks for.

use crate::files;
use lineside_engine::{EngineError, Model, kernel_names};
use std::path::Path;

/// Loads an ONNX file of at most `limit` bytes, to be planned for the best kernels of this CPU or for those that
/// `LINESIDE_KERNEL` names.
///
/// # Errors
/// As [`Model::load`]; [`EngineError::File`] of the kind `FileTooLarge`, and [`EngineError::Unsupported`] where this CPU has no such
/// kernels, with the names that it has.
pub fn load_model(path: &Path, limit: u64) -> Result<Model, EngineError> {
    let (file, length) = files::open(path)?;
    if length > limit {
        return Err(files::too_large(length, limit).into());
    }
    let model = Model::read(file, length)?;
    let asked = std::env::var_os("LINESIDE_KERNEL").unwrap_or_default();
    let asked = asked.to_string_lossy();
    // An empty one, as a unit's override leaves it, asks for nothing.
    if asked.trim().is_empty() {
        return Ok(model);
    }
    let names = kernel_names();
    if !names.contains(&&*asked) {
        let problem = format!("LINESIDE_KERNEL={asked}: this CPU has {}", names.join(", "));
        return Err(EngineError::Unsupported(problem));
    }
    model.with_kernels(&asked)
}
