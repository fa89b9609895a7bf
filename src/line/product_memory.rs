//! The product that was chosen last, in a file beside the results, so that a line starts with it again.
//!
//! The writer's thread writes it: nobody else may wait for the disk.

use crate::files;
use crate::pipeline::{ChosenProduct, Commands};
use crate::sink::write_durably;
use crate::telemetry::{Cause, Telemetry};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The file, in the folder of results: the product's name, or nothing where it was unknown.
const FILE: &str = "product.txt";
/// The most bytes of it: no name is longer.
const LONGEST: u64 = 256;

/// Keeps what was chosen last.
pub(super) struct ProductMemory {
    path: PathBuf,
    commands: Arc<Commands>,
    /// What is in the file.
    written: Option<ChosenProduct>,
}

/// The name of the product that was chosen last: `Some(None)` where that was an unknown one, `None` where nothing is known.
///
/// # Errors
/// In one line, where the file is there and cannot be read.
pub(super) fn remembered(output: &Path) -> Result<Option<Option<String>>, String> {
    let path = output.join(FILE);
    match files::read_text(&path, LONGEST) {
        Ok(text) => Ok(Some(Some(text.trim().to_string()).filter(|name| !name.is_empty()))),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(format!("{}: {error}: choose the product anew, or remove the file", path.display())),
    }
}

impl ProductMemory {
    /// Keeps what `commands` are asked for, in a folder.
    pub(super) fn new(output: &Path, commands: Arc<Commands>) -> ProductMemory {
        ProductMemory { path: output.join(FILE), commands, written: None }
    }

    /// Writes down what was chosen since; waits for the disk.
    pub(super) fn persist(&mut self, telemetry: &Telemetry) {
        let wanted = self.commands.wanted();
        if self.written == Some(wanted) {
            return;
        }
        let name = self.commands.key(wanted).map_or("", |key| key.name.as_str());
        match write_durably(&self.path, |out| writeln!(out, "{name}")) {
            Ok(()) => {
                self.written = Some(wanted);
                telemetry.resolve(Cause::ProductFile);
            }
            // Tried again at the next look: ten times a second.
            Err(error) => telemetry.fail(Cause::ProductFile, &format!("{}: {error}", self.path.display())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::{ProductKey, Selection};

    #[test]
    fn what_was_chosen_last_is_known_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(remembered(folder.path()), Ok(None));
        let telemetry = Telemetry::default();
        let products = ["cap", "lid"].into_iter().zip(1..).map(|(name, code)| ProductKey { name: name.into(), code });
        let commands = Commands::new(products.collect(), ChosenProduct::Known(0), None, telemetry.clone());
        let commands = Arc::new(commands);
        let mut memory = ProductMemory::new(folder.path(), Arc::clone(&commands));
        for (code, expected) in [(1, Some("cap")), (2, Some("lid")), (9, None), (1, Some("cap"))] {
            let _ = commands.select(Selection::Code(code), "test");
            memory.persist(&telemetry);
            assert_eq!(remembered(folder.path()), Ok(Some(expected.map(String::from))));
        }
        std::fs::write(folder.path().join(FILE), [0xff; 300]).unwrap();
        assert!(remembered(folder.path()).unwrap_err().contains("choose the product anew"));
    }
}
