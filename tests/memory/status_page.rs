//! Visitors who take nothing, ask for too much or never come to the point: inspection does not feel them, and what they take
//! of memory is on the bill. In this process, so that each frame and each allocation is seen.

use lineside::bundle::Bundle;
use lineside::field::Interval;
use lineside::memory::{heap_use, reset_peak, sealed_allocations};
use lineside::pipeline::{Inspection, Pipeline, Report, Reporter, RunObserver, Shutdown, Status};
use lineside::sink::VerdictObserver;
use lineside::source::PatternSource;
use lineside::status_page::{CONNECTIONS, LiveFeed, RunFacts, StatusServer, VIEWERS, heap_bytes};
use lineside::task::anomaly::{Inspector, Verdict};
use lineside::telemetry::{Cause, Telemetry};
use lineside_picture::{Layout, Picture};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

const SIZE: (usize, usize) = (640, 480);
const FPS: f64 = 12.0;

/// Shows a page what it is shown, and how long that takes the inspection thread.
struct Timed {
    live: Arc<LiveFeed>,
    took: Mutex<Vec<Duration>>,
}

impl Timed {
    fn new() -> Arc<Timed> {
        let took = Mutex::new(Vec::with_capacity(4096));
        Arc::new(Timed { live: Arc::new(LiveFeed::new(Some(SIZE))), took })
    }
}

impl VerdictObserver for Timed {
    fn observe(&self, frame: &mut Picture, verdict: &Verdict, latency: Duration) {
        let begun = Instant::now();
        self.live.observe(frame, verdict, latency);
        self.took.lock().unwrap().push(begun.elapsed());
    }
}

/// Counts verdicts, and how long they took.
#[derive(Default)]
struct Latencies(Vec<Duration>);

impl Reporter for Latencies {
    fn verdict(&mut self, report: &Report) {
        self.0.push(report.latency);
    }

    fn failed(&mut self, name: &str, _: Cause, reason: &str) {
        panic!("{name}: {reason}");
    }
}

/// Looks after a run with a page, as the service does, for a time.
struct Host<'a> {
    page: Option<StatusServer>,
    until: Instant,
    visitors: Box<dyn FnMut() + 'a>,
}

impl RunObserver for Host<'_> {
    fn status(&mut self, _: &Status, interval: &Interval) {
        if let Some(page) = &self.page {
            page.record_interval(interval);
        }
    }

    fn poll(&mut self, status: &Status, alive: bool, shutdown: &Shutdown) {
        if let Some(page) = &self.page {
            page.update(status, alive, &Default::default(), None);
        }
        (self.visitors)();
        if Instant::now() >= self.until {
            shutdown.ask();
        }
    }
}

fn serve(live: &Arc<LiveFeed>, folder: &std::path::Path) -> (StatusServer, SocketAddr) {
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let facts = RunFacts {
        source: "pattern".into(),
        bundles: Vec::new(),
        budget_bytes: 1,
        bill_bytes: 1,
        started: jiff::Timestamp::now(),
    };
    let page =
        StatusServer::start(address, None, 30.0, Arc::clone(live), facts, folder.to_path_buf(), Telemetry::default())
            .unwrap();
    let begun = Instant::now();
    while TcpStream::connect(address).is_err() {
        assert!(begun.elapsed() < Duration::from_secs(10));
        std::thread::sleep(Duration::from_millis(10));
    }
    (page, address)
}

fn ask(address: SocketAddr, path: &str) -> Option<TcpStream> {
    let mut socket = TcpStream::connect(address).ok()?;
    socket.set_read_timeout(Some(Duration::from_secs(10))).ok()?;
    socket.write_all(format!("GET {path} HTTP/1.1\r\nHost: {address}\r\n\r\n").as_bytes()).ok()?;
    Some(socket)
}

