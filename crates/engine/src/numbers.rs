//! Loops over elements of any kind: casts, comparisons, choices, arithmetic of whole numbers. One scalar path: what networks
//! compute of masks, indices and shapes is little.

use super::ElementKind;
use super::graph::{Arithmetic, Comparison, Fold, Logic, NumberOp};
use super::graph::{broadcast_strides, for_each_pair};
use half::f16;

/// Elements to read, row-major; bytes of the arena.
#[derive(Clone, Copy)]
pub struct Elements<'a> {
    pub kind: ElementKind,
    pub shape: &'a [usize],
    pub bytes: &'a [u8],
    /// What bytes are stored flipped by: 0x80 or 0.
    pub flip: u8,
}

/// Elements to write.
pub struct ElementsMut<'a> {
    pub kind: ElementKind,
    pub shape: &'a [usize],
    pub bytes: &'a mut [u8],
    pub flip: u8,
}

impl Elements<'_> {
    fn at<const N: usize>(&self, i: usize) -> [u8; N] {
        let mut bytes = [0; N];
        bytes.copy_from_slice(&self.bytes[i * N..][..N]);
        bytes
    }

    /// Element `i`, a whole number; floats are cut off towards zero.
    fn integer(&self, i: usize) -> i128 {
        match self.kind {
            ElementKind::Bool => i128::from(self.bytes[i] != 0),
            ElementKind::U8 => i128::from(self.bytes[i] ^ self.flip),
            ElementKind::I8 => i128::from((self.bytes[i] ^ self.flip) as i8),
            ElementKind::U16 => i128::from(u16::from_ne_bytes(self.at(i))),
            ElementKind::I16 => i128::from(i16::from_ne_bytes(self.at(i))),
            ElementKind::I32 => i128::from(i32::from_ne_bytes(self.at(i))),
            ElementKind::U32 => i128::from(u32::from_ne_bytes(self.at(i))),
            ElementKind::I64 => i128::from(i64::from_ne_bytes(self.at(i))),
            ElementKind::U64 => i128::from(u64::from_ne_bytes(self.at(i))),
            ElementKind::F16 | ElementKind::F32 | ElementKind::F64 => i128::from(self.float(i) as i64),
        }
    }

    /// Element `i` as a float.
    fn float(&self, i: usize) -> f32 {
        match self.kind {
            ElementKind::F32 => f32::from_ne_bytes(self.at(i)),
            ElementKind::F16 => f16::from_ne_bytes(self.at(i)).to_f32(),
            ElementKind::F64 => f64::from_ne_bytes(self.at(i)) as f32,
            _ => self.integer(i) as f32,
        }
    }
}

impl ElementsMut<'_> {
    fn put<const N: usize>(&mut self, i: usize, bytes: [u8; N]) {
        self.bytes[i * N..][..N].copy_from_slice(&bytes);
    }

    /// A whole number; what does not fit keeps its lowest bits.
    fn set_integer(&mut self, i: usize, value: i128) {
        match self.kind {
            ElementKind::Bool => self.bytes[i] = u8::from(value != 0),
            ElementKind::U8 | ElementKind::I8 => self.bytes[i] = value as u8 ^ self.flip,
            ElementKind::U16 | ElementKind::I16 => self.put(i, (value as u16).to_ne_bytes()),
            ElementKind::I32 | ElementKind::U32 => self.put(i, (value as i32).to_ne_bytes()),
            ElementKind::I64 | ElementKind::U64 => self.put(i, (value as i64).to_ne_bytes()),
            ElementKind::F16 | ElementKind::F32 | ElementKind::F64 => self.set_float(i, value as f32),
        }
    }

    /// A float; whole numbers cut off towards zero.
    fn set_float(&mut self, i: usize, value: f32) {
        match self.kind {
            ElementKind::F32 => self.put(i, value.to_ne_bytes()),
            ElementKind::F16 => self.put(i, f16::from_f32(value).to_ne_bytes()),
            ElementKind::F64 => self.put(i, f64::from(value).to_ne_bytes()),
            ElementKind::Bool => self.bytes[i] = u8::from(value != 0.0),
            _ => self.set_integer(i, i128::from(value as i64)),
        }
    }
}

