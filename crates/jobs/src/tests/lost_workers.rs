//! Workers that race, and workers that are killed.

use super::{at, on_each_store, request};
use crate::{JobState, Jobs, Progress};
use serde_json::{Value, json};

#[tokio::test]
async fn of_workers_that_race_exactly_one_gets_each_job() {
    on_each_store(async |jobs: Jobs| {
        let mut ids = Vec::new();
        for _ in 0..5 {
            ids.push(jobs.submit(request(), at(0)).await.unwrap().job.id);
        }
        let workers = (0..8).map(|n| {
            let jobs = Jobs::open(jobs.store.clone());
            async move {
                let mut got = Vec::new();
                while let Some(claim) =
                    jobs.claim(&format!("w{n}"), &["count"], at(1)).await.unwrap()
                {
                    got.push(claim.job.id.clone());
                    jobs.finish(&claim, &Value::Null, at(2)).await.unwrap();
                }
                got
            }
        });
        let mut got = futures::future::join_all(workers).await.concat();
        got.sort();
        ids.sort();
        assert_eq!(got, ids);
    })
    .await;
}

#[tokio::test]
async fn a_job_whose_worker_was_killed_is_continued_from_its_last_stored_progress() {
    on_each_store(async |jobs: Jobs| {
        let id = jobs.submit(request(), at(0)).await.unwrap().job.id;
        let first = jobs.claim("w1", &["count"], at(0)).await.unwrap().unwrap();
        let progress = Progress { done: 2, total: 3, checkpoint: json!({"next": 3}) };
        jobs.progress(&first, &progress, at(10)).await.unwrap();
        // The worker is killed here. Its lease ends at 70 s.
        let other = Jobs::open(jobs.store.clone());
        assert!(other.claim("w2", &["count"], at(69)).await.unwrap().is_none());
        let second = other.claim("w2", &["count"], at(70)).await.unwrap().unwrap();
        assert_eq!((second.job.id.as_str(), second.job.attempts), (id.as_str(), 2));
        assert_eq!(second.progress(), &progress);
        // It was only stopped, and comes back.
        for code in [
            jobs.heartbeat(&first, at(71)).await.unwrap_err().code(),
            jobs.progress(&first, &progress, at(71)).await.unwrap_err().code(),
            jobs.finish(&first, &json!(3), at(71)).await.unwrap_err().code(),
        ] {
            assert_eq!(code, "BOT-7403");
        }
        let job = other.finish(&second, &json!(3), at(80)).await.unwrap();
        assert_eq!((job.state, job.attempts), (JobState::Finished, 2));
    })
    .await;
}

#[tokio::test]
async fn a_job_that_kills_each_of_its_workers_fails_in_the_end() {
    on_each_store(async |jobs: Jobs| {
        let mut request = request();
        request.max_attempts = 2;
        let id = jobs.submit(request, at(0)).await.unwrap().job.id;
        for n in 0..2 {
            let claimed = jobs.claim(&format!("w{n}"), &["count"], at(100 * n)).await.unwrap();
            assert_eq!(claimed.unwrap().job.attempts as i64, n + 1);
        }
        assert!(jobs.claim("w3", &["count"], at(200)).await.unwrap().is_none());
        let job = jobs.show(&id).await.unwrap();
        assert_eq!((job.state, job.failure.unwrap().code.as_str()), (JobState::Failed, "BOT-7409"));
        assert!(jobs.store.objects("jobs/open", None).await.unwrap().is_empty());
    })
    .await;
}

#[tokio::test]
async fn a_cancelled_job_whose_worker_was_killed_is_stopped_by_another() {
    on_each_store(async |jobs: Jobs| {
        let id = jobs.submit(request(), at(0)).await.unwrap().job.id;
        jobs.claim("w1", &["count"], at(0)).await.unwrap().unwrap();
        jobs.cancel(&id, ("eve", "the wrong file"), at(1)).await.unwrap();
        assert!(jobs.claim("w2", &["count"], at(59)).await.unwrap().is_none());
        assert_eq!(jobs.show(&id).await.unwrap().state, JobState::Running);
        assert!(jobs.claim("w2", &["count"], at(60)).await.unwrap().is_none());
        assert_eq!(jobs.show(&id).await.unwrap().state, JobState::Cancelled);
    })
    .await;
}

#[tokio::test]
async fn a_worker_that_stops_gives_its_job_back_and_the_attempt_does_not_count() {
    on_each_store(async |jobs: Jobs| {
        jobs.submit(request(), at(0)).await.unwrap();
        let claim = jobs.claim("w1", &["count"], at(0)).await.unwrap().unwrap();
        let job = jobs.release(&claim, at(1)).await.unwrap();
        assert_eq!((job.state, job.attempts), (JobState::Waiting, 0));
        let again = jobs.claim("w2", &["count"], at(1)).await.unwrap().unwrap();
        assert_eq!(again.job.attempts, 1);
    })
    .await;
}

#[tokio::test]
async fn a_process_that_claims_its_own_lost_job_does_not_act_under_the_old_claim() {
    on_each_store(async |jobs: Jobs| {
        jobs.submit(request(), at(0)).await.unwrap();
        let old = jobs.claim("w1", &["count"], at(0)).await.unwrap().unwrap();
        let new = jobs.claim("w1", &["count"], at(60)).await.unwrap().unwrap();
        assert_eq!(jobs.heartbeat(&old, at(61)).await.unwrap_err().code(), "BOT-7403");
        jobs.heartbeat(&new, at(61)).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_damaged_log_is_reported_and_keeps_no_other_job_waiting() {
    on_each_store(async |jobs: Jobs| {
        let damaged = jobs.submit(request(), at(0)).await.unwrap().job.id;
        let log = jobs.store.log::<crate::JobEvent>(&crate::index::log_path(&damaged));
        let entries = log.entries().await.unwrap();
        let action = crate::JobAction::Released { worker: "w9".into() };
        let event = crate::JobEvent::new(at(1), "w9", action);
        log.append(entries.last(), event).await.unwrap();
        let fault = jobs.claim("w1", &["count"], at(2)).await.unwrap_err();
        assert_eq!((fault.code(), fault.kind().exit_code()), ("BOT-7401", 3));
        let sound = jobs.submit(request(), at(2)).await.unwrap().job.id;
        assert_eq!(jobs.claim("w1", &["count"], at(3)).await.unwrap().unwrap().job.id, sound);
    })
    .await;
}
