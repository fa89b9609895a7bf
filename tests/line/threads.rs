//! A thread that panics or cannot be started ends the run in order: one line, exit code 1, a stop record, and nothing hangs.

use crate::common::{arg, config, ends, has, lineside, records, signal, text};
use lineside::bundle::Bundle;
use lineside::field::Interval;
use lineside::pipeline::{FAILED, Inspection, Pipeline, Report, Reporter, RunEnd, RunObserver, Shutdown, Status};
use lineside::sink::Signal;
use lineside::source::{Frame, FrameSource, Next, PatternSource};
use lineside::task::{Judge, Tasks};
use lineside::telemetry::{Cause, Telemetry};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

/// The part of the line that panics.
#[derive(Clone, Copy, PartialEq)]
enum Faulty {
    Nobody,
    Source,
    Signal,
    Verdict,
    /// The writer, while no frame comes.
    Tick,
    Observer,
    /// The observer's last call, when all threads have ended.
    LastStatus,
}

impl Faulty {
    fn fail_if(self, part: Faulty) {
        assert!(self != part, "a fault of this program, as the test wants it");
    }
}

/// A source that has frames, or is away.
struct Camera(Faulty, PatternSource);

impl FrameSource for Camera {
    fn next(&mut self, frame: &mut Frame) -> Next {
        self.0.fail_if(Faulty::Source);
        if matches!(self.0, Faulty::Tick | Faulty::Observer) {
            std::thread::sleep(Duration::from_millis(5));
            return Next::Pending;
        }
        self.1.next(frame)
    }

    fn is_live(&self) -> bool {
        true
    }

    fn max_pixels(&self) -> usize {
        self.1.max_pixels()
    }

    fn describe(&self) -> String {
        "camera".into()
    }
}

impl Signal for Faulty {
    fn verdict(&mut self, _: bool, _: Instant) {
        self.fail_if(Faulty::Signal);
    }

    fn tick(&mut self, _: Instant) {}
}

impl Reporter for Faulty {
    fn verdict(&mut self, _: &Report) -> bool {
        self.fail_if(Faulty::Verdict);
        true
    }

    fn failed(&mut self, _: &str, _: Cause, _: &str) {}

    fn tick(&mut self) {
        self.fail_if(Faulty::Tick);
    }
}

impl RunObserver for Faulty {
    fn status(&mut self, _: &Status, _: &Interval) {
        self.fail_if(Faulty::LastStatus);
    }

    fn poll(&mut self, status: &Status, _: bool, shutdown: &Shutdown) {
        self.fail_if(Faulty::Observer);
        if *self == Faulty::LastStatus && status.counts.inspected > 0 {
            shutdown.ask();
        }
    }
}

fn pipeline(faulty: Faulty) -> Pipeline {
    let bundle = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/inspect-demo");
    Pipeline {
        source: Box::new(Camera(faulty, PatternSource::new(160, 120, 1, 0, Some(50.0), None))),
        inspection: Inspection {
            tasks: Tasks::one("anomaly", Judge::new(&Bundle::open(&bundle).unwrap(), None, 1).unwrap()),
            shadows: Vec::new(),
            trials: Vec::new(),
            enlargement: None,
            skip_similar: 0.0,
            normal_every: 0,
            signals: vec![Box::new(faulty)],
            viewer: None,
            results: None,
            products: None,
            smaller: None,
        },
        frames: None,
        shedding: Arc::default(),
        telemetry: Telemetry::default(),
    }
}

fn run(faulty: Faulty) -> RunEnd {
    pipeline(faulty).run(&Shutdown::default(), faulty, &mut { faulty }).0
}

#[test]
fn a_panic_in_any_thread_ends_the_run() {
    for (faulty, name) in [
        (Faulty::Source, "capture"),
        (Faulty::Signal, "inspection"),
        (Faulty::Verdict, "writer"),
        (Faulty::Tick, "writer"),
        (Faulty::Observer, "main"),
        (Faulty::LastStatus, "main"),
    ] {
        let ending = run(faulty);
        assert_eq!(ending.reason, FAILED);
        let failure = ending.failure.unwrap();
        assert!(failure.contains(&format!("the thread \"{name}\" failed")), "{name}: {failure}");
        assert!(failure.contains("please report it"), "{failure}");
    }
}

