//! `botops promote`.

use super::{Exit, Outcome, Printer};
use crate::cli::{
    arguments::{model_arg::workspace_model, out_path::OutPath},
    session::{
        context::Context,
        following::{Following, Until},
        outputs,
        promoter::{Promotion, say_warnings},
    },
    terminal::{progress, tables},
};
use botops_datasets::{self as datasets, Traffic};
use botops_digest::Digest;
use botops_evaluation::{self as evaluation, PassedGates};
use botops_files::{Output, OutputKind};
use botops_findings::{Fault, Result};
use botops_models::IntentModel;
use botops_pipelines::{Promoter as _, PromotionRequest};
use botops_registry::{
    Act, DEFAULT_ENVIRONMENT, Reference, Registry, Selector, Version, check_labels,
};
use botops_report as report;
use botops_rollout::{Decision, RolloutSpec};
use botops_spec as spec;
use botops_text::{percent, shell_line};
use indicatif::ProgressBar;
use serde::Serialize;
use std::{path::PathBuf, sync::Arc, time::Duration};

/// Promote a version through a canary
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Version: a reference such as support@2; default: the newest version of the workspace's model
    #[arg(value_name = "VERSION")]
    reference: Option<String>,
    /// Environment of the promotion; the evidence of the version is carried along. Default: the environment in force
    #[arg(long, value_name = "ENVIRONMENT")]
    to: Option<String>,
    /// Recorded traffic (JSONL), to rehearse the canary or to replay at the server
    #[arg(long, value_name = "FILE")]
    traffic: Option<PathBuf>,
    /// Plan of the rollout, in YAML
    #[arg(long, value_name = "FILE")]
    plan: Option<PathBuf>,
    /// Reason, for the audit trail
    #[arg(long, value_name = "TEXT", default_value = "botops promote")]
    reason: String,
    /// Write a report page to this file
    #[arg(long, value_name = "FILE")]
    html: Option<OutPath>,
    /// Replace an existing file that botops did not write
    #[arg(long, requires = "html")]
    force: bool,
    /// Stop watching the rollout on a server after this time; the rollout continues
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    timeout: Option<Duration>,
    /// Start the rollout on the server, and return without watching it
    #[arg(long, conflicts_with_all = ["traffic", "timeout", "wait_for", "html", "dry_run"])]
    detach: bool,
    /// Watch the rollout on a server until then
    #[arg(long, value_name = "STATE", value_enum, default_value = "promoted")]
    wait_for: Until,
    /// Roll back the rollout of another version that is under way on the server
    #[arg(long)]
    supersede: bool,
    /// Promote although the version adds or removes intents, or cannot answer some
    #[arg(long)]
    accept_labels: bool,
    /// Rehearse, but promote and write nothing
    #[arg(long)]
    dry_run: bool,
}

#[derive(Serialize)]
struct Answer {
    version: String,
    environment: String,
    champion_before: Option<String>,
    moved: bool,
    decision: Option<Decision>,
    self_test: Option<evaluation::GateReport>,
    /// The rollout that goes on without this command.
    #[serde(skip_serializing_if = "Option::is_none")]
    detached: Option<String>,
}

pub(crate) fn run(args: &Args, context: &Context) -> Result<Outcome> {
    let inputs = [args.traffic.as_deref(), args.plan.as_deref()];
    outputs::distinct(args.html.as_deref(), &inputs)?;
    let page = args.html.as_deref().map(|path| Output::new(path, OutputKind::Page, args.force));
    page.map_or(Ok(()), |page| page.check())?;
    let reference = reference(args, context)?;
    let plan: RolloutSpec = args.plan.as_deref().map_or(Ok(RolloutSpec::default()), spec::read)?;
    plan.check()?;
    let traffic = args.traffic.as_deref().map(datasets::read_traffic).transpose()?;
    let here = context.registry()?;
    let registry = args.to.as_deref().map_or(Ok(here.clone()), |name| here.in_environment(name))?;
    let following = Following {
        until: args.wait_for,
        timeout: args.timeout,
        // Beside the bar of replayed traffic there is no place for a block.
        is_live: traffic.is_none(),
        ends_on_signal: true,
    };
    let promotion = Promotion::of(context, following, args.supersede)?.in_registry(&registry);
    check_server_flags(args, &promotion)?;
    if args.dry_run && !matches!(promotion, Promotion::Rehearsal(..)) {
        return Err(Fault::usage("BOT-1007", "a server cannot rehearse a promotion")
            .hint("rehearse it in this process, without `server.admin_url`: `botops promote --dry-run --traffic FILE`"));
    }
    check_replay(&promotion, traffic.as_ref())?;
    let n_messages = traffic.as_ref().map_or(0, |traffic| traffic.records.len() as u64);
    let bar = progress::bar(&context.printer, "messages", n_messages);
    let act = context.act(args.reason.clone())?;
    let work = Work {
        args,
        registry: &registry,
        promotion: &promotion,
        plan: &plan,
        traffic: traffic.as_ref(),
        act: &act,
        printer: context.printer,
        bar: &bar,
    };
    let (answer, warnings) = context.wait(async {
        let challenger = here.resolve(&reference).await?;
        let warnings = (challenger.warnings(), super::registry::text::warnings(&challenger));
        Ok::<_, Fault>((work.promote(challenger).await?, warnings))
    })??;
    bar.finish_and_clear();
    if let (Some(page), Some(decision), false) = (page, &answer.decision, args.dry_run) {
        page.write(report::decision_html(decision).as_bytes())?;
    }
    let mut outcome = outcome(&answer, args.wait_for);
    if let (true, Some(decision)) = (context.printer.is_markdown(), &answer.decision) {
        outcome.text = report::decision_markdown(decision);
    }
    let (warnings, words) = warnings;
    outcome.text.push_str(&words);
    Ok(outcome.findings(warnings))
}

