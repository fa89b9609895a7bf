//! `lineside devices`: the cameras and GPIO lines of this board, by the names that a configuration takes.

use crate::board::{GpioChip, gpio_chips};
use crate::escape::one_line;
use crate::source::camera::{CameraInfo, OfferedMode, VideoDevice, video_devices};
use crate::source::process::{LibcameraCamera, libcamera_cameras};
use std::io::{self, Write};
use std::process::ExitCode;

#[derive(clap::Args)]
pub struct DevicesArguments {
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

pub fn run(arguments: &DevicesArguments) -> anyhow::Result<ExitCode> {
    let (cameras, chips) = (video_devices(), gpio_chips());
    let libcamera = libcamera_cameras();
    if arguments.json {
        super::print_json(&serde_json::json!({ "cameras": cameras, "libcamera": libcamera, "gpio_chips": chips }))?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut out = crate::commands::stdout();
    print_cameras(&mut out, &cameras)?;
    for LibcameraCamera { camera, about } in &libcamera {
        writeln!(out, "{}", one_line(&format!("libcamera camera {camera}: {about}")))?;
    }
    print_chips(&mut out, &chips)?;
    Ok(ExitCode::SUCCESS)
}

fn print_cameras(out: &mut impl Write, cameras: &[VideoDevice]) -> io::Result<()> {
    if cameras.is_empty() {
        writeln!(out, "no camera: the kernel has no /dev/video*")?;
    }
    for camera in cameras {
        let path = camera.path.display();
        match &camera.about {
            Ok(about) => {
                let CameraInfo { card, driver, bus, .. } = about;
                writeln!(out, "{}", one_line(&format!("camera {path}: {card} ({driver}, {bus})")))?;
                for name in &camera.stable {
                    writeln!(out, "  {}", one_line(&name.display().to_string()))?;
                }
                for OfferedMode { format, size, fps } in &about.offers {
                    let fps: Vec<String> = fps.iter().map(f64::to_string).collect();
                    let fps = if fps.is_empty() { "rates unknown".into() } else { format!("{} fps", fps.join(", ")) };
                    writeln!(out, "  {format} {size} at {fps}")?;
                }
                if !about.other_formats.is_empty() {
                    writeln!(out, "  not decoded: {}", about.other_formats.join(", "))?;
                }
            }
            // The text begins with the path.
            Err(reason) => writeln!(out, "no camera {}", one_line(reason))?,
        }
    }
    Ok(())
}

fn print_chips(out: &mut impl Write, chips: &[GpioChip]) -> io::Result<()> {
    if chips.is_empty() {
        writeln!(out, "no GPIO chip: the kernel has no /dev/gpiochip*")?;
    }
    for chip in chips {
        let path = chip.path.display();
        match &chip.lines {
            Ok(lines) => {
                writeln!(out, "GPIO chip {path}: {}, {} lines", one_line(&chip.label), lines.len())?;
                for line in lines {
                    let name = if line.name.is_empty() { String::new() } else { format!(" {:?}", line.name) };
                    let direction = if line.output { "output" } else { "input" };
                    let user = line.used_by.as_ref().map_or(String::new(), |user| format!(", used by {user:?}"));
                    writeln!(out, "  line {}{name}: {direction}{user}", line.number)?;
                }
            }
            Err(reason) => writeln!(out, "GPIO chip {path}: {}", one_line(reason))?,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::board::GpioLine;
    use crate::source::camera::FrameSize;

    #[test]
    fn cameras_and_lines_are_listed_by_the_names_that_a_configuration_takes() {
        let offer = |format, size, fps: &[f64]| OfferedMode { format, size, fps: fps.to_vec() };
        let range = FrameSize::Range { min: [2, 1], max: [1920, 1080], step: [2, 1] };
        let about = CameraInfo {
            card: "HD Camera".into(),
            driver: "uvcvideo".into(),
            bus: "usb-1".into(),
            offers: vec![offer("YUYV", FrameSize::One([640, 480]), &[30.0, 7.5]), offer("MJPG", range, &[])],
            other_formats: vec!["H264".into()],
        };
        let camera =
            VideoDevice { path: "/dev/video0".into(), stable: vec!["/dev/v4l/by-id/usb-HD".into()], about: Ok(about) };
        let other =
            VideoDevice { path: "/dev/video1".into(), stable: vec![], about: Err("/dev/video1: it is none".into()) };
        let mut out = Vec::new();
        print_cameras(&mut out, &[camera, other]).unwrap();
        let line = |number, name: &str, used_by| GpioLine { number, name: name.into(), output: number == 1, used_by };
        let lines = Ok(vec![line(0, "ALARM", None), line(1, "", Some("led".into()))]);
        print_chips(&mut out, &[GpioChip { path: "/dev/gpiochip0".into(), label: "pl061".into(), lines }]).unwrap();
        print_chips(&mut out, &[]).unwrap();
        let expected = "camera /dev/video0: HD Camera (uvcvideo, usb-1)\n  /dev/v4l/by-id/usb-HD\n  \
                        YUYV 640x480 at 30, 7.5 fps\n  MJPG 2x1 to 1920x1080 at rates unknown\n  not decoded: H264\n\
                        no camera /dev/video1: it is none\n\
                        GPIO chip /dev/gpiochip0: pl061, 2 lines\n  line 0 \"ALARM\": input\n  line 1: output, used by \"led\"\n\
                        no GPIO chip: the kernel has no /dev/gpiochip*\n";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }
}
