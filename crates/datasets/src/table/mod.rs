//! Tables: a file becomes rows of all its columns, batch by batch, each with record number and line.
//!
//! This is the only reader of every format; records are made from its rows. In: an [`Origin`]. Out: [`Batch`]es of
//! [`Row`]s. The memory in use does not grow with the file, unless the plan is to read whole files.

pub mod rows;

mod batch;
mod csv;
mod file_rows;
mod json;
mod origin;
mod plan;
mod shape;

pub use batch::{Batch, Row};
pub use origin::Origin;
pub(crate) use plan::ReadPlan;
pub use shape::Shape;

use crate::{
    column_roles::check_columns,
    formats::{encoding, rasa::NonRecords},
    read_options::ReadOptions,
};
use botops_digest::Digest;
use botops_findings::Result;
use file_rows::FileRows;
use std::{fmt, sync::Arc};

/// Reads the rows of a file, or of several files as one table, in their order.
///
/// - the columns are those of the first file; other columns of later files are not read
/// - the columns with a role have the same names in all files that have rows
/// - the columns of a JSON file are the keys of its first part: of the whole file for [`crate::read()`], of the first
///   1 MiB for streams and tables
pub struct Table {
    origin: Origin,
    options: ReadOptions,
    plan: ReadPlan,
    /// The file that is being read.
    file: FileRows,
    /// The name of that file, if there are several.
    file_name: Option<Arc<str>>,
    /// The index of the next file.
    next: usize,
    /// The columns of the first file as columns of the current file; `None`: they are the same.
    columns: Option<Vec<Option<usize>>>,
    shape: Shape,
    /// The size of the files that were read to the end, in bytes.
    n_done: u64,
    /// The size of all files, in bytes.
    n_bytes: u64,
    digests: Vec<Option<Digest>>,
    non_records: NonRecords,
}

impl fmt::Debug for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Table {{ {}, {:?} }}", self.file.name, self.file.progress)
    }
}

impl Table {
    /// Opens the first file of `origin`, to read all columns.
    ///
    /// # Errors
    /// Those of [`crate::read()`] that the beginning of the file shows.
    pub fn open(origin: &Origin, options: &ReadOptions) -> Result<Self> {
        let table = Self::begin(origin, options, ReadPlan::ROWS)?;
        // A file that holds terms of Rasa and no rows may be one of several.
        if origin.len() == 1 && table.file.is_empty() {
            return Err(encoding::no_record(origin.name()));
        }
        Ok(table)
    }

    /// Opens the first file of `origin`, to read it as `plan` says.
    ///
    /// # Errors
    /// Those of [`crate::read()`] that the beginning of the file shows.
    pub(crate) fn begin(origin: &Origin, options: &ReadOptions, plan: ReadPlan) -> Result<Self> {
        let Some(opened) = origin.open(0, options, plan.identity)? else {
            return Err(encoding::empty(origin.name()));
        };
        let mut file = FileRows::begin(opened, options, plan)?;
        Ok(Self {
            origin: origin.clone(),
            options: options.clone(),
            plan,
            file_name: (origin.len() > 1).then(|| file.name.as_str().into()),
            next: 1,
            columns: None,
            shape: file.shape().clone(),
            n_done: 0,
            n_bytes: origin.n_bytes(),
            digests: Vec::new(),
            non_records: std::mem::take(&mut file.non_records),
            file,
        })
    }

    /// Returns the columns.
    #[must_use]
    pub fn shape(&self) -> &Shape {
        &self.shape
    }

    /// Returns the columns of the current file.
    pub(crate) fn file_shape(&self) -> &Shape {
        self.file.shape()
    }

    /// Returns the name of the current file.
    pub(crate) fn file_name(&self) -> &str {
        &self.file.name
    }

    /// Returns the size of the stored files in bytes, and how many of them were read.
    pub(crate) fn progress(&self) -> (u64, u64) {
        let (size, read) = self.file.progress.bytes();
        (self.n_bytes.max(self.n_done + size), self.n_done + read)
    }

    /// Returns the digest of the files, once they were read to the end; `None` unless the plan is to compute it.
    ///
    /// The digest of several files is that of the list of their digests.
    pub(crate) fn digest(&self) -> Option<Digest> {
        match self.digests.as_slice() {
            [only] => *only,
            several => several.iter().all(Option::is_some).then(|| Digest::of_json(several)),
        }
    }

