//! What each kind of stage does: reads its inputs, calls the module that knows, writes files.

use super::{
    describe::{Provenance, manifest, rows},
    events::Event,
    plan::{Plan, Stage},
    run::{PromotionRequest, Services, last_run},
    spec::{
        DriftStage, EvaluateStage, GateStage, OnDrift, PromoteStage, PushStage, ShellStage,
        SplitStage, StageSpec, TrainStage, ValidateStage,
    },
    state::{Folder, StageRecord, StageVerdict},
    status::rival,
};
use crate::{
    datasets::{self, Dataset, Expectations, Presence, ReadOptions},
    dialogue::DialogueSpec,
    digest::Digest,
    drift::{self, DriftVerdict},
    evaluation::{self, Comparison, EvaluationReport, GateReport},
    findings::{Fault, Finding, Result, Severity},
    models::{self, IntentModel, Lineage, ModelSpec, Progress, Sample},
    registry::Version,
    report,
};
use serde::{Deserialize, Serialize};
use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

/// What stages share during one run.
pub(super) struct Work<'a> {
    pub(super) plan: &'a Plan,
    pub(super) services: &'a Services<'a>,
    pub(super) folder: &'a Folder,
    /// The champion at the start of the run, or the baseline once it is.
    pub(super) champion: Option<Version>,
    /// When the run began.
    pub(super) started_at: chrono::DateTime<chrono::Utc>,
    pub(super) findings: Vec<Finding>,
}

/// What the push stage leaves: which version it made.
#[derive(Debug, Serialize, Deserialize)]
struct Pushed {
    reference: String,
    manifest: Digest,
}

type Ended = (StageVerdict, String);

/// Executes `stage`, writing its files into `made`.
pub(super) async fn execute(work: &mut Work<'_>, stage: &Stage, made: &Path) -> Result<Ended> {
    match &stage.spec {
        None => baseline(work, made).await,
        Some(StageSpec::Validate(spec)) => validate(work, spec, made),
        Some(StageSpec::Split(spec)) => split(work, spec, made),
        Some(StageSpec::Train(spec)) => train(work, stage, spec, made),
        Some(StageSpec::Evaluate(spec)) => evaluate(work, spec, made).await,
        Some(StageSpec::Gate(spec)) => gate(work, spec, made),
        Some(StageSpec::Drift(spec)) => drift(work, stage, spec, made),
        Some(StageSpec::Push(spec)) => push(work, spec, made).await,
        Some(StageSpec::Promote(spec)) => promote(work, stage, spec, made).await,
        Some(StageSpec::Shell(spec)) => shell(work, spec, made).await,
    }
}

/// Takes up what a skipped stage left, and checks what lies outside its folder.
pub(super) async fn recall(
    work: &mut Work<'_>,
    stage: &Stage,
    _record: &StageRecord,
) -> Result<()> {
    if let Some(StageSpec::Push(_)) = &stage.spec {
        let Some(model) = &work.plan.model else { return Ok(()) };
        if pushed(work, &stage.name).await?.is_none() {
            return Err(Fault::data(
                "BOT-8031",
                format!(
                    "the version that stage `{}` registered is gone from the registry",
                    stage.name
                ),
            )
            .file(work.services.registry.store().url())
            .hint(format!(
                "to register it again: remove {} and run again",
                work.folder.stage(&stage.name).display()
            ))
            .hint(format!("to see what is there: `botops registry list {model}`")));
        }
    }
    if let Some(StageSpec::Promote(spec)) = &stage.spec
        && let Some(version) = pushed(work, &spec.version).await?
        && let Some(champion) = work.champion.clone()
        && champion.manifest_digest != version.manifest_digest
    {
        let message = format!(
            "{} was promoted by this pipeline, and {} is the champion now",
            version.reference(),
            champion.reference()
        );
        work.services.listener.hear(&Event::Note { message: message.clone() });
        let help = format!("`botops registry log {}` says who moved it, and why", version.model);
        work.findings.push(Finding::new("BOT-8023", Severity::Warning, message, help));
    }
    Ok(())
}

/// Returns the version a push stage made, if the registry still has it.
pub(super) async fn pushed(work: &Work<'_>, stage: &str) -> Result<Option<Version>> {
    let (Some(model), Ok(bytes)) =
        (&work.plan.model, fs::read(work.folder.file(stage, "version.json")))
    else {
        return Ok(None);
    };
    let Ok(pushed) = serde_json::from_slice::<Pushed>(&bytes) else { return Ok(None) };
    if !work.services.registry.models().await?.contains(model) {
        return Ok(None);
    }
    let versions = work.services.registry.versions(model).await?;
    Ok(versions.into_iter().find(|version| version.manifest_digest == pushed.manifest))
}

