//! Multiple testing.

/// Returns p-values adjusted for the false discovery rate (Benjamini-Hochberg), in the order given.
///
/// Adjusted p of rank i of K = min over ranks j >= i of p_j K / j, at most 1: monotone in p.
/// NaN counts as 1 (no evidence). The result is empty for no p-values.
/// Source: Benjamini and Hochberg 1995; `scipy.stats.false_discovery_control`.
#[must_use]
pub fn benjamini_hochberg(p_values: &[f64]) -> Vec<f64> {
    let p: Vec<f64> = p_values.iter().map(|p| if p.is_nan() { 1.0 } else { *p }).collect();
    let mut order: Vec<usize> = (0..p.len()).collect();
    order.sort_by(|&a, &b| p[a].total_cmp(&p[b]));
    let mut adjusted = vec![1.0; p.len()];
    let mut least = 1.0_f64;
    for (rank, &i) in order.iter().enumerate().rev() {
        least = least.min(p[i] * p.len() as f64 / (rank + 1) as f64);
        adjusted[i] = least;
    }
    adjusted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn adjusted_values_equal_the_reference_in_any_order() {
        let all: serde_json::Value =
            serde_json::from_str(include_str!("../../../tests/fixtures/reference_values.json"))
                .unwrap();
        let values = |key: &str| -> Vec<f64> {
            serde_json::from_value(all["multiple_testing"][key].clone()).unwrap()
        };
        let (mut p, mut expected) = (values("p"), values("bh"));
        for _ in 0..2 {
            for (got, expected) in benjamini_hochberg(&p).iter().zip(&expected) {
                assert!((got - expected).abs() < 1e-9, "{got} is not {expected}");
            }
            p.reverse();
            expected.reverse();
        }
    }

    #[test]
    fn adjusted_values_are_at_most_one_and_nan_is_no_evidence() {
        assert_eq!(benjamini_hochberg(&[0.9, f64::NAN, 0.01]), [1.0, 1.0, 0.03]);
        assert!(benjamini_hochberg(&[]).is_empty());
    }
}
