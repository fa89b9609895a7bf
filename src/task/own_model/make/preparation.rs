//! How frames become a network's input: from what is stated, and what the network does itself. What neither says is asked for.

use super::error::MakeError;
use super::own_scaling::{InputRange, OwnScaling};
use super::picture_input::PictureInput;
use super::preset::{Like, Preset};
use crate::bundle::{Channels, Fit, PreparationSection};
use lineside_engine::ElementKind;

/// What is stated of the preparation.
#[derive(Debug, Clone, Default)]
pub struct StatedPreparation {
    /// Where the network was trained.
    pub like: Option<Like>,
    /// In grey levels, by channel or one for all; empty where not stated.
    pub mean: Vec<f64>,
    /// In grey levels, by channel or one for all; empty where not stated.
    pub std: Vec<f64>,
    /// The channels' order.
    pub channels: Option<Channels>,
    /// Which part of the frame is kept.
    pub fit: Option<Fit>,
    /// The share of it.
    pub keep: Option<f64>,
    /// Who states mean and std, in words, where that is not the command line.
    pub why: Option<String>,
    /// What it shall be like and has neither mean nor std, in words.
    pub without_scale: Option<String>,
}

/// How frames are prepared, and why so.
#[derive(Debug, Clone)]
pub struct ChosenPreparation {
    /// The manifest's section.
    pub section: PreparationSection,
    /// The channels.
    pub channels: Channels,
    /// Why, in words.
    pub why: String,
}

impl ChosenPreparation {
    /// For an input, from what is stated and from what the network does itself.
    ///
    /// # Errors
    /// [`MakeError::Unstated`] where neither says what values it takes, or what is stated does not fit.
    pub fn new(
        input: &PictureInput,
        own: Option<&OwnScaling>,
        stated: &StatedPreparation,
    ) -> Result<ChosenPreparation, MakeError> {
        let preset = stated.like.map(Like::preset);
        let (mean, std, why) = match input.kind {
            ElementKind::U8 if stated.mean.is_empty() && stated.std.is_empty() => {
                (Vec::new(), Vec::new(), "it takes bytes".to_string())
            }
            ElementKind::U8 => return Err(unstated("--mean, --std: the model takes bytes, as pictures have them")),
            _ => scale(own, stated, preset.as_ref())?,
        };
        let spread = |name: &str, values: Vec<f64>| match values.len() {
            1 => Ok(vec![values[0]; input.channels]),
            count if count == 0 || count == input.channels => Ok(values),
            count => Err(unstated(&format!(
                "{count} numbers of {name} for {} channel{}: state --mean and --std with as many",
                input.channels,
                if input.channels == 1 { "" } else { "s" }
            ))),
        };
        let channels = match (input.channels, stated.channels) {
            (1, None | Some(Channels::Luma)) => Channels::Luma,
            (1, Some(_)) => return Err(unstated("--channels: the model takes one channel, which is luma")),
            (_, Some(Channels::Luma)) => return Err(unstated("--channels luma: the model takes three")),
            (_, channels) => channels.or(preset.as_ref().map(|preset| preset.channels)).unwrap_or(Channels::Rgb),
        };
        let fit = stated.fit.or(preset.as_ref().map(|preset| preset.fit)).unwrap_or_default();
        // Another fit than the preset's has not its share.
        let keep = preset.as_ref().filter(|preset| preset.fit == fit).map_or(1.0, |preset| preset.keep);
        let keep = stated.keep.unwrap_or(keep);
        if fit == Fit::Stretch && keep != 1.0 {
            return Err(unstated(
                "a share of the frame is kept with --fit crop only: leave it out, or state --fit crop",
            ));
        }
        let (mean, std) = (spread("mean", mean)?, spread("std", std)?);
        let section = PreparationSection { fit, keep, order: input.order, mean, std };
        Ok(ChosenPreparation { section, channels, why })
    }

