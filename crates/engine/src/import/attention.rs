//! `Attention` of ONNX (opset 23 and later) as the products, sums and the softmax that it is made of.

use super::elementwise::broadcast_shape;
use super::geometry::product_shape;
use super::onnx::{Attributes, integers};
use super::{Binding, Handled, Imported, Importer, name_of};
use crate::ElementKind;
use crate::graph::{Binary, Comparison, FloatOp, Movement, NumberOp, Op, Reduction, ValueId};
use crate::unary::Unary;
use tract_onnx::pb::NodeProto;

/// `[batch, heads, length, size]`.
type Heads = [usize; 4];

/// What a query may look at, by place: 0, or minus infinity where it may not.
struct Allowed {
    /// Of the first query among the keys, one for each picture of the batch, or for all.
    offsets: Vec<i64>,
    causal: bool,
    /// How far back and how far ahead; -1 for without bound.
    window: [i64; 2],
    /// How many keys there are, for each picture of the batch; empty for all.
    lengths: Vec<i64>,
}

impl Allowed {
    fn holds(&self, batch: usize, query: usize, key: usize) -> bool {
        let of = |list: &[i64]| list.get(if list.len() == 1 { 0 } else { batch }).copied();
        // How far the key lies ahead of the query.
        let ahead = key as i64 - (query as i64 + of(&self.offsets).unwrap_or(0));
        let [back, front] = self.window;
        (!self.causal || ahead <= 0)
            && (back < 0 || -ahead <= back)
            && (front < 0 || ahead <= front)
            && of(&self.lengths).is_none_or(|length| (key as i64) < length)
    }

    fn is_all(&self) -> bool {
        !self.causal && self.window == [-1; 2] && self.lengths.is_empty()
    }
}

impl<'a> Importer<'a> {
    pub(super) fn attention(&mut self, node: &'a NodeProto) -> Imported<Handled> {
        let name = name_of(node);
        let held = [0, 1, 2].map(|i| self.needed(node, i));
        let [q, k, v] = held;
        let (q, k, v) = (q?, k?, v?);
        if ![&q, &k, &v].into_iter().all(|held| self.is_float(held)) {
            return Err("its inputs must be floats".into());
        }
        let flat = self.shape(&q).len() == 3;
        let (q, q_dims) = self.heads(&name, &q, node.int("q_num_heads", 0))?;
        let (k, k_dims) = self.heads(&name, &k, node.int("kv_num_heads", 0))?;
        let (v, v_dims) = self.heads(&name, &v, node.int("kv_num_heads", 0))?;
        let (k, k_dims, past) = self.after_past(node, &name, 4, k, k_dims)?;
        let (v, v_dims, _) = self.after_past(node, &name, 5, v, v_dims)?;
        let [batch, heads, queries, size] = q_dims;
        let [_, kv_heads, keys, _] = k_dims;
        let fits = k_dims == [batch, kv_heads, keys, size]
            && v_dims[..3] == [batch, kv_heads, keys]
            && kv_heads > 0
            && heads % kv_heads == 0;
        if !fits {
            return Err(format!("queries {q_dims:?}, keys {k_dims:?} and values {v_dims:?} do not fit").into());
        }
        self.give(node, 1, Binding::Value(k));
        self.give(node, 2, Binding::Value(v));

        // The root of the scale on either side, as the operator defines it.
        let scale = node.attribute("scale").map_or(1.0 / (size as f32).sqrt(), |scale| scale.f);
        if !(scale > 0.0 && scale.is_finite()) {
            return Err(format!("its scale is {scale}").into());
        }
        let root = Unary::Times(scale.sqrt());
        let k = self.for_each_query_head(&name, k, k_dims, heads)?;
        let v = self.for_each_query_head(&name, v, v_dims, heads)?;
        let turned = Movement::Transpose(vec![0, 1, 3, 2]);
        let k = self.move_value(&name, k, turned, &[batch, heads, size, keys])?;
        let (q, k) = (self.apply_unary(&name, q, root)?, self.apply_unary(&name, k, root)?);
        let mut scores = self.float_product(&name, q, k)?;
        let softcap = node.float("softcap", 0.0);
        if softcap > 0.0 {
            for function in [Unary::Over(softcap), Unary::Tanh, Unary::Times(softcap)] {
                scores = self.apply_unary(&name, scores, function)?;
            }
        }
        let allowed = self.allowed(node, past, batch, queries)?;
        let biased = match self.bias_of(node, &name, &allowed, [batch, queries, keys])? {
            None => (scores, None),
            Some(bias) => (self.float_binary(&name, Binary::Add, scores, bias)?, Some(bias)),
        };
        let (biased, bias) = biased;
        let shape = self.graph.values[biased].shape.clone();
        let softmax = Op::Float(FloatOp::Softmax { axis: shape.len() - 1 });
        let mut weights = self.push(&name, softmax, &[biased], ElementKind::F32, &shape)?;
        if let Some(bias) = bias {
            weights = self.without_masked_rows(&name, weights, bias)?;
        }
        let shown = match node.int("qk_matmul_output_mode", 0) {
            2 => biased,
            3 => weights,
            _ => scores,
        };
        self.give(node, 3, Binding::Value(shown));
        let mut y = self.float_product(&name, weights, v)?;
        if flat {
            let size = v_dims[3];
            let order = Movement::Transpose(vec![0, 2, 1, 3]);
            y = self.move_value(&name, y, order, &[batch, queries, heads, size])?;
            y = self.move_value(&name, y, Movement::Reshape, &[batch, queries, heads * size])?;
        }
        self.give(node, 0, Binding::Value(y));
        Ok(Handled::Yes)
    }

