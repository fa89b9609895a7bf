//! The configuration that a board begins with: the commented one of the package, with what this board has.

use std::fmt::Write;
use std::path::PathBuf;

/// The package's configuration, which documents every key.
const TEMPLATE: &str = include_str!("../../debian/lineside.toml");

/// What a board has.
#[derive(Debug, Default)]
pub struct Starter {
    /// Its camera.
    pub camera: Option<StarterCamera>,
    /// Names of its GPIO lines that are free.
    pub free_lines: Vec<String>,
    /// The folder of results.
    pub output: PathBuf,
    /// For the process, in MiB; `None`: the default.
    pub memory_mib: Option<u64>,
}

/// A board's camera.
#[derive(Debug, Clone, PartialEq)]
pub enum StarterCamera {
    /// Of V4L2.
    V4l2 {
        /// Its device.
        device: PathBuf,
        /// Pixels.
        size: [u32; 2],
        /// Frames a second.
        fps: f64,
    },
    /// Of libcamera, by its number.
    Libcamera(u32),
}

impl Starter {
    /// The configuration's text. Without a camera frames come from the synthetic line, and the bundle is the one that knows it.
    pub fn to_toml(&self) -> String {
        let mut text = String::from(
            "# Configuration of `lineside run`, written by `lineside init`. A line that begins with # shows the default; remove the # to \
             change it.\n# `lineside check FILE` tries it without starting a line.\n",
        );
        let mut section = "";
        for line in TEMPLATE.lines().skip_while(|line| line.starts_with('#')) {
            if let Some(name) = line.strip_prefix('[') {
                section = name.trim_end_matches(']');
            }
            let key = line.trim_start_matches('#').split_once(" = ").map(|(key, _)| key);
            match (section, key, &self.camera) {
                ("budget", Some("memory"), _) if self.memory_mib.is_some() => {
                    let memory = self.memory_mib.unwrap_or_default();
                    text.push_str("# Less than the default: this board has little.\n");
                    push(&mut text, &format!("memory = \"{memory} MiB\""));
                }
                ("source.camera", None, None) if line == "[source.camera]" => text.push_str(
                    "# No camera was found: the frames of a synthetic line. Plug one in and see `lineside devices`, then use [source.camera]\n\
                     # instead.\n[source.pattern]\nfps = 5.0\n\n#[source.camera]\n",
                ),
                ("source.camera", None, Some(StarterCamera::Libcamera(camera))) if line == "[source.camera]" => {
                    let keys = format!("camera = {camera}\nwidth = 640\nheight = 480\nfps = 10.0");
                    push(&mut text, &format!("[source.libcamera]\n{keys}\n\n#[source.camera]"));
                }
                ("source.camera", Some("device"), None | Some(StarterCamera::Libcamera(_))) => {
                    push(&mut text, &format!("#{line}"));
                }
                (
                    "source.camera",
                    Some(key @ ("device" | "width" | "height" | "fps")),
                    Some(StarterCamera::V4l2 { device, size: [width, height], fps }),
                ) => {
                    let value = match key {
                        "device" => toml::Value::String(device.display().to_string()),
                        "width" => toml::Value::Integer((*width).into()),
                        "height" => toml::Value::Integer((*height).into()),
                        _ => toml::Value::Float(*fps),
                    };
                    push(&mut text, &format!("{key} = {value}"));
                }
                ("anomaly", Some("bundle"), None) => {
                    text.push_str("# inspect-pattern knows the synthetic line.\nbundle = \"inspect-pattern\"\n");
                }
                ("output", Some("folder"), _) => {
                    let folder = toml::Value::String(self.output.display().to_string());
                    push(&mut text, &format!("folder = {folder}"));
                }
                _ => {
                    if line == "#[alarm]" && !self.free_lines.is_empty() {
                        push(&mut text, &format!("# Free here: {}.", self.free_lines.join(", ")));
                    }
                    push(&mut text, line);
                }
            }
        }
        text
    }
}

fn push(text: &mut String, line: &str) {
    // Writing to a String cannot fail.
    let _ = writeln!(text, "{line}");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, Source};
    use std::path::Path;

    fn parse(starter: &Starter) -> Config {
        Config::parse(&starter.to_toml(), Path::new("line.toml")).unwrap()
    }

    #[test]
    fn what_the_board_has_is_in_it() {
        let starter = Starter {
            camera: Some(StarterCamera::V4l2 {
                device: "/dev/v4l/by-id/usb-\"HD\"".into(),
                size: [800, 600],
                fps: 7.5,
            }),
            free_lines: vec!["GPIO17".into(), "GPIO27".into()],
            output: "lineside-out".into(),
            memory_mib: Some(128),
        };
        let config = parse(&starter);
        let Source::Camera(camera) = &config.source else { panic!("no camera") };
        assert_eq!(camera.device.get_ref(), "/dev/v4l/by-id/usb-\"HD\"");
        assert_eq!((*camera.width.get_ref(), *camera.height.get_ref(), *camera.fps.get_ref()), (800, 600, 7.5));
        assert_eq!(config.output.folder.get_ref(), Path::new("lineside-out"));
        assert_eq!(*config.budget.memory.get_ref(), bytesize::ByteSize::mib(128));
        let text = starter.to_toml();
        assert!(text.contains("# Free here: GPIO17, GPIO27.\n#[alarm]"), "{text}");
        // Every key of the template is still there, commented or not.
        let keys = |text: &str| {
            let key = |line: &str| line.trim_start_matches('#').split_once(" = ").map(|(key, _)| key.to_string());
            text.lines().filter_map(key).collect::<Vec<_>>()
        };
        assert_eq!(keys(&text), keys(TEMPLATE));
    }

    #[test]
    fn a_camera_of_libcamera_has_its_own_section() {
        let camera = Some(StarterCamera::Libcamera(1));
        let config = parse(&Starter { camera, output: "out".into(), ..Starter::default() });
        let Source::Libcamera(camera) = &config.source else { panic!("another source") };
        assert_eq!((*camera.camera.get_ref(), *camera.width.get_ref(), *camera.fps.get_ref()), (1, 640, 10.0));
        assert_eq!(config.anomaly.bundle.get_ref(), "inspect-demo");
    }

    #[test]
    fn without_a_camera_it_is_the_synthetic_line() {
        let config = parse(&Starter { output: "out".into(), ..Starter::default() });
        assert!(matches!(config.source, Source::Pattern(_)));
        assert_eq!(config.anomaly.bundle.get_ref(), "inspect-pattern");
        assert_eq!(*config.budget.memory.get_ref(), bytesize::ByteSize::mib(192));
    }
}
