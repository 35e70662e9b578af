//! A file becomes records, part by part: what is held does not grow with the file.

use super::{ReadOptions, Record, csv, encoding, frame, jsonl, read::Kind};
use crate::{
    findings::{Fault, Place, Result},
    spec,
};
use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, Read as _},
    path::{Path, PathBuf},
};

/// Bytes read at a time.
const PART: usize = 1 << 20;
/// What tells the kind of a file.
const BEGINNING: usize = 64;
/// Records of a Parquet file read at a time.
const RECORDS: usize = 8_192;
/// The longest record: beyond it a quote was left open, or the file is something else.
const LONGEST: usize = 64 << 20;

/// The records of a file, some thousands at a time, in the order of the file.
///
/// As [`super::read()`], but that what is wrong is told when it is reached, and that the keys of a JSONL file are
/// those of its first part (1 MiB).
#[derive(Debug)]
pub struct Stream {
    path: PathBuf,
    name: String,
    options: ReadOptions,
    parts: Parts,
    /// What was read and is not a whole record yet.
    rest: Vec<u8>,
    file: File,
    n_bytes: u64,
    n_read: u64,
    n_records: u64,
    ended: bool,
    /// Bytes read at a time.
    step: usize,
}

#[derive(Debug)]
enum Parts {
    Parquet(frame::Parts),
    Jsonl(jsonl::Parts),
    Csv(csv::Parts),
}

/// Opens `path` to read it part by part.
///
/// # Errors
/// Those of [`super::read()`] that the file's beginning shows.
pub fn stream(path: &Path, options: &ReadOptions) -> Result<Stream> {
    by_steps(path, options, PART)
}

fn by_steps(path: &Path, options: &ReadOptions, step: usize) -> Result<Stream> {
    let name = path.display().to_string();
    let unreadable = |error: io::Error| spec::unreadable(path, &error);
    let mut file = File::open(path).map_err(unreadable)?;
    let n_bytes = file.metadata().map_err(unreadable)?.len();
    let mut rest = Vec::new();
    file.by_ref().take(step.max(BEGINNING) as u64).read_to_end(&mut rest).map_err(unreadable)?;
    let n_read = rest.len() as u64;
    let kind = Kind::of(path, &rest);
    if !matches!(kind, Kind::Parquet) {
        if rest.is_empty() {
            return Err(encoding::empty(&name));
        }
        encoding::check_beginning(&rest, &name)?;
        if rest.starts_with(b"\xef\xbb\xbf") {
            rest.drain(..3);
        }
    }
    let parts = match kind {
        Kind::Parquet => Parts::Parquet(frame::Parts::new(path, &name)),
        Kind::Jsonl => Parts::Jsonl(jsonl::Parts::new(&name)),
        Kind::Csv(delimiter) => Parts::Csv(csv::Parts::new(&name, delimiter)),
    };
    Ok(Stream {
        n_read,
        path: path.to_owned(),
        name,
        options: options.clone(),
        parts,
        rest,
        file,
        n_bytes,
        n_records: 0,
        ended: false,
        step,
    })
}

impl Stream {
    /// Returns the size of the file, and how much of it was read.
    #[must_use]
    pub fn progress(&self) -> (u64, u64) {
        (self.n_bytes, self.n_read.min(self.n_bytes))
    }

    /// Returns which columns were found, by role; none before the first records.
    #[must_use]
    pub fn columns(&self) -> Option<BTreeMap<String, String>> {
        match &self.parts {
            Parts::Parquet(parts) => parts.columns(),
            Parts::Jsonl(parts) => parts.columns(),
            Parts::Csv(parts) => parts.columns(),
        }
    }

