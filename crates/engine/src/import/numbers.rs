//! Casts, comparisons, choices, arithmetic of whole numbers, and what repeats elements.

use super::elementwise::broadcast_shape;
use super::onnx::{Attributes, integers};
use super::{Binding, Handled, Imported, Importer, name_of};
use crate::ElementKind;
use crate::graph::{Arithmetic, Comparison, Counted, Fold, Logic, Movement, Node, NumberOp, Op};
use crate::tract::kind;
use tract_onnx::pb::NodeProto;

impl<'a> Importer<'a> {
    /// The kind of what is held.
    pub(super) fn kind_held(&self, held: &Binding) -> Imported<ElementKind> {
        Ok(match held {
            Binding::Constant(constant) => kind(constant.datum_type())?,
            Binding::Value(id) => self.graph.values[*id].kind,
            Binding::Lazy(_) => ElementKind::F32,
        })
    }

    /// `Cast` and `CastLike`.
    pub(super) fn cast(&mut self, node: &'a NodeProto) -> Imported<Handled> {
        let held = self.needed(node, 0)?;
        let to = if node.op_type == "CastLike" {
            self.kind_held(&self.needed(node, 1)?)?
        } else {
            match node.int("to", 0) {
                1 => ElementKind::F32,
                2 => ElementKind::U8,
                3 => ElementKind::I8,
                4 => ElementKind::U16,
                5 => ElementKind::I16,
                6 => ElementKind::I32,
                7 => ElementKind::I64,
                9 => ElementKind::Bool,
                10 => ElementKind::F16,
                11 => ElementKind::F64,
                12 => ElementKind::U32,
                13 => ElementKind::U64,
                // Strings, 8-bit floats and the like.
                _ => return Ok(Handled::No),
            }
        };
        let from = self.kind_held(&held)?;
        // What is stored in double precision is computed in single, as everything.
        if from == to || (from == ElementKind::F32 && to == ElementKind::F64) {
            return self.done(node, held);
        }
        let shape = self.shape(&held);
        let x = self.compute(&held)?;
        let name = name_of(node);
        let to = if to == ElementKind::F64 { ElementKind::F32 } else { to };
        let mut y = self.push(&name, Op::Cast, &[x], to, &shape)?;
        if to == ElementKind::F16 {
            // Half precision is a way to store numbers here; what computes on them computes on their values.
            y = self.push(&name, Op::Cast, &[y], ElementKind::F32, &shape)?;
        }
        self.done(node, Binding::Value(y))
    }

    /// An op of `count` operands, broadcast, with an output of that kind.
    fn number_op(&mut self, node: &'a NodeProto, op: NumberOp, count: usize, to: ElementKind) -> Imported<Handled> {
        let mut shape = Vec::new();
        let mut inputs = Vec::with_capacity(count);
        for index in 0..count {
            let held = self.needed(node, index)?;
            shape = broadcast_shape(&shape, &self.shape(&held))?;
            inputs.push(self.compute(&held)?);
        }
        if shape.len() > 8 {
            return Ok(Handled::No);
        }
        let y = self.push(&name_of(node), Op::Number(op), &inputs, to, &shape)?;
        self.done(node, Binding::Value(y))
    }

