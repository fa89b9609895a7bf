//! How far a picture is from the one that the network gives back, in fixed point.

use super::network::Network;
use crate::bundle::ReconstructionSection;
use crate::task::error::TaskError;
use lineside_engine::ElementKind;

/// Parts of a grey level in which differences are counted.
const PARTS: u64 = 256;

/// Measures the difference between the input and the network's output.
pub struct Residual {
    output: usize,
    is_bytes: bool,
    cell: usize,
    grid: (usize, usize),
    /// By cell: the sum of differences, and how many there are.
    sums: Vec<(u64, u64)>,
}

impl Residual {
    /// For the output of a network.
    ///
    /// # Errors
    /// One line, where it is no picture of the input's shape in bytes or floats.
    pub fn new(network: &Network, section: &ReconstructionSection) -> Result<Residual, String> {
        let output = network.output_named(&section.output)?;
        let (given, input) = (&network.plan().outputs()[output], &network.plan().inputs()[0]);
        if given.shape != input.shape {
            return Err(format!(
                "its output \"{}\" is {:?}: the input's shape {:?} is needed",
                given.name, given.shape, input.shape
            ));
        }
        let is_bytes = match given.kind {
            ElementKind::U8 => true,
            ElementKind::F32 if input.kind == ElementKind::F32 => false,
            kind => {
                let (name, input) = (&given.name, input.kind);
                return Err(format!(
                    "its output \"{name}\" is {kind} and its input {input}: uint8, or float32 for both, is needed"
                ));
            }
        };
        let (width, height) = network.size();
        let grid = (width.div_ceil(section.cell), height.div_ceil(section.cell));
        Ok(Residual { output, is_bytes, cell: section.cell, grid, sums: vec![(0, 0); grid.0 * grid.1] })
    }

    /// Columns and rows of the cells.
    pub fn grid(&self) -> (usize, usize) {
        self.grid
    }

    /// The value of the network's last run: the mean absolute difference of the cell where it is greatest, in 256ths of a grey level.
    ///
    /// # Errors
    /// [`TaskError::Output`] where the output holds what is no finite number.
    pub fn measure(&mut self, network: &Network) -> Result<f64, TaskError> {
        self.sums.fill((0, 0));
        if self.is_bytes {
            let output = network.output_bytes(self.output)?;
            for (at, (&byte, &given)) in network.bytes().iter().zip(output).enumerate() {
                self.add(network, at, byte.abs_diff(given));
            }
        } else {
            let output = network.floats(self.output)?;
            for (at, (&byte, &given)) in network.bytes().iter().zip(output).enumerate() {
                self.add(network, at, byte.abs_diff(network.byte_of(given, at)));
            }
        }
        Ok(f64::from(self.cells().max().unwrap_or(0)))
    }

    fn add(&mut self, network: &Network, at: usize, difference: u8) {
        let (x, y) = network.place_of(at);
        let (sum, count) = &mut self.sums[y / self.cell * self.grid.0 + x / self.cell];
        *sum += u64::from(difference);
        *count += 1;
    }

    /// The mean difference of each cell, row by row, in 256ths of a grey level.
    pub fn cells(&self) -> impl Iterator<Item = u32> {
        self.sums.iter().map(|(sum, count)| ((PARTS * sum + count / 2) / (*count).max(1)) as u32)
    }
}
