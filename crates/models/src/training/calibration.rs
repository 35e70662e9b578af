//! From records to confidence: gathers the scores that it is fitted on, and what the deciding one needs to be served.

use super::{
    folds,
    out_of_fold::{Folds, OutOfFold, Outside, out_of_fold_with},
    train::{self, FOLDS, Fitted, HeldOut, steps},
};
use crate::{
    HeadKind, ModelSpec, Progress, Resources,
    confidence::{Centroids, Confidence, OosScore, Unseen},
    training::feature_table::Table,
};
use botops_findings::Result;

/// Rows out of fold that fix one temperature to about a hundredth: folds beyond them are not fitted, unless a
/// threshold is sought or scores are compared.
const ENOUGH_OUT_OF_FOLD: usize = 2_000;
/// Keeps the draw of the halves apart from that of the folds.
const HALVES: u64 = 0x4A1F;

/// What calibration came to.
pub(crate) struct Calibrated {
    pub(crate) confidence: Confidence,
    /// The means of the intents, where the nearest decides.
    pub(crate) centroids: Option<Centroids>,
    /// What the head that is kept learns.
    pub(crate) learns: Outside,
}

/// How the records out of scope are used.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    /// Whether the intents alone are learned.
    plain: bool,
    /// Whether what is out of scope is learned as a class.
    class: bool,
    /// Whether nearness to the intents' means is measured.
    nearness: bool,
    /// Whether every fold is fitted.
    all_folds: bool,
}

impl Plan {
    /// Plans what `spec` needs on a data set with `n_oos` records out of scope.
    ///
    /// # Errors
    /// `BOT-7061` (exit 4) for a class that there are too few records of.
    pub(crate) fn new(spec: &ModelSpec, n_oos: usize) -> Result<Self> {
        let fallback = &spec.fallback;
        let named = fallback.score.named();
        let compares = fallback.compares(n_oos);
        // To fine-tune once more only to compare would cost hours, and each fold's embedding would be another.
        let cheap = spec.head.kind != HeadKind::FineTuned;
        let class = fallback.learns_oos_class(n_oos)? && (cheap || named.is_some());
        Ok(Self {
            plain: named != Some(OosScore::OosClass),
            class,
            nearness: named == Some(OosScore::Centroid) || (compares && cheap),
            all_folds: fallback.target_accuracy.is_some() || compares || class,
        })
    }

    /// Returns what is fitted first.
    pub(crate) fn first(self) -> Outside {
        if self.plain { Outside::Unseen } else { Outside::Class }
    }

    /// Returns how many steps calibration reports.
    fn steps(self, n_fits: usize, holds_out: bool, table: &Table<'_>, spec: &ModelSpec) -> u64 {
        let of = |outside: Outside| {
            let n_rows = outside.n_rows(&table.data);
            let (n_fits, n_rows) = match holds_out {
                true => (usize::from(self.first() != outside), n_rows),
                false => (n_fits, n_rows - n_rows.div_ceil(FOLDS)),
            };
            n_fits as u64 * steps(spec, outside.n_scores(table.data.n_classes()), n_rows)
        };
        let plain = if self.plain { of(Outside::Unseen) } else { 0 };
        plain + if self.class { of(Outside::Class) } else { 0 }
    }

    fn n_fits(self, table: &Table<'_>) -> usize {
        match self.all_folds {
            true => FOLDS,
            false => {
                let per_fold = table.data.n_inside().div_ceil(FOLDS);
                ENOUGH_OUT_OF_FOLD.div_ceil(per_fold).min(FOLDS)
            }
        }
    }
}

