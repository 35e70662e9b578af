//! Estimated accuracy: how often its interval holds the realised one, and whether a new product makes it unreliable.
//!
//! `cargo bench --bench estimates` divides `datasets/support` (and BANKING77, if `BOTOPS_BANKING77_DIR` names its folder)
//! four times. A model is trained and calibrated on one side; weeks of 500 messages are drawn from the other, with shares
//! of the intents from a uniform Dirichlet distribution: 200 weeks of each data set. Then each of four intents of the support set (and three
//! of BANKING77) is left out of training and makes up a quarter of a week: the new product. At last the two recorded weeks of
//! `datasets/support/traffic.jsonl`, of which the second has new products. `-- weeks`, `-- new` and `-- recorded` measure one part.
#![expect(clippy::print_stdout, reason = "a benchmark's output is what it prints")]

#[path = "process/cpu.rs"]
mod cpu;

use botops_datasets::{self as datasets, Dataset, ReadOptions, Record};
use botops_labels::OOS;
use botops_models::{IntentModel, ModelSpec, Sample, Silent, TrainingInput, train_and_judge};
use botops_monitoring::{
    AccuracyEstimate, ConfidenceCounts, EstimateReference, EstimateSpec, Judged, Told,
    UnreliableReason, estimate_accuracy,
};
use botops_spec::Spec as _;
use botops_splits::{SplitSpec, split};
use botops_stats::random::Random;
use cpu::cpu_seconds;
use std::{
    collections::BTreeMap,
    env,
    path::{Path, PathBuf},
};

const SPLITS: u64 = 4;
const WEEKS: u64 = 50;
const MESSAGES: usize = 500;
/// The share of the messages of a new product.
const NEW: f64 = 0.25;

/// A model and its reference.
struct Trained {
    model: IntentModel,
    intents: Vec<String>,
    judged: Vec<Judged>,
    declined: [u64; 2],
}

/// A message with its prediction.
#[derive(Clone, Copy)]
struct Seen {
    intent: usize,
    confidence: f64,
    declined: bool,
    told: Told,
}

fn told(truth: &str, predicted: &str) -> Told {
    match truth {
        OOS => Told::OutOfScope,
        _ if truth == predicted => Told::Right,
        _ => Told::Wrong,
    }
}

fn trained<'a>(records: impl Iterator<Item = &'a Record>) -> Trained {
    let samples: Vec<Sample<'_>> = records
        .map(|it| Sample { text: &it.text, intent: it.intent.as_deref().unwrap_or(OOS) })
        .collect();
    let spec = ModelSpec::default().check().expect("the defaults are in range");
    let (model, unseen) =
        train_and_judge(TrainingInput::new(&samples, &spec), &Silent).expect("the data is fit");
    let intents: Vec<String> = model.labels().iter().map(str::to_owned).collect();
    let judged = unseen.records.iter().map(|it| Judged {
        truth: it.truth.unwrap_or(intents.len()) as u16,
        predicted: it.prediction.intent as u16,
        p: it.prediction.confidence as f32,
    });
    let judged: Vec<Judged> = judged.collect();
    let declined = unseen.records.iter().filter(|it| it.prediction.fallback).count() as u64;
    let declined = [declined, judged.len() as u64];
    Trained { model, intents, judged, declined }
}

impl Trained {
    /// Predicts records, by their intents; out-of-scope ones are under [`OOS`].
    fn see<'a>(&self, records: impl Iterator<Item = &'a Record>) -> BTreeMap<&'a str, Vec<Seen>> {
        let mut seen: BTreeMap<&str, Vec<Seen>> = BTreeMap::new();
        for record in records {
            let truth = record.intent.as_deref().unwrap_or(OOS);
            let found = self.model.predict(&record.text);
            seen.entry(truth).or_default().push(Seen {
                intent: found.intent,
                confidence: found.confidence,
                declined: found.fallback,
                told: told(truth, &self.intents[found.intent]),
            });
        }
        seen
    }

    fn estimate<'a>(
        &self,
        week: impl Iterator<Item = &'a Seen>,
        is_labelled: impl Fn(usize) -> bool,
    ) -> AccuracyEstimate {
        let mut counts = ConfidenceCounts::default();
        for (i, it) in week.enumerate() {
            let told = is_labelled(i).then_some(it.told);
            counts.add_prediction(&self.intents[it.intent], it.confidence, it.declined, told);
        }
        let reference = EstimateReference {
            intents: &self.intents,
            judged: &self.judged,
            declined: Some(self.declined),
        };
        let spec = EstimateSpec::default();
        estimate_accuracy(&reference, &counts, None, &spec).expect("there are records")
    }
}

