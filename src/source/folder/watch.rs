//! Looks for new files in a drop folder and says which are whole.
//!
//! A file is whole when it got its name by a rename, or when its size and time of change stand still for a while. The kernel reports
//! changes (`changes.rs`), so that a look costs nothing where nothing happens; of a share it reports nothing that others do, so the
//! folder is walked through from time to time as well, and often once that has found what was not reported.

use super::changes::Changes;
use super::ledger::{DropFile, Ledger};
use super::passed_over::PassedOver;
use super::picture_list::walk;
use super::seen::{MOST, Stamp};
use crate::telemetry::Telemetry;
use std::collections::{HashMap, HashSet};
use std::fs::Metadata;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How often the folder is walked through where changes are reported.
const WALK: Duration = Duration::from_secs(5);
/// How often where they are not.
const WALK_UNREPORTED: Duration = Duration::from_secs(1);
/// A walk may take this share of the time, so that a large folder does not keep the board busy.
const SHARE: u32 = 20;
/// An empty file is given this many times as long: many make it first and fill it later.
const PATIENCE_WITH_EMPTY: u32 = 10;
/// How long a file that is written to and not closed is no whole file, however long it stands still: a copy over a network may pause.
const PATIENCE_WITH_OPEN: Duration = Duration::from_secs(60);
/// How often files are tried again that could not be moved or deleted.
const TRY_AGAIN: Duration = Duration::from_secs(60);
/// Files that one look returns at most; the oldest.
const AT_ONCE: usize = 1000;

/// Finds the files of a drop folder that are whole and new.
pub(super) struct Watcher {
    folder: PathBuf,
    /// Folders inside that are not looked through: the line writes there.
    own: Vec<PathBuf>,
    /// How long a file must stand still.
    settle: Duration,
    ledger: Arc<Ledger>,
    changes: Changes,
    /// Whether the kernel has not reported something that happened.
    is_unreported: bool,
    next_walk: Option<Instant>,
    /// When files are tried again that could not be taken away.
    try_again: Option<Instant>,
    /// Something was reported that no walk has looked at yet.
    is_changed: bool,
    /// Files that were renamed since the last walk.
    renamed: HashSet<PathBuf>,
    /// Files that somebody writes to, and since when.
    open: HashMap<PathBuf, Instant>,
    /// When a walk may begin, so that walks take no more than their share.
    may_walk: Option<Instant>,
    /// Files that may still be written to.
    unsettled: HashMap<PathBuf, Unsettled>,
    /// What was passed over in the walk before.
    passed_over: PassedOver,
    is_full: bool,
    telemetry: Telemetry,
}

struct Unsettled {
    stamp: Stamp,
    since: Instant,
}

impl Watcher {
    /// For `folder`, but for its sub-folders `own`.
    pub(super) fn new(
        folder: PathBuf,
        own: Vec<PathBuf>,
        settle: Duration,
        ledger: Arc<Ledger>,
        telemetry: Telemetry,
    ) -> Watcher {
        Watcher {
            folder,
            own,
            settle,
            ledger,
            changes: Changes::new(),
            is_unreported: false,
            next_walk: None,
            try_again: None,
            is_changed: false,
            renamed: HashSet::new(),
            open: HashMap::new(),
            may_walk: None,
            unsettled: HashMap::new(),
            passed_over: PassedOver::default(),
            is_full: false,
            telemetry,
        }
    }

