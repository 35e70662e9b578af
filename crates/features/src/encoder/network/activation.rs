//! The activations of the feed-forward block and their derivatives.

use super::{super::Activation, slices::for_rows};
use std::f32::consts::{FRAC_1_SQRT_2, LOG2_E};

/// 1 / sqrt(2 pi), the height of the normal density.
const HEIGHT: f32 = 0.398_942_3;
/// sqrt(2 / pi), in the approximation by tanh.
const SLOPE: f32 = 0.797_884_6;
/// The coefficient of x^3 in the approximation by tanh.
const CUBIC: f32 = 0.044_715;
/// The number of values that are treated as one row; any width gives the same results.
const WIDTH: usize = 1 << 10;

/// Returns f(x) of each value.
pub(super) fn forward(activation: Activation, x: &[f32]) -> Vec<f32> {
    let mut y = x.to_vec();
    each(&mut y, x, |y, x| match activation {
        Activation::GeluErf => map(y, x, |_, x| gelu(x).0),
        Activation::GeluTanh => map(y, x, |_, x| gelu_tanh(x).0),
        Activation::Relu => map(y, x, |_, x| x.max(0.0)),
    });
    y
}

/// Multiplies dy by f'(x) in place.
pub(super) fn back(activation: Activation, x: &[f32], dy: &mut [f32]) {
    each(dy, x, |dy, x| match activation {
        Activation::GeluErf => map(dy, x, |dy, x| dy * gelu(x).1),
        Activation::GeluTanh => map(dy, x, |dy, x| dy * gelu_tanh(x).1),
        Activation::Relu => map(dy, x, |dy, x| if x > 0.0 { dy } else { 0.0 }),
    });
}

/// Calls `work` for pieces of `out` and `x`, shared among threads.
fn each(out: &mut [f32], x: &[f32], work: impl Fn(&mut [f32], &[f32]) + Send + Sync) {
    let whole = out.len() / WIDTH * WIDTH;
    let (out, rest) = out.split_at_mut(whole);
    for_rows(out, WIDTH, |first, out| work(out, &x[first * WIDTH..]));
    work(rest, &x[whole..]);
}

#[inline]
fn map(out: &mut [f32], x: &[f32], f: impl Fn(f32, f32) -> f32) {
    for (out, &x) in out.iter_mut().zip(x) {
        *out = f(*out, x);
    }
}

/// Returns e^x for x <= 0 with a relative error below 2e-7; 0 below -87, NaN for NaN.
///
/// x = n ln 2 + r, |r| <= ln 2 / 2; e^r is the Taylor series up to r^7 / 7!; 2^n is set by its bits. The code
/// has no branches and no calls, so that the compiler vectorizes it.
#[inline]
pub(super) fn exp_of_negative(x: f32) -> f32 {
    /// Adding and subtracting 1.5 * 2^23 rounds to the nearest integer.
    const ROUND: f32 = 12_582_912.0;
    const LN_2_HIGH: f32 = 0.693_359_4;
    const LN_2_LOW: f32 = -2.121_944_4e-4;
    // Unlike `max`, this keeps NaN, so that a diverging run is noticed.
    let clamped = if x < -87.0 { -87.0 } else { x };
    let n = (clamped * LOG2_E + ROUND) - ROUND;
    let r = (clamped - n * LN_2_HIGH) - n * LN_2_LOW;
    let series = 1.0
        + r * (1.0
            + r * (0.5
                + r * (1.0 / 6.0
                    + r * (1.0 / 24.0
                        + r * (1.0 / 120.0 + r * (1.0 / 720.0 + r * (1.0 / 5_040.0)))))));
    let power = f32::from_bits((((n as i32) + 127) << 23) as u32);
    if x < -87.0 { 0.0 } else { series * power }
}

/// Returns x Phi(x) and its derivative Phi(x) + x phi(x); the error of Phi is below 1.5e-7.
///
/// Source: Abramowitz and Stegun, "Handbook of Mathematical Functions", 7.1.26, for the tail of Phi.
#[inline]
fn gelu(x: f32) -> (f32, f32) {
    let z = x.abs() * FRAC_1_SQRT_2;
    let density = exp_of_negative(-z * z);
    let t = 1.0 / (1.0 + 0.327_591_1 * z);
    let series = t
        * (0.254_829_6
            + t * (-0.284_496_74 + t * (1.421_413_7 + t * (-1.453_152 + t * 1.061_405_4))));
    let tail = 0.5 * series * density;
    let phi = if x < 0.0 { tail } else { 1.0 - tail };
    (x * phi, phi + x * HEIGHT * density)
}

/// Returns 0.5 x (1 + tanh(u)), u = sqrt(2 / pi) (x + 0.044715 x^3), and its derivative.
#[inline]
fn gelu_tanh(x: f32) -> (f32, f32) {
    let u = SLOPE * (x + CUBIC * x * x * x);
    let e = exp_of_negative(-2.0 * u.abs());
    // 0.5 (1 + tanh(u)) is the logistic function at 2u.
    let upper = 1.0 / (1.0 + e);
    let share = if u < 0.0 { e * upper } else { upper };
    let slope = SLOPE * (1.0 + 3.0 * CUBIC * x * x);
    // tanh' = 1 - tanh^2 = 4 share (1 - share); `other` is 1 - share without cancellation.
    let other = if u < 0.0 { upper } else { e * upper };
    (x * share, share + x * 2.0 * share * other * slope)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exponential_is_accurate_to_single_precision() {
        for i in 0..=87_000 {
            let x = -(i as f32) / 1_000.0;
            let (ours, expected) = (f64::from(exp_of_negative(x)), f64::from(x).exp());
            assert!((ours / expected - 1.0).abs() < 2e-7 * 2.0, "{x}: {ours} {expected}");
        }
        assert_eq!(exp_of_negative(-100.0), 0.0);
        assert_eq!(exp_of_negative(0.0), 1.0);
        assert!(exp_of_negative(f32::NAN).is_nan());
    }

    /// Expected values by SciPy 1.17: x * norm.cdf(x), and norm.cdf(x) + x * norm.pdf(x).
    #[test]
    fn gelu_and_its_derivative_equal_those_of_scipy() {
        for (x, y, slope) in [
            (-5.0, -1.433_258e-6, -7.146_943e-6),
            (-1.0, -0.158_655_25, -0.083_315_47),
            (-0.1, -0.046_017_216, 0.420_476_9),
            (0.0, 0.0, 0.5),
            (0.7, 0.530_625_44, 0.976_614_1),
            (3.0, 2.995_950_3, 1.011_945_6),
        ] {
            let (ours, ours_slope) = gelu(x);
            assert!((ours - y).abs() < 4e-7, "{x}: {ours} {y}");
            assert!((ours_slope - slope).abs() < 6e-7, "{x}: {ours_slope} {slope}");
        }
    }

    #[test]
    fn the_derivatives_equal_finite_differences() {
        for f in [gelu, gelu_tanh] {
            for i in -60..=60 {
                let x = i as f32 / 10.0;
                let slope = (f(x + 1e-2).0 - f(x - 1e-2).0) / 2e-2;
                assert!((f(x).1 - slope).abs() < 2e-4, "{x}: {} {slope}", f(x).1);
            }
        }
    }
}
