//! The value and the map of a network that detects anomalies by itself.

use super::network::Network;
use crate::bundle::AnomalyMapSection;
use crate::task::error::TaskError;

/// The most cells of a map along each axis; of a finer one the greatest value of each block counts.
const MOST_CELLS: usize = 64;

/// Reads the outputs of an anomaly network.
pub struct MapReader {
    score: Option<usize>,
    map: Option<Map>,
}

/// A map in an output.
struct Map {
    output: usize,
    rows: usize,
    columns: usize,
}

impl MapReader {
    /// For the outputs of a network.
    ///
    /// # Errors
    /// One line, where they do not fit the section.
    pub fn new(network: &Network, section: &AnomalyMapSection) -> Result<MapReader, String> {
        let shape = |output: usize| network.plan().outputs()[output].shape.clone();
        let score = section.score.as_ref().map(|name| network.floats_named(name)).transpose()?;
        if let Some(score) = score
            && shape(score).iter().product::<usize>() != 1
        {
            return Err(format!(
                "its output \"{}\" is {:?}: one value for the frame is expected",
                name(network, score),
                shape(score)
            ));
        }
        let map = section.map.as_ref().map(|name| network.floats_named(name)).transpose()?;
        let map = map.map(|output| match shape(output)[..] {
            [ref before @ .., rows, columns] if rows * columns > 0 && before.iter().all(|axis| *axis == 1) => {
                Ok(Map { output, rows, columns })
            }
            ref other => {
                let name = name(network, output);
                Err(format!("its output \"{name}\" is {other:?}: a map is rows and columns behind axes of length 1"))
            }
        });
        Ok(MapReader { score, map: map.transpose()? })
    }

    /// Columns and rows of the cells; 1 x 1 where there is no map.
    pub fn grid(&self) -> (usize, usize) {
        let cells = |side: usize| side.min(MOST_CELLS);
        self.map.as_ref().map_or((1, 1), |map| (cells(map.columns), cells(map.rows)))
    }

    /// The value of the network's last run: the output with the score, else the greatest value of the map.
    ///
    /// # Errors
    /// [`TaskError::Output`] where an output holds what is no finite number.
    pub fn measure(&self, network: &Network) -> Result<f64, TaskError> {
        let output = self.score.or(self.map.as_ref().map(|map| map.output)).unwrap_or(0);
        let values = network.floats(output)?;
        Ok(f64::from(values.iter().copied().fold(f32::NEG_INFINITY, f32::max)))
    }

    /// The cells of the last run's map, row by row, into `cells`: the greatest value below each. Without a map nothing is written.
    ///
    /// # Errors
    /// [`TaskError::Output`] where it holds what is no finite number.
    pub fn cells(&self, network: &Network, cells: &mut [f32]) -> Result<(), TaskError> {
        let Some(map) = &self.map else { return Ok(()) };
        let values = network.floats(map.output)?;
        let (across, down) = self.grid();
        cells.fill(f32::NEG_INFINITY);
        for (y, row) in values.chunks_exact(map.columns).enumerate() {
            let cells = &mut cells[y * down / map.rows * across..][..across];
            for (x, value) in row.iter().enumerate() {
                let cell = &mut cells[x * across / map.columns];
                *cell = cell.max(*value);
            }
        }
        Ok(())
    }

    /// Whether the network says where.
    pub fn has_map(&self) -> bool {
        self.map.is_some()
    }
}

fn name(network: &Network, output: usize) -> &str {
    &network.plan().outputs()[output].name
}
