//! A file becomes records, part by part: what is held does not grow with the file.

use super::{Format, ReadOptions, Record, Term};
use crate::{
    formats::{csv, encoding, json, parquet, rasa},
    opening::{self, Identity, Opened, Progress},
};
use botops_digest::Digest;
use botops_findings::{Fault, Finding, Place, Result};
use std::{
    collections::{BTreeMap, VecDeque},
    fmt,
    io::{Cursor, Read},
    path::{Path, PathBuf},
    sync::Arc,
};

/// Bytes read at a time.
const PART: usize = 1 << 20;
/// Records of a Parquet file read at a time.
const RECORDS: usize = 8_192;
/// The longest record: beyond it a quote was left open, or the file is something else.
pub(super) const LONGEST: usize = 64 << 20;
/// The largest file of YAML, every node of which is held.
const LARGEST_YAML: u64 = 256 << 20;

/// The records of a file, or of the files that a pattern names, some thousands at a time, in the order of the files.
///
/// As [`super::read()`], but that what is wrong is told when it is reached, and that the keys of a JSON file are
/// those of its first part (1 MiB).
#[derive(Debug)]
pub struct Stream {
    source: Source<Box<dyn Read + Send>>,
    /// The files that follow.
    next: VecDeque<PathBuf>,
    /// Bytes of all files as they lie.
    n_bytes: u64,
    /// Bytes of those that were read to their end.
    n_done: u64,
    besides: Besides,
    ended: bool,
}

/// Opens `path` to read it part by part; it may be a pattern (`data/*.csv`), or `-` for standard input.
///
/// # Errors
/// Those of [`super::read()`] that the beginning of the first file shows.
pub fn stream(path: &Path, options: &ReadOptions) -> Result<Stream> {
    by_steps(path, options, PART)
}

fn by_steps(path: &Path, options: &ReadOptions, step: usize) -> Result<Stream> {
    let mut next = VecDeque::from(opening::expand(path)?);
    let n_bytes = next.iter().filter_map(|path| path.metadata().ok()).map(|file| file.len()).sum();
    let first = next.pop_front().unwrap_or_else(|| path.to_owned());
    let mut source = Source::open(&first, options, Identity::Unknown)?;
    source.step = step;
    if !next.is_empty() {
        source.name_records();
    }
    Ok(Stream { source, next, n_bytes, n_done: 0, besides: Besides::default(), ended: false })
}

/// Reads `bytes` part by part as [`stream`] reads a file of these bytes called `name`, whose ending says its format.
///
/// # Errors
/// As [`stream`], but for `BOT-1001`.
pub fn stream_bytes(
    bytes: impl AsRef<[u8]> + Send + 'static,
    name: &str,
    options: &ReadOptions,
) -> Result<Stream> {
    let n_bytes = bytes.as_ref().len() as u64;
    let reader = Box::new(Cursor::new(bytes));
    let opened = opening::begin(reader, name, options.format, &options.limits, Identity::Unknown)?;
    let source = Source::new(opened, options)?;
    let (next, besides) = (VecDeque::new(), Besides::default());
    Ok(Stream { source, next, n_bytes, n_done: 0, besides, ended: false })
}

impl Stream {
    /// Returns the size of the files as they lie, and how much of it was read.
    #[must_use]
    pub fn progress(&self) -> (u64, u64) {
        let (size, taken) = self.source.progress.bytes();
        (self.n_bytes.max(size), self.n_done + taken)
    }

    /// Returns which columns were found, by role; none before the first records.
    #[must_use]
    pub fn columns(&self) -> Option<BTreeMap<String, String>> {
        self.source.columns()
    }

    /// Returns the columns that have no role, whose cells are in no record; none before the first records.
    #[must_use]
    pub fn other_columns(&self) -> Vec<String> {
        self.source.other_columns()
    }

    /// Takes what the files hold besides records; complete once they were read to their end.
    #[must_use]
    pub fn take_besides(&mut self) -> Besides {
        std::mem::take(&mut self.besides)
    }

