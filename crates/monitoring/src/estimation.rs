//! Estimated accuracy without labels: the computation.
//!
//! Confidence-based performance estimation (CBPE), in four steps, each repeated on resampled data:
//! 1. the shares of the intents in the window, and with them a weight for each record of the reference
//! 2. a map from confidence to the probability to be right, fitted on the weighted records of the reference
//! 3. the mean of that probability over the records of the window
//! 4. chance: the realised accuracy of a window differs from its expectation

use crate::{
    class_shares::{OutcomePairs, outcome},
    confidence_counts::{ConfidenceCell, ConfidenceCounts},
    estimate::{
        ASSUMPTION, AccuracyEstimate, EstimateReference, EstimateSpec, MovedShare, OutOfScopeShare,
        RealisedAccuracy, Unreliable, UnreliableReason,
    },
    weights::proportion,
};
use botops_findings::{Fault, Result};
use botops_stats::{
    expected_accuracy::{Outcomes, Recalibration, expected_accuracy_of, log_odds},
    intervals::wilson,
    random::Random,
};
use rayon::prelude::*;
use std::collections::BTreeMap;

/// The width of a bin of log-odds.
const BIN: f64 = 0.25;
/// The level of the checks of confidence, declined messages and messages out of scope: they are many, and each would take the
/// estimate away.
const CHECK_LEVEL: f64 = 0.99;
/// The growth of a share that does not matter, however significant.
const MOST_GROWTH: f64 = 0.03;
/// The loss of mean confidence that does not matter, however significant.
const MOST_LOSS: f64 = 0.01;
/// The fewest records that the weighted reference is worth.
const LEAST_EFFECTIVE: f64 = 50.0;
/// The number of intents whose shares are reported.
const MOVED: usize = 5;

/// Records of the reference of one truth, one predicted intent, and nearly one confidence.
struct Cell {
    truth: usize,
    pair: usize,
    bin: usize,
    is_right: bool,
}

/// The reference and the window, prepared for any number of draws.
struct Model {
    cells: Vec<Cell>,
    /// The cell of each judged record.
    cell_of: Vec<u32>,
    /// The sum of the confidences of the records of each cell, over their number.
    mean_p: Vec<f64>,
    /// The mean log-odds of each bin.
    bins: Vec<f64>,
    pairs: OutcomePairs,
    /// The counts of the outcomes of the window.
    outcomes: Vec<(usize, f64)>,
    /// The log-odds of the records of the window, with their number; then those of the labelled ones.
    window: Vec<(f64, f64)>,
    labelled: Vec<(f64, f64)>,
    n_intents: usize,
}

/// The result of one draw.
#[derive(Clone, Copy, Default)]
struct Draw {
    accuracy: f64,
    labelled: f64,
    out_of_scope: f64,
    mean_confidence: f64,
}

/// A fit on counts of the cells and of the outcomes.
struct Fitted {
    shares: [Vec<f64>; 2],
    map: Recalibration,
    /// The mean confidence of the weighted reference, and its standard deviation.
    mean_confidence: [f64; 2],
    /// The number of equally weighted records that the weighted reference is worth.
    effective: f64,
}

