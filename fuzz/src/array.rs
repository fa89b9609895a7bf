//! `.npy` files.

use super::Target;
use super::text::check_line;
use lineside_engine::npy;

/// This target.
pub const TARGET: Target = Target {
    name: "array",
    run: target,
    max_len: 4096,
    max_memory: 1 << 20,
    iterations: 20_000,
    words: &[
        b"\x93NUMPY",
        b"descr",
        b"'<f4'",
        b"'|u1'",
        b"fortran_order",
        b"True",
        b"shape",
        b"(1, 2)",
        b"()",
        b"9999999999",
        b"[('a', '<f4')]",
    ],
};

/// Reads an array; what was read is written and read again.
pub fn target(data: &[u8]) {
    let tensor = match npy::read(data) {
        Ok(tensor) => tensor,
        Err(error) => return check_line(&error.to_string()),
    };
    let mut written = Vec::new();
    npy::write(&mut written, &tensor).expect("a vector takes everything");
    let read = npy::read(&written).expect("what was written can be read");
    let mut again = Vec::new();
    npy::write(&mut again, &read).expect("a vector takes everything");
    // By bytes, because not a number is not equal to itself.
    assert!(tensor.shape() == read.shape() && written == again, "{tensor} became {read}");
}
