//! What a network does to its input first: many exports scale and normalize pictures themselves.

use lineside_engine::{Outline, OutlineNode};

/// Ops that change where values are, or their type, and not what they are.
const MOVES: [&str; 10] =
    ["Identity", "Cast", "Transpose", "Resize", "Reshape", "Unsqueeze", "Squeeze", "Slice", "Pad", "Clip"];
/// Ops that are followed at most.
const MOST: usize = 24;
/// The width of what a network computes with for values from black to white: 1 (of 0 to 1), 2 (of -1 to 1), 4.4 (ImageNet's spread).
const WIDTHS: std::ops::RangeInclusive<f64> = 0.4..=8.0;

/// How far two scalings may differ that are the same but for rounding, as a share of what lies between black and white.
const SAME_WITHIN: f64 = 0.02;
/// Numbers that are listed in a message: an export may subtract a whole picture.
const LISTED: usize = 4;

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
        let (scaling, _) = OwnScaling::follow_input(outline, input);
        scaling.changes_values().then_some(scaling)
    }

    /// How wide the range of an input's values is that a quantized network can take, where its first step makes bytes of them.
    pub fn quantized_width(outline: &Outline, input: &str) -> Option<f64> {
        let (scaling, end) = OwnScaling::follow_input(outline, input);
        let node = end.filter(|node| node.op == "QuantizeLinear")?;
        let &[step] = outline.constant(node.inputs.get(1)?)? else { return None };
        let width = 255.0 * f64::from(step) / scaling.factor.first()?.abs();
        width.is_finite().then_some(width)
    }

    /// What is done to the input, and the op after that.
    fn follow_input<'a>(outline: &'a Outline, input: &'a str) -> (OwnScaling, Option<&'a OutlineNode>) {
        let mut scaling = OwnScaling { factor: vec![1.0], offset: vec![0.0] };
        let mut tensor = input;
        for _ in 0..MOST {
            let mut takers = outline.takers(tensor).filter(|node| node.op != "Shape");
            // Where the input goes several ways, it is no longer one picture that is prepared.
            let (Some(node), None) = (takers.next(), takers.next()) else { break };
            let moves = MOVES.contains(&node.op.as_str()) && node.inputs.first().is_some_and(|first| first == tensor);
            if !(moves || scaling.follow(outline, node, tensor)) {
                return (scaling, Some(node));
            }
            let Some(output) = node.outputs.first() else { break };
            tensor = output;
        }
        (scaling, None)
    }

    /// Takes one op into account; `false` where it does not scale by constants. A BatchNormalization is learned, as a layer: it does not
    /// tell how pictures are prepared.
    fn follow(&mut self, outline: &Outline, node: &OutlineNode, tensor: &str) -> bool {
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

    fn apply(&mut self, factors: &[f64], offsets: &[f64]) {
        let count = [self.factor.len(), factors.len(), offsets.len()].into_iter().max().unwrap_or(1);
        let at = |values: &[f64], index: usize| values.get(index).or(values.first()).copied().unwrap_or(0.0);
        let factor = (0..count).map(|index| at(&self.factor, index) * at(factors, index)).collect();
        let offset =
            (0..count).map(|index| at(&self.offset, index) * at(factors, index) + at(offsets, index)).collect();
        (self.factor, self.offset) = (factor, offset);
    }

    #[cfg(test)]
    pub(super) fn for_test(factor: &[f64], offset: &[f64]) -> OwnScaling {
        let mut scaling = OwnScaling { factor: vec![1.0], offset: vec![0.0] };
        scaling.apply(factor, offset);
        scaling
    }

    fn changes_values(&self) -> bool {
        self.factor.iter().any(|factor| *factor != 1.0) || self.offset.iter().any(|offset| *offset != 0.0)
    }

    /// By channel: what is multiplied by, what is added, and the value that becomes 0.
    fn channels(&self) -> impl Iterator<Item = (f64, f64, f64)> {
        self.factor.iter().zip(&self.offset).map(|(factor, offset)| (*factor, *offset, -offset / factor))
    }

    /// What the input's values are to be: those for which what is computed of them has a sensible width, and of which the mean that is
    /// taken off is one. `None` where neither fits.
    pub fn expects(&self) -> Option<InputRange> {
        [InputRange::Shares, InputRange::Levels].into_iter().find(|range| {
            let white = range.white();
            self.channels()
                .all(|(factor, _, mean)| WIDTHS.contains(&(factor.abs() * white)) && is_between(mean, 0.0, white))
        })
    }

    /// The values that the input is to have where the network does itself what is done to bytes by `(byte - mean) / std`.
    pub fn does(&self, mean: &[f64], std: &[f64]) -> Option<InputRange> {
        let of = |values: &[f64], at: usize| values.get(at).or(values.first()).copied();
        [InputRange::Shares, InputRange::Levels].into_iter().find(|range| {
            self.channels().enumerate().all(|(at, (factor, offset, _))| {
                let (Some(mean), Some(std)) = (of(mean, at), of(std, at)) else { return false };
                let (black, white) = (-mean / std, (255.0 - mean) / std);
                let slack = SAME_WITHIN * (white - black).abs();
                (offset - black).abs() <= slack && (factor * range.white() + offset - white).abs() <= slack
            })
        })
    }

    /// Whether values from `(0 - mean) / std` to `(255 - mean) / std` cannot be what the network takes.
    pub fn contradicts(&self, mean: &[f64], std: &[f64]) -> bool {
        let ends = mean.iter().zip(std.iter().cycle()).map(|(mean, std)| (-mean / std, (255.0 - mean) / std));
        let ends: Vec<(f64, f64)> = ends.collect();
        match self.expects() {
            Some(range) => ends.iter().any(|(black, white)| {
                let slack = SAME_WITHIN * range.white();
                black.abs() > slack || (white - range.white()).abs() > slack
            }),
            // What is taken off should be a value that pictures can have.
            None => self.channels().enumerate().any(|(at, (_, _, own))| {
                ends.get(at).or(ends.first()).is_some_and(|(black, white)| !is_between(own, *black, *white))
            }),
        }
    }

    /// Whether it takes a mean off.
    pub fn centres(&self) -> bool {
        self.offset.iter().any(|offset| *offset != 0.0)
    }

    /// Means and spreads in the input's unit, for people.
    pub fn in_words(&self) -> String {
        let list = |values: &mut dyn Iterator<Item = f64>| {
            let mut listed: Vec<String> = values.take(LISTED).map(|value| format!("{value:.3}")).collect();
            if self.factor.len() > LISTED {
                listed.push(format!("... ({} values)", self.factor.len()));
            }
            listed.join(", ")
        };
        let mean = list(&mut self.channels().map(|(_, _, mean)| mean));
        let std = list(&mut self.factor.iter().map(|factor| 1.0 / factor));
        format!("mean {mean}, std {std}")
    }
}

