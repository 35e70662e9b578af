//! SIGINT and SIGTERM while a pipeline or a search runs.

use botops_findings::{Fault, FaultKind};
use tokio::signal::unix::{SignalKind, signal};

/// Waits for the first SIGINT or SIGTERM and returns the fault that ends the command.
///
/// Nothing has to be saved: each result is either published completely or absent, and the next run continues from the
/// published ones.
pub(crate) async fn interrupted() -> Fault {
    let (Ok(mut interrupt), Ok(mut terminate)) =
        (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        return std::future::pending().await;
    };
    let fault = tokio::select! {
        _ = interrupt.recv() => {
            Fault::new(FaultKind::Interrupted, "BOT-8011", "interrupted: finished work is kept")
        }
        _ = terminate.recv() => {
            Fault::new(FaultKind::Terminated, "BOT-8012", "terminated: finished work is kept")
        }
    };
    fault.hint("run the command again to continue")
}