/// Returns the expectations a validate stage uses, relative to the root.
pub(super) fn expectations_path(root: &Path, stage: &ValidateStage) -> Option<PathBuf> {
    stage.expectations.clone().or_else(|| {
        let beside = stage.data.with_file_name("expectations.yaml");
        root.join(&beside).exists().then_some(beside)
    })
}

fn validate(work: &mut Work<'_>, stage: &ValidateStage, made: &Path) -> Result<Ended> {
    let root = &work.services.root;
    let expectations: Expectations = match expectations_path(root, stage) {
        Some(path) => Expectations::read(&root.join(path))?,
        None => Expectations::default(),
    };
    let options = expectations.read_options();
    let data = read_as(&root.join(&stage.data), &stage.data.display().to_string(), &options)?;
    let mut validation = datasets::validate(&data, &expectations, None);
    let accepted = validation.accepted.take().expect("validation returns the accepted records");
    datasets::write_csv(&made.join("accepted.csv"), &accepted)?;
    datasets::write_quarantine(&made.join("quarantine.csv"), &validation.rejected)?;
    write_json(made, "validation.json", &validation)?;
    write_text(made, "validation.html", &report::validation_html(&validation, &data.name))?;
    let whole = validation
        .findings
        .iter()
        .find(|finding| finding.severity == Severity::Error && finding.place.record.is_none());
    let share = validation.records_rejected as f64 / validation.records_in.max(1) as f64;
    let summary = format!(
        "{} of {} records accepted, {} quarantined, {} errors, {} warnings",
        validation.records_accepted,
        validation.records_in,
        validation.records_rejected,
        validation.errors,
        validation.warnings
    );
    let verdict = if whole.is_some() || share > stage.max_rejected_share {
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

fn split(work: &Work<'_>, stage: &SplitStage, made: &Path) -> Result<Ended> {
    let data = read_output(work, &stage.from, "accepted.csv")?;
    let spec = datasets::SplitSpec { test_share: stage.test_share, seed: stage.seed };
    let split = datasets::split(&data, &spec)?;
    datasets::write_csv(&made.join("train.csv"), &split.train)?;
    datasets::write_csv(&made.join("test.csv"), &split.test)?;
    let summary =
        format!("{} to train, {} to test", split.train.records.len(), split.test.records.len());
    Ok((StageVerdict::Passed, summary))
}

fn train(work: &Work<'_>, stage: &Stage, spec: &TrainStage, made: &Path) -> Result<Ended> {
    let data = read_output(work, &spec.from, "train.csv")?;
    let model = fit(work, &stage.name, &data, &spec.model, spec.dialogue.as_deref())?;
    let bytes = model.to_bytes();
    write_bytes(made, "model.botops", &bytes)?;
    let summary = format!(
        "{} intents, {} records, {} kB",
        model.labels().len(),
        data.records.len(),
        bytes.len().div_ceil(1_000)
    );
    Ok((StageVerdict::Passed, summary))
}

/// Trains a model on `data`, telling the listener how far it is.
fn fit(
    work: &Work<'_>,
    stage: &str,
    data: &Dataset,
    model: &ModelSpec,
    dialogue: Option<&Path>,
) -> Result<IntentModel> {
    let dialogue: DialogueSpec = match dialogue {
        Some(path) => super::read_dialogue(&work.services.root.join(path))?,
        None => DialogueSpec::default(),
    };
    let samples = samples(data);
    let lineage = Lineage {
        data: Some(data.digest),
        n_samples: samples.len() as u64,
        spec: model.clone(),
        botops: env!("CARGO_PKG_VERSION").to_owned(),
    };
    struct Told<'a>(&'a dyn super::Listener, &'a str);
    impl Progress for Told<'_> {
        fn begin(&self, phase: &'static str, total: u64) {
            self.0.hear(&Event::Phase { stage: self.1.to_owned(), phase: phase.to_owned(), total });
        }
        fn advance(&self, done: u64) {
            self.0.hear(&Event::Advanced { stage: self.1.to_owned(), steps: done });
        }
        fn finish(&self) {}
    }
    models::train(&samples, model, dialogue, lineage, &Told(work.services.listener, stage))
}

/// Returns what `data` has to learn from.
fn samples(data: &Dataset) -> Vec<Sample<'_>> {
    data.records
        .iter()
        .filter_map(|record| Some(Sample { text: &record.text, intent: record.intent.as_deref()? }))
        .collect()
}

