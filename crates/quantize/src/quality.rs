//! How near two arrays are.

use crate::QuantizeError;
use lineside_engine::{ElementKind, Tensor, f16};

/// Signal-to-noise ratio of quantization over all samples that were added: `10 log10 (Σ a² / Σ (a − b)²)` in decibels. Where one of two
/// numbers is NaN or infinite, both are counted and left out of the sums, as is a sample in which another number of things was found.
#[derive(Debug, Default, Clone, Copy)]
pub struct Sqnr {
    signal: f64,
    noise: f64,
    largest: f64,
    dot: f64,
    other: f64,
    not_finite: [u64; 2],
    not_finite_apart: u64,
    sizes_apart: u64,
}

impl Sqnr {
    /// Adds the reference `a` and what stands for it, `b`: numbers of any kind.
    ///
    /// # Errors
    /// [`QuantizeError::Model`] where they have other numbers of elements, or elements of a kind that is not known here.
    pub fn add(&mut self, a: &Tensor, b: &Tensor) -> Result<(), QuantizeError> {
        let count = |tensor: &Tensor| tensor.shape().iter().product::<usize>();
        if count(a) != count(b) {
            return Err(QuantizeError::Model(format!(
                "an output has {} numbers in the first and {} in the second",
                count(a),
                count(b)
            )));
        }
        if let (Some(a), Some(b)) = (a.values::<f32>(), b.values::<f32>()) {
            a.iter().zip(b).for_each(|(&a, &b)| self.pair(a.into(), b.into(), f64::from(a) - f64::from(b)));
        } else if let (Some(a), Some(b)) = (whole_numbers(a), whole_numbers(b)) {
            // Beyond 2^53 they are no f64; their difference is exact all the same.
            a.iter().zip(&b).for_each(|(&a, &b)| self.pair(a as f64, b as f64, (a - b) as f64));
        } else {
            let (a, b) = (numbers(a)?, numbers(b)?);
            a.iter().zip(&b).for_each(|(&a, &b)| self.pair(a, b, a - b));
        }
        Ok(())
    }

    /// As [`Sqnr::add`], of what may have another number of elements in each run where it `is_counted`: nothing is compared where it has,
    /// and that is counted.
    ///
    /// # Errors
    /// As [`Sqnr::add`].
    pub fn add_found(&mut self, a: &Tensor, b: &Tensor, is_counted: bool) -> Result<(), QuantizeError> {
        if is_counted && a.shape() != b.shape() {
            self.sizes_apart += 1;
            return Ok(());
        }
        self.add(a, b)
    }

    fn pair(&mut self, a: f64, b: f64, difference: f64) {
        if !(a.is_finite() && b.is_finite()) {
            self.not_finite[0] += u64::from(!a.is_finite());
            self.not_finite[1] += u64::from(!b.is_finite());
            // Only infinities of one sign are equal.
            self.not_finite_apart += u64::from(a != b);
            return;
        }
        self.signal += a * a;
        self.noise += difference * difference;
        self.other += b * b;
        self.dot += a * b;
        self.largest = self.largest.max(difference.abs());
    }

    /// Whether all numbers are the same, and none is NaN.
    pub fn is_same(&self) -> bool {
        self.largest == 0.0 && !self.is_apart()
    }

    /// Whether there is a difference that no number states.
    fn is_apart(&self) -> bool {
        self.not_finite_apart > 0 || self.sizes_apart > 0
    }

    /// In decibels; infinite where both are the same, and below all numbers where one is not finite and the other is not the same, or
    /// has another number of elements.
    pub fn db(&self) -> f64 {
        match (self.is_apart(), self.noise) {
            (false, 0.0) => f64::INFINITY,
            (false, noise) => 10.0 * libm::log10(self.signal / noise),
            _ => f64::NEG_INFINITY,
        }
    }

    /// In decibels over the numbers that are finite in both; none where these are the same, or all 0 in the first.
    pub fn finite_db(&self) -> Option<f64> {
        Some(10.0 * libm::log10(self.signal / self.noise)).filter(|db| db.is_finite())
    }

    /// Noise as a part of the signal: 0 where both are the same, 1 where there is no signal, infinite as [`Sqnr::db`] is.
    pub fn relative_noise(&self) -> f64 {
        match (self.is_apart(), self.noise, self.signal) {
            (true, ..) => f64::INFINITY,
            (_, 0.0, _) => 0.0,
            (_, _, 0.0) => 1.0,
            (_, noise, signal) => noise / signal,
        }
    }

    /// The largest difference between finite numbers.
    pub fn largest_difference(&self) -> f64 {
        self.largest
    }

    /// The cosine of the angle between both: 1 where both are 0 everywhere, 0 where one of them is, or nothing is finite.
    pub fn cosine(&self) -> f64 {
        match (self.signal, self.other) {
            (0.0, 0.0) => f64::from(u8::from(self.is_same())),
            (0.0, _) | (_, 0.0) => 0.0,
            (signal, other) => self.dot / (signal.sqrt() * other.sqrt()),
        }
    }

    /// Numbers that are NaN or infinite, of both.
    pub fn not_finite(&self) -> [u64; 2] {
        self.not_finite
    }

    /// Samples in which both had another number of elements.
    pub fn sizes_apart(&self) -> u64 {
        self.sizes_apart
    }

    /// Places where one of both is NaN or infinite and the other is not the same infinity.
    pub fn not_finite_apart(&self) -> u64 {
        self.not_finite_apart
    }
}

