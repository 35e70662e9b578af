//! A drift report as text: the checks, the largest changes, the new words, the verdict.

use crate::cli::terminal::tables;
use botops_drift::{DriftCheck, DriftReport, DriftVerdict, Score};
use botops_text::{counted, display, percent};

/// The most changes listed for a check.
const MOST_CHANGES: usize = 5;
/// The least number that is written with an exponent.
const LARGE: f64 = 1e9;
/// The most new words listed.
const MOST_WORDS: usize = 20;

/// Renders a report.
pub(in crate::cli) fn report(report: &DriftReport) -> String {
    format!(
        "{}{}{}\n{}\n{}",
        checks(report),
        changes(report),
        new_words(report),
        verdict(report),
        left_out(report)
    )
}

fn checks(report: &DriftReport) -> String {
    let rows = report.checks.iter().map(|check| {
        let score = check.deciding();
        let is_binned = check.kind == "categorical" || check.psi > 0.0;
        let of = |value: fn(&Score) -> Option<f64>| {
            score.and_then(value).map_or_else(String::new, decimal)
        };
        vec![
            display(&check.name, 40),
            score.map_or_else(String::new, |score| score_name(&score.name).to_owned()),
            of(|score| Some(score.value)),
            of(|score| Some(score.noise95)),
            of(|score| score.detectable),
            // A check without bins has neither.
            if is_binned { format!("{:.3}", check.psi) } else { String::new() },
            if is_binned { format!("{:.3}", check.js_distance) } else { String::new() },
            check.wasserstein_sd.map_or_else(String::new, decimal),
            tables::p_value(check.p_adjusted),
            verdict_name(check.verdict).to_owned(),
        ]
    });
    let table = tables::table(
        &[
            "check",
            "score",
            "value",
            "noise",
            "seen from",
            "PSI",
            "JS",
            "W1/sd",
            "p adjusted",
            "verdict",
        ],
        rows,
        &[2, 3, 4, 5, 6, 7, 8],
    );
    match report.checks.iter().any(|check| check.deciding().is_some()) {
        true => format!(
            "{table}noise: exceeded by sampling alone 5 times in 100; seen from: a change of this size is found 9 times \
             in 10\n"
        ),
        false => table,
    }
}

/// Returns the name of a deciding score in a table.
fn score_name(name: &str) -> &str {
    match name {
        "psi" => "PSI",
        "ks_2samp" => "KS",
        "domain_classifier" => "AUC",
        "mmd2_embeddings" => "MMD2",
        "bbse" => "shift",
        other => other,
    }
}

fn verdict_name(verdict: DriftVerdict) -> &'static str {
    match verdict {
        DriftVerdict::Drift => "drift",
        DriftVerdict::NoDrift => "no drift",
        DriftVerdict::Insufficient => "insufficient",
    }
}

/// Lists the largest changes of the checks that found drift.
fn changes(report: &DriftReport) -> String {
    let drifted = report.checks.iter().filter(|check| check.verdict == DriftVerdict::Drift);
    let rows: Vec<Vec<String>> = drifted.flat_map(changes_of).collect();
    if rows.is_empty() {
        return String::new();
    }
    format!(
        "\nlargest changes\n{}",
        tables::table(&["check", "of", "reference", "current", "change"], rows, &[2, 3, 4])
    )
}

fn changes_of(check: &DriftCheck) -> Vec<Vec<String>> {
    let mut rows = Vec::new();
    if let Some([before, now]) = check.means {
        rows.push(vec![
            display(&check.name, 40),
            "mean".to_owned(),
            decimal(before),
            decimal(now),
            signed(now - before),
        ]);
    }
    let mut top: Vec<&(String, f64, f64)> = check.top.iter().collect();
    top.sort_by(|a, b| (b.2 - b.1).abs().total_cmp(&(a.2 - a.1).abs()).then(a.0.cmp(&b.0)));
    for (name, before, now) in top.into_iter().take(MOST_CHANGES) {
        let change = format!("{:+.1}", 100.0 * (now - before));
        let (before, now) = (percent(*before, 1), percent(*now, 1));
        rows.push(vec![display(&check.name, 40), display(name, 40), before, now, change]);
    }
    rows
}