/// Refuses flags that only a server can follow.
fn check_server_flags(args: &Args, promotion: &Promotion) -> Result<()> {
    if matches!(promotion, Promotion::Server(_)) {
        return Ok(());
    }
    let flags = [
        (args.detach, "--detach"),
        (args.supersede, "--supersede"),
        (args.wait_for == Until::Approval, "--wait-for approval"),
    ];
    match flags.into_iter().find(|(is_given, _)| *is_given) {
        None => Ok(()),
        Some((_, flag)) => Err(Fault::usage(
            "BOT-6083",
            format!("`{flag}` needs a server, and none is configured"),
        )
        .hint("set `server.admin_url` in botops.yaml, or BOTOPS_ADMIN_URL")
        .hint("a rehearsal runs in this process, and ends with its decision")),
    }
}

/// Refuses recorded traffic that would not be replayed: without a message, the rollout would wait in vain.
fn check_replay(promotion: &Promotion, traffic: Option<&Traffic>) -> Result<()> {
    match (promotion, traffic) {
        (Promotion::Server(server), Some(_)) if !server.can_replay() => {
            let message = "the recorded traffic cannot be replayed: the public address of the server is not known";
            Err(Fault::usage("BOT-6070", message)
                .hint("set `server.url` in botops.yaml, or BOTOPS_SERVER_URL, such as `http://127.0.0.1:8080`")
                .hint("or leave `--traffic` out, to wait for the traffic that the server gets"))
        }
        _ => Ok(()),
    }
}

/// Returns the version to promote. Other verbs take a bare name for the champion; a promotion takes it for the newest
/// version.
fn reference(args: &Args, context: &Context) -> Result<Reference> {
    let Some(text) = &args.reference else {
        return Ok(Reference { model: workspace_model(context)?, selector: Selector::Latest });
    };
    let reference: Reference = text.parse()?;
    Ok(match text.contains('@') {
        true => reference,
        false => Reference { selector: Selector::Latest, ..reference },
    })
}

/// Everything that a promotion works with.
struct Work<'a> {
    args: &'a Args,
    registry: &'a Registry,
    promotion: &'a Promotion,
    plan: &'a RolloutSpec,
    traffic: Option<&'a Traffic>,
    act: &'a Act,
    printer: Printer,
    bar: &'a ProgressBar,
}