/// The elements of a tensor of whole numbers or bools; `None` for one of floats.
fn whole_numbers(tensor: &Tensor) -> Option<Vec<i128>> {
    macro_rules! elements {
        ($($kind:ident $of:ty),*) => {
            match tensor.kind() {
                $(ElementKind::$kind => Some(tensor.values::<$of>()?.iter().map(|&value| i128::from(value)).collect()),)*
                _ => None,
            }
        };
    }
    elements!(Bool bool, U8 u8, I8 i8, U16 u16, I16 i16, I32 i32, U32 u32, I64 i64, U64 u64)
}

/// The elements of a tensor of any kind as floats.
///
/// # Errors
/// [`QuantizeError::Model`] for a kind that is not known here.
pub fn numbers(tensor: &Tensor) -> Result<Vec<f64>, QuantizeError> {
    let floats = if let Some(values) = tensor.values::<f32>() {
        Some(values.iter().map(|&value| value.into()).collect())
    } else if let Some(values) = tensor.values::<f16>() {
        Some(values.iter().map(|value| value.to_f64()).collect())
    } else if let Some(values) = tensor.values::<f64>() {
        Some(values.to_vec())
    } else {
        whole_numbers(tensor).map(|values| values.into_iter().map(|value| value as f64).collect())
    };
    floats.ok_or_else(|| QuantizeError::Model(format!("numbers of type {} cannot be compared", tensor.kind())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use lineside_engine::Element;

    fn of<T: Element>(a: &[T], b: &[T]) -> Sqnr {
        let tensor = |values: &[T]| Tensor::new(vec![values.len()], values.to_vec()).unwrap();
        let mut sqnr = Sqnr::default();
        sqnr.add(&tensor(a), &tensor(b)).unwrap();
        sqnr
    }

    /// Of a kind of numbers: the same, and another one.
    fn tells_apart<T: Element>(one: T, other: T) {
        let (same, apart) = (of(&[one, other], &[one, other]), of(&[one, other], &[other, one]));
        assert!(same.is_same() && same.db() == f64::INFINITY && same.finite_db().is_none(), "{:?} {same:?}", T::KIND);
        assert!(!apart.is_same() && apart.relative_noise() > 0.0, "{:?} {apart:?}", T::KIND);
    }

    #[test]
    fn numbers_of_every_kind_are_told_apart() {
        tells_apart(false, true);
        tells_apart(1u8, 2);
        tells_apart(-1i8, 1);
        tells_apart(1u16, 2);
        tells_apart(-1i16, 1);
        tells_apart(1u32, u32::MAX);
        tells_apart(-1i32, 1);
        // Which `f64` does not tell apart.
        tells_apart(u64::MAX, u64::MAX - 1);
        tells_apart(i64::MAX, i64::MAX - 1);
        tells_apart(f16::from_f32(1.0), f16::from_f32(2.0));
        tells_apart(1f32, 1.0 + f32::EPSILON);
        tells_apart(1f64, 1.0 + f64::EPSILON);
        let [small, large] = [Tensor::new(vec![1], vec![1u8]).unwrap(), Tensor::new(vec![2], vec![1f32, 2.0]).unwrap()];
        assert!(Sqnr::default().add(&small, &large).is_err());
    }

    #[test]
    fn other_numbers_of_things_found_are_counted_and_never_the_same() {
        let tensor = |count: usize| Tensor::new(vec![count, 2], vec![1f32; 2 * count]).unwrap();
        let mut sqnr = Sqnr::default();
        for (first, second) in [(3, 3), (3, 2), (0, 1), (0, 0)] {
            sqnr.add_found(&tensor(first), &tensor(second), true).unwrap();
        }
        assert_eq!((sqnr.sizes_apart(), sqnr.is_same(), sqnr.largest_difference()), (2, false, 0.0));
        assert_eq!((sqnr.db(), sqnr.relative_noise()), (f64::NEG_INFINITY, f64::INFINITY));
        // What has a size of its own must have the same.
        assert!(Sqnr::default().add_found(&tensor(3), &tensor(2), false).is_err());
    }

    #[test]
    fn what_is_not_finite_is_counted_and_never_the_same() {
        const NAN: f32 = f32::NAN;
        const INFINITE: f32 = f32::INFINITY;
        for (a, b, counts, apart) in [
            ([1.0, 2.0], [1.0, NAN], [0, 1], 1),
            ([NAN, 2.0], [NAN, 2.0], [1, 1], 1),
            ([1.0, INFINITE], [1.0, 7.0], [1, 0], 1),
            ([1.0, INFINITE], [1.0, -INFINITE], [1, 1], 1),
            ([NAN, NAN], [1.0, 2.0], [2, 0], 2),
            // A mask: what is added to what a Softmax takes.
            ([1.0, -INFINITE], [1.0, -INFINITE], [1, 1], 0),
        ] {
            let found = of(&a, &b);
            assert_eq!((found.not_finite(), found.not_finite_apart()), (counts, apart), "{a:?} {b:?}");
            assert_eq!((found.is_same(), found.db() > 0.0), (apart == 0, apart == 0), "{a:?} {b:?}");
            assert_eq!(found.relative_noise() == 0.0, apart == 0, "{a:?} {b:?}");
            assert!(found.cosine().is_finite() && found.largest_difference() == 0.0, "{a:?} {b:?}");
        }
        let doubles = of(&[1.0, f64::NAN], &[1.0, 2.0]);
        assert_eq!((doubles.not_finite(), doubles.is_same()), ([1, 0], false));
    }

    #[test]
    fn where_the_first_is_0_there_is_no_ratio_and_nothing_is_the_same() {
        let none = of(&[0f32, 0.0], &[1.0, 2.0]);
        assert_eq!(
            (none.finite_db(), none.is_same(), none.cosine(), none.largest_difference()),
            (None, false, 0.0, 2.0)
        );
        assert_eq!((none.db(), none.relative_noise()), (f64::NEG_INFINITY, 1.0));
    }
}
