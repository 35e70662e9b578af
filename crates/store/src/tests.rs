//! Tests of the store against a scripted HTTP server and a real disk.

mod absence;
mod checkpoints;
mod observed;
mod polling;

use super::*;
use axum::{
    extract::{Request, State},
    http::{HeaderMap, Method, StatusCode},
    response::{IntoResponse as _, Response},
};
use botops_findings::FaultKind;
use std::{
    collections::{BTreeMap, VecDeque},
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

/// The reaction of the server to one request.
#[derive(Debug, Clone, Copy)]
enum Act {
    /// Refuses the request with a status and a code in an S3 error body.
    Refuse(u16, &'static str),
    /// Executes the request, then answers with an error status.
    ExecuteThenFail(u16),
    /// Executes the request, then never answers.
    ExecuteThenStall,
    /// Stores the bytes of another writer, then answers with an error status.
    LoseThenFail(u16),
}

/// A bucket of objects by path, with the reactions to the next requests; after them it works normally.
#[derive(Default)]
struct Bucket {
    objects: Mutex<BTreeMap<String, Bytes>>,
    script: Mutex<VecDeque<Act>>,
    requests: Mutex<Vec<String>>,
    /// Ignores `If-None-Match`, as some servers do.
    overwrites: AtomicBool,
}

/// The proof of a store that was written to before.
const PROVED: &[u8] = br#"{"id":"0123456789abcdef","schema":"botops.store/1"}"#;

async fn answer(State(bucket): State<Arc<Bucket>>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
    let path = head.uri.path().to_owned();
    if head.method == Method::GET && path.ends_with("/probes/proof.json") {
        // Read once by every writer. The script is about the other requests.
        return match bucket.objects.lock().unwrap().get(&path) {
            Some(proof) => found(proof.clone()),
            None => StatusCode::NOT_FOUND.into_response(),
        };
    }
    bucket.requests.lock().unwrap().push(format!("{} {path}", head.method));
    let act = bucket.script.lock().unwrap().pop_front();
    let refusal = |status: u16, code: &str| {
        let body = format!("<Error><Code>{code}</Code><Message>scripted</Message></Error>");
        (StatusCode::from_u16(status).unwrap(), body).into_response()
    };
    if let Some(Act::Refuse(status, code)) = act {
        return refusal(status, code);
    }
    if let Some(Act::LoseThenFail(status)) = act {
        bucket.objects.lock().unwrap().insert(path, Bytes::from_static(b"theirs"));
        return refusal(status, "InternalError");
    }
    let done = bucket.behave(&head.method, path, body, &head.headers, refusal);
    match act {
        Some(Act::ExecuteThenFail(status)) => refusal(status, "InternalError"),
        Some(Act::ExecuteThenStall) => std::future::pending().await,
        _ => done,
    }
}

fn found(bytes: Bytes) -> Response {
    let modified = ("last-modified", "Fri, 20 Nov 2026 10:00:00 GMT");
    ([("etag", "\"1\""), modified], bytes).into_response()
}

impl Bucket {
    fn behave(
        &self,
        method: &Method,
        path: String,
        body: Bytes,
        headers: &HeaderMap,
        refusal: impl Fn(u16, &str) -> Response,
    ) -> Response {
        let mut objects = self.objects.lock().unwrap();
        let object = objects.get(&path).cloned();
        let conditional = headers.get("if-none-match").is_some_and(|value| value == "*");
        assert!(method != Method::PUT || conditional, "an object could be overwritten");
        match (method, object) {
            (&Method::PUT, Some(_)) if !self.overwrites.load(Ordering::SeqCst) => {
                refusal(412, "PreconditionFailed")
            }
            (&Method::PUT, _) => {
                objects.insert(path, body);
                [("etag", "\"1\"")].into_response()
            }
            (_, Some(bytes)) => found(bytes),
            (_, None) => refusal(404, "NoSuchKey"),
        }
    }
}

fn quick() -> Retries {
    Retries { tries: 4, first_pause: Duration::from_millis(1), at_most: Duration::from_secs(5) }
}

fn settings(endpoint: &str) -> BTreeMap<String, String> {
    [
        ("AWS_ENDPOINT_URL", endpoint),
        ("AWS_ACCESS_KEY_ID", "key"),
        ("AWS_SECRET_ACCESS_KEY", "secret"),
        ("AWS_REGION", "us-east-1"),
        ("AWS_TIMEOUT", "2 seconds"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into()
}

async fn scripted(script: &[Act]) -> (Store, Arc<Bucket>) {
    let (store, bucket) = fresh(script).await;
    let proof = "/bucket/some%20prefix/probes/proof.json".to_owned();
    bucket.objects.lock().unwrap().insert(proof, Bytes::from_static(PROVED));
    (store, bucket)
}

/// Returns a store that nobody has written to.
async fn fresh(script: &[Act]) -> (Store, Arc<Bucket>) {
    let bucket = Arc::new(Bucket::default());
    bucket.script.lock().unwrap().extend(script);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let app = axum::Router::new().fallback(answer).with_state(bucket.clone());
    tokio::spawn(async move { axum::serve(listener, app).await });
    let store = Store::open("s3://bucket/some prefix", &settings(&endpoint)).unwrap();
    (store.with_retries(quick()), bucket)
}

fn puts(bucket: &Bucket) -> usize {
    bucket.requests.lock().unwrap().iter().filter(|request| request.starts_with("PUT")).count()
}

#[tokio::test]
async fn a_server_error_before_the_write_is_retried() {
    let (store, bucket) = scripted(&[Act::Refuse(503, "SlowDown"), Act::Refuse(500, "X")]).await;
    assert!(store.create("a", Bytes::from_static(b"ours")).await.unwrap());
    assert_eq!(puts(&bucket), 3);
    assert_eq!(bucket.objects.lock().unwrap()["/bucket/some%20prefix/a"], "ours");
}

#[tokio::test]
async fn a_write_whose_response_was_lost_counts_as_written() {
    for act in [Act::ExecuteThenFail(500), Act::ExecuteThenFail(503), Act::ExecuteThenStall] {
        let (store, bucket) = scripted(&[act]).await;
        assert!(store.create("a", Bytes::from_static(b"ours")).await.unwrap(), "{act:?}");
        assert_eq!(puts(&bucket), 2, "{act:?}");
    }
}

#[tokio::test]
async fn a_write_whose_response_was_lost_counts_as_written_even_if_all_later_tries_fail() {
    let mut script = vec![Act::ExecuteThenFail(500)];
    script.extend([Act::Refuse(500, "InternalError"); 3]);
    let (store, _) = scripted(&script).await;
    assert!(store.create("a", Bytes::from_static(b"ours")).await.unwrap());
}

#[tokio::test]
async fn a_race_lost_during_a_server_error_is_not_a_win() {
    let (store, _) = scripted(&[Act::LoseThenFail(500)]).await;
    assert!(!store.create("a", Bytes::from_static(b"ours")).await.unwrap());
}

#[tokio::test]
async fn a_lost_append_is_a_conflict_and_an_ambiguous_one_of_our_own_is_not() {
    let (store, _) = scripted(&[Act::ExecuteThenFail(502)]).await;
    let log = store.log::<String>("log");
    let first = match log.append(None, "ours".to_owned()).await.unwrap() {
        Appended::Written(entry) => entry,
        Appended::Conflict => panic!("the entry was attributed to another writer"),
    };
    let late = store.log::<String>("log");
    let lost = late.append(None, "theirs".to_owned()).await.unwrap();
    assert!(matches!(lost, Appended::Conflict));
    let second = late.append(Some(&first), "next".to_owned()).await.unwrap();
    let Appended::Written(second) = second else { panic!("nobody else wrote entry 2") };
    let stored = store.read("log/00000000000000000001.json").await.unwrap().unwrap();
    assert_eq!(second.previous, Some(Digest::of(&stored)));
}

#[tokio::test]
async fn a_conditional_request_in_flight_is_retried() {
    let conflict = Act::Refuse(409, "ConditionalRequestConflict");
    let (store, bucket) = scripted(&[conflict, conflict]).await;
    assert!(store.create("a", Bytes::from_static(b"ours")).await.unwrap());
    assert_eq!(puts(&bucket), 3);
}

#[tokio::test]
async fn an_existing_object_is_left_unchanged_without_retries() {
    let (store, bucket) = scripted(&[]).await;
    assert!(store.create("a", Bytes::from_static(b"first")).await.unwrap());
    // Equal bytes do not count as written: without a lost response, this call wrote nothing.
    assert!(!store.create("a", Bytes::from_static(b"first")).await.unwrap());
    assert!(!store.create("a", Bytes::from_static(b"second")).await.unwrap());
    assert_eq!(puts(&bucket), 3);
    assert_eq!(store.read("a").await.unwrap().unwrap(), "first");
}

#[tokio::test]
async fn each_status_has_its_fault() {
    let forever = |status, code| [Act::Refuse(status, code); 4];
    let cases = [
        (503, "SlowDown", "BOT-5003", FaultKind::Unreachable),
        (429, "TooManyRequests", "BOT-5003", FaultKind::Unreachable),
        (409, "OperationAborted", "BOT-5003", FaultKind::Unreachable),
        (403, "AccessDenied", "BOT-5002", FaultKind::Internal),
        (401, "InvalidToken", "BOT-5002", FaultKind::Internal),
        (400, "InvalidRequest", "BOT-5002", FaultKind::Internal),
        (501, "NotImplemented", "BOT-5002", FaultKind::Internal),
        (404, "NoSuchBucket", "BOT-5008", FaultKind::Usage),
    ];
    for (status, code, expected, kind) in cases {
        let (store, bucket) = scripted(&forever(status, code)).await;
        let fault = store.create("a", Bytes::from_static(b"x")).await.unwrap_err();
        assert_eq!((fault.code(), fault.kind()), (expected, kind), "{status} {code}");
        assert_eq!(fault.place().file.as_deref(), Some("s3://bucket/some prefix/a"));
        assert!(!fault.hints().is_empty());
        let is_transient = kind == FaultKind::Unreachable;
        assert_eq!(puts(&bucket), if is_transient { 4 } else { 1 }, "{status} {code}");
    }
    let (store, _) = scripted(&forever(403, "AccessDenied")).await;
    let fault = store.read("a").await.unwrap_err();
    assert_eq!(
        fault.message(),
        "`s3://bucket/some prefix` cannot be read: 403 AccessDenied: scripted"
    );
    let (store, _) = scripted(&forever(404, "NoSuchBucket")).await;
    assert_eq!(store.read("a").await.unwrap_err().message(), "bucket `bucket` does not exist");
    let (store, _) = scripted(&[]).await;
    assert_eq!(store.read("a").await.unwrap(), None);
}

#[tokio::test]
async fn a_missing_server_is_unreachable() {
    // The listener is dropped, so nothing listens at its address.
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let environment = settings(&format!("http://{free}"));
    let store = Store::open("s3://bucket/x", &environment).unwrap().with_retries(quick());
    for fault in [
        store.create("a", Bytes::new()).await.unwrap_err(),
        store.read("a").await.unwrap_err(),
        store.folders("models").await.unwrap_err(),
        store.log::<String>("log").entries().await.unwrap_err(),
    ] {
        assert_eq!((fault.code(), fault.kind()), ("BOT-5003", FaultKind::Unreachable));
        let expected = "`s3://bucket/x` cannot be reached after 4 tries: Connection refused";
        assert!(fault.message().starts_with(expected), "{fault}");
    }
}

#[tokio::test]
async fn a_local_store_is_created_by_its_first_write() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("dépôt de modèles #1/100% größe");
    let store = Store::open(place.to_str().unwrap(), &std::collections::BTreeMap::new()).unwrap();
    assert_eq!(store.folders("models").await.unwrap(), Vec::<String>::new());
    assert!(store.log::<String>("log").entries().await.unwrap().is_empty());
    assert_eq!(store.read("a").await.unwrap(), None);
    assert!(!place.exists(), "reading created the folder");
    assert!(store.create("models/m/a", Bytes::from_static(b"x")).await.unwrap());
    assert_eq!(std::fs::read(place.join("models/m/a")).unwrap(), b"x");
    assert_eq!(store.folders("models").await.unwrap(), ["m"]);

    let url = url::Url::from_directory_path(&place).unwrap();
    let by_url = Store::open(url.as_str(), &std::collections::BTreeMap::new()).unwrap();
    assert_eq!(by_url.read("models/m/a").await.unwrap().unwrap(), "x");
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_folder_that_cannot_be_written_is_reported() {
    // Even root cannot create a folder in sysfs.
    let store = Store::open("/sys/kernel/botops", &std::collections::BTreeMap::new()).unwrap();
    let fault = store.put_blob(Bytes::from_static(b"x")).await.unwrap_err();
    assert_eq!((fault.code(), fault.kind()), ("BOT-5002", FaultKind::Internal));
    let expected = "`/sys/kernel/botops` cannot be written: ";
    assert!(fault.message().starts_with(expected), "{fault}");
}

#[test]
fn each_disk_error_has_its_fault() {
    use std::io::{Error, ErrorKind};
    let of = |kind: ErrorKind| {
        let source = Box::new(Error::from(kind));
        let error = object_store::Error::Generic { store: "LocalFileSystem", source };
        failure::fault("registry", "registry/a", Operation::Write, error, 1)
    };
    for permanent in [
        ErrorKind::StorageFull,
        ErrorKind::ReadOnlyFilesystem,
        ErrorKind::PermissionDenied,
        ErrorKind::QuotaExceeded,
        ErrorKind::NotADirectory,
    ] {
        let fault = of(permanent);
        assert_eq!((fault.code(), fault.kind()), ("BOT-5002", FaultKind::Internal), "{permanent}");
    }
    let full = of(ErrorKind::StorageFull);
    assert_eq!(full.message(), "`registry` cannot be written: no storage space");
    assert_eq!(full.hints(), ["free some space, then run the command again"]);
    assert_eq!(of(ErrorKind::TimedOut).kind(), FaultKind::Unreachable);
}

#[test]
fn missing_credentials_are_not_reported_as_a_network_failure() {
    let text = "Error performing PUT http://169.254.169.254/latest/api/token in 5ms";
    for source in [text.to_owned(), format!("{text} - non-2xx status code: 403 Forbidden: ")] {
        let error = object_store::Error::Generic { store: "S3", source: source.into() };
        let fault = failure::fault("s3://b/x", "s3://b/x/a", Operation::Read, error, 6);
        assert!(fault.message().ends_with(": no credentials were found"), "{fault}");
        assert!(fault.hints()[0].starts_with("set `AWS_ACCESS_KEY_ID`"), "{:?}", fault.hints());
    }
}

#[tokio::test]
async fn leftovers_of_killed_writers_are_ignored() {
    let folder = tempfile::tempdir().unwrap();
    let store =
        Store::open(folder.path().to_str().unwrap(), &std::collections::BTreeMap::new()).unwrap();
    let log = store.log::<u32>("log");
    let Appended::Written(first) = log.append(None, 1).await.unwrap() else {
        panic!("no other writer")
    };
    // The names of temporary files of a local store, and of files from other tools.
    let strays = ["00000000000000000002.json#1", "00000000000000000002.json#2"];
    for stray in strays.into_iter().chain([".DS_Store", "notes.json", "2.json"]) {
        std::fs::write(folder.path().join("log").join(stray), b"{\"half").unwrap();
    }
    // The writer of the first is gone, that of the second may still be at work.
    let leftover = folder.path().join("log").join(strays[0]);
    let file = std::fs::File::options().write(true).open(&leftover).unwrap();
    file.set_modified(std::time::SystemTime::now() - Duration::from_secs(3600)).unwrap();
    assert_eq!(store.log::<u32>("log").entries().await.unwrap().len(), 1);
    assert!(matches!(log.append(Some(&first), 2).await.unwrap(), Appended::Written(_)));
    assert!(!leftover.exists(), "the write of the object removes its leftovers");
    assert!(folder.path().join("log").join(strays[1]).exists(), "not those of a living writer");
    assert!(folder.path().join("log/notes.json").exists(), "other files are left alone");
    let payloads: Vec<_> =
        log.entries().await.unwrap().into_iter().map(|entry| entry.payload).collect();
    assert_eq!(payloads, [1, 2]);
}

#[tokio::test]
async fn a_payload_that_would_break_the_log_is_not_written() {
    let store = Store::in_memory();
    let log = store.log::<f64>("log");
    let fault = log.append(None, f64::NAN).await.unwrap_err();
    assert_eq!(fault.code(), "BOT-5019");
    assert!(log.is_empty().await.unwrap());
}

#[tokio::test]
async fn a_log_is_read_from_the_last_known_entry_on() {
    let store = Store::in_memory();
    let log = store.log::<u32>("log");
    let mut last = None;
    let mut third = None;
    for payload in 1..=5 {
        let Appended::Written(entry) = log.append(last.as_ref(), payload).await.unwrap() else {
            panic!("nobody else writes")
        };
        if payload == 3 {
            third = Some(entry.clone());
        }
        last = Some(entry);
    }
    let reader = store.log::<u32>("log");
    let newer = reader.entries_after(&third.unwrap()).await.unwrap();
    assert_eq!(newer.iter().map(|entry| entry.payload).collect::<Vec<_>>(), [4, 5]);
    assert!(reader.entries_after(&last.unwrap()).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_log_continued_by_a_newer_program_keeps_its_chain() {
    // Parsing drops unknown members of an entry, but the link to it must be the digest of its stored bytes.
    #[derive(serde::Serialize, serde::Deserialize)]
    struct Newer {
        known: u32,
        unknown: f64,
    }
    #[derive(serde::Serialize, serde::Deserialize)]
    struct Older {
        known: u32,
    }
    let store = Store::in_memory();
    let newer = Newer { known: 1, unknown: 0.1 + 0.2 };
    store.log::<Newer>("log").append(None, newer).await.unwrap();
    let log = store.log::<Older>("log");
    let entries = log.entries().await.unwrap();
    let fresh = store.log::<Older>("log");
    fresh.append(entries.last(), Older { known: 2 }).await.unwrap();
    assert_eq!(log.entries().await.unwrap().iter().map(|e| e.payload.known).sum::<u32>(), 3);
}

#[tokio::test]
async fn leftovers_of_other_objects_are_removed_by_the_first_write() {
    let folder = tempfile::tempdir().unwrap();
    let leftover = folder.path().join("blobs/sha256/ab/abcd#1");
    let young = folder.path().join("blobs/sha256/ab/abce#1");
    let other = folder.path().join("notes #1.txt");
    std::fs::create_dir_all(leftover.parent().unwrap()).unwrap();
    for path in [&leftover, &young, &other] {
        std::fs::write(path, b"half").unwrap();
    }
    let hour = Duration::from_secs(3600);
    for path in [&leftover, &other] {
        let file = std::fs::File::options().write(true).open(path).unwrap();
        file.set_modified(std::time::SystemTime::now() - hour).unwrap();
    }
    let location = folder.path().to_str().unwrap();
    let store = Store::open(location, &BTreeMap::new()).unwrap();
    store.create("a", Bytes::from_static(b"x")).await.unwrap();
    assert!(!leftover.exists());
    assert!(young.exists(), "its writer may still be at work");
    assert!(other.exists(), "this is not the name of a leftover");
}

#[tokio::test]
async fn a_store_that_ignores_the_condition_is_refused_at_its_first_write() {
    let (store, bucket) = fresh(&[]).await;
    bucket.overwrites.store(true, Ordering::SeqCst);
    for _ in 0..2 {
        let fault = store.put_blob(Bytes::from_static(b"x")).await.unwrap_err();
        assert_eq!((fault.code(), fault.kind()), ("BOT-5030", FaultKind::Internal), "{fault}");
    }
    let objects: Vec<String> = bucket.objects.lock().unwrap().keys().cloned().collect();
    assert_eq!(objects, ["/bucket/some%20prefix/probes/identity.json"], "nothing else is written");
    // The same server, after an upgrade that supports the condition.
    bucket.overwrites.store(false, Ordering::SeqCst);
    store.put_blob(Bytes::from_static(b"x")).await.unwrap();
}

#[tokio::test]
async fn the_proof_is_kept_in_the_store() {
    let (store, bucket) = fresh(&[]).await;
    assert_eq!(store.read("a").await.unwrap(), None);
    assert!(bucket.objects.lock().unwrap().is_empty(), "a read writes nothing");
    store.create("a", Bytes::from_static(b"x")).await.unwrap();
    assert_eq!(puts(&bucket), 4, "the probe twice, the proof, the object");
    store.clone().create("b", Bytes::from_static(b"x")).await.unwrap();
    assert_eq!(puts(&bucket), 5);
    let proof = store.read("probes/proof.json").await.unwrap().unwrap();
    assert_eq!(store.read("probes/identity.json").await.unwrap(), Some(proof));
}

fn local(folder: &std::path::Path) -> Store {
    Store::open(folder.to_str().unwrap(), &BTreeMap::new()).unwrap()
}

#[tokio::test]
async fn a_folder_that_vanished_is_not_created_again() {
    let outer = tempfile::tempdir().unwrap();
    let folder = outer.path().join("registry");
    let store = local(&folder);
    let digest = store.put_blob(Bytes::from_static(b"x")).await.unwrap();
    let moved = outer.path().join("moved");
    std::fs::rename(&folder, &moved).unwrap();
    let refused = async |store: &Store| {
        let fault = store.create("b", Bytes::from_static(b"x")).await.unwrap_err();
        assert_eq!((fault.code(), fault.kind()), ("BOT-6062", FaultKind::Unreachable), "{fault}");
    };
    refused(&store).await;
    assert!(!folder.exists());
    let fault = store.blob(&digest).await.unwrap_err();
    assert_eq!(fault.code(), "BOT-6062", "not one object is missing, but the store");
    // An unmounted disk leaves an empty folder.
    std::fs::create_dir(&folder).unwrap();
    refused(&store).await;
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 0);
    // Another store in its place.
    local(&folder).create("a", Bytes::from_static(b"x")).await.unwrap();
    refused(&store).await;
    std::fs::remove_dir_all(&folder).unwrap();
    std::fs::rename(&moved, &folder).unwrap();
    store.create("b", Bytes::from_static(b"x")).await.unwrap();
    store.blob(&digest).await.unwrap();
    std::fs::remove_file(folder.join(blob_path(&digest))).unwrap();
    assert_eq!(store.blob(&digest).await.unwrap_err().code(), "BOT-5004");
}

#[tokio::test]
async fn a_folder_without_identity_that_vanished_is_not_created_again() {
    let outer = tempfile::tempdir().unwrap();
    let folder = outer.path().join("registry");
    std::fs::create_dir_all(folder.join("models")).unwrap();
    let store = local(&folder);
    std::fs::remove_dir_all(&folder).unwrap();
    let fault = store.create("a", Bytes::from_static(b"x")).await.unwrap_err();
    assert_eq!(fault.code(), "BOT-6062");
    assert!(!folder.exists());
}

#[cfg(unix)]
#[tokio::test]
async fn a_pipe_in_the_place_of_an_object_is_reported_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let store = local(folder.path());
    let digest = store.put_blob(Bytes::from_static(b"x")).await.unwrap();
    let path = folder.path().join(blob_path(&digest));
    std::fs::remove_file(&path).unwrap();
    assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
    let read = tokio::time::timeout(Duration::from_secs(5), store.blob(&digest)).await;
    let fault = read.expect("the read waits for a writer of the pipe").unwrap_err();
    assert_eq!(fault.code(), "BOT-5002");
    assert!(fault.message().ends_with("it is a pipe or a device, not a file"), "{fault}");
    let read = tokio::time::timeout(Duration::from_secs(5), store.has_blob(&digest)).await;
    assert!(read.expect("the look waits for a writer of the pipe").is_err());
}

#[cfg(unix)]
#[tokio::test]
async fn what_is_not_a_file_in_the_place_of_the_next_entry_is_a_fault_and_no_conflict() {
    let folder = tempfile::tempdir().unwrap();
    let store = local(folder.path());
    let log = store.log::<u32>("models/support/log");
    let Appended::Written(first) = log.append(None, 1).await.unwrap() else {
        panic!("nobody else wrote entry 1")
    };
    let slot = folder.path().join("models/support/log/00000000000000000002.json");
    let refused = async |what: &str| {
        let append = tokio::time::timeout(Duration::from_secs(5), log.append(Some(&first), 2));
        let fault = append.await.expect("the append waits").expect_err(what);
        assert_eq!(fault.code(), "BOT-5002", "{what}: {fault}");
        let place = fault.place().file.clone().unwrap_or_default();
        assert!(place.ends_with("log/00000000000000000002.json"), "{what}: {place}");
    };
    std::fs::create_dir(&slot).unwrap();
    refused("a folder").await;
    std::fs::remove_dir(&slot).unwrap();
    std::os::unix::fs::symlink("nowhere", &slot).unwrap();
    refused("a dangling link").await;
    std::fs::remove_file(&slot).unwrap();
    assert!(std::process::Command::new("mkfifo").arg(&slot).status().unwrap().success());
    refused("a pipe").await;
    std::fs::remove_file(&slot).unwrap();
    assert!(matches!(log.append(Some(&first), 2).await.unwrap(), Appended::Written(_)));
}
