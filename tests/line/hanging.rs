//! A disk that hangs, a terminal that was stopped, a pipe that nobody reads: inspection and alarm go on, what cannot be kept is
//! counted, and a stop ends in order. A small preloaded library makes the disk hang: whoever syncs a file waits as long as a file
//! of the test's exists.

use crate::common::{HANGS, arg, config, ends, eventually, has, lineside, records, signal};
use lineside::bundle::Bundle;
use lineside::field::Interval;
use lineside::pipeline::{Inspection, Pipeline, Report, Reporter, RunEnd, RunObserver, Shutdown, Status};
use lineside::sink::Signal;
use lineside::source::PatternSource;
use lineside::task::{Judge, Tasks};
use lineside::telemetry::{Cause, Telemetry};
use lineside::times::HANGING_WRITER;
use std::fs::File;
use std::io::{PipeReader, PipeWriter, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

/// Counts the verdicts that the alarm saw.
#[derive(Clone, Default)]
struct Alarm(Arc<AtomicU64>);

impl Signal for Alarm {
    fn verdict(&mut self, _: bool, _: Instant) {
        self.0.fetch_add(1, Relaxed);
    }

    fn tick(&mut self, _: Instant) {}
}

/// Hangs in its first verdict until it is released, or for ever.
struct Disk {
    release: Receiver<()>,
    verdicts: u64,
}

impl Reporter for Disk {
    fn verdict(&mut self, _: &Report) -> bool {
        if self.verdicts == 0 {
            let _ = self.release.recv();
        }
        self.verdicts += 1;
        true
    }

    fn failed(&mut self, _: &str, _: Cause, _: &str) {}
}

/// Releases the disk when the alarm has seen so many verdicts meanwhile, and ends the run after as many more.
struct Watcher {
    alarm: Alarm,
    release: Option<Sender<()>>,
    alive: u64,
}

impl RunObserver for Watcher {
    fn status(&mut self, _: &Status, _: &Interval) {}

    fn poll(&mut self, status: &Status, alive: bool, shutdown: &Shutdown) {
        let verdicts = self.alarm.0.load(Relaxed);
        if verdicts < MEANWHILE {
            self.alive += u64::from(alive);
            assert!(status.unrecorded + status.unprinted <= status.counts.inspected);
        } else if verdicts < 2 * MEANWHILE {
            self.release = None;
        } else {
            shutdown.ask();
        }
    }
}

const MEANWHILE: u64 = 100;

fn run(
    release: Receiver<()>,
    fps: Option<f64>,
    frames: Option<u64>,
    observer: &mut dyn RunObserver,
    alarm: &(impl Signal + Clone + 'static),
) -> (RunEnd, Option<Disk>) {
    let bundle = Bundle::open(&crate::common::root().join("models/inspect-demo")).unwrap();
    let pipeline = Pipeline {
        // Every frame is kept: a part of them as defects, the others as normal frames.
        source: Box::new(PatternSource::new(160, 120, 1, 3, fps, None)),
        inspection: Inspection {
            tasks: Tasks::one("anomaly", Judge::new(&bundle, None, 1).unwrap()),
            shadows: Vec::new(),
            trials: Vec::new(),
            enlargement: None,
            skip_similar: 0.0,
            normal_every: 1,
            signals: vec![Box::new(alarm.clone())],
            viewer: None,
            results: None,
            products: None,
            smaller: None,
        },
        frames,
        shedding: Arc::default(),
        telemetry: Telemetry::default(),
    };
    pipeline.run(&Shutdown::default(), Disk { release, verdicts: 0 }, observer)
}

#[test]
fn no_verdict_and_no_alarm_waits_for_a_disk_that_hangs_and_the_counts_are_exact() {
    let (alarm, (release, released)) = (Alarm::default(), channel());
    let mut watcher = Watcher { alarm: alarm.clone(), release: Some(release), alive: 0 };
    let (ending, disk) = run(released, Some(100.0), None, &mut watcher, &alarm);
    let status = ending.status;
    assert!(ending.failure.is_none() && status.counts.inspected >= 2 * MEANWHILE);
    // What waited was written when it worked again, everything else was counted.
    assert_eq!(disk.unwrap().verdicts + status.unrecorded, status.counts.inspected);
    assert!(status.unrecorded >= MEANWHILE - 10, "{status:?}");
    assert!(status.waiting == 0 && watcher.alive > 0, "{status:?}");
}

/// Inspection that takes longer for a frame than a hanging disk is waited for, as on a slow board: the writer has nothing to do
/// meanwhile, which is no hanging disk. Found by a reload on the emulated board, which ended the service.
#[test]
fn a_stop_waits_for_the_last_frame_of_a_slow_board_and_writes_it() {
    /// The last stage of a frame's inspection, before the verdict goes to the writer.
    #[derive(Clone)]
    struct Slow(Shutdown);
    impl Signal for Slow {
        fn verdict(&mut self, _: bool, _: Instant) {
            self.0.ask();
            std::thread::sleep(HANGING_WRITER + HANGING_WRITER / 2);
        }

        fn tick(&mut self, _: Instant) {}
    }
    struct Asks(Shutdown);
    impl RunObserver for Asks {
        fn status(&mut self, _: &Status, _: &Interval) {}

        fn poll(&mut self, _: &Status, _: bool, shutdown: &Shutdown) {
            if self.0.is_asked() {
                shutdown.ask();
            }
        }
    }
    let (asked, (release, released)) = (Shutdown::default(), channel());
    drop(release);
    let (ending, disk) = run(released, Some(100.0), None, &mut Asks(asked.clone()), &Slow(asked));
    let status = ending.status;
    assert_eq!((disk.map(|disk| disk.verdicts), status.unrecorded), (Some(status.counts.inspected), 0), "{status:?}");
}

#[test]
fn frames_that_can_wait_do() {
    struct Patient(Sender<()>, u64);
    impl RunObserver for Patient {
        fn status(&mut self, _: &Status, _: &Interval) {}

        fn poll(&mut self, status: &Status, alive: bool, shutdown: &Shutdown) {
            // All reports are with the writer, and still everybody is alive.
            self.1 += u64::from(alive && status.waiting >= 4);
            match self.1 {
                20.. if status.counts.inspected >= 30 => shutdown.ask(),
                20 => drop(self.0.send(())),
                _ => {}
            }
        }
    }
    let (alarm, (release, released)) = (Alarm::default(), channel());
    let (ending, disk) = run(released, None, None, &mut Patient(release, 0), &alarm);
    assert_eq!((disk.unwrap().verdicts, ending.status.unrecorded), (ending.status.counts.inspected, 0));
}

#[test]
fn the_end_of_the_source_waits_for_a_slow_disk() {
    /// Releases the disk long after the last frame: a stop would not wait so long.
    struct Patient(Option<Sender<()>>, u32);
    impl RunObserver for Patient {
        fn status(&mut self, _: &Status, _: &Interval) {}

        fn poll(&mut self, status: &Status, _: bool, _: &Shutdown) {
            self.1 += u32::from(status.waiting == 3);
            if self.1 == 3 * (HANGING_WRITER.as_millis() / 20) as u32 {
                self.0 = None;
            }
        }
    }
    let (alarm, (release, released)) = (Alarm::default(), channel());
    let (ending, disk) = run(released, None, Some(3), &mut Patient(Some(release), 0), &alarm);
    assert_eq!((disk.unwrap().verdicts, ending.status.unrecorded, ending.reason), (3, 0, "frame limit"));
}

#[test]
fn a_stop_does_not_wait_for_a_disk_that_hangs() {
    struct Impatient;
    impl RunObserver for Impatient {
        fn status(&mut self, _: &Status, _: &Interval) {}

        fn poll(&mut self, status: &Status, _: bool, shutdown: &Shutdown) {
            if status.waiting >= 4 {
                shutdown.ask();
            }
        }
    }
    for fps in [Some(100.0), None] {
        let (alarm, (_release, released)) = (Alarm::default(), channel());
        let (ending, disk) = run(released, fps, None, &mut Impatient, &alarm);
        assert!(disk.is_none() && ending.failure.is_none());
        assert_eq!(ending.status.unrecorded, ending.status.counts.inspected, "{fps:?}");
    }
}

const SHIM: &str = r#"
#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>
static int hang(long number, int file) {
    while (access(getenv("TEST_HANG"), F_OK) == 0) usleep(10000);
    return syscall(number, file);
}
int fsync(int file) { return hang(SYS_fsync, file); }
int fdatasync(int file) { return hang(SYS_fdatasync, file); }
"#;

/// The program on a line whose every frame is a defect, with a status page; and the file that makes its disk hang.
struct Line {
    process: Child,
    results: PathBuf,
    hang: PathBuf,
    /// How often the watchdog was fed.
    fed: Arc<AtomicU64>,
    port: u16,
}

impl Line {
    /// `None` where there is no C compiler.
    fn start(folder: &Path, fps: &str, configure: impl FnOnce(&mut Command)) -> Option<Line> {
        let (source, library, hang) = (folder.join("hang.c"), folder.join("hang.so"), folder.join("hangs"));
        std::fs::write(&source, SHIM).unwrap();
        if !has("cc", &["-shared", "-fPIC", "-O1", "-o", arg(&library), arg(&source)]) {
            return None;
        }
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let results = folder.join("results");
        let text = format!(
            "[source.pattern]\nwidth = 160\nheight = 120\n{fps}\n[output]\nfolder = {results:?}\n[anomaly]\nthreshold = 0.0\n\
             [super_resolution]\nwhen = \"never\"\n[status_page]\nlisten = \"127.0.0.1:{port}\"\n"
        );
        let address = folder.join("notify");
        let manager = UnixDatagram::bind(&address).unwrap();
        let fed = Arc::<AtomicU64>::default();
        let count = Arc::clone(&fed);
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(length) = manager.recv(&mut bytes) {
                let feedings = bytes[..length].windows(10).filter(|part| part == b"WATCHDOG=1").count();
                count.fetch_add(feedings as u64, Relaxed);
            }
        });
        let mut command = lineside();
        command.args(["run", arg(&config(folder, &text))]).env("LD_PRELOAD", &library).env("TEST_HANG", &hang);
        command.env("NOTIFY_SOCKET", &address).env("WATCHDOG_USEC", "10000000");
        command.stdout(Stdio::null()).stderr(Stdio::null());
        configure(&mut command);
        let process = command.spawn().unwrap();
        Some(Line { process, results, hang, fed, port })
    }

    /// A number of the page's metrics.
    fn metric(&self, name: &str) -> Option<u64> {
        let mut page = TcpStream::connect(("127.0.0.1", self.port)).ok()?;
        page.set_read_timeout(Some(HANGS)).ok()?;
        write!(page, "GET /metrics HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nConnection: close\r\n\r\n", self.port).ok()?;
        let mut answer = String::new();
        page.read_to_string(&mut answer).ok()?;
        let line = answer.lines().find(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(' ')))?;
        line.rsplit(' ').next()?.parse().ok()
    }

    /// Waits until a number has grown to at least `least`.
    fn reaches(&self, name: &str, least: u64) -> u64 {
        eventually(name, || self.metric(name).filter(|number| *number >= least))
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.hang);
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

