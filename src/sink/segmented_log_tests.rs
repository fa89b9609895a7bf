use super::*;

const LAYOUTS: [Layout; 2] = [Layout::Numbered, Layout::Stamped("events")];
const BUDGET: u64 = 4 << 10;

fn line(number: u64) -> String {
    format!("{{\"record\":\"a\",\"number\":{number}}}")
}

fn append(log: &mut SegmentedLog, number: u64) {
    let line = line(number);
    if log.is_full_for(&line) {
        log.rotate("{\"record\":\"header\"}\n").unwrap();
    }
    log.append(&line).unwrap();
    for id in log.beyond(log.budget - log.segment_bytes()) {
        log.remove(id).unwrap();
    }
}

/// All lines but the headers.
fn lines(log: &SegmentedLog) -> Vec<String> {
    let texts = log.segments().map(|segment| {
        let text = fs::read_to_string(log.path(segment.id)).unwrap();
        assert_eq!(text.len() as u64, segment.length);
        text
    });
    texts.collect::<String>().lines().filter(|line| !line.contains("header")).map(String::from).collect()
}

#[test]
fn either_layout_keeps_the_newest_lines_in_order_within_the_budget() {
    for layout in LAYOUTS {
        let folder = tempfile::tempdir().unwrap();
        let (mut log, _) = SegmentedLog::open(folder.path(), layout, BUDGET).unwrap();
        for number in 0..1000 {
            append(&mut log, number);
            let bytes: u64 = log.segments().map(|segment| segment.length).sum();
            assert!(bytes <= BUDGET, "{layout:?} {number}: {bytes}");
        }
        let kept = lines(&log);
        let first = 1000 - kept.len() as u64;
        assert_eq!(kept, (first..1000).map(line).collect::<Vec<_>>(), "{layout:?}");
        assert_eq!(log.segments().count() as u64, SEGMENTS, "{layout:?}");
        // What is on the disk is the log, nothing more.
        let segments: Vec<Segment> = log.segments().collect();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), segments.len(), "{layout:?}");
        drop(log);
        let (log, repairs) = SegmentedLog::open(folder.path(), layout, BUDGET).unwrap();
        assert_eq!((log.segments().collect::<Vec<_>>(), repairs), (segments, Repairs::default()), "{layout:?}");
    }
}

#[test]
fn a_partial_line_is_cut_off_and_the_log_goes_on() {
    for layout in LAYOUTS {
        let folder = tempfile::tempdir().unwrap();
        let (mut log, _) = SegmentedLog::open(folder.path(), layout, BUDGET).unwrap();
        append(&mut log, 0);
        let path = log.path(log.active().unwrap().id);
        std::io::Write::write_all(&mut OpenOptions::new().append(true).open(path).unwrap(), b"{\"numb").unwrap();
        let (mut log, repairs) = SegmentedLog::open(folder.path(), layout, BUDGET).unwrap();
        assert_eq!(repairs, Repairs { cut: 6, moved: None }, "{layout:?}");
        append(&mut log, 1);
        assert_eq!(lines(&log), [line(0), line(1)], "{layout:?}");
    }
}

#[test]
fn a_segment_that_others_deleted_counts_as_removed() {
    for layout in LAYOUTS {
        let folder = tempfile::tempdir().unwrap();
        let (mut log, _) = SegmentedLog::open(folder.path(), layout, BUDGET).unwrap();
        (0..100).for_each(|number| append(&mut log, number));
        let oldest = log.segments().next().unwrap().id;
        fs::remove_file(log.path(oldest)).unwrap();
        log.remove(oldest).unwrap();
        assert!(log.segments().all(|segment| segment.id != oldest));
    }
}

#[test]
fn only_files_of_a_layout_are_its_segments() {
    let names = [
        ("0000000007.jsonl", Layout::Numbered, Some(7)),
        ("+000000007.jsonl", Layout::Numbered, None),
        ("00000007.jsonl", Layout::Numbered, None),
        ("acked", Layout::Numbered, None),
        ("events-20261121T040000123Z.jsonl", Layout::Stamped("events"), Some(20_261_121_040_000_123)),
        ("events-of-mine.jsonl", Layout::Stamped("events"), None),
        ("events.jsonl", Layout::Stamped("events"), None),
        ("0000000007.jsonl", Layout::Stamped("events"), None),
    ];
    for (name, layout, id) in names {
        assert_eq!(layout.id_of(name), id, "{name}");
        assert!(id.is_none_or(|id| layout.file_name(id) == name), "{name}");
    }
}

#[test]
fn a_last_segment_without_a_record_is_moved_aside_and_a_link_is_refused() {
    for layout in LAYOUTS {
        let folder = tempfile::tempdir().unwrap();
        let (mut log, _) = SegmentedLog::open(folder.path(), layout, BUDGET).unwrap();
        append(&mut log, 0);
        let path = log.path(log.active().unwrap().id);
        fs::write(&path, "notes of somebody\n").unwrap();
        let (mut log, repairs) = SegmentedLog::open(folder.path(), layout, BUDGET).unwrap();
        let moved = repairs.moved.unwrap();
        assert!(moved.to_string_lossy().starts_with(&format!("{}.foreign-2", path.display())), "{moved:?}");
        assert_eq!(fs::read(&moved).unwrap(), b"notes of somebody\n");
        append(&mut log, 1);
        assert_eq!(lines(&log), [line(1)], "{layout:?}");
        // Of any segment, not only the last.
        drop(log);
        let closed = folder.path().join(layout.file_name(20_261_121_040_000_123 % 10_000_000_000));
        std::os::unix::fs::symlink(&moved, folder.path().join(&closed)).unwrap();
        let refused = SegmentedLog::open(folder.path(), layout, BUDGET).err().unwrap();
        assert!(storage::is_refusal(&refused) && refused.to_string().contains("a symbolic link"), "{refused}");
        assert_eq!(fs::read(&moved).unwrap(), b"notes of somebody\n");
    }
}
