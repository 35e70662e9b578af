//! The jobs of a store.

use crate::{
    Claim, Job, JobAction, JobEvent, JobFailure, JobRequest, LEASE, Progress, Refusal, Submitted,
    faults::{contended, illegal, lost, no_such_job, refused},
    index::{id_of, is_id, log_path, mark_open, open_ids, unmark},
    request::{check_json, check_text},
};
use botops_findings::Result;
use botops_store::{Appended, Entry, Log, Store};
use chrono::{DateTime, TimeDelta, Utc};
use futures::{StreamExt as _, TryStreamExt as _};
use serde_json::Value;
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

/// Logs that are read at a time.
const AT_ONCE: usize = 8;
/// The tries of an append that other writers precede.
const TRIES: usize = 20;
/// The jobs that are kept in memory; beyond, those that are over are read again when they are asked for.
const KEPT: usize = 1_000;
/// The first pause after a failed attempt; each further one is four times as long.
const FIRST_PAUSE: TimeDelta = TimeDelta::seconds(10);
/// The longest pause after a failed attempt.
const LONGEST_PAUSE: TimeDelta = TimeDelta::minutes(15);
/// The longest message or reason that is kept, in bytes.
const MAX_MESSAGE_BYTES: usize = 4 << 10;

/// The jobs of a store. Clones share the jobs that they have read.
#[derive(Clone)]
pub struct Jobs {
    pub(crate) store: Store,
    lease: TimeDelta,
    known: Arc<Mutex<BTreeMap<String, Arc<KnownJob>>>>,
}

/// The jobs to list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Listed {
    /// Those that are not over: one LIST, and one GET for each.
    Open,
    /// The newest ones, at most this many: one LIST, and one GET for each entry that was not read before.
    Newest(usize),
}

/// A job that this process has read.
struct KnownJob {
    log: Log<JobEvent>,
    read: Mutex<Option<Read>>,
}

/// A job as it was read, with its last entry.
#[derive(Clone)]
struct Read {
    job: Job,
    last: Arc<Entry<JobEvent>>,
}

/// The result of an action: the job afterwards, or as it is with the reason why the action does not fit.
type Acted = std::result::Result<Job, Box<(Job, Refusal)>>;

impl KnownJob {
    fn read(&self) -> Option<Read> {
        self.read.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Keeps `read`, unless a newer one is kept.
    fn keep(&self, read: &Read) {
        let mut kept = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.as_ref().is_none_or(|kept| kept.last.seq < read.last.seq) {
            *kept = Some(read.clone());
        }
    }
}

impl Jobs {
    /// Opens the jobs of `store`. Reads nothing.
    #[must_use]
    pub fn open(store: Store) -> Self {
        Self { store, lease: LEASE, known: Arc::default() }
    }

    /// Holds jobs for `lease` instead of [`LEASE`] with each claim and heartbeat; for tests in which minutes pass in seconds.
    #[must_use]
    pub fn holding_for(self, lease: TimeDelta) -> Self {
        Self { lease, ..self }
    }

    /// Submits a job. A request with the key of an earlier one returns the job of that.
    ///
    /// # Errors
    /// `BOT-7404` (exit 2) the request is too large; `BOT-7405` (exit 5) its key belongs to another request; those of the
    /// store.
    pub async fn submit(&self, request: JobRequest, now: DateTime<Utc>) -> Result<Submitted> {
        request.check()?;
        let proposed = ulid::Ulid::generate().to_string();
        let id = match request.key {
            Some(key) => id_of(&self.store, key, proposed).await?,
            None => proposed,
        };
        if request.key.is_some()
            && let Some(read) = self.refresh(&id).await?
        {
            return Ok(Submitted { job: read.job, is_new: false });
        }
        let JobRequest { kind, subject, by, order, max_attempts, key } = request;
        let key = key.map(|key| key.key);
        let kind = kind.to_owned();
        let action = JobAction::Submitted { kind, subject, order, max_attempts, key };
        let event = JobEvent::new(now, by, action);
        mark_open(&self.store, &id).await?;
        let known = self.known(&id);
        match known.log.append(None, event).await? {
            Appended::Written(entry) => {
                let read = self.folded(&id, None, entry)?;
                known.keep(&read);
                Ok(Submitted { job: read.job, is_new: true })
            }
            // The same request was sent twice at the same time.
            Appended::Conflict => {
                let read = self.refresh(&id).await?.ok_or_else(|| contended(&id))?;
                Ok(Submitted { job: read.job, is_new: false })
            }
        }
    }

