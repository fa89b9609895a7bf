//! Records on their way to `events.jsonl`. They may come from any thread, at any time; the file belongs to the writer, which
//! alone waits for the disk.

use super::Record;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Mutex, PoisonError};

/// Records that may wait for the writer. It looks ten times a second, and faults are told once a minute each.
const QUEUE: usize = 64;

static WRITER: Mutex<Option<SyncSender<Record>>> = Mutex::new(None);

/// From now on records are kept here.
pub fn keep_here() -> Receiver<Record> {
    let (to_writer, records) = sync_channel(QUEUE);
    *writer() = Some(to_writer);
    records
}

/// Nobody writes records down any more.
pub fn keep_nowhere() {
    *writer() = None;
}

/// Hands a record to the writer. One for which there is no room is lost, as where nobody writes.
pub fn keep(record: Record) {
    if let Some(to_writer) = writer().as_ref() {
        // Full only where the disk has been stuck for long; whoever calls must not get stuck with it.
        let _ = to_writer.try_send(record);
    }
}

fn writer() -> std::sync::MutexGuard<'static, Option<SyncSender<Record>>> {
    WRITER.lock().unwrap_or_else(PoisonError::into_inner)
}
