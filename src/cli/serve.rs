//! `botops serve`.

use super::Outcome;
use crate::cli::{
    Printer,
    arguments::model_arg,
    session::{context::Context, conversing},
};
use botops_access::{Identity, Policy};
use botops_findings::{Fault, Result};
use botops_registry::{Reference, Registry, Selector, read_policy};
use botops_serving::{
    self as serving, Reloaded, Replication, RequestLog, Running, ServerSettings, Source,
    WebhookSpec,
};
use botops_workspace::{Webhook, Workspace};
use serde::Serialize;
use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

mod access;
mod conversations;
pub(crate) mod identity_key;
mod kept_key;
mod listeners;
mod protection;
mod reload;
mod token_key;

/// The default address of the public listener.
const LISTEN: &str = "127.0.0.1:8080";
/// The default address of the admin listener.
const ADMIN_LISTEN: &str = "127.0.0.1:8081";

/// Parses an address; an empty variable counts as unset.
fn address(text: &str, default: &str) -> Result<SocketAddr, std::net::AddrParseError> {
    if text.trim().is_empty() { default.parse() } else { text.trim().parse() }
}

/// Parses the lifetime of feedback.
fn feedback_lifetime(text: &str) -> Result<Duration, String> {
    let duration = humantime::parse_duration(text).map_err(|error| error.to_string())?;
    let longest = Duration::from_secs(366 * 24 * 60 * 60);
    match duration {
        duration if duration < Duration::from_secs(1) => Err("it is shorter than 1s".to_owned()),
        duration if duration > longest => Err("it is longer than 366d".to_owned()),
        duration => Ok(duration),
    }
}

/// Serve a model over HTTP
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Args {
    /// Model: a `.botops` file, or a model or version in the registry; default: the workspace's champion
    model: Option<String>,
    /// Address of the public listener
    #[arg(long, default_value = LISTEN, env = "BOTOPS_LISTEN", value_parser = |text: &str| address(text, LISTEN))]
    listen: SocketAddr,
    /// Address of the admin listener, which runs only if BOTOPS_ADMIN_TOKEN is set
    #[arg(long, default_value = ADMIN_LISTEN, env = "BOTOPS_ADMIN_LISTEN", value_parser = |text: &str| address(text, ADMIN_LISTEN))]
    admin_listen: SocketAddr,
    /// Unix socket of the admin API, for the user of the server and root
    #[arg(long, value_name = "PATH")]
    admin_socket: Option<PathBuf>,
    /// Name by which clients may call the server, such as that of a proxy; repeatable. A listener on a loopback address
    /// accepts addresses, names without a dot, and these names
    #[arg(long, value_name = "NAME")]
    allow_host: Vec<String>,
    /// How long a server that cannot read the store sends requests to a challenger
    #[arg(long, value_name = "DURATION", default_value = "15s", env = "BOTOPS_STALE_AFTER", value_parser = humantime::parse_duration)]
    stale_after: Duration,
    /// How long feedback on an answer counts for a rollout, at most 366 days
    #[arg(long, value_name = "DURATION", default_value = "30d", env = "BOTOPS_FEEDBACK_LIFETIME", value_parser = feedback_lifetime)]
    feedback_lifetime: Duration,
    /// Divide every wait for other servers by this number; for tests in which hours pass in minutes
    #[arg(long, hide = true, default_value_t = 1, env = "BOTOPS_TIMES")]
    times: u32,
    /// Write no request log; warnings, such as failed logins, are still written
    #[arg(long)]
    no_request_log: bool,
}

#[derive(Serialize)]
struct Answer {
    served: String,
    address: SocketAddr,
    admin_address: Option<SocketAddr>,
    admin_socket: Option<PathBuf>,
}

