use super::super::queue::MARK;
use super::*;
use crate::sink::checksum::with_checksum;
use crate::sink::segmented_log::SEGMENTS;
use crate::storage::faults::{Fault, FaultyDisk};
use rustix::io::Errno;

const BUDGET: u64 = 8 << 10;

fn open(folder: &Path) -> Spool {
    let (spool, trouble) = Spool::open(folder, BUDGET).unwrap();
    assert!(trouble.is_none(), "{trouble:?}");
    spool
}

fn record(number: u64) -> String {
    format!("{{\"record\":\"event\",\"id\":\"{number}\"}}")
}

fn push(spool: &mut Spool, numbers: std::ops::Range<u64>) {
    for number in numbers {
        spool.push(record(number)).unwrap();
    }
}

/// What is handed out next, all of it, by number.
fn rest(spool: &mut Spool) -> Vec<u64> {
    let mut numbers = Vec::new();
    while let Some((_, line)) = spool.next() {
        let value: serde_json::Value = serde_json::from_str(&line).unwrap();
        numbers.push(value["id"].as_str().unwrap().parse().unwrap());
    }
    numbers
}

fn bytes(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    entries.filter(|entry| entry.file_name() != MARK).map(|entry| entry.metadata().unwrap().len()).sum()
}

#[test]
fn what_is_not_acknowledged_is_there_after_any_end() {
    let folder = tempfile::tempdir().unwrap();
    let mut spool = open(folder.path());
    push(&mut spool, 0..60);
    for _ in 0..25 {
        let (ticket, _) = spool.next().unwrap();
        spool.acknowledge(ticket);
    }
    // On their way when the process ends.
    assert!(spool.next().is_some() && spool.next().is_some());
    assert_eq!(spool.left(), 35);
    drop(spool);
    let mut spool = open(folder.path());
    assert_eq!(spool.left(), 35);
    assert_eq!(rest(&mut spool), (25..60).collect::<Vec<_>>());
    // A connection that breaks.
    spool.rewind();
    assert_eq!(rest(&mut spool), (25..60).collect::<Vec<_>>());
    assert_eq!(spool.dropped(), 0);
}

#[test]
fn what_was_acknowledged_leaves_the_disk_and_numbers_go_on() {
    let folder = tempfile::tempdir().unwrap();
    for round in 0..5 {
        let mut spool = open(folder.path());
        assert_eq!(spool.left(), 0);
        push(&mut spool, round * 1000..round * 1000 + 150);
        for number in 0..150 {
            let (ticket, line) = spool.next().unwrap();
            assert_eq!(line, record(round * 1000 + number));
            spool.acknowledge(ticket);
        }
        assert!(spool.next().is_none());
        assert_eq!((spool.left(), spool.dropped()), (0, 0));
        assert!(bytes(folder.path()) <= BUDGET / SEGMENTS, "{}", bytes(folder.path()));
    }
}

#[test]
fn acknowledgements_in_any_order_forget_only_what_has_none_before_it() {
    let folder = tempfile::tempdir().unwrap();
    let mut spool = open(folder.path());
    push(&mut spool, 0..4);
    let tickets: Vec<u64> = (0..3).map(|_| spool.next().unwrap().0).collect();
    spool.acknowledge(tickets[1]);
    spool.acknowledge(tickets[2]);
    assert_eq!(spool.left(), 4);
    spool.acknowledge(tickets[0]);
    assert_eq!(spool.left(), 1);
    spool.acknowledge(99);
    assert_eq!(rest(&mut spool), [3]);
}

