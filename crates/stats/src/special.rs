//! Special functions: the chi-squared, Student and Kolmogorov distributions, and sums of exponentials.

use statrs::function::{
    beta::beta_reg,
    erf::{erfc, erfc_inv},
    gamma,
};

/// Returns ln of the gamma function at `x` > 0.
#[must_use]
pub fn ln_gamma(x: f64) -> f64 {
    gamma::ln_gamma(x)
}

/// Returns ln(sum of exp(x)) without overflow; negative infinity for no terms.
#[must_use]
pub fn log_sum_exp(terms: &[f64]) -> f64 {
    let top = terms.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    if top == f64::NEG_INFINITY {
        return top;
    }
    top + terms.iter().map(|x| (x - top).exp()).sum::<f64>().ln()
}

/// Returns P(Z >= `z`) of a standard normal variable.
#[must_use]
pub fn normal_survival(z: f64) -> f64 {
    0.5 * erfc(z / std::f64::consts::SQRT_2)
}

/// Returns the z with P(Z <= z) = `probability` of a standard normal variable.
///
/// # Panics
/// If `probability` is not in (0, 1).
#[must_use]
pub fn normal_quantile(probability: f64) -> f64 {
    assert!(probability > 0.0 && probability < 1.0, "a quantile needs a probability in (0, 1)");
    -std::f64::consts::SQRT_2 * erfc_inv(2.0 * probability)
}

/// Returns P(X >= `x`) of a chi-squared variable with `dof` degrees of freedom.
///
/// 1 at `x` <= 0 and for no degrees of freedom; 0 at infinity; NaN for NaN.
#[must_use]
pub fn chi2_survival(x: f64, dof: u32) -> f64 {
    if x.is_nan() {
        return x;
    }
    if dof == 0 || x <= 0.0 {
        return 1.0;
    }
    if x == f64::INFINITY {
        return 0.0;
    }
    gamma::gamma_ur(f64::from(dof) / 2.0, x / 2.0)
}

/// Returns the x with P(X <= x) = `probability` of a chi-squared variable with `dof` degrees of freedom.
///
/// `probability` is in (0, 1). 0 for no degrees of freedom.
///
/// # Panics
/// If `probability` is not in (0, 1).
#[must_use]
pub fn chi2_quantile(probability: f64, dof: u32) -> f64 {
    assert!(probability > 0.0 && probability < 1.0, "a quantile needs a probability in (0, 1)");
    if dof == 0 {
        return 0.0;
    }
    let above = |x: f64| 1.0 - chi2_survival(x, dof) >= probability;
    least_float(f64::from(dof).max(1.0), above)
}

/// Returns the least float > 0 for which `reached` holds, searched upward from `high` and then by bisection.
///
/// `reached` must be monotone (false, then true), as a comparison with a distribution function is; the bisection ends
/// at neighboring floats.
fn least_float(mut high: f64, reached: impl Fn(f64) -> bool) -> f64 {
    while !reached(high) {
        high *= 2.0;
    }
    let mut low = 0.0;
    loop {
        let middle = low + (high - low) / 2.0;
        if middle <= low || middle >= high {
            return high;
        }
        if reached(middle) {
            high = middle;
        } else {
            low = middle;
        }
    }
}

/// Returns P(|T| >= |`t`|) of Student's t with `dof` degrees of freedom.
///
/// I_x(dof / 2, 1 / 2) at x = dof / (dof + t^2), with I the regularized incomplete beta function. 1 at 0, 0 at either
/// infinity; NaN for NaN.
///
/// # Panics
/// If `dof` is 0.
#[must_use]
pub fn student_two_sided(t: f64, dof: u64) -> f64 {
    assert!(dof > 0, "a t statistic has at least one degree of freedom");
    if t.is_nan() {
        return t;
    }
    if t.is_infinite() {
        return 0.0;
    }
    let dof = dof as f64;
    beta_reg(dof / 2.0, 0.5, (dof / (dof + t * t)).clamp(0.0, 1.0))
}

/// Returns the t >= 0 with P(|T| <= t) = `level` of Student's t with `dof` degrees of freedom.
///
/// # Panics
/// If `level` is not in (0, 1), or `dof` is 0.
#[must_use]
pub fn student_quantile(level: f64, dof: u64) -> f64 {
    assert!(level > 0.0 && level < 1.0, "a quantile needs a probability in (0, 1)");
    least_float(1.0, |t| student_two_sided(t, dof) <= 1.0 - level)
}

/// Returns P(D >= `d`) of the two-sided one-sample Kolmogorov-Smirnov distance over `n` draws.
///
/// - for `d` >= 1/2: exact, twice the one-sided tail (Smirnov), because both sides cannot be exceeded at once
/// - otherwise: the limiting distribution at Vrbik's corrected argument, accurate to 1e-4 from 50 draws on
///
/// 1 at `d` <= 0, 0 at `d` >= 1.
/// Source: Smirnov 1944; Vrbik, "Small-sample corrections to Kolmogorov-Smirnov test statistic", 2018.
#[must_use]
pub fn kolmogorov_survival(d: f64, n: u64) -> f64 {
    if d <= 0.0 || n == 0 {
        return 1.0;
    }
    if d >= 1.0 {
        return 0.0;
    }
    if d >= 0.5 {
        return (2.0 * smirnov_survival(d, n)).min(1.0);
    }
    let n = n as f64;
    let z = d * n.sqrt();
    let z = z + 1.0 / (6.0 * n.sqrt()) + (z - 1.0) / (4.0 * n);
    limiting_kolmogorov_survival(z)
}

