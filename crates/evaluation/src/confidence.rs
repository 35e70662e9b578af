//! Measures a model's confidence: out-of-scope scores, answered records, prediction sets.

use crate::{
    evaluation_report::{OosScoreReport, ScoreHistogram, SelectiveReport, SetReport},
    metrics::{Metric, estimate, proportion},
    outcome::{ModelConfidence, Outcome, SetOutcome, score_value},
};
use botops_models::confidence::OosScore;
use botops_stats::{
    bootstrap::{Resampling, percentile_intervals},
    selective::RiskCoverage,
    separation::{Estimate, separation},
};

/// Measures how well each score of the model separates in-scope from out-of-scope records.
pub(crate) fn oos_scores(
    in_scope: &[&Outcome<'_>],
    out: &[&Outcome<'_>],
    rules: &ModelConfidence,
    resampling: &Resampling,
) -> Vec<OosScoreReport> {
    let n = (in_scope.len() + out.len()) as u64;
    let metric = |Estimate { value, ci95 }| Metric { value, ci95, n };
    let measured = |score: OosScore| {
        let side = |outcomes: &[&Outcome<'_>]| -> Option<Vec<f64>> {
            outcomes.iter().map(|outcome| score_value(outcome, score, rules)).collect()
        };
        let found = separation(&side(in_scope)?, &side(out)?, resampling)?;
        Some(OosScoreReport {
            score,
            in_use: score == rules.rule.score,
            auroc: metric(found.auroc),
            aupr: metric(found.aupr),
            aupr_oos: metric(found.aupr_negative),
            fpr95: metric(found.fpr95),
        })
    };
    OosScore::ALL.into_iter().filter_map(measured).collect()
}

/// Measures the answered records among all; an answer to an out-of-scope record is wrong.
pub(crate) fn selective(
    in_scope: &[&Outcome<'_>],
    out: &[&Outcome<'_>],
    rules: &ModelConfidence,
    resampling: &Resampling,
) -> SelectiveReport {
    let all = || in_scope.iter().chain(out);
    let wrong = |outcome: &Outcome<'_>| outcome.truth != Some(outcome.prediction.intent);
    let n = all().count() as u64;
    let answered = all().filter(|outcome| !outcome.prediction.fallback).count() as u64;
    let right =
        all().filter(|outcome| !outcome.prediction.fallback && !wrong(outcome)).count() as u64;
    let samples: Vec<(f64, bool)> =
        all().map(|outcome| (outcome.prediction.score, wrong(outcome))).collect();
    let curve = RiskCoverage::of(&samples);
    let [interval] = percentile_intervals(
        &[in_scope.len(), out.len()],
        resampling,
        || (),
        |(), counts| [curve.area(counts)],
    );
    SelectiveReport {
        score: rules.rule.score,
        threshold: rules.rule.threshold,
        target_accuracy: rules.rule.guarantee.map(|guarantee| guarantee.target_accuracy),
        answered: proportion(answered, n),
        accuracy: proportion(right, answered),
        aurc: estimate(curve.area(&vec![1; samples.len()]), interval, n),
        scores: histogram(in_scope, out, rules.rule.score),
    }
}

/// Bins of a [`ScoreHistogram`].
const SCORE_BINS: usize = 20;

/// Counts the records by the deciding score; `None` without a finite score.
fn histogram(
    in_scope: &[&Outcome<'_>],
    out: &[&Outcome<'_>],
    score: OosScore,
) -> Option<ScoreHistogram> {
    let finite = in_scope.iter().chain(out).map(|outcome| outcome.prediction.score);
    let (least, most) = finite
        .filter(|score| score.is_finite())
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), s| (a.min(s), b.max(s)));
    if least > most {
        return None;
    }
    let [from, to] = match score {
        OosScore::MaxProbability | OosScore::OosClass | OosScore::Centroid => [0.0, 1.0],
        // Equal scores still need a bin of positive width.
        OosScore::MaxLogit | OosScore::Energy => {
            [least, if most > least { most } else { least + 1.0 }]
        }
    };
    let mut histogram = ScoreHistogram {
        from,
        to,
        right: vec![0; SCORE_BINS],
        wrong: vec![0; SCORE_BINS],
        oos: vec![0; SCORE_BINS],
    };
    for outcome in in_scope.iter().chain(out) {
        let prediction = &outcome.prediction;
        if prediction.score.is_nan() {
            continue;
        }
        let at = (prediction.score - from) / (to - from) * SCORE_BINS as f64;
        let at = at.clamp(0.0, (SCORE_BINS - 1) as f64) as usize;
        let side = match outcome.truth {
            None => &mut histogram.oos,
            Some(truth) if truth == prediction.intent => &mut histogram.right,
            Some(_) => &mut histogram.wrong,
        };
        side[at] += 1;
    }
    Some(histogram)
}

/// Measures the prediction sets of in-scope records; `None` when the model makes none.
pub(crate) fn sets(
    outcomes: &[Outcome<'_>],
    rules: &ModelConfidence,
    resampling: &Resampling,
) -> Option<SetReport> {
    let promised = rules.sets?;
    assert_eq!(outcomes.len(), rules.set_outcomes.len(), "every outcome has a prediction set");
    let sets: Vec<SetOutcome> = outcomes
        .iter()
        .zip(&rules.set_outcomes)
        .filter(|(outcome, _)| outcome.truth.is_some())
        .map(|(_, set)| *set)
        .collect();
    let n = sets.len() as u64;
    let size = |counts: &[u32]| {
        let sum: f64 = sets.iter().zip(counts).map(|(s, &c)| s.size as f64 * f64::from(c)).sum();
        sum / sets.len() as f64
    };
    let [interval] =
        percentile_intervals(&[sets.len()], resampling, || (), |(), counts| [size(counts)]);
    Some(SetReport {
        promised,
        coverage: proportion(sets.iter().filter(|set| set.holds).count() as u64, n),
        size: estimate(size(&vec![1; sets.len()]), interval, n),
        empty: proportion(sets.iter().filter(|set| set.size == 0).count() as u64, n),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reference;
    use crate::{
        EvaluationReport, GateSpec, SetsSummary, Subject, gate, measurement::measure_with,
    };
    use botops_datasets::Record;
    use botops_digest::Digest;
    use botops_models::{
        Prediction,
        confidence::{ConformalMethod, FallbackRule, Guarantee},
    };
    use botops_spec::Spec as _;

    fn close(found: f64, expected: f64) {
        assert!((found - expected).abs() < 1e-9, "{found} is not {expected}");
    }

    /// A synthetic record: in scope (with intent 0) or not, right or wrong, confidence, largest raw score, score.
    #[derive(Clone, Copy)]
    struct Line {
        in_scope: bool,
        right: bool,
        confidence: f64,
        logit: f64,
        score: f64,
    }

    /// Measures records with a rule that answers when `score` is at least `threshold`. Sets with even index that are not empty
    /// hold the truth.
    fn measured(score: OosScore, threshold: f64, lines: &[Line]) -> EvaluationReport {
        let record = Record {
            text: "text".to_owned(),
            intent: None,
            lang: None,
            entities: Vec::new(),
            record: 1,
            line: 2,
            file: None,
        };
        let outcomes: Vec<Outcome<'_>> = lines
            .iter()
            .map(|line| Outcome {
                record: &record,
                truth: line.in_scope.then_some(0),
                prediction: Prediction {
                    intent: usize::from(!line.right),
                    confidence: line.confidence,
                    logit: line.logit,
                    score: line.score,
                    fallback: line.score < threshold,
                },
                probability_of_truth: 0.5,
                language: None,
            })
            .collect();
        let guarantee = Guarantee {
            target_accuracy: 0.8,
            level: 0.95,
            n_samples: 100,
            n_answered: 50,
            n_wrong: 1,
            accuracy_bound: 0.9,
            oos_share: None,
        };
        let rules = ModelConfidence {
            rule: FallbackRule { guarantee: Some(guarantee), ..FallbackRule::at(score, threshold) },
            temperature: 0.5,
            sets: Some(SetsSummary {
                alpha: 0.1,
                method: ConformalMethod::Lac,
                class_conditional: false,
            }),
            set_outcomes: (0..lines.len())
                .map(|i| SetOutcome { size: i % 3, holds: i % 2 == 0 && i % 3 > 0 })
                .collect(),
        };
        let subject = Subject {
            model: Digest::of(b"model"),
            intents: vec!["a".to_owned(), "b".to_owned()],
            n_known: 2,
            data: "test.csv".to_owned(),
            data_digest: Digest::of(b"data"),
        };
        measure_with(&subject, &outcomes, Some(&rules)).unwrap()
    }

    /// The scores of the reference values, each in-scope one twice, with confidences and raw scores in other orders.
    fn lines() -> Vec<Line> {
        let fixture = &reference()["oos_auroc"];
        let scores: Vec<f64> = serde_json::from_value(fixture["score"].clone()).unwrap();
        let inside: Vec<u8> = serde_json::from_value(fixture["in_scope"].clone()).unwrap();
        let mut lines = Vec::new();
        for (i, (score, inside)) in scores.into_iter().zip(inside).enumerate() {
            let in_scope = inside == 1;
            let confidence = [0.5, 0.9, 0.8, 0.7, 0.6, 0.55, 0.65, 0.3][i];
            let logit = [0.1, 0.4, 0.2, 0.9, 0.6, 0.5, 0.45, 0.8][i];
            let line = Line { in_scope, right: i != 5, confidence, logit, score };
            lines.extend(std::iter::repeat_n(line, if in_scope { 2 } else { 1 }));
        }
        lines
    }

    #[test]
    fn every_score_of_the_model_matches_scikit_learn() {
        // sklearn 1.9.1, in_scope = [1,1,0,1,1,1,0,0], each in-scope score twice, for the three lists of scores
        // (energy = logit - .5 log(confidence)): roc_auc_score(y, s), average_precision_score(y, s),
        // average_precision_score(1-y, -s), fpr[argmax(tpr >= .95)] of roc_curve(drop_intermediate=False)
        let report = measured(OosScore::Centroid, 0.62, &lines());
        let oos = report.oos.as_ref().unwrap();
        let expected = [
            (OosScore::MaxProbability, REFERENCE[0]),
            (OosScore::MaxLogit, REFERENCE[1]),
            (OosScore::Energy, REFERENCE[2]),
            (OosScore::Centroid, REFERENCE[3]),
        ];
        assert_eq!(oos.scores.len(), 4, "the model has no out-of-scope class");
        for (row, (score, [auroc, aupr, aupr_oos, fpr95])) in oos.scores.iter().zip(expected) {
            assert_eq!((row.score, row.in_use), (score, score == OosScore::Centroid));
            close(row.auroc.value, auroc);
            close(row.aupr.value, aupr);
            close(row.aupr_oos.value, aupr_oos);
            close(row.fpr95.value, fpr95);
            assert_eq!(row.auroc.n, 13);
        }
        close(oos.auroc.value, 0.8);
        close(report.metrics["oos_auroc"].value, 0.8);
        close(report.metrics["oos_fpr95"].value, REFERENCE[3][3]);
    }

    /// For each score: AUROC, AUPR, AUPR of out-of-scope records, FPR at 95 % recall.
    const REFERENCE: [[f64; 4]; 4] = [
        [0.533_333_333_333_333_4, 0.836_666_666_666_666_7, 0.507_575_757_575_757_6, 2.0 / 3.0],
        [0.533_333_333_333_333_4, 0.845_274_725_274_725_2, 0.313_131_313_131_313_15, 1.0],
        [0.533_333_333_333_333_3, 0.791_428_571_428_571_4, 0.521_367_521_367_521_4, 2.0 / 3.0],
        [0.8, 0.931_024_531_024_531, 0.777_777_777_777_777_8, 1.0 / 3.0],
    ];

    #[test]
    fn an_answer_to_an_out_of_scope_record_is_wrong() {
        // Nine scores are at least 0.62: 0.9, 0.8, 0.7, 0.65 twice each, and 0.75, which is out of scope; eight are right.
        let report = measured(OosScore::MaxLogit, 0.62, &lines());
        let found = report.selective.as_ref().unwrap();
        close(found.answered.value, 9.0 / 13.0);
        close(found.accuracy.value, 8.0 / 9.0);
        assert_eq!((found.answered.n, found.accuracy.n), (13, 9));
        assert_eq!((found.threshold, found.target_accuracy), (0.62, Some(0.8)));
        // By hand: errors (!) in the order .9 .9 .8 .8 .75! .7 .7 .65 .65 .6! .6! .4! .3!
        let wrong = [0, 0, 0, 0, 1, 1, 1, 1, 1, 2, 3, 4, 5];
        let expected: f64 =
            (1..).zip(wrong).map(|(n, wrong)| f64::from(wrong) / f64::from(n)).sum::<f64>() / 13.0;
        close(found.aurc.value, expected);
        for name in ["answered_share", "answered_accuracy", "aurc"] {
            assert!(report.metrics.contains_key(name), "{name}");
        }
    }

    #[test]
    fn sets_are_measured_on_in_scope_records() {
        let lines = lines();
        let report = measured(OosScore::MaxLogit, 0.62, &lines);
        let found = report.sets.as_ref().unwrap();
        let inside: Vec<usize> = (0..lines.len()).filter(|&i| lines[i].in_scope).collect();
        let share = |keep: &dyn Fn(usize) -> bool| {
            inside.iter().filter(|i| keep(**i)).count() as f64 / inside.len() as f64
        };
        close(found.coverage.value, share(&|i| i % 2 == 0 && i % 3 > 0));
        close(found.empty.value, share(&|i| i % 3 == 0));
        close(found.size.value, inside.iter().map(|i| (i % 3) as f64).sum::<f64>() / 10.0);
        assert_eq!((found.coverage.n, found.size.n), (10, 10));
        close(report.metrics["set_coverage"].value, found.coverage.value);
    }

    #[test]
    fn gates_may_bound_confidence_metrics() {
        let spec: GateSpec = botops_spec::parse(
            "metrics: {answered_accuracy: {min: 0.8}, oos_fpr95: {max: 0.1}, set_size: {max: 3}}",
            "test.yaml",
        )
        .unwrap();
        let spec = spec.check().unwrap();
        let found = gate(&spec, &measured(OosScore::MaxLogit, 0.62, &lines()), None).unwrap();
        let passed: Vec<bool> = found.results.iter().map(|result| result.passed).collect();
        assert_eq!(passed, [true, false, true], "{:?}", found.results);
        // Without out-of-scope records, `oos_fpr95` is not measured, and the other gates still apply.
        let inside: Vec<Line> = lines().into_iter().filter(|line| line.in_scope).collect();
        let report = measured(OosScore::MaxLogit, 0.62, &inside);
        let found = gate(&spec, &report, None).unwrap();
        assert!(found.results[1].observed.contains("no out-of-scope record"), "{found:?}");
        close(report.selective.as_ref().unwrap().accuracy.value, 1.0);
    }

    #[test]
    fn a_report_of_an_older_version_is_read() {
        let mut json = serde_json::to_value(measured(OosScore::MaxLogit, 0.62, &lines())).unwrap();
        let report = json.as_object_mut().unwrap();
        report.remove("selective");
        report.remove("sets");
        report["oos"].as_object_mut().unwrap().remove("scores");
        let back: EvaluationReport = serde_json::from_value(json).unwrap();
        assert!(back.selective.is_none() && back.sets.is_none());
        assert!(back.oos.unwrap().scores.is_empty());
    }
}