/// Every element as one of another kind: `Cast` of ONNX.
pub fn cast(x: Elements, mut y: ElementsMut) {
    let count = y.shape.iter().product();
    if (x.kind, y.kind) == (ElementKind::I32, ElementKind::F32) {
        // The sums of dynamically quantized products, which are many.
        for (y, x) in y.bytes.as_chunks_mut::<4>().0.iter_mut().zip(x.bytes.as_chunks::<4>().0) {
            *y = (i32::from_ne_bytes(*x) as f32).to_ne_bytes();
        }
    } else if x.kind.is_float() {
        (0..count).for_each(|i| y.set_float(i, x.float(i)));
    } else {
        (0..count).for_each(|i| y.set_integer(i, x.integer(i)));
    }
}

/// The places of elements that are not 0, `y [rank, bound]`, row-major; the rest of `y` is 0. Returns their number.
pub fn non_zero(x: Elements, is_live: impl Fn(usize) -> bool, y: &mut [i64]) -> usize {
    let bound = y.len() / x.shape.len().max(1);
    y.fill(0);
    let mut found = 0;
    for place in 0..x.shape.iter().product() {
        let is_zero = if x.kind.is_float() { x.float(place) == 0.0 } else { x.integer(place) == 0 };
        if is_zero || !is_live(place) || found == bound {
            continue;
        }
        let mut rest = place;
        for (axis, &dim) in x.shape.iter().enumerate().rev() {
            y[axis * bound + found] = (rest % dim) as i64;
            rest /= dim;
        }
        found += 1;
    }
    found
}

/// A float among others: NaN is greater than every number, and both zeros are one.
fn order(value: f32) -> i32 {
    let magnitude = (value.to_bits() & 0x7fff_ffff) as i32;
    match value {
        _ if value.is_nan() => i32::MAX,
        _ if value.is_sign_negative() => -magnitude,
        _ => magnitude,
    }
}

/// The greatest or the least elements along an axis, in order, and their places in it: as many as `y` has there. Of equal ones the first.
pub fn top_k(x: Elements, y: ElementsMut, indices: &mut [i64], axis: usize, greatest: bool) {
    let (length, wanted) = (x.shape[axis], y.shape[axis]);
    let (outer, inner) = (x.shape[..axis].iter().product::<usize>(), x.shape[axis + 1..].iter().product::<usize>());
    let size = x.kind.size();
    for (o, i) in (0..outer).flat_map(|o| (0..inner).map(move |i| (o, i))) {
        let element = |place: usize| (o * length + place) * inner + i;
        let key = |place: usize| match x.kind.is_float() {
            true => order(x.float(element(place))).into(),
            false => x.integer(element(place)),
        };
        let is_better = |a: i128, b: i128| if greatest { a > b } else { a < b };
        let at = |rank: usize| (o * wanted + rank) * inner + i;
        let mut chosen = 0;
        for place in 0..length {
            let own = key(place);
            let beats = |indices: &[i64], rank: usize| is_better(own, key(indices[at(rank)] as usize));
            if chosen == wanted && !beats(indices, wanted - 1) {
                continue;
            }
            // Behind all that are as good: these came first.
            let (mut low, mut high) = (0, chosen);
            while low < high {
                let middle = low.midpoint(high);
                if beats(indices, middle) {
                    high = middle;
                } else {
                    low = middle + 1;
                }
            }
            chosen = (chosen + 1).min(wanted);
            for rank in (low + 1..chosen).rev() {
                indices[at(rank)] = indices[at(rank - 1)];
            }
            indices[at(low)] = place as i64;
        }
        for rank in 0..wanted {
            let from = &x.bytes[element(indices[at(rank)] as usize) * size..][..size];
            y.bytes[at(rank) * size..][..size].copy_from_slice(from);
        }
    }
}

