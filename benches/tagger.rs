//! The learned tagger: CPU seconds of training, time of an utterance, and the scores of its entities.
//!
//! `cargo bench --bench tagger` trains on `datasets/support/utterances.csv` and measures on `holdout.csv`.
//! `-- TRAIN TEST` takes other files, with annotated spans, and `-- TRAIN TEST FOLDER` also writes to the folder what
//! `benches/peers/tagger.py` compares with: `features.jsonl`, a line for each utterance of both files with its tokens and
//! their features, and `predicted.jsonl`, the entities found in the test file.
#![expect(clippy::print_stdout, reason = "a benchmark's output is what it prints")]

#[path = "process/cpu.rs"]
mod cpu;

use botops_datasets::{Dataset, EntitySpan, ReadOptions, read};
use botops_dialogue::Entity;
use botops_models::{TagScratch, Tagger, TaggerSpec, learn_tagger, token_features};
use botops_pipelines::annotated;
use cpu::cpu_seconds;
use serde_json::json;
use std::{
    collections::BTreeMap,
    fs::File,
    hint::black_box,
    io::{BufWriter, Write as _},
    path::{Path, PathBuf},
    time::Instant,
};

/// The seed of the models of botops.
const SEED: u64 = 17;
/// Trainings: the CPU seconds are counted in hundredths.
const TRAININGS: usize = 5;
/// Passes over the test file, of which the fastest counts.
const PASSES: usize = 20;

fn main() {
    let mut paths =
        std::env::args().skip(1).filter(|arg| !arg.starts_with("--")).map(PathBuf::from);
    let support = Path::new(env!("CARGO_MANIFEST_DIR")).join("datasets/support");
    let train = paths.next().unwrap_or_else(|| support.join("utterances.csv"));
    let test = paths.next().unwrap_or_else(|| support.join("holdout.csv"));
    let [train, test] = [train, test]
        .map(|path| read(&path, &ReadOptions::default()).expect("the file is a data set"));

    let utterances = annotated(&train);
    let began = cpu_seconds();
    let learned = || {
        learn_tagger(&utterances, &BTreeMap::new(), &TaggerSpec::default(), SEED)
            .expect("the spans can be learned")
            .expect("there are enough spans")
    };
    let tagger = (1..TRAININGS).fold(learned(), |_, _| learned());
    let train_s = (cpu_seconds() - began) / TRAININGS as f64;

    let mut scratch = TagScratch::default();
    let predicted: Vec<Vec<Entity>> =
        test.records.iter().map(|record| tagger.tag(&record.text, &mut scratch)).collect();
    let (right, found, annotated) = counts(&test, &predicted);
    let f1 = 2.0 * right as f64 / (found + annotated).max(1) as f64;
    let answer = json!({
        "n_train": train.records.len(),
        "n_test": test.records.len(),
        "n_weights": tagger.n_weights(),
        "train_cpu_s": train_s,
        "utterance_us": fastest_pass(&tagger, &test, &mut scratch),
        "precision": right as f64 / found.max(1) as f64,
        "recall": right as f64 / annotated.max(1) as f64,
        "f1": f1,
    });
    if let Some(folder) = paths.next() {
        write(&folder, [&train, &test], &predicted);
    }
    println!("{answer}");
}

/// Returns the microseconds of an utterance in the fastest of several passes.
fn fastest_pass(tagger: &Tagger, test: &Dataset, scratch: &mut TagScratch) -> f64 {
    let mut fastest = f64::INFINITY;
    for _ in 0..PASSES {
        let began = Instant::now();
        for record in &test.records {
            black_box(tagger.tag(&record.text, scratch));
        }
        fastest = fastest.min(began.elapsed().as_secs_f64());
    }
    1e6 * fastest / test.records.len() as f64
}

fn is_same(span: &EntitySpan, found: &Entity) -> bool {
    (span.start, span.end) == (found.start, found.end)
        && span.entity == found.entity
        && span.role == found.role
        && span.group == found.group
}

/// Returns the numbers of spans that are right, found and annotated.
fn counts(test: &Dataset, predicted: &[Vec<Entity>]) -> (usize, usize, usize) {
    let mut counts = (0, 0, 0);
    for (record, found) in test.records.iter().zip(predicted) {
        counts.0 += record.entities.iter().filter(|s| found.iter().any(|f| is_same(s, f))).count();
        counts.1 += found.len();
        counts.2 += record.entities.len();
    }
    counts
}

fn write(folder: &Path, [train, test]: [&Dataset; 2], predicted: &[Vec<Entity>]) {
    let file = |name: &str| {
        BufWriter::new(File::create(folder.join(name)).expect("the folder takes files"))
    };
    let mut features = file("features.jsonl");
    for (part, data) in [("train", train), ("test", test)] {
        for record in &data.records {
            let tokens = token_features(&record.text);
            let line = json!({
                "part": part,
                "offsets": tokens.iter().map(|t| (t.start, t.end)).collect::<Vec<_>>(),
                "features": tokens.iter().map(|t| &t.features).collect::<Vec<_>>(),
                "spans": record.entities,
            });
            writeln!(features, "{line}").expect("it fits");
        }
    }
    let mut out = file("predicted.jsonl");
    for found in predicted {
        writeln!(out, "{}", json!(found)).expect("it fits");
    }
    features.flush().and_then(|()| out.flush()).expect("it fits");
}
