//! `botops push`.

use super::{Exit, Outcome, gate};
use crate::cli::{
    arguments::{data_args::DataArgs, data_source},
    session::{context::Context, provenance},
    terminal::tables,
};
use botops_datasets::Presence;
use botops_digest::{Digest, canonical_json};
use botops_evaluation::{self as evaluation, Comparison, EvaluationReport, GateReport, GateSpec};
use botops_findings::{Fault, Result};
use botops_models::IntentModel;
use botops_pipelines::{self as pipelines, Provenance};
use botops_registry::{CHAMPION, Registry, Version};
use botops_spec::Checked;
use botops_text::shell_line;
use serde::Serialize;
use std::path::PathBuf;

/// Register a model as a new version
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Model file
    model: PathBuf,
    /// Name in the registry; default: the workspace's model
    #[arg(long, alias = "model", value_name = "NAME")]
    name: Option<String>,
    /// Evaluate the model on this labelled data, and store the evaluation with the version
    #[arg(long, value_name = "FILE")]
    test: Option<PathBuf>,
    /// Judge by the rules in this YAML file, and register the model only if it passes
    #[arg(long, value_name = "FILE", requires = "test")]
    rules: Option<PathBuf>,
    /// Run that made the model; default: the newest recorded run with this file
    #[arg(long, value_name = "ID")]
    run: Option<String>,
    /// Reason, for the audit trail
    #[arg(long, value_name = "TEXT", default_value = "pushed by hand")]
    reason: String,
    /// Judge, but register nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    columns: DataArgs,
}

#[derive(Serialize)]
struct Answer<'a> {
    model: &'a str,
    /// The version, existing or new; `None` if it was refused, or in a dry run.
    reference: Option<String>,
    version: Option<u64>,
    /// Whether this call registered the version.
    registered: bool,
    manifest_digest: Digest,
    digest: Digest,
    champion: Option<String>,
    run: Option<String>,
    gate: &'a GateReport,
    evaluation: Option<&'a EvaluationReport>,
    comparison: Option<&'a Comparison>,
}

pub(crate) fn run(args: &Args, context: &Context) -> Result<Outcome> {
    let name = match &args.name {
        Some(name) => name.clone(),
        None => context.workspace()?.model.value.clone().ok_or_else(|| no_name(args))?,
    };
    let rules = args.rules.as_deref().map(gate::read_rules).transpose()?;
    // One read: the bytes that are registered are those that are judged.
    let (model, digest, bytes) = IntentModel::read_with_bytes(&args.model)?;
    let registry = context.registry()?;
    let (known, champion) = context.wait(known(&registry, &name))??;
    let judging = Judging {
        args,
        context,
        registry: &registry,
        champion: champion.as_ref(),
        rules: rules.as_ref(),
    };
    let evidence = judging.run((&model, digest))?;
    let run = made_by(args, context, digest)?;

    // A golden self-test involves no data. It is stored, but not as the gates, because `promote` requires gates on an
    // evaluation before it replaces a champion.
    let gates =
        evaluation::passed(&evidence.gate).filter(|_| evidence.gate.evidence == "evaluation");
    let judgment = if gates.is_some() { "gate.json" } else { "self-test.json" };
    let mut files = vec![
        ("model.botops".to_owned(), bytes),
        (judgment.to_owned(), canonical_json(&evidence.gate)),
    ];
    if let Some(report) = &evidence.evaluation {
        files.push(("evaluation.json".to_owned(), canonical_json(report)));
    }
    if let Some(comparison) = &evidence.comparison {
        files.push(("comparison.json".to_owned(), canonical_json(comparison)));
    }
    let provenance = Provenance {
        run: run.clone(),
        gates: gates.map(|passed| passed.evidence()),
        metrics: evidence
            .evaluation
            .as_ref()
            .map(|report| report.metrics.clone())
            .unwrap_or_default(),
        git_commit: provenance::code_state().git_commit,
        creator: context.workspace()?.actor.value.clone(),
    };
    let manifest = pipelines::manifest(&name, &model, &files, provenance);
    let manifest_digest = Digest::of_json(&manifest);
    let existing = known.iter().find(|version| version.manifest_digest == manifest_digest);
    let version = match existing {
        Some(version) => Some(version.clone()),
        None if args.dry_run || !evidence.gate.passed => None,
        None => {
            let act = context.act(args.reason.clone())?;
            let files = files.into_iter().map(|(path, bytes)| (path, bytes.into())).collect();
            Some(context.wait(registry.register(manifest, files, &act))??)
        }
    };
    let version = version.filter(|_| evidence.gate.passed);
    let answer = Answer {
        model: &name,
        reference: version.as_ref().map(Version::reference),
        version: version.as_ref().map(|version| version.number),
        registered: version.is_some() && existing.is_none(),
        manifest_digest,
        digest,
        champion: champion.as_ref().map(Version::reference),
        run,
        gate: &evidence.gate,
        evaluation: evidence.evaluation.as_ref(),
        comparison: evidence.comparison.as_ref(),
    };
    let text = text(&answer, args, registry.store().url(), known.len() as u64 + 1);
    let outcome = Outcome::done(&answer, text);
    if !evidence.gate.passed {
        return Ok(outcome.exit(Exit::Gate).findings(gate::findings(&evidence.gate)));
    }
    let file = args.model.display().to_string();
    Ok(match &answer.reference {
        _ if args.dry_run => outcome,
        Some(reference) if answer.may_be_promoted() => {
            outcome.next(shell_line(["botops", "promote", reference]))
        }
        _ => outcome.next(shell_line([
            "botops",
            "push",
            &file,
            "--name",
            &name,
            "--test",
            "test.csv",
            "--rules",
            "gates.yaml",
        ])),
    })
}