    /// Returns the name of the file that is read now.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.source.name
    }

    fn part(&mut self) -> Result<Option<Vec<Record>>> {
        loop {
            if let Some(records) = self.source.part()? {
                return Ok(Some(records));
            }
            let Besides { terms, findings } = self.source.take_besides();
            self.besides.terms.extend(terms);
            self.besides.findings.extend(findings);
            let Some(path) = self.next.pop_front() else { return Ok(None) };
            self.n_done += self.source.progress.bytes().0;
            self.source = self.source.followed_by(&path)?;
        }
    }
}

impl Iterator for Stream {
    type Item = Result<Vec<Record>>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let part = self.part().transpose();
        // A fault is said once, and is the last that is said.
        self.ended = !matches!(part, Some(Ok(_)));
        part
    }
}

/// The records of one source.
pub(super) struct Source<R> {
    name: String,
    options: ReadOptions,
    parts: Parts<R>,
    /// What was read and is not a whole record yet.
    rest: Vec<u8>,
    progress: Progress,
    n_records: u64,
    ended: bool,
    finished: bool,
    /// Bytes read at a time.
    step: usize,
    /// What each record keeps as the name of its file, where there are several.
    file: Option<Arc<str>>,
    /// The name and the columns of the file before, which have to be the same here.
    before: Option<(String, BTreeMap<String, String>)>,
}

impl<R> fmt::Debug for Source<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Source {{ {}, {:?} }}", self.name, self.progress)
    }
}

/// Takes the records out of one source, by its format.
enum Parts<R> {
    Parquet(parquet::Parts),
    Text(R, Text),
    Rasa(rasa::Training),
}

/// Reads training data of Rasa, which is held as a whole.
pub fn training<R: Read>(mut opened: Opened<R>) -> Result<rasa::Training> {
    let name = &opened.name;
    let mut bytes = Vec::new();
    let read = opened.reader.by_ref().take(LARGEST_YAML + 1).read_to_end(&mut bytes);
    read.map_err(|error| opening::unread(error, name))?;
    if bytes.len() as u64 > LARGEST_YAML {
        let message = format!("training data in YAML has at most {} MiB", LARGEST_YAML >> 20);
        return Err(Fault::data("BOT-2164", message)
            .at(Place { file: Some(name.clone()), ..Place::default() })
            .hint("split the file, and name the parts by a pattern"));
    }
    let start = encoding::Start { offset: opened.mark, ..encoding::Start::default() };
    rasa::read(encoding::decode_part(&bytes, name, start, |_| None)?, name)
}

/// What a file holds besides records.
#[derive(Debug, Default)]
pub struct Besides {
    /// What training data of Rasa knows besides its examples.
    pub terms: Vec<Term>,
    /// What is not read.
    pub findings: Vec<Finding>,
}

/// Takes the records out of text.
enum Text {
    Csv(csv::Parts),
    Json(json::Parts),
}

/// Runs the same code on either kind of text.
macro_rules! either {
    ($text:expr, $parts:ident => $code:expr) => {
        match $text {
            Text::Csv($parts) => $code,
            Text::Json($parts) => $code,
        }
    };
}

impl Source<Box<dyn Read + Send>> {
    /// Opens the file `path`, or standard input for `-`.
    pub(super) fn open(path: &Path, options: &ReadOptions, identity: Identity) -> Result<Self> {
        let opened = opening::open_as(path, options.format, &options.limits, identity)?;
        Self::new(opened, options)
    }

    /// Opens the file that comes after this one under the same pattern.
    pub(super) fn followed_by(&self, path: &Path) -> Result<Self> {
        let identity = match self.progress.digest() {
            Some(_) => Identity::Digested,
            None => Identity::Unknown,
        };
        let mut next = Self::open(path, &self.options, identity)?;
        next.step = self.step;
        next.name_records();
        next.before = self.columns().map(|columns| (self.name.clone(), columns));
        Ok(next)
    }
}