    /// The files that are whole and new, the oldest first.
    ///
    /// # Errors
    /// In one line, where the folder cannot be read; look again later.
    pub(super) fn look(&mut self, now: Instant) -> Result<Vec<DropFile>, String> {
        self.ledger.load()?;
        if now >= *self.try_again.get_or_insert(now + TRY_AGAIN) {
            self.try_again = Some(now + TRY_AGAIN);
            self.ledger.try_again();
        }
        let happened = self.changes.take();
        self.is_changed |= happened.anything;
        for path in &happened.closed {
            self.open.remove(path);
            // Also where size and time are those of the file before.
            self.ledger.was_written(path);
        }
        for path in happened.open {
            self.open.entry(path).or_insert(now);
        }
        self.renamed.extend(happened.renamed);
        let is_due = self.next_walk.is_none_or(|due| now >= due);
        let mut whole = Vec::new();
        if (self.is_changed || is_due) && self.may_walk.is_none_or(|then| now >= then) {
            let begun = Instant::now();
            let found =
                self.walk(now, &mut whole).map_err(|text| format!("{text}: it is looked for until it is back"))?;
            // The first walk finds what was there before.
            if found && !self.is_changed && self.next_walk.is_some() && !self.changes.take().anything {
                self.is_unreported = true;
            }
            self.is_changed = false;
            let share = begun.elapsed() * SHARE;
            let every = if self.is_unreported { WALK_UNREPORTED } else { WALK };
            (self.may_walk, self.next_walk) = (Some(now + share), Some(now + every.max(share)));
        }
        self.look_at_unsettled(now, &mut whole);
        whole.sort_by(|a, b| (a.stamp.changed, &a.path).cmp(&(b.stamp.changed, &b.path)));
        let later = whole.split_off(whole.len().min(AT_ONCE));
        for file in later {
            let since = now.checked_sub(self.settle * PATIENCE_WITH_EMPTY).unwrap_or(now);
            self.unsettled.insert(file.path, Unsettled { stamp: file.stamp, since });
        }
        for file in &whole {
            self.ledger.begin(file);
        }
        Ok(whole)
    }

    /// Walks through the folder. Files that are new and were renamed are whole, others may not be; returns whether there are any.
    fn walk(&mut self, now: Instant, whole: &mut Vec<DropFile>) -> Result<bool, String> {
        let mut passed_over = PassedOver::default();
        let (mut found, mut is_full) = (false, false);
        let renamed = std::mem::take(&mut self.renamed);
        let Watcher { ledger, unsettled, changes, .. } = self;
        let mut take = |path: PathBuf, metadata: Option<Metadata>| {
            // What is gone by now, or cannot be looked at, may be there the next time.
            let Some(stamp) = metadata.as_ref().map(Stamp::of) else { return };
            if unsettled.contains_key(&path) || !ledger.is_new(&path, stamp) {
                return;
            }
            if !ledger.has_room_for(&path) {
                is_full = true;
                return;
            }
            found = true;
            if renamed.contains(&path) {
                whole.push(DropFile { path, stamp });
            } else {
                unsettled.insert(path, Unsettled { stamp, since: now });
            }
        };
        walk(&self.folder, &self.own, &mut passed_over, &mut |folder| changes.watch(folder), &mut take)?;
        self.report(passed_over);
        self.make_room(is_full)?;
        Ok(found)
    }

    /// Moves the files that have stood still long enough to `whole`.
    fn look_at_unsettled(&mut self, now: Instant, whole: &mut Vec<DropFile>) {
        let Watcher { unsettled, settle, ledger, open, .. } = self;
        // Whoever never closes a file is not waited for: what stands still is whole then.
        open.retain(|_, since| now.saturating_duration_since(*since) < PATIENCE_WITH_OPEN.max(*settle));
        unsettled.retain(|path, unsettled| {
            // What is gone was taken away before it was whole, or renamed.
            let Ok(metadata) = std::fs::metadata(path) else { return false };
            // A copy may have its whole size from the beginning, and pause.
            if open.contains_key(path) {
                return true;
            }
            let stamp = Stamp::of(&metadata);
            if stamp != unsettled.stamp {
                *unsettled = Unsettled { stamp, since: now };
            }
            let patience = if stamp.size == 0 { *settle * PATIENCE_WITH_EMPTY } else { *settle };
            let is_whole = now.saturating_duration_since(unsettled.since) >= patience;
            if is_whole && ledger.is_new(path, stamp) {
                whole.push(DropFile { path: path.clone(), stamp });
            }
            !is_whole
        });
    }

    /// Reports what was passed over, where that is more than the time before.
    fn report(&mut self, passed_over: PassedOver) {
        if passed_over != self.passed_over && passed_over.count() >= self.passed_over.count() {
            passed_over.report(&self.folder, &self.telemetry);
        }
        self.passed_over = passed_over;
    }

