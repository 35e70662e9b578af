//! The stages that change the registry: baseline, push and promote.

use super::{
    files::{
        load, read_bytes, read_json, read_model, read_output, write_bytes, write_json, write_text,
    },
    fitting::fit,
    knowledge,
    last_run::last_run,
    work::{Ended, Pushed, Work, is_champion_set, pushed, version_file},
};
use crate::{
    events::Event,
    manifest::{Provenance, manifest},
    plan::{BASELINE, Stage, knowledge_of},
    services::PromotionRequest,
    spec::{PromoteStage, PushStage, StageSpec},
    state::StageVerdict,
};
use botops_datasets as datasets;
use botops_digest::Digest;
use botops_evaluation::{self as evaluation, EvaluationReport, GateReport};
use botops_findings::{Fault, Result};
use botops_registry::{Version, check_labels, knowledge_path};
use botops_report as report;
use botops_rollout::Decision;
use std::{path::Path, sync::Arc};

/// Trains the baseline and registers it as the first version.
pub(super) async fn baseline(work: &mut Work<'_>, made: &Path) -> Result<Ended> {
    let plan = work.plan;
    let (Some(spec), Some(name)) = (&plan.spec.baseline, &plan.model) else {
        return Err(Fault::internal("BOT-8030", "the baseline has no spec or no model name"));
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
    let (model, equipment) = fit(work, BASELINE, &data, spec, source.dialogue.as_deref()).await?;
    let bytes = model.to_bytes();
    let digest = Digest::of(&bytes);
    let knowledge = knowledge::files(work, knowledge_of(&plan.spec)).await?;
    let digests = knowledge.iter().map(|(name, bytes)| (name.clone(), Digest::of(bytes)));
    let report = evaluation::gate_by_self_test(&model, digest).with_knowledge(digests.collect());
    write_bytes(made, "model.botops", &bytes)?;
    equipment.finish()?;
    work.findings.extend(equipment.findings());
    write_json(made, "gate.json", &report)?;
    let Some(passed) = evaluation::passed(&report) else {
        return Ok((StageVerdict::Failed, "the baseline failed the golden self-test".to_owned()));
    };
    let mut files = vec![
        ("model.botops".to_owned(), bytes),
        ("gate.json".to_owned(), botops_digest::canonical_json(&report)),
    ];
    files
        .extend(knowledge.into_iter().map(|(name, bytes)| (knowledge_path(&name), bytes.to_vec())));
    let manifest = manifest(name, &model, &files, provenance(work, passed.evidence()));
    let act = work.services.act("baseline: the model had no champion")?;
    let files = files.into_iter().map(|(path, bytes)| (path, bytes.into())).collect();
    let version = work.services.registry.register(manifest, files, &act).await?.version;
    write_json(made, "version.json", &Pushed::of(&version))?;
    let summary = format!("{} is the first champion, by its golden self-test", version.reference());
    Ok((StageVerdict::Passed, summary))
}

/// Promotes the baseline, once the folder of its stage is published. Does nothing for other stages.
///
/// A process that is killed before the promotion leaves a model without a champion, and the next run repeats the
/// baseline. A process that is killed after it leaves a complete baseline.
pub(crate) async fn settle(work: &mut Work<'_>, stage: &Stage) -> Result<()> {
    if stage.spec.is_some() {
        return Ok(());
    }
    let (Some(version), Some(passed)) = (
        pushed(work, &stage.name).await?,
        evaluation::passed(&read_json::<GateReport>(work, &stage.name, "gate.json")?),
    ) else {
        return Err(Fault::internal("BOT-8030", "the baseline has no version to promote")
            .file(work.folder.stage(&stage.name))
            .hint("remove that folder and run again"));
    };
    // The baseline ran again because one of its files was altered: the champion stays.
    if work.champion.is_some() {
        return Ok(());
    }
    let act = work.services.act("baseline: the model had no champion")?;
    work.services.registry.promote(&version, None, &passed, &act).await?;
    work.champion = work.services.registry.alias(&version.model, botops_registry::CHAMPION).await?;
    Ok(())
}

/// Registers a model that passed its gate, unless the champion holds the same model.
pub(super) async fn push(
    work: &Work<'_>,
    name_of_stage: &str,
    stage: &PushStage,
    made: &Path,
) -> Result<Ended> {
    let name =
        work.plan.model.as_deref().expect("`Plan::check` requires a model name for a push stage");
    let (model, _) = read_model(work, &stage.model)?;
    let gate: GateReport = read_json(work, &stage.gate, "gate.json")?;
    let Some(passed) = evaluation::passed(&gate) else {
        return Ok((StageVerdict::Failed, "the model did not pass its gate".to_owned()));
    };
    let report: EvaluationReport = read_json(work, evaluated(work, stage), "evaluation.json")?;
    let files = version_files(work, stage).await?;
    let provenance = Provenance {
        run: last_run(work.folder),
        metrics: report.metrics,
        ..provenance(work, passed.evidence())
    };
    let manifest = manifest(name, &model, &files, provenance);
    let act = work.services.act(format!("pipeline {}", work.plan.spec.name))?;
    let digest = Digest::of_json(&manifest);
    let files = files.into_iter().map(|(path, bytes)| (path, bytes.into())).collect();
    let version = work.services.registry.register(manifest, files, &act).await?.version;
    let is_other = version.manifest_digest != digest;
    // An earlier run of this stage may have registered the champion: then its promotion stays as it was recorded.
    let ours = version_file(work, name_of_stage)
        .is_some_and(|file| file.manifest == version.manifest_digest && !file.same_model);
    let same_model = is_other && !ours;
    write_json(made, "version.json", &Pushed { same_model, ..Pushed::of(&version) })?;
    let summary = match is_other {
        true => nothing_to_do(&version),
        false => format!("{} ({})", version.reference(), version.manifest_digest.short()),
    };
    Ok((StageVerdict::Passed, summary))
}

/// Returns the name of the evaluate stage that the gate of a push stage takes from.
fn evaluated<'a>(work: &Work<'a>, stage: &PushStage) -> &'a str {
    let gate = work.plan.stage(&stage.gate).and_then(|gate| gate.spec.as_ref());
    match gate {
        Some(StageSpec::Gate(gate)) => &gate.from,
        _ => unreachable!("`Plan::check` requires that a push takes from a gate"),
    }
}

