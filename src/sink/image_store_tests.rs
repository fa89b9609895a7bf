use super::*;
use crate::storage::faults::{Fault, FaultyDisk};
use lineside_picture::Layout;
use std::collections::BTreeSet;

/// A picture whose PNG has 13.7 kB.
fn noise(seed: u64) -> Picture {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let pixels = (0..10_000).map(|_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8
    });
    Picture::from_data(Layout::Grey, 100, 100, pixels.collect()).unwrap()
}

fn at(second: i64) -> jiff::Timestamp {
    jiff::Timestamp::from_second(1_800_000_000 + second).unwrap()
}

fn limits(bytes: u64) -> StorageLimits {
    StorageLimits { bytes, keep_free: 0 }
}

/// Writes the picture of a frame as the line does.
fn add(images: &mut ImageStore, second: i64, priority: Priority, name: &str) -> String {
    let stem = match priority {
        Priority::Normal => images.normal_file_stem(at(second), name),
        _ => images.file_stem(at(second), priority, name, &[".png"]),
    };
    let name = format!("{stem}.png");
    images.write(&name, &noise(second as u64)).unwrap();
    name
}

/// All pictures, without their stamps, and their bytes.
fn pictures(folder: &Path) -> (BTreeSet<String>, u64) {
    let (mut names, mut bytes) = (BTreeSet::new(), 0);
    for place in [folder.to_path_buf(), folder.join(NORMAL)] {
        for entry in fs::read_dir(place).into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            if entry.path().is_file() && is_stamp(name.get(..LENGTH).unwrap_or_default()) {
                names.insert(name[LENGTH + 1..].trim_end_matches(".png").to_string());
                bytes += entry.metadata().unwrap().len();
            }
        }
    }
    (names, bytes)
}

#[test]
fn the_oldest_of_the_lowest_priority_are_evicted_first() {
    let folder = tempfile::tempdir().unwrap();
    let budget = 140_000;
    let mut images = ImageStore::open(folder.path(), limits(budget));
    add(&mut images, 0, Priority::Defect, "d0.jpg");
    (1..4).for_each(|second| drop(add(&mut images, second, Priority::Repeated, &format!("a{second}"))));
    (4..8).for_each(|second| drop(add(&mut images, second, Priority::Normal, &format!("n{second}"))));
    assert_eq!(pictures(folder.path()).0.len(), 8);
    let gone =
        |before: &BTreeSet<String>| -> Vec<String> { before.difference(&pictures(folder.path()).0).cloned().collect() };
    let mut order = Vec::new();
    for second in 8..30 {
        let before = pictures(folder.path()).0;
        add(&mut images, second, Priority::Defect, &format!("d{second:02}"));
        order.extend(gone(&before));
        assert!(pictures(folder.path()).1 <= budget);
    }
    let wanted = ["n4", "n5", "n6", "n7", "again-a1", "again-a2", "again-a3", "d0", "d08", "d09"];
    assert_eq!(order[..wanted.len()], wanted);
    // Of defects the newest are left, and as many as there is room for.
    let (left, bytes) = pictures(folder.path());
    assert!(left.iter().next_back().is_some_and(|name| name == "d29") && bytes > budget * 3 / 4, "{left:?}");
}

#[test]
fn what_a_crash_leaves_is_counted_and_cleared() {
    let folder = tempfile::tempdir().unwrap();
    let normal = folder.path().join(NORMAL);
    fs::create_dir(&normal).unwrap();
    let others = ["notes.png", "2026-part.png", "20261121T041500123Z.txt", ".20261121T041500123Z-half.png"];
    others.iter().for_each(|name| fs::write(folder.path().join(name), [0; 9000]).unwrap());
    // As after a power cut: a frame without its other pictures, without a record, and a file half written.
    for second in 0..600 {
        fs::write(folder.path().join(format!("{}-part.png", stamp(at(second)))), [0; 1000]).unwrap();
    }
    for half in [folder.path().join(".x.png.part"), normal.join(".y.png.part")] {
        fs::write(half, "half").unwrap();
    }
    let mut images = ImageStore::open(folder.path(), limits(100_000));
    assert!(!folder.path().join(".x.png.part").exists() && !normal.join(".y.png.part").exists());
    // A budget that has become smaller holds from the first picture on: more than one reading of the folder deletes.
    let name = add(&mut images, 1000, Priority::Normal, "new");
    let (_, bytes) = pictures(folder.path());
    assert!(bytes <= 100_000 && bytes > 80_000, "{bytes}");
    assert!(folder.path().join(name).exists(), "the picture that there was made room for");
    assert!(folder.path().join(format!("{}-part.png", stamp(at(599)))).exists(), "the newest");
    assert!(others.iter().all(|name| folder.path().join(name).exists()), "files of others");
}

