//! The disposition of the records: counted, written to a quarantine, or returned.

use crate::{
    quarantine::Quarantine, record_set::RecordSet, utterance::Utterance, validation::Keep,
    words::changed,
};
use botops_datasets::{
    Dataset, Record, Rejected,
    column_roles::Roles,
    formats::csv::SheetForm,
    part,
    table::{Row, Shape},
};
use botops_expectations::Expectations;
use botops_files::{Output, OutputKind};
use botops_findings::{Finding, Result};
use botops_labels::OOS;

/// Collects the rejected records while the rows are read again.
pub(crate) struct Disposition<'a> {
    keep: Keep<'a>,
    quarantine: Option<Quarantine>,
    /// The reasons of each rejected record of `data`, in the order of the file.
    reasons: Vec<Vec<Finding>>,
    /// The rejected records, where there is no data set that holds them.
    records: Vec<Rejected>,
    n_rejected: u64,
}

impl<'a> Disposition<'a> {
    /// Begins; `shape` holds the columns of the data.
    ///
    /// # Errors
    /// Those of [`Quarantine::create`].
    pub(crate) fn begin(keep: Keep<'a>, shape: &Shape) -> Result<Self> {
        let form = SheetForm::of_data(shape.delimiter);
        let quarantine = match keep {
            Keep::Quarantine(output) => Some(Quarantine::create(&output, &shape.names, form)?),
            Keep::Accepted { quarantine: path, .. } => {
                let output = Output::new(path, OutputKind::Quarantine, false);
                Some(Quarantine::create(&output, &shape.names, form)?)
            }
            Keep::Counts | Keep::Rejected | Keep::Records(_) => None,
        };
        Ok(Self { keep, quarantine, reasons: Vec::new(), records: Vec::new(), n_rejected: 0 })
    }

    /// Takes `row`, a rejected record of `file`, with the reasons.
    ///
    /// # Errors
    /// `BOT-1002` when the quarantine cannot be written.
    pub(crate) fn reject(
        &mut self,
        file: &str,
        row: Row<'_>,
        roles: Option<&Roles>,
        reasons: Vec<Finding>,
    ) -> Result<()> {
        self.n_rejected += 1;
        if let Some(quarantine) = &mut self.quarantine {
            quarantine.add(file, row, &reasons)?;
        }
        match self.keep {
            Keep::Rejected => self.records.push(Rejected { record: record(row, roles), reasons }),
            Keep::Records(_) => self.reasons.push(reasons),
            Keep::Counts | Keep::Quarantine(_) | Keep::Accepted { .. } => {}
        }
        Ok(())
    }

    /// Publishes the quarantine; returns the accepted and the rejected records, where they are to be returned.
    ///
    /// # Errors
    /// `BOT-2218` when the file changed since its first reading; `BOT-1002`.
    pub(crate) fn finish(
        self,
        file: &str,
        expectations: &Expectations,
        n_records: u64,
        rejected: &RecordSet,
    ) -> Result<(Option<Dataset>, Vec<Rejected>)> {
        let is_counted = matches!(self.keep, Keep::Counts);
        if !is_counted && self.n_rejected != rejected.len() {
            return Err(changed(file));
        }
        let (Keep::Records(data) | Keep::Accepted { data, .. }) = self.keep else {
            self.quarantine.map_or(Ok(()), Quarantine::publish)?;
            return Ok((None, self.records));
        };
        if data.records.len() as u64 != n_records {
            return Err(changed(file));
        }
        self.quarantine.map_or(Ok(()), Quarantine::publish)?;
        let (accepted, set_aside) = divided(data, rejected, self.reasons);
        Ok((Some(with_one_label(data, accepted, expectations)), set_aside))
    }
}

/// Divides the records of `data` into accepted and rejected ones; the rejected ones are returned if there are `reasons`.
fn divided(
    data: &Dataset,
    rejected: &RecordSet,
    reasons: Vec<Vec<Finding>>,
) -> (Vec<Record>, Vec<Rejected>) {
    let (mut accepted, mut set_aside) = (Vec::new(), Vec::new());
    let mut reasons = reasons.into_iter();
    for (position, record) in (0..).zip(&data.records) {
        if !rejected.contains(position) {
            accepted.push(record.clone());
        } else if let Some(reasons) = reasons.next() {
            set_aside.push(Rejected { record: record.clone(), reasons });
        }
    }
    (accepted, set_aside)
}

/// Returns the `accepted` records of `data` as a data set in which all out-of-scope utterances have the label [`OOS`].
fn with_one_label(
    data: &Dataset,
    mut accepted: Vec<Record>,
    expectations: &Expectations,
) -> Dataset {
    let mut is_changed = accepted.len() < data.records.len();
    let is_other = |label: &String| label != OOS && expectations.is_oos(label);
    for record in accepted.iter_mut().filter(|record| record.intent.as_ref().is_some_and(is_other))
    {
        record.intent = Some(OOS.to_owned());
        is_changed = true;
    }
    if is_changed {
        return part(data, accepted);
    }
    Dataset {
        name: data.name.clone(),
        digest: data.digest,
        columns: data.columns.clone(),
        records: accepted,
        lookups: data.lookups.clone(),
    }
}

/// Returns `row` as a record without its entities.
fn record(row: Row<'_>, roles: Option<&Roles>) -> Record {
    let utterance = roles.map(|roles| Utterance::of(roles, row));
    let owned = |cell: Option<&str>| cell.map(str::to_owned);
    Record {
        text: utterance.as_ref().map_or("", |utterance| utterance.text).to_owned(),
        intent: owned(utterance.as_ref().and_then(|utterance| utterance.intent)),
        lang: owned(utterance.as_ref().and_then(|utterance| utterance.lang)),
        entities: Vec::new(),
        record: row.record(),
        line: row.line(),
        file: row.file().cloned(),
    }
}
