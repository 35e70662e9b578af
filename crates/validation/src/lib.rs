//! Records against expectations.
//!
//! A file is read once, batch by batch. What can be told of one record is told at once; what takes the whole file
//! (values that are there twice, counts) when it ends. A second look is taken only at the records that are to be shown
//! or set aside because of what came after them. Findings are counted to the last; of each kind, some are kept.

pub(crate) mod class_counts;
pub(crate) mod disposition;
pub(crate) mod external_sort;
pub mod file_checks;
mod file_names;
pub(crate) mod record_set;
pub(crate) mod repeats;
pub(crate) mod tally;
pub(crate) mod utterance;
pub(crate) mod utterance_checks;

mod baseline;
pub mod damage;
pub mod quarantine;
mod rules;

pub use baseline::Baseline;
pub use botops_datasets::table::rows::{RecordRows, Source, TableRows};
pub use quarantine::{replaceable_quarantine, write_rejected};

use baseline::Matching;
use botops_datasets::{
    Dataset, ReadOptions, Rejected,
    column_roles::Roles,
    table::{Origin, Row},
};
use botops_digest::Digest;
use botops_expectations::Expectations;
use botops_findings::{Fault, Finding, Result, Severity};
use botops_profile::{ProfileChange, Profiler};
use bytes::Bytes;
use chrono::{DateTime, Utc};
use class_counts::{Classes, Counts};
use disposition::Disposition;
use external_sort::{Entry, HELD, Merge, Sorted};
use file_names::Files;
use record_set::Bits;
use repeats::Duplicates;
use rules::{Gathering, Rules};
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, HashMap, HashSet},
    ops::ControlFlow,
    path::Path,
};
use tally::{At, Found, Late, Reasons, Told};
use utterance::View;
use utterance_checks::RoleChecks;

/// What validation found.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Validation {
    /// The records that may be trained on.
    #[serde(skip)]
    pub accepted: Option<Dataset>,
    /// The records set aside.
    #[serde(skip)]
    pub rejected: Vec<Rejected>,
    /// What was found, in the order of the file, then of the code; of each kind as many as were asked for.
    pub findings: Vec<Finding>,
    /// What is known of each of `findings` besides.
    #[serde(skip)]
    pub marks: Vec<Mark>,
    /// Every check that was made, with how many findings it has in all.
    #[serde(default)]
    pub checks: Vec<Check>,
    /// All findings, where they were asked for as a baseline.
    #[serde(skip)]
    pub baseline: Option<Baseline>,
    /// Findings that the baseline knows: they are not among the others.
    #[serde(default)]
    pub known: u64,
    /// Records read; always `records_accepted + records_rejected`.
    pub records_in: u64,
    /// Records accepted.
    pub records_accepted: u64,
    /// Records set aside.
    pub records_rejected: u64,
    /// Findings by severity.
    pub errors: u64,
    /// See `errors`.
    pub warnings: u64,
    /// Examples by intent, among the accepted.
    pub intents: BTreeMap<String, u64>,
    /// Examples by language, among the accepted.
    pub languages: BTreeMap<String, u64>,
    /// What was read and what was accepted, where that was asked for.
    #[serde(skip)]
    pub profiles: Option<Box<ProfileChange>>,
}

/// How one check came out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// The code of what it finds.
    pub code: String,
    /// The rule, by its name or its column; `None` for what is checked of every data set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// How much its findings matter, all of them together.
    pub severity: Severity,
    /// How many there are, those of the baseline not counted.
    pub findings: u64,
    /// How many the baseline knows.
    pub known: u64,
}

/// What is known of a finding besides what it says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    /// What identifies it, whichever line it stands on: the digest of its code, its rule and what it is about.
    pub id: Digest,
    /// The rule that found it, as in [`Check::rule`].
    pub rule: Option<String>,
}

