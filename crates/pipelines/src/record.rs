//! Records a run: its settings, its results and the data of the training.

use super::{
    outcome::{RunSummary, StageOutcome},
    params::flatten,
    spec::{EvaluateStage, StageSpec, TrainStage},
    stages::{
        last_run::{LastRun, read_last},
        read_output,
        work::Work,
    },
    state::StageVerdict,
};
use botops_datasets::{self as datasets, Dataset};
use botops_digest::Digest;
use botops_evaluation::EvaluationReport;
use botops_experiments::{Artifact, Recipe, RunRecord, Source, Step};
use botops_findings::{Fault, Result};
use botops_models as models;
use bytes::Bytes;
use std::{collections::BTreeMap, fs, path::Path};

/// The content of a run, gathered from its stages.
#[derive(Default)]
struct Gathered {
    /// The verdict of each stage.
    stages: BTreeMap<String, String>,
    data: BTreeMap<String, Digest>,
    params: BTreeMap<String, serde_json::Value>,
    /// The files of the stages, by `<stage>/<file>`.
    files: Vec<(String, Vec<u8>)>,
}

/// Records all stages before the push as a run, and returns its id. The same content is recorded once.
///
/// The registry records the promotion: a run records the training and its evaluation.
pub(super) async fn record(work: &Work<'_>, failed: Option<&RunSummary>) -> Result<Option<String>> {
    let services = work.services;
    let Gathered { stages, mut data, params, files } = gather(work, failed)?;
    if stages.is_empty() {
        return Ok(None);
    }
    let ran = |stage: &str| work.folder.record(stage).filter(|_| stages.contains_key(stage));
    let train = trained(work).and_then(|(name, train)| Some((name, train, ran(&train.from)?)));
    let evaluate = evaluated(work).and_then(|(_, evaluate)| ran(&evaluate.on));
    let sides = [
        ("train", train.as_ref().map(|(.., split)| split), "train.csv"),
        ("test", evaluate.as_ref(), "test.csv"),
    ];
    for (name, split, file) in &sides {
        if let Some(digest) = split.and_then(|split| split.outputs.get(*file)) {
            data.insert((*name).to_owned(), *digest);
        }
    }
    let digests: BTreeMap<&String, Digest> =
        files.iter().map(|(name, bytes)| (name, Digest::of(bytes))).collect();
    let content = Digest::of_json(&(&stages, &data, &params, &digests));
    let last = work.folder.own("run.json");
    if let Some(last) = read_last(&last)
        && last.content == content
        // The run may have been removed since.
        && services.experiments.has(&last.run).await?
    {
        let mut named: Vec<Bytes> = Vec::new();
        for (name, split, file) in sides {
            if let (Some(split), Some(digest)) = (split, data.get(name)) {
                named.push(read_as_recorded(&work.folder.file(&split.stage, file), *digest)?);
            }
        }
        let files = files.iter().map(|(_, bytes)| &bytes[..]);
        let named: Vec<&[u8]> = named.iter().map(|bytes| &bytes[..]).chain(files).collect();
        services.experiments.restore(&named).await?;
        return Ok(Some(last.run));
    }

    let mut kept: Vec<Bytes> = Vec::new();
    let mut sources = BTreeMap::new();
    for (name, split, file) in sides {
        if let Some(split) = split
            && let Some(digest) = data.get(name)
        {
            let bytes = read_as_recorded(&work.folder.file(&split.stage, file), *digest)?;
            sources.insert(name.to_owned(), source(file, &bytes));
            kept.push(bytes);
        }
    }
    let dialogue = train.as_ref().and_then(|(.., train, _)| train.dialogue.as_ref());
    if let (Some(path), Some(digest)) = (dialogue, data.get("dialogue")) {
        let bytes = Bytes::from(read(&services.root.join(path))?);
        let file = path.file_name().unwrap_or_default().to_string_lossy();
        // A dialogue edited since is not kept: the model contains the one that was used.
        let same = Digest::of(&bytes) == *digest;
        sources.insert("dialogue".to_owned(), Source { kept: same, ..source(&file, &bytes) });
        kept.extend(same.then_some(bytes));
    }
    let recipe = match &train {
        Some((name, train, _)) => recipe(work, name, train, &files)?,
        None => None,
    };
    let metrics = evaluated(work)
        .filter(|(name, _)| stages.get(*name).is_some_and(|verdict| goes_on(verdict)))
        .and_then(|_| evaluation(work))
        .map(|report| report.metrics)
        .unwrap_or_default();
    let artifacts = files.iter().map(|(name, bytes)| Artifact::of(name, bytes)).collect();
    kept.extend(files.into_iter().map(|(_, bytes)| Bytes::from(bytes)));
    let at = (services.clock)()?;
    let run = RunRecord {
        schema: String::new(),
        id: String::new(),
        kind: work.plan.spec.name.clone(),
        started_at: work.started_at,
        finished_at: at,
        params,
        metrics,
        data,
        code: services.code.clone(),
        environment: services.environment.clone(),
        artifacts,
        stages,
        sources,
        recipe,
        measured_on: None,
        costs: Vec::new(),
        twin_of: None,
    };
    let run = services.experiments.commit(run, &kept).await?;
    let bytes =
        serde_json::to_vec(&LastRun { content, run: run.clone() }).expect("a record is valid JSON");
    botops_files::replace(&last, &bytes)?;
    Ok(Some(run))
}

