//! The publisher's interface to the rest of the program.

use super::picture::{MOST_BYTES, encode};
use super::sender;
use super::settings::BrokerSettings;
use super::shared::SharedState;
use super::spool::Spool;
use crate::sink::events::last_lines;
use crate::telemetry::{Cause, Record, Telemetry, json_line};
use crate::threads::not_started;
use crate::times::FLUSH;
use lineside_picture::Picture;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Upper bound of the memory for a broker, in bytes, beside the records on the disk: the sender's stack, a TLS session with a
/// system's certificate authorities, the records in flight, and the pictures that are encoded, wait and go.
pub const BYTES: usize = STACK + (1 << 20) + PICTURES;
/// Pixels before and after they are scaled down belong to the writer's pictures; here are their JPEGs.
const PICTURES: usize = 4 * MOST_BYTES;
/// Pictures are published no more often.
const PICTURE_EVERY: Duration = Duration::from_secs(1);
/// The subfolder of the queue.
const FOLDER: &str = "mqtt";
const STACK: usize = 1 << 19;

/// Publishes records from a thread of its own.
pub struct BrokerClient {
    shared: Arc<SharedState>,
    /// Where pictures are published: when one was encoded last.
    pictured: Option<Mutex<Option<Instant>>>,
    thread: JoinHandle<()>,
    telemetry: Telemetry,
}

impl BrokerClient {
    /// Starts the sender. Records are queued in the subfolder `mqtt` of `output`, in at most `budget` bytes, and sent as soon as
    /// the broker is connected. What the record files in `output` have and the queue has not is queued first. The client of the
    /// run before, where there was one, has ended before this one logs in.
    ///
    /// # Errors
    /// If another process uses the folder, a link or the like is in it, or the thread cannot be started.
    pub fn start(
        settings: BrokerSettings,
        output: &Path,
        budget: u64,
        telemetry: Telemetry,
        before: Option<&BrokerClient>,
    ) -> io::Result<BrokerClient> {
        let folder = output.join(FOLDER);
        let (mut spool, disk_error) = Spool::open(&folder, budget)?;
        let disk_error = match disk_error {
            None => spool.reconcile(&last_lines(output)).err(),
            error => error,
        };
        if let Some(error) = disk_error {
            telemetry.fail(Cause::Spool, &format!("{}: {error}", folder.display()));
        }
        let shared = Arc::new(SharedState::new(spool));
        let (for_sender, its_telemetry) = (Arc::clone(&shared), telemetry.clone());
        let pictured = settings.pictures.then(Mutex::default);
        let before = before.map(|before| Arc::clone(&before.shared));
        let thread = std::thread::Builder::new().name("mqtt".into()).stack_size(STACK);
        let thread = thread.spawn(move || sender::run(&for_sender, before.as_deref(), &settings, &its_telemetry));
        let thread = thread.map_err(|error| not_started("mqtt", &error))?;
        Ok(BrokerClient { shared, pictured, thread, telemetry })
    }

    /// Whether its thread has panicked.
    pub fn has_failed(&self) -> bool {
        self.thread.is_finished() && !self.shared.is_stopping()
    }

    /// Queues a record; it is on the disk then. A status is not queued: only the newest one matters, see
    /// [`BrokerClient::set_status`].
    ///
    /// # Errors
    /// If the disk does not take it: it waits in memory then, until [`BrokerClient::persist`] or the sender can write it.
    pub fn enqueue(&self, record: &Record) -> io::Result<()> {
        if record.kind() == "status" {
            return Ok(());
        }
        let line = json_line(record, false);
        let written = self.shared.with_spool(|spool| spool.push(line));
        sender::report_spool(written.unwrap_or(Ok(())), &self.telemetry)
    }

    /// Writes the records that wait in memory, for example because there is room on the disk now.
    ///
    /// # Errors
    /// If the disk does not take them.
    pub fn persist(&self) -> io::Result<()> {
        let written = self.shared.with_spool(Spool::write_memory);
        sender::report_spool(written.unwrap_or(Ok(())), &self.telemetry)
    }

    /// Publishes a status, in place of one that has not been published yet.
    pub fn set_status(&self, status: &Record) {
        self.shared.set_status(json_line(status, false));
    }

    /// Records that the broker has not acknowledged; never waits.
    pub fn waiting(&self) -> u64 {
        self.shared.waiting()
    }

    /// Publishes the picture of a defect, where that is asked for and no other was within a second, in place of one that has not been
    /// published yet.
    pub fn offer_picture(&self, picture: &Picture) {
        let Some(pictured) = &self.pictured else { return };
        let mut pictured = pictured.lock().unwrap_or_else(PoisonError::into_inner);
        if pictured.is_some_and(|before| before.elapsed() < PICTURE_EVERY) {
            return;
        }
        *pictured = Some(Instant::now());
        match encode(picture) {
            Some(jpeg) => self.shared.set_picture(jpeg),
            None => self.telemetry.report_once("mqtt", "a picture could not be made small enough for the broker"),
        }
    }

    /// Sends what can be sent within [`FLUSH`]; the rest stays queued for the next run.
    pub fn stop(&self) {
        self.shared.stop(FLUSH);
    }
}
