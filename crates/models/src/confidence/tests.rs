//! Fits confidence on simulated scores, and checks its guarantees.

use super::*;
use botops_findings::FaultKind;
use botops_spec::Spec as _;
use botops_stats::{calibration::softmax, random::Random, selective::Answered};

const N_CLASSES: usize = 4;

/// Draws raw scores of messages, a tenth of them out of scope. In scope, the score of the truth is raised by a random
/// amount, so some messages are easy and some hard. The out-of-scope class has its own score.
fn draw(random: &mut Random, n: usize) -> UnseenScores {
    let mut unseen = UnseenScores {
        n_classes: N_CLASSES,
        oos_logits: Some(Vec::new()),
        cosines: Some(Vec::new()),
        ..UnseenScores::default()
    };
    for row in 0..n {
        let mut scores: [f64; N_CLASSES] = std::array::from_fn(|_| random.unit());
        let out_of_scope = random.below(10) == 0;
        let truth = random.below(N_CLASSES);
        if !out_of_scope {
            scores[truth] += 1.4 * random.unit();
        }
        unseen.scores.extend(scores);
        unseen.truth.push((!out_of_scope).then_some(truth));
        unseen.understood.push(true);
        unseen.chooses.push(row % 2 == 0);
        unseen.tests.push(row % 2 == 1);
        let shift = if out_of_scope { 0.6 } else { 0.0 };
        unseen.oos_logits.as_mut().unwrap().push(random.unit() + shift);
        unseen.cosines.as_mut().unwrap().push(random.unit() - 0.2 * shift);
    }
    unseen
}

fn spec(score: ScoreChoice, target_accuracy: Option<f64>) -> FallbackSpec {
    FallbackSpec { score, target_accuracy, ..FallbackSpec::default() }
}

/// Fits on `unseen` as the scores of both kinds of models.
fn fit(fallback: &FallbackSpec, unseen: &UnseenScores, n_oos: usize) -> Confidence {
    let scores = CalibrationScores { plain: Some(unseen), with_class: Some(unseen), n_oos };
    Confidence::fit(fallback, Some(&ConformalSpec::default()), scores).unwrap()
}

/// Fits with the default fallback rule, on `unseen` as the scores of models of the intents.
fn fit_plain(unseen: &UnseenScores) -> Confidence {
    let scores = CalibrationScores { plain: Some(unseen), with_class: None, n_oos: 0 };
    let fallback = spec(ScoreChoice::MaxProbability, None);
    Confidence::fit(&fallback, Some(&ConformalSpec::default()), scores).unwrap()
}

/// Returns the accuracy of the answers of `confidence` to the messages `others`, and the share of answers.
fn accuracy(confidence: &Confidence, others: &UnseenScores) -> (f64, f64) {
    let rule = confidence.rule(0.0);
    let judged = others.judged(confidence.temperature);
    let samples: Vec<(f64, bool)> = judged
        .iter()
        .map(|j| (j.evidence.score(rule.score, confidence.temperature).unwrap(), j.wrong))
        .collect();
    let Answered { n, wrong } = Answered::at(rule.threshold, &samples);
    (1.0 - wrong as f64 / n as f64, n as f64 / samples.len() as f64)
}

#[test]
fn the_target_is_reached_in_nineteen_of_twenty_trainings_with_every_choice_fitted() {
    // All choices at once: the temperature is fitted on all records, the best of five scores and the order of thresholds
    // are chosen on half of them, and the threshold is tested on the rest.
    let others = draw(&mut Random::new(99), 20_000);
    let none = Resampling { draws: 0, ..Resampling::default() };
    let (mut missed, mut found, mut answered) = (0, 0, 0.0);
    for repeat in 0..300 {
        let unseen = draw(&mut Random::stream(7, repeat), 800);
        let n_oos = unseen.truth.iter().filter(|truth| truth.is_none()).count();
        let spec = spec(ScoreChoice::Auto, Some(0.8));
        let scores = CalibrationScores { plain: Some(&unseen), with_class: Some(&unseen), n_oos };
        let conformal = ConformalSpec::default();
        let Ok(fitted) = Confidence::fit_with(&spec, Some(&conformal), scores, &none) else {
            continue;
        };
        let (accuracy, share) = accuracy(&fitted, &others);
        found += 1;
        answered += share;
        missed += u32::from(accuracy < 0.8);
    }
    // At most 15 of 300 may miss the target, plus two standard errors of 3.8; the accuracy on `others` is known to 0.004.
    assert!(missed <= 23, "{missed} of {found}");
    assert!(found > 280 && answered / f64::from(found) > 0.3, "{found}, {answered}");
}

