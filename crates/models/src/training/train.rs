//! Training: features, head, a temperature fitted out of fold, goldens.

use super::out_of_fold::{Folds, OutOfFold, Outside, out_of_fold};
use crate::{
    HeadKind, Lineage, ModelSpec, Progress, Resources, Sample,
    confidence::storable,
    heads::{
        dense, fine_tuned, forest,
        head::{Head, HeadScratch},
        logistic, naive_bayes, stacked, svm,
    },
    intent_model::{Golden, IntentModel, Parts},
    training::{
        calibration::{Plan, calibrate, fit_all},
        feature_table::{Rows, Table},
        samples::Data,
    },
};
use botops_dialogue::DialogueSpec;
use botops_features::{Encoder, FeatureKind};
use botops_findings::Result;
use botops_stats::{
    calibration::{fit_temperature, negative_log_likelihood},
    random::Random,
};
use rayon::prelude::*;
use std::{collections::BTreeSet, sync::Arc};

/// Folds of the cross-fitting that calibrates.
pub(crate) const FOLDS: usize = 5;
/// The longest golden, in bytes: goldens are shown, and run at each start of a server.
const LONGEST_GOLDEN: usize = 400;
/// Keeps the draw of goldens apart from those of folds and heads.
const GOLDEN_STREAM: u64 = 0x601D;

/// Trains a model. Same samples, spec and seed: the same bytes, whatever the number of threads.
///
/// Out-of-scope rows train no term, and no class unless the spec's fallback asks for one that is never an answer.
/// Confidence (temperature, fallback threshold, prediction sets) is fitted on scores of rows by models that never saw
/// them: of linear heads by 5-fold cross-fitting (stratified, near duplicates never in two folds, document
/// frequencies those of the fold; as many folds as it takes to have 2,000 such rows, and all of them to find a
/// threshold or compare scores), of a forest by the trees whose bags lack the row.
///
/// # Errors
/// `BOT-2110` fewer than two intents (exit 3); `BOT-7011` fewer than 2 records of an intent or 10 in all (exit 4);
/// `BOT-7010`, `BOT-7014`, `BOT-7063` a spec out of range (exit 2); `BOT-7012` no term is left to learn from (exit 3);
/// `BOT-7050` the features ask for an encoder, and `resources` have none (exit 2); `BOT-7060` the stated accuracy
/// cannot be shown (exit 4); `BOT-7061` too few out-of-scope records to learn from (exit 4); those of fitting the head.
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

    let fit = |outside: Outside| {
        let n_scores = outside.n_scores(table.data.n_classes());
        progress.begin("fit", steps(spec, n_scores, outside.n_rows(&table.data)));
        let fitted = fit_all(outside, &table, spec, resources, progress)?;
        progress.finish();
        Ok(fitted)
    };
    let (calibrated, fitted) = match spec.holds_out() {
        true => {
            let first = fit(plan.first())?;
            let (calibrated, refit) =
                calibrate(plan, Some(&first), &table, spec, resources, progress)?;
            (calibrated, refit.unwrap_or(first))
        }
        // The models of folds first: memory never holds them beside the one that is kept.
        false => {
            let (calibrated, _) = calibrate(plan, None, &table, spec, resources, progress)?;
            let fitted = fit(calibrated.learns)?;
            (calibrated, fitted)
        }
    };

    let encoder = fitted.encoder.or_else(|| table.encoder().cloned());
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
        encoder,
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

/// Cross-validates `spec` on `samples` over 5 folds, stratified, near duplicates never in two.
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
    let n_others = table.data.n_inside() - table.data.n_inside().div_ceil(FOLDS);
    let steps = steps(spec, table.data.n_classes(), n_others);
    progress.begin("cross-validate", FOLDS as u64 * steps);
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
pub(crate) fn largest(scores: &[f64]) -> usize {
    let mut best = 0;
    for (i, score) in scores.iter().enumerate() {
        if *score > scores[best] {
            best = i;
        }
    }
    best
}

