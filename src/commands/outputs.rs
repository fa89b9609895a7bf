//! Files that a command writes: never over what it reads, and under a name that says what they hold.

use super::WrongArguments;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Refuses an output that is one of the files which are read, by whatever name, or whose name ends otherwise than in `ending`.
pub fn check_output<'a>(
    output: &Path,
    ending: &str,
    inputs: impl IntoIterator<Item = &'a Path>,
) -> Result<(), WrongArguments> {
    let name = output.display();
    if !output.extension().is_some_and(|extension| extension.eq_ignore_ascii_case(ending)) {
        return Err(WrongArguments(format!("{name}: what is written there is .{ending}: end its name so")));
    }
    refuse_inputs(output, inputs)
}

/// Refuses an output that is one of the files which are read, by whatever name.
pub fn refuse_inputs<'a>(output: &Path, inputs: impl IntoIterator<Item = &'a Path>) -> Result<(), WrongArguments> {
    let (name, Some(at)) = (output.display(), identity(output)) else { return Ok(()) };
    match inputs.into_iter().find(|input| identity(input) == Some(at)) {
        Some(input) => {
            let input = input.display();
            Err(WrongArguments(format!("{name}: is {input}, which is read: give the output another name")))
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
            check_output(&at(output), "png", [&*a, &*b]).map_err(|error| error.0)
        };
        assert!(check("new.png").is_ok() && check("new.PNG").is_ok());
        for output in ["a.png", "b.PNG", "link.png"] {
            assert!(check(output).is_err(), "{output}");
        }
        assert!(check("link.png").unwrap_err().contains("a.png, which is read"));
        assert!(check("notes.txt").unwrap_err().contains("is .png"));
    }
}
