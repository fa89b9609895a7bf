//! Reads files and looks for new ones in a thread of its own: a disk or share that stalls keeps that thread, and nobody else.

use super::ledger::DropFile;
use super::watch::Watcher;
use crate::files;
use crate::threads::not_started;
use std::io;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

/// The name of the thread.
const NAME: &str = "reader";
/// Its stack, in bytes.
const STACK: usize = 1 << 18;

/// Does one piece of work after the other.
pub(super) struct FileReader {
    /// The last file's buffer, for the next one.
    spare: Vec<u8>,
    requests: SyncSender<Request>,
    answers: Receiver<Answer>,
    thread: Option<JoinHandle<()>>,
}

enum Request {
    Read { path: PathBuf, max_bytes: u64, buffer: Vec<u8> },
    Look,
}

/// What came of a piece of work.
pub(super) enum Answer {
    /// The content of a file, or why it cannot be read.
    Read { result: io::Result<()>, bytes: Vec<u8> },
    /// The new files of a drop folder, or why it cannot be read.
    Looked(Result<Vec<DropFile>, String>),
}

impl FileReader {
    /// A thread that reads files on request, and with a watcher looks for new ones.
    ///
    /// # Errors
    /// Where it cannot be started.
    pub(super) fn start(mut watcher: Option<Watcher>) -> io::Result<FileReader> {
        let (requests, requested) = sync_channel::<Request>(1);
        let (sender, answers) = sync_channel(1);
        let work = move || {
            for request in requested {
                let answer = match request {
                    Request::Read { path, max_bytes, buffer: mut bytes } => {
                        let result = files::read_into(&path, max_bytes, &mut bytes);
                        Answer::Read { result, bytes }
                    }
                    Request::Look => {
                        let nothing = || Ok(Vec::new());
                        Answer::Looked(watcher.as_mut().map_or_else(nothing, |watcher| watcher.look(Instant::now())))
                    }
                };
                if sender.send(answer).is_err() {
                    return;
                }
            }
        };
        let thread = Builder::new().name(NAME.into()).stack_size(STACK).spawn(work);
        let thread = Some(thread.map_err(|error| not_started(NAME, &error))?);
        Ok(FileReader { spare: Vec::new(), requests, answers, thread })
    }

    /// Asks for a file of at most `max_bytes`. One request at a time.
    pub(super) fn read(&mut self, path: PathBuf, max_bytes: u64) {
        let buffer = std::mem::take(&mut self.spare);
        // It fits: the request before was answered. A thread that is gone is noticed by `wait`.
        let _ = self.requests.try_send(Request::Read { path, max_bytes, buffer });
    }

    /// Asks for the new files of the drop folder. One request at a time.
    pub(super) fn look(&mut self) {
        let _ = self.requests.try_send(Request::Look);
    }

    /// What came of the request, or `None` where it is not done after `patience`. A panic of the thread goes on in the caller's.
    pub(super) fn wait(&mut self, patience: Duration) -> Option<Answer> {
        match self.answers.recv_timeout(patience) {
            Ok(answer) => Some(answer),
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
