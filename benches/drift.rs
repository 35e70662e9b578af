//! Drift: CPU seconds and peak memory of two tables of 100,000 rows.
//!
//! `cargo bench --bench drift` compares tables of five columns without a role (three of numbers, one of categories, one
//! of booleans), and then the same columns beside text, intent and language. Each comparison runs in a process of its
//! own, and includes reading both files. `-- keep FOLDER` keeps the files, for other tools. One column is shifted: the
//! verdict names it.
#![expect(clippy::print_stdout, reason = "a benchmark's output is what it prints")]

#[path = "process/cpu.rs"]
mod cpu;
#[path = "process/memory.rs"]
mod memory;

use botops_datasets::{self as datasets, Presence, ReadOptions};
use botops_drift::{self as drift, DriftSide, DriftSpec, DriftVerdict};
use botops_pipelines::{self as pipelines, DriftColumns};
use botops_spec::Spec as _;
use botops_stats::random::Random;
use cpu::cpu_seconds;
use memory::peak_mb;
use std::{
    env,
    fs::{self, File},
    io::{BufWriter, Write as _},
    path::{Path, PathBuf},
    process::Command,
    time::Instant,
};

/// The number of rows of each side.
const ROWS: usize = 100_000;

const WORDS: [&str; 16] = [
    "where", "is", "my", "order", "please", "refund", "parcel", "account", "password", "charged",
    "twice", "waiting", "delivery", "invoice", "address", "broken",
];

/// Writes [`ROWS`] rows to `path`; `shift` is added to the column `score`.
fn generate(path: &Path, with_text: bool, shift: f64, seed: u64) {
    let mut random = Random::new(seed);
    let mut out = BufWriter::new(File::create(path).expect("the folder takes files"));
    let utterance = if with_text { "text,intent,lang," } else { "" };
    writeln!(out, "{utterance}score,confidence,latency_ms,channel,is_test").expect("it fits");
    for _ in 0..ROWS {
        if with_text {
            let length = 5 + random.below(8);
            let words: Vec<&str> = (0..length).map(|_| WORDS[random.below(WORDS.len())]).collect();
            let lang = ["en", "fr"][random.below(2)];
            write!(out, "{},intent_{},{lang},", words.join(" "), random.below(12))
                .expect("it fits");
        }
        let score: f64 = (0..4).map(|_| random.unit()).sum::<f64>() + shift;
        let confidence = random.unit().sqrt();
        let latency = 20.0 / (1.0 - random.unit()).max(0.001);
        let channel = ["web", "app", "phone", "mail"][random.below(4)];
        writeln!(out, "{score:.6},{confidence:.4},{latency:.0},{channel},{}", random.below(2))
            .expect("it fits");
    }
    out.flush().expect("it fits");
}

/// Compares two files, and prints the cost and the columns that drift.
fn measure(reference: &Path, current: &Path) {
    let (began, cpu) = (Instant::now(), cpu_seconds());
    let options = ReadOptions {
        text: Presence::Optional,
        intent: Presence::Optional,
        ..ReadOptions::default()
    };
    let read = |path: &Path| {
        let mut columns = DriftColumns::default();
        let data =
            datasets::read_with_rows(path, &options, &mut |shape, row| columns.add(shape, row))
                .expect("the file is read");
        (data, columns)
    };
    let sides = [read(reference), read(current)];
    let texts = [0, 1].map(|side| {
        let records = sides[side].0.records.iter();
        records.map(|r| (r.text.as_str(), r.lang.as_deref())).collect::<Vec<_>>()
    });
    let rows = [0, 1].map(|side| pipelines::rows(&texts[side], None));
    let side = |at: usize| DriftSide {
        name: &sides[at].0.name,
        rows: &rows[at],
        columns: sides[at].1.get(),
    };
    let spec = DriftSpec::default().check().expect("the defaults are in range");
    let report = drift::compare(&side(0), &side(1), &spec).expect("the columns are compared");
    let drifted = report.checks.iter().filter(|check| check.verdict == DriftVerdict::Drift);
    let drifted: Vec<&str> = drifted.map(|check| check.name.as_str()).collect();
    println!(
        "{:.2} s of CPU, {:.2} s, {:.0} MB: {} checks, drift in {}",
        cpu_seconds() - cpu,
        began.elapsed().as_secs_f64(),
        peak_mb(),
        report.checks.len(),
        drifted.join(", ")
    );
}

fn main() {
    let arguments: Vec<String> = env::args().skip(1).filter(|a| a != "--bench").collect();
    if let [first, reference, current] = arguments.as_slice()
        && first == "measure"
    {
        return measure(Path::new(reference), Path::new(current));
    }
    let kept = arguments.iter().position(|a| a == "keep").and_then(|at| arguments.get(at + 1));
    let folder = kept.map_or_else(
        || env::temp_dir().join(format!("botops-drift-{}", std::process::id())),
        PathBuf::from,
    );
    fs::create_dir_all(&folder).expect("the folder can be made");
    for (name, with_text) in [("columns", false), ("utterances", true)] {
        let files = ["reference", "current"].map(|side| folder.join(format!("{name}-{side}.csv")));
        generate(&files[0], with_text, 0.0, 1);
        generate(&files[1], with_text, 0.3, 2);
        let output = Command::new(env::current_exe().expect("it runs"))
            .arg("measure")
            .args(&files)
            .output()
            .expect("it starts");
        let text = String::from_utf8_lossy(&output.stdout);
        println!("{name}, 2 x {ROWS} rows: {}", text.trim_end());
        if !output.status.success() {
            println!("  {}", String::from_utf8_lossy(&output.stderr));
        }
    }
    if kept.is_none() {
        fs::remove_dir_all(&folder).expect("it is there");
    }
}