async fn baseline(work: &mut Work<'_>, made: &Path) -> Result<Ended> {
    let plan = work.plan;
    let (Some(spec), Some(name)) = (&plan.spec.baseline, &plan.model) else {
        return Err(Fault::internal("BOT-8030", "a baseline without a spec or a model name"));
    };
    let source = plan
        .stages
        .iter()
        .find_map(|stage| match &stage.spec {
            Some(StageSpec::Train(train)) => Some(train),
            _ => None,
        })
        .expect("a plan with a baseline has a train stage");
    let data = read_output(work, &source.from, "train.csv")?;
    let model = fit(work, super::plan::BASELINE, &data, spec, source.dialogue.as_deref())?;
    let bytes = model.to_bytes();
    let digest = Digest::of(&bytes);
    let report = evaluation::gate_by_self_test(&model, digest);
    write_bytes(made, "model.botops", &bytes)?;
    write_json(made, "gate.json", &report)?;
    let Some(passed) = evaluation::passed(&report) else {
        return Ok((StageVerdict::Failed, "the baseline failed its golden self-test".to_owned()));
    };
    let files = vec![
        ("model.botops".to_owned(), bytes),
        ("gate.json".to_owned(), crate::digest::canonical_json(&report)),
    ];
    let manifest = manifest(name, &model, &files, provenance(work, passed.evidence()));
    let act = work.services.act("baseline: the model had no champion")?;
    let files = files.into_iter().map(|(path, bytes)| (path, bytes.into())).collect();
    let version = work.services.registry.register(manifest, files, &act).await?;
    let pushed = Pushed { reference: version.reference(), manifest: version.manifest_digest };
    write_json(made, "version.json", &pushed)?;
    let summary = format!("{} is the first champion, by its golden self-test", version.reference());
    Ok((StageVerdict::Passed, summary))
}

/// Does what may only be done once a stage's folder is published.
///
/// The baseline becomes champion last: killed before that, the model still has none and the baseline is made again;
/// killed after, everything of it is there.
pub(super) async fn settle(work: &mut Work<'_>, stage: &Stage) -> Result<()> {
    if stage.spec.is_some() {
        return Ok(());
    }
    let (Some(version), Some(passed)) = (
        pushed(work, &stage.name).await?,
        evaluation::passed(&read_json::<GateReport>(work, &stage.name, "gate.json")?),
    ) else {
        return Err(Fault::internal("BOT-8030", "the baseline left no version to promote")
            .file(work.folder.stage(&stage.name))
            .hint("remove that folder and run again"));
    };
    // Made again because a file of it was altered: who is champion stays as it is.
    if work.champion.is_some() {
        return Ok(());
    }
    let act = work.services.act("baseline: the model had no champion")?;
    work.services.registry.promote(&version, None, &passed, &act).await?;
    work.champion = work.services.registry.alias(&version.model, crate::registry::CHAMPION).await?;
    Ok(())
}

async fn evaluate(work: &Work<'_>, stage: &EvaluateStage, made: &Path) -> Result<Ended> {
    let (model, digest) = read_model(work, &stage.model)?;
    let data = read_output(work, &stage.on, "test.csv")?;
    let report = evaluation::evaluate(&model, digest, &data)?;
    let comparison = match rival(work, digest).await? {
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
    let page =
        report::evaluation_html(&report, comparison.as_ref().map(|(_, comparison)| comparison));
    write_text(made, "evaluation.html", &page)?;
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
    Ok((StageVerdict::Passed, summary))
}

/// Returns the two numbers people ask for first.
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
    let report: EvaluationReport = read_json(work, &stage.from, "evaluation.json")?;
    let comparison: Option<Comparison> =
        if work.folder.file(&stage.from, "comparison.json").exists() {
            Some(read_json(work, &stage.from, "comparison.json")?)
        } else {
            None
        };
    let outcome = evaluation::gate(&stage.rules, &report, comparison.as_ref())?;
    write_json(made, "gate.json", &outcome)?;
    let failed: Vec<String> = outcome
        .results
        .iter()
        .filter(|result| !result.passed)
        .map(|result| format!("{} (observed {})", result.rule, result.observed))
        .collect();
    if outcome.passed {
        Ok((StageVerdict::Passed, format!("all {} rules hold", outcome.results.len())))
    } else {
        Ok((
            StageVerdict::Failed,
            format!(
                "{} of {} rules fail: {}",
                failed.len(),
                outcome.results.len(),
                failed.join(", ")
            ),
        ))
    }
}