    /// Forgets files that are gone, where there are too many to be remembered; reports once where that does not suffice.
    fn make_room(&mut self, is_full: bool) -> Result<(), String> {
        if is_full && !self.is_full {
            let mut there = HashSet::new();
            let mut take = |path: PathBuf, _: Option<Metadata>| _ = there.insert(self.ledger.place(&path));
            walk(&self.folder, &self.own, &mut PassedOver::default(), &mut |_| {}, &mut take)?;
            self.ledger.keep_only(&there);
            let text = format!(
                "{}: more than {MOST} pictures were inspected and stay, new ones are not inspected before others are taken away: \
                 set source.folder.after to \"move\" or \"delete\"",
                self.folder.display(),
            );
            if there.len() >= MOST {
                self.telemetry.report_once("frame", &text);
            }
        }
        self.is_full = is_full;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::after::AfterVerdict;
    use super::*;
    use crate::source::receipt::Settled;
    use std::path::Path;

    /// A drop folder whose time is the test's.
    struct Scene {
        folder: tempfile::TempDir,
        output: tempfile::TempDir,
        ledger: Arc<Ledger>,
        watcher: Watcher,
        now: Instant,
    }

    impl Scene {
        fn new(after: AfterVerdict) -> Scene {
            let (folder, output) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
            let (ledger, watcher) = start(folder.path(), output.path(), after);
            Scene { folder, output, ledger, watcher, now: Instant::now() }
        }

        fn restart(&mut self, after: AfterVerdict) {
            (self.ledger, self.watcher) = start(self.folder.path(), self.output.path(), after);
        }

        fn put(&self, name: &str, content: &[u8]) -> PathBuf {
            let path = self.folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, content).unwrap();
            path
        }

        /// The names of the files that are whole when so many milliseconds have passed.
        fn after_ms(&mut self, ms: u64) -> Vec<String> {
            self.look(ms).iter().map(|file| self.ledger.inside(&file.path).display().to_string()).collect()
        }

        fn look(&mut self, ms: u64) -> Vec<DropFile> {
            self.now += Duration::from_millis(ms);
            // However long a walk took on this machine.
            self.watcher.may_walk = None;
            self.watcher.look(self.now).unwrap()
        }

        /// Gives every file that is whole within ten seconds its verdict.
        fn inspect_all(&mut self) -> usize {
            let files = [self.look(0), self.look(2_000), self.look(8_000)].concat();
            files.iter().for_each(|file| self.ledger.receipt(file.clone()).settle(Settled::Recorded));
            files.len()
        }
    }

    fn start(folder: &Path, output: &Path, after: AfterVerdict) -> (Arc<Ledger>, Watcher) {
        let telemetry = Telemetry::default();
        let ledger = Ledger::new(folder.into(), after, output.join("inspected"), telemetry.clone());
        let ledger = Arc::new(ledger);
        let settle = Duration::from_secs(1);
        (Arc::clone(&ledger), Watcher::new(folder.into(), Vec::new(), settle, ledger, telemetry))
    }

    #[test]
    fn a_file_is_whole_once_its_size_stands_still() {
        let mut scene = Scene::new(AfterVerdict::Keep);
        assert!(scene.after_ms(0).is_empty());
        let path = scene.put("a.png", b"1");
        assert!(scene.after_ms(100).is_empty() && scene.after_ms(900).is_empty());
        std::fs::write(&path, b"12").unwrap();
        assert!(scene.after_ms(100).is_empty() && scene.after_ms(900).is_empty());
        assert_eq!(scene.after_ms(100), ["a.png"]);
        assert!(scene.after_ms(10_000).is_empty(), "it is being inspected");
    }

    #[test]
    fn a_renamed_file_is_whole_at_once() {
        let mut scene = Scene::new(AfterVerdict::Keep);
        assert!(scene.after_ms(0).is_empty());
        let part = scene.put("a.png.part", b"1");
        assert!(scene.after_ms(2_000).is_empty());
        std::fs::rename(part, scene.folder.path().join("a.png")).unwrap();
        assert_eq!(scene.after_ms(1), ["a.png"]);
    }

