//! GELU, its approximation by tanh, ReLU, and the exponential function.

use crate::encoder::Activation;
use pulp::Simd;

/// Replaces each value by its `activation`.
#[inline(always)]
pub(super) fn activate<S: Simd>(simd: S, activation: Activation, values: &mut [f32]) {
    match activation {
        Activation::GeluErf => each(
            simd,
            values,
            #[inline(always)]
            |x| gelu(simd, x),
        ),
        Activation::GeluTanh => each(
            simd,
            values,
            #[inline(always)]
            |x| gelu_tanh(simd, x),
        ),
        Activation::Relu => each(
            simd,
            values,
            #[inline(always)]
            |x| simd.max_f32s(x, simd.splat_f32s(0.0)),
        ),
    }
}

/// Replaces each value by `function` of it; the result does not depend on the position of the value.
#[inline(always)]
pub(super) fn each<S: Simd>(simd: S, values: &mut [f32], function: impl Fn(S::f32s) -> S::f32s) {
    let (vectors, rest) = S::as_mut_simd_f32s(values);
    for vector in vectors {
        *vector = function(*vector);
    }
    if !rest.is_empty() {
        let result = function(simd.partial_load_f32s(rest));
        simd.partial_store_f32s(rest, result);
    }
}

/// Returns x Phi(x), within 1e-6 of the exact value for |x| <= 8, and exactly x or 0 for |x| > 5.4.
///
/// erf(x / sqrt(2)) = x P(x^2) for |x| <= 5.4; at 5.4 it is 1 in single precision. P has degree 14 in
/// u = 2 x^2 / 5.4^2 - 1. It was fitted by least squares, reweighted to minimize the largest error of GELU.
#[inline(always)]
fn gelu<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
    const END: f32 = 5.4;
    const P: [f32; 15] = [
        0.000_833_041_73,
        -0.002_153_477_2,
        0.001_674_511_2,
        -0.002_123_715_8,
        0.007_316_252,
        -0.013_668_418,
        0.019_361_563,
        -0.027_822_93,
        0.039_254_174,
        -0.051_513_437,
        0.064_240_955,
        -0.078_412_06,
        0.096_998_64,
        -0.130_656_14,
        0.261_856_23,
    ];
    let (one, minus_one) = (simd.splat_f32s(1.0), simd.splat_f32s(-1.0));
    let near = simd.min_f32s(simd.max_f32s(x, simd.splat_f32s(-END)), simd.splat_f32s(END));
    let u = simd.mul_add_e_f32s(
        simd.mul_f32s(near, near),
        simd.splat_f32s(2.0 / (END * END)),
        minus_one,
    );
    let mut p = simd.splat_f32s(P[0]);
    for coefficient in &P[1..] {
        p = simd.mul_add_e_f32s(p, u, simd.splat_f32s(*coefficient));
    }
    // At its end the fit slightly exceeds 1; after clamping, it is exactly 1 from there on.
    let erf = simd.min_f32s(simd.max_f32s(simd.mul_f32s(near, p), minus_one), one);
    let half = simd.mul_f32s(x, simd.splat_f32s(0.5));
    simd.mul_add_e_f32s(half, erf, half)
}

/// Returns x / (1 + e^(-2 y)) with y = sqrt(2 / pi) (x + 0.044715 x^3): the same as x (1 + tanh y) / 2.
#[inline(always)]
fn gelu_tanh<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
    /// -2 sqrt(2 / pi)
    const SCALE: f32 = -1.595_769;
    let cubic = simd.mul_f32s(simd.mul_f32s(x, x), simd.splat_f32s(0.044_715));
    let y = simd.mul_f32s(simd.mul_add_e_f32s(cubic, x, x), simd.splat_f32s(SCALE));
    let one = simd.splat_f32s(1.0);
    simd.div_f32s(x, simd.add_f32s(one, exp(simd, y)))
}

/// Returns e^x, within 2 units in the last place; x is first clamped to [-87, 88], where the result is a normal number.
///
/// e^x = 2^n e^r, where n is the integer nearest to x log2(e), |r| <= ln(2) / 2, and e^r is a polynomial of degree 6.
#[inline(always)]
pub(super) fn exp<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
    const P: [f32; 7] =
        [0.001_383_678_6, 0.008_374_863, 0.041_668_23, 0.166_664_2, 0.499_999_9, 1.0, 1.0];
    /// 1.5 * 2^23; the last bits of the sum with a small number are the nearest integer.
    const ROUND: f32 = 12_582_912.0;
    /// ln(2) in two parts; the first has few bits, so that n times it is exact.
    const LN_2: [f32; 2] = [0.693_359_4, -2.121_944_4e-4];
    let x = simd.min_f32s(simd.max_f32s(x, simd.splat_f32s(-87.0)), simd.splat_f32s(88.0));
    let shifted =
        simd.mul_add_e_f32s(x, simd.splat_f32s(std::f32::consts::LOG2_E), simd.splat_f32s(ROUND));
    let n = simd.sub_f32s(shifted, simd.splat_f32s(ROUND));
    let r = simd.mul_add_e_f32s(n, simd.splat_f32s(-LN_2[0]), x);
    let r = simd.mul_add_e_f32s(n, simd.splat_f32s(-LN_2[1]), r);
    let mut p = simd.splat_f32s(P[0]);
    for coefficient in &P[1..] {
        p = simd.mul_add_e_f32s(p, r, simd.splat_f32s(*coefficient));
    }
    // The exponent of 2^n, biased by 127; the shift drops the bits of ROUND.
    let biased = simd.add_u32s(simd.transmute_u32s_f32s(shifted), simd.splat_u32s(127));
    let power = simd.wrapping_dyn_shl_u32s(biased, simd.splat_u32s(23));
    simd.mul_f32s(p, simd.transmute_f32s_u32s(power))
}
