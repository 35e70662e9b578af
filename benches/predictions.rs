//! The prediction log: its cost for a server, its throughput, compaction, and queries over 10 million records.
//!
//! `cargo bench --bench predictions -- PART [ARGUMENTS]`, where a part is one of
//!
//! - `load [SECONDS] [ROUNDS] [CONNECTIONS]`: a server in its own process, with the log and without it, in turns. Its CPU a
//!   request (at most 1.15 x) and the p99 of its answers (at most 1.2 x), each the median of the rounds.
//! - `rate [SECONDS] [RECORDS_A_SECOND]`: that many records a second into one log (30,000 for 60 s; none may be lost).
//! - `compact [RECORDS] [HOURS]`: segments of that many records compacted (10,000,000 in 10 hours: under 60 CPU s and 300 MB), in a
//!   process of its own.
//! - `query [RECORDS] [HOURS]`: one compacted file of that many records (1,000,000), hard-linked into that many hours (10), and
//!   queries over all of them.
//!
//! Without a part, each runs small. `BOTOPS_BENCH_DIR` names the folder for files (default: that of the system). The exit code is
//! 1 if a bound does not hold, which a small run does not check.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a bench says what it measured")]

#[path = "process/cpu.rs"]
mod cpu;
#[path = "predictions/generated.rs"]
mod generated;
#[path = "predictions/load.rs"]
mod load;
#[path = "process/memory.rs"]
mod memory;

use botops_predictions::{
    Filter, GroupKey, LogCounts, PredictionLog, PredictionLogSettings, Query, TextPolicy, Verdicts,
    compact, hours,
};
use botops_store::Store;
use generated::{folder, hour_of, raw, segments};
use std::{
    collections::BTreeMap,
    error::Error,
    fs,
    path::Path,
    process::{Command, ExitCode},
    sync::Arc,
    time::{Duration, Instant},
};

/// The outcome of a part: whether its bounds hold.
pub(crate) type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Outcome<bool> {
    let arguments: Vec<String> =
        std::env::args().skip(1).filter(|argument| !argument.starts_with("--")).collect();
    let number = |index: usize, default: u64| {
        arguments.get(index).and_then(|text| text.parse().ok()).unwrap_or(default)
    };
    match arguments.first().map(String::as_str) {
        Some("load") => load::compare(number(1, 10), number(2, 5), number(3, 32)),
        Some("rate") => rate(number(1, 60), number(2, 30_000)),
        Some("compact") => compaction(number(1, 10_000_000), number(2, 10)),
        Some("query") => query(number(1, 1_000_000), number(2, 10)),
        // What a part runs in a process of its own.
        Some("serve") => load::serve(arguments.get(1).is_some_and(|it| it == "on")),
        Some("fold") => fold(arguments.get(1).ok_or("no folder")?),
        Some(other) => Err(format!("no part is called `{other}`").into()),
        None => {
            load::compare(1, 1, 4)?;
            rate(1, 500)?;
            compaction(4_000, 2)?;
            query(2_000, 3)?;
            Ok(true)
        }
    }
}

/// Returns settings as those of `botops serve`.
pub(crate) fn settings(folder: &Path) -> PredictionLogSettings {
    let names = botops_conversations::Names::new(b"a key of thirty-two characters!!", None);
    PredictionLogSettings {
        folder: folder.to_owned(),
        replica: "bench".to_owned(),
        group: Duration::from_millis(100),
        segment_age: Duration::from_secs(60),
        most_bytes: 8 << 30,
        text: TextPolicy::Redacted,
        key: Arc::from(&b"a key of thirty-two characters!!"[..]),
        name_of: Arc::new(move |id| names.of(id, None).conversation.to_string()),
    }
}