/// Returns the files of the version that a push stage registers: the model, its evaluation and its gate, the knowledge with its
/// evaluations, and each further gate that the stage waits for, as `gate.<name>.json`, if it was judged.
async fn version_files(work: &Work<'_>, stage: &PushStage) -> Result<Vec<(String, Vec<u8>)>> {
    let evaluate = evaluated(work, stage);
    let gate: GateReport = read_json(work, &stage.gate, "gate.json")?;
    let mut files = vec![
        ("model.botops".to_owned(), read_bytes(work, &stage.model, "model.botops")?),
        ("gate.json".to_owned(), botops_digest::canonical_json(&gate)),
        ("evaluation.json".to_owned(), read_bytes(work, evaluate, "evaluation.json")?),
    ];
    if work.folder.file(evaluate, "comparison.json").exists() {
        files.push(("comparison.json".to_owned(), read_bytes(work, evaluate, "comparison.json")?));
    }
    for (name, bytes) in knowledge::evaluated_files(work, evaluate).await? {
        files.push((knowledge_path(&name), bytes.to_vec()));
        let report = knowledge::evaluation_file(&name);
        let judged = read_bytes(work, evaluate, &report)?;
        files.push((report, judged));
    }
    for name in stage.after.iter().filter(|name| **name != stage.gate) {
        let spec = work.plan.stage(name).and_then(|stage| stage.spec.as_ref());
        if matches!(spec, Some(StageSpec::Gate(_))) && work.folder.file(name, "gate.json").exists()
        {
            let gate: GateReport = read_json(work, name, "gate.json")?;
            files.push((format!("gate.{name}.json"), botops_digest::canonical_json(&gate)));
        }
    }
    Ok(files)
}

/// Writes the files of a registered version again that the store has lost.
///
/// # Errors
/// `BOT-5004` (exit 1) a file is lost, and no stage of this pipeline made it.
pub(super) async fn restore(work: &Work<'_>, stage: &PushStage, version: &Version) -> Result<()> {
    let store = work.services.registry.store();
    let mut made = None;
    for file in &version.manifest.files {
        if store.has_blob(&file.digest).await? {
            continue;
        }
        let made = match &mut made {
            Some(made) => made,
            none => none.insert(version_files(work, stage).await?),
        };
        let lost =
            format!("`{}` of {} was missing in the registry", file.path, version.reference());
        let Some((_, bytes)) = made.iter().find(|(_, bytes)| Digest::of(bytes) == file.digest)
        else {
            return Err(Fault::internal("BOT-5004", lost)
                .file(store.url())
                .hint("restore the object from a backup")
                .hint("see all problems: `botops registry verify`"));
        };
        store.put_blob(bytes.clone().into()).await?;
        let message = format!("{lost}: it was written again");
        work.services.listener.hear(&Event::Note { message });
    }
    Ok(())
}

