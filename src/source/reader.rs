//! Reads files in a thread of its own: a disk or share that stalls keeps that thread, and nobody else.

use crate::files;
use crate::threads::not_started;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

/// The name of the thread.
const NAME: &str = "reader";
/// Its stack, in bytes.
const STACK: usize = 1 << 18;

/// Reads one file after the other.
pub(super) struct FileReader {
    files: Arc<[PathBuf]>,
    /// The last file's buffer, for the next one.
    spare: Vec<u8>,
    requests: SyncSender<Request>,
    results: Receiver<ReadFile>,
    thread: Option<JoinHandle<()>>,
}

struct Request {
    index: usize,
    max_bytes: u64,
    buffer: Vec<u8>,
}

/// The content of a file, or why it cannot be read.
pub(super) struct ReadFile {
    pub(super) result: io::Result<()>,
    pub(super) bytes: Vec<u8>,
}

impl FileReader {
    /// A thread that reads these files, on request.
    ///
    /// # Errors
    /// Where it cannot be started.
    pub(super) fn start(files: Vec<PathBuf>) -> io::Result<FileReader> {
        let files: Arc<[PathBuf]> = files.into();
        let (requests, requested) = sync_channel::<Request>(1);
        let (answers, results) = sync_channel(1);
        let known = Arc::clone(&files);
        let work = move || {
            for Request { index, max_bytes, buffer: mut bytes } in requested {
                let result = files::read_into(&known[index], max_bytes, &mut bytes);
                if answers.send(ReadFile { result, bytes }).is_err() {
                    return;
                }
            }
        };
        let thread = Builder::new().name(NAME.into()).stack_size(STACK).spawn(work);
        let thread = Some(thread.map_err(|error| not_started(NAME, &error))?);
        Ok(FileReader { files, spare: Vec::new(), requests, results, thread })
    }

    /// Asks for a file of at most `max_bytes`; returns its path. One request at a time.
    pub(super) fn request(&mut self, index: usize, max_bytes: u64) -> &Path {
        let request = Request { index, max_bytes, buffer: std::mem::take(&mut self.spare) };
        // It fits: the request before was answered. A thread that is gone is noticed by `wait`.
        let _ = self.requests.try_send(request);
        &self.files[index]
    }

    /// The file that was asked for, or `None` where it is not read yet after `patience`. A panic of the thread goes on in the
    /// caller's.
    pub(super) fn wait(&mut self, patience: Duration) -> Option<ReadFile> {
        match self.results.recv_timeout(patience) {
            Ok(read) => Some(read),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => {
                if let Some(Err(panic)) = self.thread.take().map(JoinHandle::join) {
                    std::panic::resume_unwind(panic);
                }
                None
            }
        }
    }

    /// Keeps a file's buffer for the next one.
    pub(super) fn give_back(&mut self, buffer: Vec<u8>) {
        self.spare = buffer;
    }
}
