//! A new bundle takes the place of another one, which is kept.

use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;
use std::fs::{self, File};
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
        fs::remove_dir_all(before)?;
    }
    match renameat_with(CWD, new, CWD, target, RenameFlags::EXCHANGE) {
        Ok(()) => fs::rename(new, before)?,
        Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => {
            fs::rename(target, before)?;
            if let Err(error) = fs::rename(new, target) {
                fs::rename(before, target)?;
                return Err(error);
            }
        }
        Err(error) => return Err(error.into()),
    }
    let parent = target.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(parent)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

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
