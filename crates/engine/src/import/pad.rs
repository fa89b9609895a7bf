//! `Pad`: a value around a tensor, its edge, or itself mirrored or repeated; negative pads cut off.

use super::expression::Expression;
use super::onnx::{Attributes, integers, raw_bytes};
use super::{Binding, Handled, Imported, Importer, name_of};
use crate::graph::{Movement, Op, ValueId};
use tract_onnx::pb::NodeProto;

/// The most that a tensor is padded with on one side.
const MOST: u64 = 1 << 16;

impl<'a> Importer<'a> {
    pub(super) fn pad(&mut self, node: &'a NodeProto, held: &Binding) -> Imported<Handled> {
        let (name, shape) = (name_of(node), self.shape(held));
        let pads = self.pads(node, shape.len())?;
        // Cut first, so that what is mirrored is what is left.
        let [cut_before, cut_after] = [0, 1].map(|side| pads.iter().map(move |pads| (-pads[side]).max(0) as usize));
        let (cut_before, cut_after): (Vec<usize>, Vec<usize>) = (cut_before.collect(), cut_after.collect());
        let mut left = Vec::with_capacity(shape.len());
        for (axis, &dim) in shape.iter().enumerate() {
            match dim.checked_sub(cut_before[axis] + cut_after[axis]) {
                Some(size) if size > 0 => left.push(size),
                _ => return Err(format!("its pads cut off all of axis {axis} of {shape:?}").into()),
            }
        }
        let mut held = held.clone();
        if left != shape {
            let movement = Movement::Slice { start: cut_before, step: vec![1; shape.len()] };
            held = self.moved(node, &held, movement, left)?;
        }
        let pads: Vec<[usize; 2]> = pads.iter().map(|pads| pads.map(|pad| pad.max(0) as usize)).collect();
        if pads.iter().all(|pads| *pads == [0, 0]) {
            return self.done(node, held);
        }
        let mode = node.text("mode", "constant");
        if mode == "constant" {
            return self.pad_by_value(node, &held, &pads);
        }
        // Moved elements keep their scale: where bytes stand for them, bytes are moved.
        let (mut x, quant) = match &held {
            Binding::Lazy(lazy) => match self.dequantized(lazy)? {
                Some((x, q)) => (x, Some(q)),
                None => (self.floats_of(lazy)?, None),
            },
            _ => (self.compute(&held)?, None),
        };
        for (axis, &pads) in pads.iter().enumerate().filter(|(_, pads)| **pads != [0, 0]) {
            x = self.pad_axis(&name, x, axis, pads, &mode)?;
        }
        match quant {
            Some(q) => {
                let shape = self.graph.values[x].shape.clone();
                self.expression(node, Expression::Dequantized(x, q), shape)
            }
            None => self.done(node, Binding::Value(x)),
        }
    }

    /// Pads before and after each axis.
    fn pads(&self, node: &'a NodeProto, rank: usize) -> Imported<Vec<[i64; 2]>> {
        let list = match node.ints("pads").or_else(|| node.ints("paddings")) {
            Some(pads) => pads.to_vec(),
            None => integers(&*self.parameter(node, 1, "pads")?)?,
        };
        let axes = match self.input(node, 3)? {
            None => (0..rank).collect(),
            Some(_) => {
                let axes = integers(&*self.parameter(node, 3, "axes")?)?;
                axes.iter().map(|&axis| super::axis(axis, rank)).collect::<Result<Vec<_>, _>>()?
            }
        };
        if let Some(pad) = list.iter().find(|pad| pad.unsigned_abs() > MOST) {
            return Err(format!("a pad of {pad}: a tensor may have {MOST} on each side").into());
        }
        if list.len() != 2 * axes.len() {
            return Err(format!("pads {list:?} do not fit {} axes", axes.len()).into());
        }
        let mut pads = vec![[0; 2]; rank];
        for (i, &axis) in axes.iter().enumerate() {
            pads[axis] = [list[i], list[axes.len() + i]];
        }
        Ok(pads)
    }