/// Draws a week: the share `oos` of its messages is out of scope, the others have Dirichlet shares of the intents.
///
/// A message is drawn again only when all others of its intent are: weeks drawn with replacement would differ from fresh ones by the
/// chance of the held-out messages, too.
fn week<'a>(random: &mut Random, pool: &'a BTreeMap<&str, Vec<Seen>>, oos: f64) -> Vec<&'a Seen> {
    let mut left: Vec<(bool, f64, Vec<&Seen>)> = Vec::new();
    for (intent, seen) in pool {
        let mut seen: Vec<&Seen> = seen.iter().collect();
        random.shuffle(&mut seen);
        left.push((*intent == OOS, -(1.0 - random.unit()).ln(), seen));
    }
    let total: f64 = left.iter().filter(|(is_oos, ..)| !is_oos).map(|(_, part, _)| part).sum();
    let mut drawn = Vec::new();
    while drawn.len() < MESSAGES {
        let wants_oos = random.unit() < oos;
        let mut at = random.unit() * total;
        let chosen = left.iter_mut().find(|(is_oos, part, _)| {
            if *is_oos == wants_oos {
                at -= part;
            }
            *is_oos == wants_oos && (wants_oos || at < 0.0)
        });
        let Some((.., seen)) = chosen else { continue };
        seen.rotate_left(1);
        drawn.push(seen[0]);
    }
    drawn
}

fn reasons(counts: &BTreeMap<UnreliableReason, u32>) -> String {
    let shown: Vec<String> = counts.iter().map(|(reason, n)| format!("{reason:?} {n}")).collect();
    if shown.is_empty() { "none".to_owned() } else { shown.join(", ") }
}

/// Weeks of shifted intents.
fn coverage(name: &str, data: &Dataset) {
    let (mut within, mut reliable, mut width, mut error, mut raw) = (0, 0, 0.0, 0.0, 0.0);
    let mut found = BTreeMap::new();
    let mut n_judged = Vec::new();
    for seed in 0..SPLITS {
        let spec = SplitSpec { test_share: 1.0 / 3.0, seed }.check().expect("it is in range");
        let sides = split(data, &spec).expect("the data can be divided");
        let cpu = cpu_seconds();
        let trained = trained(sides.train.records.iter());
        n_judged.push(trained.judged.len());
        let pool = trained.see(sides.test.records.iter());
        let oos = pool.get(OOS).map_or(0, Vec::len) as f64 / sides.test.records.len() as f64;
        let fitted = cpu_seconds() - cpu;
        let mut here = 0;
        for number in 0..WEEKS {
            let mut random = Random::stream(seed, number);
            let drawn = week(&mut random, &pool, oos);
            let estimate = trained.estimate(drawn.into_iter(), |_| true);
            let realised = estimate.realised.expect("every message has a label");
            here += u32::from(realised.within == Some(true));
            reliable += u32::from(estimate.reliable);
            width += estimate.interval[1] - estimate.interval[0];
            error += realised.error.abs();
            raw += (estimate.mean_confidence - realised.accuracy.value).abs();
            for it in &estimate.reasons {
                *found.entry(it.reason).or_insert(0) += 1;
            }
        }
        within += here;
        println!(
            "  {name}, division {seed}: {here} of {WEEKS} within; {fitted:.1} s of CPU to train, {:.2} s a week",
            (cpu_seconds() - cpu - fitted) / WEEKS as f64
        );
    }
    let n = (SPLITS * WEEKS) as f64;
    println!(
        "{name}: {within} of {n} weeks within the interval ({:.1} %, at least 90 wanted), mean width {:.3}, mean error {:.4} (of the confidence as it is {:.4}), {reliable} reliable; reasons: {}; judged {n_judged:?}",
        100.0 * f64::from(within) / n,
        width / n,
        error / n,
        raw / n,
        reasons(&found),
    );
}

