//! Calibration: gathers scores of records by models that never saw them, and fits a [`Confidence`] on them.

use super::{
    context::TrainingContext,
    feature_table::FeatureTable,
    folds,
    out_of_fold::{Folds, N_FOLDS, OosRole, OutOfFold, out_of_fold},
    unseen_records,
};
use crate::{
    HeadKind, ModelSpec, Prediction,
    confidence::{CalibrationScores, Centroids, Confidence, OosScore, UnseenScores},
    heads::{
        fitted::{Fitted, HeldOut},
        fitting::{self, steps},
    },
};
use botops_findings::Result;

/// This many out-of-fold rows determine one temperature to about a hundredth; folds beyond them are not fitted, unless
/// a threshold is sought or scores are compared.
const ENOUGH_OUT_OF_FOLD: usize = 2_000;
/// Separates the draw of the halves from the draw of the folds.
const HALVES: u64 = 0x4A1F;

/// The result of calibration.
pub(crate) struct Calibrated {
    pub(crate) confidence: Confidence,
    /// The means of the intents, if the fallback score is the cosine to the nearest mean.
    pub(crate) centroids: Option<Centroids>,
    /// The role of out-of-scope records in the fit of the final head.
    pub(crate) oos_role: OosRole,
    /// The rows of the table that were scored, with their intents and predictions.
    pub(crate) predicted: Vec<(u32, Option<usize>, Prediction)>,
}

/// The fits and measurements that calibration needs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CalibrationPlan {
    /// Whether to fit models of the intents alone.
    plain: bool,
    /// Whether to fit models with an out-of-scope class.
    class: bool,
    /// Whether to measure the cosine to the nearest mean of an intent.
    nearness: bool,
    /// Whether to fit every fold.
    all_folds: bool,
}

impl CalibrationPlan {
    /// Plans the calibration of `spec` on samples with `n_oos` out-of-scope records.
    ///
    /// # Errors
    /// `BOT-7061` (exit 4) if there are too few records for an out-of-scope class.
    pub(crate) fn new(spec: &ModelSpec, n_oos: usize) -> Result<Self> {
        let fallback = &spec.fallback;
        let named = fallback.score.named();
        let compares = fallback.compares(n_oos);
        // Another fine-tuning only to compare scores would take hours, and each fold would have another embedding.
        let cheap = spec.head.kind != HeadKind::FineTuned;
        let class = fallback.learns_oos_class(n_oos)? && (cheap || named.is_some());
        Ok(Self {
            plain: named != Some(OosScore::OosClass),
            class,
            nearness: named == Some(OosScore::Centroid) || (compares && cheap),
            all_folds: fallback.target_accuracy.is_some()
                || fallback.min_oos_declined.is_some()
                || compares
                || class,
        })
    }

    /// Returns the role of out-of-scope records in the first fit.
    pub(crate) fn first(self) -> OosRole {
        if self.plain { OosRole::Unseen } else { OosRole::Class }
    }

    /// Returns the number of steps that calibration reports.
    fn steps(self, n_fits: usize, holds_out: bool, context: TrainingContext<'_>) -> u64 {
        let TrainingContext { table, spec, .. } = context;
        let steps_with = |role: OosRole| {
            let n_rows = role.n_rows(&table.samples);
            let (n_fits, n_rows) = match holds_out {
                true => (usize::from(self.first() != role), n_rows),
                false => (n_fits, n_rows - n_rows.div_ceil(N_FOLDS)),
            };
            n_fits as u64 * steps(spec, role.n_scores(table.samples.n_classes()), n_rows)
        };
        let plain = if self.plain { steps_with(OosRole::Unseen) } else { 0 };
        plain + if self.class { steps_with(OosRole::Class) } else { 0 }
    }

    /// Returns the number of folds to fit.
    fn n_fits(self, table: &FeatureTable<'_>) -> usize {
        match self.all_folds {
            true => N_FOLDS,
            false => {
                let per_fold = table.samples.n_in_scope().div_ceil(N_FOLDS);
                ENOUGH_OUT_OF_FOLD.div_ceil(per_fold).min(N_FOLDS)
            }
        }
    }
}

