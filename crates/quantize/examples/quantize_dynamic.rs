//! Stores the weights of an ONNX model as bytes, without samples: `quantize_dynamic MODEL.onnx OUT.onnx [KEEP…]`.

use lineside_quantize::quantize_dynamic;
use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [model, out, keep @ ..] = arguments.as_slice() else {
        return Err("usage: quantize_dynamic MODEL.onnx OUT.onnx [KEEP…]".into());
    };
    let quantized = quantize_dynamic(&std::fs::read(model)?, &keep.iter().cloned().collect())?;
    std::fs::write(out, &quantized.bytes)?;
    let report = &quantized.report;
    println!("{} layers and {} tables as bytes, left: {:?}", report.layers.len(), report.tables.len(), report.left);
    Ok(())
}
