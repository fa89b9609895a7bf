//! `POST /judge`: a picture in, the line's verdict on it out.
//!
//! One thread of low priority judges, with sessions of its own that share the packed weights of the line's models; it holds no lock that
//! inspection needs. At most [`PLACES`] pictures are read, wait or are judged at a time: more are sent away with 503.

use super::connection::{ANSWER_TIMEOUT, Connection};
use super::encoder::max_jpeg_bytes;
use super::posted::PostedBody;
use super::request::HttpRequest;
use super::response::{JSON, TEXT, answer, head, refuse};
use crate::escape;
use crate::pipeline::{Report, STACK};
use crate::sink::annotated;
use crate::task::{TaskError, Tasks};
use crate::telemetry::{Cause, Record, Telemetry, json_line};
use crate::threads::{describe_failure, lower_priority, not_started};
use crate::times::BEAT;
use jpeg_encoder::{ColorType, Encoder};
use lineside_picture::{DecodeOptions, Picture, PictureError, decode_file_with, write_png};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::AcqRel, Ordering::Acquire, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

/// The most pictures that are read, wait or are judged at a time.
pub const PLACES: usize = 2;
/// The name of its thread.
pub const JUDGE_THREAD: &str = "judge";
/// How long a client waits for its verdict: beside inspection that takes all cores little time is left.
const PATIENCE: Duration = Duration::from_secs(60);
/// What a picture file may have beside the bytes of its frame's pixels.
const BESIDE_PIXELS: u64 = 1 << 20;
/// What a decoder may hold beside pixels.
const DECODER_BYTES: u64 = 4 << 20;
/// The longest name of a picture, in characters.
const LONGEST_NAME: usize = 120;
/// JPEG quality of annotated pictures.
const QUALITY: u8 = 90;

/// The most bytes of a picture file for a line with frames of so many pixels: those of its pixels, uncompressed, and some more.
pub fn body_limit(pixels: u64) -> u64 {
    3 * pixels + BESIDE_PIXELS
}

/// Upper bound of the memory for judging on request, in bytes, beside the models: the files of all places, the decoder with samples of
/// 16 bits in four channels, the frame, and its annotated copy with heat, as pixels and as a file. And the thread's stack.
pub fn judging_bytes(pixels: u64) -> u64 {
    let decoding = 8 * pixels + DECODER_BYTES;
    let annotating = (3 + 3 + 1) * pixels + 2 * png_bytes(pixels);
    PLACES as u64 * body_limit(pixels) + 3 * pixels + decoding.max(annotating) + STACK as u64
}

/// The most bytes of an annotated picture's file; a buffer that grows has twice that.
fn png_bytes(pixels: u64) -> u64 {
    3 * pixels + (pixels >> 4) + (64 << 10)
}

/// Who judges posted pictures, and what is said of them.
pub struct PictureJudge {
    /// The line's tasks once more, in a workspace of their own.
    pub tasks: Tasks,
    /// The most pixels of a picture.
    pub max_pixels: usize,
    /// How picture files are read, as the line's source reads them.
    pub options: DecodeOptions,
    /// The record of a verdict.
    pub record: fn(&Telemetry, &Report, &JudgeTimes) -> Record,
}

/// How long the steps of one request took.
#[derive(Debug, Clone, Copy)]
pub struct JudgeTimes {
    /// From the last byte of the body until its turn.
    pub wait: Duration,
    /// Decoding.
    pub decode: Duration,
    /// The verdict.
    pub judge: Duration,
}

/// A file format for annotated pictures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Annotated {
    Jpeg,
    Png,
}

/// A request for a verdict whose body is to be read.
pub struct JudgeRequest {
    body: PostedBody,
    name: String,
    annotated: Option<Annotated>,
}

/// The way to the judge's thread.
pub struct JudgeQueue {
    sender: SyncSender<Job>,
    places: Arc<AtomicUsize>,
    body_limit: u64,
    /// Verdicts given, pictures that could not be judged, and requests for which there was no place.
    pub counts: [(&'static str, AtomicU64); 3],
}

/// One of the [`PLACES`]; free again when it is dropped.
struct Place(Arc<AtomicUsize>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, AcqRel);
    }
}

