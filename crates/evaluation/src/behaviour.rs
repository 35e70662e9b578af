//! Runs behavioural tests with a model.

use crate::{
    behaviour_report::{BehaviourFailure, BehaviourKind, BehaviourReport, CapabilityResult},
    behaviour_spec::{BehaviourSpec, Direction, VariantKind},
    behaviour_variants::variants,
    metrics::{Metric, proportion},
};
use botops_digest::Digest;
use botops_findings::{Finding, Place, Severity};
use botops_labels::OOS;
use botops_models::IntentModel;
use botops_spec::Checked;
use botops_text::LanguageGuesser;
use std::collections::{BTreeMap, BTreeSet};

/// The answer of a model to one text.
#[derive(Debug, Clone)]
struct Answer {
    /// The intent; `oos` if the model declines.
    intent: String,
    confidence: f64,
    /// The probabilities of the intents.
    proba: Vec<f64>,
}

/// The counts of one capability.
#[derive(Default)]
struct Tally {
    passed: u64,
    n: u64,
    must_pass: u64,
    must_pass_failed: u64,
}

/// The outcome of the tests so far.
struct Tests<'a> {
    model: &'a IntentModel,
    answers: BTreeMap<String, Answer>,
    capabilities: Vec<CapabilityResult>,
    failures: Vec<BehaviourFailure>,
    unknown: BTreeSet<String>,
}

/// Runs the tests of `spec`, which come from `file`, with `model`. Same tests, same bytes: nothing depends on the order of
/// threads, and a variant only on the seed and its utterance.
///
/// An answer is the predicted intent, or `oos` if the model declines. A variant passes if its answer is that of its utterance,
/// be it right or wrong.
#[must_use]
pub fn test_behaviour(
    model: &IntentModel,
    spec: &Checked<BehaviourSpec>,
    file: &str,
) -> BehaviourReport {
    let varied = varied(spec);
    let mut tests = Tests {
        model,
        answers: answers(model, spec, &varied),
        capabilities: Vec::new(),
        failures: Vec::new(),
        unknown: BTreeSet::new(),
    };
    tests.minimum(spec);
    tests.invariance(&varied);
    tests.direction(spec);
    let Tests { capabilities, mut failures, unknown, .. } = tests;
    failures.sort_by_key(|failure| !failure.must_pass);
    let sum = |kind: BehaviourKind| -> Option<Metric> {
        let of_kind = || capabilities.iter().filter(|result| result.kind == kind);
        let n: u64 = of_kind().map(|result| result.passed.n).sum();
        let passed =
            of_kind().map(|it| (it.passed.value * it.passed.n as f64).round() as u64).sum();
        (n > 0).then(|| proportion(passed, n))
    };
    let with = |kind: VariantKind| varied.iter().any(|(_, found, _)| *found == kind);
    BehaviourReport {
        file: file.to_owned(),
        digest: Digest::of_json(&**spec),
        minimum: sum(BehaviourKind::Minimum),
        invariance: sum(BehaviourKind::Invariance),
        direction: sum(BehaviourKind::Direction),
        must_pass: capabilities.iter().map(|result| result.must_pass).sum(),
        must_pass_failed: capabilities.iter().map(|result| result.must_pass_failed).sum(),
        failures,
        unknown_intents: unknown.into_iter().collect(),
        without_variants: match spec.minimum.is_empty() {
            true => Vec::new(),
            false => {
                let kinds = spec.invariance.kinds.iter();
                kinds.filter(|kind| !with(**kind)).map(|kind| kind.name().to_owned()).collect()
            }
        },
        capabilities,
    }
}

/// Returns each variant with its utterance and its kind.
fn varied(spec: &BehaviourSpec) -> Vec<(&str, VariantKind, String)> {
    let guesser = LanguageGuesser::for_declared(
        spec.minimum.iter().filter_map(|group| group.lang.as_deref()),
    );
    let mut all = Vec::new();
    for group in &spec.minimum {
        for (text, _) in group.each() {
            let guessed = guesser.guess(text);
            let lang = group.lang.as_deref().or_else(|| guessed.map(|guess| guess.code()));
            for &kind in &spec.invariance.kinds {
                let found = variants(kind, text, lang, &spec.invariance, spec.seed);
                all.extend(found.into_iter().map(|variant| (text, kind, variant)));
            }
        }
    }
    all
}

/// Classifies every text of the tests once.
fn answers(
    model: &IntentModel,
    spec: &BehaviourSpec,
    varied: &[(&str, VariantKind, String)],
) -> BTreeMap<String, Answer> {
    let mut texts: BTreeSet<&str> = BTreeSet::new();
    texts.extend(spec.minimum.iter().flat_map(|group| group.each().map(|(text, _)| text)));
    texts.extend(varied.iter().map(|(.., variant)| variant.as_str()));
    let pairs = spec.direction.iter().flat_map(|group| &group.pairs);
    texts.extend(pairs.flat_map(|pair| [pair.from.as_str(), pair.to.as_str()]));
    let texts: Vec<&str> = texts.into_iter().collect();
    let (predictions, probas) = model.predict_many(&texts);
    texts
        .into_iter()
        .zip(predictions.into_iter().zip(probas))
        .map(|(text, (prediction, proba))| {
            let intent = match prediction.fallback {
                true => OOS.to_owned(),
                false => model.labels().name(prediction.intent).to_owned(),
            };
            (text.to_owned(), Answer { intent, confidence: prediction.confidence, proba })
        })
        .collect()
}