/// How to validate.
#[derive(Debug, Clone, Copy)]
pub struct ValidateOptions<'a> {
    /// What to call the file in what is found; `None`: by its path.
    pub name: Option<&'a str>,
    /// Test data: records of it that are also in the data are found.
    pub test: Option<&'a Dataset>,
    /// When this is: what is fresh depends on it.
    pub now: DateTime<Utc>,
    /// Findings of each kind that are kept; all are counted.
    pub samples: usize,
    /// Findings that are known: they are counted, and fail nothing.
    pub baseline: Option<&'a Baseline>,
    /// Whether [`Validation::baseline`] is wanted: all findings there are.
    pub notes_baseline: bool,
    /// Whether [`Validation::profiles`] is wanted.
    pub profiles: bool,
    /// Where what has to be sorted or counted is put when it does not fit into some 30 MB of memory; `None`: it is held.
    pub spill: Option<&'a Path>,
}

impl Default for ValidateOptions<'_> {
    fn default() -> Self {
        Self {
            name: None,
            test: None,
            now: DateTime::UNIX_EPOCH,
            samples: usize::MAX,
            baseline: None,
            notes_baseline: false,
            profiles: false,
            spill: None,
        }
    }
}

/// Words that are looked up for every record. Their order never shows.
type WordSet = HashSet<String, foldhash::fast::RandomState>;
/// What words stand for.
type ByWord<V> = HashMap<String, V, foldhash::fast::RandomState>;

