//! A line's camera.

use super::mode::Mode;
use crate::config::{self, Config, ConfigError, LiveFrames};
use crate::source::FrameSource;
use crate::source::camera::{
    CameraError, CameraErrorKind, CameraOptions, CameraPort, CameraSource, NodePort, ProductControls, RequestedMode,
};
use crate::telemetry::Telemetry;
use std::sync::Arc;
use std::time::Duration;
use toml::Spanned;

/// What a configuration asks of a camera.
fn camera(
    camera: &config::CameraConfig,
    by_product: Option<Arc<ProductControls>>,
    telemetry: &Telemetry,
) -> CameraSource<NodePort> {
    let requested = RequestedMode {
        width: *camera.width.get_ref() as u32,
        height: *camera.height.get_ref() as u32,
        fps: *camera.fps.get_ref(),
        format: camera.format.map(config::CameraFormat::pixel_format),
    };
    let controls = camera.control_set();
    let frozen_after = Duration::from_secs_f64(*camera.frozen_s.get_ref());
    CameraSource::new(
        NodePort::new(camera.device.get_ref()),
        CameraOptions { requested, controls, by_product, frozen_after },
        telemetry.clone(),
    )
}

/// Opens the camera. One that is away now is no error for a run, which waits for it.
pub(super) fn open_camera(
    config: &Config,
    section: &config::CameraConfig,
    by_product: Option<Arc<ProductControls>>,
    mode: Mode,
    telemetry: &Telemetry,
) -> anyhow::Result<Box<dyn FrameSource>> {
    open(camera(section, by_product, telemetry), &Opening::new(config, section.frames(), &section.device), mode)
}

/// Where the configuration says which camera is to be opened.
pub(super) struct Opening<'a> {
    config: &'a Config,
    width: &'a Spanned<usize>,
    device: Spanned<()>,
    /// Whether one that is not there may come yet, as what is plugged in.
    pub(super) may_come: bool,
}

impl<'a> Opening<'a> {
    pub(super) fn new<T>(config: &'a Config, frames: LiveFrames<'a>, device: &Spanned<T>) -> Opening<'a> {
        Opening { config, width: frames.width, device: Spanned::new(device.span(), ()), may_come: true }
    }

    /// A camera's fault, with the line of the configuration to look at. Only what a change there can mend ends in exit code
    /// 78, after which the service is not started again.
    fn refusal(&self, fault: &CameraError) -> anyhow::Error {
        let error = match fault.kind {
            CameraErrorKind::NoSuchMode => self.config.error_at(self.width, fault),
            _ => self.config.error_at(&self.device, fault),
        };
        if self.is_missing(fault) { error.into() } else { placed(error, fault.kind) }
    }

    /// Whether there is nothing to wait for.
    fn is_missing(&self, fault: &CameraError) -> bool {
        !self.may_come && fault.kind == CameraErrorKind::Missing
    }
}

/// Opens a camera of any kind.
pub(super) fn open<P: CameraPort + 'static>(
    mut camera: CameraSource<P>,
    opening: &Opening,
    mode: Mode,
) -> anyhow::Result<Box<dyn FrameSource>>
where
    P::Device: 'static,
{
    let opened = match mode {
        Mode::Run => camera.start(),
        Mode::Check => camera.probe().map(|_| ()),
    };
    if let Some(smaller) = &opening.config.heat.smaller {
        let (width, height) = smaller.size();
        let offered = camera.check_size(width as u32, height as u32);
        offered.map_err(|fault| placed(opening.config.error_at(&smaller.width, &fault), fault.kind))?;
    }
    match opened {
        Err(fault) if mode == Mode::Check || fault.is_permanent() || opening.is_missing(&fault) => {
            Err(opening.refusal(&fault))
        }
        // What is not lasting is reported, and tried again, by the camera itself.
        _ => Ok(Box::new(camera)),
    }
}

fn placed(error: ConfigError, kind: CameraErrorKind) -> anyhow::Error {
    match kind {
        CameraErrorKind::NoSuchMode | CameraErrorKind::BadControl | CameraErrorKind::NotACamera => error.into(),
        _ => anyhow::Error::msg(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    /// What only a change of the configuration can mend is a [`ConfigError`] (exit code 78), after which the service is not
    /// started again; what is mended on the board is another (1). Both name the line to look at.
    #[test]
    fn a_fault_of_the_camera_names_its_line_and_whether_to_try_again() {
        let text = "[source.camera]\ndevice = \"0\"\nwidth = 1280\nheight = 720\n";
        let config = Config::parse(text, Path::new("line.toml")).unwrap();
        let config::Source::Camera(section) = &config.source else { panic!("no camera") };
        let cases = [
            (CameraErrorKind::Missing, 2, false),
            (CameraErrorKind::Busy, 2, false),
            (CameraErrorKind::Denied, 2, false),
            (CameraErrorKind::NotACamera, 2, true),
            (CameraErrorKind::NoSuchMode, 3, true),
            (CameraErrorKind::BadControl, 2, true),
            (CameraErrorKind::Silent, 2, false),
            (CameraErrorKind::Damaged, 2, false),
            (CameraErrorKind::Driver, 2, false),
            (CameraErrorKind::Ended, 2, false),
        ];
        for (kind, line, lasting) in cases {
            let opening = Opening::new(&config, section.frames(), &section.device);
            let error = opening.refusal(&CameraError::new(kind, "/dev/video0", "why"));
            assert_eq!(error.to_string(), format!("line.toml:{line}: /dev/video0: why"), "{kind:?}");
            assert_eq!(error.is::<ConfigError>(), lasting, "{kind:?}");
        }
    }
}
