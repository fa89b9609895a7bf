//! What holds for every text that a person gets to see.

/// An error is one line. Other control characters are escaped where it is printed.
///
/// # Panics
/// If it is not.
pub fn check_line(message: &str) {
    assert!(!message.is_empty() && !message.contains(['\n', '\r']), "an error that is not one line: {message:?}");
}
