//! Runs that repeat the work of an earlier run.

use super::{Experiments, RunRecord};
use botops_findings::Result;
use bytes::Bytes;

/// A run that was recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recorded {
    /// The id of the run.
    pub id: String,
    /// The newest earlier run with the same work, if there is one.
    pub twin_of: Option<String>,
}

impl Experiments {
    /// Records `run` like [`Self::commit`], but as a run of its own if a run with the same work is recorded already. Its
    /// record then names the newest of them as its twin.
    ///
    /// # Errors
    /// Those of [`Self::commit`].
    pub async fn commit_again(&self, mut run: RunRecord, files: &[Bytes]) -> Result<Recorded> {
        run.twin_of = self.twin(run.clone()).await?;
        let twin_of = run.twin_of.clone();
        Ok(Recorded { id: self.commit(run, files).await?, twin_of })
    }

    /// Returns the newest run with the same work as `run`.
    ///
    /// An id contains the digest of the work and, for a twin, of the id of the run before. So the twins form a chain, and
    /// a list of the ids is enough to follow it.
    async fn twin(&self, mut run: RunRecord) -> Result<Option<String>> {
        let ids = self.ids().await?;
        run.twin_of = None;
        loop {
            let work = run.set_schema().work().short();
            let of_this_work = |id: &&String| id.rsplit('-').next() == Some(work.as_str());
            // Ids begin with the day, so the last one is the newest.
            match ids.iter().rfind(of_this_work) {
                Some(found) => run.twin_of = Some(found.clone()),
                None => return Ok(run.twin_of),
            }
        }
    }
}
