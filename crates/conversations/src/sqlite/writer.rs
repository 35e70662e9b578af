//! The one writer of a file: what waits is committed together.

use super::statements as sql;
use crate::{
    names::Id,
    sealing::WrappedKey,
    statements::fault,
    store::{Appended, Row},
};
use botops_findings::{Fault, Result};
use sqlx::{Connection as _, Error, sqlite::SqliteConnection};
use tokio::sync::{mpsc, oneshot};

/// The most jobs of one commit, and the most that wait.
const MOST: usize = 512;

/// Where the outcome of a job goes.
pub(super) type Reply<T> = oneshot::Sender<Result<T>>;

/// Makes the two ends of a reply.
pub(super) fn reply<T>() -> (Reply<T>, oneshot::Receiver<Result<T>>) {
    oneshot::channel()
}

/// A write.
pub(super) enum Job {
    /// See [`crate::ConversationStore::append`].
    Append { row: Row, after: Option<Id>, reply: Reply<Appended> },
    /// See [`crate::ConversationStore::settle`].
    Settle { row: Row, reply: Reply<bool> },
    /// See [`crate::ConversationStore::keep_key`].
    KeepKey { key: WrappedKey, reply: Reply<WrappedKey> },
}

/// The outcome of a job, before it is committed.
enum Done {
    Append(Appended),
    Settle(bool),
    KeepKey(WrappedKey),
}

/// The writer. It ends when this is dropped and every job is done.
pub(super) struct GroupWriter {
    jobs: mpsc::Sender<Job>,
    shown: String,
}

impl GroupWriter {
    /// Starts the writer on `connection`, as a task of the current runtime.
    pub(super) fn start(connection: SqliteConnection, shown: String) -> Self {
        let (jobs, waiting) = mpsc::channel(MOST);
        tokio::spawn(run(connection, waiting, shown.clone()));
        Self { jobs, shown }
    }

    /// Sends a job. Waits while too many are waiting.
    ///
    /// # Errors
    /// `BOT-6116` (exit 7) if the writer has ended.
    pub(super) async fn send(&self, job: Job) -> Result<()> {
        self.jobs.send(job).await.map_err(|_| self.ended())
    }

    /// Returns the outcome of a job, once it is committed.
    ///
    /// # Errors
    /// Those of the job; `BOT-6116` (exit 7) if the writer has ended.
    pub(super) async fn outcome<T>(&self, outcome: oneshot::Receiver<Result<T>>) -> Result<T> {
        outcome.await.map_err(|_| self.ended())?
    }

    fn ended(&self) -> Fault {
        fault(&self.shown, Error::WorkerCrashed)
    }
}

async fn run(mut connection: SqliteConnection, mut waiting: mpsc::Receiver<Job>, shown: String) {
    let mut jobs = Vec::with_capacity(MOST);
    while waiting.recv_many(&mut jobs, MOST).await > 0 {
        match commit(&mut connection, &jobs).await {
            Ok(outcomes) => jobs.drain(..).zip(outcomes).for_each(|(job, done)| answer(job, done)),
            // Nothing of it was written.
            Err(error) => {
                let first = fault(&shown, error);
                for job in jobs.drain(1..) {
                    refuse(job, Fault::of_code(first.code(), first.message()));
                }
                if let Some(job) = jobs.pop() {
                    refuse(job, first);
                }
            }
        }
    }
    let _ = connection.close().await;
}

/// Does the jobs in one transaction, and syncs the disk.
async fn commit(connection: &mut SqliteConnection, jobs: &[Job]) -> Result<Vec<Done>, Error> {
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
    let mut outcomes = Vec::with_capacity(jobs.len());
    for job in jobs {
        let on = &mut *transaction;
        outcomes.push(match job {
            Job::Append { row, after, .. } => Done::Append(append(on, row, *after).await?),
            Job::Settle { row, .. } => Done::Settle(sql::settle(on, row).await?),
            Job::KeepKey { key, .. } => Done::KeepKey(sql::keep_key(on, key).await?),
        });
    }
    transaction.commit().await?;
    Ok(outcomes)
}

async fn append(
    on: &mut SqliteConnection,
    row: &Row,
    after: Option<Id>,
) -> Result<Appended, Error> {
    if sql::insert(&mut *on, row, after).await? {
        return Ok(Appended::Written);
    }
    if let Some(known) = sql::of_message(&mut *on, row.message).await? {
        return Ok(Appended::Known(known));
    }
    Ok(Appended::Moved(sql::last(on, row.conversation).await?))
}

/// Passes on the outcome of a job. Nobody may be waiting for it any more.
fn answer(job: Job, done: Done) {
    match (job, done) {
        (Job::Append { reply, .. }, Done::Append(done)) => drop(reply.send(Ok(done))),
        (Job::Settle { reply, .. }, Done::Settle(done)) => drop(reply.send(Ok(done))),
        (Job::KeepKey { reply, .. }, Done::KeepKey(done)) => drop(reply.send(Ok(done))),
        _ => unreachable!("an outcome is of the kind of its job"),
    }
}

fn refuse(job: Job, fault: Fault) {
    match job {
        Job::Append { reply, .. } => drop(reply.send(Err(fault))),
        Job::Settle { reply, .. } => drop(reply.send(Err(fault))),
        Job::KeepKey { reply, .. } => drop(reply.send(Err(fault))),
    }
}