/// A board without a battery begins in 1970: its new pictures look like the oldest.
#[test]
fn pictures_of_one_frame_are_not_deleted_for_each_other() {
    let folder = tempfile::tempdir().unwrap();
    let mut images = ImageStore::open(folder.path(), limits(80_000));
    (0..5).for_each(|second| drop(add(&mut images, second, Priority::Defect, &format!("d{second}"))));
    let stem = images.file_stem(jiff::Timestamp::UNIX_EPOCH, Priority::Defect, "early.png", &[".png", "-original.png"]);
    for ending in ["-original.png", ".png", "-x3.png"] {
        images.write(&format!("{stem}{ending}"), &noise(7)).unwrap();
    }
    let left = pictures(folder.path()).0;
    assert!(["early", "early-original", "early-x3"].iter().all(|name| left.contains(*name)), "{left:?}");
}

#[test]
fn a_disk_without_room_costs_no_picture_that_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let mut images = ImageStore::open(folder.path(), limits(1 << 20));
    add(&mut images, 0, Priority::Normal, "n0");
    let mut images = ImageStore::open(folder.path(), StorageLimits { bytes: 1 << 20, keep_free: 1 << 60 });
    let stem = images.file_stem(at(1), Priority::Defect, "d1", &[".png"]);
    let refused = images.write(&format!("{stem}.png"), &noise(1)).unwrap_err();
    assert!(is_full(&refused) && refused.to_string().contains("output.keep_free asks for 1.0 EiB"), "{refused}");
    assert_eq!(pictures(folder.path()).0.into_iter().collect::<Vec<_>>(), ["n0"]);
    // Others take room, and what there is of ours is enough to give it back. Again, where others gave it back meanwhile.
    for attempt in 0.. {
        let keep_free = storage::free_bytes(folder.path()).unwrap() + 4096;
        let mut images = ImageStore::open(folder.path(), StorageLimits { bytes: 1 << 20, keep_free });
        let stem = images.file_stem(at(1), Priority::Defect, &format!("d{attempt}"), &[".png"]);
        let _ = images.write(&format!("{stem}.png"), &noise(1));
        if !pictures(folder.path()).0.contains("n0") {
            break;
        }
        assert!(attempt < 30, "it stays");
    }
}

#[test]
fn a_picture_larger_than_the_budget_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let mut images = ImageStore::open(folder.path(), limits(19_000));
    let refused = images.write("20261121T041500123Z-a.png", &noise(1)).unwrap_err().to_string();
    assert!(refused.contains("output.pictures allows 18.6 KiB for all: raise it"), "{refused}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn names_hold_time_and_frame_and_are_never_taken() {
    let folder = tempfile::tempdir().unwrap();
    let mut images = ImageStore::open(folder.path(), limits(1 << 20));
    let endings = [".png", "-x3.png"];
    let mut stem = |priority| images.file_stem(at(0), priority, "línea 3.jpg", &endings);
    assert_eq!(stem(Priority::Repeated), "20270115T080000000Z-again-l_nea_3");
    assert_eq!(stem(Priority::Normal), "20270115T080000000Z-normal-l_nea_3");
    assert_eq!(stem(Priority::Defect), "20270115T080000000Z-l_nea_3");
    for (file, next) in [("-x3.png", "-2"), ("-2.png", "-3"), ("-4.png", "-3")] {
        fs::write(folder.path().join(format!("20270115T080000000Z-l_nea_3{file}")), "").unwrap();
        assert_eq!(stem(Priority::Defect), format!("20270115T080000000Z-l_nea_3{next}"));
    }
    let name = add(&mut images, 0, Priority::Normal, "a.jpg");
    assert_eq!(name, "normal/20270115T080000000Z-a.png");
    assert_eq!(add(&mut images, 0, Priority::Normal, "a.jpg"), "normal/20270115T080000000Z-a-2.png");
    // A folder that is gone has no names that are taken.
    assert_eq!(free_stem(Path::new("no/such/folder"), "a".into(), &[".png"]), "a");
}

