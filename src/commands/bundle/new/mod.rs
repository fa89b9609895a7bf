//! `lineside bundle new`: a bundle of a network that people bring.

mod anomaly_map;
mod arguments;
mod card;
mod classify;
mod cost;
mod embed;
mod made;
mod pictures;
mod quantizing;
mod ready;
mod reconstruction;
mod report;
mod subject;
mod super_resolution;

pub use arguments::NewArguments;

use crate::commands::comparison_text::default_threads;
use crate::commands::preparation::PreparedInput;
use crate::commands::prepared_pictures::{PreparedPictures, pictures_of};
use crate::files;
use crate::task::own_model::make::{ChosenPreparation, MakeError, OwnScaling, listed, no_number, reference_outputs};
use crate::task::own_model::{Network, OwnModel};
use anyhow::Context;
use arguments::NewTask;
use cost::{NetworkCost, run_times};
use lineside_engine::{Model, Outline, Tensor, Workspace};
use lineside_quantize::Samples;
use made::Made;
use pictures::pattern;
use quantizing::quantized;
use ready::{GoldenVector, Ready};
use std::path::PathBuf;
use std::process::ExitCode;
use subject::{Subject, blamed};

pub(super) const EXAMPLES: &str = "\
Examples:
  lineside bundle new mobilenet.onnx --task classify --labels labels.txt --ok good --like torchvision --out sorter
  lineside bundle new mobilenet.onnx --task classify --labels labels.txt --ok good --like keras --quantize --calibrate pictures/ --out sorter
  lineside bundle new patchcore.onnx --task anomaly-map --normal good/ --defect bad/ --out parts
  lineside bundle new autoencoder.onnx --task reconstruction --like unit --normal good/ --out parts
  lineside bundle new espcn.onnx --task superres --like unit --out enlarge-x3
  lineside bundle new embedder.onnx --task embed --like torchvision --references parts/ --ok m4-bolt --out which-part";

/// Golden vectors of a bundle, at most.
const GOLDEN: usize = 2;

pub fn run(arguments: &NewArguments) -> anyhow::Result<ExitCode> {
    arguments.check()?;
    if arguments.task == NewTask::Superres {
        return super_resolution::run(arguments);
    }
    // Before any work: a place that cannot be written to should be reported now.
    ready::check_place(&arguments.out)?;
    let blame = |error: MakeError| blamed(&arguments.model, error);
    let model_name = arguments.model.display().to_string();
    let original = files::read(&arguments.model, files::MAX_ARRAY).with_context(|| model_name.clone())?;
    let model = Model::parse(&original).with_context(|| model_name.clone())?;
    let outline = model.outline();
    let PreparedInput { taken, size, chosen, section: input } =
        arguments.input.choose(&model, arguments.keep).map_err(blame)?;
    let threads = arguments.threads.map_or_else(default_threads, |threads| threads as usize);
    let workspace = Workspace::new(threads)?;
    let plan = |model: &Model| {
        Network::new(model.clone(), &input, &workspace).map_err(|problem| blame(MakeError::Unfit(problem)))
    };
    let (normal, defects) = Subject::pictures(arguments)?;
    let mut network = plan(&model)?;
    let facts = vec![
        format!("input: \"{}\" {} {:?}", taken.name, taken.kind, taken.shape(size)),
        format!("preparation: {}; {}", chosen.in_words(), chosen.why),
        format!("outputs: {}", listed(network.plan().outputs())),
    ];
    let made_of_floats = match &arguments.calibrate {
        Some(folder) => {
            let how = (chosen.range(), arguments.frames, threads);
            Some(quantized(&original, folder, &mut network, how).with_context(|| model_name.clone())?)
        }
        None => None,
    };
    let bytes = made_of_floats.as_ref().map_or(&original, |quantized| &quantized.bytes);
    let model = if made_of_floats.is_some() { Model::parse(bytes).with_context(|| model_name.clone())? } else { model };
    if made_of_floats.is_some() {
        network = plan(&model)?;
    }
    let mut subject = Subject { arguments, network, outline, normal, defects };
    let mut made = match arguments.task {
        NewTask::Classify => classify::make(&mut subject)?,
        NewTask::AnomalyMap => anomaly_map::make(&mut subject)?,
        NewTask::Reconstruction => reconstruction::make(&mut subject)?,
        NewTask::Embed => embed::make(&mut subject)?,
        // It has a way of its own, above.
        NewTask::Superres => return super_resolution::run(arguments),
    };
    made.warnings.extend(range_warning(&subject.outline, &taken.name, &chosen));
    let golden = golden_vectors(&mut subject, &model, &made).map_err(|error| error.context(model_name.clone()))?;
    let cost = timed(&mut subject.network, bytes.len(), threads)?;
    let ready = Ready {
        arguments,
        original: &original,
        bytes,
        input,
        facts,
        made,
        golden,
        cost,
        quantized: made_of_floats.as_ref(),
    };
    ready.write(|bundle| Ok(OwnModel::new(bundle, None, 1).map(drop)?))
}

