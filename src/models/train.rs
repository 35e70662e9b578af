//! Training: features, head, a temperature fitted out of fold, goldens.

use super::{
    HeadKind, Lineage, ModelSpec, Progress, Sample, folds, forest,
    head::{Head, HeadScratch},
    intent_model::{Golden, IntentModel, Parts},
    logistic, svm,
};
use crate::{
    dialogue::DialogueSpec,
    features::{Counts, FeatureMatrix, Tfidf},
    findings::{Fault, Result},
    labels::{Labels, OOS},
    stats::{
        calibration::{fit_temperature, negative_log_likelihood},
        random::Random,
    },
    text,
};
use rayon::prelude::*;
use std::collections::BTreeSet;

/// Folds of the cross-fitting that calibrates.
const FOLDS: usize = 5;
/// Rows out of fold that fix one temperature to about a hundredth: folds beyond them are not fitted.
const ENOUGH_OUT_OF_FOLD: usize = 2_000;
/// Fewest records in all, and of an intent.
const FEWEST: (usize, usize) = (10, 2);
/// The longest golden, in bytes: goldens are shown, and run at each start of a server.
const LONGEST_GOLDEN: usize = 400;
/// Keeps the draw of goldens apart from those of folds and heads.
const GOLDEN_STREAM: u64 = 0x601D;

