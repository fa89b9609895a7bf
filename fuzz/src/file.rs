//! Files of readers that take a file.

use std::fs::File;
use std::io::{Seek, Write};

/// A file without a name that holds `bytes`; it is read from its beginning and written at its end.
///
/// # Panics
/// Where there is no room for it.
pub fn file_with(bytes: &[u8]) -> File {
    let mut options = File::options();
    let named = tempfile::Builder::new().make(|path| options.read(true).append(true).create_new(true).open(path));
    let (mut file, _removed) = named.expect("a temporary file").into_parts();
    file.write_all(bytes).expect("room for a temporary file");
    file.rewind().expect("a file that can be read");
    file
}
