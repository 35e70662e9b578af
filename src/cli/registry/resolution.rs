//! `botops registry resolve`.

use crate::cli::{Outcome, session::context::Context, terminal::tables};
use botops_digest::Digest;
use botops_findings::Result;
use botops_registry::{Reference, parse_time};
use botops_text::shell_line;
use chrono::{DateTime, Utc};
use serde::Serialize;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Version, such as support@champion, support@staging or support@latest
    reference: String,
    /// The time at which to resolve it, such as 2026-11-24T10:00Z; default: now
    #[arg(long, value_name = "TIME")]
    as_of: Option<String>,
}

#[derive(Serialize)]
struct Answer {
    reference: String,
    as_of: DateTime<Utc>,
    version: String,
    digest: Digest,
    since: DateTime<Utc>,
    actor: String,
    reason: String,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<Outcome> {
    let reference: Reference = args.reference.parse()?;
    let now = context.act("")?.at;
    let as_of = args.as_of.as_deref().map_or(Ok(now), parse_time)?;
    let registry = context.registry()?;
    let found = context.wait(registry.resolve_as_of(&reference, as_of, now))??;
    let answer = Answer {
        reference: reference.to_string(),
        as_of,
        version: found.version.reference(),
        digest: found.version.manifest_digest,
        since: found.since,
        actor: found.actor,
        reason: found.reason,
    };
    let mut text = format!(
        "{} at {} UTC: {} ({})\nsince {} UTC, by {}",
        answer.reference,
        tables::time(&as_of),
        answer.version,
        answer.digest,
        tables::time(&answer.since),
        answer.actor,
    );
    if !answer.reason.is_empty() {
        text.push_str(&format!(": {}", answer.reason));
    }
    text.push('\n');
    let next = shell_line(["botops", "registry", "show", &answer.version]);
    Ok(Outcome::done(&answer, text).findings(found.version.warnings()).next(next))
}