impl Work<'_> {
    /// Promotes the version through its canary; the first version of a model is promoted by its golden self-test.
    async fn promote(&self, challenger: Version) -> Result<Answer> {
        let champion = self.registry.champion(&challenger.model).await?;
        let passed = self.registry.proof(&challenger).await;
        let digest = challenger.model_digest().ok_or_else(|| {
            Fault::data("BOT-5021", format!("{} has no model file", challenger.reference()))
        })?;
        let model = self.model(&challenger).await?;
        match champion {
            None => self.first(&challenger, &model, digest, passed).await,
            Some(champion) if champion.set() == challenger.set() => Ok(Answer {
                version: challenger.reference(),
                environment: self.registry.environment_name().to_owned(),
                champion_before: Some(champion.reference()),
                moved: false,
                decision: None,
                self_test: None,
                detached: None,
            }),
            Some(champion) => self.replace(&champion, &challenger, model, passed?).await,
        }
    }

    async fn model(&self, version: &Version) -> Result<IntentModel> {
        IntentModel::from_bytes(&self.registry.file(version, "model.botops").await?)
    }

    /// Makes `version` the first champion, if its golden self-test passes.
    async fn first(
        &self,
        version: &Version,
        model: &IntentModel,
        digest: Digest,
        passed: Result<PassedGates>,
    ) -> Result<Answer> {
        if !self.args.accept_labels {
            check_labels(None, (version, &model.unanswered_intents()))?;
        }
        let report = evaluation::gate_by_self_test(model, digest)
            .with_knowledge(version.manifest.knowledge());
        let proof = match passed {
            Ok(passed) => Some(passed),
            Err(fault) if fault.code() == "BOT-5017" => evaluation::passed(&report),
            Err(fault) => return Err(fault),
        };
        let mut moved = false;
        if let (Some(proof), true) = (&proof, report.passed) {
            let admitted = self.registry.admit(version, Some(proof), None, self.act.at).await?;
            say_warnings(self.printer, &admitted);
        }
        if let (Some(proof), true, false) = (&proof, report.passed, self.args.dry_run) {
            self.registry.promote(version, None, proof, self.act).await?;
            moved = true;
        }
        Ok(Answer {
            version: version.reference(),
            environment: self.registry.environment_name().to_owned(),
            champion_before: None,
            moved,
            decision: None,
            self_test: Some(report),
            detached: None,
        })
    }

    /// Takes the challenger through its canary. The server moves the alias itself; after a rehearsal this does.
    async fn replace(
        &self,
        champion: &Version,
        challenger: &Version,
        model: IntentModel,
        passed: PassedGates,
    ) -> Result<Answer> {
        let champion_model = self.model(champion).await?;
        if !self.args.accept_labels {
            let before = champion_model.unanswered_intents();
            check_labels(Some((champion, &before)), (challenger, &model.unanswered_intents()))?;
        }
        let request = PromotionRequest {
            champion,
            champion_model: Arc::new(champion_model),
            challenger,
            challenger_model: Arc::new(model),
            plan: self.plan,
            traffic: self.traffic,
            reason: &self.args.reason,
            accept_labels: self.args.accept_labels,
            progress: &|done, total| {
                self.bar.set_length(total);
                self.bar.set_position(done);
            },
        };
        if let (true, Promotion::Server(server)) = (self.args.detach, self.promotion) {
            let status = server.start(&request).await?;
            return Ok(Answer {
                version: challenger.reference(),
                environment: self.registry.environment_name().to_owned(),
                champion_before: Some(champion.reference()),
                moved: false,
                decision: Some(status.decision),
                self_test: None,
                detached: Some(status.rollout.id),
            });
        }
        let decision =
            self.promotion.promote(request).await.map_err(|fault| match fault.code() {
                "BOT-8005" => {
                    fault.hint("or name recorded traffic: `botops promote --traffic FILE`")
                }
                _ => fault,
            })?;
        let promoted = decision.verdict == "promoted";
        if promoted && decision.rehearsal && !self.args.dry_run {
            let from = Some(champion.manifest_digest);
            self.registry.promote(challenger, from, &passed, self.act).await?;
        }
        Ok(Answer {
            version: challenger.reference(),
            environment: self.registry.environment_name().to_owned(),
            champion_before: Some(champion.reference()),
            moved: promoted && !self.args.dry_run,
            decision: Some(decision),
            self_test: None,
            detached: None,
        })
    }
}

fn outcome(answer: &Answer, wait_for: Until) -> Outcome {
    if let Some(id) = &answer.detached {
        let model = model_of(&answer.version);
        let champion = answer.champion_before.as_deref().unwrap_or("none");
        let text = format!(
            "rollout {id} of {} against {champion}{} goes on at the server\n",
            answer.version,
            elsewhere(&answer.environment)
        );
        return Outcome::done(answer, text)
            .next(shell_line(["botops", "rollout", "watch", model, "--id", id]));
    }
    let (text, exit) = match (&answer.decision, &answer.self_test) {
        (Some(decision), _) if wait_for == Until::Approval && is_at_approval(decision) => {
            (decision_text(answer, decision), Exit::Done)
        }
        (Some(decision), _) => (decision_text(answer, decision), verdict_exit(&decision.verdict)),
        (None, Some(report)) if report.passed => (
            format!(
                "{} is the first champion{}: its golden self-test passed\n",
                answer.version,
                elsewhere(&answer.environment)
            ),
            Exit::Done,
        ),
        (None, Some(_)) => (
            format!("{} failed its golden self-test and was not promoted\n", answer.version),
            Exit::Gate,
        ),
        (None, None) => match answer.champion_before.as_deref() {
            Some(champion) if champion != answer.version => (
                format!(
                    "{} is the same model as the champion {champion}: nothing to do\n",
                    answer.version
                ),
                Exit::Done,
            ),
            _ => {
                (format!("{} is the champion already: nothing to do\n", answer.version), Exit::Done)
            }
        },
    };
    let outcome = Outcome::done(answer, text).exit(exit);
    match (answer.moved, &answer.champion_before) {
        (true, Some(_)) => outcome.next(undo(&answer.version, &answer.environment)),
        // There is no version to go back to.
        (true, None) => outcome.next(served(&answer.version, &answer.environment)),
        (false, _) => outcome,
    }
}