    pub(super) fn number(&mut self, node: &'a NodeProto) -> Imported<Handled> {
        let of = self.kind_held(&self.needed(node, 0)?)?;
        let truth = ElementKind::Bool;
        let direction = |left: Arithmetic, right: Arithmetic| {
            if node.text("direction", "LEFT") == "RIGHT" { right } else { left }
        };
        let arithmetic = match node.op_type.as_str() {
            "Add" => Arithmetic::Add,
            "Sub" => Arithmetic::Sub,
            "Mul" => Arithmetic::Mul,
            "Div" => Arithmetic::Div,
            "Pow" => Arithmetic::Power,
            "Min" => Arithmetic::Min,
            "Max" => Arithmetic::Max,
            "Mod" if node.int("fmod", 0) != 0 => Arithmetic::Remainder,
            "Mod" => Arithmetic::Modulo,
            "BitwiseAnd" => Arithmetic::BitAnd,
            "BitwiseOr" => Arithmetic::BitOr,
            "BitwiseXor" => Arithmetic::BitXor,
            "BitShift" => direction(Arithmetic::ShiftLeft, Arithmetic::ShiftRight),
            name => {
                let compare = |op| Ok::<_, super::ImportError>((NumberOp::Compare(op), 2, truth));
                let (op, count, to) = match name {
                    "Equal" => compare(Comparison::Equal)?,
                    "Less" => compare(Comparison::Less)?,
                    "LessOrEqual" => compare(Comparison::LessOrEqual)?,
                    "Greater" => compare(Comparison::Greater)?,
                    "GreaterOrEqual" => compare(Comparison::GreaterOrEqual)?,
                    "And" => (NumberOp::Logic(Logic::And), 2, truth),
                    "Or" => (NumberOp::Logic(Logic::Or), 2, truth),
                    "Xor" => (NumberOp::Logic(Logic::Xor), 2, truth),
                    "Not" => (NumberOp::Not, 1, truth),
                    "IsNaN" => (NumberOp::IsNan, 1, truth),
                    "IsInf" => {
                        let wanted = |name: &str| node.int(name, 1) != 0;
                        let (negative, positive) = (wanted("detect_negative"), wanted("detect_positive"));
                        (NumberOp::IsInfinite { negative, positive }, 1, truth)
                    }
                    "Abs" => (NumberOp::Absolute, 1, of),
                    "Neg" => (NumberOp::Negative, 1, of),
                    "Sign" => (NumberOp::Sign, 1, of),
                    "BitwiseNot" => (NumberOp::BitNot, 1, of),
                    "Where" => (NumberOp::Where, 3, self.kind_held(&self.needed(node, 1)?)?),
                    _ => return Ok(Handled::No),
                };
                return self.number_op(node, op, count, to);
            }
        };
        // Of floats only the remainders are computed here.
        let remainder = matches!(arithmetic, Arithmetic::Modulo | Arithmetic::Remainder);
        if node.input.len() != 2 || (!remainder && of.is_float()) {
            return Ok(Handled::No);
        }
        self.number_op(node, NumberOp::Arithmetic(arithmetic), 2, of)
    }

    pub(super) fn arg_reduce(&mut self, node: &'a NodeProto) -> Imported<Handled> {
        let held = self.needed(node, 0)?;
        let shape = self.shape(&held);
        let axis = super::axis(node.int("axis", 0), shape.len())?;
        let x = match &held {
            // Scales are positive: bytes have the order of what they stand for.
            Binding::Lazy(lazy) => match self.dequantized(lazy)? {
                Some((x, _)) => x,
                None => self.compute(&held)?,
            },
            _ => self.compute(&held)?,
        };
        let (greatest, last) = (node.op_type == "ArgMax", node.int("select_last_index", 0) != 0);
        let mut to = shape;
        to[axis] = 1;
        let name = name_of(node);
        let op = Op::Number(NumberOp::ArgReduce { axis, greatest, last });
        let mut y = self.push(&name, op, &[x], ElementKind::I64, &to)?;
        if node.int("keepdims", 1) == 0 {
            to.remove(axis);
            y = self.move_value(&name, y, Movement::Reshape, &to)?;
        }
        self.done(node, Binding::Value(y))
    }

