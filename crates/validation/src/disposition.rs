//! What becomes of the records, once it is known which are rejected.

use super::{Keep, changed, quarantine::Quarantine};
use crate::{record_set::Bits, utterance::View};
use botops_datasets::{Dataset, Record, Rejected, column_roles::Roles, table::Row};
use botops_expectations::Expectations;
use botops_findings::{Finding, Result};
use botops_labels::OOS;

/// What becomes of the records, as they are met again.
pub(crate) struct Kept<'a> {
    data: Option<&'a Dataset>,
    quarantine: Option<Quarantine>,
    reasons: Vec<Vec<Finding>>,
    /// The rejected records themselves, where nobody holds them.
    records: Option<Vec<Rejected>>,
    pub(crate) rejected: u64,
}

impl<'a> Kept<'a> {
    pub(crate) fn begin(keep: Keep<'a>, names: &[String]) -> Result<Self> {
        let (data, quarantine, records) = match keep {
            Keep::Counts => (None, None, None),
            Keep::Quarantine(path) => (None, Some(Quarantine::create(path, names)?), None),
            Keep::Rejected => (None, None, Some(Vec::new())),
            Keep::Records(data) => (Some(data), None, None),
        };
        Ok(Self { data, quarantine, reasons: Vec::new(), records, rejected: 0 })
    }

    pub(crate) fn reject(
        &mut self,
        file: &str,
        row: Row<'_>,
        roles: &Option<Roles>,
        reasons: Vec<Finding>,
    ) -> Result<()> {
        self.rejected += 1;
        if let Some(quarantine) = &mut self.quarantine {
            quarantine.add(file, row, &reasons)?;
        }
        if let Some(records) = &mut self.records {
            let view = roles.as_ref().map(|roles| View::of(roles, row));
            let owned = |cell: Option<&str>| cell.map(str::to_owned);
            let record = Record {
                text: view.as_ref().map_or("", |view| view.text).to_owned(),
                intent: owned(view.as_ref().and_then(|view| view.intent)),
                lang: owned(view.as_ref().and_then(|view| view.lang)),
                entities: Vec::new(),
                record: row.record(),
                line: row.line(),
                file: row.file().cloned(),
            };
            records.push(Rejected { record, reasons });
            return Ok(());
        }
        if self.data.is_some() {
            self.reasons.push(reasons);
        }
        Ok(())
    }

    /// Returns the records, if they are wanted; publishes the quarantine.
    pub(crate) fn finish(
        self,
        expectations: &Expectations,
        n_records: u64,
        rejected: &Bits,
    ) -> Result<(Option<Dataset>, Vec<Rejected>)> {
        if let Some(quarantine) = self.quarantine {
            quarantine.publish()?;
        }
        let Some(data) = self.data else {
            return Ok((None, self.records.unwrap_or_default()));
        };
        if data.records.len() as u64 != n_records {
            return Err(changed(&data.name));
        }
        let (mut kept, mut set_aside) = (Vec::new(), Vec::new());
        let mut reasons = self.reasons.into_iter();
        for (position, record) in (0..).zip(&data.records) {
            if rejected.contains(position) {
                let reasons = reasons.next().unwrap_or_default();
                set_aside.push(Rejected { record: record.clone(), reasons });
            } else {
                kept.push(record.clone());
            }
        }
        let mut changed = !set_aside.is_empty();
        if expectations.oos != OOS {
            for record in &mut kept {
                if record.intent.as_deref() == Some(expectations.oos.as_str()) {
                    record.intent = Some(OOS.to_owned());
                    changed = true;
                }
            }
        }
        let accepted = if changed {
            botops_datasets::part(data, kept)
        } else {
            Dataset { records: kept, ..data.clone() }
        };
        Ok((Some(accepted), set_aside))
    }
}
