//! Visitors who do not read, ask for too much or send endless requests: inspection does not wait for them, and the memory that
//! they take is on the bill. In this process, so that each frame and each allocation is counted.

use crate::common::{HANGS, eventually};
use lineside::bundle::Bundle;
use lineside::field::Interval;
use lineside::memory::{heap_use, reset_peak, sealed_allocations};
use lineside::pipeline::{
    ChosenProduct, Commands, Inspection, Pipeline, Report, Reporter, RunObserver, Shutdown, Status,
};
use lineside::sink::VerdictObserver;
use lineside::source::PatternSource;
use lineside::status_page::{
    CONNECTIONS, LineBundle, LineControls, LiveFeed, PageSettings, RunFacts, StatusServer, VIEWERS, heap_bytes,
};
use lineside::task::anomaly::Verdict;
use lineside::task::{Judge, Tasks};
use lineside::telemetry::{Cause, Telemetry};
use lineside_picture::{Layout, Picture};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

const SIZE: (usize, usize) = (640, 480);
const FPS: f64 = 12.0;

/// Feeds the page, and counts how often the inspection thread slept in it: on a lock, or on anything else.
struct Counted {
    live: Arc<LiveFeed>,
    sleeps: AtomicU64,
}

impl VerdictObserver for Counted {
    fn observe(&self, frame: &mut Picture, verdict: &Verdict, latency: Duration) {
        let before = sleeps_of_this_thread();
        self.live.observe(frame, verdict, latency);
        self.sleeps.fetch_add(sleeps_of_this_thread() - before, Relaxed);
    }
}

/// How often this thread gave up the CPU by itself so far. Allocates nothing, as it runs in the inspection thread.
fn sleeps_of_this_thread() -> u64 {
    let mut bytes = [0; 4096];
    let length = std::fs::File::open("/proc/thread-self/status").unwrap().read(&mut bytes).unwrap();
    let text = std::str::from_utf8(&bytes[..length]).unwrap();
    let count = text.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
    count.unwrap().trim().parse().unwrap()
}

/// Counts verdicts.
#[derive(Default)]
struct Verdicts(u64);

impl Reporter for Verdicts {
    fn verdict(&mut self, _: &Report) -> bool {
        self.0 += 1;
        true
    }

    fn failed(&mut self, name: &str, _: Cause, reason: &str) {
        panic!("{name}: {reason}");
    }
}

/// Looks after a run with a page, as the service does, until so many frames are inspected.
struct Host<'a> {
    page: StatusServer,
    frames: u64,
    visitors: Box<dyn FnMut() + 'a>,
}

impl RunObserver for Host<'_> {
    fn status(&mut self, _: &Status, interval: &Interval) {
        self.page.record_interval(interval);
    }

    fn poll(&mut self, status: &Status, alive: bool, shutdown: &Shutdown) {
        self.page.update(status, alive, &Default::default(), None);
        (self.visitors)();
        if status.counts.inspected >= self.frames {
            shutdown.ask();
        }
    }
}

fn serve(live: &Arc<LiveFeed>, folder: &std::path::Path) -> (StatusServer, SocketAddr) {
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let facts = RunFacts {
        camera: None,
        pages: Vec::new(),
        source: "pattern".into(),
        bundles: Vec::new(),
        budget_bytes: 1,
        bill_bytes: 1,
        started: jiff::Timestamp::now(),
        parts: None,
    };
    let commands = Commands::new(Vec::new(), ChosenProduct::Without, None, Telemetry::default()).into();
    let settings = PageSettings {
        listen: address,
        token: None,
        teach_token: None,
        tls: None,
        line: LineControls {
            commands,
            bundle: LineBundle { place: Err(String::new()), fixed: None, unsigned: None },
            pixels: 0,
            check: Box::new(|| Ok(())),
            reload: Box::new(|| ()),
        },
        control: None,
        teaching: None,
        max_fps: 30.0,
        judge: None,
    };
    let page =
        StatusServer::start(settings, Arc::clone(live), facts, folder.to_path_buf(), Telemetry::default()).unwrap();
    eventually("a page", || TcpStream::connect(address).ok());
    (page, address)
}