impl Tests<'_> {
    fn finish(&mut self, kind: BehaviourKind, capability: &str, tally: &Tally) {
        self.capabilities.push(CapabilityResult {
            kind,
            capability: capability.to_owned(),
            passed: proportion(tally.passed, tally.n),
            must_pass: tally.must_pass,
            must_pass_failed: tally.must_pass_failed,
        });
    }

    fn minimum(&mut self, spec: &BehaviourSpec) {
        let known = &self.model.lineage().spec;
        for group in &spec.minimum {
            let expected = known.intent_of(&group.intent);
            if expected != OOS && self.model.labels().index_of(expected).is_none() {
                self.unknown.insert(group.intent.clone());
            }
            let mut tally = Tally::default();
            for (text, must_pass) in group.each() {
                let answer = &self.answers[text];
                let passed = answer.intent == expected;
                tally.n += 1;
                tally.passed += u64::from(passed);
                tally.must_pass += u64::from(must_pass);
                tally.must_pass_failed += u64::from(must_pass && !passed);
                if !passed {
                    self.failures.push(BehaviourFailure {
                        kind: BehaviourKind::Minimum,
                        capability: group.capability.clone(),
                        text: text.to_owned(),
                        changed: None,
                        expected: expected.to_owned(),
                        found: answer.intent.clone(),
                        confidence: answer.confidence,
                        must_pass,
                    });
                }
            }
            self.finish(BehaviourKind::Minimum, &group.capability, &tally);
        }
    }

    fn invariance(&mut self, varied: &[(&str, VariantKind, String)]) {
        for kind in VariantKind::ALL {
            let mut tally = Tally::default();
            for (text, _, variant) in varied.iter().filter(|(_, found, _)| *found == kind) {
                let (before, after) = (&self.answers[*text], &self.answers[variant]);
                let passed = before.intent == after.intent;
                tally.n += 1;
                tally.passed += u64::from(passed);
                if !passed {
                    self.failures.push(BehaviourFailure {
                        kind: BehaviourKind::Invariance,
                        capability: kind.name().to_owned(),
                        text: (*text).to_owned(),
                        changed: Some(variant.clone()),
                        expected: before.intent.clone(),
                        found: after.intent.clone(),
                        confidence: after.confidence,
                        must_pass: false,
                    });
                }
            }
            if tally.n > 0 {
                self.finish(BehaviourKind::Invariance, kind.name(), &tally);
            }
        }
    }

    fn direction(&mut self, spec: &BehaviourSpec) {
        for group in &spec.direction {
            let index = self.model.labels().index_of(&group.intent);
            if index.is_none() {
                self.unknown.insert(group.intent.clone());
            }
            let probability = |text: &str| {
                let answer = &self.answers[text];
                index.and_then(|index| answer.proba.get(index)).copied().unwrap_or(0.0)
            };
            let mut tally = Tally::default();
            let mut failures = Vec::new();
            for pair in &group.pairs {
                let (before, after) = (probability(&pair.from), probability(&pair.to));
                let moved = match group.expect {
                    Direction::Rises => after - before,
                    Direction::Falls => before - after,
                };
                let passed = index.is_some() && moved > 0.0 && moved >= group.by;
                tally.n += 1;
                tally.passed += u64::from(passed);
                if !passed {
                    failures.push(BehaviourFailure {
                        kind: BehaviourKind::Direction,
                        capability: group.capability.clone(),
                        text: pair.from.clone(),
                        changed: Some(pair.to.clone()),
                        expected: format!("p({}) {}", group.intent, group.expect.name()),
                        found: format!("{before:.3} to {after:.3}"),
                        confidence: after,
                        must_pass: false,
                    });
                }
            }
            self.failures.extend(failures);
            self.finish(BehaviourKind::Direction, &group.capability, &tally);
        }
    }
}

/// Returns the warnings on behavioural tests: intents that the model does not know.
#[must_use]
pub fn behaviour_warnings(report: &BehaviourReport) -> Vec<Finding> {
    let place = Place { file: Some(report.file.clone()), ..Place::default() };
    let unknown = report.unknown_intents.iter();
    unknown
        .map(|intent| {
            let shown = botops_text::display(intent, 60);
            let message = format!(
                "behavioural tests expect the intent `{shown}`, which the model does not know: they fail"
            );
            let help = "check the spelling of the intent, or train the model with its utterances";
            Finding::new("BOT-7081", Severity::Warning, message, help).at(place.clone())
        })
        .collect()
}
