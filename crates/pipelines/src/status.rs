//! The freshness of stages: up to date, not needed or stale, each with a reason.

use super::{
    input_files::{self, OpenFile},
    plan::{Plan, Stage},
    selection::RunOptions,
    services::Services,
    spec::{ShellStage, StageSpec, ValidateStage, WindowStage},
    stages::{
        INSUFFICIENT, SHELL_OUTPUTS, compact, knowledge, promoted_over, read_json_in,
        shell_outputs,
        work::{Work, expectations_path, is_champion_set, pushed},
    },
    state::{Folder, StageRecord},
};
use botops_digest::Digest;
use botops_evaluation::VersionSet;
use botops_expectations::Expectations;
use botops_findings::{Fault, Result};
use botops_predictions::{HourKey, log_state};
use botops_registry::{CHAMPION, Version};
use serde::Serialize;
use std::{collections::BTreeMap, path::Path};

/// The version of the code that runs the stages of most kinds.
const CODE: &str = concat!("botops ", env!("CARGO_PKG_VERSION"), " stages 1");
/// That of the stages that pass on the columns without a role, or compare them: earlier ones dropped these columns.
const CODE_OF_COLUMNS: &str = concat!("botops ", env!("CARGO_PKG_VERSION"), " stages 2");

/// Returns the version of the code that runs `stage`. A new version makes the stage stale.
pub(super) fn code(stage: &Stage) -> &'static str {
    match &stage.spec {
        Some(StageSpec::Validate(_) | StageSpec::Split(_) | StageSpec::Drift(_)) => CODE_OF_COLUMNS,
        _ => CODE,
    }
}

/// The settings and inputs that a stage depends on.
pub(super) struct Inputs {
    /// Digest of its settings.
    pub(super) settings: Digest,
    /// Digests of its inputs, by name: `file:<role>`, `<stage>/<file>`, `champion`.
    pub(super) inputs: BTreeMap<String, Digest>,
    /// Whether the champion holds the model of this stage. Then the input `champion` does not matter: a run that promotes
    /// its own model does not make its own stages stale.
    pub(super) settled: bool,
    /// The open data files of a validate stage: their digest and their records are read through the same handles.
    pub(super) data: Vec<OpenFile>,
    /// Why a compact stage must run; `None` if there is nothing to compact.
    pub(super) due: Option<String>,
}

impl Inputs {
    fn of(inputs: BTreeMap<String, Digest>, settings: &[serde_json::Value]) -> Self {
        let settings = Digest::of_json(&settings);
        Self { settings, inputs, settled: false, data: Vec::new(), due: None }
    }
}

/// Whether a stage must run.
pub enum Freshness {
    /// Its result is up to date.
    Current(Box<StageRecord>),
    /// It has nothing to do, for this reason.
    NotNeeded(String),
    /// It must run, for this reason.
    Stale(String),
}

/// One line of `botops pipeline status`.
#[derive(Debug, Clone, Serialize)]
pub struct StageStatus {
    /// The name of the stage.
    pub stage: String,
    /// `current`, `not needed`, `stale` or, if it is not chosen, `left out`.
    pub state: String,
    /// The reason; for a current stage, the digest and the summary of its result.
    pub reason: String,
}

/// Returns which stages would run and why, without running any.
///
/// # Errors
/// Those of reading inputs and the registry; `BOT-8002`, `BOT-7087` (exit 2) for stages that cannot be chosen.
pub async fn status(
    plan: &Plan,
    services: &Services<'_>,
    options: &RunOptions,
) -> Result<Vec<StageStatus>> {
    let selection = options.select(plan)?;
    let folder = Folder::new(&services.root, &plan.spec.name);
    let champion = match &plan.model {
        Some(model) => services.registry.alias(model, CHAMPION).await?,
        None => None,
    };
    let started_at = (services.clock)()?;
    let findings = Vec::new();
    let work = Work { plan, services, folder: &folder, champion, started_at, findings, selection };
    let mut lines = lines(&work).await?;
    for line in lines.iter_mut().filter(|line| !work.selection.has(&line.stage)) {
        "left out".clone_into(&mut line.state);
        "not part of this run".clone_into(&mut line.reason);
    }
    Ok(lines)
}

