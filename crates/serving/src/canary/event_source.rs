//! The deployment log as a source of webhooks.

use super::follow::Canary;
use crate::webhooks::EventSource;
use async_trait::async_trait;
use botops_findings::Result;
use botops_registry::Deployment;
use botops_store::Entry;
use tokio::sync::watch;

#[async_trait]
impl EventSource for Canary {
    fn environment(&self) -> &str {
        self.environment()
    }

    fn newest(&self) -> watch::Receiver<u64> {
        self.events()
    }

    async fn after(&self, since: u64, limit: usize) -> Result<Vec<Entry<Deployment>>> {
        self.entries_after(since, limit).await
    }

    fn is_second(&self) -> bool {
        self.is_second()
    }
}