/// Fits the confidence of a head as `plan` says.
///
/// `first` is the head fitted on all records, if it holds rows out of its own fit; any other head is calibrated by
/// models of folds. If the out-of-scope class decides and `first` has not learned it, the second value returned is a
/// head that has, fitted on all records.
///
/// # Errors
/// `BOT-7060` (exit 4) if no threshold reaches the target accuracy; those of fitting the head.
pub(crate) fn calibrate(
    plan: CalibrationPlan,
    first: Option<&Fitted>,
    context: TrainingContext<'_>,
) -> Result<(Calibrated, Option<Fitted>)> {
    let TrainingContext { table, spec, progress, .. } = context;
    let n_intents = table.samples.n_classes();
    let holds_out = first.is_some();
    let n_fits = plan.n_fits(table);
    let folds = (!holds_out || plan.nearness).then(|| Folds::deal(table, N_FOLDS, spec.seed));
    progress.begin("calibrate", plan.steps(n_fits, holds_out, context).max(1));

    // A head that holds rows out of its own fit needs no folds; for the out-of-scope class it is fitted once more.
    let mut second = None;
    let mut gather = |role: OosRole| -> Result<ScoredRecords> {
        let Some(first) = first else {
            let folds = folds.as_ref().expect("a head without held-out rows has folds");
            let unseen = out_of_fold(role, context, folds, n_fits)?;
            return Ok(ScoredRecords::of_folds(unseen, table));
        };
        if role != plan.first() {
            second = Some(fit_all(role, context)?);
        }
        let fitted = second.as_ref().filter(|_| role != plan.first()).unwrap_or(first);
        Ok(ScoredRecords::held_out(fitted, role, table))
    };
    let plain = plan.plain.then(|| gather(OosRole::Unseen)).transpose()?;
    let class = plan.class.then(|| gather(OosRole::Class)).transpose()?;
    let chooses = match spec.fallback.target_accuracy {
        Some(_) => halves(table, spec.seed),
        None => vec![true; table.samples.texts.len()],
    };
    let rows_of = |scored: &Option<ScoredRecords>| scored.as_ref().map(|s| s.rows.clone());
    let [plain_rows, class_rows] = [&plain, &class].map(rows_of);
    let plain = plain.map(|scored| UnseenScores {
        cosines: folds
            .as_ref()
            .filter(|_| plan.nearness)
            .map(|folds| nearness(&scored.rows, table, folds, n_fits)),
        ..scored.unseen(OosRole::Unseen, table, &chooses)
    });
    let class = class.map(|scored| scored.unseen(OosRole::Class, table, &chooses));
    let scores = CalibrationScores {
        plain: plain.as_ref(),
        with_class: class.as_ref(),
        n_oos: table.samples.out_of_scope().len(),
    };
    let confidence = Confidence::fit(&spec.fallback, spec.conformal.as_ref(), scores)?;
    progress.finish();

    let score = confidence.rule(spec.fallback.threshold).score;
    let oos_role = if score == OosScore::OosClass { OosRole::Class } else { plan.first() };
    let deciding = match oos_role {
        OosRole::Unseen => plain_rows.zip(plain.as_ref()),
        OosRole::Class => class_rows.zip(class.as_ref()),
    };
    let of_model = (&confidence, spec);
    let predicted = deciding.map_or_else(Vec::new, |(rows, scores)| {
        let of_table = (oos_role, table.samples.n_in_scope());
        unseen_records::predicted(&rows, scores, of_model, of_table)
    });
    let refitted = match holds_out && oos_role != plan.first() {
        true => Some(match second {
            Some(second) => second,
            None => {
                progress.begin("fit", steps(spec, n_intents + 1, table.samples.texts.len()));
                let fitted = fit_all(OosRole::Class, context)?;
                progress.finish();
                fitted
            }
        }),
        false => None,
    };
    let centroids = (score == OosScore::Centroid).then(|| {
        Centroids::fit(&table.whole(), &table.in_scope_rows(), &table.samples.y, n_intents)
    });
    Ok((Calibrated { confidence, centroids, oos_role, predicted }, refitted))
}

/// Fits the head on all records; out-of-scope records take part as `role` says.
///
/// # Errors
/// Those of fitting the head.
pub(crate) fn fit_all(role: OosRole, context: TrainingContext<'_>) -> Result<Fitted> {
    let samples = &context.table.samples;
    let rows: Vec<u32> = (0..role.n_rows(samples) as u32).collect();
    let y = samples.y_with_oos();
    let n_scores = role.n_scores(samples.n_classes());
    fitting::fit(context.request(&context.table.whole(), &rows, &y, n_scores))
}

/// Scores `[rows, n_scores]` of `rows` by models that never saw them; `rows` are rows of a [`FeatureTable`].
struct ScoredRecords {
    rows: Vec<u32>,
    scores: Vec<f64>,
    /// For each of `rows`, whether the model knows anything in it.
    understood: Vec<bool>,
}

impl ScoredRecords {
    /// Joins the out-of-fold scores of in-scope and out-of-scope records.
    fn of_folds(unseen: OutOfFold, table: &FeatureTable<'_>) -> Self {
        let OutOfFold { mut rows, mut scores, mut understood, .. } = unseen;
        rows.extend(oos_rows(table));
        scores.extend(unseen.oos_scores);
        understood.extend(unseen.oos_understood);
        Self { rows, scores, understood }
    }