struct Job {
    file: Vec<u8>,
    name: String,
    annotated: Option<Annotated>,
    complete: Instant,
    reply: SyncSender<Result<Judged, (u16, String)>>,
    _place: Place,
}

struct Judged {
    /// The record as JSON.
    record: String,
    /// The annotated picture as a file.
    picture: Option<Vec<u8>>,
}

/// What the judge's thread takes from its queue.
pub struct JudgeJobs(Receiver<Job>);

impl JudgeRequest {
    /// The request of a client, whose body has begun.
    ///
    /// # Errors
    /// The status and the reason to answer with.
    pub fn accept(queue: &JudgeQueue, request: &HttpRequest, begun: &[u8]) -> Result<JudgeRequest, (u16, String)> {
        let kind = request.content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        // The last is what curl says of any body unless told otherwise; what the file is its first bytes say.
        let whole_body = ["", "application/octet-stream", "application/x-www-form-urlencoded"];
        if !(kind.starts_with("image/") || whole_body.contains(&kind.as_str())) {
            let problem = "the body must be the picture file itself: Content-Type image/jpeg, image/png or the like";
            return Err((415, problem.into()));
        }
        let body = PostedBody::accept(request, begun, queue.body_limit)?;
        let name = if request.parameter("name").is_some() { request.decoded("name") } else { Some("picture".into()) };
        let name = name.filter(|name| (1..=LONGEST_NAME).contains(&name.chars().count()));
        let name = name.ok_or_else(|| (400, format!("name must be text of 1 to {LONGEST_NAME} characters")))?;
        // The first that is listed and can be had.
        let wanted = request.accept.split(',').map(|one| one.split(';').next().unwrap_or_default().trim());
        let annotated = wanted.into_iter().find_map(|kind| match kind.to_ascii_lowercase().as_str() {
            "image/jpeg" => Some(Some(Annotated::Jpeg)),
            "image/png" => Some(Some(Annotated::Png)),
            JSON | "*/*" => Some(None),
            _ => None,
        });
        Ok(JudgeRequest { body, name, annotated: annotated.flatten() })
    }
}

impl JudgeQueue {
    /// A queue for pictures of at most so many pixels.
    pub fn new(max_pixels: usize) -> (JudgeQueue, JudgeJobs) {
        let (sender, jobs) = sync_channel(PLACES);
        let counts = ["judged", "refused", "busy"].map(|outcome| (outcome, AtomicU64::new(0)));
        let body_limit = body_limit(max_pixels as u64);
        (JudgeQueue { sender, places: Arc::default(), body_limit, counts }, JudgeJobs(jobs))
    }

    fn claim_place(&self) -> Option<Place> {
        let one_more = |places: usize| (places < PLACES).then_some(places + 1);
        // Made only on success: dropping a place counts down.
        self.places.fetch_update(AcqRel, Acquire, one_more).is_ok().then(|| Place(Arc::clone(&self.places)))
    }

    /// Counts a request that was refused before its body was read.
    pub fn count_refused(&self) {
        self.count("refused");
    }

    fn count(&self, outcome: &str) {
        self.counts.iter().filter(|(name, _)| *name == outcome).for_each(|(_, count)| {
            count.fetch_add(1, Relaxed);
        });
    }
}

