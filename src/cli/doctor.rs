//! `botops doctor`.

mod ready;
mod settings;
mod strict;

use super::{Exit, Outcome};
use crate::cli::{
    serve::{checks, flags},
    session::{context::Context, provenance},
    terminal::{faults::as_finding, tables},
};
use botops_experiments::{CodeState, Environment};
use botops_findings::{Fault, FaultKind, Finding, Result, Severity};
use botops_monitoring::{Heartbeat, heartbeats};
use botops_store::Store;
use botops_workspace::Workspace;
use serde::Serialize;
use settings::{Setting, redacted, settings};
use std::{net::SocketAddr, path::Path};

/// The path of the object that a probe writes; every probe writes the same content, and the object is not removed.
const PROBE: &str = "probes/put-if-absent";

/// The findings of one code that are shown.
const SAMPLES: usize = 10;

/// Show the settings in force with their origins, and check the stores
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Also ask each store for an absent object, and write a probe to check that it supports put-if-absent
    #[arg(long)]
    probe: bool,
    /// Only ask a server whether it is ready, such as `http://127.0.0.1:8080`; exit code 7 if not
    #[arg(long, value_name = "URL", conflicts_with = "probe")]
    ready: Option<String>,
    /// Also fail on warnings, and on protections that a server which others can reach lacks
    #[arg(long, conflicts_with = "ready")]
    strict: bool,
    /// Check the settings as a server that listens there
    #[arg(long, value_name = "ADDR", default_value = flags::LISTEN, env = "BOTOPS_LISTEN", value_parser = |text: &str| flags::address(text, flags::LISTEN))]
    listen: SocketAddr,
}

#[derive(Serialize)]
struct Answer {
    settings: Vec<Setting>,
    checks: Vec<Check>,
    code: CodeState,
    environment: Environment,
}

/// The check of a store or a server.
#[derive(Serialize)]
struct Check {
    name: &'static str,
    location: String,
    ok: bool,
    said: String,
}

pub(crate) fn run(args: &Args, context: &Context) -> Result<Outcome> {
    if let Some(url) = &args.ready {
        let ready = ready::ask(context, url)?;
        let text = format!("{} is ready\n", ready.url);
        return Ok(Outcome::done(&ready, text));
    }
    let workspace = context.workspace()?;
    let mut findings = Vec::new();
    let mut exit = Exit::Done;
    let mut checks = Vec::new();
    let stores = [
        ("registry", "models", &workspace.registry.value),
        ("experiments", "runs", &workspace.experiments.value),
    ];
    for (name, folder, location) in stores {
        let found = context.wait(store(context.store(location), folder, args.probe))?;
        if let Err(fault) = &found {
            findings.push(as_finding(fault, Severity::Error));
            // A caller that retries must learn that a store is unreachable, even if other checks failed before.
            if exit == Exit::Done || fault.kind() == FaultKind::Unreachable {
                exit = fault.into();
            }
        }
        checks.push(Check {
            name,
            location: redacted(location),
            ok: found.is_ok(),
            said: answer(found),
        });
    }
    checks.extend(schedules(context, workspace, &mut findings)?);
    if let Some(url) = &workspace.admin_url.value {
        let found = context.wait(server(url, context, workspace))?;
        if let Err(fault) = &found {
            findings.push(as_finding(fault, Severity::Warning));
        }
        checks.push(Check {
            name: "admin server",
            location: redacted(url),
            ok: found.is_ok(),
            said: answer(found),
        });
    }
    let n_shown = findings.len();
    for fault in checks::faults(workspace, args.listen) {
        // A secret that a server has may be missing on the machine of its operator.
        let severity = match fault.code() {
            "BOT-1021" => Severity::Warning,
            _ => Severity::Error,
        };
        let finding = as_finding(&fault, severity);
        if findings
            .iter()
            .any(|known| (&known.code, &known.message) == (&finding.code, &finding.message))
        {
            continue;
        }
        findings.push(finding);
        if severity == Severity::Error && exit == Exit::Done {
            exit = (&fault).into();
        }
    }
    findings.extend(checks::warnings(workspace));
    if args.strict {
        findings.extend(strict::lacking(workspace, args.listen));
        findings.iter_mut().for_each(|finding| finding.severity = Severity::Error);
        if exit == Exit::Done && !findings.is_empty() {
            exit = Exit::Usage;
        }
    }
    let token = workspace.admin_token.value.resolve();
    let answer = Answer {
        settings: settings(context, workspace, token.is_ok_and(|token| token.is_some())),
        checks,
        code: provenance::code_state(Path::new(".")),
        environment: provenance::environment(),
    };
    // The stores and the server have their lines above.
    let mut text = text(&answer);
    if let Some(settings) = findings.get(n_shown..).filter(|it| !it.is_empty()) {
        text.push('\n');
        text.push_str(&tables::findings(settings, SAMPLES));
    }
    let outcome = Outcome::done(&answer, text).exit(exit);
    let outcome = match findings.first() {
        Some(finding) => outcome.next(format!("botops explain {}", finding.code)),
        None if !args.probe => outcome.next("botops doctor --probe"),
        None => outcome,
    };
    Ok(outcome.findings(findings))
}

