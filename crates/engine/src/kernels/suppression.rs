//! Non-maximum suppression: of boxes that overlap, the one with the best score. As ONNX has it, opset 10 and later, in the order
//! and with the roundings of ONNX Runtime's implementation for CPUs, so that the chosen indices are the same.

use super::arena::Arena;
use super::live::Live;

/// `boxes [batches, count, 4], scores [batches, classes, count] (f32) -> y [bound, 3] (i64): batch, class, box`.
#[derive(Debug, Clone)]
pub struct SuppressionStep {
    pub boxes: usize,
    pub scores: usize,
    pub batches: usize,
    pub classes: usize,
    /// Boxes of a batch.
    pub count: usize,
    /// How many of these are in use, where that is computed.
    pub live: Option<Live>,
    /// Whether boxes are centre, width and height instead of two corners.
    pub centered: bool,
    /// Offsets of the parameters, each one number: the most boxes of a class (`i64`; none without), and thresholds (`f32`).
    pub most: Option<usize>,
    pub iou_threshold: Option<usize>,
    pub score_threshold: Option<usize>,
    pub y: usize,
    pub bound: usize,
    /// Offset of the number of rows that are in use, an `i64`.
    pub y_count: usize,
    /// Offset of `count` numbers of 64 bits.
    pub scratch: usize,
}

impl SuppressionStep {
    /// Chooses the boxes: by batch, by class, by falling score; of equal scores the first box. Rows behind the last are 0.
    ///
    /// # Errors
    /// A threshold of overlap that is no share.
    pub fn run(&self, arena: Arena) -> Result<(), String> {
        let number = |at: usize| arena.read::<f32>(at, 1)[0];
        let iou_threshold = self.iou_threshold.map_or(0.0, number);
        let score_threshold = self.score_threshold.map(number);
        if !(0.0..=1.0).contains(&iou_threshold) {
            return Err(format!("iou_threshold must lie in 0..1, found {iou_threshold}"));
        }
        let most = self.most.map_or(0, |at| arena.read::<i64>(at, 1)[0]);
        let most = usize::try_from(most).unwrap_or(0);
        let live = self.live.map_or(self.count, |live| live.count(arena));
        let boxes = arena.read::<f32>(self.boxes, self.batches * self.count * 4);
        let scores = arena.read::<f32>(self.scores, self.batches * self.classes * self.count);
        let order = arena.write::<u64>(self.scratch, self.count);
        let (rows, _) = arena.write::<i64>(self.y, self.bound * 3).as_chunks_mut::<3>();
        rows.fill([0; 3]);
        let mut chosen = 0;
        for group in 0..self.batches * self.classes {
            let (batch, class) = (group / self.classes, group % self.classes);
            let boxes = &boxes[batch * self.count * 4..][..self.count * 4];
            let scores = &scores[group * self.count..][..live];
            let mut candidates = 0;
            for (index, &score) in scores.iter().enumerate() {
                if score_threshold.is_none_or(|threshold| score > threshold) {
                    order[candidates] = rank(score, index);
                    candidates += 1;
                }
            }
            let candidates = &mut order[..candidates];
            candidates.sort_unstable();
            let first = chosen;
            for candidate in candidates {
                // The rows suffice for `most` boxes of each class.
                if chosen - first >= most || chosen == rows.len() {
                    break;
                }
                let index = (*candidate & u64::from(u32::MAX)) as usize;
                let corners = |index: usize| self.corners(&boxes[index * 4..][..4]);
                let own = corners(index);
                if !rows[first..chosen].iter().any(|row| overlaps(own, corners(row[2] as usize), iou_threshold)) {
                    rows[chosen] = [batch as i64, class as i64, index as i64];
                    chosen += 1;
                }
            }
        }
        arena.write::<i64>(self.y_count, 1)[0] = chosen as i64;
        Ok(())
    }

    /// Left, top, right and bottom of a box, in whatever order its corners are.
    fn corners(&self, corners: &[f32]) -> [f32; 4] {
        let &[a, b, c, d] = corners else { return [0.0; 4] };
        if self.centered {
            let (width, height) = (c / 2.0, d / 2.0);
            return [a - width, b - height, a + width, b + height];
        }
        let (top, bottom) = if a >= c { (c, a) } else { (a, c) };
        let (left, right) = if b >= d { (d, b) } else { (b, d) };
        [left, top, right, bottom]
    }
}

/// A number that is smaller for a better score, and of equal scores for the smaller index; what is no number comes last.
fn rank(score: f32, index: usize) -> u64 {
    // Zeros of both signs are equal.
    let bits = (score + 0.0).to_bits();
    let rising = match score.is_nan() {
        true => 0,
        false if bits >> 31 == 1 => !bits,
        false => bits | 1 << 31,
    };
    u64::from(!rising) << 32 | index as u64
}

/// Whether the intersection's share of the union is larger than `threshold`.
fn overlaps(a: [f32; 4], b: [f32; 4], threshold: f32) -> bool {
    let side = |low: usize, high: usize| {
        let (a, b) = ((a[low], a[high]), (b[low], b[high]));
        let from = if a.0 < b.0 { b.0 } else { a.0 };
        let to = if b.1 < a.1 { b.1 } else { a.1 };
        (from, to)
    };
    let ((left, right), (top, bottom)) = (side(0, 2), side(1, 3));
    if right <= left || bottom <= top {
        return false;
    }
    let area = |[left, top, right, bottom]: [f32; 4]| (right - left) * (bottom - top);
    let intersection = (right - left) * (bottom - top);
    let union = area(a) + area(b) - intersection;
    if intersection <= 0.0 || area(a) <= 0.0 || area(b) <= 0.0 || union <= 0.0 {
        return false;
    }
    intersection / union > threshold
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn better_scores_come_first_and_of_equal_ones_the_first_box() {
        let scores = [0.5, f32::NAN, 0.9, -0.0, 0.5, 0.0, f32::NEG_INFINITY, f32::INFINITY, -3.0];
        let mut order: Vec<u64> = scores.iter().enumerate().map(|(index, &score)| rank(score, index)).collect();
        order.sort_unstable();
        let order: Vec<u32> = order.into_iter().map(|rank| rank as u32).collect();
        assert_eq!(order, [7, 2, 0, 4, 3, 5, 8, 6, 1]);
    }

    #[test]
    fn a_share_equal_to_the_threshold_does_not_suppress() {
        let (a, b) = ([0.0, 0.0, 2.0, 1.0], [1.0, 0.0, 3.0, 1.0]);
        assert!(!overlaps(a, b, 1.0 / 3.0) && overlaps(a, b, 0.333));
        assert!(!overlaps(a, [2.0, 0.0, 3.0, 1.0], 0.0), "boxes that only touch");
        assert!(!overlaps(a, [1.0, 0.5, 1.0, 0.5], 0.0), "a box without an area");
    }
}
