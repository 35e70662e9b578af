//! The jobs of a server, as its requests and its worker share them.

use crate::{
    UploadSettings,
    knowledge_work::{KnowledgeWork, NoPdf},
    work::Work,
};
use botops_jobs::{Jobs, LEASE};
use botops_knowledge::store::KnowledgeStore;
use botops_store::Store;
use chrono::Utc;
use std::sync::Arc;
use tokio::sync::{Notify, Semaphore};

/// The jobs of a server.
pub(super) struct JobService {
    /// The store.
    pub(super) store: Store,
    /// The jobs of the store.
    pub(super) jobs: Jobs,
    /// The knowledge bases of the store.
    pub(super) knowledge: KnowledgeStore,
    /// The limits of uploads.
    pub(super) uploads: UploadSettings,
    /// The places of uploads.
    pub(super) uploading: Semaphore,
    /// Wakes the worker when this server takes a job in.
    pub(super) wake: Notify,
    /// The work that it can do.
    pub(super) work: Vec<Arc<dyn Work>>,
    /// Its name in the logs of jobs.
    pub(super) worker: String,
    /// The number by which the waits for other servers are divided.
    pub(super) times: u32,
}

impl JobService {
    /// Makes the jobs of a server whose store holds `knowledge`. `times` divides the waits for other servers.
    pub(super) fn new(knowledge: KnowledgeStore, uploads: UploadSettings, times: u32) -> Arc<Self> {
        let times = times.max(1);
        let worker = format!("server-{}", ulid::Ulid::generate());
        let pdf = uploads.pdf.clone().unwrap_or_else(|| Arc::new(NoPdf));
        let work = KnowledgeWork { knowledge: knowledge.clone(), pdf, now: Utc::now };
        let store = knowledge.store().clone();
        Arc::new(Self {
            jobs: Jobs::open(store.clone()).holding_for(LEASE / times.cast_signed()),
            store,
            knowledge,
            uploading: Semaphore::new(uploads.at_once),
            uploads,
            wake: Notify::new(),
            work: vec![Arc::new(work)],
            worker,
            times,
        })
    }

    /// Looks for jobs at once.
    pub(super) fn wake(&self) {
        self.wake.notify_one();
    }
}
