//! Several tasks on one frame: which part it is, and whether that part is normal.

use crate::common::{arg, colour_bundle, config, records, refuse, succeed};
use lineside_picture::{Layout, Picture, write_png};
use std::fs::File;
use std::path::Path;

fn frame(folder: &Path, name: &str, rgb: [u8; 3]) {
    let picture = Picture::from_data(Layout::Rgb, 64, 48, rgb.repeat(64 * 48)).unwrap();
    write_png(File::create(folder.join(name)).unwrap(), &picture).unwrap();
}

fn line(folder: &Path, tasks: &str) -> std::path::PathBuf {
    let (frames, results) = (folder.join("frames"), folder.join("results"));
    config(
        folder,
        &format!(
            "[source.folder]\npath = {frames:?}\n[output]\nfolder = {results:?}\nnormal_every = 1\n\
             [super_resolution]\nwhen = \"never\"\n[engine]\nallow_float = true\n{tasks}"
        ),
    )
}

#[test]
fn a_frame_is_judged_by_the_tasks_that_its_class_asks_for_and_the_worst_decides() {
    let folder = tempfile::tempdir().unwrap();
    let (any, good) = (folder.path().join("any"), folder.path().join("good"));
    colour_bundle(&any, "");
    colour_bundle(&good, "ok = [\"red\"]\n[classify.thresholds]\ngreen = 0.2");
    std::fs::create_dir(folder.path().join("frames")).unwrap();
    let frames = folder.path().join("frames");
    frame(&frames, "1-red.png", [250, 0, 0]);
    frame(&frames, "2-green.png", [0, 250, 0]);
    frame(&frames, "3-blue.png", [0, 0, 250]);
    // Red before green, but green enough for the second task.
    frame(&frames, "4-brown.png", [250, 220, 0]);
    let tasks = format!(
        "[[task]]\nname = \"type\"\nbundle = {any:?}\n[[task]]\nname = \"paint\"\nbundle = {good:?}\nafter = \"type\"\n\
         when = [\"red\", \"green\"]\n"
    );
    let path = line(folder.path(), &tasks);
    let checked = succeed(&["check", arg(&path)]);
    assert!(checked.contains("task     paint after type says red or green: colour 1 "), "{checked}");
    succeed(&["run", arg(&path)]);
    let records = records(&folder.path().join("results"));
    let judged: Vec<_> =
        records.iter().filter(|r| ["event", "normal"].contains(&r["record"].as_str().unwrap())).collect();
    let told: Vec<(&str, &str, &str)> = judged
        .iter()
        .map(|r| (r["record"].as_str().unwrap(), r["class"].as_str().unwrap(), r["tasks"].as_str().unwrap()))
        .collect();
    let kinds: Vec<(&str, &str)> = told.iter().map(|(record, class, _)| (*record, *class)).collect();
    assert_eq!(kinds, [("normal", "red"), ("event", "green"), ("normal", "blue"), ("event", "red")], "{told:?}");
    assert!(told[1].2.starts_with("type: green 0.99") && told[1].2.contains("; paint: green 0.99"), "{told:?}");
    assert!(told[1].2.ends_with("defect 2.00"), "{told:?}");
    assert!(told[2].2.starts_with("type: blue 0.99") && !told[2].2.contains("paint"), "{told:?}");
    assert!(judged[3]["classes"].as_str().unwrap().starts_with("red 0.7"), "{}", judged[3]);
    // Each verdict can be repeated with the bundle that decided.
    let results = folder.path().join("results");
    let replayed = succeed(&["replay", arg(&results), "--bundle", arg(&any), "--bundle", arg(&good)]);
    assert!(replayed.contains("4"), "{replayed}");
}

#[test]
fn similar_frames_repeat_the_answers_of_all_tasks() {
    let folder = tempfile::tempdir().unwrap();
    let any = folder.path().join("any");
    colour_bundle(&any, "");
    let frames = folder.path().join("frames");
    std::fs::create_dir(&frames).unwrap();
    for (name, red) in [("1.png", 250), ("2.png", 249), ("3.png", 100)] {
        frame(&frames, name, [red, 0, 0]);
    }
    let tasks = format!(
        "[anomaly]\nskip_similar = 2.0\n[[task]]\nname = \"a\"\nbundle = {any:?}\n[[task]]\nname = \"b\"\nbundle = {any:?}\n"
    );
    succeed(&["run", arg(&line(folder.path(), &tasks))]);
    let records = records(&folder.path().join("results"));
    let stop = records.last().unwrap();
    assert_eq!((stop["inspected"].as_u64(), stop["skipped_similar"].as_u64()), (Some(2), Some(1)), "{stop}");
}

#[test]
fn a_condition_that_can_never_hold_is_refused_with_its_line() {
    let folder = tempfile::tempdir().unwrap();
    let any = folder.path().join("any");
    colour_bundle(&any, "");
    std::fs::create_dir(folder.path().join("frames")).unwrap();
    frame(&folder.path().join("frames"), "1.png", [9, 9, 9]);
    let tasks = format!(
        "[[task]]\nname = \"type\"\nbundle = {any:?}\n[[task]]\nname = \"paint\"\nbundle = {any:?}\nafter = \"type\"\n\
         when = [\"pink\"]\n"
    );
    let path = line(folder.path(), &tasks);
    let words = "task.when: the task \"type\" never says \"pink\", only ok, defect, red, green, blue";
    refuse(&["check", arg(&path)], 78, &[&format!("{}:", path.display()), words]);
}
