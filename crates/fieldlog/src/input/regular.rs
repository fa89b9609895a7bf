//! Opens regular files only, so that nothing waits: to open a pipe waits for its writer, to read a device may never end.

use rustix::fs::{CWD, Mode, OFlags, openat};
use std::fs::{File, FileType};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::{Component, Path};

/// Opens a log. A link to a file is followed.
///
/// # Errors
/// Of the kernel; `InvalidInput` with what is there, where it is no file.
pub fn open_log(path: &Path) -> io::Result<File> {
    // Before it is opened, too: to open a device can do something, such as to rewind a tape.
    check(std::fs::metadata(path)?.file_type())?;
    let flags = (OFlags::NONBLOCK | OFlags::NOCTTY).bits() as i32;
    let file = File::options().read(true).custom_flags(flags).open(path)?;
    check(file.metadata()?.file_type())?;
    Ok(file)
}

/// Opens the file that a log names, in the log's `folder` or below it. No link is followed on the way: whoever can write to the
/// folder could lead out of it.
///
/// # Errors
/// Of the kernel; `InvalidInput` for a name that is empty or has `..` or a root in it, for a link, and for what is no file.
pub fn open_beside(folder: &Path, name: &Path) -> io::Result<File> {
    let outside = || io::Error::new(ErrorKind::InvalidInput, "the name leads out of the folder");
    let mut parts = Vec::new();
    for part in name.components() {
        let Component::Normal(part) = part else { return Err(outside()) };
        parts.push(part);
    }
    let last = parts.pop().ok_or_else(outside)?;
    let way = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let mut at = openat(CWD, folder, way, Mode::empty())?;
    for part in parts {
        at = openat(&at, part, way | OFlags::NOFOLLOW, Mode::empty())?;
    }
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = File::from(openat(&at, last, flags, Mode::empty())?);
    check(file.metadata()?.file_type())?;
    Ok(file)
}

fn check(kind: FileType) -> io::Result<()> {
    let other = match kind {
        _ if kind.is_file() => return Ok(()),
        _ if kind.is_dir() => "it is a folder",
        _ if kind.is_fifo() => "it is a pipe (FIFO), only regular files are read: give a pipe as -",
        _ if kind.is_socket() => "it is a socket, only regular files are read",
        _ if kind.is_char_device() || kind.is_block_device() => "it is a device, only regular files are read",
        _ => "it is no regular file",
    };
    Err(io::Error::new(ErrorKind::InvalidInput, other))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;
    use std::os::unix::fs::symlink;

    #[test]
    fn what_would_be_waited_for_is_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        rustix::fs::mkfifoat(CWD, at("pipe"), Mode::RWXU).unwrap();
        std::fs::write(at("file"), "text").unwrap();
        for name in ["pipe", "file"] {
            symlink(at(name), at(&format!("link to {name}"))).unwrap();
        }
        symlink("/dev/zero", at("link to device")).unwrap();
        for (name, what) in [
            ("pipe", "it is a pipe (FIFO)"),
            ("link to pipe", "it is a pipe (FIFO)"),
            ("link to device", "it is a device"),
            (".", "it is a folder"),
        ] {
            let error = open_log(&at(name)).unwrap_err().to_string();
            assert!(error.starts_with(what), "{name}: {error}");
        }
        let mut text = String::new();
        open_log(&at("link to file")).unwrap().read_to_string(&mut text).unwrap();
        assert_eq!(text, "text");
    }

    #[test]
    fn a_name_in_a_log_does_not_lead_out_of_its_folder() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for name in ["events/normal", "other"] {
            std::fs::create_dir_all(at(name)).unwrap();
        }
        for name in ["events/a.png", "events/normal/b.png", "other/secret.png"] {
            std::fs::write(at(name), "x").unwrap();
        }
        rustix::fs::mkfifoat(CWD, at("events/pipe.png"), Mode::RWXU).unwrap();
        symlink(at("other/secret.png"), at("events/link.png")).unwrap();
        symlink("a.png", at("events/to a.png")).unwrap();
        symlink(at("other"), at("events/folder")).unwrap();
        let open = |name: &str| open_beside(&at("events"), Path::new(name));
        for name in ["a.png", "normal/b.png"] {
            assert!(open(name).is_ok(), "{name}");
        }
        let absolute = at("other/secret.png").display().to_string();
        for name in [
            "link.png",
            "to a.png",
            "folder/secret.png",
            "../other/secret.png",
            "normal/../../other/secret.png",
            &absolute,
            "pipe.png",
            "normal",
            "",
            ".",
        ] {
            assert!(open(name).is_err(), "{name}");
        }
    }
}
