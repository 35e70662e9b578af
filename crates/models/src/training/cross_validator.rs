//! Cross-validation of any number of specs on the same folds.

use super::{
    context::TrainingContext,
    feature_table::FeatureTable,
    folds,
    out_of_fold::{OosRole, ScoredRows, fit_and_score},
    samples::Samples,
};
use crate::{
    HeadKind, ModelSpec, Prediction, Progress, Resources, Sample, heads::fitting::steps,
    neighborhood::SampleNeighbors,
};
use botops_findings::{Fault, Result};
use botops_labels::{Labels, OOS};
use botops_spec::Checked;
use botops_stats::{
    argmax::argmax,
    calibration::{fit_temperature, softmax},
    random::Random,
};
use botops_text as text;
use std::{
    collections::{BTreeSet, VecDeque},
    ops::{Range, RangeInclusive},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
};

/// Separates the draw of shares from the draws of folds and heads.
const SHARE_STREAM: u64 = 0x5AA2E;
/// Feature tables kept at a time: two, so that one thread can start on the next table while others still use the last.
const TABLES: usize = 2;
/// The allowed numbers of folds.
const FOLDS: RangeInclusive<usize> = 2..=100;

/// Records dealt into folds.
///
/// - every intent has records in every fold, as evenly as near duplicates allow
/// - near duplicates are never in two folds, so no model scores a record after learning from its near duplicate
/// - out-of-scope records do not form a class; the models of the folds score them in turn
///
/// Specs with the same features share one feature table; any number of threads can share one validator.
pub struct CrossValidator<'a> {
    samples: &'a [Sample<'a>],
    resources: Resources<'a>,
    labels: Labels,
    /// For each row of a table (in-scope, then out-of-scope rows), its index in `samples`.
    sample_of: Vec<u32>,
    /// The intent of each in-scope row.
    y: Vec<u32>,
    /// The fold of each in-scope row.
    fold_of: Vec<u32>,
    /// The rank of each in-scope row within its intent when a share of the rows is drawn.
    rank: Vec<u64>,
    n_folds: u32,
    n_groups: usize,
    tables: Mutex<VecDeque<(String, Slot<'a>)>>,
}

/// A table that the first thread to ask computes, while others wait.
type Slot<'a> = Arc<Mutex<Option<Arc<FeatureTable<'a>>>>>;

/// Scores of the records of one fold by a model that never saw them.
#[derive(Debug, Clone, PartialEq)]
pub struct HeldOut {
    /// The fold.
    pub fold: u32,
    /// Number of in-scope records that the model learned from.
    pub n_train: usize,
    /// The scored records: indices of samples, in-scope records first, each part rising.
    pub samples: Vec<u32>,
    /// The intents of the in-scope records, which come first in `samples`; the rest are out of scope.
    pub truth: Vec<usize>,
    /// Raw scores `[samples, n_classes]`, row by row.
    pub scores: Vec<f64>,
    /// For each of `samples`, whether the model knows anything in it.
    pub understood: Vec<bool>,
    n_classes: usize,
}

