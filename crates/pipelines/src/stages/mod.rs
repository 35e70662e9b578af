//! The kinds of stages: each reads its inputs, calls the room that does the work, and writes its outputs.

pub(crate) mod last_run;
pub(crate) mod work;

pub(crate) mod compact;
mod dialogue_test;
mod drift;
mod files;
mod fitting;
pub(crate) mod knowledge;
mod shell;
mod versions;
mod window;
mod window_labels;

pub(crate) use files::{INSUFFICIENT, read_json_in, read_output};
pub(crate) use shell::{SHELL_OUTPUTS, shell_outputs};
pub(crate) use versions::{promoted_over, settle};

use super::{
    annotations::annotation_findings,
    events::Event,
    input_files,
    plan::{Plan, Stage},
    spec::{
        EvaluateStage, GateStage, NearDuplicates, OnInsufficient, SplitStage, StageSpec,
        TrainStage, ValidateStage,
    },
    state::{StageRecord, StageVerdict},
    status::Inputs,
};
use botops_datasets::{self as datasets, Dataset, Presence, ReadOptions, TableRows, table::Origin};
use botops_digest::Digest;
use botops_evaluation::{
    self as evaluation, BehaviourKind, BehaviourSpec, Comparison, EvaluationReport, JudgedKnowledge,
};
use botops_expectations::Expectations;
use botops_files::{Output, OutputKind};
use botops_findings::{Fault, Finding, Result, Severity};
use botops_models::ModelSpec;
use botops_report as report;
use botops_spec::{self as spec, Checked, Outline, Spec as _};
use botops_splits::SplitLock;
use botops_text::counted;
use botops_validation::{Keep, ValidateOptions};
use bytes::Bytes;
use files::{load, read_json, read_model, write_bytes, write_json, write_text};
use fitting::fit;
use std::{
    collections::HashMap,
    fs,
    io::{Read as _, Seek as _},
    path::Path,
};
use work::{Ended, Work, expectations_path, pushed};

/// The number of findings of each kind that a validation keeps. All are counted.
const KEPT_FINDINGS: usize = 1_000;

/// Executes `stage` with the gathered `inputs` and writes its files into the folder `made`.
pub(super) async fn execute(
    work: &mut Work<'_>,
    stage: &Stage,
    inputs: &Inputs,
    made: &Path,
) -> Result<Ended> {
    match &stage.spec {
        None => versions::baseline(work, made).await,
        Some(StageSpec::Validate(spec)) => validate(work, spec, inputs, made),
        Some(StageSpec::Split(spec)) => split(work, spec, made),
        Some(StageSpec::Train(spec)) => train(work, stage, spec, made).await,
        Some(StageSpec::Evaluate(spec)) => evaluate(work, spec, made).await,
        Some(StageSpec::Gate(spec)) => gate(work, spec, made),
        Some(StageSpec::Drift(spec)) => drift::drift(work, stage, spec, made),
        Some(StageSpec::Push(spec)) => versions::push(work, &stage.name, spec, made).await,
        Some(StageSpec::Promote(spec)) => versions::promote(work, stage, spec, made).await,
        Some(StageSpec::Shell(spec)) => shell::shell(work, spec, made).await,
        Some(StageSpec::DialogueTest(spec)) => dialogue_test::dialogue_test(work, spec, made),
        Some(StageSpec::Window(spec)) => {
            let (ended, findings) = window::window(work, spec, made).await?;
            work.findings.extend(findings);
            Ok(ended)
        }
        Some(StageSpec::KnowledgeImport(spec)) => {
            let (ended, findings) = knowledge::import(work, spec, &inputs.inputs, made).await?;
            work.findings.extend(findings);
            Ok(ended)
        }
        Some(StageSpec::Compact(spec)) => {
            let (ended, findings) = compact::compact(work, spec, made).await?;
            work.findings.extend(findings);
            Ok(ended)
        }
    }
}