/// Estimates the accuracy of a model in a window, whose records `current` counts, from its confidence.
///
/// `new_input` says that a test of the texts found new input, and why: the assumption then does not hold. The result is the
/// same for any number of threads.
///
/// # Errors
/// `BOT-2290` (exit 2) a setting is out of range; `BOT-2291` (exit 3) the window has predictions of another list of intents,
/// or the reference contradicts itself; `BOT-2292` (exit 4) the window or the reference is empty.
pub fn estimate_accuracy(
    reference: &EstimateReference<'_>,
    current: &ConfidenceCounts,
    new_input: Option<&str>,
    spec: &EstimateSpec,
) -> Result<AccuracyEstimate> {
    check(reference, current, spec)?;
    let labelled_oos = current.labelled_oos();
    let has_oos =
        reference.judged.iter().any(|it| usize::from(it.truth) >= reference.intents.len());
    let in_scope = (!has_oos).then(|| current.in_scope());
    let current = in_scope.as_ref().unwrap_or(current);
    let model = Model::of(reference, current)?;
    let ones = |n: usize| vec![1_u32; n];
    let counts = model.count(&ones(model.cell_of.len()));
    let fitted = model.fit(&counts, &model.outcomes);
    let draws = model.draws(spec);
    let n = current.n();
    let [expected, _] = model.expected(&model.window, fitted.map);
    let interval = quantiles(&draws, spec.level, |draw| draw.accuracy);
    let cells = current.cells();
    let sum = |of: fn(&ConfidenceCell) -> u64| cells.iter().map(|(_, cell)| of(cell)).sum::<u64>();
    let mean_confidence = sum(|cell| cell.sum) as f64 / 1e6 / n as f64;
    let labelled = sum(|cell| cell.labelled);
    let realised = (labelled > 0).then(|| {
        let accuracy = proportion(sum(|cell| cell.right), labelled);
        let [expected, _] = model.expected(&model.labelled, fitted.map);
        let interval = quantiles(&draws, spec.level, |draw| draw.labelled);
        let within = interval[0] <= accuracy.value && accuracy.value <= interval[1];
        RealisedAccuracy {
            accuracy,
            expected,
            interval,
            error: accuracy.value - expected,
            within: (labelled >= spec.least_labels).then_some(within),
        }
    });
    let oos = model.n_intents;
    let [then, now] = &fitted.shares;
    let out_of_scope = (then[oos] > 0.0).then(|| OutOfScopeShare {
        reference: then[oos],
        current: now[oos],
        interval: quantiles(&draws, CHECK_LEVEL, |draw| draw.out_of_scope),
    });
    let mut estimate = AccuracyEstimate {
        n,
        expected,
        interval: [interval[0].min(expected), interval[1].max(expected)],
        level: spec.level,
        mean_confidence,
        moved: moved(reference.intents, &fitted.shares),
        out_of_scope,
        realised,
        reliable: true,
        reasons: Vec::new(),
        assumption: ASSUMPTION.to_owned(),
    };
    let floor = quantiles(&draws, CHECK_LEVEL, |draw| draw.mean_confidence)[0];
    estimate.reasons = reasons(reference, current, &estimate, spec, &fitted, floor);
    let [n_oos, n_labelled] = labelled_oos;
    if !has_oos && wilson(n_oos, n_labelled, CHECK_LEVEL)[0] > MOST_GROWTH {
        estimate.reasons.push(Unreliable {
            reason: UnreliableReason::OutOfScope,
            text: format!(
                "{n_oos} of {n_labelled} labelled messages are out of scope, and the reference has none"
            ),
        });
    }
    if let Some(why) = new_input {
        estimate.reasons.push(Unreliable {
            reason: UnreliableReason::NewInput,
            text: format!("the texts of the window are new to the model: {why}"),
        });
    }
    estimate.reliable = estimate.reasons.is_empty();
    Ok(estimate)
}

fn check(
    reference: &EstimateReference<'_>,
    current: &ConfidenceCounts,
    spec: &EstimateSpec,
) -> Result<()> {
    if !(spec.level > 0.0 && spec.level < 1.0) || spec.draws < 100 {
        return Err(Fault::usage(
            "BOT-2290",
            "a setting of the estimated accuracy is out of range",
        )
        .hint("the level is between 0 and 1, and there are at least 100 draws"));
    }
    let n_intents = reference.intents.len();
    let is_wrong = |p: f32| !(0.0..=1.0).contains(&p);
    if reference.judged.iter().any(|it| usize::from(it.predicted) >= n_intents || is_wrong(it.p)) {
        let message = "the reference has a prediction of an intent that it does not list, or a probability outside of 0 to 1";
        return Err(Fault::data("BOT-2291", message).hint("train the model again"));
    }
    for (side, is_empty) in [
        ("the window has no record", current.n() == 0),
        ("the reference has no prediction with a truth", reference.judged.is_empty()),
    ] {
        if is_empty {
            return Err(Fault::insufficient("BOT-2292", format!("the accuracy cannot be estimated: {side}"))
                .hint("an estimate needs records of the window, and a model that was trained by a version of botops that stores a reference"));
        }
    }
    Ok(())
}