    fn part(&mut self) -> Result<Option<Vec<Record>>> {
        if let Parts::Parquet(parts) = &mut self.parts {
            let records = parts.read(RECORDS, &self.options)?;
            self.n_read = self.n_bytes;
            return Ok(Some(records).filter(|records| !records.is_empty()));
        }
        loop {
            let whole = if self.ended {
                self.rest.len()
            } else {
                match &mut self.parts {
                    Parts::Csv(parts) => parts.whole(&self.rest),
                    _ => jsonl::Parts::whole(&self.rest),
                }
            };
            // A record too long to wait for is read as it is: what is wrong with it will be said.
            let whole =
                if whole == 0 && self.rest.len() > LONGEST { self.rest.len() } else { whole };
            if whole == 0 && self.ended {
                return Ok(None);
            }
            if whole > 0 {
                let bytes: Vec<u8> = self.rest.drain(..whole).collect();
                let records = match &mut self.parts {
                    Parts::Csv(parts) => parts.read(&bytes, &self.options)?,
                    Parts::Jsonl(parts) => parts.read(&bytes, &self.options)?,
                    Parts::Parquet(_) => Vec::new(),
                };
                if bytes.len() > LONGEST && records.len() < 2 {
                    return Err(Fault::data(
                        "BOT-2105",
                        format!("a record is longer than {} MiB", LONGEST >> 20),
                    )
                    .at(Place { file: Some(self.name.clone()), ..Place::default() })
                    .hint("look for a quote that is never closed, or split the record"));
                }
                if records.is_empty() {
                    continue;
                }
                return Ok(Some(records));
            }
            let before = self.rest.len();
            // Twice as much as there is: a long record is not searched again and again.
            let more = self.step.max(before) as u64;
            self.file
                .by_ref()
                .take(more)
                .read_to_end(&mut self.rest)
                .map_err(|error| spec::unreadable(&self.path, &error))?;
            self.n_read += (self.rest.len() - before) as u64;
            self.ended = self.rest.len() == before;
        }
    }
}

impl Iterator for Stream {
    type Item = Result<Vec<Record>>;

