//! Changes of the tables of a store: `botops db`.

use crate::migrations::SchemaStatus;
use botops_findings::{Fault, Result};

/// Checks that a rollback to version `target` of a store with `count` turns is wanted.
///
/// # Errors
/// `BOT-6127` (exit 6) if it would erase turns and `force` is not set.
pub(crate) fn check_rollback(
    status: &SchemaStatus,
    (count, target): (i64, i64),
    force: bool,
) -> Result<()> {
    if target > 0 || count == 0 || force {
        return Ok(());
    }
    let message = format!("a rollback to version 0 erases the {count} turns in `{}`", status.store);
    Err(Fault::policy("BOT-6127", message)
        .hint("export what is needed with `botops conversations export <CONVERSATION>`, then add `--force`"))
}
