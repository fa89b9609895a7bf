//! A sum right after a convolution goes into it: the convolution's bytes are added to while they are in the cache.

use super::Lowering;
use crate::kernels::add::AddStep;
use crate::kernels::arena::View;
use crate::kernels::conv::{Algorithm, ConvStep};
use crate::step::Step;

impl Lowering {
    /// Moves a sum into the convolution right before it, where it adds to that one's output.
    pub(super) fn fuse_add(&mut self) -> bool {
        let Some((x, at)) = self.after_conv else { return false };
        let Some([steps @ .., Step::Add(sum)]) = self.steps.get(at..) else { return false };
        let convs: Vec<&ConvStep> =
            steps.iter().map_while(|s| if let Step::Conv(c) = s { Some(c) } else { None }).collect();
        let buffer = &self.layout.buffers[self.layout.slots[x].buffer];
        // Nothing may be written over what later tiles read.
        let apart = |first: usize, end: usize| end <= buffer.at || buffer.at + buffer.bytes <= first;
        let halos_apart = steps[convs.len()..]
            .iter()
            .all(|step| matches!(step, Step::Halo(halo) if apart(halo.at, halo.at + halo.images * halo.image_bytes)));
        // One convolution of all outputs, or two of some each.
        let Some(first) = convs.first() else { return false };
        let output = first.output();
        let whole = convs.iter().map(|conv| conv.outputs).sum::<usize>() == sum.y.dims[3]
            && convs.iter().all(|conv| !matches!(conv.packed.algorithm, Algorithm::Columns(_)))
            && output.dims[..3] == sum.y.dims[..3];
        let steady = |view: &View| (0..4).all(|i| sum.y.dims[i] == 1 || view.strides[i] != 0) && view.strides[3] == 1;
        let same = |view: &View| {
            view.at == output.at && (0..4).all(|i| view.dims[i] == 1 || view.strides[i] == output.strides[i])
        };
        let fits = whole && steady(&sum.a) && steady(&sum.b) && (same(&sum.a) || same(&sum.b));
        if !fits || !halos_apart || !apart(sum.y.at, sum.y.end()) {
            return false;
        }
        let (sum, count) = (*sum, convs.len());
        self.steps.pop();
        for step in &mut self.steps[at..at + count] {
            if let Step::Conv(conv) = step {
                let ([n, h, w], channels) = (conv.dims, conv.outputs);
                let part = |view: View| View { at: view.at + conv.y - output.at, dims: [n, h, w, channels], ..view };
                conv.fused_add = Some(Box::new(AddStep { a: part(sum.a), b: part(sum.b), y: part(sum.y), ..sum }));
            }
        }
        self.steps[at..].rotate_left(count);
        true
    }
}
