//! Hostile files on the command line: they are refused with the right exit code, and nothing is written.

use crate::{
    support::repository,
    terminal::{Terminal, two_intents},
};
use std::fs;

#[test]
fn a_dialogue_with_too_many_or_too_large_patterns_is_refused_at_train() {
    let many: String = (0..65).map(|i| format!("  e{i}: 'x{i}'\n")).collect();
    let large = format!("  e: '{}'\n", "x".repeat(9_000));
    for (entities, key) in [(many, "entities"), (large, "entities.e")] {
        let terminal = Terminal::new();
        terminal
            .write("data.csv", two_intents(30))
            .write("dialogue.yaml", format!("entities:\n{entities}"));
        let shown = terminal.run("train data.csv --dialogue dialogue.yaml --out m.botops");
        assert!(shown.starts_with("exit: 2\n") && shown.contains("BOT-1030"), "{shown}");
        assert!(shown.contains(key), "{shown}");
        assert!(!terminal.path().join("m.botops").exists());
    }
}

#[test]
fn a_parquet_file_that_claims_more_than_it_holds_is_refused() {
    let seeds = repository().join("tests/fuzz/seeds/parquet");
    for name in ["many_values.parquet", "many_rows.parquet"] {
        let terminal = Terminal::new();
        terminal.write("data.parquet", fs::read(seeds.join(name)).unwrap());
        let shown = terminal.run("data profile data.parquet");
        assert!(shown.starts_with("exit: 3\n") && shown.contains("BOT-2108"), "{name}: {shown}");
    }
}