#[test]
fn over_the_budget_the_oldest_go_and_are_counted_also_over_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let mut spool = open(folder.path());
    // Some are on their way while they are given up.
    push(&mut spool, 0..10);
    let tickets: Vec<u64> = (0..10).map(|_| spool.next().unwrap().0).collect();
    push(&mut spool, 10..1000);
    assert!(bytes(folder.path()) <= BUDGET, "{}", bytes(folder.path()));
    assert_eq!(spool.left() + spool.dropped(), 1000);
    let dropped = spool.dropped();
    tickets.into_iter().for_each(|ticket| spool.acknowledge(ticket));
    assert_eq!(spool.dropped(), dropped);
    drop(spool);
    let mut spool = open(folder.path());
    assert_eq!(spool.dropped(), dropped);
    spool.mark_dropped_reported(dropped);
    assert_eq!(rest(&mut spool), (dropped..1000).collect::<Vec<_>>());
    drop(spool);
    assert_eq!(open(folder.path()).dropped(), 0);
}

#[test]
fn a_power_cut_leaves_whole_records_wherever_it_comes() {
    let folder = tempfile::tempdir().unwrap();
    let mut spool = open(folder.path());
    push(&mut spool, 0..6);
    for _ in 0..2 {
        let (ticket, _) = spool.next().unwrap();
        spool.acknowledge(ticket);
    }
    drop(spool);
    let mut paths = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path());
    let path = paths.find(|path| path.extension().is_some()).unwrap();
    let (whole, mark) = (std::fs::read(&path).unwrap(), std::fs::read(folder.path().join(MARK)).unwrap());
    let ends: Vec<usize> = (0..whole.len()).filter(|&at| whole[at] == b'\n').map(|at| at + 1).collect();
    for cut in 0..=whole.len() {
        for zeros in [0, 50] {
            std::fs::write(&path, [&whole[..cut], &vec![0; zeros]].concat()).unwrap();
            std::fs::write(folder.path().join(MARK), &mark).unwrap();
            // A record that lacks nothing but its line end, or its checksum, is whole.
            let is_whole = |end: usize| end <= cut || zeros == 0 && (end == cut + 1 || end == cut + 10);
            let there = ends.iter().filter(|&&end| is_whole(end)).count() as u64;
            // A mark behind the end is not believed, so that nothing is passed over; then the first two come twice.
            let first = if there > 2 || there == 2 && ends[1] <= cut + 1 { 2 } else { 0 };
            assert_eq!(rest(&mut open(folder.path())), (first..there).collect::<Vec<_>>(), "{cut}");
        }
    }
    // A mark that is old, empty, cut or rubbish sends again and never passes over.
    std::fs::write(&path, &whole).unwrap();
    let place = String::from_utf8(mark.clone()).unwrap();
    let inside_a_line = place.replacen(&format!("{:020} ", ends[1]), &format!("{:020} ", ends[1] + 3), 1);
    assert_ne!(place, inside_a_line);
    let old_inside_a_line = &inside_a_line.as_bytes()[..62];
    let far = with_checksum(&format!("{:020} {:020} {:020}", 1, 9_999, 0));
    let flipped = place.replacen('1', "9", 1);
    for rubbish in [
        &b""[..],
        &mark[..30],
        &[0; 63],
        b"\xff\xfe",
        inside_a_line.as_bytes(),
        old_inside_a_line,
        far.as_bytes(),
        flipped.as_bytes(),
    ] {
        std::fs::write(folder.path().join(MARK), rubbish).unwrap();
        assert_eq!(rest(&mut open(folder.path())), (0..6).collect::<Vec<_>>(), "{rubbish:?}");
    }
}

#[test]
fn one_process_has_it() {
    let folder = tempfile::tempdir().unwrap();
    let first = open(folder.path());
    let error = Spool::open(folder.path(), BUDGET).err().unwrap();
    assert_eq!(error.to_string(), "another process uses it");
    drop(first);
    open(folder.path());
}

