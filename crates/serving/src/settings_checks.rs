//! Checks of single settings, as a start makes them: for whoever wants to know before a server starts.

use crate::{WebhookSpec, login::AdminToken, webhooks};
use botops_findings::Result;
use botops_workspace::Secret;

/// Checks the token of the admin API.
///
/// # Errors
/// `BOT-1031` (exit 2) it is too short, or an HTTP header cannot hold it.
pub fn check_admin_token(token: &Secret) -> Result<()> {
    AdminToken::new(token).map(|_| ())
}

/// Checks the receivers of webhooks.
///
/// # Errors
/// `BOT-1070` (exit 2) one cannot be used.
pub fn check_webhooks(specs: &[WebhookSpec]) -> Result<()> {
    webhooks::check(specs).map(|_| ())
}
