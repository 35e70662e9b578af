//! `botops policy`.

use super::{Exit, Outcome};
use crate::cli::{
    arguments::model_arg::workspace_model,
    session::{context::Context, provenance},
    terminal::tables,
};
use botops_access::{Check, Demand, Policy, PolicyMode, next_opening};
use botops_digest::Digest;
use botops_findings::{Fault, Result};
use botops_registry::{
    PolicyRecord, Reference, Registry, Selector, StartForecast, held, read_policy,
};
use botops_rollout::{RolloutPolicy, RolloutSpec};
use botops_spec::{self as spec, Outline};
use botops_text::display;
use clap::Subcommand;
use serde::Serialize;
use std::path::{Path, PathBuf};

/// Check versions and plans against the policy of the environment
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Check whether the policy allows the promotion of a version
    Check(CheckArgs),
    /// Show what the policy demands, and where each demand is written
    Explain(FileArg),
    /// Record the policy file in the deployment log, so that it is in force
    Apply(ApplyArgs),
}

#[derive(Debug, clap::Args)]
struct FileArg {
    /// Policy file; default: `policy` of botops.yaml, else the policy in the deployment log
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
struct CheckArgs {
    /// Version: a reference such as support@2; default: the newest version of the workspace's model
    #[arg(value_name = "VERSION")]
    reference: Option<String>,
    /// Plan of the rollout, in YAML; default: the plan that `botops promote` uses
    #[arg(long, value_name = "FILE")]
    plan: Option<PathBuf>,
    #[command(flatten)]
    file: FileArg,
}

#[derive(Debug, clap::Args)]
struct ApplyArgs {
    #[command(flatten)]
    file: FileArg,
    /// Reason, for the audit trail
    #[arg(long, value_name = "TEXT", default_value = "botops policy apply")]
    reason: String,
    /// Check, but record nothing
    #[arg(long)]
    dry_run: bool,
}

/// A policy, and where it is from.
struct Found {
    policy: Policy,
    file: Option<PathBuf>,
    /// The policy in force, as the deployment log records it.
    record: Option<PolicyRecord>,
}

/// A policy in an answer.
#[derive(Serialize)]
struct PolicyLine<'a> {
    environment: &'a str,
    mode: PolicyMode,
    digest: Digest,
    /// The file; `None` if the policy is that of the deployment log.
    file: Option<String>,
    /// Whether the deployment log names this policy, so that it is in force.
    in_force: bool,
}

#[derive(Serialize)]
struct CheckAnswer<'a> {
    version: String,
    policy: PolicyLine<'a>,
    satisfied: bool,
    /// Whether a promotion would be refused now: a freeze is in force, or a demand is not satisfied, and the mode is `enforce`.
    refused: bool,
    checks: Vec<&'a Check>,
    /// The approvals by different people that the promotion needs at its end; 0: none.
    approvals: u32,
}

#[derive(Serialize)]
struct Line<'a> {
    #[serde(flatten)]
    demand: &'a Demand,
    /// The line in the file.
    line: Option<u64>,
}

#[derive(Serialize)]
struct ExplainAnswer<'a> {
    policy: PolicyLine<'a>,
    demands: Vec<Line<'a>>,
    /// Why nothing may advance now: a freeze, or closed promotion windows.
    held: Option<String>,
}

#[derive(Serialize)]
struct ApplyAnswer<'a> {
    policy: PolicyLine<'a>,
    /// Whether this call recorded it.
    recorded: bool,
    dry_run: bool,
}

pub(crate) fn run(args: &Args, context: &Context) -> Result<Outcome> {
    match &args.verb {
        Verb::Check(args) => check(args, context),
        Verb::Explain(file) => explain(file, context),
        Verb::Apply(args) => apply(args, context),
    }
}

impl FileArg {
    /// Returns the policy file in force, if one is named.
    fn path(&self, context: &Context) -> Result<Option<PathBuf>> {
        match &self.file {
            Some(path) => Ok(Some(path.clone())),
            None => Ok(context.workspace()?.policy.value.clone()),
        }
    }

    /// Returns the policy of the file, else that of the deployment log.
    fn find(&self, context: &Context, registry: &Registry) -> Result<Found> {
        let environment = context.wait(registry.environment())??;
        let record = environment.policy().cloned();
        if let Some(path) = self.path(context)? {
            let policy = read_policy(&path)?;
            registry.check_policy_environment(&policy).map_err(|fault| fault.file(&path))?;
            return Ok(Found { policy, file: Some(path), record });
        }
        match context.wait(registry.policy_of(&environment))?? {
            Some(policy) => Ok(Found { policy, file: None, record }),
            None => Err(no_policy(registry.environment_name())),
        }
    }
}