/// Checks the effects of a skipped stage outside its folder: the registered version and the champion.
pub(super) async fn recall(
    work: &mut Work<'_>,
    stage: &Stage,
    _record: &StageRecord,
) -> Result<()> {
    if let Some(StageSpec::KnowledgeImport(_)) = &stage.spec {
        knowledge::recall(work, &stage.name).await?;
    }
    if let Some(StageSpec::Push(spec)) = &stage.spec {
        let Some(model) = &work.plan.model else { return Ok(()) };
        let Some(version) = pushed(work, &stage.name).await? else {
            return Err(Fault::data(
                "BOT-8031",
                format!(
                    "the version that stage `{}` registered is no longer in the registry",
                    stage.name
                ),
            )
            .file(work.services.registry.store().url())
            .hint(format!(
                "to register it again: remove {} and run again",
                work.folder.stage(&stage.name).display()
            ))
            .hint(format!("to list the versions: `botops registry list {model}`")));
        };
        versions::restore(work, spec, &version).await?;
    }
    if let Some(StageSpec::Promote(spec)) = &stage.spec
        && let Some(version) = pushed(work, &spec.version).await?
        && let Some(champion) = work.champion.clone()
        && champion.manifest_digest != version.manifest_digest
    {
        let message = format!(
            "this pipeline promoted {}, but the champion is now {}",
            version.reference(),
            champion.reference()
        );
        work.services.listener.hear(&Event::Note { message: message.clone() });
        let help = format!(
            "`botops registry log {}` lists who moved the champion, and why",
            version.model
        );
        work.findings.push(Finding::new("BOT-8023", Severity::Warning, message, help));
    }
    Ok(())
}

fn validate(
    work: &mut Work<'_>,
    stage: &ValidateStage,
    inputs: &Inputs,
    made: &Path,
) -> Result<Ended> {
    let root = &work.services.root;
    let expectations: Expectations = match expectations_path(root, stage) {
        Some(path) => Expectations::read(&root.join(path))?,
        None => Expectations::default(),
    };
    let options = expectations.read_options();
    // A model is trained on the accepted records, so each must have a text.
    let options = ReadOptions { text: Presence::Required, ..options };
    let name = stage.data.display().to_string();
    let origin = data_origin(&name, inputs)?;
    let data = datasets::read_origin(&origin, &options)?;
    let how = ValidateOptions {
        name: Some(&name),
        now: work.started_at,
        samples: KEPT_FINDINGS,
        profiles: true,
        spill: Some(made),
        ..ValidateOptions::default()
    };
    let quarantine = made.join("quarantine.csv");
    let keep = Keep::Accepted { data: &data, quarantine: &quarantine };
    let mut validation =
        botops_validation::validate_origin(origin.clone(), &options, &expectations, &how, keep)?;
    let accepted = validation
        .accepted
        .take()
        .expect("a validation with `Keep::Accepted` returns the accepted records");
    let mut rows = TableRows::open(origin, &options, Some(&name))?;
    let accepted = datasets::csv_with_other_columns(&mut rows, &accepted)?;
    write_bytes(made, "accepted.csv", &accepted)?;
    write_json(made, "validation.json", &validation)?;
    write_text(made, "validation.html", &report::validation_html(&validation, &data.name))?;
    write_text(made, "validation.md", &report::validation_markdown(&validation, &data.name))?;
    let share = validation.share_text().map_or(String::new(), |share| format!("; {share}"));
    let summary = format!(
        "{} of {} records accepted, {} quarantined, {}, {}{share}",
        validation.records_accepted,
        validation.records_in,
        validation.records_rejected,
        counted(validation.errors, "error", "errors"),
        counted(validation.warnings, "warning", "warnings")
    );
    let verdict = if !validation.passes() {
        StageVerdict::Failed
    } else if validation.errors + validation.warnings > 0 {
        StageVerdict::Warned
    } else {
        StageVerdict::Passed
    };
    if verdict == StageVerdict::Failed {
        work.findings
            .extend(validation.findings.iter().filter(|f| f.severity == Severity::Error).cloned());
    }
    Ok((verdict, summary))
}

