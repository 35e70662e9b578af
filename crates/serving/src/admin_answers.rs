//! Answers of the admin API about models.

use crate::routing::Served;
use botops_digest::Digest;
use serde::Serialize;
use utoipa::ToSchema;

/// One arm of the traffic.
#[derive(Serialize, ToSchema)]
pub(super) struct ArmStatus<'a> {
    /// The version, such as `support@3`.
    pub(super) model: &'a str,
    /// The digest of its model file.
    pub(super) digest: &'a str,
    /// The digest of its manifest, if it is from a registry.
    pub(super) manifest: Option<Digest>,
    /// Its share of conversations in percent, in [0, 100].
    pub(super) weight_percent: f64,
}

impl<'a> ArmStatus<'a> {
    pub(super) fn of(served: &'a Served, weight: f64) -> Self {
        Self {
            model: &served.reference,
            digest: &served.digest_text,
            manifest: served.manifest,
            weight_percent: weight * 100.0,
        }
    }
}

/// A rollout in a line.
#[derive(Serialize, ToSchema)]
pub(super) struct RolloutLine {
    /// The id.
    pub(super) id: String,
    /// The phase.
    pub(super) phase: &'static str,
    /// The revision, for `If-Match`.
    pub(super) revision: u64,
}

/// A model that the server serves.
#[derive(Serialize, ToSchema)]
pub(super) struct ModelStatus<'a> {
    /// The name of the model.
    pub(super) name: &'a str,
    /// The version that serves.
    pub(super) primary: ArmStatus<'a>,
    /// The challenger, while it gets traffic.
    pub(super) canary: Option<ArmStatus<'a>>,
    /// The latest rollout.
    pub(super) rollout: Option<RolloutLine>,
    /// Whether the last rollback of the model is recorded; if not, the server keeps trying.
    pub(super) durable: bool,
    /// Whether another server ticks the rollout that is open.
    pub(super) second: bool,
    /// The problems with which the server runs, such as a damaged log.
    pub(super) degraded: Vec<String>,
}

/// The golden self-test of one version.
#[derive(Serialize, ToSchema)]
pub(super) struct Tested {
    /// The version, such as `support@3`.
    pub(super) model: String,
    /// The digest of its model file.
    pub(super) digest: Digest,
    /// The number of goldens.
    pub(super) n: usize,
    /// The number of generated texts.
    pub(super) n_generated: usize,
    /// The goldens that were answered differently, and the generated texts without finite scores.
    pub(super) failures: Vec<String>,
    /// Whether every golden was answered as stored, and every score is finite.
    pub(super) passed: bool,
}
