//! The checks before a run: everything that can be known to make a later stage fail.
//!
//! A stage that cannot run fails before the first one starts, so that no version is registered that nothing can promote.

use super::{
    input_files,
    plan::{Plan, Stage},
    selection::{RunOptions, Selection},
    services::{Prospect, Services},
    spec::{EvaluateStage, StageSpec},
    stages::{
        read_behaviour,
        work::{Work, pushed},
    },
    state::Folder,
    status::{self, StageStatus},
};
use botops_datasets as datasets;
use botops_findings::{Fault, Place, Result};
use botops_knowledge::store::Gathered;
use botops_registry::CHAMPION;
use std::path::{Path, PathBuf};

/// Checks that each stage of `plan` can run. Changes nothing.
///
/// # Errors
/// `BOT-1001` (exit 2) a file that a stage reads is missing; the faults of recorded traffic that cannot be read; those of
/// [`super::Promoter::check`] for a promotion that cannot be judged.
pub async fn preflight(plan: &Plan, services: &Services<'_>, options: &RunOptions) -> Result<()> {
    let selection = options.select(plan)?;
    let folder = Folder::new(&services.root, &plan.spec.name);
    let champion = match &plan.model {
        Some(model) => services.registry.alias(model, CHAMPION).await?,
        None => None,
    };
    let started_at = (services.clock)()?;
    let findings = Vec::new();
    check(&Work { plan, services, folder: &folder, champion, started_at, findings, selection })
        .await
}

/// Checks that the files that stages of `plan` read exist. A run does this first, before it creates the folder of the
/// pipeline: without its files, the pipeline may belong to another workspace.
///
/// # Errors
/// `BOT-1001` (exit 2); those of behavioural tests.
pub(super) fn check_files(plan: &Plan, root: &Path, selection: &Selection) -> Result<()> {
    for stage in written_by_no_stage(plan).filter(|stage| selection.has(&stage.name)) {
        for (key, path) in files(stage) {
            for file in input_files::expand(root, &path)? {
                readable(plan, root, stage, key, &file)?;
            }
        }
        if let Some(StageSpec::KnowledgeImport(spec)) = &stage.spec {
            Gathered::of(&[root.join(&spec.documents)])?;
        }
        if let Some(StageSpec::Evaluate(EvaluateStage { behaviour: Some(path), .. })) = &stage.spec
        {
            read_behaviour(root, path)?;
        }
    }
    Ok(())
}

/// As [`preflight`], with the state of a run that begins.
pub(super) async fn check(work: &Work<'_>) -> Result<()> {
    check_files(work.plan, &work.services.root, &work.selection)?;
    let selected = |stage: &&Stage| work.selection.has(&stage.name);
    for stage in work.plan.stages.iter().filter(selected) {
        if let Some(StageSpec::Window(spec)) = &stage.spec {
            // Conversations would change sides: no stage may learn from the log.
            spec.sides().check(work.services.registry.store(), &work.plan.spec.name).await?;
        }
    }
    let promotes = |stage: &Stage| matches!(stage.spec, Some(StageSpec::Promote(_)));
    if !work.plan.stages.iter().filter(selected).any(promotes) && !work.selection.begins_late() {
        return Ok(());
    }
    let lines = status::lines(work).await?;
    needed(work, &lines)?;
    for stage in work.plan.stages.iter().filter(selected) {
        if is(&lines, &stage.name, "stale") {
            promotion(work, stage, &lines).await?;
        }
    }
    Ok(())
}

/// Checks that the stages that a run needs and leaves out are up to date.
fn needed(work: &Work<'_>, lines: &[StageStatus]) -> Result<()> {
    for stage in work.plan.stages.iter().filter(|stage| work.selection.has(&stage.name)) {
        for need in stage.needs.iter().filter(|need| !work.selection.has(need)) {
            let line = lines.iter().find(|line| &line.stage == need);
            if let Some(line) = line.filter(|line| line.state == "stale") {
                let message = format!(
                    "`{}` needs the result of `{need}`, which is left out and not up to date: {}",
                    stage.name, line.reason
                );
                return Err(Fault::usage("BOT-7087", message)
                    .file(&work.plan.file)
                    .hint(format!("begin with it: `--from {need}`, or leave out `--from`")));
            }
        }
    }
    Ok(())
}

/// Returns whether the stage `name` has this state.
fn is(lines: &[StageStatus], name: &str, state: &str) -> bool {
    lines.iter().any(|line| line.stage == name && line.state == state)
}