/// Reads the data files of a validate stage, which the pipeline calls `name`, through the handles of its inputs.
///
/// Each file is opened once, so the recorded digest is that of the bytes that are validated.
///
/// # Errors
/// `BOT-1001` (exit 2) if it cannot be read; `BOT-2218` (exit 5) if it changed since its digest was computed.
fn data_origin(name: &str, inputs: &Inputs) -> Result<Origin> {
    let (mut held, mut digests) = (Vec::new(), Vec::new());
    for (path, file) in &inputs.data {
        let (mut file, mut bytes) = (file, Vec::new());
        file.rewind()
            .and_then(|()| file.read_to_end(&mut bytes))
            .map_err(|error| spec::unreadable(path, &error))?;
        digests.push((path.display().to_string(), Digest::of(&bytes)));
        held.push((Bytes::from(bytes), path.display().to_string()));
    }
    if inputs.inputs.get("file:data") != Some(&input_files::combined(&digests)) {
        return Err(Fault::conflict("BOT-2218", "the file changed while it was read")
            .file(name)
            .hint("wait until the file is complete, then run the pipeline again"));
    }
    Ok(Origin::held_files(held, name))
}

fn split(work: &mut Work<'_>, stage: &SplitStage, made: &Path) -> Result<Ended> {
    let data = read_output(work, &stage.from, "accepted.csv")?;
    if let Some(lock) = &stage.lock {
        return split_locked(work, stage, &data, lock, made);
    }
    let (train, test, findings) = match stage.near_duplicates {
        NearDuplicates::Together => {
            let split = botops_splits::split_locked(&data, None, &stage.locked().check()?, None)
                .map_err(|fault| {
                    fault.hint("`near_duplicates: ignored` lets near duplicates of a training text into the test side")
                })?;
            (split.train, split.test, split.findings)
        }
        NearDuplicates::Ignored => {
            let split = botops_splits::split(&data, &stage.by_text().check()?)?;
            (split.train, split.test, Vec::new())
        }
    };
    write_sides(work, stage, &[("train.csv", &train), ("test.csv", &test)], made)?;
    let summary = format!("{} to train, {} to test", train.records.len(), test.records.len());
    let verdict = match findings.is_empty() {
        true => StageVerdict::Passed,
        false => StageVerdict::Warned,
    };
    work.findings.extend(findings);
    Ok((verdict, summary))
}

/// Writes the accepted records of each of `sides`, by file, with all of their columns.
fn write_sides(
    work: &Work<'_>,
    stage: &SplitStage,
    sides: &[(&str, &Dataset)],
    made: &Path,
) -> Result<()> {
    let side_of: HashMap<u64, usize> = (0..)
        .zip(sides)
        .flat_map(|(side, (_, data))| data.records.iter().map(move |record| (record.record, side)))
        .collect();
    let origin = Origin::of(&work.folder.file(&stage.from, "accepted.csv"))?;
    let mut rows = TableRows::open(origin, &ReadOptions::default(), None)?;
    let parts = datasets::csv_parts(&mut rows, sides.len(), &mut |_, row| {
        Ok(side_of.get(&row.record()).copied())
    })?;
    for ((file, _), bytes) in sides.iter().zip(&parts) {
        write_bytes(made, file, bytes)?;
    }
    Ok(())
}

/// Splits by the lock, and adds the new records to it.
fn split_locked(
    work: &mut Work<'_>,
    stage: &SplitStage,
    data: &Dataset,
    lock: &Path,
    made: &Path,
) -> Result<Ended> {
    let path = work.services.root.join(lock);
    let before = SplitLock::read(&path)?;
    let spec = stage.locked().check()?;
    let split = botops_splits::split_locked(data, None, &spec, before.as_ref())?;
    let mut sides = vec![("train.csv", &split.train)];
    sides.extend(split.validation.as_ref().map(|validation| ("validation.csv", validation)));
    sides.push(("test.csv", &split.test));
    write_sides(work, stage, &sides, made)?;
    let left_out = made.join("left-out.csv");
    let output = Output::new(&left_out, OutputKind::Quarantine, false);
    botops_validation::write_rejected(&output, &data.name, &split.left_out)?;
    // If the folder cannot be created, writing the lock reports the fault.
    let _ = path.parent().map(fs::create_dir_all);
    split.lock.write(&path, before.as_ref())?;
    let to_validation = split.validation.as_ref().map_or(String::new(), |validation| {
        format!(" {} to validation,", validation.records.len())
    });
    let summary = format!(
        "{} to train,{to_validation} {} to test, {} left out; {} in the lock, {} near duplicates of those, {} new",
        split.train.records.len(),
        split.test.records.len(),
        split.left_out.len(),
        split.records_locked,
        split.records_following,
        split.records_new
    );
    let verdict = match split.findings.is_empty() {
        true => StageVerdict::Passed,
        false => StageVerdict::Warned,
    };
    work.findings.extend(split.findings);
    Ok((verdict, summary))
}

