//! The metrics of a server, written as OpenMetrics text at `/metrics`.
//!
//! The request path only adds to atomics, and every label has a fixed set of values.

use crate::backup_metrics::BackupMetrics;
use crate::histogram::Histogram;
use crate::knowledge_metrics::KnowledgeMetrics;
use crate::limit_metrics::LimitMetrics;
use crate::machine_metrics::MachineMetrics;
use crate::monitoring_metrics::MonitoringMetrics;

use crate::channel_metrics::ChannelMetrics;
use crate::job_metrics::JobMetrics;
use crate::prediction_metrics::PredictionMetrics;
use crate::turn_metrics::TurnMetrics;
use crate::webhook_metrics::WebhookMetrics;
use crate::websocket_metrics::WebSocketMetrics;
use botops_connections::ConnectionMetrics;
use botops_rollout::{Arm, Evidence};
use botops_telemetry::{LogMetrics, TraceMetrics};
use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};
use std::{
    sync::{Arc, atomic::AtomicU64},
    time::Duration,
};

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    model: Arc<str>,
    arm: &'static str,
    code: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ArmLabels {
    model: Arc<str>,
    arm: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct EvidenceLabels {
    metric: &'static str,
    side: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReasonLabels {
    reason: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CodeLabels {
    code: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct LoadedLabels {
    model: Arc<str>,
    arm: &'static str,
    digest: String,
}

/// The metrics of one arm on the request path.
pub(super) struct ArmMetrics {
    /// Requests answered with 200.
    pub(super) answered: Counter,
    /// Their durations, from the body read to the answer made.
    pub(super) seconds: Histogram,
    /// The confidence of the answers.
    pub(super) confidence: Histogram,
    /// Answers that were the fallback.
    pub(super) fallback: Counter,
}

/// All metrics of a server.
pub(super) struct Metrics {
    registry: Registry,
    model: Arc<str>,
    arms: [ArmMetrics; 2],
    requests: Family<RequestLabels, Counter>,
    conversations: Family<ArmLabels, Counter>,
    log_e: Family<EvidenceLabels, Gauge<f64, AtomicU64>>,
    rollbacks: Family<ReasonLabels, Counter>,
    loaded: Family<LoadedLabels, Gauge>,
    degraded: Family<CodeLabels, Gauge>,
    /// 1 if this server ticks the open rollout or none is open, 0 if another server does.
    pub(super) first: Gauge,
    /// The phase of the rollout, by number; 0 for none.
    pub(super) phase: Gauge,
    /// The share of the canary, in [0, 1].
    pub(super) weight: Gauge<f64, AtomicU64>,
    /// Mirrored messages on which the challenger disagreed.
    pub(super) disagreement: Counter,
    /// Mirrored messages that the challenger did not classify, because the shadow queue was full.
    pub(super) shadow_dropped: Counter,
    /// Requests without a conversation during a rollout.
    pub(super) unsticky: Counter,
    /// Request log lines dropped because the queue was full.
    pub(super) dropped: Counter,
    /// Models swapped in.
    pub(super) swaps: Counter,
    /// The deliveries of webhooks.
    pub(super) webhooks: WebhookMetrics,
    /// The messaging channels.
    pub(super) channels: ChannelMetrics,
    /// The background jobs.
    pub(super) jobs: JobMetrics,
    /// Connections and certificates.
    pub(super) connections: ConnectionMetrics,
    /// The metrics of limits.
    pub(super) limits: Arc<LimitMetrics>,
    /// The turns of conversations.
    pub(super) turns: TurnMetrics,
    /// The answers from documents.
    pub(super) knowledge: KnowledgeMetrics,
    /// The WebSockets.
    pub(super) websockets: WebSocketMetrics,
    /// The prediction log.
    pub(super) predictions: PredictionMetrics,
    /// The newest report of monitoring.
    pub(super) monitoring: MonitoringMetrics,
    /// The time of the latest transition of the rollout, in seconds since 1970; 0 for none.
    pub(super) changed: Gauge<f64, AtomicU64>,
    /// The memory and the disks.
    pub(super) machine: MachineMetrics,
    /// The backups and drills.
    pub(super) backups: BackupMetrics,
    /// The traces.
    pub(super) traces: TraceMetrics,
    /// The log file.
    pub(super) log_file: LogMetrics,
}

/// Returns the name of an arm in labels.
pub(super) fn arm_name(arm: Arm) -> &'static str {
    match arm {
        Arm::Primary => "primary",
        Arm::Canary => "canary",
    }
}

impl Metrics {
    /// Makes the metrics of a server of `model`.
    pub(super) fn new(model: &str) -> Self {
        let model: Arc<str> = model.into();
        let mut registry = Registry::with_prefix("botops");
        let requests = Family::<RequestLabels, Counter>::default();
        let seconds = Family::<ArmLabels, Histogram, fn() -> Histogram>::new_with_constructor(
            Histogram::seconds,
        );
        let confidence = Family::<ArmLabels, Histogram, fn() -> Histogram>::new_with_constructor(
            Histogram::confidence,
        );
        let fallback = Family::<ArmLabels, Counter>::default();
        let conversations = Family::<ArmLabels, Counter>::default();
        let log_e = Family::<EvidenceLabels, Gauge<f64, AtomicU64>>::default();
        let rollbacks = Family::<ReasonLabels, Counter>::default();
        let loaded = Family::<LoadedLabels, Gauge>::default();
        let degraded = Family::<CodeLabels, Gauge>::default();
        let first = Gauge::default();
        let (phase, weight) = (Gauge::default(), Gauge::<f64, AtomicU64>::default());
        let (disagreement, shadow_dropped) = (Counter::default(), Counter::default());
        let (unsticky, dropped, swaps) =
            (Counter::default(), Counter::default(), Counter::default());
        registry.register("requests", "Requests answered, by arm and status", requests.clone());
        registry.register(
            "request_seconds",
            "Time from the body read to the answer made",
            seconds.clone(),
        );
        registry.register("confidence", "Confidence of the answers", confidence.clone());
        registry.register("fallback", "Answers that were the fallback", fallback.clone());
        registry.register("conversations", "Conversations counted, by arm", conversations.clone());
        registry.register(
            "shadow_disagreement",
            "Mirrored messages on which the challenger disagreed",
            disagreement.clone(),
        );
        registry.register(
            "shadow_dropped",
            "Mirrored messages dropped because the shadow queue was full",
            shadow_dropped.clone(),
        );
        registry.register(
            "canary_phase",
            "Phase of the rollout: 0 none, 1 pending, 2 loading, 3 shadow, 4 ramping, 5 paused, \
             6 awaiting approval, 7 promoting, 8 settling, 9 rolling back, 10 promoted, 11 rolled back, \
             12 failed, 13 refused, 14 superseded, 15 finished (shadow)",
            phase.clone(),
        );
        registry.register("canary_weight", "Share of conversations on the canary", weight.clone());
        registry.register("canary_log_e", "Log e-value by metric and side", log_e.clone());
        registry.register(
            "rollbacks",
            "Rollbacks, by origin: judge, requested or model",
            rollbacks.clone(),
        );
        registry.register("model_loaded_info", "1 for each model that serves", loaded.clone());
        registry.register(
            "unsticky_requests",
            "Requests without a conversation during a canary",
            unsticky.clone(),
        );
        registry.register(
            "request_log_dropped",
            "Request log lines dropped because the queue was full",
            dropped.clone(),
        );
        registry.register("swaps", "Models swapped in", swaps.clone());
        registry.register(
            "degraded",
            "1 for each problem with which the server runs, by code",
            degraded.clone(),
        );
        registry.register(
            "rollout_controller",
            "1 if this server ticks the open rollout or none is open, 0 if another server does or it has no rollouts",
            first.clone(),
        );
        let webhooks = WebhookMetrics::register(&mut registry);
        let channels = ChannelMetrics::register(&mut registry);
        let jobs = JobMetrics::register(&mut registry);
        let connections = ConnectionMetrics::new(&mut registry);
        let limits = Arc::new(LimitMetrics::register(&mut registry));
        let turns = TurnMetrics::register(&mut registry);
        let knowledge = KnowledgeMetrics::register(&mut registry);
        let websockets = WebSocketMetrics::register(&mut registry);
        let predictions = PredictionMetrics::register(&mut registry);
        let monitoring = MonitoringMetrics::register(&mut registry);
        let changed = Gauge::<f64, AtomicU64>::default();
        registry.register(
            "canary_changed_timestamp_seconds",
            "Time of the latest transition of the rollout, in seconds since 1970; 0 for none",
            changed.clone(),
        );
        let machine = MachineMetrics::register(&mut registry);
        let backups = BackupMetrics::register(&mut registry);
        // A counter that begins at 1 has no increase: an alert would not see the first one.
        for reason in ["judge", "requested", "model"] {
            let _ = rollbacks.get_or_create_owned(&ReasonLabels { reason });
        }
        let traces = TraceMetrics::register(&mut registry);
        let log_file = LogMetrics::register(&mut registry);
        let arms = [Arm::Primary, Arm::Canary].map(|arm| {
            let arm = arm_name(arm);
            let labels = ArmLabels { model: Arc::clone(&model), arm };
            ArmMetrics {
                answered: requests.get_or_create_owned(&RequestLabels {
                    model: Arc::clone(&model),
                    arm,
                    code: 200,
                }),
                seconds: seconds.get_or_create_owned(&labels),
                confidence: confidence.get_or_create_owned(&labels),
                fallback: fallback.get_or_create_owned(&labels),
            }
        });
        Self {
            registry,
            model,
            arms,
            requests,
            conversations,
            log_e,
            rollbacks,
            loaded,
            degraded,
            first,
            phase,
            weight,
            disagreement,
            shadow_dropped,
            unsticky,
            dropped,
            swaps,
            webhooks,
            channels,
            jobs,
            connections,
            limits,
            turns,
            knowledge,
            websockets,
            predictions,
            monitoring,
            changed,
            machine,
            backups,
            traces,
            log_file,
        }
    }

    /// Returns the metrics of `arm`.
    pub(super) fn arm(&self, arm: Arm) -> &ArmMetrics {
        match arm {
            Arm::Primary => &self.arms[0],
            Arm::Canary => &self.arms[1],
        }
    }

    /// Counts a request that no prediction answered; `arm` is `None` before an arm was chosen.
    pub(super) fn unanswered(&self, arm: Option<Arm>, code: u16) {
        let arm = arm.map_or("none", arm_name);
        let labels = RequestLabels { model: Arc::clone(&self.model), arm, code };
        self.requests.get_or_create(&labels).inc();
    }

    /// Counts the conversations of a tick: `[primary, canary]`.
    pub(super) fn conversations(&self, units: [u64; 2]) {
        for (arm, n) in [Arm::Primary, Arm::Canary].into_iter().zip(units) {
            let labels = ArmLabels { model: Arc::clone(&self.model), arm: arm_name(arm) };
            self.conversations.get_or_create(&labels).inc_by(n);
        }
    }

    /// Sets the evidence of the judge.
    pub(super) fn evidence(&self, evidence: &[Evidence]) {
        for one in evidence {
            let metric = one.kind.name();
            for (side, value) in [("rollback", one.log_e_rollback), ("promote", one.log_e_promote)]
            {
                self.log_e.get_or_create(&EvidenceLabels { metric, side }).set(value);
            }
        }
    }

    /// Counts a rollback; `reason` is `judge`, `requested` or `model`.
    pub(super) fn rolled_back(&self, reason: &'static str) {
        self.rollbacks.get_or_create(&ReasonLabels { reason }).inc();
    }

    /// Shows a problem with which the server runs.
    pub(super) fn degraded(&self, code: &'static str) {
        self.degraded.get_or_create(&CodeLabels { code }).set(1);
    }

    /// Sets the loaded models.
    pub(super) fn loaded(&self, models: &[(Arm, &str)]) {
        self.loaded.clear();
        for (arm, digest) in models {
            let labels = LoadedLabels {
                model: Arc::clone(&self.model),
                arm: arm_name(*arm),
                digest: (*digest).to_owned(),
            };
            self.loaded.get_or_create(&labels).set(1);
        }
    }

    /// Returns all metrics as OpenMetrics text.
    pub(super) fn text(&self) -> String {
        let mut text = String::with_capacity(8 << 10);
        encode(&mut text, &self.registry).expect("writing to a String does not fail");
        text
    }

    /// Returns the duration beyond which an answer counts as slow; `None` with fewer than 100 answers.
    ///
    /// It is the upper edge of the bucket that holds the 95th percentile of the primary so far.
    pub(super) fn slow_bound(&self) -> Option<Duration> {
        self.arms[0].seconds.quantile_bound(0.95, 100).map(Duration::from_secs_f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_has_every_name_of_the_contract() {
        let metrics = Metrics::new("support");
        metrics.arm(Arm::Canary).seconds.observe(3e-5);
        metrics.unanswered(None, 400);
        metrics.rolled_back("judge");
        metrics.loaded(&[(Arm::Primary, "sha256:ab")]);
        metrics.conversations([3, 1]);
        let text = metrics.text();
        for line in [
            "botops_requests_total{model=\"support\",arm=\"primary\",code=\"200\"} 0",
            "botops_requests_total{model=\"support\",arm=\"none\",code=\"400\"} 1",
            "botops_request_seconds_bucket{le=\"0.00003\",model=\"support\",arm=\"canary\"} 1",
            "botops_request_seconds_count{model=\"support\",arm=\"canary\"} 1",
            "botops_conversations_total{model=\"support\",arm=\"canary\"} 1",
            "botops_rollbacks_total{reason=\"judge\"} 1",
            "botops_model_loaded_info{model=\"support\",arm=\"primary\",digest=\"sha256:ab\"} 1",
            "botops_shadow_dropped_total 0",
            "botops_canary_phase 0",
            "# EOF",
        ] {
            assert!(text.contains(line), "{line} is missing in\n{text}");
        }
    }
}
