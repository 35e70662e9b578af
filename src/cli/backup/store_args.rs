//! The store of backups, and the keys that encrypt and open them.

use crate::cli::session::context::Context;
use botops_backup::{KeyText, Keys};
use botops_findings::{Fault, Result};
use botops_store::Store;
use std::path::{Path, PathBuf};

/// The variable with the recipients, one a line.
const RECIPIENTS: &str = "BOTOPS_BACKUP_RECIPIENTS";
/// The variable with the identity.
const IDENTITY: &str = "BOTOPS_BACKUP_IDENTITY";
/// The largest file of keys that is read.
const MOST_KEY_BYTES: u64 = 1 << 20;

/// Where backups are.
#[derive(Debug, clap::Args)]
pub(super) struct StoreArgs {
    /// Store of the backups: a path or URL, apart from what is backed up
    #[arg(long, value_name = "LOCATION", env = "BOTOPS_BACKUP_STORE")]
    store: String,
}

impl StoreArgs {
    /// Opens the store of backups.
    ///
    /// # Errors
    /// `BOT-5001` (exit 2) it is one of the stores that are backed up; those of the store.
    pub(super) fn open(&self, context: &Context) -> Result<Store> {
        let workspace = context.workspace()?;
        for backed_up in [&workspace.registry.value, &workspace.experiments.value] {
            if same(backed_up, &self.store) {
                let message = format!("`{}` is a store that is backed up", self.store);
                return Err(Fault::usage("BOT-5001", message).hint(
                    "keep backups apart: on another disk, or in a bucket of another account",
                ));
            }
        }
        context.store(&self.store)
    }

    /// Checks that no store that is backed up is in the store of backups, nor the other way round.
    ///
    /// # Errors
    /// `BOT-5001` (exit 2) one is.
    pub(super) fn check_apart(&self, context: &Context) -> Result<()> {
        let workspace = context.workspace()?;
        for live in [&workspace.registry.value, &workspace.experiments.value] {
            if is_inside(&self.store, live) || is_inside(live, &self.store) {
                let message = format!("`{}` and `{live}` are one inside the other", self.store);
                return Err(Fault::usage("BOT-5001", message).hint(
                    "keep backups apart: on another disk, or in a bucket of another account",
                ));
            }
        }
        Ok(())
    }

    /// Checks that the place `into` is neither in a store that is backed up nor in the store of backups.
    ///
    /// # Errors
    /// `BOT-5001` (exit 2) it is.
    pub(super) fn check_target(&self, into: &str, context: &Context) -> Result<()> {
        let workspace = context.workspace()?;
        for store in [&workspace.registry.value, &workspace.experiments.value, &self.store] {
            if same(into, store) || is_inside(into, store) {
                let message = format!("`{into}` is in the store `{store}`");
                return Err(Fault::usage("BOT-5001", message)
                    .hint("restore into an empty place of its own: `--into PLACE`"));
            }
        }
        Ok(())
    }

    /// Returns the location as it was given.
    pub(super) fn location(&self) -> &str {
        &self.store
    }
}

/// Returns whether two locations name one place.
pub(super) fn same(a: &str, b: &str) -> bool {
    let plain = |text: &str| text.trim_end_matches('/').trim_start_matches("file://").to_owned();
    let (a, b) = (plain(a), plain(b));
    let real = |text: &str| std::fs::canonicalize(text).ok();
    a == b || matches!((real(&a), real(&b)), (Some(a), Some(b)) if a == b)
}

/// Returns whether the location `inner` is below `outer`. Folders that do not exist yet count, too.
fn is_inside(inner: &str, outer: &str) -> bool {
    let plain = |text: &str| text.trim_end_matches('/').trim_start_matches("file://").to_owned();
    let (inner, outer) = (plain(inner), plain(outer));
    if inner.contains("://") || outer.contains("://") {
        return inner.starts_with(&format!("{outer}/"));
    }
    match (real(&inner), real(&outer)) {
        (Some(inner), Some(outer)) => inner != outer && inner.starts_with(&outer),
        _ => false,
    }
}

/// Returns the path with the links of its existing part resolved.
fn real(path: &str) -> Option<PathBuf> {
    let path = std::path::absolute(path).ok()?;
    let there = path.ancestors().find_map(|above| {
        let rest = path.strip_prefix(above).ok()?;
        Some(std::fs::canonicalize(above).ok()?.join(rest))
    })?;
    // A path joined with nothing ends with a slash.
    Some(there.components().collect())
}

/// The identity that opens backups.
#[derive(Debug, clap::Args)]
pub(super) struct IdentityArgs {
    /// File with the identity that opens the backup, `AGE-SECRET-KEY-1…`; else BOTOPS_BACKUP_IDENTITY
    #[arg(long, value_name = "FILE")]
    pub(super) identity_file: Option<PathBuf>,
}

/// The recipients for whom backups are encrypted.
#[derive(Debug, clap::Args)]
pub(super) struct RecipientArgs {
    /// File with recipients, `age1…`, one a line; else BOTOPS_BACKUP_RECIPIENTS. Without any, nothing is encrypted
    #[arg(long, value_name = "FILE")]
    pub(super) recipients_file: Option<PathBuf>,
}

/// Reads the keys that the flags and the variables name.
///
/// # Errors
/// `BOT-5104` (exit 2) one cannot be read.
pub(super) fn keys(recipients: Option<&RecipientArgs>, identity: &IdentityArgs) -> Result<Keys> {
    let recipients = match recipients {
        Some(args) => given(args.recipients_file.as_deref(), RECIPIENTS)?,
        None => None,
    };
    let identity = given(identity.identity_file.as_deref(), IDENTITY)?;
    Keys::parse(key_text(recipients.as_ref()), key_text(identity.as_ref()))
}

fn key_text(given: Option<&(String, String)>) -> Option<KeyText<'_>> {
    given.map(|(source, text)| KeyText { source, text })
}

/// Returns the text of a key, with its source: that of the file, or of the variable.
fn given(file: Option<&Path>, variable: &str) -> Result<Option<(String, String)>> {
    if let Some(file) = file {
        let wrong = |problem: String| {
            Fault::usage("BOT-5104", problem).file(file).hint("name a file with keys of age")
        };
        let bytes = botops_spec::bytes_within(file, MOST_KEY_BYTES)
            .map_err(|fault| wrong(fault.message().to_owned()))?;
        let text = String::from_utf8(bytes)
            .map_err(|_| wrong(format!("`{}` is not UTF-8", file.display())))?;
        return Ok(Some((file.display().to_string(), text)));
    }
    let text = std::env::var(variable).ok().filter(|text| !text.trim().is_empty());
    Ok(text.map(|text| (variable.to_owned(), text)))
}