/// Returns the model of `version` (a reference).
fn model_of(version: &str) -> &str {
    version.split_once('@').map_or(version, |(model, _)| model)
}

/// Returns whether the rollout waits for approvals, or is promoting without any.
fn is_at_approval(decision: &Decision) -> bool {
    let latest = decision.transitions.last().map(|latest| latest.phase.as_str());
    matches!(latest, Some("awaiting_approval" | "promoting" | "settling"))
}

/// Returns the command that serves the champion of the model of `version` (a reference).
fn served(version: &str, environment: &str) -> String {
    let mut words = vec!["botops", "serve", model_of(version)];
    if environment != DEFAULT_ENVIRONMENT {
        words.extend(["--environment", environment]);
    }
    shell_line(words)
}

/// Returns the command that takes the promotion of `version` (a reference) back. It names the model, which may be another
/// one than the workspace's.
fn undo(version: &str, environment: &str) -> String {
    let mut words = vec!["botops", "rollback", model_of(version)];
    if environment != DEFAULT_ENVIRONMENT {
        words.extend(["--environment", environment]);
    }
    format!("{} --reason \"…\"", shell_line(words))
}

/// Returns ` in <environment>`, or nothing for the default one.
fn elsewhere(environment: &str) -> String {
    match environment {
        DEFAULT_ENVIRONMENT => String::new(),
        name => format!(" in {name}"),
    }
}

/// Returns the exit code for the verdict of a rollout.
pub(crate) fn verdict_exit(verdict: &str) -> Exit {
    match verdict {
        "promoted" | "finished" => Exit::Done,
        "insufficient" => Exit::Insufficient,
        "refused" => Exit::Policy,
        _ => Exit::Gate,
    }
}

fn decision_text(answer: &Answer, decision: &Decision) -> String {
    let how = if decision.rehearsal { ", rehearsed on recorded traffic" } else { "" };
    let champion = answer.champion_before.as_deref().unwrap_or("none");
    let state = match is_at_approval(decision) {
        true => decision.transitions.last().map_or("", |latest| latest.phase.as_str()),
        false => decision.verdict.as_str(),
    };
    let mut text = format!(
        "{} against {champion}{}{how}: {}\n",
        answer.version,
        elsewhere(&answer.environment),
        state.replace('_', " ")
    );
    text.push_str(&format!("  {}\n", decision.reason));
    text.push_str(&transitions(decision));
    text.push_str(&evidence(decision));
    text
}

/// Renders the transitions of a rollout; those of a rehearsal have no actors.
pub(crate) fn transitions(decision: &Decision) -> String {
    let named = decision.transitions.iter().any(|transition| transition.actor.is_some());
    let rows = decision.transitions.iter().map(|transition| {
        let mut row = vec![
            transition.at.format("%Y-%m-%d %H:%M:%S").to_string(),
            transition.phase.replace('_', " "),
            format!("{} %", transition.weight_percent),
            transition.reason.clone(),
        ];
        if named {
            row.insert(3, transition.actor.clone().unwrap_or_else(|| "-".to_owned()));
        }
        row
    });
    let mut header = vec!["when (UTC)", "phase", "weight", "why"];
    if named {
        header.insert(3, "who");
    }
    tables::table(&header, rows, &[2])
}

/// Renders the evidence of a rollout.
pub(crate) fn evidence(decision: &Decision) -> String {
    let rows = decision.evidence.iter().map(|evidence| {
        let measured = evidence.measured_of(decision.units);
        let failed = |arm: usize| match evidence.rates[arm] {
            Some(rate) => {
                let rate = percent(rate, 1);
                format!("{} of {} ({rate})", evidence.failures[arm], measured[arm])
            }
            None => "-".to_owned(),
        };
        let log_e = |value: f64| match evidence.is_measured() {
            true => format!("{value:.2}"),
            false => "-".to_owned(),
        };
        vec![
            evidence.kind.name().to_owned(),
            failed(0),
            failed(1),
            log_e(evidence.log_e_rollback),
            format!("{:.2}", evidence.log_threshold),
            log_e(evidence.log_e_promote),
            format!("{:.2}", evidence.log_threshold_promote),
        ]
    });
    tables::table(
        &["failure", "champion", "challenger", "log e worse", "of", "log e not worse", "of"],
        rows,
        &[1, 2, 3, 4, 5, 6],
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hint_after_a_promotion_rolls_back_the_model_that_was_promoted() {
        assert_eq!(undo("other@1", "production"), "botops rollback other --reason \"…\"");
        assert_eq!(served("other@1", "production"), "botops serve other");
        let staging = "botops rollback other --environment staging --reason \"…\"";
        assert_eq!(undo("other@1", "staging"), staging);
    }
}