#[test]
fn the_best_score_is_chosen_and_the_comparison_is_stored() {
    let unseen = draw(&mut Random::new(1), 1_500);
    let n_oos = unseen.truth.iter().filter(|truth| truth.is_none()).count();
    let fit_with_target = |target| fit(&spec(ScoreChoice::Auto, target), &unseen, n_oos);
    let without_target = fit_with_target(None);
    let scores: Vec<OosScore> = without_target.comparison().iter().map(|row| row.score).collect();
    assert_eq!(scores, OosScore::ALL);
    let best =
        without_target.comparison().iter().max_by(|a, b| a.auroc.value.total_cmp(&b.auroc.value));
    assert_eq!(without_target.rule(0.0).score, best.unwrap().score);
    assert_eq!(without_target.rule(0.0).score, OosScore::OosClass);
    assert!(without_target.comparison().iter().all(|row| row.n_oos as usize == n_oos));
    // With a target, half of the records choose, by the risk-coverage curve.
    let with_target = fit_with_target(Some(0.8));
    let best = with_target.comparison().iter().min_by(|a, b| a.aurc.value.total_cmp(&b.aurc.value));
    assert_eq!(with_target.rule(0.0).score, best.unwrap().score);
    assert!(with_target.comparison().iter().all(|row| row.n_in_scope + row.n_oos == 750));
    assert_eq!(with_target.rule(0.0).guarantee.unwrap().n_samples, 750);
    for fitted in [without_target, with_target] {
        let json = botops_digest::canonical_json(&fitted);
        let back: Confidence = serde_json::from_slice(&json).unwrap();
        assert_eq!(back, fitted);
        back.check(N_CLASSES).unwrap();
    }
}

#[test]
fn without_a_target_every_score_declines_as_many() {
    let unseen = draw(&mut Random::new(2), 1_000);
    let declined = |score: ScoreChoice| {
        let fitted = fit(&spec(score, None), &unseen, 90);
        let rule = fitted.rule(0.35);
        let judged = unseen.judged(fitted.temperature);
        let below = |j: &&JudgedRecord| {
            j.in_scope && j.evidence.score(rule.score, fitted.temperature).unwrap() < rule.threshold
        };
        (rule.threshold, judged.iter().filter(below).count())
    };
    let (threshold, n) = declined(ScoreChoice::MaxProbability);
    assert_eq!(threshold, 0.35);
    assert!(n > 5, "{n}");
    for score in
        [ScoreChoice::MaxLogit, ScoreChoice::Energy, ScoreChoice::Centroid, ScoreChoice::OosClass]
    {
        assert_eq!(declined(score).1, n, "{score:?}");
    }
}

#[test]
fn too_few_records_to_compare_are_reported_and_the_confidence_is_used() {
    let unseen = draw(&mut Random::new(3), 600);
    for (target, n_oos, few) in
        [(None, 29, true), (None, 30, false), (Some(0.7), 59, true), (Some(0.7), 60, false)]
    {
        let spec = spec(ScoreChoice::Auto, target);
        let fitted = fit(&spec, &unseen, n_oos);
        let findings = fitted.findings(&spec);
        assert_eq!(fitted.comparison().is_empty(), few);
        assert_eq!(findings.len(), usize::from(few), "{target:?} {n_oos}");
        if let [finding] = findings.as_slice() {
            assert_eq!((finding.code.as_str(), finding.severity), ("BOT-7062", Severity::Warning));
            assert!(
                finding.message.contains(&format!(" {n_oos} out-of-scope records")),
                "{finding:?}"
            );
            assert_eq!(fitted.rule(0.0).score, OosScore::MaxProbability);
        }
    }
    let learns = |score, n| spec(score, None).learns_oos_class(n);
    let fault = learns(ScoreChoice::OosClass, 9).unwrap_err();
    assert_eq!((fault.code(), fault.kind()), ("BOT-7061", FaultKind::Insufficient));
    assert!(learns(ScoreChoice::OosClass, 10).unwrap() && learns(ScoreChoice::Auto, 30).unwrap());
    assert!(!learns(ScoreChoice::Auto, 29).unwrap() && !learns(ScoreChoice::Energy, 99).unwrap());
}

