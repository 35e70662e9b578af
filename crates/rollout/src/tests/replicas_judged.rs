//! Size and power of the judge with evidence from several replicas: few repeats with fixed seeds. `benches/judge.rs` has
//! the figures of many.

use super::replicas_simulated::{Traffic, simulate};

fn traffic(rates: Vec<[f64; 2]>, replicas: usize) -> Traffic {
    Traffic { rates, replicas, per_step: 4_000, alpha: 0.05 }
}

#[test]
fn the_median_to_a_rollback_is_within_its_figure() {
    // 30 repeats: the median of many is about 1,550.
    let (share, median) = simulate(&traffic(vec![[0.03, 0.09]], 3), 30);
    assert_eq!(share, 1.0);
    assert!(median <= 2_000.0, "{median}");
    let (share, median) = simulate(&traffic(vec![[0.01, 0.03]], 10), 30);
    assert!(share >= 0.95, "{share}");
    assert!(median <= 5_500.0, "{median}");
}

#[test]
fn a_kind_that_is_worse_is_found_among_seven() {
    let mut rates = vec![[0.03, 0.03]; 7];
    rates[5] = [0.03, 0.09];
    // Soon after the second step begins, most are found; the first step alone decides about six of ten.
    let (share, median) = simulate(&traffic(rates, 3), 24);
    assert_eq!(share, 1.0);
    assert!(median <= 4_200.0, "{median}");
}

#[test]
fn without_a_change_few_are_rolled_back_whatever_the_peeking() {
    // At most 5 % of 60 are expected, with a standard error of 1.7: 7 are 2.4 standard errors away.
    let rolled_back = 60.0 * simulate(&traffic(vec![[0.05, 0.05]; 4], 3), 60).0;
    assert!(rolled_back <= 7.0, "{rolled_back} of 60");
}
