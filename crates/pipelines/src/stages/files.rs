//! The files of a stage: read from the folders of others, written into its own.

use super::Work;
use botops_datasets::{self as datasets, Dataset, ReadOptions};
use botops_digest::Digest;
use botops_findings::{Fault, Result};
use botops_models::IntentModel;
use botops_registry::Version;
use serde::Serialize;
use std::{fs, path::Path};

pub(super) async fn load(work: &Work<'_>, version: &Version) -> Result<IntentModel> {
    IntentModel::from_bytes(&work.services.registry.file(version, "model.botops").await?)
}

pub(super) fn read_model(work: &Work<'_>, stage: &str) -> Result<(IntentModel, Digest)> {
    IntentModel::read(&work.folder.file(stage, "model.botops"))
}

pub(crate) fn read_output(work: &Work<'_>, stage: &str, file: &str) -> Result<Dataset> {
    read_as(&work.folder.file(stage, file), &format!("{stage}/{file}"), &ReadOptions::default())
}

/// Reads a data set and names it by `name`, so that what is written does not depend on where the workspace lies.
pub(super) fn read_as(path: &Path, name: &str, options: &ReadOptions) -> Result<Dataset> {
    let mut data = datasets::read(path, options)?;
    name.clone_into(&mut data.name);
    Ok(data)
}

pub(super) fn read_bytes(work: &Work<'_>, stage: &str, file: &str) -> Result<Vec<u8>> {
    let path = work.folder.file(stage, file);
    fs::read(&path).map_err(|error| {
        Fault::internal("BOT-1017", format!("`{}` cannot be read: {error}", path.display()))
            .file(&path)
    })
}

pub(super) fn read_json<T: serde::de::DeserializeOwned>(
    work: &Work<'_>,
    stage: &str,
    file: &str,
) -> Result<T> {
    let bytes = read_bytes(work, stage, file)?;
    serde_json::from_slice(&bytes).map_err(|error| {
        Fault::internal("BOT-8030", format!("`{file}` of stage `{stage}` cannot be read: {error}"))
            .file(work.folder.file(stage, file))
            .hint("remove its folder and run again")
    })
}

pub(super) fn write_json<T: Serialize>(made: &Path, name: &str, value: &T) -> Result<()> {
    let mut bytes = serde_json::to_vec_pretty(value).expect("a structure of ours is valid JSON");
    bytes.push(b'\n');
    write_bytes(made, name, &bytes)
}

pub(super) fn write_text(made: &Path, name: &str, text: &str) -> Result<()> {
    write_bytes(made, name, text.as_bytes())
}

/// Writes into a folder that is published whole, so the file itself needs no care.
pub(super) fn write_bytes(made: &Path, name: &str, bytes: &[u8]) -> Result<()> {
    let path = made.join(name);
    fs::write(&path, bytes).map_err(|error| {
        Fault::internal("BOT-1002", format!("`{}` cannot be written: {error}", path.display()))
            .file(&path)
            .hint("check the permissions and the free space of the folder")
    })
}
