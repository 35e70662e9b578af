//! What a search learns from: the train side that the pipeline's own stages give. The test side stays unread.

use super::{plan::TunePlan, search::TuneData};
use botops_datasets::{self as datasets, ReadOptions};
use botops_findings::{Finding, Result};
use botops_pipelines::{
    run::{Services, StageOutcome, prepare},
    state::Folder,
};
use std::{sync::Arc, time::Duration};

/// How long another run of the pipeline, such as another shard's of this search, may take to validate and split.
const PATIENCE: Duration = Duration::from_secs(300);

/// Runs the stages before the train stage that do not stand, and returns what it would learn from, with what they found.
///
/// # Errors
/// `BOT-8010` another run is under way; that of the stage that failed.
pub async fn train_side(
    plan: &TunePlan,
    services: &Services<'_>,
) -> Result<(TuneData, Vec<Finding>)> {
    let mut summary = prepare(&plan.upstream, services, PATIENCE).await?;
    if let Some(fault) = summary.fault.take() {
        return Err(fault);
    }
    debug_assert!(summary.stages.iter().all(|stage| stage.outcome != StageOutcome::NotRun));
    let path =
        Folder::new(&services.root, &plan.upstream.spec.name).file(&plan.source, "train.csv");
    let data = datasets::read(&path, &ReadOptions::default())?;
    let records = data.records.into_iter().filter_map(|record| Some((record.text, record.intent?)));
    let data = TuneData {
        name: format!("{}/train.csv", plan.source),
        digest: data.digest,
        records: Arc::new(records.collect()),
    };
    Ok((data, summary.findings))
}
