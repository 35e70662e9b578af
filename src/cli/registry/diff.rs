//! `botops registry diff`.

use super::held_knowledge::{self, KnowledgeChange};
use crate::cli::{
    Outcome,
    arguments::{data_args::DataArgs, data_source, model_arg::workspace_model},
    session::context::Context,
    terminal::tables,
};
use botops_datasets::{self as datasets, Presence};
use botops_digest::Digest;
use botops_evaluation::{self as evaluation, Comparison, Metric};
use botops_findings::{Fault, Result};
use botops_models::IntentModel;
use botops_registry::{IntentChanges, MODEL_FILE, Reference, Registry, Version, intent_changes};
use botops_snapshots::Held;
use botops_text::shell_line;
use serde::Serialize;
use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Version, such as support@3, or @3 for the workspace's model
    a: String,
    /// The other version
    b: String,
    /// Compare the predictions on this data: how many records one gets right and the other wrong
    #[arg(long, value_name = "FILE")]
    data: Option<PathBuf>,
    #[command(flatten)]
    columns: DataArgs,
}

/// A value of both versions; `None` where a version has none.
#[derive(Serialize)]
struct Difference<T> {
    name: String,
    a: Option<T>,
    b: Option<T>,
}

#[derive(Serialize)]
struct Answer {
    schema: &'static str,
    a: String,
    b: String,
    /// Whether both hold the same model file.
    same_model: bool,
    /// Data, code, author and size, where they differ.
    origin: Vec<Difference<String>>,
    params: Vec<Difference<serde_json::Value>>,
    metrics: Vec<Difference<Metric>>,
    /// The size of the model files in bytes.
    size_bytes: [Option<u64>; 2],
    intents: IntentChanges,
    /// `a` is the champion in it, and `b` the challenger.
    predictions: Option<Comparison>,
    /// The training data of `a` and of `b`; `None` where the version names none.
    training_data: [Option<TrainingData>; 2],
    /// The knowledge bases that differ.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    knowledge: Vec<KnowledgeChange>,
}

/// The training data of a version.
#[derive(Serialize)]
struct TrainingData {
    /// The digest of its bytes.
    digest: Digest,
    /// The file of the newest snapshot that has it, such as `support@3:train.csv`; `None` if no snapshot was found.
    file: Option<String>,
    /// The number of its records; `None` without a snapshot, or if the columns cannot be told.
    records: Option<u64>,
}

/// The most manifests of snapshots that are read for the training data of both versions.
const MOST_MANIFESTS: usize = 500;

pub(super) fn run(args: &Args, context: &Context) -> Result<Outcome> {
    let [a, b] = [reference(&args.a, context)?, reference(&args.b, context)?];
    let registry = context.registry()?;
    let (a, b) = context.wait(async {
        Ok::<_, Fault>((registry.resolve(&a).await?, registry.resolve(&b).await?))
    })??;
    let predictions = match &args.data {
        None => None,
        Some(path) => {
            let options = args.columns.options(Presence::Required);
            let data = data_source::dataset(context, path, &options)?;
            let (old, new) = (model(context, &registry, &a)?, model(context, &registry, &b)?);
            Some(evaluation::compare((&old.0, old.1), (&new.0, new.1), &data)?)
        }
    };
    let training_data = training_data([&a, &b], &args.columns, context)?;
    let held = |version: &Version| held_knowledge::of_version(context, &registry, version);
    let knowledge = held_knowledge::changes(held(&a), held(&b));
    let answer = answer((&a, &b), predictions, training_data, knowledge);
    let mut findings = a.warnings();
    findings.extend(b.warnings());
    let text = text(&answer);
    let next = shell_line(["botops", "registry", "show", &answer.b]);
    Ok(Outcome::done(&answer, text).findings(findings).next(next))
}

/// Reads a reference; `@3` is a version of the workspace's model.
fn reference(text: &str, context: &Context) -> Result<Reference> {
    match text.starts_with('@') {
        true => format!("{}{text}", workspace_model(context)?).parse(),
        false => text.parse(),
    }
}

fn model(
    context: &Context,
    registry: &Registry,
    version: &Version,
) -> Result<(IntentModel, Digest)> {
    let bytes = context.wait(registry.file(version, MODEL_FILE))??;
    Ok((IntentModel::from_bytes(&bytes)?, Digest::of(&bytes)))
}

/// Finds the training data of both versions in the snapshots of the store, and counts their records.
fn training_data(
    versions: [&Version; 2],
    columns: &DataArgs,
    context: &Context,
) -> Result<[Option<TrainingData>; 2]> {
    let snapshots = context.snapshots()?;
    let wanted = versions.iter().filter_map(|version| version.manifest.data).collect();
    let held = context.wait(snapshots.holding(&wanted, MOST_MANIFESTS))??;
    let mut known: BTreeMap<Digest, (String, Option<u64>)> = BTreeMap::new();
    for (digest, Held { snapshot, path }) in held {
        let name = format!("{}:{path}", snapshot.reference());
        let file = snapshots.file(&snapshot, Some(&path))?;
        let bytes = context.wait(snapshots.bytes(&snapshot, file))??;
        let options = columns.options(Presence::Optional);
        // Another version may have been trained on other columns than these flags name.
        let records = match datasets::read_bytes(&bytes, &name, &options) {
            Ok(data) => Some(data.records.len() as u64),
            Err(_) => None,
        };
        known.insert(digest, (name, records));
    }
    Ok(versions.map(|version| {
        let digest = version.manifest.data?;
        let (file, records) = known.get(&digest).cloned().unzip();
        Some(TrainingData { digest, file, records: records.flatten() })
    }))
}

