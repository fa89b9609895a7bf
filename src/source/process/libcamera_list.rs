//! The cameras that libcamera drives, as one of its own programs lists them.

use super::child::RunningProgram;
use super::command::ProcessCommand;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::io::{ErrorKind, Read};
use std::time::{Duration, Instant};

/// How long a program may take to list the cameras.
const PATIENCE: Duration = Duration::from_secs(10);
/// The most bytes of a list.
const LIST: usize = 1 << 16;

/// A camera that libcamera drives.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct LibcameraCamera {
    /// Its number, as `[source.libcamera]` takes it.
    pub camera: u32,
    /// As the program describes it: its sensor, and where it is.
    pub about: String,
}

/// The cameras that libcamera drives; none where none of its programs is there.
pub fn libcamera_cameras() -> Vec<LibcameraCamera> {
    let of_apps = ["rpicam-hello", "libcamera-hello", "rpicam-vid", "libcamera-vid"];
    let of_apps = of_apps.map(|program| (ProcessCommand::new(program, ["--list-cameras"]), 0));
    // Counts from 1.
    let lists = of_apps.into_iter().chain([(ProcessCommand::new("cam", ["-l"]), 1)]).collect::<Vec<_>>();
    let found = lists.iter().find_map(|(command, first)| Some((output(command)?, *first)));
    found.map_or_else(Vec::new, |(list, first)| parse(&list, first))
}

/// What a program writes to its standard output, where it is there; what it says beside that is of no interest.
fn output(command: &ProcessCommand) -> Option<String> {
    let mut program = RunningProgram::start(&command.find()?, command).ok()?;
    let (until, mut list, mut chunk) = (Instant::now() + PATIENCE, Vec::new(), [0; 4096]);
    let mut stderr_open = true;
    while list.len() < LIST {
        let left = Timespec::try_from(until.checked_duration_since(Instant::now())?).ok()?;
        let mut ready = [PollFd::new(&program.stdout, PollFlags::IN), PollFd::new(&program.stderr, PollFlags::IN)];
        let count = if stderr_open { 2 } else { 1 };
        // An error would come again from reading.
        let _ = poll(&mut ready[..count], Some(&left));
        if stderr_open {
            stderr_open = program
                .stderr
                .read(&mut chunk)
                .map_or_else(|error| error.kind() == ErrorKind::WouldBlock, |read| read > 0);
        }
        match program.stdout.read(&mut chunk) {
            Ok(0) => break,
            Ok(length) => list.extend_from_slice(&chunk[..length]),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
            Err(_) => return None,
        }
    }
    Some(String::from_utf8_lossy(&list).into_owned())
}

/// Lines that begin with a number and a colon; the modes of a camera below it are indented.
fn parse(list: &str, first: u32) -> Vec<LibcameraCamera> {
    let camera = |line: &str| {
        let (number, about) = line.split_once(':')?;
        let camera = number.trim_end().parse::<u32>().ok()?.checked_sub(first)?;
        Some(LibcameraCamera { camera, about: about.trim().to_string() })
    };
    list.lines().filter_map(camera).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cameras_are_read_from_the_lists_of_both_programs() {
        let rpicam = "Available cameras\n-----------------\n\
                      0 : imx708 [4608x2592 10-bit RGGB] (/base/axi/pcie@120000/rp1/i2c@88000/imx708@1a)\n    \
                      Modes: 'SRGGB10_CSI2P' : 1536x864 [120.13 fps - (768, 432)/3072x1728 crop]\n                             \
                      2304x1296 [56.03 fps - (0, 0)/4608x2592 crop]\n\n1 : ov5647 [2592x1944] (/base/b)\n";
        let camera = |camera, about: &str| LibcameraCamera { camera, about: about.into() };
        let expected = [
            camera(0, "imx708 [4608x2592 10-bit RGGB] (/base/axi/pcie@120000/rp1/i2c@88000/imx708@1a)"),
            camera(1, "ov5647 [2592x1944] (/base/b)"),
        ];
        assert_eq!(parse(rpicam, 0), expected);
        let cam =
            "Available cameras:\n1: 'imx219' (/base/soc/i2c0mux/i2c@1/imx219@10)\n2: External camera 'USB' (usb)\n";
        let expected =
            [camera(0, "'imx219' (/base/soc/i2c0mux/i2c@1/imx219@10)"), camera(1, "External camera 'USB' (usb)")];
        assert_eq!(parse(cam, 1), expected);
        assert_eq!(parse("No cameras available!\n", 0), []);
    }
}
