//! Windows over a picture, and where resized pixels come from.

/// A window that slides over a picture.
#[derive(Debug, Clone, PartialEq)]
pub struct Window {
    pub kernel: [usize; 2],
    pub stride: [usize; 2],
    pub dilation: [usize; 2],
    /// Top, left, bottom, right; with `ceil_mode` a last window may hang over beyond them.
    pub pads: [usize; 4],
    /// Whether padding counts in an average.
    pub count_pads: bool,
}

/// Where a resized pixel comes from: for every output position the two inputs and the weight of the second.
#[derive(Debug, Clone, PartialEq)]
pub struct Sampling {
    pub first: Vec<u32>,
    pub second: Vec<u32>,
    pub weight: Vec<f32>,
}