fn drift(work: &mut Work<'_>, at: &Stage, stage: &DriftStage, made: &Path) -> Result<Ended> {
    let reference = read_output(work, &stage.reference, "train.csv")?;
    let path = work.services.root.join(&stage.current);
    let shown = stage.current.display().to_string();
    let is_traffic = stage.current.extension().is_some_and(|extension| extension == "jsonl");
    let current: Vec<(String, Option<String>)> = if is_traffic {
        datasets::read_traffic(&path)?
            .records
            .into_iter()
            .map(|record| (record.text, None))
            .collect()
    } else {
        let options = ReadOptions { intent: Presence::Optional, ..ReadOptions::default() };
        let data = read_as(&path, &shown, &options)?;
        data.records.into_iter().map(|record| (record.text, record.lang)).collect()
    };
    let texts = |data: Dataset| -> Vec<(String, Option<String>)> {
        data.records.into_iter().map(|record| (record.text, record.lang)).collect()
    };
    let model = match &stage.model {
        Some(name) => Some(read_model(work, name)?.0),
        None => None,
    };
    // What the model learned from tells of lengths and languages; how sure it is, only what it did not see.
    let reference = texts(reference);
    let held_out = match &model {
        Some(_) => texts(read_output(work, &stage.reference, "test.csv")?),
        None => Vec::new(),
    };
    let mut reference_rows = rows(&reference, None);
    reference_rows.extend(rows(&held_out, model.as_ref()));
    let current_rows = rows(&current, model.as_ref());
    let name = stage.reference.clone();
    let report = drift::compare((&name, &reference_rows), (&shown, &current_rows), &stage.rules)?;
    write_json(made, "drift.json", &report)?;
    write_text(made, "drift.html", &report::drift_html(&report))?;
    let drifted: Vec<String> = report
        .checks
        .iter()
        .filter(|check| check.verdict == DriftVerdict::Drift)
        .map(|check| {
            format!("{} (PSI {:.3}, noise {:.3})", check.name, check.psi, check.psi_noise95)
        })
        .collect();
    let (verdict, summary) = match report.verdict {
        DriftVerdict::NoDrift => {
            (StageVerdict::Passed, format!("no drift in {} checks", report.checks.len()))
        }
        DriftVerdict::Insufficient => (
            StageVerdict::Insufficient,
            format!(
                "too few rows to say: {} reference, {} current",
                reference_rows.len(),
                current_rows.len()
            ),
        ),
        DriftVerdict::Drift => (StageVerdict::Failed, format!("drift in {}", drifted.join(", "))),
    };
    let verdict = match stage.on_drift {
        OnDrift::Warn if !verdict.goes_on() => StageVerdict::Warned,
        _ => verdict,
    };
    if verdict == StageVerdict::Warned {
        work.findings.push(Finding::new(
            "BOT-8022",
            Severity::Warning,
            summary.clone(),
            format!("see {}", work.folder.file(&at.name, "drift.html").display()),
        ));
    }
    Ok((verdict, summary))
}

async fn push(work: &Work<'_>, stage: &PushStage, made: &Path) -> Result<Ended> {
    let name = work.plan.model.as_deref().expect("a plan that pushes names its model");
    let (model, _) = read_model(work, &stage.model)?;
    let gate: GateReport = read_json(work, &stage.gate, "gate.json")?;
    let Some(passed) = evaluation::passed(&gate) else {
        return Ok((StageVerdict::Failed, "its gates did not pass".to_owned()));
    };
    let evaluate = work.plan.stage(&stage.gate).and_then(|gate| match &gate.spec {
        Some(StageSpec::Gate(gate)) => Some(gate.from.clone()),
        _ => None,
    });
    let evaluate = evaluate.expect("a gate takes from an evaluate stage");
    let report: EvaluationReport = read_json(work, &evaluate, "evaluation.json")?;
    let mut files = vec![
        ("model.botops".to_owned(), read_bytes(work, &stage.model, "model.botops")?),
        ("gate.json".to_owned(), crate::digest::canonical_json(&gate)),
        ("evaluation.json".to_owned(), read_bytes(work, &evaluate, "evaluation.json")?),
    ];
    if work.folder.file(&evaluate, "comparison.json").exists() {
        files.push(("comparison.json".to_owned(), read_bytes(work, &evaluate, "comparison.json")?));
    }
    let provenance = Provenance {
        run: last_run(work.folder),
        metrics: report.metrics,
        ..provenance(work, passed.evidence())
    };
    let manifest = manifest(name, &model, &files, provenance);
    let act = work.services.act(format!("pipeline {}", work.plan.spec.name))?;
    let files = files.into_iter().map(|(path, bytes)| (path, bytes.into())).collect();
    let version = work.services.registry.register(manifest, files, &act).await?;
    let pushed = Pushed { reference: version.reference(), manifest: version.manifest_digest };
    write_json(made, "version.json", &pushed)?;
    Ok((
        StageVerdict::Passed,
        format!("{} ({})", version.reference(), version.manifest_digest.short()),
    ))
}