#[test]
fn where_the_disk_takes_nothing_the_last_records_wait_in_memory_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("spool");
    std::fs::write(&place, "in the way").unwrap();
    let (mut spool, trouble) = Spool::open(&place, BUDGET).unwrap();
    assert!(trouble.is_some());
    for number in 0..100 {
        assert!(spool.push(record(number)).is_err());
    }
    assert_eq!((spool.left(), spool.dropped()), (IN_MEMORY as u64, 36));
    // They go from memory, too.
    let (ticket, line) = spool.next().unwrap();
    assert_eq!(line, record(36));
    spool.acknowledge(ticket);
    assert_eq!(rest(&mut spool), (37..100).collect::<Vec<_>>());
    // As soon as the disk takes something, all is on it, also what is on its way.
    std::fs::remove_file(&place).unwrap();
    spool.push(record(100)).unwrap();
    assert!(!spool.has_memory() && bytes(&place) > 0);
    assert_eq!(rest(&mut spool), [100]);
    spool.rewind();
    spool.push(record(101)).unwrap();
    assert_eq!(rest(&mut spool), (37..102).collect::<Vec<_>>());
    assert_eq!(spool.dropped(), 36);
}

#[test]
fn a_disk_that_is_full_for_a_while_changes_no_order() {
    let folder = tempfile::tempdir().unwrap();
    let mut spool = open(folder.path());
    push(&mut spool, 0..5);
    let disk = FaultyDisk::new();
    disk.fail_always(Some(Fault::Error(Errno::NOSPC)));
    for number in 5..10 {
        assert_eq!(spool.push(record(number)).unwrap_err().kind(), io::ErrorKind::StorageFull);
    }
    assert_eq!(rest(&mut spool), (0..10).collect::<Vec<_>>(), "what is on the disk goes first");
    spool.rewind();
    disk.fail_always(None);
    push(&mut spool, 10..12);
    assert!(spool.memory.is_empty());
    drop(spool);
    assert_eq!(rest(&mut open(folder.path())), (0..12).collect::<Vec<_>>());
}

#[test]
fn a_file_that_cannot_be_read_any_more_is_not_in_the_way() {
    let folder = tempfile::tempdir().unwrap();
    let mut spool = open(folder.path());
    push(&mut spool, 0..80);
    let mut paths: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    std::fs::remove_file(&paths[1]).unwrap();
    let came = rest(&mut spool);
    assert_eq!(came.len() as u64 + spool.dropped(), 80);
    assert!(spool.dropped() > 0 && came.is_sorted() && came.last() == Some(&79), "{came:?}");
}

#[test]
fn a_last_file_that_cannot_be_read_any_more_is_followed_by_a_new_one() {
    let folder = tempfile::tempdir().unwrap();
    let mut spool = open(folder.path());
    push(&mut spool, 0..80);
    let mut paths: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some());
    paths.sort();
    std::fs::remove_file(paths.last().unwrap()).unwrap();
    let came = rest(&mut spool);
    assert_eq!(came.len() as u64 + spool.dropped(), 80);
    push(&mut spool, 80..90);
    assert_eq!(rest(&mut spool), (80..90).collect::<Vec<_>>());
    drop(spool);
    let expected = [came, (80..90).collect()].concat();
    assert_eq!(rest(&mut open(folder.path())), expected);
}

#[test]
fn after_one_full_disk_all_is_on_the_disk_again_also_while_records_are_on_their_way() {
    for fault in [Fault::Error(Errno::NOSPC), Fault::Short] {
        let folder = tempfile::tempdir().unwrap();
        let mut spool = open(folder.path());
        push(&mut spool, 0..3);
        let disk = FaultyDisk::new();
        disk.fail_always(Some(fault));
        assert!(spool.push(record(3)).is_err() && spool.push(record(4)).is_err());
        // All are in flight, as with a broker that is connected, and more come before the first is acknowledged.
        let tickets: Vec<u64> = std::iter::from_fn(|| spool.next()).map(|(ticket, _)| ticket).collect();
        assert_eq!(tickets.len(), 5);
        disk.fail_always(None);
        spool.push(record(5)).unwrap();
        assert!(!spool.has_memory());
        assert_eq!(spool.left(), 6);
        let (last, line) = spool.next().unwrap();
        assert_eq!((line, spool.next()), (record(5), None), "nothing is handed out twice");
        tickets[..4].iter().for_each(|ticket| spool.acknowledge(*ticket));
        assert_eq!(spool.left(), 2);
        drop(spool);
        let mut spool = open(folder.path());
        assert_eq!(rest(&mut spool), [4, 5]);
        spool.acknowledge(last);
    }
}