/// Returns the summary of a stage whose model is that of `champion`.
fn nothing_to_do(champion: &Version) -> String {
    format!("same model as the champion {}: nothing to do", champion.reference())
}

/// Returns the provenance of a version that this run registers.
fn provenance(work: &Work<'_>, gates: Digest) -> Provenance {
    Provenance {
        gates: Some(gates),
        git_commit: work.services.code.git_commit.clone(),
        creator: work.services.actor.clone(),
        ..Provenance::default()
    }
}

/// Promotes a registered version through a canary, or by its golden self-test if it is the first.
pub(super) async fn promote(
    work: &mut Work<'_>,
    stage: &Stage,
    spec: &PromoteStage,
    made: &Path,
) -> Result<Ended> {
    let services = work.services;
    let Some(challenger) = pushed(work, &spec.version).await? else {
        return Err(Fault::data("BOT-8031", "the version to promote is no longer in the registry")
            .file(services.registry.store().url())
            .hint(format!(
                "to register it again: remove {} and run again",
                work.folder.stage(&spec.version).display()
            )));
    };
    let challenger_file = challenger.model_digest().expect("a version has a model file");
    let champion = match work.champion.clone() {
        Some(champion) if is_champion_set(work, &challenger) => {
            if !is_interrupted(work, stage, spec) {
                keep_decision(work, stage, spec, made)?;
                return Ok((StageVerdict::Passed, nothing_to_do(&champion)));
            }
            services.registry.champion_before(&champion.model, &champion.manifest_digest).await?
        }
        champion => champion,
    };
    let passed = services.registry.proof(&challenger).await?;
    let reason = format!("pipeline {}", work.plan.spec.name);
    let Some(champion) = champion else {
        // A first version has no champion to compare with: its gates and its golden self-test decide.
        let model = load(work, &challenger).await?;
        let report = evaluation::gate_by_self_test(&model, challenger_file)
            .with_knowledge(challenger.manifest.knowledge());
        write_json(made, "self-test.json", &report)?;
        if !report.passed {
            return Ok((StageVerdict::Failed, "it failed the golden self-test".to_owned()));
        }
        if !spec.accept_labels {
            check_labels(None, (&challenger, &model.unanswered_intents()))?;
        }
        let act = services.act(format!("{reason}: first version, golden self-test passed"))?;
        services.registry.promote(&challenger, expected(work), &passed, &act).await?;
        return Ok((
            StageVerdict::Passed,
            format!("{} is the first champion", challenger.reference()),
        ));
    };
    let decision = match canary(work, stage, spec, [&champion, &challenger]).await {
        // The server made it champion, and knows no rollout of it.
        Err(fault) if fault.code() == "BOT-6037" => {
            return Ok((StageVerdict::Passed, nothing_to_do(&challenger)));
        }
        decision => decision?,
    };
    write_json(made, "decision.json", &decision)?;
    write_text(made, "decision.html", &report::decision_html(&decision))?;
    write_text(made, "decision.md", &report::decision_markdown(&decision))?;
    let verdict = match decision.verdict.as_str() {
        "promoted" => {
            if decision.rehearsal {
                let act = services.act(format!(
                    "{reason}: promoted over {} in a rehearsed canary",
                    champion.reference()
                ))?;
                services.registry.promote(&challenger, expected(work), &passed, &act).await?;
            }
            StageVerdict::Passed
        }
        "insufficient" => StageVerdict::Insufficient,
        _ => StageVerdict::Failed,
    };
    let rehearsed = if decision.rehearsal { " (rehearsed)" } else { "" };
    let verdict_words = decision.verdict.replace('_', " ");
    Ok((
        verdict,
        format!(
            "{} {verdict_words} against {}{rehearsed}: {}",
            challenger.reference(),
            champion.reference(),
            decision.reason
        ),
    ))
}