/// Returns what a manifest says of this run.
fn provenance(work: &Work<'_>, gates: Digest) -> Provenance {
    Provenance {
        gates: Some(gates),
        git_commit: work.services.code.git_commit.clone(),
        creator: work.services.actor.clone(),
        ..Provenance::default()
    }
}

async fn promote(
    work: &mut Work<'_>,
    stage: &Stage,
    spec: &PromoteStage,
    made: &Path,
) -> Result<Ended> {
    let services = work.services;
    let Some(challenger) = pushed(work, &spec.version).await? else {
        return Err(Fault::data("BOT-8031", "the version to promote is gone from the registry")
            .file(services.registry.store().url())
            .hint(format!(
                "to register it again: remove {} and run again",
                work.folder.stage(&spec.version).display()
            )));
    };
    let challenger_file = challenger.model_digest().expect("a version has a model file");
    let passed = services.registry.proof(&challenger).await?;
    let reason = format!("pipeline {}", work.plan.spec.name);
    let Some(champion) = rival(work, challenger_file).await? else {
        // A first version has nothing to be compared with: its gates and its golden self-test decide.
        let model = load(work, &challenger).await?;
        let report = evaluation::gate_by_self_test(&model, challenger_file);
        write_json(made, "self-test.json", &report)?;
        if !report.passed {
            return Ok((StageVerdict::Failed, "it failed its golden self-test".to_owned()));
        }
        let act = services.act(format!("{reason}: first version, golden self-test passed"))?;
        services.registry.promote(&challenger, expected(work), &passed, &act).await?;
        return Ok((
            StageVerdict::Passed,
            format!("{} is the first champion", challenger.reference()),
        ));
    };
    let traffic = match &spec.traffic {
        Some(path) => {
            let mut traffic = datasets::read_traffic(&services.root.join(path))?;
            traffic.name = path.display().to_string();
            Some(traffic)
        }
        None => None,
    };
    let champion_model = Arc::new(load(work, &champion).await?);
    let challenger_model = Arc::new(load(work, &challenger).await?);
    let listener = services.listener;
    let name = stage.name.as_str();
    let total_told = std::sync::atomic::AtomicU64::new(0);
    let told = std::sync::atomic::AtomicU64::new(0);
    let progress = |done: u64, total: u64| {
        use std::sync::atomic::Ordering::Relaxed;
        if total_told.swap(total, Relaxed) != total {
            listener.hear(&Event::Phase {
                stage: name.to_owned(),
                phase: "messages".to_owned(),
                total,
            });
        }
        let before = told.swap(done, Relaxed);
        listener
            .hear(&Event::Advanced { stage: name.to_owned(), steps: done.saturating_sub(before) });
    };
    let request = PromotionRequest {
        champion: &champion,
        champion_model,
        challenger: &challenger,
        challenger_model,
        plan: &spec.plan,
        traffic: traffic.as_ref(),
        reason: &reason,
        progress: &progress,
    };
    let decision = services.promoter.promote(request).await?;
    write_json(made, "decision.json", &decision)?;
    write_text(made, "decision.html", &report::decision_html(&decision))?;
    let verdict = match decision.verdict.as_str() {
        "promoted" => {
            if decision.rehearsal {
                let act = services.act(format!(
                    "{reason}: rehearsed canary promoted it over {}",
                    champion.reference()
                ))?;
                services.registry.promote(&challenger, expected(work), &passed, &act).await?;
            }
            StageVerdict::Passed
        }
        "insufficient" => StageVerdict::Insufficient,
        _ => StageVerdict::Failed,
    };
    let how = if decision.rehearsal { " (rehearsed)" } else { "" };
    let verdict_words = decision.verdict.replace('_', " ");
    Ok((
        verdict,
        format!(
            "{} {verdict_words} against {}{how}: {}",
            challenger.reference(),
            champion.reference(),
            decision.reason
        ),
    ))
}