fn ask(address: SocketAddr, path: &str) -> Option<TcpStream> {
    let mut socket = TcpStream::connect(address).ok()?;
    socket.set_read_timeout(Some(HANGS)).ok()?;
    socket.write_all(format!("GET {path} HTTP/1.1\r\nHost: {address}\r\n\r\n").as_bytes()).ok()?;
    Some(socket)
}

#[test]
fn inspection_does_not_wait_for_stuck_viewers() {
    const FRAMES: u64 = 120;
    let _alone = super::alone();
    let folder = tempfile::tempdir().unwrap();
    let observer = Arc::new(Counted { live: Arc::new(LiveFeed::new(Some(SIZE))), sleeps: AtomicU64::new(0) });
    let (page, address) = serve(&observer.live, folder.path());
    let (mut viewers, mut slow, mut asked) = (Vec::new(), Vec::new(), Instant::now());
    // As many as are let in, and none of them reads.
    let visitors = || {
        if viewers.len() < VIEWERS {
            viewers.extend(ask(address, "/live.mjpeg"));
        } else if asked.elapsed() > Duration::from_millis(200) {
            asked = Instant::now();
            // Whoever is disconnected for being slow comes again; a byte of a request keeps the others where they are.
            slow.retain_mut(|socket: &mut TcpStream| socket.write_all(b"G").is_ok());
            if slow.len() < CONNECTIONS - VIEWERS {
                slow.extend(TcpStream::connect(address).ok());
            }
        }
    };
    let bundle = Bundle::open(&crate::common::root().join("models/inspect-demo")).unwrap();
    let mut tasks = Tasks::one("anomaly", Judge::new(&bundle, None, 1).unwrap());
    // Once, as the service does: what is made at the first frame is not made while the line runs.
    tasks.judge_by_all(&Picture::new(Layout::Rgb, SIZE.0, SIZE.1)).unwrap();
    let pipeline = Pipeline {
        source: Box::new(PatternSource::new(SIZE.0, SIZE.1, 5, 7, Some(FPS), None)),
        inspection: Inspection {
            tasks,
            shadows: Vec::new(),
            trials: Vec::new(),
            enlargement: None,
            skip_similar: 0.0,
            normal_every: 0,
            signals: Vec::new(),
            viewer: Some(Arc::clone(&observer) as Arc<dyn VerdictObserver>),
            results: None,
            products: None,
            smaller: None,
        },
        frames: None,
        shedding: Arc::default(),
        telemetry: Telemetry::default(),
    };
    let mut host = Host { page, frames: FRAMES, visitors: Box::new(visitors) };
    let (ending, verdicts) = pipeline.run(&Shutdown::default(), Verdicts::default(), &mut host);
    drop(host);
    let verdicts = verdicts.unwrap().0;
    assert_eq!(verdicts + ending.status.unprinted, ending.status.counts.inspected);
    // What a viewer that does not read has been sent lies in its socket: a part of the frames. The others were inspected
    // while the page waited for it, ten seconds long.
    let sent: Vec<usize> = viewers.iter_mut().map(frames_in).collect();
    println!("{} frames inspected; of them sent to viewers that do not read: {sent:?}", ending.status.counts.inspected);
    assert!(sent.len() == VIEWERS && sent.iter().all(|&sent| (1..FRAMES as usize / 2).contains(&sent)), "{sent:?}");
    assert_eq!(observer.sleeps.load(Relaxed), 0, "the page made the inspection thread sleep");
    assert_eq!(sealed_allocations(), 0);
}

/// The frames that a live view sent.
fn frames_in(socket: &mut TcpStream) -> usize {
    let mut bytes = Vec::new();
    let _ = socket.read_to_end(&mut bytes);
    let begin = b"--frame\r\n";
    bytes.windows(begin.len()).filter(|window| window == begin).count()
}

