//! Training and prediction, measured on BANKING77 if `BOTOPS_BANKING77_DIR` names its folder.
//!
//! First come numbers that a benchmark loop cannot measure: accuracy, CPU seconds, peak memory, size. `cargo bench
//! --bench learning -- figures` stops there. `-- figures forest` adds the other heads, and `-- figures scale`
//! measures the cost with three and ten times the records.
#![expect(clippy::print_stdout, reason = "a benchmark's output is what it prints")]

#[path = "process/cpu.rs"]
mod cpu;
#[path = "process/memory.rs"]
mod memory;

use botops_models::{
    HeadKind, HeadSpec, IntentModel, ModelSpec, Sample, Scratch, Silent, TrainingInput, train,
};
use botops_spec::Spec as _;
use botops_text as text;
use cpu::cpu_seconds;
use criterion::Criterion;
use memory::peak_mb;
use std::{collections::BTreeMap, hint::black_box, path::Path, time::Instant};

type Rows = Vec<(String, String)>;

fn read(path: &Path) -> Rows {
    let mut reader = csv::Reader::from_path(path).expect("the data set is readable");
    reader
        .records()
        .map(|record| {
            let record = record.expect("the data set is well-formed");
            (record[0].to_owned(), record[1].to_owned())
        })
        .collect()
}

/// Trains on 1, 3 and 10 times the records, and prints the cost of each.
///
/// Added records have new texts, so that the vocabulary grows realistically: the first half of one record of an
/// intent, and the second half of another.
fn scale(folder: &Path) {
    let rows = read(&folder.join("train.csv"));
    let mut of_intent: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (text, intent) in &rows {
        of_intent.entry(intent).or_default().push(text);
    }
    for times in [1, 3, 10] {
        let mut more: Rows = rows.clone();
        for step in 1..times {
            for (intent, texts) in &of_intent {
                more.extend((0..texts.len()).map(|at| {
                    let halves = |at: usize, second: bool| {
                        let words: Vec<&str> = texts[at % texts.len()].split_whitespace().collect();
                        let (head, tail) = words.split_at(words.len().div_ceil(2));
                        (if second { tail } else { head }).join(" ")
                    };
                    let text = format!("{} {}", halves(at, false), halves(at + 7 * step, true));
                    (text, (*intent).to_owned())
                }));
            }
        }
        let samples: Vec<Sample<'_>> =
            more.iter().map(|(text, intent)| Sample { text, intent }).collect();
        let cpu = cpu_seconds();
        let model = train(
            TrainingInput::new(
                &samples,
                &ModelSpec::default().check().expect("the settings are in range"),
            ),
            &Silent,
        )
        .expect("the data set trains");
        let cpu = cpu_seconds() - cpu;
        println!(
            "{times:>2}x: {} records, {} features, {cpu:.2} s of CPU, {:.0} us a record; peak {:.0} MB",
            samples.len(),
            model.n_features(),
            cpu / samples.len() as f64 * 1e6,
            peak_mb(),
        );
    }
}

/// Reads, trains and evaluates once, and prints the cost.
fn figures(folder: &Path, kind: HeadKind) -> IntentModel {
    let (started, cpu) = (Instant::now(), cpu_seconds());
    let (rows, test) = (read(&folder.join("train.csv")), read(&folder.join("test.csv")));
    let samples: Vec<Sample<'_>> =
        rows.iter().map(|(text, intent)| Sample { text, intent }).collect();
    let spec = ModelSpec { head: HeadSpec { kind, ..HeadSpec::default() }, ..ModelSpec::default() };
    let model = train(
        TrainingInput::new(&samples, &spec.check().expect("the settings are in range")),
        &Silent,
    )
    .expect("the data set trains");
    let texts: Vec<&str> = test.iter().map(|(text, _)| text.as_str()).collect();
    let (predictions, proba) = model.predict_many(&texts);
    let truth = |row: usize| model.labels().index_of(&test[row].1).expect("a known intent");
    let right = (0..test.len()).filter(|&row| predictions[row].intent == truth(row)).count();
    let log_loss: f64 = (0..test.len()).map(|row| -proba[row][truth(row)].ln()).sum();
    let n = test.len() as f64;
    println!(
        "{kind:?}: accuracy {:.4}, log loss {:.4}, temperature {:.4}; read, train and evaluate {:.2} s of CPU, {:.2} s; peak {:.0} MB",
        right as f64 / n,
        log_loss / n,
        model.temperature(),
        cpu_seconds() - cpu,
        started.elapsed().as_secs_f64(),
        peak_mb(),
    );
    let bytes = model.to_bytes();
    let loading = Instant::now();
    let model = IntentModel::from_bytes(&bytes).expect("what was written is read");
    let load = loading.elapsed();
    let mut scratch = Scratch::default();
    let mut times: Vec<u128> = Vec::with_capacity(5 * texts.len());
    for _ in 0..5 {
        for text in &texts {
            let started = Instant::now();
            black_box(model.predict_with(text, &mut scratch));
            times.push(started.elapsed().as_nanos());
        }
    }
    times.sort_unstable();
    println!(
        "  {} features, {:.1} MB, loaded in {:.1} ms; text to label: median {:.1} us, p99 {:.1} us",
        model.n_features(),
        bytes.len() as f64 / 1e6,
        load.as_secs_f64() * 1e3,
        times[times.len() / 2] as f64 / 1e3,
        times[times.len() * 99 / 100] as f64 / 1e3,
    );
    model
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let asked = |word: &str| arguments.iter().any(|argument| argument == word);
    let Some(folder) = std::env::var_os("BOTOPS_BANKING77_DIR") else {
        println!(
            "skipped: BOTOPS_BANKING77_DIR does not name the folder of BANKING77's train.csv and test.csv"
        );
        return;
    };
    let folder = Path::new(&folder);
    let model = figures(folder, HeadKind::LinearSvm);
    if asked("forest") {
        figures(folder, HeadKind::LogisticRegression);
        figures(folder, HeadKind::RandomForest);
    }
    if asked("scale") {
        scale(folder);
    }
    if asked("figures") {
        return;
    }
    let test = read(&folder.join("test.csv"));
    let mut criterion = Criterion::default().sample_size(20);
    let mut texts = test.iter().map(|(text, _)| text.as_str()).cycle();
    let mut next = || texts.next().expect("the test set is not empty");
    let mut scratch = Scratch::default();
    criterion.bench_function("predict", |bencher| {
        bencher.iter(|| model.predict_with(next(), &mut scratch));
    });
    criterion.bench_function("fold", |bencher| bencher.iter(|| text::fold(next())));
    let bytes = model.to_bytes();
    criterion.bench_function("load", |bencher| bencher.iter(|| IntentModel::from_bytes(&bytes)));
    criterion.final_summary();
}
