//! The gauges of backups: the newest one, and the times of the last drill.

use crate::app::App;
use botops_monitoring::{BackupState, backup_state};
use botops_store::Store;
use prometheus_client::{metrics::gauge::Gauge, registry::Registry};
use std::{
    sync::{Arc, atomic::AtomicU64},
    time::Duration,
};
use tokio::sync::watch;

/// How often the records are read.
const PAUSE: Duration = Duration::from_secs(60);

type FloatGauge = Gauge<f64, AtomicU64>;

/// The gauges; each is NaN until a record is known.
pub(super) struct BackupMetrics {
    backup: FloatGauge,
    drill: FloatGauge,
    rto: FloatGauge,
    rpo: FloatGauge,
}

impl BackupMetrics {
    /// Makes the gauges, and registers them.
    pub(super) fn register(registry: &mut Registry) -> Self {
        let gauge = |registry: &mut Registry, name: &str, help: &str| {
            let gauge = FloatGauge::default();
            registry.register(name, help, gauge.clone());
            gauge
        };
        let it = Self {
            backup: gauge(
                registry,
                "backup_last_success_timestamp_seconds",
                "Time of the newest backup, in seconds since 1970; NaN if none is known",
            ),
            drill: gauge(
                registry,
                "backup_last_drill_timestamp_seconds",
                "Time of the newest drill that restored a backup, in seconds since 1970; NaN if none is known",
            ),
            rto: gauge(
                registry,
                "backup_drill_rto_seconds",
                "Time that the newest drill took to restore and verify; NaN if none is known",
            ),
            rpo: gauge(
                registry,
                "backup_drill_rpo_seconds",
                "Age of the newest data that the newest drill restored; NaN if none is known",
            ),
        };
        it.show(&BackupState::default());
        it
    }

    /// Shows the newest records.
    fn show(&self, state: &BackupState) {
        let seconds = |millis: u64| millis as f64 / 1e3;
        self.backup.set(state.backup.map_or(f64::NAN, |at| at.timestamp() as f64));
        let drill = state.drill.as_ref();
        self.drill.set(drill.map_or(f64::NAN, |drill| drill.at.timestamp() as f64));
        self.rto.set(drill.map_or(f64::NAN, |drill| seconds(drill.rto_millis)));
        self.rpo.set(drill.map_or(f64::NAN, |drill| seconds(drill.rpo_millis)));
    }
}

/// Shows the newest records of `environment` from time to time, until `stopped`. While the store fails, the gauges keep what
/// they show, so a backup that is seen no more grows too old.
pub(super) async fn run(
    app: Arc<App>,
    store: Store,
    environment: String,
    mut stopped: watch::Receiver<bool>,
) {
    let reading = async {
        loop {
            if let Ok(state) = backup_state(&store, &environment, app.clock.now()).await {
                app.metrics.backups.show(&state);
            }
            tokio::time::sleep(PAUSE).await;
        }
    };
    tokio::select! {
        () = reading => {}
        _ = stopped.wait_for(|stopped| *stopped) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use botops_monitoring::DrillRecord;
    use prometheus_client::encoding::text::encode;

    #[test]
    fn a_backup_that_nobody_knows_has_no_age() {
        let mut registry = Registry::with_prefix("botops");
        let metrics = BackupMetrics::register(&mut registry);
        let text = || {
            let mut text = String::new();
            encode(&mut text, &registry).unwrap();
            text
        };
        let unknown = text();
        assert_eq!(unknown.matches(" NaN").count(), 4, "{unknown}");
        let at = chrono::DateTime::from_timestamp(1_779_321_600, 0).unwrap();
        let drill = Some(DrillRecord { at, rto_millis: 1_500, rpo_millis: 60_000 });
        metrics.show(&BackupState { backup: Some(at), drill });
        let known = text();
        for line in [
            "botops_backup_last_success_timestamp_seconds 1779321600.0\n",
            "botops_backup_last_drill_timestamp_seconds 1779321600.0\n",
            "botops_backup_drill_rto_seconds 1.5\n",
            "botops_backup_drill_rpo_seconds 60.0\n",
        ] {
            assert!(known.contains(line), "{line} is missing in\n{known}");
        }
    }
}