impl<R: Read> Source<R> {
    /// Begins with what was opened.
    pub(super) fn new(opened: Opened<R>, options: &ReadOptions) -> Result<Self> {
        let (name, progress, mark) = (opened.name.clone(), opened.progress(), opened.mark);
        let text = |reader, text| Parts::Text(reader, text);
        let parts = match opened.format {
            Format::Csv => text(opened.reader, Text::Csv(csv::Parts::new(&name, None, mark))),
            Format::Tsv => {
                text(opened.reader, Text::Csv(csv::Parts::new(&name, Some(b'\t'), mark)))
            }
            Format::Jsonl => text(opened.reader, Text::Json(json::Parts::lines(&name, mark))),
            Format::Json => text(opened.reader, Text::Json(json::Parts::list(&name, mark))),
            Format::Rasa => Parts::Rasa(training(opened)?),
            Format::Parquet => Parts::Parquet(parquet::Parts::new(opened, &options.limits)?),
        };
        Ok(Self {
            name,
            options: options.clone(),
            parts,
            rest: Vec::new(),
            progress,
            n_records: 0,
            ended: false,
            finished: false,
            step: PART,
            file: None,
            before: None,
        })
    }

    /// Lets each record keep the name of its file.
    pub(super) fn name_records(&mut self) {
        self.file = Some(self.name.as_str().into());
    }

    /// Reads everything: what is wrong with single records is gathered, and the keys of JSON are those of all records.
    pub(super) fn all(&mut self) -> Result<Vec<Record>> {
        match &mut self.parts {
            Parts::Text(_, text) => either!(text, parts => parts.gather()),
            Parts::Parquet(parts) => parts.gather(),
            Parts::Rasa(_) => {}
        }
        let mut records = Vec::new();
        while let Some(mut part) = self.part()? {
            records.append(&mut part);
        }
        Ok(records)
    }

    /// Returns the digest of the file as it lies, once it was read to its end; `None` unless it was opened for that.
    pub(super) fn digest(&self) -> Option<Digest> {
        self.progress.digest()
    }

    /// Returns which columns were found, by role; none before the first records.
    pub(super) fn columns(&self) -> Option<BTreeMap<String, String>> {
        match &self.parts {
            Parts::Parquet(parts) => parts.columns(),
            Parts::Text(_, text) => either!(text, parts => parts.columns()),
            Parts::Rasa(_) => Some(
                ["text", "intent", "entities"]
                    .map(|name| (name.to_owned(), name.to_owned()))
                    .into(),
            ),
        }
    }

    fn other_columns(&self) -> Vec<String> {
        match &self.parts {
            Parts::Parquet(parts) => parts.other_columns(),
            Parts::Text(_, text) => either!(text, parts => parts.other_columns()),
            Parts::Rasa(_) => Vec::new(),
        }
    }

    /// Takes what was read and is no record.
    fn take_besides(&mut self) -> Besides {
        let mut besides = Besides::default();
        if let Parts::Rasa(training) = &mut self.parts {
            besides.terms = std::mem::take(&mut training.terms);
            besides.findings = std::mem::take(&mut training.findings);
        }
        besides
    }

    /// Reads the next records; none at the end.
    fn part(&mut self) -> Result<Option<Vec<Record>>> {
        while !self.finished {
            let mut records = self.step()?;
            if records.is_empty() {
                continue;
            }
            if self.n_records == 0 {
                self.check_columns()?;
            }
            self.n_records += records.len() as u64;
            for record in &mut records {
                record.file.clone_from(&self.file);
            }
            return Ok(Some(records));
        }
        // A file of Rasa may hold terms alone.
        let has_terms = matches!(&self.parts, Parts::Rasa(training) if !training.terms.is_empty());
        if self.n_records == 0 && !has_terms {
            let fault = match self.columns() {
                None => encoding::empty(&self.name),
                Some(_) => encoding::no_record(&self.name),
            };
            return Err(fault);
        }
        Ok(None)
    }

