//! Profiles of files, of bytes and of records in memory.

use crate::{Profile, Profiler};
use botops_datasets::{Dataset, ReadOptions, RecordRows, Source, TableRows, table::Origin};
use botops_findings::Result;
use bytes::Bytes;
use std::{ops::ControlFlow, path::Path};

/// Profiles the file at `path`, or the files that match it as a pattern.
///
/// # Errors
/// Those of reading.
pub fn profile(path: &Path, read: &ReadOptions) -> Result<Profile> {
    of(TableRows::open(Origin::of(path)?, read, None)?)
}

/// Profiles a file of these `bytes`, called `name`, whose extension says its format.
///
/// # Errors
/// Those of reading.
pub fn profile_bytes(bytes: Bytes, name: &str, read: &ReadOptions) -> Result<Profile> {
    of(TableRows::open(Origin::held(bytes, name), read, None)?)
}

/// Profiles the columns with a role of records in memory.
#[must_use]
pub fn profile_records(data: &Dataset) -> Profile {
    of(RecordRows::new(data)).expect("reading records from memory does not fail")
}

fn of(mut source: impl Source) -> Result<Profile> {
    let mut profiler = Profiler::new(source.shape());
    source.each(&mut |row| {
        profiler.add(row);
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(profiler.finish(source.name()))
}
