//! The checks of a drift report that need texts or a model: the domain classifier, embeddings, and label shift.

use crate::{
    label_shift::{Priors, priors},
    text_drift::{TextComparison, check_texts},
};
use botops_drift::{DriftCheck, DriftReport, NotJudged, NotJudgedWhy, Score};
use botops_features::Encoder;
use botops_labels::OOS;
use botops_stats::mmd::mmd2_test;
use std::collections::BTreeMap;

/// The names of the checks.
const TEXT: &str = "text";
const EMBEDDING: &str = "embedding";
const LABEL_SHIFT: &str = "label_shift";
/// The most texts of a side that are embedded.
const MOST_EMBEDDED: usize = 500;
/// The permutations of the test of embeddings.
const PERMUTATIONS: usize = 10_000;
const SEED: u64 = 43;
/// The smallest MMD squared that counts as large: that of a tenth of all texts that moved far away, 2 x 0.1 squared.
const MIN_MMD2: f64 = 0.02;
/// The smallest share of messages with another intent that counts as large.
const MIN_SHIFT: f64 = 0.1;
/// The name of a prediction that the model declined to make.
const FALLBACK: &str = "fallback";
/// The most intents whose shares are listed.
const MOST_SHARES: usize = 10;

fn not_judged(name: &str, why: NotJudgedWhy, reason: impl Into<String>) -> NotJudged {
    NotJudged { name: name.to_owned(), why, reason: reason.into() }
}

/// Adds the check `text` to a report, if it was chosen by this name or by one of `columns`, those of the texts.
///
/// Also returns the comparison, for [`TextComparison::actions`]; `None` if the texts were not chosen or cannot be
/// compared. Sides without any text, as those of a table of numbers, are not listed as unjudged.
#[must_use]
pub fn with_texts<'a>(
    report: DriftReport,
    columns: &[&str],
    reference: &[&'a str],
    current: &[&'a str],
) -> (DriftReport, Option<TextComparison<'a>>) {
    let names: Vec<&str> = [TEXT].into_iter().chain(columns.iter().copied()).collect();
    if !report.spec.chooses(&names) || (reference.is_empty() && current.is_empty()) {
        return (report, None);
    }
    let fewest = reference.len().min(current.len());
    if fewest < report.spec.min_rows {
        let reason = format!("{fewest} texts on a side, fewer than {}", report.spec.min_rows);
        let item = not_judged(TEXT, NotJudgedWhy::TooFew, reason);
        return (report.with(Vec::new(), vec![item]), None);
    }
    let compared = TextComparison::new(reference, current);
    let report = match check_texts(&compared, &report.spec) {
        Ok(check) => report.with(vec![check], Vec::new()),
        Err(item) => report.with(Vec::new(), vec![item]),
    };
    (report, compared.ok())
}

/// Adds the check `embedding` to a report, if it was chosen: the maximum mean discrepancy of the embeddings of at most 500
/// texts of each side, those of `compared`.
#[must_use]
pub fn with_embeddings(
    report: DriftReport,
    compared: &TextComparison<'_>,
    encoder: &Encoder,
) -> DriftReport {
    if !report.spec.chooses(&[EMBEDDING]) {
        return report;
    }
    let [before, now] = compared.fewer(MOST_EMBEDDED);
    let n = [before.len() as u64, now.len() as u64];
    let [x, y] = [before, now].map(|texts| encoder.embed(&texts, &|_| {}));
    let Some(found) = mmd2_test(&x, &y, encoder.dim(), PERMUTATIONS, SEED) else {
        let reason = "the embeddings of all texts are equal";
        return report.with(Vec::new(), vec![not_judged(EMBEDDING, NotJudgedWhy::NoValue, reason)]);
    };
    let score = Score::normal("mmd2", found.mmd2, found.null, MIN_MMD2);
    let check = DriftCheck::further(EMBEDDING, "mmd2_rbf", n, found.p_value, score);
    report.with(vec![check], Vec::new())
}

/// Adds the check `label_shift` to a report, if it was chosen and the reference has intents.
///
/// `reference` are pairs of the declared and the predicted intent, by a model that did not see the text; `current` are
/// predicted intents. Predictions that the model declined (`fallback`) and records out of scope are left out: the shares
/// are those among the answered messages. Also returns the shares, in the order of the names beside them.
#[must_use]
pub fn with_label_shift<'a>(
    report: DriftReport,
    reference: impl Iterator<Item = (&'a str, &'a str)>,
    current: impl Iterator<Item = &'a str>,
) -> (DriftReport, Option<(Vec<String>, Priors)>) {
    if !report.spec.chooses(&[LABEL_SHIFT]) {
        return (report, None);
    }
    let answered: Vec<(&str, &str)> = reference
        .filter(|(truth, predicted)| *predicted != FALLBACK && *truth != OOS && *truth != FALLBACK)
        .collect();
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    for predicted in current.filter(|predicted| *predicted != FALLBACK) {
        *counts.entry(predicted).or_default() += 1;
    }
    if answered.is_empty() || counts.is_empty() {
        return (report, None);
    }
    let mut index: BTreeMap<&str, usize> = BTreeMap::new();
    let pairs = answered.iter().flat_map(|(truth, predicted)| [*truth, *predicted]);
    for name in pairs.chain(counts.keys().copied()) {
        index.insert(name, 0);
    }
    index.values_mut().enumerate().for_each(|(i, at)| *at = i);
    let mut confusion = vec![vec![0_u64; index.len()]; index.len()];
    for (truth, predicted) in &answered {
        confusion[index[truth]][index[predicted]] += 1;
    }
    let predicted: Vec<u64> =
        index.keys().map(|name| counts.get(name).copied().unwrap_or(0)).collect();
    let names: Vec<String> = index.keys().map(|name| (*name).to_owned()).collect();
    match priors(&confusion, &predicted) {
        Ok(found) => {
            let check = label_shift_check(&found, &names);
            (report.with(vec![check], Vec::new()), Some((names, found)))
        }
        Err(fault) => {
            let item = not_judged(LABEL_SHIFT, NotJudgedWhy::NoValue, fault.message());
            (report.with(Vec::new(), vec![item]), None)
        }
    }
}