/// Runs an op.
///
/// # Errors
/// One line, where a whole number is divided by 0, or an index is out of range.
pub fn run(op: &NumberOp, x: &[Elements], mut y: ElementsMut) -> Result<(), String> {
    let count: usize = y.shape.iter().product();
    match op {
        NumberOp::Arithmetic(op) if y.kind.is_float() => {
            each_pair(x, &mut y, |y, i, j, k| y.set_float(i, float_arithmetic(*op, x[0].float(j), x[1].float(k))));
        }
        NumberOp::Arithmetic(op) => {
            let mut divided = true;
            each_pair(x, &mut y, |y, i, j, k| match arithmetic(*op, x[0].integer(j), x[1].integer(k)) {
                Some(value) => y.set_integer(i, value),
                None => divided = false,
            });
            if !divided {
                return Err("a whole number is divided by 0".into());
            }
        }
        NumberOp::Compare(op) if x[0].kind.is_float() => {
            each_pair(x, &mut y, |y, i, j, k| y.set_integer(i, compare(*op, x[0].float(j), x[1].float(k)).into()));
        }
        NumberOp::Compare(op) => {
            each_pair(x, &mut y, |y, i, j, k| y.set_integer(i, compare(*op, x[0].integer(j), x[1].integer(k)).into()));
        }
        NumberOp::Logic(op) => each_pair(x, &mut y, |y, i, j, k| {
            let (a, b) = (x[0].integer(j) != 0, x[1].integer(k) != 0);
            let value = match op {
                Logic::And => a && b,
                Logic::Or => a || b,
                Logic::Xor => a != b,
            };
            y.set_integer(i, value.into());
        }),
        NumberOp::Not => (0..count).for_each(|i| y.set_integer(i, (x[0].integer(i) == 0).into())),
        NumberOp::IsNan => (0..count).for_each(|i| y.set_integer(i, x[0].float(i).is_nan().into())),
        NumberOp::IsInfinite { negative, positive } => (0..count).for_each(|i| {
            let value = x[0].float(i);
            let found = (value == f32::INFINITY && *positive) || (value == f32::NEG_INFINITY && *negative);
            y.set_integer(i, found.into());
        }),
        NumberOp::Absolute => (0..count).for_each(|i| y.set_integer(i, x[0].integer(i).wrapping_abs())),
        NumberOp::Negative => (0..count).for_each(|i| y.set_integer(i, x[0].integer(i).wrapping_neg())),
        NumberOp::BitNot => (0..count).for_each(|i| y.set_integer(i, !x[0].integer(i))),
        NumberOp::Sign if x[0].kind.is_float() => (0..count).for_each(|i| {
            let value = x[0].float(i);
            y.set_float(i, if value == 0.0 || value.is_nan() { value } else { 1f32.copysign(value) });
        }),
        NumberOp::Sign => (0..count).for_each(|i| y.set_integer(i, x[0].integer(i).signum())),
        NumberOp::Where => choose(x, &mut y),
        NumberOp::ArgReduce { axis, greatest, last } => {
            let shape = x[0].shape;
            let (length, inner) = (shape[*axis], shape[*axis + 1..].iter().product::<usize>());
            for i in 0..count {
                let at = |l: usize| (i / inner * length + l) * inner + i % inner;
                let mut best = 0;
                for l in 1..length {
                    // A float that is none is never better, so the first of a row wins over those behind it.
                    let order = if x[0].kind.is_float() {
                        x[0].float(at(l)).partial_cmp(&x[0].float(at(best)))
                    } else {
                        Some(x[0].integer(at(l)).cmp(&x[0].integer(at(best))))
                    };
                    let better =
                        order.is_some_and(|order| if order.is_eq() { *last } else { order.is_gt() == *greatest });
                    if better {
                        best = l;
                    }
                }
                y.set_integer(i, best as i128);
            }
        }
        NumberOp::GatherElements { axis } => return gather_elements(x, &mut y, *axis),
        NumberOp::Reduce { kind, .. } => {
            let strides = broadcast_strides(y.shape, x[0].shape);
            let start = match kind {
                Fold::Sum => 0,
                Fold::Product => 1,
                Fold::Min => i128::MAX,
                Fold::Max => i128::MIN,
            };
            // Partial results are kept in the output: of fewer bits they wrap as the whole would.
            let mut begun = vec![false; count];
            for_each_pair(x[0].shape, &strides, &strides, |i, j, _| {
                let element = x[0].integer(i);
                let so_far = if begun[j] { own(&y, j) } else { start };
                begun[j] = true;
                y.set_integer(
                    j,
                    match kind {
                        Fold::Sum => so_far.wrapping_add(element),
                        Fold::Product => so_far.wrapping_mul(element),
                        Fold::Min => so_far.min(element),
                        Fold::Max => so_far.max(element),
                    },
                );
            });
        }
    }
    Ok(())
}

/// What was written to element `i`.
fn own(y: &ElementsMut, i: usize) -> i128 {
    Elements { kind: y.kind, shape: y.shape, bytes: y.bytes, flip: y.flip }.integer(i)
}

/// Calls `set(y, out, a, b)` with the indices of every element and of both operands, broadcast.
fn each_pair(x: &[Elements], y: &mut ElementsMut, mut set: impl FnMut(&mut ElementsMut, usize, usize, usize)) {
    let shape = y.shape;
    let (a, b) = (broadcast_strides(x[0].shape, shape), broadcast_strides(x[1].shape, shape));
    for_each_pair(shape, &a, &b, |i, j, k| set(y, i, j, k));
}