/// A source that gets stuck after its first frame, until it is released.
struct Stuck {
    frames: PatternSource,
    is_stuck: Arc<AtomicBool>,
    release: Receiver<()>,
}

impl FrameSource for Stuck {
    fn next(&mut self, frame: &mut Frame) -> Next {
        if frame.name.is_empty() && !self.is_stuck.load(Relaxed) {
            return self.frames.next(frame);
        }
        self.is_stuck.store(true, Relaxed);
        let _ = self.release.recv();
        Next::Ended
    }

    fn is_live(&self) -> bool {
        true
    }

    fn max_pixels(&self) -> usize {
        self.frames.max_pixels()
    }

    fn describe(&self) -> String {
        "stuck".into()
    }
}

/// Counts looks at a run whose source is stuck, and releases it in the end.
struct Watcher {
    is_stuck: Arc<AtomicBool>,
    release: Sender<()>,
    looks: u32,
    alive: u32,
}

impl RunObserver for Watcher {
    fn status(&mut self, _: &Status, _: &Interval) {}

    fn poll(&mut self, _: &Status, alive: bool, _: &Shutdown) {
        if self.is_stuck.load(Relaxed) && self.looks < 50 {
            self.looks += 1;
            self.alive += u32::from(alive);
            if self.looks == 50 {
                self.release.send(()).unwrap();
            }
        }
    }
}

#[test]
fn a_stuck_thread_is_not_covered_up() {
    let (release, released) = channel();
    let is_stuck = Arc::<AtomicBool>::default();
    let frames = PatternSource::new(160, 120, 1, 0, Some(50.0), None);
    let mut pipeline = pipeline(Faulty::Nobody);
    pipeline.source = Box::new(Stuck { frames, is_stuck: Arc::clone(&is_stuck), release: released });
    let mut watcher = Watcher { is_stuck, release, looks: 0, alive: 0 };
    let (ending, _) = pipeline.run(&Shutdown::default(), Faulty::Nobody, &mut watcher);
    assert!(ending.failure.is_none() && watcher.looks == 50);
    // The first look still finds the round in which it got stuck.
    assert!(watcher.alive <= 1, "{} of {} looks found it alive", watcher.alive, watcher.looks);
}

/// Threads from the one whose number `TEST_THREADS` holds cannot be started.
const SHIM: &str = r#"
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>
static int started;
int pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*work)(void *), void *argument) {
    int (*create)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *) = dlsym(RTLD_NEXT, "pthread_create");
    char text[32] = {0};
    int file = open(getenv("TEST_THREADS"), O_RDONLY);
    if (file >= 0) {
        if (read(file, text, sizeof text - 1) < 0) text[0] = 0;
        close(file);
    }
    if (++started >= atoi(text)) return EAGAIN;
    return create(thread, attributes, work, argument);
}
"#;

/// Builds the library; `None` where there is no C compiler.
fn shim(folder: &Path) -> Option<PathBuf> {
    let (source, library) = (folder.join("threads.c"), folder.join("threads.so"));
    std::fs::write(&source, SHIM).unwrap();
    has("cc", &["-shared", "-fPIC", "-O1", "-o", arg(&library), arg(&source), "-ldl"]).then_some(library)
}

/// A line with every thread that there is, on a page at the address.
fn line(folder: &Path, port: u16) -> PathBuf {
    let results = folder.join("results");
    config(
        folder,
        &format!(
            "[source.pattern]\nwidth = 160\nheight = 120\nfps = 20.0\n[output]\nfolder = {results:?}\n\
             [super_resolution]\nwhen = \"never\"\n[status_page]\nlisten = \"127.0.0.1:{port}\"\n\
             [mqtt]\nhost = \"127.0.0.1\"\nport = 9\n"
        ),
    )
}

/// Signals, the log, the console, the broker's sender, the status page, capture, inspection, writer.
const THREADS: usize = 8;