/// As [`status`], with the state of a run that begins.
pub(super) async fn lines(work: &Work<'_>) -> Result<Vec<StageStatus>> {
    let mut lines: Vec<StageStatus> = Vec::new();
    let matters = work.selection.with_needs(work.plan);
    for stage in &work.plan.stages {
        if !matters.contains(&stage.name) {
            let (state, reason) = ("left out".to_owned(), "not part of this run".to_owned());
            lines.push(StageStatus { stage: stage.name.clone(), state, reason });
            continue;
        }
        let stale_need = stage
            .needs
            .iter()
            .find(|need| lines.iter().any(|line| &line.stage == *need && line.state == "stale"));
        let (state, reason) = match stale_need {
            Some(need) => ("stale", format!("waits for `{need}`")),
            None => {
                let inputs = inputs(work, stage).await?;
                match freshness(work, stage, &inputs) {
                    Freshness::Current(record) => {
                        ("current", format!("{} ({})", record.result().short(), record.summary))
                    }
                    Freshness::NotNeeded(reason) => ("not needed", reason),
                    Freshness::Stale(reason) => ("stale", reason),
                }
            }
        };
        lines.push(StageStatus { stage: stage.name.clone(), state: state.to_owned(), reason });
    }
    Ok(lines)
}

/// Compares the inputs and settings of a stage with those of its last success.
pub(super) fn freshness(work: &Work<'_>, stage: &Stage, now: &Inputs) -> Freshness {
    if work.selection.forces(&stage.name) {
        return Freshness::Stale("it is forced".to_owned());
    }
    let record = work.folder.record(&stage.name);
    if stage.spec.is_none() {
        // Only a model without a champion needs the baseline. Later changes of the data do not matter.
        return match (&work.champion, record) {
            (None, _) => Freshness::Stale("the model has no champion".to_owned()),
            (Some(_), Some(record)) if work.folder.altered(&record).is_none() => {
                Freshness::Current(Box::new(record))
            }
            (Some(_), Some(record)) => {
                let name = work.folder.altered(&record).unwrap_or_default();
                Freshness::Stale(format!("its output `{name}` was altered"))
            }
            (Some(champion), None) => {
                Freshness::NotNeeded(format!("the model has a champion, {}", champion.reference()))
            }
        };
    }
    if matches!(stage.spec, Some(StageSpec::Compact(_))) {
        return match &now.due {
            Some(reason) => Freshness::Stale(reason.clone()),
            None => Freshness::NotNeeded("the log has nothing to compact".to_owned()),
        };
    }
    let Some(record) = record else {
        return Freshness::Stale("it has not completed yet".to_owned());
    };
    if !record.verdict.goes_on() {
        return Freshness::Stale(format!("its last verdict is `{}`", record.verdict.name()));
    }
    if record.code != code(stage) {
        return Freshness::Stale(format!("it was run by {}", record.code));
    }
    if record.settings != now.settings {
        return Freshness::Stale("its settings changed".to_owned());
    }
    let matters = |name: &String| !(now.settled && name == CHAMPION);
    for (name, digest) in now.inputs.iter().filter(|(name, _)| matters(name)) {
        match record.inputs.get(name) {
            Some(before) if before == digest => {}
            Some(_) => {
                return Freshness::Stale(format!("its input `{}` changed", display_name(name)));
            }
            None => return Freshness::Stale(format!("its input `{}` is new", display_name(name))),
        }
    }
    if let Some(gone) = record.inputs.keys().find(|name| !now.inputs.contains_key(*name)) {
        return Freshness::Stale(format!("it no longer has the input `{}`", display_name(gone)));
    }
    if let Some(name) = work.folder.altered(&record).or_else(|| altered_output(work, stage)) {
        return Freshness::Stale(format!("its output `{name}` was altered"));
    }
    Freshness::Current(Box::new(record))
}

/// Returns the first declared output of a shell stage that is missing, or is not as the stage left it.
fn altered_output(work: &Work<'_>, stage: &Stage) -> Option<String> {
    let Some(StageSpec::Shell(spec)) = &stage.spec else { return None };
    if spec.outputs.is_empty() {
        return None;
    }
    let written: BTreeMap<String, Option<Digest>> =
        read_json_in(work.folder, &stage.name, SHELL_OUTPUTS).unwrap_or_default();
    let now = shell_outputs(&work.services.root, spec);
    now.into_iter().find(|(path, digest)| written.get(path) != Some(digest)).map(|(path, _)| path)
}

/// Returns the name of an input for messages, without `file:`.
fn display_name(name: &str) -> &str {
    name.trim_start_matches("file:")
}