impl Answer<'_> {
    /// Returns whether `promote` accepts the version: its gates are on an evaluation, or there is no champion yet.
    fn may_be_promoted(&self) -> bool {
        self.gate.evidence == "evaluation" || self.champion.is_none()
    }
}

fn no_name(args: &Args) -> Fault {
    let file = args.model.display().to_string();
    Fault::usage("BOT-1005", "the model has no name")
        .hint(format!("name it: `{}`", shell_line(["botops", "push", &file, "--name", "support"])))
        .hint("or set `model: support` in botops.yaml")
}

/// Returns the versions of a model, and its champion; an unknown model has neither.
async fn known(registry: &Registry, name: &str) -> Result<(Vec<Version>, Option<Version>)> {
    if !registry.models().await?.iter().any(|model| model == name) {
        return Ok((Vec::new(), None));
    }
    Ok((registry.versions(name).await?, registry.alias(name, CHAMPION).await?))
}

/// The evidence for a version.
struct Evidence {
    gate: GateReport,
    evaluation: Option<EvaluationReport>,
    comparison: Option<Comparison>,
}

/// The champion and the rules to judge a model by.
struct Judging<'a> {
    args: &'a Args,
    context: &'a Context,
    registry: &'a Registry,
    champion: Option<&'a Version>,
    rules: Option<&'a Checked<GateSpec>>,
}

impl Judging<'_> {
    /// Runs the golden self-test; with test data, also evaluates the model, compares it with the champion, and applies
    /// the rules.
    fn run(&self, challenger: (&IntentModel, Digest)) -> Result<Evidence> {
        let self_test = evaluation::gate_by_self_test(challenger.0, challenger.1);
        let Some(test) = self.args.test.as_ref().filter(|_| self_test.passed) else {
            return Ok(Evidence { gate: self_test, evaluation: None, comparison: None });
        };
        let options = self.args.columns.options(Presence::Required);
        let data = data_source::dataset(self.context, test, &options)?;
        let report = evaluation::evaluate(challenger.0, challenger.1, &data)?;
        let comparison = match self.champion {
            Some(version) if version.model_digest() != Some(challenger.1) => {
                let bytes = self.context.wait(self.registry.file(version, "model.botops"))??;
                let model = IntentModel::from_bytes(&bytes)?;
                Some(evaluation::compare((&model, Digest::of(&bytes)), challenger, &data)?)
            }
            _ => None,
        };
        let gate = match self.rules {
            Some(rules) => evaluation::gate(rules, &report, comparison.as_ref())?,
            None => self_test,
        };
        Ok(Evidence { gate, evaluation: Some(report), comparison })
    }
}

