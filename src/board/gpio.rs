//! GPIO lines by the kernel's character device: found by chip and number or by name, opened as outputs or for their edges.

use super::monotonic::instant_of;
use super::permission::permission_advice;
use embedded_hal::digital::PinState;
use gpiocdev::line::{EdgeDetection, EventClock, Value};
use gpiocdev::{Request, chip::Chip};
use gpiocdev_embedded_hal::OutputPin;
use rustix::io::Errno;
use serde::de::{self, Deserialize, Deserializer, Visitor};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The user of a line, as `lineside devices` and `gpioinfo` print it.
const CONSUMER: &str = "lineside";

/// A line by its number on a chip or by its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LineName {
    /// The number on its chip.
    Number(u32),
    /// Its name on this board.
    Name(String),
}

/// Identifies a line.
#[derive(Debug, Clone, Copy)]
pub struct LineAddress<'a> {
    /// The chip's path, name (`gpiochip0`) or label (`pinctrl-bcm2711`); without it a named line is searched on all chips.
    pub chip: Option<&'a str>,
    /// The line.
    pub line: &'a LineName,
}

impl std::fmt::Display for LineAddress<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.line {
            LineName::Number(number) => write!(f, "line {number}")?,
            LineName::Name(name) => write!(f, "line {name:?}")?,
        }
        self.chip.map_or(Ok(()), |chip| write!(f, " of {chip}"))
    }
}

/// Why a line cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct GpioError {
    text: String,
    /// Whether waiting does not help: only a change of the configuration or the board does.
    pub permanent: bool,
}

fn permanent_error(text: String) -> GpioError {
    GpioError { text, permanent: true }
}

/// A chip with its lines.
#[derive(Debug, serde::Serialize)]
pub struct GpioChip {
    /// Its path.
    pub path: PathBuf,
    /// Its label.
    pub label: String,
    /// Its lines, or why they cannot be read.
    pub lines: Result<Vec<GpioLine>, String>,
}

/// A line.
#[derive(Debug, serde::Serialize)]
pub struct GpioLine {
    /// Its number on the chip.
    pub number: u32,
    /// Its name; empty where it has none.
    pub name: String,
    /// Whether it is an output at present.
    pub output: bool,
    /// Who uses it; `None` where it is free.
    pub used_by: Option<String>,
}

/// All GPIO chips of this board.
pub fn gpio_chips() -> Vec<GpioChip> {
    let mut paths = gpiocdev::chip::chips().unwrap_or_default();
    paths.sort_by(|a, b| gpiocdev::chip::path_compare(a, b));
    paths.into_iter().map(|path| describe_chip(&path)).collect()
}

fn describe_chip(path: &Path) -> GpioChip {
    let described = Chip::from_path(path).and_then(|chip| {
        let info = chip.info()?;
        let lines = chip.line_info_iter()?.collect::<gpiocdev::Result<Vec<_>>>()?;
        Ok((info.label, lines))
    });
    match described {
        Ok((label, lines)) => {
            let line = |line: gpiocdev::line::Info| GpioLine {
                number: line.offset,
                name: line.name,
                output: line.direction == gpiocdev::line::Direction::Output,
                used_by: line.used.then_some(line.consumer),
            };
            GpioChip { path: path.into(), label, lines: Ok(lines.into_iter().map(line).collect()) }
        }
        Err(error) => GpioChip { path: path.into(), label: String::new(), lines: Err(reason(&error, path)) },
    }
}

/// Opens a line as an output that is at `level` from the start.
///
/// # Errors
/// In one line: what is wrong with the address, or who uses the line.
pub fn open_output(address: LineAddress, level: PinState) -> Result<OutputPin, GpioError> {
    let (chip, number) = find(address)?;
    let value = if level == PinState::High { Value::Active } else { Value::Inactive };
    let request =
        Request::builder().with_consumer(CONSUMER).on_chip(&chip).with_line(number).as_output(value).request();
    let request = request.map_err(|error| refused(&chip, number, &error))?;
    OutputPin::try_from(request).map_err(|error| permanent_error(error.to_string()))
}

/// The rising or falling edges of a line.
pub struct Edges {
    request: Request,
    name: String,
    /// The kernel's number of the edge read last; 0 before the first, and always where the kernel does not number them.
    sequence: u32,
}

/// One edge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LineEdge {
    /// When it occurred.
    pub at: Instant,
    /// Edges just before it that the kernel had no room for.
    pub lost: u64,
}

/// The levels of several lines.
pub struct InputLevels {
    /// Each with its number on its chip, and its name for messages.
    lines: Vec<(Request, u32, String)>,
}

