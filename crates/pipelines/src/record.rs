//! What is kept of a run: settings, results, and the data it learned from.

use super::{
    run::{RunSummary, StageOutcome},
    spec::{EvaluateStage, StageSpec, TrainStage},
    stages::{Work, read_output},
    state::{Folder, write},
};
use botops_datasets::{self as datasets, Dataset};
use botops_digest::Digest;
use botops_evaluation::EvaluationReport;
use botops_experiments::{Artifact, Recipe, RunRecord, Source, Step};
use botops_findings::{Fault, Result};
use botops_models as models;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, fs, path::Path};

/// What was last recorded, so that unchanged work is not recorded again tomorrow.
#[derive(Debug, Serialize, Deserialize)]
struct LastRun {
    content: Digest,
    run: String,
}

/// What is gathered of the stages that ran.
#[derive(Default)]
struct Gathered {
    stages: BTreeMap<String, String>,
    data: BTreeMap<String, Digest>,
    params: BTreeMap<String, serde_json::Value>,
    /// The files stages wrote, by `<stage>/<file>`.
    files: Vec<(String, Vec<u8>)>,
}

/// Records everything up to the push as a run, once for the same content; returns its id.
///
/// The promotion is the registry's to record: a run is what was learned and how good it is.
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
        // It may have been removed since.
        && services.experiments.has(&last.run).await?
    {
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
        // One edited since is not the one that was used: the model holds that.
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
    };
    let run = services.experiments.commit(run, &kept).await?;
    let bytes =
        serde_json::to_vec(&LastRun { content, run: run.clone() }).expect("a record is valid JSON");
    write(&last, &bytes)?;
    Ok(Some(run))
}

/// Gathers what the stages that ran in this run, or stand from an earlier one, have to say.
fn gather(work: &Work<'_>, failed: Option<&RunSummary>) -> Result<Gathered> {
    let mut gathered = Gathered::default();
    for stage in &work.plan.stages {
        let Some(spec) = &stage.spec else { continue };
        if matches!(spec, StageSpec::Push(_) | StageSpec::Promote(_)) {
            continue;
        }
        if let Some(summary) = failed {
            let outcome = summary
                .stages
                .iter()
                .find(|seen| seen.stage == stage.name)
                .map(|seen| seen.outcome);
            match outcome {
                Some(StageOutcome::NotRun) | None => continue,
                Some(outcome @ (StageOutcome::Failed | StageOutcome::Insufficient)) => {
                    gathered.stages.insert(stage.name.clone(), outcome.name().to_owned());
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
            // Copies of the data are no results: what was learned from is kept as what it is.
            if !name.ends_with(".csv") {
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

/// Returns how the model of stage `name` was made, when it was.
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

/// Returns what came about on the way from `data` to the model file `model`, in order; `accepted` are the records that
/// were learned from, where some may have been left out.
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

/// Returns the train stage whose model is the run's: the one that is evaluated, else the first.
fn trained<'a>(work: &Work<'a>) -> Option<(&'a str, &'a TrainStage)> {
    let wanted = evaluated(work).map(|(_, evaluate)| evaluate.model.as_str());
    let mut trains = work.plan.stages.iter().filter_map(|stage| match &stage.spec {
        Some(StageSpec::Train(train)) => Some((stage.name.as_str(), &**train)),
        _ => None,
    });
    trains.find(|(name, _)| wanted.is_none_or(|wanted| wanted == *name))
}

/// Returns the evaluate stage whose metrics are the run's: the first.
fn evaluated<'a>(work: &Work<'a>) -> Option<(&'a str, &'a EvaluateStage)> {
    work.plan.stages.iter().find_map(|stage| match &stage.spec {
        Some(StageSpec::Evaluate(evaluate)) => Some((stage.name.as_str(), evaluate)),
        _ => None,
    })
}

pub(super) fn evaluation(work: &Work<'_>) -> Option<EvaluationReport> {
    let (name, _) = evaluated(work)?;
    let bytes = fs::read(work.folder.file(name, "evaluation.json")).ok()?;
    serde_json::from_slice(&bytes).ok()
}

/// Returns whether a stage of this verdict leaves something to go on with.
fn goes_on(verdict: &str) -> bool {
    use super::StageVerdict::{Passed, Warned};
    [Passed, Warned].iter().any(|good| good.name() == verdict)
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

/// Reads a file whose digest a stage recorded: what is kept is what was learned from, or nothing is.
fn read_as_recorded(path: &Path, digest: Digest) -> Result<Bytes> {
    let bytes = read(path)?;
    if Digest::of(&bytes) == digest {
        return Ok(bytes.into());
    }
    let message = format!("`{}` changed while the pipeline was running", path.display());
    Err(Fault::conflict("BOT-5048", message)
        .file(path)
        .hint("run again: the stages that read it will see the change"))
}

fn read_last(path: &Path) -> Option<LastRun> {
    serde_json::from_slice(&fs::read(path).ok()?).ok()
}

/// Returns the id of the run recorded last.
pub(super) fn last_run(folder: &Folder) -> Option<String> {
    read_last(&folder.own("run.json")).map(|last| last.run)
}

/// Flattens nested settings into dotted keys.
pub fn flatten(
    prefix: &str,
    value: &serde_json::Value,
    into: &mut BTreeMap<String, serde_json::Value>,
) {
    match value {
        serde_json::Value::Object(map) => {
            for (key, value) in map {
                flatten(&format!("{prefix}.{key}"), value, into);
            }
        }
        serde_json::Value::Null => {}
        value => {
            into.insert(prefix.to_owned(), value.clone());
        }
    }
}