    /// What it does, for people.
    pub fn in_words(&self) -> String {
        let PreparationSection { fit, keep, mean, std, .. } = &self.section;
        let part = match fit {
            Fit::Stretch => "the whole frame".to_string(),
            Fit::Crop => format!("{:.1} % in the middle", 100.0 * keep),
        };
        let channels = match self.channels {
            Channels::Rgb => "red first",
            Channels::Bgr => "blue first",
            Channels::Luma => "luma",
        };
        let list = |values: &[f64]| values.iter().map(f64::to_string).collect::<Vec<_>>().join(", ");
        match mean.is_empty() {
            true => format!("{part}, {channels}, bytes"),
            false => format!("{part}, {channels}, (byte - {}) / {}", short(mean, list), short(std, list)),
        }
    }

    /// The least and the greatest value that a frame's pixels can become; `None` for bytes.
    pub fn range(&self) -> Option<(f32, f32)> {
        let PreparationSection { mean, std, .. } = &self.section;
        let ends = mean.iter().zip(std).flat_map(|(mean, std)| [-mean / std, (255.0 - mean) / std]);
        ends.fold(None, |range: Option<(f32, f32)>, end| {
            let end = end as f32;
            Some(range.map_or((end, end), |(low, high)| (low.min(end), high.max(end))))
        })
    }
}

/// One number where all are the same.
fn short(values: &[f64], list: impl Fn(&[f64]) -> String) -> String {
    match values {
        [first, others @ ..] if others.iter().all(|other| other == first) => first.to_string(),
        _ => format!("({})", list(values)),
    }
}

/// Mean and std of floats, and why these.
fn scale(
    own: Option<&OwnScaling>,
    stated: &StatedPreparation,
    preset: Option<&Preset>,
) -> Result<(Vec<f64>, Vec<f64>, String), MakeError> {
    match (stated.mean.is_empty(), stated.std.is_empty()) {
        (false, false) => {
            let (mean, std) = (stated.mean.clone(), stated.std.clone());
            let Some(why) = stated.why.clone() else { return Ok((mean, std, "as --mean and --std state".into())) };
            // Of another bundle, whose network need not be like this one.
            return match own {
                Some(own) if own.contradicts(&mean, &std) => Err(contradiction(own, &why, &mean, &std)),
                _ => Ok((mean, std, why)),
            };
        }
        (true, true) => {}
        _ => return Err(unstated("--mean and --std belong together: state both")),
    }
    match (own, stated.like.zip(preset)) {
        (own, Some((like, preset))) => {
            own.map_or_else(|| Ok(of_origin(like, preset)), |own| scale_by(own, like, preset))
        }
        (Some(own), None) => match own.expects() {
            Some(range) => Ok(left_to_network(own, range)),
            None => Err(unstated(&format!(
                "its input is floats, and what the model computes of it first ({}) fits neither 0 to 1 nor 0 to 255: state --like \
                 (torchvision, keras-caffe, raw ...), or --mean and --std in grey levels",
                own.in_words()
            ))),
        },
        (None, None) => match &stated.without_scale {
            Some(origin) => Err(unstated(&format!(
                "its input is floats, and {origin} has no mean and std, because its network takes bytes: state --mean and --std in grey levels, \
                 or another --like"
            ))),
            None => Err(unstated(
                "its input is floats, and the model does not say how pictures become these: state --like (torchvision, timm, keras, \
                 tensorflow, anomalib, unit, raw ...), or --mean and --std in grey levels",
            )),
        },
    }
}

/// Mean and std of a network that scales its input itself, where its origin is stated: it must be clear which of the two scales.
fn scale_by(own: &OwnScaling, like: Like, preset: &Preset) -> Result<(Vec<f64>, Vec<f64>, String), MakeError> {
    let normalizes = preset.mean.iter().any(|mean| *mean != 0.0);
    let by_network = match like {
        // It has them only where the network does not.
        Like::Anomalib if own.centres() => own.expects(),
        _ if normalizes => own.does(&preset.mean, &preset.std),
        _ => None,
    };
    match by_network {
        Some(range) => Ok(left_to_network(own, range)),
        None if normalizes || own.contradicts(&preset.mean, &preset.std) => {
            let why = format!("as --like {} has it", like.name());
            Err(contradiction(own, &why, &preset.mean, &preset.std))
        }
        None => Ok(of_origin(like, preset)),
    }
}

