//! `botops push`.

use super::{Exit, Outcome, gate};
use crate::cli::{
    arguments::{data_args::DataArgs, data_source},
    session::{
        context::Context,
        judging::read_behaviour,
        named_knowledge::{JudgedBase, Knowledge},
        provenance,
    },
    terminal::tables,
};
use botops_datasets::Presence;
use botops_digest::{Digest, canonical_json};
use botops_evaluation::{
    self as evaluation, BehaviourSpec, Comparison, EvaluationReport, GateReport, GateSpec,
    VersionSet, knowledge::KnowledgeReport,
};
use botops_findings::{Fault, Finding, Result};
use botops_models::IntentModel;
use botops_pipelines::{self as pipelines, Provenance};
use botops_registry::{CHAMPION, Manifest, Registration, Registry, Version, knowledge_path};
use botops_spec::Checked;
use botops_text::shell_line;
use serde::Serialize;
use std::path::{Path, PathBuf};

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
    /// Run the behavioural tests in this YAML file, too; rules on `behaviour` need it
    #[arg(long, value_name = "FILE", requires = "test")]
    behaviour: Option<PathBuf>,
    /// Knowledge of the version: a name such as help or help@3, or a .knowledge file; repeatable
    #[arg(long, value_name = "NAME|FILE")]
    knowledge: Vec<String>,
    /// Questions that judge the knowledge, JSONL or SQuAD; with several knowledge bases, NAME=FILE for each
    #[arg(long, value_name = "FILE", requires_all = ["knowledge", "rules"])]
    questions: Vec<String>,
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
    /// Whether `reference` is the champion and holds the same model, so that there was nothing to register.
    same_model: bool,
    /// The number of blobs that were missing in the store, and were written again.
    restored: u64,
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
    let behaviour = args.behaviour.as_deref().map(read_behaviour).transpose()?;
    // One read: the bytes that are registered are those that are judged.
    let (model, digest, bytes) = IntentModel::read_with_bytes(&args.model)?;
    let knowledge = Knowledge::read((&args.knowledge, &args.questions), context, rules.as_ref())?;
    let registry = context.registry()?;
    let mut known = context.wait(Known::read(&registry, &name))??;
    let judging = Judging {
        args,
        context,
        registry: &registry,
        champion: known.champion.as_ref(),
        rules: rules.as_ref(),
        behaviour: behaviour.as_ref(),
        knowledge: &knowledge,
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
    for (loaded, _) in &knowledge.bases {
        files.push((knowledge_path(&loaded.name), loaded.bytes.to_vec()));
    }
    for report in &evidence.knowledge {
        let name = format!("knowledge-evaluation.{}.json", report.knowledge.name);
        files.push((name, canonical_json(report)));
    }
    let provenance = Provenance {
        run: run.clone(),
        gates: gates.map(|passed| passed.evidence()),
        metrics: evidence
            .evaluation
            .as_ref()
            .map(|report| report.metrics.clone())
            .unwrap_or_default(),
        git_commit: provenance::code_state(Path::new(".")).git_commit,
        creator: context.workspace()?.actor.value.clone(),
    };
    let manifest = pipelines::manifest(&name, &model, &files, provenance);
    let manifest_digest = Digest::of_json(&manifest);
    let standing = match evidence.gate.passed {
        true => register(args, context, &registry, &mut known, (manifest, files))?,
        false => Standing::default(),
    };
    let answer = Answer {
        model: &name,
        reference: standing.reference,
        version: standing.version,
        registered: standing.is_new,
        same_model: standing.same_model,
        restored: standing.restored,
        manifest_digest,
        digest,
        champion: known.champion.as_ref().map(Version::reference),
        run,
        gate: &evidence.gate,
        evaluation: evidence.evaluation.as_ref(),
        comparison: evidence.comparison.as_ref(),
    };
    let mut text = text(&answer, args, registry.store().url(), known.manifests.len() as u64 + 1);
    text.push_str(&tables::findings(&evidence.warnings, 3));
    let outcome = Outcome::done(&answer, text);
    let mut findings = evidence.warnings.clone();
    if !evidence.gate.passed {
        findings.extend(gate::findings(&evidence.gate));
        return Ok(outcome.exit(Exit::Gate).findings(findings));
    }
    let outcome = outcome.findings(findings);
    let file = args.model.display().to_string();
    Ok(match &answer.reference {
        _ if args.dry_run => outcome,
        Some(reference) if answer.same_model => {
            outcome.next(shell_line(["botops", "registry", "show", reference]))
        }
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

/// The versions of a model before the push; an unknown model has none.
struct Known {
    /// The digests of their manifests, by number.
    manifests: Vec<Digest>,
    champion: Option<Version>,
    /// The fault of a champion whose manifest is missing. A push of the same version writes it again.
    lost: Option<Fault>,
}

impl Known {
    async fn read(registry: &Registry, name: &str) -> Result<Self> {
        let manifests = registry.manifests(name).await?;
        let (champion, lost) = match registry.alias(name, CHAMPION).await {
            Err(fault) if fault.code() == "BOT-5004" => (None, Some(fault)),
            champion => (champion?, None),
        };
        Ok(Self { manifests, champion, lost })
    }
}

/// The version in the registry that the model file is.
#[derive(Default)]
struct Standing {
    reference: Option<String>,
    version: Option<u64>,
    /// Whether this call registered it.
    is_new: bool,
    /// Whether it is the champion, registered with another manifest.
    same_model: bool,
    /// The number of blobs that were written again.
    restored: u64,
}

impl Standing {
    fn of(version: &Version, manifest: &Digest) -> Self {
        Self {
            reference: Some(version.reference()),
            version: Some(version.number),
            same_model: version.manifest_digest != *manifest,
            ..Self::default()
        }
    }
}

/// Registers a version that passed, unless its manifest is known or the champion holds the same model. A dry run checks
/// only.
fn register(
    args: &Args,
    context: &Context,
    registry: &Registry,
    known: &mut Known,
    (manifest, files): (Manifest, Vec<(String, Vec<u8>)>),
) -> Result<Standing> {
    let digest = Digest::of_json(&manifest);
    let number = (1_u64..).zip(&known.manifests).find(|(_, known)| **known == digest);
    if let (None, Some(lost)) = (number, known.lost.take()) {
        return Err(lost);
    }
    if !args.dry_run {
        let act = context.act(args.reason.clone())?;
        let files = files.into_iter().map(|(path, bytes)| (path, bytes.into())).collect();
        let done = context.wait(registry.register(manifest, files, &act))??;
        let Registration { version, is_new, restored } = done;
        return Ok(Standing { is_new, restored, ..Standing::of(&version, &digest) });
    }
    context.wait(registry.check_registration(&manifest, &files))??;
    let same = known.champion.as_ref().filter(|version| version.set() == manifest.set());
    Ok(match (number, same) {
        (Some((number, _)), _) => Standing {
            reference: Some(format!("{}@{number}", manifest.model)),
            version: Some(number),
            ..Standing::default()
        },
        (None, Some(champion)) => Standing::of(champion, &digest),
        (None, None) => Standing::default(),
    })
}

/// The evidence for a version.
struct Evidence {
    gate: GateReport,
    /// The evaluations of the knowledge.
    knowledge: Vec<KnowledgeReport>,
    evaluation: Option<EvaluationReport>,
    comparison: Option<Comparison>,
    /// The warnings on the test data.
    warnings: Vec<Finding>,
}

/// The champion and the rules to judge a model by.
struct Judging<'a> {
    args: &'a Args,
    context: &'a Context,
    registry: &'a Registry,
    champion: Option<&'a Version>,
    rules: Option<&'a Checked<GateSpec>>,
    behaviour: Option<&'a Checked<BehaviourSpec>>,
    knowledge: &'a Knowledge,
}

impl Judging<'_> {
    /// Runs the golden self-test; with test data, also evaluates the model, compares it with the champion, and applies
    /// the rules.
    fn run(&self, challenger: (&IntentModel, Digest)) -> Result<Evidence> {
        let set = VersionSet { model: challenger.1, knowledge: self.knowledge.digests() };
        let self_test = evaluation::gate_by_self_test(challenger.0, challenger.1)
            .with_knowledge(set.knowledge.clone());
        let Some(test) = self.args.test.as_ref().filter(|_| self_test.passed) else {
            return Ok(Evidence {
                gate: self_test,
                knowledge: Vec::new(),
                evaluation: None,
                comparison: None,
                warnings: Vec::new(),
            });
        };
        let options = self.args.columns.options(Presence::Required);
        let data = data_source::dataset(self.context, test, &options)?;
        let mut report = evaluation::evaluate(challenger.0, challenger.1, &data)?;
        let mut warnings = evaluation::data_warnings(challenger.0, &data);
        if let (Some(tests), Some(path)) = (self.behaviour, &self.args.behaviour) {
            let file = path.display().to_string();
            let tested = evaluation::test_behaviour(challenger.0, tests, &file);
            warnings.extend(evaluation::behaviour_warnings(&tested));
            report.behaviour = Some(tested);
        }
        let comparison = match self.champion {
            // The same model with other knowledge is compared with itself: nothing is newly wrong.
            Some(version) if version.set() != Some(set) => {
                let bytes = self.context.wait(self.registry.file(version, "model.botops"))??;
                let model = IntentModel::from_bytes(&bytes)?;
                Some(evaluation::compare((&model, Digest::of(&bytes)), challenger, &data)?)
            }
            _ => None,
        };
        let at = (self.context, self.registry);
        let judged = self.knowledge.judge(at, self.champion, &mut warnings)?;
        let gate = match self.rules {
            Some(rules) => {
                let evidence = JudgedBase::evidence(&judged);
                evaluation::gate_set(rules, &report, comparison.as_ref(), &evidence)?
            }
            None => self_test,
        };
        let knowledge = judged.into_iter().map(|base| base.report).collect();
        Ok(Evidence { gate, knowledge, evaluation: Some(report), comparison, warnings })
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
            let standing = match answer.same_model {
                true => format!("is the same model as the champion {reference}"),
                false => format!("already was {reference}"),
            };
            let done = match (answer.restored, answer.same_model) {
                (0, true) => "nothing to do".to_owned(),
                (0, false) => "nothing was written".to_owned(),
                (n, _) => {
                    format!("{} written again", tables::counted(n, "missing blob", "missing blobs"))
                }
            };
            format!("{file} {standing} in {registry}: {done}\n")
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
    if answer.gate.passed && !answer.may_be_promoted() && !answer.same_model {
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
            same_model: false,
            restored: 0,
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
            knowledge: std::collections::BTreeMap::new(),
            basis: None,
        };
        assert!(answer(&gate, None).may_be_promoted());
        assert!(!answer(&gate, Some("support@1")).may_be_promoted());
        gate.evidence = "evaluation".to_owned();
        assert!(answer(&gate, Some("support@1")).may_be_promoted());
    }
}