    /// `[batch, length, heads * size]` as `[batch, heads, length, size]`, which may be given as such.
    fn heads(&mut self, name: &str, held: &Binding, heads: i64) -> Imported<(ValueId, Heads)> {
        let x = self.compute(held)?;
        match self.graph.values[x].shape[..] {
            [batch, heads, length, size] => Ok((x, [batch, heads, length, size])),
            [batch, length, all] => {
                let heads = usize::try_from(heads).ok().filter(|&heads| heads > 0 && all % heads == 0);
                let heads = heads.ok_or_else(|| format!("its number of heads does not divide {all}"))?;
                let size = all / heads;
                let x = self.move_value(name, x, Movement::Reshape, &[batch, length, heads, size])?;
                let order = Movement::Transpose(vec![0, 2, 1, 3]);
                Ok((self.move_value(name, x, order, &[batch, heads, length, size])?, [batch, heads, length, size]))
            }
            ref other => Err(format!("an input of shape {other:?}, where three or four dimensions are needed").into()),
        }
    }

    /// What came before (input `at`) and this, along the keys; and how many came before.
    fn after_past(
        &mut self,
        node: &'a NodeProto,
        name: &str,
        at: usize,
        now: ValueId,
        [batch, heads, length, size]: Heads,
    ) -> Imported<(ValueId, Heads, usize)> {
        let Some(past) = self.input(node, at)? else { return Ok((now, [batch, heads, length, size], 0)) };
        let past = self.compute(&past)?;
        let [b, h, before, s] = self.graph.values[past].shape[..] else {
            return Err("what came before must have four dimensions".into());
        };
        if [b, h, s] != [batch, heads, size] || self.graph.values[past].kind != ElementKind::F32 {
            return Err("what came before does not fit its keys or values".into());
        }
        let dims = [batch, heads, before + length, size];
        let op = Op::Movement(Movement::Concat { axis: 2 });
        Ok((self.push(name, op, &[past, now], ElementKind::F32, &dims)?, dims, before))
    }

    /// Each head of keys or values for all the heads of queries that share it.
    fn for_each_query_head(
        &mut self,
        name: &str,
        x: ValueId,
        [batch, heads, length, size]: Heads,
        wanted: usize,
    ) -> Imported<ValueId> {
        if heads == wanted {
            return Ok(x);
        }
        let x = self.move_value(name, x, Movement::Reshape, &[batch, heads, 1, length, size])?;
        let x = self.move_value(name, x, Movement::Expand, &[batch, heads, wanted / heads, length, size])?;
        self.move_value(name, x, Movement::Reshape, &[batch, wanted, length, size])
    }

    fn allowed(&self, node: &'a NodeProto, past: usize, batch: usize, queries: usize) -> Imported<Allowed> {
        let lengths = match self.input(node, 6)? {
            None => Vec::new(),
            Some(_) => integers(&*self.parameter(node, 6, "number of keys")?)?,
        };
        if !(lengths.is_empty() || lengths.len() == batch) {
            return Err(format!("{} numbers of keys for a batch of {batch}", lengths.len()).into());
        }
        let offsets = if lengths.is_empty() {
            vec![past as i64]
        } else {
            lengths.iter().map(|length| length.saturating_sub(queries as i64)).collect()
        };
        let bound = |name: &str| node.int(name, -1).max(-1);
        let window = [bound("left_window_size"), bound("right_window_size")];
        Ok(Allowed { offsets, causal: node.int("is_causal", 0) != 0, window, lengths })
    }

