//! Files that a command writes: never over what it reads, and under a name that says what they hold.
//!
//! | what has the name | what happens |
//! |---|---|
//! | nothing, or a regular file | it is written beside it and renamed, so that it is whole or not there |
//! | a link to a regular file | the same with that file; the link stays |
//! | a FIFO, a terminal, `/dev/null`, `/dev/stdout` | it is written into, as a shell does |
//! | a folder, a socket, another device, a link to nothing | it is refused by name, before any work |

use super::WrongArguments;
use crate::sink::{encode_png, write_durably};
use crate::storage::folder_of;
use anyhow::Context;
use lineside_picture::Picture;
use rustix::fs::Access;
use std::fs::{self, Metadata, OpenOptions};
use std::io::{self, BufWriter, ErrorKind, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

/// How an output is written.
enum Place {
    /// As a whole, at this path.
    File(PathBuf),
    /// Into what is there.
    Stream,
}

impl Place {
    fn of(output: &Path) -> io::Result<Place> {
        let refuse = |what: &str| {
            let problem = format!("is {what}, where no file can be written: name another place");
            Err(io::Error::new(ErrorKind::InvalidInput, problem))
        };
        if output.as_os_str().as_bytes().ends_with(b"/") {
            return refuse("the name of a folder");
        }
        let is_link = output.symlink_metadata().is_ok_and(|about| about.is_symlink());
        let kind = match fs::metadata(output) {
            Ok(about) => about.file_type(),
            Err(error) if error.kind() == ErrorKind::NotFound && is_link => {
                return refuse("a link that leads to nothing");
            }
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Place::File(output.into())),
            Err(error) => return Err(error),
        };
        match () {
            // What a shell redirected: it keeps the file open, and would not see another one of its name.
            () if kind.is_file() && is_link && ["/dev", "/proc"].iter().any(|own| output.starts_with(own)) => {
                Ok(Place::Stream)
            }
            () if kind.is_file() && is_link => Ok(Place::File(output.canonicalize()?)),
            () if kind.is_file() => Ok(Place::File(output.into())),
            () if kind.is_fifo() || kind.is_char_device() => Ok(Place::Stream),
            () if kind.is_dir() => refuse("a folder"),
            () if kind.is_socket() => refuse("a socket"),
            () => refuse("a device"),
        }
    }
}

/// Writes an output that the command line names, see the table above.
///
/// # Errors
/// [`ErrorKind::InvalidInput`] where no file can be written there; that of the disk; and that of `write`.
pub fn write_output(output: &Path, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
    match Place::of(output)? {
        Place::File(path) => write_durably(&path, write),
        Place::Stream => {
            let file = OpenOptions::new().write(true).truncate(true).open(output)?;
            let mut buffer = BufWriter::new(file);
            write(&mut buffer)?;
            buffer.flush()
        }
    }
}

/// The same for a picture, as PNG.
///
/// # Errors
/// As [`write_output`].
pub fn write_png_output(output: &Path, picture: &Picture) -> io::Result<()> {
    write_output(output, |out| encode_png(out, picture))
}

/// Refuses an output that no file can be written to. To be asked before any work.
///
/// # Errors
/// [`WrongArguments`] where none can be there by its nature; the system's error where its folder is missing or may not be written to.
pub fn check_place(output: &Path) -> anyhow::Result<()> {
    let name = output.display();
    match Place::of(output) {
        Err(error) if error.kind() == ErrorKind::InvalidInput => Err(WrongArguments(format!("{name}: {error}")).into()),
        Err(error) => Err(error).with_context(|| format!("{name}: cannot be written")),
        Ok(Place::Stream) => Ok(()),
        Ok(Place::File(path)) => {
            let folder = folder_of(&path);
            rustix::fs::access(folder, Access::WRITE_OK | Access::EXEC_OK)
                .map_err(io::Error::from)
                .with_context(|| format!("{name}: no file can be written in {}", folder.display()))
        }
    }
}

/// Refuses an output that is one of the files which are read, by whatever name, that no file can be written to, or whose name ends
/// otherwise than in `ending`.
pub fn check_output<'a>(output: &Path, ending: &str, inputs: impl IntoIterator<Item = &'a Path>) -> anyhow::Result<()> {
    let name = output.display();
    if !output.extension().is_some_and(|extension| extension.eq_ignore_ascii_case(ending)) {
        return Err(WrongArguments(format!("{name}: what is written there is .{ending}: end its name so")).into());
    }
    refuse_inputs(output, inputs)
}

