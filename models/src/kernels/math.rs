//! Functions of one number, without branches, so that loops over them become vector code. NaN gives NaN.

use std::f32::consts::{FRAC_1_SQRT_2, LOG2_E};

/// e to the x, within 2 units in the last place; 0 below -87.3, 1.6e38 from 88 on. (Cephes, expf.)
#[inline(always)]
pub(crate) fn exp(x: f32) -> f32 {
    /// Adding it rounds to a whole number, which is then in the lowest bits.
    const ROUND: f32 = 12_582_912.0;
    let clamped = x.clamp(-87.3, 88.0);
    let rounded = clamped.mul_add(LOG2_E, ROUND);
    let whole = rounded - ROUND;
    let rest = whole.mul_add(-0.693_359_4, clamped);
    let rest = whole.mul_add(2.121_944_4e-4, rest);
    let mut series = 1.987_569_1e-4f32;
    for c in [1.398_2e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 0.5] {
        series = series.mul_add(rest, c);
    }
    let fraction = series.mul_add(rest * rest, rest) + 1.0;
    // What the rounding constant has in higher bits is shifted out.
    let power = f32::from_bits((rounded.to_bits() << 23).wrapping_add(0x3f80_0000));
    let value = fraction * power;
    if x < -87.3 { 0.0 } else { value }
}

/// 1 / (1 + e^-x).
#[inline(always)]
pub(crate) fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

/// Hyperbolic tangent, within 2e-7.
#[inline(always)]
pub(crate) fn tanh(x: f32) -> f32 {
    2.0 / (1.0 + exp(-2.0 * x)) - 1.0
}

/// The error function, within 3e-7. (Abramowitz and Stegun, 7.1.26.)
#[inline(always)]
pub(crate) fn erf(x: f32) -> f32 {
    let size = x.abs();
    let t = 1.0 / size.mul_add(0.327_591_1, 1.0);
    let mut series = 1.061_405_4f32;
    for c in [-1.453_152_1, 1.421_413_8, -0.284_496_72, 0.254_829_6] {
        series = series.mul_add(t, c);
    }
    (-series * t).mul_add(exp(-size * size), 1.0).copysign(x)
}

/// Gaussian error linear unit, x/2 (1 + erf(x/sqrt 2)).
#[inline(always)]
pub(crate) fn gelu(x: f32) -> f32 {
    0.5 * x * (1.0 + erf(x * FRAC_1_SQRT_2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_the_true_functions() {
        for step in -4000..4000 {
            let x = step as f32 / 40.0;
            let true_exp = f64::from(x.clamp(-87.3, 88.0)).exp();
            assert!((f64::from(exp(x)) - true_exp).abs() <= 3e-7 * true_exp + 1e-37, "exp({x}) = {}", exp(x));
            let true_sigmoid = 1.0 / (1.0 + f64::from(-x).exp());
            assert!((f64::from(sigmoid(x)) - true_sigmoid).abs() < 3e-7, "sigmoid({x})");
            assert!((f64::from(tanh(x)) - f64::from(x).tanh()).abs() < 4e-7, "tanh({x})");
        }
        // Values of the error function to ten places.
        for (x, value) in [(0.0, 0.0), (0.1, 0.112_462_92), (0.5, 0.520_499_9), (1.0, 0.842_700_8), (2.0, 0.995_322_3)]
        {
            assert!((erf(x) - value).abs() < 4e-7, "erf({x}) = {}", erf(x));
            assert!((erf(-x) + value).abs() < 4e-7, "erf(-{x})");
        }
        assert!((gelu(1.0) - 0.841_344_7).abs() < 1e-6 && gelu(0.0) == 0.0);
    }

    #[test]
    fn odd_numbers() {
        assert!([exp, sigmoid, tanh, erf, gelu].iter().all(|f| f(f32::NAN).is_nan()));
        assert_eq!((exp(f32::NEG_INFINITY), exp(-1e9)), (0.0, 0.0));
        assert_eq!((sigmoid(f32::INFINITY), sigmoid(f32::NEG_INFINITY) < 1e-37), (1.0, true));
        assert_eq!((tanh(f32::INFINITY), tanh(f32::NEG_INFINITY), erf(f32::INFINITY)), (1.0, -1.0, 1.0));
    }
}
