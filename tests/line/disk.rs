//! The disk is full or read-only while the line runs: inspection goes on, and results are written again as soon as they can be.
//! `check` reports it beforehand. The disk is a file system in memory that only the program sees, which takes root.

use crate::common::{HANGS, arg, config, ends, has, lineside, signal, text};
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Whether a process may mount file systems of its own: that takes root.
fn may_mount() -> bool {
    has("unshare", &["--mount", "mount", "-t", "tmpfs", "tmpfs", "/mnt"])
}

/// The program with a file system of its own at `results`.
fn with_disk(results: &Path, options: &str, fill: bool, arguments: &[&str]) -> Command {
    let fill = if fill { "head -c 100M /dev/zero > \"$0/ballast\" 2> /dev/null;" } else { "" };
    let script = format!("mount -t tmpfs -o {options} tmpfs \"$0\" && {{ {fill} exec \"$@\"; }}");
    let program = lineside();
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", &script, arg(results)]).arg(program.get_program()).args(arguments);
    command.current_dir(crate::common::root()).env_remove("LINESIDE_LOG").env_remove("LINESIDE_BUNDLES");
    command
}

struct Line {
    process: Child,
    results: PathBuf,
    verdicts: Arc<Mutex<usize>>,
    log: Arc<Mutex<String>>,
}