async fn train(
    work: &mut Work<'_>,
    stage: &Stage,
    spec: &TrainStage,
    made: &Path,
) -> Result<Ended> {
    let data = read_output(work, &spec.from, "train.csv")?;
    let (model, equipment) =
        fit(work, &stage.name, &data, &spec.model, spec.dialogue.as_deref()).await?;
    let bytes = model.to_bytes();
    write_bytes(made, "model.botops", &bytes)?;
    equipment.finish()?;
    work.findings.extend(equipment.findings());
    let summary = format!(
        "{} intents, {} records, {} kB",
        model.labels().len(),
        data.records.len(),
        bytes.len().div_ceil(1_000)
    );
    let (notes, mut findings): (Vec<Finding>, Vec<Finding>) = annotation_findings(&data, &model)
        .into_iter()
        .partition(|finding| finding.severity == Severity::Info);
    work.findings.extend(notes);
    findings.extend(model.findings());
    findings.extend(unused(work.plan, &stage.name, &spec.model)?);
    let verdict = match findings.is_empty() {
        true => StageVerdict::Passed,
        false => StageVerdict::Warned,
    };
    work.findings.extend(findings);
    Ok((verdict, summary))
}

/// Returns a finding for each setting of the model of `stage` that has no effect.
///
/// With a `tune` block it returns none: the base of a search may have keys for every kind of model that it tries.
fn unused(plan: &Plan, stage: &str, model: &ModelSpec) -> Result<Vec<Finding>> {
    let index = plan.spec.stages.iter().position(|other| other.name() == stage);
    let (Some(index), None) = (index, &plan.spec.tune) else { return Ok(Vec::new()) };
    let outline = Outline::of(&spec::text(&plan.file)?);
    let root = format!("stages[{index}].train.model");
    Ok(model.unused_below(&outline, &plan.file.display().to_string(), &root))
}

/// The code of data without a record.
const NO_RECORD: &str = "BOT-2102";

/// Ends an evaluation that had too little to measure, as the stage allows.
fn not_evaluated(work: &mut Work<'_>, made: &Path, why: &str) -> Result<Ended> {
    write_json(made, INSUFFICIENT, &serde_json::json!({ "reason": why }))?;
    if work.findings.is_empty() {
        let help = "let reviewers label messages of the window: its `candidates.jsonl` lists them";
        work.findings.push(Finding::new("BOT-3001", Severity::Warning, why, help));
    }
    Ok((StageVerdict::Warned, format!("not evaluated: {why}")))
}

async fn evaluate(work: &mut Work<'_>, stage: &EvaluateStage, made: &Path) -> Result<Ended> {
    let tests = match &stage.behaviour {
        Some(path) => Some((read_behaviour(&work.services.root, path)?, path)),
        None => None,
    };
    let (model, digest) = read_model(work, &stage.model)?;
    let data = match read_output(work, &stage.on, "test.csv") {
        // A window in which nobody labelled a message of the test side.
        Err(fault)
            if fault.code() == NO_RECORD && stage.on_insufficient == OnInsufficient::Warn =>
        {
            return not_evaluated(work, made, "there is no record to evaluate on");
        }
        data => data?,
    };
    let mut report = match evaluation::evaluate(&model, digest, &data) {
        Err(fault)
            if fault.code() == "BOT-3001" && stage.on_insufficient == OnInsufficient::Warn =>
        {
            work.findings.push(Finding { severity: Severity::Warning, ..fault.as_finding() });
            return not_evaluated(work, made, fault.message());
        }
        report => report?,
    };
    if let Some((tests, path)) = tests {
        let tested = evaluation::test_behaviour(&model, &tests, &path.display().to_string());
        work.findings.extend(evaluation::behaviour_warnings(&tested));
        report.behaviour = Some(tested);
    }
    let comparison = match work.champion.clone() {
        Some(version) => {
            let champion = load(work, &version).await?;
            let champion_digest = version.model_digest().expect("a version has a model file");
            let comparison =
                evaluation::compare((&champion, champion_digest), (&model, digest), &data)?;
            write_json(made, "comparison.json", &comparison)?;
            Some((version, comparison))
        }
        None => None,
    };
    write_json(made, "evaluation.json", &report)?;
    let against = comparison.as_ref().map(|(_, comparison)| comparison);
    write_text(made, "evaluation.html", &report::evaluation_html(&report, against))?;
    write_text(made, "evaluation.md", &report::evaluation_markdown(&report, against))?;
    let mut summary = headline(&report);
    if let Some((version, comparison)) = &comparison {
        summary.push_str(&format!(
            "; {} had {:.3} (newly right {}, newly wrong {}, McNemar p {:.4})",
            version.reference(),
            comparison.champion_accuracy,
            comparison.newly_right.len(),
            comparison.newly_wrong.len(),
            comparison.mcnemar_p
        ));
    }
    summary.push_str(&behaviour_line(&report));
    let (knowledge, findings) = knowledge::evaluate(work, &stage.knowledge, made).await?;
    summary.push_str(&knowledge);
    work.findings.extend(findings);
    Ok((StageVerdict::Passed, summary))
}

