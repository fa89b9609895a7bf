//! The vectors of known parts: which reference is nearest, and how far parts of one name are from each other.

use super::normal::NormalValues;

/// Vectors of length 1 and the part of each.
#[derive(Debug, Clone, Default)]
pub struct References {
    /// The number of values of each.
    pub values: usize,
    /// One after the other.
    pub vectors: Vec<f32>,
    /// The part of each.
    pub parts: Vec<String>,
}

/// How well references tell parts apart, each held out in turn.
#[derive(Debug, Clone, PartialEq)]
pub struct HeldOut {
    /// How many had another reference of their part.
    pub tried: usize,
    /// For how many of these the nearest other reference is of their part.
    pub right: usize,
    /// Two parts that were taken for each other, the first that were.
    pub mistaken: Option<(String, String)>,
}

impl References {
    /// Adds a vector, brought to length 1.
    ///
    /// # Errors
    /// One line, where it has no direction, or another number of values than those before.
    pub fn add(&mut self, part: &str, vector: &[f32]) -> Result<(), String> {
        let length = vector.iter().map(|value| f64::from(*value).powi(2)).sum::<f64>().sqrt();
        if !(length > 0.0 && length.is_finite()) {
            return Err("the network's vector is 0: it has no direction".into());
        }
        if !self.parts.is_empty() && vector.len() != self.values {
            return Err(format!("{} values, where others have {}", vector.len(), self.values));
        }
        self.values = vector.len();
        self.vectors.extend(vector.iter().map(|value| (f64::from(*value) / length) as f32));
        self.parts.push(part.into());
        Ok(())
    }

    /// How many pictures the part with the fewest has.
    pub fn fewest(&self) -> usize {
        let count = |part: &String| self.parts.iter().filter(|other| *other == part).count();
        self.parts.iter().map(count).min().unwrap_or(0)
    }

    /// Holds each out in turn: the distances to the nearest other of the same part, and how often that is the nearest of all.
    pub fn hold_out(&self) -> (NormalValues, HeldOut) {
        let mut normal = NormalValues::default();
        let mut held_out = HeldOut { tried: 0, right: 0, mistaken: None };
        for (at, part) in self.parts.iter().enumerate() {
            let nearest = |is_of: &dyn Fn(&String) -> bool| {
                let others = self.parts.iter().enumerate().filter(|(other, name)| *other != at && is_of(name));
                let distances = others.map(|(other, name)| (self.distance(at, other), name));
                distances.min_by(|a, b| a.0.total_cmp(&b.0))
            };
            let Some((own, _)) = nearest(&|name| name == part) else { continue };
            held_out.tried += 1;
            normal.values.push(own);
            match nearest(&|name| name != part) {
                Some((distance, other)) if distance <= own => {
                    held_out.mistaken.get_or_insert_with(|| (part.clone(), other.clone()));
                }
                _ => held_out.right += 1,
            }
        }
        (normal, held_out)
    }

    /// 1 less the cosine of the angle, as the line measures it.
    fn distance(&self, a: usize, b: usize) -> f64 {
        let vector = |at: usize| &self.vectors[at * self.values..][..self.values];
        let cosine: f64 = vector(a).iter().zip(vector(b)).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum();
        (1.0 - cosine).max(0.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_that_lie_together_are_told_apart_and_a_stray_is_named() {
        let mut references = References::default();
        for (part, vector) in
            [("bolt", [1.0, 0.0]), ("bolt", [2.0, 0.1]), ("nut", [0.0, 1.0]), ("nut", [0.1, 3.0]), ("nut", [5.0, 0.2])]
        {
            references.add(part, &vector).unwrap();
        }
        let (normal, held_out) = references.hold_out();
        assert_eq!((held_out.tried, normal.values.len(), references.fewest()), (5, 5, 2));
        assert_eq!(held_out.mistaken.as_ref().map(|(a, b)| (a.as_str(), b.as_str())), Some(("bolt", "nut")));
        assert!(held_out.right < 5 && normal.values[2] < 0.01, "{held_out:?} {normal:?}");
        assert!(references.add("nut", &[0.0, 0.0]).unwrap_err().contains("no direction"));
        assert!(references.add("nut", &[1.0]).unwrap_err().contains("1 values"));
        // A part with one picture has nothing to be compared with.
        let mut one = References::default();
        one.add("cap", &[1.0, 1.0]).unwrap();
        assert_eq!((one.hold_out().1.tried, one.fewest()), (0, 1));
    }
}