    pub(super) fn top_k(&mut self, node: &'a NodeProto) -> Imported<Handled> {
        let held = self.needed(node, 0)?;
        let mut shape = self.shape(&held);
        let axis = super::axis(node.int("axis", -1), shape.len())?;
        // Before opset 10 an attribute.
        let count = match node.attribute("k") {
            Some(count) => vec![count.i],
            None => integers(&*self.parameter(node, 1, "k")?)?,
        };
        let length = shape[axis];
        let wanted = match count[..] {
            [wanted] => usize::try_from(wanted).ok().filter(|wanted| (1..=length).contains(wanted)),
            _ => None,
        };
        shape[axis] = wanted.ok_or_else(|| format!("its k is {count:?}: one number from 1 to {length} is expected"))?;
        let (of, name, x) = (self.kind_held(&held)?, name_of(node), self.compute(&held)?);
        let op = Op::TopK { axis, greatest: node.int("largest", 1) != 0 };
        let y = self.new_value(&name, of, &shape)?;
        let places = self.new_value(&format!("places of {name}"), ElementKind::I64, &shape)?;
        self.graph.nodes.push(Node { name, op, inputs: vec![x], outputs: vec![y, places] });
        self.give(node, 1, Binding::Value(places));
        self.done(node, Binding::Value(y))
    }

    pub(super) fn gather_elements(&mut self, node: &'a NodeProto) -> Imported<Handled> {
        let (data, indices) = (self.needed(node, 0)?, self.needed(node, 1)?);
        let shape = self.shape(&indices);
        let axis = super::axis(node.int("axis", 0), self.shape(&data).len())?;
        let of = self.kind_held(&data)?;
        let inputs = [self.compute(&data)?, self.compute(&indices)?];
        let y = self.push(&name_of(node), Op::Number(NumberOp::GatherElements { axis }), &inputs, of, &shape)?;
        self.done(node, Binding::Value(y))
    }

    /// `OneHot`: where an index meets its place along a new axis, one of two values. An index that meets none gives a row of the other.
    pub(super) fn one_hot(&mut self, node: &'a NodeProto) -> Imported<Handled> {
        let held = self.needed(node, 0)?;
        let shape = self.shape(&held);
        let axis = super::axis(node.int("axis", -1), shape.len() + 1)?;
        let depths = integers(&*self.parameter(node, 1, "depth")?)?;
        let [depth @ 1..=i64::MAX] = depths[..] else {
            return Err(format!("its depth is {depths:?}: one number, 1 at least, is expected").into());
        };
        let values = self.needed(node, 2)?;
        let (of, given) = (self.kind_held(&values)?, self.shape(&values));
        if given != [2] {
            return Err(format!("its values have the shape {given:?}: two are expected, off and on").into());
        }
        let mut to = shape.clone();
        to.insert(axis, usize::try_from(depth).unwrap_or(usize::MAX));
        super::checked(&to)?;
        self.add_computed_bytes(8 * to[axis] as u64)?;
        let name = name_of(node);
        let whole = ElementKind::I64;
        let mut index = self.compute(&held)?;
        if self.graph.values[index].kind != whole {
            index = self.push(&name, Op::Cast, &[index], whole, &shape)?;
        }
        // Below 0 it counts from the end.
        let constant =
            |values: &[i64]| Op::Constant(values.iter().flat_map(|v| v.to_ne_bytes()).collect::<Vec<u8>>().into());
        let zero = self.push(&name, constant(&[0]), &[], whole, &[])?;
        let end = self.push(&name, constant(&[depth]), &[], whole, &[])?;
        let is_below = Op::Number(NumberOp::Compare(Comparison::Less));
        let is_below = self.push(&name, is_below, &[index, zero], ElementKind::Bool, &shape)?;
        let sum = Op::Number(NumberOp::Arithmetic(Arithmetic::Add));
        let from_end = self.push(&name, sum, &[index, end], whole, &shape)?;
        let index = self.push(&name, Op::Number(NumberOp::Where), &[is_below, from_end, index], whole, &shape)?;
        let mut column = shape;
        column.insert(axis, 1);
        let index = self.move_value(&name, index, Movement::Reshape, &column)?;
        let mut along = vec![1; to.len() - axis];
        along[0] = to[axis];
        let places: Vec<i64> = (0..depth).collect();
        let places = self.push(&name, constant(&places), &[], whole, &along)?;
        let is_met = Op::Number(NumberOp::Compare(Comparison::Equal));
        let is_met = self.push(&name, is_met, &[index, places], ElementKind::Bool, &to)?;
        let values = self.compute(&values)?;
        let mut one = |place: usize| {
            let movement = Movement::Slice { start: vec![place], step: vec![1] };
            self.move_value(&name, values, movement, &[1])
        };
        let (off, on) = (one(0)?, one(1)?);
        let y = self.push(&name, Op::Number(NumberOp::Where), &[is_met, on, off], of, &to)?;
        self.done(node, Binding::Value(y))
    }

