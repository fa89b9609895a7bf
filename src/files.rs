//! Files from outside: opened so that nothing waits, read so that nothing takes more memory than is allowed.
//!
//! A pipe, a socket, a device or a folder in a file's place is refused by name: to open or read it may wait for ever. A link to a
//! file is followed. What is too large is refused before it is read.

use bytesize::ByteSize;
use rustix::fs::OFlags;
use std::fs::{File, FileType, Metadata, OpenOptions};
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

/// The most bytes of a configuration or of a bundle's manifest.
pub const MAX_TEXT: u64 = 1 << 20;
/// The most bytes of a file that holds a token or a password: the longest password that MQTT can carry, and its line's end.
pub const MAX_SECRET: u64 = (1 << 16) + 1;
/// The most bytes of a file of certificates or keys; a system's authorities are some 300 KB.
pub const MAX_PEM: u64 = 8 << 20;
/// The bits of a mode that a file with a secret must not have: group's writing, and all of others. A service's file may belong
/// to root, with the service's group, which reads it.
const OPEN_TO_OTHERS: u32 = 0o027;
/// The most bytes of an array, and of a file of a bundle, that a command reads.
pub const MAX_ARRAY: u64 = 2 << 30;

/// Opens a regular file for reading; its size comes with it. Does not wait, whatever is at the path.
///
/// # Errors
/// Of the kernel; `InvalidInput` with what is there, where it is no file.
pub fn open(path: &Path) -> io::Result<(File, u64)> {
    // Before it is opened, too: to open a device can do something, such as to start a watchdog or to rewind a tape.
    check(&std::fs::metadata(path)?)?;
    let flags = (OFlags::NONBLOCK | OFlags::NOCTTY).bits() as i32;
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    let metadata = file.metadata()?;
    check(&metadata)?;
    Ok((file, metadata.len()))
}

/// Reads a regular file of at most `limit` bytes.
///
/// # Errors
/// As [`open`]; `FileTooLarge` for one that has more.
pub fn read(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    read_into(path, limit, &mut bytes)?;
    Ok(bytes)
}

/// The same, into a buffer whose content is replaced.
///
/// # Errors
/// As [`read`].
pub fn read_into(path: &Path, limit: u64, bytes: &mut Vec<u8>) -> io::Result<()> {
    bytes.clear();
    let (file, length) = open(path)?;
    read_open(file, length, limit, bytes)
}

fn read_open(file: File, length: u64, limit: u64, bytes: &mut Vec<u8>) -> io::Result<()> {
    if length > limit {
        return Err(too_large(length, limit));
    }
    bytes.reserve_exact(length as usize);
    // It may grow meanwhile, and some files of the kernel have no length.
    file.take(limit + 1).read_to_end(bytes)?;
    if bytes.len() as u64 > limit { Err(too_large(bytes.len() as u64, limit)) } else { Ok(()) }
}

/// Reads a regular file of at most `limit` bytes as UTF-8.
///
/// # Errors
/// As [`read`]; `InvalidData` for other bytes.
pub fn read_text(path: &Path, limit: u64) -> io::Result<String> {
    read(path, limit).and_then(text)
}

fn text(bytes: Vec<u8>) -> io::Result<String> {
    String::from_utf8(bytes).map_err(|error| {
        let before = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
        io::Error::new(ErrorKind::InvalidData, format!("line {line} is no text in UTF-8: save the file as UTF-8"))
    })
}

/// Reads a file that holds a secret, of at most `limit` bytes. It must not be open to others: nobody but its owner and its group
/// may read it, nobody but its owner may write it. What counts is the file itself, also where the path leads to it by a link.
///
/// # Errors
/// As [`read`]; `PermissionDenied`, with the command that mends it, where its mode is too open.
pub fn read_secret(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let (file, length) = open(path)?;
    let mode = file.metadata()?.mode() & 0o7777;
    if mode & OPEN_TO_OTHERS != 0 {
        let path = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
        let problem = format!(
            "it holds a secret, and its mode {mode:04o} opens it to other users: chmod g-w,o= {}",
            shell_word(&path)
        );
        return Err(io::Error::new(ErrorKind::PermissionDenied, problem));
    }
    let mut bytes = Vec::new();
    read_open(file, length, limit, &mut bytes)?;
    Ok(bytes)
}

/// The same for text in UTF-8.
///
/// # Errors
/// As [`read_secret`]; `InvalidData` for other bytes.
pub fn read_secret_text(path: &Path, limit: u64) -> io::Result<String> {
    read_secret(path, limit).and_then(text)
}