/// Refuses an output that is one of the files which are read, by whatever name, or that no file can be written to.
pub fn refuse_inputs<'a>(output: &Path, inputs: impl IntoIterator<Item = &'a Path>) -> anyhow::Result<()> {
    check_place(output)?;
    let (name, Some(at)) = (output.display(), identity(output)) else { return Ok(()) };
    match inputs.into_iter().find(|input| identity(input) == Some(at)) {
        Some(input) => {
            let input = input.display();
            Err(WrongArguments(format!("{name}: is {input}, which is read: give the output another name")).into())
        }
        None => Ok(()),
    }
}

/// Which file or folder is at a path, links followed; `None` where nothing is.
pub fn identity(path: &Path) -> Option<(u64, u64)> {
    let of = |metadata: Metadata| (metadata.dev(), metadata.ino());
    std::fs::metadata(path).ok().map(of)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_is_read_is_written_over() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for name in ["a.png", "b.PNG"] {
            std::fs::write(at(name), "").unwrap();
        }
        std::os::unix::fs::symlink(at("a.png"), at("link.png")).unwrap();
        let check = |output: &str| {
            let (a, b) = (at("a.png"), at("b.PNG"));
            check_output(&at(output), "png", [&*a, &*b]).map_err(|error| error.to_string())
        };
        assert!(check("new.png").is_ok() && check("new.PNG").is_ok());
        for output in ["a.png", "b.PNG", "link.png"] {
            assert!(check(output).is_err(), "{output}");
        }
        assert!(check("link.png").unwrap_err().contains("a.png, which is read"));
        assert!(check("notes.txt").unwrap_err().contains("is .png"));
    }

    #[test]
    fn an_output_is_what_a_user_means_by_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let write = |path: &Path| write_output(path, |out| out.write_all(b"new"));
        fs::write(at("file"), "old").unwrap();
        std::os::unix::fs::symlink("file", at("link")).unwrap();
        write(&at("link")).unwrap();
        assert_eq!(fs::read(at("file")).unwrap(), b"new");
        assert!(fs::symlink_metadata(at("link")).unwrap().is_symlink());
        write(&at("fresh")).unwrap();
        assert_eq!(fs::read(at("fresh")).unwrap(), b"new");
        // A FIFO is written into, and stays one.
        rustix::fs::mknodat(rustix::fs::CWD, at("fifo"), rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
        let reader = std::thread::spawn({
            let fifo = at("fifo");
            move || fs::read(fifo).unwrap()
        });
        write(&at("fifo")).unwrap();
        assert_eq!(reader.join().unwrap(), b"new");
        assert!(fs::symlink_metadata(at("fifo")).unwrap().file_type().is_fifo());
        // By links, so that a fault of this test does not cost the machine its devices.
        std::os::unix::fs::symlink("/dev/null", at("null")).unwrap();
        write(&at("null")).unwrap();
        std::os::unix::fs::symlink("/dev/full", at("full")).unwrap();
        assert_eq!(write(&at("full")).unwrap_err().kind(), ErrorKind::StorageFull);
        for device in ["null", "full"] {
            assert!(fs::metadata(at(device)).unwrap().file_type().is_char_device(), "{device}");
        }
        fs::create_dir(at("dir")).unwrap();
        std::os::unix::fs::symlink("nowhere", at("dangling")).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(at("socket")).unwrap();
        for (name, what) in [
            ("dir", "is a folder"),
            ("fresh/", "the name of a folder"),
            ("dangling", "a link that leads to nothing"),
            ("socket", "is a socket"),
        ] {
            assert!(write(&at(name)).unwrap_err().to_string().contains(what), "{name}");
            let refused = refuse_inputs(&at(name), []).unwrap_err();
            assert!(refused.is::<WrongArguments>() && refused.to_string().contains(what), "{name}");
        }
        for name in ["nowhere/new.png", "file/new.png"] {
            let refused = refuse_inputs(&at(name), []).unwrap_err();
            assert!(!refused.is::<WrongArguments>() && refused.to_string().contains(name), "{refused:#}");
        }
        assert!(!at("nowhere").exists());
    }
}
