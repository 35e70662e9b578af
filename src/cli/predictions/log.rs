//! The log that `botops predictions` reads.

use crate::cli::session::context::Context;
use botops_findings::{Fault, Result};
use botops_store::Store;

/// Returns the store of the log, and the environment.
pub(super) fn log(context: &Context) -> Result<(Store, &str)> {
    let workspace = context.workspace()?;
    Ok((context.store(&workspace.registry.value)?, &workspace.environment.value))
}

/// The fault of a question that no record answers.
pub(super) fn nothing(environment: &str) -> Fault {
    let message = format!("no prediction of `{environment}` passes the filters");
    Fault::insufficient("BOT-6212", message)
        .hint("a server moves its records to the store about once a minute: try again")
        .hint("or see what there is without a filter: `botops predictions query --by hour`")
}
