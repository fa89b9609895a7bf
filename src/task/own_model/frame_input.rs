//! How a frame becomes a network's input: crop, resize, order of channels and axes, scale of values.

use crate::bundle::{AxisOrder, Channels, Fit, InputSection, PreparationSection};
use crate::task::error::TaskError;
use lineside_engine::{ElementKind, EngineError, Tensor};
use lineside_picture::{Layout, Picture, PictureError, Rect, Resizer, luma_row};

/// Values of a pixel's byte.
const LEVELS: usize = 256;

/// Makes the input of a network that takes one picture of a fixed size.
pub struct FrameInput {
    channels: Channels,
    preparation: PreparationSection,
    /// Width and height of the input in pixels.
    size: (usize, usize),
    /// By channel: the input's value for each byte; empty where the network takes bytes.
    table: Vec<f32>,
    resizer: Option<(Resizer, FrameShape)>,
    /// What is kept of the frame, where that is not all of it.
    kept: Picture,
    fitted: Picture,
    /// The input in bytes, in the order of its axes.
    bytes: Vec<u8>,
}

type FrameShape = (usize, usize, Layout);

impl FrameInput {
    /// For the input that a manifest states, of elements of this kind.
    ///
    /// # Errors
    /// One line, where the section has no size, or `kind` is neither bytes nor 32-bit floats, or mean and std are not stated for floats
    /// alone.
    pub fn new(input: &InputSection, kind: ElementKind) -> Result<FrameInput, String> {
        let preparation = input.preparation.clone().unwrap_or_default();
        let (Some(width), Some(height)) = (input.width, input.height) else { return Err(NO_SIZE.into()) };
        let table = match (kind, preparation.mean.is_empty()) {
            (ElementKind::U8, true) => Vec::new(),
            (ElementKind::F32, false) => table(&preparation),
            (ElementKind::U8, false) => {
                return Err("it takes bytes: [input.preparation] must not state mean and std".into());
            }
            (ElementKind::F32, true) => {
                return Err("it takes floats: [input.preparation] must state mean and std".into());
            }
            (kind, _) => return Err(format!("its input is {kind}: pictures come as uint8 or float32")),
        };
        let bytes = vec![0; width * height * input.channels.count()];
        let (channels, size) = (input.channels, (width, height));
        let (kept, fitted) = (Picture::default(), Picture::default());
        Ok(FrameInput { channels, preparation, size, table, resizer: None, kept, fitted, bytes })
    }

    /// The shape of the input that a manifest states: one picture.
    ///
    /// # Errors
    /// One line, where the section has no size.
    pub fn shape_of(input: &InputSection) -> Result<Vec<usize>, String> {
        let (Some(width), Some(height)) = (input.width, input.height) else { return Err(NO_SIZE.into()) };
        let order = input.preparation.as_ref().map_or(AxisOrder::Nchw, |section| section.order);
        Ok(shape(input.channels, order, (width, height)))
    }

    /// Width and height in pixels.
    pub fn size(&self) -> (usize, usize) {
        self.size
    }

    /// The part of a frame of this size that it sees.
    pub fn area(&self, (width, height): (usize, usize)) -> Rect {
        if self.preparation.fit == Fit::Stretch {
            return Rect { x: 0, y: 0, width, height };
        }
        let (to_width, to_height) = self.size;
        // The longest part with the input's aspect ratio, and of that the share that is kept.
        let (wide, high) = if width * to_height > height * to_width {
            (height * to_width / to_height, height)
        } else {
            (width, width * to_height / to_width)
        };
        let kept = |side: usize| ((side as f64 * self.preparation.keep).round() as usize).max(1);
        let (wide, high) = (kept(wide).min(width), kept(high).min(height));
        Rect { x: (width - wide) / 2, y: (height - high) / 2, width: wide, height: high }
    }

    /// Makes the input of a frame.
    ///
    /// # Errors
    /// [`TaskError::Picture`] for a frame without pixels.
    pub fn prepare(&mut self, frame: &Picture) -> Result<(), TaskError> {
        let area = self.area((frame.width(), frame.height()));
        let is_whole = (area.width, area.height) == (frame.width(), frame.height());
        if !is_whole {
            frame.crop_into(area, &mut self.kept);
        }
        let from = if is_whole { frame } else { &self.kept };
        let shape = (from.width(), from.height(), from.layout());
        let resizer = match &mut self.resizer {
            Some((resizer, known)) if *known == shape => resizer,
            stale => &mut stale.insert((fit(shape, self.size)?, shape)).0,
        };
        resizer.run(from, &mut self.fitted)?;
        Ok(())
    }

    /// The resized frame, `[height, width, channels]`, before its values are scaled.
    pub fn fitted(&self) -> &Picture {
        &self.fitted
    }

