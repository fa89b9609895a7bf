//! Which files of a drop folder are being inspected, which were, and what becomes of them then.

use super::after::{AfterVerdict, move_file};
use super::seen::{Place, SeenFiles, Stamp};
use super::seldom::Seldom;
use crate::source::receipt::{Receipt, Settled};
use crate::telemetry::Telemetry;
use std::collections::{HashMap, HashSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A file of a drop folder, as it was when it was found whole.
#[derive(Debug, Clone)]
pub(super) struct DropFile {
    pub(super) path: PathBuf,
    pub(super) stamp: Stamp,
}

/// Where what is known of the files of a drop folder is kept. Used by the thread that looks for files and by the writer; capture and
/// inspection never lock it.
pub(super) struct Ledger {
    folder: PathBuf,
    after: AfterVerdict,
    state: Mutex<State>,
    /// Files whose receipts were dropped without an answer, until somebody looks at the state. A lock of its own, which nobody holds while a
    /// disk works: any thread may drop a receipt.
    dropped: Mutex<Vec<DropFile>>,
    telemetry: Telemetry,
}

struct State {
    /// Where [`SeenFiles`] are kept; they are read when the first file is asked for: another run may still be ending before.
    path: PathBuf,
    seen: Option<SeenFiles>,
    /// Files that were found and not settled yet.
    pending: HashSet<Place>,
    /// Those of them that were written again meanwhile.
    rewritten: HashSet<Place>,
    /// Files whose verdicts are not kept, as they were then. They wait for the next start; what is put in their place does not.
    unkept: HashMap<Place, Stamp>,
    /// What went wrong with files that were inspected.
    troubles: Seldom,
    /// Files that were inspected and could not be moved or deleted, the first of them; they are tried again.
    stuck: Vec<DropFile>,
    /// How many they were when that was reported.
    reported_stuck: usize,
}

/// Files that are tried again at most. The others stay; they are counted.
const STUCK: usize = 1000;

impl Ledger {
    /// Of `folder`; what was inspected is kept in the file at `path`.
    pub(super) fn new(folder: PathBuf, after: AfterVerdict, path: PathBuf, telemetry: Telemetry) -> Ledger {
        let state = Mutex::new(State {
            path,
            seen: None,
            pending: HashSet::new(),
            rewritten: HashSet::new(),
            unkept: HashMap::new(),
            troubles: Seldom::default(),
            stuck: Vec::new(),
            reported_stuck: 0,
        });
        Ledger { folder, after, state, dropped: Mutex::default(), telemetry }
    }

    /// Reads what was inspected before, where that is not done yet.
    ///
    /// # Errors
    /// In one line, where it cannot be read.
    pub(super) fn load(&self) -> Result<(), String> {
        let mut state = self.lock();
        if state.seen.is_some() {
            return Ok(());
        }
        let path = state.path.clone();
        let cannot = |error: io::Error| {
            let path = path.display();
            format!("{path}: cannot read which files were inspected: {error}; delete it to have all inspected again")
        };
        let (seen, damaged) = SeenFiles::load(path.clone()).map_err(cannot)?;
        if damaged > 0 {
            let text = format!("{}: {damaged} lines are damaged; these files are inspected again", path.display());
            self.telemetry.report_count("frame", &text, damaged);
        }
        state.seen = Some(seen);
        Ok(())
    }

    /// Whether a file is to be inspected: it is not being inspected, and was not as it is now.
    pub(super) fn is_new(&self, file: &Path, stamp: Stamp) -> bool {
        let (place, state) = (self.place(file), self.lock());
        !state.pending.contains(&place)
            && state.unkept.get(&place) != Some(&stamp)
            && !state.seen.as_ref().is_some_and(|seen| seen.contains(place, stamp))
    }

    /// A file was written, or put in the place of another: it is to be inspected, whatever is known of one with its name, size and
    /// time.
    pub(super) fn was_written(&self, file: &Path) {
        let (place, mut state) = (self.place(file), self.lock());
        if let Some(seen) = &mut state.seen {
            seen.forget(place);
        }
        state.unkept.remove(&place);
        if state.pending.contains(&place) {
            state.rewritten.insert(place);
        }
    }

    /// Whether one more file can be remembered, where files stay.
    pub(super) fn has_room_for(&self, file: &Path) -> bool {
        self.lock().seen.as_ref().is_none_or(|seen| seen.has_room_for(self.place(file)))
    }

    /// Forgets files that are not there any more.
    pub(super) fn keep_only(&self, there: &HashSet<Place>) {
        let mut state = self.lock();
        state.unkept.retain(|place, _| there.contains(place));
        if let Some(Err(error)) = state.seen.as_mut().map(|seen| seen.keep_only(&|place| there.contains(&place))) {
            state.cannot_write(&self.telemetry, &error);
        }
    }

    /// Where a file lies below the folder.
    pub(super) fn place(&self, file: &Path) -> Place {
        Place::of(self.inside(file))
    }

    /// A file's path below the folder.
    pub(super) fn inside<'a>(&self, file: &'a Path) -> &'a Path {
        file.strip_prefix(&self.folder).unwrap_or(file)
    }

    /// A file is about to be inspected.
    pub(super) fn begin(&self, file: &DropFile) {
        self.lock().pending.insert(self.place(&file.path));
    }

    /// The receipt for a frame of a file.
    pub(super) fn receipt(self: &Arc<Self>, file: DropFile) -> Receipt {
        let ledger = Arc::clone(self);
        Receipt::new(move |settled| match settled {
            Settled::Unanswered => ledger.lock_dropped().push(file),
            settled => ledger.settle(&file, settled),
        })
    }

    fn settle(&self, file: &DropFile, settled: Settled) {
        let is_rewritten = self.lock().rewritten.remove(&self.place(&file.path));
        let cleared = match (&self.after, settled) {
            // What was written again meanwhile is another picture.
            _ if is_rewritten => Ok(true),
            (AfterVerdict::Keep, _) | (_, Settled::Failed) => Ok(false),
            _ if !is_as_it_was(file) => Ok(true),
            _ if self.lies_elsewhere(&file.path) => Err(format!(
                "{}: a link leads to it in another folder, from which nothing is taken; it stays, and is not inspected again",
                file.path.display()
            )),
            _ => self.take_away(file).map(|()| true).map_err(|text| {
                let mut state = self.lock();
                if state.stuck.len() < STUCK {
                    state.stuck.push(file.clone());
                }
                format!("{text}; it stays, is not inspected again, and this is tried again every minute")
            }),
        };
        let place = self.place(&file.path);
        let mut state = self.lock();
        if let Err(text) = &cleared {
            state.report(&self.telemetry, text);
        }
        // What stays is remembered, so that it is not inspected over and over.
        if cleared != Ok(true)
            && let Some(Err(error)) = state.seen.as_mut().map(|seen| seen.add(place, file.stamp))
        {
            state.cannot_write(&self.telemetry, &error);
        }
        state.pending.remove(&place);
    }

    /// Moves or deletes a file that was inspected.
    fn take_away(&self, file: &DropFile) -> Result<(), String> {
        match &self.after {
            AfterVerdict::Keep => Ok(()),
            AfterVerdict::MoveTo(folder) => move_file(&file.path, folder, self.inside(&file.path)),
            AfterVerdict::Delete => std::fs::remove_file(&file.path)
                .map_err(|error| format!("{}: cannot be deleted: {error}", file.path.display())),
        }
    }

    /// Tries again what could not be moved or deleted, and reports how much is left.
    pub(super) fn try_again(&self) {
        let stuck = std::mem::take(&mut self.lock().stuck);
        let (mut left, mut first) = (Vec::new(), None);
        for file in stuck.into_iter().filter(is_as_it_was) {
            match self.take_away(&file) {
                Ok(()) => {}
                Err(text) => {
                    first.get_or_insert(text);
                    left.push(file);
                }
            }
        }
        let mut state = self.lock();
        state.stuck.splice(..0, left);
        let count = state.stuck.len();
        if let Some(first) = first.filter(|_| count != state.reported_stuck) {
            let text = format!("{count} pictures were inspected and could not be taken away, the first: {first}");
            self.telemetry.report_count("frame", &text, count as u64);
        }
        state.reported_stuck = count;
    }

    /// Whether a link below the folder leads to the folder of a file, which is somebody else's then.
    fn lies_elsewhere(&self, file: &Path) -> bool {
        let real = |folder: &Path| folder.canonicalize().ok();
        let (Some(own), Some(parent)) = (real(&self.folder), file.parent().and_then(real)) else { return false };
        !parent.starts_with(own)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Consistent after every statement.
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let dropped = std::mem::take(&mut *self.lock_dropped());
        dropped.iter().for_each(|file| state.leave(self.place(&file.path), file.stamp));
        state
    }

    fn lock_dropped(&self) -> MutexGuard<'_, Vec<DropFile>> {
        self.dropped.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// The verdict on a file is not kept.
    fn leave(&mut self, place: Place, stamp: Stamp) {
        self.pending.remove(&place);
        if !self.rewritten.remove(&place) {
            self.unkept.insert(place, stamp);
        }
    }

    /// Reports the first trouble, the tenth, the hundredth and so on.
    fn report(&mut self, telemetry: &Telemetry, text: &str) {
        if let Some(count) = self.troubles.add() {
            telemetry.report_count("frame", text, count);
        }
    }

    fn cannot_write(&mut self, telemetry: &Telemetry, error: &io::Error) {
        let path = self.path.display();
        let text = format!("{path}: cannot write which files were inspected: {error}; after a restart they are again");
        self.report(telemetry, &text);
    }
}

fn is_as_it_was(file: &DropFile) -> bool {
    std::fs::metadata(&file.path).is_ok_and(|metadata| Stamp::of(&metadata) == file.stamp)
}
