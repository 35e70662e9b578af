use super::{
    activation::{activate, exp},
    simd::vectorised,
    *,
};
use crate::encoder::Activation;
use botops_stats::random::Random;
use pulp::{Scalar, Simd, WithSimd};

/// Returns `n` random numbers in [-reach, reach).
fn numbers(n: usize, reach: f32, seed: u64) -> Vec<f32> {
    let mut random = Random::new(seed);
    (0..n).map(|_| (2.0 * random.unit() as f32 - 1.0) * reach).collect()
}

/// A kernel that applies a function to values.
struct Apply<'a, F>(&'a mut [f32], F);

trait OnVectors: Copy {
    fn on<S: Simd>(self, simd: S, values: &mut [f32]);
}

impl<F: OnVectors> WithSimd for Apply<'_, F> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        self.1.on(simd, self.0);
    }
}

impl OnVectors for Activation {
    #[inline(always)]
    fn on<S: Simd>(self, simd: S, values: &mut [f32]) {
        activate(simd, self, values);
    }
}

#[derive(Clone, Copy)]
struct Exp;

impl OnVectors for Exp {
    #[inline(always)]
    fn on<S: Simd>(self, simd: S, values: &mut [f32]) {
        activation::each(simd, values, |x| exp(simd, x));
    }
}

/// Returns `function` of `values`, computed with the vectors of this processor and as plain code.
fn both<F: OnVectors>(values: &[f32], function: F) -> [Vec<f32>; 2] {
    let (mut wide, mut plain) = (values.to_vec(), values.to_vec());
    vectorised(Apply(&mut wide, function));
    Apply(&mut plain, function).with_simd(Scalar);
    [wide, plain]
}

/// Returns every multiple of 1/1000 from -12 to 12, and some extreme values.
fn axis() -> Vec<f32> {
    let far = [-1e30, -1e4, -100.0, -40.0, 40.0, 100.0, 1e4, 1e30, 0.0, -0.0, 1e-30, -1e-6];
    (-12_000..=12_000).map(|step| step as f32 / 1e3).chain(far).collect()
}

#[test]
fn gelu_is_within_a_millionth_of_the_exact_value() {
    let exact = |x: f64| 0.5 * x * (1.0 + statrs::function::erf::erf(x / std::f64::consts::SQRT_2));
    for values in both(&axis(), Activation::GeluErf) {
        for (x, y) in axis().into_iter().zip(values) {
            // Beyond 8, one unit in the last place of x is more than a millionth.
            let bound = 1e-6 + 1e-7 * f64::from(x.max(0.0));
            assert!((f64::from(y) - exact(x.into())).abs() < bound, "gelu({x}) = {y}");
            assert!(x > -5.4 || y == 0.0, "gelu({x}) = {y}");
        }
    }
    // torch.nn.functional.gelu(torch.tensor([-1., 1., 3.])) = [-0.1587, 0.8413, 2.9960]; SciPy 1.17.1's
    // x * norm.cdf(x): -0.15865525, 0.84134475, 2.99595031.
    let [known, _] = both(&[-1.0, 1.0, 3.0], Activation::GeluErf);
    for (y, expected) in known.into_iter().zip([-0.158_655_25, 0.841_344_8, 2.995_950_3]) {
        assert!((y - expected).abs() < 5e-7, "{y} for {expected}");
    }
}

#[test]
fn gelu_by_tanh_equals_the_formula_in_single_precision() {
    let formula = |x: f64| {
        let y = (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044_715 * x.powi(3));
        0.5 * x * (1.0 + y.tanh())
    };
    for values in both(&axis(), Activation::GeluTanh) {
        for (x, y) in axis().into_iter().zip(values) {
            let bound = 1e-6 + 1e-6 * f64::from(x.max(0.0));
            assert!((f64::from(y) - formula(x.into())).abs() < bound, "gelu_tanh({x}) = {y}");
        }
    }
    let [relu, _] = both(&[-2.0, 0.5], Activation::Relu);
    assert_eq!(relu, [0.0, 0.5]);
}

#[test]
fn the_exponential_is_exact_to_two_units_in_the_last_place() {
    let axis: Vec<f32> = (-8_700..=8_800).map(|step| step as f32 / 100.0).collect();
    for values in both(&axis, Exp) {
        for (x, y) in axis.iter().zip(values) {
            let exact = f64::from(*x).exp();
            assert!((f64::from(y) / exact - 1.0).abs() < 2.4e-7, "exp({x}) = {y}");
        }
    }
    let [far, _] = both(&[-1e30, f32::NEG_INFINITY, 1e30], Exp);
    assert!(far[0] < 2e-38 && far[1] == far[0] && far[2].is_finite(), "{far:?}");
}

#[test]
fn softmax_keeps_the_padding_and_sums_to_one() {
    for n_columns in [1, 2, 7, 8, 9, 16, 31] {
        let stride = 32;
        let scores = numbers(3 * stride, 30.0, 5);
        let mut ours = scores.clone();
        softmax(&mut ours, stride, n_columns, 0.25);
        for (row, scores) in ours.chunks(stride).zip(scores.chunks(stride)) {
            let exact: Vec<f64> =
                scores[..n_columns].iter().map(|x| (0.25 * f64::from(*x)).exp()).collect();
            let sum: f64 = exact.iter().sum();
            for (ours, exact) in row.iter().zip(&exact) {
                assert!((f64::from(*ours) - exact / sum).abs() < 1e-6);
            }
            assert_eq!(row[n_columns..], scores[n_columns..]);
        }
    }
}

