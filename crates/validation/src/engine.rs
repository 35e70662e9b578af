//! The engine: reads the rows once, and again for findings, rejected records and profiles that need a second reading.

use crate::{
    baseline::BaselineMatch,
    blank_rows::BlankRows,
    class_counts::{Classes, Counts, NO_CLASS},
    disposition::Disposition,
    external_sort::{ExternalSort, MOST_HELD, Merge},
    file_checks::FileChecks,
    file_names::FileNames,
    near_leaks::NearLeaks,
    record_position::{FindingSink, LateFinding, LateReason, Message, RecordPosition},
    record_set::RecordSet,
    repeats::Repeats,
    rules::{Rules, WholeColumns},
    tally::{Reasons, Tally},
    utterance::Utterance,
    utterance_checks::UtteranceChecks,
    validation::{Keep, ValidateOptions, Validation},
    words::{changed, excerpt},
};
use botops_datasets::{
    Dataset, ReadOptions, RecordRows, Source, TableRows,
    column_roles::Roles,
    table::{Origin, Row},
};
use botops_expectations::Expectations;
use botops_findings::{Finding, Result, Severity};
use botops_profile::{ProfileChange, Profiler};
use bytes::Bytes;
use chrono::{DateTime, Utc};
use std::{ops::ControlFlow, path::Path};

/// Checks `data`, held in memory, against `expectations`, and against `test` for leakage.
///
/// - every finding is returned, by record; those about the file come last
/// - a finding of severity error rejects its record; the accepted records keep their order
/// - every duplicate after the first is reported, and each record of a text under two intents or in the test data
/// - in the accepted records, the label of out-of-scope utterances is [`botops_labels::OOS`]
/// - the `rules` of `expectations` do not apply, because a data set lacks the other columns of its file: see
///   [`validate_file`]
#[must_use]
pub fn validate(data: &Dataset, expectations: &Expectations, test: Option<&Dataset>) -> Validation {
    let expectations = Expectations { rules: Vec::new(), ..expectations.clone() };
    let options = ValidateOptions { test, ..ValidateOptions::default() };
    run(&mut RecordRows::new(data), &expectations, &options, Keep::Records(data))
        .expect("reading records from memory does not fail")
}

/// Checks the file at `path`, read with the options `read`, against `expectations`; memory does not grow with the file.
///
/// - the result is that of [`validate`], with all rules, and with the first `options.samples` findings of each kind
/// - the file is opened once; a second time for findings that compare records, for the rejected records, and for the
///   profile of the accepted ones
/// - memory grows by a bit per record, another for each rule with `fail_if`, and without `options.spill` by a byte if there
///   are intents
/// - where values or texts are compared across the file, 52 bytes per record are sorted, on disk with `options.spill`
/// - a quarantine file is complete or absent
/// - if `path` is a pattern of several files, each record keeps the name of its file, and the columns are those of the
///   first file
/// - input from a pipe (`-`) is stored for the second reading, on disk with `options.spill`
///
/// # Errors
/// Those of reading; `BOT-1002` when a file cannot be written; `BOT-2218` (exit 5) when the file changes between the
/// readings.
pub fn validate_file(
    path: &Path,
    read: &ReadOptions,
    expectations: &Expectations,
    options: &ValidateOptions<'_>,
    keep: Keep<'_>,
) -> Result<Validation> {
    validate_origin(Origin::of(path)?, read, expectations, options, keep)
}

/// Checks a file of these `bytes`, called `name`, as [`validate_file`] does; the extension of `name` says its format.
///
/// # Errors
/// As [`validate_file`].
pub fn validate_bytes(
    bytes: Bytes,
    name: &str,
    read: &ReadOptions,
    expectations: &Expectations,
    options: &ValidateOptions<'_>,
    keep: Keep<'_>,
) -> Result<Validation> {
    validate_origin(Origin::held(bytes, name), read, expectations, options, keep)
}

/// Checks the files of `origin`, as [`validate_file`] does.
///
/// # Errors
/// As [`validate_file`].
pub fn validate_origin(
    origin: Origin,
    read: &ReadOptions,
    expectations: &Expectations,
    options: &ValidateOptions<'_>,
    keep: Keep<'_>,
) -> Result<Validation> {
    let mut rows = TableRows::open(origin.kept(options.spill)?, read, options.name)?;
    run(&mut rows, expectations, options, keep)
}