fn rate(seconds: u64, a_second: u64) -> Outcome<bool> {
    let place = folder()?;
    let log = PredictionLog::start(&settings(place.path()), |event| eprintln!("{event}"))?;
    let (begun, cpu) = (Instant::now(), cpu::cpu_seconds());
    let total = seconds * a_second;
    let mut next = 0;
    while next < total {
        let due = (begun.elapsed().as_secs_f64() * a_second as f64) as u64;
        while next < due.min(total) {
            log.add(raw(next));
            next += 1;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    let took = begun.elapsed().as_secs_f64();
    log.flush(true);
    let LogCounts { written, dropped, sampled_out, refused, waiting_bytes } = log.counts();
    let cpu = cpu::cpu_seconds() - cpu;
    println!(
        "rate: {total} records in {took:.1} s ({:.0} a second): {written} written, {} lost, {:.1} CPU s ({:.2} microseconds a record, with making it), {:.1} MB on the disk, peak {:.0} MB",
        total as f64 / took,
        dropped + sampled_out + refused,
        cpu,
        cpu * 1e6 / total as f64,
        waiting_bytes as f64 / 1e6,
        memory::peak_mb(),
    );
    Ok(written == total)
}

fn compaction(records: u64, n_hours: u64) -> Outcome<bool> {
    let place = folder()?;
    let begun = Instant::now();
    for hour in 0..n_hours {
        let each = records / n_hours;
        segments(place.path(), hour, hour * each..(hour + 1) * each)?;
    }
    eprintln!("compact: {records} records made in {:.1} s", begun.elapsed().as_secs_f64());
    // In its own process, so that its memory is its own.
    let output = Command::new(std::env::current_exe()?).arg("fold").arg(place.path()).output()?;
    let said = String::from_utf8(output.stdout)?;
    let error = String::from_utf8(output.stderr)?;
    let figures: Vec<f64> = said.split_whitespace().filter_map(|it| it.parse().ok()).collect();
    let [folded, cpu, wall, peak] = figures[..] else { return Err(error.into()) };
    println!(
        "compact: {folded} records in {n_hours} hours: {cpu:.1} CPU s, {wall:.1} s, peak {peak:.0} MB"
    );
    let is_small = records < 10_000_000;
    Ok(folded as u64 == records / n_hours * n_hours && (is_small || cpu < 60.0 && peak < 300.0))
}

/// Compacts the log in `place`, and prints the number of records, the CPU and wall seconds, and the peak of memory in MB.
fn fold(place: &str) -> Outcome<bool> {
    let store = Store::open(place, &BTreeMap::new())?;
    let (begun, cpu) = (Instant::now(), cpu::cpu_seconds());
    let records = runtime()?.block_on(async {
        let mut records = 0;
        for hour in hours(&store, "production", None, None).await? {
            let done = compact(&store, &hour, false).await?;
            assert!(done.findings.is_empty(), "{:?}", done.findings);
            records += done.records;
        }
        Outcome::Ok(records)
    })?;
    let cpu = cpu::cpu_seconds() - cpu;
    println!("{records} {cpu} {} {}", begun.elapsed().as_secs_f64(), memory::peak_mb());
    Ok(true)
}

fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()
}

fn query(records: u64, n_hours: u64) -> Outcome<bool> {
    let place = folder()?;
    segments(place.path(), 0, 0..records)?;
    let output = Command::new(std::env::current_exe()?).arg("fold").arg(place.path()).output()?;
    if !output.status.success() {
        return Err("the compaction failed".into());
    }
    let first = place.path().join("predictions/production").join(hour_of(0).to_string());
    for hour in 1..n_hours {
        let folder = place.path().join("predictions/production").join(hour_of(hour).to_string());
        fs::create_dir_all(&folder)?;
        for entry in fs::read_dir(&first)? {
            let entry = entry?;
            fs::hard_link(entry.path(), folder.join(entry.file_name()))?;
        }
    }
    let store = Store::open(place.path().to_str().ok_or("no Unicode")?, &BTreeMap::new())?;
    let some = Filter { arm: Some("canary".to_owned()), ..Filter::default() };
    let questions = [
        (
            "--by day,intent",
            Query { filter: Filter::default(), by: vec![GroupKey::Day, GroupKey::Intent] },
        ),
        ("--by language --arm canary", Query { filter: some, by: vec![GroupKey::Language] }),
        ("without groups", Query::default()),
    ];
    let expected = records * n_hours;
    let mut holds = true;
    for (name, question) in questions {
        let (begun, cpu) = (Instant::now(), cpu::cpu_seconds());
        let answered =
            runtime()?.block_on(question.answer(&store, "production", &Verdicts::default()))?;
        println!(
            "query {name}: {} of {expected} records in {} groups: {:.2} s, {:.2} CPU s, peak {:.0} MB",
            answered.n,
            answered.rows.len(),
            begun.elapsed().as_secs_f64(),
            cpu::cpu_seconds() - cpu,
            memory::peak_mb(),
        );
        holds &= question.filter.arm.is_some() || answered.n == expected;
    }
    Ok(holds)
}