const DEFECTS: &str = "lineside_defects_total";
const UNRECORDED: &str = "lineside_unrecorded_total";

#[test]
fn a_line_goes_on_while_its_disk_hangs_and_everything_is_whole_afterwards() {
    let folder = tempfile::tempdir().unwrap();
    let Some(mut line) = Line::start(folder.path(), "fps = 20.0", |_| {}) else { return };
    line.reaches(DEFECTS, 5);
    File::create(&line.hang).unwrap();
    let before = line.reaches(UNRECORDED, 1);
    let fed = line.fed.load(Relaxed);
    let defects = line.metric(DEFECTS).unwrap();
    line.reaches(DEFECTS, defects + 100);
    let unrecorded = line.reaches(UNRECORDED, before + 50);
    assert!(line.fed.load(Relaxed) >= fed + 2, "the watchdog was not fed");
    std::fs::remove_file(&line.hang).unwrap();
    let events = || records(&line.results).iter().filter(|record| record["record"] == "event").count();
    let written = events();
    eventually("more events", || (events() >= written + 10).then_some(()));
    signal(&line.process, "TERM");
    assert!(ends(&mut line.process).success());
    let events = events() as u64;
    let records = records(&line.results);
    let stop = records.last().unwrap();
    assert_eq!(stop["record"], "stop");
    let count = |key: &str| stop[key].as_u64().unwrap();
    assert!(count("unrecorded") >= unrecorded);
    assert_eq!(events + count("unrecorded"), count("defects"));
    // Every event has its pictures.
    for event in records.iter().filter(|record| record["record"] == "event") {
        for file in ["annotated", "original"] {
            let name = event["files"][file].as_str().unwrap();
            assert!(line.results.join(name).is_file(), "{event}");
        }
    }
    let told = records.iter().filter(|record| record["record"] == "fault" && record["fault"] == "disk");
    assert!(told.filter(|record| record["state"] == "begin").count() >= 1, "{records:?}");
}