/// Gathers the results of the stages that ran in this run or are cached from an earlier one.
fn gather(work: &Work<'_>, failed: Option<&RunSummary>) -> Result<Gathered> {
    let mut gathered = Gathered::default();
    let mut has_failed = false;
    for stage in &work.plan.stages {
        let Some(spec) = &stage.spec else { continue };
        // Their effects are in the registry.
        if matches!(spec, StageSpec::Push(_) | StageSpec::Promote(_) | StageSpec::Compact(_)) {
            continue;
        }
        if let Some(summary) = failed {
            let outcome = summary
                .stages
                .iter()
                .find(|seen| seen.stage == stage.name)
                .map(|seen| seen.outcome);
            match outcome {
                // Stages that ran beside the one that failed are left out, so that a record does not depend on threads.
                _ if has_failed => continue,
                Some(StageOutcome::NotRun) | None => continue,
                Some(outcome @ (StageOutcome::Failed | StageOutcome::Insufficient)) => {
                    gathered.stages.insert(stage.name.clone(), outcome.name().to_owned());
                    has_failed = true;
                    continue;
                }
                Some(_) => {}
            }
        }
        let Some(record) = work.folder.record(&stage.name) else { continue };
        gathered.stages.insert(stage.name.clone(), record.verdict.name().to_owned());
        for (name, digest) in &record.inputs {
            if let Some(name) = name.strip_prefix("file:") {
                gathered.data.insert(name.to_owned(), *digest);
            }
        }
        for name in record.outputs.keys() {
            // Copies of the data and of the log are not results: the training data is kept as a source, and the texts of
            // the log are erased there.
            if !name.ends_with(".csv") && !name.ends_with(".jsonl") {
                let bytes = read(&work.folder.file(&stage.name, name))?;
                gathered.files.push((format!("{}/{name}", stage.name), bytes));
            }
        }
        if let StageSpec::Split(split) = spec {
            let params = &mut gathered.params;
            params.insert(format!("{}.test_share", stage.name), split.test_share.into());
            params.insert(format!("{}.seed", stage.name), split.seed.into());
        }
        if let StageSpec::Train(train) = spec {
            flatten(
                "model",
                &serde_json::to_value(&train.model).expect("a spec is valid JSON"),
                &mut gathered.params,
            );
        }
    }
    Ok(gathered)
}