/// Returns the run that made the file: the named run, else the newest run that recorded the file.
fn made_by(args: &Args, context: &Context, digest: Digest) -> Result<Option<String>> {
    let experiments = context.experiments()?;
    if let Some(id) = &args.run {
        return Ok(Some(context.wait(experiments.find(id))??.id));
    }
    match context.wait(experiments.list())? {
        Ok(runs) => Ok(runs
            .into_iter()
            .find(|run| run.artifacts.iter().any(|artifact| artifact.digest == digest))
            .map(|run| run.id)),
        Err(fault) => {
            // The run is optional: a model can be registered while the store of runs cannot be reached.
            context.printer.say(&format!("warning: the run of the model is unknown: {fault}"));
            Ok(None)
        }
    }
}

fn text(answer: &Answer<'_>, args: &Args, registry: &str, coming: u64) -> String {
    let file = args.model.display();
    let mut out = match &answer.reference {
        Some(reference) if answer.registered => {
            format!("{file} is {reference} in {registry} ({})\n", answer.manifest_digest.short())
        }
        Some(reference) => {
            format!("{file} already was {reference} in {registry}: nothing was written\n")
        }
        None if answer.gate.passed => {
            format!(
                "{file} would be {}@{coming} in {registry}: nothing was written (dry run)\n",
                answer.model
            )
        }
        None => format!("{file} was not registered: its gates failed\n"),
    };
    if let Some(run) = &answer.run {
        out.push_str(&format!("made by run {run}\n"));
    }
    if let Some(report) = answer.evaluation {
        out.push_str(&format!("\non {}: {} utterances\n", report.data, tables::count(report.n)));
        out.push_str(&tables::metrics(&report.metrics));
    }
    if let (Some(comparison), Some(champion)) = (answer.comparison, &answer.champion) {
        out.push_str(&format!(
            "{champion} had {:.3} (newly right {}, newly wrong {}, McNemar p {})\n",
            comparison.champion_accuracy,
            comparison.newly_right.len(),
            comparison.newly_wrong.len(),
            tables::p_value(comparison.mcnemar_p)
        ));
    }
    out.push('\n');
    out.push_str(&gate::text(answer.gate));
    if answer.gate.passed && !answer.may_be_promoted() {
        out.push_str(&format!(
            "the golden self-test alone is not enough evidence to replace {}; push it with --test and --rules\n",
            answer.champion.as_deref().unwrap_or_default()
        ));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer<'a>(gate: &'a GateReport, champion: Option<&str>) -> Answer<'a> {
        Answer {
            model: "support",
            reference: Some("support@2".to_owned()),
            version: Some(2),
            registered: true,
            manifest_digest: Digest::of(b"manifest"),
            digest: Digest::of(b"model"),
            champion: champion.map(str::to_owned),
            run: None,
            gate,
            evaluation: None,
            comparison: None,
        }
    }

    #[test]
    fn a_self_test_is_enough_only_for_the_first_champion() {
        let mut gate = GateReport {
            schema: "botops.gate/1".to_owned(),
            model: Digest::of(b"model"),
            evidence: "golden-self-test".to_owned(),
            results: Vec::new(),
            passed: true,
        };
        assert!(answer(&gate, None).may_be_promoted());
        assert!(!answer(&gate, Some("support@1")).may_be_promoted());
        gate.evidence = "evaluation".to_owned();
        assert!(answer(&gate, Some("support@1")).may_be_promoted());
    }
}