impl Model {
    fn of(reference: &EstimateReference<'_>, current: &ConfidenceCounts) -> Result<Self> {
        let n_intents = reference.intents.len();
        let numbers: BTreeMap<&str, usize> =
            reference.intents.iter().enumerate().map(|(i, name)| (name.as_str(), i)).collect();
        // Cells in the order of their keys, so that the order of the reference does not matter.
        let mut keys = Vec::with_capacity(reference.judged.len());
        for it in reference.judged {
            let (predicted, p) = (usize::from(it.predicted), f64::from(it.p));
            let truth = usize::from(it.truth).min(n_intents);
            let bin = (log_odds(p) / BIN).round() as i32;
            keys.push((truth, outcome(predicted, p), bin, truth == predicted));
        }
        let mut order: Vec<usize> = (0..keys.len()).collect();
        order.sort_by(|&a, &b| {
            keys[a].cmp(&keys[b]).then(reference.judged[a].p.total_cmp(&reference.judged[b].p))
        });
        let bin_keys: BTreeMap<i32, usize> = keys.iter().map(|key| (key.2, 0)).collect();
        let bin_keys: BTreeMap<i32, usize> =
            bin_keys.into_keys().enumerate().map(|(i, key)| (key, i)).collect();
        let pairs = OutcomePairs::of(keys.iter().map(|key| (key.1, key.0)), n_intents + 1);
        let mut sums = vec![(0.0, 0.0); bin_keys.len()];
        let (mut cells, mut cell_of, mut mean_p): (Vec<Cell>, Vec<u32>, Vec<f64>) =
            (Vec::new(), Vec::new(), Vec::new());
        let mut sizes: Vec<f64> = Vec::new();
        let mut last = None;
        for i in order {
            let key = keys[i];
            let p = f64::from(reference.judged[i].p);
            let bin = bin_keys[&key.2];
            sums[bin].0 += log_odds(p);
            sums[bin].1 += 1.0;
            if last != Some(key) {
                last = Some(key);
                let pair = pairs.number(key.1, key.0);
                cells.push(Cell { truth: key.0, pair, bin, is_right: key.3 });
                mean_p.push(0.0);
                sizes.push(0.0);
            }
            cell_of.push(cells.len() as u32 - 1);
            mean_p[cells.len() - 1] += p;
            sizes[cells.len() - 1] += 1.0;
        }
        mean_p.iter_mut().zip(&sizes).for_each(|(p, n)| *p /= n);
        let mut outcomes: BTreeMap<usize, f64> = BTreeMap::new();
        let (mut window, mut labelled) = (Vec::new(), Vec::new());
        for (intent, cell) in current.cells() {
            let Some(&predicted) = numbers.get(intent) else {
                let shown = botops_text::display(intent, 60);
                let message = format!(
                    "the window has predictions of `{shown}`, which is no intent of the reference"
                );
                return Err(Fault::data("BOT-2291", message)
                    .hint("compare records with the reference of the model that made them"));
            };
            let mean = |sum: u64, n: u64| sum as f64 / 1e6 / n as f64;
            let p = mean(cell.sum, cell.n);
            *outcomes.entry(outcome(predicted, p)).or_default() += cell.n as f64;
            window.push((log_odds(p), cell.n as f64));
            if cell.labelled > 0 {
                let p = mean(cell.labelled_sum, cell.labelled);
                labelled.push((log_odds(p), cell.labelled as f64));
            }
        }
        let bins = sums.into_iter().map(|(sum, n)| sum / n).collect();
        let outcomes = outcomes.into_iter().collect();
        Ok(Self { cells, cell_of, mean_p, bins, pairs, outcomes, window, labelled, n_intents })
    }

    /// Returns the counts of the cells, of records that were drawn so many times.
    fn count(&self, drawn: &[u32]) -> Vec<f64> {
        let mut counts = vec![0.0; self.cells.len()];
        for (&cell, &times) in self.cell_of.iter().zip(drawn) {
            counts[cell as usize] += f64::from(times);
        }
        counts
    }

