//! Bytes of luma as a network takes them, and what it gives as bytes: networks that people bring compute with floats.

use crate::bundle::PreparationSection;
use crate::task::error::TaskError;
use lineside_engine::{ElementKind, Session};

/// Values of a byte.
const LEVELS: usize = 256;

/// How luma goes into a network and comes out of it.
pub struct LumaScale {
    /// The input's value for each byte, mean and standard deviation in grey levels; `None` for bytes.
    floats: Option<(Vec<f32>, f64, f64)>,
    /// A row of the input in bytes.
    row: Vec<u8>,
}

impl LumaScale {
    /// As a manifest states it; without numbers the network takes bytes.
    pub fn new(preparation: Option<&PreparationSection>) -> LumaScale {
        let stated = preparation.and_then(|section| Some((*section.mean.first()?, *section.std.first()?)));
        let floats = stated.map(|(mean, std)| {
            let table = (0..LEVELS).map(|byte| ((byte as f64 - mean) / std) as f32).collect();
            (table, mean, std)
        });
        LumaScale { floats, row: Vec::new() }
    }

    /// The elements of the network's input and output.
    pub fn kind(&self) -> ElementKind {
        if self.floats.is_some() { ElementKind::F32 } else { ElementKind::U8 }
    }

    /// Fills the input row by row: `fill` is given the number of a row and its bytes to write.
    ///
    /// # Errors
    /// [`TaskError::Engine`] where the input has other elements.
    pub fn fill(
        &mut self,
        session: &mut Session,
        width: usize,
        mut fill: impl FnMut(usize, &mut [u8]),
    ) -> Result<(), TaskError> {
        let Some((table, ..)) = &self.floats else {
            let rows = session.input_mut::<u8>(0)?.chunks_exact_mut(width);
            rows.enumerate().for_each(|(y, row)| fill(y, row));
            return Ok(());
        };
        self.row.resize(width, 0);
        for (y, row) in session.input_mut::<f32>(0)?.chunks_exact_mut(width).enumerate() {
            fill(y, &mut self.row);
            row.iter_mut().zip(&self.row).for_each(|(to, byte)| *to = table[usize::from(*byte)]);
        }
        Ok(())
    }

    /// A part of the output, from place `at` on, as bytes.
    ///
    /// # Errors
    /// [`TaskError::Engine`] where the output has other elements, [`TaskError::Output`] where it holds what is no number.
    pub fn read(&self, session: &Session, at: usize, to: &mut [u8]) -> Result<(), TaskError> {
        let Some((_, mean, std)) = &self.floats else {
            to.copy_from_slice(&session.output::<u8>(0)?[at..][..to.len()]);
            return Ok(());
        };
        for (to, value) in to.iter_mut().zip(&session.output::<f32>(0)?[at..]) {
            if !value.is_finite() {
                return Err(TaskError::Output(format!("the network gave {value}: no picture follows from that")));
            }
            // A saturating cast: what lies beyond black and white is cut off.
            *to = (f64::from(*value) * std + mean).round() as u8;
        }
        Ok(())
    }
}
