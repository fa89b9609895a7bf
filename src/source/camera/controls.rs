//! A camera's controls: their keys in the configuration, and the driver's controls behind them.

use super::device::CaptureDevice;
use super::error::{CameraError, CameraErrorKind};
use super::request::sys;

/// A control's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ControlSetting {
    /// The camera chooses it by itself.
    Auto,
    /// A value in the driver's units.
    Value(i32),
}

/// One control, as the user knows it.
struct KnownControl {
    /// The key in the configuration.
    key: &'static str,
    /// The control that takes the value.
    value: u32,
    /// The control that switches between the camera's choice and a value.
    auto: Option<Auto>,
}

/// A control that switches between the camera's choice and a value.
struct Auto {
    id: u32,
    /// What it is set to for a value.
    manual: i32,
    /// What it is set to for the camera's choice: the first that the driver accepts.
    automatic: &'static [i32],
}

const fn switch(id: u32) -> Option<Auto> {
    Some(Auto { id, manual: 0, automatic: &[1] })
}

const CONTROLS: [KnownControl; 12] = [
    // V4L2_EXPOSURE_MANUAL is 1. USB cameras accept APERTURE_PRIORITY, 3, and some others AUTO, 0.
    KnownControl {
        key: "exposure",
        value: sys::V4L2_CID_EXPOSURE_ABSOLUTE,
        auto: Some(Auto { id: sys::V4L2_CID_EXPOSURE_AUTO, manual: 1, automatic: &[3, 0] }),
    },
    KnownControl { key: "gain", value: sys::V4L2_CID_GAIN, auto: switch(sys::V4L2_CID_AUTOGAIN) },
    KnownControl { key: "focus", value: sys::V4L2_CID_FOCUS_ABSOLUTE, auto: switch(sys::V4L2_CID_FOCUS_AUTO) },
    KnownControl {
        key: "white_balance",
        value: sys::V4L2_CID_WHITE_BALANCE_TEMPERATURE,
        auto: switch(sys::V4L2_CID_AUTO_WHITE_BALANCE),
    },
    KnownControl { key: "brightness", value: sys::V4L2_CID_BRIGHTNESS, auto: None },
    KnownControl { key: "contrast", value: sys::V4L2_CID_CONTRAST, auto: None },
    KnownControl { key: "saturation", value: sys::V4L2_CID_SATURATION, auto: None },
    KnownControl { key: "sharpness", value: sys::V4L2_CID_SHARPNESS, auto: None },
    KnownControl { key: "gamma", value: sys::V4L2_CID_GAMMA, auto: None },
    KnownControl { key: "backlight_compensation", value: sys::V4L2_CID_BACKLIGHT_COMPENSATION, auto: None },
    KnownControl { key: "power_line_frequency", value: sys::V4L2_CID_POWER_LINE_FREQUENCY, auto: None },
    KnownControl { key: "zoom", value: sys::V4L2_CID_ZOOM_ABSOLUTE, auto: None },
];

/// The keys in the configuration, and whether each may be `"auto"`.
pub fn keys() -> impl Iterator<Item = (&'static str, bool)> {
    CONTROLS.iter().map(|control| (control.key, control.auto.is_some()))
}

/// Whether the camera has controls and accepts these values; sets nothing.
///
/// # Errors
/// [`CameraErrorKind::BadControl`] where it does not, or the driver's error.
pub fn check(
    device: &mut impl CaptureDevice,
    name: &str,
    wanted: &[(String, ControlSetting)],
) -> Result<(), CameraError> {
    wanted.iter().try_for_each(|(key, setting)| checked(device, name, key, *setting).map(|_| ()))
}

/// Applies the settings of the configuration. The automatic is switched off before the value is set, because cameras refuse a
/// value while they choose it themselves.
///
/// # Errors
/// [`CameraErrorKind::BadControl`] where the camera lacks a control or does not accept the value, or the driver's error.
pub fn apply(
    device: &mut impl CaptureDevice,
    name: &str,
    wanted: &[(String, ControlSetting)],
) -> Result<(), CameraError> {
    for (key, setting) in wanted {
        let control = checked(device, name, key, *setting)?;
        match (setting, &control.auto) {
            (ControlSetting::Value(value), auto) => {
                if let Some(auto) = auto
                    && device.control(auto.id)?.is_some()
                {
                    device.set_control(auto.id, auto.manual)?;
                }
                device.set_control(control.value, *value)?;
            }
            (ControlSetting::Auto, None) => {}
            (ControlSetting::Auto, Some(auto)) => {
                // A driver may lack one of the two automatic modes.
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

/// The control of a key, which the camera has, and whose value it accepts.
fn checked(
    device: &mut impl CaptureDevice,
    name: &str,
    key: &str,
    setting: ControlSetting,
) -> Result<&'static KnownControl, CameraError> {
    let bad =
        |problem: String| CameraError::new(CameraErrorKind::BadControl, name, format_args!("control {key}: {problem}"));
    let control = CONTROLS.iter().find(|control| control.key == key);
    let control = control.ok_or_else(|| bad("no such control".into()))?;
    let lacking = || bad("this camera has none: remove it from the controls".into());
    match setting {
        ControlSetting::Value(value) => {
            let limits = device.control(control.value)?.ok_or_else(lacking)?;
            if value < limits.min || value > limits.max {
                return Err(bad(format!("must lie in {}..{}, found {value}", limits.min, limits.max)));
            }
        }
        ControlSetting::Auto => {
            let auto = control.auto.as_ref().ok_or_else(lacking)?;
            device.control(auto.id)?.ok_or_else(lacking)?;
        }
    }
    Ok(control)
}

#[cfg(test)]
mod tests {
    use super::super::fake::{FakeDevice, World};
    use super::*;

    fn wanted(key: &str, setting: ControlSetting) -> [(String, ControlSetting); 1] {
        [(key.to_string(), setting)]
    }

    #[test]
    fn the_automatic_is_switched_off_before_a_value_is_set() {
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
    fn a_control_that_is_missing_or_refused_is_an_error() {
        let world = World::new();
        world.lock().controls = vec![(0x009A_0902, 3, 2047)];
        let mut device = FakeDevice::open(&world);
        let mut error = |key, setting| apply(&mut device, "cam", &wanted(key, setting)).unwrap_err().text;
        assert_eq!(
            error("exposure", ControlSetting::Value(9000)),
            "cam: control exposure: must lie in 3..2047, found 9000"
        );
        assert!(error("focus", ControlSetting::Value(1)).contains("control focus: this camera has none"));
        assert!(error("exposure", ControlSetting::Auto).contains("control exposure: this camera has none"));
        assert!(world.lock().controls_set.is_empty());
    }
}