/// Checks the rows of `source`.
pub(crate) fn run(
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
    let reasons = engine.compare_records(wants_reasons.then_some(options.spill))?;
    let counts = engine.check_file(n_records)?;
    let rejected = engine.tally.rejected(n_records);
    let mut disposition = Disposition::begin(keep, source.shape())?;
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
    let (intents, languages) = counts;
    let validation = Validation {
        accepted,
        rejected: rejected_records,
        records_accepted: n_records - rejected.len(),
        records_rejected: rejected.len(),
        max_rejected_share: expectations.max_rejected_share,
        intents,
        languages,
        profiles,
        ..engine.into_validation(n_records)
    };
    assert_eq!(
        validation.records_in,
        validation.records_accepted + validation.records_rejected,
        "every record is accepted or rejected"
    );
    Ok(validation)
}

/// The second pass over the rows.
struct SecondPass<'a, 'b> {
    /// The number of records in the first pass.
    n_records: u64,
    /// The records that errors reject.
    rejected: &'a RecordSet,
    /// The reasons that compare records; `None`: no reasons are needed.
    reasons: Option<ExternalSort<LateReason>>,
    disposition: &'a mut Disposition<'b>,
    /// Profiles the accepted records.
    profiler: Option<&'a mut Profiler>,
}

/// The checks of one data set, and their findings.
struct Engine<'a> {
    expectations: &'a Expectations,
    /// `None`: there is no text column, and the rules are about other columns.
    utterances: Option<(Roles, UtteranceChecks<'a>)>,
    blank_rows: BlankRows,
    rules: Rules,
    /// The conditions of the rules with `no_damage` for the text; where one applies, it takes the place of the check that
    /// every text gets.
    text_damage: Vec<Option<usize>>,
    whole_columns: WholeColumns,
    repeats: Option<Repeats>,
    near_leaks: Option<NearLeaks<'a>>,
    file_checks: FileChecks<'a>,
    classes: Classes,
    tally: Tally,
    files: FileNames,
    now: DateTime<Utc>,
}

impl<'a> Engine<'a> {
    fn new(
        source: &dyn Source,
        expectations: &'a Expectations,
        options: &ValidateOptions<'a>,
    ) -> Result<Self> {
        let baseline = (options.baseline.is_some() || options.notes_baseline)
            .then(|| BaselineMatch::new(options.baseline, options.notes_baseline));
        let mut tally = Tally::new(options.samples, baseline);
        let shape = source.shape();
        let utterances = shape.roles.clone().map(|roles| {
            let has_intents = roles.intent.is_some();
            let checks = UtteranceChecks::new(
                expectations,
                source.name(),
                has_intents,
                options.test,
                &mut tally,
            );
            (roles, checks)
        });
        let repeats = match &utterances {
            Some(_) => Repeats::new(expectations, options.spill, &mut tally),
            None => None,
        };
        let near_leaks = match (&utterances, options.test) {
            (Some(_), Some(test)) => Some(NearLeaks::new(test, expectations, &mut tally)),
            _ => None,
        };
        let (rules, whole_columns) = Rules::bind(expectations, shape, options.spill, &mut tally)?;
        let empty = match &utterances {
            Some((_, checks)) => checks.empty,
            None => tally.slot(expectations, "BOT-2111", None),
        };
        let blank_rows = BlankRows::new(shape, empty);
        let text_damage =
            utterances.as_ref().map_or_else(Vec::new, |(roles, _)| rules.damage_tests(roles.text));
        let has_intents = utterances.as_ref().is_some_and(|(roles, _)| roles.intent.is_some());
        Ok(Self {
            expectations,
            utterances,
            blank_rows,
            rules,
            text_damage,
            whole_columns,
            repeats,
            near_leaks,
            file_checks: FileChecks::new(expectations, has_intents, &mut tally),
            classes: Classes::new(options.spill),
            tally,
            files: FileNames::new(source.name()),
            now: options.now,
        })
    }

