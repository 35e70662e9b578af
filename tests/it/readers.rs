//! Every reader of data against bytes that nobody meant: seeds, cut, mixed and altered in a fixed number of ways.
//!
//! The seeds and the check are those of `cargo fuzz` (tests/fuzz), which looks further and needs a nightly toolchain.

use crate::support::repository;
use botops_datasets::{self as datasets, Presence, ReadOptions, Record};
use proptest::{
    prelude::*,
    strategy::ValueTree as _,
    test_runner::{RngAlgorithm, TestRng, TestRunner},
};
use std::{
    fs,
    time::{Duration, Instant},
};

#[path = "../fuzz/reader.rs"]
mod reader;

/// How often each seed is altered.
const TIMES: usize = 400;
/// Nothing that is read here is long: what takes longer runs on and on.
const LONGEST: Duration = Duration::from_secs(20);

/// The seeds of `target`, in the order of their names.
fn seeds(target: &str) -> Vec<Vec<u8>> {
    let folder = repository().join("tests/fuzz/seeds").join(target);
    let mut paths: Vec<_> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    assert!(paths.len() > 1, "{target} has seeds");
    paths.into_iter().map(|path| fs::read(path).unwrap()).collect()
}

/// One alteration: what, where, and how.
fn alterations() -> impl Strategy<Value = Vec<(u8, prop::sample::Index, prop::sample::Index, u8)>> {
    prop::collection::vec(
        (0..7_u8, any::<prop::sample::Index>(), any::<prop::sample::Index>(), any::<u8>()),
        1..6,
    )
}

/// Signs that mean something to one of the formats.
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

fn withstands(target: &str, name: &str) {
    let seeds = seeds(target);
    for seed in &seeds {
        reader::read(name, seed);
    }
    // The same alterations every time: a failure here is one everywhere.
    let mut runner = TestRunner::new_with_rng(
        ProptestConfig::default(),
        TestRng::deterministic_rng(RngAlgorithm::ChaCha),
    );
    for _ in 0..TIMES {
        for (i, seed) in seeds.iter().enumerate() {
            let alterations = alterations().new_tree(&mut runner).unwrap().current();
            let bytes = alter(seed, &seeds[(i + 1) % seeds.len()], &alterations);
            let began = Instant::now();
            let read = std::panic::catch_unwind(|| reader::read(name, &bytes));
            let shown = || bytes.escape_ascii().to_string();
            assert!(read.is_ok(), "{target}: {}", shown());
            assert!(began.elapsed() < LONGEST, "{target} takes {:?}: {}", began.elapsed(), shown());
        }
    }
}

#[test]
fn tables_withstand_anything() {
    withstands("csv", "data.csv");
}

#[test]
fn json_lines_withstand_anything() {
    withstands("jsonl", "data.jsonl");
}

#[test]
fn json_lists_withstand_anything() {
    withstands("json", "data.json");
}

#[test]
fn parquet_withstands_anything() {
    withstands("parquet", "data.parquet");
}

#[test]
fn training_data_of_rasa_withstands_anything() {
    withstands("rasa", "data.yml");
}

#[test]
fn packed_files_withstand_anything() {
    withstands("packed", "data.txt");
}

#[test]
fn what_is_read_as_a_whole_is_read_in_parts() {
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
                // Terms alone are no data set, and can be carried over all the same.
                (Err(whole), Ok(parts)) if target == "rasa" && parts.is_empty() => {
                    assert_eq!(whole.code(), "BOT-2102");
                }
                (Err(whole), Err(parts)) => assert_eq!(whole.code(), parts.code(), "{target}"),
                (whole, parts) => panic!("{target}: {whole:?} and {parts:?}"),
            }
        }
    }
}