    #[test]
    fn an_empty_file_is_given_time_and_sub_folders_are_looked_through() {
        let mut scene = Scene::new(AfterVerdict::Keep);
        assert!(scene.after_ms(0).is_empty());
        scene.put("2026/11/empty.png", b"");
        scene.put("2026/11/full.png", b"1");
        assert!(scene.after_ms(0).is_empty());
        assert_eq!(scene.after_ms(1_000), ["2026/11/full.png"]);
        assert!(scene.after_ms(5_000).is_empty());
        assert_eq!(scene.after_ms(5_000), ["2026/11/empty.png"]);
    }

    #[test]
    fn a_file_is_inspected_once_and_again_where_it_is_written_again() {
        let mut scene = Scene::new(AfterVerdict::Keep);
        scene.put("latest.jpg", b"1");
        scene.put("other.jpg", b"1");
        assert_eq!(scene.inspect_all(), 2);
        assert_eq!(scene.inspect_all(), 0);
        scene.put("latest.jpg", b"other");
        assert_eq!(scene.inspect_all(), 1);
        scene.restart(AfterVerdict::Keep);
        assert_eq!(scene.inspect_all(), 0);
        scene.put("third.jpg", b"1");
        assert_eq!(scene.inspect_all(), 1);
    }

    #[test]
    fn what_cannot_be_moved_is_moved_later() {
        let done = tempfile::tempdir().unwrap();
        let to = done.path().join("done");
        std::fs::write(&to, "a file in the folder's place").unwrap();
        let mut scene = Scene::new(AfterVerdict::MoveTo(to.clone()));
        let paths = ["a.png", "b.png"].map(|name| scene.put(name, b"1"));
        assert_eq!(scene.inspect_all(), 2);
        assert!(paths.iter().all(|path| path.exists()));
        std::fs::remove_file(&to).unwrap();
        assert_eq!(scene.inspect_all(), 0);
        assert!(paths.iter().all(|path| path.exists()), "not before a minute is over");
        assert!(scene.after_ms(60_000).is_empty());
        assert!(to.join("a.png").exists() && to.join("b.png").exists() && !paths[0].exists());
    }

    /// As a camera without a clock writes `last.bmp`, or a copy that keeps times.
    #[test]
    fn a_file_with_the_size_and_time_of_the_one_before_is_another() {
        for by_rename in [false, true] {
            let mut scene = Scene::new(AfterVerdict::Keep);
            assert!(scene.after_ms(0).is_empty());
            let path = scene.put("last.bmp", b"1");
            let time = std::time::UNIX_EPOCH + Duration::from_secs(1_000_000);
            let set =
                |path: &Path| std::fs::File::options().write(true).open(path).unwrap().set_modified(time).unwrap();
            set(&path);
            assert_eq!(scene.inspect_all(), 1);
            let write = |scene: &Scene, content: &[u8]| {
                let next = scene.put(if by_rename { "next" } else { "last.bmp" }, content);
                set(&next);
                std::fs::rename(&next, &path).unwrap();
            };
            write(&scene, b"2");
            assert_eq!(scene.inspect_all(), 1, "{by_rename}");
            assert_eq!(scene.inspect_all(), 0, "{by_rename}");
            // While the one before is inspected.
            write(&scene, b"3");
            let files = [scene.look(0), scene.look(2_000)].concat();
            assert_eq!(files.len(), 1);
            write(&scene, b"4");
            assert!(scene.look(0).is_empty());
            scene.ledger.receipt(files[0].clone()).settle(Settled::Recorded);
            scene.now += WALK;
            assert_eq!(scene.inspect_all(), 1, "{by_rename}");
        }
    }

    #[test]
    fn a_file_that_somebody_still_writes_to_is_not_whole() {
        let mut scene = Scene::new(AfterVerdict::Delete);
        assert!(scene.after_ms(0).is_empty());
        let half = |name: &str| {
            let mut file = std::fs::File::create(scene.folder.path().join(name)).unwrap();
            std::io::Write::write_all(&mut file, b"half").unwrap();
            file.set_len(8).unwrap();
            file
        };
        let (copy, endless) = (half("copy.bmp"), half("endless.bmp"));
        assert!(
            scene.after_ms(100).is_empty() && scene.after_ms(10_000).is_empty() && scene.after_ms(10_000).is_empty()
        );
        drop(copy);
        assert_eq!(scene.after_ms(1_000), ["copy.bmp"]);
        // Nobody is waited for without end.
        assert_eq!(scene.after_ms(60_000), ["endless.bmp"]);
        drop(endless);
    }

