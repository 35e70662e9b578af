//! The contract of jobs, on each kind of store.

use super::{at, on_each_store, request};
use crate::{JobFailure, JobState, Jobs, Listed, Progress, RequestKey};
use botops_digest::Digest;
use serde_json::json;

fn failure() -> JobFailure {
    JobFailure { code: "BOT-5003".into(), message: "the store hangs".into(), hints: Vec::new() }
}

#[tokio::test]
async fn a_job_is_claimed_worked_on_and_finished_once() {
    on_each_store(async |jobs: Jobs| {
        assert!(jobs.claim("w1", &["count"], at(0)).await.unwrap().is_none());
        let submitted = jobs.submit(request(), at(0)).await.unwrap();
        assert!(submitted.is_new);
        let id = submitted.job.id;
        assert_eq!(jobs.list(Listed::Open).await.unwrap().len(), 1);
        assert!(jobs.claim("w1", &["other"], at(1)).await.unwrap().is_none(), "another kind");
        let claim = jobs.claim("w1", &["count"], at(1)).await.unwrap().unwrap();
        assert_eq!((claim.job.id.as_str(), claim.job.attempts), (id.as_str(), 1));
        assert!(jobs.claim("w2", &["count"], at(2)).await.unwrap().is_none(), "it is held");
        let progress = Progress { done: 1, total: 3, checkpoint: json!({"next": 2}) };
        let job = jobs.progress(&claim, &progress, at(30)).await.unwrap();
        assert_eq!((job.state, job.until), (JobState::Running, Some(at(90))));
        jobs.heartbeat(&claim, at(60)).await.unwrap();
        let job = jobs.finish(&claim, &json!({"count": 3}), at(70)).await.unwrap();
        assert_eq!((job.state, job.worker, job.progress.done), (JobState::Finished, None, 3));
        assert!(jobs.list(Listed::Open).await.unwrap().is_empty());
        assert!(jobs.store.objects("jobs/open", None).await.unwrap().is_empty());
        let again = jobs.finish(&claim, &json!({}), at(71)).await.unwrap_err();
        assert_eq!((again.code(), again.kind().exit_code()), ("BOT-7403", 5));
        // Another process reads the same.
        let other = Jobs::open(jobs.store.clone());
        let [job] = other.list(Listed::Newest(9)).await.unwrap().try_into().unwrap();
        assert_eq!((job.id, job.result), (id.clone(), Some(json!({"count": 3}))));
        let history = other.history(&id).await.unwrap();
        let names: Vec<_> = history.iter().map(|entry| entry.payload.action.name()).collect();
        assert_eq!(names, ["submitted", "claimed", "progress", "heartbeat", "finished"]);
    })
    .await;
}

#[tokio::test]
async fn a_failed_attempt_is_repeated_after_growing_pauses_and_then_no_more() {
    on_each_store(async |jobs: Jobs| {
        let mut request = request();
        request.max_attempts = 3;
        let id = jobs.submit(request, at(0)).await.unwrap().job.id;
        let mut now = 0;
        for pause in [10, 40] {
            let claim = jobs.claim("w1", &["count"], at(now)).await.unwrap().unwrap();
            let job = jobs.fail(&claim, &failure(), false, at(now)).await.unwrap();
            assert_eq!((job.state, job.not_before), (JobState::Waiting, Some(at(now + pause))));
            let early = jobs.claim("w1", &["count"], at(now + pause - 1)).await.unwrap();
            assert!(early.is_none());
            now += pause;
        }
        let claim = jobs.claim("w1", &["count"], at(now)).await.unwrap().unwrap();
        let job = jobs.fail(&claim, &failure(), false, at(now)).await.unwrap();
        assert_eq!((job.state, job.attempts, job.not_before), (JobState::Failed, 3, None));
        assert_eq!(job.failure.unwrap().code, "BOT-5003");
        assert!(jobs.claim("w1", &["count"], at(now + 9_999)).await.unwrap().is_none());
        let job = jobs.retry(&id, ("eve", "the disk is larger now"), at(now)).await.unwrap();
        assert_eq!((job.state, job.attempts), (JobState::Waiting, 0));
        let claim = jobs.claim("w1", &["count"], at(now)).await.unwrap().unwrap();
        // A lasting failure, such as a damaged file, is not repeated.
        let job = jobs.fail(&claim, &failure(), true, at(now)).await.unwrap();
        assert_eq!((job.state, job.attempts), (JobState::Failed, 1));
    })
    .await;
}

