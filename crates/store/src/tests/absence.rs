//! The answer of a store to a request for an absent object.

use super::{Act, fresh, local, puts};
use botops_findings::FaultKind;

#[tokio::test]
async fn an_absent_object_is_absent_on_a_disk_and_on_a_server() {
    let folder = tempfile::tempdir().unwrap();
    let store = local(&folder.path().join("registry"));
    store.check_absence().await.unwrap();
    assert!(!folder.path().join("registry").exists(), "the check writes nothing");
    let (store, bucket) = fresh(&[Act::Refuse(503, "SlowDown")]).await;
    store.check_absence().await.unwrap();
    assert_eq!(puts(&bucket), 0);
    let requests = bucket.requests.lock().unwrap().clone();
    assert_eq!(requests.len(), 2, "one try after the overload: {requests:?}");
    assert!(requests[1].starts_with("GET /bucket/some%20prefix/probes/absent-"), "{requests:?}");
}

#[tokio::test]
async fn a_403_for_an_absent_object_names_the_permission() {
    let (store, _) = fresh(&[Act::Refuse(403, "AccessDenied")]).await;
    let fault = store.check_absence().await.unwrap_err();
    assert_eq!((fault.code(), fault.kind()), ("BOT-5052", FaultKind::Internal));
    let message = "`s3://bucket/some prefix` answers 403 instead of 404 for an absent object";
    assert_eq!(fault.message(), message);
    assert!(fault.hints()[0].starts_with("grant `s3:ListBucket` on `arn:aws:s3:::bucket`"));
    assert!(fault.hints()[1].contains("`arn:aws:s3:::bucket/some prefix/*`"));
}

#[tokio::test]
async fn a_server_that_stays_overloaded_is_unreachable() {
    let (store, _) = fresh(&[Act::Refuse(503, "SlowDown"); 4]).await;
    let fault = store.check_absence().await.unwrap_err();
    assert_eq!((fault.code(), fault.kind()), ("BOT-5003", FaultKind::Unreachable));
}