/// Reads a picture, has it judged and answers.
pub fn serve_judge(
    queue: Option<&JudgeQueue>,
    request: JudgeRequest,
    connection: &mut Connection,
    is_stopping: &dyn Fn() -> bool,
) -> io::Result<()> {
    let Some(queue) = queue else { return connection.write_all(&refuse(404, "judging is off")) };
    let Some(place) = queue.claim_place() else {
        queue.count("busy");
        let text = format!("{PLACES} pictures are being judged already\n");
        return connection.write_all(&answer(503, TEXT, "Retry-After: 1\r\n", text.as_bytes()));
    };
    let JudgeRequest { body, name, annotated } = request;
    let Some(file) = body.read(connection)? else {
        queue.count("refused");
        return Ok(());
    };
    let (reply, answered) = sync_channel(1);
    let job = Job { file, name, annotated, complete: Instant::now(), reply, _place: place };
    let until = Instant::now() + PATIENCE;
    // There are as many places as the queue has: one of them is this one's.
    let mut outcome = match queue.sender.try_send(job) {
        Ok(()) => Err(RecvTimeoutError::Timeout),
        Err(_) => Err(RecvTimeoutError::Disconnected),
    };
    while outcome.as_ref().is_err_and(|error| *error == RecvTimeoutError::Timeout) {
        if is_stopping() || Instant::now() >= until {
            break;
        }
        outcome = answered.recv_timeout(BEAT);
    }
    connection.set_timeout(ANSWER_TIMEOUT);
    match outcome {
        Ok(Ok(Judged { record, picture: None })) => {
            queue.count("judged");
            connection.write_all(&answer(200, JSON, "", format!("{record}\n").as_bytes()))
        }
        Ok(Ok(Judged { record, picture: Some(picture) })) => {
            queue.count("judged");
            let kind = if annotated == Some(Annotated::Png) { "image/png" } else { "image/jpeg" };
            let verdict = format!("Lineside-Verdict: {}\r\n", ascii(&record));
            connection.write_all(head(200, kind, &verdict, Some(picture.len() as u64)).as_bytes())?;
            connection.write_all(&picture)
        }
        Ok(Err((status, problem))) => {
            queue.count("refused");
            connection.write_all(&refuse(status, &escape::one_line(&problem)))
        }
        Err(RecvTimeoutError::Disconnected) => connection.write_all(&refuse(500, "judging this picture failed")),
        Err(RecvTimeoutError::Timeout) => {
            let text = "no time was left beside inspection for this picture: try again";
            connection.write_all(&refuse(503, text))
        }
    }
}

/// JSON in ASCII, as headers need it.
fn ascii(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    let mut units = [0; 2];
    for c in json.chars() {
        if c.is_ascii() {
            text.push(c);
        } else {
            c.encode_utf16(&mut units).iter().for_each(|unit| text.push_str(&format!("\\u{unit:04x}")));
        }
    }
    text
}

/// Starts the judge's thread.
///
/// # Errors
/// Where it cannot be started.
pub fn start(
    judge: PictureJudge,
    jobs: JudgeJobs,
    is_stopping: impl Fn() -> bool + Send + 'static,
    telemetry: &Telemetry,
) -> io::Result<JoinHandle<()>> {
    let telemetry = telemetry.clone();
    let work = move || run(judge, &jobs, is_stopping, &telemetry);
    Builder::new()
        .name(JUDGE_THREAD.into())
        .stack_size(STACK)
        .spawn(work)
        .map_err(|error| not_started(JUDGE_THREAD, &error))
}

fn run(mut judge: PictureJudge, jobs: &JudgeJobs, is_stopping: impl Fn() -> bool, telemetry: &Telemetry) {
    if let Err(error) = lower_priority() {
        log::warn!("pictures are judged with the priority of inspection: {error}");
    }
    while !is_stopping() {
        let Ok(job) = jobs.0.recv_timeout(BEAT) else { continue };
        // A picture that one of the decoders fails at must not end the line.
        match catch_unwind(AssertUnwindSafe(|| judge.judge(&job, telemetry))) {
            Ok(outcome) => {
                // Who has the answer and asks again finds the place free.
                let Job { reply, file, _place: place, .. } = job;
                drop((file, place));
                let _ = reply.try_send(outcome);
            }
            Err(_) => telemetry.fail(Cause::Page, &describe_failure(JUDGE_THREAD)),
        }
    }
}

impl PictureJudge {
    fn judge(&mut self, job: &Job, telemetry: &Telemetry) -> Result<Judged, (u16, String)> {
        let begun = Instant::now();
        // Nothing is kept from picture to picture: what a large one needed is free again.
        let mut report = Report::default();
        (report.name, report.wall) = (job.name.clone(), jiff::Timestamp::now());
        decode_file_with(&job.file, self.max_pixels, self.options, &mut report.frame)
            .map_err(|error| (status_of(&error), error.to_string()))?;
        let decoded = Instant::now();
        let size = (report.frame.width(), report.frame.height());
        let tasks = &mut self.tasks;
        tasks
            .require_taught_size(size)
            .and_then(|()| tasks.prepare(&report.frame))
            .and_then(|()| tasks.judge(&report.frame, &mut report.verdict))
            .map_err(|error| match error {
                TaskError::Bundle(_) | TaskError::Engine(_) | TaskError::Output(_) => (500, error.to_string()),
                _ => (422, error.to_string()),
            })?;
        report.bundle = Arc::clone(tasks.bundle());
        tasks.answers(&mut report.answers);
        report.latency = job.complete.elapsed();
        let (wait, decode) = (begun.saturating_duration_since(job.complete), decoded - begun);
        let times = JudgeTimes { wait, decode, judge: decoded.elapsed() };
        let picture = job.annotated.map(|kind| encode(&report, kind)).transpose();
        let picture = picture.map_err(|problem| (500, format!("the annotated picture cannot be made: {problem}")))?;
        Ok(Judged { record: json_line(&(self.record)(telemetry, &report, &times), false), picture })
    }
}

