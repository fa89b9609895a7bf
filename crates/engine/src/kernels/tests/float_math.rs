//! `exp` and its kin against `f64`, over all kinds of floats.

use crate::kernels::float::math;

/// One unit in the last place of `y`, or of the smallest normal number.
fn unit(y: f64) -> f64 {
    let y = (y.abs() as f32).clamp(f32::MIN_POSITIVE, f32::from_bits(0x7f7f_fffe));
    f64::from(f32::from_bits(y.to_bits() + 1)) - f64::from(y)
}

/// The greatest error of `f` where `domain` holds, over every `STEP`th float.
fn assert_within(name: &str, bound: f64, f: fn(f32) -> f32, exact: fn(f64) -> f64, domain: fn(f32) -> bool) {
    // A prime: every exponent, and the low bits in turn.
    let step = if cfg!(debug_assertions) || !cfg!(target_arch = "x86_64") { 1_000_003 } else { 9_973 };
    let special = [0.0, -0.0, f32::INFINITY, f32::NEG_INFINITY, f32::MAX, f32::MIN, 1e-45, -1e-45];
    let dense = (0..=u32::MAX).step_by(step).map(f32::from_bits);
    for x in dense.chain(special).filter(|x| !x.is_nan() && domain(*x)) {
        let (y, expected) = (f(x), exact(f64::from(x)));
        if expected.is_nan() || (expected as f32).is_infinite() || y.is_infinite() {
            let same = y == expected as f32 || (y.is_nan() && expected.is_nan());
            assert!(same, "{name}({x:e}) is {y:e}, not {expected:e}");
            continue;
        }
        let error = (f64::from(y) - expected).abs() / unit(expected);
        assert!(error <= bound, "{name}({x:e}) is {y:e}, not {expected:e}: {error:.2} ulp");
    }
    assert!(f(f32::NAN).is_nan(), "{name} of NaN");
}

#[test]
fn functions_keep_their_stated_bounds() {
    let sigmoid = |x: f64| if x < 0.0 { libm::exp(x) / (1.0 + libm::exp(x)) } else { 1.0 / (1.0 + libm::exp(-x)) };
    let softplus = |x: f64| x.max(0.0) + libm::log1p(libm::exp(-x.abs()));
    assert_within("exp", 1.1, math::exp, libm::exp, |_| true);
    assert_within("expm1", 1.5, math::expm1, libm::expm1, |_| true);
    assert_within("log", 1.0, math::log, libm::log, |_| true);
    assert_within("log1p", 1.3, math::log1p_of_fraction, libm::log1p, |x| (0.0..=1.0).contains(&x));
    assert_within("softplus", 2.0, math::softplus, softplus, |_| true);
    assert_within("tanh", 1.5, math::tanh, libm::tanh, |_| true);
    assert_within("sigmoid", 2.5, math::sigmoid, sigmoid, |_| true);
    assert_within("erf", 1.1, math::erf, libm::erf, |_| true);
}
