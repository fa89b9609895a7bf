use super::super::queue::MARK;
use super::*;
use crate::sink::segmented_log::SEGMENTS;

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
        push(&mut spool, round * 1000..round * 1000 + 200);
        for number in 0..200 {
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
            let there = ends.iter().filter(|&&end| end <= cut).count() as u64;
            // A mark behind the end is not believed, so that nothing is passed over; then the first two come twice.
            let first = if there >= 2 { 2 } else { 0 };
            assert_eq!(rest(&mut open(folder.path())), (first..there).collect::<Vec<_>>(), "{cut}");
        }
    }
    // A mark that is old, empty, cut or rubbish sends again and never passes over.
    std::fs::write(&path, &whole).unwrap();
    let place = String::from_utf8(mark.clone()).unwrap();
    let inside_a_line = place.replacen(&format!("{:020} ", ends[1]), &format!("{:020} ", ends[1] + 3), 1);
    assert_ne!(place, inside_a_line);
    for rubbish in [&b""[..], &mark[..30], &[0; 63], b"\xff\xfe", inside_a_line.as_bytes()] {
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
    // What is on its way is not written behind what follows it.
    std::fs::remove_file(&place).unwrap();
    spool.push(record(100)).unwrap();
    assert_eq!(rest(&mut spool), [100]);
    spool.rewind();
    spool.push(record(101)).unwrap();
    assert!(bytes(&place) > 0);
    assert_eq!(rest(&mut spool), (37..102).collect::<Vec<_>>());
    assert_eq!(spool.dropped(), 36);
}

#[test]
fn a_disk_that_is_full_for_a_while_changes_no_order() {
    let folder = tempfile::tempdir().unwrap();
    let mut spool = open(folder.path());
    push(&mut spool, 0..5);
    let full = std::fs::OpenOptions::new().append(true).open("/dev/full").unwrap();
    spool.disk.as_mut().unwrap().log.replace_writer(Some(full));
    for number in 5..10 {
        assert_eq!(spool.push(record(number)).unwrap_err().kind(), io::ErrorKind::StorageFull);
    }
    assert_eq!(rest(&mut spool), (0..10).collect::<Vec<_>>(), "what is on the disk goes first");
    spool.rewind();
    spool.disk.as_mut().unwrap().log.replace_writer(None);
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
