//! Records set aside, with the reasons.

use crate::{
    datasets::{
        Rejected,
        table::Row,
        write::{self, Replacement},
    },
    findings::{Finding, Result},
    text::spreadsheet_safe,
};
use std::{borrow::Cow, collections::BTreeSet, path::Path};

/// What comes before the columns of the data.
const LEADING: [&str; 4] = ["record", "line", "codes", "reasons"];

/// Writes the rejected records as CSV: `record,line,codes,reasons` and the columns of the data; formulas neutralised.
///
/// A cell that a spreadsheet would take for a formula gets a leading `'`, control characters are shown as `\u{..}`;
/// nothing else is changed, and nothing is cut. Without a rejected record, the file holds the header alone.
///
/// # Errors
/// `BOT-1002` when it cannot be written.
pub fn write_quarantine(path: &Path, rejected: &[Rejected]) -> Result<()> {
    let names = ["text", "intent", "lang", "entities"].map(str::to_owned);
    let mut quarantine = Quarantine::create(path, &names)?;
    for Rejected { record, reasons } in rejected {
        let entities = write::entities_cell(record);
        let cells = [
            record.text.as_str(),
            record.intent.as_deref().unwrap_or_default(),
            record.lang.as_deref().unwrap_or_default(),
            &entities,
        ];
        quarantine.write(record.record, record.line, reasons, cells.into_iter())?;
    }
    quarantine.publish()
}

/// A quarantine file being written; it is there once it is published.
pub(super) struct Quarantine {
    file: Replacement,
    width: usize,
}

impl Quarantine {
    /// Begins the file at `path` for records with columns called `names`.
    ///
    /// # Errors
    /// `BOT-1002`.
    pub(super) fn create(path: &Path, names: &[String]) -> Result<Self> {
        let mut file = Replacement::create(path)?;
        file.write(&line(
            LEADING.into_iter().chain(names.iter().map(String::as_str)).map(Cow::Borrowed),
        ))?;
        Ok(Self { file, width: names.len() })
    }

    /// Adds a record as it stands in its file.
    ///
    /// # Errors
    /// `BOT-1002`.
    pub(super) fn add(&mut self, row: Row<'_>, reasons: &[Finding]) -> Result<()> {
        let cells = (0..self.width).map(|column| row.cell(column));
        self.write(row.record(), row.line(), reasons, cells)
    }

    fn write<'a>(
        &mut self,
        record: u64,
        at: u64,
        reasons: &[Finding],
        cells: impl Iterator<Item = &'a str>,
    ) -> Result<()> {
        let codes: BTreeSet<&str> = reasons.iter().map(|reason| reason.code.as_str()).collect();
        let codes = codes.into_iter().collect::<Vec<_>>().join(" ");
        let reasons: Vec<&str> = reasons.iter().map(|reason| reason.message.as_str()).collect();
        let leading = [record.to_string(), at.to_string(), codes, reasons.join("; ")];
        let cells = cells.map(Cow::Borrowed);
        self.file.write(&line(leading.into_iter().map(Cow::Owned).chain(cells)))
    }

    /// Puts the file in its place.
    ///
    /// # Errors
    /// `BOT-1002`.
    pub(super) fn publish(self) -> Result<()> {
        self.file.publish()
    }
}

/// Returns `cells` as one line of CSV that no spreadsheet computes with.
fn line<'a>(cells: impl Iterator<Item = Cow<'a, str>>) -> Vec<u8> {
    let mut writer = ::csv::Writer::from_writer(Vec::new());
    writer
        .write_record(cells.map(|cell| spreadsheet_safe(&cell).into_owned()))
        .expect("memory takes it");
    writer.into_inner().expect("memory takes it")
}
