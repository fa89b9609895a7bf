//! Which of some known parts a frame shows: the nearest references vote.

use super::network::Network;
use crate::bundle::EmbedSection;
use crate::task::error::TaskError;
use crate::task::{RANKED, Recognition};
use std::sync::Arc;

/// Compares the vector of a frame with those of known parts.
pub struct Matcher {
    output: usize,
    values: usize,
    /// Vectors of length 1, one after the other.
    references: Vec<f32>,
    /// By reference: which part it shows.
    parts: Vec<usize>,
    names: Arc<[String]>,
    /// By part: whether it is a right one.
    is_ok: Vec<bool>,
    nearest: usize,
    /// The frame's vector, of length 1.
    vector: Vec<f64>,
    /// The nearest references: distance and part, ascending.
    found: Vec<(f64, usize)>,
}

/// What a matcher says of a frame.
#[derive(Debug, Clone)]
pub struct Matched {
    /// The parts for which most of the nearest references vote.
    pub recognition: Recognition,
    /// The distance to the nearest reference of the part: 1 less the cosine of the angle, 0..2.
    pub distance: f64,
    /// Whether that part is a right one.
    pub is_ok: bool,
}

impl Matcher {
    /// For the output of a network, references `[references, values]` and the part of each.
    ///
    /// # Errors
    /// One line, where they do not fit each other.
    pub fn new(
        network: &Network,
        section: &EmbedSection,
        references: Vec<f32>,
        parts: &[String],
    ) -> Result<Matcher, String> {
        let output = network.floats_named(&section.output)?;
        let values: usize = network.plan().outputs()[output].shape.iter().product();
        let matcher = Matcher::of(output, values, section, references, parts)?;
        Ok(matcher)
    }

    fn of(
        output: usize,
        values: usize,
        section: &EmbedSection,
        references: Vec<f32>,
        parts: &[String],
    ) -> Result<Matcher, String> {
        if values == 0 || parts.is_empty() || references.len() != values * parts.len() {
            let (given, count) = (references.len(), parts.len());
            return Err(format!("{count} references of {values} values are needed, there are {given} values"));
        }
        if !references.iter().all(|value| value.is_finite()) {
            return Err("a reference holds what is no finite number".into());
        }
        let mut names: Vec<String> = parts.to_vec();
        names.sort();
        names.dedup();
        if let Some(name) = section.ok.iter().find(|name| !names.contains(name)) {
            return Err(format!("[embed] names a part \"{name}\", of which there is no reference"));
        }
        let place = |part: &String| names.binary_search(part).unwrap_or(0);
        let parts: Vec<usize> = parts.iter().map(place).collect();
        let is_ok = names.iter().map(|name| section.ok.is_empty() || section.ok.contains(name)).collect();
        let nearest = section.nearest.min(parts.len());
        let (vector, found) = (vec![0.0; values], Vec::with_capacity(nearest + 1));
        Ok(Matcher { output, values, references, parts, names: names.into(), is_ok, nearest, vector, found })
    }

    /// The names of the parts.
    pub fn names(&self) -> &Arc<[String]> {
        &self.names
    }

    /// Bytes of the references.
    pub fn bytes(&self) -> usize {
        size_of_val(&self.references[..]) + size_of_val(&self.parts[..])
    }

    /// Reads the vector of the network's last run.
    ///
    /// # Errors
    /// [`TaskError::Output`] where it holds what is no finite number, or has no direction.
    pub fn read(&mut self, network: &Network) -> Result<Matched, TaskError> {
        let output = network.floats(self.output)?;
        self.vector.iter_mut().zip(output).for_each(|(to, value)| *to = f64::from(*value));
        self.vote()
    }

