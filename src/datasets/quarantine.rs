//! Records set aside, with the reasons.

use super::{Rejected, write};
use crate::{findings::Result, text::spreadsheet_safe};
use std::{collections::BTreeSet, path::Path};

/// Writes the rejected records as CSV: `record,line,codes,reasons` and the columns of the data; formulas neutralised.
///
/// A cell that a spreadsheet would take for a formula gets a leading `'`, control characters are shown as `\u{..}`;
/// nothing else is changed, and nothing is cut. Without a rejected record, the file holds the header alone.
///
/// # Errors
/// `BOT-1002` when it cannot be written.
///
/// # Panics
/// Never: writing to memory does not fail.
pub fn write_quarantine(path: &Path, rejected: &[Rejected]) -> Result<()> {
    let mut writer = ::csv::Writer::from_writer(Vec::new());
    writer
        .write_record(["record", "line", "codes", "reasons", "text", "intent", "lang", "entities"])
        .expect("memory takes it");
    for Rejected { record, reasons } in rejected {
        let codes: BTreeSet<&str> = reasons.iter().map(|reason| reason.code.as_str()).collect();
        let codes = codes.into_iter().collect::<Vec<_>>().join(" ");
        let reasons: Vec<&str> = reasons.iter().map(|reason| reason.message.as_str()).collect();
        let cells = [
            record.record.to_string(),
            record.line.to_string(),
            codes,
            reasons.join("; "),
            record.text.clone(),
            record.intent.clone().unwrap_or_default(),
            record.lang.clone().unwrap_or_default(),
            write::entities_cell(record),
        ];
        writer
            .write_record(cells.iter().map(|cell| spreadsheet_safe(cell).into_owned()))
            .expect("memory takes it");
    }
    write::replace(path, &writer.into_inner().expect("memory takes it"))
}
