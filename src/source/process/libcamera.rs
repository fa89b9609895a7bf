//! The command for a camera that libcamera drives, as the Raspberry Pi's: `rpicam-vid`, `libcamera-vid`, or GStreamer where only
//! that is there.

use super::command::ProcessCommand;
use super::gstreamer::gst_launch;
use super::stream_mode::StreamFormat;
use lineside_picture::PixelFormat;

/// A camera that libcamera drives.
#[derive(Debug, Clone, PartialEq)]
pub struct LibcameraOptions {
    /// Its number, as `rpicam-hello --list-cameras` has it.
    pub camera: u32,
    /// Pixels.
    pub size: (u32, u32),
    /// Frames per second.
    pub fps: f64,
    /// Time of exposure in microseconds; `None`: automatic.
    pub exposure_us: Option<u32>,
    /// Analogue and digital gain; `None`: automatic.
    pub gain: Option<f64>,
    /// White balance.
    pub white_balance: LibcameraWhiteBalance,
    /// Focus; `None`: as the camera has it.
    pub focus: Option<LibcameraFocus>,
    /// Left and right, upside and down are swapped.
    pub flip: (bool, bool),
    /// The part of the sensor that is used: left, top, width, height as shares of it.
    pub region: Option<[f64; 4]>,
}

/// White balance.
#[derive(Debug, Clone, PartialEq)]
pub enum LibcameraWhiteBalance {
    /// By a mode of libcamera: `auto`, `daylight`, `indoor` …
    Mode(String),
    /// Gains of red and blue, which do not change.
    Gains(f64, f64),
}

/// Focus.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum LibcameraFocus {
    /// It follows the picture.
    Auto,
    /// It stays at a distance, in dioptres: 1 / metres.
    Dioptres(f64),
}

/// Programs that drive such cameras, the best one first.
pub const LIBCAMERA_PROGRAMS: [&str; 3] = ["rpicam-vid", "libcamera-vid", "gst-launch-1.0"];

/// Rows of raw pictures have a multiple of so many bytes on a Raspberry Pi.
const ALIGNMENT: u32 = 64;

impl LibcameraOptions {
    /// The command, and what it delivers, by one of [`LIBCAMERA_PROGRAMS`].
    ///
    /// # Errors
    /// One line, where the program cannot do what is asked for.
    pub fn command(&self, program: &str) -> Result<(ProcessCommand, StreamFormat), String> {
        match program {
            "gst-launch-1.0" => self.gstreamer(),
            _ => Ok(self.rpicam_vid(program)),
        }
    }

    fn rpicam_vid(&self, program: &str) -> (ProcessCommand, StreamFormat) {
        let (width, height) = self.size;
        // Raw rows would have gaps at other widths.
        let is_raw = width.is_multiple_of(ALIGNMENT) && height.is_multiple_of(2);
        let format = if is_raw { PixelFormat::Yuv420 } else { PixelFormat::Mjpeg };
        let codec: &[&str] = if is_raw { &["yuv420"] } else { &["mjpeg", "--quality", "95"] };
        let mut arguments: Vec<String> = Vec::new();
        let mut add = |words: &[&str]| arguments.extend(words.iter().map(|word| word.to_string()));
        add(&["--camera", &self.camera.to_string(), "--width", &width.to_string(), "--height", &height.to_string()]);
        add(&[
            "--framerate",
            &self.fps.to_string(),
            "--timeout",
            "0",
            "--nopreview",
            "--verbose=0",
            "--flush",
            "--codec",
        ]);
        add(codec);
        if let Some(exposure) = self.exposure_us {
            add(&["--shutter", &exposure.to_string()]);
        }
        if let Some(gain) = self.gain {
            add(&["--gain", &gain.to_string()]);
        }
        match &self.white_balance {
            LibcameraWhiteBalance::Mode(mode) => add(&["--awb", mode]),
            LibcameraWhiteBalance::Gains(red, blue) => add(&["--awbgains", &format!("{red},{blue}")]),
        }
        match self.focus {
            Some(LibcameraFocus::Auto) => add(&["--autofocus-mode", "continuous"]),
            Some(LibcameraFocus::Dioptres(dioptres)) => {
                add(&["--autofocus-mode", "manual", "--lens-position", &dioptres.to_string()]);
            }
            None => {}
        }
        if self.flip.0 {
            add(&["--hflip"]);
        }
        if self.flip.1 {
            add(&["--vflip"]);
        }
        if let Some([left, top, width, height]) = self.region {
            add(&["--roi", &format!("{left},{top},{width},{height}")]);
        }
        add(&["--output", "-"]);
        let command = ProcessCommand { program: program.into(), arguments, ..ProcessCommand::default() };
        (command, StreamFormat::Frames(format))
    }

