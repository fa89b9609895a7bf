//! A drop folder: pictures that are put there one after the other, over restarts and kills.

use crate::common::{arg, config, ends, eventually, lineside, records, refuse, root, signal};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

struct Scene {
    folder: tempfile::TempDir,
    configuration: PathBuf,
}

impl Scene {
    /// With more keys of `[source.folder]`.
    fn new(keys: &str) -> Scene {
        let folder = tempfile::tempdir().unwrap();
        let (drop, results) = (folder.path().join("drop"), folder.path().join("results"));
        std::fs::create_dir(&drop).unwrap();
        let text = format!(
            "[source.folder]\npath = {drop:?}\nwatch = true\n{keys}\n[super_resolution]\nwhen = \"never\"\n[output]\nfolder = {results:?}\n"
        );
        let configuration = config(folder.path(), &text);
        Scene { folder, configuration }
    }

    fn drop(&self) -> PathBuf {
        self.folder.path().join("drop")
    }

    fn results(&self) -> PathBuf {
        self.folder.path().join("results")
    }

    /// Begins, or goes on; what it prints is added to a file.
    fn start(&self) -> Child {
        let printed = std::fs::File::options().append(true).create(true).open(self.printed_at()).unwrap();
        let mut command = lineside();
        command.args(["run", arg(&self.configuration)]);
        command.stdout(printed).stderr(Stdio::null()).spawn().unwrap()
    }

    fn printed_at(&self) -> PathBuf {
        self.folder.path().join("printed")
    }

    /// How often the verdict on a picture was printed.
    fn verdicts(&self, name: &str) -> usize {
        let printed = std::fs::read_to_string(self.printed_at()).unwrap();
        printed.lines().filter(|line| line.split_whitespace().next() == Some(name)).count()
    }

    fn await_verdict(&self, name: &str) {
        eventually(name, || (self.verdicts(name) > 0).then_some(()));
    }

    /// Uploads a picture as FTP servers do: in pieces, under its own name.
    fn upload(&self, name: &str) {
        self.upload_part("normal/part-01.jpg", name);
    }

    fn upload_part(&self, part_name: &str, name: &str) {
        let bytes = std::fs::read(part(part_name)).unwrap();
        let path = self.drop().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        let mut file = std::fs::File::create(path).unwrap();
        for piece in bytes.chunks(bytes.len() / 3) {
            file.write_all(piece).unwrap();
            file.flush().unwrap();
        }
    }
}

fn part(name: &str) -> PathBuf {
    root().join("models/inspect-demo/frames").join(name)
}

fn stop(mut process: Child) {
    signal(&process, "TERM");
    assert!(ends(&mut process).success());
}

fn frames_of_events(results: &Path) -> Vec<String> {
    let events = records(results).into_iter().filter(|record| record["record"] == "event");
    events.map(|event| event["frame"].as_str().unwrap().to_string()).collect()
}

#[test]
fn each_picture_is_inspected_once_over_restarts() {
    let scene = Scene::new("");
    scene.upload("before.jpg");
    let process = scene.start();
    scene.await_verdict("before.jpg");
    scene.upload("2026/11/28/during.jpg");
    scene.await_verdict("2026/11/28/during.jpg");
    stop(process);
    scene.upload("between.jpg");
    let process = scene.start();
    scene.await_verdict("between.jpg");
    // Whoever comes last shows that all others have had their turn.
    scene.upload("last.jpg");
    scene.await_verdict("last.jpg");
    stop(process);
    for name in ["before.jpg", "2026/11/28/during.jpg", "between.jpg", "last.jpg"] {
        assert_eq!(scene.verdicts(name), 1, "{name}");
    }
}

#[test]
fn what_systems_leave_there_is_no_picture_and_a_defect_has_its_path_in_the_record() {
    let scene = Scene::new("");
    for name in [".hidden.jpg", "@eaDir/thumb.jpg", "upload.jpg.part", "notes.txt"] {
        scene.upload(name);
    }
    scene.upload_part("defect/part-12-missing.jpg", "station-2/000.jpg");
    let process = scene.start();
    scene.await_verdict("station-2/000.jpg");
    // A camera that always writes to the same name.
    scene.upload("station-2/000.jpg");
    eventually("the second picture of that name", || (scene.verdicts("station-2/000.jpg") == 2).then_some(()));
    stop(process);
    assert_eq!(frames_of_events(&scene.results()), ["station-2/000.jpg"]);
    let stop = records(&scene.results()).pop().unwrap();
    assert_eq!((&stop["captured"], &stop["inspected"], &stop["failed"]), (&2.into(), &2.into(), &0.into()));
}