/// Returns the recipe of the model of stage `name`, if the stage has a model.
fn recipe(
    work: &Work<'_>,
    name: &str,
    train: &TrainStage,
    files: &[(String, Vec<u8>)],
) -> Result<Option<Recipe>> {
    let file = format!("{name}/model.botops");
    let Some((_, model)) = files.iter().find(|(name, _)| *name == file) else { return Ok(None) };
    let data = read_output(work, &train.from, "train.csv")?;
    Ok(Some(Recipe {
        model: file,
        train: "train".to_owned(),
        dialogue: train.dialogue.as_ref().map(|_| "dialogue".to_owned()),
        spec: serde_json::to_value(&train.model).expect("a spec is valid JSON"),
        steps: steps(&data, None, model)?,
    }))
}

/// Returns the digests of the steps from `data` to the model file `model`, in order.
///
/// `accepted` are the training records, if validation may have left some out.
///
/// # Errors
/// Those of [`models::part_digests`].
pub fn steps(data: &Dataset, accepted: Option<&Dataset>, model: &[u8]) -> Result<Vec<Step>> {
    let records = |data: &Dataset| Digest::of(&datasets::csv_bytes(data));
    let mut steps = vec![("data".to_owned(), data.digest), ("records".to_owned(), records(data))];
    steps.extend(accepted.map(|accepted| ("accepted".to_owned(), records(accepted))));
    steps.extend(models::part_digests(model)?);
    steps.push(("file".to_owned(), Digest::of(model)));
    Ok(steps.into_iter().map(|(name, digest)| Step { name, digest }).collect())
}

/// Returns the train stage of the run's model: the one that is evaluated, or else the first.
fn trained<'a>(work: &Work<'a>) -> Option<(&'a str, &'a TrainStage)> {
    let evaluated = evaluated(work).map(|(_, evaluate)| evaluate.model.as_str());
    let mut trains = work.plan.stages.iter().filter_map(|stage| match &stage.spec {
        Some(StageSpec::Train(train)) => Some((stage.name.as_str(), &**train)),
        _ => None,
    });
    trains.find(|(name, _)| evaluated.is_none_or(|evaluated| evaluated == *name))
}

/// Returns the evaluate stage of the run's metrics: the first.
fn evaluated<'a>(work: &Work<'a>) -> Option<(&'a str, &'a EvaluateStage)> {
    work.plan.stages.iter().find_map(|stage| match &stage.spec {
        Some(StageSpec::Evaluate(evaluate)) => Some((stage.name.as_str(), evaluate)),
        _ => None,
    })
}

/// Returns the report of the first evaluate stage, if it has one.
pub(super) fn evaluation(work: &Work<'_>) -> Option<EvaluationReport> {
    let (name, _) = evaluated(work)?;
    let bytes = fs::read(work.folder.file(name, "evaluation.json")).ok()?;
    serde_json::from_slice(&bytes).ok()
}

/// Returns whether later stages can use the result of a stage with this verdict.
fn goes_on(verdict: &str) -> bool {
    [StageVerdict::Passed, StageVerdict::Warned].iter().any(|good| good.name() == verdict)
}

fn source(file: &str, bytes: &Bytes) -> Source {
    Source {
        file: file.to_owned(),
        size_bytes: bytes.len() as u64,
        kept: true,
        ..Source::default()
    }
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).map_err(|error| {
        Fault::internal("BOT-1017", format!("`{}` cannot be read: {error}", path.display()))
            .file(path)
    })
}

/// Reads a file and checks it against the digest that a stage recorded, so that only the data that was used is kept.
fn read_as_recorded(path: &Path, digest: Digest) -> Result<Bytes> {
    let bytes = read(path)?;
    if Digest::of(&bytes) == digest {
        return Ok(bytes.into());
    }
    let message = format!("`{}` changed while the pipeline was running", path.display());
    Err(Fault::conflict("BOT-5048", message)
        .file(path)
        .hint("run again: the stages that read it run again with the new content"))
}
