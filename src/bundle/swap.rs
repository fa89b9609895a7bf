//! A new bundle takes the place of another one, which is kept.

use crate::storage;
use std::io;
use std::path::Path;

/// Moves the bundle `new` to the place of the bundle `target`, and that one to `before`, whose older bundle is removed. At every time
/// `target` is a whole bundle, where the file system can exchange two folders; others leave a moment without one.
///
/// # Errors
/// [`io::Error`] where one of the three cannot be moved; then `target` is what it was.
pub fn swap_into_place(new: &Path, target: &Path, before: &Path) -> io::Result<()> {
    if before.symlink_metadata().is_ok() {
        if !before.join("bundle.toml").is_file() {
            return Err(io::Error::other(format!("{}: exists and is not a bundle: move it away", before.display())));
        }
        storage::remove_tree(before)?;
    }
    match storage::exchange(new, target) {
        Ok(()) => {
            if let Err(error) = storage::rename(new, before) {
                storage::exchange(new, target)?;
                return Err(error);
            }
        }
        Err(error) if storage::is_unable_to_exchange(&error) => {
            storage::rename(target, before)?;
            if let Err(error) = storage::rename(new, target) {
                storage::rename(before, target)?;
                return Err(error);
            }
        }
        Err(error) => return Err(error),
    }
    storage::sync_folder(storage::folder_of(target))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn the_new_one_is_in_place_and_the_old_one_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let [new, target, before] = ["new", "parts", "parts.before"].map(|name| folder.path().join(name));
        let write = |path: &Path, text: &str| {
            fs::create_dir_all(path).unwrap();
            fs::write(path.join("bundle.toml"), text).unwrap();
        };
        let read = |path: &Path| fs::read_to_string(path.join("bundle.toml")).unwrap();
        write(&target, "1");
        for (text, old) in [("2", "1"), ("3", "2")] {
            write(&new, text);
            swap_into_place(&new, &target, &before).unwrap();
            assert_eq!((read(&target).as_str(), read(&before).as_str(), new.exists()), (text, old, false));
        }
        // What is no bundle is not removed.
        fs::remove_file(before.join("bundle.toml")).unwrap();
        write(&new, "4");
        let refused = swap_into_place(&new, &target, &before).unwrap_err().to_string();
        assert!(refused.contains("not a bundle") && read(&target) == "3" && read(&new) == "4", "{refused}");
        assert!(swap_into_place(&folder.path().join("none"), &target, &folder.path().join("other")).is_err());
        assert_eq!(read(&target), "3");
    }
}