/// Writes a number with three decimals, and a large one as `1.500e300`.
fn decimal(number: f64) -> String {
    if number.abs() < LARGE { format!("{number:.3}") } else { format!("{number:.3e}") }
}

/// Writes a difference as [`decimal`] does, with its sign.
fn signed(difference: f64) -> String {
    if difference.abs() < LARGE {
        format!("{difference:+.3}")
    } else {
        format!("{difference:+.3e}")
    }
}

fn new_words(report: &DriftReport) -> String {
    if report.new_words.is_empty() {
        return String::new();
    }
    let words: Vec<String> = report
        .new_words
        .iter()
        .take(MOST_WORDS)
        .map(|(word, n)| format!("{} ({})", display(word, 40), tables::count(*n)))
        .collect();
    let more = match report.new_words.len().saturating_sub(MOST_WORDS) {
        0 => String::new(),
        more => format!(", and {more} more"),
    };
    format!("\nnew words: {}{more}\n", words.join(", "))
}

fn verdict(report: &DriftReport) -> String {
    let drifted: Vec<String> = report
        .checks
        .iter()
        .filter(|check| check.verdict == DriftVerdict::Drift)
        .map(|check| display(&check.name, 40))
        .collect();
    let has_enough_rows =
        |check: &DriftCheck| check.n_reference.min(check.n_current) >= report.spec.min_rows as u64;
    match report.verdict {
        DriftVerdict::Drift => format!("drift in {}", drifted.join(", ")),
        DriftVerdict::NoDrift => {
            format!("no drift in {}", counted(report.n_judged() as u64, "check", "checks"))
        }
        DriftVerdict::Insufficient if report.checks.is_empty() => {
            "insufficient: nothing could be compared".to_owned()
        }
        DriftVerdict::Insufficient if report.checks.iter().all(has_enough_rows) => {
            "insufficient: too few rows for two categories".to_owned()
        }
        DriftVerdict::Insufficient => format!(
            "insufficient: fewer than {} rows on a side",
            tables::count(report.spec.min_rows as u64)
        ),
    }
}

/// Lists the checks that were not judged, beside others that were, and the columns that were not compared.
fn left_out(report: &DriftReport) -> String {
    let unjudged = report.unjudged_checks().filter(|_| report.n_judged() > 0);
    let lines = [
        unjudged.map(|listed| format!("not judged: {listed}\n")),
        report.uncompared_columns().map(|listed| format!("not compared: {listed}\n")),
    ];
    lines.into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_changes_come_first_with_their_sign() {
        let check = DriftCheck {
            name: "intent".to_owned(),
            kind: "categorical".to_owned(),
            n_reference: 200,
            n_current: 200,
            psi: 0.4,
            psi_noise95: 0.02,
            js_distance: 0.1,
            test: "chi2_homogeneity".to_owned(),
            statistic: 12.0,
            p_value: 0.001,
            p_adjusted: 0.002,
            means: None,
            wasserstein_sd: None,
            column: None,
            top: vec![("billing".to_owned(), 0.1, 0.15), ("refund".to_owned(), 0.3, 0.1)],
            verdict: DriftVerdict::Drift,
            scores: Vec::new(),
        };
        let rows = changes_of(&check);
        assert_eq!(rows[0], ["intent", "refund", "30.0 %", "10.0 %", "-20.0"]);
        assert_eq!(rows[1], ["intent", "billing", "10.0 %", "15.0 %", "+5.0"]);
        let huge = DriftCheck { means: Some([2.5, -1.5e300]), ..check };
        let rows = changes_of(&huge);
        assert_eq!(rows[0], ["intent", "mean", "2.500", "-1.500e300", "-1.500e300"]);
    }
}