    /// Reads on: a part of the file, or the records of what was read of it.
    fn step(&mut self) -> Result<Vec<Record>> {
        let options = &self.options;
        let (reader, text) = match &mut self.parts {
            Parts::Parquet(parts) => {
                let records = parts.read(RECORDS, options)?;
                self.finished = records.is_empty();
                return Ok(records);
            }
            Parts::Rasa(training) => {
                self.finished = true;
                return Ok(std::mem::take(&mut training.records));
            }
            Parts::Text(reader, text) => (reader, text),
        };
        if !self.rest.is_empty() {
            let (consumed, records) =
                either!(text, parts => parts.read(&self.rest, self.ended, options))?;
            if consumed > 0 {
                self.rest.drain(..consumed);
                return Ok(records);
            }
        }
        if self.ended {
            self.finished = true;
            return either!(text, parts => parts.finish(options));
        }
        if self.rest.len() > LONGEST {
            return Err(either!(text, parts => parts.too_long(&self.rest)));
        }
        let before = self.rest.len();
        // Twice as much as there is: a long record is not searched again and again.
        let more = self.step.max(before) as u64;
        let read = reader.by_ref().take(more).read_to_end(&mut self.rest);
        read.map_err(|error| opening::unread(error, &self.name))?;
        self.ended = self.rest.len() == before;
        Ok(Vec::new())
    }

    /// Refuses other columns than those of the file before.
    fn check_columns(&self) -> Result<()> {
        match (&self.before, self.columns()) {
            (Some((before, wanted)), Some(found)) => {
                check_columns(&self.name, &found, before, wanted)
            }
            _ => Ok(()),
        }
    }
}

/// Refuses the columns of `file` where they are not the `wanted` ones, those of the file `before`.
///
/// # Errors
/// `BOT-2162` (exit 3).
pub(super) fn check_columns(
    file: &str,
    found: &BTreeMap<String, String>,
    before: &str,
    wanted: &BTreeMap<String, String>,
) -> Result<()> {
    if wanted == found {
        return Ok(());
    }
    let listed = |columns: &BTreeMap<String, String>| -> String {
        let names = columns.values().map(|name| format!("`{}`", botops_text::display(name, 40)));
        names.collect::<Vec<_>>().join(", ")
    };
    let message = format!(
        "the columns are {}, and those of `{before}` are {}",
        listed(found),
        listed(wanted)
    );
    Err(Fault::data("BOT-2162", message)
        .at(Place { file: Some(file.to_owned()), ..Place::default() })
        .hint("files that are read as one have the same columns: rename them, or read this file alone"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Presence, read, write_parquet};
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
    fn bytes_in_parts_have_the_records_of_a_file_of_them() {
        let rows: String = (0..3_000).map(|i| format!("text {i},intent_{}\n", i % 7)).collect();
        let text = format!("text,intent\n{rows}");
        let (_folder, path) = file("a.csv", text.as_bytes());
        let data = read(&path, &options()).unwrap();
        let parquet = path.with_extension("parquet");
        write_parquet(&parquet, &data).unwrap();
        for path in [path, parquet] {
            let bytes = std::fs::read(&path).unwrap();
            let size = bytes.len() as u64;
            let mut stream = stream_bytes(bytes, &path.display().to_string(), &options()).unwrap();
            assert_eq!(stream.progress().0, size);
            let records: Vec<Record> = stream.by_ref().flat_map(Result::unwrap).collect();
            assert_eq!(records, read(&path, &options()).unwrap().records);
            assert_eq!(stream.progress(), (size, size));
        }
        let fault = stream_bytes(&b""[..], "snapshot:a.csv", &options()).unwrap_err();
        assert_eq!(fault.place().file.as_deref(), Some("snapshot:a.csv"));
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