/// Returns the stages before the first shell stage, whose command may write any file that a later stage reads.
fn written_by_no_stage(plan: &Plan) -> impl Iterator<Item = &Stage> {
    plan.stages.iter().take_while(|stage| !matches!(stage.spec, Some(StageSpec::Shell(_))))
}

/// Returns the files that `stage` reads and no stage writes, each with its key.
fn files(stage: &Stage) -> Vec<(&'static str, PathBuf)> {
    let Some(spec) = &stage.spec else { return Vec::new() };
    let named = match spec {
        StageSpec::Validate(spec) => {
            vec![("data", Some(&spec.data)), ("expectations", spec.expectations.as_ref())]
        }
        StageSpec::Train(spec) => vec![("dialogue", spec.dialogue.as_ref())],
        StageSpec::Drift(spec) => vec![("current", spec.current.as_ref())],
        StageSpec::Window(spec) => vec![("recorded", spec.recorded.as_ref())],
        StageSpec::Promote(spec) => vec![("traffic", spec.traffic.as_ref())],
        StageSpec::DialogueTest(spec) => vec![("stories", spec.stories.as_ref())],
        StageSpec::Evaluate(spec) => {
            let questions =
                spec.knowledge.iter().map(|input| ("questions", Some(&input.questions)));
            [("behaviour", spec.behaviour.as_ref())].into_iter().chain(questions).collect()
        }
        StageSpec::Split(_)
        | StageSpec::Compact(_)
        | StageSpec::KnowledgeImport(_)
        | StageSpec::Gate(_)
        | StageSpec::Push(_)
        | StageSpec::Shell(_) => Vec::new(),
    };
    named.into_iter().filter_map(|(key, path)| Some((key, path?.clone()))).collect()
}

/// Checks that the file at `path` can be opened.
fn readable(plan: &Plan, root: &Path, stage: &Stage, key: &str, path: &PathBuf) -> Result<()> {
    let full = root.join(path);
    let unreadable = match std::fs::metadata(&full) {
        Ok(metadata) if metadata.is_dir() => std::io::ErrorKind::IsADirectory.into(),
        Ok(metadata) if metadata.is_file() => match std::fs::File::open(&full) {
            Ok(_) => return Ok(()),
            Err(error) => error,
        },
        // Opening a pipe would wait for its writer.
        Ok(_) => return Ok(()),
        Err(error) => error,
    };
    let message = format!(
        "stage `{}` cannot run: {}",
        stage.name,
        input_files::unreadable(path, &unreadable)
    );
    Err(Fault::usage("BOT-1001", message)
        .file(path)
        .hint(format!("it is `{key}` of the stage in {}", plan.file.display()))
        .hint(input_files::RELATIVE)
        .caused_by(unreadable))
}

/// Checks that a promote stage has traffic to judge a challenger on, and that the traffic can be read.
///
/// A first version has no champion to be compared with: its golden self-test promotes it.
async fn promotion(work: &Work<'_>, stage: &Stage, lines: &[StageStatus]) -> Result<()> {
    let (Some(StageSpec::Promote(spec)), Some(model)) = (&stage.spec, &work.plan.model) else {
        return Ok(());
    };
    let version = match is(lines, &spec.version, "current") {
        true => pushed(work, &spec.version).await?.map(|version| version.manifest_digest),
        false => None,
    };
    let prospect = Prospect {
        model,
        version,
        traffic: spec.traffic.is_some() || spec.window.is_some(),
        served: work.champion.is_some(),
    };
    let compared = work.champion.is_some() || work.plan.spec.baseline.is_some();
    if compared {
        work.services.promoter.check(prospect).await.map_err(|fault| named(fault, work, stage))?;
    }
    // A shell stage may write the traffic.
    let written = !written_by_no_stage(work.plan).any(|other| other.name == stage.name);
    match &spec.traffic {
        Some(traffic) if compared && !written => {
            datasets::read_traffic(&work.services.root.join(traffic)).map(|_| ())
        }
        _ => Ok(()),
    }
}

/// Names the promote stage in a fault of its promoter.
fn named(fault: Fault, work: &Work<'_>, stage: &Stage) -> Fault {
    if fault.code() != "BOT-8005" {
        return fault;
    }
    let place = Place {
        file: Some(work.plan.file.display().to_string()),
        key: Some(format!("stages.{}.traffic", stage.name)),
        ..Place::default()
    };
    fault.at(place).hint("or name recorded traffic: `traffic:` in the promote stage")
}