    fn vote(&mut self) -> Result<Matched, TaskError> {
        let length = self.vector.iter().map(|value| value * value).sum::<f64>().sqrt();
        if length <= 0.0 {
            return Err(TaskError::Output("the network's vector is 0: it has no direction".into()));
        }
        self.vector.iter_mut().for_each(|value| *value /= length);
        self.found.clear();
        for (reference, part) in self.references.chunks_exact(self.values).zip(&self.parts) {
            let cosine: f64 = reference.iter().zip(&self.vector).map(|(a, b)| f64::from(*a) * b).sum();
            let distance = (1.0 - cosine).max(0.0);
            let at = self.found.iter().position(|(other, _)| distance < *other).unwrap_or(self.found.len());
            if at < self.nearest {
                self.found.truncate(self.nearest - 1);
                self.found.insert(at, (distance, *part));
            }
        }
        let mut recognition = Recognition::new(&self.names);
        // In the order of their distance: of equal votes the nearest part ranks first.
        for (at, (_, part)) in self.found.iter().enumerate() {
            if !self.found[..at].iter().any(|(_, earlier)| earlier == part) {
                let votes = self.found.iter().filter(|(_, other)| other == part).count();
                recognition.offer(*part, votes as f64 / self.found.len() as f64);
            }
        }
        let part = recognition.best().0;
        let distance = self.found.iter().find(|(_, other)| *other == part).map_or(2.0, |(distance, _)| *distance);
        Ok(Matched { recognition, distance, is_ok: self.is_ok[part] })
    }
}

const _: () = assert!(RANKED >= 1);

#[cfg(test)]
mod tests {
    use super::*;

    fn section(nearest: usize, ok: &[&str]) -> EmbedSection {
        EmbedSection {
            output: "v".into(),
            references: "r.npy".into(),
            parts: "p.txt".into(),
            nearest,
            ok: ok.iter().map(|name| name.to_string()).collect(),
            threshold: 0.99,
            calibration: "c.npy".into(),
        }
    }

    fn matcher(nearest: usize, ok: &[&str]) -> Result<Matcher, String> {
        let references = vec![1.0, 0.0, 0.8, 0.6, 0.6, 0.8, 0.0, 1.0];
        let parts = ["nut", "bolt", "bolt", "cap"].map(String::from);
        Matcher::of(0, 2, &section(nearest, ok), references, &parts)
    }

    fn matched(mut matcher: Matcher, vector: [f64; 2]) -> (String, f64, bool) {
        matcher.vector = vector.into();
        let Matched { recognition, distance, is_ok } = matcher.vote().unwrap();
        (recognition.word().into(), distance, is_ok)
    }

    #[test]
    fn the_nearest_reference_names_the_part_whatever_the_vectors_length() {
        let (name, distance, is_ok) = matched(matcher(1, &["nut"]).unwrap(), [40.0, 0.0]);
        assert_eq!((name.as_str(), distance, is_ok), ("nut", 0.0, true));
        let (name, distance, is_ok) = matched(matcher(1, &["nut"]).unwrap(), [0.0, 1e-3]);
        assert_eq!((name.as_str(), distance, is_ok), ("cap", 0.0, false));
        assert!(matched(matcher(1, &[]).unwrap(), [0.0, 1.0]).2);
    }

    #[test]
    fn several_vote_and_the_nearest_decides_between_equals() {
        // The nut is nearest, but two bolts are next.
        assert_eq!(matched(matcher(3, &[]).unwrap(), [0.97, 0.24]).0, "bolt");
        assert_eq!(matched(matcher(2, &[]).unwrap(), [0.97, 0.24]).0, "nut");
        assert_eq!(matched(matcher(9, &[]).unwrap(), [1.0, 0.0]).0, "bolt");
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let refused = |references: Vec<f32>, ok: &[&str]| {
            Matcher::of(0, 2, &section(1, ok), references, &["nut".into()]).err().unwrap()
        };
        assert!(refused(vec![1.0], &[]).contains("1 references of 2 values"));
        assert!(refused(vec![1.0, f32::NAN], &[]).contains("no finite number"));
        assert!(refused(vec![1.0, 0.0], &["bolt"]).contains("\"bolt\""));
        let mut nowhere = matcher(1, &[]).unwrap();
        nowhere.vector = vec![0.0, 0.0];
        assert!(matches!(nowhere.vote(), Err(TaskError::Output(_))));
    }
}
