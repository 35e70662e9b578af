//! Servers that end in the middle of a job: it ends once, and there is one version.

use super::{files::slow_pdf, library::Library};
use serde_json::json;
use std::time::Duration;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_of_a_server_that_was_killed_is_ended_once_by_another_one() {
    let library = Library::new().await;
    let mut server = library.serve();
    let slow = slow_pdf();
    let id = library.submit(&server, &[("slow.pdf", &slow)]).await;
    let begun = library.until(&id, &["running"]).await;
    // A second server does not take a job that is held.
    let second = library.serve();
    tokio::time::sleep(Duration::from_millis(500)).await;
    let held = library.job(&id);
    assert_eq!((&held["state"], &held["worker"]), (&json!("running"), &begun["worker"]), "{held}");
    server.signal("-KILL");
    server.end(Duration::from_secs(10)).unwrap();
    assert_eq!(library.versions(), 0, "killed before its end");

    let job = library.over(&id).await;
    assert_eq!((&job["state"], &job["attempts"]), (&json!("finished"), &json!(2)), "{job}");
    assert_eq!(job["result"]["version"], "help@1");
    assert_eq!(library.versions(), 1);
    let list = library.run(&["jobs", "list", "--all"]);
    assert_eq!(list.matches("knowledge help").count(), 1, "{list}");
    let (status, shown) = library
        .send(
            &second,
            ("GET", "/admin/v1/knowledge/help"),
            (&[("authorization", &format!("Bearer {}", library.key))], Vec::new()),
        )
        .await;
    assert_eq!((status, &shown["version"], &shown["files"]), (200, &json!("help@1"), &json!(1)));
    let verified = library.run(&["registry", "verify"]);
    assert!(verified.starts_with("exit: 0"), "{verified}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_of_a_server_that_is_killed_again_and_again_ends_with_one_version() {
    let library = Library::new().await;
    let slow = slow_pdf();
    let mut id = String::new();
    for (round, wait) in [100, 700, 1_500].into_iter().enumerate() {
        let mut server = library.serve();
        if round == 0 {
            id = library.submit(&server, &[("slow.pdf", &slow)]).await;
        }
        // The job of the killed server is held until its lease is over.
        while library.job(&id)["attempts"] != json!(round + 1) {
            assert_eq!(library.versions(), 0, "killed before its end");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        tokio::time::sleep(Duration::from_millis(wait)).await;
        server.signal("-KILL");
        server.end(Duration::from_secs(10)).unwrap();
    }
    let _server = library.serve();
    let job = library.over(&id).await;
    assert_eq!(job["state"], "finished", "{job}");
    assert_eq!(job["result"]["version"], "help@1", "{job}");
    assert_eq!(library.versions(), 1);
    assert_eq!(library.index().n_documents(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_stops_gives_its_job_back_and_the_attempt_does_not_count() {
    let library = Library::new().await;
    let mut server = library.serve();
    let slow = slow_pdf();
    let id = library.submit(&server, &[("slow.pdf", &slow)]).await;
    library.until(&id, &["running"]).await;
    server.signal("-TERM");
    assert_eq!(server.end(Duration::from_secs(60)), Some(0));
    let job = library.job(&id);
    assert_eq!((&job["state"], &job["attempts"]), (&json!("waiting"), &json!(0)), "{job}");
    assert_eq!(library.versions(), 0);
    let _next = library.serve();
    let job = library.over(&id).await;
    assert_eq!((&job["state"], &job["attempts"]), (&json!("finished"), &json!(1)), "{job}");
    assert_eq!(library.versions(), 1);
}