    /// Reads every row: checks it, and adds it to `profiler`. Returns the number of records.
    fn first_pass(
        &mut self,
        source: &mut dyn Source,
        mut profiler: Option<&mut Profiler>,
    ) -> Result<u64> {
        let mut n_records = 0;
        source.each(&mut |row| {
            self.add(row, RecordPosition::of(row, n_records))?;
            if let Some(profiler) = &mut profiler {
                profiler.add(row);
            }
            n_records += 1;
            Ok(ControlFlow::Continue(()))
        })?;
        for finding in source.take_unread() {
            self.tally.add_unread(self.expectations, finding);
        }
        Ok(n_records)
    }

    /// Checks `row`, and adds it to the values that are compared and counted.
    fn add(&mut self, row: Row<'_>, at: RecordPosition) -> Result<()> {
        self.files.note(row, at.position);
        let is_blank = self.blank_rows.report(row, at, &mut self.tally);
        if let Some((roles, checks)) = &self.utterances {
            let utterance = Utterance::of(roles, row);
            if !is_blank {
                let has_rule = self.has_damage_rule(row);
                checks.check(&utterance, row, (at, has_rule), &mut self.tally)?;
            }
            let intent = self.classes.note(utterance.intent, utterance.lang)?;
            if let Some(repeats) = &mut self.repeats {
                repeats.add(&utterance, intent, at)?;
            }
            if let Some(near_leaks) = &mut self.near_leaks {
                near_leaks.add(&utterance, at, &mut self.tally);
            }
        }
        if !is_blank {
            self.rules.check(row, at, &mut self.tally);
        }
        self.rules.gather(row, at, &mut self.whole_columns)
    }

    /// Returns whether a rule checks the text of `row` for damage.
    fn has_damage_rule(&self, row: Row<'_>) -> bool {
        self.text_damage.iter().any(|when| self.rules.applies(*when, row))
    }

    /// Checks `row` by itself.
    fn check(&self, row: Row<'_>, at: RecordPosition, sink: &mut impl FindingSink) -> Result<()> {
        if self.blank_rows.report(row, at, sink) {
            return Ok(());
        }
        if let Some((roles, checks)) = &self.utterances {
            let has_rule = self.has_damage_rule(row);
            checks.check(&Utterance::of(roles, row), row, (at, has_rule), sink)?;
        }
        self.rules.check(row, at, sink);
        Ok(())
    }

    /// Compares texts and values across the file. With `reasons`, the folder to spill to, returns the findings that may
    /// reject a record.
    fn compare_records(
        &mut self,
        reasons: Option<Option<&Path>>,
    ) -> Result<Option<ExternalSort<LateReason>>> {
        let Self { whole_columns, repeats, tally, .. } = self;
        let mut reasons = reasons.map(|spill| ExternalSort::new(spill, MOST_HELD));
        let mut report = |late: LateFinding| {
            let is_new = tally.add_late(late);
            match &mut reasons {
                Some(reasons) if is_new => reasons.push(LateReason::of(&late)),
                _ => Ok(()),
            }
        };
        if let Some(repeats) = repeats {
            repeats.finish(&mut report)?;
        }
        for unique in &mut whole_columns.unique {
            unique.keys.finish(unique.slot, &mut report)?;
        }
        Ok(reasons)
    }

    /// Checks the file as a whole; returns the accepted records by intent and by language.
    fn check_file(&mut self, n_records: u64) -> Result<Counts> {
        self.file_checks.check_rows(n_records, &mut self.tally);
        if let Some(near_leaks) = &mut self.near_leaks {
            near_leaks.finish(&mut self.tally);
        }
        self.whole_columns.finish(self.now, &mut self.tally);
        if self.utterances.is_none() {
            return Ok(Counts::default());
        }
        let rejected = self.tally.rejected(n_records);
        self.file_checks.check_intents(&self.classes, &rejected, &mut self.tally)
    }

