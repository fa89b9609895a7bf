//! The operations by which files and folders are changed that must survive a power cut.
//!
//! Every write, sync, rename and removal of records, pictures, the broker's queue and the store of bundles goes through here and
//! nowhere else, so that a test can let each of them fail, or end with a power cut after it (`faults.rs`). In the program each is
//! one system call.
//!
//! A file is opened by name only where a regular file stands there: a link could lead to a file of somebody else, and a FIFO or
//! a device is not a place for records.

mod durable;
#[cfg(test)]
pub(crate) mod faults;

pub(crate) use durable::UNFINISHED;
pub use durable::write_durably;

use rustix::fs::{CWD, OFlags, RenameFlags, renameat_with};
use rustix::io::Errno;
use std::fs::{self, File, FileType, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

/// One change of the disk.
#[cfg_attr(not(test), allow(dead_code))]
enum Change<'a> {
    /// A file is created at a path.
    Create(&'a Path),
    /// Bytes are written into a file at an offset.
    Write(&'a File, u64, &'a [u8]),
    /// A file is cut to a length.
    Truncate(&'a File, u64),
    /// The content of a file is synced.
    Sync(&'a File),
    /// A file gets another name.
    Rename(&'a Path, &'a Path),
    /// Two files or folders get each other's names.
    Exchange(&'a Path, &'a Path),
    /// A file gets one more name.
    Link(&'a Path, &'a Path),
    /// A file is deleted.
    Remove(&'a Path),
    /// A folder is created.
    CreateFolder(&'a Path),
    /// An empty folder is deleted.
    RemoveFolder(&'a Path),
    /// The names in a folder are synced.
    SyncFolder(&'a Path),
}

/// The seam: in tests a change may fail, be cut short, or be recorded.
#[cfg(not(test))]
fn apply<T>(_: Change, perform: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    perform()
}

#[cfg(test)]
use faults::apply;

/// Fails with what to do where something else than a regular file has this name; nothing at all is fine.
///
/// # Errors
/// [`io::ErrorKind::InvalidInput`], see [`is_refusal`]; or that of the disk.
pub fn check_regular(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Ok(about) => refuse_other(path, about.file_type()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

fn refuse_other(path: &Path, kind: FileType) -> io::Result<()> {
    if kind.is_file() {
        return Ok(());
    }
    let what = match () {
        () if kind.is_symlink() => "a symbolic link",
        () if kind.is_dir() => "a folder",
        () if kind.is_fifo() => "a FIFO",
        () if kind.is_socket() => "a socket",
        () => "a device",
    };
    let path = path.display();
    let text = format!(
        "{path} is {what}, where lineside keeps a file of its own: move it away, or choose another output.folder"
    );
    Err(io::Error::new(io::ErrorKind::InvalidInput, text))
}

/// Creates a folder of this program's own, and those above it, where they are missing.
///
/// # Errors
/// [`io::ErrorKind::NotADirectory`] with what to do where something else has its name, until that is moved away; or that of the disk.
pub fn create_results_folder(path: &Path) -> io::Result<()> {
    fs::create_dir_all(path).map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => {
            let problem =
                "is no folder, where lineside keeps one of its own: move it away, or choose another output.folder";
            io::Error::new(io::ErrorKind::NotADirectory, format!("{} {problem}", path.display()))
        }
        _ => error,
    })
}

/// Whether an error is that of [`check_regular`], which no waiting mends.
pub fn is_refusal(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::InvalidInput && error.raw_os_error().is_none()
}

/// Opens a file that exists, if it is a regular one; never waits for a writer, as a FIFO would.
///
/// # Errors
/// As [`check_regular`], or if it cannot be opened.
pub fn open_regular(path: &Path, options: &OpenOptions) -> io::Result<File> {
    check_regular(path)?;
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let file = options.clone().custom_flags(flags.bits() as i32).open(path)?;
    // Somebody may have put something else there meanwhile.
    refuse_other(path, file.metadata()?.file_type())?;
    Ok(file)
}

/// Opens a regular file to be read.
///
/// # Errors
/// As [`open_regular`].
pub fn open_to_read(path: &Path) -> io::Result<File> {
    open_regular(path, OpenOptions::new().read(true))
}

/// Opens a file to be read and appended to; one that is missing is created, with its name synced.
///
/// # Errors
/// As [`open_regular`], or if it cannot be created.
pub fn open_or_create(path: &Path) -> io::Result<File> {
    open_or_create_with(path, OpenOptions::new().read(true).append(true))
}

/// The same, with other options than to append.
///
/// # Errors
/// As [`open_or_create`].
pub fn open_or_create_with(path: &Path, options: &OpenOptions) -> io::Result<File> {
    match open_regular(path, options) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let file = create_with(path, options)?;
            sync_folder(folder_of(path))?;
            Ok(file)
        }
        opened => opened,
    }
}

/// Creates a file that does not exist yet, to be read and appended to.
///
/// # Errors
/// If there is anything with this name, or it cannot be created.
pub fn create_new(path: &Path) -> io::Result<File> {
    create_with(path, OpenOptions::new().read(true).append(true))
}

fn create_with(path: &Path, options: &OpenOptions) -> io::Result<File> {
    apply(Change::Create(path), || options.clone().create_new(true).open(path))
}

/// The folder that holds a file.
pub fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Appends bytes to a file that was opened for it.
///
/// # Errors
/// If not all could be written; a part of them may be.
pub fn append(mut file: &File, bytes: &[u8]) -> io::Result<()> {
    let end = file.metadata()?.len();
    apply(Change::Write(file, end, bytes), || file.write_all(bytes))
}

/// Writes bytes at an offset.
///
/// # Errors
/// If not all could be written.
pub fn write_at(file: &File, offset: u64, bytes: &[u8]) -> io::Result<()> {
    apply(Change::Write(file, offset, bytes), || file.write_all_at(bytes, offset))
}

/// Cuts a file to a length.
///
/// # Errors
/// If it cannot be cut.
pub fn truncate(file: &File, length: u64) -> io::Result<()> {
    apply(Change::Truncate(file, length), || file.set_len(length))
}

/// Waits until the content of a file is on the disk.
///
/// # Errors
/// If the disk fails.
pub fn sync(file: &File) -> io::Result<()> {
    apply(Change::Sync(file), || file.sync_data())
}

/// Waits until the names in a folder are on the disk.
///
/// # Errors
/// If the disk fails.
pub fn sync_folder(folder: &Path) -> io::Result<()> {
    apply(Change::SyncFolder(folder), || File::open(folder)?.sync_all())
}

/// Gives a file or a folder another name, in place of the file or the empty folder that has it.
///
/// # Errors
/// If it cannot be renamed.
pub fn rename(from: &Path, to: &Path) -> io::Result<()> {
    apply(Change::Rename(from, to), || fs::rename(from, to))
}

/// Gives two files or folders each other's names, in one step.
///
/// # Errors
/// If one of them is not there or cannot be renamed; see [`is_unable_to_exchange`].
pub fn exchange(a: &Path, b: &Path) -> io::Result<()> {
    apply(Change::Exchange(a, b), || Ok(renameat_with(CWD, a, CWD, b, RenameFlags::EXCHANGE)?))
}

/// Whether an error of [`exchange`] means that the file system cannot do this at all.
pub fn is_unable_to_exchange(error: &io::Error) -> bool {
    matches!(Errno::from_io_error(error), Some(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP))
}

/// Gives a file one more name, which nothing has yet: it stays as long as one of its names does.
///
/// # Errors
/// If there is anything with this name, or the file system has no links.
pub fn link(from: &Path, to: &Path) -> io::Result<()> {
    apply(Change::Link(from, to), || fs::hard_link(from, to))
}

/// Free bytes of the folder's disk for unprivileged users.
///
/// # Errors
/// Of the disk.
pub fn free_bytes(folder: &Path) -> io::Result<u64> {
    let disk = rustix::fs::statvfs(folder)?;
    Ok(disk.f_bavail * disk.f_frsize)
}

/// Deletes a file.
///
/// # Errors
/// If it cannot be deleted; one that is not there is none.
pub fn remove(path: &Path) -> io::Result<()> {
    match apply(Change::Remove(path), || fs::remove_file(path)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

/// Creates a folder below one that exists; one that is there already is none to create.
///
/// # Errors
/// If it cannot be created.
pub fn create_folder(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    apply(Change::CreateFolder(path), || fs::create_dir(path))
}

/// Deletes a folder with all that is in it, file by file; a link, in it or in its place, is deleted and not followed, and so is a file.
///
/// # Errors
/// If something in it cannot be deleted; one that is not there is none.
pub fn remove_tree(folder: &Path) -> io::Result<()> {
    let is_folder = match fs::symlink_metadata(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        about => about?.is_dir(),
    };
    if !is_folder {
        return remove(folder);
    }
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() { remove_tree(&entry.path())? } else { remove(&entry.path())? }
    }
    apply(Change::RemoveFolder(folder), || fs::remove_dir(folder))
}

/// Whether a path still leads to this open file: others may have moved or deleted it.
pub fn is_at(file: &File, path: &Path) -> bool {
    let identity = |about: fs::Metadata| (about.dev(), about.ino());
    let there = fs::symlink_metadata(path).ok().map(identity);
    there.is_some() && there == file.metadata().ok().map(identity)
}

/// Writes to a file through the seam.
pub struct StorageWriter<'a>(pub &'a File);

impl Write for StorageWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        append(self.0, bytes)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_regular_file_is_opened_and_nothing_is_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::write(at("victim"), "theirs").unwrap();
        std::os::unix::fs::symlink(at("victim"), at("link")).unwrap();
        std::os::unix::fs::symlink(at("nowhere"), at("dangling")).unwrap();
        fs::create_dir(at("dir")).unwrap();
        rustix::fs::mknodat(rustix::fs::CWD, at("fifo"), rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(at("socket")).unwrap();
        for (name, what) in [
            ("link", "a symbolic link"),
            ("dangling", "a symbolic link"),
            ("dir", "a folder"),
            ("fifo", "a FIFO"),
            ("socket", "a socket"),
        ] {
            for error in [open_or_create(&at(name)).unwrap_err(), open_to_read(&at(name)).unwrap_err()] {
                assert!(is_refusal(&error) && error.to_string().contains(what), "{error}");
                assert!(error.to_string().contains(name), "{error}");
            }
        }
        assert_eq!(fs::read(at("victim")).unwrap(), b"theirs");
        assert!(!at("nowhere").exists());
        let device = open_to_read(Path::new("/dev/null")).unwrap_err();
        assert!(device.to_string().contains("a device"), "{device}");
    }

    #[test]
    fn a_file_that_was_moved_is_not_at_its_path_any_more() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        let file = open_or_create(&path).unwrap();
        assert!(is_at(&file, &path));
        fs::rename(&path, folder.path().join("b")).unwrap();
        assert!(!is_at(&file, &path));
        fs::write(&path, "another").unwrap();
        assert!(!is_at(&file, &path));
    }
}
