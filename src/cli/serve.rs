//! `botops serve`.

use super::Outcome;
use crate::cli::{
    Printer,
    arguments::model_arg,
    monitor::settings::{Flags, watched},
    session::{context::Context, conversing, knowledge_files},
    terminal::faults::place_prefix,
};
use botops_access::Identity;
use botops_findings::{Fault, Result};
use botops_registry::{Reference, Registry, Selector};
use botops_serving::{
    self as serving, MonitoringSettings, Reloaded, Running, ServerSettings, Source,
};
use serde::Serialize;
use std::{
    collections::BTreeMap,
    io::IsTerminal as _,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use tokio::signal::unix::{Signal, SignalKind, signal};

mod access;
pub(crate) mod checks;
mod conversations;
pub(crate) mod flags;
pub(crate) mod identity_key;
mod kept_key;
mod knowledge;
mod listeners;
pub(crate) mod placed;
pub(crate) mod predictions;
mod protection;
mod reload;
mod settings;
mod telemetry;
mod token_key;
mod uploads;

pub(crate) use flags::Args;
use settings::{policy_file, server_settings};

#[derive(Serialize)]
struct Answer {
    served: String,
    address: SocketAddr,
    admin_address: Option<SocketAddr>,
    admin_socket: Option<PathBuf>,
}

pub(crate) fn run(args: &Args, context: &Context) -> Result<Outcome> {
    let workspace = context.workspace()?;
    checks::check(workspace, args.listen)?;
    let mut settings = server_settings(args, workspace)?;
    let named = match &args.model {
        Some(name) => name.clone(),
        None => model_arg::workspace_model(context)?,
    };
    let is_file = named.ends_with(".botops") || Path::new(&named).is_file();
    if !is_file && !args.knowledge.is_empty() {
        return Err(knowledge_files::beside_a_version(&named));
    }
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
    let has_chat_page = settings.listeners.chat_page;
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
    // A server of a file has no environment that a log could be of.
    settings.predictions = match is_file {
        true => None,
        false => predictions::of(context)?,
    };
    settings.monitoring = match is_file {
        true => None,
        false => monitoring(context)?,
    };
    settings.disks = disks(context, &settings, is_file)?;
    let answer = context.wait(async {
        settings.conversations = Some(conversations::open(context, kept).await?);
        let running = serving::start(settings, source).await?;
        running.reload_from(configuration);
        // Before the first line: whoever reads it may send a signal.
        let mut signals = Signals::listen()?;
        let answer = Answer {
            served: named.clone(),
            address: running.address(),
            admin_address: running.admin_address(),
            admin_socket: running.admin_socket().map(Path::to_owned),
        };
        context.printer.say(&format!("serving {named} on {}", running.url()));
        context.printer.say(running.clients());
        if has_chat_page {
            context.printer.say(&format!("chat page on {}/", running.url()));
        }
        match running.admin_url() {
            Some(url) => context.printer.say(&format!("admin API on {url}")),
            None => context.printer.say(
                "no admin API at an address: there is neither BOTOPS_ADMIN_TOKEN nor an issuer",
            ),
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
        for warning in checks::warnings(workspace) {
            context.printer.say(&format!("warning: {}: {}", warning.code, warning.message));
        }
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
        signals.until_stopped(&running, &by, context.printer).await?;
        say_without_waiting(context.printer, "draining");
        running.shutdown().await;
        Ok::<_, Fault>(answer)
    })??;
    Ok(Outcome::done(&answer, ""))
}

/// Returns the folders that the server writes to on this machine, by name.
///
/// # Errors
/// Those of the locations of the registry and of conversations.
fn disks(
    context: &Context,
    settings: &ServerSettings,
    is_file: bool,
) -> Result<BTreeMap<&'static str, PathBuf>> {
    let workspace = context.workspace()?;
    let store = match is_file {
        true => None,
        false => context.store(&workspace.registry.value)?.folder(),
    };
    let predictions = settings.predictions.as_ref().map(|it| it.log.folder.clone());
    let conversations = conversing::location(workspace)?.folder().map(Path::to_owned);
    let folders =
        [("store", store), ("predictions", predictions), ("conversations", conversations)];
    Ok(folders.into_iter().filter_map(|(name, folder)| Some((name, folder?))).collect())
}

/// Returns how a server monitors the environment in force; `None` without `monitoring.every`.
///
/// # Errors
/// Those of the settings and of the store.
fn monitoring(context: &Context) -> Result<Option<MonitoringSettings>> {
    let workspace = context.workspace()?;
    let Some(watch) = watched(workspace, None, Flags::default())? else { return Ok(None) };
    let store = context.store(&workspace.registry.value)?;
    Ok(Some(MonitoringSettings { watch, store }))
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

/// The signals that a server obeys. From then on none of them ends the process by itself.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
}

impl Signals {
    fn listen() -> Result<Self> {
        let of = |kind| {
            signal(kind).map_err(|error| {
                Fault::internal("BOT-9001", "the signal handler cannot be installed")
                    .caused_by(error)
            })
        };
        Ok(Self {
            interrupt: of(SignalKind::interrupt())?,
            terminate: of(SignalKind::terminate())?,
            hangup: of(SignalKind::hangup())?,
        })
    }

    /// Waits for SIGINT or SIGTERM. At each SIGHUP, the settings are read again; in a terminal, whose end sends it too, the server
    /// stops.
    async fn until_stopped(
        &mut self,
        running: &Running,
        by: &Identity,
        printer: Printer,
    ) -> Result<()> {
        loop {
            tokio::select! {
                _ = self.interrupt.recv() => return Ok(()),
                _ = self.terminate.recv() => return Ok(()),
                _ = self.hangup.recv() => {}
            }
            if std::io::stdin().is_terminal() {
                return Ok(());
            }
            match running.reload(by, "").await {
                Ok(told) => printer.say(&format!("settings read again: {}", reloaded(&told))),
                Err(fault) => {
                    let (code, message) = (fault.code(), fault.message());
                    let place = place_prefix(fault.place());
                    printer.say(&format!("settings not changed: {code}: {place}{message}"));
                }
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
