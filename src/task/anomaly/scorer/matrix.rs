//! The form in which a bundle stores statistics.

use crate::bundle::{Bundle, BundleError};
use lineside_engine::npy;

/// A matrix of statistics `[rows, columns]`.
pub struct Matrix {
    /// Length of a row.
    pub columns: usize,
    /// Row by row.
    pub values: Vec<f32>,
}

impl Matrix {
    /// A matrix of rows of the same length.
    pub fn from_rows<'a>(columns: usize, rows: impl IntoIterator<Item = &'a [f32]>) -> Matrix {
        Matrix { columns, values: rows.into_iter().flatten().copied().collect() }
    }

    /// A file of a bundle.
    ///
    /// # Errors
    /// [`BundleError::Bad`] where it cannot be read or is no matrix of `f32`.
    pub fn of_bundle(bundle: &Bundle, name: &str) -> Result<Matrix, BundleError> {
        let tensor = npy::read(&bundle.read(name)?).map_err(|error| bundle.blame(name, error))?;
        match (tensor.values::<f32>(), tensor.shape()) {
            (Some(values), &[_, columns]) if columns > 0 => Ok(Matrix { columns, values: values.to_vec() }),
            _ => Err(bundle.blame(name, format!("holds {tensor}: expected a matrix of f32"))),
        }
    }

    /// The rows.
    pub fn rows(&self) -> impl ExactSizeIterator<Item = &[f32]> {
        self.values.chunks_exact(self.columns.max(1))
    }

    /// Checks that the matrix has `columns` columns, at least `rows` rows and only finite numbers.
    ///
    /// # Errors
    /// One line that names the mismatch or the first value that is not finite.
    pub(super) fn check(&self, columns: usize, rows: usize) -> Result<(), String> {
        let found = self.values.len() / self.columns.max(1);
        if self.columns != columns || found < rows {
            return Err(format!(
                "{found} rows of {} values; {rows} or more rows of {columns} are needed",
                self.columns
            ));
        }
        match self.values.iter().position(|value| !value.is_finite()) {
            Some(bad) => Err(format!("row {}, value {} is not a finite number", bad / columns, bad % columns)),
            None => Ok(()),
        }
    }
}
