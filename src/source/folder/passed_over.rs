//! What a walk through a folder passes over: counted by kind, each kind named once.

use crate::telemetry::Telemetry;
use std::fmt;
use std::path::{Path, PathBuf};

/// Why something is passed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Its name begins with a dot.
    Hidden,
    /// A folder that a NAS or a system keeps for itself.
    OfSystem,
    /// Its name does not end as a picture's.
    OtherName,
    /// A folder that was entered by another way.
    SecondWay,
    /// A folder that cannot be read.
    Unreadable,
    /// A folder that the line itself writes to.
    Own,
    /// It has a picture's name but is no file: to read a pipe, a socket or a device may wait for ever.
    NoFile(&'static str),
}

/// What was passed over in a folder.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PassedOver {
    kinds: Vec<Counted>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Counted {
    kind: Kind,
    count: u64,
    /// The first that was met.
    first: PathBuf,
}

impl PassedOver {
    /// Counts one.
    pub(super) fn add(&mut self, kind: Kind, path: &Path) {
        let is_like = |other: Kind| match (kind, other) {
            (Kind::NoFile(_), Kind::NoFile(_)) => true,
            _ => kind == other,
        };
        match self.kinds.iter_mut().find(|counted| is_like(counted.kind)) {
            Some(counted) => counted.count += 1,
            None => self.kinds.push(Counted { kind, count: 1, first: path.to_path_buf() }),
        }
    }

    /// Whether nothing was.
    pub fn is_empty(&self) -> bool {
        self.kinds.is_empty()
    }

    /// How many.
    pub fn count(&self) -> u64 {
        self.kinds.iter().map(|counted| counted.count).sum()
    }

    /// Whether there is something among it that somebody may have taken for a picture.
    pub fn is_suspicious(&self) -> bool {
        self.kinds.iter().any(|counted| matches!(counted.kind, Kind::NoFile(_) | Kind::Unreadable))
    }

    /// Reports it, where there is something: as a fault where it is suspicious, otherwise in the log.
    pub(super) fn report(&self, folder: &Path, telemetry: &Telemetry) {
        if self.is_suspicious() {
            telemetry.report_count("frame", &format!("{}: {self}", folder.display()), self.count());
        } else {
            self.log(folder);
        }
    }

    /// Writes it to the log, where there is something: a warning where it is suspicious.
    pub fn log(&self, folder: &Path) {
        let level = if self.is_suspicious() { log::Level::Warn } else { log::Level::Info };
        if !self.is_empty() {
            log::log!(level, "{}: {self}", folder.display());
        }
    }
}

impl fmt::Display for PassedOver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("passed over: ")?;
        for (i, Counted { kind, count, first }) in self.kinds.iter().enumerate() {
            let what = match kind {
                Kind::Hidden => "that are hidden",
                Kind::OfSystem => "folders of a NAS or system",
                Kind::OtherName => "whose names are no picture's",
                Kind::SecondWay => "links to folders that are listed already",
                Kind::Unreadable => "folders that cannot be read",
                Kind::Own => "folders that this line writes to",
                Kind::NoFile(_) => "with a picture's name that are no file",
            };
            let separator = if i == 0 { "" } else { "; " };
            write!(f, "{separator}{count} {what}, such as {}", first.display())?;
            if let Kind::NoFile(what) = kind {
                write!(f, ": {what}")?;
            }
        }
        Ok(())
    }
}