    /// `libcamerasrc` has had controls only since lately, under changing names.
    fn gstreamer(&self) -> Result<(ProcessCommand, StreamFormat), String> {
        let is_auto = self.white_balance == LibcameraWhiteBalance::Mode("auto".into());
        let lacking = [
            (self.camera != 0, "camera"),
            (self.exposure_us.is_some(), "exposure_us"),
            (self.gain.is_some(), "gain"),
            (!is_auto, "white_balance"),
            (self.focus.is_some(), "focus"),
            (self.region.is_some(), "region"),
        ];
        if let Some((_, key)) = lacking.iter().find(|(is_set, _)| *is_set) {
            return Err(format!(
                "{key} needs rpicam-vid or libcamera-vid, only gst-launch-1.0 is there: install rpicam-apps"
            ));
        }
        let (width, height) = self.size;
        let rate = (self.fps * 1000.0).round();
        let mut pipeline = vec!["libcamerasrc".to_string(), "!".into()];
        pipeline.push(format!("video/x-raw,width={width},height={height},framerate={rate}/1000"));
        let direction = match self.flip {
            (false, false) => None,
            (true, false) => Some("horiz"),
            (false, true) => Some("vert"),
            (true, true) => Some("180"),
        };
        if let Some(direction) = direction {
            pipeline.extend(["!".into(), "videoflip".into(), format!("video-direction={direction}")]);
        }
        Ok((gst_launch(pipeline, self.size), StreamFormat::Frames(PixelFormat::Yuyv)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options() -> LibcameraOptions {
        LibcameraOptions {
            camera: 0,
            size: (640, 480),
            fps: 10.0,
            exposure_us: None,
            gain: None,
            white_balance: LibcameraWhiteBalance::Mode("auto".into()),
            focus: None,
            flip: (false, false),
            region: None,
        }
    }

    fn line(options: &LibcameraOptions, program: &str) -> (String, StreamFormat) {
        let (command, format) = options.command(program).unwrap();
        (command.to_string(), format)
    }

    #[test]
    fn the_command_of_rpicam_vid_has_all_that_is_configured() {
        let yuv420 = StreamFormat::Frames(PixelFormat::Yuv420);
        let plain = "--camera 0 --width 640 --height 480 --framerate 10 --timeout 0 --nopreview --verbose=0 --flush \
                     --codec yuv420 --awb auto --output -";
        for program in ["rpicam-vid", "libcamera-vid"] {
            assert_eq!(line(&options(), program), (format!("{program} {plain}"), yuv420));
        }
        let all = LibcameraOptions {
            camera: 1,
            size: (1456, 1088),
            fps: 12.5,
            exposure_us: Some(5000),
            gain: Some(2.5),
            white_balance: LibcameraWhiteBalance::Gains(1.8, 1.5),
            focus: Some(LibcameraFocus::Dioptres(4.0)),
            flip: (true, true),
            region: Some([0.25, 0.25, 0.5, 0.5]),
        };
        let expected = "rpicam-vid --camera 1 --width 1456 --height 1088 --framerate 12.5 --timeout 0 --nopreview --verbose=0 \
                        --flush --codec mjpeg --quality 95 --shutter 5000 --gain 2.5 --awbgains 1.8,1.5 --autofocus-mode manual \
                        --lens-position 4 --hflip --vflip --roi 0.25,0.25,0.5,0.5 --output -";
        assert_eq!(line(&all, "rpicam-vid"), (expected.into(), StreamFormat::Frames(PixelFormat::Mjpeg)));
        let focus = LibcameraOptions { focus: Some(LibcameraFocus::Auto), ..options() };
        assert!(line(&focus, "rpicam-vid").0.contains(" --autofocus-mode continuous "));
    }

    #[test]
    fn gstreamer_has_size_rate_and_flip() {
        let flipped = LibcameraOptions { flip: (false, true), fps: 29.97, ..options() };
        let expected = "gst-launch-1.0 -q libcamerasrc '!' video/x-raw,width=640,height=480,framerate=29970/1000 '!' videoflip \
                        video-direction=vert '!' videoconvert '!' videoscale '!' video/x-raw,format=YUY2,width=640,height=480 '!' \
                        fdsink fd=1";
        assert_eq!(line(&flipped, "gst-launch-1.0"), (expected.into(), StreamFormat::Frames(PixelFormat::Yuyv)));
        let exposed = LibcameraOptions { exposure_us: Some(5000), ..options() };
        let refusal = exposed.command("gst-launch-1.0").unwrap_err();
        assert!(refusal.starts_with("exposure_us needs rpicam-vid"), "{refusal}");
    }
}