/// Lists the names under `folder` of a store; with `probe`, also checks that the store says that an absent object is absent,
/// and that it does not overwrite objects.
async fn store(store: Result<Store>, folder: &str, probe: bool) -> Result<String> {
    let store = store?;
    if probe {
        // Without the permission to list, S3 also refuses the listing below, whose fault would not say what to grant.
        store.check_absence().await?;
    }
    let n = store.folders(folder).await?.len();
    let answers =
        format!("answers, {n} {}", if n == 1 { folder.trim_end_matches('s') } else { folder });
    if !probe {
        return Ok(answers);
    }
    store.create(PROBE, "botops doctor\n".into()).await?;
    let other = format!("botops doctor, {}\n", ulid::Ulid::generate());
    let overwrote = store.create(PROBE, other.clone().into()).await?;
    let kept = store.read(PROBE).await?.is_some_and(|bytes| bytes != other);
    if overwrote || !kept {
        return Err(Fault::internal(
            "BOT-5030",
            format!("`{}` overwrites existing objects", store.url()),
        )
        .hint(
            "use a store that supports put-if-absent: a local disk, Amazon S3, MinIO, Cloudflare R2",
        )
        .hint("until then, never run two writers at the same time"));
    }
    Ok(format!(
        "{answers}; says that an absent object is absent; writes, and supports put-if-absent"
    ))
}

/// Lists the schedules with their last and next runs. The check of the registry says if the store cannot be read.
fn schedules(
    context: &Context,
    workspace: &Workspace,
    findings: &mut Vec<Finding>,
) -> Result<Vec<Check>> {
    let now = provenance::now()?;
    let Ok(store) = context.store(&workspace.registry.value) else { return Ok(Vec::new()) };
    let Ok(found) = context.wait(heartbeats(&store, &workspace.environment.value, now))? else {
        return Ok(Vec::new());
    };
    let check = |heartbeat: &Heartbeat| {
        let overdue = heartbeat.overdue(now);
        let (last, next) = (tables::time(&heartbeat.at), tables::time(&heartbeat.next_due));
        let said = match &overdue {
            None => format!("{}: last run {last}, next due {next}", heartbeat.name),
            Some(_) => format!("{}: overdue since {next}, last run {last}", heartbeat.name),
        };
        let ok = overdue.is_none();
        findings.extend(overdue);
        Check { name: "schedule", location: heartbeat.name.clone(), ok, said }
    };
    Ok(found.iter().map(check).collect())
}

/// Requests the rollout from the admin server; a server without a rollout passes, too.
async fn server(url: &str, context: &Context, workspace: &Workspace) -> Result<String> {
    let client = context.admin_client(url)?;
    let model = workspace.model.value.as_deref().unwrap_or("model");
    match client.rollout(model, None).await {
        Ok(status) => Ok(format!("answers; challenger at {} %", status.weight_percent)),
        Err(fault) => match fault.code() {
            "BOT-6034" => Ok("answers; no rollout yet".to_owned()),
            _ => Err(fault),
        },
    }
}

/// Returns the answer of a check, or its fault in one line.
fn answer(found: Result<String>) -> String {
    found.unwrap_or_else(|fault| {
        let hint = fault.hints().first().map_or(String::new(), |hint| format!("; {hint}"));
        format!("{}: {}{hint}", fault.code(), fault.message())
    })
}

fn text(answer: &Answer) -> String {
    let rows = answer.settings.iter().map(|setting| {
        let value = setting.value.clone().unwrap_or_else(|| "-".to_owned());
        vec![setting.name.clone(), value, setting.origin.clone()]
    });
    let mut out = tables::table(&["setting", "value", "from"], rows, &[]);
    let rows = answer.checks.iter().map(|check| {
        vec![
            check.name.to_owned(),
            if check.ok { "ok" } else { "failed" }.to_owned(),
            check.said.clone(),
        ]
    });
    out.push_str(&format!("\n{}", tables::table(&["check", "", "answer"], rows, &[])));
    let machine = &answer.environment;
    let git = match (&answer.code.git_commit, answer.code.git_dirty) {
        (Some(commit), Some(true)) => {
            format!("{}, with uncommitted changes", commit.get(..12).unwrap_or(commit))
        }
        (Some(commit), _) => commit.get(..12).unwrap_or(commit).to_owned(),
        (None, _) => "no repository, or git is not installed".to_owned(),
    };
    let cores = tables::counted(machine.cores, "core", "cores");
    let ci = if machine.ci { ", in CI" } else { "" };
    out.push_str(&format!(
        "\nbotops {} on {}, {cores}{ci}\ngit: {git}\n",
        machine.botops, machine.platform
    ));
    out
}
