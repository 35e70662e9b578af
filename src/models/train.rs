//! Training: features, head, a temperature fitted out of fold, goldens.

use super::{
    HeadKind, Lineage, ModelSpec, Progress, Resources, Sample,
    calibrate::{Plan, calibrate, fit_all},
    confidence::storable,
    data::Data,
    forest,
    head::{Head, HeadScratch},
    intent_model::{Golden, IntentModel, Parts},
    logistic,
    out_of_fold::{Folds, OutOfFold, out_of_fold},
    svm,
    table::Table,
};
use crate::{
    dialogue::DialogueSpec,
    features::FeatureMatrix,
    findings::{Fault, Result},
    stats::{
        calibration::{fit_temperature, negative_log_likelihood},
        random::Random,
    },
};
use rayon::prelude::*;
use std::collections::BTreeSet;

/// Folds of the cross-fitting that calibrates.
pub(super) const FOLDS: usize = 5;
/// The longest golden, in bytes: goldens are shown, and run at each start of a server.
const LONGEST_GOLDEN: usize = 400;
/// Keeps the draw of goldens apart from those of folds and heads.
const GOLDEN_STREAM: u64 = 0x601D;

/// Trains a model. Same samples, spec and seed: the same bytes, whatever the number of threads.
///
/// Out-of-scope rows train no term, and no class unless the spec's fallback asks for one that is never an answer.
/// Confidence (temperature, fallback threshold, prediction sets) is fitted on scores of rows by models that never saw
/// them: of linear heads by 5-fold cross-fitting (stratified, the same utterance never in two folds, document
/// frequencies those of the fold; as many folds as it takes to have 2,000 such rows, and all of them to find a
/// threshold or compare scores), of a forest by the trees whose bags lack the row.
///
/// # Errors
/// `BOT-2110` fewer than two intents (exit 3); `BOT-7011` fewer than 2 records of an intent or 10 in all (exit 4);
/// `BOT-7010` a spec out of range (exit 2); `BOT-7012` no term is left to learn from (exit 3); `BOT-7060` the stated
/// accuracy cannot be shown (exit 4); `BOT-7061` too few out-of-scope records to learn from (exit 4).
pub fn train(
    samples: &[Sample<'_>],
    spec: &ModelSpec,
    resources: Resources<'_>,
    dialogue: DialogueSpec,
    lineage: Lineage,
    progress: &dyn Progress,
) -> Result<IntentModel> {
    let table = Table::fit(samples, spec, resources, progress)?;
    let plan = Plan::new(spec, table.data.outside().len())?;

    progress.begin("fit", steps(spec, plan.first().n_scores(table.data.n_classes())));
    let first = fit_all(plan.first(), &table, spec, resources, progress)?;
    progress.finish();
    let (calibrated, refit) = calibrate(plan, &first, &table, spec, resources, progress)?;
    let fitted = refit.unwrap_or(first);

    let Table { data, tfidf, .. } = table;
    let chosen = goldens(&data, spec);
    let lineage = Lineage {
        n_samples: data.n_inside() as u64,
        spec: spec.clone(),
        botops: match lineage.botops.is_empty() {
            true => env!("CARGO_PKG_VERSION").to_owned(),
            false => lineage.botops.clone(),
        },
        ..lineage
    };
    let mut model = IntentModel::new(Parts {
        labels: data.labels,
        tfidf,
        head: fitted.head,
        confidence: calibrated.confidence,
        centroids: calibrated.centroids,
        dialogue,
        lineage,
        goldens: Vec::new(),
    });
    let goldens = chosen
        .into_iter()
        .map(|text| {
            let prediction = model.predict(text);
            Golden {
                text: text.to_owned(),
                intent: model.labels().name(prediction.intent).to_owned(),
                confidence: storable(prediction.confidence),
            }
        })
        .collect();
    model.set_goldens(goldens);
    Ok(model)
}

/// What cross-validation says of a spec on some data.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CrossValidation {
    /// Share of rows whose intent was found by a model that never saw them, in [0, 1].
    pub accuracy: f64,
    /// Mean negative log likelihood at the best temperature, in nats.
    pub log_loss: f64,
    /// That temperature.
    pub temperature: f64,
    /// Number of rows predicted.
    pub n: usize,
}