/// The status for a picture that cannot be used.
fn status_of(error: &PictureError) -> u16 {
    match error {
        PictureError::TooLarge { .. } => 413,
        PictureError::UnknownFile(_) | PictureError::Unsupported(_) | PictureError::UnsupportedCoding { .. } => 415,
        _ => 422,
    }
}

fn encode(report: &Report, kind: Annotated) -> Result<Vec<u8>, String> {
    let picture: Picture = annotated(&report.frame, &report.verdict).map_err(|error| error.to_string())?;
    let pixels = picture.width() * picture.height();
    if kind == Annotated::Png {
        let mut file = Vec::new();
        return write_png(&mut file, &picture).map(|()| file).map_err(|error| error.to_string());
    }
    let sides = (u16::try_from(picture.width()), u16::try_from(picture.height()));
    let (Ok(width), Ok(height)) = sides else { return Err("it is too large for a JPEG: ask for image/png".into()) };
    let mut file = Vec::with_capacity(max_jpeg_bytes(pixels) / 4);
    let encoder = Encoder::new(&mut file, QUALITY);
    encoder.encode(picture.data(), width, height, ColorType::Rgb).map_err(|error| error.to_string())?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status_page::request::BodyLength;

    fn request(content_type: &str, accept: &str, query: &str) -> HttpRequest {
        HttpRequest {
            content_type: content_type.into(),
            accept: accept.into(),
            query: query.into(),
            body: BodyLength::Bytes(10),
            ..HttpRequest::default()
        }
    }

    #[test]
    fn what_is_asked_for_is_understood_or_refused() {
        let (queue, _jobs) = JudgeQueue::new(100);
        let accept = |content_type: &str, accept: &str, query: &str| {
            let request = request(content_type, accept, query);
            JudgeRequest::accept(&queue, &request, b"").map(|one| (one.name, one.annotated)).map_err(|(code, _)| code)
        };
        assert_eq!(accept("", "", ""), Ok(("picture".into(), None)));
        assert_eq!(accept("Image/PNG; x=y", "image/png", "name=a%20b"), Ok(("a b".into(), Some(Annotated::Png))));
        let (jpeg, plain) = (Ok(("picture".into(), Some(Annotated::Jpeg))), Ok(("picture".into(), None)));
        assert_eq!(accept("application/octet-stream", "image/webp, image/jpeg;q=0.9, */*", ""), jpeg);
        assert_eq!(accept("image/jpeg", "application/json, image/jpeg", ""), plain);
        assert_eq!(accept("application/x-www-form-urlencoded", "", ""), plain);
        for other in ["multipart/form-data; boundary=x", "text/plain", "application/json"] {
            assert_eq!(accept(other, "", ""), Err(415), "{other}");
        }
        assert_eq!(accept("", "", "name="), Err(400));
        assert_eq!(accept("", "", &format!("name={}", "x".repeat(LONGEST_NAME + 1))), Err(400));
    }

    #[test]
    fn places_are_free_again_when_they_are_left() {
        let (queue, _jobs) = JudgeQueue::new(100);
        let taken: Vec<Place> = std::iter::from_fn(|| queue.claim_place()).collect();
        assert_eq!(taken.len(), PLACES);
        drop(taken);
        assert!(queue.claim_place().is_some());
    }

    #[test]
    fn a_header_holds_ascii_only() {
        assert_eq!(ascii("{\"frame\":\"Prüfteil 😀\"}"), "{\"frame\":\"Pr\\u00fcfteil \\ud83d\\ude00\"}");
    }
}