#[test]
fn on_a_full_disk_a_new_picture_takes_the_place_of_an_old_one() {
    let folder = tempfile::tempdir().unwrap();
    let mut images = ImageStore::open(folder.path(), limits(1 << 20));
    add(&mut images, 0, Priority::Normal, "n0");
    let name = format!("{}.png", images.file_stem(at(1), Priority::Defect, "d1", &[".png"]));
    // What somebody put under the name of the unfinished file is not followed.
    let victim = folder.path().join("victim");
    fs::write(&victim, "theirs").unwrap();
    std::os::unix::fs::symlink(&victim, folder.path().join(format!(".{name}.part"))).unwrap();
    let disk = FaultyDisk::new();
    disk.fail_at(2, Fault::Short);
    images.write(&name, &noise(1)).unwrap();
    assert_eq!(pictures(folder.path()).0.into_iter().collect::<Vec<_>>(), ["d1"]);
}

#[test]
fn names_of_any_length_keep_their_pictures_apart() {
    let folder = tempfile::tempdir().unwrap();
    let mut images = ImageStore::open(folder.path(), limits(1 << 20));
    // As long as a file name may be, which differ only at the end.
    let frames = ["1", "2"].map(|end| format!("{}{end}.png", "n".repeat(250)));
    for priority in [Priority::Normal, Priority::Repeated, Priority::Defect] {
        let mut stems = BTreeSet::new();
        for frame in &frames {
            let stem = images.file_stem(at(0), priority, frame, &[".png", "-original.png"]);
            for ending in [".png", "-original.png", "-x12.png"] {
                images.write(&format!("{stem}{ending}"), &noise(1)).unwrap();
            }
            assert!(stem.contains("nnnn") && stems.insert(stem));
        }
    }
    let normal = images.normal_file_stem(at(0), &frames[0]);
    images.write(&format!("{normal}.png"), &noise(1)).unwrap();
    assert_eq!(images.file_stem(at(9), Priority::Defect, &"a".repeat(180), &[]).len(), LENGTH + 1 + 180);
}

#[test]
fn pictures_that_others_deleted_cost_none_of_the_others() {
    let folder = tempfile::tempdir().unwrap();
    // Room for four.
    let mut images = ImageStore::open(folder.path(), limits(76_000));
    (0..4).for_each(|second| drop(add(&mut images, second, Priority::Defect, &format!("d{second}"))));
    for second in 1..3 {
        let name = format!("{}-d{second}.png", stamp(at(second)));
        fs::remove_file(folder.path().join(name)).unwrap();
    }
    (4..6).for_each(|second| drop(add(&mut images, second, Priority::Defect, &format!("d{second}"))));
    let expected = ["d0", "d3", "d4", "d5"].map(String::from);
    assert_eq!(pictures(folder.path()).0, expected.into());
}

#[test]
fn a_defect_in_a_frame_that_is_called_normal_is_kept_as_a_defect() {
    let folder = tempfile::tempdir().unwrap();
    let mut images = ImageStore::open(folder.path(), limits(60_000));
    for name in ["normal-1.png", "again-1.png"] {
        add(&mut images, 0, Priority::Defect, name);
    }
    for second in 1..10 {
        add(&mut images, second, Priority::Repeated, "x.png");
    }
    let kept = pictures(folder.path()).0;
    assert!(kept.contains("_normal-1") && kept.contains("_again-1"), "{kept:?}");
}
