//! The stages that change the registry: baseline, push and promote.

use super::{
    files::{
        load, read_bytes, read_json, read_model, read_output, write_bytes, write_json, write_text,
    },
    fitting::fit,
    last_run::last_run,
    work::{Ended, Pushed, Work, pushed, rival},
};
use crate::{
    events::Event,
    manifest::{Provenance, manifest},
    plan::{BASELINE, Stage},
    services::PromotionRequest,
    spec::{PromoteStage, PushStage, StageSpec},
    state::StageVerdict,
};
use botops_datasets as datasets;
use botops_digest::Digest;
use botops_evaluation::{self as evaluation, EvaluationReport, GateReport};
use botops_findings::{Fault, Result};
use botops_report as report;
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
    let report = evaluation::gate_by_self_test(&model, digest);
    write_bytes(made, "model.botops", &bytes)?;
    equipment.finish()?;
    work.findings.extend(equipment.findings());
    write_json(made, "gate.json", &report)?;
    let Some(passed) = evaluation::passed(&report) else {
        return Ok((StageVerdict::Failed, "the baseline failed the golden self-test".to_owned()));
    };
    let files = vec![
        ("model.botops".to_owned(), bytes),
        ("gate.json".to_owned(), botops_digest::canonical_json(&report)),
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

/// Registers a model that passed its gate.
pub(super) async fn push(work: &Work<'_>, stage: &PushStage, made: &Path) -> Result<Ended> {
    let name =
        work.plan.model.as_deref().expect("`Plan::check` requires a model name for a push stage");
    let (model, _) = read_model(work, &stage.model)?;
    let gate: GateReport = read_json(work, &stage.gate, "gate.json")?;
    let Some(passed) = evaluation::passed(&gate) else {
        return Ok((StageVerdict::Failed, "the model did not pass its gate".to_owned()));
    };
    let evaluate = work.plan.stage(&stage.gate).and_then(|gate| match &gate.spec {
        Some(StageSpec::Gate(gate)) => Some(gate.from.clone()),
        _ => None,
    });
    let evaluate =
        evaluate.expect("`Plan::check` requires that a gate takes from an evaluate stage");
    let report: EvaluationReport = read_json(work, &evaluate, "evaluation.json")?;
    let mut files = vec![
        ("model.botops".to_owned(), read_bytes(work, &stage.model, "model.botops")?),
        ("gate.json".to_owned(), botops_digest::canonical_json(&gate)),
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
    let passed = services.registry.proof(&challenger).await?;
    let reason = format!("pipeline {}", work.plan.spec.name);
    let Some(champion) = rival(work, challenger_file).await? else {
        // A first version has no champion to compare with: its gates and its golden self-test decide.
        let model = load(work, &challenger).await?;
        let report = evaluation::gate_by_self_test(&model, challenger_file);
        write_json(made, "self-test.json", &report)?;
        if !report.passed {
            return Ok((StageVerdict::Failed, "it failed the golden self-test".to_owned()));
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

/// Returns the manifest of the champion at the start of the run, which a promotion expects to find.
fn expected(work: &Work<'_>) -> Option<Digest> {
    work.champion.as_ref().map(|version| version.manifest_digest)
}
