//! The metrics of background jobs.

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct KindLabels {
    kind: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct AttemptLabels {
    kind: &'static str,
    outcome: &'static str,
}

/// The outcome of an attempt of this server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The work is done.
    Finished,
    /// The attempt failed.
    Failed,
    /// Somebody cancelled the job.
    Cancelled,
    /// Another server has the job now.
    Lost,
    /// The server stops, and gave the job back.
    Released,
}

impl Outcome {
    fn name(self) -> &'static str {
        match self {
            Self::Finished => "finished",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Lost => "lost",
            Self::Released => "released",
        }
    }
}

/// The metrics of the jobs that this server works on.
#[derive(Default)]
pub(crate) struct JobMetrics {
    attempts: Family<AttemptLabels, Counter>,
    running: Family<KindLabels, Gauge>,
}

/// An attempt that is under way; dropping it ends that.
pub(crate) struct RunningJob(Gauge);

impl Drop for RunningJob {
    fn drop(&mut self) {
        self.0.dec();
    }
}

impl JobMetrics {
    /// Makes the metrics, and registers them.
    pub(crate) fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        registry.register(
            "job_attempts",
            "Attempts of background jobs on this server, by outcome: finished, failed, cancelled, lost or released",
            metrics.attempts.clone(),
        );
        registry.register(
            "jobs_running",
            "Background jobs that this server works on",
            metrics.running.clone(),
        );
        metrics
    }

    /// Shows that an attempt is under way.
    pub(crate) fn running(&self, kind: &'static str) -> RunningJob {
        let gauge = self.running.get_or_create(&KindLabels { kind }).clone();
        gauge.inc();
        RunningJob(gauge)
    }

    /// Counts an attempt that ended.
    pub(crate) fn ended(&self, kind: &'static str, outcome: Outcome) {
        let labels = AttemptLabels { kind, outcome: outcome.name() };
        self.attempts.get_or_create(&labels).inc();
    }
}
