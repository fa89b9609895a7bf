//! Decodes picture files and writes each as PNG: `decode OUT_FOLDER FILE...`. For every file one line: its name, a tab, and
//! `ok WIDTH HEIGHT` or the reason why it is refused. The script `tests/conformance` of the repository compares with others.

use lineside_picture::{Picture, decode_file, write_png};
use std::error::Error;
use std::fs::File;
use std::io::BufWriter;
use std::path::Path;
use std::process::ExitCode;

const MAX_PIXELS: usize = 100_000_000;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("decode: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args_os().skip(1);
    let folder = arguments.next().ok_or("usage: decode OUT_FOLDER FILE...")?;
    let mut picture = Picture::default();
    for (index, file) in arguments.enumerate() {
        let file = Path::new(&file);
        match decode_file(&std::fs::read(file)?, MAX_PIXELS, &mut picture) {
            Ok(()) => {
                let out = Path::new(&folder).join(format!("{index}.png"));
                write_png(BufWriter::new(File::create(out)?), &picture)?;
                println!("{}\tok {} {}", file.display(), picture.width(), picture.height());
            }
            Err(error) => println!("{}\t{error}", file.display()),
        }
    }
    Ok(())
}