    /// Claims the oldest job of one of `kinds` that may be claimed, for [`LEASE`]; `None` if there is none.
    ///
    /// A job whose worker is gone is claimed too; if its attempts are used up it fails, and if it was cancelled it is
    /// stopped.
    ///
    /// # Errors
    /// `BOT-7404` (exit 2) for the name of the worker; those of the store. The log of one job that is damaged does not keep
    /// the others from being claimed: its fault is returned only if no job could be claimed.
    pub async fn claim(
        &self,
        worker: &str,
        kinds: &[&str],
        now: DateTime<Utc>,
    ) -> Result<Option<Claim>> {
        check_text("worker", worker)?;
        let mut damage = None;
        for id in open_ids(&self.store).await? {
            match self.claim_one(&id, worker, kinds, now).await {
                Ok(Some(job)) => return Ok(Some(Claim { job, worker: worker.to_owned() })),
                Ok(None) => {}
                Err(fault) if matches!(fault.code(), "BOT-5003" | "BOT-5002") => return Err(fault),
                Err(fault) => damage = damage.or(Some(fault)),
            }
        }
        damage.map_or(Ok(None), Err)
    }

    async fn claim_one(
        &self,
        id: &str,
        worker: &str,
        kinds: &[&str],
        now: DateTime<Utc>,
    ) -> Result<Option<Job>> {
        let Some(Read { job, .. }) = self.refresh(id).await? else { return Ok(None) };
        if job.state.is_over() {
            self.close(id).await?;
            return Ok(None);
        }
        if !kinds.contains(&job.kind.as_str()) {
            return Ok(None);
        }
        let acted = self.act(id, (worker, now), |job| {
            let refusal = match job.check_claimable(now) {
                Ok(()) => {
                    let until = now + self.lease;
                    return Ok(JobAction::Claimed { worker: worker.to_owned(), until });
                }
                Err(refusal) => refusal,
            };
            let worker = worker.to_owned();
            match refusal {
                Refusal::IsCancelled if job.is_lost(now) => Ok(JobAction::Stopped { worker }),
                Refusal::NoAttempts if job.is_lost(now) => {
                    let failure = all_lost(job);
                    Ok(JobAction::Failed { worker, failure, retry_at: None })
                }
                refusal => Err(refusal),
            }
        });
        match acted.await? {
            Ok(job) if job.worker.as_deref() == Some(worker) => Ok(Some(job)),
            Ok(job) => {
                if job.state.is_over() {
                    self.close(id).await?;
                }
                Ok(None)
            }
            Err(_) => Ok(None),
        }
    }

    /// Holds a claimed job for another [`LEASE`]. If the job that is returned was cancelled, the worker stops.
    ///
    /// # Errors
    /// `BOT-7403` (exit 5) the worker no longer holds the job; those of the store.
    pub async fn heartbeat(&self, claim: &Claim, now: DateTime<Utc>) -> Result<Job> {
        let until = now + self.lease;
        self.held(claim, now, |worker| JobAction::Heartbeat { worker, until }).await
    }

    /// Stores the part of the work that is done, from which another worker can continue, and holds the job for another
    /// [`LEASE`].
    ///
    /// # Errors
    /// Those of [`Self::heartbeat`]; `BOT-7404` (exit 2) the checkpoint is too large.
    pub async fn progress(
        &self,
        claim: &Claim,
        progress: &Progress,
        now: DateTime<Utc>,
    ) -> Result<Job> {
        check_json("checkpoint", &progress.checkpoint)?;
        let until = now + self.lease;
        let progress = || progress.clone();
        self.held(claim, now, |worker| JobAction::Progress { worker, until, progress: progress() })
            .await
    }

