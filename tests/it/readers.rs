//! Every reader of data, the reader of model files and the public routes on damaged input: seeds that are cut, mixed and
//! altered in a fixed number of ways.
//!
//! The seeds and the checks are those of `cargo fuzz` (tests/fuzz), which searches further and needs a nightly
//! toolchain.

use crate::support::repository;
use botops_datasets::{self as datasets, Presence, ReadOptions, Record};
use proptest::{
    prelude::*,
    strategy::ValueTree as _,
    test_runner::{RngAlgorithm, TestRng, TestRunner},
};
use std::{
    fs,
    panic::AssertUnwindSafe,
    path::Path,
    time::{Duration, Instant},
};

#[path = "../fuzz/http.rs"]
mod http;
#[path = "../fuzz/model.rs"]
mod model;
#[path = "../fuzz/reader.rs"]
mod reader;

/// The number of alterations of each seed.
const TIMES: usize = 400;
/// The number of alterations of each model file and each body, which take longer.
const FEWER_TIMES: usize = 100;
/// The longest time for one input. The inputs are short, so a longer time means an endless loop.
const LONGEST: Duration = Duration::from_secs(20);

/// Returns the seeds of `target`, sorted by name.
fn seeds(target: &str) -> Vec<Vec<u8>> {
    files_in(&repository().join("tests/fuzz/seeds").join(target))
}

/// Returns the files in `folder`, sorted by name.
fn files_in(folder: &Path) -> Vec<Vec<u8>> {
    let mut paths: Vec<_> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    assert!(paths.len() > 1, "{} has seeds", folder.display());
    paths.into_iter().map(|path| fs::read(path).unwrap()).collect()
}

/// Alterations, each with its kind, two positions and a value.
fn alterations() -> impl Strategy<Value = Vec<(u8, prop::sample::Index, prop::sample::Index, u8)>> {
    prop::collection::vec(
        (0..7_u8, any::<prop::sample::Index>(), any::<prop::sample::Index>(), any::<u8>()),
        1..6,
    )
}

/// Characters with a meaning in one of the formats.
const SIGNS: &[u8] = b"\"\",;\t\r\n[]{}:|-\\#&*'\0\xff\xc3\xef\xbb\xbf(";

fn alter(
    seed: &[u8],
    other: &[u8],
    alterations: &[(u8, prop::sample::Index, prop::sample::Index, u8)],
) -> Vec<u8> {
    let mut bytes = seed.to_vec();
    for (what, a, b, value) in alterations {
        if bytes.is_empty() {
            break;
        }
        let (at, end) = (a.index(bytes.len()), b.index(bytes.len()));
        match what {
            0 => bytes.truncate(at),
            1 => bytes[at] = *value,
            2 => bytes[at] ^= 1 << (value % 8),
            3 => bytes.insert(at, SIGNS[usize::from(*value) % SIGNS.len()]),
            4 => drop(bytes.drain(at.min(end)..at.max(end))),
            5 => {
                let copy = bytes[at.min(end)..at.max(end)].to_vec();
                bytes.splice(at..at, copy);
            }
            _ => {
                let from = b.index(other.len().max(1)).min(other.len());
                bytes.splice(at.., other[from..].iter().copied());
            }
        }
    }
    bytes
}

fn check_altered_seeds(target: &str, name: &str) {
    check_altered(target, &seeds(target), TIMES, |bytes| reader::read(name, bytes));
}

/// Calls `read` with each of `seeds`, and with `times` alterations of each.
fn check_altered(target: &str, seeds: &[Vec<u8>], times: usize, read: impl Fn(&[u8])) {
    for seed in seeds {
        read(seed);
    }
    // The random numbers are fixed, so that a failure is reproducible on every machine.
    let mut runner = TestRunner::new_with_rng(
        ProptestConfig::default(),
        TestRng::deterministic_rng(RngAlgorithm::ChaCha),
    );
    for _ in 0..times {
        for (i, seed) in seeds.iter().enumerate() {
            let alterations = alterations().new_tree(&mut runner).unwrap().current();
            let bytes = alter(seed, &seeds[(i + 1) % seeds.len()], &alterations);
            let began = Instant::now();
            let done = std::panic::catch_unwind(AssertUnwindSafe(|| read(&bytes)));
            let shown = || bytes.escape_ascii().to_string();
            assert!(done.is_ok(), "{target}: {}", shown());
            assert!(began.elapsed() < LONGEST, "{target} takes {:?}: {}", began.elapsed(), shown());
        }
    }
}

#[test]
fn altered_csv_is_read_or_refused() {
    check_altered_seeds("csv", "data.csv");
}

#[test]
fn altered_json_lines_are_read_or_refused() {
    check_altered_seeds("jsonl", "data.jsonl");
}

#[test]
fn altered_json_lists_are_read_or_refused() {
    check_altered_seeds("json", "data.json");
}

#[test]
fn altered_parquet_is_read_or_refused() {
    check_altered_seeds("parquet", "data.parquet");
}

#[test]
fn altered_rasa_training_data_is_read_or_refused() {
    check_altered_seeds("rasa", "data.yml");
}

#[test]
fn altered_packed_files_are_read_or_refused() {
    check_altered_seeds("packed", "data.txt");
}

#[test]
fn altered_model_files_are_read_or_refused() {
    let seeds = files_in(&repository().join("tests/fixtures/models"));
    check_altered("model", &seeds, FEWER_TIMES, model::read);
}

#[test]
fn altered_bodies_are_answered_or_refused() {
    check_altered("http", &seeds("http"), FEWER_TIMES, http::send);
}

#[test]
fn a_file_read_in_parts_gives_the_records_of_the_whole() {
    let folder = tempfile::tempdir().unwrap();
    let options = ReadOptions { intent: Presence::Optional, ..ReadOptions::default() };
    for (target, name) in [
        ("csv", "a.csv"),
        ("jsonl", "a.jsonl"),
        ("json", "a.json"),
        ("rasa", "a.yml"),
        ("packed", "a.txt"),
        ("parquet", "a.parquet"),
    ] {
        for seed in seeds(target) {
            let path = folder.path().join(name);
            fs::write(&path, seed).unwrap();
            let whole = datasets::read(&path, &options).map(|data| data.records);
            let parts: Result<Vec<Vec<Record>>, _> =
                datasets::stream(&path, &options).and_then(Iterator::collect);
            match (whole, parts.map(|parts| parts.concat())) {
                (Ok(whole), Ok(parts)) => assert_eq!(whole, parts, "{target}"),
                // A file with terms alone is not a data set, but its terms can be read.
                (Err(whole), Ok(parts)) if target == "rasa" && parts.is_empty() => {
                    assert_eq!(whole.code(), "BOT-2102");
                }
                (Err(whole), Err(parts)) => assert_eq!(whole.code(), parts.code(), "{target}"),
                (whole, parts) => panic!("{target}: {whole:?} and {parts:?}"),
            }
        }
    }
}
