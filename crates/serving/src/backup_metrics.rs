//! The gauges of backups: the newest one, and the times of the last drill.

use botops_store::{SafeguardLogs, Safeguards, Store};
use prometheus_client::{metrics::gauge::Gauge, registry::Registry};
use std::{sync::atomic::AtomicU64, time::Duration};
use tokio::sync::watch;

/// How often the records are read.
const PAUSE: Duration = Duration::from_secs(60);

type FloatGauge = Gauge<f64, AtomicU64>;

/// The gauges; each is NaN until a record is known.
#[derive(Clone)]
pub(super) struct BackupMetrics {
    backup: FloatGauge,
    drill: FloatGauge,
    rto: FloatGauge,
    rpo: FloatGauge,
    failed: Gauge,
}

impl BackupMetrics {
    /// Makes the gauges, and registers them.
    pub(super) fn register(registry: &mut Registry) -> Self {
        let gauge = |registry: &mut Registry, name: &str, help: &str| {
            let gauge = FloatGauge::default();
            registry.register(name, help, gauge.clone());
            gauge
        };
        let failed = Gauge::default();
        let help = "1 if the newest drill failed";
        registry.register("backup_drill_failed", help, failed.clone());
        let it = Self {
            failed,
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
        it.show(&Safeguards::default());
        it
    }

    /// Shows the newest records.
    fn show(&self, newest: &Safeguards) {
        let at = newest.backup.as_ref().map(|backup| backup.at);
        self.backup.set(at.map_or(f64::NAN, |at| at.timestamp() as f64));
        let drill = newest.drill.as_ref();
        self.drill.set(drill.map_or(f64::NAN, |drill| drill.at.timestamp() as f64));
        self.rto.set(drill.map_or(f64::NAN, |drill| drill.rto_seconds));
        self.rpo.set(drill.map_or(f64::NAN, |drill| drill.rpo_seconds));
        self.failed.set(i64::from(newest.drill_failed));
    }
}

/// Shows the newest records in `store` from time to time, until `stopped`. While the store fails, the gauges keep what they
/// show, so a backup that is seen no more grows too old.
pub(super) async fn run(gauges: BackupMetrics, store: Store, mut stopped: watch::Receiver<bool>) {
    let logs = SafeguardLogs::new(&store);
    let reading = async {
        loop {
            if let Ok(newest) = logs.newest().await {
                gauges.show(&newest);
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
    use botops_store::{BackupRecord, DrillRecord};
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
        assert_eq!(unknown.matches(" NaN\n").count(), 4, "{unknown}");
        let at = chrono::DateTime::from_timestamp(1_779_321_600, 0).unwrap();
        let backup = BackupRecord {
            schema: BackupRecord::SCHEMA.to_owned(),
            backup: "b-1".to_owned(),
            at,
            objects: 3,
            bytes: 4,
        };
        let drill = DrillRecord {
            schema: DrillRecord::SCHEMA.to_owned(),
            backup: "b-1".to_owned(),
            at,
            passed: true,
            rto_seconds: 1.5,
            rpo_seconds: 60.0,
            objects: 3,
            models: 1,
            conversations: 0,
            problems: 0,
        };
        let (backup, drill) = (Some(backup), Some(drill));
        metrics.show(&Safeguards { backup, drill, drill_failed: true });
        let known = text();
        for line in [
            "botops_backup_last_success_timestamp_seconds 1779321600.0\n",
            "botops_backup_last_drill_timestamp_seconds 1779321600.0\n",
            "botops_backup_drill_rto_seconds 1.5\n",
            "botops_backup_drill_rpo_seconds 60.0\n",
            "botops_backup_drill_failed 1\n",
        ] {
            assert!(known.contains(line), "{line} is missing in\n{known}");
        }
    }
}
