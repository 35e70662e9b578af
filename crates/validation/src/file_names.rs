//! The file of each record, where a data set is read from several.

use botops_datasets::table::Row;
use std::sync::Arc;

/// Which file each record is of.
#[derive(Debug)]
pub(crate) struct Files {
    name: String,
    /// The files, where there are several, with the position of the first record of each.
    firsts: Vec<(u64, Arc<str>)>,
}

impl Files {
    /// Begins; all of them together are called `name`.
    pub(crate) fn new(name: &str) -> Self {
        Self { name: name.to_owned(), firsts: Vec::new() }
    }

    /// Takes `row`, the record at `position`, which comes after all others.
    pub(crate) fn note(&mut self, row: Row<'_>, position: u64) {
        if let Some(file) = row.file()
            && self.firsts.last().is_none_or(|(_, last)| last != file)
        {
            self.firsts.push((position, Arc::clone(file)));
        }
    }

    /// Returns the file of the record at `position`; `None`: what all of them are called.
    pub(crate) fn of(&self, position: Option<u64>) -> &str {
        let before = position
            .map_or(0, |position| self.firsts.partition_point(|(first, _)| *first <= position));
        let file = before.checked_sub(1).map(|at| &*self.firsts[at].1);
        file.unwrap_or(&self.name)
    }
}
