//! Reads a picture, resizes it and writes a PNG: `resize IN OUT.png WIDTH HEIGHT`.

use lineside_picture::{Picture, Resizer, decode_file, write_png};
use std::error::Error;
use std::fs::File;
use std::io::BufWriter;
use std::process::ExitCode;

const MAX_PIXELS: usize = 50_000_000;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("resize: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [input, output, width, height] = arguments.as_slice() else {
        return Err("usage: resize IN OUT.png WIDTH HEIGHT".into());
    };
    let mut picture = Picture::default();
    decode_file(&std::fs::read(input)?, MAX_PIXELS, &mut picture)?;
    let size = (picture.width(), picture.height());
    let mut resizer = Resizer::fit(picture.layout(), size, (width.parse()?, height.parse()?))?;
    let mut resized = Picture::default();
    resizer.run(&picture, &mut resized)?;
    write_png(BufWriter::new(File::create(output)?), &resized)?;
    println!("{}x{} -> {}x{}", size.0, size.1, resized.width(), resized.height());
    Ok(())
}