#[tokio::test]
async fn a_cancellation_is_stored_and_stops_the_worker() {
    on_each_store(async |jobs: Jobs| {
        let waiting = jobs.submit(request(), at(0)).await.unwrap().job.id;
        let job = jobs.cancel(&waiting, ("eve", "a typo"), at(1)).await.unwrap();
        assert_eq!(job.state, JobState::Cancelled);
        assert!(jobs.claim("w1", &["count"], at(1)).await.unwrap().is_none());
        let again = jobs.cancel(&waiting, ("eve", "a typo"), at(2)).await.unwrap();
        assert_eq!(again.revision, 2, "nothing was written");

        let running = jobs.submit(request(), at(2)).await.unwrap().job.id;
        let claim = jobs.claim("w1", &["count"], at(2)).await.unwrap().unwrap();
        let other = Jobs::open(jobs.store.clone());
        let job = other.cancel(&running, ("eve", "the wrong file"), at(3)).await.unwrap();
        assert_eq!((job.state, job.is_cancelled), (JobState::Running, true));
        assert!(jobs.heartbeat(&claim, at(4)).await.unwrap().is_cancelled);
        let job = jobs.stop(&claim, at(5)).await.unwrap();
        assert_eq!(job.state, JobState::Cancelled);
        let unknown = jobs.cancel("01JD0000000000000000000000", ("eve", ""), at(6)).await;
        assert_eq!(unknown.unwrap_err().code(), "BOT-7400");
        let no_id = jobs.cancel("../open", ("eve", ""), at(6)).await.unwrap_err();
        assert_eq!((no_id.code(), no_id.kind().exit_code()), ("BOT-7400", 2));
    })
    .await;
}

#[tokio::test]
async fn a_cancellation_that_comes_after_the_effects_leaves_the_job_finished_and_over() {
    on_each_store(async |jobs: Jobs| {
        let id = jobs.submit(request(), at(0)).await.unwrap().job.id;
        let claim = jobs.claim("w1", &["count"], at(0)).await.unwrap().unwrap();
        jobs.cancel(&id, ("eve", "too late"), at(1)).await.unwrap();
        let job = jobs.finish(&claim, &json!(3), at(2)).await.unwrap();
        assert_eq!((job.state, job.is_cancelled), (JobState::Finished, false));
        let fault = jobs.cancel(&id, ("eve", "later still"), at(3)).await.unwrap_err();
        assert_eq!((fault.code(), fault.kind().exit_code()), ("BOT-7402", 5));
        let fault = jobs.retry(&id, ("eve", "again"), at(3)).await.unwrap_err();
        assert_eq!(fault.code(), "BOT-7402");
    })
    .await;
}

#[tokio::test]
async fn a_repeated_request_gets_the_same_job_and_its_key_fits_no_other() {
    on_each_store(async |jobs: Jobs| {
        let mut keyed = request();
        keyed.key = Some(RequestKey { key: Digest::of(b"key"), body: Digest::of(b"body") });
        let first = jobs.submit(keyed.clone(), at(0)).await.unwrap();
        let second = Jobs::open(jobs.store.clone()).submit(keyed.clone(), at(1)).await.unwrap();
        assert_eq!((first.is_new, second.is_new), (true, false));
        assert_eq!(first.job, second.job);
        let mut other = keyed.clone();
        other.key = Some(RequestKey { key: Digest::of(b"key"), body: Digest::of(b"other") });
        let fault = jobs.submit(other, at(2)).await.unwrap_err();
        assert_eq!((fault.code(), fault.kind().exit_code()), ("BOT-7405", 5));
        let both = [keyed.clone(), keyed].map(|request| jobs.submit(request, at(3)));
        for submitted in futures::future::join_all(both).await {
            assert_eq!(submitted.unwrap().job.id, first.job.id);
        }
        assert_eq!(jobs.list(Listed::Newest(9)).await.unwrap().len(), 1);
    })
    .await;
}

