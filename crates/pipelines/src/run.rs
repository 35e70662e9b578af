//! Runs a plan: skips what stands, executes the rest, records the run.

use super::{
    events::{Event, Listener},
    plan::{Plan, Stage},
    record,
    stages::{self, Work},
    state::{Folder, StageRecord, StageVerdict},
    status::{self, Freshness, Inputs},
};
use crate::resources::Encoders;
use botops_datasets::Traffic;
use botops_experiments::{CodeState, Environment, Experiments};
use botops_findings::{Fault, FaultKind, Finding, Result};
use botops_models::IntentModel;
use botops_registry::{Act, Registry, Version};
use botops_rollout::{Decision, RolloutSpec};
use chrono::{DateTime, Utc};
use futures::future::BoxFuture;
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

/// What a pipeline works with; handed in, so that a test can hand in others.
pub struct Services<'a> {
    /// The workspace root: where paths start.
    pub root: PathBuf,
    /// The registry.
    pub registry: &'a Registry,
    /// The runs.
    pub experiments: &'a Experiments,
    /// Where encoders come from.
    pub encoders: &'a Encoders,
    /// Promotes: a rehearsal, or a server.
    pub promoter: &'a dyn Promoter,
    /// Tells the time for records and logs.
    pub clock: &'a (dyn Fn() -> Result<DateTime<Utc>> + Sync),
    /// Who acts.
    pub actor: String,
    /// The code this runs from.
    pub code: CodeState,
    /// The machine this runs on.
    pub environment: Environment,
    /// Hears what happens.
    pub listener: &'a dyn Listener,
}

impl Services<'_> {
    pub(super) fn act(&self, reason: impl Into<String>) -> Result<Act> {
        Ok(Act { actor: self.actor.clone(), reason: reason.into(), at: (self.clock)()? })
    }
}

/// A promotion to be made.
pub struct PromotionRequest<'a> {
    /// The version that serves.
    pub champion: &'a Version,
    /// Its model.
    pub champion_model: Arc<IntentModel>,
    /// The version to promote.
    pub challenger: &'a Version,
    /// Its model.
    pub challenger_model: Arc<IntentModel>,
    /// The plan.
    pub plan: &'a RolloutSpec,
    /// Recorded traffic.
    pub traffic: Option<&'a Traffic>,
    /// Why, for the audit trail.
    pub reason: &'a str,
    /// Hears how many messages of how many were replayed.
    pub progress: &'a (dyn Fn(u64, u64) + Sync),
}

/// Takes a challenger through its canary.
pub trait Promoter: Sync {
    /// Returns what decides beside the request (`rehearsal`, or the server's address): part of the stage's settings.
    fn identity(&self) -> String;

    /// Runs the canary to its verdict. In a rehearsal (`Decision::rehearsal`) the caller moves the alias.
    ///
    /// # Errors
    /// Those of the server or the rehearsal.
    fn promote<'a>(&'a self, request: PromotionRequest<'a>) -> BoxFuture<'a, Result<Decision>>;
}

/// How a stage ended in this run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StageOutcome {
    /// Ran and passed.
    Passed,
    /// Ran, with something to look at.
    Warned,
    /// Ran, and a gate failed.
    Failed,
    /// Ran, and there was too little evidence.
    Insufficient,
    /// Stood as it was.
    Skipped,
    /// Was not reached.
    NotRun,
}

impl StageOutcome {
    /// Returns its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Warned => "warned",
            Self::Failed => "failed",
            Self::Insufficient => "insufficient",
            Self::Skipped => "skipped",
            Self::NotRun => "not run",
        }
    }
}

impl From<StageVerdict> for StageOutcome {
    fn from(verdict: StageVerdict) -> Self {
        match verdict {
            StageVerdict::Passed => Self::Passed,
            StageVerdict::Warned => Self::Warned,
            StageVerdict::Failed => Self::Failed,
            StageVerdict::Insufficient => Self::Insufficient,
        }
    }
}

/// One line of the summary.
#[derive(Debug, Clone, Serialize)]
pub struct StageSummary {
    /// The stage.
    pub stage: String,
    /// How it ended.
    pub outcome: StageOutcome,
    /// Seconds it took.
    pub seconds: f64,
    /// In one line; for a skipped stage, the digest that stands.
    pub summary: String,
    /// The files it wrote, relative to the workspace root.
    pub wrote: Vec<String>,
}