/// Reads the behavioural tests at `path` below `root`, and checks them.
pub(crate) fn read_behaviour(root: &Path, path: &Path) -> Result<Checked<BehaviourSpec>> {
    BehaviourSpec::read(&root.join(path))?.check().map_err(|fault| fault.file(path))
}

/// Returns the share of each kind of behavioural test that passed, in one line.
fn behaviour_line(report: &EvaluationReport) -> String {
    let Some(tests) = &report.behaviour else { return String::new() };
    let kinds = [BehaviourKind::Minimum, BehaviourKind::Invariance, BehaviourKind::Direction];
    let rates = kinds.into_iter().filter_map(|kind| {
        let passed = tests.rate(kind)?;
        Some(format!("{} {:.3}", kind.name(), passed.value))
    });
    let must = match tests.must_pass {
        0 => String::new(),
        n => format!(", {} of {n} must-pass", n - tests.must_pass_failed),
    };
    format!("; behaviour: {}{must}", rates.collect::<Vec<_>>().join(", "))
}

/// Returns the two main metrics, accuracy and macro F1, in one line.
fn headline(report: &EvaluationReport) -> String {
    ["accuracy", "macro_f1"]
        .iter()
        .filter_map(|name| {
            let metric = report.metrics.get(*name)?;
            Some(format!(
                "{name} {:.3} [{:.3}, {:.3}]",
                metric.value, metric.ci95[0], metric.ci95[1]
            ))
        })
        .collect::<Vec<_>>()
        .join(", ")
}

fn gate(work: &Work<'_>, stage: &GateStage, made: &Path) -> Result<Ended> {
    if work.folder.file(&stage.from, INSUFFICIENT).exists() {
        let summary = format!("not judged: `{}` had too few records", stage.from);
        return Ok((StageVerdict::Warned, summary));
    }
    let report: EvaluationReport = read_json(work, &stage.from, "evaluation.json")?;
    let comparison: Option<Comparison> =
        if work.folder.file(&stage.from, "comparison.json").exists() {
            Some(read_json(work, &stage.from, "comparison.json")?)
        } else {
            None
        };
    let rules = stage.rules.clone().check()?;
    let judged = knowledge::judged(work, &stage.from)?;
    let knowledge: Vec<JudgedKnowledge<'_>> = judged
        .iter()
        .map(|(report, against)| JudgedKnowledge { report, comparison: against.as_ref() })
        .collect();
    let outcome = evaluation::gate_set(&rules, &report, comparison.as_ref(), &knowledge)?;
    write_json(made, "gate.json", &outcome)?;
    write_text(made, "gate.md", &report::gate_markdown(&outcome))?;
    let failed: Vec<String> = outcome
        .results
        .iter()
        .filter(|result| !result.passed)
        .map(|result| format!("{} (observed {})", result.rule, result.observed))
        .collect();
    if outcome.passed {
        Ok((StageVerdict::Passed, format!("all {} rules passed", outcome.results.len())))
    } else {
        Ok((
            StageVerdict::Failed,
            format!(
                "{} of {} rules failed: {}",
                failed.len(),
                outcome.results.len(),
                failed.join(", ")
            ),
        ))
    }
}