    /// Reads the rows again, as far as they are needed: completes the late findings, collects the reasons of each rejected
    /// record, and profiles the accepted ones.
    fn second_pass(&mut self, source: &mut dyn Source, pass: SecondPass<'_, '_>) -> Result<()> {
        let SecondPass { n_records, rejected, mut reasons, disposition, mut profiler } = pass;
        let file = source.name().to_owned();
        let late = self.tally.take_late();
        let is_whole = profiler.is_some();
        let last_rejected = rejected.last().filter(|_| reasons.is_some());
        let last_needed = late.last().map(|late| late.at.position).max(last_rejected);
        let n_needed = match last_needed {
            _ if is_whole => n_records,
            Some(last) => last + 1,
            None => return Ok(()),
        };
        let levels = self.tally.levels(n_records);
        let roles = source.shape().roles.clone();
        let mut late = late.into_iter().peekable();
        let mut reasons = reasons.as_mut().map(ExternalSort::merge).transpose()?;
        let mut position = 0;
        source.each(&mut |row| {
            let at = RecordPosition::of(row, position);
            while let Some(late) = late.next_if(|late| late.at.position == position) {
                let message = self.late_message(&late, row);
                self.tally.complete(&late, message);
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

    /// Returns the findings that reject `row`; `late` holds those that compare it with other records.
    fn reasons(
        &self,
        row: Row<'_>,
        at: RecordPosition,
        levels: &[(&'static str, Severity)],
        late: &mut Merge<'_, LateReason>,
    ) -> Result<Vec<Finding>> {
        let mut reasons = Reasons::new(levels, self.files.of(Some(at.position)));
        self.check(row, at, &mut reasons)?;
        if let (Some(near_leaks), Some((roles, _))) = (&self.near_leaks, &self.utterances)
            && let (Some(slot), Some(test)) = (near_leaks.slot, near_leaks.found(at.position))
        {
            let text = Utterance::of(roles, row).text;
            reasons.push(slot, at, || near_leaks.message(text, test));
        }
        while late.peek().is_some_and(|reason| reason.position <= at.position) {
            let Some(reason) = late.next()? else { break };
            if reason.position == at.position {
                let late = reason.finding(at);
                reasons.push(late.slot, at, || self.late_message(&late, row));
            }
        }
        Ok(reasons.into_findings())
    }

    /// Returns the message of `late`, a finding about `row`.
    fn late_message(&self, late: &LateFinding, row: Row<'_>) -> Message {
        let unique = self.whole_columns.unique.iter().find(|unique| unique.slot == late.slot);
        if let Some(unique) = unique {
            let (names, values) = (excerpt(&unique.names), unique.values(row));
            return (
                format!("`{names}` is {values}, as in {}", self.other_record(late)),
                "correct one of them, or remove it".to_owned(),
            );
        }
        match (&self.repeats, &self.utterances) {
            (Some(repeats), Some((roles, _))) => {
                let intent = match late.intent {
                    NO_CLASS => "",
                    intent => self.classes.intents.word(intent),
                };
                let other = self.other_record(late);
                repeats.message(late, &Utterance::of(roles, row), &other, intent)
            }
            _ => Message::default(),
        }
    }

    /// Names the record that `late` is compared with.
    fn other_record(&self, late: &LateFinding) -> String {
        let LateFinding { at, other: RecordPosition { position, record, line }, .. } = late;
        let file = self.files.of(Some(*position));
        if file == self.files.of(Some(at.position)) {
            return format!("record {record} (line {line})");
        }
        format!("record {record} of {} (line {line})", botops_text::display(file, 120))
    }

    /// Returns the findings and the outcome of the checks of `n_records` records.
    fn into_validation(self, n_records: u64) -> Validation {
        let checks = self.tally.checks(n_records);
        let n_findings = |severity| {
            let of_severity = checks.iter().filter(|check| check.severity == severity);
            of_severity.map(|check| check.findings).sum()
        };
        let (errors, warnings) = (n_findings(Severity::Error), n_findings(Severity::Warning));
        let (findings, marks) = self.tally.findings(&self.files, n_records);
        Validation {
            records_in: n_records,
            errors,
            warnings,
            known: checks.iter().map(|check| check.known).sum(),
            checks,
            findings,
            marks,
            baseline: self.tally.baseline.and_then(BaselineMatch::into_baseline),
            ..Validation::default()
        }
    }
}
