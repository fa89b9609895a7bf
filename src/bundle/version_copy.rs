//! A whole bundle, copied to its place in a home: under its name it is complete, or not there.

use super::error::{BundleError, StoreError, disk};
use super::folder::Bundle;
use super::hash::Hasher;
use super::signature_file::{SIGNATURE, read_signature};
use crate::files;
use crate::storage;
use std::collections::BTreeSet;
use std::io::{self, Read};
use std::path::Path;

/// Begins the names of versions that are not complete yet.
pub(super) const UNFINISHED: &str = ".new-";
/// Bytes that are copied at once.
const PIECE: usize = 1 << 20;

/// Copies the files that `bundle`'s manifest names, the manifest and its signature to `versions/version`.
///
/// # Errors
/// [`StoreError::Bundle`] where a file has changed since the bundle was opened or cannot be read, [`StoreError::Disk`] where it cannot be
/// written; then the place is as it was.
pub(super) fn copy_version(bundle: &Bundle, versions: &Path, version: &str) -> Result<(), StoreError> {
    copy(bundle, None, versions, version)
}

/// The same with another manifest, which names the same files; a signature is not that of the new bundle.
///
/// # Errors
/// As [`copy_version`].
pub(super) fn copy_with_manifest(
    bundle: &Bundle,
    manifest: &[u8],
    versions: &Path,
    version: &str,
) -> Result<(), StoreError> {
    copy(bundle, Some(manifest), versions, version)
}

fn copy(bundle: &Bundle, manifest: Option<&[u8]>, versions: &Path, version: &str) -> Result<(), StoreError> {
    let unfinished = versions.join(format!("{UNFINISHED}{version}"));
    let copied = copy_into(bundle, manifest, &unfinished).and_then(|()| {
        let moved = storage::rename(&unfinished, &versions.join(version));
        moved.and_then(|()| storage::sync_folder(versions)).map_err(|error| disk(versions, error))
    });
    if copied.is_err() {
        // The first error counts; a full disk must not stay full of it.
        let _ = storage::remove_tree(&unfinished);
    }
    copied
}

fn copy_into(bundle: &Bundle, manifest: Option<&[u8]>, folder: &Path) -> Result<(), StoreError> {
    let blame = |error| disk(folder, error);
    storage::remove_tree(folder).map_err(blame)?;
    storage::create_folder(folder).map_err(blame)?;
    let mut folders = BTreeSet::from([folder.to_path_buf()]);
    for (name, stated) in &bundle.manifest().files {
        let (from, to) = (bundle.folder().join(name), folder.join(name));
        let above: Vec<&Path> = to.ancestors().skip(1).take_while(|above| *above != folder).collect();
        for above in above.into_iter().rev() {
            storage::create_folder(above).map_err(blame)?;
            folders.insert(above.to_path_buf());
        }
        copy_file(&from, &to, stated)?;
    }
    let to = folder.join("bundle.toml");
    match manifest {
        Some(manifest) => write_new(&to, manifest).map_err(blame)?,
        None => {
            copy_file(&bundle.folder().join("bundle.toml"), &to, bundle.fingerprint())?;
            if let Some(signature) = read_signature(bundle.folder())? {
                write_new(&folder.join(SIGNATURE), &signature).map_err(blame)?;
            }
        }
    }
    folders.iter().rev().try_for_each(|folder| storage::sync_folder(folder)).map_err(blame)
}

fn copy_file(from: &Path, to: &Path, stated: &str) -> Result<(), StoreError> {
    let mut hasher = Hasher::new();
    let (mut source, _) = files::open(from).map_err(|e| BundleError::bad(from, e))?;
    let target = storage::create_new(to).map_err(|error| disk(to, error))?;
    let mut piece = Vec::with_capacity(PIECE);
    loop {
        piece.clear();
        let read = source.by_ref().take(PIECE as u64).read_to_end(&mut piece).map_err(|e| BundleError::bad(from, e))?;
        if read == 0 {
            break;
        }
        hasher.update(&piece);
        storage::append(&target, &piece).map_err(|error| disk(to, error))?;
    }
    storage::sync(&target).map_err(|error| disk(to, error))?;
    if hasher.finish() != stated {
        return Err(BundleError::bad(from, "was changed while it was copied: install the bundle again").into());
    }
    Ok(())
}

fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let file = storage::create_new(path)?;
    storage::append(&file, bytes)?;
    storage::sync(&file)
}
