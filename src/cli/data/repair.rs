//! `botops data repair`.

mod arguments;
mod text;

pub(super) use arguments::Args;

use super::conversion;
use crate::cli::{
    Exit, Outcome,
    arguments::{data_source, out_path::OutPath},
    session::{context::Context, outputs, provenance},
};
use botops_datasets::{self as datasets, Packing, ReadOptions};
use botops_expectations::Expectations;
use botops_files::output_name;
use botops_findings::{Fault, Finding, Result};
use botops_repair::{
    Application, Fix, Proposal, Readmission, RemovedRecord, Repaired, SuggestedIntent,
};
use botops_snapshots::SnapshotReference;
use botops_validation::{Check, ValidateOptions, Validation};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// The findings of a validation of the repaired data.
#[derive(Serialize)]
struct Remaining<'a> {
    records_accepted: u64,
    records_rejected: u64,
    errors: u64,
    warnings: u64,
    checks: &'a [Check],
}

impl<'a> Remaining<'a> {
    fn of(validation: &'a Validation) -> Self {
        Self {
            records_accepted: validation.records_accepted,
            records_rejected: validation.records_rejected,
            errors: validation.errors,
            warnings: validation.warnings,
            checks: &validation.checks,
        }
    }
}

#[derive(Serialize)]
struct Proposed<'a> {
    #[serde(flatten)]
    proposal: &'a Proposal,
    patch: Option<String>,
    remaining: Remaining<'a>,
}

#[derive(Serialize)]
struct Applied<'a> {
    #[serde(flatten)]
    application: &'a Application,
    patch: String,
    out: Option<String>,
    remaining: Remaining<'a>,
}

#[derive(Serialize)]
struct Readmitted<'a> {
    #[serde(flatten)]
    readmission: &'a Readmission,
    quarantine: Vec<String>,
    out: Option<String>,
    left: Option<String>,
}

pub(super) fn run(args: &Args, _: &Context) -> Result<Outcome> {
    check_paths(args)?;
    if let Some(reference) = data_source::reference(&args.data) {
        let name = args.data.display();
        let whole = SnapshotReference { file: None, ..reference };
        let fault = Fault::usage(
            "BOT-2220",
            format!("`{name}` is a snapshot, and a snapshot cannot be changed"),
        )
        .hint(format!(
            "restore it first: `botops data pull {whole}`, and take a snapshot of the repaired data"
        ));
        return Err(fault);
    }
    let expectations = data_source::expectations(&args.data, args.expectations.as_deref())?;
    let work = Work {
        args,
        read: args.columns.options_with(&expectations),
        expectations,
        now: provenance::now()?,
        spill: std::env::temp_dir(),
    };
    match (&args.apply, &args.out) {
        (Some(patch), Some(out)) => work.apply(patch, out),
        (None, Some(out)) if !args.quarantine.is_empty() => work.readmit(out),
        (None, Some(_)) => {
            Err(Fault::usage("BOT-1003", "`--out` is for `--apply` and `--quarantine`")
                .hint("write the proposed fixes with `--patch FILE`, review them, then apply them"))
        }
        (_, None) => work.propose(),
    }
}

/// Refuses an output that is also an input, one file for two outputs, and files that must not be replaced.
fn check_paths(args: &Args) -> Result<()> {
    let mut inputs: Vec<Option<&Path>> = vec![
        Some(args.data.as_path()),
        args.expectations.as_deref(),
        args.labels.as_deref(),
        args.apply.as_deref(),
    ];
    inputs.extend(args.quarantine.iter().map(|path| Some(path.as_path())));
    let outputs = [&args.patch, &args.out, &args.left].map(|path| path.as_deref());
    outputs::distinct_outputs(&outputs, &inputs)?;
    outputs::csv_named(args.patch.as_deref(), "a patch")?;
    outputs::csv_named(args.left.as_deref(), "a quarantine")?;
    args.patch.as_deref().map_or(Ok(()), |path| args.patch_output(path).check())?;
    args.out.as_deref().map_or(Ok(()), |path| args.table(path).check())?;
    args.left().map_or(Ok(()), |left| left.check())
}

/// The common part of proposing, applying and merging back.
struct Work<'a> {
    args: &'a Args,
    expectations: Expectations,
    read: ReadOptions,
    now: DateTime<Utc>,
    spill: PathBuf,
}