    /// Takes the scores that `fitted` held out of its own fit; if out-of-scope records are not a class, `fitted` did not
    /// see any of them, and scores them all.
    fn held_out(fitted: &Fitted, role: OosRole, table: &FeatureTable<'_>) -> Self {
        let HeldOut { mut rows, mut scores } =
            fitted.held_out.clone().expect("the head holds rows out of its own fit");
        let matrix = table.whole();
        if role == OosRole::Unseen {
            let oos_rows = oos_rows(table);
            scores.extend(fitted.scores(&matrix, &oos_rows));
            rows.extend(oos_rows);
        }
        let understood = rows.iter().map(|&row| matrix.understood(row)).collect();
        Self { rows, scores, understood }
    }

    /// Separates the scores of the out-of-scope class from those of the intents.
    fn unseen(&self, role: OosRole, table: &FeatureTable<'_>, chooses: &[bool]) -> UnseenScores {
        let n_intents = table.samples.n_classes();
        let scores = || self.scores.chunks_exact(role.n_scores(n_intents));
        let truth = |row: &u32| table.samples.y.get(*row as usize).map(|class| *class as usize);
        UnseenScores {
            n_classes: n_intents,
            scores: scores().flat_map(|row| &row[..n_intents]).copied().collect(),
            truth: self.rows.iter().map(truth).collect(),
            understood: self.understood.clone(),
            chooses: self.rows.iter().map(|&row| chooses[row as usize]).collect(),
            tests: self.tests(role, table, chooses),
            oos_logits: (role == OosRole::Class)
                .then(|| scores().map(|row| row[n_intents]).collect()),
            cosines: None,
        }
    }

    /// Returns for each row whether it tests a threshold. Such a row is not in the half that chooses, and the share of
    /// out-of-scope records among these rows is the same as in the samples.
    ///
    /// A head that holds out a tenth of its rows has scores of all out-of-scope records, because it saw none of them;
    /// only one in ten of these tests.
    fn tests(&self, role: OosRole, table: &FeatureTable<'_>, chooses: &[bool]) -> Vec<bool> {
        let n_in_scope = table.samples.n_in_scope();
        let held = self.rows.iter().filter(|row| (**row as usize) < n_in_scope).count();
        let mut n_seen = 0;
        let mut in_proportion = |row: u32| {
            if role == OosRole::Class || (row as usize) < n_in_scope {
                return true;
            }
            n_seen += 1;
            (n_seen * held) / n_in_scope > ((n_seen - 1) * held) / n_in_scope
        };
        self.rows.iter().map(|&row| !chooses[row as usize] && in_proportion(row)).collect()
    }
}

/// Returns the out-of-scope rows.
fn oos_rows(table: &FeatureTable<'_>) -> Vec<u32> {
    (table.samples.n_in_scope() as u32..table.samples.texts.len() as u32).collect()
}

/// Returns for every record whether it is in the half that chooses: stratified, near duplicates never in both.
fn halves(table: &FeatureTable<'_>, seed: u64) -> Vec<bool> {
    let y = table.samples.y_with_oos();
    let halves = folds::assign(&folds::groups(&table.samples.texts, &y), &y, 2, seed ^ HALVES);
    halves.into_iter().map(|half| half == 0).collect()
}

/// Returns the cosine of each of `rows` to the nearest mean of an intent; the means are taken over the other folds.
fn nearness(rows: &[u32], table: &FeatureTable<'_>, folds: &Folds, n_fits: usize) -> Vec<f64> {
    let n_in_scope = table.samples.n_in_scope() as u32;
    // Out-of-scope records are in no mean; they are dealt to the folds in turn.
    let fold_of = |row: u32| match row.checked_sub(n_in_scope) {
        Some(row) => row % n_fits as u32,
        None => folds.of(row),
    };
    let mut cosines = vec![0.0; rows.len()];
    for fold in 0..folds.len() as u32 {
        let held: Vec<usize> = (0..rows.len()).filter(|&i| fold_of(rows[i]) == fold).collect();
        if held.is_empty() {
            continue;
        }
        let others: Vec<u32> = (0..n_in_scope).filter(|&row| fold_of(row) != fold).collect();
        let matrix = table.matrix(&others);
        let samples = &table.samples;
        let centroids = Centroids::fit(&matrix, &others, &samples.y, samples.n_classes());
        let mut sums = Vec::new();
        for i in held {
            let (columns, values) = matrix.row(rows[i] as usize);
            let row = columns.iter().copied().zip(values.iter().copied());
            cosines[i] = centroids.nearest(row, &mut sums);
        }
    }
    cosines
}
