//! The file name of each record, for data sets that are read from several files.

use botops_datasets::table::Row;
use std::sync::Arc;

/// The file names by record.
#[derive(Debug)]
pub(crate) struct FileNames {
    name: String,
    /// The position of the first record of each file, and its name; empty for a single file.
    firsts: Vec<(u64, Arc<str>)>,
}

impl FileNames {
    /// Begins; `name` names all files together.
    pub(crate) fn new(name: &str) -> Self {
        Self { name: name.to_owned(), firsts: Vec::new() }
    }

    /// Adds `row`, the record at `position`, which follows all others.
    pub(crate) fn note(&mut self, row: Row<'_>, position: u64) {
        if let Some(file) = row.file()
            && self.firsts.last().is_none_or(|(_, last)| last != file)
        {
            self.firsts.push((position, Arc::clone(file)));
        }
    }

    /// Returns the file name of the record at `position`; for `None`, the name of all files together.
    pub(crate) fn of(&self, position: Option<u64>) -> &str {
        let before = position
            .map_or(0, |position| self.firsts.partition_point(|(first, _)| *first <= position));
        let file = before.checked_sub(1).map(|at| &*self.firsts[at].1);
        file.unwrap_or(&self.name)
    }
}
