//! The records of a search: the train side of the pipeline's own split. The test side stays unread.

use super::{plan::TunePlan, services::TuneData};
use botops_datasets::{self as datasets, ReadOptions};
use botops_findings::{Finding, Result};
use botops_pipelines::{Folder, Services, StageOutcome, prepare};
use std::{sync::Arc, time::Duration};

/// How long another run of the pipeline (another shard of this search) may take to validate and split.
const PATIENCE: Duration = Duration::from_secs(300);

/// Runs the stale stages before the train stage, and returns its training data with the findings of these stages.
///
/// # Errors
/// `BOT-8010` while another run is in progress; the fault of the stage that failed.
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
    // Every trial has the labels of the base: the space holds settings of the classifier only.
    let spec = &plan.trials[0].spec;
    let intent = |label: String| spec.intent_of(&label).to_owned();
    let records =
        data.records.into_iter().filter_map(|record| Some((record.text, intent(record.intent?))));
    let data = TuneData {
        name: format!("{}/train.csv", plan.source),
        path,
        digest: data.digest,
        records: Arc::new(records.collect()),
    };
    Ok((data, summary.findings))
}
