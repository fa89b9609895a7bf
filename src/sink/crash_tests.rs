//! Every change of the disk that records, the broker's queue and pictures make fails once, in each way, and a power cut comes after
//! each of them: what was promised is there when they are opened again.

use super::{RunLog, write_durably};
use crate::storage::faults::{DiskState, Fault, FaultyDisk, Operation, crash_states};
use crate::telemetry::Record;
use rustix::io::Errno;
use std::fs;
use std::path::Path;

const FAULTS: [Fault; 3] = [Fault::Error(Errno::IO), Fault::Error(Errno::NOSPC), Fault::Short];
/// Records of a scenario.
const RECORDS: u64 = 10;
/// Small enough for several segments, large enough to delete none.
const BUDGET: u64 = 4 << 10;

/// After how many operations a number was promised to be on the disk.
type Promises = Vec<(usize, u64)>;

/// What a power cut may leave after each operation, in a folder of its own. `check` gets the folder and how many of the operations
/// came before.
fn after_every_crash(
    folder: &Path,
    operations: &[Operation],
    only_last: bool,
    mut check: impl FnMut(&Path, usize),
) -> usize {
    let mut states = 0;
    for count in if only_last { operations.len() } else { 0 }..=operations.len() {
        for state in crash_states(&operations[..count]) {
            let there = tempfile::tempdir().unwrap();
            put(&state, folder, there.path());
            check(there.path(), count);
            states += 1;
        }
    }
    states
}

fn put(state: &DiskState, from: &Path, to: &Path) {
    for (path, content) in state {
        let path = to.join(path.strip_prefix(from).unwrap());
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
}

/// All that was promised is there, in order, and nothing between that was never written.
fn assert_kept(found: &[u64], promised: impl Iterator<Item = u64>, what: &str) {
    assert!(found.windows(2).all(|pair| pair[0] < pair[1]), "{what}: {found:?}");
    assert!(found.last().is_none_or(|last| *last < RECORDS), "{what}: {found:?}");
    promised.for_each(|number| assert!(found.contains(&number), "{what}: {number} is missing in {found:?}"));
}

fn write_records(folder: &Path, disk: &FaultyDisk) -> Promises {
    let mut promises = Vec::new();
    let Ok((mut log, _)) = RunLog::begin(folder, BUDGET, Record::info("start").with("version", "1")) else {
        return promises;
    };
    for number in 0..RECORDS {
        let record = Record::info("event").with("number", number).with("text", "x".repeat(80));
        if log.append(&record).is_ok() {
            promises.push((disk.recorded(), number));
        }
    }
    promises
}

/// The numbers in the records of a folder after the next start; every line is a record, and the first of each file a start.
fn records_after_start(folder: &Path, what: &str) -> Vec<u64> {
    let disk = FaultyDisk::new();
    let (_log, trouble) = RunLog::begin(folder, BUDGET, Record::info("start")).unwrap();
    assert!(trouble.is_none(), "{what}: {trouble:?}");
    drop(disk);
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        // A file whose length was stored and nothing else is not recognised as ours.
        let is_empty = || fs::read(&path).unwrap().iter().all(|byte| *byte == 0);
        assert!(path.extension().is_some_and(|ending| ending == "jsonl") || is_empty(), "{what}: {path:?}");
    }
    let files = super::record_files(folder).unwrap();
    let lines = files.iter().flat_map(|path| {
        let text = fs::read_to_string(path).unwrap();
        text.lines().map(String::from).collect::<Vec<_>>()
    });
    let records = lines.map(|line| serde_json::from_str::<serde_json::Value>(&line).unwrap());
    records.filter_map(|record| record["number"].as_u64()).collect()
}

