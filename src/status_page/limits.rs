//! Bounds on what clients can use, and the memory that follows from them.

use super::control::CONTROL_BYTES;
use super::line_controls::VERSIONS_BYTES;
use super::teaching::PIXEL;
use super::{encoder, events, history, request};

/// The most viewers of the live view.
pub const VIEWERS: usize = 4;
/// The most authorized connections at a time that have a thread, viewers included.
pub const CONNECTIONS: usize = 12;
/// The most connections at a time whose request is incomplete, or that were answered without a thread.
pub const PENDING: usize = 32;
/// The longest answer without a thread, in bytes: the page.
pub const LONGEST_ANSWER: usize = 24 << 10;
/// Stack of the page's threads, in bytes.
pub const STACK: usize = 256 << 10;
/// Send buffer of a connection in the kernel, in bytes.
pub const SEND_BUFFER: usize = 128 << 10;

/// Upper bound of the page's memory, in bytes, for frames of so many pixels, with or without control: heap, thread stacks, and the kernel's buffers for
/// connections.
pub fn max_bytes(pixels: u64, control: bool) -> u64 {
    // The kernel counts a send buffer twice, and the same again for the receive buffer.
    let connection = STACK + 4 * SEND_BUFFER;
    // One without a thread sends at most one answer, and what it sends itself is read at once.
    let control = if control { CONTROL_BYTES + VERSIONS_BYTES } else { 0 };
    heap_bytes(pixels) + control + (CONNECTIONS * connection + PENDING * 2 * LONGEST_ANSWER + STACK) as u64
}

/// What the process that teaches has beside its heap: stacks, the linker's and the allocator's tables; measured (docs/http.md).
const PROCESS_BYTES: u64 = 8 << 20;
/// What the thread of teaching holds beside frames: the request, the report, what the process says.
const TEACHING_TEXT: u64 = 1 << 20;

/// Upper bound of the memory of teaching, in bytes, for frames of so many pixels, where the process's heap may hold `memory`: two frames
/// on their way from inspection to the disk, and one that is encoded.
pub fn teaching_bytes(pixels: u64, memory: u64) -> u64 {
    memory + PROCESS_BYTES + TEACHING_TEXT + STACK as u64 + 3 * PIXEL * pixels
}

/// The heap's part of [`max_bytes`]: two frames, an annotated copy and heatmaps; the newest JPEG, the next one and one for each
/// viewer; requests and answers.
pub fn heap_bytes(pixels: u64) -> u64 {
    let frames = (3 * 3 + 2) * pixels;
    let jpegs = (VIEWERS as u64 + 2) * encoder::max_jpeg_bytes(pixels as usize) as u64;
    // The end of a record file, and as much again for what is parsed from it.
    let answer = request::LONGEST_HEAD as u64 + 2 * events::TAIL_BYTES;
    // The answers of `/events` are made one at a time; each then waits to be sent.
    let history = history::HISTORY_BYTES;
    frames
        + jpegs
        + history
        + CONNECTIONS as u64 * answer
        + PENDING as u64 * LONGEST_ANSWER.max(request::LONGEST_HEAD) as u64
}
