//! `botops monitor --every`: an evaluation every so often, until a signal.

use super::champion::champion;
use crate::cli::{
    Outcome, Printer,
    session::{context::Context, interruption::interrupted, provenance},
    terminal::faults::place_prefix,
};
use botops_findings::{Fault, FaultKind, Finding, Result};
use botops_monitoring::{
    MONITOR_RUNS, Monitored, Observed, WatchHost, WatchSettings, end_schedule, watch,
};
use botops_registry::{Reference, Registry};
use chrono::{DateTime, Utc};
use std::sync::{Mutex, PoisonError};

/// The process in a terminal or a job.
struct Host<'a> {
    registry: &'a Registry,
    reference: &'a Reference,
    printer: Printer,
    /// The models that were loaded last.
    last: Mutex<Option<Monitored>>,
}

impl WatchHost for Host<'_> {
    async fn monitored(&self) -> Result<Option<Monitored>> {
        let version = self.registry.resolve(self.reference).await?;
        let known = self.last.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let monitored = champion(self.registry, &version, known.as_ref()).await?;
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(monitored.clone());
        Ok(Some(monitored))
    }

    fn now(&self) -> DateTime<Utc> {
        provenance::now().unwrap_or_else(|_| Utc::now())
    }

    fn observed(&self, observed: &Observed) {
        let Some(report) = &observed.report else {
            return self.printer.say("there is no champion to judge yet");
        };
        let by = if observed.evaluated { "" } else { " (judged by another process)" };
        let state = super::text::state(report.state);
        let time = observed.at.format("%Y-%m-%d %H:%M");
        self.printer.say(&format!("{time} UTC: {}: {state}{by}", report.window));
    }

    fn found(&self, finding: &Finding) {
        let place = place_prefix(&finding.place);
        self.printer.say(&format!("{}: {place}{}", finding.code, finding.message));
    }

    fn failed(&self, fault: &Fault) {
        let (code, message) = (fault.code(), fault.message());
        self.printer.say(&format!("{code}: {message}; it is tried again"));
    }
}

/// Evaluates until a signal. SIGINT, by a person, ends the schedule, too; SIGTERM leaves it, so that a service that does not
/// come back is missed.
///
/// # Errors
/// `BOT-8011`, `BOT-8012` the signal.
pub(super) fn run(
    context: &Context,
    (registry, reference): (&Registry, &Reference),
    settings: &WatchSettings,
) -> Result<Outcome> {
    let (store, environment) = (registry.store(), registry.environment_name());
    // A model that does not exist is a mistake, and not worth waiting for.
    context.wait(registry.resolve(reference))??;
    let host = Host { registry, reference, printer: context.printer, last: Mutex::default() };
    let every = humantime::format_duration(settings.every);
    context.printer.say(&format!("monitoring {reference} in {environment} every {every}"));
    let fault = context.wait(async {
        let fault = tokio::select! {
            () = watch(&host, store, environment, settings) => return Ok(None),
            fault = interrupted() => fault,
        };
        if fault.kind() == FaultKind::Interrupted {
            end_schedule(store, environment, MONITOR_RUNS).await?;
        }
        Ok::<_, Fault>(Some(fault))
    })??;
    fault.map_or_else(|| Ok(Outcome::done(&(), "")), Err)
}
