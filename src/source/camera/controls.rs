//! A camera's controls: what the configuration calls them, and which of the driver's they are.

use super::device::CaptureDevice;
use super::error::{CameraError, CameraErrorKind};
use super::request::sys;

/// A control's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ControlSetting {
    /// The camera finds it by itself.
    Auto,
    /// This, in the driver's units.
    Value(i32),
}

/// One control, as the user knows it. Numbers are those of `linux/v4l2-controls.h`.
struct Control {
    /// The key in the configuration.
    key: &'static str,
    /// The control that takes the value.
    value: u32,
    /// The control that chooses between the camera's choice and ours.
    auto: Option<Auto>,
}

struct Auto {
    id: u32,
    /// Ours is taken.
    manual: i32,
    /// The camera chooses; the first that it takes.
    automatic: &'static [i32],
}

const fn switch(id: u32) -> Option<Auto> {
    Some(Auto { id, manual: 0, automatic: &[1] })
}

const CONTROLS: [Control; 12] = [
    // V4L2_EXPOSURE_MANUAL is 1; cameras on USB take APERTURE_PRIORITY, 3, and some others AUTO, 0.
    Control {
        key: "exposure",
        value: sys::V4L2_CID_EXPOSURE_ABSOLUTE,
        auto: Some(Auto { id: sys::V4L2_CID_EXPOSURE_AUTO, manual: 1, automatic: &[3, 0] }),
    },
    Control { key: "gain", value: sys::V4L2_CID_GAIN, auto: switch(sys::V4L2_CID_AUTOGAIN) },
    Control { key: "focus", value: sys::V4L2_CID_FOCUS_ABSOLUTE, auto: switch(sys::V4L2_CID_FOCUS_AUTO) },
    Control {
        key: "white_balance",
        value: sys::V4L2_CID_WHITE_BALANCE_TEMPERATURE,
        auto: switch(sys::V4L2_CID_AUTO_WHITE_BALANCE),
    },
    Control { key: "brightness", value: sys::V4L2_CID_BRIGHTNESS, auto: None },
    Control { key: "contrast", value: sys::V4L2_CID_CONTRAST, auto: None },
    Control { key: "saturation", value: sys::V4L2_CID_SATURATION, auto: None },
    Control { key: "sharpness", value: sys::V4L2_CID_SHARPNESS, auto: None },
    Control { key: "gamma", value: sys::V4L2_CID_GAMMA, auto: None },
    Control { key: "backlight_compensation", value: sys::V4L2_CID_BACKLIGHT_COMPENSATION, auto: None },
    Control { key: "power_line_frequency", value: sys::V4L2_CID_POWER_LINE_FREQUENCY, auto: None },
    Control { key: "zoom", value: sys::V4L2_CID_ZOOM_ABSOLUTE, auto: None },
];

/// The keys of the configuration, and whether each may be `"auto"`.
pub fn keys() -> impl Iterator<Item = (&'static str, bool)> {
    CONTROLS.iter().map(|control| (control.key, control.auto.is_some()))
}

/// Sets what the configuration asks for, by its keys: first who chooses, then the value, which cameras refuse while they
/// choose it themselves.
///
/// # Errors
/// [`CameraErrorKind::BadControl`] where the camera lacks a control or does not take the value, or what the driver reports.
pub fn apply(
    device: &mut impl CaptureDevice,
    name: &str,
    wanted: &[(String, ControlSetting)],
) -> Result<(), CameraError> {
    for (key, setting) in wanted {
        let bad = |problem: String| {
            CameraError::new(CameraErrorKind::BadControl, name, format_args!("control {key}: {problem}"))
        };
        let control = CONTROLS.iter().find(|control| control.key == key);
        let control = control.ok_or_else(|| bad("no such control".into()))?;
        let lacking = || bad("this camera has none: take it out of [source.camera.controls]".into());
        match setting {
            ControlSetting::Value(value) => {
                let limits = device.control(control.value)?.ok_or_else(lacking)?;
                if *value < limits.min || *value > limits.max {
                    return Err(bad(format!("must lie in {}..{}, found {value}", limits.min, limits.max)));
                }
                if let Some(auto) = &control.auto
                    && device.control(auto.id)?.is_some()
                {
                    device.set_control(auto.id, auto.manual)?;
                }
                device.set_control(control.value, *value)?;
            }
            ControlSetting::Auto => {
                let auto = control.auto.as_ref().ok_or_else(lacking)?;
                device.control(auto.id)?.ok_or_else(lacking)?;
                // The menu may lack one of the two ways to be automatic.
                let mut refused = Ok(());
                for value in auto.automatic {
                    refused = device.set_control(auto.id, *value);
                    if refused.is_ok() {
                        break;
                    }
                }
                refused?;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::fake::{FakeDevice, World};
    use super::*;

    fn wanted(key: &str, setting: ControlSetting) -> [(String, ControlSetting); 1] {
        [(key.to_string(), setting)]
    }

    #[test]
    fn a_value_takes_the_choice_from_the_camera_first() {
        let world = World::new();
        world.lock().controls = vec![(0x009A_0901, 0, 3), (0x009A_0902, 3, 2047), (0x0098_0913, 0, 100)];
        let mut device = FakeDevice::open(&world);
        apply(&mut device, "cam", &wanted("exposure", ControlSetting::Value(120))).unwrap();
        // A gain without an automatic.
        apply(&mut device, "cam", &wanted("gain", ControlSetting::Value(7))).unwrap();
        apply(&mut device, "cam", &wanted("exposure", ControlSetting::Auto)).unwrap();
        let expected = [(0x009A_0901, 1), (0x009A_0902, 120), (0x0098_0913, 7), (0x009A_0901, 3)];
        assert_eq!(world.lock().controls_set, expected);
    }

    #[test]
    fn what_a_camera_lacks_or_refuses_is_told() {
        let world = World::new();
        world.lock().controls = vec![(0x009A_0902, 3, 2047)];
        let mut device = FakeDevice::open(&world);
        let mut said = |key, setting| apply(&mut device, "cam", &wanted(key, setting)).unwrap_err().text;
        assert_eq!(
            said("exposure", ControlSetting::Value(9000)),
            "cam: control exposure: must lie in 3..2047, found 9000"
        );
        assert!(said("focus", ControlSetting::Value(1)).contains("control focus: this camera has none"));
        assert!(said("exposure", ControlSetting::Auto).contains("control exposure: this camera has none"));
        assert!(world.lock().controls_set.is_empty());
    }
}
