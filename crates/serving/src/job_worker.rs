//! The background task that works on jobs: it claims them, holds them, and stops with the server.
//!
//! Any server of a store may work on any of its jobs. A server that stops gives its job back; one that is killed loses it when
//! its lease is over. The work of a job is a future that is dropped when the job is lost or cancelled, so its last step must
//! be its only effect, and harmless when it is repeated.

use crate::{app::App, job_metrics::Outcome, job_service::JobService, work::Work};
use botops_findings::{Fault, Result};
use botops_jobs::{Claim, JobFailure};
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;
use std::{sync::Arc, time::Duration};
use tokio::sync::watch;

/// The pause between two looks for jobs that other servers took in. One LIST of the store.
const LOOK: Duration = Duration::from_secs(15);
/// The time between two heartbeats: a third of the lease, so that one may fail.
const HEARTBEAT: Duration = Duration::from_secs(20);
/// The time between two removals of old jobs.
const PRUNE: Duration = Duration::from_secs(24 * 60 * 60);
/// The time for which jobs that are over are kept.
const KEPT: TimeDelta = TimeDelta::days(30);

/// The way in which an attempt ended.
enum End {
    Done(Result<Value>),
    Cancelled,
    Lost(Fault),
    Stopping,
}

impl JobService {
    /// Works on jobs until `stop` becomes true.
    pub(super) async fn run(self: Arc<Self>, app: Arc<App>, mut stop: watch::Receiver<bool>) {
        let kinds: Vec<&str> = self.work.iter().map(|work| work.kind()).collect();
        let mut pruned: Option<tokio::time::Instant> = None;
        while !*stop.borrow() {
            match self.jobs.claim(&self.worker, &kinds, app.clock.now()).await {
                Ok(Some(claim)) => {
                    self.carry_out(&app, claim, &mut stop).await;
                    continue;
                }
                Ok(None) => {}
                Err(fault) => warn(&app, "jobs cannot be claimed", &fault),
            }
            if pruned.is_none_or(|at| at.elapsed() > PRUNE) {
                pruned = Some(tokio::time::Instant::now());
                let now = app.clock.now();
                if let Err(fault) = self.jobs.prune(now - KEPT, now).await {
                    warn(&app, "old jobs cannot be removed", &fault);
                }
            }
            tokio::select! {
                () = self.wake.notified() => {}
                () = tokio::time::sleep(LOOK / self.times) => {}
                changed = stop.changed() => if changed.is_err() { return },
            }
        }
    }

    async fn carry_out(&self, app: &Arc<App>, claim: Claim, stop: &mut watch::Receiver<bool>) {
        let job = &claim.job;
        let Some(work) = self.work.iter().find(|work| work.kind() == job.kind) else { return };
        let _running = app.metrics.jobs.running(work.kind());
        log(app, "info", format!("job {} ({}): attempt {}", job.id, job.kind, job.attempts));
        let end = self.attempt(app, &claim, &**work, stop).await;
        let now = app.clock.now();
        let outcome = match &end {
            End::Done(Ok(_)) => Outcome::Finished,
            End::Done(Err(_)) => Outcome::Failed,
            End::Cancelled => Outcome::Cancelled,
            End::Lost(_) => Outcome::Lost,
            End::Stopping => Outcome::Released,
        };
        let written = match &end {
            End::Done(Ok(result)) => self.jobs.finish(&claim, result, now).await,
            End::Done(Err(fault)) => {
                warn(app, &format!("job {}", job.id), fault);
                self.jobs.fail(&claim, &failure_of(fault), is_lasting(fault), now).await
            }
            End::Cancelled => self.jobs.stop(&claim, now).await,
            End::Stopping => self.jobs.release(&claim, now).await,
            End::Lost(fault) => {
                warn(app, &format!("job {} is lost", job.id), fault);
                app.metrics.jobs.ended(work.kind(), outcome);
                return;
            }
        };
        match written {
            Ok(job) => log(app, "info", format!("job {}: {}", job.id, job.state)),
            // Another worker takes the job over when the lease is over, and does the same again.
            Err(fault) => warn(app, &format!("the end of job {} is not recorded", job.id), &fault),
        }
        app.metrics.jobs.ended(work.kind(), outcome);
    }

    /// Runs the work of a job, and holds the job meanwhile.
    async fn attempt(
        &self,
        app: &App,
        claim: &Claim,
        work: &dyn Work,
        stop: &mut watch::Receiver<bool>,
    ) -> End {
        let mut working = work.run(&claim.job);
        let mut held = tokio::time::interval(HEARTBEAT / self.times);
        held.tick().await;
        let mut until = claim.job.until;
        loop {
            tokio::select! {
                done = &mut working => return End::Done(done),
                _ = held.tick() => match self.jobs.heartbeat(claim, app.clock.now()).await {
                    Ok(job) if job.is_cancelled => return End::Cancelled,
                    Ok(job) => until = job.until,
                    Err(fault) if fault.code() == "BOT-7403" => return End::Lost(fault),
                    // The store does not answer. The job is held as long as the lease lasts.
                    Err(fault) if is_over(until, app.clock.now()) => return End::Lost(fault),
                    Err(fault) => warn(app, "a heartbeat of a job failed", &fault),
                },
                changed = stop.changed() => {
                    if changed.is_err() || *stop.borrow() {
                        return End::Stopping;
                    }
                }
            }
        }
    }
}

fn is_over(until: Option<DateTime<Utc>>, now: DateTime<Utc>) -> bool {
    until.is_none_or(|until| until <= now)
}

/// Returns whether a failure would be the same the next time: that of the input, and not of the store or the machine.
fn is_lasting(fault: &Fault) -> bool {
    !matches!(fault.kind().exit_code(), 1 | 5 | 7)
}

fn failure_of(fault: &Fault) -> JobFailure {
    JobFailure {
        code: fault.code().to_owned(),
        message: fault.message().to_owned(),
        hints: fault.hints().to_vec(),
    }
}

fn warn(app: &App, subject: &str, fault: &Fault) {
    log(app, "warn", format!("{subject}: {}: {}", fault.code(), fault.message()));
}

fn log(app: &App, level: &'static str, message: String) {
    app.log.event(app.clock.now(), level, "job", message);
}
