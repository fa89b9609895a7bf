//! What a network does to its input first: many exports scale and normalize pictures themselves.

use lineside_engine::{Outline, OutlineNode};

/// Ops that change where values are, or their type, and not what they are.
const MOVES: [&str; 10] =
    ["Identity", "Cast", "Transpose", "Resize", "Reshape", "Unsqueeze", "Squeeze", "Slice", "Pad", "Clip"];
/// Ops that are followed at most.
const MOST: usize = 24;
/// The width of what a network computes with for values from black to white: 1 (of 0 to 1), 2 (of -1 to 1), 4.4 (ImageNet's spread).
const WIDTHS: std::ops::RangeInclusive<f64> = 0.4..=8.0;

/// What a network computes of its input before anything else: `factor * x + offset`.
#[derive(Debug, Clone, PartialEq)]
pub struct OwnScaling {
    /// By channel, or one for all.
    factor: Vec<f64>,
    offset: Vec<f64>,
}

/// What values an input is to have, from black to white.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InputRange {
    /// 0 to 1.
    Shares,
    /// 0 to 255.
    Levels,
}

impl OwnScaling {
    /// Follows the input through the ops that scale it; `None` where there is none.
    pub fn of(outline: &Outline, input: &str) -> Option<OwnScaling> {
        let (scaling, is_scaled, _) = OwnScaling::follow_input(outline, input);
        is_scaled.then_some(scaling)
    }

    /// How wide the range of an input's values is that a quantized network can take, where its first step makes bytes of them.
    pub fn quantized_width(outline: &Outline, input: &str) -> Option<f64> {
        let (scaling, _, end) = OwnScaling::follow_input(outline, input);
        let node = end.filter(|node| node.op == "QuantizeLinear")?;
        let &[step] = outline.constant(node.inputs.get(1)?)? else { return None };
        let width = 255.0 * f64::from(step) / scaling.factor.first()?.abs();
        width.is_finite().then_some(width)
    }