#[test]
fn records_survive_a_power_cut_after_any_change() {
    let folder = tempfile::tempdir().unwrap();
    let disk = FaultyDisk::new();
    let promises = write_records(folder.path(), &disk);
    let operations = disk.operations();
    drop(disk);
    assert_eq!(promises.len() as u64, RECORDS);
    let renames = operations.iter().filter(|operation| matches!(operation, Operation::Rename { .. })).count();
    assert!(renames >= 4, "files are closed meanwhile");
    let states = after_every_crash(folder.path(), &operations, false, |there, count| {
        let what = format!("after {count}: {:?}", operations.get(count.saturating_sub(1)));
        let found = records_after_start(there, &what);
        assert_eq!(found, (0..found.len() as u64).collect::<Vec<_>>(), "{what}");
        assert_kept(&found, promises.iter().filter(|(at, _)| *at <= count).map(|(_, number)| *number), &what);
    });
    assert!(states > 100, "{states}");
}

#[test]
fn records_survive_a_failure_of_any_change_and_a_power_cut_at_the_end() {
    let changes = {
        let (folder, disk) = (tempfile::tempdir().unwrap(), FaultyDisk::new());
        write_records(folder.path(), &disk);
        disk.changes()
    };
    for (change, fault) in (0..changes).flat_map(|change| FAULTS.map(|fault| (change, fault))) {
        let folder = tempfile::tempdir().unwrap();
        let disk = FaultyDisk::new();
        disk.fail_at(change, fault);
        let promises = write_records(folder.path(), &disk);
        let operations = disk.operations();
        drop(disk);
        let what = format!("{fault:?} at {change}");
        assert!(promises.len() as u64 >= RECORDS - 1, "{what}: more than one record was lost: {promises:?}");
        after_every_crash(folder.path(), &operations, true, |there, _| {
            let found = records_after_start(there, &what);
            assert_kept(&found, promises.iter().map(|(_, number)| *number), &what);
        });
    }
}

#[test]
fn a_file_that_is_replaced_is_the_old_or_the_new_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.png");
    let contents = [b"the old picture".repeat(1000), b"the new picture".repeat(1500)];
    let write = |content: &[u8]| write_durably(&path, |out| out.write_all(content));
    let disk = FaultyDisk::new();
    let promises: Vec<usize> = contents
        .iter()
        .map(|content| {
            write(content).unwrap();
            disk.recorded()
        })
        .collect();
    let operations = disk.operations();
    drop(disk);
    after_every_crash(folder.path(), &operations, false, |there, count| {
        super::durable::remove_unfinished(there).unwrap();
        let found = fs::read(there.join("a.png")).ok();
        let which = contents.iter().position(|content| found.as_ref() == Some(content));
        assert!(found.is_none() || which.is_some(), "a part of a file after {count}");
        let promised = promises.iter().filter(|at| **at <= count).count();
        assert!(which.map_or(0, |which| which + 1) >= promised, "{count}: {which:?} of {promised}");
        assert!(fs::read_dir(there).unwrap().count() <= 1);
    });
    // A failure leaves the old one, and nothing else.
    let changes = operations.len() / 2;
    for (change, fault) in (0..changes).flat_map(|change| FAULTS.map(|fault| (change, fault))) {
        fs::write(&path, &contents[0]).unwrap();
        let disk = FaultyDisk::new();
        disk.fail_at(change, fault);
        let written = write(&contents[1]);
        let found = fs::read(&path).unwrap();
        if written.is_ok() {
            assert_eq!(found, contents[1], "{fault:?} at {change}");
        }
        assert!(
            contents.contains(&found) && fs::read_dir(folder.path()).unwrap().count() == 1,
            "{fault:?} at {change}"
        );
    }
}

#[cfg(feature = "mqtt")]
mod queue {
    use super::*;
    use crate::sink::mqtt::Spool;