    /// The frame that was prepared last, as a network takes it.
    ///
    /// # Errors
    /// None in practice: the elements are those of the shape.
    pub fn tensor(&mut self) -> Result<Tensor, EngineError> {
        self.fill_bytes();
        let shape = shape(self.channels, self.preparation.order, self.size);
        if self.table.is_empty() {
            return Tensor::new(shape, self.bytes.clone());
        }
        let mut values = vec![0f32; self.bytes.len()];
        self.scale(&mut values);
        Tensor::new(shape, values)
    }

    /// Puts the bytes of the frame that was prepared last into the order of the input's axes.
    pub fn fill_bytes(&mut self) {
        let (width, channels) = (self.size.0, self.channels.count());
        let plane = width * self.size.1;
        let picture = &self.fitted;
        let planar = self.preparation.order == AxisOrder::Nchw;
        if self.channels == Channels::Luma {
            luma_row(picture.layout(), picture.data(), &mut self.bytes);
            return;
        }
        for channel in 0..channels {
            let source = if self.channels == Channels::Bgr { channels - 1 - channel } else { channel };
            let (first, step) = match picture.layout() {
                Layout::Grey => (0, 1),
                Layout::Rgb => (source, 3),
            };
            let from = picture.data()[first..].iter().step_by(step);
            if planar {
                self.bytes[channel * plane..][..plane].iter_mut().zip(from).for_each(|(to, byte)| *to = *byte);
            } else {
                self.bytes[channel..].iter_mut().step_by(channels).zip(from).for_each(|(to, byte)| *to = *byte);
            }
        }
    }

    /// Whether the network takes bytes as they are.
    pub fn takes_bytes(&self) -> bool {
        self.table.is_empty()
    }

    /// The values of the bytes, in the order of the input's axes; as many as there are bytes.
    pub fn scale(&self, values: &mut [f32]) {
        let channels = self.channels.count();
        match self.preparation.order {
            AxisOrder::Nchw => {
                let plane = self.size.0 * self.size.1;
                let planes = values.chunks_exact_mut(plane).zip(self.bytes.chunks_exact(plane));
                for ((to, from), table) in planes.zip(self.table.chunks_exact(LEVELS)) {
                    to.iter_mut().zip(from).for_each(|(to, &byte)| *to = table[usize::from(byte)]);
                }
            }
            AxisOrder::Nhwc => {
                for (to, from) in values.chunks_exact_mut(channels).zip(self.bytes.chunks_exact(channels)) {
                    for ((to, &byte), table) in to.iter_mut().zip(from).zip(self.table.chunks_exact(LEVELS)) {
                        *to = table[usize::from(byte)];
                    }
                }
            }
        }
    }

    /// What [`FrameInput::fill_bytes`] made last: the input in the order of its axes, before it is scaled.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Bytes of a row of the input, and of a pixel in it.
    pub fn row(&self) -> (usize, usize) {
        let pixel = match self.preparation.order {
            AxisOrder::Nchw => 1,
            AxisOrder::Nhwc => self.channels.count(),
        };
        (self.size.0 * pixel, pixel)
    }

    /// Of values in the input's shape the bytes of which they would have been made, the nearest ones.
    pub fn unscale(&self, values: &[f32], bytes: &mut [u8]) {
        let (plane, channels) = (self.size.0 * self.size.1, self.channels.count());
        let scales = || self.preparation.mean.iter().zip(&self.preparation.std);
        // A saturating cast: what lies beyond a picture's values is cut off.
        let byte = |value: f32, mean: f64, std: f64| (f64::from(value) * std + mean).round() as u8;
        match self.preparation.order {
            AxisOrder::Nchw => {
                let planes = values.chunks_exact(plane).zip(bytes.chunks_exact_mut(plane));
                for ((values, bytes), (mean, std)) in planes.zip(scales()) {
                    bytes.iter_mut().zip(values).for_each(|(to, value)| *to = byte(*value, *mean, *std));
                }
            }
            AxisOrder::Nhwc => {
                for (values, bytes) in values.chunks_exact(channels).zip(bytes.chunks_exact_mut(channels)) {
                    for ((to, value), (mean, std)) in bytes.iter_mut().zip(values).zip(scales()) {
                        *to = byte(*value, *mean, *std);
                    }
                }
            }
        }
    }
}

const NO_SIZE: &str = "this task needs input.width and input.height";

/// One picture with its axes in this order.
fn shape(channels: Channels, order: AxisOrder, (width, height): (usize, usize)) -> Vec<usize> {
    match order {
        AxisOrder::Nchw => vec![1, channels.count(), height, width],
        AxisOrder::Nhwc => vec![1, height, width, channels.count()],
    }
}

/// By channel: `(byte - mean) / std`, rounded once.
fn table(preparation: &PreparationSection) -> Vec<f32> {
    let channels = preparation.mean.iter().zip(&preparation.std);
    channels.flat_map(|(mean, std)| (0..LEVELS).map(move |byte| ((byte as f64 - mean) / std) as f32)).collect()
}

fn fit((width, height, layout): FrameShape, size: (usize, usize)) -> Result<Resizer, PictureError> {
    Resizer::fit(layout, (width, height), size)
}
