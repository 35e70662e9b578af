//! `botops backup verify`.

use super::store_args::{IdentityArgs, StoreArgs, keys};
use crate::cli::{Exit, Outcome, session::context::Context, terminal::tables};
use botops_backup::{Verified, header, verify};
use botops_findings::{Fault, Result};
use serde::Serialize;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Backup, as `list` names it; the newest one if it is left out
    backup: Option<String>,
    #[command(flatten)]
    store: StoreArgs,
    #[command(flatten)]
    identity: IdentityArgs,
}

#[derive(Serialize)]
struct Answer<'a> {
    store: &'a str,
    backup: &'a str,
    #[serde(flatten)]
    verified: &'a Verified,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<Outcome> {
    let store = args.store.open(context)?;
    let keys = keys(None, &args.identity)?;
    let (header, verified) = context.wait(async {
        let header = header(&store, args.backup.as_deref()).await?;
        let verified = verify(&store, &header, &keys).await?;
        Ok::<_, Fault>((header, verified))
    })??;
    let answer = Answer { store: args.store.location(), backup: &header.id, verified: &verified };
    let outcome = match verified.damaged {
        0 => "every one can be restored".to_owned(),
        n => format!("{} cannot be restored", tables::counted(n, "file", "files")),
    };
    let text = format!(
        "{}{}: backup {}, {} checked, {outcome}\n",
        tables::findings(&verified.problems, 20),
        answer.store,
        header.id,
        tables::counted(verified.files, "file", "files"),
    );
    let exit = if verified.damaged == 0 { Exit::Done } else { Exit::Gate };
    let outcome = Outcome::done(&answer, text).exit(exit);
    Ok(outcome.findings(verified.problems))
}