#[test]
fn prediction_sets_use_in_scope_records_and_the_temperature_of_the_model() {
    let unseen = draw(&mut Random::new(4), 2_000);
    let fitted = fit_plain(&unseen);
    let sets = fitted.sets().unwrap();
    let n_in_scope = unseen.truth.iter().flatten().count();
    assert_eq!(sets.n_samples as usize, n_in_scope);
    let others = draw(&mut Random::new(5), 20_000);
    let mut covered = 0;
    for (scores, truth) in others.scores.chunks_exact(N_CLASSES).zip(&others.truth) {
        let Some(truth) = truth else { continue };
        let mut proba = scores.to_vec();
        softmax(&mut proba, fitted.temperature);
        covered += usize::from(sets.of(&proba).contains(truth));
    }
    // Two standard errors of a quantile of 1,800 records, measured on 18,000 others, are 0.015.
    let share = covered as f64 / others.truth.iter().flatten().count() as f64;
    assert!((share - 0.9).abs() < 0.015, "{share}");
}

#[test]
fn inconsistent_values_from_a_file_are_refused() {
    let unseen = draw(&mut Random::new(6), 300);
    let fitted = fit_plain(&unseen);
    fitted.check(N_CLASSES).unwrap();
    let rule = fitted.rule(0.0);
    for invalid in [
        Confidence { temperature: 0.0, ..fitted.clone() },
        Confidence { temperature: f64::NAN, ..fitted.clone() },
        Confidence {
            fallback: Some(FallbackRule { threshold: f64::INFINITY, ..rule }),
            ..fitted.clone()
        },
    ] {
        assert_eq!(invalid.check(N_CLASSES).unwrap_err().code(), "BOT-7003");
    }
}

#[test]
fn a_threshold_that_declines_nothing_is_explained_and_a_stated_share_is_not() {
    let unseen = draw(&mut Random::new(3), 2_000);
    let n_oos = unseen.truth.iter().filter(|truth| truth.is_none()).count();
    let codes = |fallback: &FallbackSpec| -> Vec<String> {
        let confidence = fit(fallback, &unseen, n_oos);
        confidence.findings(fallback).into_iter().map(|finding| finding.code).collect()
    };
    let easy = spec(ScoreChoice::MaxProbability, Some(0.1));
    assert_eq!(codes(&easy), ["BOT-3040"]);
    assert!(codes(&FallbackSpec { oos_share: Some(0.2), ..easy }).is_empty());
    assert!(codes(&spec(ScoreChoice::MaxProbability, Some(0.8))).is_empty());
}

#[test]
fn a_share_of_out_of_scope_records_to_decline_sets_the_threshold() {
    let unseen = draw(&mut Random::new(5), 1_500);
    let n_oos = unseen.truth.iter().filter(|truth| truth.is_none()).count();
    for score in [ScoreChoice::MaxProbability, ScoreChoice::Auto] {
        let asked = FallbackSpec { min_oos_declined: Some(0.8), ..spec(score, None) };
        let confidence = fit(&asked, &unseen, n_oos);
        let rule = confidence.rule(asked.threshold);
        let declined = rule.oos_declined.unwrap();
        assert!(rule.guarantee.is_none());
        assert_eq!(declined.n_oos as usize, n_oos);
        let share = declined.n_declined as f64 / n_oos as f64;
        assert!((0.8..0.82).contains(&share), "{share}");
        assert!(declined.ci95[0] < share && share < declined.ci95[1]);
        let stored = serde_json::to_string(&confidence).unwrap();
        assert_eq!(serde_json::from_str::<Confidence>(&stored).unwrap(), confidence);
    }
}

#[test]
fn keys_that_contradict_each_other_are_refused() {
    let target = spec(ScoreChoice::MaxProbability, Some(0.9));
    let shares = FallbackSpec { oos_share: Some(0.15), ..target };
    assert!(shares.check_ranges().is_ok());
    for (wrong, key) in [
        (FallbackSpec { target_accuracy: None, ..shares }, "oos_share"),
        (FallbackSpec { oos_share: Some(1.0), ..target }, "oos_share"),
        (FallbackSpec { min_oos_declined: Some(0.8), ..target }, "min_oos_declined"),
        (
            FallbackSpec { min_oos_declined: Some(1.0), ..spec(ScoreChoice::Auto, None) },
            "min_oos_declined",
        ),
    ] {
        let fault = wrong.check_ranges().unwrap_err();
        assert_eq!(fault.code(), "BOT-7010");
        assert!(fault.message().contains(key), "{fault}");
    }
    // Specs of earlier versions have none of the keys, and their bytes stay.
    let old = r#"{"threshold":0.35,"target_accuracy":0.9}"#;
    let read: FallbackSpec = serde_json::from_str(old).unwrap();
    assert_eq!((read, serde_json::to_string(&read).unwrap()), (target, old.to_owned()));
}
