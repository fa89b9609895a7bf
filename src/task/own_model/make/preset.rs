//! How frames were prepared where networks come from, by name.

use crate::bundle::{Channels, Fit};

/// Means of ImageNet's pictures in grey levels, by channel.
const IMAGENET_MEAN: [f64; 3] = [123.675, 116.28, 103.53];
/// Their standard deviations.
const IMAGENET_STD: [f64; 3] = [58.395, 57.12, 57.375];

/// Where a network was trained, and so how frames are prepared for it.
#[derive(clap::ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
pub enum Like {
    /// Resize to 256, crop 224, ImageNet's mean and std
    Torchvision,
    /// As torchvision, timm's default
    Timm,
    /// The whole frame, -1 to 1 (MobileNet, Inception, Xception)
    Keras,
    /// The whole frame, 0 to 1, ImageNet's mean and std (DenseNet)
    KerasTorch,
    /// The whole frame, blue first, ImageNet's means off (ResNet, VGG)
    KerasCaffe,
    /// 87.5 % in the middle, -1 to 1 (TF-Slim, TensorFlow Hub)
    Tensorflow,
    /// The whole frame, ImageNet's mean and std where the network does not have them
    Anomalib,
    /// What is in the middle, 0 to 1
    EdgeImpulse,
    /// The whole frame, blue first, 0 to 255
    Openvino,
    /// The whole frame, 0 to 1
    Unit,
    /// The whole frame, 0 to 255
    Raw,
}

/// How frames are prepared.
#[derive(Debug, Clone, PartialEq)]
pub struct Preset {
    /// The order of the channels, where there are three.
    pub channels: Channels,
    /// Which part of the frame is kept.
    pub fit: Fit,
    /// The share of it.
    pub keep: f64,
    /// By channel, or one for all, in grey levels.
    pub mean: Vec<f64>,
    /// By channel, or one for all, in grey levels.
    pub std: Vec<f64>,
}

impl Like {
    /// How frames are prepared.
    pub fn preset(self) -> Preset {
        let preset = |channels, (fit, keep), mean: &[f64], std: &[f64]| Preset {
            channels,
            fit,
            keep,
            mean: mean.into(),
            std: std.into(),
        };
        let (whole, middle) = ((Fit::Stretch, 1.0), (Fit::Crop, 0.875));
        match self {
            Like::Torchvision | Like::Timm => preset(Channels::Rgb, middle, &IMAGENET_MEAN, &IMAGENET_STD),
            Like::Keras => preset(Channels::Rgb, whole, &[127.5], &[127.5]),
            Like::KerasTorch | Like::Anomalib => preset(Channels::Rgb, whole, &IMAGENET_MEAN, &IMAGENET_STD),
            Like::KerasCaffe => preset(Channels::Bgr, whole, &[103.939, 116.779, 123.68], &[1.0]),
            Like::Tensorflow => preset(Channels::Rgb, middle, &[127.5], &[127.5]),
            Like::EdgeImpulse => preset(Channels::Rgb, (Fit::Crop, 1.0), &[0.0], &[255.0]),
            Like::Openvino => preset(Channels::Bgr, whole, &[0.0], &[1.0]),
            Like::Unit => preset(Channels::Rgb, whole, &[0.0], &[255.0]),
            Like::Raw => preset(Channels::Rgb, whole, &[0.0], &[1.0]),
        }
    }

    /// Its name on the command line.
    pub fn name(self) -> String {
        clap::ValueEnum::to_possible_value(&self).map_or_else(String::new, |value| value.get_name().into())
    }
}
