//! How pictures become what a network takes, as command lines state it: by the origin of the network, by another bundle, by numbers.

use crate::bundle::{self, AxisOrder, Channels, Fit, InputSection};
use crate::task::own_model::make::{ChosenPreparation, Like, MakeError, OwnScaling, PictureInput, StatedPreparation};
use clap::ValueEnum;
use lineside_engine::Model;

/// How a picture becomes the input.
#[derive(clap::Args, Debug, Clone)]
#[command(next_help_heading = "How a picture becomes the input")]
pub struct InputArguments {
    /// As where the network was trained, or as another bundle does it; what is stated beside it goes first
    ///
    /// torchvision, timm: resize to 256, crop 224, ImageNet's mean and std. keras: the whole frame, -1 to 1. keras-torch: the whole frame,
    /// 0 to 1, ImageNet's mean and std. keras-caffe: the whole frame, blue first, ImageNet's means off. tensorflow: 87.5 % in the middle,
    /// -1 to 1. anomalib: the whole frame, ImageNet's mean and std where the network does not have them. edge-impulse: what is in the
    /// middle, 0 to 1. openvino: the whole frame, blue first, 0 to 255. unit: the whole frame, 0 to 1. raw: the whole frame, 0 to 255. Any
    /// other word: a bundle's name or folder.
    #[arg(long, value_name = "ORIGIN|BUNDLE", value_parser = origin)]
    like: Option<Origin>,
    /// What is subtracted from a byte: one number, or one for each channel [for example 127 or 123.7,116.3,103.5]
    #[arg(long, value_name = "M[,M,M]", value_delimiter = ',', allow_negative_numbers = true, value_parser = finite)]
    mean: Vec<f64>,
    /// What is divided by after that: one number, or one for each channel [for example 128 or 58.4,57.1,57.4]
    #[arg(long, value_name = "S[,S,S]", value_delimiter = ',', value_parser = positive)]
    std: Vec<f64>,
    /// The order of the channels
    #[arg(long, value_enum)]
    channels: Option<ChannelOrder>,
    /// The whole frame, whatever its aspect ratio, or what lies in the middle with the input's
    #[arg(long, value_enum)]
    fit: Option<FitBy>,
    /// Width and height, where the network leaves them open
    #[arg(long, value_name = "WxH", value_parser = size)]
    size: Option<(usize, usize)>,
    /// The order of the axes [default: as the shape tells]
    #[arg(long, visible_alias = "layout", value_enum)]
    order: Option<AxesBy>,
}

/// What pictures are prepared like.
#[derive(Debug, Clone)]
enum Origin {
    Training(Like),
    Bundle(String),
}

#[derive(ValueEnum, Debug, Clone, Copy)]
enum ChannelOrder {
    Rgb,
    Bgr,
    Luma,
}

#[derive(ValueEnum, Debug, Clone, Copy)]
enum FitBy {
    Stretch,
    Crop,
}

#[derive(ValueEnum, Debug, Clone, Copy)]
enum AxesBy {
    Nchw,
    Nhwc,
}

/// How pictures become the input of one network.
pub struct PreparedInput {
    /// What the network takes.
    pub taken: PictureInput,
    /// Width and height in pixels.
    pub size: (usize, usize),
    /// How, and why so.
    pub chosen: ChosenPreparation,
    /// As a manifest states it.
    pub section: InputSection,
}

impl InputArguments {
    /// Whether the size of pictures is stated.
    pub fn states_size(&self) -> bool {
        self.size.is_some()
    }

    /// Whether anything is stated.
    pub fn states_anything(&self) -> bool {
        let numbers = self.mean.len() + self.std.len() > 0;
        let choices = self.channels.is_some() || self.fit.is_some() || self.order.is_some();
        self.like.is_some() || numbers || choices || self.size.is_some()
    }

    /// Takes the channels from blue to red.
    pub fn blue_first(&mut self) {
        self.channels = Some(ChannelOrder::Bgr);
    }

    /// For a network, from what is stated and from what its file says; `share`: of the longest part in the middle, as stated.
    ///
    /// # Errors
    /// [`MakeError::Unstated`] where neither says enough, [`MakeError::Unfit`] where the network takes no picture.
    pub fn choose(&self, model: &Model, share: Option<f64>) -> Result<PreparedInput, MakeError> {
        let taken = self.taken_by(model)?;
        let stated = self.stated(share)?;
        let size = taken.sized(self.size.or(self.size_of_origin()?.filter(|_| taken.size.is_none())))?;
        let own = OwnScaling::of(&model.outline(), &taken.name);
        let chosen = ChosenPreparation::new(&taken, own.as_ref(), &stated)?;
        let section = InputSection {
            width: Some(size.0),
            height: Some(size.1),
            channels: chosen.channels,
            preparation: Some(chosen.section.clone()),
        };
        Ok(PreparedInput { taken, size, chosen, section })
    }