impl InputLevels {
    /// Opens lines as inputs; at most 16.
    ///
    /// # Errors
    /// As [`open_output`].
    pub fn open<'a>(addresses: impl Iterator<Item = LineAddress<'a>>) -> Result<InputLevels, GpioError> {
        let open = |address: LineAddress| {
            let (chip, number) = find(address)?;
            let request =
                Request::builder().with_consumer(CONSUMER).on_chip(&chip).with_line(number).as_input().request();
            let request = request.map_err(|error| refused(&chip, number, &error))?;
            Ok((request, number, format!("{} line {number}", chip.display())))
        };
        Ok(InputLevels { lines: addresses.map(open).collect::<Result<_, GpioError>>()? })
    }

    /// The levels as a number, that of the first line as the lowest bit; does not wait.
    ///
    /// # Errors
    /// In one line, where a line is gone.
    pub fn read(&self) -> Result<u16, String> {
        let mut code = 0;
        for (bit, (request, number, name)) in self.lines.iter().enumerate() {
            let value = request.value(*number).map_err(|error| format!("{name}: {error}"))?;
            code |= u16::from(value == Value::Active) << bit;
        }
        Ok(code)
    }
}

/// Edges that are read at once.
pub const EDGE_BATCH: usize = 16;
/// Edges that may wait in the kernel: the most that it grants a request of one line.
const KERNEL_QUEUE: u32 = 1024;
/// 64-bit words of an event (`gpio_v2_line_event`).
const WORDS: usize = 6;

impl Edges {
    /// Opens a line as an input and detects its rising edges, or its falling ones. Levels that last for less than `debounce` do
    /// not count.
    ///
    /// # Errors
    /// As [`open_output`].
    pub fn open(address: LineAddress, rising: bool, debounce: Duration) -> Result<Edges, GpioError> {
        let (chip, number) = find(address)?;
        let edge = if rising { EdgeDetection::RisingEdge } else { EdgeDetection::FallingEdge };
        let mut builder = Request::builder();
        builder.with_consumer(CONSUMER).on_chip(&chip).with_line(number).as_input();
        builder.with_edge_detection(edge).with_event_clock(EventClock::Monotonic);
        builder.with_kernel_event_buffer_size(KERNEL_QUEUE);
        if !debounce.is_zero() {
            builder.with_debounce_period(debounce);
        }
        let request = builder.request().map_err(|error| refused(&chip, number, &error))?;
        Ok(Edges { request, name: format!("{} line {number}", chip.display()), sequence: 0 })
    }

    /// Waits for edges. Returns the time of the newest, in nanoseconds of the monotonic clock, and how many there were; `None`
    /// where none came in time.
    ///
    /// # Errors
    /// In one line, where the line is gone.
    pub fn wait(&mut self, time: Duration) -> Result<Option<(u64, u64)>, String> {
        let failed = |error: gpiocdev::Error| format!("{}: {error}", self.name);
        let (mut newest, mut edges, mut patience) = (None, 0, time);
        while self.request.wait_edge_event(patience).map_err(failed)? {
            let mut words = [0; EDGE_BATCH * WORDS];
            let read = self.request.read_edge_events_into_slice(&mut words).map_err(failed)?;
            for event in words[..read].chunks_exact(WORDS) {
                newest = Some(self.request.edge_event_from_slice(event).map_err(failed)?.timestamp_ns);
                edges += 1;
            }
            patience = Duration::ZERO;
        }
        Ok(newest.map(|newest| (newest, edges)))
    }

    /// The edges that wait, the oldest first; returns how many. Neither waits nor allocates.
    ///
    /// # Errors
    /// In one line, where the line is gone.
    pub fn read(&mut self, edges: &mut [LineEdge; EDGE_BATCH]) -> Result<usize, String> {
        let failed = |error: gpiocdev::Error| format!("{}: {error}", self.name);
        if !self.request.has_edge_event().map_err(failed)? {
            return Ok(0);
        }
        let mut words = [0; EDGE_BATCH * WORDS];
        let read = self.request.read_edge_events_into_slice(&mut words).map_err(failed)?;
        let mut count = 0;
        for (edge, event) in edges.iter_mut().zip(words[..read].chunks_exact(WORDS)) {
            let event = self.request.edge_event_from_slice(event).map_err(failed)?;
            let lost = lost_between(self.sequence, event.line_seqno);
            self.sequence = event.line_seqno;
            *edge = LineEdge { at: instant_of(event.timestamp_ns), lost };
            count += 1;
        }
        Ok(count)
    }

    /// Readable while edges wait.
    pub fn as_fd(&self) -> BorrowedFd<'_> {
        self.request.as_fd()
    }

    /// The chip and number of the line, for messages.
    pub fn line_name(&self) -> &str {
        &self.name
    }
}

