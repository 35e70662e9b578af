//! botops: from a file of utterances to a canaried, served chatbot model.

pub mod cli;
pub mod datasets;
pub mod dialogue;
pub mod digest;
pub mod drift;
pub mod evaluation;
pub mod experiments;
pub mod features;
pub mod findings;
pub mod labels;
pub mod models;
pub mod pipelines;
pub mod registry;
pub mod report;
pub mod rollout;
pub mod serving;
pub mod spec;
pub mod stats;
pub mod store;
pub mod text;
pub mod workspace;

/// Returns how property tests are set up: a case that failed once is kept below `tests/`, and tried before new ones.
#[cfg(test)]
fn properties() -> proptest::test_runner::Config {
    use proptest::test_runner::{Config, FileFailurePersistence};
    let kept = FileFailurePersistence::SourceParallel("tests/proptest-regressions");
    Config { failure_persistence: Some(Box::new(kept)), ..Config::default() }
}