/// Trains a model. Same samples, spec and seed: the same bytes, whatever the number of threads.
///
/// Out-of-scope rows train no class and no term. The temperature is fitted on scores of rows by
/// models that never saw them: of linear heads by 5-fold cross-fitting (stratified, near
/// duplicates never in two folds, document frequencies those of the fold; as many folds as it takes
/// to have 2,000 such rows), of a forest by the trees whose bags lack the row.
///
/// # Errors
/// `BOT-2110` fewer than two intents (exit 3); `BOT-7011` fewer than 2 records of an intent or 10 in all (exit 4);
/// `BOT-7010` a spec out of range (exit 2); `BOT-7012` no term is left to learn from (exit 3).
pub fn train(
    samples: &[Sample<'_>],
    spec: &ModelSpec,
    dialogue: DialogueSpec,
    lineage: Lineage,
    progress: &dyn Progress,
) -> Result<IntentModel> {
    spec.check()?;
    let data = Data::new(samples)?;
    data.check()?;
    progress.begin("features", data.texts.len() as u64);
    let (tfidf, counts) = Tfidf::fit(&data.texts, &spec.features, |n| progress.advance(n))?;
    progress.finish();
    let rows: Vec<u32> = (0..data.texts.len() as u32).collect();
    let n_classes = data.labels.len();

    progress.begin("fit", steps(spec, n_classes));
    let matrix = tfidf.weigh(&counts, tfidf.idf());
    let fitted = fit(&matrix, &rows, &data.y, n_classes, spec, progress)?;
    drop(matrix);
    progress.finish();

    let (scores, truth) = match fitted.out_of_bag {
        Some(out_of_bag) => {
            progress.begin("calibrate", 1);
            let voted = |row: &usize| out_of_bag.1[*row];
            let rows: Vec<usize> = (0..data.y.len()).filter(voted).collect();
            let scores = rows
                .iter()
                .flat_map(|row| &out_of_bag.0[row * n_classes..][..n_classes])
                .copied()
                .collect();
            (scores, rows.iter().map(|&row| data.y[row] as usize).collect())
        }
        None => {
            let folds =
                folds::assign(&folds::groups(&data.texts, &data.y), &data.y, FOLDS, spec.seed);
            let per_fold = data.y.len().div_ceil(FOLDS);
            let n_folds = ENOUGH_OUT_OF_FOLD.div_ceil(per_fold).min(FOLDS);
            progress.begin("calibrate", n_folds as u64 * steps(spec, n_classes));
            let mut scores = Vec::new();
            let mut truth = Vec::new();
            for fold in 0..n_folds as u32 {
                let (part, rows) =
                    out_of_fold(&tfidf, &counts, &data, &folds, fold, spec, progress)?;
                scores.extend(part);
                truth.extend(rows.iter().map(|&row| data.y[row as usize] as usize));
            }
            (scores, truth)
        }
    };
    let temperature = storable(fit_temperature(&scores, n_classes, &truth));
    progress.finish();

    let chosen = goldens(&data, spec);
    let lineage = Lineage {
        n_samples: data.texts.len() as u64,
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
        temperature,
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

/// Rounds to nine decimals: numbers so short are read from JSON as they were written.
fn storable(value: f64) -> f64 {
    (value * 1e9).round() / 1e9
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
    progress: &dyn Progress,
) -> Result<CrossValidation> {
    spec.check()?;
    let data = Data::new(samples)?;
    data.check()?;
    let n_classes = data.labels.len();
    let (tfidf, counts) = Tfidf::fit(&data.texts, &spec.features, |_| ())?;
    let folds = folds::assign(&folds::groups(&data.texts, &data.y), &data.y, FOLDS, spec.seed);
    let (mut scores, mut truth) = (Vec::new(), Vec::new());
    for fold in 0..FOLDS as u32 {
        let (part, rows) = out_of_fold(&tfidf, &counts, &data, &folds, fold, spec, progress)?;
        scores.extend(part);
        truth.extend(rows.iter().map(|&row| data.y[row as usize] as usize));
    }
    let right = scores
        .chunks_exact(n_classes)
        .zip(&truth)
        .filter(|(scores, truth)| largest(scores) == **truth)
        .count();
    let temperature = fit_temperature(&scores, n_classes, &truth);
    Ok(CrossValidation {
        accuracy: right as f64 / truth.len() as f64,
        log_loss: negative_log_likelihood(&scores, n_classes, &truth, temperature),
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

/// The rows that train: those with an intent.
struct Data<'a> {
    texts: Vec<&'a str>,
    y: Vec<u32>,
    labels: Labels,
}

impl<'a> Data<'a> {
    fn new(samples: &[Sample<'a>]) -> Result<Self> {
        let labels = Labels::collect(samples.iter().map(|sample| sample.intent))?;
        let known: Vec<(&str, u32)> = samples
            .iter()
            .filter(|sample| sample.intent != OOS)
            .filter_map(|sample| Some((sample.text, labels.index_of(sample.intent)? as u32)))
            .collect();
        let (texts, y) = known.into_iter().unzip();
        Ok(Self { texts, y, labels })
    }

    fn check(&self) -> Result<()> {
        if self.texts.len() < FEWEST.0 {
            return Err(Fault::insufficient(
                "BOT-7011",
                format!("{} records with an intent are too few to train on", self.texts.len()),
            )
            .hint(format!(
                "at least {} are needed; 20 or more of every intent is a start",
                FEWEST.0
            )));
        }
        let mut counts = vec![0_usize; self.labels.len()];
        for &class in &self.y {
            counts[class as usize] += 1;
        }
        let rare: Vec<String> = self
            .labels
            .iter()
            .zip(&counts)
            .filter(|(_, n)| **n < FEWEST.1)
            .map(|(name, _)| format!("`{}`", text::display(name, 60)))
            .collect();
        match rare.as_slice() {
            [] => Ok(()),
            [first, rest @ ..] => {
                let more = if rest.is_empty() {
                    String::new()
                } else {
                    format!(" and {} more", rest.len())
                };
                Err(Fault::insufficient("BOT-7011", format!("intent {first}{more} has only one record"))
                    .hint("add records of it, or leave the intent out: one cannot be learned from and tested on at once"))
            }
        }
    }
}

/// How many steps fitting a head reports.
fn steps(spec: &ModelSpec, n_classes: usize) -> u64 {
    match spec.head.kind {
        HeadKind::LinearSvm => n_classes as u64,
        HeadKind::LogisticRegression => logistic_spec(spec).max_iterations as u64,
        HeadKind::RandomForest => forest_spec(spec).n_trees as u64,
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

struct Fitted {
    head: Box<dyn Head>,
    /// Of a forest: scores by the trees that did not see the row, and whether there are any.
    out_of_bag: Option<(Vec<f64>, Vec<bool>)>,
}

fn fit(
    x: &FeatureMatrix,
    rows: &[u32],
    y: &[u32],
    n_classes: usize,
    spec: &ModelSpec,
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
            let out_of_bag = Some((grown.out_of_bag, grown.has_vote));
            return Ok(Fitted { head: Box::new(grown.forest), out_of_bag });
        }
    };
    Ok(Fitted { head, out_of_bag: None })
}

/// Fits on the rows outside `fold`, and returns the scores of those inside, row by row, and which rows they are.
fn out_of_fold(
    tfidf: &Tfidf,
    counts: &Counts,
    data: &Data<'_>,
    folds: &[u32],
    fold: u32,
    spec: &ModelSpec,
    progress: &dyn Progress,
) -> Result<(Vec<f64>, Vec<u32>)> {
    let (held, rows): (Vec<u32>, Vec<u32>) =
        (0..folds.len() as u32).partition(|&row| folds[row as usize] == fold);
    let n_classes = data.labels.len();
    let matrix = tfidf.weigh(counts, &tfidf.idf_of(counts, &rows));
    let head = fit(&matrix, &rows, &data.y, n_classes, spec, progress)?.head;
    let scores: Vec<Vec<f64>> = held
        .par_iter()
        .map_init(HeadScratch::default, |scratch, &row| {
            let (columns, values) = matrix.row(row as usize);
            let row: Vec<(u32, f32)> =
                columns.iter().copied().zip(values.iter().copied()).collect();
            let mut scores = vec![0.0; n_classes];
            head.scores(&row, scratch, &mut scores);
            scores
        })
        .collect();
    Ok((scores.into_iter().flatten().collect(), held))
}

/// Draws the utterances that become goldens: round and round the intents, which are shuffled, none twice.
fn goldens<'a>(data: &Data<'a>, spec: &ModelSpec) -> Vec<&'a str> {
    let mut random = Random::stream(spec.seed, GOLDEN_STREAM);
    let mut by_intent: Vec<Vec<&str>> = vec![Vec::new(); data.labels.len()];
    let mut met = BTreeSet::new();
    for (text, &class) in data.texts.iter().zip(&data.y) {
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