#[test]
fn a_norm_equals_the_formula_for_every_width() {
    for width in [1, 5, 8, 20, 33] {
        let norm =
            Norm { weight: numbers(width, 2.0, 1), bias: numbers(width, 1.0, 2), epsilon: 1e-5 };
        let rows = numbers(4 * width, 3.0, 3);
        let mut ours = rows.clone();
        norm.apply(&mut ours);
        for (ours, row) in ours.chunks(width).zip(rows.chunks(width)) {
            let mean = row.iter().map(|x| f64::from(*x)).sum::<f64>() / width as f64;
            let variance =
                row.iter().map(|x| (f64::from(*x) - mean).powi(2)).sum::<f64>() / width as f64;
            for column in 0..width {
                let exact = (f64::from(row[column]) - mean) / (variance + 1e-5).sqrt()
                    * f64::from(norm.weight[column])
                    + f64::from(norm.bias[column]);
                assert!(
                    (f64::from(ours[column]) - exact).abs() < 3e-6,
                    "{} for {exact}",
                    ours[column]
                );
            }
        }
    }
}

/// Packs B [depth, n_columns] into panels.
fn packed(b: &[f32], depth: usize, n_columns: usize) -> Vec<Line> {
    let mut panels = vec![Line::ZERO; n_columns.div_ceil(LANES) * depth];
    for row in 0..depth {
        for column in 0..n_columns {
            panels[column / LANES * depth + row].0[column % LANES] = b[row * n_columns + column];
        }
    }
    panels
}

#[test]
fn a_product_is_the_sum_of_products_for_every_shape() {
    for (n_rows, depth, n_columns) in [
        (1, 1, 1),
        (2, 3, 5),
        (5, 8, 16),
        (6, 17, 17),
        (7, 400, 33),
        (13, 5, 48),
        (97, 2, 20),
        (200, 800, 3),
    ] {
        let (a_stride, c_stride) = (depth + 3, n_columns + 2);
        let a = numbers(n_rows * a_stride, 1.0, 1);
        let b = numbers(depth * n_columns, 1.0, 2);
        let bias = numbers(n_columns.next_multiple_of(LANES), 1.0, 3);
        let bias: Vec<Line> =
            bias.chunks(LANES).map(|lanes| Line(lanes.try_into().unwrap())).collect();
        let before = numbers(n_rows * c_stride, 1.0, 4);
        let panels = packed(&b, depth, n_columns);
        for (start, with_bias, with_before) in [
            (Start::Zero, 0.0, 0.0),
            (Start::Bias(&bias), 1.0, 0.0),
            (Start::Residual(&bias), 1.0, 1.0),
        ] {
            let (mut wide, mut plain) = (before.clone(), before.clone());
            let product = |c| Product {
                a: &a,
                a_stride,
                n_rows,
                panels: &panels,
                depth,
                n_columns,
                c,
                c_stride,
                start,
                activation: None,
            };
            product(&mut wide).compute();
            product(&mut plain).with_simd(Scalar);
            for row in 0..n_rows {
                for column in 0..c_stride {
                    let at = row * c_stride + column;
                    let exact = match column < n_columns {
                        true => {
                            let sum: f64 = (0..depth)
                                .map(|k| {
                                    f64::from(a[row * a_stride + k])
                                        * f64::from(b[k * n_columns + column])
                                })
                                .sum();
                            let bias = bias[column / LANES].0[column % LANES];
                            sum + with_bias * f64::from(bias) + with_before * f64::from(before[at])
                        }
                        // The values between the rows are unchanged.
                        false => f64::from(before[at]),
                    };
                    for c in [&wide, &plain] {
                        let error = (f64::from(c[at]) - exact).abs();
                        // Each of the `depth` additions is rounded.
                        assert!(
                            error < 2e-6 + 1e-7 * depth as f64,
                            "{n_rows} x {depth} x {n_columns}"
                        );
                    }
                }
            }
        }
    }
}

#[test]
fn a_row_of_a_product_does_not_depend_on_the_rows_beside_it() {
    let (depth, n_columns) = (700, 40);
    let a = numbers(50 * depth, 1.0, 1);
    let panels = packed(&numbers(depth * n_columns, 1.0, 2), depth, n_columns);
    let product = |rows: std::ops::Range<usize>| {
        let mut c = vec![0.0; rows.len() * n_columns];
        Product {
            a: &a[rows.start * depth..],
            a_stride: depth,
            n_rows: rows.len(),
            panels: &panels,
            depth,
            n_columns,
            c: &mut c,
            c_stride: n_columns,
            start: Start::Zero,
            activation: Some(Activation::GeluErf),
        }
        .compute();
        c
    };
    let all = product(0..50);
    for rows in [0..1, 3..5, 7..10, 11..15, 20..25, 30..36, 17..50] {
        assert_eq!(
            product(rows.clone()),
            all[rows.start * n_columns..rows.end * n_columns],
            "{rows:?}"
        );
    }
}
