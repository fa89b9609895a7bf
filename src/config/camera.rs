//! `[source.camera]`: a camera.

use super::{LiveFrames, Violation, pixels};
use crate::source::camera::{ControlSet, ControlSetting, control_keys};
use lineside_picture::PixelFormat;
use serde::de::{self, Deserialize, Deserializer, Visitor};
use std::collections::BTreeMap;
use toml::Spanned;

/// `[source.camera]`: a camera.
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub struct CameraConfig {
    /// Its path, the last component of its path under `/dev/v4l`, or its number.
    pub device: Spanned<String>,
    /// Width of a frame in pixels, exactly.
    #[serde(default = "pixels::<640>")]
    pub width: Spanned<usize>,
    /// Height of a frame in pixels, exactly.
    #[serde(default = "pixels::<480>")]
    pub height: Spanned<usize>,
    /// Frames per second, at least; a slower camera runs at its fastest rate.
    #[serde(default = "ten_hertz")]
    pub fps: Spanned<f64>,
    /// Only this format; absent: the best one that reaches `fps`.
    pub format: Option<CameraFormat>,
    /// After how many seconds a picture that stays bit-identical counts as frozen; 0: never.
    #[serde(default = "ten_seconds")]
    pub frozen_s: Spanned<f64>,
    /// Values, or `"auto"`, of the camera's controls.
    #[serde(default)]
    pub controls: BTreeMap<Spanned<String>, ControlValue>,
}

/// A camera's pixel format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)] // as in `PixelFormat`
pub enum CameraFormat {
    Yuyv,
    Nv12,
    Mjpeg,
    Grey,
    Uyvy,
    Yuv420,
    Yvu420,
    Rgb24,
    Bgr24,
    Grey10,
    Grey12,
    Grey16,
    Nv21,
    Nv16,
    Nv12m,
    Nv21m,
    Nv16m,
    Yuv420m,
    Yvu420m,
}

/// The value of a camera's control.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ControlValue(pub ControlSetting);

impl CameraFormat {
    /// The same format in the terms of `lineside-picture`.
    pub fn pixel_format(self) -> PixelFormat {
        match self {
            CameraFormat::Yuyv => PixelFormat::Yuyv,
            CameraFormat::Nv12 => PixelFormat::Nv12,
            CameraFormat::Mjpeg => PixelFormat::Mjpeg,
            CameraFormat::Grey => PixelFormat::Grey,
            CameraFormat::Uyvy => PixelFormat::Uyvy,
            CameraFormat::Yuv420 => PixelFormat::Yuv420,
            CameraFormat::Yvu420 => PixelFormat::Yvu420,
            CameraFormat::Rgb24 => PixelFormat::Rgb24,
            CameraFormat::Bgr24 => PixelFormat::Bgr24,
            CameraFormat::Grey10 => PixelFormat::Grey10,
            CameraFormat::Grey12 => PixelFormat::Grey12,
            CameraFormat::Grey16 => PixelFormat::Grey16,
            CameraFormat::Nv21 => PixelFormat::Nv21,
            CameraFormat::Nv16 => PixelFormat::Nv16,
            CameraFormat::Nv12m => PixelFormat::Nv12m,
            CameraFormat::Nv21m => PixelFormat::Nv21m,
            CameraFormat::Nv16m => PixelFormat::Nv16m,
            CameraFormat::Yuv420m => PixelFormat::Yuv420m,
            CameraFormat::Yvu420m => PixelFormat::Yvu420m,
        }
    }
}

impl CameraConfig {
    /// A camera with default settings.
    pub fn of_device(device: &str) -> CameraConfig {
        CameraConfig {
            device: Spanned::new(0..0, device.into()),
            width: pixels::<640>(),
            height: pixels::<480>(),
            fps: ten_hertz(),
            format: None,
            frozen_s: ten_seconds(),
            controls: BTreeMap::new(),
        }
    }

    /// Its frames.
    pub fn frames(&self) -> LiveFrames<'_> {
        let CameraConfig { width, height, fps, frozen_s, .. } = self;
        LiveFrames { section: "camera", width, height, fps, frozen_s }
    }

    /// The controls by their keys.
    pub fn control_set(&self) -> ControlSet {
        control_set(&self.controls)
    }

    /// The first invalid value.
    pub(super) fn problem(&self) -> Option<Violation> {
        let of_another_source = self.device.get_ref().split_once("://").map(|(scheme, _)| scheme);
        self.frames()
            .problem()
            .or_else(|| Some((self.device.span().start, address_problem(of_another_source?))))
            .or_else(|| {
                self.controls.iter().find_map(|(key, control)| control_problem("source.camera.controls", key, *control))
            })
    }
}

impl<'de> Deserialize<'de> for ControlValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NumberOrAuto;
        impl Visitor<'_> for NumberOrAuto {
            type Value = ControlValue;
            fn expecting(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
                f.write_str("a whole number or \"auto\"")
            }
            fn visit_i64<E: de::Error>(self, value: i64) -> Result<ControlValue, E> {
                let value = i32::try_from(value).map_err(|_| E::invalid_value(de::Unexpected::Signed(value), &self))?;
                Ok(ControlValue(ControlSetting::Value(value)))
            }
            fn visit_str<E: de::Error>(self, word: &str) -> Result<ControlValue, E> {
                if word == "auto" {
                    Ok(ControlValue(ControlSetting::Auto))
                } else {
                    Err(E::invalid_value(de::Unexpected::Str(word), &self))
                }
            }
        }
        deserializer.deserialize_any(NumberOrAuto)
    }
}

/// What to write in the place of an address.
fn address_problem(scheme: &str) -> String {
    let instead = match scheme {
        "rtsp" | "rtsps" => "use [source.rtsp] with url",
        _ => "use [source.process], whose program reads it",
    };
    format!("source.camera.device is a camera of this board, not an address ({scheme}://): {instead}")
}

pub(super) fn ten_hertz() -> Spanned<f64> {
    Spanned::new(0..0, 10.0)
}

pub(super) fn ten_seconds() -> Spanned<f64> {
    Spanned::new(0..0, 10.0)
}

/// Controls as the camera takes them.
pub(super) fn control_set(controls: &BTreeMap<Spanned<String>, ControlValue>) -> ControlSet {
    controls.iter().map(|(key, control)| (key.get_ref().clone(), control.0)).collect()
}

/// What is wrong with a control of a table.
pub(super) fn control_problem(table: &str, key: &Spanned<String>, control: ControlValue) -> Option<Violation> {
    let at = key.span().start;
    let Some((name, may_be_auto)) = control_keys().find(|(name, _)| name == key.get_ref()) else {
        let known: Vec<_> = control_keys().map(|(name, _)| name).collect();
        let problem = format!("{table} has no {:?}; there is {}", key.get_ref(), known.join(", "));
        return Some((at, problem));
    };
    let automatic = control == ControlValue(ControlSetting::Auto);
    (automatic && !may_be_auto).then(|| (at, format!("{table}.{name} takes a number, not \"auto\"")))
}