impl<'a> CrossValidator<'a> {
    /// Deals `samples` into `n_folds` folds; the same samples and seed give the same folds.
    ///
    /// # Errors
    /// `BOT-3030` fewer than 2 or more than 100 folds (exit 2); `BOT-3031` an intent with fewer records than folds, or
    /// with the same text in all records (exit 4); `BOT-2110` and `BOT-7011` as in training.
    pub fn new(
        samples: &'a [Sample<'a>],
        n_folds: usize,
        seed: u64,
        resources: Resources<'a>,
    ) -> Result<Self> {
        if !FOLDS.contains(&n_folds) {
            return Err(Fault::usage(
                "BOT-3030",
                format!("cannot divide records into {n_folds} folds"),
            )
            .hint("use 2 to 100 folds; 5 is usual"));
        }
        let separated = Samples::new(samples)?;
        let groups = folds::groups(separated.in_scope(), &separated.y);
        check(&separated, &groups, n_folds)?;
        let fold_of = folds::assign(&groups, &separated.y, n_folds, seed);
        let (in_scope, out_of_scope): (Vec<u32>, Vec<u32>) =
            (0..samples.len() as u32).partition(|&i| samples[i as usize].intent != OOS);
        let mut random = Random::stream(seed, SHARE_STREAM);
        Ok(Self {
            samples,
            resources,
            sample_of: in_scope.into_iter().chain(out_of_scope).collect(),
            rank: ranks(&separated.y, separated.n_classes(), &mut random),
            n_groups: groups.iter().collect::<BTreeSet<_>>().len(),
            y: separated.y,
            labels: separated.labels,
            fold_of,
            n_folds: n_folds as u32,
            tables: Mutex::default(),
        })
    }

    /// Returns the intents.
    #[must_use]
    pub fn labels(&self) -> &Labels {
        &self.labels
    }

    /// Returns the number of folds.
    #[must_use]
    pub fn n_folds(&self) -> u32 {
        self.n_folds
    }

    /// Returns the number of in-scope records.
    #[must_use]
    pub fn n_samples(&self) -> usize {
        self.y.len()
    }

    /// Returns the number of groups of near duplicates among the in-scope records; a record without near duplicates is
    /// its own group.
    #[must_use]
    pub fn n_groups(&self) -> usize {
        self.n_groups
    }

    /// Returns a key that specs with the same features share; validating such specs one after another is fastest.
    #[must_use]
    pub fn features_key(spec: &ModelSpec) -> String {
        // The table of an encoder that is to be fine-tuned holds no embeddings.
        let fine_tuned = spec.head.kind == HeadKind::FineTuned;
        serde_json::to_string(&(&spec.features, fine_tuned)).expect("a spec is valid JSON")
    }

    /// Fits `spec` without each of `folds`, and returns the scores of the records of these folds, in their order.
    ///
    /// Each model learns from `share`, in (0, 1], of every intent's records in the other folds: at least one record of
    /// every intent; a smaller share is a subset of a larger one. `at_once` folds (1 or more) are fitted side by side.
    /// The result depends neither on the number of threads nor on `at_once`. Do not call it within a `rayon` task: one
    /// thread computes the features while the others wait.
    ///
    /// # Errors
    /// Those of a spec that cannot be trained: `BOT-7012`, and those of its head.
    ///
    /// # Panics
    /// If a fold does not exist.
    pub fn held_out(
        &self,
        spec: &Checked<ModelSpec>,
        folds: Range<u32>,
        share: f64,
        at_once: usize,
        progress: &dyn Progress,
    ) -> Result<Vec<HeldOut>> {
        assert!(folds.end <= self.n_folds, "{folds:?} of {} folds", self.n_folds);
        let table = self.table(spec, progress)?;
        let context = TrainingContext { table: &table, spec, resources: self.resources, progress };
        progress.begin("folds", folds.len() as u64 * steps(spec, self.labels.len(), self.y.len()));
        let next = AtomicU32::new(folds.start);
        let fit_folds = || {
            let mut done = Vec::new();
            loop {
                let fold = next.fetch_add(1, Ordering::Relaxed);
                if fold >= folds.end {
                    return done;
                }
                done.push((fold, self.held_out_fold(context, fold, share)));
            }
        };
        let at_once = at_once.clamp(1, folds.len().max(1));
        let mut done = std::thread::scope(|scope| {
            let others: Vec<_> = (1..at_once).map(|_| scope.spawn(fit_folds)).collect();
            let mut done = fit_folds();
            for other in others {
                match other.join() {
                    Ok(part) => done.extend(part),
                    Err(panic) => std::panic::resume_unwind(panic),
                }
            }
            done
        });
        progress.finish();
        done.sort_unstable_by_key(|(fold, _)| *fold);
        done.into_iter().map(|(_, held_out)| held_out).collect()
    }

    /// Indexes the samples by the features of `spec`, with terms weighted by all samples, for neighbor searches.
    ///
    /// # Errors
    /// Those of features that cannot be computed: `BOT-7012`, `BOT-7050`.
    pub fn neighbors(
        &self,
        spec: &Checked<ModelSpec>,
        progress: &dyn Progress,
    ) -> Result<SampleNeighbors> {
        let table = self.table(spec, progress)?;
        Ok(SampleNeighbors::of(table.whole().clone(), self.sample_of.clone()))
    }

    /// Fits one model without `fold`, and scores the records of `fold`.
    fn held_out_fold(
        &self,
        context: TrainingContext<'_>,
        fold: u32,
        share: f64,
    ) -> Result<HeldOut> {
        let n_in_scope = self.y.len() as u32;
        let rows = self.training_rows(fold, share);
        let mut held: Vec<u32> =
            (0..n_in_scope).filter(|&row| self.fold_of[row as usize] == fold).collect();
        let truth = held.iter().map(|&row| self.y[row as usize] as usize).collect();
        let oos_rows = n_in_scope..self.sample_of.len() as u32;
        held.extend(oos_rows.filter(|row| (row - n_in_scope) % self.n_folds == fold));
        let ScoredRows { scores, understood } =
            fit_and_score(OosRole::Unseen, context, &rows, &held)?;
        Ok(HeldOut {
            fold,
            n_train: rows.len(),
            samples: held.iter().map(|&row| self.sample_of[row as usize]).collect(),
            truth,
            scores,
            understood,
            n_classes: self.labels.len(),
        })
    }

    /// Returns `share` of the rows of each intent outside `fold`, those with the lowest ranks.
    fn training_rows(&self, fold: u32, share: f64) -> Vec<u32> {
        let in_other_fold = |row: &u32| self.fold_of[*row as usize] != fold;
        let rows: Vec<u32> = (0..self.y.len() as u32).filter(in_other_fold).collect();
        if share >= 1.0 {
            return rows;
        }
        let mut by_intent: Vec<Vec<u32>> = vec![Vec::new(); self.labels.len()];
        for &row in &rows {
            by_intent[self.y[row as usize] as usize].push(row);
        }
        let mut kept = Vec::with_capacity(rows.len());
        for rows in &mut by_intent {
            rows.sort_unstable_by_key(|&row| self.rank[row as usize]);
            let n_kept = ((rows.len() as f64 * share).round() as usize).clamp(1, rows.len().max(1));
            kept.extend(rows.iter().take(n_kept));
        }
        kept.sort_unstable();
        kept
    }

    /// Returns the features of `spec`, computed now or earlier.
    fn table(&self, spec: &ModelSpec, progress: &dyn Progress) -> Result<Arc<FeatureTable<'a>>> {
        let key = Self::features_key(spec);
        let slot = {
            let mut tables = self.tables.lock().unwrap_or_else(PoisonError::into_inner);
            match tables.iter().find(|(known, _)| *known == key) {
                Some((_, slot)) => Arc::clone(slot),
                None => {
                    let slot = Slot::default();
                    tables.push_front((key, Arc::clone(&slot)));
                    tables.truncate(TABLES);
                    slot
                }
            }
        };
        let mut held = slot.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(table) = &*held {
            return Ok(Arc::clone(table));
        }
        let table = Arc::new(FeatureTable::fit(self.samples, spec, self.resources, progress)?);
        *held = Some(Arc::clone(&table));
        Ok(table)
    }
}