fn answer(
    (a, b): (&Version, &Version),
    predictions: Option<Comparison>,
    training_data: [Option<TrainingData>; 2],
    knowledge_changes: Vec<KnowledgeChange>,
) -> Answer {
    let [old, new] = [&a.manifest, &b.manifest];
    let size = |version: &Version| version.manifest.file(MODEL_FILE).map(|file| file.size_bytes);
    let digest = |digest: Option<Digest>| digest.map(|digest| digest.to_string());
    let origin = [
        ("training data", digest(old.data), digest(new.data)),
        ("git commit", old.git_commit.clone(), new.git_commit.clone()),
        ("run", old.run.clone(), new.run.clone()),
        ("made by", Some(old.creator.clone()), Some(new.creator.clone())),
        ("botops", Some(old.botops.clone()), Some(new.botops.clone())),
    ];
    let origin = origin.into_iter().map(|(name, a, b)| (name.to_owned(), a, b));
    let [was, is] = [old.knowledge(), new.knowledge()];
    let names: BTreeSet<&String> = was.keys().chain(is.keys()).collect();
    let knowledge = names.into_iter().map(|name| {
        let of = |all: &BTreeMap<String, Digest>| digest(all.get(name).copied());
        (format!("knowledge {name}"), of(&was), of(&is))
    });
    let origin = origin.chain(knowledge).filter(|(_, a, b)| a != b);
    let param_names: BTreeSet<&String> = old.params.keys().chain(new.params.keys()).collect();
    let params = param_names.into_iter().map(|name| Difference {
        name: name.clone(),
        a: old.params.get(name).cloned(),
        b: new.params.get(name).cloned(),
    });
    let metric_names: BTreeSet<&String> = old.metrics.keys().chain(new.metrics.keys()).collect();
    let metrics = metric_names.into_iter().map(|name| Difference {
        name: name.clone(),
        a: old.metrics.get(name).cloned(),
        b: new.metrics.get(name).cloned(),
    });
    Answer {
        schema: "botops.registry-diff/1",
        a: a.reference(),
        b: b.reference(),
        same_model: a.model_digest().is_some() && a.model_digest() == b.model_digest(),
        origin: origin.map(|(name, a, b)| Difference { name, a, b }).collect(),
        params: params.filter(|param| param.a != param.b).collect(),
        metrics: metrics.collect(),
        size_bytes: [size(a), size(b)],
        intents: intent_changes(old, new),
        predictions,
        training_data,
        knowledge: knowledge_changes,
    }
}

fn text(answer: &Answer) -> String {
    let Answer { a, b, .. } = answer;
    let shown = |value: &Option<String>| value.clone().unwrap_or_else(|| "-".to_owned());
    let mut rows: Vec<Vec<String>> = Vec::new();
    for Difference { name, a, b } in &answer.origin {
        rows.push(vec![name.clone(), shown(a), shown(b)]);
    }
    let [old, new] = &answer.training_data;
    let of_both = |value: &dyn Fn(&TrainingData) -> Option<String>| {
        [old, new].map(|data| data.as_ref().and_then(value))
    };
    let files = of_both(&|data| data.file.as_deref().map(|file| botops_text::display(file, 200)));
    if files != [None, None] {
        rows.push(vec!["snapshot".to_owned(), shown(&files[0]), shown(&files[1])]);
        let records = of_both(&|data| data.records.map(tables::count));
        rows.push(vec!["records".to_owned(), shown(&records[0]), shown(&records[1])]);
    }
    let size = answer.size_bytes.map(|size| size.map(tables::count));
    rows.push(vec!["model bytes".to_owned(), shown(&size[0]), shown(&size[1])]);
    for Difference { name, a, b } in &answer.params {
        let value = |value: &Option<serde_json::Value>| match value {
            Some(serde_json::Value::String(text)) => text.clone(),
            Some(value) => value.to_string(),
            None => "-".to_owned(),
        };
        rows.push(vec![name.clone(), value(a), value(b)]);
    }
    for Difference { name, a, b } in &answer.metrics {
        let value =
            |metric: &Option<Metric>| metric.as_ref().map_or("-".to_owned(), tables::metric);
        rows.push(vec![name.clone(), value(a), value(b)]);
    }
    let mut out = tables::table(&["", a, b], rows, &[]);
    if answer.same_model {
        out.push_str("both hold the same model, to the byte\n");
    }
    out.extend(answer.knowledge.iter().map(KnowledgeChange::text));
    for (word, names) in [("added", &answer.intents.added), ("removed", &answer.intents.removed)] {
        if !names.is_empty() {
            out.push_str(&format!("intents {word}: {}\n", names.join(", ")));
        }
    }
    if let Some(found) = &answer.predictions {
        out.push_str(&format!(
            "\non {} records: accuracy {:.3} -> {:.3}, newly right {}, newly wrong {}, McNemar p {}\n",
            tables::count(found.n),
            found.champion_accuracy,
            found.challenger_accuracy,
            tables::count(found.newly_right.len() as u64),
            tables::count(found.newly_wrong.len() as u64),
            tables::p_value(found.mcnemar_p),
        ));
    }
    out
}
