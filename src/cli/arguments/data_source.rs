//! Data named on the command line: a file, or a file of a snapshot such as `support@3:train.csv`.

use crate::cli::session::context::Context;
use botops_datasets::{self as datasets, Dataset, ReadOptions, Stream};
use botops_expectations::Expectations;
use botops_findings::Result;
use botops_snapshots::{SnapshotReference, Snapshots};
use bytes::Bytes;
use std::path::Path;

/// A file that was read.
pub(crate) struct Source {
    /// The bytes of the file.
    pub(crate) bytes: Bytes,
    /// The name in messages; its extension gives the format.
    pub(crate) name: String,
    /// The name without the folder.
    pub(crate) file: String,
    /// The snapshot that the file belongs to, by digest: `support@sha256:…`.
    pub(crate) snapshot: Option<String>,
}

/// Returns `path` as the reference of a snapshot; `None` if it is not one, or if a file has that name.
pub(crate) fn reference(path: &Path) -> Option<SnapshotReference> {
    let text = path.to_str()?;
    if !text.contains('@') || path.exists() {
        return None;
    }
    text.parse().ok()
}

/// Reads the file, or the file of a snapshot, that `path` names.
pub(crate) fn read(context: &Context, path: &Path) -> Result<Source> {
    let file_name =
        |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let Some(reference) = reference(path) else {
        return Ok(Source {
            bytes: datasets::bytes(path)?.into(),
            name: path.display().to_string(),
            file: file_name(path),
            snapshot: None,
        });
    };
    let snapshots = Snapshots::open(context.registry()?.store().clone());
    context.wait(async {
        let snapshot = snapshots.resolve(&reference).await?;
        let file = snapshots.file(&snapshot, reference.file.as_deref())?;
        Ok(Source {
            bytes: snapshots.bytes(&snapshot, file).await?.into(),
            name: format!("{}:{}", snapshot.reference(), file.path),
            file: file_name(Path::new(&file.path)),
            snapshot: Some(snapshot.lasting_reference()),
        })
    })?
}

/// Reads the expectations at `given`, else `expectations.yaml` beside the data at `path`; without a file, there are none.
pub(crate) fn expectations(path: &Path, given: Option<&Path>) -> Result<Expectations> {
    let beside = path.with_file_name("expectations.yaml");
    match given {
        Some(path) => Expectations::read(path),
        // The neighbors of a file of a snapshot are in the store, not in the current folder.
        None if reference(path).is_none() && beside.exists() => Expectations::read(&beside),
        None => Ok(Expectations::default()),
    }
}

/// Returns whether `path` names a snapshot of a stored data set; the version of a model has the same form.
pub(crate) fn is_stored(context: &Context, path: &Path) -> Result<bool> {
    let Some(reference) = reference(path) else { return Ok(false) };
    let snapshots = Snapshots::open(context.registry()?.store().clone());
    Ok(context.wait(snapshots.names())??.contains(&reference.name))
}

/// Reads the records of the file, or of the file of a snapshot, that `path` names.
pub(crate) fn dataset(context: &Context, path: &Path, options: &ReadOptions) -> Result<Dataset> {
    if reference(path).is_none() {
        return datasets::read(path, options);
    }
    let source = read(context, path)?;
    datasets::read_bytes(&source.bytes, &source.name, options)
}

/// Opens the file, or the file of a snapshot, that `path` names, to read its records in parts.
pub(crate) fn stream(context: &Context, path: &Path, options: &ReadOptions) -> Result<Stream> {
    if reference(path).is_none() {
        return datasets::stream(path, options);
    }
    let source = read(context, path)?;
    datasets::stream_bytes(source.bytes, &source.name, options)
}