impl HeldOut {
    /// Returns the number of in-scope records.
    #[must_use]
    pub fn n_inside(&self) -> usize {
        self.truth.len()
    }

    /// Returns the scores of the in-scope records, `[n_inside, n_classes]`.
    #[must_use]
    pub fn inside_scores(&self) -> &[f64] {
        &self.scores[..self.truth.len() * self.n_classes]
    }

    /// Returns the prediction for record `i` and the probabilities of all intents, at `temperature` and with fallback
    /// below the confidence `threshold`, as [`crate::IntentModel::predict_with`] computes them.
    #[must_use]
    pub fn predict(&self, i: usize, temperature: f64, threshold: f64) -> (Prediction, Vec<f64>) {
        let mut proba = self.scores[i * self.n_classes..][..self.n_classes].to_vec();
        let intent = argmax(&proba);
        let logit = proba[intent];
        let understood = self.understood[i];
        if understood {
            softmax(&mut proba, temperature);
        } else {
            proba.fill(1.0 / self.n_classes as f64);
        }
        let confidence = proba[intent];
        let fallback = !understood || confidence < threshold;
        (Prediction { intent, confidence, logit, score: confidence, fallback }, proba)
    }

    /// Returns the temperature of each half of the in-scope records (every second record), fitted on the other half.
    ///
    /// A single fold then yields probabilities that do not depend on the truth of the record itself.
    #[must_use]
    pub fn temperatures_of_halves(&self) -> [f64; 2] {
        [1, 0].map(|half| {
            let rows = (half..self.n_inside()).step_by(2);
            let scores: Vec<f64> = rows
                .clone()
                .flat_map(|i| &self.scores[i * self.n_classes..][..self.n_classes])
                .copied()
                .collect();
            let truth: Vec<usize> = rows.map(|i| self.truth[i]).collect();
            fit_temperature(&scores, self.n_classes, &truth)
        })
    }
}

