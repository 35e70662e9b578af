//! `botops serve`.

use super::Outcome;
use crate::cli::{arguments::model_arg, session::context::Context};
use botops_findings::{Fault, Result};
use botops_registry::{Reference, Selector};
use botops_serving::{self as serving, RequestLog, ServerSettings, Source};
use serde::Serialize;
use std::net::SocketAddr;

/// Serve a model over HTTP
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Model: a `.botops` file, or a model or version in the registry; default: the workspace's champion
    model: Option<String>,
    /// Address of the public listener
    #[arg(long, default_value = "127.0.0.1:8080", env = "BOTOPS_LISTEN")]
    listen: SocketAddr,
    /// Address of the admin listener, which runs only if BOTOPS_ADMIN_TOKEN is set
    #[arg(long, default_value = "127.0.0.1:8081", env = "BOTOPS_ADMIN_LISTEN")]
    admin_listen: SocketAddr,
    /// Environment whose deployment log the server writes
    #[arg(long, default_value = "production", env = "BOTOPS_ENVIRONMENT")]
    environment: String,
    /// Write no request log
    #[arg(long)]
    no_request_log: bool,
}

#[derive(Serialize)]
struct Answer {
    served: String,
    address: SocketAddr,
    admin_address: Option<SocketAddr>,
}

pub(crate) fn run(args: &Args, context: &Context) -> Result<Outcome> {
    let workspace = context.workspace()?;
    let settings = ServerSettings {
        listen: args.listen,
        admin_listen: args.admin_listen,
        admin_token: workspace.admin_token.value.clone(),
        environment: args.environment.clone(),
        request_log: if args.no_request_log {
            RequestLog::Off
        } else {
            RequestLog::To(|| Box::new(std::io::stderr()))
        },
    };
    let named = match &args.model {
        Some(name) => name.clone(),
        None => model_arg::workspace_model(context)?,
    };
    let is_file = named.ends_with(".botops") || std::path::Path::new(&named).is_file();
    let source = if is_file {
        let found = model_arg::load(context, &named)?;
        Source::File { model: Box::new(found.model), digest: found.digest, name: found.name }
    } else {
        let reference: Reference = named.parse()?;
        let is_champion = matches!(&reference.selector, Selector::Alias(alias) if alias == botops_registry::CHAMPION);
        let pinned = (!is_champion).then_some(named.clone());
        Source::Registry { registry: context.registry()?, model: reference.model, pinned }
    };
    let answer = context.wait(async {
        let running = serving::start(settings, source).await?;
        let answer = Answer {
            served: named.clone(),
            address: running.address(),
            admin_address: running.admin_address(),
        };
        context.printer.say(&format!("serving {named} on http://{}", answer.address));
        match answer.admin_address {
            Some(address) => context.printer.say(&format!("admin API on http://{address}")),
            None => context.printer.say("no admin API: BOTOPS_ADMIN_TOKEN is not set"),
        }
        stopped().await?;
        context.printer.say("draining");
        running.shutdown().await;
        Ok::<_, Fault>(answer)
    })??;
    Ok(Outcome::done(&answer, ""))
}

/// Waits for SIGINT or SIGTERM.
async fn stopped() -> Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let fault = |error| {
        Fault::internal("BOT-9001", "the signal handler cannot be installed").caused_by(error)
    };
    let mut interrupt = signal(SignalKind::interrupt()).map_err(fault)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(fault)?;
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    Ok(())
}
