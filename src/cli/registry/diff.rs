//! `botops registry diff`.

use crate::cli::{
    Outcome,
    arguments::{data_args::DataArgs, data_source, model_arg::workspace_model},
    session::context::Context,
    terminal::tables,
};
use botops_datasets::Presence;
use botops_digest::Digest;
use botops_evaluation::{self as evaluation, Comparison, Metric};
use botops_findings::{Fault, Result};
use botops_models::IntentModel;
use botops_registry::{IntentChanges, MODEL_FILE, Reference, Registry, Version, intent_changes};
use botops_text::shell_line;
use serde::Serialize;
use std::{collections::BTreeSet, path::PathBuf};

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
}

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
    let answer = answer(&a, &b, predictions);
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

fn answer(a: &Version, b: &Version, predictions: Option<Comparison>) -> Answer {
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
    let origin = origin.into_iter().filter(|(_, a, b)| a != b);
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
        origin: origin.map(|(name, a, b)| Difference { name: name.to_owned(), a, b }).collect(),
        params: params.filter(|param| param.a != param.b).collect(),
        metrics: metrics.collect(),
        size_bytes: [size(a), size(b)],
        intents: intent_changes(old, new),
        predictions,
    }
}

fn text(answer: &Answer) -> String {
    let Answer { a, b, .. } = answer;
    let shown = |value: &Option<String>| value.clone().unwrap_or_else(|| "-".to_owned());
    let mut rows: Vec<Vec<String>> = Vec::new();
    for Difference { name, a, b } in &answer.origin {
        rows.push(vec![name.clone(), shown(a), shown(b)]);
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