fn no_policy(environment: &str) -> Fault {
    let message = format!("`{environment}` has no policy, and no policy file is named");
    Fault::usage("BOT-1065", message)
        .hint("name a file: `policy: policy.yaml` in botops.yaml, BOTOPS_POLICY, or `--file FILE`")
}

impl Found {
    fn is_in_force(&self) -> bool {
        self.record.as_ref().is_some_and(|record| record.digest == self.policy.digest())
    }

    fn line(&self) -> PolicyLine<'_> {
        PolicyLine {
            environment: self.policy.environment(),
            mode: self.policy.mode(),
            digest: self.policy.digest(),
            file: self.file.as_ref().map(|path| path.display().to_string()),
            in_force: self.is_in_force(),
        }
    }

    /// Returns the policy in words: its environment, its mode, its digest and its source.
    fn words(&self) -> String {
        let source = match (&self.file, &self.record) {
            (Some(path), _) => format!("{}, ", display(&path.display().to_string(), 200)),
            (None, _) => "the deployment log, ".to_owned(),
        };
        let force = match &self.record {
            Some(record) if self.is_in_force() => format!(
                "in force since {} UTC, recorded by {}",
                tables::time(&record.at),
                display(&record.actor, 80)
            ),
            Some(record) => format!(
                "not in force: the deployment log has {}, recorded by {} at {} UTC",
                record.digest.short(),
                display(&record.actor, 80),
                tables::time(&record.at)
            ),
            None => "not in force: the deployment log has none".to_owned(),
        };
        let policy = &self.policy;
        format!(
            "policy of {} ({}, {}): {source}{force}\n",
            policy.environment(),
            policy.mode().name(),
            policy.digest().short()
        )
    }

    /// Adds the command that brings the policy into force, if it is not.
    fn advise(&self, outcome: Outcome) -> Outcome {
        match self.is_in_force() {
            true => outcome,
            false => outcome.next("botops policy apply"),
        }
    }
}

fn check(args: &CheckArgs, context: &Context) -> Result<Outcome> {
    let plan = plan(args.plan.as_deref())?;
    let registry = context.registry()?;
    let found = args.file.find(context, &registry)?;
    let reference = match &args.reference {
        Some(text) => {
            let reference: Reference = text.parse()?;
            // As for `promote`, a bare name is the newest version.
            match text.contains('@') {
                true => reference,
                false => Reference { selector: Selector::Latest, ..reference },
            }
        }
        None => Reference { model: workspace_model(context)?, selector: Selector::Latest },
    };
    let version = context.wait(registry.resolve(&reference))??;
    let now = provenance::now()?;
    let forecast = context.wait(registry.start_forecast(&found.policy, &version, &plan, now))??;
    let subject = registry.subject(&version);
    let warnings = found.policy.warnings();
    let text = format!(
        "{}{}{}{}\n",
        found.words(),
        check_table(&forecast),
        tables::warnings(&warnings),
        verdict(&forecast, &subject)
    );
    let answer = CheckAnswer {
        version: version.reference(),
        policy: found.line(),
        satisfied: forecast.is_satisfied(),
        refused: forecast.is_refused(),
        checks: forecast.checks().collect(),
        approvals: forecast.approvals,
    };
    let findings = warnings.into_iter().chain(forecast.findings()).collect();
    let outcome = Outcome::done(&answer, text).findings(findings);
    let outcome = match forecast.is_refused() {
        true => outcome.exit(Exit::Policy),
        false => outcome,
    };
    Ok(found.advise(outcome))
}

/// Renders the checks, with the approvals to come as a note.
fn check_table(forecast: &StartForecast) -> String {
    let checks = forecast.checks().map(|check| {
        let verdict = if check.passed { "passed" } else { "failed" };
        vec![check.rule.clone(), check.required.clone(), check.found.clone(), verdict.to_owned()]
    });
    let note = (forecast.approvals > 0).then(|| {
        let required = match forecast.approvals {
            1 => "1 approval is needed".to_owned(),
            n => format!("{n} approvals are needed"),
        };
        let found = "asked for before the promotion";
        vec!["approvals".to_owned(), required, found.to_owned(), "note".to_owned()]
    });
    tables::table(&["rule", "required", "found", "verdict"], checks.chain(note), &[])
}