/// Cross-validates `spec` on `samples` over 5 folds, stratified, the same utterance never in two.
///
/// # Errors
/// As [`train`].
pub fn cross_validate(
    samples: &[Sample<'_>],
    spec: &ModelSpec,
    resources: Resources<'_>,
    progress: &dyn Progress,
) -> Result<CrossValidation> {
    let table = Table::fit(samples, spec, resources, progress)?;
    let folds = Folds::deal(&table, FOLDS, spec.seed);
    progress.begin("cross-validate", FOLDS as u64 * steps(spec, table.data.n_classes()));
    let unseen = out_of_fold(&table, spec, resources, &folds, FOLDS, progress)?;
    progress.finish();
    let OutOfFold { n_classes, scores, truth, .. } = &unseen;
    let temperature = fit_temperature(scores, *n_classes, truth);
    Ok(CrossValidation {
        accuracy: unseen.accuracy(),
        log_loss: negative_log_likelihood(scores, *n_classes, truth, temperature),
        temperature,
        n: truth.len(),
    })
}

/// Returns the index of the largest; of equals, the lowest.
pub(super) fn largest(scores: &[f64]) -> usize {
    let mut best = 0;
    for (i, score) in scores.iter().enumerate() {
        if *score > scores[best] {
            best = i;
        }
    }
    best
}

/// How many steps fitting a head reports.
pub(super) fn steps(spec: &ModelSpec, n_classes: usize) -> u64 {
    match spec.head.kind {
        HeadKind::LinearSvm => n_classes as u64,
        HeadKind::LogisticRegression => logistic_spec(spec).max_iterations as u64,
        HeadKind::RandomForest => forest_spec(spec).n_trees as u64,
        HeadKind::ComplementNaiveBayes | HeadKind::FineTuned => 1,
    }
}

fn logistic_spec(spec: &ModelSpec) -> logistic::LogisticSpec {
    logistic::LogisticSpec {
        c: spec.head.c.unwrap_or(30.0),
        max_iterations: spec.head.max_iterations.unwrap_or(200),
        tolerance: spec.head.tolerance.unwrap_or(1e-4),
    }
}

fn forest_spec(spec: &ModelSpec) -> forest::ForestSpec {
    forest::ForestSpec {
        n_trees: spec.head.n_trees.unwrap_or(100),
        max_depth: spec.head.max_depth.unwrap_or(u16::MAX - 1),
        n_features: spec.head.n_features.unwrap_or(2_000),
        seed: spec.seed,
    }
}

/// A fitted head.
pub(super) struct Fitted {
    pub(super) head: Box<dyn Head>,
    /// Scores of rows that it did not see, where fitting leaves some: they calibrate, and no fold has to.
    pub(super) held_out: Option<HeldOut>,
}

/// Scores `[rows, n_classes]` of `rows`, which the head did not see.
#[derive(Clone)]
pub(super) struct HeldOut {
    pub(super) rows: Vec<u32>,
    pub(super) scores: Vec<f64>,
}

/// Returns what `head` says of each of `rows` of `x`.
pub(super) fn score_rows(head: &dyn Head, x: &FeatureMatrix, rows: &[u32]) -> Vec<Vec<f64>> {
    rows.par_iter()
        .map_init(HeadScratch::default, |scratch, &row| {
            let (columns, values) = x.row(row as usize);
            let row: Vec<(u32, f32)> =
                columns.iter().copied().zip(values.iter().copied()).collect();
            let mut scores = vec![0.0; head.n_classes()];
            head.scores(&row, scratch, &mut scores);
            scores
        })
        .collect()
}

/// Fits the head that `spec` asks for on `rows` of `x`, whose intents are `y[row]`.
///
/// # Errors
/// `BOT-7012` no feature to grow a tree on (exit 3); `BOT-7013` a bug of the forest (exit 1).
pub(super) fn fit(
    x: &FeatureMatrix,
    rows: &[u32],
    y: &[u32],
    n_classes: usize,
    spec: &ModelSpec,
    _resources: Resources<'_>,
    progress: &dyn Progress,
) -> Result<Fitted> {
    let advance = |n| progress.advance(n);
    let head: Box<dyn Head> = match spec.head.kind {
        HeadKind::LinearSvm => {
            let spec = svm::SvmSpec {
                c: spec.head.c.unwrap_or(1.5),
                max_iterations: spec.head.max_iterations.unwrap_or(1_000),
                tolerance: spec.head.tolerance.unwrap_or(0.1),
                seed: spec.seed,
            };
            Box::new(svm::fit(x, rows, y, n_classes, spec, &advance))
        }
        HeadKind::LogisticRegression => {
            Box::new(logistic::fit(x, rows, y, n_classes, logistic_spec(spec), &advance))
        }
        HeadKind::RandomForest => {
            let grown = forest::fit(x, rows, y, n_classes, forest_spec(spec), &advance)?;
            // Of a row that every tree saw, nobody can say.
            let voted = |i: &usize| grown.has_vote[*i];
            let unseen: Vec<usize> = (0..rows.len()).filter(voted).collect();
            let scores = |&i: &usize| &grown.out_of_bag[i * n_classes..][..n_classes];
            let held_out = HeldOut {
                scores: unseen.iter().flat_map(scores).copied().collect(),
                rows: unseen.iter().map(|&i| rows[i]).collect(),
            };
            return Ok(Fitted { head: Box::new(grown.forest), held_out: Some(held_out) });
        }
        HeadKind::ComplementNaiveBayes | HeadKind::FineTuned => {
            return Err(Fault::internal("BOT-9001", "this head is not built yet"));
        }
    };
    Ok(Fitted { head, held_out: None })
}

/// Draws the utterances that become goldens: round and round the intents, which are shuffled, none twice.
fn goldens<'a>(data: &Data<'a>, spec: &ModelSpec) -> Vec<&'a str> {
    let mut random = Random::stream(spec.seed, GOLDEN_STREAM);
    let mut by_intent: Vec<Vec<&str>> = vec![Vec::new(); data.labels.len()];
    let mut met = BTreeSet::new();
    for (text, &class) in data.inside().iter().zip(&data.y) {
        if (1..=LONGEST_GOLDEN).contains(&text.len()) && met.insert(*text) {
            by_intent[class as usize].push(text);
        }
    }
    for texts in &mut by_intent {
        random.shuffle(texts);
    }
    random.shuffle(&mut by_intent);
    let longest = by_intent.iter().map(Vec::len).max().unwrap_or(0);
    (0..longest)
        .flat_map(|round| by_intent.iter().filter_map(move |texts| texts.get(round).copied()))
        .take(spec.goldens)
        .collect()
}
