//! The results of `botops data repair` as text.

use super::{
    Application, Finding, Fix, Proposal, Readmission, RemovedRecord, Validation, arguments::Args,
};
use crate::cli::terminal::tables;
use botops_findings::catalogue;
use botops_repair::{EditedCell, FixAction};
use botops_text::display;
use std::{collections::BTreeMap, path::Path};

/// Renders the proposed fixes and the findings that would remain.
pub(super) fn proposal(proposal: &Proposal, args: &Args, patch: Option<&str>) -> String {
    let Proposal { file, records_in, records_out, to_apply, fixes, remaining, .. } = proposal;
    let mut text = format!(
        "{}: {}; {} proposed, {} of them to be applied\n",
        display(file, 200),
        tables::counted(*records_in, "record", "records"),
        tables::counted(fixes.len() as u64, "fix is", "fixes are"),
        tables::count(*to_apply)
    );
    let mut kinds: BTreeMap<&str, Vec<&Fix>> = BTreeMap::new();
    for fix in fixes {
        kinds.entry(fix.codes.split(' ').next().unwrap_or_default()).or_default().push(fix);
    }
    for (code, fixes) in kinds {
        let title = catalogue::find(code).map_or("", |entry| entry.title);
        let to_apply = fixes.iter().filter(|fix| fix.is_applied).count() as u64;
        text.push_str(&format!(
            "{code} {title}: {}, {} to be applied\n",
            tables::count(fixes.len() as u64),
            tables::count(to_apply)
        ));
        for fix in fixes.iter().take(args.output.samples) {
            text.push_str(&line(fix));
        }
        text.push_str(&more(fixes.len(), args.output.samples));
    }
    if let Some(patch) = patch {
        text.push_str(&format!("wrote {patch}: review it, then apply it\n"));
    } else if !fixes.is_empty() {
        let why = if args.output.dry_run { " (dry run)" } else { "" };
        text.push_str(&format!("not written{why}\n"));
    }
    if *to_apply > 0 {
        text.push_str(&format!(
            "with those to be applied: {} in = {} out + {} removed\n",
            tables::counted(*records_in, "record", "records"),
            tables::count(*records_out),
            tables::count(records_in - records_out)
        ));
    }
    // Records have other numbers in the repaired data, so places are not shown.
    text.push_str(&remaining_counts(remaining));
    for check in remaining.checks.iter().filter(|check| check.findings > 0) {
        let title = catalogue::find(&check.code).map_or("", |entry| entry.title);
        let n = tables::count(check.findings);
        text.push_str(&format!("    {} {title}: {n}\n", check.code));
    }
    text
}

fn line(fix: &Fix) -> String {
    let Fix { record, line, column, before, after, why, .. } = fix;
    let apply = if fix.is_applied { "" } else { " (not to be applied)" };
    let change = match fix.action {
        FixAction::Change => {
            format!(
                "`{}`: `{}` -> `{}`",
                display(column, 40),
                display(before, 60),
                display(after, 60)
            )
        }
        FixAction::Remove => format!("remove `{}`: {}", display(before, 60), display(why, 120)),
    };
    format!("    record {record} (line {line}), {change}{apply}\n")
}

/// Renders the applied fixes, the removed records and the remaining findings.
pub(super) fn application(
    application: &Application,
    remaining: &Validation,
    args: &Args,
    patch: &Path,
    out: Option<&str>,
) -> String {
    let mut text = format!(
        "{}: {} in {}: {} applied, {} not to be applied\n",
        display(&application.file, 200),
        tables::counted(application.lines, "fix", "fixes"),
        patch.display(),
        tables::count(application.applied),
        tables::count(application.not_applied)
    );
    text.push_str(&format!(
        "changed {} of {}\n",
        tables::counted(application.cells_changed, "cell", "cells"),
        tables::counted(application.records_changed, "record", "records")
    ));
    let removed = &application.removed;
    if !removed.is_empty() {
        text.push_str(&format!(
            "removed {}\n",
            tables::counted(removed.len() as u64, "record", "records")
        ));
        for RemovedRecord { record, line, text: shown, codes } in
            removed.iter().take(args.output.samples)
        {
            let codes = if codes.is_empty() { String::new() } else { format!(" [{codes}]") };
            text.push_str(&format!("    record {record} (line {line}): `{shown}`{codes}\n"));
        }
        text.push_str(&more(removed.len(), args.output.samples));
    }
    text.push_str(&format!(
        "{}: {} in = {} out + {} removed\n",
        written(out),
        tables::counted(application.records_in, "record", "records"),
        tables::count(application.records_out),
        tables::count(removed.len() as u64)
    ));
    text.push_str(&remaining_counts(remaining));
    text.push_str(&tables::checks(remaining, args.output.samples));
    text
}

/// Renders the records that were merged back, and the reasons why others were quarantined again.
pub(super) fn readmission(
    readmission: &Readmission,
    args: &Args,
    out: Option<&str>,
    left: Option<&str>,
) -> String {
    let mut text = format!(
        "{}: {} listed, {} edited: {} merged back, {} quarantined again",
        display(&readmission.file, 200),
        tables::counted(readmission.listed, "record is", "records are"),
        tables::count(readmission.edited),
        tables::count(readmission.merged),
        tables::count(readmission.listed_still)
    );
    if readmission.of_other_files > 0 {
        text.push_str(&format!(", {} of other files", tables::count(readmission.of_other_files)));
    }
    text.push('\n');
    for EditedCell { record, line, column, before, after } in
        readmission.changes.iter().take(args.output.samples)
    {
        text.push_str(&format!(
            "    record {record} (line {line}), `{}`: `{}` -> `{}`\n",
            display(column, 40),
            display(before, 60),
            display(after, 60)
        ));
    }
    if readmission.changes.len() > args.output.samples {
        text.push_str(&format!(
            "    and {} more; `--format json` has all\n",
            readmission.changes.len() - args.output.samples
        ));
    }
    let findings: &[Finding] = &readmission.findings;
    text.push_str(&tables::findings(findings, args.output.samples));
    text.push_str(&format!(
        "{}: {} in = {} out + {} quarantined\n",
        written(out),
        tables::counted(readmission.records_in, "record", "records"),
        tables::count(readmission.records_out),
        tables::count(readmission.quarantined)
    ));
    if let Some(left) = left {
        text.push_str(&format!(
            "wrote {left}: {} with the reasons\n",
            tables::counted(readmission.quarantined, "record", "records")
        ));
    } else if readmission.quarantined > 0 {
        text.push_str(&format!(
            "not written to a file: {}; write them with the reasons with `--left FILE`\n",
            tables::counted(readmission.quarantined, "record", "records")
        ));
    }
    text
}

fn written(out: Option<&str>) -> String {
    out.map_or("not written (dry run)".to_owned(), |out| format!("wrote {out}"))
}

/// Counts the findings in the repaired data.
fn remaining_counts(remaining: &Validation) -> String {
    format!(
        "remaining: {}, {}\n",
        tables::counted(remaining.errors, "error", "errors"),
        tables::counted(remaining.warnings, "warning", "warnings")
    )
}

fn more(n: usize, shown: usize) -> String {
    match n.saturating_sub(shown) {
        0 => String::new(),
        more => format!("    and {} more\n", tables::count(more as u64)),
    }
}
