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
    /// The output in bytes.
    given: Vec<u8>,
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
        Ok(Residual {
            output,
            is_bytes,
            cell: section.cell,
            grid,
            sums: vec![(0, 0); grid.0 * grid.1],
            given: vec![0; network.bytes().len()],
        })
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
        if self.is_bytes {
            self.given.copy_from_slice(network.output_bytes(self.output)?);
        } else {
            network.unscale(network.floats(self.output)?, &mut self.given);
        }
        self.sums.fill((0, 0));
        let (row, pixel) = network.row();
        let rows = network.bytes().chunks_exact(row).zip(self.given.chunks_exact(row)).enumerate();
        for (at, (row, given)) in rows {
            // Rows of one plane follow those of the other.
            let y = at % network.size().1;
            let cells = &mut self.sums[y / self.cell * self.grid.0..][..self.grid.0];
            let squares = row.chunks(self.cell * pixel).zip(given.chunks(self.cell * pixel));
            for ((sum, count), (bytes, given)) in cells.iter_mut().zip(squares) {
                *sum += bytes.iter().zip(given).map(|(a, b)| u64::from(a.abs_diff(*b))).sum::<u64>();
                *count += bytes.len() as u64;
            }
        }
        Ok(f64::from(self.cells().max().unwrap_or(0)))
    }

    /// The mean difference of each cell, row by row, in 256ths of a grey level.
    pub fn cells(&self) -> impl Iterator<Item = u32> {
        self.sums.iter().map(|(sum, count)| ((PARTS * sum + count / 2) / (*count).max(1)) as u32)
    }
}
