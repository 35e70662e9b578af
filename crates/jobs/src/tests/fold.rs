//! Properties of the fold: it refuses illegal entries, never panics, and keeps its invariants.

use super::at;
use crate::{Job, JobAction, JobEvent, JobFailure, JobState, Progress, Refusal};
use serde_json::json;

/// A generator of numbers (Knuth's MMIX constants), so that a failing case can be repeated by its seed.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }

    fn action(&mut self, now: i64) -> JobAction {
        let worker = format!("w{}", self.below(2));
        let until = at(now - 20 + self.below(100) as i64);
        match self.below(10) {
            0 => JobAction::Submitted {
                kind: "count".into(),
                subject: "numbers".into(),
                order: json!(1),
                max_attempts: self.below(4) as u32,
                key: None,
            },
            1 | 2 => JobAction::Claimed { worker, until },
            3 => JobAction::Heartbeat { worker, until },
            4 => {
                let (done, total) = (self.below(5), self.below(5));
                JobAction::Progress {
                    worker,
                    until,
                    progress: Progress { done, total, checkpoint: json!(null) },
                }
            }
            5 => JobAction::Released { worker },
            6 => JobAction::Finished { worker, result: json!(2) },
            7 => {
                let failure = JobFailure {
                    code: "BOT-5003".into(),
                    message: "it hangs".into(),
                    hints: Vec::new(),
                };
                let retry_at = (self.below(2) == 0).then(|| at(now + self.below(30) as i64));
                JobAction::Failed { worker, failure, retry_at }
            }
            8 if self.below(2) == 0 => JobAction::Stopped { worker },
            8 => JobAction::Cancelled { reason: "a typo".into() },
            _ => JobAction::Retried { reason: "again".into() },
        }
    }
}

fn check(job: &Job, seed: u64) {
    let is_running = job.state == JobState::Running;
    assert_eq!(job.worker.is_some(), is_running, "seed {seed}: {job:?}");
    assert_eq!(job.until.is_some(), is_running, "seed {seed}: {job:?}");
    assert!(job.attempts <= job.max_attempts, "seed {seed}: {job:?}");
    assert!(job.progress.done <= job.progress.total, "seed {seed}: {job:?}");
    assert_eq!(job.result.is_some(), job.state == JobState::Finished, "seed {seed}: {job:?}");
    assert!(job.not_before.is_none() || job.state == JobState::Waiting, "seed {seed}: {job:?}");
    if job.state == JobState::Cancelled {
        assert!(job.is_cancelled, "seed {seed}: {job:?}");
    }
    if is_running {
        assert!(job.attempts > 0, "seed {seed}: {job:?}");
    }
}

#[test]
fn any_sequence_of_entries_keeps_the_invariants_and_a_finished_job_stays() {
    let (mut legal, mut illegal) = (0_u32, 0_u32);
    let mut reached = std::collections::BTreeSet::new();
    for seed in 0..2_000 {
        let mut numbers = Numbers(seed);
        let (mut job, mut now) = (None::<Job>, 0_i64);
        for _ in 0..40 {
            now += numbers.below(40) as i64 - 5;
            let event = JobEvent::new(at(now), "ada", numbers.action(now));
            match Job::after(job.as_ref(), "01JD0000000000000000000000", &event) {
                Ok(next) => {
                    check(&next, seed);
                    let was_finished = job.is_some_and(|job| job.state == JobState::Finished);
                    assert!(!was_finished, "seed {seed}: {event:?}");
                    reached.insert(next.state.name());
                    legal += 1;
                    job = Some(next);
                }
                Err(refusal) => {
                    assert!(!refusal.to_string().is_empty());
                    illegal += 1;
                }
            }
        }
    }
    assert_eq!(reached.len(), 5, "{reached:?}");
    assert!(legal > 5_000 && illegal > 5_000, "{legal} {illegal}");
}

#[test]
fn an_entry_reads_back_as_it_was_written() {
    let mut numbers = Numbers(7);
    for now in 0..500 {
        let event = JobEvent::new(at(now), "ada", numbers.action(now));
        let json = serde_json::to_string(&event).unwrap();
        assert_eq!(serde_json::from_str::<JobEvent>(&json).unwrap(), event);
    }
}

#[test]
fn a_refusal_says_why() {
    let submitted = JobAction::Submitted {
        kind: "count".into(),
        subject: "numbers".into(),
        order: json!(1),
        max_attempts: 1,
        key: None,
    };
    let event = |now, action| JobEvent::new(at(now), "ada", action);
    let claimed =
        |worker: &str, until| JobAction::Claimed { worker: worker.into(), until: at(until) };
    let job = Job::after(None, "x", &event(0, submitted.clone())).unwrap();
    let after = |job: &Job, now, action| Job::after(Some(job), "x", &event(now, action));
    assert_eq!(Job::after(None, "x", &event(0, claimed("a", 60))), Err(Refusal::NotSubmitted));
    assert_eq!(after(&job, 1, submitted), Err(Refusal::SubmittedBefore));
    let job = after(&job, 1, claimed("a", 61)).unwrap();
    assert_eq!(after(&job, 60, claimed("b", 99)), Err(Refusal::NotIn(JobState::Running)));
    assert_eq!(after(&job, 61, claimed("b", 99)), Err(Refusal::NoAttempts));
    let heartbeat = |worker: &str| JobAction::Heartbeat { worker: worker.into(), until: at(90) };
    assert_eq!(after(&job, 2, heartbeat("b")), Err(Refusal::NotHeld));
    let stopped = JobAction::Stopped { worker: "a".into() };
    assert_eq!(after(&job, 2, stopped), Err(Refusal::NotCancelled));
    let late = JobAction::Heartbeat { worker: "a".into(), until: at(30) };
    assert_eq!(after(&job, 2, late).unwrap().until, Some(at(61)), "no clock shortens a lease");
}