    fn next(&mut self) -> Option<Self::Item> {
        match self.part() {
            Ok(Some(records)) => {
                self.n_records += records.len() as u64;
                Some(Ok(records))
            }
            Ok(None) if self.n_records == 0 => {
                // Said once.
                self.n_records = 1;
                Some(Err(Fault::data("BOT-2102", "the file has a header and no record")
                    .at(Place { file: Some(self.name.clone()), ..Place::default() })
                    .hint("check what should have written it")))
            }
            Ok(None) => None,
            Err(fault) => {
                self.rest.clear();
                (self.ended, self.n_records) = (true, 1);
                Some(Err(fault))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::datasets::{Presence, read, write_parquet};
    use proptest::prelude::*;

    fn options() -> ReadOptions {
        ReadOptions { intent: Presence::Optional, ..ReadOptions::default() }
    }

    fn all(path: &Path, step: usize) -> Result<Vec<Record>> {
        let parts: Result<Vec<Vec<Record>>> = by_steps(path, &options(), step)?.collect();
        Ok(parts?.into_iter().flatten().collect())
    }

    fn file(name: &str, bytes: &[u8]) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        (folder, path)
    }

    #[test]
    fn a_file_read_in_parts_has_the_records_of_the_whole() {
        for (name, text) in [
            (
                "a.csv",
                "text,intent\r\nhello there,greet\r\n\r\n\"a \"\"quoted\"\"\r\nline, two\",other\r\nlast,greet",
            ),
            ("b.csv", "\u{feff}id;text;lang\n1;où est mon colis ?;fr\n2;\"a;b\";en\n\n3;c;en\n"),
            ("c.tsv", "utterance\tlabel\none\tx\ntwo\ty\rthree\tz\r\n"),
            (
                "d.jsonl",
                "{\"text\":\"a\",\"intent\":\"x\"}\n\n{\"text\":\"b\",\"intent\":null}\r\n{\"text\":\"é\"}",
            ),
            ("e.csv", "text\nx"),
        ] {
            let (_folder, path) = file(name, text.as_bytes());
            let whole = read(&path, &options()).unwrap();
            for step in [1, 2, 3, 7, 64, 4_096] {
                let mut stream = by_steps(&path, &options(), step).unwrap();
                let parts: Vec<Record> = stream.by_ref().flat_map(Result::unwrap).collect();
                assert_eq!(parts, whole.records, "{name} by {step}");
                assert_eq!(stream.columns(), Some(whole.columns.clone()), "{name} by {step}");
                assert_eq!(stream.progress(), (text.len() as u64, text.len() as u64));
            }
        }
    }

    #[test]
    fn what_is_wrong_has_the_place_it_has_in_the_whole() {
        let good = "some text,greet\n".repeat(20);
        for (name, bytes) in [
            ("a.csv", format!("text,intent\n{good}\"never closed,greet\n{good}").into_bytes()),
            ("b.csv", format!("text,intent\n{good}too,many,fields\n{good}").into_bytes()),
            (
                "c.csv",
                [b"text,intent\n".to_vec(), good.clone().into_bytes(), b"caf\xe9,x\n".to_vec()]
                    .concat(),
            ),
            ("d.jsonl", b"{\"text\":\"a\"}\n{\"text\":\"b\"}\n{\"text\":\n".to_vec()),
            ("e.jsonl", b"{\"text\":\"a\"}\n{\"text\":\"b\"}\n{\"text\":\"caf\xe9\"}\n".to_vec()),
            ("f.csv", b"text,intent\n".to_vec()),
            ("g.csv", b"".to_vec()),
            ("h.csv", b"a,b\n1,2\n".to_vec()),
        ] {
            let (_folder, path) = file(name, &bytes);
            let whole = read(&path, &options()).unwrap_err();
            for step in [1, 16, 4_096] {
                let fault = all(&path, step).unwrap_err();
                assert_eq!(
                    (fault.code(), fault.place(), fault.message()),
                    (whole.code(), whole.place(), whole.message()),
                    "{name} by {step}"
                );
            }
        }
    }

    #[test]
    fn a_stream_ends_with_its_first_fault() {
        let (_folder, path) = file("a.csv", b"text,intent\nfine,x\n\"open,x\n");
        let mut stream = by_steps(&path, &options(), 1).unwrap();
        assert_eq!(stream.next().unwrap().unwrap().len(), 1);
        assert!(stream.next().unwrap().is_err());
        assert!(stream.next().is_none());
    }

    #[test]
    fn parquet_is_read_in_slices() {
        let rows: String = (0..20_000).map(|i| format!("text {i},intent_{}\n", i % 7)).collect();
        let (folder, path) = file("a.csv", format!("text,intent\n{rows}").as_bytes());
        let data = read(&path, &options()).unwrap();
        let path = folder.path().join("a.parquet");
        write_parquet(&path, &data).unwrap();
        let parts: Vec<Vec<Record>> =
            stream(&path, &options()).unwrap().map(Result::unwrap).collect();
        assert_eq!(parts.iter().map(Vec::len).collect::<Vec<_>>(), [8_192, 8_192, 3_616]);
        assert_eq!(parts.concat(), read(&path, &options()).unwrap().records);
    }

    proptest! {
        #[test]
        fn any_texts_come_back_in_parts(
            texts in prop::collection::vec("[a-zé,;\"'\r\n ]{0,12}", 1..12),
            step in 1_usize..40,
        ) {
            let mut writer = ::csv::Writer::from_writer(Vec::new());
            writer.write_record(["text", "n"]).unwrap();
            for text in &texts {
                writer.write_record([text.as_str(), "1"]).unwrap();
            }
            let (_folder, path) = file("a.csv", &writer.into_inner().unwrap());
            let read: Vec<String> = all(&path, step).unwrap().into_iter().map(|r| r.text).collect();
            prop_assert_eq!(read, texts);
        }
    }
}