    /// Takes the parts of the files that are not records. They are complete once the files were read to the end.
    pub(crate) fn take_non_records(&mut self) -> NonRecords {
        std::mem::take(&mut self.non_records)
    }

    /// Reads the next rows; `None` at the end.
    ///
    /// # Errors
    /// As [`crate::read()`]. The rows before a fault are returned first, and nothing is read after it.
    #[expect(clippy::should_implement_trait, reason = "an iterator cannot end with a fault")]
    pub fn next(&mut self) -> Result<Option<Batch>> {
        loop {
            if let Some(batch) = self.file.next()? {
                let batch = match &self.columns {
                    Some(columns) => batch.of_columns(columns),
                    None => batch,
                };
                return Ok(Some(batch.of_file(self.file_name.clone())));
            }
            if self.next > self.origin.len() {
                return Ok(None);
            }
            self.digests.push(self.file.progress.digest());
            let opened = self.origin.open(self.next, &self.options, self.plan.identity)?;
            self.next += 1;
            let Some(opened) = opened else { return Ok(None) };
            let mut file = FileRows::begin(opened, &self.options, self.plan)?;
            let shape = file.shape();
            if !file.is_empty() {
                let (found, expected) = (shape.by_role(), self.shape.by_role());
                check_columns(&file.name, &found, &self.file.name, &expected)?;
            }
            let is_same = shape.names == self.shape.names;
            self.columns = (!is_same)
                .then(|| self.shape.names.iter().map(|name| shape.column(name)).collect());
            self.n_done += self.file.progress.bytes().0;
            self.non_records.append(std::mem::take(&mut file.non_records));
            self.file_name = Some(file.name.as_str().into());
            self.file = file;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{opening::Identity, read_bytes, read_options::Presence};
    use std::{io::Write as _, path::Path};

    fn options() -> ReadOptions {
        ReadOptions { intent: Presence::Optional, ..ReadOptions::default() }
    }

    /// The file, the number, the line and the cells of a row.
    type Seen = (Option<String>, u64, u64, Vec<String>);

    fn seen(batch: &Batch, shape: &Shape) -> Vec<Seen> {
        let cells =
            |row: Row<'_>| (0..shape.names.len()).map(|at| row.cell(at).to_owned()).collect();
        let file = |row: Row<'_>| row.file().map(|file| file.to_string());
        batch.rows().map(|row| (file(row), row.record(), row.line(), cells(row))).collect()
    }

    fn single(bytes: &[u8], name: &str, step: usize) -> Result<Vec<Seen>> {
        let origin = Origin::held(bytes.to_vec().into(), name);
        let opened = origin.open(0, &options(), Identity::Unknown)?.unwrap();
        let mut rows = FileRows::begin(opened, &options(), ReadPlan { step, ..ReadPlan::ROWS })?;
        let mut all = Vec::new();
        while let Some(batch) = rows.next()? {
            all.extend(seen(&batch, rows.shape()));
        }
        Ok(all)
    }

    fn whole(origin: &Origin) -> Result<(Vec<String>, Vec<Seen>)> {
        let mut table = Table::open(origin, &options())?;
        let mut all = Vec::new();
        while let Some(batch) = table.next()? {
            all.extend(seen(&batch, &table.shape));
        }
        Ok((table.shape.names, all))
    }

    #[test]
    fn rows_do_not_depend_on_the_size_of_a_part() {
        for (name, text) in [
            (
                "a.csv",
                "\u{feff}\ntext,intent\r\nhello there,greet\r\n\r\n\"a \"\"quoted\"\"\r\nline, two\",other\r\nété,greet",
            ),
            ("g.csv", "\u{feff}\u{feff}text,intent\r\ra,x\r\n\u{feff}b,y\r\r\n"),
            ("b.csv", "id;text;lang\n1;où est mon colis ?;fr\n2;\"a;b\";en\n\n3;c;en\n"),
            ("c.tsv", "text\tintent\na, b\tx\n\nc\ty\n"),
            (
                "d.jsonl",
                "\u{feff}{\"text\":\"a\",\"intent\":\"x\"}\n\n{\"text\":\"é\",\"intent\":null}\n{\"text\":\"c\"}",
            ),
            (
                "e.json",
                " [ {\"text\": \"a ]\",\n\"intent\": \"x\"},\n\n{\"text\":\"é\", \"intent\":\"y\"} ]\n",
            ),
            ("f.yml", "nlu:\n- intent: x\n  examples: |\n    - a [b](c)\n    - d\n"),
        ] {
            let data = read_bytes(text.as_bytes(), name, &options()).unwrap();
            for step in [1, 7, 24, 1 << 20] {
                let rows = single(text.as_bytes(), name, step).unwrap();
                let places: Vec<(u64, u64)> = rows.iter().map(|row| (row.1, row.2)).collect();
                let wanted: Vec<(u64, u64)> =
                    data.records.iter().map(|record| (record.record, record.line)).collect();
                assert_eq!(places, wanted, "{name} by {step}");
                for (row, record) in rows.iter().zip(&data.records) {
                    assert!(row.3.contains(&record.text), "{name} by {step}: {row:?}");
                }
            }
        }
    }

    #[test]
    fn malformed_files_are_refused_as_read_refuses_them() {
        for (name, text) in [
            ("a.json", "[{\"text\":\"a\"}"),
            ("b.json", "[{\"text\":\"a\"},{\"te"),
            ("c.csv", "text,intent\na,\"b\nc\n"),
            ("d.csv", "text,intent\na,b\nc\n"),
            ("e.csv", "\n \n"),
            ("f.jsonl", "{\"text\":\"a\"}\n{\"text\""),
            ("g.csv", "text,text\na,b\n"),
            ("h.jsonl", "{\"text\":\"a\",\"text\":\"b\"}\n"),
        ] {
            let wanted = read_bytes(text.as_bytes(), name, &options()).unwrap_err();
            for step in [5, 1 << 20] {
                let fault = single(text.as_bytes(), name, step).unwrap_err();
                assert_eq!(fault.code(), wanted.code(), "{name} by {step}: {fault}");
                assert_eq!(fault.message(), wanted.message(), "{name} by {step}");
                assert_eq!(fault.place(), wanted.place(), "{name} by {step}");
            }
        }
    }

    #[test]
    fn files_of_a_pattern_are_one_table_with_the_columns_of_the_first() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let mut bytes = text.as_bytes().to_vec();
            if name.ends_with(".gz") {
                let mut packed =
                    flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
                packed.write_all(&bytes).unwrap();
                bytes = packed.finish().unwrap();
            }
            std::fs::write(folder.path().join(name), bytes).unwrap();
        };
        write("a.csv", "id,text,intent\n1,a,x\n2,b,y\n");
        write("b.csv.gz", "intent,more,text\nz,?,c\n");
        let origin = Origin::of(&folder.path().join("*.csv*")).unwrap();
        let (names, rows) = whole(&origin).unwrap();
        assert_eq!(names, ["id", "text", "intent"]);
        let file = |row: &Seen| Path::new(row.0.as_ref().unwrap()).file_name().unwrap().to_owned();
        let cells: Vec<(_, u64, String)> =
            rows.iter().map(|row| (file(row), row.1, row.3.join("|"))).collect();
        let wanted = [("a.csv", 1, "1|a|x"), ("a.csv", 2, "2|b|y"), ("b.csv.gz", 1, "|c|z")];
        assert_eq!(cells, wanted.map(|(file, n, row)| (file.into(), n, row.to_owned())));
        write("c.csv", "utterance,intent\na,x\n");
        assert_eq!(whole(&origin_of(&folder)).unwrap_err().code(), "BOT-2162");
    }

    fn origin_of(folder: &tempfile::TempDir) -> Origin {
        Origin::of(&folder.path().join("*.csv*")).unwrap()
    }

    #[cfg(unix)]
    #[test]
    fn a_pipe_can_be_read_twice_and_leaves_no_copy() {
        let folder = tempfile::tempdir().unwrap();
        let kept = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        let made = std::process::Command::new("mkfifo").arg(&pipe).status().unwrap();
        assert!(made.success());
        let writer = std::thread::spawn({
            let pipe = pipe.clone();
            move || std::fs::write(pipe, "text,intent\na,x\nb,y\n").unwrap()
        });
        let origin = Origin::of(&pipe).unwrap().kept(Some(kept.path())).unwrap();
        let first = whole(&origin).unwrap();
        writer.join().unwrap();
        assert_eq!(first.1.len(), 2);
        assert_eq!(whole(&origin).unwrap(), first);
        drop(origin);
        assert_eq!(std::fs::read_dir(kept.path()).unwrap().count(), 0);
    }
}
