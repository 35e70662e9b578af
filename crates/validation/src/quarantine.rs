//! Records set aside, with the reasons.

use botops_datasets::{Rejected, entities_cell, table::Row};
use botops_digest::Digest;
use botops_files::AtomicFile;
use botops_findings::{Fault, Finding, Result};
use botops_text::{display, for_people};
use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
    fs::File,
    io::Read as _,
    path::Path,
};

/// What comes before the columns of the data.
pub const LEADING: [&str; 6] = ["file", "record", "line", "codes", "reasons", "fingerprint"];
/// What is put before a column of the data that is called like one of them.
pub const OF_DATA: &str = "data_";

/// Writes the rejected records of `file` as CSV: `file,record,line,codes,reasons,fingerprint` and the columns of the
/// data, fit to be read by people.
///
/// Personal data are redacted, a cell that a spreadsheet would take for a formula gets a leading `'`, characters that
/// cannot be seen are shown as `\u{..}`; nothing else is changed, and nothing is cut. Without a rejected record, the file
/// holds the header alone. Of these records, which are no rows of a file, there is no fingerprint.
///
/// # Errors
/// `BOT-1002` when it cannot be written; those of [`replaceable_quarantine`].
pub fn write_quarantine(path: &Path, file: &str, rejected: &[Rejected]) -> Result<()> {
    let names = ["text", "intent", "lang", "entities"].map(str::to_owned);
    let mut quarantine = Quarantine::create(path, &names)?;
    for Rejected { record, reasons } in rejected {
        let entities = entities_cell(record);
        let cells = [
            record.text.as_str(),
            record.intent.as_deref().unwrap_or_default(),
            record.lang.as_deref().unwrap_or_default(),
            &entities,
        ];
        let place = Stands {
            file: record.file.as_deref().unwrap_or(file),
            record: record.record,
            line: record.line,
            fingerprint: String::new(),
        };
        quarantine.write(&place, reasons, cells.into_iter().map(for_people))?;
    }
    quarantine.publish()
}

/// Checks that a quarantine may be written to `path`: nothing is there, nothing is in it, or a quarantine is.
///
/// What a spreadsheet saved with other delimiters is none: somebody works on it.
///
/// # Errors
/// `BOT-2219` (exit 2) when something else is there; `BOT-1001` when it cannot be read.
pub fn replaceable_quarantine(path: &Path) -> Result<()> {
    // Without the fingerprint, which quarantines of earlier versions do not have.
    let header = LEADING[..5].join(",");
    if !path.is_file() {
        return Ok(());
    }
    let mut there = Vec::new();
    File::open(path)
        .and_then(|file| file.take(header.len() as u64 + 1).read_to_end(&mut there))
        .map_err(|error| botops_spec::unreadable(path, &error))?;
    let is_ours = there
        .strip_prefix(header.as_bytes())
        .is_some_and(|rest| rest.is_empty() || b",\r\n".contains(&rest[0]));
    if there.is_empty() || is_ours {
        return Ok(());
    }
    let message = format!("`{}` is there already, and is no quarantine", path.display());
    Err(Fault::usage("BOT-2219", message)
        .file(path)
        .hint("name another file for the records that are set aside, or move this one away"))
}

/// Where a record stands that is set aside.
#[derive(Debug)]
pub struct Stands<'a> {
    pub file: &'a str,
    pub record: u64,
    pub line: u64,
    /// See [`fingerprint`]; empty: not known.
    pub fingerprint: String,
}

/// Returns what tells whether a record is still what it was: made of the names of its columns and of its cells.
///
/// It begins with letters, so that no spreadsheet takes it for a number.
pub fn fingerprint<'a>(cells: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    let filled: BTreeMap<&str, &str> = cells.filter(|(_, cell)| !cell.is_empty()).collect();
    format!("r-{}", Digest::of_json(&filled).short())
}

/// A quarantine file being written; it is there once it is published.
pub struct Quarantine {
    file: AtomicFile,
    names: Vec<String>,
}

impl Quarantine {
    /// Begins the file at `path` for records with columns called `names`.
    ///
    /// # Errors
    /// `BOT-1002`; those of [`replaceable_quarantine`].
    pub fn create(path: &Path, names: &[String]) -> Result<Self> {
        replaceable_quarantine(path)?;
        let mut file = AtomicFile::create(path)?;
        let of_data = names.iter().map(|name| match LEADING.contains(&name.as_str()) {
            true => Cow::Owned(format!("{OF_DATA}{name}")),
            false => Cow::Borrowed(name.as_str()),
        });
        let header = LEADING.into_iter().map(Cow::Borrowed).chain(of_data);
        file.write(&line(header.map(|name| for_people(&name))))?;
        Ok(Self { file, names: names.to_vec() })
    }

    /// Adds a record of `file` as it stands there.
    ///
    /// # Errors
    /// `BOT-1002`.
    pub(crate) fn add(&mut self, file: &str, row: Row<'_>, reasons: &[Finding]) -> Result<()> {
        let cells = |column| row.cell(column);
        let named = self.names.iter().enumerate().map(|(at, name)| (name.as_str(), cells(at)));
        let place = Stands {
            file,
            record: row.record(),
            line: row.line(),
            fingerprint: fingerprint(named),
        };
        let shown = (0..self.names.len()).map(|column| for_people(cells(column)));
        self.write(&place, reasons, shown)
    }

    /// Adds a record with `cells` that are fit to be read by people.
    ///
    /// # Errors
    /// `BOT-1002`.
    pub fn write(
        &mut self,
        place: &Stands<'_>,
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
            // Messages begin with words of ours, and show what others wrote: as is.
            display(&reasons.join("; "), usize::MAX),
            place.fingerprint.clone(),
        ];
        self.file.write(&line(leading.into_iter().chain(cells)))
    }

    /// Puts the file in its place.
    ///
    /// # Errors
    /// `BOT-1002`.
    pub fn publish(self) -> Result<()> {
        self.file.publish()
    }
}

/// Returns `cells` as one line of CSV.
fn line(cells: impl Iterator<Item = String>) -> Vec<u8> {
    let mut writer = ::csv::Writer::from_writer(Vec::new());
    writer.write_record(cells).expect("memory takes it");
    writer.into_inner().expect("memory takes it")
}
