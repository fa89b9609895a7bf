//! The command of a program, and where it is found.

use crate::escape::one_line;
use rustix::fs::{Access, access};
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::{Path, PathBuf};

/// A program with its arguments. No shell reads them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProcessCommand {
    /// A name, which is looked up in `PATH`, or a path.
    pub program: String,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// What its standard input has; a password belongs here, where no list of processes shows it. 4096 bytes at most.
    pub input: String,
    /// What must be in no log line and in no output: `***` stands there.
    pub secrets: Vec<String>,
}

impl ProcessCommand {
    /// A program with its arguments.
    pub fn new<'a>(program: &str, arguments: impl IntoIterator<Item = &'a str>) -> ProcessCommand {
        let arguments = arguments.into_iter().map(String::from).collect();
        ProcessCommand { program: program.into(), arguments, ..ProcessCommand::default() }
    }

    /// The program's file, where there is one that this user may start.
    pub fn find(&self) -> Option<PathBuf> {
        find_program(&self.program)
    }

    /// `text` without secrets.
    pub fn without_secrets(&self, text: &str) -> String {
        self.secrets
            .iter()
            .filter(|secret| !secret.is_empty())
            .fold(text.to_string(), |text, secret| text.replace(secret, "***"))
    }

    pub(super) fn arguments(&self) -> Vec<OsString> {
        self.arguments.iter().map(OsString::from).collect()
    }
}

/// As a shell takes it, without secrets.
impl fmt::Display for ProcessCommand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = [&self.program].into_iter().chain(&self.arguments);
        // Quoting could change a secret so that it is not found.
        let words: Vec<String> = words.map(|word| shell_word(&self.without_secrets(word))).collect();
        f.write_str(&one_line(&words.join(" ")))
    }
}

/// A program's file: a path as it is, a name from `PATH`.
pub fn find_program(program: &str) -> Option<PathBuf> {
    find_in(program, &std::env::var_os("PATH").unwrap_or_else(|| "/usr/local/bin:/usr/bin:/bin".into()))
}

fn find_in(program: &str, path: &OsStr) -> Option<PathBuf> {
    let is_program = |path: &PathBuf| path.is_file() && access(path, Access::EXEC_OK).is_ok();
    if program.as_bytes().contains(&b'/') {
        return Some(PathBuf::from(program)).filter(is_program);
    }
    std::env::split_paths(path)
        .filter(|folder| folder != Path::new(""))
        .map(|folder| folder.join(program))
        .find(is_program)
}

fn shell_word(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,+@%".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        word.into()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_command_is_shown_as_a_shell_takes_it_and_without_secrets() {
        let mut command = ProcessCommand::new("cam era", ["-i", "it's", "", "rtsp://u:s3cret@h/1", "a\u{1b}b"]);
        command.secrets = vec!["s3cret".into(), String::new()];
        assert_eq!(command.to_string(), "'cam era' -i 'it'\\''s' '' 'rtsp://u:***@h/1' 'a\\u{1b}b'");
    }

    #[test]
    fn a_program_is_found_where_it_may_be_started() {
        let folder = tempfile::tempdir().unwrap();
        let (other, camera) = (folder.path().join("other"), folder.path().join("camera"));
        std::fs::create_dir(&other).unwrap();
        std::fs::write(&camera, "").unwrap();
        let path = std::env::join_paths([other.as_path(), Path::new(""), folder.path()]).unwrap();
        let found = || find_in("camera", &path);
        std::fs::set_permissions(&camera, PermissionsExt::from_mode(0o644)).unwrap();
        assert_eq!(found(), None);
        std::fs::set_permissions(&camera, PermissionsExt::from_mode(0o755)).unwrap();
        assert_eq!(found(), Some(camera.clone()));
        assert_eq!(find_in("other", &path), None, "a folder");
        assert_eq!(find_in(camera.to_str().unwrap(), OsStr::new("")), Some(camera));
    }
}
