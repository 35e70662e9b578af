//! Cross-validation: records dealt into folds once, then judged by as many specs as one likes.

use super::{
    folds,
    out_of_fold::{LeftOut, Outside, scores_of},
    train::{largest, steps},
};
use crate::{
    HeadKind, ModelSpec, Prediction, Progress, Resources, Sample,
    neighborhood::SampleNeighbors,
    training::{feature_table::Table, samples::Data},
};
use botops_findings::{Fault, Result};
use botops_labels::{Labels, OOS};
use botops_stats::{
    calibration::{fit_temperature, softmax},
    random::Random,
};
use botops_text as text;
use std::{
    collections::{BTreeSet, VecDeque},
    ops::Range,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
};

/// Keeps the draw of shares apart from those of folds and heads.
const SHARE_STREAM: u64 = 0x5AA2E;
/// Feature tables kept at a time: two, so that whoever goes on to the next does not take the last one from whoever
/// still works with it.
const TABLES: usize = 2;
/// The fewest and the most folds.
const FOLDS: std::ops::RangeInclusive<usize> = 2..=100;

/// Records dealt into folds.
///
/// - every intent has records in every fold, as evenly as near duplicates allow
/// - near duplicates are never in two folds: a record is not judged by a model that saw its twin
/// - out-of-scope records train no class; they are scored by one fold's model each, in turn
///
/// Features are made once for all specs that ask for the same; any number of threads may share one of these.
pub struct CrossValidator<'a> {
    samples: &'a [Sample<'a>],
    resources: Resources<'a>,
    labels: Labels,
    /// Of each row of a table (those that train, then those out of scope), its index among `samples`.
    sample_of: Vec<u32>,
    /// Of each row that trains, its intent.
    y: Vec<u32>,
    /// Of each row that trains, its fold.
    fold_of: Vec<u32>,
    /// Of each row that trains, its place among the rows of its intent when shares are drawn.
    place: Vec<u64>,
    n_folds: u32,
    n_groups: usize,
    tables: Mutex<VecDeque<(String, Slot<'a>)>>,
}

/// A table that is made by whoever asks first, while the others wait.
type Slot<'a> = Arc<Mutex<Option<Arc<Table<'a>>>>>;

/// What a model that never saw them says of the records of one fold.
#[derive(Debug, Clone, PartialEq)]
pub struct HeldOut {
    /// The fold.
    pub fold: u32,
    /// Number of records with an intent that the model learned from.
    pub n_train: usize,
    /// The records judged: their indices among the samples, those with an intent first, each part rising.
    pub samples: Vec<u32>,
    /// The intent of each of the first of `samples`; the rest is out of scope.
    pub truth: Vec<usize>,
    /// Raw scores `[samples, n_classes]`, row by row.
    pub scores: Vec<f64>,
    /// Of each of `samples`, whether anything of it is known to the model.
    pub understood: Vec<bool>,
    n_classes: usize,
}

