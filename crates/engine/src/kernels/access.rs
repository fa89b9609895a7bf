//! The bytes that a step reads and writes, and whether two sets of bytes overlap.

use super::arena::View;

/// A set of bytes in the arena: `bytes` bytes at `start` plus every sum of one offset from each span.
#[derive(Debug, Clone, PartialEq)]
pub struct Access {
    pub start: usize,
    pub spans: Vec<Span>,
    pub bytes: usize,
}

/// `count` offsets from 0 to `extent`, which may be negative, all multiples of `unit`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Span {
    count: usize,
    unit: usize,
    extent: isize,
}

impl Span {
    /// Positions along an axis: `count` of them, `stride` bytes apart.
    pub fn axis(count: usize, stride: isize) -> Span {
        Span { count, unit: stride.unsigned_abs(), extent: count.saturating_sub(1) as isize * stride }
    }

    /// Any of these offsets.
    pub fn offsets(offsets: &[u32]) -> Span {
        let unit = offsets.iter().fold(0, |unit, &offset| greatest_common_divisor(unit, offset as usize));
        Span { count: offsets.len(), unit, extent: offsets.iter().max().map_or(0, |&max| max as isize) }
    }
}

fn greatest_common_divisor(a: usize, b: usize) -> usize {
    if b == 0 { a } else { greatest_common_divisor(b, a % b) }
}

impl Access {
    /// Contiguous bytes.
    pub fn contiguous(start: usize, bytes: usize) -> Access {
        Access { start, spans: Vec::new(), bytes }
    }

    /// Pixels of `bytes` bytes in images, rows and columns, `steps` apart.
    pub fn pixels(start: usize, dims: [usize; 3], steps: [usize; 3], bytes: usize) -> Access {
        let spans = dims.iter().zip(steps).map(|(&count, step)| Span::axis(count, step as isize)).collect();
        let bytes = if dims.contains(&0) { 0 } else { bytes };
        Access { start, spans, bytes }.normalized()
    }

    /// The elements of a view, `size` bytes each.
    pub fn view(view: &View, size: usize) -> Access {
        let ([images, rows, columns, channels], strides) = (view.dims, view.strides);
        let mut access = Access::pixels(view.at, [images, rows, columns], [strides[0], strides[1], strides[2]], size);
        if channels == 0 {
            access.bytes = 0;
        } else if strides[3] == size {
            access.bytes *= channels;
        } else {
            access.spans.push(Span::axis(channels, strides[3] as isize));
        }
        access.normalized()
    }

    /// With these offsets added.
    pub fn with(mut self, span: Span) -> Access {
        self.spans.push(span);
        self.normalized()
    }

    /// Without axes of one position, the longest strides first.
    fn normalized(mut self) -> Access {
        self.spans.retain(|span| span.count > 1);
        self.spans.sort_by_key(|span| std::cmp::Reverse(span.unit));
        self
    }

    /// Whether there are no bytes in it.
    pub fn is_empty(&self) -> bool {
        self.bytes == 0
    }

    /// Whether every byte lies below `len`, none before 0, and without overflow.
    pub fn is_within(&self, len: usize) -> bool {
        let (below, above) = self.reach(|_| true);
        let end = above.and_then(|above| self.start.checked_add(above)?.checked_add(self.bytes));
        self.is_empty() || (below.is_some_and(|below| below <= self.start) && end.is_some_and(|end| end <= len))
    }

    /// How far the chosen spans reach below and above the start; `None` where that overflows.
    fn reach(&self, chosen: impl Fn(&Span) -> bool) -> (Option<usize>, Option<usize>) {
        let sum = |positive: bool| {
            let spans = self.spans.iter().filter(|span| chosen(span) && (span.extent > 0) == positive);
            spans.map(|span| span.extent.unsigned_abs()).try_fold(0usize, usize::checked_add)
        };
        (sum(false), sum(true))
    }