impl InputRange {
    /// The value of white; that of black is 0.
    fn white(self) -> f64 {
        match self {
            InputRange::Shares => 1.0,
            InputRange::Levels => 255.0,
        }
    }

    /// What a byte is divided by.
    pub fn std(self) -> f64 {
        255.0 / self.white()
    }

    /// For people.
    pub fn in_words(self) -> &'static str {
        match self {
            InputRange::Shares => "0 to 1",
            InputRange::Levels => "0 to 255",
        }
    }
}

fn is_between(value: f64, black: f64, white: f64) -> bool {
    let slack = 1e-3 * (white - black).abs();
    (black - slack..=white + slack).contains(&value)
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
        // The width is that of 0 to 1, and what is taken off that of 0 to 255: Caffe's means, and bytes made signed.
        assert_eq!(scaling(&[(&[1.0], &[-103.939, -116.779, -123.68])]).expects(), None);
        assert_eq!(scaling(&[(&[1.0], &[-128.0])]).expects(), None);
        assert_eq!(scaling(&[(&[1.0 / 64.0], &[-5.0])]).expects(), None);
        assert!(!scaling(&[(&[1.0], &[0.0])]).changes_values());
    }

    #[test]
    fn a_network_may_do_itself_what_its_origin_does() {
        let caffe = scaling(&[(&[1.0], &[-103.939, -116.779, -123.68])]);
        assert_eq!(caffe.does(&[103.939, 116.779, 123.68], &[1.0]), Some(InputRange::Levels));
        assert_eq!(caffe.does(&[127.5], &[127.5]), None);
        assert!(!caffe.contradicts(&[0.0], &[1.0]) && caffe.contradicts(&[0.0], &[255.0]));
        let keras = scaling(&[(&[1.0 / 128.0], &[-1.0])]);
        assert_eq!(keras.does(&[127.5], &[127.5]), Some(InputRange::Levels));
        assert!(!keras.contradicts(&[0.0], &[1.0]) && keras.contradicts(&[0.0], &[255.0]));
        assert!(keras.contradicts(&[127.5, 127.5, 127.5], &[127.5]));
        let whole = scaling(&[(&[1.0], &[-1.0; 100])]);
        assert_eq!(
            whole.in_words(),
            "mean 1.000, 1.000, 1.000, 1.000, ... (100 values), std 1.000, 1.000, 1.000, 1.000, ... (100 values)"
        );
    }
}
