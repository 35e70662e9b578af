//! Estimates against the accuracy of weeks whose truths are known.

use crate::{
    AccuracyEstimate, ConfidenceCounts, EstimateReference, EstimateSpec, Judged, Told,
    UnreliableReason, estimate_accuracy, estimation::normal,
};
use botops_stats::random::Random;

/// A prediction with its truth; a truth that is no intent is out of scope.
#[derive(Clone, Copy)]
struct Seen {
    truth: usize,
    predicted: usize,
    p: f64,
}

/// The separation of the intents of [`message`], in standard deviations.
const SEPARATION: f64 = 2.5;

fn intents(n: usize) -> Vec<String> {
    (0..n).map(|i| format!("intent_{i}")).collect()
}

/// Makes a message of an intent, or out of scope, and lets a calibrated model predict it.
///
/// Scores are normal with variance 1, and that of the truth is higher by `separation`: the softmax of `believed` times the scores
/// is calibrated for equal shares of the intents if `believed` is the separation.
fn message(
    random: &mut Random,
    truth: usize,
    n_intents: usize,
    separation: f64,
    believed: f64,
) -> Seen {
    let scores: Vec<f64> = (0..n_intents)
        .map(|i| believed * (normal(random) + if i == truth { separation } else { 0.0 }))
        .collect();
    let predicted = botops_stats::argmax::argmax(&scores);
    let total: f64 = scores.iter().map(|score| (score - scores[predicted]).exp()).sum();
    Seen { truth, predicted, p: 1.0 / total }
}

fn reference(random: &mut Random, n: usize, n_intents: usize, oos: usize) -> Vec<Judged> {
    (0..n + oos)
        .map(|i| {
            let truth = if i < n { random.below(n_intents) } else { n_intents };
            let seen = message(random, truth, n_intents, SEPARATION, SEPARATION);
            let truth = if i < n { truth as u16 } else { u16::MAX };
            Judged { truth, predicted: seen.predicted as u16, p: seen.p as f32 }
        })
        .collect()
}

/// Draws shares from the uniform distribution over all of them.
fn shares(random: &mut Random, n: usize) -> Vec<f64> {
    let parts: Vec<f64> = (0..n).map(|_| -(1.0 - random.unit()).ln()).collect();
    let sum: f64 = parts.iter().sum();
    parts.iter().map(|part| part / sum).collect()
}

fn drawn(random: &mut Random, shares: &[f64]) -> usize {
    let mut at = random.unit();
    for (i, share) in shares.iter().enumerate() {
        at -= share;
        if at < 0.0 {
            return i;
        }
    }
    shares.len() - 1
}

fn counts(intents: &[String], week: &[Seen], labelled: impl Fn(&Seen) -> bool) -> ConfidenceCounts {
    let mut counts = ConfidenceCounts::default();
    for seen in week {
        let told = match seen.truth {
            truth if truth == seen.predicted => Told::Right,
            truth if truth < intents.len() => Told::Wrong,
            _ => Told::OutOfScope,
        };
        let told = labelled(seen).then_some(told);
        counts.add_prediction(&intents[seen.predicted], seen.p, seen.p < 0.35, told);
    }
    counts
}

fn estimated(intents: &[String], judged: &[Judged], counts: &ConfidenceCounts) -> AccuracyEstimate {
    let reference = EstimateReference { intents, judged, declined: None };
    let spec = EstimateSpec { draws: 200, ..EstimateSpec::default() };
    estimate_accuracy(&reference, counts, None, &spec).unwrap()
}

fn has(estimate: &AccuracyEstimate, reason: UnreliableReason) -> bool {
    estimate.reasons.iter().any(|it| it.reason == reason)
}