/// Returns P(D+ >= d) = d * sum over j of C(n, j) (d + j/n)^(j-1) (1 - d - j/n)^(n-j), for j/n <= 1 - d.
fn smirnov_survival(d: f64, n: u64) -> f64 {
    let count = n as f64;
    let ln_n = ln_gamma(count + 1.0);
    let mut sum = 0.0;
    for j in 0..=n {
        let j = j as f64;
        let left = 1.0 - d - j / count;
        if left <= 0.0 {
            break;
        }
        let ln_choose = ln_n - ln_gamma(j + 1.0) - ln_gamma(count - j + 1.0);
        sum += (ln_choose + (j - 1.0) * (d + j / count).ln() + (count - j) * left.ln()).exp();
    }
    d * sum
}

/// Returns 2 * sum over k >= 1 of (-1)^(k-1) exp(-2 k^2 z^2), using the series that converges fast at `z`.
fn limiting_kolmogorov_survival(z: f64) -> f64 {
    if z <= 0.0 {
        return 1.0;
    }
    let odd = |k: u32| f64::from(2 * k - 1).powi(2);
    if z < 1.0 {
        let scale = (2.0 * std::f64::consts::PI).sqrt() / z;
        let below: f64 =
            (1..=4).map(|k| (-odd(k) * std::f64::consts::PI.powi(2) / (8.0 * z * z)).exp()).sum();
        return (1.0 - scale * below).clamp(0.0, 1.0);
    }
    let tail: f64 = (1..=10_u32)
        .map(|k| {
            let sign = if k % 2 == 1 { 1.0 } else { -1.0 };
            sign * (-2.0 * f64::from(k * k) * z * z).exp()
        })
        .sum();
    (2.0 * tail).clamp(0.0, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(got: f64, expected: f64, relative: f64) {
        assert!((got - expected).abs() <= relative * expected.abs(), "{got} is not {expected}");
    }

    #[test]
    fn normal_tails_and_quantiles_equal_scipy() {
        // scipy 1.17: stats.norm.sf([1.96, -1, 6]), stats.norm.ppf([0.975, 0.1])
        close(normal_survival(1.96), 0.024_997_895_148_220_43, 1e-9);
        close(normal_survival(-1.0), 0.841_344_746_068_542_9, 1e-9);
        close(normal_survival(6.0), 9.865_876_450_376_946e-10, 1e-9);
        close(normal_quantile(0.975), 1.959_963_984_540_054, 1e-9);
        close(normal_quantile(0.1), -1.281_551_565_544_600_4, 1e-9);
    }

    #[test]
    fn chi_squared_quantiles_equal_scipy() {
        // scipy 1.17.1: stats.chi2.ppf(probability, dof)
        for (probability, dof, expected) in [
            (0.95, 1, 3.841458820694124),
            (0.95, 2, 5.991464547107979),
            (0.95, 5, 11.070497693516351),
            (0.95, 29, 42.55696780429269),
            (0.05, 3, 0.35184631774927144),
            (0.999, 76, 119.85034985750531),
        ] {
            close(chi2_quantile(probability, dof), expected, 1e-11);
        }
        assert_eq!(chi2_quantile(0.95, 0), 0.0);
    }

    #[test]
    fn chi_squared_tails_equal_scipy_even_far_out() {
        // scipy 1.17.1: stats.chi2.sf(x, dof)
        for (x, dof, expected) in [
            (0.3, 1, 0.583882420770365),
            (100.0, 3, 1.5541594313896026e-21),
            (60.0, 76, 0.9109870076822568),
            (26.5, 5, 7.136227323195255e-05),
            (700.0, 10, 6.280146699235733e-144),
        ] {
            close(chi2_survival(x, dof), expected, 1e-11);
        }
        assert_eq!(chi2_survival(0.0, 3), 1.0);
        assert_eq!(chi2_survival(5.0, 0), 1.0);
        assert_eq!(chi2_survival(f64::INFINITY, 2), 0.0);
    }

    #[test]
    fn both_series_of_the_kolmogorov_distribution_agree() {
        close(limiting_kolmogorov_survival(1.0 - 1e-12), limiting_kolmogorov_survival(1.0), 1e-10);
        // Smirnov's table: K(1.36) = 0.9505, K(0.83) = 0.5035.
        close(limiting_kolmogorov_survival(1.36), 0.0494859, 1e-5);
        assert_eq!(kolmogorov_survival(0.0, 100), 1.0);
        assert_eq!(kolmogorov_survival(1.0, 100), 0.0);
    }

    #[test]
    fn a_sum_of_exponentials_neither_overflows_nor_underflows() {
        close(log_sum_exp(&[1_000.0, 1_000.0]), 1_000.0 + 2_f64.ln(), 1e-15);
        close(log_sum_exp(&[-2_000.0, -2_001.0]), -2_000.0 + (1.0 + (-1_f64).exp()).ln(), 1e-15);
        assert_eq!(log_sum_exp(&[]), f64::NEG_INFINITY);
    }

    #[test]
    fn student_tails_and_quantiles_equal_scipy() {
        // scipy 1.17: 2 * stats.t.sf(2.25, 9), 2 * stats.t.sf(0.5, 1); stats.t.ppf(0.975, [4, 1, 30])
        close(student_two_sided(-2.25, 9), 0.051_003_260_706_950_79, 1e-12);
        close(student_two_sided(0.5, 1), 0.704_832_764_699_133_5, 1e-12);
        assert_eq!(student_two_sided(f64::INFINITY, 3), 0.0);
        for (dof, expected) in
            [(4, 2.776_445_105_197_793_5), (1, 12.706_204_736_432_095), (30, 2.042_272_456_301_238)]
        {
            close(student_quantile(0.95, dof), expected, 1e-9);
        }
    }
}