#[test]
fn visitors_of_all_kinds_fit_the_bill_and_take_no_more_with_time() {
    let _alone = super::alone();
    let folder = tempfile::tempdir().unwrap();
    let events: String = (0..2000)
        .map(|i| format!("{{\"record\":\"event\",\"frame\":\"{i}\",\"files\":{{\"annotated\":\"{i}.png\"}}}}\n"))
        .collect();
    std::fs::write(folder.path().join("events.jsonl"), events).unwrap();
    let before = heap_use().in_use;
    reset_peak();
    let live = Arc::new(LiveFeed::new(Some(SIZE)));
    let (page, address) = serve(&live, folder.path());
    let stop = Arc::new(AtomicBool::new(false));
    // Noise, which JPEG hardly makes smaller.
    let shower = {
        let (live, stop) = (Arc::clone(&live), Arc::clone(&stop));
        std::thread::spawn(move || {
            let mut state = 1_u32;
            let mut frame = Picture::new(Layout::Rgb, SIZE.0, SIZE.1);
            let mut verdict = Verdict { threshold: 0.9, ..Verdict::default() };
            verdict.heat.reshape(Layout::Grey, 20, 20);
            while !stop.load(Relaxed) {
                frame.reshape(Layout::Rgb, SIZE.0, SIZE.1);
                for byte in frame.data_mut() {
                    state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    *byte = (state >> 24) as u8;
                }
                live.observe(&mut frame, &verdict, Duration::from_millis(3));
                std::thread::sleep(Duration::from_millis(20));
            }
        })
    };
    let read = [0, 0].map(|_: i32| Arc::new(AtomicU64::new(0)));
    let mut viewers: Vec<TcpStream> = (0..VIEWERS).filter_map(|_| ask(address, "/live.mjpeg")).collect();
    // All of them are in before others ask for a picture, which takes the place of a viewer, too.
    for viewer in &mut viewers {
        let mut head = [0; 12];
        viewer.read_exact(&mut head).unwrap();
        assert_eq!(&head, b"HTTP/1.1 200");
    }
    // Two read on, two are stuck; the others ask for whatever there is, all at once, again and again.
    let reading: Vec<_> = viewers
        .drain(..2)
        .zip(&read)
        .map(|(mut socket, sum)| {
            let sum = Arc::clone(sum);
            std::thread::spawn(move || {
                let mut bytes = vec![0; 1 << 16];
                while let Ok(read @ 1..) = socket.read(&mut bytes) {
                    sum.fetch_add(read as u64, Relaxed);
                }
            })
        })
        .collect();
    let mut peaks = Vec::new();
    for _ in 0..4 {
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(2) {
            let paths = ["/status.json", "/metrics", "/", "/status.json", "/healthz", "/status.json", "/frame.jpg"];
            let sockets: Vec<TcpStream> = paths.iter().filter_map(|path| ask(address, path)).collect();
            for mut socket in sockets {
                let mut answer = [0; 12];
                let _ = socket.read_exact(&mut answer);
                while matches!(socket.read(&mut answer), Ok(1..)) {}
            }
        }
        peaks.push(heap_use().peak.saturating_sub(before));
        reset_peak();
    }
    // Who reads is sent frames all the while.
    eventually("a mebibyte for each reader", || read.iter().all(|sum| sum.load(Relaxed) > 1 << 20).then_some(()));
    drop(viewers);
    drop(page);
    stop.store(true, Relaxed);
    shower.join().unwrap();
    reading.into_iter().for_each(|thread| thread.join().unwrap());
    let billed = heap_bytes((SIZE.0 * SIZE.1) as u64);
    println!("peaks of the heap: {peaks:?} bytes; billed: {billed}");
    // The frames of this test's own thread and its readers' buffers count here, too.
    let own = SIZE.0 * SIZE.1 * 3 + 2 * (1 << 16) + (64 << 10);
    assert!(peaks.iter().all(|&peak| peak as u64 <= billed + own as u64), "{peaks:?} {billed}");
    assert!(peaks[3] <= peaks[0] + (256 << 10), "it grows: {peaks:?}");
}
