//! Planes: a few of the backbone's feature planes, from which each place of the frame gets a vector.
//!
//! Evenly spaced planes of every layer do as well as random ones or random projections of all (PaDiM, Defard et al. 2021), and cost
//! nothing to select. A plane is normalized by its own mean and standard deviation over the frame, so that brightness and exposure
//! cancel out, as in `cells.rs`; unlike there it is not averaged over neighbours, so that small parts stay visible.

use super::cells::upsampled;
use super::view::{FeatureMaps, Layer};

/// Added to a plane's standard deviation, in byte steps of the feature, so that a flat plane stays small.
const SPREAD_OFFSET: f64 = 0.25;

/// Bytes of `each` planes of every layer.
pub fn planes_len(layers: &[Layer], each: usize) -> usize {
    layers.iter().map(|layer| each.min(layer.channels) * layer.plane()).sum()
}

/// Values of a vector from `each` planes of every layer; a layer with fewer gives what it has.
pub fn vector_len(layers: &[Layer], each: usize) -> usize {
    layers.iter().map(|layer| each.min(layer.channels)).sum()
}

/// Writes `each` evenly spaced planes of every layer to `out`, one after the other.
pub fn gather(features: FeatureMaps<'_>, each: usize, out: &mut Vec<u8>) {
    out.clear();
    for (layer, planes) in features.iter() {
        let each = each.min(layer.channels);
        for number in 0..each {
            let channel = number * layer.channels / each;
            out.extend_from_slice(&planes[channel * layer.plane()..][..layer.plane()]);
        }
    }
}

/// A vector for each place on the grid of the first layer. Its buffers are reused.
pub struct PlaceVectors {
    layers: Vec<Layer>,
    /// Planes of each layer, where it has as many.
    each: usize,
    /// `[places, values]`
    vectors: Vec<f32>,
    plane: Vec<f32>,
}

impl PlaceVectors {
    /// For `each` planes of every layer, at least one; a layer has the first one's grid or half of it, as
    /// [`Cells::new`](super::cells::Cells::new) checks.
    pub fn new(layers: &[Layer], each: usize) -> PlaceVectors {
        let places = layers.first().map_or(0, Layer::plane);
        let vectors = vec![0.0; places * vector_len(layers, each)];
        PlaceVectors { vectors, plane: vec![0.0; places], each, layers: layers.to_vec() }
    }

    /// Values in a vector.
    pub fn values(&self) -> usize {
        vector_len(&self.layers, self.each)
    }

    /// Places, that is vectors.
    pub fn places(&self) -> usize {
        self.plane.len()
    }

    /// Fills the vectors from the planes that [`gather`] wrote.
    pub fn fill(&mut self, mut planes: &[u8]) {
        let values = self.values().max(1);
        let grid = self.layers.first().map(|layer| (layer.columns, layer.rows));
        let mut at = 0;
        for layer in &self.layers {
            for _ in 0..self.each.min(layer.channels) {
                let (plane, rest) = planes.split_at(layer.plane().min(planes.len()));
                planes = rest;
                let normal = &mut self.plane[..layer.plane()];
                normalize(plane, normal);
                let places = self.vectors.chunks_exact_mut(values).map(|vector| &mut vector[at]);
                if Some((layer.columns, layer.rows)) == grid {
                    places.zip(&*normal).for_each(|(to, &value)| *to = value);
                } else {
                    for (to, from) in places.zip(upsampled((layer.columns, layer.rows))) {
                        let [a, b, c, d] = from.map(|position| normal[position]);
                        *to = (9.0 * a + 3.0 * b + 3.0 * c + d) / 16.0;
                    }
                }
                at += 1;
            }
        }
    }

    /// The vector of each place, row by row.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &[f32]> {
        self.vectors.chunks_exact(self.values().max(1))
    }
}

/// `(value - mean) / (deviation + a quarter of a byte step)`. Sums are integers: the same on every CPU.
fn normalize(plane: &[u8], out: &mut [f32]) {
    let count = plane.len().max(1) as u64;
    let (sum, squares) = plane.iter().fold((0u64, 0u64), |(sum, squares), &value| {
        (sum + u64::from(value), squares + u64::from(value) * u64::from(value))
    });
    let variance = (count * squares - sum * sum) as f64 / (count * count) as f64;
    let scale = (1.0 / (variance.sqrt() + SPREAD_OFFSET)) as f32;
    let mean = (sum as f64 / count as f64) as f32;
    out.iter_mut().zip(plane).for_each(|(to, &value)| *to = (f32::from(value) - mean) * scale);
}

#[cfg(test)]
mod tests {
    use super::*;

    const LAYERS: [Layer; 2] = [Layer { channels: 4, rows: 2, columns: 2 }, Layer { channels: 2, rows: 1, columns: 1 }];

    #[test]
    fn planes_are_evenly_spaced_in_each_layer() {
        let bytes: Vec<u8> = (0..18).collect();
        let mut planes = Vec::new();
        gather(FeatureMaps { layers: &LAYERS, bytes: &bytes }, 2, &mut planes);
        // Planes 0 and 2 of four pixels, then 0 and 1 of one.
        assert_eq!(planes, [0, 1, 2, 3, 8, 9, 10, 11, 16, 17]);
        assert_eq!(planes.len(), planes_len(&LAYERS, 2));
    }

    #[test]
    fn vectors_are_in_standard_deviations_of_their_own_frame() {
        let mut vectors = PlaceVectors::new(&LAYERS, 1);
        assert_eq!((vectors.places(), vectors.values()), (4, 2));
        // Mean 72, deviation 27; a plane of one value has no deviation.
        vectors.fill(&[45, 45, 99, 99, 7]);
        let own = 27.0f32 / 27.25;
        let expected = [[-own, 0.0], [-own, 0.0], [own, 0.0], [own, 0.0]];
        assert!(vectors.iter().zip(expected).all(|(a, b)| (a[0] - b[0]).abs() < 1e-6 && a[1] == b[1]));
        // The second layer has two planes.
        assert_eq!([1, 2, 3, 4, 5].map(|each| PlaceVectors::new(&LAYERS, each).values()), [2, 4, 5, 6, 6]);
    }
}
