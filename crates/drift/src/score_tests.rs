//! Scores: noise floors that hold, changes that are found with their power, and old reports without scores.

use crate::{Column, DriftReport, DriftSide, DriftSpec, DriftVerdict, POWER, Role, compare};
use botops_spec::Spec as _;
use botops_stats::random::Random;

/// Compares two columns, one of names with the shares `names` and one of normal numbers with the mean `shift`.
fn report(random: &mut Random, n: [usize; 2], names: [[f64; 3]; 2], shift: f64) -> DriftReport {
    let sides: Vec<[Column; 2]> = (0..2)
        .map(|side| {
            let mut columns = ["channel", "score"].map(|name| Column::new(name, Role::Other));
            for _ in 0..n[side] {
                let at = random.unit();
                let shares = names[side];
                let name = if at < shares[0] {
                    "web"
                } else if at < shares[0] + shares[1] {
                    "app"
                } else {
                    "phone"
                };
                columns[0].add(name);
                columns[1].add(&format!("{:.9}", random.normal() + shift * side as f64));
            }
            columns
        })
        .collect();
    let side = |at: usize| DriftSide { name: "a", rows: &[], columns: &sides[at] };
    compare(&side(0), &side(1), &DriftSpec::default().check().unwrap()).unwrap()
}

const SHARES: [f64; 3] = [0.5, 0.3, 0.2];

#[test]
fn noise_floors_are_exceeded_five_times_in_a_hundred() {
    let mut random = Random::new(7);
    let mut over = std::collections::BTreeMap::<String, u32>::new();
    for _ in 0..400 {
        let report = report(&mut random, [500, 300], [SHARES; 2], 0.0);
        for check in &report.checks {
            for score in &check.scores {
                let key = format!("{} {}", check.name, score.name);
                *over.entry(key).or_default() += u32::from(score.value > score.noise95);
            }
        }
    }
    let names: Vec<&str> = over.keys().map(String::as_str).collect();
    assert_eq!(
        names,
        [
            "channel chi2_homogeneity",
            "channel js_distance",
            "channel psi",
            "score js_distance",
            "score ks_2samp",
            "score psi",
            "score wasserstein_sd"
        ]
    );
    // 5 % of 400 are 20, with a standard deviation of 4.4.
    assert!(over.values().all(|n| (4..=38).contains(n)), "{over:?}");
}

#[test]
fn a_detectable_change_is_found_with_the_stated_power() {
    let mut random = Random::new(8);
    let still = report(&mut random, [400, 400], [SHARES; 2], 0.0);
    let detectable = |check: usize, score: &str| {
        let score = still.checks[check].scores.iter().find(|s| s.name == score).unwrap();
        score.detectable.unwrap()
    };
    // Shares that move from the first name to the others until their PSI is detectable.
    let psi = |shares: &[f64; 3]| -> f64 {
        shares.iter().zip(&SHARES).map(|(p, q)| (p - q) * (p / q).ln()).sum()
    };
    let moved = |by: f64| [SHARES[0] - by, SHARES[1] + by / 2.0, SHARES[2] + by / 2.0];
    let by = (1..400)
        .map(|i| f64::from(i) / 1_000.0)
        .find(|by| psi(&moved(*by)) >= detectable(0, "psi"));
    let (by, shift) = (by.unwrap(), detectable(1, "wasserstein_sd"));
    let rate = |random: &mut Random, shares: [f64; 3], shift: f64, check: usize| {
        let found = (0..150)
            .filter(|_| {
                let report = report(random, [400, 400], [SHARES, shares], shift);
                report.checks[check].verdict == DriftVerdict::Drift
            })
            .count();
        found as f64 / 150.0
    };
    let found = rate(&mut random, moved(by), 0.0, 0);
    assert!((POWER - 0.08..=0.98).contains(&found), "{found} of shares moved by {by}");
    let found = rate(&mut random, SHARES, shift, 1);
    assert!(found >= POWER - 0.05, "{found} of a shift of {shift}");
    let found = rate(&mut random, SHARES, 0.3 * shift, 1);
    assert!(found < 0.5, "{found} of a third of the shift");
}

#[test]
fn more_rows_see_smaller_changes_and_few_see_none() {
    let mut random = Random::new(9);
    let seen = |random: &mut Random, n: usize| {
        let report = report(random, [n, n], [SHARES; 2], 0.0);
        let mut all = report.checks.iter().flat_map(|check| check.deciding());
        [all.next().unwrap().detectable, all.next().unwrap().detectable]
    };
    let (few, many) = (seen(&mut random, 100), seen(&mut random, 2_000));
    assert!(few[0] > many[0] && few[1] > many[1], "{few:?} {many:?}");
    // The threshold bounds what is found, however many rows there are.
    assert!(many[0].unwrap() >= 0.1 && many[1].unwrap() >= 0.1);
    // No distance of 3 against 3 values is significant.
    assert_eq!(seen(&mut random, 3)[1], None);
}

#[test]
fn a_report_without_scores_is_still_read() {
    let mut random = Random::new(10);
    let mut old = serde_json::to_value(report(&mut random, [200, 200], [SHARES; 2], 0.0)).unwrap();
    let written = old.clone();
    for check in old["checks"].as_array_mut().unwrap() {
        check.as_object_mut().unwrap().remove("scores").unwrap();
    }
    let read: DriftReport = serde_json::from_value(old.clone()).unwrap();
    assert!(read.checks[0].deciding().is_none());
    assert_eq!(serde_json::to_value(&read).unwrap(), old);
    let read: DriftReport = serde_json::from_value(written.clone()).unwrap();
    assert_eq!(serde_json::to_value(&read).unwrap(), written);
}
