//! `botops keys`.

use super::Outcome;
use crate::cli::{
    arguments::output_args::ReasonArg,
    session::{context::Context, provenance},
    terminal::tables,
};
use botops_access::{
    Key, KeyAct, KeyLog, KeySpec, KeyState, KeyUses, Lifetime, NewKey, Role, Scope, Writing,
};
use botops_findings::{Fault, Result};
use botops_registry::check_author;
use botops_text::{display, shell_line};
use botops_workspace::DEFAULT_ENVIRONMENT;
use chrono::{DateTime, TimeDelta, Utc};
use clap::builder::{PossibleValuesParser, TypedValueParser as _};
use serde::Serialize;
use std::time::Duration;

/// Manage the API keys of administrators
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Make a key, and print it once
    Create(CreateArgs),
    /// List the keys, without their secrets
    List,
    /// Give a key a new secret, and print it once
    Rotate(RotateArgs),
    /// Revoke a key; servers refuse it within 5 seconds
    Revoke(RevokeArgs),
}

#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("rights").required(true))]
struct CreateArgs {
    /// Name of the key, for the audit trail; it is never used again
    #[arg(long)]
    name: String,
    /// Role of the key: a usual set of scopes
    #[arg(long, group = "rights", value_parser = PossibleValuesParser::new(Role::ALL.map(Role::name)).map(role))]
    role: Option<Role>,
    /// Scopes of the key, separated by commas
    #[arg(long, group = "rights", value_delimiter = ',', value_parser = PossibleValuesParser::new(Scope::ALL.map(Scope::name)).map(scope))]
    scopes: Vec<Scope>,
    /// Time that the key lives, such as 90d; without it, the key does not expire
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    expires: Option<Duration>,
    /// Reason, for the audit trail
    #[arg(long, value_name = "TEXT", default_value = "")]
    reason: String,
    /// Check, but make no key
    #[arg(long)]
    dry_run: bool,
}

#[derive(Debug, clap::Args)]
struct RotateArgs {
    /// Name of the key
    name: String,
    /// Time that the old secret is still accepted
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration, default_value = "24h")]
    grace: Duration,
    /// Time that the new secret lives; default: as long as the one before
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    expires: Option<Duration>,
    /// Reason, for the audit trail
    #[arg(long, value_name = "TEXT", default_value = "")]
    reason: String,
    /// Check, but change nothing
    #[arg(long)]
    dry_run: bool,
}

#[derive(Debug, clap::Args)]
struct RevokeArgs {
    /// Name of the key
    name: String,
    #[command(flatten)]
    reason: ReasonArg,
    /// Check, but change nothing
    #[arg(long)]
    dry_run: bool,
}

#[derive(Serialize)]
struct Line<'a> {
    #[serde(flatten)]
    key: &'a Key,
    state: KeyState,
    /// The begin of the hour (UTC) in which a server recorded its last use; `None` if there is no record.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_used_hour: Option<DateTime<Utc>>,
}

#[derive(Serialize)]
struct Listed<'a> {
    environment: &'a str,
    keys: Vec<Line<'a>>,
}

#[derive(Serialize)]
struct Changed<'a> {
    environment: &'a str,
    key: Line<'a>,
    /// The key itself, which cannot be shown again; absent in a dry run and after a revocation.
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<&'a str>,
    dry_run: bool,
}

/// Reads a name that clap found among the known ones.
fn role(name: String) -> Role {
    name.parse().expect("clap accepts the names of roles only")
}

/// Reads a name that clap found among the known ones.
fn scope(name: String) -> Scope {
    name.parse().expect("clap accepts the names of scopes only")
}

pub(crate) fn run(args: &Args, context: &Context) -> Result<Outcome> {
    match &args.verb {
        Verb::Create(args) => create(args, context),
        Verb::List => list(context),
        Verb::Rotate(args) => rotate(args, context),
        Verb::Revoke(args) => revoke(args, context),
    }
}

fn create(args: &CreateArgs, context: &Context) -> Result<Outcome> {
    let environment = &context.workspace()?.environment.value;
    let act = act(context, &args.reason)?;
    let scopes = match args.role {
        Some(role) => role.scopes().into_iter().collect(),
        None => args.scopes.clone(),
    };
    let lifetime = args.expires.map(time_delta).transpose()?;
    let spec = KeySpec { name: args.name.clone(), scopes, lifetime };
    let mut log = open(context, environment)?;
    let (key, secret) = context.wait(log.create(&spec, &act, writing(args.dry_run)))??;
    shown_once(context, environment, &key, secret.as_ref(), act.at)
}

fn rotate(args: &RotateArgs, context: &Context) -> Result<Outcome> {
    let environment = &context.workspace()?.environment.value;
    let act = act(context, &args.reason)?;
    let lifetime = match args.expires {
        Some(lifetime) => Lifetime::Of(time_delta(lifetime)?),
        None => Lifetime::AsBefore,
    };
    let times = (lifetime, time_delta(args.grace)?);
    let mut log = open(context, environment)?;
    let (key, secret) =
        context.wait(log.rotate(&args.name, times, &act, writing(args.dry_run)))??;
    shown_once(context, environment, &key, secret.as_ref(), act.at)
}