/// Weeks with a product that the model never saw: with every label, with a tenth of them, and without any.
fn new_product(name: &str, data: &Dataset, intents: &[&str]) {
    let spec = SplitSpec { test_share: 1.0 / 3.0, seed: 0 }.check().expect("it is in range");
    let sides = split(data, &spec).expect("the data can be divided");
    for new in intents {
        let is_new = |it: &&Record| it.intent.as_deref() == Some(*new);
        let trained = trained(sides.train.records.iter().filter(|it| !is_new(it)));
        let old = trained.see(sides.test.records.iter().filter(|it| !is_new(it)));
        let unknown = trained.see(data.records.iter().filter(is_new));
        let oos = old.get(OOS).map_or(0, Vec::len) as f64 / sides.test.records.len() as f64;
        let mut unreliable = [0; 3];
        let mut found = BTreeMap::new();
        const N: u64 = 20;
        for number in 0..N {
            let mut random = Random::stream(77, number);
            let mut drawn = week(&mut random, &old, oos);
            for it in drawn.iter_mut().take((NEW * MESSAGES as f64) as usize) {
                let seen = &unknown[new];
                *it = &seen[random.below(seen.len())];
            }
            random.shuffle(&mut drawn);
            for (at, every) in [1, 10, usize::MAX].into_iter().enumerate() {
                let labelled = |i: usize| every < usize::MAX && i.is_multiple_of(every);
                let estimate = trained.estimate(drawn.iter().copied(), labelled);
                unreliable[at] += u32::from(!estimate.reliable);
                if every == usize::MAX {
                    for it in &estimate.reasons {
                        *found.entry(it.reason).or_insert(0) += 1;
                    }
                }
            }
        }
        println!(
            "{name}, `{new}` new in {:.0} % of the messages: unreliable {} of {N} weeks with all labels, {} with 50, {} without (reasons: {})",
            100.0 * NEW,
            unreliable[0],
            unreliable[1],
            unreliable[2],
            reasons(&found),
        );
    }
}

/// The recorded weeks, with the model of all training data and the labels that the traffic has.
fn recorded(data: &Dataset, folder: &Path) {
    let trained = trained(data.records.iter());
    let lines = std::fs::read_to_string(folder.join("traffic.jsonl")).expect("it is recorded");
    let mut weeks: [Vec<(Seen, bool)>; 2] = [Vec::new(), Vec::new()];
    for line in lines.lines() {
        let line: serde_json::Value = serde_json::from_str(line).expect("each line is JSON");
        let text = |key: &str| line[key].as_str();
        let found = trained.model.predict(text("text").expect("each line has a text"));
        let truth = text("truth");
        let seen = Seen {
            intent: found.intent,
            confidence: found.confidence,
            declined: found.fallback,
            told: told(truth.unwrap_or(OOS), &trained.intents[found.intent]),
        };
        let is_second = text("at").expect("each line has a time") >= "2026-11-02";
        weeks[usize::from(is_second)].push((seen, truth.is_some()));
    }
    for (number, week) in weeks.iter().enumerate() {
        let seen = || week.iter().map(|(seen, _)| seen);
        for (labels, estimate) in [
            ("with labels", trained.estimate(seen(), |i| week[i].1)),
            ("without", trained.estimate(seen(), |_| false)),
        ] {
            let realised = estimate.realised.map(|it| (it.accuracy.n, it.accuracy.value));
            let kinds: Vec<UnreliableReason> =
                estimate.reasons.iter().map(|it| it.reason).collect();
            println!(
                "recorded week {}, {labels}: {} messages, expected {:.3} [{:.3}, {:.3}], realised {realised:.3?}, reliable {} {kinds:?}",
                number + 1,
                estimate.n,
                estimate.expected,
                estimate.interval[0],
                estimate.interval[1],
                estimate.reliable,
            );
        }
    }
}

fn main() {
    let asked: Vec<String> = env::args().skip(1).filter(|it| !it.starts_with('-')).collect();
    let is_asked = |part: &str| asked.is_empty() || asked.iter().any(|it| it == part);
    let folder = Path::new("datasets/support");
    let read = |path: PathBuf| {
        datasets::read(&path, &ReadOptions::default()).expect("the data set is readable")
    };
    let mut sets = vec![(
        "support",
        read(folder.join("utterances.csv")),
        vec!["complaint", "technical_support", "billing_question", "order_status"],
    )];
    if let Some(folder) = env::var_os("BOTOPS_BANKING77_DIR") {
        let folder = PathBuf::from(folder);
        let mut banking = read(folder.join("train.csv"));
        banking.records.extend(read(folder.join("test.csv")).records);
        let intents = vec!["lost_or_stolen_card", "top_up_failed", "exchange_rate"];
        sets.push(("banking77", banking, intents));
    }
    if is_asked("recorded") {
        recorded(&sets[0].1, folder);
    }
    for (name, data, intents) in &sets {
        if is_asked("new") {
            new_product(name, data, intents);
        }
        if is_asked("weeks") {
            coverage(name, data);
        }
    }
}