pub(crate) fn run(args: &Args, context: &Context) -> Result<Outcome> {
    let workspace = context.workspace()?;
    let mut settings = server_settings(args, workspace)?;
    let named = match &args.model {
        Some(name) => name.clone(),
        None => model_arg::workspace_model(context)?,
    };
    let is_file = named.ends_with(".botops") || Path::new(&named).is_file();
    let source = if is_file {
        let found = model_arg::load(context, &named)?;
        // Clients see the name of the file, and not where it is on this machine.
        let name = Path::new(&named).file_name().unwrap_or_default();
        let name = name.to_string_lossy().into_owned();
        Source::File { model: Box::new(found.model), digest: found.digest, name }
    } else {
        let reference: Reference = named.parse()?;
        let is_champion = matches!(&reference.selector, Selector::Alias(alias) if alias == botops_registry::CHAMPION);
        let pinned = (!is_champion).then_some(named.clone());
        Source::Registry { registry: context.registry()?, model: reference.model, pinned }
    };
    // Before anything is written.
    serving::check_access(&settings, &source)?;
    let registry = match &source {
        Source::Registry { registry, .. } => Some(registry.clone()),
        Source::File { .. } => None,
    };
    if let Some(registry) = &registry {
        record_policy(context, registry)?;
    }
    let by = context.claimed()?;
    let configuration = Arc::new(reload::Settings::new(args, context, registry)?);
    let kept = conversations::settings(workspace)?;
    let answer = context.wait(async {
        settings.conversations = Some(conversations::open(context, kept).await?);
        let running = serving::start(settings, source).await?;
        running.reload_from(configuration);
        let answer = Answer {
            served: named.clone(),
            address: running.address(),
            admin_address: running.admin_address(),
            admin_socket: running.admin_socket().map(Path::to_owned),
        };
        context.printer.say(&format!("serving {named} on {}", running.url()));
        context.printer.say(running.clients());
        match running.admin_url() {
            Some(url) => context.printer.say(&format!("admin API on {url}")),
            None => context
                .printer
                .say("no admin API: BOTOPS_ADMIN_TOKEN is not set, there is no key and no issuer"),
        }
        if let Some(path) = &answer.admin_socket {
            context.printer.say(&format!("admin API on unix://{}", path.display()));
        }
        if running.was_second() {
            context.printer.say(
                "another server of this environment ticks the open rollout; \
                 this one answers its share, takes commands, and takes over when that one is gone",
            );
        }
        context.printer.say(&running.metrics_note());
        for note in running.notes() {
            context.printer.say(&format!("note: {note}"));
        }
        let location = conversing::location(workspace)?;
        context.printer.say(&match location.is_memory() {
            true => "conversations are kept in memory: they end with this server".to_owned(),
            false => format!("conversations are stored in {location}"),
        });
        for problem in running.degraded() {
            context.printer.say(&format!("degraded: {problem}"));
        }
        until_stopped(&running, &by, context.printer).await?;
        say_without_waiting(context.printer, "draining");
        running.shutdown().await;
        Ok::<_, Fault>(answer)
    })??;
    Ok(Outcome::done(&answer, ""))
}

/// Returns the settings of the server, of the flags and of the workspace.
///
/// # Errors
/// `BOT-1021` (exit 2) a secret cannot be read; those of the access settings.
fn server_settings(args: &Args, workspace: &Workspace) -> Result<ServerSettings> {
    Ok(ServerSettings {
        listen: args.listen,
        admin_listen: args.admin_listen,
        admin_token: workspace.admin_token.value.resolve()?,
        allowed_hosts: protection::allowed_hosts(workspace, &args.allow_host)?,
        environment: workspace.environment.value.clone(),
        access: access::resolve(workspace, args.admin_socket.as_deref())?,
        listeners: listeners::settings(workspace),
        replication: Replication {
            identity_key: Some(identity_key::resolve(workspace)?),
            stale_after: args.stale_after,
            times: args.times,
            token_key: Some(token_key::resolve(workspace)?),
            feedback_lifetime: args.feedback_lifetime,
        },
        webhooks: webhooks(workspace)?,
        // Opened at the start, and not read again.
        conversations: None,
        request_log: if args.no_request_log {
            RequestLog::Warnings(|| Box::new(std::io::stderr()))
        } else {
            RequestLog::To(|| Box::new(std::io::stderr()))
        },
        public: protection::of(workspace, args.listen)?,
    })
}