/// How many steps fitting on `n_samples` rows reports, at most.
pub(crate) fn steps(spec: &ModelSpec, n_classes: usize, n_samples: usize) -> u64 {
    if spec.features.kind == FeatureKind::Stacked {
        let once: u64 =
            stacked::parts(spec).iter().map(|part| steps(part, n_classes, n_samples)).sum();
        return once * stacked::n_fits(n_samples) as u64;
    }
    match spec.head.kind {
        HeadKind::LinearSvm => n_classes as u64,
        HeadKind::LogisticRegression if by_linfa(spec) => 1,
        HeadKind::LogisticRegression => logistic_rounds(spec) as u64,
        HeadKind::RandomForest => forest_spec(spec).n_trees as u64,
        HeadKind::ComplementNaiveBayes | HeadKind::FineTuned => 1,
    }
}

/// Whether linfa fits the logistic regression: on embeddings, which are whole matrices; it knows no weights of intents.
fn by_linfa(spec: &ModelSpec) -> bool {
    spec.features.kind == FeatureKind::Encoder && spec.head.class_weight.is_none()
}

/// How to fit on embeddings.
fn dense_spec(spec: &ModelSpec) -> dense::DenseSpec {
    dense::DenseSpec {
        c: spec.head.c.unwrap_or(dense::C),
        max_iterations: logistic_rounds(spec),
        tolerance: spec.head.tolerance.unwrap_or(dense::TOLERANCE),
    }
}

fn logistic_rounds(spec: &ModelSpec) -> usize {
    spec.head.max_iterations.unwrap_or(200)
}

fn svm_spec(spec: &ModelSpec, class_weight: Vec<f32>) -> svm::SvmSpec {
    svm::SvmSpec {
        c: spec.head.c.unwrap_or(1.5),
        class_weight,
        max_iterations: spec.head.max_iterations.unwrap_or(1_000),
        tolerance: spec.head.tolerance.unwrap_or(0.1),
        seed: spec.seed,
    }
}