    /// Gives a claimed job back, because the worker stops. The attempt does not count.
    ///
    /// # Errors
    /// Those of [`Self::heartbeat`].
    pub async fn release(&self, claim: &Claim, now: DateTime<Utc>) -> Result<Job> {
        self.held(claim, now, |worker| JobAction::Released { worker }).await
    }

    /// Ends a claimed job with its result.
    ///
    /// # Errors
    /// Those of [`Self::heartbeat`]; `BOT-7404` (exit 2) the result is too large.
    pub async fn finish(&self, claim: &Claim, result: &Value, now: DateTime<Utc>) -> Result<Job> {
        check_json("result", result)?;
        let result = || result.clone();
        let job = self
            .held(claim, now, |worker| JobAction::Finished { worker, result: result() })
            .await?;
        self.close(&job.id).await?;
        Ok(job)
    }

    /// Ends an attempt with a failure. If `is_lasting` is false and attempts are left, the job is tried again after a pause
    /// of 10 s that grows four times with each attempt, up to 15 min.
    ///
    /// # Errors
    /// Those of [`Self::heartbeat`].
    pub async fn fail(
        &self,
        claim: &Claim,
        failure: &JobFailure,
        is_lasting: bool,
        now: DateTime<Utc>,
    ) -> Result<Job> {
        let job = &claim.job;
        let has_attempts = job.attempts < job.max_attempts;
        let retry_at = (!is_lasting && has_attempts).then(|| now + pause_after(job.attempts));
        let failure = || JobFailure {
            code: failure.code.clone(),
            message: clipped(&failure.message),
            hints: failure.hints.iter().take(8).map(|hint| clipped(hint)).collect(),
        };
        let action = |worker| JobAction::Failed { worker, failure: failure(), retry_at };
        let job = self.held(claim, now, action).await?;
        if job.state.is_over() {
            self.close(&job.id).await?;
        }
        Ok(job)
    }

    /// Ends a cancelled job that the worker holds.
    ///
    /// # Errors
    /// Those of [`Self::heartbeat`].
    pub async fn stop(&self, claim: &Claim, now: DateTime<Utc>) -> Result<Job> {
        let job = self.held(claim, now, |worker| JobAction::Stopped { worker }).await?;
        self.close(&job.id).await?;
        Ok(job)
    }

    /// Asks that a job is not done. A job that no worker holds ends at once; a worker stops at its next entry.
    ///
    /// To cancel a job that was cancelled before is harmless.
    ///
    /// # Errors
    /// `BOT-7400` (exit 2) there is no such job; `BOT-7402` (exit 5) it is over; `BOT-7404` (exit 2) for the author; those of
    /// the store.
    pub async fn cancel(
        &self,
        id: &str,
        (by, reason): (&str, &str),
        now: DateTime<Utc>,
    ) -> Result<Job> {
        check_text("author", by)?;
        let reason = clipped(reason);
        let cancelled = || JobAction::Cancelled { reason: reason.clone() };
        match self.act(id, (by, now), |_| Ok(cancelled())).await? {
            Ok(job) => {
                if job.state.is_over() {
                    self.close(id).await?;
                }
                Ok(job)
            }
            Err(acted) => match *acted {
                (job, _) if job.is_cancelled => Ok(job),
                (job, refusal) => Err(refused(&job, "cancelled", &refusal)),
            },
        }
    }

    /// Asks that a job that failed or was cancelled is tried again, with new attempts, from its last stored progress.
    ///
    /// # Errors
    /// Those of [`Self::cancel`]; `BOT-7402` (exit 5) it did not fail and was not cancelled.
    pub async fn retry(
        &self,
        id: &str,
        (by, reason): (&str, &str),
        now: DateTime<Utc>,
    ) -> Result<Job> {
        check_text("author", by)?;
        let job = self.show(id).await?;
        let reason = clipped(reason);
        if job.state.is_over() {
            mark_open(&self.store, id).await?;
        }
        let retried = || JobAction::Retried { reason: reason.clone() };
        match self.act(id, (by, now), |_| Ok(retried())).await? {
            Ok(job) => {
                // Another process may have removed the mark of the job that was over.
                mark_open(&self.store, id).await?;
                Ok(job)
            }
            Err(acted) => Err(refused(&acted.0, "retried", &acted.1)),
        }
    }