    /// What a network takes, with the stated order of the axes.
    ///
    /// # Errors
    /// As [`InputArguments::choose`].
    pub fn taken_by(&self, model: &Model) -> Result<PictureInput, MakeError> {
        let order = self.order.map(|order| match order {
            AxesBy::Nchw => AxisOrder::Nchw,
            AxesBy::Nhwc => AxisOrder::Nhwc,
        });
        PictureInput::of(&model.inputs()?, order)
    }

    /// What is stated of the preparation.
    ///
    /// # Errors
    /// [`MakeError::Unstated`] where the bundle that it shall be like cannot be opened.
    pub fn stated(&self, share: Option<f64>) -> Result<StatedPreparation, MakeError> {
        let mut stated = match &self.like {
            None => StatedPreparation::default(),
            Some(Origin::Training(like)) => StatedPreparation { like: Some(*like), ..StatedPreparation::default() },
            Some(Origin::Bundle(name)) => of_bundle(name)?,
        };
        if !(self.mean.is_empty() && self.std.is_empty()) {
            (stated.mean, stated.std, stated.why) = (self.mean.clone(), self.std.clone(), None);
        }
        let channels = self.channels.map(|channels| match channels {
            ChannelOrder::Rgb => Channels::Rgb,
            ChannelOrder::Bgr => Channels::Bgr,
            ChannelOrder::Luma => Channels::Luma,
        });
        let fit = self.fit.map(|fit| match fit {
            FitBy::Stretch => Fit::Stretch,
            FitBy::Crop => Fit::Crop,
        });
        stated.channels = channels.or(stated.channels);
        if let Some(fit) = fit {
            // A bundle's share belongs to its own fit.
            stated.keep = stated.keep.filter(|_| stated.fit == Some(fit));
            stated.fit = Some(fit);
        }
        stated.keep = share.or(stated.keep);
        Ok(stated)
    }

    fn size_of_origin(&self) -> Result<Option<(usize, usize)>, MakeError> {
        let Some(Origin::Bundle(name)) = &self.like else { return Ok(None) };
        let input = input_of(name)?;
        Ok(input.width.zip(input.height))
    }
}

/// As a bundle prepares frames.
fn of_bundle(name: &str) -> Result<StatedPreparation, MakeError> {
    let input = input_of(name)?;
    let mut stated = StatedPreparation { channels: Some(input.channels), ..StatedPreparation::default() };
    if let Some(section) = input.preparation {
        if section.fit == Fit::Crop {
            (stated.fit, stated.keep) = (Some(section.fit), Some(section.keep));
        }
        (stated.mean, stated.std) = (section.mean, section.std);
        stated.why = Some(format!("as the bundle {name} has it"));
    }
    stated.without_scale = stated.mean.is_empty().then(|| format!("the bundle {name}"));
    Ok(stated)
}

fn input_of(name: &str) -> Result<InputSection, MakeError> {
    let problem = |error| {
        let known: Vec<String> = Like::value_variants().iter().map(|like| like.name()).collect();
        MakeError::Unstated(format!("--like {name}: none of {}, and no bundle: {error}", known.join(", ")))
    };
    Ok(bundle::find(name).map_err(problem)?.manifest().input.clone())
}

fn origin(text: &str) -> Result<Origin, String> {
    Ok(Like::from_str(text, true).map_or_else(|_| Origin::Bundle(text.into()), Origin::Training))
}

/// A number.
///
/// # Errors
/// For what is none, or not finite.
pub fn finite(text: &str) -> Result<f64, String> {
    text.trim().parse::<f64>().ok().filter(|value| value.is_finite()).ok_or_else(|| "expected a number".into())
}

fn positive(text: &str) -> Result<f64, String> {
    finite(text).ok().filter(|value| *value > 0.0 && value.is_normal()).ok_or_else(|| "expected a number over 0".into())
}

/// A share of a frame's sides.
///
/// # Errors
/// For what is no number over 0, up to 1.
pub fn share_over_0(text: &str) -> Result<f64, String> {
    positive(text).ok().filter(|value| *value <= 1.0).ok_or_else(|| "expected a number over 0, up to 1".into())
}

fn size(text: &str) -> Result<(usize, usize), String> {
    let sides = text.split_once(['x', 'X']).and_then(|(w, h)| Some((w.trim().parse().ok()?, h.trim().parse().ok()?)));
    let sides = sides.filter(|&(width, height)| (1..=4096).contains(&width) && (1..=4096).contains(&height));
    sides.ok_or_else(|| "expected WIDTHxHEIGHT, as 224x224, 4096 at most".into())
}