fn logistic_spec(spec: &ModelSpec, class_weight: Vec<f32>) -> logistic::LogisticSpec {
    logistic::LogisticSpec {
        c: spec.head.c.unwrap_or(30.0),
        class_weight,
        max_iterations: logistic_rounds(spec),
        tolerance: spec.head.tolerance,
        seed: spec.seed,
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
pub(crate) struct Fitted {
    pub(crate) head: Box<dyn Head>,
    /// The encoder that learned together with it, which takes the place of the one it began as.
    pub(crate) encoder: Option<Arc<Encoder>>,
    /// Scores of rows that it did not see, where fitting leaves some: they calibrate, and no fold has to.
    pub(crate) held_out: Option<HeldOut>,
}

/// Scores `[rows, n_classes]` of `rows`, in any order, which the head did not see.
#[derive(Clone)]
pub(crate) struct HeldOut {
    pub(crate) rows: Vec<u32>,
    pub(crate) scores: Vec<f64>,
}

impl Fitted {
    /// Takes a head that saw all of its rows, and changed no encoder.
    fn plain(head: impl Head + 'static) -> Self {
        Self { head: Box::new(head), encoder: None, held_out: None }
    }

    /// Returns the raw scores `[rows, n_classes]` of `rows` of `x`, which are made as those it was fitted on.
    pub(crate) fn scores(&self, x: &Rows<'_>, rows: &[u32]) -> Vec<f64> {
        // What a fine-tuned encoder makes of a text, no table holds.
        let embedded = self.encoder.as_ref().map(|encoder| {
            let texts: Vec<&str> = rows.iter().map(|&r| x.table.data.texts[r as usize]).collect();
            (encoder.embed(&texts, &|_| ()), encoder.dim())
        });
        let scored: Vec<Vec<f64>> = (0..rows.len())
            .into_par_iter()
            .map_init(HeadScratch::default, |scratch, i| {
                let (columns, values) = x.row(rows[i] as usize);
                let mut row: Vec<(u32, f32)> =
                    columns.iter().copied().zip(values.iter().copied()).collect();
                if let Some((embeddings, dim)) = &embedded {
                    let own = embeddings[i * dim..][..*dim].iter().copied();
                    row.extend((x.n_sparse as u32..).zip(own));
                }
                let mut scores = vec![0.0; self.head.n_classes()];
                self.head.scores(&row, scratch, &mut scores);
                scores
            })
            .collect();
        scored.into_iter().flatten().collect()
    }
}

/// Fits the head that `spec` asks for on `rows` of `x`, whose intents are `y[row]`; of stacked features, both.
///
/// # Errors
/// `BOT-7012` no feature to grow a tree on (exit 3); `BOT-7013` a bug of the forest (exit 1); `BOT-7051` a logistic
/// regression that finds no way down (exit 1).
pub(crate) fn fit(
    x: &Rows<'_>,
    rows: &[u32],
    y: &[u32],
    n_classes: usize,
    spec: &ModelSpec,
    resources: Resources<'_>,
    progress: &dyn Progress,
) -> Result<Fitted> {
    if spec.features.kind == FeatureKind::Stacked {
        return stacked::fit(x, rows, y, n_classes, spec, resources, progress);
    }
    let advance = |n| progress.advance(n);
    let class_weight = class_weight(rows, y, n_classes, spec);
    Ok(match spec.head.kind {
        HeadKind::LinearSvm => {
            let spec = svm_spec(spec, class_weight);
            Fitted::plain(svm::fit(x, rows, y, n_classes, &spec, &advance))
        }
        HeadKind::LogisticRegression if by_linfa(spec) => {
            let head = dense::fit(x, rows, y, n_classes, dense_spec(spec))?;
            advance(1);
            Fitted::plain(head)
        }
        HeadKind::LogisticRegression => {
            let spec = logistic_spec(spec, class_weight);
            Fitted::plain(logistic::fit(x, rows, y, n_classes, &spec, &advance))
        }
        HeadKind::ComplementNaiveBayes => {
            let alpha = spec.head.alpha.unwrap_or(1.0);
            let head = naive_bayes::fit(x, rows, y, n_classes, alpha, &class_weight);
            advance(1);
            Fitted::plain(head)
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
            Fitted { held_out: Some(held_out), ..Fitted::plain(grown.forest) }
        }
        HeadKind::FineTuned => {
            return fine_tuned::fit(x, rows, y, n_classes, spec, resources, progress);
        }
    })
}

fn class_weight(rows: &[u32], y: &[u32], n_classes: usize, spec: &ModelSpec) -> Vec<f32> {
    spec.head.class_weight.weights(rows.iter().map(|&row| y[row as usize]), n_classes)
}

/// Fits as [`fit`] does, and returns the scores `[held, n_classes]` of the rows `held`, in their order.
///
/// # Errors
/// Those of [`fit`].
#[expect(clippy::too_many_arguments, reason = "those of `fit`, and one more")]
pub(crate) fn fit_and_score(
    x: &Rows<'_>,
    rows: &[u32],
    held: &[u32],
    y: &[u32],
    n_classes: usize,
    spec: &ModelSpec,
    resources: Resources<'_>,
    progress: &dyn Progress,
) -> Result<Vec<f64>> {
    if spec.head.kind == HeadKind::LinearSvm && spec.features.kind != FeatureKind::Stacked {
        // The weights of all intents, of which no more than sixteen are needed at a time, would be most of the memory.
        let spec = svm_spec(spec, class_weight(rows, y, n_classes, spec));
        let advance = |n| progress.advance(n);
        return Ok(svm::fit_and_score(x, rows, held, y, n_classes, &spec, &advance));
    }
    Ok(fit(x, rows, y, n_classes, spec, resources, progress)?.scores(x, held))
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