    /// Reductions of whole numbers.
    pub(super) fn reduce_whole(&mut self, node: &'a NodeProto) -> Imported<Handled> {
        let held = self.needed(node, 0)?;
        let of = self.kind_held(&held)?;
        let kind = match node.op_type.as_str() {
            "ReduceSum" => Fold::Sum,
            "ReduceProd" => Fold::Product,
            "ReduceMin" => Fold::Min,
            "ReduceMax" => Fold::Max,
            _ => return Ok(Handled::No),
        };
        let shape = self.shape(&held);
        let rank = shape.len();
        if of.is_float() || of == ElementKind::Bool || rank > 8 {
            return Ok(Handled::No);
        }
        let axes = match self.axes(node, 1, rank)? {
            Some(axes) if !axes.is_empty() => axes,
            _ if node.int("noop_with_empty_axes", 0) != 0 => return self.done(node, held),
            _ => (0..rank).collect(),
        };
        let kept: Vec<usize> = (0..rank).map(|i| if axes.contains(&i) { 1 } else { shape[i] }).collect();
        let left = (0..rank).filter(|i| !axes.contains(i)).map(|i| shape[i]).collect();
        let to = if node.int("keepdims", 1) != 0 { kept.clone() } else { left };
        let (name, x) = (name_of(node), self.compute(&held)?);
        let y = self.push(&name, Op::Number(NumberOp::Reduce { kind, axes }), &[x], of, &kept)?;
        let y = self.move_value(&name, y, Movement::Reshape, &to)?;
        self.done(node, Binding::Value(y))
    }

    /// `Expand` and `Tile`, where the shape is known at load.
    pub(super) fn repeat(&mut self, node: &'a NodeProto) -> Imported<Handled> {
        let held = self.needed(node, 0)?;
        let held = self.settled(held)?;
        let shape = self.shape(&held);
        let list = integers(&*self.parameter(node, 1, "shape")?)?;
        let size = |&dim: &i64| usize::try_from(dim).map_err(|_| format!("it asks for {list:?}"));
        let asked: Vec<usize> = list.iter().map(size).collect::<Result<_, _>>()?;
        if let Some(Counted { axis, .. }) = self.counted(&held)
            && let Some(size) = (axis + asked.len()).checked_sub(shape.len()).and_then(|place| asked.get(place))
            && *size != 1
        {
            return Err(format!(
                "only a bound of axis {axis} of its input is known before a run, and {asked:?} states a number for it, where 1 would keep it"
            )
            .into());
        }
        let (movement, to) = if node.op_type == "Expand" {
            (Movement::Expand, broadcast_shape(&shape, &asked)?)
        } else {
            if asked.len() != shape.len() {
                return Err(format!("{asked:?} repeats do not fit {shape:?}").into());
            }
            let to = shape.iter().zip(&asked).map(|(&dim, &count)| dim.saturating_mul(count)).collect();
            (Movement::Tile(asked), to)
        };
        if to == shape {
            return self.done(node, held);
        }
        super::checked(&to)?;
        let moved = self.moved(node, &held, movement, to)?;
        self.done(node, moved)
    }
}
