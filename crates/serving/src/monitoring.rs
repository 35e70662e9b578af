//! Monitoring by a server: [`botops_monitoring::watch`] with the served champion, the log lines and the gauges of this one.

use crate::{app::App, monitoring_metrics::MonitoringMetrics, routing::Served};
use botops_findings::{Fault, Finding, Result, Severity};
use botops_monitoring::{
    Canary, Heartbeat, Monitored, MonitoredModel, Observed, WatchHost, WatchSettings, watch,
};
use botops_registry::Version;
use botops_store::Store;
use chrono::{DateTime, Utc};
use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::sync::watch as signal;

/// How often the ages of heartbeats are shown anew.
const AGES: Duration = Duration::from_secs(15);

/// How a server monitors its environment.
#[derive(Clone)]
pub struct MonitoringSettings {
    /// How often, which windows, and whom to tell.
    pub watch: WatchSettings,
    /// The store of the prediction log and of the reports.
    pub store: Store,
}

impl std::fmt::Debug for MonitoringSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MonitoringSettings").field("watch", &self.watch).finish_non_exhaustive()
    }
}

struct Host {
    app: Arc<App>,
    environment: String,
    heartbeats: Mutex<Vec<Heartbeat>>,
}

impl Host {
    fn metrics(&self) -> &MonitoringMetrics {
        &self.app.metrics.monitoring
    }

    fn log(&self, level: &'static str, message: String) {
        self.app.log.event(self.app.clock.now(), level, "monitoring", message);
    }

    /// Shows the ages of the heartbeats from time to time, for ever.
    async fn show_ages(&self) {
        loop {
            tokio::time::sleep(AGES).await;
            let heartbeats = self.heartbeats.lock().unwrap_or_else(PoisonError::into_inner).clone();
            self.metrics().show_ages(&heartbeats, self.app.clock.now());
        }
    }
}

impl WatchHost for Host {
    async fn monitored(&self) -> Result<Option<Monitored>> {
        let Some(routing) = self.app.slot.load() else { return Ok(None) };
        let champion = &routing.primary;
        let Some(version) = &champion.version else { return Ok(None) };
        let named = |version: &Version, served: &Served| MonitoredModel {
            name: version.model.clone(),
            version: version.number,
            digest: served.digest_text.clone(),
            manifest: Some(version.manifest_digest.to_string()),
        };
        let canary = routing.split.as_ref().and_then(|split| {
            let served = &split.canary;
            let model = named(served.version.as_ref()?, served);
            Some(Canary { model, loaded: served.shared_model() })
        });
        Ok(Some(Monitored {
            environment: self.environment.clone(),
            model: named(version, champion),
            loaded: Some(champion.shared_model()),
            canary,
        }))
    }

    fn now(&self) -> DateTime<Utc> {
        self.app.clock.now()
    }

    fn observed(&self, observed: &Observed) {
        self.metrics().show(observed);
        self.heartbeats
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone_from(&observed.heartbeats);
        for overdue in observed.heartbeats.iter().filter_map(|it| it.overdue(observed.at)) {
            self.found(&overdue);
        }
    }

    fn found(&self, finding: &Finding) {
        let level = if finding.severity == Severity::Error { "error" } else { "warning" };
        self.log(level, format!("{}: {}", finding.code, finding.message));
    }

    fn failed(&self, fault: &Fault) {
        self.metrics().failed.inc();
        let message = format!("{}: {}; it is tried again", fault.code(), fault.message());
        self.log("warning", message);
    }
}

/// Monitors `environment` until `stopped`.
pub(super) async fn run(
    app: Arc<App>,
    settings: MonitoringSettings,
    environment: String,
    mut stopped: signal::Receiver<bool>,
) {
    let host = Host { app, environment: environment.clone(), heartbeats: Mutex::default() };
    tokio::select! {
        () = watch(&host, &settings.store, &environment, &settings.watch) => {}
        () = host.show_ages() => {}
        _ = stopped.wait_for(|stopped| *stopped) => {}
    }
}