/// Where a quantized network takes another range of values than pictures get by the preparation: it was calibrated with another one.
fn range_warning(outline: &Outline, input: &str, chosen: &ChosenPreparation) -> Option<String> {
    let (low, high) = chosen.range()?;
    let (width, prepared) = (OwnScaling::quantized_width(outline, input)?, f64::from(high - low));
    let fits = (0.5..=2.0).contains(&(width / prepared));
    (!fits).then(|| {
        format!(
            "the network was quantized for values that are {width:.3} apart from black to white, but prepared so they are {prepared:.3}: is the \
             preparation the one that it was calibrated with?"
        )
    })
}

/// What the network takes, on the frame that was prepared last.
fn timed(network: &mut Network, size_bytes: usize, threads: usize) -> anyhow::Result<NetworkCost> {
    let times = run_times(|| Ok(network.run()?))?;
    Ok(NetworkCost::new(times, network.plan(), size_bytes, threads))
}

/// Inputs of real pictures where there are some, and what the reference kernels make of them. The last one stays prepared.
fn golden_vectors(subject: &mut Subject, model: &Model, made: &Made) -> anyhow::Result<Vec<GoldenVector>> {
    let arguments = subject.arguments;
    let mut files: Vec<PathBuf> = subject.normal.iter().chain(&subject.defects).cloned().collect();
    if let (true, Some(folder)) =
        (files.is_empty(), arguments.calibrate.as_ref().or(arguments.meaning.references.as_ref()))
    {
        files = pictures_of(folder, arguments.frames)?;
    }
    let mut inputs = Vec::new();
    let mut samples = PreparedPictures::new(files, subject.network.frame_input());
    // The first one and one of the middle; what cannot be read was named before.
    let count = samples.len();
    for index in (0..count).step_by(count.div_ceil(GOLDEN).max(1)) {
        let input = samples.get(index).into_iter().flatten();
        inputs.extend(input.map(|input| (samples.name(index), input)));
    }
    if inputs.is_empty() {
        subject.network.prepare(&pattern())?;
        inputs.push(("a test pattern".into(), subject.network.frame_input().tensor()?));
    }
    let read = made.outputs();
    let vector = |(name, input): (String, Tensor)| -> anyhow::Result<GoldenVector> {
        let outputs = reference_outputs(model, &input)?;
        let of_task = subject.outputs().iter().zip(&outputs).filter(|(info, _)| read.contains(&info.name.as_str()));
        // A bundle of it would agree with its golden vectors, and fail on every frame.
        if let Some((info, value)) = of_task.into_iter().find_map(|(info, output)| Some((info, no_number(output)?))) {
            anyhow::bail!("of {name} it makes {value} in its output \"{}\": no verdict follows from that", info.name);
        }
        Ok((input, outputs))
    };
    inputs.into_iter().map(vector).collect()
}