    fn fit(&self, counts: &[f64], outcomes: &[(usize, f64)]) -> Fitted {
        let mut pairs = vec![0.0; self.pairs.len()];
        for (cell, count) in self.cells.iter().zip(counts) {
            pairs[cell.pair] += count;
        }
        let shares = self.pairs.shares(&pairs, outcomes);
        let weight = |truth: usize| match shares[0][truth] > 0.0 {
            true => shares[1][truth] / shares[0][truth],
            false => 0.0,
        };
        let weights: Vec<f64> = (0..=self.n_intents).map(weight).collect();
        let mut outcomes: Vec<Outcomes> = self
            .bins
            .iter()
            .map(|&log_odds| Outcomes { log_odds, right: 0.0, wrong: 0.0 })
            .collect();
        let (mut sum, mut squares, mut p, mut pp) = (0.0, 0.0, 0.0, 0.0);
        for ((cell, &count), &mean_p) in self.cells.iter().zip(counts).zip(&self.mean_p) {
            let weighted = count * weights[cell.truth];
            match cell.is_right {
                true => outcomes[cell.bin].right += weighted,
                false => outcomes[cell.bin].wrong += weighted,
            }
            sum += weighted;
            squares += weighted * weights[cell.truth];
            p += weighted * mean_p;
            pp += weighted * mean_p * mean_p;
        }
        let mean = p / sum;
        Fitted {
            map: Recalibration::fit(&outcomes),
            shares,
            mean_confidence: [mean, (pp / sum - mean * mean).max(0.0).sqrt()],
            effective: sum * sum / squares,
        }
    }

    fn expected(&self, records: &[(f64, f64)], map: Recalibration) -> [f64; 2] {
        let cells: Vec<(f64, f64)> =
            records.iter().map(|&(x, count)| (map.probability_of(x), count)).collect();
        expected_accuracy_of(&cells)
    }

    fn draws(&self, spec: &EstimateSpec) -> Vec<Draw> {
        let n: f64 = self.window.iter().map(|(_, count)| count).sum();
        (0..spec.draws as u64)
            .into_par_iter()
            .map(|draw| {
                let mut random = Random::stream(spec.seed, draw);
                let mut counts = vec![0.0; self.cells.len()];
                for _ in 0..self.cell_of.len() {
                    counts[self.cell_of[random.below(self.cell_of.len())] as usize] += 1.0;
                }
                let outcomes: Vec<(usize, f64)> = self
                    .outcomes
                    .iter()
                    .map(|&(outcome, count)| (outcome, poisson(&mut random, count)))
                    .collect();
                let fitted = self.fit(&counts, &outcomes);
                let mut realised = |records: &[(f64, f64)]| {
                    let [mean, deviation] = self.expected(records, fitted.map);
                    (mean + deviation * normal(&mut random)).clamp(0.0, 1.0)
                };
                let (accuracy, labelled) = (realised(&self.window), realised(&self.labelled));
                let [mean, deviation] = fitted.mean_confidence;
                Draw {
                    accuracy,
                    labelled,
                    out_of_scope: fitted.shares[1][self.n_intents],
                    mean_confidence: mean + deviation / n.sqrt() * normal(&mut random),
                }
            })
            .collect()
    }
}

/// Draws from the standard normal distribution (Box and Muller).
pub(crate) fn normal(random: &mut Random) -> f64 {
    let radius = (-2.0 * (1.0 - random.unit()).ln()).sqrt();
    radius * (std::f64::consts::TAU * random.unit()).cos()
}

/// Draws from a Poisson distribution; above a mean of 50 the normal one with its mean and variance, rounded.
fn poisson(random: &mut Random, mean: f64) -> f64 {
    if mean > 50.0 {
        return (mean + mean.sqrt() * normal(random)).round().max(0.0);
    }
    let (end, mut product, mut n) = ((-mean).exp(), random.unit(), 0.0);
    while product > end {
        product *= random.unit();
        n += 1.0;
    }
    n
}

