//! Which class a frame shows, and whether that is a good one.

use super::network::Network;
use crate::bundle::{ClassValues, ClassifySection};
use crate::task::error::TaskError;
use crate::task::{RANKED, Recognition};
use std::sync::Arc;

/// Where nothing is set, a class that is not the likeliest never decides; scores are measured against this.
const HALF: f64 = 0.5;
/// How far the sum of probabilities may be from 1.
const SUM_WITHIN: f64 = 0.02;

/// Reads a classifier's output.
pub struct Classifier {
    output: usize,
    names: Arc<[String]>,
    values: ClassValues,
    /// By class: whether its parts are good.
    is_ok: Vec<bool>,
    /// By class: the probability that the section states.
    thresholds: Vec<Option<f64>>,
    margin: f64,
    /// Replaces the rule of the likeliest class: from this sum of the bad classes' probabilities on a frame counts as defect.
    threshold: Option<f64>,
    probabilities: Vec<f64>,
}

/// What a classifier says of a frame.
#[derive(Debug, Clone)]
pub struct Classified {
    /// The likeliest classes.
    pub recognition: Recognition,
    /// The sum of the bad classes' probabilities, 0..1; kept on the side of the threshold on which the verdict is.
    pub score: f64,
    /// Whether the frame counts as defect.
    pub defect: bool,
}

impl Classifier {
    /// For the output of a network; `labels` are the classes' names in its order, `threshold` replaces the rule of the likeliest class.
    ///
    /// # Errors
    /// One line, where output, labels and section do not fit each other.
    pub fn new(
        network: &Network,
        section: &ClassifySection,
        labels: Vec<String>,
        threshold: Option<f64>,
    ) -> Result<Classifier, String> {
        let output = network.floats_named(&section.output)?;
        let classes: usize = network.plan().outputs()[output].shape.iter().product();
        if classes != labels.len() {
            return Err(format!(
                "its output \"{}\" has {classes} values, but there are {} labels",
                section.output,
                labels.len()
            ));
        }
        if let Some(twice) = labels.iter().enumerate().find(|(at, label)| labels[..*at].contains(label)) {
            return Err(format!("two classes have the label \"{}\"", twice.1));
        }
        let unknown = section.ok.iter().chain(section.thresholds.keys()).find(|name| !labels.contains(name));
        if let Some(name) = unknown {
            return Err(format!("[classify] names a class \"{name}\", which no label has"));
        }
        let is_ok = labels.iter().map(|label| section.ok.is_empty() || section.ok.contains(label)).collect();
        let thresholds = labels.iter().map(|label| section.thresholds.get(label).copied()).collect();
        let probabilities = vec![0.0; classes];
        let (values, margin, names) = (section.values, section.margin, labels.into());
        Ok(Classifier { output, names, values, is_ok, thresholds, margin, threshold, probabilities })
    }

    /// The classes' names.
    pub fn names(&self) -> &Arc<[String]> {
        &self.names
    }

    /// The output that it reads.
    pub fn output(&self) -> usize {
        self.output
    }

    /// The probability from which on a frame counts as defect, where one is set; else a half, at which scores are aligned.
    pub fn threshold(&self) -> f64 {
        self.threshold.unwrap_or(HALF)
    }

    /// Reads the output of the network's last run.
    ///
    /// # Errors
    /// [`TaskError::Output`] where it holds what is no finite number, or no probabilities where they are expected.
    pub fn read(&mut self, network: &Network) -> Result<Classified, TaskError> {
        let output = network.floats(self.output)?;
        self.probabilities.iter_mut().zip(output).for_each(|(to, value)| *to = f64::from(*value));
        match self.values {
            ClassValues::Logits => softmax(&mut self.probabilities),
            ClassValues::Probabilities => {
                let sum: f64 = self.probabilities.iter().sum();
                let is_share = self.probabilities.iter().all(|value| (-SUM_WITHIN..=1.0 + SUM_WITHIN).contains(value));
                if !is_share || (sum - 1.0).abs() > SUM_WITHIN {
                    return Err(TaskError::Output(format!(
                        "the classes' probabilities sum up to {sum:.3}: if the output holds logits, classify.values must say so"
                    )));
                }
            }
        }
        Ok(self.decide())
    }

