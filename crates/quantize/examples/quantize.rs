//! Quantizes an ONNX model with the samples of an array: `quantize MODEL.onnx OUT.onnx SAMPLES.npy [METHOD] [plain] [qoperator] [float=NODE…]
//! [a16w8=NODE…] [loss=20dB]`, where the first dimension of SAMPLES counts them.

use lineside_engine::{Tensor, npy};
use lineside_quantize::{Form, Method, Options, quantize};
use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [model, out, samples, rest @ ..] = arguments.as_slice() else {
        return Err("usage: quantize MODEL.onnx OUT.onnx SAMPLES.npy [METHOD] [plain] [qoperator] [float=NODE…] [a16w8=NODE…] [loss=20dB]".into());
    };
    let all = npy::read(&std::fs::read(samples)?)?;
    let (count, mut shape) = (all.shape()[0], all.shape().to_vec());
    shape[0] = 1;
    let values = all.values::<f32>().ok_or("the samples are no floats")?;
    let mut samples: Vec<Vec<Tensor>> = values
        .chunks_exact(values.len() / count)
        .map(|sample| Ok(vec![Tensor::new(shape.clone(), sample.to_vec())?]))
        .collect::<Result<_, lineside_engine::EngineError>>()?;
    let mut options = Options::default();
    // All samples have the shape of the array.
    options.fix_shapes = true;
    options.threads = std::thread::available_parallelism()?.get();
    options.improve = !rest.iter().any(|word| word == "plain");
    if rest.iter().any(|word| word == "qoperator") {
        options.form = Form::QOperator;
    }
    let named = |word: &str| rest.iter().filter_map(|given| given.strip_prefix(word)).map(String::from).collect();
    (options.keep, options.wide) = (named("float="), named("a16w8="));
    options.max_loss = rest.iter().find_map(|given| given.strip_prefix("loss=")).map(str::parse).transpose()?;
    options.method = match rest.first().map(String::as_str) {
        Some("min-max") => Method::MinMax,
        Some("percentile") => Method::Percentile,
        Some("mse") => Method::Mse,
        Some("entropy") => Method::Entropy,
        _ => Method::Auto,
    };
    let mut last = None;
    let quantized = quantize(&std::fs::read(model)?, &mut samples, &options, &mut |stage, _, _| {
        if last != Some(stage) {
            eprintln!("{stage:?}");
            last = Some(stage);
        }
        Ok(())
    })?;
    std::fs::write(out, &quantized.bytes)?;
    for output in &quantized.report.outputs {
        let noise = match (output.sqnr_db, output.is_same) {
            (Some(db), _) => format!("{db:.2} dB"),
            (None, true) => "the same".into(),
            (None, false) => "not comparable".into(),
        };
        println!("{}: {noise}, cosine {:.5}, NaN or infinite: {:?}", output.name, output.cosine, output.not_finite);
    }
    println!(
        "{} layers in integers, left: {:?}, drift {:.1e}",
        quantized.report.layers.len(),
        quantized.report.left,
        quantized.report.float_drift
    );
    if let Some(mixed) = &quantized.report.mixed {
        println!("mixed: {mixed:?}");
    }
    println!("simplified: {:?}", quantized.report.simplified);
    Ok(())
}