/// What a run came to.
#[derive(Debug, Serialize)]
pub struct RunSummary {
    /// The pipeline.
    pub pipeline: String,
    /// The run recorded, when there was anything to record.
    pub run: Option<String>,
    /// Each stage.
    pub stages: Vec<StageSummary>,
    /// Metrics of the model, when one was evaluated.
    pub metrics: BTreeMap<String, botops_evaluation::Metric>,
    /// What ended the run early.
    #[serde(skip)]
    pub fault: Option<Fault>,
    /// What was found on the way.
    pub findings: Vec<Finding>,
}

/// Runs `plan`.
///
/// A stage that fails ends the run; the summary says where. Everything done stays done.
///
/// # Errors
/// `BOT-8010` another run is under way (exit 5), and what keeps a run from beginning at all.
pub async fn run(plan: &Plan, services: &Services<'_>) -> Result<RunSummary> {
    let folder = Folder::new(&services.root, &plan.spec.name);
    let (_lock, stale) = folder.lock()?;
    services.listener.hear(&Event::Started {
        pipeline: plan.spec.name.clone(),
        stages: plan.stages.iter().map(|stage| stage.name.clone()).collect(),
    });
    if let Some(pid) = stale {
        let message =
            format!("process {pid} ended without finishing its run: going on from what it left");
        services.listener.hear(&Event::Note { message });
    }
    let champion = match &plan.model {
        Some(model) => services.registry.alias(model, botops_registry::CHAMPION).await?,
        None => None,
    };
    let started_at = (services.clock)()?;
    let mut work =
        Work { plan, services, folder: &folder, champion, started_at, findings: Vec::new() };
    let mut summary = execute(&mut work).await;
    summary.metrics = record::evaluation(&work).map(|report| report.metrics).unwrap_or_default();
    summary.run = record::record(&work, summary.fault.is_some().then_some(&summary)).await?;
    summary.findings = work.findings;
    Ok(summary)
}

/// Runs the stages of `plan` as [`run`] does, for their results alone: no run is recorded, and the registry is not
/// asked. Another run of the pipeline is waited for, up to `patience`.
///
/// # Errors
/// `BOT-8010` another run is still under way (exit 5).
pub async fn prepare(
    plan: &Plan,
    services: &Services<'_>,
    patience: Duration,
) -> Result<RunSummary> {
    let folder = Folder::new(&services.root, &plan.spec.name);
    let began = Instant::now();
    let (_lock, _) = loop {
        match folder.lock() {
            Err(fault) if fault.code() == "BOT-8010" && began.elapsed() < patience => {
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
            held => break held?,
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
                format!("stands: {} ({})", record.result().short(), record.summary),
                Vec::new(),
            ));
        }
        Freshness::NotNeeded(why) => return Ok((StageOutcome::Skipped, why, Vec::new())),
        Freshness::Stale(reason) => reason,
    };
    work.services.listener.hear(&Event::StageStarted { stage: stage.name.clone(), reason });
    if matches!(stage.spec, Some(super::StageSpec::Push(_))) {
        record::record(work, None).await?;
    }
    let made = work.folder.begin(&stage.name)?;
    let (verdict, summary) = stages::execute(work, stage, &inputs, &made).await?;
    // What it has just added to its lock is no reason to run it again: split by that, the data is split the same.
    let inputs = match &stage.spec {
        Some(super::StageSpec::Split(split)) if split.lock.is_some() => {
            status::inputs(work, stage).await?
        }
        _ => inputs,
    };
    let Inputs { settings, inputs, data: _ } = inputs;
    let record = StageRecord {
        schema: String::new(),
        stage: stage.name.clone(),
        code: status::CODE.to_owned(),
        settings,
        inputs,
        outputs: BTreeMap::new(),
        verdict,
        summary,
    };
    let record = work.folder.publish(&made, record)?;
    if verdict.goes_on() {
        stages::settle(work, stage).await?;
    }
    let shown = work.folder.stage(&stage.name);
    let shown = shown.strip_prefix(&work.services.root).unwrap_or(&shown).to_owned();
    let wrote = record.outputs.keys().map(|name| shown.join(name).display().to_string()).collect();
    Ok((verdict.into(), record.summary, wrote))
}

/// Says why a stage that ran to its end stops the run.
fn stopped(stage: &Stage, outcome: StageOutcome, summary: &str, folder: &Folder) -> Fault {
    let message = format!("stage `{}` says no: {summary}", stage.name);
    let fault = if outcome == StageOutcome::Insufficient {
        Fault::insufficient("BOT-8021", message)
    } else {
        Fault::data("BOT-8020", message)
    };
    fault.hint(format!("look at what it wrote in {}", folder.stage(&stage.name).display()))
}