/// Returns the check of a label shift; `names` are those of the classes.
fn label_shift_check(found: &Priors, names: &[String]) -> DriftCheck {
    let score = Score::normal("shift", found.shift, found.shift_null, MIN_SHIFT);
    let n = [found.n_reference, found.n_current];
    let mut check = DriftCheck::further(LABEL_SHIFT, "bbse", n, found.p_value, score);
    let shares = names.iter().cloned().zip(found.reference.iter().zip(&found.current));
    let mut top: Vec<(String, f64, f64)> = shares.map(|(name, (r, c))| (name, *r, *c)).collect();
    top.retain(|(_, r, c)| r != c);
    top.sort_by(|a, b| (b.2 - b.1).abs().total_cmp(&(a.2 - a.1).abs()).then(a.0.cmp(&b.0)));
    top.truncate(MOST_SHARES);
    check.top = top;
    check
}

#[cfg(test)]
mod tests {
    use super::*;
    use botops_drift::{DriftSide, DriftSpec, DriftVerdict, compare, rows};
    use botops_spec::Spec as _;

    fn report(spec: DriftSpec) -> DriftReport {
        let rows = rows((0..200).map(|_| ("where is my order", None)), None);
        let side = DriftSide { name: "a", rows: &rows, columns: &[] };
        compare(&side, &side, &spec.check().unwrap()).unwrap()
    }

    /// Pairs of 100 records for each of two intents, 90 of each predicted right.
    fn pairs() -> impl Iterator<Item = (&'static str, &'static str)> {
        (0..200).map(|i| {
            let (truth, other) = if i % 2 == 0 { ("order", "refund") } else { ("refund", "order") };
            (truth, if i % 20 < 2 { other } else { truth })
        })
    }

    #[test]
    fn shares_of_intents_are_corrected_for_the_mistakes_of_the_model() {
        let current = || (0..400).map(|i| if i % 10 < 7 { "refund" } else { "order" });
        let (found, shares) = with_label_shift(report(DriftSpec::default()), pairs(), current());
        let (names, priors) = shares.unwrap();
        assert_eq!(names, ["order", "refund"]);
        // 0.7 predicted is 0.75 after the correction: 0.9 q + 0.1 (1 - q) = 0.7.
        assert!((priors.current[1] - 0.75).abs() < 1e-9, "{priors:?}");
        let check = found.checks.iter().find(|check| check.name == "label_shift").unwrap();
        assert_eq!((check.verdict, check.top[0].0.as_str()), (DriftVerdict::Drift, "order"));
        let score = check.deciding().unwrap();
        assert!(score.noise95 < 0.15 && score.detectable.unwrap() > score.noise95, "{score:?}");

        // Declined predictions do not count, and a side without predictions has no check.
        let declined = current().chain(std::iter::repeat_n("fallback", 300));
        let (same, _) = with_label_shift(report(DriftSpec::default()), pairs(), declined);
        assert_eq!(same.checks, found.checks);
        let (none, shares) =
            with_label_shift(report(DriftSpec::default()), pairs(), std::iter::empty());
        assert!(shares.is_none() && none.not_judged.is_empty());
    }

    #[test]
    fn a_new_intent_is_listed_as_not_judged() {
        let current = (0..200).map(|i| ["order", "new"][i % 2]);
        let (found, shares) = with_label_shift(report(DriftSpec::default()), pairs(), current);
        assert!(shares.is_none());
        assert_eq!(found.not_judged[0].name, "label_shift");
        assert!(found.not_judged[0].reason.contains("has 0 records"), "{:?}", found.not_judged);
    }

    #[test]
    fn texts_join_a_report_only_if_they_are_chosen_and_enough() {
        let old: Vec<String> = (0..120)
            .map(|i| {
                format!("{} order {}", ["where", "late"][i % 2], ["now", "today", "please"][i % 3])
            })
            .collect();
        let texts: Vec<&str> = old.iter().map(String::as_str).collect();
        let only =
            |name: &str| DriftSpec { columns: Some(vec![name.to_owned()]), ..DriftSpec::default() };
        let (found, compared) = with_texts(report(only("length_words")), &[], &texts, &texts);
        assert!(compared.is_none() && found.not_judged.is_empty());
        let (found, _) = with_texts(report(DriftSpec::default()), &[], &texts[..50], &texts);
        assert_eq!(found.not_judged[0].reason, "50 texts on a side, fewer than 100");
        let (found, _) = with_texts(report(DriftSpec::default()), &[], &[], &[]);
        assert!(found.not_judged.is_empty());
    }
}