    fn pad_by_value(&mut self, node: &'a NodeProto, held: &Binding, pads: &[[usize; 2]]) -> Imported<Handled> {
        let (name, shape) = (name_of(node), self.shape(held));
        let to: Vec<usize> = shape.iter().zip(pads).map(|(&dim, pads)| dim + pads[0] + pads[1]).collect();
        let before: Vec<usize> = pads.iter().map(|pads| pads[0]).collect();
        let given = self.input(node, 2)?;
        if self.kind_held(held)?.is_float() {
            let value = match &given {
                None => node.float("value", 0.0),
                Some(given) => super::elementwise::number(given).ok_or("its value must be one constant number")?,
            };
            if let Binding::Lazy(lazy) = held
                && let Some((id, q)) = self.dequantized(lazy)?
            {
                let stored = q.quantize(value);
                if q.dequantize(stored) == value {
                    let movement = Movement::Pad { before, value: vec![stored as u8] };
                    let y = self.move_value(&name, id, movement, &to)?;
                    return self.expression(node, Expression::Dequantized(y, q), to);
                }
            }
            let x = self.compute(held)?;
            let movement = Movement::Pad { before, value: value.to_ne_bytes().to_vec() };
            let y = self.move_value(&name, x, movement, &to)?;
            return self.done(node, Binding::Value(y));
        }
        let x = self.compute(held)?;
        let kind = self.graph.values[x].kind;
        let value = match given {
            None => vec![0; kind.size()],
            Some(Binding::Constant(value)) if value.len() == 1 && crate::tract::kind(value.datum_type())? == kind => {
                raw_bytes(&value)?.to_vec()
            }
            Some(_) => return Err("its value must be one constant of the type of its input".into()),
        };
        let y = self.move_value(&name, x, Movement::Pad { before, value }, &to)?;
        self.done(node, Binding::Value(y))
    }

    /// One axis lengthened by elements of itself: parts of it, laid side by side.
    fn pad_axis(
        &mut self,
        name: &str,
        x: ValueId,
        axis: usize,
        [before, after]: [usize; 2],
        mode: &str,
    ) -> Imported<ValueId> {
        let shape = self.graph.values[x].shape.clone();
        let size = shape[axis];
        // For each element of the result, which of the axis it is.
        let place = |i: isize| -> Option<usize> {
            let size = size as isize;
            Some(match mode {
                "edge" => i.clamp(0, size - 1),
                "wrap" => i.rem_euclid(size),
                // Mirrored without the edge, again and again.
                "reflect" if size == 1 => 0,
                "reflect" => {
                    let turn = i.rem_euclid(2 * (size - 1));
                    turn.min(2 * (size - 1) - turn)
                }
                _ => return None,
            } as usize)
        };
        let places: Option<Vec<usize>> = (-(before as isize)..(size + after) as isize).map(place).collect();
        let places = places.ok_or_else(|| format!("its mode is \"{mode}\""))?;
        // Runs of one direction are one slice each.
        let mut parts = Vec::new();
        let mut at = 0;
        while at < places.len() {
            let step = places.get(at + 1).map_or(1, |&next| next as isize - places[at] as isize).clamp(-1, 1);
            let run =
                (at + 1..places.len()).take_while(|&i| places[i] as isize - places[i - 1] as isize == step).count();
            let count = if step == 0 { 1 } else { run + 1 };
            let mut to = shape.clone();
            to[axis] = count;
            let (mut start, mut steps) = (vec![0; shape.len()], vec![1; shape.len()]);
            (start[axis], steps[axis]) = (places[at], if step == 0 { 1 } else { step });
            let mut part = self.move_value(name, x, Movement::Slice { start, step: steps }, &to)?;
            if step == 0 {
                // One element, again and again.
                to[axis] = run + 1;
                part = self.move_value(name, part, Movement::Expand, &to)?;
            }
            parts.push(part);
            at += run + 1;
        }
        let mut to = shape;
        to[axis] = places.len();
        let kind = self.graph.values[x].kind;
        self.push(name, Op::Movement(Movement::Concat { axis }), &parts, kind, &to)
    }
}