    /// Returns the job as [`Self::cancel`] would leave it. Writes nothing.
    ///
    /// # Errors
    /// Those of [`Self::cancel`].
    pub async fn would_cancel(
        &self,
        id: &str,
        (by, reason): (&str, &str),
        now: DateTime<Utc>,
    ) -> Result<Job> {
        check_text("author", by)?;
        let job = self.show(id).await?;
        let event = JobEvent::new(now, by, JobAction::Cancelled { reason: clipped(reason) });
        match Job::after(Some(&job), id, &event) {
            Err(_) if job.is_cancelled => Ok(job),
            after => after.map_err(|refusal| refused(&job, "cancelled", &refusal)),
        }
    }

    /// Returns the job as [`Self::retry`] would leave it. Writes nothing.
    ///
    /// # Errors
    /// Those of [`Self::retry`].
    pub async fn would_retry(
        &self,
        id: &str,
        (by, reason): (&str, &str),
        now: DateTime<Utc>,
    ) -> Result<Job> {
        check_text("author", by)?;
        let job = self.show(id).await?;
        let event = JobEvent::new(now, by, JobAction::Retried { reason: clipped(reason) });
        Job::after(Some(&job), id, &event).map_err(|refusal| refused(&job, "retried", &refusal))
    }

    /// Returns a job.
    ///
    /// # Errors
    /// `BOT-7400` (exit 2) there is no such job; `BOT-7401` (exit 3) its log is damaged; those of the store.
    pub async fn show(&self, id: &str) -> Result<Job> {
        let read = self.refresh(id).await?;
        read.map(|read| read.job).ok_or_else(|| no_such_job(id))
    }

    /// Returns jobs, the newest first.
    ///
    /// # Errors
    /// Those of [`Self::show`] and of the store.
    pub async fn list(&self, listed: Listed) -> Result<Vec<Job>> {
        let mut ids = match listed {
            Listed::Open => open_ids(&self.store).await?,
            Listed::Newest(_) => self.ids().await?,
        };
        ids.reverse();
        if let Listed::Newest(most) = listed {
            ids.truncate(most);
        }
        let read = futures::stream::iter(ids)
            .map(|id| async move { self.refresh(&id).await })
            .buffered(AT_ONCE);
        let jobs: Vec<Job> =
            read.try_filter_map(async |read| Ok(read.map(|read| read.job))).try_collect().await?;
        let is_listed = |job: &Job| listed != Listed::Open || !job.state.is_over();
        Ok(jobs.into_iter().filter(is_listed).collect())
    }

    /// Returns the entries of a job.
    ///
    /// # Errors
    /// Those of [`Self::show`].
    pub async fn history(&self, id: &str) -> Result<Vec<Entry<JobEvent>>> {
        let entries = match is_id(id) {
            true => self.store.log::<JobEvent>(&log_path(id)).entries().await?,
            false => Vec::new(),
        };
        if entries.is_empty() { Err(no_such_job(id)) } else { Ok(entries) }
    }

    /// Returns the ids of all jobs, the oldest first.
    pub(crate) async fn ids(&self) -> Result<Vec<String>> {
        let folders = self.store.folders("jobs").await?;
        Ok(folders.into_iter().filter(|name| is_id(name)).collect())
    }

    /// Returns a job as it is now; `None` if there is none of this id.
    async fn refresh(&self, id: &str) -> Result<Option<Read>> {
        if !is_id(id) {
            return Ok(None);
        }
        let known = self.known(id);
        let mut read = known.read();
        let newer = known.log.poll(read.as_ref().map(|read| &*read.last)).await?;
        for entry in newer {
            read = Some(self.folded(id, read.as_ref(), entry)?);
        }
        if let Some(read) = &read {
            known.keep(read);
        } else {
            self.forget(id);
        }
        Ok(read)
    }