#[test]
fn a_disk_that_has_room_again_gets_what_is_in_memory_without_a_new_record() {
    let folder = tempfile::tempdir().unwrap();
    let mut spool = open(folder.path());
    let disk = FaultyDisk::new();
    disk.fail_always(Some(Fault::Error(Errno::NOSPC)));
    assert!(spool.push(record(0)).is_err() && spool.has_memory());
    assert!(spool.write_memory().is_err());
    disk.fail_always(None);
    spool.write_memory().unwrap();
    drop(spool);
    assert_eq!(rest(&mut open(folder.path())), [0]);
}

#[test]
fn a_damaged_record_is_passed_over_and_counted_and_one_of_an_older_version_is_read() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("0000000001.jsonl"), record(0) + "\n" + &record(1) + "\n").unwrap();
    let mut spool = open(folder.path());
    push(&mut spool, 2..5);
    drop(spool);
    let path = folder.path().join("0000000001.jsonl");
    let text = std::fs::read_to_string(&path).unwrap();
    let line = with_checksum(&record(3));
    // Other digits, and a byte that is no text.
    for damage in [line.replacen("\"3\"", "\"8\"", 1).into_bytes(), [&[0xff], &line.as_bytes()[1..]].concat()] {
        let at = text.find(&line).unwrap();
        let damaged = [&text.as_bytes()[..at], &damage, &text.as_bytes()[at + line.len()..]].concat();
        std::fs::write(&path, damaged).unwrap();
        let mut spool = open(folder.path());
        assert_eq!(rest(&mut spool), [0, 1, 2, 4]);
        assert_eq!((spool.take_damaged(), spool.take_damaged(), spool.dropped()), (1, 0, 0));
    }
}

#[test]
fn what_only_the_record_file_has_is_enqueued_at_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let lines = |numbers: std::ops::Range<u64>| numbers.map(record).collect::<Vec<_>>();
    let mut spool = open(folder.path());
    // A broker that was never there before does not get the records of years.
    assert_eq!(spool.reconcile(&lines(0..50)).unwrap(), 0);
    push(&mut spool, 50..55);
    // Whatever was acknowledged, and in whatever order the two were written.
    for (written, missing) in
        [(52..55, vec![]), (54..58, vec![55, 56, 57]), (50..57, vec![]), (57..61, vec![58, 59, 60])]
    {
        while let Some((ticket, _)) = spool.next() {
            spool.acknowledge(ticket);
        }
        drop(spool);
        spool = open(folder.path());
        assert_eq!(spool.reconcile(&lines(written)).unwrap(), missing.len() as u64);
        assert_eq!(rest(&mut spool), missing);
        spool.rewind();
    }
}

#[test]
fn links_in_the_queue_are_refused_by_name() {
    for name in [MARK, "0000000003.jsonl", ""] {
        let folder = tempfile::tempdir().unwrap();
        let (place, victim) = (folder.path().join("mqtt"), folder.path().join("victim"));
        std::fs::write(&victim, "theirs").unwrap();
        if name.is_empty() {
            std::os::unix::fs::symlink(folder.path(), &place).unwrap();
        } else {
            std::fs::create_dir(&place).unwrap();
            std::os::unix::fs::symlink(&victim, place.join(name)).unwrap();
        }
        let refused = Spool::open(&place, BUDGET).err().unwrap().to_string();
        assert!(refused.contains(name) && refused.contains("a symbolic link"), "{refused}");
        assert_eq!(std::fs::read(&victim).unwrap(), b"theirs");
    }
}