/// Edges between two of which the kernel gave these numbers; they begin with 1 and go round.
fn lost_between(before: u32, number: u32) -> u64 {
    if number == 0 { 0 } else { u64::from(number.wrapping_sub(before).saturating_sub(1)) }
}

/// The path of the chip and the line's number on it.
fn find(address: LineAddress) -> Result<(PathBuf, u32), GpioError> {
    let chips = gpio_chips();
    let named = |chip: &GpioChip, name: &str| {
        chip.path == Path::new(name) || chip.path.file_name().is_some_and(|file| file == name) || chip.label == name
    };
    let mut candidates: Vec<&GpioChip> = match address.chip {
        Some(name) => chips.iter().filter(|chip| named(chip, name)).collect(),
        None => chips.iter().collect(),
    };
    if candidates.is_empty() {
        let there: Vec<_> = chips.iter().map(|chip| chip.path.display().to_string()).collect();
        let there = if there.is_empty() { "none".into() } else { there.join(", ") };
        return Err(permanent_error(format!("no GPIO chip {}; there is {there}", address.chip.unwrap_or("at all"))));
    }
    if let Some(problem) = candidates.iter().find_map(|chip| chip.lines.as_ref().err()) {
        // Another user may have the permission. That can be mended without a change here, so the service may be restarted.
        let readable = candidates.iter().any(|chip| chip.lines.is_ok());
        if !readable {
            return Err(GpioError { text: problem.clone(), permanent: false });
        }
    }
    candidates.retain(|chip| chip.lines.is_ok());
    match address.line {
        LineName::Number(number) => {
            let chip = candidates[0];
            let lines = chip.lines.as_ref().map_or(0, Vec::len);
            if *number as usize >= lines {
                let path = chip.path.display();
                return Err(permanent_error(format!("{path} has lines 0..{}, no {number}", lines.saturating_sub(1))));
            }
            Ok((chip.path.clone(), *number))
        }
        LineName::Name(name) => {
            let mut found = candidates.iter().flat_map(|chip| {
                let lines = chip.lines.iter().flatten().filter(|line| line.name == *name);
                lines.map(|line| (chip.path.clone(), line.number))
            });
            let none = || permanent_error(format!("no GPIO line is called {name:?}; `lineside devices` lists them"));
            let first = found.next().ok_or_else(none)?;
            match found.next() {
                None => Ok(first),
                Some((other, _)) => Err(permanent_error(format!(
                    "line {name:?} is on {} and on {}: name the chip, too",
                    first.0.display(),
                    other.display()
                ))),
            }
        }
    }
}

/// Why an existing line was refused: mostly because something uses it.
fn refused(chip: &Path, number: u32, error: &gpiocdev::Error) -> GpioError {
    let place = format!("{} line {number}", chip.display());
    let user =
        describe_chip(chip).lines.ok().and_then(|lines| lines.into_iter().find(|line| line.number == number)?.used_by);
    let text = match user {
        Some(user) if user.is_empty() => format!("{place} is in use by something without a name"),
        Some(user) => format!("{place} is in use by {user:?}"),
        None => format!("{place}: {}", reason(error, chip)),
    };
    GpioError { text, permanent: false }
}

fn reason(error: &gpiocdev::Error, path: &Path) -> String {
    match error {
        gpiocdev::Error::Os(errno) if matches!(Errno::from_raw_os_error(errno.0), Errno::ACCESS | Errno::PERM) => {
            format!("{}: {}", path.display(), permission_advice(path))
        }
        _ => error.to_string(),
    }
}

impl<'de> Deserialize<'de> for LineName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NumberOrName;
        impl Visitor<'_> for NumberOrName {
            type Value = LineName;
            fn expecting(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
                f.write_str("a line's number on its chip, or its name")
            }
            fn visit_i64<E: de::Error>(self, number: i64) -> Result<LineName, E> {
                let wrong = |_| E::invalid_value(de::Unexpected::Signed(number), &self);
                u32::try_from(number).map(LineName::Number).map_err(wrong)
            }
            fn visit_str<E: de::Error>(self, name: &str) -> Result<LineName, E> {
                Ok(LineName::Name(name.into()))
            }
        }
        deserializer.deserialize_any(NumberOrName)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edges_that_the_kernel_dropped_are_seen_by_their_numbers() {
        assert_eq!([(0, 1), (1, 2), (2, 3)].map(|(before, number)| lost_between(before, number)), [0; 3]);
        assert_eq!([(0, 4), (7, 9), (u32::MAX, 0)].map(|(before, number)| lost_between(before, number)), [3, 1, 0]);
        assert_eq!(lost_between(u32::MAX - 1, 3), 4, "the numbers go round");
    }
}