#[test]
fn pictures_are_moved_after_their_verdict_and_what_is_no_picture_stays() {
    let scene = Scene::new("after = \"move\"\nmove_to = \"MOVED\"");
    let moved = scene.folder.path().join("moved");
    let text = std::fs::read_to_string(&scene.configuration).unwrap().replace("\"MOVED\"", &format!("{moved:?}"));
    std::fs::write(&scene.configuration, text).unwrap();
    std::fs::write(scene.drop().join("broken.jpg"), "no picture").unwrap();
    scene.upload("a/1.jpg");
    // What a link leads to is somebody else's: inspected, and left where it is.
    let elsewhere = scene.folder.path().join("elsewhere");
    std::fs::create_dir(&elsewhere).unwrap();
    std::fs::copy(part("normal/part-02.jpg"), elsewhere.join("2.jpg")).unwrap();
    std::os::unix::fs::symlink(&elsewhere, scene.drop().join("link")).unwrap();
    let process = scene.start();
    eventually("the move", || moved.join("a/1.jpg").exists().then_some(()));
    scene.await_verdict("a/1.jpg");
    scene.await_verdict("link/2.jpg");
    stop(process);
    assert!(!scene.drop().join("a/1.jpg").exists() && scene.drop().join("broken.jpg").exists());
    assert!(elsewhere.join("2.jpg").exists() && !moved.join("link").exists());
    let stop = records(&scene.results()).pop().unwrap();
    assert_eq!((&stop["captured"], &stop["inspected"], &stop["failed"]), (&3.into(), &2.into(), &1.into()));
}

/// Two lines would inspect each picture twice, and write into one file of records.
#[test]
fn a_second_line_with_the_same_results_is_refused() {
    let scene = Scene::new("");
    scene.upload("1.jpg");
    let first = scene.start();
    scene.await_verdict("1.jpg");
    refuse(&["run", arg(&scene.configuration)], 1, &["results: another line writes its results there"]);
    scene.upload("2.jpg");
    scene.await_verdict("2.jpg");
    stop(first);
    // It is no lock that stays.
    let again = scene.start();
    scene.upload("3.jpg");
    scene.await_verdict("3.jpg");
    stop(again);
}

#[test]
fn a_kill_loses_no_picture() {
    let scene = Scene::new("after = \"delete\"\nsettle_s = 0.0");
    let names: Vec<String> = (0..40).map(|i| format!("{i:02}.jpg")).collect();
    names.iter().for_each(|name| scene.upload_part("defect/part-12-missing.jpg", name));
    let left = || std::fs::read_dir(scene.drop()).unwrap().count();
    // Killed in the middle, four times.
    for goal in [32, 24, 16, 8] {
        let mut process = scene.start();
        eventually("some verdicts", || (left() <= goal).then_some(()));
        process.kill().unwrap();
        process.wait().unwrap();
    }
    let process = scene.start();
    eventually("the rest", || (left() == 0).then_some(()));
    stop(process);
    let events = frames_of_events(&scene.results());
    for name in names {
        assert!(events.contains(&name), "{name} was deleted before its verdict was recorded");
    }
}

#[test]
fn a_folder_that_vanishes_is_waited_for() {
    let scene = Scene::new("");
    scene.upload("1.jpg");
    let process = scene.start();
    scene.await_verdict("1.jpg");
    let away = scene.folder.path().join("away");
    std::fs::rename(scene.drop(), &away).unwrap();
    eventually("the report", || {
        let text = std::fs::read_to_string(scene.results().join("events.jsonl")).unwrap();
        text.contains("it is looked for until it is back").then_some(())
    });
    std::fs::rename(&away, scene.drop()).unwrap();
    scene.upload("2.jpg");
    scene.await_verdict("2.jpg");
    stop(process);
    assert_eq!(scene.verdicts("1.jpg"), 1);
}