    fn decide(&self) -> Classified {
        let mut recognition = Recognition::new(&self.names);
        for (class, probability) in self.probabilities.iter().enumerate() {
            recognition.offer(class, *probability);
        }
        let bad: f64 = self.probabilities.iter().zip(&self.is_ok).filter(|(_, ok)| !**ok).map(|(value, _)| value).sum();
        let (best, probability) = recognition.best();
        let lead = probability - recognition.second();
        let too_weak = self.is_ok.get(best).is_some_and(|ok| *ok)
            && self.thresholds.get(best).copied().flatten().is_some_and(|least| probability < least);
        recognition.is_unknown = too_weak || lead < self.margin;
        let fires = self.probabilities.iter().zip(&self.thresholds).zip(&self.is_ok);
        let fires = fires.into_iter().any(|((value, least), ok)| !ok && least.is_some_and(|least| *value >= least));
        let by_rule = match self.threshold {
            Some(threshold) => bad >= threshold,
            None => self.is_ok.get(best).is_some_and(|ok| !ok),
        };
        let (defect, threshold) = (recognition.is_unknown || fires || by_rule, self.threshold());
        let score = if defect { bad.max(threshold) } else { bad.min(threshold.next_down()).max(0.0) };
        Classified { recognition, score, defect }
    }
}

/// Makes probabilities of logits. The greatest is taken off first, so that no exponential overflows; the sum is taken in order.
fn softmax(values: &mut [f64]) {
    let greatest = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    values.iter_mut().for_each(|value| *value = libm::exp(*value - greatest));
    let sum: f64 = values.iter().sum();
    values.iter_mut().for_each(|value| *value /= sum);
}

const _: () = assert!(RANKED >= 2, "the lead over the second is read from the ranked ones");

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn classifier(ok: &[&str], margin: f64, thresholds: &[(&str, f64)], threshold: Option<f64>) -> Classifier {
        let names: Arc<[String]> = ["good", "worn", "scratch"].map(String::from).into();
        let thresholds: BTreeMap<&str, f64> = thresholds.iter().copied().collect();
        Classifier {
            output: 0,
            is_ok: names.iter().map(|name| ok.is_empty() || ok.contains(&name.as_str())).collect(),
            thresholds: names.iter().map(|name| thresholds.get(name.as_str()).copied()).collect(),
            names,
            values: ClassValues::Probabilities,
            margin,
            threshold,
            probabilities: Vec::new(),
        }
    }

    fn decide(mut classifier: Classifier, probabilities: [f64; 3]) -> (usize, bool, bool, f64) {
        classifier.probabilities = probabilities.into();
        let Classified { recognition, defect, score } = classifier.decide();
        assert_eq!(defect, score >= classifier.threshold(), "{probabilities:?}");
        (recognition.best().0, defect, recognition.is_unknown, score)
    }

    #[test]
    fn the_likeliest_class_decides() {
        let good = || classifier(&["good"], 0.0, &[], None);
        assert_eq!(decide(good(), [0.75, 0.125, 0.125]), (0, false, false, 0.25));
        assert_eq!(decide(good(), [0.125, 0.125, 0.75]), (2, true, false, 0.875));
        // Two bad classes together outweigh the good one, which is the likeliest all the same.
        let (best, defect, _, score) = decide(good(), [0.4, 0.3, 0.3]);
        assert!(best == 0 && !defect && score < 0.5);
        assert!(decide(classifier(&["good"], 0.0, &[], Some(0.55)), [0.4, 0.3, 0.3]).1);
        // Without a good class every class is one.
        assert_eq!(decide(classifier(&[], 0.0, &[], None), [0.0, 0.0, 1.0]), (2, false, false, 0.0));
        assert!(!decide(classifier(&["good", "worn"], 0.0, &[], None), [0.1, 0.8, 0.1]).1);
    }

    #[test]
    fn a_narrow_lead_is_unknown_and_not_good() {
        assert!(decide(classifier(&["good"], 0.2, &[], None), [0.55, 0.45, 0.0]).1);
        assert!(decide(classifier(&["good"], 0.2, &[], None), [0.55, 0.45, 0.0]).2);
        assert!(!decide(classifier(&["good"], 0.2, &[], None), [0.75, 0.25, 0.0]).2);
    }

    #[test]
    fn classes_have_thresholds_of_their_own() {
        let scratch = || classifier(&["good"], 0.0, &[("scratch", 0.2)], None);
        assert!(decide(scratch(), [0.75, 0.0, 0.25]).1 && !decide(scratch(), [0.85, 0.0, 0.15]).1);
        let good = || classifier(&["good"], 0.0, &[("good", 0.9)], None);
        assert!(decide(good(), [0.85, 0.1, 0.05]).2 && !decide(good(), [0.95, 0.05, 0.0]).1);
    }

    #[test]
    fn softmax_takes_any_logits() {
        let mut values = [1e300, 1e300, -1e300];
        softmax(&mut values);
        assert_eq!(values, [0.5, 0.5, 0.0]);
        let mut values = [0.0, 3f64.ln()];
        softmax(&mut values);
        assert!((values[1] - 0.75).abs() < 1e-12);
    }
}