#[test]
fn a_signal_ends_a_line_whose_disk_hangs() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    let to_file = |command: &mut Command| {
        command.stderr(File::create(&log).unwrap());
    };
    // Live, and with frames that can wait.
    for fps in ["fps = 20.0", ""] {
        let _ = std::fs::remove_dir_all(folder.path().join("results"));
        let _ = std::fs::remove_file(folder.path().join("notify"));
        let Some(mut line) = Line::start(folder.path(), fps, to_file) else { return };
        let defects = line.reaches(DEFECTS, 5);
        File::create(&line.hang).unwrap();
        if fps.is_empty() {
            // It comes to a rest, with everything in its hands.
            let mut last = defects;
            eventually("a rest", || {
                std::thread::sleep(Duration::from_millis(300));
                let now = line.metric(DEFECTS)?;
                (std::mem::replace(&mut last, now) == now).then_some(())
            });
        } else {
            line.reaches(UNRECORDED, 1);
        }
        signal(&line.process, "TERM");
        assert!(ends(&mut line.process).success());
        let log = std::fs::read_to_string(&log).unwrap();
        let stop = log.lines().find(|line| line.contains(" record=stop ")).expect(&log);
        assert!(!stop.contains(" unrecorded=0 "), "{stop}");
        let last = log.lines().last().unwrap();
        assert!(last.contains(" level=warn ") && last.contains("found no room on their way"), "{log}");
    }
}