    /// Whether no byte belongs to two positions: what threads that divide the positions need of an output.
    pub fn is_injective(&self) -> bool {
        let mut extent = self.bytes;
        self.spans.iter().rev().all(|span| {
            let apart = span.unit >= extent;
            extent += span.extent.unsigned_abs();
            apart
        })
    }

    /// Whether no byte is in both. May answer `false` for sets that interleave in a way that the planner does not use.
    pub fn is_disjoint(&self, other: &Access) -> bool {
        if self.is_empty() || other.is_empty() {
            return true;
        }
        let units = self.spans.iter().chain(&other.spans).map(|span| span.unit);
        // Apart as a whole, or in different bytes of every pixel: the bytes modulo a stride.
        self.windows_apart(other, None)
            || units.filter(|&unit| unit > 1).any(|unit| self.windows_apart(other, Some(unit)))
    }

    /// Whether the stretches that both cover are apart: on a line, or on a circle of `modulus` bytes.
    fn windows_apart(&self, other: &Access, modulus: Option<usize>) -> bool {
        let window = |access: &Access| -> Option<(usize, usize)> {
            let (below, above) = access.reach(|span| modulus.is_none_or(|modulus| span.unit % modulus != 0));
            let (below, above) = (below?, above?);
            Some((access.start.checked_sub(below)?, below.checked_add(above)?.checked_add(access.bytes)?))
        };
        let (Some((a, a_len)), Some((b, b_len))) = (window(self), window(other)) else { return false };
        match modulus {
            None => a.saturating_add(a_len) <= b || b.saturating_add(b_len) <= a,
            Some(modulus) => {
                let distance = (b % modulus + modulus - a % modulus) % modulus;
                a_len <= distance && distance + b_len <= modulus
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The bytes, one by one.
    fn bytes(access: &Access) -> Vec<isize> {
        let mut all = vec![access.start as isize];
        for span in &access.spans {
            let last = span.count as isize - 1;
            all = all.iter().flat_map(|at| (0..=last).map(move |i| at + i * span.extent / last)).collect();
        }
        all.iter().flat_map(|at| (0..access.bytes as isize).map(move |byte| at + byte)).collect()
    }

    fn accesses() -> impl Strategy<Value = Access> {
        let axes = proptest::collection::vec((1..4usize, -9..24isize), 0..4);
        (0..60usize, axes, 0..5usize).prop_map(|(start, axes, bytes)| {
            let spans = axes.into_iter().map(|(count, stride)| Span::axis(count, stride)).collect();
            Access { start, spans, bytes }.normalized()
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: if cfg!(miri) { 3 } else { 4000 }, ..ProptestConfig::default() })]

        #[test]
        fn disjoint_means_no_byte_in_common(a in accesses(), b in accesses()) {
            let (of_a, of_b) = (bytes(&a), bytes(&b));
            if a.is_disjoint(&b) {
                prop_assert!(!of_a.iter().any(|byte| of_b.contains(byte)));
            }
            prop_assert_eq!(a.is_within(64), of_a.iter().all(|byte| (0..64).contains(byte)));
            if a.is_injective() {
                let mut sorted = of_a.clone();
                sorted.sort_unstable();
                sorted.dedup();
                prop_assert_eq!(sorted.len(), of_a.len());
            }
        }
    }

    #[test]
    fn channels_of_the_same_pixels_are_disjoint() {
        let part = |channel: usize, channels: usize| {
            Access::view(&View { at: 640 + channel, dims: [2, 5, 7, channels], strides: [350, 70, 10, 1] }, 1)
        };
        assert!(part(0, 4).is_disjoint(&part(4, 6)) && part(4, 6).is_disjoint(&part(0, 4)));
        assert!(!part(0, 5).is_disjoint(&part(4, 6)));
        // A convolution of 3 by 3 pixels that reads the channels before those that it writes.
        let read = Access::pixels(640, [2, 3, 5], [350, 70, 10], 4)
            .with(Span::offsets(&[0, 10, 20, 70, 80, 90, 140, 150, 160]));
        assert!(read.is_disjoint(&part(4, 6)) && !read.is_disjoint(&part(3, 7)));
    }
}