/// Returns the quantiles at the ends of `level`, interpolated between order statistics.
fn quantiles(draws: &[Draw], level: f64, of: impl Fn(&Draw) -> f64) -> [f64; 2] {
    let mut values: Vec<f64> = draws.iter().map(of).collect();
    values.sort_unstable_by(f64::total_cmp);
    let tail = (1.0 - level) / 2.0;
    [tail, 1.0 - tail].map(|share| {
        let position = share * (values.len() - 1) as f64;
        let below = position.floor() as usize;
        let above = (below + 1).min(values.len() - 1);
        values[below] + (values[above] - values[below]) * (position - below as f64)
    })
}

/// Returns the intents whose shares moved most.
fn moved(intents: &[String], [then, now]: &[Vec<f64>; 2]) -> Vec<MovedShare> {
    let mut order: Vec<usize> = (0..intents.len()).collect();
    let change = |i: usize| (now[i] - then[i]).abs();
    order.sort_by(|&a, &b| change(b).total_cmp(&change(a)).then(a.cmp(&b)));
    order.truncate(MOVED);
    let share =
        |i: usize| MovedShare { intent: intents[i].clone(), reference: then[i], current: now[i] };
    order.into_iter().map(share).collect()
}

/// Returns everything that speaks against an estimate, but for the texts.
fn reasons(
    reference: &EstimateReference<'_>,
    current: &ConfidenceCounts,
    estimate: &AccuracyEstimate,
    spec: &EstimateSpec,
    fitted: &Fitted,
    floor: f64,
) -> Vec<Unreliable> {
    let mut reasons = Vec::new();
    let mut add = |reason, text: String| reasons.push(Unreliable { reason, text });
    let percent = |share: f64| format!("{:.1} %", 100.0 * share);
    let n_judged = reference.judged.len() as u64;
    if estimate.n < spec.least_records {
        let text = format!(
            "the window has {} records, and an estimate needs {}",
            estimate.n, spec.least_records
        );
        add(UnreliableReason::FewRecords, text);
    }
    if n_judged < spec.least_judged {
        let text = format!(
            "the reference has {n_judged} predictions with a truth, and an estimate needs {}",
            spec.least_judged
        );
        add(UnreliableReason::FewJudged, text);
    }
    if let Some(realised) = &estimate.realised
        && realised.within == Some(false)
    {
        let [lower, upper] = realised.interval.map(percent);
        add(
            UnreliableReason::Realised,
            format!(
                "the realised accuracy of {} labelled records is {}, and {lower} to {upper} was expected of them",
                realised.accuracy.n,
                percent(realised.accuracy.value)
            ),
        );
    }
    if fitted.effective < LEAST_EFFECTIVE {
        let text = format!(
            "the shares of the intents are far from those of the reference, of which only {:.0} records are like the window",
            fitted.effective
        );
        add(UnreliableReason::Shares, text);
    }
    if estimate.mean_confidence < floor - MOST_LOSS {
        let text = format!(
            "the model is less sure than the reference explains: the mean confidence is {}, and at least {} was expected with these shares of the intents",
            percent(estimate.mean_confidence),
            percent(floor)
        );
        add(UnreliableReason::Confidence, text);
    }
    if let Some([declined, n]) = reference.declined.filter(|[_, n]| *n > 0) {
        let lower = wilson(current.declined(), estimate.n, CHECK_LEVEL)[0];
        let upper = wilson(declined.min(n), n, CHECK_LEVEL)[1];
        if lower > upper + MOST_GROWTH {
            let now = percent(current.declined() as f64 / estimate.n as f64);
            let text = format!(
                "the model declines {now} of the messages, and {} in the reference",
                percent(declined as f64 / n as f64)
            );
            add(UnreliableReason::Declined, text);
        }
    }
    if let Some(share) = &estimate.out_of_scope
        && share.interval[0] > share.reference + MOST_GROWTH
    {
        let text = format!(
            "{} of the messages seem out of scope, and {} in the reference",
            percent(share.current),
            percent(share.reference)
        );
        add(UnreliableReason::OutOfScope, text);
    }
    reasons
}