    #[test]
    fn what_has_no_verdict_at_the_end_is_inspected_after_the_restart() {
        for after in [AfterVerdict::Keep, AfterVerdict::Delete] {
            let mut scene = Scene::new(after.clone());
            scene.put("a.png", b"1");
            let files = [scene.look(0), scene.look(1_000)].concat();
            assert_eq!(files.len(), 1);
            drop(scene.ledger.receipt(files[0].clone()));
            assert_eq!(scene.inspect_all(), 0);
            scene.restart(after);
            assert_eq!(scene.inspect_all(), 1);
        }
    }

    #[test]
    fn files_are_moved_or_deleted_after_their_verdict_and_not_where_they_failed() {
        let done = tempfile::tempdir().unwrap();
        for after in [AfterVerdict::Delete, AfterVerdict::MoveTo(done.path().into())] {
            let mut scene = Scene::new(after.clone());
            let (good, bad) = (scene.put("sub/good.png", b"1"), scene.put("bad.png", b"2"));
            let files = [scene.look(0), scene.look(1_000)].concat();
            for file in files {
                let receipt = scene.ledger.receipt(file.clone());
                receipt.settle(if file.path == bad { Settled::Failed } else { Settled::Recorded });
            }
            assert!(bad.exists() && !good.exists());
            assert_eq!(scene.inspect_all(), 0);
            scene.restart(after.clone());
            assert_eq!(scene.inspect_all(), 0, "a file that failed stays");
        }
        assert!(done.path().join("sub/good.png").exists());
    }

    #[test]
    fn a_file_that_was_written_again_before_its_verdict_is_not_deleted() {
        let mut scene = Scene::new(AfterVerdict::Delete);
        let path = scene.put("a.png", b"1");
        let files = [scene.look(0), scene.look(1_000)].concat();
        scene.put("a.png", b"another");
        scene.ledger.receipt(files[0].clone()).settle(Settled::Recorded);
        assert!(path.exists());
        assert_eq!(scene.inspect_all(), 1);
        assert!(!path.exists());
    }

    #[test]
    fn a_folder_that_vanishes_is_an_error_until_it_is_back() {
        let mut scene = Scene::new(AfterVerdict::Keep);
        scene.put("a.png", b"1");
        assert_eq!(scene.inspect_all(), 1);
        let elsewhere = scene.output.path().join("unmounted");
        std::fs::rename(scene.folder.path(), &elsewhere).unwrap();
        scene.now += Duration::from_secs(60);
        scene.watcher.may_walk = None;
        let error = scene.watcher.look(scene.now).unwrap_err();
        assert!(error.contains("cannot read this folder"), "{error}");
        std::fs::rename(&elsewhere, scene.folder.path()).unwrap();
        scene.put("b.png", b"1");
        assert_eq!(scene.inspect_all(), 1, "what was inspected before is not inspected again");
    }

    #[test]
    fn what_the_line_writes_is_not_inspected() {
        let mut scene = Scene::new(AfterVerdict::Keep);
        let done = scene.folder.path().join("done");
        scene.watcher.own = vec![done];
        scene.put("done/a.png", b"1");
        scene.put("b.png", b"1");
        assert_eq!(scene.inspect_all(), 1);
    }

    #[test]
    fn a_large_backlog_comes_in_parts_and_in_order() {
        let mut scene = Scene::new(AfterVerdict::Delete);
        for i in 0..AT_ONCE + 5 {
            let path = scene.put(&format!("{i:04}.png"), b"1");
            let time = std::time::UNIX_EPOCH + Duration::from_secs(1_000_000 - i as u64);
            std::fs::File::options().write(true).open(path).unwrap().set_modified(time).unwrap();
        }
        assert!(scene.after_ms(0).is_empty());
        let first = scene.after_ms(1_000);
        assert_eq!((first.len(), &first[0][..]), (AT_ONCE, "1004.png"));
        let rest = scene.after_ms(0);
        assert_eq!((rest.len(), &rest[4][..]), (5, "0000.png"));
        assert!(scene.after_ms(100_000).is_empty());
    }
}
