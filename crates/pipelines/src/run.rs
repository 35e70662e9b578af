//! Runs a plan: skips up-to-date stages, executes the others, records the run.

use super::{
    events::Event,
    outcome::{RunSummary, StageOutcome, StageSummary},
    plan::{Plan, Stage},
    preflight, record, schedule,
    selection::{RunOptions, Selection},
    services::Services,
    shared_results,
    spec::StageSpec,
    stages::{self, work::Work},
    state::{Folder, StageRecord},
    status::{self, Freshness},
};
use botops_findings::{Fault, FaultKind, Finding, Result};
use botops_registry::Version;
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
/// the first stage; those of [`super::preflight()`] and of [`super::status()`].
pub async fn run(plan: &Plan, services: &Services<'_>, options: &RunOptions) -> Result<RunSummary> {
    let selection = options.select(plan)?;
    preflight::check_files(plan, &services.root, &selection)?;
    let folder = Folder::new(&services.root, &plan.spec.name);
    let (_lock, stale) = folder.lock()?;
    services.listener.hear(&Event::Started {
        pipeline: plan.spec.name.clone(),
        stages: plan
            .stages
            .iter()
            .filter(|stage| selection.has(&stage.name))
            .map(|stage| stage.name.clone())
            .collect(),
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
    let findings = Vec::new();
    let mut work =
        Work { plan, services, folder: &folder, champion, started_at, findings, selection };
    preflight::check(&work).await?;
    let mut summary = execute(&mut work, options.jobs).await;
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
    preflight::check_files(plan, &services.root, &Selection::default())?;
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
    let mut work = Work {
        plan,
        services,
        folder: &folder,
        champion: None,
        started_at,
        findings: Vec::new(),
        selection: Selection::default(),
    };
    let mut summary = execute(&mut work, 0).await;
    summary.findings = work.findings;
    Ok(summary)
}

/// A stage that ended: its summary, the fault that ends the run, and its findings.
struct Done {
    summary: StageSummary,
    fault: Option<Fault>,
    findings: Vec<Finding>,
    /// The champion; a baseline makes the first.
    champion: Option<Version>,
}

/// Skips or executes the chosen stages in turns, up to the turn in which one fails.
///
/// The stages of a turn run at once and do not need each other. The first fault in the order of the plan is that of the run.
async fn execute(work: &mut Work<'_>, wanted: usize) -> RunSummary {
    let (plan, jobs) = (work.plan, schedule::jobs(wanted));
    let mut done: Vec<bool> =
        plan.stages.iter().map(|stage| !work.selection.has(&stage.name)).collect();
    let mut ended: BTreeMap<usize, Done> = BTreeMap::new();
    while ended.values().all(|done| done.fault.is_none()) {
        let turn = schedule::next(plan, &done, jobs);
        let results = match turn.as_slice() {
            [] => break,
            [one] => vec![attempts(&mut work.for_stage(), &plan.stages[*one]).await],
            several => at_once(work, several),
        };
        for (at, result) in turn.into_iter().zip(results) {
            done[at] = true;
            if plan.stages[at].spec.is_none() {
                work.champion.clone_from(&result.champion);
            }
            ended.insert(at, result);
        }
    }
    let mut summary = RunSummary {
        pipeline: plan.spec.name.clone(),
        run: None,
        stages: Vec::new(),
        metrics: BTreeMap::new(),
        fault: None,
        findings: Vec::new(),
    };
    for (at, stage) in plan.stages.iter().enumerate() {
        match ended.remove(&at) {
            Some(done) => {
                summary.stages.push(done.summary);
                work.findings.extend(done.findings);
                summary.fault = summary.fault.or(done.fault);
            }
            None => summary.stages.push(StageSummary {
                stage: stage.name.clone(),
                outcome: StageOutcome::NotRun,
                seconds: 0.0,
                summary: String::new(),
                wrote: Vec::new(),
            }),
        }
    }
    summary
}

/// Runs the stages at `several` places of the plan at once, a thread each, and returns their results in the same order.
fn at_once(work: &Work<'_>, several: &[usize]) -> Vec<Done> {
    let runtime = tokio::runtime::Handle::current();
    std::thread::scope(|scope| {
        let threads: Vec<_> = several
            .iter()
            .map(|&at| {
                let (runtime, stage) = (runtime.clone(), &work.plan.stages[at]);
                scope.spawn(move || runtime.block_on(attempts(&mut work.for_stage(), stage)))
            })
            .collect();
        let joined = threads.into_iter().map(|thread| thread.join());
        joined.map(|done| done.unwrap_or_else(|panic| std::panic::resume_unwind(panic))).collect()
    })
}

/// Skips or executes one stage, again if its fault may pass and the stage says so.
async fn attempts(work: &mut Work<'_>, stage: &Stage) -> Done {
    let began = Instant::now();
    let retries = stage.spec.as_ref().and_then(StageSpec::retries);
    let mut failed = 0;
    let result = loop {
        let result = step(work, stage).await;
        let Err(fault) = &result else { break result };
        failed += 1;
        let Some(wait) = retries.and_then(|retries| retries.wait(failed, fault)) else {
            break result;
        };
        let message = format!(
            "{}: {fault}; attempt {} in {}",
            stage.name,
            failed + 1,
            humantime::format_duration(wait)
        );
        work.services.listener.hear(&Event::Note { message });
        work.findings.clear();
        tokio::time::sleep(wait).await;
    };
    let (outcome, summary, wrote, fault) = match result {
        Ok((outcome, summary, wrote)) => {
            let goes_on = matches!(
                outcome,
                StageOutcome::Skipped | StageOutcome::Passed | StageOutcome::Warned
            );
            let fault = (!goes_on).then(|| stopped(stage, outcome, &summary, work.folder));
            (outcome, summary, wrote, fault)
        }
        Err(fault) => {
            let outcome = match fault.kind() {
                FaultKind::Insufficient => StageOutcome::Insufficient,
                _ => StageOutcome::Failed,
            };
            (outcome, fault.message().to_owned(), Vec::new(), Some(fault))
        }
    };
    let seconds =
        if outcome == StageOutcome::Skipped { 0.0 } else { began.elapsed().as_secs_f64() };
    work.services.listener.hear(&Event::StageFinished {
        stage: stage.name.clone(),
        outcome,
        summary: summary.clone(),
        seconds,
    });
    let stage = stage.name.clone();
    Done {
        summary: StageSummary { stage, outcome, seconds, summary, wrote },
        fault,
        findings: std::mem::take(&mut work.findings),
        champion: work.champion.take(),
    }
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
    if let Some(record) = shared_results::take(work, stage, &inputs).await {
        let text = format!("shared: {} ({})", record.result().short(), record.summary);
        return Ok((StageOutcome::Skipped, text, Vec::new()));
    }
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
    let record = StageRecord {
        schema: String::new(),
        stage: stage.name.clone(),
        code: status::code(stage).to_owned(),
        settings: inputs.settings,
        inputs: inputs.inputs.clone(),
        outputs: BTreeMap::new(),
        verdict,
        summary,
    };
    let record = work.folder.publish(&staging, record)?;
    shared_results::offer(work, stage, &inputs, &record).await;
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
