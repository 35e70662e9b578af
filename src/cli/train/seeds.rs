//! `botops train --repeat`: the same training with several seeds.

use super::prepared::Prepared;
use crate::cli::terminal::{progress::Training, tables};
use botops_datasets::Dataset;
use botops_digest::Digest;
use botops_evaluation::{self as evaluation, Metric, SeedSpread};
use botops_findings::Result;
use botops_models::{self as models, Lineage, ModelSpec, Resources, TrainingInput};
use botops_pipelines as pipelines;
use botops_spec::Spec as _;
use std::collections::BTreeMap;

/// Returns `n` consecutive seeds, beginning with `first`.
pub(super) fn of(first: u64, n: u64) -> Vec<u64> {
    (0..n).map(|i| first.wrapping_add(i)).collect()
}

/// Trains with the other `n - 1` seeds and returns the spread of the metrics on `test`; `first` has the metrics of the
/// first seed.
pub(super) fn on_test(
    prepared: &Prepared,
    resources: Resources<'_>,
    (first, test): (&BTreeMap<String, Metric>, &Dataset),
    n: u64,
    progress: &Training<'_>,
) -> Result<SeedSpread> {
    let (spec, lineage) = (&prepared.configuration.spec, prepared.lineage());
    let samples = prepared.training.usable.samples();
    let annotated = pipelines::annotated(&prepared.training.usable.accepted);
    let seeds = of(spec.seed, n);
    let mut metrics = vec![first.clone()];
    for &seed in &seeds[1..] {
        let spec = ModelSpec { seed, ..(**spec).clone() }.check()?;
        let input = TrainingInput {
            resources,
            lineage: Lineage { spec: (*spec).clone(), ..lineage.clone() },
            dialogue: prepared.dialogue.clone(),
            annotated: &annotated,
            lookups: prepared.training.usable.accepted.lookups.clone(),
            ..TrainingInput::new(&samples, &spec)
        };
        let model = models::train(input, progress)?;
        // These models are not written, so they have no digest of a file.
        let digest = Digest::of_json(&*spec);
        metrics.push(evaluation::evaluate(&model, digest, test)?.metrics);
    }
    Ok(evaluation::seed_spread(&seeds, &metrics.iter().collect::<Vec<_>>()))
}

/// Renders a spread; `changed` names the parts that the seeds changed.
pub(super) fn text(spread: &SeedSpread, changed: &str) -> String {
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
        "over {} seeds ({} to {}; {changed}):\n{}",
        spread.seeds.len(),
        first.copied().unwrap_or_default(),
        last.copied().unwrap_or_default(),
        tables::table(&["metric", "mean", "spread", "lowest", "highest"], rows, &[1, 2, 3, 4])
    )
}