#[test]
fn intervals_hold_the_realised_accuracy_of_weeks_with_other_shares_of_intents() {
    let (n_intents, names) = (6, intents(6));
    let (mut within, mut raw_within, mut reliable) = (0, 0, 0);
    for week in 0..60 {
        let mut random = Random::stream(3, week);
        let judged = reference(&mut random, 1_500, n_intents, 150);
        let shares = shares(&mut random, n_intents);
        let oos = 0.2 * random.unit();
        let week: Vec<Seen> = (0..500)
            .map(|_| {
                let truth = match random.unit() < oos {
                    true => n_intents,
                    false => drawn(&mut random, &shares),
                };
                message(&mut random, truth, n_intents, SEPARATION, SEPARATION)
            })
            .collect();
        let estimate = estimated(&names, &judged, &counts(&names, &week, |_| true));
        let realised = estimate.realised.unwrap();
        within += u32::from(realised.within == Some(true));
        reliable += u32::from(estimate.reliable);
        let half = (estimate.interval[1] - estimate.interval[0]) / 2.0;
        raw_within += u32::from((estimate.mean_confidence - realised.accuracy.value).abs() <= half);
        assert!(half < 0.09, "the interval says nothing: {:?}", estimate.interval);
    }
    assert!(within >= 54 && reliable >= 40, "{within} within, {reliable} reliable of 60");
    // The confidence as it is takes messages out of scope for messages of some intent.
    assert!(raw_within < 50, "{raw_within}");
}

#[test]
fn a_week_that_the_model_does_not_know_is_unreliable() {
    let (n_intents, names) = (6, intents(6));
    let mut random = Random::new(9);
    let judged = reference(&mut random, 2_000, n_intents, 0);
    let mut week = |separation: f64| -> Vec<Seen> {
        (0..500)
            .map(|_| {
                let truth = random.below(n_intents);
                message(&mut random, truth, n_intents, separation, SEPARATION)
            })
            .collect()
    };
    let usual = week(SEPARATION);
    let estimate = estimated(&names, &judged, &counts(&names, &usual, |_| true));
    assert!(estimate.reliable, "{estimate:?}");
    // Vague messages: the model is less sure, which shows without any label.
    let vague = week(1.2);
    let estimate = estimated(&names, &judged, &counts(&names, &vague, |_| false));
    assert!(has(&estimate, UnreliableReason::Confidence) && estimate.realised.is_none());
    // Another meaning of messages that look as before: only labels show it, and few are not enough.
    let moved: Vec<Seen> = usual
        .iter()
        .map(|it| Seen { truth: if it.truth == 2 { 3 } else { it.truth }, ..*it })
        .collect();
    let blind = estimated(&names, &judged, &counts(&names, &moved, |_| false));
    assert!(blind.reliable, "concept drift cannot be seen without labels");
    let few = counts(&names, &moved[..20], |_| true);
    let few = estimated(&names, &judged, &few);
    assert_eq!(few.realised.unwrap().within, None);
    assert!(has(&few, UnreliableReason::FewRecords));
    let seen = estimated(&names, &judged, &counts(&names, &moved, |_| true));
    assert!(!seen.reliable && has(&seen, UnreliableReason::Realised), "{seen:?}");
    assert!(seen.assumption.contains("concept drift"));
}

#[test]
fn labels_of_unsure_messages_are_compared_with_what_was_expected_of_them() {
    let (n_intents, names) = (6, intents(6));
    let mut random = Random::new(4);
    let judged = reference(&mut random, 2_000, n_intents, 0);
    let week: Vec<Seen> = (0..2_000)
        .map(|i| message(&mut random, i % n_intents, n_intents, SEPARATION, SEPARATION))
        .collect();
    let estimate = estimated(&names, &judged, &counts(&names, &week, |it| it.p < 0.7));
    let realised = estimate.realised.unwrap();
    assert!(realised.accuracy.value < estimate.interval[0] - 0.1, "the labels are hard ones");
    assert_eq!(realised.within, Some(true), "{realised:?}");
    assert!(estimate.reliable);
}

