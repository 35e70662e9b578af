//! The threads of the admin API and of the rollout driver.
//!
//! Requests of users do not run on them, so an abort is read and a rollout ticks under any load.

use botops_findings::{Fault, Result};
use tokio::runtime::{Builder, Handle, Runtime};

/// The number of threads. The work is waiting, for the network and the store.
const THREADS: usize = 2;

/// A runtime of its own. Dropping it ends its tasks without waiting for them.
pub(super) struct ControlThreads {
    handle: Handle,
    runtime: Option<Runtime>,
}

impl ControlThreads {
    /// Starts the threads.
    ///
    /// # Errors
    /// `BOT-6018` if the system refuses another thread.
    pub(super) fn start() -> Result<Self> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(THREADS)
            .thread_name("control")
            .enable_all()
            .build()
            .map_err(|error| {
                Fault::internal("BOT-6018", "the threads of the admin API could not be started")
                    .caused_by(error)
            })?;
        Ok(Self { handle: runtime.handle().clone(), runtime: Some(runtime) })
    }

    /// Returns the handle that starts tasks on these threads.
    pub(super) fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Runs `work` on these threads. A listener has to be bound on the threads that serve it.
    ///
    /// # Errors
    /// Those of `work`; `BOT-6018` if it panicked.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T>> + Send + 'static,
    ) -> Result<T> {
        self.handle.spawn(work).await.map_err(|error| {
            Fault::internal("BOT-6018", "the admin API could not be started").caused_by(error)
        })?
    }
}

impl Drop for ControlThreads {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // To wait for its tasks would block a thread of the caller's runtime.
            runtime.shutdown_background();
        }
    }
}