/// Returns the receivers of webhooks, with their secrets.
///
/// # Errors
/// `BOT-1021` (exit 2) a secret cannot be read.
fn webhooks(workspace: &Workspace) -> Result<Vec<WebhookSpec>> {
    let receiver = |webhook: &Webhook| {
        let secrets = webhook.secrets.iter().filter_map(|it| it.resolve().transpose());
        Ok(WebhookSpec {
            url: webhook.url.clone(),
            secrets: secrets.collect::<Result<_>>()?,
            events: webhook.events.clone(),
        })
    };
    workspace.webhooks.value.iter().map(receiver).collect()
}

/// Reads the policy file of the workspace, for the environment of `registry`; `None` without one.
///
/// # Errors
/// Those of the file; `BOT-6057` (exit 2) it is for another environment.
fn policy_file(workspace: &Workspace, registry: &Registry) -> Result<Option<Policy>> {
    let Some(path) = &workspace.policy.value else { return Ok(None) };
    let policy = read_policy(path)?;
    registry.check_policy_environment(&policy).map_err(|fault| fault.file(path))?;
    Ok(Some(policy))
}

/// Makes the policy file that the server is started with the policy of the environment, unless it is in force already.
fn record_policy(context: &Context, registry: &Registry) -> Result<()> {
    let Some(policy) = policy_file(context.workspace()?, registry)? else { return Ok(()) };
    let act = context.act("a server was started with this policy")?;
    if context.wait(registry.apply_policy(&policy, &act))?? {
        let (digest, mode) = (policy.digest().short(), policy.mode().name());
        let name = registry.environment_name();
        context.printer.say(&format!("policy {digest} ({mode}) is in force in {name}"));
    }
    Ok(())
}

/// Writes a line to standard error from a thread of its own: a reader that stopped reading must not keep the server alive.
fn say_without_waiting(printer: Printer, line: &'static str) {
    let (done, said) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        printer.say(line);
        let _ = done.send(());
    });
    let _ = said.recv_timeout(Duration::from_millis(200));
}

/// Waits for SIGINT or SIGTERM. At each SIGHUP, the settings are read again; in a terminal, whose end sends it too, the server
/// stops.
async fn until_stopped(running: &Running, by: &Identity, printer: Printer) -> Result<()> {
    use std::io::IsTerminal as _;
    use tokio::signal::unix::{SignalKind, signal};
    let fault = |error| {
        Fault::internal("BOT-9001", "the signal handler cannot be installed").caused_by(error)
    };
    let mut interrupt = signal(SignalKind::interrupt()).map_err(fault)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(fault)?;
    let mut hangup = signal(SignalKind::hangup()).map_err(fault)?;
    loop {
        tokio::select! {
            _ = interrupt.recv() => return Ok(()),
            _ = terminate.recv() => return Ok(()),
            _ = hangup.recv() => {}
        }
        if std::io::stdin().is_terminal() {
            return Ok(());
        }
        match running.reload(by, "").await {
            Ok(told) => printer.say(&format!("settings read again: {}", reloaded(&told))),
            Err(fault) => {
                let (code, message) = (fault.code(), fault.message());
                printer.say(&format!("settings not changed: {code}: {message}"));
            }
        }
    }
}

/// Renders what a reload changed.
fn reloaded(told: &Reloaded) -> String {
    let changed = match told.changed.as_slice() {
        [] => "nothing changed".to_owned(),
        changed => format!("{} changed", changed.join(", ")),
    };
    match told.restart.as_slice() {
        [] => changed,
        restart => format!("{changed}; a restart is needed for {}", restart.join(", ")),
    }
}