fn of_origin(like: Like, preset: &Preset) -> (Vec<f64>, Vec<f64>, String) {
    (preset.mean.clone(), preset.std.clone(), format!("as --like {} has it", like.name()))
}

fn left_to_network(own: &OwnScaling, range: InputRange) -> (Vec<f64>, Vec<f64>, String) {
    let why = format!("the model normalizes itself ({}), so its input is {}", own.in_words(), range.in_words());
    (vec![0.0], vec![range.std()], why)
}

/// Both scale: one of them is wrong, or both are meant. Nobody but the user knows.
fn contradiction(own: &OwnScaling, why: &str, mean: &[f64], std: &[f64]) -> MakeError {
    let list = |values: &[f64]| values.iter().map(f64::to_string).collect::<Vec<_>>().join(",");
    unstated(&format!(
        "the preparation {why} contradicts the model, which scales its input itself ({}): state --mean 0 --std 255 for an input of 0 to 1, \
         --mean 0 --std 1 for 0 to 255, or --mean {} --std {} for both",
        own.in_words(),
        list(mean),
        list(std)
    ))
}

fn unstated(problem: &str) -> MakeError {
    MakeError::Unstated(problem.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bundle::AxisOrder;

    fn input(kind: ElementKind, channels: usize) -> PictureInput {
        PictureInput { name: "x".into(), kind, order: AxisOrder::Nchw, channels, size: Some((8, 8)) }
    }

    fn chosen(kind: ElementKind, channels: usize, stated: &StatedPreparation) -> Result<ChosenPreparation, String> {
        ChosenPreparation::new(&input(kind, channels), None, stated).map_err(|error| error.to_string())
    }

    #[test]
    fn what_is_stated_goes_before_the_preset() {
        let like = |like| StatedPreparation { like: Some(like), ..StatedPreparation::default() };
        let torch = chosen(ElementKind::F32, 3, &like(Like::Torchvision)).unwrap();
        assert_eq!(
            torch.in_words(),
            "87.5 % in the middle, red first, (byte - (123.675, 116.28, 103.53)) / (58.395, 57.12, 57.375)"
        );
        let caffe = chosen(ElementKind::F32, 3, &like(Like::KerasCaffe)).unwrap();
        assert_eq!(caffe.in_words(), "the whole frame, blue first, (byte - (103.939, 116.779, 123.68)) / 1");
        let mut stated = like(Like::Torchvision);
        (stated.mean, stated.std, stated.fit) = (vec![127.0], vec![128.0], Some(Fit::Stretch));
        let own = chosen(ElementKind::F32, 3, &stated).unwrap();
        assert_eq!(
            (own.in_words().as_str(), own.section.mean.len()),
            ("the whole frame, red first, (byte - 127) / 128", 3)
        );
        assert_eq!(own.range(), Some((-127.0 / 128.0, 1.0)));
        let bytes = chosen(ElementKind::U8, 1, &StatedPreparation::default()).unwrap();
        assert_eq!((bytes.in_words().as_str(), bytes.range()), ("the whole frame, luma, bytes", None));
    }

    #[test]
    fn nothing_is_guessed() {
        let with = |change: &dyn Fn(&mut StatedPreparation)| {
            let mut stated = StatedPreparation::default();
            change(&mut stated);
            stated
        };
        let cases: [(ElementKind, usize, StatedPreparation, &str); 8] = [
            (ElementKind::F32, 3, with(&|_| {}), "state --like"),
            (ElementKind::F32, 3, with(&|s| s.mean = vec![1.0]), "belong together"),
            (
                ElementKind::F32,
                3,
                with(&|s| s.without_scale = Some("the bundle b".into())),
                "the bundle b has no mean and std",
            ),
            (ElementKind::U8, 3, with(&|s| s.mean = vec![1.0]), "takes bytes"),
            (ElementKind::F32, 1, with(&|s| s.like = Some(Like::Timm)), "3 numbers of mean for 1 channel:"),
            (ElementKind::U8, 1, with(&|s| s.channels = Some(Channels::Bgr)), "takes one channel"),
            (ElementKind::U8, 3, with(&|s| s.channels = Some(Channels::Luma)), "takes three"),
            (ElementKind::U8, 3, with(&|s| s.keep = Some(0.5)), "with --fit crop only"),
        ];
        for (kind, channels, stated, part) in cases {
            let problem = chosen(kind, channels, &stated).unwrap_err();
            assert!(problem.contains(part), "{problem}");
        }
    }

    #[test]
    fn where_the_network_scales_and_its_origin_too_it_is_asked_for() {
        let with = |own: &OwnScaling, like: Option<Like>| {
            let stated = StatedPreparation { like, ..StatedPreparation::default() };
            let chosen = ChosenPreparation::new(&input(ElementKind::F32, 3), Some(own), &stated);
            chosen.map(|chosen| (chosen.section.mean[0], chosen.section.std[0])).map_err(|error| error.to_string())
        };
        let caffe = OwnScaling::for_test(&[1.0], &[-103.939, -116.779, -123.68]);
        let keras = OwnScaling::for_test(&[1.0 / 127.5], &[-1.0]);
        let imagenet = OwnScaling::for_test(
            &[1.0 / 0.229, 1.0 / 0.224, 1.0 / 0.225],
            &[-0.485 / 0.229, -0.456 / 0.224, -0.406 / 0.225],
        );
        // The network does itself what its origin does, or takes what the origin gives.
        for (own, like, expected) in [
            (&caffe, Some(Like::KerasCaffe), (0.0, 1.0)),
            (&caffe, Some(Like::Raw), (0.0, 1.0)),
            (&keras, None, (0.0, 1.0)),
            (&keras, Some(Like::Keras), (0.0, 1.0)),
            (&keras, Some(Like::Openvino), (0.0, 1.0)),
            (&imagenet, None, (0.0, 255.0)),
            (&imagenet, Some(Like::Timm), (0.0, 255.0)),
            (&imagenet, Some(Like::Unit), (0.0, 255.0)),
            // It has ImageNet's numbers where the network has none.
            (&OwnScaling::for_test(&[2.0], &[-1.0]), Some(Like::Anomalib), (0.0, 255.0)),
        ] {
            assert_eq!(with(own, like), Ok(expected), "{own:?} {like:?}");
        }
        for (own, like, part) in [
            (&caffe, None, "fits neither 0 to 1 nor 0 to 255: state --like"),
            (&caffe, Some(Like::Unit), "as --like unit has it contradicts the model"),
            (&caffe, Some(Like::Torchvision), "as --like torchvision has it contradicts the model"),
            (&keras, Some(Like::Unit), "as --like unit has it contradicts the model"),
            (&keras, Some(Like::Torchvision), "--mean 123.675,116.28,103.53 --std 58.395,57.12,57.375 for both"),
            (&imagenet, Some(Like::Raw), "as --like raw has it contradicts the model"),
            (&OwnScaling::for_test(&[255.0], &[0.0]), None, "fits neither"),
        ] {
            let problem = with(own, like).unwrap_err();
            assert!(problem.contains(part), "{own:?} {like:?}: {problem}");
        }
        // Of another bundle.
        let bundle = |mean: f64, std: f64| {
            let why = Some("as the bundle b has it".into());
            let stated = StatedPreparation { mean: vec![mean], std: vec![std], why, ..StatedPreparation::default() };
            ChosenPreparation::new(&input(ElementKind::F32, 3), Some(&caffe), &stated)
                .map_err(|error| error.to_string())
        };
        assert!(bundle(0.0, 1.0).is_ok());
        assert!(bundle(0.0, 255.0).unwrap_err().contains("as the bundle b has it contradicts the model"));
    }
}