fn revoke(args: &RevokeArgs, context: &Context) -> Result<Outcome> {
    let environment = &context.workspace()?.environment.value;
    let act = act(context, &args.reason.reason)?;
    let mut log = open(context, environment)?;
    let key = context.wait(log.revoke(&args.name, &act, writing(args.dry_run)))??;
    let text = match args.dry_run {
        true => format!("{}: would be revoked (dry run)\n", key.name),
        false => format!("{}: revoked; servers of {environment} refuse it within 5 s\n", key.name),
    };
    let answer = Changed {
        environment,
        key: Line { state: key.state(act.at), key: &key, last_used_hour: None },
        secret: None,
        dry_run: args.dry_run,
    };
    Ok(Outcome::done(&answer, text).next(list_command(environment)))
}

fn list(context: &Context) -> Result<Outcome> {
    let environment = &context.workspace()?.environment.value;
    let mut log = open(context, environment)?;
    context.wait(log.refresh())??;
    let now = provenance::now()?;
    let store = context.store(&context.workspace()?.registry.value)?;
    let used = context.wait(KeyUses::open(&store, environment)?.last())??;
    let mut keys = Vec::new();
    for key in log.keys().iter() {
        let hours = key.secrets.iter().filter_map(|secret| used.get(&secret.id));
        keys.push(Line { state: key.state(now), key, last_used_hour: hours.max().copied() });
    }
    let text = if keys.is_empty() {
        format!("{environment} has no key\n")
    } else {
        let rows = keys.iter().map(|line| row(line, now));
        let head = [
            "name",
            "id",
            "scopes",
            "state",
            "expires (UTC)",
            "used (UTC)",
            "made by",
            "made (UTC)",
        ];
        tables::table(&head, rows, &[])
    };
    let is_empty = keys.is_empty();
    let outcome = Outcome::done(&Listed { environment, keys }, text);
    Ok(match is_empty {
        true => outcome.next("botops keys create --name ada --role operator --expires 90d"),
        false => outcome,
    })
}

fn row(line: &Line<'_>, now: DateTime<Utc>) -> Vec<String> {
    let Line { key, state, last_used_hour } = line;
    let newest = key.newest();
    let state = match state {
        KeyState::Active => {
            let in_grace = |secret: &&botops_access::KeySecret| {
                secret.replaced_until.is_some_and(|until| until > now)
            };
            match key.secrets.iter().rev().find(in_grace).and_then(|old| old.replaced_until) {
                Some(until) => format!("active; old secret until {}", tables::time(&until)),
                None => "active".to_owned(),
            }
        }
        KeyState::Expired => "expired".to_owned(),
        KeyState::Revoked => "revoked".to_owned(),
    };
    vec![
        key.name.clone(),
        newest.id.clone(),
        key.scopes.iter().cloned().collect::<Vec<_>>().join(", "),
        state,
        newest.expires_at.as_ref().map_or_else(|| "never".to_owned(), tables::time),
        last_used_hour
            .map_or_else(|| "-".to_owned(), |hour| hour.format("%Y-%m-%d %Hh").to_string()),
        display(&key.created_by.label(), 80),
        tables::time(&key.secrets[0].created_at),
    ]
}

/// Prints the new secret of `key` alone on standard output, so that a script can keep it.
fn shown_once(
    context: &Context,
    environment: &str,
    key: &Key,
    secret: Option<&NewKey>,
    now: DateTime<Utc>,
) -> Result<Outcome> {
    let scopes = key.scopes.iter().cloned().collect::<Vec<_>>().join(", ");
    let expires = key.newest().expires_at.as_ref();
    let until = expires
        .map_or("does not expire".to_owned(), |at| format!("expires at {} UTC", tables::time(at)));
    let line = format!("{} ({scopes}) of {environment} {until}", key.name);
    let text = match secret {
        Some(secret) => {
            context.printer.say(&format!("{line}; this is the only time it is shown:"));
            format!("{}\n", secret.expose())
        }
        None => format!("{line} (dry run: nothing was changed)\n"),
    };
    let answer = Changed {
        environment,
        key: Line { state: key.state(now), key, last_used_hour: None },
        secret: secret.map(NewKey::expose),
        dry_run: secret.is_none(),
    };
    Ok(Outcome::done(&answer, text).next(list_command(environment)))
}

fn list_command(environment: &str) -> String {
    match environment {
        DEFAULT_ENVIRONMENT => "botops keys list".to_owned(),
        other => shell_line(["botops", "keys", "list", "--environment", other]),
    }
}

fn open(context: &Context, environment: &str) -> Result<KeyLog> {
    KeyLog::open(&context.store(&context.workspace()?.registry.value)?, environment)
}

/// Returns the author, the reason and the time of a change.
fn act(context: &Context, reason: &str) -> Result<KeyAct> {
    let by = context.claimed()?;
    check_author(&by.label(), reason)?;
    Ok(KeyAct { by, reason: reason.to_owned(), at: provenance::now()? })
}

fn writing(dry_run: bool) -> Writing {
    if dry_run { Writing::Dry } else { Writing::Real }
}

fn time_delta(time: Duration) -> Result<TimeDelta> {
    TimeDelta::from_std(time).map_err(|_| {
        Fault::usage("BOT-1041", "the time is too long").hint("such as `90d`, or leave it out")
    })
}