/// Returns the temperature for each fold of `held_out`, fitted on the scores of all the others; 1 with a single fold.
///
/// The probabilities of a record then do not depend on the truth of any record of its fold.
#[must_use]
pub fn temperatures(held_out: &[HeldOut]) -> Vec<f64> {
    let others = |fold: usize| held_out.iter().enumerate().filter(move |(i, _)| *i != fold);
    (0..held_out.len())
        .map(|fold| {
            let scores: Vec<f64> =
                others(fold).flat_map(|(_, held)| held.inside_scores()).copied().collect();
            let truth: Vec<usize> =
                others(fold).flat_map(|(_, held)| &held.truth).copied().collect();
            fit_temperature(&scores, held_out[fold].n_classes, &truth)
        })
        .collect()
}

/// Returns the rank of each row within its intent, in random order.
fn ranks(y: &[u32], n_classes: usize, random: &mut Random) -> Vec<u64> {
    let mut by_intent: Vec<Vec<usize>> = vec![Vec::new(); n_classes];
    for (row, &class) in y.iter().enumerate() {
        by_intent[class as usize].push(row);
    }
    let mut ranks = vec![0; y.len()];
    for rows in &mut by_intent {
        random.shuffle(rows);
        for (rank, &row) in (0..).zip(rows.iter()) {
            ranks[row] = rank;
        }
    }
    ranks
}

/// Checks that every intent can be in every fold, and that every model can learn it.
fn check(samples: &Samples<'_>, groups: &[u32], n_folds: usize) -> Result<()> {
    let mut counts = vec![0_usize; samples.n_classes()];
    let mut distinct = vec![BTreeSet::new(); samples.n_classes()];
    for (&class, group) in samples.y.iter().zip(groups) {
        counts[class as usize] += 1;
        distinct[class as usize].insert(*group);
    }
    let name = |class: usize| format!("`{}`", text::display(samples.labels.name(class), 60));
    let few: Vec<usize> = (0..counts.len()).filter(|&class| counts[class] < n_folds).collect();
    if let Some(&rarest) = few.iter().min_by_key(|&&class| counts[class]) {
        let more = match few.len() {
            1 => String::new(),
            n => format!("; {} more intents have too few", n - 1),
        };
        let records = if counts[rarest] == 1 { "record" } else { "records" };
        return Err(Fault::insufficient(
            "BOT-3031",
            format!(
                "intent {} has {} {records}, fewer than the {n_folds} folds{more}",
                name(rarest),
                counts[rarest]
            ),
        )
        .hint(format!(
            "use {} folds, add records of the intent, or remove it",
            counts[rarest].max(2)
        )));
    }
    if let Some(class) = (0..counts.len()).find(|&class| distinct[class].len() < 2) {
        return Err(Fault::insufficient(
            "BOT-3031",
            format!("all {} records of intent {} have the same text", counts[class], name(class)),
        )
        .hint("add records with other wording: records with the same text share a fold, so no model could learn this intent"));
    }
    Ok(())
}

impl std::fmt::Debug for CrossValidator<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CrossValidator")
            .field("n_samples", &self.y.len())
            .field("n_folds", &self.n_folds)
            .finish_non_exhaustive()
    }
}
