//! `[source.folder]`: a folder of pictures.

use super::{Violation, check_fps, check_range};
use std::path::PathBuf;
use toml::Spanned;

/// `[source.folder]`: a folder of pictures.
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub struct FolderConfig {
    /// The folder.
    pub path: Spanned<PathBuf>,
    /// Start again after the last picture.
    #[serde(default = "once")]
    pub repeat: Spanned<bool>,
    /// Frames per second, as from a camera; absent: every picture is inspected, as fast as that goes.
    pub fps: Option<Spanned<f64>>,
    /// Larger pictures are refused, one by one. In megapixels.
    #[serde(default = "two_megapixels")]
    pub max_megapixels: Spanned<f64>,
    /// Bits that are used of each sample of 16, where the files do not state it, such as 12.
    pub bits: Option<Spanned<u8>>,
    /// Inspect new pictures as they come, each once, and never end.
    #[serde(default)]
    pub watch: bool,
    /// What becomes of a picture of a watched folder after its verdict is recorded.
    pub after: Option<Spanned<KeepOrMove>>,
    /// Where it goes with `after = "move"`.
    pub move_to: Option<Spanned<PathBuf>>,
    /// How many seconds the size of a file must stand still until it counts as whole.
    pub settle_s: Option<Spanned<f64>>,
}

/// `after`: what becomes of a picture of a watched folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KeepOrMove {
    /// It stays.
    Keep,
    /// It is moved to `move_to`.
    Move,
    /// It is deleted.
    Delete,
}

impl FolderConfig {
    /// The pictures of a folder once, of at most so many megapixels.
    pub(super) fn once(path: PathBuf, megapixels: f64) -> FolderConfig {
        FolderConfig {
            path: Spanned::new(0..0, path),
            repeat: once(),
            fps: None,
            max_megapixels: Spanned::new(0..0, megapixels),
            bits: None,
            watch: false,
            after: None,
            move_to: None,
            settle_s: None,
        }
    }

    /// The first invalid value.
    pub(super) fn problem(&self) -> Option<Violation> {
        let settle = self.settle_s.as_ref();
        if self.path.get_ref().as_os_str().is_empty() {
            return Some((self.path.span().start, "source.folder.path is empty: name the folder of pictures".into()));
        }
        check_fps(&self.fps, "source.folder.fps")
            .or_else(|| check_range(&self.max_megapixels, "source.folder.max_megapixels", 0.001, 100.0))
            .or_else(|| self.problem_of_bits())
            .or_else(|| settle.and_then(|settle| check_range(settle, "source.folder.settle_s", 0.0, 3600.0)))
            .or_else(|| if self.watch { self.problem_of_watched() } else { self.problem_of_listed() })
    }

    fn problem_of_bits(&self) -> Option<Violation> {
        let bits = self.bits.as_ref().filter(|bits| !(1..=16).contains(bits.get_ref()))?;
        Some((bits.span().start, format!("source.folder.bits must lie in 1..16, found {}", bits.get_ref())))
    }

    /// What goes with `watch = true` alone.
    fn problem_of_listed(&self) -> Option<Violation> {
        let after = self.after.as_ref().map(|after| (after.span().start, "after"));
        let move_to = self.move_to.as_ref().map(|folder| (folder.span().start, "move_to"));
        let settle = self.settle_s.as_ref().map(|settle| (settle.span().start, "settle_s"));
        let (at, key) = after.or(move_to).or(settle)?;
        Some((at, format!("source.folder.{key} is for a folder that is watched: set source.folder.watch = true, too")))
    }

    fn problem_of_watched(&self) -> Option<Violation> {
        let repeats = self.repeat.get_ref().then(|| (self.repeat.span().start, "repeat"));
        let paced = self.fps.as_ref().map(|fps| (fps.span().start, "fps"));
        if let Some((at, key)) = repeats.or(paced) {
            let problem = format!(
                "source.folder.{key} does not go with source.folder.watch: of a watched folder each picture is inspected once"
            );
            return Some((at, problem));
        }
        let moves = self.after.as_ref().filter(|after| *after.get_ref() == KeepOrMove::Move);
        match (moves, &self.move_to) {
            (Some(after), None) => {
                Some((after.span().start, "source.folder.move_to is missing: the folder to move pictures to".into()))
            }
            (None, Some(folder)) => {
                Some((folder.span().start, "source.folder.move_to needs source.folder.after = \"move\"".into()))
            }
            _ => None,
        }
    }
}

fn once() -> Spanned<bool> {
    Spanned::new(0..0, false)
}

fn two_megapixels() -> Spanned<f64> {
    Spanned::new(0..0, 2.1)
}

#[cfg(test)]
mod tests {
    use crate::config::Config;
    use std::path::Path;

    #[test]
    fn what_does_not_go_together_is_named() {
        let refusal = |text: &str| {
            let text = format!("[source.folder]\npath = \"in\"\n{text}");
            Config::parse(&text, Path::new("line.toml")).unwrap_err().to_string()
        };
        for (text, expected) in [
            ("after = \"keep\"\n", "line.toml:3: source.folder.after is for a folder that is watched"),
            ("settle_s = 2\n", "line.toml:3: source.folder.settle_s is for a folder that is watched"),
            ("watch = true\nafter = \"burn\"\n", "line.toml:4: after: unknown variant `burn`"),
            ("watch = true\nrepeat = true\n", "line.toml:4: source.folder.repeat does not go with"),
            ("watch = true\nfps = 3\n", "line.toml:4: source.folder.fps does not go with"),
            ("watch = true\nafter = \"move\"\n", "line.toml:4: source.folder.move_to is missing"),
            ("watch = true\nmove_to = \"done\"\n", "line.toml:4: source.folder.move_to needs"),
            ("bits = 17\n", "line.toml:3: source.folder.bits must lie in 1..16, found 17"),
            ("watch = true\nsettle_s = -1\n", "line.toml:4: source.folder.settle_s must lie in 0..3600"),
        ] {
            let error = refusal(text);
            assert!(error.contains(expected), "{text:?}: {error}");
        }
    }
}
