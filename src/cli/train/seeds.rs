//! `botops train --repeat`: the same training with several seeds.

use crate::cli::terminal::{progress::Training, tables};
use botops_datasets::Dataset;
use botops_dialogue::DialogueSpec;
use botops_digest::Digest;
use botops_evaluation::{self as evaluation, Metric, SeedSpread};
use botops_findings::Result;
use botops_models::{self as models, Lineage, ModelSpec, Resources, Sample};
use std::collections::BTreeMap;

/// Returns `n` seeds: `first` and those that follow.
pub(super) fn of(first: u64, n: u64) -> Vec<u64> {
    (0..n).map(|i| first.wrapping_add(i)).collect()
}

/// Trains `spec` on `samples` with the other `n - 1` seeds, and holds them against the `first`, all on `test`.
pub(super) fn on_test(
    samples: &[Sample<'_>],
    resources: Resources<'_>,
    (spec, lineage): (&ModelSpec, &Lineage),
    (first, test): (&BTreeMap<String, Metric>, &Dataset),
    n: u64,
    progress: &Training<'_>,
) -> Result<SeedSpread> {
    let seeds = of(spec.seed, n);
    let mut metrics = vec![first.clone()];
    for &seed in &seeds[1..] {
        let spec = ModelSpec { seed, ..spec.clone() };
        let model = models::train(
            samples,
            &spec,
            resources,
            DialogueSpec::default(),
            Lineage { spec: spec.clone(), ..lineage.clone() },
            progress,
        )?;
        // The digest names a file: of models that are not kept there is none.
        let digest = Digest::of_json(&spec);
        metrics.push(evaluation::evaluate(&model, digest, test)?.metrics);
    }
    Ok(evaluation::seed_spread(&seeds, &metrics.iter().collect::<Vec<_>>()))
}

/// Draws a spread; `what` says what the seeds changed.
pub(super) fn text(spread: &SeedSpread, what: &str) -> String {
    let rows = spread.metrics.iter().map(|(name, spread)| {
        vec![
            name.clone(),
            format!("{:.4}", spread.mean),
            format!("{:.4}", spread.standard_deviation),
            format!("{:.4}", spread.lowest),
            format!("{:.4}", spread.highest),
        ]
    });
    let (first, last) = (spread.seeds.first(), spread.seeds.last());
    format!(
        "over {} seeds ({} to {}; {what}):\n{}",
        spread.seeds.len(),
        first.copied().unwrap_or_default(),
        last.copied().unwrap_or_default(),
        tables::table(&["metric", "mean", "spread", "lowest", "highest"], rows, &[1, 2, 3, 4])
    )
}