impl<'a> CrossValidator<'a> {
    /// Deals `samples` into `n_folds`; the same samples and seed, the same folds.
    ///
    /// # Errors
    /// `BOT-3030` fewer than 2 or more than 100 folds (exit 2); `BOT-3031` an intent with fewer records than
    /// folds, or whose records all say the same (exit 4); `BOT-2110`, `BOT-7011` as of training.
    pub fn new(
        samples: &'a [Sample<'a>],
        n_folds: usize,
        seed: u64,
        resources: Resources<'a>,
    ) -> Result<Self> {
        if !FOLDS.contains(&n_folds) {
            return Err(Fault::usage("BOT-3030", format!("{n_folds} folds cannot be made"))
                .hint("5 folds are usual; from 2 to 100 are possible"));
        }
        let data = Data::new(samples)?;
        let groups = folds::groups(data.inside(), &data.y);
        check(&data, &groups, n_folds)?;
        let fold_of = folds::assign(&groups, &data.y, n_folds, seed);
        let (inside, outside): (Vec<u32>, Vec<u32>) =
            (0..samples.len() as u32).partition(|&i| samples[i as usize].intent != OOS);
        let mut random = Random::stream(seed, SHARE_STREAM);
        Ok(Self {
            samples,
            resources,
            sample_of: inside.into_iter().chain(outside).collect(),
            place: places(&data.y, data.n_classes(), &mut random),
            n_groups: groups.iter().collect::<BTreeSet<_>>().len(),
            y: data.y,
            labels: data.labels,
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

    /// Returns the number of records with an intent.
    #[must_use]
    pub fn n_samples(&self) -> usize {
        self.y.len()
    }

    /// Returns the number of groups of near duplicates among the records with an intent; one without is a group.
    #[must_use]
    pub fn n_groups(&self) -> usize {
        self.n_groups
    }

    /// Returns what all specs with the same features share: they are best judged one after another.
    #[must_use]
    pub fn features_key(spec: &ModelSpec) -> String {
        // An encoder that is yet to be fine-tuned embeds nothing beforehand.
        let fine_tuned = spec.head.kind == HeadKind::FineTuned;
        serde_json::to_string(&(&spec.features, fine_tuned)).expect("a spec is valid JSON")
    }

    /// Fits `spec` on `share` of every intent's records outside each of `folds`, and returns the scores of those
    /// inside, in the order of the folds; `at_once` folds (1 or more) are fitted side by side.
    ///
    /// `share` is in (0, 1]; at least one record of every intent is taken, and a smaller share is part of a larger
    /// one. The same on any number of threads, and for any `at_once`. Not to be called from within a `rayon` task:
    /// one thread makes the features while the others wait.
    ///
    /// # Errors
    /// Those of a spec that cannot be trained: `BOT-7010`, `BOT-7012`, `BOT-7014`, and those of its head.
    ///
    /// # Panics
    /// When there is no such fold.
    pub fn held_out(
        &self,
        spec: &ModelSpec,
        folds: Range<u32>,
        share: f64,
        at_once: usize,
        progress: &dyn Progress,
    ) -> Result<Vec<HeldOut>> {
        assert!(folds.end <= self.n_folds, "{folds:?} of {} folds", self.n_folds);
        spec.check()?;
        let table = self.table(spec, progress)?;
        progress.begin("folds", folds.len() as u64 * steps(spec, self.labels.len(), self.y.len()));
        let next = AtomicU32::new(folds.start);
        let one_after_another = || {
            let mut done = Vec::new();
            loop {
                let fold = next.fetch_add(1, Ordering::Relaxed);
                if fold >= folds.end {
                    return done;
                }
                done.push((fold, self.fold(&table, spec, fold, share, progress)));
            }
        };
        let at_once = at_once.clamp(1, folds.len().max(1));
        let mut done = std::thread::scope(|scope| {
            let others: Vec<_> = (1..at_once).map(|_| scope.spawn(one_after_another)).collect();
            let mut done = one_after_another();
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

    /// Arranges the samples by the features that `spec` asks for, terms weighted as in all of them.
    ///
    /// # Errors
    /// Those of features that cannot be made: `BOT-7010`, `BOT-7012`, `BOT-7014`.
    pub fn neighbors(&self, spec: &ModelSpec, progress: &dyn Progress) -> Result<SampleNeighbors> {
        spec.check()?;
        let table = self.table(spec, progress)?;
        Ok(SampleNeighbors::of(table.whole().clone(), self.sample_of.clone()))
    }

    fn fold(
        &self,
        table: &Table<'_>,
        spec: &ModelSpec,
        fold: u32,
        share: f64,
        progress: &dyn Progress,
    ) -> Result<HeldOut> {
        let n_inside = self.y.len() as u32;
        let rows = self.learned_from(fold, share);
        let mut held: Vec<u32> =
            (0..n_inside).filter(|&row| self.fold_of[row as usize] == fold).collect();
        let truth = held.iter().map(|&row| self.y[row as usize] as usize).collect();
        let outside = n_inside..self.sample_of.len() as u32;
        held.extend(outside.filter(|row| (row - n_inside) % self.n_folds == fold));
        let LeftOut { scores, understood } =
            scores_of(Outside::Unseen, table, spec, self.resources, &rows, &held, progress)?;
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

    /// Returns the rows outside `fold`, of each intent the first `share` of those that are drawn first.
    fn learned_from(&self, fold: u32, share: f64) -> Vec<u32> {
        let outside = |row: &u32| self.fold_of[*row as usize] != fold;
        let rows: Vec<u32> = (0..self.y.len() as u32).filter(outside).collect();
        if share >= 1.0 {
            return rows;
        }
        let mut by_intent: Vec<Vec<u32>> = vec![Vec::new(); self.labels.len()];
        for &row in &rows {
            by_intent[self.y[row as usize] as usize].push(row);
        }
        let mut kept = Vec::with_capacity(rows.len());
        for rows in &mut by_intent {
            rows.sort_unstable_by_key(|&row| self.place[row as usize]);
            let wanted = ((rows.len() as f64 * share).round() as usize).clamp(1, rows.len().max(1));
            kept.extend(rows.iter().take(wanted));
        }
        kept.sort_unstable();
        kept
    }

    /// Returns the features that `spec` asks for, made now or before.
    fn table(&self, spec: &ModelSpec, progress: &dyn Progress) -> Result<Arc<Table<'a>>> {
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
        let table = Arc::new(Table::fit(self.samples, spec, self.resources, progress)?);
        *held = Some(Arc::clone(&table));
        Ok(table)
    }
}

impl HeldOut {
    /// Returns the number of records with an intent.
    #[must_use]
    pub fn n_inside(&self) -> usize {
        self.truth.len()
    }

    /// Returns the scores of the records with an intent, `[n_inside, n_classes]`.
    #[must_use]
    pub fn inside_scores(&self) -> &[f64] {
        &self.scores[..self.truth.len() * self.n_classes]
    }

    /// Returns what a model at `temperature` that falls back below `threshold` makes of record `i`, and the
    /// probabilities of all intents: what [`crate::IntentModel::predict_with`] would say.
    #[must_use]
    pub fn predict(&self, i: usize, temperature: f64, threshold: f64) -> (Prediction, Vec<f64>) {
        let mut proba = self.scores[i * self.n_classes..][..self.n_classes].to_vec();
        let intent = largest(&proba);
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

    /// Returns the temperature for each half of the records with an intent (every other one), fitted on the other half.
    ///
    /// So one fold by itself gives probabilities that no record had a hand in.
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

/// Returns the temperature for each fold of `held_out`, fitted on the scores of all the others.
///
/// So every probability is one that its record, and its whole fold, had no hand in. With one fold, 1.
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

/// Returns of each row a random number: its place when shares of its intent are drawn; distinct within an intent.
fn places(y: &[u32], n_classes: usize, random: &mut Random) -> Vec<u64> {
    let mut by_intent: Vec<Vec<usize>> = vec![Vec::new(); n_classes];
    for (row, &class) in y.iter().enumerate() {
        by_intent[class as usize].push(row);
    }
    let mut places = vec![0; y.len()];
    for rows in &mut by_intent {
        random.shuffle(rows);
        for (place, &row) in (0..).zip(rows.iter()) {
            places[row] = place;
        }
    }
    places
}

/// Refuses intents that cannot be in every fold, or of which no model could learn.
fn check(data: &Data<'_>, groups: &[u32], n_folds: usize) -> Result<()> {
    let mut counts = vec![0_usize; data.n_classes()];
    let mut distinct = vec![BTreeSet::new(); data.n_classes()];
    for (&class, group) in data.y.iter().zip(groups) {
        counts[class as usize] += 1;
        distinct[class as usize].insert(*group);
    }
    let name = |class: usize| format!("`{}`", text::display(data.labels.name(class), 60));
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
            "use {} folds, add records of it, or leave the intent out",
            counts[rarest].max(2)
        )));
    }
    if let Some(class) = (0..counts.len()).find(|&class| distinct[class].len() < 2) {
        return Err(Fault::insufficient(
            "BOT-3031",
            format!("all {} records of intent {} say the same", counts[class], name(class)),
        )
        .hint(
            "add records that say it in other words: who never saw one could not know the others",
        ));
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