/// Fits the confidence of a head, with what `plan` asks for.
///
/// `first` is the head fitted on everything, where it holds rows out of its own fit; any other is calibrated by the
/// models of folds. When the class of what is out of scope decides, and `first` has not learned it, the second of
/// what is returned is the head that has, fitted on everything, too.
///
/// # Errors
/// `BOT-7060` (exit 4) when a target cannot be shown; those of fitting the head.
pub(crate) fn calibrate(
    plan: Plan,
    first: Option<&Fitted>,
    table: &Table<'_>,
    spec: &ModelSpec,
    resources: Resources<'_>,
    progress: &dyn Progress,
) -> Result<(Calibrated, Option<Fitted>)> {
    let n_intents = table.data.n_classes();
    let holds_out = first.is_some();
    let n_fits = plan.n_fits(table);
    let folds = (!holds_out || plan.nearness).then(|| Folds::deal(table, FOLDS, spec.seed));
    progress.begin("calibrate", plan.steps(n_fits, holds_out, table, spec).max(1));

    // A head that holds rows out of its own fit needs no folds; to learn the class it is fitted once more.
    let mut second = None;
    let mut gather = |outside: Outside| -> Result<Scored> {
        let Some(first) = first else {
            let folds = folds.as_ref().expect("folds are dealt for what holds nothing out");
            let unseen =
                out_of_fold_with(outside, table, spec, resources, folds, n_fits, progress)?;
            return Ok(Scored::of_folds(unseen, table));
        };
        if outside != plan.first() {
            second = Some(fit_all(outside, table, spec, resources, progress)?);
        }
        let fitted = second.as_ref().filter(|_| outside != plan.first()).unwrap_or(first);
        Ok(Scored::held_out(fitted, outside, table))
    };
    let plain = plan.plain.then(|| gather(Outside::Unseen)).transpose()?;
    let class = plan.class.then(|| gather(Outside::Class)).transpose()?;
    let chooses = match spec.fallback.target_accuracy {
        Some(_) => halves(table, spec.seed),
        None => vec![true; table.data.texts.len()],
    };
    let plain = plain.map(|scored| Unseen {
        cosines: folds
            .as_ref()
            .filter(|_| plan.nearness)
            .map(|folds| nearness(&scored.rows, table, folds, n_fits)),
        ..scored.unseen(Outside::Unseen, table, &chooses)
    });
    let class = class.map(|scored| scored.unseen(Outside::Class, table, &chooses));
    let n_oos = table.data.outside().len();
    let confidence = Confidence::fit(spec, plain.as_ref(), class.as_ref(), n_oos)?;
    progress.finish();

    let score = confidence.rule(spec.fallback.threshold).score;
    let learns = if score == OosScore::OosClass { Outside::Class } else { plan.first() };
    let refit = match holds_out && learns != plan.first() {
        true => Some(match second {
            Some(second) => second,
            None => {
                progress.begin("fit", steps(spec, n_intents + 1, table.data.texts.len()));
                let fitted = fit_all(Outside::Class, table, spec, resources, progress)?;
                progress.finish();
                fitted
            }
        }),
        false => None,
    };
    let centroids = (score == OosScore::Centroid)
        .then(|| Centroids::fit(&table.whole(), &table.inside(), &table.data.y, n_intents));
    Ok((Calibrated { confidence, centroids, learns }, refit))
}

/// Fits the head on all records, those out of scope as a class where `outside` says so.
///
/// # Errors
/// Those of fitting the head.
pub(crate) fn fit_all(
    outside: Outside,
    table: &Table<'_>,
    spec: &ModelSpec,
    resources: Resources<'_>,
    progress: &dyn Progress,
) -> Result<Fitted> {
    let rows: Vec<u32> = (0..outside.n_rows(&table.data) as u32).collect();
    let y = table.data.y_with_outside();
    let n_scores = outside.n_scores(table.data.n_classes());
    train::fit(&table.whole(), &rows, &y, n_scores, spec, resources, progress)
}

/// Scores `[rows, n_scores]` of `rows` by models that never saw them; rows are those of [`Table`].
struct Scored {
    rows: Vec<u32>,
    scores: Vec<f64>,
    /// Of each of `rows`, whether anything of it is known to the model.
    understood: Vec<bool>,
}

impl Scored {
    fn of_folds(unseen: OutOfFold, table: &Table<'_>) -> Self {
        let OutOfFold { mut rows, mut scores, mut understood, .. } = unseen;
        rows.extend(beyond(table));
        scores.extend(unseen.outside);
        understood.extend(unseen.outside_understood);
        Self { rows, scores, understood }
    }