    /// What a scenario left: what was promised, and after how many operations what was acknowledged.
    fn push_and_send(folder: &Path, disk: &FaultyDisk) -> (Promises, Promises) {
        let (mut promises, mut acknowledged) = (Vec::new(), Vec::new());
        let Ok((mut spool, _)) = Spool::open(folder, BUDGET) else { return (promises, acknowledged) };
        let mut in_memory = Vec::new();
        for number in 0..RECORDS {
            in_memory.push(number);
            if spool.push(line(number)).is_ok() {
                promises.extend(in_memory.drain(..).map(|number| (disk.recorded(), number)));
            }
            // Some are on their way for a while, and one connection breaks.
            if number % 3 == 2 {
                let out: Vec<(u64, u64)> =
                    std::iter::from_fn(|| spool.next()).map(|(t, line)| (t, number_of(&line))).collect();
                for (ticket, number) in &out[..out.len() / 2] {
                    acknowledged.push((disk.recorded(), *number));
                    spool.acknowledge(*ticket);
                }
                spool.rewind();
            }
        }
        (promises, acknowledged)
    }

    fn line(number: u64) -> String {
        format!("{{\"record\":\"event\",\"number\":{number},\"text\":\"{}\"}}", "x".repeat(80))
    }

    fn number_of(line: &str) -> u64 {
        serde_json::from_str::<serde_json::Value>(line).unwrap()["number"].as_u64().unwrap()
    }

    fn check(there: &Path, promised: &[u64], acknowledged: &[u64], what: &str) {
        let disk = FaultyDisk::new();
        let (mut spool, trouble) = Spool::open(there, BUDGET).unwrap();
        assert!(trouble.is_none(), "{what}: {trouble:?}");
        let found: Vec<u64> = std::iter::from_fn(|| spool.next()).map(|(_, line)| number_of(&line)).collect();
        let expected = promised.iter().filter(|number| !acknowledged.contains(number));
        assert_kept(&found, expected.copied(), what);
        assert_eq!((spool.dropped(), spool.take_damaged()), (0, 0), "{what}");
        drop((spool, disk));
    }

    #[test]
    fn the_queue_survives_a_power_cut_after_any_change() {
        let folder = tempfile::tempdir().unwrap();
        let disk = FaultyDisk::new();
        let (promises, acknowledged) = push_and_send(folder.path(), &disk);
        let operations = disk.operations();
        drop(disk);
        assert_eq!(promises.len() as u64, RECORDS);
        let states = after_every_crash(folder.path(), &operations, false, |there, count| {
            let by_then = |all: &Promises| {
                all.iter().filter(|(at, _)| *at <= count).map(|(_, number)| *number).collect::<Vec<_>>()
            };
            let what = format!("after {count}: {:?}", operations.get(count.saturating_sub(1)));
            check(there, &by_then(&promises), &by_then(&acknowledged), &what);
        });
        assert!(states > 100, "{states}");
    }

    #[test]
    fn the_queue_survives_a_failure_of_any_change_and_a_power_cut_at_the_end() {
        let changes = {
            let (folder, disk) = (tempfile::tempdir().unwrap(), FaultyDisk::new());
            push_and_send(folder.path(), &disk);
            disk.changes()
        };
        for (change, fault) in (0..changes).flat_map(|change| FAULTS.map(|fault| (change, fault))) {
            let folder = tempfile::tempdir().unwrap();
            let disk = FaultyDisk::new();
            disk.fail_at(change, fault);
            let (promises, acknowledged) = push_and_send(folder.path(), &disk);
            let operations = disk.operations();
            drop(disk);
            let what = format!("{fault:?} at {change}");
            let numbers = |all: &Promises| all.iter().map(|(_, number)| *number).collect::<Vec<_>>();
            // What the disk did not take at once it took with the next record.
            let promised = numbers(&promises);
            assert!(promised.len() as u64 >= RECORDS - 1, "{what}: {promised:?}");
            after_every_crash(folder.path(), &operations, true, |there, _| {
                check(there, &promised, &numbers(&acknowledged), &what);
            });
        }
    }
}
