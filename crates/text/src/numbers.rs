//! Formatting of counts, shares, intervals and p-values.

/// Returns `n` with thousands separators: `12,345`.
#[must_use]
pub fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// Returns a count and its noun, in the singular for 1: `1 record`, `2,941 records`.
#[must_use]
pub fn counted(n: u64, one: &str, several: &str) -> String {
    format!("{} {}", count(n), if n == 1 { one } else { several })
}

/// Returns a share in [0, 1] as a percentage: `7.5 %`; a dash for a share that is not finite.
#[must_use]
pub fn percent(share: f64, decimals: usize) -> String {
    if share.is_finite() { format!("{:.decimals$} %", share * 100.0) } else { "–".to_owned() }
}

/// Returns an interval: `[0.902, 0.922]`.
#[must_use]
pub fn interval([lower, upper]: [f64; 2], decimals: usize) -> String {
    format!("[{lower:.decimals$}, {upper:.decimals$}]")
}

/// Returns an interval of differences, with signs: `[-0.012, +0.004]`.
#[must_use]
pub fn signed_interval([lower, upper]: [f64; 2], decimals: usize) -> String {
    format!("[{lower:+.decimals$}, {upper:+.decimals$}]")
}

/// Returns a p-value with `decimals` decimals: `0.041`, or `< 0.001` for a smaller one.
#[must_use]
pub fn p_value(p: f64, decimals: usize) -> String {
    // A quotient of exact numbers is the nearest to 0.0001; a power of 0.1 is above it.
    let least = 1.0 / 10_f64.powi(i32::try_from(decimals).unwrap_or(i32::MAX));
    if p < least { format!("< {least:.decimals$}") } else { format!("{p:.decimals$}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_separated() {
        let written = [0, 7, 999, 1_000, 12_345, 1_234_567, u64::MAX].map(count);
        let expected =
            ["0", "7", "999", "1,000", "12,345", "1,234,567", "18,446,744,073,709,551,615"];
        assert_eq!(written, expected);
    }

    #[test]
    fn one_is_singular() {
        let written = [0, 1, 2_000].map(|n| counted(n, "record", "records"));
        assert_eq!(written, ["0 records", "1 record", "2,000 records"]);
    }

    #[test]
    fn shares_intervals_and_p_values_have_fixed_decimals() {
        assert_eq!([percent(0.075, 1), percent(1.0, 0)], ["7.5 %", "100 %"]);
        assert_eq!(percent(f64::NAN, 1), "–");
        assert_eq!(interval([0.9021, 0.9219], 3), "[0.902, 0.922]");
        assert_eq!(signed_interval([-0.012, 0.004], 3), "[-0.012, +0.004]");
        assert_eq!([p_value(0.0412, 3), p_value(0.00012, 3)], ["0.041", "< 0.001"]);
        assert_eq!([p_value(0.00012, 4), p_value(0.00002, 4)], ["0.0001", "< 0.0001"]);
        assert_eq!([p_value(0.0001, 4), p_value(0.001, 3)], ["0.0001", "0.001"]);
    }
}