/// A pipe that is full and that nobody reads.
fn full_pipe() -> (PipeReader, PipeWriter) {
    let (reader, mut writer) = std::io::pipe().unwrap();
    rustix::io::ioctl_fionbio(&writer, true).unwrap();
    while writer.write(&[b'\n'; 4096]).is_ok() {}
    while writer.write(b"\n").is_ok() {}
    rustix::io::ioctl_fionbio(&writer, false).unwrap();
    (reader, writer)
}

#[test]
fn a_line_goes_on_where_nobody_reads_what_it_prints_and_logs() {
    let folder = tempfile::tempdir().unwrap();
    let (_out, stdout) = full_pipe();
    let (_log, stderr) = full_pipe();
    let unread = |command: &mut Command| {
        command.stdout(stdout).stderr(stderr);
    };
    let Some(mut line) = Line::start(folder.path(), "fps = 100.0", unread) else { return };
    line.reaches(DEFECTS, 600);
    signal(&line.process, "TERM");
    assert!(ends(&mut line.process).success());
    let records = records(&line.results);
    let stop = records.last().unwrap();
    assert_eq!(stop["record"], "stop");
    assert!(stop["unprinted"].as_u64().unwrap() > 0, "{stop}");
    let told =
        records.iter().any(|record| record["cause"].as_str().is_some_and(|text| text.contains("could not be printed")));
    assert!(told, "{records:?}");
}

#[test]
fn a_signal_ends_a_command_that_waits_for_its_reader() {
    let folder = tempfile::tempdir().unwrap();
    let (_out, stdout) = full_pipe();
    let unread = |command: &mut Command| {
        command.stdout(stdout);
    };
    let Some(mut line) = Line::start(folder.path(), "", unread) else { return };
    let mut last = line.reaches(DEFECTS, 5);
    eventually("a rest", || {
        std::thread::sleep(Duration::from_millis(300));
        let now = line.metric(DEFECTS)?;
        (std::mem::replace(&mut last, now) == now).then_some(())
    });
    signal(&line.process, "TERM");
    assert!(ends(&mut line.process).success());
    let stop = records(&line.results).pop().unwrap();
    // What was judged was recorded, whoever reads it.
    assert_eq!((&stop["record"], &stop["unrecorded"], &stop["failed"]), (&"stop".into(), &0.into(), &0.into()));
}