#[test]
fn a_thread_that_cannot_be_started_ends_the_process_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let Some(library) = shim(folder.path()) else { return };
    let threads = folder.path().join("threads");
    let mut names = Vec::new();
    for number in 1..=THREADS {
        std::fs::write(&threads, number.to_string()).unwrap();
        let _ = std::fs::remove_dir_all(folder.path().join("results"));
        let mut command = lineside();
        command.args(["run", arg(&line(folder.path(), 0))]).env("LD_PRELOAD", &library).env("TEST_THREADS", &threads);
        let mut process = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let (status, mut stderr) = (ends(&mut process), Vec::new());
        process.stderr.take().unwrap().read_to_end(&mut stderr).unwrap();
        let stderr = text(&stderr);
        assert_eq!(status.code(), Some(1), "{number}: {stderr}");
        let lines: Vec<&str> = stderr.lines().filter(|line| line.starts_with("lineside: ")).collect();
        assert!(lines.len() == 1 && lines[0].contains("cannot start the thread"), "{number}: {stderr}");
        assert!(lines[0].contains("TasksMax=") && !stderr.contains("panicked"), "{number}: {stderr}");
        names.extend(lines[0].split('"').nth(1).map(String::from));
        // Without the first three there is no run.
        if number > 3 {
            let records = records(&folder.path().join("results"));
            let stop = records.last().unwrap();
            assert_eq!((&stop["record"], &stop["reason"]), (&"stop".into(), &"a thread could not be started".into()));
        }
    }
    assert_eq!(names, ["signals", "log", "console", "mqtt", "status page", "capture", "inspection", "writer"]);
}

#[test]
fn a_worker_of_the_engine_that_cannot_be_started_ends_the_command() {
    let folder = tempfile::tempdir().unwrap();
    let Some(library) = shim(folder.path()) else { return };
    let (threads, png) = (folder.path().join("threads"), folder.path().join("large.png"));
    let picture = crate::common::root().join("models/inspect-demo/frames/normal/part-01.jpg");
    for number in 1..=3 {
        std::fs::write(&threads, number.to_string()).unwrap();
        let bench = ["bench", "superres-x3", "--threads", "4", "--runs", "1"];
        let upscale = ["upscale", arg(&picture), arg(&png), "--threads", "4"];
        for arguments in [&bench[..], &upscale] {
            let mut command = lineside();
            command.args(arguments).env("LD_PRELOAD", &library).env("TEST_THREADS", &threads);
            let mut process = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
            let (status, mut stderr) = (ends(&mut process), Vec::new());
            process.stderr.take().unwrap().read_to_end(&mut stderr).unwrap();
            let stderr = text(&stderr);
            assert_eq!(status.code(), Some(1), "{arguments:?}, {number}: {stderr}");
            assert!(stderr.contains("cannot start 4 threads: ") && !stderr.contains("panicked"), "{stderr}");
        }
    }
}

#[test]
fn a_visitor_for_whom_no_thread_can_be_started_is_turned_away_and_the_line_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let Some(library) = shim(folder.path()) else { return };
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let threads = folder.path().join("threads");
    std::fs::write(&threads, (THREADS + 1).to_string()).unwrap();
    let mut command = lineside();
    command.args(["run", arg(&line(folder.path(), port))]).env("LD_PRELOAD", &library).env("TEST_THREADS", &threads);
    let mut process = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let answer = || {
        let mut visitor = crate::common::eventually("the page", || TcpStream::connect(("127.0.0.1", port)).ok());
        // What is answered from memory needs no thread.
        let request = format!("GET /status.json HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n");
        // It may be turned away before it has asked.
        let _ = visitor.write_all(request.as_bytes());
        let mut answer = Vec::new();
        // What was unread when it was turned away may reset the connection.
        let _ = visitor.read_to_end(&mut answer);
        text(&answer)
    };
    assert!(!answer().contains("200 OK"));
    std::fs::write(&threads, "1000").unwrap();
    crate::common::eventually("an answer", || answer().starts_with("HTTP/1.1 200").then_some(()));
    signal(&process, "TERM");
    assert!(ends(&mut process).success());
    let records = records(&folder.path().join("results"));
    let of = |state: &str| {
        let page = |record: &&serde_json::Value| record["fault"] == "page" && record["state"] == state;
        records.iter().filter(page).count()
    };
    assert!(of("begin") == 1 && of("end") == 1, "{records:?}");
}
