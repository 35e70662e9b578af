//! Inferred expectations pass on the data that they were inferred from.

use crate::{Keep, ValidateOptions, Validation, validate_bytes};
use botops_datasets::{Presence, ReadOptions};
use botops_expectations::Expectations;
use botops_findings::Severity;
use bytes::Bytes;
use proptest::{
    collection::vec,
    prelude::*,
    sample::select,
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};

/// Values of one column, from which its cells are drawn.
const POOLS: [&[&str]; 10] = [
    &["me@example.org", "you@example.org", "+44 20 7946 0958"],
    &["me@example.org", "none", ""],
    &["a\u{85}b", "c\u{2028}d", "e\u{fffe}f", "g\u{7f}h", "\u{feff}k", "l\u{1}m"],
    &["true", "FALSE", "0", "1"],
    &["null", "~", "yes", "- a", "#x", "y: z", "\\", "'", "\"", "0x1F", ".nan"],
    &["-1e12", "7", "+3", ".5", "1e300", "-0"],
    &["2026-01-01", "0001-01-01", "9999-12-31"],
    &["2026-01-01T00:30:00+02:00", "2026-01-01 08:00", "2025-06-01T08:00:00Z"],
    &[" ", "\u{a0}", "\t", "", "x"],
    &[" refund", "refund ", "refund", "a", "aaaaaaaaaaaaaaaaaaaaaaaaaa   "],
];

/// Names of columns.
const NAMES: [&str; 6] = ["n", "", "c, \u{85}x", "yes", "me@example.org", "\u{feff}b"];

/// Validates `csv` with the expectations that are inferred from it.
fn validated_by_itself(csv: &str) -> (String, Validation) {
    let read = ReadOptions {
        text: Presence::Optional,
        intent: Presence::Optional,
        ..ReadOptions::default()
    };
    let bytes = Bytes::copy_from_slice(csv.as_bytes());
    let yaml = botops_profile::infer_bytes(bytes.clone(), "a.csv", &read).unwrap().yaml;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("e.yaml");
    std::fs::write(&path, &yaml).unwrap();
    let expectations =
        Expectations::read(&path).unwrap_or_else(|fault| panic!("{fault:?}\n{yaml}"));
    let options = ReadOptions { text: Presence::Optional, ..expectations.read_options() };
    let how = ValidateOptions { samples: 10, ..ValidateOptions::default() };
    let validation =
        validate_bytes(bytes, "a.csv", &options, &expectations, &how, Keep::Counts).unwrap();
    (yaml, validation)
}

fn assert_passes(csv: &str) {
    let (yaml, validation) = validated_by_itself(csv);
    let errors: Vec<_> =
        validation.findings.iter().filter(|found| found.severity == Severity::Error).collect();
    // A blank row is an error of the data, with any expectations.
    let of_rules: Vec<_> = errors.iter().filter(|found| found.code != "BOT-2111").collect();
    assert!(of_rules.is_empty(), "{of_rules:?}\n{yaml}");
    assert!(!errors.is_empty() || validation.passes(), "{yaml}");
}

fn quoted(cell: &str) -> String {
    format!("\"{}\"", cell.replace('"', "\"\""))
}

#[test]
fn a_column_in_which_every_record_has_personal_data_passes() {
    for with in [100, 99, 60, 50, 30, 1] {
        let mut csv = String::from("text,intent,contact\n");
        for i in 0..100 {
            let contact = if i < with { format!("x{i}@y.com") } else { format!("none {i}") };
            csv += &format!("where is it number {i},{},{contact}\n", ["a", "b"][i % 2]);
        }
        assert_passes(&csv);
        let (yaml, _) = validated_by_itself(&csv);
        assert!(yaml.contains("column: contact, no_personal_data: true, warn_if: "), "{yaml}");
        let rule = yaml.lines().find(|line| line.contains("no_personal_data")).unwrap();
        assert_eq!(rule.contains("fail_if"), with < 50, "{rule}");
    }
}

#[test]
fn odd_columns_pass_with_the_expectations_inferred_from_them() {
    let columns = vec((select(&POOLS[..]), 1_usize..40), 1..NAMES.len());
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[7; 32]);
    let config = Config { cases: 80, failure_persistence: None, ..Config::default() };
    TestRunner::new_with_rng(config, rng)
        .run(&(columns, 2_usize..130, any::<u64>()), |(columns, n, start)| {
            let names = (0..columns.len()).map(|at| quoted(NAMES[at]));
            let header: Vec<String> =
                ["text", "intent", "lang"].map(str::to_owned).into_iter().chain(names).collect();
            let mut csv = header.join(",") + "\n";
            for i in 0..n {
                let intent = ["ask", "pay", "oos"][i % 3];
                csv += &format!("utterance number {i},{intent},{}", ["en", "fr"][i % 2]);
                for (at, (pool, every)) in columns.iter().enumerate() {
                    // Some columns change at every record, others rarely.
                    let drawn = (start >> (at * 8)) as usize % 64 + i / every;
                    csv += &format!(",{}", quoted(pool[drawn % pool.len()]));
                }
                csv += "\n";
            }
            assert_passes(&csv);
            Ok(())
        })
        .unwrap();
}
