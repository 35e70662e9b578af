//! Every stable code, with the title and explanation that `botops explain` prints.
//!
//! 1xxx usage and configuration, 2xxx data, 3xxx evaluation and gates, 4xxx drift, 5xxx store,
//! registry and runs, 6xxx rollout and serving, 7xxx training and model files, 8xxx pipelines.
//! A code is never reused for another meaning.

mod actions;
mod backup;
mod channels;
mod conversations;
mod data;
mod documents;
mod drift;
mod entities;
mod entry;
mod estimates;
mod evaluation;
mod generation;
mod interfaces;
mod jobs;
mod knowledge;
mod limits;
mod load;
mod model;
mod monitoring;
mod pipeline;
mod predictions;
mod profiles;
mod rollout;
mod starter;
mod storage;
mod store;
mod tagger;
mod telemetry;
mod turns;
mod usage;
mod weekly;

pub use entry::Entry;

/// Returns the entry of `code`.
#[must_use]
pub fn find(code: &str) -> Option<&'static Entry> {
    all().find(|entry| entry.code == code)
}

/// Iterates over all entries, grouped by the first digit of their codes.
pub fn all() -> impl Iterator<Item = &'static Entry> {
    [
        usage::ENTRIES,
        limits::USAGE,
        starter::ENTRIES,
        entities::ENTRIES,
        turns::ENTRIES,
        tagger::ENTRIES,
        data::ENTRIES,
        estimates::ENTRIES,
        profiles::ENTRIES,
        drift::DATA,
        evaluation::ENTRIES,
        drift::ENTRIES,
        store::ENTRIES,
        storage::ENTRIES,
        backup::ENTRIES,
        rollout::ENTRIES,
        limits::SERVING,
        conversations::ENTRIES,
        actions::ENTRIES,
        interfaces::ENTRIES,
        predictions::ENTRIES,
        monitoring::ENTRIES,
        telemetry::ENTRIES,
        model::ENTRIES,
        pipeline::ENTRIES,
        weekly::ENTRIES,
        load::ENTRIES,
        documents::ENTRIES,
        knowledge::ENTRIES,
        generation::ENTRIES,
        jobs::ENTRIES,
        channels::ENTRIES,
    ]
    .into_iter()
    .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_distinct_and_well_formed() {
        let mut codes: Vec<_> = all().map(|entry| entry.code).collect();
        assert!(codes.iter().all(|c| c.len() == 8 && c.starts_with("BOT-")));
        let n = codes.len();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), n);
    }
}