fn gather_elements(x: &[Elements], y: &mut ElementsMut, axis: usize) -> Result<(), String> {
    let (data, size, length) = (&x[0], y.kind.size(), x[0].shape[axis]);
    for place in 0..y.shape.iter().product() {
        let index = x[1].integer(place);
        let chosen = if index < 0 { index + length as i128 } else { index };
        let chosen = usize::try_from(chosen).ok().filter(|&chosen| chosen < length);
        let chosen = chosen.ok_or_else(|| format!("index {index} is out of range of {length} places"))?;
        let (mut rest, mut from, mut step) = (place, 0, 1);
        for (i, &dim) in y.shape.iter().enumerate().rev() {
            from += step * if i == axis { chosen } else { rest % dim };
            rest /= dim;
            step *= data.shape[i];
        }
        y.bytes[place * size..][..size].copy_from_slice(&data.bytes[from * size..][..size]);
    }
    Ok(())
}

fn choose(x: &[Elements], y: &mut ElementsMut) {
    let (shape, size) = (y.shape, y.kind.size());
    let [condition, a, b] = [0, 1, 2].map(|i| broadcast_strides(x[i].shape, shape));
    // Two walks, as offsets of three operands advance alike.
    for (holds, strides, from) in [(true, &a, &x[1]), (false, &b, &x[2])] {
        for_each_pair(shape, &condition, strides, |i, c, j| {
            if (x[0].bytes[c] != 0) == holds {
                y.bytes[i * size..][..size].copy_from_slice(&from.bytes[j * size..][..size]);
            }
        });
    }
}

fn compare<T: PartialOrd>(op: Comparison, a: T, b: T) -> bool {
    match op {
        Comparison::Equal => a == b,
        Comparison::Less => a < b,
        Comparison::LessOrEqual => a <= b,
        Comparison::Greater => a > b,
        Comparison::GreaterOrEqual => a >= b,
    }
}

/// `None` for a division by 0. What overflows wraps.
fn arithmetic(op: Arithmetic, a: i128, b: i128) -> Option<i128> {
    Some(match op {
        Arithmetic::Add => a.wrapping_add(b),
        Arithmetic::Sub => a.wrapping_sub(b),
        Arithmetic::Mul => a.wrapping_mul(b),
        Arithmetic::Div | Arithmetic::Modulo | Arithmetic::Remainder if b == 0 => return None,
        Arithmetic::Div => a.wrapping_div(b),
        Arithmetic::Modulo => {
            let rest = a.wrapping_rem(b);
            if rest != 0 && (rest < 0) != (b < 0) { rest.wrapping_add(b) } else { rest }
        }
        Arithmetic::Remainder => a.wrapping_rem(b),
        Arithmetic::Power => match u32::try_from(b) {
            Ok(b) => a.wrapping_pow(b),
            // Below 1 but for powers of 1 and -1.
            Err(_) => match a {
                1 => 1,
                -1 if b % 2 == 0 => 1,
                -1 => -1,
                _ => 0,
            },
        },
        Arithmetic::Min => a.min(b),
        Arithmetic::Max => a.max(b),
        Arithmetic::BitAnd => a & b,
        Arithmetic::BitOr => a | b,
        Arithmetic::BitXor => a ^ b,
        // By less than 0, or by more bits than there are: every bit is shifted out.
        Arithmetic::ShiftLeft => u32::try_from(b).ok().and_then(|b| a.checked_shl(b)).unwrap_or(0),
        Arithmetic::ShiftRight => u32::try_from(b).ok().and_then(|b| a.checked_shr(b)).unwrap_or(a.signum().min(0)),
    })
}

