//! Validation: CPU seconds and peak memory with the rules that the other tools get, and growth.
//!
//! `cargo bench --bench validation` makes 1,000,000 records (about 130 MB of CSV) with ten kinds of defects, and
//! checks them in three processes: with the rules that keep no state, with uniqueness, and with the checks of every
//! data set of utterances. `-- growth` adds 10,000,000 records, and prints the ratio of the memory. `-- keep FOLDER`
//! keeps the files for `benches/peers/validation.py`. The findings are compared with the planted defects.
#![expect(clippy::print_stdout, reason = "a benchmark's output is what it prints")]

#[path = "process/cpu.rs"]
mod cpu;
#[path = "process/memory.rs"]
mod memory;

use botops_expectations::Expectations;
use botops_stats::random::Random;
use botops_validation::{Keep, ValidateOptions};
use cpu::cpu_seconds;
use memory::peak_mb;
use std::{
    collections::BTreeMap,
    env,
    fs::{self, File},
    io::{BufWriter, Write as _},
    path::{Path, PathBuf},
    process::Command,
    time::Instant,
};

/// The number of records of the main measurement.
const RECORDS: u64 = 1_000_000;
/// One record in this many has one defect of each kind.
const ONE_IN: usize = 500;

const INTENTS: [&str; 8] = [
    "account_help",
    "order_status",
    "return_request",
    "technical_support",
    "billing_question",
    "product_information",
    "complaint",
    "oos",
];

const WORDS: [&str; 24] = [
    "where", "is", "my", "order", "please", "the", "refund", "for", "parcel", "account",
    "password", "charged", "twice", "still", "waiting", "delivery", "invoice", "change", "address",
    "broken", "screen", "return", "size", "tomorrow",
];

/// The rules that keep no state across records.
const RULES: &str = r#"version: 1
rows: { min: 1000 }
severity: { BOT-2120: off, BOT-2121: off, BOT-2122: off }
rules:
  - { column: id, required: true, matches: '^[a-z]{2}-[0-9]{8}$' }
  - { column: text, required: true, min_chars: 3, max_chars: 500, not_matches: '<[a-z]+>' }
  - { column: text, no_personal_data: true, fail_if: 1 }
  - { column: intent, required: true, min_per_value: 100, in: [account_help, order_status, return_request, technical_support, billing_question, product_information, complaint, oos] }
  - { column: lang, required: true, in: [en, fr] }
  - { column: created_at, required: true, type: date, min: 2020-01-01, max: 2026-12-31 }
"#;
const UNIQUE: &str = "  - { column: id, unique: true }\n";

/// Writes `n` records to `path`. Returns the number of planted defects of each code.
fn generate(path: &Path, n: u64) -> BTreeMap<&'static str, u64> {
    let mut random = Random::new(11);
    let mut defects = BTreeMap::new();
    let mut out = BufWriter::new(File::create(path).expect("the folder takes files"));
    writeln!(out, "id,text,intent,lang,created_at").expect("the disk takes it");
    let mut last = String::new();
    for i in 0..n {
        let mut id = format!("ab-{i:08}");
        let length = 12 + random.below(9);
        let words: Vec<&str> = (0..length).map(|_| WORDS[random.below(WORDS.len())]).collect();
        let mut text = words.join(" ");
        let mut intent = INTENTS[random.below(INTENTS.len())];
        let mut lang = if random.below(4) == 0 { "fr" } else { "en" };
        let mut day = format!(
            "20{}-{:02}-{:02}",
            20 + random.below(6),
            1 + random.below(12),
            1 + random.below(28)
        );
        // At most one defect per record, so that each finding has one cause.
        let code = match random.below(ONE_IN) {
            0 => {
                id = format!("ab{i:09}");
                "BOT-2207"
            }
            1 if !last.is_empty() => {
                id.clone_from(&last);
                "BOT-2203"
            }
            2 => {
                text = "ok".to_owned();
                "BOT-2206"
            }
            3 => {
                text += " <br> bye";
                "BOT-2207"
            }
            4 => {
                text += " jean.dupont@example.org";
                "BOT-2216"
            }
            5 => {
                intent = "complain";
                "BOT-2204"
            }
            6 => {
                lang = "de";
                "BOT-2204"
            }
            7 => {
                day = "2024-13-40".to_owned();
                "BOT-2202"
            }
            8 => {
                day = "1999-12-31".to_owned();
                "BOT-2205"
            }
            9 => {
                lang = "";
                "BOT-2201"
            }
            _ => "",
        };
        if code.is_empty() {
            last.clone_from(&id);
        } else {
            *defects.entry(code).or_default() += 1;
        }
        let text = if code != "BOT-2206" && random.below(10) == 0 {
            format!("\"{text}, thanks\"")
        } else {
            text
        };
        writeln!(out, "{id},{text},{intent},{lang},{day}").expect("the disk takes it");
    }
    out.flush().expect("the disk takes it");
    defects
}