/// What becomes of the records.
#[derive(Debug, Clone, Copy)]
pub enum Keep<'a> {
    /// They are counted.
    Counts,
    /// Those that are rejected are written to this file, with the reasons.
    Quarantine(&'a Path),
    /// Those that are rejected are returned, with the reasons: where they stand and what they say; not their entities.
    Rejected,
    /// All are returned: the accepted ones and, with the reasons, the rejected ones. The data set holds the records of
    /// the same rows.
    Records(&'a Dataset),
    /// The accepted ones are returned; the rejected ones are written to a quarantine, with the reasons.
    Accepted {
        /// The records of the same rows.
        data: &'a Dataset,
        /// The quarantine.
        quarantine: &'a Path,
    },
}

/// Checks `data` against `expectations`, and against `test` for leakage; all is held in memory.
///
/// - every finding is returned; those about a record name it, and those about the file come last
/// - a finding of severity error rejects its record; the accepted ones keep their order
/// - `records_in == records_accepted + records_rejected`
/// - of duplicates, all but the first are found; of texts under two intents and of leaks, each record of `data`
/// - in the accepted records, the label of out-of-scope utterances is [`botops_labels::OOS`]
/// - `rules` of columns are not looked at, for a data set has not all columns of its file: see [`validate_file`]
///
/// # Panics
/// When a record were neither accepted nor rejected: a bug.
#[must_use]
pub fn validate(data: &Dataset, expectations: &Expectations, test: Option<&Dataset>) -> Validation {
    let expectations = Expectations { rules: Vec::new(), ..expectations.clone() };
    let options = ValidateOptions { test, ..ValidateOptions::default() };
    run(&mut RecordRows::new(data), &expectations, &options, Keep::Records(data))
        .expect("records that were read are read again from memory")
}

/// Checks the file at `path`, read as `read` says, against `expectations`; memory does not grow with the file.
///
/// - the file is opened once; a second time for findings that compare records, for the records that are rejected, and
///   for the profile of those that are not
/// - as [`validate`], with every rule, and with `options.samples` findings of each kind, the first ones
/// - what is held grows by a bit for each record, and another for each rule with `fail_if`; without `options.spill`, by
///   a byte where there are intents
/// - where values or texts are compared over the whole file, 52 bytes a record are sorted, by `options.spill` on disk
/// - a quarantine file is complete or absent
/// - of several files that a pattern names, each record keeps the name of its own, and the columns are those of the first
/// - what comes through a pipe (`-`) is kept, by `options.spill` on disk, while it is read, for the second look
///
/// # Errors
/// Those of reading; `BOT-1002` when a file cannot be written; `BOT-2218` (exit 5) when the file changed meanwhile.
///
/// # Panics
/// When a record were neither accepted nor rejected: a bug.
pub fn validate_file(
    path: &Path,
    read: &ReadOptions,
    expectations: &Expectations,
    options: &ValidateOptions<'_>,
    keep: Keep<'_>,
) -> Result<Validation> {
    of_origin(Origin::of(path)?, read, expectations, options, keep)
}

/// As [`validate_file`], of a file of these `bytes` called `name`, whose ending says its format.
///
/// # Errors
/// As [`validate_file`].
///
/// # Panics
/// When a record were neither accepted nor rejected: a bug.
pub fn validate_bytes(
    bytes: Bytes,
    name: &str,
    read: &ReadOptions,
    expectations: &Expectations,
    options: &ValidateOptions<'_>,
    keep: Keep<'_>,
) -> Result<Validation> {
    of_origin(Origin::held(bytes, name), read, expectations, options, keep)
}

fn of_origin(
    origin: Origin,
    read: &ReadOptions,
    expectations: &Expectations,
    options: &ValidateOptions<'_>,
    keep: Keep<'_>,
) -> Result<Validation> {
    run(
        &mut TableRows::open(origin.kept(options.spill)?, read, options.name)?,
        expectations,
        options,
        keep,
    )
}

/// Checks the rows of `source`: reads them once, and the first of them again if findings or rejected records have to be
/// shown, or if the accepted ones have to be profiled.
fn run(
    source: &mut dyn Source,
    expectations: &Expectations,
    options: &ValidateOptions<'_>,
    keep: Keep<'_>,
) -> Result<Validation> {
    let file = source.name().to_owned();
    let mut engine = Engine::new(source, expectations, options)?;
    let mut before = options.profiles.then(|| Profiler::new(source.shape()));
    let n_records = engine.first_pass(source, before.as_mut())?;
    let wants_reasons = !matches!(keep, Keep::Counts);
    let reasons = engine.compare(wants_reasons.then_some(options.spill))?;
    engine.whole(n_records)?;
    let rejected = engine.found.rejected(n_records);
    let mut disposition = Disposition::begin(keep, &source.shape().names)?;
    // Without a rejected record, the accepted ones are those that were read.
    let mut after = (options.profiles && rejected.len() > 0).then(|| Profiler::new(source.shape()));
    engine.second_pass(
        source,
        SecondPass {
            n_records,
            rejected: &rejected,
            reasons,
            disposition: &mut disposition,
            profiler: after.as_mut(),
        },
    )?;
    let profiles = before.map(|before| {
        let before = before.finish(&file);
        let after = after.map_or_else(|| before.clone(), |after| after.finish(&file));
        Box::new(ProfileChange { before, after })
    });
    let (accepted, rejected_records) =
        disposition.finish(&file, expectations, n_records, &rejected)?;
    let checks = engine.found.checks(n_records);
    let of = |severity| {
        checks.iter().filter(|check| check.severity == severity).map(|check| check.findings).sum()
    };
    let (intents, languages) = engine.counts.take().unwrap_or_default();
    let (findings, marks) = engine.found.findings(&engine.files, n_records);
    let validation = Validation {
        records_in: n_records,
        records_accepted: n_records - rejected.len(),
        records_rejected: rejected.len(),
        errors: of(Severity::Error),
        warnings: of(Severity::Warning),
        known: checks.iter().map(|check| check.known).sum(),
        checks,
        intents,
        languages,
        findings,
        marks,
        baseline: engine.found.matching.and_then(Matching::into_baseline),
        profiles,
        accepted,
        rejected: rejected_records,
    };
    assert_eq!(
        validation.records_in,
        validation.records_accepted + validation.records_rejected,
        "every record is accepted or rejected"
    );
    Ok(validation)
}

fn changed(file: &str) -> Fault {
    Fault::conflict("BOT-2218", "the file changed while it was read")
        .file(file)
        .hint("wait until it is written, then validate it again")
}

/// The work of the second pass over the rows.
struct SecondPass<'a, 'b> {
    /// The records of the first pass.
    n_records: u64,
    /// Those of them that errors reject.
    rejected: &'a Bits,
    /// The reasons that only the whole file shows, by record; `None`: the reasons are not needed.
    reasons: Option<Sorted>,
    disposition: &'a mut Disposition<'b>,
    /// Profiles the accepted records.
    profiler: Option<&'a mut Profiler>,
}

/// The checks of one file, and what they have seen.
struct Engine<'a> {
    expectations: &'a Expectations,
    roles: Option<(Roles, RoleChecks<'a>)>,
    rules: Rules,
    gathering: Gathering,
    duplicates: Option<Duplicates>,
    classes: Classes,
    counts: Option<Counts>,
    found: Found,
    files: Files,
    now: DateTime<Utc>,
}

impl<'a> Engine<'a> {
    fn new(
        source: &dyn Source,
        expectations: &'a Expectations,
        options: &ValidateOptions<'a>,
    ) -> Result<Self> {
        let matching = (options.baseline.is_some() || options.notes_baseline)
            .then(|| Matching::new(options.baseline, options.notes_baseline));
        let mut found = Found::new(options.samples, matching);
        let shape = source.shape();
        let roles = shape.roles.clone().map(|roles| {
            let has_intents = roles.intent.is_some();
            let checks =
                RoleChecks::new(expectations, source.name(), has_intents, options.test, &mut found);
            (roles, checks)
        });
        let duplicates = match &roles {
            Some(_) => Duplicates::new(expectations, options.spill, &mut found),
            None => None,
        };
        let (rules, gathering) = Rules::bind(expectations, shape, options.spill, &mut found)?;
        let mut engine = Self {
            expectations,
            roles,
            rules,
            gathering,
            duplicates,
            classes: Classes::new(options.spill),
            counts: None,
            found,
            files: Files::new(source.name()),
            now: options.now,
        };
        engine.announce_whole();
        Ok(engine)
    }

    /// Reads every row: checks it, and adds it to `profiler`. Returns the number of records.
    fn first_pass(
        &mut self,
        source: &mut dyn Source,
        mut profiler: Option<&mut Profiler>,
    ) -> Result<u64> {
        let mut n_records = 0;
        source.each(&mut |row| {
            self.add(row, At::of(row, n_records))?;
            if let Some(profiler) = &mut profiler {
                profiler.add(row);
            }
            n_records += 1;
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(n_records)
    }

    /// Reads the rows again, as far as they are needed: completes the findings that came late, collects the reasons of
    /// each rejected record, and profiles the others.
    fn second_pass(&mut self, source: &mut dyn Source, pass: SecondPass<'_, '_>) -> Result<()> {
        let SecondPass { n_records, rejected, mut reasons, disposition, mut profiler } = pass;
        let file = source.name().to_owned();
        let late = self.found.take_late();
        let is_whole = profiler.is_some();
        let last_rejected = rejected.last().filter(|_| reasons.is_some());
        let last_needed = late.last().map(|late| late.at.position).max(last_rejected);
        let n_needed = match last_needed {
            _ if is_whole => n_records,
            Some(last) => last + 1,
            None => return Ok(()),
        };
        let levels: Vec<(&'static str, Severity)> = self
            .found
            .slots
            .iter()
            .map(|slot| slot.code)
            .zip(self.found.levels(n_records))
            .collect();
        let roles = source.shape().roles.clone();
        let mut late = late.into_iter().peekable();
        let mut reasons = reasons.as_mut().map(Sorted::merge).transpose()?;
        let mut position = 0;
        source.each(&mut |row| {
            let at = At::of(row, position);
            while let Some(late) = late.next_if(|late| late.at.position == position) {
                let told = self.told(&late, row);
                self.found.tell(&late, told);
            }
            let is_rejected = rejected.contains(position);
            if let Some(late) = reasons.as_mut().filter(|_| is_rejected) {
                let reasons = self.reasons(row, at, &levels, late)?;
                let file = self.files.of(Some(position));
                disposition.reject(file, row, roles.as_ref(), reasons)?;
            }
            if let Some(profiler) = profiler.as_mut().filter(|_| !is_rejected) {
                profiler.add(row);
            }
            position += 1;
            let is_done = position == n_needed && !is_whole;
            Ok(if is_done { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
        })?;
        if position == n_needed { Ok(()) } else { Err(changed(&file)) }
    }

    /// Returns the findings that reject `row`; `late` yields those that only the whole file shows.
    fn reasons(
        &self,
        row: Row<'_>,
        at: At,
        levels: &[(&'static str, Severity)],
        late: &mut Merge<'_>,
    ) -> Result<Vec<Finding>> {
        let file = self.files.of(Some(at.position));
        let mut sink = Reasons { slots: levels, file, found: Vec::new() };
        self.check(row, at, &mut sink)?;
        while late.peek().is_some_and(|entry| entry.key <= u128::from(at.position)) {
            let Some(entry) = late.next()? else { break };
            if entry.key == u128::from(at.position) {
                let late = late_of(&entry, at);
                sink.push(late.slot, at, || self.told(&late, row));
            }
        }
        let mut found = sink.found;
        found.sort_by(|a, b| a.code.cmp(&b.code));
        Ok(found)
    }

    /// Checks `row` by itself.
    fn check(&self, row: Row<'_>, at: At, sink: &mut impl tally::Sink) -> Result<()> {
        if let Some((roles, checks)) = &self.roles {
            checks.check(&View::of(roles, row), row, at, sink)?;
        }
        self.rules.check(row, at, sink);
        Ok(())
    }

    /// Checks `row`, and adds it to what is compared and counted.
    fn add(&mut self, row: Row<'_>, at: At) -> Result<()> {
        self.files.note(row, at.position);
        if let Some((roles, checks)) = &self.roles {
            let view = View::of(roles, row);
            checks.check(&view, row, at, &mut self.found)?;
            let intent = self.classes.note(view.intent, view.lang)?;
            if let Some(duplicates) = &mut self.duplicates {
                duplicates.add(&view, intent, at)?;
            }
        }
        self.rules.check(row, at, &mut self.found);
        self.rules.gather(row, at, &mut self.gathering)
    }

    /// Compares what is compared over the whole file. With `keeps`, returns what may reject a record, by record.
    fn compare(&mut self, keeps: Option<Option<&Path>>) -> Result<Option<Sorted>> {
        let Self { gathering, duplicates, found, .. } = self;
        let mut reasons = keeps.map(|spill| Sorted::new(spill, HELD));
        let mut tell = |late: Late| {
            let is_new = found.add_late(late);
            match &mut reasons {
                Some(reasons) if is_new => reasons.push(Entry {
                    key: u128::from(late.at.position),
                    at: late.slot as u64,
                    record: late.other,
                    line: late.other_line,
                    exact: late.other_at,
                    intent: late.intent,
                }),
                _ => Ok(()),
            }
        };
        if let Some(duplicates) = duplicates {
            duplicates.finish(&mut tell)?;
        }
        for unique in &mut gathering.unique {
            unique.entries.finish(unique.slot, &mut tell)?;
        }
        Ok(reasons)
    }

    /// Names the record that `late` is compared with.
    fn other(&self, late: &Late) -> String {
        let Late { at, other, other_line, other_at, .. } = late;
        let file = self.files.of(Some(*other_at));
        if file == self.files.of(Some(at.position)) {
            return format!("record {other} (line {other_line})");
        }
        format!("record {other} of {} (line {other_line})", botops_text::display(file, 120))
    }

    /// Says `late` of `row`.
    fn told(&self, late: &Late, row: Row<'_>) -> Told {
        if let Some(unique) = self.gathering.unique.iter().find(|unique| unique.slot == late.slot) {
            return (
                format!(
                    "`{}` is {}, as in {}",
                    shown(&unique.names),
                    unique.values(row),
                    self.other(late)
                ),
                "correct one of them, or remove it".to_owned(),
            );
        }
        match (&self.duplicates, &self.roles) {
            (Some(duplicates), Some((roles, _))) => {
                let intent = match late.intent {
                    class_counts::NONE => "",
                    intent => self.classes.intents.word(intent),
                };
                duplicates.told(late, &View::of(roles, row), &self.other(late), intent)
            }
            _ => Told::default(),
        }
    }
}

/// Reads back what [`Engine::compare`] put aside of the record at `at`.
fn late_of(entry: &Entry, at: At) -> Late {
    Late {
        at,
        slot: usize::try_from(entry.at).expect("slots are few"),
        other: entry.record,
        other_line: entry.line,
        other_at: entry.exact,
        intent: entry.intent,
        key: 0,
    }
}

/// Returns whether `cell` holds nothing but white space; of most cells the first byte tells.
fn is_blank(cell: &str) -> bool {
    !cell.as_bytes().first().is_some_and(u8::is_ascii_graphic) && cell.trim().is_empty()
}

/// Returns the beginning of `text` safe to show: on one line, without personal data.
fn shown(text: &str) -> String {
    botops_text::utterance(text, 60)
}

#[cfg(test)]
mod tests;