impl Line {
    fn start(results: &Path, options: &str, fill: bool, config: &Path) -> Line {
        let mut command = with_disk(results, options, fill, &["run", arg(config)]);
        let mut process = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (verdicts, log) = <(Arc<Mutex<usize>>, Arc<Mutex<String>>)>::default();
        let (lines, count) = (BufReader::new(process.stdout.take().unwrap()).lines(), Arc::clone(&verdicts));
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                *count.lock().unwrap() += usize::from(line.contains("  score "));
            }
        });
        let (lines, text) = (BufReader::new(process.stderr.take().unwrap()).lines(), Arc::clone(&log));
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                *text.lock().unwrap() += &(line + "\n");
            }
        });
        Line { process, results: results.into(), verdicts, log }
    }

    /// The folder of results, as the program sees it.
    fn folder(&self) -> PathBuf {
        Path::new("/proc")
            .join(self.process.id().to_string())
            .join("root")
            .join(self.results.strip_prefix("/").unwrap())
    }

    fn pictures(&self) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(self.folder()).unwrap().map(|entry| entry.unwrap().path());
        entries.filter(|path| path.extension().is_some_and(|ending| ending == "png")).collect()
    }

    fn until(&self, what: &str, happened: impl Fn() -> bool) {
        let begun = Instant::now();
        while !happened() {
            assert!(begun.elapsed() < HANGS, "it hangs: {what}\n{}", self.log.lock().unwrap());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn log_says(&self, what: &str) {
        self.until(what, || self.log.lock().unwrap().contains(what));
    }

    /// Frames are inspected while the disk is as it is now.
    fn goes_on(&self) {
        let count = || *self.verdicts.lock().unwrap();
        let before = count();
        self.until("more verdicts", || count() - before >= 30);
    }

    /// Others fill the disk; pictures make way as long as there are any.
    fn fill(&self) {
        let ballast = self.folder().join("ballast");
        self.until("a full disk", || {
            let mut file = std::fs::OpenOptions::new().append(true).create(true).open(&ballast).unwrap();
            while std::io::Write::write_all(&mut file, &[0; 4096]).is_ok() {}
            self.log.lock().unwrap().contains("No space left on device")
        });
    }

    /// A command where the program is.
    fn inside(&self, arguments: &[&str]) {
        let id = self.process.id().to_string();
        let output = Command::new("nsenter").args(["--mount", "--target", &id]).args(arguments).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", text(&output.stderr));
    }

    /// Stops it; returns the records that it left.
    fn stop(mut self) -> Vec<Result<serde_json::Value, String>> {
        // Its file system lives as long as this.
        let folder = File::open(self.folder()).unwrap();
        signal(&self.process, "TERM");
        ends(&mut self.process);
        let text = std::fs::read_to_string(format!("/proc/self/fd/{}/events.jsonl", folder.as_raw_fd())).unwrap();
        text.lines().map(|line| serde_json::from_str(line).map_err(|_| line.to_string())).collect()
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Every frame counts as a defect, which leaves a picture.
fn defects(folder: &Path, results: &Path) -> PathBuf {
    config(
        folder,
        &format!(
            "[source.pattern]\nwidth = 160\nheight = 120\nfps = 20.0\n[super_resolution]\nwhen = \"never\"\n\
             [anomaly]\nthreshold = 0.0\n[output]\nfolder = {results:?}\nkeep_free = \"0 B\"\n"
        ),
    )
}

fn places() -> (tempfile::TempDir, PathBuf, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let results = folder.path().join("results");
    std::fs::create_dir(&results).unwrap();
    let path = defects(folder.path(), &results);
    (folder, results, path)
}

#[test]
fn a_disk_that_fills_up_stops_no_inspection() {
    if !may_mount() {
        return;
    }
    let (_folder, results, path) = places();
    let line = Line::start(&results, "size=1m", false, &path);
    line.until("pictures", || !line.pictures().is_empty());
    line.fill();
    line.goes_on();
    // Nothing half-written has a picture's name, and nothing of it stays.
    for picture in line.pictures() {
        // Deleted since to make room.
        let Ok(file) = File::open(&picture) else { continue };
        let file = BufReader::new(file);
        let mut reader = png::Decoder::new(file).read_info().unwrap();
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        reader.next_frame(&mut pixels).unwrap();
    }
    // Somebody makes room; from then on pictures and records are written again.
    let full = line.pictures();
    std::fs::remove_file(line.folder().join("ballast")).unwrap();
    line.until("new pictures", || line.pictures().iter().any(|picture| !full.contains(picture)));
    line.goes_on();
    let events = line.stop();
    // What did not fit is not there in part.
    assert!(events.iter().all(Result::is_ok), "{events:?}");
    assert!(events.len() > 20);
}

#[test]
fn a_disk_that_cannot_be_written_any_more_stops_no_inspection() {
    if !may_mount() {
        return;
    }
    let (_folder, results, path) = places();
    let line = Line::start(&results, "size=50m", false, &path);
    line.until("pictures", || !line.pictures().is_empty());
    // What a failing card becomes: nothing can be made in the folder any more.
    line.inside(&["mount", "-t", "tmpfs", "-o", "ro", "tmpfs", arg(&results)]);
    line.log_says("Read-only file system");
    line.goes_on();
    line.inside(&["umount", arg(&results)]);
    let before = line.pictures().len();
    line.until("new pictures", || line.pictures().len() > before);
    let log = Arc::clone(&line.log);
    let events = line.stop();
    assert!(events.iter().all(Result::is_ok), "{events:?}");
    assert!(log.lock().unwrap().contains("record=stop "));
}

#[test]
fn a_run_begins_on_a_disk_that_is_full_or_read_only() {
    if !may_mount() {
        return;
    }
    let (_folder, results, path) = places();
    let line = Line::start(&results, "size=1m", true, &path);
    line.log_says("No space left on device");
    line.goes_on();
    std::fs::remove_file(line.folder().join("ballast")).unwrap();
    line.until("pictures", || !line.pictures().is_empty());
    let events = line.stop();
    // Its start comes late, and first.
    assert_eq!(events[0].as_ref().unwrap()["record"], "start");
    assert!(events.len() > 1 && events.iter().all(Result::is_ok), "{events:?}");

    let line = Line::start(&results, "ro", false, &path);
    line.log_says("Read-only file system");
    line.goes_on();
}

#[test]
fn check_reports_results_that_cannot_be_written() {
    if !may_mount() {
        return;
    }
    let (folder, results, path) = places();
    let refused = |output: Output, parts: &[&str]| {
        let said = text(&output.stderr);
        let lines: Vec<&str> = said.lines().filter(|line| line.starts_with("lineside: ")).collect();
        assert_eq!((output.status.code(), lines.len()), (Some(1), 1), "{said}");
        parts.iter().for_each(|part| assert!(lines[0].contains(part), "{part:?} is not in {}", lines[0]));
    };
    let place = "line.toml:10: ";
    let cannot = "results: cannot write results there (output.folder): ";
    let check = |options, fill| with_disk(&results, options, fill, &["check", arg(&path)]).output().unwrap();
    refused(check("ro", false), &[place, cannot, "Read-only file system"]);
    refused(check("size=64k", true), &[place, cannot, "No space left on device"]);
    // Another user's folder.
    let mut readable = std::fs::metadata(folder.path()).unwrap().permissions();
    std::os::unix::fs::PermissionsExt::set_mode(&mut readable, 0o755);
    std::fs::set_permissions(folder.path(), readable).unwrap();
    let program = folder.path().join("lineside");
    std::fs::copy(lineside().get_program(), &program).unwrap();
    let bundles = folder.path().join("models");
    crate::common::copy_folder(&crate::common::root().join("models/inspect-demo"), &bundles.join("inspect-demo"));
    let mut other = Command::new("setpriv");
    other.args(["--reuid", "65534", "--regid", "65534", "--clear-groups"]).arg(&program).args(["check", arg(&path)]);
    refused(other.env("LINESIDE_BUNDLES", bundles).output().unwrap(), &[place, cannot, "Permission denied"]);

    let whole = check("size=10m", false);
    assert!(whole.status.success(), "{}", text(&whole.stderr));
    assert_eq!(std::fs::read_dir(&results).unwrap().count(), 0, "check leaves nothing behind");
    let nowhere = folder.path().join("not/yet/there");
    let path = defects(folder.path(), &nowhere);
    assert!(lineside().args(["check", arg(&path)]).output().unwrap().status.success());
    assert!(!nowhere.parent().unwrap().exists());
}
