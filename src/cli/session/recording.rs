//! The record of a run in the experiments store.

use super::{context::Context, provenance};
use crate::cli::arguments::{data_args::DataArgs, data_source};
use botops_datasets::{self as datasets, Dataset, Presence, ReadOptions, formats::csv::word};
use botops_digest::Digest;
use botops_evaluation::Metric;
use botops_experiments::{Artifact, Basis, Cost, Recipe, Recorded, RunRecord, Source};
use botops_findings::Result;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use std::{collections::BTreeMap, path::Path};

/// The bytes and the digest of a file at the time when a verb read it.
#[derive(Clone)]
pub(crate) struct Input {
    bytes: Bytes,
    digest: Digest,
    source: Source,
}

impl Input {
    /// Reads the file at `path`.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let bytes = Bytes::from(datasets::bytes(path)?);
        let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Ok(Self {
            digest: Digest::of(&bytes),
            source: Source { file, size_bytes: bytes.len() as u64, ..Source::default() },
            bytes,
        })
    }

    /// Reads the data at `path` once: a file, a pattern of files, a file of a snapshot, or `-` for standard input.
    pub(crate) fn data(
        context: &Context,
        path: &Path,
        columns: &DataArgs,
    ) -> Result<(Self, Dataset)> {
        let options = columns.options(Presence::Required);
        if datasets::expand(path)?.len() > 1 {
            return Self::several(path, &options);
        }
        let data_source::Source { bytes, name, file, snapshot } = data_source::read(context, path)?;
        let data = datasets::read_bytes(&bytes, &name, &options)?;
        let ReadOptions { text_column, intent_column, lang_column, format, delimiter, .. } =
            options;
        let size_bytes = bytes.len() as u64;
        let source = Source {
            file,
            size_bytes,
            kept: false,
            snapshot,
            text_column,
            intent_column,
            lang_column,
            format: format.map(|format| format.name().to_owned()),
            delimiter: delimiter.map(word),
            encoding: columns.encoding.map(|encoding| encoding.name().to_owned()),
        };
        Ok((Self { digest: data.digest, source, bytes }, data))
    }

    /// Reads the files that match the pattern `path`; the input is one CSV file with all their records.
    fn several(path: &Path, options: &ReadOptions) -> Result<(Self, Dataset)> {
        let mut data = datasets::read(path, options)?;
        let bytes = Bytes::from(datasets::csv_bytes(&data));
        data.digest = Digest::of(&bytes);
        let size_bytes = bytes.len() as u64;
        let source = Source { file: "several.csv".to_owned(), size_bytes, ..Source::default() };
        Ok((Self { digest: data.digest, source, bytes }, data))
    }

    /// Returns the digest of the bytes.
    pub(crate) fn digest(&self) -> Digest {
        self.digest
    }
}

/// A run to record.
pub(crate) struct Recording<'a> {
    /// `train` or `cross_validation`: see [`RunRecord::kind`].
    pub(crate) kind: &'a str,
    /// The time when the work began.
    pub(crate) began: DateTime<Utc>,
    /// The settings by dotted name.
    pub(crate) params: BTreeMap<String, serde_json::Value>,
    /// The metrics by name.
    pub(crate) metrics: BTreeMap<String, Metric>,
    /// The data and the method of the metrics; `None` stands for the input `test`.
    pub(crate) measured_on: Option<Basis>,
    /// The files read, as `train`, `test` or `dialogue`; the store keeps them, so that the run can be reproduced.
    pub(crate) inputs: Vec<(&'a str, Input)>,
    /// The files written, by name.
    pub(crate) artifacts: Vec<(&'a str, Bytes)>,
    /// The recipe of the model, if the run made one.
    pub(crate) recipe: Option<Recipe>,
    /// The cost of each phase.
    pub(crate) costs: Vec<Cost>,
}

/// Returns whether a verb records its run: if the flag is set, and always in a workspace.
pub(crate) fn is_recorded(context: &Context, flag: bool) -> Result<bool> {
    Ok(flag || context.workspace()?.root.join(botops_workspace::FILE_NAME).exists())
}

/// Returns the line about a recorded run.
pub(crate) fn text(run: &Recorded) -> String {
    match &run.twin_of {
        Some(twin) => format!(
            "run {}, a twin of run {twin}: the same data, settings, code and result\n",
            run.id
        ),
        None => format!("run {}\n", run.id),
    }
}

/// Checks, before the work, that its run can be recorded, if it is to be: the location of the store must be valid.
/// Reads and writes nothing.
///
/// # Errors
/// `BOT-5001` (exit 2).
pub(crate) fn check(context: &Context, flag: bool) -> Result<()> {
    match is_recorded(context, flag)? {
        true => context.experiments().map(drop),
        false => Ok(()),
    }
}

/// Records a run in the experiments in force, with the code and the machine. A run that repeats an earlier one names it.
pub(crate) fn record(context: &Context, recording: Recording<'_>) -> Result<Recorded> {
    let Recording { kind, began, params, metrics, measured_on, inputs, artifacts, recipe, costs } =
        recording;
    let (mut data, mut sources, mut files) = (BTreeMap::new(), BTreeMap::new(), Vec::new());
    for (name, input) in inputs {
        data.insert(name.to_owned(), input.digest);
        sources.insert(name.to_owned(), Source { kept: true, ..input.source });
        files.push(input.bytes);
    }
    let described = artifacts.iter().map(|(name, bytes)| Artifact::of(name, bytes)).collect();
    files.extend(artifacts.into_iter().map(|(_, bytes)| bytes));
    let run = RunRecord {
        schema: String::new(),
        id: String::new(),
        kind: kind.to_owned(),
        started_at: began,
        finished_at: provenance::now()?,
        params,
        metrics,
        data,
        code: provenance::code_state(Path::new(".")),
        environment: provenance::environment(),
        artifacts: described,
        stages: BTreeMap::new(),
        sources,
        recipe,
        measured_on,
        costs,
        twin_of: None,
    };
    let experiments = context.experiments()?;
    context.wait(experiments.commit_again(run, &files))?
}
