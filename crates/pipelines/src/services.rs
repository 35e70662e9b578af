//! The services that a pipeline works with, and the promoter that takes a challenger through its canary.

use super::events::Listener;
use crate::resources::Encoders;
use botops_datasets::Traffic;
use botops_digest::Digest;
use botops_documents::PdfReader;
use botops_experiments::{CodeState, Environment, Experiments};
use botops_findings::Result;
use botops_models::IntentModel;
use botops_registry::{Act, Registry, Version};
use botops_rollout::{Decision, RolloutSpec};
use chrono::{DateTime, Utc};
use futures::future::BoxFuture;
use std::{path::PathBuf, sync::Arc};

/// The services that a pipeline works with. The caller passes them in, so a test can replace each one.
pub struct Services<'a> {
    /// The workspace root, which the paths of a pipeline are relative to.
    pub root: PathBuf,
    /// The registry.
    pub registry: &'a Registry,
    /// The recorded runs.
    pub experiments: &'a Experiments,
    /// The source of encoders.
    pub encoders: &'a Encoders,
    /// Reads PDF files of knowledge bases.
    pub pdf: Arc<dyn PdfReader>,
    /// Promotes a version: a rehearsal or a server.
    pub promoter: &'a dyn Promoter,
    /// Returns the current time, for records and logs.
    pub clock: &'a (dyn Fn() -> Result<DateTime<Utc>> + Sync),
    /// The person or program that runs the pipeline, for audit logs.
    pub actor: String,
    /// The state of the code in version control.
    pub code: CodeState,
    /// The machine and its software.
    pub environment: Environment,
    /// Receives the events of the run.
    pub listener: &'a dyn Listener,
}

impl Services<'_> {
    /// Returns an act of the actor at this moment, for the audit log.
    pub(super) fn act(&self, reason: impl Into<String>) -> Result<Act> {
        Ok(Act::claimed(self.actor.clone(), reason, (self.clock)()?))
    }
}

/// A request to promote a challenger.
pub struct PromotionRequest<'a> {
    /// The version that serves now.
    pub champion: &'a Version,
    /// The model of the champion.
    pub champion_model: Arc<IntentModel>,
    /// The version to promote.
    pub challenger: &'a Version,
    /// The model of the challenger.
    pub challenger_model: Arc<IntentModel>,
    /// The rollout plan.
    pub plan: &'a RolloutSpec,
    /// The recorded traffic to rehearse with.
    pub traffic: Option<&'a Traffic>,
    /// The reason, for the audit log.
    pub reason: &'a str,
    /// Whether changed intents, and intents without an answer, are accepted: see
    /// [`check_labels`](botops_registry::check_labels).
    pub accept_labels: bool,
    /// Receives the number of messages replayed so far and the total.
    pub progress: &'a (dyn Fn(u64, u64) + Sync),
}

/// A promotion that a pipeline will ask for, as far as it is known before the first stage.
#[derive(Debug, Clone, Copy)]
pub struct Prospect<'a> {
    /// The name of the model.
    pub model: &'a str,
    /// The manifest of the version to promote; `None` if a stage of this run registers it.
    pub version: Option<Digest>,
    /// Whether there is recorded traffic.
    pub traffic: bool,
    /// Whether the model has a champion now, which a server serves.
    pub served: bool,
}

/// Takes a challenger through its canary.
pub trait Promoter: Sync {
    /// Returns the identity of the promoter: `rehearsal` or the server's address.
    ///
    /// It is part of the stage's settings, so that another promoter makes the stage stale.
    fn identity(&self) -> String;

    /// Checks that a promotion can be judged, before the run that asks for it. Changes nothing.
    ///
    /// # Errors
    /// `BOT-8005` (exit 2) there is neither a server nor recorded traffic; those of a server that cannot be reached, refuses
    /// the token, serves another model, or drives the rollout of another version.
    fn check<'a>(&'a self, prospect: Prospect<'a>) -> BoxFuture<'a, Result<()>>;

    /// Runs the canary to its verdict. After a rehearsal (`Decision::rehearsal`) the caller moves the alias.
    ///
    /// # Errors
    /// Those of the server or the rehearsal.
    fn promote<'a>(&'a self, request: PromotionRequest<'a>) -> BoxFuture<'a, Result<Decision>>;
}