    /// Takes what `fitted` held out of its own fit; what is out of scope and was no class, nothing of it saw.
    fn held_out(fitted: &Fitted, outside: Outside, table: &Table<'_>) -> Self {
        let HeldOut { mut rows, mut scores } =
            fitted.held_out.clone().expect("the head holds rows out of its own fit");
        let matrix = table.whole();
        if outside == Outside::Unseen {
            let beyond = beyond(table);
            scores.extend(fitted.scores(&matrix, &beyond));
            rows.extend(beyond);
        }
        let understood = rows.iter().map(|&row| matrix.understood(row)).collect();
        Self { rows, scores, understood }
    }

    /// Takes the class of what is out of scope apart from the intents.
    fn unseen(&self, outside: Outside, table: &Table<'_>, chooses: &[bool]) -> Unseen {
        let n_intents = table.data.n_classes();
        let scores = || self.scores.chunks_exact(outside.n_scores(n_intents));
        let truth = |row: &u32| table.data.y.get(*row as usize).map(|class| *class as usize);
        Unseen {
            n_classes: n_intents,
            scores: scores().flat_map(|row| &row[..n_intents]).copied().collect(),
            truth: self.rows.iter().map(truth).collect(),
            understood: self.understood.clone(),
            chooses: self.rows.iter().map(|&row| chooses[row as usize]).collect(),
            tests: self.tests(outside, table, chooses),
            oos_logits: (outside == Outside::Class)
                .then(|| scores().map(|row| row[n_intents]).collect()),
            cosines: None,
        }
    }

    /// Returns of each row whether it tests a threshold: it is not in the half that chooses, and the rows that test
    /// have as many out of scope as the data has.
    ///
    /// A head that holds a tenth of its rows out has scores of all records out of scope, which it never saw: of
    /// these, one in ten tests.
    fn tests(&self, outside: Outside, table: &Table<'_>, chooses: &[bool]) -> Vec<bool> {
        let n_inside = table.data.n_inside();
        let held = self.rows.iter().filter(|row| (**row as usize) < n_inside).count();
        let mut met = 0;
        let mut in_proportion = |row: u32| {
            if outside == Outside::Class || (row as usize) < n_inside {
                return true;
            }
            met += 1;
            (met * held) / n_inside > ((met - 1) * held) / n_inside
        };
        self.rows.iter().map(|&row| !chooses[row as usize] && in_proportion(row)).collect()
    }
}

/// Returns the records that are out of scope.
fn beyond(table: &Table<'_>) -> Vec<u32> {
    (table.data.n_inside() as u32..table.data.texts.len() as u32).collect()
}

/// Returns for every record whether it is in the half that chooses: stratified, near duplicates never in both.
fn halves(table: &Table<'_>, seed: u64) -> Vec<bool> {
    let y = table.data.y_with_outside();
    let halves = folds::assign(&folds::groups(&table.data.texts, &y), &y, 2, seed ^ HALVES);
    halves.into_iter().map(|half| half == 0).collect()
}

/// Returns the cosine of each of `rows` to the nearest mean of an intent, taken over the other folds.
fn nearness(rows: &[u32], table: &Table<'_>, folds: &Folds, n_fits: usize) -> Vec<f64> {
    let n_inside = table.data.n_inside() as u32;
    // What is out of scope is in no mean, and is dealt out in turn.
    let fold_of = |row: u32| match row.checked_sub(n_inside) {
        Some(row) => row % n_fits as u32,
        None => folds.of(row),
    };
    let mut cosines = vec![0.0; rows.len()];
    for fold in 0..folds.len() as u32 {
        let held: Vec<usize> = (0..rows.len()).filter(|&i| fold_of(rows[i]) == fold).collect();
        if held.is_empty() {
            continue;
        }
        let others: Vec<u32> = (0..n_inside).filter(|&row| fold_of(row) != fold).collect();
        let matrix = table.matrix(&others);
        let centroids = Centroids::fit(&matrix, &others, &table.data.y, table.data.n_classes());
        let mut sums = Vec::new();
        for i in held {
            let (columns, values) = matrix.row(rows[i] as usize);
            let row = columns.iter().copied().zip(values.iter().copied());
            cosines[i] = centroids.nearest(row, &mut sums);
        }
    }
    cosines
}
