//! `--task superres`: how much a network enlarges, and how far around a pixel it looks.

use super::arguments::NewArguments;
use super::cost::{NetworkCost, run_times};
use super::made::{Made, Section};
use super::pictures::pattern;
use super::ready::{self, Ready};
use super::subject::blamed;
use crate::bundle::{AxisOrder, InputSection, SuperResolutionSection};
use crate::commands::WrongArguments;
use crate::commands::comparison_text::default_threads;
use crate::files;
use crate::task::own_model::make::{ChosenPreparation, MakeError, no_number, reference_outputs};
use crate::task::super_resolution::{Enlarger, measured_receptive_field, measured_scale};
use anyhow::Context;
use lineside_engine::{ElementKind, Model, Session, Tensor};
use lineside_picture::{Picture, Rect, luma_into};
use std::process::ExitCode;
use std::sync::Arc;

/// The side of a golden vector's picture, in pixels.
const GOLDEN_SIDE: usize = 48;
/// The side of the picture that is timed.
const TIMED_SIDE: usize = 160;

pub fn run(arguments: &NewArguments) -> anyhow::Result<ExitCode> {
    ready::check_place(&arguments.out)?;
    let blame = |error: MakeError| blamed(&arguments.model, error);
    let unfit = |problem: String| blame(MakeError::Unfit(problem));
    let model_name = || arguments.model.display().to_string();
    let bytes = files::read(&arguments.model, files::MAX_ARRAY).with_context(model_name)?;
    let model = Model::parse(&bytes).with_context(model_name)?;
    let taken = arguments.input.taken_by(&model).map_err(blame)?;
    if taken.channels != 1 || taken.order != AxisOrder::Nchw {
        return Err(unfit(format!(
            "its input \"{}\" is no plane of luma, [1, 1, rows, columns]: colour is enlarged by the line, the network sees luma only",
            taken.name
        )));
    }
    if let Some((width, height)) = taken.size {
        return Err(unfit(format!(
            "it takes {width}x{height} and nothing else: export it with open rows and columns, so that it can be run in tiles"
        )));
    }
    let stated = arguments.input.stated(arguments.keep).map_err(blame)?;
    if stated.fit.is_some() || stated.keep.is_some() || arguments.input.states_size() {
        return Err(WrongArguments("--fit, --keep and --size: whole pictures are enlarged".into()).into());
    }
    let chosen = ChosenPreparation::new(&taken, None, &stated).map_err(blame)?;
    let scale = measured_scale(&model).map_err(unfit)?;
    let (mean, std) = (chosen.section.mean.first().copied(), chosen.section.std.first().copied());
    let value = |byte: u8| ((f64::from(byte) - mean.unwrap_or(0.0)) / std.unwrap_or(1.0)) as f32;
    let measured = measured_receptive_field(&model, scale, value).map_err(unfit)?;
    let (receptive_field, how) = match arguments.meaning.receptive_field.map(usize::from) {
        // Tiles would show their seams.
        Some(stated) if stated < measured => {
            let problem = format!(
                "--receptive-field {stated}: a pixel depends on {measured} around it, as measured: state that at least, or leave it out"
            );
            return Err(WrongArguments(problem).into());
        }
        Some(stated) => (stated, "as stated"),
        None => (measured, "measured"),
    };
    let mut made = Made::new(Section::SuperResolution(SuperResolutionSection { scale, receptive_field }));
    made.told.push(format!("enlarges {scale} times; a pixel depends on {receptive_field} around it, {how}"));
    made.told.push("quality is not measured: lineside eval BUNDLE --hr DIR says PSNR and SSIM beside bicubic".into());
    let mut luma = Picture::default();
    luma_into(&pattern(), &mut luma);
    let plane = |(x, y): (usize, usize), side: usize| -> anyhow::Result<Tensor> {
        let mut cut = Picture::default();
        luma.crop_into(Rect { x, y, width: side, height: side }, &mut cut);
        let shape = vec![1, 1, side, side];
        Ok(match taken.kind {
            ElementKind::U8 => Tensor::new(shape, cut.data().to_vec())?,
            _ => Tensor::new(shape, cut.data().iter().map(|byte| value(*byte)).collect::<Vec<f32>>())?,
        })
    };
    let mut golden = Vec::new();
    for place in [(0, 0), (100, 60)] {
        let input = plane(place, GOLDEN_SIDE)?;
        let outputs = reference_outputs(&model, &input).map_err(blame)?;
        if let Some(value) = outputs.iter().find_map(no_number) {
            return Err(unfit(format!("of a test pattern it makes {value}: no picture follows from that")));
        }
        golden.push((input, outputs));
    }
    let threads = arguments.threads.map_or_else(default_threads, |threads| threads as usize);
    let plan = Arc::new(model.plan(&[vec![1, 1, TIMED_SIDE, TIMED_SIDE]]).with_context(model_name)?);
    let mut session = Session::with_threads(Arc::clone(&plan), threads)?;
    session.set_input(0, plane((0, 0), TIMED_SIDE)?)?;
    let cost = NetworkCost::new(run_times(|| Ok(session.run()?))?, &plan, bytes.len(), threads);
    made.told.push(format!("figures below are of {TIMED_SIDE}x{TIMED_SIDE} pixels of the input"));
    let facts = vec![
        format!("input: \"{}\" {}, a plane of luma of any size", taken.name, taken.kind),
        format!("preparation: {}; {}", chosen.in_words(), chosen.why),
    ];
    let preparation = (taken.kind != ElementKind::U8).then(|| chosen.section.clone());
    let input = InputSection { width: None, height: None, channels: chosen.channels, preparation };
    let ready = Ready { arguments, original: &bytes, bytes: &bytes, input, facts, made, golden, cost, quantized: None };
    ready.write(|bundle| {
        let mut large = Picture::default();
        Ok(Enlarger::new(crate::bundle::Bundle::open(bundle.folder())?)?.enlarge(&pattern(), &mut large)?)
    })
}