    /// Returns the job after `entry`.
    fn folded(&self, id: &str, before: Option<&Read>, entry: Entry<JobEvent>) -> Result<Read> {
        let job =
            Job::after(before.map(|read| &read.job), id, &entry.payload).map_err(|refusal| {
                illegal(id, entry.seq, &refusal, self.store.object_url(&log_path(id)))
            })?;
        Ok(Read { job, last: Arc::new(entry) })
    }

    /// Appends the action that `choose` returns for the job as it is, and chooses again if another writer was first.
    async fn act(
        &self,
        id: &str,
        (by, now): (&str, DateTime<Utc>),
        choose: impl Fn(&Job) -> std::result::Result<JobAction, Refusal>,
    ) -> Result<Acted> {
        for _ in 0..TRIES {
            let Some(read) = self.refresh(id).await? else { return Err(no_such_job(id)) };
            let action = match choose(&read.job) {
                Ok(action) => action,
                Err(refusal) => return Ok(Err(Box::new((read.job, refusal)))),
            };
            let event = JobEvent::new(now, by, action);
            if let Err(refusal) = Job::after(Some(&read.job), id, &event) {
                return Ok(Err(Box::new((read.job, refusal))));
            }
            let known = self.known(id);
            if let Appended::Written(entry) = known.log.append(Some(&read.last), event).await? {
                let read = self.folded(id, Some(&read), entry)?;
                known.keep(&read);
                return Ok(Ok(read.job));
            }
        }
        Err(contended(id))
    }

    /// Appends an action of the worker that holds a job.
    async fn held(
        &self,
        claim: &Claim,
        now: DateTime<Utc>,
        action: impl Fn(String) -> JobAction,
    ) -> Result<Job> {
        let (id, worker) = (claim.job.id.as_str(), claim.worker.as_str());
        let attempt = claim.job.attempts;
        let acted = self.act(id, (worker, now), |job| match job.attempts == attempt {
            true => Ok(action(worker.to_owned())),
            // The same process lost the job and claimed it again.
            false => Err(Refusal::NotHeld),
        });
        acted.await?.map_err(|acted| lost(id, worker, &acted.1))
    }

    /// Removes the mark of a job that is over, and puts it back if the job was retried meanwhile.
    async fn close(&self, id: &str) -> Result<()> {
        unmark(&self.store, id).await?;
        match self.refresh(id).await? {
            Some(read) if !read.job.state.is_over() => mark_open(&self.store, id).await,
            _ => Ok(()),
        }
    }

    fn known(&self, id: &str) -> Arc<KnownJob> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() > KEPT {
            known.retain(|_, job| job.read().is_none_or(|read| !read.job.state.is_over()));
        }
        let new =
            || Arc::new(KnownJob { log: self.store.log(&log_path(id)), read: Mutex::default() });
        Arc::clone(known.entry(id.to_owned()).or_insert_with(new))
    }

    /// Forgets a job, which is read again when it is asked for.
    pub(crate) fn forget(&self, id: &str) {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).remove(id);
    }
}

/// Returns the begin of a text, at most [`MAX_MESSAGE_BYTES`].
fn clipped(text: &str) -> String {
    let mut end = text.len().min(MAX_MESSAGE_BYTES);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].to_owned()
}

/// Returns the pause after attempt `attempt`, from 1.
fn pause_after(attempt: u32) -> TimeDelta {
    let factor = 4_i32.saturating_pow(attempt.saturating_sub(1).min(8));
    (FIRST_PAUSE * factor).min(LONGEST_PAUSE)
}

/// The failure of a job whose last worker is gone.
fn all_lost(job: &Job) -> JobFailure {
    JobFailure {
        code: "BOT-7409".to_owned(),
        message: format!("the job was tried {} times, and no worker came to its end", job.attempts),
        hints: vec![format!(
            "look at the logs of the servers, then run `botops jobs retry {} --reason \"…\"`",
            job.id
        )],
    }
}