impl Work<'_> {
    fn options(&self) -> ValidateOptions<'_> {
        ValidateOptions {
            now: self.now,
            samples: self.args.output.samples,
            spill: Some(&self.spill),
            ..ValidateOptions::default()
        }
    }

    fn propose(&self) -> Result<Outcome> {
        let args = self.args;
        let suggested = args.labels.as_deref().map_or(Ok(Vec::new()), label_issues)?;
        let proposal = botops_repair::propose(
            &args.data,
            &self.read,
            &self.expectations,
            &self.options(),
            &suggested,
        )?;
        let written = args.patch.as_ref().filter(|_| !args.output.dry_run);
        if let Some(path) = &args.patch {
            let bytes = botops_repair::patch_csv(&proposal.fixes, proposal.form);
            args.patch_output(path).check_content(&bytes)?;
            if !args.output.dry_run {
                args.patch_output(path).write(&bytes)?;
            }
        }
        let patch = written.map(OutPath::shown);
        let text = text::proposal(&proposal, args, patch.as_deref());
        let remaining = Remaining::of(&proposal.remaining);
        let outcome =
            Outcome::done(&Proposed { proposal: &proposal, patch: patch.clone(), remaining }, text);
        let data = args.data.display().to_string();
        let given = args.expectations.as_ref().map(|path| path.display().to_string());
        let labels = args.labels.as_ref().map(|path| path.display().to_string());
        let mut words = vec!["botops", "data", "repair", &data];
        words.extend(given.iter().flat_map(|path| ["--expectations", path.as_str()]));
        Ok(match &patch {
            _ if proposal.fixes.is_empty() => outcome,
            Some(patch) => {
                let out = beside(&args.data);
                words.extend(["--apply", patch, "--out", &out]);
                outcome.next(args.columns.line(words))
            }
            None if args.patch.is_none() => {
                words.extend(labels.iter().flat_map(|path| ["--labels", path.as_str()]));
                words.extend(["--patch", "repairs.csv"]);
                outcome.next(args.columns.line(words))
            }
            None => outcome,
        })
    }

    fn apply(&self, patch: &Path, out: &Path) -> Result<Outcome> {
        let args = self.args;
        let fixes: Vec<(_, Fix)> = botops_repair::read_patch(patch)?;
        let application = botops_repair::apply(&args.data, &self.read, &fixes, out)?;
        let name = output_name(out);
        let remaining =
            application.repaired.validate(&name, &self.expectations, &self.options())?;
        self.write(&application.repaired, out, || Ok(()))?;
        let written = (!args.output.dry_run).then(|| name.clone());
        let text = text::application(&application, &remaining, args, patch, written.as_deref());
        let answer = Applied {
            application: &application,
            patch: patch.display().to_string(),
            out: written.clone(),
            remaining: Remaining::of(&remaining),
        };
        let mut outcome = Outcome::done(&answer, text);
        if let Some(out) = written {
            outcome = outcome.next(self.validating(&out));
        }
        Ok(outcome.findings(remaining.findings))
    }

    fn readmit(&self, out: &Path) -> Result<Outcome> {
        let args = self.args;
        let readmission = botops_repair::readmit(
            &args.data,
            &self.read,
            &args.quarantine,
            &self.expectations,
            &self.options(),
            out,
        )?;
        self.write(&readmission.repaired, out, || {
            args.left().map_or(Ok(()), |left| botops_repair::write_left(&left, &readmission))
        })?;
        let name = |path: &Path| (!args.output.dry_run).then(|| output_name(path));
        let (written, left) = (name(out), args.left.as_deref().and_then(name));
        let text = text::readmission(&readmission, args, written.as_deref(), left.as_deref());
        let answer = Readmitted {
            readmission: &readmission,
            quarantine: args.quarantine.iter().map(|path| path.display().to_string()).collect(),
            out: written.clone(),
            left,
        };
        let exit = if readmission.quarantined > 0 { Exit::Gate } else { Exit::Done };
        let mut outcome = Outcome::done(&answer, text).exit(exit);
        if let Some(out) = written {
            outcome = outcome.next(self.validating(&out));
        }
        Ok(outcome.findings(readmission.findings.clone()))
    }

    /// Writes the repaired data to `out`, complete or not at all, after `other_files` has written its files.
    fn write(
        &self,
        repaired: &Repaired,
        out: &Path,
        other_files: impl FnOnce() -> Result<()>,
    ) -> Result<()> {
        if self.args.output.dry_run {
            return Ok(());
        }
        let output = self.args.table(out);
        let mut file = output.create()?;
        let packing = Packing::of_name(&out.to_string_lossy());
        repaired.write(packing, &mut file).map_err(|error| conversion::unwritten(error, out))?;
        other_files()?;
        output.publish(file)
    }

    /// Returns the command that validates the written file by the same expectations.
    fn validating(&self, out: &str) -> String {
        let mut words = vec!["botops", "validate", out];
        let given = self.args.expectations.as_ref().map(|path| path.display().to_string());
        let beside = self.args.data.with_file_name("expectations.yaml");
        let beside = Some(beside).filter(|path| {
            path.exists() && *path != Path::new(out).with_file_name("expectations.yaml")
        });
        let named = given.or_else(|| beside.map(|path| path.display().to_string()));
        if let Some(path) = &named {
            words.extend(["--expectations", path.as_str()]);
        }
        self.args.columns.of_written().line(words)
    }
}

/// Returns the name for the repaired data of `train.csv`: `train.repaired.csv`.
fn beside(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let repaired = match name.split_once('.') {
        Some((stem, ending)) => format!("{stem}.repaired.{ending}"),
        None => format!("{name}.repaired"),
    };
    path.with_file_name(repaired).display().to_string()
}

/// Reads the suggested intents from the output of `data label-issues`.
fn label_issues(path: &Path) -> Result<Vec<SuggestedIntent>> {
    #[derive(Deserialize)]
    struct Document {
        data: Issues,
    }
    #[derive(Deserialize)]
    struct Issues {
        issues: Vec<SuggestedIntent>,
    }
    let bytes = datasets::bytes(path)?;
    let document: Document = serde_json::from_slice(&bytes).map_err(|error| {
        Fault::data("BOT-2221", "the file is not a list of label issues")
            .file(path)
            .hint("write it: `botops data label-issues DATA --format json > labels.json`")
            .caused_by(error)
    })?;
    Ok(document.data.issues)
}
