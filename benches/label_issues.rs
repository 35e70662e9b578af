//! Detection of wrong labels: precision, recall and CPU time on labels that were changed on purpose.
//!
//! `cargo bench --bench label_issues` changes 5 % of the labels of `datasets/support` (and of the training set of
//! BANKING77, if `BOTOPS_BANKING77_DIR` names its folder), each to another intent drawn uniformly, with three seeds.
#![expect(clippy::print_stdout, reason = "a benchmark's output is what it prints")]

#[path = "process/cpu.rs"]
mod cpu;

use botops_curation::{LabelIssueSpec, LabelIssues, label_issues};
use botops_datasets::{self as datasets, Dataset, ReadOptions};
use botops_labels::OOS;
use botops_models::{CrossValidator, HeadKind, HeadSpec, ModelSpec, Resources, Sample, Silent};
use botops_spec::Spec as _;
use botops_stats::random::Random;
use cpu::cpu_seconds;
use std::{collections::BTreeSet, path::Path};

/// The share of labels that is changed.
const NOISE: f64 = 0.05;
const SEEDS: [u64; 3] = [1, 2, 3];
const FOLDS: usize = 5;
/// The recalls at which the precision of the whole ranking is printed.
const RECALLS: [f64; 4] = [0.7, 0.75, 0.8, 0.9];

/// Changes the labels of a share `NOISE` of the records of `data`, and returns the numbers of these records.
fn corrupt(data: &mut Dataset, seed: u64) -> BTreeSet<u64> {
    let mut random = Random::stream(seed, 0x4015E);
    let intent = |i: usize| data.records[i].intent.as_deref();
    let names: BTreeSet<String> =
        (0..data.records.len()).filter_map(intent).map(str::to_owned).collect();
    let names: Vec<String> = names.into_iter().filter(|name| name != OOS).collect();
    let mut inside: Vec<usize> =
        (0..data.records.len()).filter(|&i| intent(i).is_some_and(|name| name != OOS)).collect();
    random.shuffle(&mut inside);
    inside.truncate((inside.len() as f64 * NOISE).round() as usize);
    for &i in &inside {
        let given = data.records[i].intent.take();
        let other = loop {
            let other = &names[random.below(names.len())];
            if Some(other) != given.as_ref() {
                break other.clone();
            }
        };
        data.records[i].intent = Some(other);
    }
    inside.into_iter().map(|i| data.records[i].record).collect()
}

fn find(data: &Dataset, spec: &LabelIssueSpec) -> LabelIssues {
    let samples: Vec<Sample<'_>> = data
        .records
        .iter()
        .map(|record| Sample {
            text: &record.text,
            intent: record.intent.as_deref().unwrap_or(OOS),
        })
        .collect();
    let validator = CrossValidator::new(&samples, FOLDS, spec.model.seed, Resources::default())
        .expect("the data set has folds");
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    label_issues(data, &validator, spec, threads, &Silent).expect("the labels are judged")
}

/// Returns the precision and the recall of the records in `reported`.
fn quality<'a>(
    reported: impl Iterator<Item = &'a u64>,
    wrong: &BTreeSet<u64>,
) -> (f64, f64, usize) {
    let (mut n, mut hits) = (0, 0);
    for record in reported {
        n += 1;
        hits += usize::from(wrong.contains(record));
    }
    (hits as f64 / n.max(1) as f64, hits as f64 / wrong.len() as f64, n)
}

fn measure(name: &str, clean: &Dataset, heads: &[(&str, HeadSpec)]) {
    for (head, head_spec) in heads {
        for seed in SEEDS {
            let mut data = clean.clone();
            let wrong = corrupt(&mut data, seed);
            let model = ModelSpec { head: head_spec.clone(), ..ModelSpec::default() }.check();
            let model = model.expect("the settings are in range");
            let spec = LabelIssueSpec { model, ..LabelIssueSpec::default() };
            let cpu = cpu_seconds();
            let found = find(&data, &spec);
            let cpu = cpu_seconds() - cpu;
            let reported: Vec<u64> = found.issues.iter().map(|issue| issue.record).collect();
            let (precision, recall, n) = quality(reported.iter(), &wrong);
            println!(
                "{name}, {head}, seed {seed}: {} of {} labels changed, {:.2} % estimated; {n} reported at {}: precision {precision:.3} (expected {:.3}), recall {recall:.3}; {cpu:.2} s of CPU",
                wrong.len(),
                found.n,
                100.0 * found.noise_rate,
                found.at_least,
                found.expected_precision.unwrap_or(f64::NAN),
            );
            // The whole ranking, and the records that the confident joint alone finds.
            let all = LabelIssueSpec { at_least: f64::MIN_POSITIVE, nearest: 0, ..spec };
            let found = find(&data, &all);
            let ranked: Vec<u64> = found.issues.iter().map(|issue| issue.record).collect();
            let at = RECALLS.map(|wanted| {
                let wanted = (wanted * wrong.len() as f64).ceil() as usize;
                let mut hits = 0;
                let n = ranked.iter().position(|record| {
                    hits += usize::from(wrong.contains(record));
                    hits >= wanted
                });
                n.map_or("never".to_owned(), |n| format!("{:.3}", wanted as f64 / (n + 1) as f64))
            });
            let joint = found.issues.iter().filter(|i| i.is_off_diagonal).map(|i| &i.record);
            let (precision, recall, n) = quality(joint, &wrong);
            let mut by_margin = found.issues.clone();
            by_margin.sort_by(|a, b| a.margin.total_cmp(&b.margin));
            let first = by_margin.iter().take(reported.len()).map(|issue| &issue.record);
            let (margin_precision, margin_recall, _) = quality(first, &wrong);
            println!(
                "  precision at recall {RECALLS:?}: {}; confident joint: {n} reported, {precision:.3} / {recall:.3}; as many by normalised margin: {margin_precision:.3} / {margin_recall:.3}",
                at.join(" ")
            );
        }
    }
}

fn main() {
    let is_asked = std::env::args().any(|argument| argument == "heads");
    let head = |kind, c| HeadSpec { kind, c, ..HeadSpec::default() };
    let mut heads = vec![("default", LabelIssueSpec::default().model.into_inner().head)];
    if is_asked {
        heads.extend([
            ("linear_svm", head(HeadKind::LinearSvm, None)),
            ("logistic_regression, C = 30", head(HeadKind::LogisticRegression, None)),
            ("logistic_regression, C = 1", head(HeadKind::LogisticRegression, Some(1.0))),
            ("complement_naive_bayes", head(HeadKind::ComplementNaiveBayes, None)),
        ]);
    }
    let mut sets = vec![("support", Path::new("datasets/support/utterances.csv").to_owned())];
    if let Some(folder) = std::env::var_os("BOTOPS_BANKING77_DIR") {
        sets.push(("banking77", Path::new(&folder).join("train.csv")));
    }
    for (name, path) in sets {
        let data =
            datasets::read(&path, &ReadOptions::default()).expect("the data set is readable");
        measure(name, &data, &heads);
        let found = find(&data, &LabelIssueSpec::default());
        let mut kinds = std::collections::BTreeMap::new();
        for one in &found.oddities.records {
            *kinds.entry(format!("{:?}", one.kind)).or_insert(0) += 1;
        }
        println!(
            "{name} as it is: {} reported ({:.2} % estimated), {} pairs of intents overlap, odd: {kinds:?} of {}",
            found.issues.len(),
            100.0 * found.noise_rate,
            found.overlaps.iter().filter(|pair| pair.is_found).count(),
            found.n
        );
    }
}