/// Gathers the inputs of `stage`. The stages that it takes files from must have run.
pub(super) async fn inputs(work: &Work<'_>, stage: &Stage) -> Result<Inputs> {
    let mut inputs = BTreeMap::new();
    let (mut data, mut settled, mut due) = (Vec::new(), false, None);
    let root = &work.services.root;
    let mut spec = serde_json::to_value(&stage.spec).expect("a spec is valid JSON");
    // Retries change no result.
    if let Some(settings) = spec.as_object_mut().and_then(|kinds| kinds.values_mut().next())
        && let Some(settings) = settings.as_object_mut()
    {
        settings.remove("retries");
    }
    let mut settings = vec![spec];
    match &stage.spec {
        None => settings
            .push(serde_json::to_value(&work.plan.spec.baseline).expect("a spec is valid JSON")),
        Some(StageSpec::Validate(spec)) => {
            data = validate_inputs(work, spec, &mut inputs, &mut settings)?;
        }
        Some(StageSpec::Split(spec)) => {
            take(work, &mut inputs, &spec.from, "accepted.csv")?;
            // The first run writes the lock.
            if let Some(lock) = spec.lock.as_ref().filter(|lock| root.join(lock).exists()) {
                inputs.insert("file:lock".to_owned(), input_files::digest(root, lock)?);
            }
        }
        Some(StageSpec::Train(spec)) => {
            take(work, &mut inputs, &spec.from, "train.csv")?;
            // The encoder at the same path may change.
            if let Some(digest) = work.services.encoders.digest(&spec.model)? {
                inputs.insert("encoder".to_owned(), digest);
            }
            if let Some(dialogue) = &spec.dialogue {
                inputs.insert("file:dialogue".to_owned(), input_files::digest(root, dialogue)?);
            }
        }
        Some(StageSpec::Evaluate(spec)) => {
            take(work, &mut inputs, &spec.model, "model.botops")?;
            take(work, &mut inputs, &spec.on, "test.csv")?;
            if let Some(behaviour) = &spec.behaviour {
                inputs.insert("file:behaviour".to_owned(), input_files::digest(root, behaviour)?);
            }
            let held = knowledge::inputs(work, &spec.knowledge, &mut inputs).await?;
            let model = inputs[&format!("{}/model.botops", spec.model)];
            let set = work.champion.as_ref().and_then(Version::set);
            settled = set == Some(VersionSet { model, knowledge: held });
            let champion = set.map(|set| match spec.knowledge.is_empty() {
                true => set.model,
                false => Digest::of_json(&(set.model, set.knowledge)),
            });
            inputs.extend(champion.map(|champion| (CHAMPION.to_owned(), champion)));
        }
        Some(StageSpec::Gate(spec)) => {
            // An evaluation with too few records has neither report nor comparison.
            if let Some(record) = work.folder.record(&spec.from)
                && record.outputs.contains_key(INSUFFICIENT)
            {
                take(work, &mut inputs, &spec.from, INSUFFICIENT)?;
                return Ok(Inputs::of(inputs, &settings));
            }
            take(work, &mut inputs, &spec.from, "evaluation.json")?;
            for file in knowledge::judgements(work, &spec.from) {
                take(work, &mut inputs, &spec.from, &file)?;
            }
            // There is a comparison only if there is a champion.
            if work.folder.file(&spec.from, "comparison.json").exists() {
                take(work, &mut inputs, &spec.from, "comparison.json")?;
            }
        }
        Some(StageSpec::Drift(spec)) => {
            take(work, &mut inputs, &spec.reference, "train.csv")?;
            if let Some(model) = &spec.model {
                take(work, &mut inputs, model, "model.botops")?;
                take(work, &mut inputs, &spec.reference, "test.csv")?;
            }
            match (&spec.window, &spec.current) {
                (Some(window), _) => take(work, &mut inputs, window, "traffic.jsonl")?,
                (None, Some(current)) => {
                    let digest = input_files::digest(root, current)?;
                    inputs.insert("file:current".to_owned(), digest);
                }
                (None, None) => {}
            }
        }
        Some(StageSpec::Push(spec)) => {
            take(work, &mut inputs, &spec.model, "model.botops")?;
            take(work, &mut inputs, &spec.gate, "gate.json")?;
            settings.extend([work.plan.model.clone().into(), registry_of(work)]);
        }
        Some(StageSpec::Promote(spec)) => {
            take(work, &mut inputs, &spec.version, "version.json")?;
            if let Some(traffic) = &spec.traffic {
                inputs.insert("file:traffic".to_owned(), input_files::digest(root, traffic)?);
            }
            if let Some(window) = &spec.window {
                take(work, &mut inputs, window, "traffic.jsonl")?;
            }
            settings.push(work.services.promoter.identity().into());
            if let Some(version) = pushed(work, &spec.version).await? {
                settled = is_champion_set(work, &version);
                let champion = match &work.champion {
                    Some(champion) if settled => promoted_over(work, stage, spec, champion).await?,
                    champion => champion.as_ref().map(|version| version.manifest_digest),
                };
                inputs.extend(champion.map(|champion| (CHAMPION.to_owned(), champion)));
            }
        }
        Some(StageSpec::DialogueTest(spec)) => {
            take(work, &mut inputs, &spec.model, "model.botops")?;
            if let Some(stories) = &spec.stories {
                inputs.insert("file:stories".to_owned(), input_files::digest(root, stories)?);
            }
        }
        Some(StageSpec::Window(spec)) => {
            window_inputs(work, spec, &mut inputs, &mut settings).await?;
        }
        Some(StageSpec::Compact(spec)) => due = compact::due(work, spec).await?,
        Some(StageSpec::KnowledgeImport(spec)) => {
            inputs.insert("file:documents".to_owned(), knowledge::documents(root, spec)?);
            settings.push(registry_of(work));
        }
        Some(StageSpec::Shell(spec)) => shell_inputs(work, stage, spec, &mut inputs)?,
    }
    Ok(Inputs { settled, data, due, ..Inputs::of(inputs, &settings) })
}