/// Returns the manifest `champion` pointed to when the run began: what a promotion expects to find.
fn expected(work: &Work<'_>) -> Option<Digest> {
    work.champion.as_ref().map(|version| version.manifest_digest)
}

async fn shell(work: &Work<'_>, stage: &ShellStage, made: &Path) -> Result<Ended> {
    let mut command = std::process::Command::new("sh");
    command
        .arg("-c")
        .arg(&stage.run)
        .current_dir(&work.services.root)
        .env("BOTOPS_OUTPUT", made)
        .stdin(std::process::Stdio::null());
    let output = tokio::task::spawn_blocking(move || command.output())
        .await
        .map_err(|error| Fault::internal("BOT-8040", "the command was lost").caused_by(error))?
        .map_err(|error| Fault::internal("BOT-8040", "`sh` cannot be started").caused_by(error))?;
    let kept =
        fs::read_dir(made).map(|entries| entries.flatten().collect::<Vec<_>>()).unwrap_or_default();
    if let Some(entry) =
        kept.iter().find(|entry| entry.path().is_dir() || entry.file_name() == "stage.json")
    {
        let name = entry.file_name();
        return Err(Fault::usage(
            "BOT-8041",
            format!("`{}` cannot be an output of a shell stage", name.to_string_lossy()),
        )
        .hint(
            "write files, not folders, directly into `$BOTOPS_OUTPUT`, none called `stage.json`",
        ));
    }
    write_bytes(made, "stdout.txt", &output.stdout)?;
    write_bytes(made, "stderr.txt", &output.stderr)?;
    match output.status.code() {
        Some(0) => Ok((StageVerdict::Passed, format!("`{}` ended well", stage.run))),
        Some(code) => Ok((StageVerdict::Failed, format!("`{}` ended with {code}", stage.run))),
        None => Ok((StageVerdict::Failed, format!("`{}` was killed", stage.run))),
    }
}

async fn load(work: &Work<'_>, version: &Version) -> Result<IntentModel> {
    IntentModel::from_bytes(&work.services.registry.file(version, "model.botops").await?)
}

fn read_model(work: &Work<'_>, stage: &str) -> Result<(IntentModel, Digest)> {
    IntentModel::read(&work.folder.file(stage, "model.botops"))
}

fn read_output(work: &Work<'_>, stage: &str, file: &str) -> Result<Dataset> {
    read_as(&work.folder.file(stage, file), &format!("{stage}/{file}"), &ReadOptions::default())
}

/// Reads a data set and names it by `name`, so that what is written does not depend on where the workspace lies.
fn read_as(path: &Path, name: &str, options: &ReadOptions) -> Result<Dataset> {
    let mut data = datasets::read(path, options)?;
    name.clone_into(&mut data.name);
    Ok(data)
}

fn read_bytes(work: &Work<'_>, stage: &str, file: &str) -> Result<Vec<u8>> {
    let path = work.folder.file(stage, file);
    fs::read(&path).map_err(|error| {
        Fault::internal("BOT-1001", format!("`{}` cannot be read: {error}", path.display()))
            .file(&path)
    })
}

fn read_json<T: serde::de::DeserializeOwned>(
    work: &Work<'_>,
    stage: &str,
    file: &str,
) -> Result<T> {
    let bytes = read_bytes(work, stage, file)?;
    serde_json::from_slice(&bytes).map_err(|error| {
        Fault::data("BOT-8030", format!("`{file}` of stage `{stage}` cannot be read: {error}"))
            .file(work.folder.file(stage, file))
            .hint("remove its folder and run again")
    })
}

fn write_json<T: Serialize>(made: &Path, name: &str, value: &T) -> Result<()> {
    let mut bytes = serde_json::to_vec_pretty(value).expect("a structure of ours is valid JSON");
    bytes.push(b'\n');
    write_bytes(made, name, &bytes)
}

fn write_text(made: &Path, name: &str, text: &str) -> Result<()> {
    write_bytes(made, name, text.as_bytes())
}

/// Writes into a folder that is published whole, so the file itself needs no care.
fn write_bytes(made: &Path, name: &str, bytes: &[u8]) -> Result<()> {
    let path = made.join(name);
    fs::write(&path, bytes).map_err(|error| {
        Fault::internal("BOT-1002", format!("`{}` cannot be written: {error}", path.display()))
            .file(&path)
            .hint("check the permissions and the free space of the folder")
    })
}