/// Whether others than its owner and its group may read a file, as far as that can be known.
pub fn is_readable_by_others(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|metadata| metadata.mode() & 0o004 != 0)
}

/// A path as a word of a shell's command line.
pub fn shell_word(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/-_.".contains(&byte));
    if plain && !text.starts_with('-') { text } else { format!("'{}'", text.replace('\'', "'\\''")) }
}

/// What a file system has at a place where no file is; `None` for a file.
pub fn describe_other(kind: FileType) -> Option<&'static str> {
    match kind {
        _ if kind.is_file() => None,
        _ if kind.is_dir() => Some("a folder"),
        _ if kind.is_fifo() => Some("a pipe (FIFO)"),
        _ if kind.is_socket() => Some("a socket"),
        _ if kind.is_char_device() || kind.is_block_device() => Some("a device"),
        _ => Some("no regular file"),
    }
}

fn check(metadata: &Metadata) -> io::Result<()> {
    match describe_other(metadata.file_type()) {
        Some(other) => Err(io::Error::new(
            ErrorKind::InvalidInput,
            format!("it is {other}, only regular files are read: put a file there or name another one"),
        )),
        None => Ok(()),
    }
}

/// The error for a file of `length` bytes where only `limit` are read.
pub fn too_large(length: u64, limit: u64) -> io::Error {
    let (length, limit) = (ByteSize(length), ByteSize(limit));
    let text = format!("it has {length}, more than the {limit} that are read here: is it the right file?");
    io::Error::new(ErrorKind::FileTooLarge, text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::os::unix::net::UnixListener;

    #[test]
    fn only_regular_files_are_read_and_nothing_is_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        rustix::fs::mkfifoat(rustix::fs::CWD, at("pipe"), rustix::fs::Mode::RWXU).unwrap();
        let _socket = UnixListener::bind(at("socket")).unwrap();
        std::fs::create_dir(at("folder")).unwrap();
        std::fs::write(at("file"), "text").unwrap();
        for name in ["pipe", "socket", "folder", "file"] {
            symlink(at(name), at(&format!("link to {name}"))).unwrap();
        }
        symlink("/dev/zero", at("link to device")).unwrap();
        for (name, what) in [
            ("pipe", "a pipe (FIFO)"),
            ("socket", "a socket"),
            ("folder", "a folder"),
            ("link to pipe", "a pipe (FIFO)"),
            ("link to socket", "a socket"),
            ("link to folder", "a folder"),
            ("link to device", "a device"),
        ] {
            let error = read(&at(name), 100).unwrap_err().to_string();
            assert!(error.starts_with(&format!("it is {what}, only regular files are read")), "{name}: {error}");
        }
        assert_eq!(read_text(&at("link to file"), 4).unwrap(), "text");
    }

    #[test]
    fn a_secret_is_not_read_from_a_file_that_is_open_to_others() {
        let folder = tempfile::tempdir().unwrap();
        let (path, link) = (folder.path().join("a secret"), folder.path().join("link"));
        std::fs::write(&path, "secret").unwrap();
        symlink(&path, &link).unwrap();
        let real = path.canonicalize().unwrap().display().to_string();
        for mode in 0..0o1000 {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode | 0o400)).unwrap();
            for name in [&path, &link] {
                match read_secret_text(name, 10) {
                    Ok(secret) => assert!(mode & 0o027 == 0 && secret == "secret", "{mode:o}"),
                    Err(error) => {
                        let expected =
                            format!("mode {:04o} opens it to other users: chmod g-w,o= '{real}'", mode | 0o400);
                        assert!(mode & 0o027 != 0 && error.to_string().contains(&expected), "{mode:o}: {error}");
                    }
                }
            }
            assert_eq!(is_readable_by_others(&link), mode & 0o004 != 0);
        }
        assert_eq!(shell_word(Path::new("/etc/a's")), "'/etc/a'\\''s'");
    }

    #[test]
    fn what_is_too_large_is_refused_by_its_length() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("large");
        File::create(&path).unwrap().set_len(1 << 40).unwrap();
        let error = read(&path, MAX_TEXT).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::FileTooLarge);
        assert_eq!(
            error.to_string(),
            "it has 1.0 TiB, more than the 1.0 MiB that are read here: is it the right file?"
        );
        // A file of the kernel that states no length.
        assert_eq!(read(Path::new("/proc/self/status"), 10).unwrap_err().kind(), ErrorKind::FileTooLarge);
        std::fs::write(&path, [0xFF]).unwrap();
        assert_eq!(read_text(&path, 1).unwrap_err().kind(), ErrorKind::InvalidData);
    }
}