/// Returns the end of a check, in words.
fn verdict(forecast: &StartForecast, subject: &str) -> String {
    if let Some(freeze) = &forecast.freeze {
        return format!("refused: {subject} is {}", freeze.found);
    }
    match (forecast.is_satisfied(), forecast.judgement.mode) {
        (true, _) => format!("passed: the policy allows {subject}"),
        (false, PolicyMode::Enforce) => format!("refused: the policy does not allow {subject}"),
        (false, PolicyMode::Warn) => {
            format!("warned: the policy does not allow {subject}, and only warns")
        }
        (false, PolicyMode::Off) => {
            format!("off: the policy would not allow {subject}, and is not applied")
        }
    }
}

/// Reads and checks the plan; without a file, the default one.
fn plan(path: Option<&Path>) -> Result<RolloutPolicy> {
    let plan: RolloutSpec = path.map_or(Ok(RolloutSpec::default()), spec::read)?;
    plan.check().map_err(|fault| match path {
        Some(path) => fault.file(path),
        None => fault,
    })
}

fn explain(file: &FileArg, context: &Context) -> Result<Outcome> {
    let registry = context.registry()?;
    let found = file.find(context, &registry)?;
    let outline = match &found.file {
        Some(path) => Some(Outline::of(&spec::text(path)?)),
        None => None,
    };
    let demands = found.policy.demands();
    let line = |rule: &str| outline.as_ref().and_then(|outline| line_of(outline, rule));
    let rows = demands.iter().map(|demand| {
        let place = line(&demand.rule).map_or_else(|| "-".to_owned(), |line| line.to_string());
        vec![demand.rule.clone(), demand.demand.clone(), place]
    });
    let now = provenance::now()?;
    let environment = context.wait(registry.environment())??;
    let held = held(&environment, Some(&found.policy), now);
    let state = match (&held, next_opening(found.policy.windows(), now)) {
        (Some(held), _) => format!("now: {held}\n"),
        (None, Some((_, window))) => format!("now: open, in `{window}`\n"),
        (None, None) => String::new(),
    };
    let table = tables::table(&["rule", "demand", "line"], rows, &[2]);
    let warnings = found.policy.warnings();
    let text = format!("{}{table}{}{state}", found.words(), tables::warnings(&warnings));
    let answer = ExplainAnswer {
        policy: found.line(),
        demands: demands.iter().map(|demand| Line { demand, line: line(&demand.rule) }).collect(),
        held,
    };
    Ok(found.advise(Outcome::done(&answer, text).findings(warnings)))
}

/// Returns the line of `rule`, else that of the key that it is part of.
fn line_of(outline: &Outline, rule: &str) -> Option<u64> {
    let mut key = rule;
    loop {
        if let Some(line) = outline.line(key) {
            return Some(line);
        }
        key = key.rsplit_once('.')?.0;
    }
}

fn apply(args: &ApplyArgs, context: &Context) -> Result<Outcome> {
    let registry = context.registry()?;
    let Some(path) = args.file.path(context)? else {
        return Err(no_policy(registry.environment_name()));
    };
    let act = context.act(args.reason.clone())?;
    let found = FileArg { file: Some(path) }.find(context, &registry)?;
    let is_new = !found.is_in_force();
    let recorded = match args.dry_run {
        true => false,
        false => context.wait(registry.apply_policy(&found.policy, &act))??,
    };
    let name = registry.environment_name();
    let policy = format!("{} ({})", found.policy.digest().short(), found.policy.mode().name());
    let text = match (is_new, recorded) {
        (_, true) => format!("{policy} is the policy of {name} now\n"),
        (true, false) if args.dry_run => {
            format!("{policy} would be the policy of {name}: nothing was written (dry run)\n")
        }
        _ => format!("{policy} already was the policy of {name}: nothing was written\n"),
    };
    let warnings = found.policy.warnings();
    let text = format!("{text}{}", tables::warnings(&warnings));
    let line = PolicyLine { in_force: recorded || !is_new, ..found.line() };
    let answer = ApplyAnswer { policy: line, recorded, dry_run: args.dry_run };
    Ok(Outcome::done(&answer, text).findings(warnings).next("botops policy explain"))
}