    /// What is done to the input, whether anything is, and the op after that.
    fn follow_input<'a>(outline: &'a Outline, input: &'a str) -> (OwnScaling, bool, Option<&'a OutlineNode>) {
        let mut scaling = OwnScaling { factor: vec![1.0], offset: vec![0.0] };
        let (mut tensor, mut is_scaled) = (input, false);
        for _ in 0..MOST {
            let mut takers = outline.takers(tensor).filter(|node| node.op != "Shape");
            // Where the input goes several ways, it is no longer one picture that is prepared.
            let (Some(node), None) = (takers.next(), takers.next()) else { break };
            if scaling.follow(outline, node, tensor) {
                is_scaled = true;
            } else if !(MOVES.contains(&node.op.as_str()) && node.inputs.first().is_some_and(|first| first == tensor)) {
                return (scaling, is_scaled, Some(node));
            }
            let Some(output) = node.outputs.first() else { break };
            tensor = output;
        }
        (scaling, is_scaled, None)
    }

    /// Takes one op into account; `false` where it does not scale by constants.
    fn follow(&mut self, outline: &Outline, node: &OutlineNode, tensor: &str) -> bool {
        if node.op == "BatchNormalization" {
            return self.normalize(outline, node);
        }
        let [a, b] = node.inputs.as_slice() else { return false };
        let (other, is_first) = if a == tensor { (b, true) } else { (a, false) };
        let Some(values) = outline.constant(other) else { return false };
        let values: Vec<f64> = values.iter().map(|&value| f64::from(value)).collect();
        match (node.op.as_str(), is_first) {
            ("Add", _) => self.apply(&[1.0], &values),
            ("Sub", true) => self.apply(&[1.0], &negative(&values)),
            ("Sub", false) => self.apply(&[-1.0], &values),
            ("Mul", _) => self.apply(&values, &[0.0]),
            ("Div", true) if values.iter().all(|value| *value != 0.0) => {
                let factors: Vec<f64> = values.iter().map(|value| 1.0 / value).collect();
                self.apply(&factors, &[0.0])
            }
            _ => return false,
        }
        true
    }

    fn normalize(&mut self, outline: &Outline, node: &OutlineNode) -> bool {
        let [_, scale, bias, mean, variance] = node.inputs.as_slice() else { return false };
        let constants = [scale, bias, mean, variance].map(|name| outline.constant(name));
        let [Some(scale), Some(bias), Some(mean), Some(variance)] = constants else { return false };
        let count = scale.len();
        if [bias, mean, variance].iter().any(|values| values.len() != count) {
            return false;
        }
        let of = |at: usize| [scale, bias, mean, variance].map(|values| f64::from(values[at]));
        let factors: Vec<f64> = (0..count).map(of).map(|[scale, _, _, variance]| scale / variance.sqrt()).collect();
        let offsets: Vec<f64> =
            (0..count).map(of).zip(&factors).map(|([_, bias, mean, _], f)| bias - mean * f).collect();
        if factors.iter().chain(&offsets).all(|value| value.is_finite()) {
            self.apply(&factors, &offsets);
            return true;
        }
        false
    }

    fn apply(&mut self, factors: &[f64], offsets: &[f64]) {
        let count = [self.factor.len(), factors.len(), offsets.len()].into_iter().max().unwrap_or(1);
        let at = |values: &[f64], index: usize| values.get(index).or(values.first()).copied().unwrap_or(0.0);
        let factor = (0..count).map(|index| at(&self.factor, index) * at(factors, index)).collect();
        let offset =
            (0..count).map(|index| at(&self.offset, index) * at(factors, index) + at(offsets, index)).collect();
        (self.factor, self.offset) = (factor, offset);
    }

    /// What the input's values are to be: those for which what is computed of them has a sensible width. `None` where neither fits.
    pub fn expects(&self) -> Option<InputRange> {
        let fits = |white: f64| self.factor.iter().all(|factor| WIDTHS.contains(&(factor.abs() * white)));
        match (fits(1.0), fits(255.0)) {
            (true, false) => Some(InputRange::Shares),
            (false, true) => Some(InputRange::Levels),
            _ => None,
        }
    }

    /// Means and spreads in the input's unit, for people.
    pub fn in_words(&self) -> String {
        let list = |values: Vec<f64>| values.iter().map(|value| format!("{value:.3}")).collect::<Vec<_>>().join(", ");
        let mean = self.factor.iter().zip(&self.offset).map(|(factor, offset)| -offset / factor).collect();
        let spread = self.factor.iter().map(|factor| 1.0 / factor).collect();
        format!("mean {}, std {}", list(mean), list(spread))
    }
}

fn negative(values: &[f64]) -> Vec<f64> {
    values.iter().map(|value| -value).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scaling(steps: &[(&[f64], &[f64])]) -> OwnScaling {
        let mut scaling = OwnScaling { factor: vec![1.0], offset: vec![0.0] };
        steps.iter().for_each(|(factors, offsets)| scaling.apply(factors, offsets));
        scaling
    }

    #[test]
    fn the_range_that_an_input_is_to_have_follows_from_what_is_done_with_it() {
        // torchvision's Normalize: mean off, spread divided by.
        let imagenet =
            scaling(&[(&[1.0], &[-0.485, -0.456, -0.406]), (&[1.0 / 0.229, 1.0 / 0.224, 1.0 / 0.225], &[0.0])]);
        assert_eq!(imagenet.expects(), Some(InputRange::Shares));
        assert_eq!(imagenet.in_words(), "mean 0.485, 0.456, 0.406, std 0.229, 0.224, 0.225");
        // Keras's Rescaling.
        assert_eq!(scaling(&[(&[1.0 / 127.5], &[0.0]), (&[1.0], &[-1.0])]).expects(), Some(InputRange::Levels));
        assert_eq!(scaling(&[(&[1.0 / 255.0], &[0.0])]).expects(), Some(InputRange::Levels));
        assert_eq!(scaling(&[(&[2.0], &[-1.0])]).expects(), Some(InputRange::Shares));
        // Neither of both.
        assert_eq!(scaling(&[(&[0.1], &[0.0])]).expects(), None);
        assert_eq!(scaling(&[(&[0.0], &[0.0])]).expects(), None);
    }
}