/// The remainders alone come here: all other float arithmetic has loops of its own.
fn float_arithmetic(op: Arithmetic, a: f32, b: f32) -> f32 {
    match op {
        Arithmetic::Remainder => libm::fmodf(a, b),
        Arithmetic::Modulo => {
            let rest = libm::fmodf(a, b);
            if rest != 0.0 && (rest < 0.0) != (b < 0.0) { rest + b } else { rest }
        }
        Arithmetic::Add => a + b,
        Arithmetic::Sub => a - b,
        Arithmetic::Mul => a * b,
        Arithmetic::Div => a / b,
        Arithmetic::Min => a.min(b),
        Arithmetic::Max => a.max(b),
        _ => f32::NAN,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn integers(values: &[i64]) -> Vec<u8> {
        values.iter().flat_map(|v| v.to_ne_bytes()).collect()
    }

    fn of<'a>(kind: ElementKind, shape: &'a [usize], bytes: &'a [u8]) -> Elements<'a> {
        Elements { kind, shape, bytes, flip: 0 }
    }

    fn result(op: &NumberOp, x: &[Elements], kind: ElementKind, shape: &[usize]) -> Result<Vec<i128>, String> {
        let mut bytes = vec![0; shape.iter().product::<usize>() * kind.size()];
        run(op, x, ElementsMut { kind, shape, bytes: &mut bytes, flip: 0 })?;
        let y = of(kind, shape, &bytes);
        Ok((0..shape.iter().product()).map(|i| y.integer(i)).collect())
    }

    #[test]
    fn whole_numbers_follow_the_rules_of_onnx() {
        let (a, b) = (integers(&[7, -7, 7, -7]), integers(&[3, 3, -3, -3]));
        let x = [of(ElementKind::I64, &[4], &a), of(ElementKind::I64, &[4], &b)];
        let of_op = |op| result(&NumberOp::Arithmetic(op), &x, ElementKind::I64, &[4]).unwrap();
        assert_eq!(of_op(Arithmetic::Div), [2, -2, -2, 2]);
        assert_eq!(of_op(Arithmetic::Modulo), [1, 2, -2, -1]);
        assert_eq!(of_op(Arithmetic::Remainder), [1, -1, 1, -1]);
        let zero = integers(&[0]);
        let by_zero = [x[0], of(ElementKind::I64, &[], &zero)];
        for op in [Arithmetic::Div, Arithmetic::Modulo, Arithmetic::Remainder] {
            assert!(result(&NumberOp::Arithmetic(op), &by_zero, ElementKind::I64, &[4]).is_err());
        }
    }

    #[test]
    fn the_first_or_the_last_of_equal_elements_is_found() {
        let x = integers(&[1, 5, 5, 0, 0, 5]);
        let x = [of(ElementKind::I64, &[2, 3], &x)];
        let arg = |axis, greatest, last| {
            let shape = if axis == 0 { [1, 3] } else { [2, 1] };
            result(&NumberOp::ArgReduce { axis, greatest, last }, &x, ElementKind::I64, &shape).unwrap()
        };
        assert_eq!(arg(1, true, false), [1, 2]);
        assert_eq!(arg(1, true, true), [2, 2]);
        assert_eq!(arg(1, false, true), [0, 1]);
        assert_eq!(arg(0, false, false), [1, 1, 0]);
    }

    #[test]
    fn a_choice_is_broadcast_from_all_three() {
        let condition = [1, 0];
        let (a, b) = (integers(&[1, 2, 3]), integers(&[9]));
        let x = [
            of(ElementKind::Bool, &[2, 1], &condition),
            of(ElementKind::I64, &[3], &a),
            of(ElementKind::I64, &[1, 1], &b),
        ];
        assert_eq!(result(&NumberOp::Where, &x, ElementKind::I64, &[2, 3]).unwrap(), [1, 2, 3, 9, 9, 9]);
    }

    #[test]
    fn casts_cut_towards_zero_and_round_halves_to_even() {
        let floats: Vec<u8> = [-1.9f32, 1.9, 65519.0, 0.0].iter().flat_map(|v| v.to_ne_bytes()).collect();
        let x = of(ElementKind::F32, &[4], &floats);
        let to = |kind: ElementKind| {
            let mut bytes = vec![0; 4 * kind.size()];
            cast(x, ElementsMut { kind, shape: &[4], bytes: &mut bytes, flip: 0 });
            bytes
        };
        assert_eq!(of(ElementKind::I32, &[4], &to(ElementKind::I32)).integer(0), -1);
        assert_eq!(to(ElementKind::Bool), [1, 1, 1, 0]);
        let halves = to(ElementKind::F16);
        let halves = of(ElementKind::F16, &[4], &halves);
        assert_eq!((halves.float(0), halves.float(2)), (-1.900_390_6, 65504.0));
    }

    #[test]
    fn whole_numbers_are_folded_in_their_own_kind() {
        let bytes = [200u8, 100, 3, 4];
        let x = [of(ElementKind::U8, &[2, 2], &bytes)];
        let fold = |kind| result(&NumberOp::Reduce { kind, axes: vec![1] }, &x, ElementKind::U8, &[2, 1]).unwrap();
        assert_eq!(fold(Fold::Max), [200, 4]);
        assert_eq!(fold(Fold::Min), [100, 3]);
        assert_eq!(fold(Fold::Sum), [300 % 256, 7]);
        assert_eq!(fold(Fold::Product), [20000 % 256, 12]);
    }
}
