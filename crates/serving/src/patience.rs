//! A source of versions that answers in bounded time, also while the store hangs.
//!
//! The driver of a rollout holds its state while it writes. Without a bound, a store that hangs would hold it for as long
//! as the time-outs and retries of the network allow.

use crate::{
    presence::Sign,
    routing::Served,
    version_source::{Deployment, VersionSource},
};
use async_trait::async_trait;
use botops_digest::Digest;
use botops_findings::{Fault, Result};
use botops_registry::{Act, Version};
use std::time::Duration;

/// The longest time of a small request with its retries.
const REQUEST: Duration = Duration::from_secs(8);
/// The longest time of the download and the self-test of a model.
const LOAD: Duration = Duration::from_secs(120);

/// A source that gives up on a store that hangs. A write that it gave up may still have its effect.
pub(super) struct Patient<S>(pub(super) S);

async fn within<T>(limit: Duration, call: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::time::timeout(limit, call).await.unwrap_or_else(|_| {
        let message = format!("the store did not answer within {} s", limit.as_secs());
        Err(Fault::unreachable("BOT-5003", message).hint("check the disk or the network"))
    })
}

#[async_trait]
impl<S: VersionSource> VersionSource for Patient<S> {
    async fn load(&self, manifest: &Digest) -> Result<Served> {
        within(LOAD, self.0.load(manifest)).await
    }

    fn check_log(&self) -> Result<()> {
        self.0.check_log()
    }

    async fn record(&self, deployment: Deployment) -> Result<()> {
        within(REQUEST, self.0.record(deployment)).await
    }

    async fn promote(&self, version: &Served, expected: Digest, act: &Act) -> Result<()> {
        within(REQUEST, self.0.promote(version, expected, act)).await
    }

    async fn champion(&self) -> Result<Option<Digest>> {
        within(REQUEST, self.0.champion()).await
    }

    async fn objection(&self, champion: &Digest) -> Result<Option<Fault>> {
        within(REQUEST, self.0.objection(champion)).await
    }

    async fn find(&self, reference: Option<&str>, current: &Digest) -> Result<Version> {
        within(REQUEST, self.0.find(reference, current)).await
    }

    async fn admit(&self, version: &Version) -> Result<()> {
        within(REQUEST, self.0.admit(version)).await
    }

    async fn former(&self, reference: Option<&str>, current: &Digest) -> Result<Digest> {
        within(REQUEST, self.0.former(reference, current)).await
    }

    async fn go_back(&self, to: &Digest, expected: Digest, act: &Act) -> Result<()> {
        within(REQUEST, self.0.go_back(to, expected, act)).await
    }

    async fn beat(&self) -> Result<()> {
        within(REQUEST, self.0.beat()).await
    }

    async fn others(&self) -> Result<Vec<Sign>> {
        within(REQUEST, self.0.others()).await
    }

    async fn is_forgotten(&self) -> Result<bool> {
        within(REQUEST, self.0.is_forgotten()).await
    }

    async fn is_overtaken(&self) -> Result<bool> {
        within(REQUEST, self.0.is_overtaken()).await
    }

    async fn forget(&self, id: &str) -> Result<()> {
        within(REQUEST, self.0.forget(id)).await
    }

    async fn leave(&self) -> Result<()> {
        // A server that stops does not wait long; the others notice that it is gone.
        within(Duration::from_secs(2), self.0.leave()).await
    }

    async fn newer(&self) -> Result<Vec<Deployment>> {
        within(REQUEST, self.0.newer()).await
    }
}
