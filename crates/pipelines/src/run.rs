//! Runs a plan: skips up-to-date stages, executes the others, records the run.

use super::{
    events::Event,
    outcome::{RunSummary, StageOutcome, StageSummary},
    plan::{Plan, Stage},
    preflight, record,
    services::Services,
    spec::StageSpec,
    stages::{self, work::Work},
    state::{Folder, StageRecord},
    status::{self, Freshness, Inputs},
};
use botops_findings::{Fault, FaultKind, Result};
use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

/// Runs `plan`.
///
/// A stage that fails ends the run, and the summary contains its fault. The results of the earlier stages are kept.
///
/// # Errors
/// `BOT-8010` (exit 5) if another run is in progress; the faults of the registry, the clock and the state folder before
/// the first stage; those of [`super::preflight()`].
pub async fn run(plan: &Plan, services: &Services<'_>) -> Result<RunSummary> {
    preflight::check_files(plan, &services.root)?;
    let folder = Folder::new(&services.root, &plan.spec.name);
    let (_lock, stale) = folder.lock()?;
    services.listener.hear(&Event::Started {
        pipeline: plan.spec.name.clone(),
        stages: plan.stages.iter().map(|stage| stage.name.clone()).collect(),
    });
    if let Some(pid) = stale {
        let message =
            format!("process {pid} ended without finishing its run: continuing from its results");
        services.listener.hear(&Event::Note { message });
    }
    let champion = match &plan.model {
        Some(model) => services.registry.alias(model, botops_registry::CHAMPION).await?,
        None => None,
    };
    let started_at = (services.clock)()?;
    let mut work =
        Work { plan, services, folder: &folder, champion, started_at, findings: Vec::new() };
    preflight::check(&work).await?;
    let mut summary = execute(&mut work).await;
    summary.metrics = record::evaluation(&work).map(|report| report.metrics).unwrap_or_default();
    summary.run = record::record(&work, summary.fault.is_some().then_some(&summary)).await?;
    summary.findings = work.findings;
    Ok(summary)
}

/// Runs the stages of `plan` like [`run`], but records no run and does not read the registry.
///
/// Waits up to `patience` for another run of the pipeline.
///
/// # Errors
/// `BOT-8010` (exit 5) if another run is still in progress after that; `BOT-1001` (exit 2) a file that a stage reads is
/// missing.
pub async fn prepare(
    plan: &Plan,
    services: &Services<'_>,
    patience: Duration,
) -> Result<RunSummary> {
    preflight::check_files(plan, &services.root)?;
    let folder = Folder::new(&services.root, &plan.spec.name);
    let began = Instant::now();
    let (_lock, _) = loop {
        match folder.lock() {
            Err(fault) if fault.code() == "BOT-8010" && began.elapsed() < patience => {
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
            lock => break lock?,
        }
    };
    let started_at = (services.clock)()?;
    let mut work =
        Work { plan, services, folder: &folder, champion: None, started_at, findings: Vec::new() };
    let mut summary = execute(&mut work).await;
    summary.findings = work.findings;
    Ok(summary)
}

/// Skips or executes every stage, up to the first that fails.
async fn execute(work: &mut Work<'_>) -> RunSummary {
    let mut summary = RunSummary {
        pipeline: work.plan.spec.name.clone(),
        run: None,
        stages: Vec::new(),
        metrics: BTreeMap::new(),
        fault: None,
        findings: Vec::new(),
    };
    for stage in &work.plan.stages {
        if summary.fault.is_some() {
            summary.stages.push(StageSummary {
                stage: stage.name.clone(),
                outcome: StageOutcome::NotRun,
                seconds: 0.0,
                summary: String::new(),
                wrote: Vec::new(),
            });
            continue;
        }
        let began = Instant::now();
        let (outcome, text, wrote) = match step(work, stage).await {
            Ok(done) => {
                let ended = !matches!(
                    done.0,
                    StageOutcome::Skipped | StageOutcome::Passed | StageOutcome::Warned
                );
                if ended {
                    summary.fault = Some(stopped(stage, done.0, &done.1, work.folder));
                }
                done
            }
            Err(fault) => {
                let outcome = match fault.kind() {
                    FaultKind::Insufficient => StageOutcome::Insufficient,
                    _ => StageOutcome::Failed,
                };
                let text = fault.message().to_owned();
                summary.fault = Some(fault);
                (outcome, text, Vec::new())
            }
        };
        let seconds =
            if outcome == StageOutcome::Skipped { 0.0 } else { began.elapsed().as_secs_f64() };
        work.services.listener.hear(&Event::StageFinished {
            stage: stage.name.clone(),
            outcome,
            summary: text.clone(),
            seconds,
        });
        summary.stages.push(StageSummary {
            stage: stage.name.clone(),
            outcome,
            seconds,
            summary: text,
            wrote,
        });
    }
    summary
}

/// Skips or executes one stage.
async fn step(work: &mut Work<'_>, stage: &Stage) -> Result<(StageOutcome, String, Vec<String>)> {
    let inputs = status::inputs(work, stage).await?;
    let reason = match status::freshness(work, stage, &inputs) {
        Freshness::Current(record) => {
            stages::recall(work, stage, &record).await?;
            return Ok((
                StageOutcome::Skipped,
                format!("cached: {} ({})", record.result().short(), record.summary),
                Vec::new(),
            ));
        }
        Freshness::NotNeeded(reason) => {
            return Ok((StageOutcome::Skipped, reason, Vec::new()));
        }
        Freshness::Stale(reason) => reason,
    };
    work.services.listener.hear(&Event::StageStarted { stage: stage.name.clone(), reason });
    if matches!(stage.spec, Some(StageSpec::Push(_))) {
        record::record(work, None).await?;
    }
    let staging = work.folder.begin(&stage.name)?;
    let (verdict, summary) = stages::execute(work, stage, &inputs, &staging).await?;
    // The stage has just extended its own lock. The new lock splits the data in the same way, so it is recorded as
    // the input: otherwise the stage would be stale.
    let inputs = match &stage.spec {
        Some(StageSpec::Split(split)) if split.lock.is_some() => {
            status::inputs(work, stage).await?
        }
        _ => inputs,
    };
    let Inputs { settings, inputs, .. } = inputs;
    let record = StageRecord {
        schema: String::new(),
        stage: stage.name.clone(),
        code: status::code(stage).to_owned(),
        settings,
        inputs,
        outputs: BTreeMap::new(),
        verdict,
        summary,
    };
    let record = work.folder.publish(&staging, record)?;
    if verdict.goes_on() {
        stages::settle(work, stage).await?;
    }
    let folder = work.folder.stage(&stage.name);
    let folder = folder.strip_prefix(&work.services.root).unwrap_or(&folder).to_owned();
    let wrote = record.outputs.keys().map(|name| folder.join(name).display().to_string()).collect();
    Ok((verdict.into(), record.summary, wrote))
}

/// Returns the fault of a stage that ended with a verdict that stops the run.
fn stopped(stage: &Stage, outcome: StageOutcome, summary: &str, folder: &Folder) -> Fault {
    let message = format!("stage `{}` did not pass: {summary}", stage.name);
    let fault = if outcome == StageOutcome::Insufficient {
        Fault::insufficient("BOT-8021", message)
    } else {
        Fault::data("BOT-8020", message)
    };
    fault.hint(format!("see its files in {}", folder.stage(&stage.name).display()))
}