/// Inspects for a time, with as many visitors as are let in who do nothing but sit there, or with none; gives all latencies,
/// sorted, and how long the page held the inspection thread up, sorted.
fn inspect(time: Duration, stuck: bool) -> (Vec<Duration>, Vec<Duration>) {
    let folder = tempfile::tempdir().unwrap();
    let timed = Timed::new();
    let (page, address) = serve(&timed.live, folder.path());
    let (mut viewers, mut slow, mut asked) = (Vec::new(), Vec::new(), Instant::now());
    let visitors = move || {
        if !stuck || (viewers.len() == VIEWERS && asked.elapsed() < Duration::from_millis(200)) {
            return;
        }
        if viewers.len() < VIEWERS {
            viewers.extend(ask(address, "/live.mjpeg"));
            return;
        }
        asked = Instant::now();
        // Whoever was cut for being slow comes again; a byte of a request keeps the others where they are.
        slow.retain_mut(|socket: &mut TcpStream| socket.write_all(b"G").is_ok());
        if slow.len() < CONNECTIONS - VIEWERS {
            slow.extend(TcpStream::connect(address).ok());
        }
    };
    let bundle = Bundle::open(&crate::common::root().join("models/inspect-demo")).unwrap();
    let mut inspector = Inspector::new(&bundle, None).unwrap();
    // Once, as the service does: what is made at the first frame is not made while the line runs.
    inspector.prepare(&Picture::new(Layout::Rgb, SIZE.0, SIZE.1)).unwrap();
    inspector.judge(SIZE, &mut Verdict::default()).unwrap();
    let pipeline = Pipeline {
        source: Box::new(PatternSource::new(SIZE.0, SIZE.1, 5, 7, Some(FPS), None)),
        inspection: Inspection {
            inspector,
            enlargement: None,
            skip_similar: 0.0,
            normal_every: 0,
            signals: Vec::new(),
            viewer: Some(Arc::clone(&timed) as Arc<dyn VerdictObserver>),
            smaller: None,
        },
        frames: None,
        shedding: Arc::default(),
        telemetry: Telemetry::default(),
    };
    let mut latencies = Latencies(Vec::with_capacity(4096));
    let mut host = Host { page: Some(page), until: Instant::now() + time, visitors: Box::new(visitors) };
    let ending = pipeline.run(&Shutdown::default(), &mut latencies, &mut host).unwrap();
    assert_eq!(latencies.0.len() as u64, ending.status.counts.inspected);
    let mut took = std::mem::take(&mut *timed.took.lock().unwrap());
    latencies.0.sort_unstable();
    took.sort_unstable();
    (latencies.0, took)
}

/// The value that a share of sorted ones does not exceed.
fn quantile(sorted: &[Duration], share: f64) -> Duration {
    sorted[((share * sorted.len() as f64) as usize).min(sorted.len() - 1)]
}

#[test]
fn inspection_does_not_feel_stuck_viewers() {
    let _alone = super::alone();
    let window = Duration::from_secs(6);
    let (mut without, mut with) = ((Vec::new(), Vec::new()), (Vec::new(), Vec::new()));
    // In turns, so that whatever else this machine does falls on both.
    for _ in 0..2 {
        for (all, stuck) in [(&mut without, false), (&mut with, true)] {
            let (latencies, took) = inspect(window, stuck);
            all.0.extend(latencies);
            all.1.extend(took);
        }
    }
    for (latencies, took) in [&mut without, &mut with] {
        latencies.sort_unstable();
        took.sort_unstable();
    }
    let told = |(latencies, took): &(Vec<Duration>, Vec<Duration>)| {
        let (p50, p95) = (quantile(latencies, 0.5), quantile(latencies, 0.95));
        let hook = (quantile(took, 0.5), took.last().copied().unwrap_or_default());
        format!(
            "{} frames, p50 {p50:.1?}, p95 {p95:.1?}; the page took {:.1?} of each, {:.1?} at most",
            latencies.len(),
            hook.0,
            hook.1
        )
    };
    println!("without viewers: {}\nwith {VIEWERS} stuck viewers and 8 slow visitors: {}", told(&without), told(&with));
    assert_eq!(sealed_allocations(), 0);
    // 144 frames are due in each; a busy machine misses some of either. A viewer is waited for during ten seconds.
    let (frames, expected) = (with.0.len() as f64, without.0.len() as f64);
    assert!(expected > 72.0 && frames >= 0.85 * expected, "{frames} of {expected}");
    assert!(quantile(&with.1, 0.95) < Duration::from_millis(2), "{:?}", quantile(&with.1, 0.95));
    let (ours, theirs) = (quantile(&with.0, 0.5), quantile(&without.0, 0.5));
    assert!(ours <= theirs.mul_f64(1.5) + Duration::from_millis(5), "{ours:?} instead of {theirs:?}");
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
    let mut viewers: Vec<TcpStream> = (0..VIEWERS).filter_map(|_| ask(address, "/live.mjpeg")).collect();
    // Two read on, two are stuck; the others ask for whatever there is, all at once, again and again.
    let reading: Vec<_> = viewers
        .drain(..2)
        .map(|mut socket| {
            std::thread::spawn(move || {
                let (mut bytes, mut sum) = (vec![0; 1 << 16], 0);
                while let Ok(read @ 1..) = socket.read(&mut bytes) {
                    sum += read;
                }
                sum
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
    drop(viewers);
    drop(page);
    stop.store(true, Relaxed);
    shower.join().unwrap();
    let sums: Vec<usize> = reading.into_iter().map(|thread| thread.join().unwrap()).collect();
    let billed = heap_bytes((SIZE.0 * SIZE.1) as u64);
    println!("heap at most, every two seconds: {peaks:?} bytes; billed: {billed}; the readers got {sums:?} bytes");
    assert!(sums.iter().all(|&sum| sum > 1 << 20), "{sums:?}");
    // The frames of this test's own thread and its readers' buffers count here, too.
    let own = SIZE.0 * SIZE.1 * 3 + 2 * (1 << 16) + (64 << 10);
    assert!(peaks.iter().all(|&peak| peak as u64 <= billed + own as u64), "{peaks:?} {billed}");
    assert!(peaks[3] <= peaks[0] + (256 << 10), "it grows: {peaks:?}");
}
