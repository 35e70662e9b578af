//! The gauges of monitoring: the newest report, and the heartbeats of scheduled runs.

use botops_monitoring::{Heartbeat, MonitorReport, MonitorState, Observed};
use chrono::{DateTime, Utc};
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};
use std::sync::atomic::AtomicU64;

/// The most checks that are shown.
const MOST_CHECKS: usize = 100;
/// The arms.
const ARMS: [&str; 2] = ["primary", "canary"];

type FloatGauge = Gauge<f64, AtomicU64>;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CheckLabels {
    check: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ArmLabels {
    arm: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StateLabels {
    state: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RunLabels {
    run: String,
}

/// The gauges; each has no value before the first report.
#[derive(Default)]
pub(super) struct MonitoringMetrics {
    score: Family<CheckLabels, FloatGauge>,
    verdict: Family<CheckLabels, Gauge>,
    realised: Family<ArmLabels, FloatGauge>,
    estimated: Family<ArmLabels, FloatGauge>,
    reliable: Family<ArmLabels, Gauge>,
    state: Family<StateLabels, Gauge>,
    label_delay: FloatGauge,
    heartbeat_age: Family<RunLabels, FloatGauge>,
    overdue: Family<RunLabels, Gauge>,
    /// Evaluations that failed and are tried again.
    pub(super) failed: Counter,
}

impl MonitoringMetrics {
    /// Makes the gauges, and registers them.
    pub(super) fn register(registry: &mut Registry) -> Self {
        let it = Self::default();
        registry.register(
            "drift_score",
            "Score of each check of the newest window: KS distance of numbers, PSI of shares",
            it.score.clone(),
        );
        registry.register(
            "drift_verdict",
            "Verdict of each check of the newest window: 1 drift, 0 no drift, -1 insufficient",
            it.verdict.clone(),
        );
        registry.register(
            "accuracy_realised",
            "Accuracy in the newest window from verdicts of reviewers, by arm",
            it.realised.clone(),
        );
        registry.register(
            "accuracy_estimated",
            "Accuracy in the newest window estimated from confidence, if it can be relied on, by arm",
            it.estimated.clone(),
        );
        registry.register(
            "accuracy_estimate_reliable",
            "1 if the estimated accuracy of the newest window can be relied on, else 0, by arm",
            it.reliable.clone(),
        );
        registry.register(
            "monitoring_state",
            "1 for the state of the newest window",
            it.state.clone(),
        );
        registry.register(
            "label_delay_seconds",
            "Median time from a message of the newest window to its verdict",
            it.label_delay.clone(),
        );
        registry.register(
            "heartbeat_age_seconds",
            "Time since the last run of each schedule",
            it.heartbeat_age.clone(),
        );
        registry.register(
            "heartbeat_overdue",
            "1 for each schedule whose next run is overdue",
            it.overdue.clone(),
        );
        registry.register(
            "monitoring_failed",
            "Evaluations of monitoring that failed and are tried again",
            it.failed.clone(),
        );
        it
    }

    /// Shows the newest report and the heartbeats.
    pub(super) fn show(&self, observed: &Observed) {
        if let Some(report) = &observed.report {
            self.show_report(report);
        }
        self.show_ages(&observed.heartbeats, observed.at);
    }

    fn show_report(&self, report: &MonitorReport) {
        self.score.clear();
        self.verdict.clear();
        for (check, score, verdict) in report.scores().into_iter().take(MOST_CHECKS) {
            let labels = CheckLabels { check: check.to_owned() };
            self.score.get_or_create(&labels).set(score);
            self.verdict.get_or_create(&labels).set(verdict);
        }
        self.realised.clear();
        self.estimated.clear();
        self.reliable.clear();
        for arm in ARMS {
            if let Some(accuracy) = report.accuracy_of(arm) {
                self.realised.get_or_create(&ArmLabels { arm }).set(accuracy.value);
            }
            let Some(estimate) = report.estimate_of(arm) else { continue };
            let is_reliable = i64::from(estimate.reliable);
            self.reliable.get_or_create(&ArmLabels { arm }).set(is_reliable);
            if estimate.reliable {
                self.estimated.get_or_create(&ArmLabels { arm }).set(estimate.expected);
            }
        }
        for state in MonitorState::ALL {
            let labels = StateLabels { state: state.name() };
            self.state.get_or_create(&labels).set(i64::from(state == report.state));
        }
        self.label_delay.set(report.median_delay_hours().map_or(f64::NAN, |hours| hours * 3_600.0));
    }

    /// Shows the ages of the heartbeats at `now`.
    pub(super) fn show_ages(&self, heartbeats: &[Heartbeat], now: DateTime<Utc>) {
        self.heartbeat_age.clear();
        self.overdue.clear();
        for heartbeat in heartbeats {
            let labels = RunLabels { run: heartbeat.name.clone() };
            let age = (now - heartbeat.at).num_milliseconds() as f64 / 1e3;
            self.heartbeat_age.get_or_create(&labels).set(age.max(0.0));
            let is_overdue = heartbeat.overdue(now).is_some();
            self.overdue.get_or_create(&labels).set(i64::from(is_overdue));
        }
    }
}
