//! The quarantine: rejected records with their reasons, in a CSV file that people correct.
//!
//! In: rows of the data and the findings that rejected them. Out: one line per record: its place, the codes and reasons,
//! a fingerprint of the record, and every column of the data. `botops data repair --quarantine` merges it back.

use botops_datasets::{Rejected, entities_cell, formats::csv::SheetForm, table::Row};
use botops_digest::Digest;
use botops_files::{AtomicFile, Output};
use botops_findings::{Finding, Result};
use botops_text::{display, for_people};
use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
};

/// The columns before those of the data.
pub const LEADING: [&str; 6] = ["file", "record", "line", "codes", "reasons", "fingerprint"];
/// The prefix of a data column whose name is one of [`LEADING`].
pub const OF_DATA: &str = "data_";

/// Writes the rejected records of `file`, which are held in memory, as a CSV file for people to read.
///
/// The columns are those of a quarantine with `text`, `intent`, `lang` and `entities` as the columns of the data. It is
/// not a quarantine: the records lack the other columns of their file, so there are no fingerprints, and
/// `botops data repair` refuses it. Without a rejected record, the file holds only the header.
///
/// # Errors
/// `BOT-1002` when it cannot be written; those of [`Output::create`].
pub fn write_rejected(output: &Output<'_>, file: &str, rejected: &[Rejected]) -> Result<()> {
    let names = ["text", "intent", "lang", "entities"].map(str::to_owned);
    let mut list = Quarantine::create(output, &names, SheetForm::Comma)?;
    for Rejected { record, reasons } in rejected {
        let entities = entities_cell(record);
        let cells = [
            record.text.as_str(),
            record.intent.as_deref().unwrap_or_default(),
            record.lang.as_deref().unwrap_or_default(),
            &entities,
        ];
        let place = QuarantinePlace {
            file: record.file.as_deref().unwrap_or(file),
            record: record.record,
            line: record.line,
            fingerprint: String::new(),
        };
        list.write(&place, reasons, cells.into_iter().map(for_people))?;
    }
    list.publish()
}

/// The place of a record in the data, and its fingerprint there.
#[derive(Debug)]
pub struct QuarantinePlace<'a> {
    /// The data file.
    pub file: &'a str,
    /// The record, from 1.
    pub record: u64,
    /// The line on which it starts, from 1.
    pub line: u64,
    /// See [`fingerprint`].
    pub fingerprint: String,
}

/// Returns the fingerprint of a record, made of the names and values of its columns; empty cells do not count.
///
/// Two records have the same fingerprint only if they say the same in every column. It begins with letters, so that no
/// spreadsheet takes it for a number.
pub fn fingerprint<'a>(cells: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    let filled: BTreeMap<&str, &str> = cells.filter(|(_, cell)| !cell.is_empty()).collect();
    format!("r-{}", Digest::of_json(&filled).short())
}

/// Writes a quarantine; the file appears, complete, when it is published.
///
/// - personal data are redacted, a cell that a spreadsheet would take for a formula gets a leading `'`, invisible
///   characters are shown as `\u{..}`; nothing else is changed, and nothing is cut
/// - without a record, the file holds only the header
pub struct Quarantine {
    file: AtomicFile,
    names: Vec<String>,
    form: SheetForm,
}

impl Quarantine {
    /// Begins the file for records with the columns `names`, in the form of a spreadsheet that opens the data.
    ///
    /// A quarantine that a spreadsheet saved with other delimiters is replaced only with `--force`: somebody is working on
    /// it.
    ///
    /// # Errors
    /// `BOT-1002`; those of [`Output::create`].
    pub fn create(output: &Output<'_>, names: &[String], form: SheetForm) -> Result<Self> {
        let mut file = output.create()?;
        let of_data = names.iter().map(|name| match LEADING.contains(&name.as_str()) {
            true => Cow::Owned(format!("{OF_DATA}{name}")),
            false => Cow::Borrowed(name.as_str()),
        });
        let header = LEADING.into_iter().map(Cow::Borrowed).chain(of_data);
        file.write(form.mark())?;
        file.write(&form.line(header.map(|name| for_people(&name))))?;
        Ok(Self { file, names: names.to_vec(), form })
    }

    /// Adds `row`, a record of `file`, with the reasons why it was rejected.
    ///
    /// # Errors
    /// `BOT-1002`.
    pub(crate) fn add(&mut self, file: &str, row: Row<'_>, reasons: &[Finding]) -> Result<()> {
        let named = self.names.iter().enumerate();
        let place = QuarantinePlace {
            file,
            record: row.record(),
            line: row.line(),
            fingerprint: fingerprint(named.map(|(at, name)| (name.as_str(), row.cell(at)))),
        };
        let cells = (0..self.names.len()).map(|column| for_people(row.cell(column)));
        self.write(&place, reasons, cells)
    }

    /// Adds the record at `place`; `cells` are those of all columns, safe to show ([`for_people`]).
    ///
    /// # Errors
    /// `BOT-1002`.
    pub fn write(
        &mut self,
        place: &QuarantinePlace<'_>,
        reasons: &[Finding],
        cells: impl Iterator<Item = String>,
    ) -> Result<()> {
        let codes: BTreeSet<&str> = reasons.iter().map(|reason| reason.code.as_str()).collect();
        let reasons: Vec<&str> = reasons.iter().map(|reason| reason.message.as_str()).collect();
        let leading = [
            for_people(place.file),
            place.record.to_string(),
            place.line.to_string(),
            codes.into_iter().collect::<Vec<_>>().join(" "),
            // Messages begin with words of botops, and the cells they quote are safe already.
            display(&reasons.join("; "), usize::MAX),
            place.fingerprint.clone(),
        ];
        self.file.write(&self.form.line(leading.into_iter().chain(cells)))
    }

    /// Puts the file in its place.
    ///
    /// # Errors
    /// `BOT-1002`.
    pub fn publish(self) -> Result<()> {
        self.file.publish()
    }
}