/// Checks the file at `data`, and prints the findings and the cost.
fn measure(data: &Path, rules: &Path) {
    let (began, cpu) = (Instant::now(), cpu_seconds());
    let expectations = Expectations::read(rules).expect("the rules make sense");
    let folder = env::temp_dir();
    let options =
        ValidateOptions { samples: 1_000, spill: Some(&folder), ..ValidateOptions::default() };
    let read = expectations.read_options();
    let validation =
        botops_validation::validate_file(data, &read, &expectations, &options, Keep::Counts)
            .expect("the file is read");
    let (seconds, cpu) = (began.elapsed().as_secs_f64(), cpu_seconds() - cpu);
    println!(
        "{cpu:.2} s of CPU, {seconds:.2} s, {:.0} MB: {} records, {} rejected",
        peak_mb(),
        validation.records_in,
        validation.records_rejected
    );
    let mut found: BTreeMap<&str, u64> = BTreeMap::new();
    for check in validation.checks.iter().filter(|check| check.findings > 0) {
        *found.entry(check.code.as_str()).or_default() += check.findings;
    }
    println!(
        "{}",
        found.iter().map(|(code, n)| format!("{code}={n}")).collect::<Vec<_>>().join(" ")
    );
}

/// Reads the peak memory, in MB, from the output of [`measure`].
fn megabytes(figures: &str) -> Option<f64> {
    figures.split(" MB").next()?.rsplit(' ').next()?.parse().ok()
}

fn main() {
    let arguments: Vec<String> = env::args().skip(1).filter(|a| a != "--bench").collect();
    if let [first, data, rules] = arguments.as_slice()
        && first == "measure"
    {
        return measure(Path::new(data), Path::new(rules));
    }
    let kept = arguments.iter().position(|a| a == "keep").and_then(|at| arguments.get(at + 1));
    let folder = kept.map_or_else(
        || env::temp_dir().join(format!("botops-validation-{}", std::process::id())),
        PathBuf::from,
    );
    fs::create_dir_all(&folder).expect("the folder can be made");
    let mut sizes = vec![RECORDS];
    if arguments.iter().any(|a| a == "growth") {
        sizes.push(10 * RECORDS);
    }
    let every = RULES.replace("severity: { BOT-2120: off, BOT-2121: off, BOT-2122: off }\n", "");
    let suites = [
        ("rules without state", RULES.to_owned()),
        ("with uniqueness", format!("{RULES}{UNIQUE}")),
        ("and every check of utterances", format!("{every}{UNIQUE}")),
    ];
    let mut peaks: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
    for n in sizes {
        let data = folder.join(format!("records-{n}.csv"));
        let defects = generate(&data, n);
        let bytes = fs::metadata(&data).map(|m| m.len()).unwrap_or_default();
        println!("{n} records, {} MB", bytes / 1_000_000);
        for (name, suite) in &suites {
            let rules = folder.join("rules.yaml");
            fs::write(&rules, suite).expect("the disk takes it");
            let output = Command::new(env::current_exe().expect("it runs"))
                .arg("measure")
                .args([&data, &rules])
                .output()
                .expect("it starts");
            let text = String::from_utf8_lossy(&output.stdout);
            let (figures, found) = text.split_once('\n').unwrap_or((&text, ""));
            println!("  {name}: {figures}");
            peaks.entry(name).or_default().extend(megabytes(figures));
            if !output.status.success() {
                println!("    {}", String::from_utf8_lossy(&output.stderr));
            }
            for (code, n) in &defects {
                let is_looked_for = *code != "BOT-2203" || suite.contains("unique");
                let has_all = found.split_whitespace().any(|part| part == format!("{code}={n}"));
                if is_looked_for && !has_all {
                    println!("    {code}: {n} were put in, and the findings are {}", found.trim());
                }
            }
        }
        if kept.is_none() {
            fs::remove_file(&data).expect("it is there");
        }
    }
    for (name, _) in &suites {
        if let Some([first, .., last]) = peaks.get(name).map(Vec::as_slice) {
            println!("{name}: ten times the records take {:.2} times the memory", last / first);
        }
    }
}