#[tokio::test]
async fn what_a_log_keeps_is_bounded() {
    let jobs = Jobs::open(botops_store::Store::in_memory());
    let mut large = request();
    large.order = json!("x".repeat(crate::MAX_JSON_BYTES));
    assert_eq!(jobs.submit(large, at(0)).await.unwrap_err().code(), "BOT-7404");
    let mut hostile = request();
    hostile.subject = "two\nlines".into();
    assert_eq!(jobs.submit(hostile, at(0)).await.unwrap_err().code(), "BOT-7404");
    assert!(jobs.ids().await.unwrap().is_empty());
    jobs.submit(request(), at(0)).await.unwrap();
    let claim = jobs.claim("w1", &["count"], at(0)).await.unwrap().unwrap();
    let long = JobFailure { message: "\u{e4}".repeat(5_000), ..failure() };
    let job = jobs.fail(&claim, &long, true, at(1)).await.unwrap();
    assert_eq!(job.failure.unwrap().message, "\u{e4}".repeat(2_048));
}

#[tokio::test]
async fn old_jobs_are_removed_with_an_entry_and_open_ones_are_marked_again() {
    on_each_store(async |jobs: Jobs| {
        let mut keyed = request();
        keyed.key = Some(RequestKey { key: Digest::of(b"key"), body: Digest::of(b"body") });
        let old = jobs.submit(keyed, at(0)).await.unwrap().job.id;
        let claim = jobs.claim("w1", &["count"], at(0)).await.unwrap().unwrap();
        jobs.finish(&claim, &json!(3), at(1)).await.unwrap();
        let open = jobs.submit(request(), at(0)).await.unwrap().job.id;
        jobs.store.remove(&format!("jobs/open/{open}")).await.unwrap();
        let pruned = jobs.prune(at(2), at(100)).await.unwrap();
        assert_eq!((pruned.removed, pruned.marked), (1, 1));
        assert_eq!(jobs.show(&old).await.unwrap_err().code(), "BOT-7400");
        assert_eq!(jobs.list(Listed::Open).await.unwrap()[0].id, open);
        let entries =
            jobs.store.log::<crate::PrunedJob>("jobs/pruned/log").entries().await.unwrap();
        assert_eq!((entries.len(), entries[0].payload.id.as_str()), (1, old.as_str()));
        assert_eq!(entries[0].payload.state, JobState::Finished);
        assert!(jobs.store.objects("jobs/keys", None).await.unwrap().is_empty());
        assert_eq!(jobs.prune(at(2), at(100)).await.unwrap(), crate::Pruned::default());
    })
    .await;
}

#[tokio::test]
async fn a_removal_that_was_interrupted_leaves_no_job_and_is_completed() {
    on_each_store(async |jobs: Jobs| {
        let id = jobs.submit(request(), at(0)).await.unwrap().job.id;
        jobs.cancel(&id, ("eve", "a typo"), at(1)).await.unwrap();
        let objects = jobs.store.objects(&format!("jobs/{id}/log"), None).await.unwrap();
        jobs.prune(at(2), at(3)).await.unwrap();
        // As if the process had been killed after the first object.
        let last = objects.last().unwrap();
        jobs.store.create(last, "{}".into()).await.unwrap();
        let other = Jobs::open(jobs.store.clone());
        assert_eq!(other.show(&id).await.unwrap_err().code(), "BOT-7400");
        other.prune(at(2), at(3)).await.unwrap();
        assert!(other.store.objects(&format!("jobs/{id}"), None).await.unwrap().is_empty());
    })
    .await;
}