/// Returns the location of the registry, relative to the workspace, so that a moved workspace stays up to date.
fn registry_of(work: &Work<'_>) -> serde_json::Value {
    let registry = work.services.registry.store().url();
    let inside = Path::new(registry).strip_prefix(&work.services.root).ok();
    inside.map_or(registry.to_owned(), |path| path.display().to_string()).into()
}

/// Adds the inputs of a validate stage, and returns its open data files.
fn validate_inputs(
    work: &Work<'_>,
    spec: &ValidateStage,
    inputs: &mut BTreeMap<String, Digest>,
    settings: &mut Vec<serde_json::Value>,
) -> Result<Vec<OpenFile>> {
    let root = &work.services.root;
    let (files, digest) = input_files::open(root, &spec.data)?;
    inputs.insert("file:data".to_owned(), digest);
    if let Some(expectations) = expectations_path(root, spec) {
        inputs.insert("file:expectations".to_owned(), input_files::digest(root, &expectations)?);
        // The stage itself reports expectations that cannot be read.
        if let Ok(expectations) = Expectations::read(&root.join(&expectations)) {
            for (written, file) in expectations.referenced() {
                let name = format!("file:{}", written.display());
                inputs.insert(name, input_files::digest(root, &file)?);
            }
            if expectations.has_freshness() {
                // Data that was fresh yesterday may not be fresh today.
                settings.push(work.started_at.date_naive().to_string().into());
            }
        }
    }
    Ok(files)
}

/// Adds the inputs of a window stage: the state of the log, or the traffic that stands in for it.
async fn window_inputs(
    work: &Work<'_>,
    spec: &WindowStage,
    inputs: &mut BTreeMap<String, Digest>,
    settings: &mut Vec<serde_json::Value>,
) -> Result<()> {
    let root = &work.services.root;
    take(work, inputs, &spec.from, "train.csv")?;
    take(work, inputs, &spec.from, "test.csv")?;
    let registry = work.services.registry;
    let period = spec.log.period(work.started_at)?;
    let hours = (HourKey::of(period.labels_since), HourKey::of(period.until));
    let state = log_state(registry.store(), registry.environment_name(), hours.0, hours.1).await?;
    match (state, &spec.recorded) {
        (Some(state), _) => {
            settings.push(period.until.timestamp().into());
            inputs.insert("log".to_owned(), state);
        }
        (None, Some(recorded)) => {
            let digest = input_files::digest(root, recorded)?;
            inputs.insert("file:recorded".to_owned(), digest);
        }
        // The stage itself reports that it has nothing to read.
        (None, None) => {}
    }
    Ok(())
}

/// Adds the inputs of a shell stage: the files that it names, and the results of the stages before it.
fn shell_inputs(
    work: &Work<'_>,
    stage: &Stage,
    spec: &ShellStage,
    inputs: &mut BTreeMap<String, Digest>,
) -> Result<()> {
    for path in &spec.inputs {
        let digest = input_files::digest(&work.services.root, path)?;
        inputs.insert(format!("file:{}", path.display()), digest);
    }
    for need in &stage.needs {
        if let Some(record) = work.folder.record(need) {
            inputs.insert(need.clone(), record.result());
        }
    }
    Ok(())
}

/// Adds the output `file` of `stage` to `inputs`.
fn take(
    work: &Work<'_>,
    inputs: &mut BTreeMap<String, Digest>,
    stage: &str,
    file: &str,
) -> Result<()> {
    let digest =
        work.folder.record(stage).and_then(|record| record.outputs.get(file).copied()).ok_or_else(
            || {
                Fault::internal("BOT-8030", format!("stage `{stage}` has no output `{file}`"))
                    .file(work.folder.stage(stage))
                    .hint("remove that folder and run again")
            },
        )?;
    inputs.insert(format!("{stage}/{file}"), digest);
    Ok(())
}