    /// What is added to the scores, where anything is: the mask that is given, and what places allow.
    fn bias_of(
        &mut self,
        node: &'a NodeProto,
        name: &str,
        allowed: &Allowed,
        [batch, queries, keys]: [usize; 3],
    ) -> Imported<Option<ValueId>> {
        let mask = match self.input(node, 3)? {
            None => None,
            Some(mask) => Some(self.mask(name, &mask, keys)?),
        };
        if allowed.is_all() {
            return Ok(mask);
        }
        let pictures = allowed.offsets.len().max(allowed.lengths.len());
        let shape: Vec<usize> = if pictures == 1 { vec![queries, keys] } else { vec![batch, 1, queries, keys] };
        super::checked(&shape)?;
        self.add_computed_bytes((shape.iter().product::<usize>() * size_of::<f32>()) as u64)?;
        let places = (0..pictures).flat_map(|b| (0..queries).flat_map(move |q| (0..keys).map(move |k| (b, q, k))));
        let number = |(b, q, k)| if allowed.holds(b, q, k) { 0f32 } else { f32::NEG_INFINITY };
        let bytes: Vec<u8> = places.flat_map(|place| number(place).to_ne_bytes()).collect();
        let places = self.push(name, Op::Constant(bytes.into()), &[], ElementKind::F32, &shape)?;
        match mask {
            None => Ok(Some(places)),
            Some(mask) => self.float_binary(name, Binary::Add, mask, places).map(Some),
        }
    }

    /// The mask as floats, and nothing allowed beyond its end.
    fn mask(&mut self, name: &str, held: &Binding, keys: usize) -> Imported<ValueId> {
        let mut mask = self.compute(held)?;
        let shape = self.graph.values[mask].shape.clone();
        if self.graph.values[mask].kind == ElementKind::Bool {
            let number = |value: f32| Op::Constant(value.to_ne_bytes().to_vec().into());
            let yes = self.push(name, number(0.0), &[], ElementKind::F32, &[])?;
            let no = self.push(name, number(f32::NEG_INFINITY), &[], ElementKind::F32, &[])?;
            mask = self.push(name, Op::Number(NumberOp::Where), &[mask, yes, no], ElementKind::F32, &shape)?;
        }
        let (Some(&length), ElementKind::F32) = (shape.last(), self.graph.values[mask].kind) else {
            return Err("its mask must be floats or truth values".into());
        };
        if length >= keys || length == 1 {
            return Ok(mask);
        }
        let mut to = shape.clone();
        to[shape.len() - 1] = keys;
        let value = f32::NEG_INFINITY.to_ne_bytes().to_vec();
        self.move_value(name, mask, Movement::Pad { before: vec![0; shape.len()], value }, &to)
    }

    /// Rows of which nothing is allowed weigh nothing: their softmax is no number.
    fn without_masked_rows(&mut self, name: &str, weights: ValueId, bias: ValueId) -> Imported<ValueId> {
        let mut row = self.graph.values[bias].shape.clone();
        let Some(last) = row.len().checked_sub(1) else { return Ok(weights) };
        row[last] = 1;
        let reduce = Op::Float(FloatOp::Reduce { kind: Reduction::Max, axes: vec![last] });
        let greatest = self.push(name, reduce, &[bias], ElementKind::F32, &row)?;
        let number = |value: f32| Op::Constant(value.to_ne_bytes().to_vec().into());
        let nothing = self.push(name, number(f32::NEG_INFINITY), &[], ElementKind::F32, &[])?;
        let compare = Op::Number(NumberOp::Compare(Comparison::Equal));
        let masked = self.push(name, compare, &[greatest, nothing], ElementKind::Bool, &row)?;
        let zero = self.push(name, number(0.0), &[], ElementKind::F32, &[])?;
        let shape = self.graph.values[weights].shape.clone();
        self.push(name, Op::Number(NumberOp::Where), &[masked, zero, weights], ElementKind::F32, &shape)
    }

    fn apply_unary(&mut self, name: &str, x: ValueId, function: Unary) -> Imported<ValueId> {
        let shape = self.graph.values[x].shape.clone();
        self.push(name, Op::Unary(function), &[x], ElementKind::F32, &shape)
    }

    fn float_binary(&mut self, name: &str, op: Binary, a: ValueId, b: ValueId) -> Imported<ValueId> {
        let shape = broadcast_shape(&self.graph.values[a].shape, &self.graph.values[b].shape)?;
        self.push(name, Op::Float(FloatOp::Binary(op)), &[a, b], ElementKind::F32, &shape)
    }

    fn float_product(&mut self, name: &str, a: ValueId, b: ValueId) -> Imported<ValueId> {
        let (left, right) = (&self.graph.values[a].shape, &self.graph.values[b].shape);
        let shape = product_shape(left, right).ok_or_else(|| format!("{left:?} times {right:?}"))?;
        self.push(name, Op::Float(FloatOp::MatMul), &[a, b], ElementKind::F32, &shape)
    }
}
