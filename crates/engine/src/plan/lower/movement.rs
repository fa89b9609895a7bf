//! Ops that only move elements: copies between arrangements, and nothing where a value is already where it belongs.

use super::Lowering;
use crate::graph::{Movement, ValueId};
use crate::kernels::arena::View;
use crate::plan::data_layout::{DataLayout, row_major};
use crate::step::Step;

impl Lowering {
    pub(super) fn movement(&mut self, inputs: &[ValueId], y: ValueId, movement: Movement) -> Result<(), String> {
        let x = inputs[0];
        let shape = self.shape(y).to_vec();
        let size = self.kind(y).size();
        let (from, to) = (self.signed_strides(x), self.strides(y));
        let in_place = |this: &Self, x: ValueId| this.layout.slots[x].buffer == this.layout.slots[y].buffer;
        match movement {
            Movement::Reshape => {
                if in_place(self, x) {
                    return Ok(());
                }
                let x_shape = self.shape(x).to_vec();
                let plain = |shape: &[usize]| row_major(shape, size);
                let signed = |strides: Vec<usize>| strides.into_iter().map(|s| s as isize).collect::<Vec<_>>();
                match (self.layout.data_layouts[x], self.layout.data_layouts[y]) {
                    (_, DataLayout::RowMajor) => self.copy(&x_shape, from, (to.0, plain(&x_shape)), size, false),
                    (DataLayout::RowMajor, DataLayout::ChannelsLast) => {
                        self.copy(&shape, (from.0, signed(plain(&shape))), to, size, false)
                    }
                    (DataLayout::ChannelsLast, DataLayout::ChannelsLast) => {
                        let scratch = self.scratch(y)?;
                        self.copy(&x_shape, from, (scratch, plain(&x_shape)), size, false);
                        self.copy(&shape, (scratch, signed(plain(&shape))), to, size, false);
                    }
                }
            }
            Movement::Transpose(order) => {
                let turned = order.iter().map(|&axis| from.1[axis]).collect();
                self.copy(&shape, (from.0, turned), to, size, false);
            }
            Movement::Concat { axis } => {
                let mut at = 0;
                for (i, &part) in inputs.iter().enumerate() {
                    let part_shape = self.shape(part).to_vec();
                    let channel = self.layout.slots[y].channel + at;
                    // A part that was computed where it belongs; a value that is listed twice lies there once.
                    let placed = in_place(self, part)
                        && self.layout.data_layouts[y] == DataLayout::ChannelsLast
                        && self.layout.slots[part].channel == channel
                        && !inputs[..i].contains(&part);
                    if !placed {
                        let target = (to.0 + at * to.1[axis], to.1.clone());
                        self.copy(&part_shape, self.signed_strides(part), target, size, false);
                    }
                    at += part_shape[axis];
                }
            }
            Movement::Slice { start, step } => {
                if in_place(self, x) {
                    return Ok(());
                }
                let first = (0..shape.len()).map(|i| start[i] as isize * from.1[i]).sum::<isize>();
                let strides = (0..shape.len()).map(|i| from.1[i] * step[i]).collect();
                self.copy(&shape, ((from.0 as isize + first) as usize, strides), to, size, false);
            }
            Movement::Pad { before, value } => {
                let flip = if self.flipped(y) { 0x80 } else { 0 };
                let element: Vec<u8> = if size == 1 { vec![value[0] ^ flip] } else { value };
                let all = if self.layout.data_layouts[y] == DataLayout::ChannelsLast {
                    self.layout.picture(&self.graph, y)
                } else {
                    View::dense(to.0, [1, 1, 1, self.graph.values[y].len()], size)
                };
                self.steps.push(Step::Fill { y: all, element });
                let first: usize = (0..shape.len()).map(|i| before[i] * to.1[i]).sum();
                let x_shape = self.shape(x).to_vec();
                self.copy(&x_shape, from, (to.0 + first, to.1), size, false);
            }
            Movement::Expand => {
                let x_shape = self.shape(x);
                let lead = shape.len() - x_shape.len();
                let repeated =
                    |axis: usize| axis.checked_sub(lead).filter(|&own| x_shape[own] != 1).map_or(0, |own| from.1[own]);
                let strides = (0..shape.len()).map(repeated).collect();
                self.copy(&shape, (from.0, strides), to, size, false);
            }
            Movement::Tile(repeats) => {
                let x_shape = self.shape(x).to_vec();
                // Two axes for each: which repetition, and the place within it.
                let counts: Vec<usize> = (0..shape.len()).flat_map(|i| [repeats[i], x_shape[i]]).collect();
                let x_steps = from.1.iter().flat_map(|&stride| [0, stride]).collect();
                let y_steps = to.1.iter().zip(&x_shape).flat_map(|(&stride, &dim)| [dim * stride, stride]).collect();
                self.copy(&counts, (from.0, x_steps), (to.0, y_steps), size, false);
            }
            Movement::Nearest { rows, columns } => {
                let (x, y) = (self.planes(x), self.planes(y));
                self.steps.push(Step::Nearest { x, y, rows, columns });
            }
            Movement::DepthToSpace { block, column_row_depth } => {
                let [n, c, h, w] = four(self.shape(x))?;
                let depth = c / (block * block);
                let (b, d) = (block as isize, depth as isize);
                let channel = from.1[1];
                // Steps of block row, block column and depth among the input's channels.
                let [i, j, k] = if column_row_depth { [b, 1, b * b] } else { [b * d, d, 1] };
                let counts = [n, h, block, w, block, depth];
                let x_steps = vec![from.1[0], from.1[2], i * channel, from.1[3], j * channel, k * channel];
                let (row, column) = (to.1[2], to.1[3]);
                let y_steps = vec![to.1[0], row * block, row, column * block, column, to.1[1]];
                self.copy(&counts, (from.0, x_steps), (to.0, y_steps), size, false);
            }
            Movement::SpaceToDepth { block, column_row_depth } => {
                let [n, c, h, w] = four(self.shape(x))?;
                let (row, column) = (from.1[2], from.1[3]);
                let b = block as isize;
                let counts = [n, h / block, block, w / block, block, c];
                let x_steps = vec![from.1[0], row * b, row, column * b, column, from.1[1]];
                let channel = to.1[1];
                // Steps of block row, block column and depth among the output's channels.
                let [i, j, k] = if column_row_depth { [block, 1, block * block] } else { [block * c, c, 1] };
                let y_steps = vec![to.1[0], to.1[2], i * channel, to.1[3], j * channel, k * channel];
                self.copy(&counts, (from.0, x_steps), (to.0, y_steps), size, false);
            }
        }
        Ok(())
    }
}

fn four(shape: &[usize]) -> Result<[usize; 4], String> {
    shape.try_into().map_err(|_| format!("{shape:?} should have four dimensions"))
}
