//! The files of stages: reads the outputs of other stages, writes the outputs of this one.

use super::work::Work;
use crate::state::Folder;
use botops_datasets::{self as datasets, Dataset, ReadOptions};
use botops_digest::Digest;
use botops_findings::{Fault, Result};
use botops_models::IntentModel;
use botops_registry::Version;
use serde::Serialize;
use std::{fs, path::Path};

/// The file of an evaluation that had too few records.
pub(crate) const INSUFFICIENT: &str = "insufficient.json";

/// Reads the model of a registered version.
pub(super) async fn load(work: &Work<'_>, version: &Version) -> Result<IntentModel> {
    IntentModel::from_bytes(&work.services.registry.file(version, "model.botops").await?)
}

/// Reads the model of a train stage, with the digest of its file.
pub(super) fn read_model(work: &Work<'_>, stage: &str) -> Result<(IntentModel, Digest)> {
    IntentModel::read(&work.folder.file(stage, "model.botops"))
}

/// Reads a data file that a stage wrote, and names it `<stage>/<file>`.
pub(crate) fn read_output(work: &Work<'_>, stage: &str, file: &str) -> Result<Dataset> {
    read_as(&work.folder.file(stage, file), &format!("{stage}/{file}"), &ReadOptions::default())
}

/// Reads a data set and names it `name`, so that outputs do not depend on the location of the workspace.
pub(super) fn read_as(path: &Path, name: &str, options: &ReadOptions) -> Result<Dataset> {
    let mut data = datasets::read(path, options)?;
    name.clone_into(&mut data.name);
    Ok(data)
}

/// Reads the output `file` of `stage`.
pub(super) fn read_bytes(work: &Work<'_>, stage: &str, file: &str) -> Result<Vec<u8>> {
    bytes(&work.folder.file(stage, file))
}

fn bytes(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).map_err(|error| {
        Fault::internal("BOT-1017", format!("`{}` cannot be read: {error}", path.display()))
            .file(path)
    })
}

/// Reads the output `file` of `stage` as JSON.
pub(super) fn read_json<T: serde::de::DeserializeOwned>(
    work: &Work<'_>,
    stage: &str,
    file: &str,
) -> Result<T> {
    read_json_in(work.folder, stage, file)
}

/// As [`read_json`], in the state `folder` of a pipeline.
pub(crate) fn read_json_in<T: serde::de::DeserializeOwned>(
    folder: &Folder,
    stage: &str,
    file: &str,
) -> Result<T> {
    let path = folder.file(stage, file);
    serde_json::from_slice(&bytes(&path)?).map_err(|error| {
        Fault::internal("BOT-8030", format!("`{file}` of stage `{stage}` cannot be read: {error}"))
            .file(&path)
            .hint("remove its folder and run again")
    })
}

/// Writes `value` as indented JSON with a final line feed.
pub(super) fn write_json<T: Serialize>(made: &Path, name: &str, value: &T) -> Result<()> {
    let mut bytes = serde_json::to_vec_pretty(value).expect("an output serializes to JSON");
    bytes.push(b'\n');
    write_bytes(made, name, &bytes)
}

/// Writes `text` as the output `name`.
pub(super) fn write_text(made: &Path, name: &str, text: &str) -> Result<()> {
    write_bytes(made, name, text.as_bytes())
}

/// Writes the output `name`. No atomic write is needed: the folder is published as a whole.
pub(super) fn write_bytes(made: &Path, name: &str, bytes: &[u8]) -> Result<()> {
    let path = made.join(name);
    fs::write(&path, bytes).map_err(|error| {
        Fault::internal("BOT-1002", format!("`{}` cannot be written: {error}", path.display()))
            .file(&path)
            .hint("check the permissions and the free space of the folder")
    })
}