/// Takes the challenger through its canary against the champion.
async fn canary(
    work: &Work<'_>,
    stage: &Stage,
    spec: &PromoteStage,
    [champion, challenger]: [&Version; 2],
) -> Result<Decision> {
    let services = work.services;
    let source = match (&spec.window, &spec.traffic) {
        (Some(window), _) => {
            Some((work.folder.file(window, "traffic.jsonl"), format!("{window}/traffic.jsonl")))
        }
        (None, Some(path)) => Some((services.root.join(path), path.display().to_string())),
        (None, None) => None,
    };
    let traffic = match source {
        Some((path, name)) => Some(datasets::Traffic { name, ..datasets::read_traffic(&path)? }),
        None => None,
    };
    let champion_model = Arc::new(load(work, champion).await?);
    let challenger_model = Arc::new(load(work, challenger).await?);
    if !spec.accept_labels {
        let silent = [&champion_model, &challenger_model].map(|model| model.unanswered_intents());
        check_labels(Some((champion, &silent[0])), (challenger, &silent[1]))?;
    }
    let listener = services.listener;
    let name = stage.name.as_str();
    let reported_total = std::sync::atomic::AtomicU64::new(0);
    let reported = std::sync::atomic::AtomicU64::new(0);
    let progress = |done: u64, total: u64| {
        use std::sync::atomic::Ordering::Relaxed;
        if reported_total.swap(total, Relaxed) != total {
            listener.hear(&Event::Phase {
                stage: name.to_owned(),
                phase: "messages".to_owned(),
                total,
            });
        }
        let before = reported.swap(done, Relaxed);
        listener
            .hear(&Event::Advanced { stage: name.to_owned(), steps: done.saturating_sub(before) });
    };
    let request = PromotionRequest {
        champion,
        champion_model,
        challenger,
        challenger_model,
        plan: &spec.plan,
        traffic: traffic.as_ref(),
        reason: &format!("pipeline {}", work.plan.spec.name),
        accept_labels: spec.accept_labels,
        progress: &progress,
    };
    services.promoter.promote(request).await
}

/// Returns whether a run registered the version, made it champion, and ended before it recorded the promotion.
///
/// Then the promotion is repeated against the champion before, so that its decision is recorded. The alias does not move.
fn is_interrupted(work: &Work<'_>, stage: &Stage, spec: &PromoteStage) -> bool {
    let registered = version_file(work, &spec.version).is_some_and(|file| !file.same_model);
    registered && !is_recorded(work, stage, spec)
}

/// Returns whether the stage has a recorded success for the version.
fn is_recorded(work: &Work<'_>, stage: &Stage, spec: &PromoteStage) -> bool {
    let pushed = work.folder.record(&spec.version);
    let version = pushed.as_ref().and_then(|record| record.outputs.get("version.json"));
    let name = format!("{}/version.json", spec.version);
    work.folder.record(&stage.name).is_some_and(|record| {
        record.verdict.goes_on() && version.is_some() && record.inputs.get(&name) == version
    })
}

/// Returns the manifest that a promote stage whose model the champion holds was promoted over, its input `champion`.
///
/// If the champion is rolled back to that one, the stage is up to date: a version that was rolled back is not promoted
/// again by itself.
pub(crate) async fn promoted_over(
    work: &Work<'_>,
    stage: &Stage,
    spec: &PromoteStage,
    champion: &Version,
) -> Result<Option<Digest>> {
    if is_interrupted(work, stage, spec) {
        let before = &champion.manifest_digest;
        let before = work.services.registry.previous_champion(&champion.model, before).await?;
        return Ok(before.map(|before| before.manifest()));
    }
    let record = work.folder.record(&stage.name).filter(|record| record.verdict.goes_on());
    Ok(match record {
        Some(record) => record.inputs.get("champion").copied(),
        None => Some(champion.manifest_digest),
    })
}

/// Copies the decision of the recorded promotion: the stage ran again for another reason, such as new traffic.
fn keep_decision(work: &Work<'_>, stage: &Stage, spec: &PromoteStage, made: &Path) -> Result<()> {
    if !is_recorded(work, stage, spec) {
        return Ok(());
    }
    for name in ["decision.json", "decision.html", "decision.md", "self-test.json"] {
        if work.folder.file(&stage.name, name).exists() {
            write_bytes(made, name, &read_bytes(work, &stage.name, name)?)?;
        }
    }
    Ok(())
}

/// Returns the manifest of the champion at the start of the run, which a promotion expects to find.
fn expected(work: &Work<'_>) -> Option<Digest> {
    work.champion.as_ref().map(|version| version.manifest_digest)
}