#[test]
fn too_little_new_texts_declined_and_foreign_predictions_are_said() {
    let (n_intents, names) = (6, intents(6));
    let mut random = Random::new(6);
    let judged = reference(&mut random, 300, n_intents, 0);
    let week: Vec<Seen> = (0..300)
        .map(|i| message(&mut random, i % n_intents, n_intents, SEPARATION, SEPARATION))
        .collect();
    let current = counts(&names, &week, |_| false);
    let few = estimated(&names, &judged[..100], &current);
    assert!(has(&few, UnreliableReason::FewJudged));
    let spec = EstimateSpec { draws: 100, ..EstimateSpec::default() };
    let of = |names: &[String], judged: &[Judged], declined| {
        let reference = EstimateReference { intents: names, judged, declined };
        estimate_accuracy(&reference, &current, Some("p = 0.001"), &spec)
    };
    let new = of(&names, &judged, None).unwrap();
    assert_eq!(
        new.reasons.iter().map(|it| it.reason).collect::<Vec<_>>(),
        [UnreliableReason::NewInput]
    );
    assert!(new.reasons[0].text.contains("p = 0.001"));
    let mut more = current.clone();
    for _ in 0..100 {
        more.add_prediction("intent_1", 0.9, true, None);
    }
    let reference =
        EstimateReference { intents: &names, judged: &judged, declined: Some([3, 300]) };
    let declined = estimate_accuracy(&reference, &more, None, &spec).unwrap();
    assert!(has(&declined, UnreliableReason::Declined), "{declined:?}");
    let code = |found: botops_findings::Result<AccuracyEstimate>| found.unwrap_err().code();
    assert_eq!(code(of(&names[..5], &judged, None)), "BOT-2291");
    let foreign: Vec<String> = names.iter().map(|name| format!("x_{name}")).collect();
    assert_eq!(code(of(&foreign, &judged, None)), "BOT-2291");
    assert_eq!(code(of(&names, &[], None)), "BOT-2292");
    let reference = EstimateReference { intents: &names, judged: &judged, declined: None };
    let none = ConfidenceCounts::default();
    assert_eq!(code(estimate_accuracy(&reference, &none, None, &spec)), "BOT-2292");
    let wide = EstimateSpec { level: 1.0, ..spec };
    assert_eq!(code(estimate_accuracy(&reference, &current, None, &wide)), "BOT-2290");
    // One intent, and a model that is always right.
    let one = [Judged { truth: 0, predicted: 0, p: 1.0 }; 400];
    let mut sure = ConfidenceCounts::default();
    (0..200).for_each(|_| sure.add_prediction("only", 1.0, false, Some(Told::Right)));
    let found = estimated(&["only".to_owned()], &one, &sure);
    assert!(found.reliable && found.expected > 0.99, "{found:?}");
}

#[test]
fn without_messages_out_of_scope_in_the_reference_the_labels_of_the_others_are_compared() {
    let (n_intents, names) = (6, intents(6));
    let mut random = Random::new(12);
    let judged = reference(&mut random, 2_000, n_intents, 0);
    let mut week = |oos: usize| -> Vec<Seen> {
        (0..600)
            .map(|i| {
                let truth = if i < oos { n_intents } else { i % n_intents };
                message(&mut random, truth, n_intents, SEPARATION, SEPARATION)
            })
            .collect()
    };
    let few = week(12);
    let estimate = estimated(&names, &judged, &counts(&names, &few, |_| true));
    let realised = estimate.realised.unwrap();
    assert_eq!((realised.accuracy.n, realised.within, estimate.reliable), (588, Some(true), true));
    let many = week(90);
    let estimate = estimated(&names, &judged, &counts(&names, &many, |_| true));
    assert!(has(&estimate, UnreliableReason::OutOfScope), "{estimate:?}");
    assert_eq!(estimate.realised.unwrap().accuracy.n, 510);
}

#[test]
fn the_order_of_records_and_the_threads_do_not_matter() {
    let (n_intents, names) = (4, intents(4));
    let mut random = Random::new(8);
    let mut judged = reference(&mut random, 400, n_intents, 40);
    let mut week: Vec<Seen> = (0..300)
        .map(|i| message(&mut random, i % n_intents, n_intents, SEPARATION, SEPARATION))
        .collect();
    let on = |threads: usize, judged: &[Judged], week: &[Seen]| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let counts = counts(&names, week, |it| it.p < 0.8);
        let estimate = pool.install(|| estimated(&names, judged, &counts));
        serde_json::to_string(&estimate).unwrap()
    };
    let first = on(1, &judged, &week);
    assert_eq!(first, on(3, &judged, &week));
    random.shuffle(&mut judged);
    random.shuffle(&mut week);
    assert_eq!(first, on(2, &judged, &week));
    let read: AccuracyEstimate = serde_json::from_str(&first).unwrap();
    assert_eq!(serde_json::to_string(&read).unwrap(), first);
}
