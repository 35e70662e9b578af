//! Uploads, removals and jobs through the admin API of a running server.

use super::{
    Running, ServerSettings, Source, UploadSettings, champion_tests::Bench, server::start,
    tests::settings,
};
use botops_digest::Digest;
use botops_findings::Result;
use botops_knowledge::store::{IndexRequest, Indexer, OutlinedDocument};
use botops_registry::Registry;
use botops_workspace::Secret;
use bytes::Bytes;
use serde_json::{Value, json};
use std::{sync::Arc, time::Duration};

/// A status, a code, and a file with its name.
type Case = (u16, &'static str, (&'static str, Vec<u8>));

const TOKEN: &str = "the shared token of these tests, long enough";

/// An indexer that writes how many files an index has.
struct Counting;

impl Indexer for Counting {
    fn build(&self, request: &IndexRequest<'_>) -> Result<Bytes> {
        Ok(format!("{} of {}", request.files.len(), request.name).into())
    }

    fn outline(&self, _: &[u8]) -> Result<Vec<OutlinedDocument>> {
        Ok(Vec::new())
    }
}

async fn serve(registry: &Registry) -> Running {
    let settings = ServerSettings {
        admin_token: Some(Secret::new(TOKEN)),
        uploads: UploadSettings {
            file_bytes: 2_000,
            total_bytes: 3_000,
            files: 3,
            indexer: Some(Arc::new(Counting)),
            ..UploadSettings::default()
        },
        ..settings()
    };
    let source =
        Source::Registry { registry: registry.clone(), model: "support".to_owned(), pinned: None };
    start(settings, source).await.unwrap()
}

/// Sends a request to the admin API.
async fn send(
    running: &Running,
    method: &str,
    path: &str,
    body: (&str, Vec<u8>),
    key: Option<&str>,
) -> (u16, Value) {
    let url = format!("http://{}{path}", running.admin_address().unwrap());
    let method = botops_http::Method::from_bytes(method.as_bytes()).unwrap();
    let mut request = super::client::http().unwrap().request(method, url).bearer_auth(TOKEN);
    request = request.header("content-type", body.0).body(body.1);
    if let Some(key) = key {
        request = request.header("idempotency-key", key);
    }
    let answer = request.send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

/// Makes a form of parts: the name, the file name, and the content.
fn form(parts: &[(&str, Option<&str>, &[u8])]) -> (&'static str, Vec<u8>) {
    let mut body = Vec::new();
    for (name, file, content) in parts {
        let file = file.map_or(String::new(), |file| format!("; filename=\"{file}\""));
        let head =
            format!("--xyz\r\nContent-Disposition: form-data; name=\"{name}\"{file}\r\n\r\n");
        body.extend_from_slice(head.as_bytes());
        body.extend_from_slice(content);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(b"--xyz--\r\n");
    ("multipart/form-data; boundary=xyz", body)
}

/// Waits until a job is over.
async fn over(running: &Running, id: &str) -> Value {
    for _ in 0..600 {
        let path = format!("/admin/v1/jobs/{id}");
        let (status, job) =
            send(running, "GET", &path, ("application/json", Vec::new()), None).await;
        assert_eq!(status, 200, "{job}");
        if !matches!(job["state"].as_str().unwrap(), "waiting" | "running") {
            return job;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("job {id} does not end");
}

const DOCUMENTS: &str = "/admin/v1/knowledge/help/documents";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upload_becomes_a_version_by_a_job_and_a_removal_another() {
    let registry = Bench::new().await.registry;
    let running = serve(&registry).await;
    let text = b"# Returns\n\nReturns are free within 30 days.\n";
    let upload = form(&[
        ("reason", None, b"the new rules"),
        ("file", Some("shop/returns.md"), text),
        ("file", Some("hours.txt"), b"The shop is open from 9 to 5."),
    ]);
    let (status, dry) =
        send(&running, "POST", &format!("{DOCUMENTS}?dry_run=true"), upload.clone(), None).await;
    assert_eq!((status, &dry["files"]), (200, &json!(["shop/returns.md", "hours.txt"])));
    assert!(!registry.store().has_blob(&Digest::of(text)).await.unwrap());

    let (status, taken) = send(&running, "POST", DOCUMENTS, upload.clone(), Some("k1")).await;
    assert_eq!(status, 202, "{taken}");
    assert!(
        registry.store().has_blob(&Digest::of(text)).await.unwrap(),
        "stored before the answer"
    );
    let id = taken["job"]["id"].as_str().unwrap().to_owned();
    let (status, again) = send(&running, "POST", DOCUMENTS, upload, Some("k1")).await;
    assert_eq!((status, again["job"]["id"].as_str()), (202, Some(id.as_str())));
    let other = form(&[("file", Some("hours.txt"), b"The shop is closed.")]);
    let (status, refused) = send(&running, "POST", DOCUMENTS, other, Some("k1")).await;
    assert_eq!((status, &refused["code"]), (409, &json!("BOT-7405")));
    let job = over(&running, &id).await;
    assert_eq!(job["state"], "finished", "{job}");
    assert_eq!(job["result"]["version"], "help@1");
    assert!(job["result"]["next"].as_str().unwrap().contains("--knowledge help@1"), "{job}");

    let none = || ("application/json", Vec::new());
    let (_, shown) = send(&running, "GET", "/admin/v1/knowledge/help", none(), None).await;
    assert_eq!((&shown["version"], &shown["actor"]), (&json!("help@1"), &json!("admin")));
    let ids: Vec<_> = shown["documents"].as_array().unwrap().iter().map(|it| &it["id"]).collect();
    assert_eq!(ids, ["hours.txt", "shop/returns.md"]);
    let path = format!("{DOCUMENTS}/shop%2Freturns.md");
    let (status, taken) = send(&running, "DELETE", &path, none(), None).await;
    assert_eq!(status, 202, "{taken}");
    let job = over(&running, taken["job"]["id"].as_str().unwrap()).await;
    assert_eq!(job["result"]["imported"]["removed"], json!(["shop/returns.md"]), "{job}");
    let (status, refused) = send(&running, "DELETE", &path, none(), None).await;
    assert_eq!((status, &refused["code"]), (404, &json!("BOT-7417")));
    let (_, all) = send(&running, "GET", "/admin/v1/jobs?all=true", none(), None).await;
    assert_eq!(all["jobs"].as_array().unwrap().len(), 2);
    let (_, open) = send(&running, "GET", "/admin/v1/jobs", none(), None).await;
    assert_eq!(open["jobs"], json!([]));
    let path = format!("/admin/v1/jobs/{id}/cancel");
    let (status, refused) = send(&running, "POST", &path, none(), None).await;
    assert_eq!((status, &refused["code"]), (409, &json!("BOT-7402")));
    running.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upload_that_cannot_be_used_is_refused_and_makes_no_job() {
    let registry = Bench::new().await.registry;
    let running = serve(&registry).await;
    let long = vec![b'a'; 2_001];
    let most = vec![b'a'; 1_600];
    let file = |name: &'static str, content: &'static [u8]| form(&[("file", Some(name), content)]);
    let cases: Vec<Case> = vec![
        (413, "BOT-7411", form(&[("file", Some("long.md"), &long)])),
        (413, "BOT-7411", form(&[("file", Some("a.md"), &most), ("file", Some("b.md"), &most)])),
        (413, "BOT-7411", ("multipart/form-data; boundary=xyz", vec![b'a'; 40_000])),
        (
            413,
            "BOT-7411",
            form(&[
                ("file", Some("a"), b"1"),
                ("file", Some("b"), b"1"),
                ("file", Some("c"), b"1"),
                ("file", Some("d"), b"1"),
            ]),
        ),
        (415, "BOT-7414", file("notes.md", b"\x7fELF\x00\x00\x01")),
        (422, "BOT-7412", file("../notes.md", b"text")),
        (422, "BOT-7412", file("/etc/notes.md", b"text")),
        (422, "BOT-7412", file("empty.md", b"")),
        (422, "BOT-7412", form(&[("file", Some("a.md"), b"1"), ("file", Some("a.md"), b"2")])),
        (422, "BOT-7412", form(&[("color", None, b"red"), ("file", Some("a.md"), b"1")])),
        (422, "BOT-7412", form(&[("language", None, b"en")])),
        (422, "BOT-7410", ("application/json", b"{}".to_vec())),
        (422, "BOT-7410", ("multipart/form-data; boundary=xyz", b"--xyz\r\nContent-".to_vec())),
    ];
    for (status, code, body) in cases {
        let shown = String::from_utf8_lossy(&body.1[..body.1.len().min(120)]).into_owned();
        let (found, problem) = send(&running, "POST", DOCUMENTS, body, None).await;
        assert_eq!((found, problem["code"].as_str()), (status, Some(code)), "{shown}: {problem}");
    }
    let path = "/admin/v1/knowledge/Not%20A%20Name/documents";
    let (status, problem) = send(&running, "POST", path, file("a.md", b"1"), None).await;
    assert_eq!((status, &problem["code"]), (422, &json!("BOT-7231")));
    assert!(registry.store().folders("jobs").await.unwrap().is_empty());
    let none = ("application/json", Vec::new());
    let (status, problem) = send(&running, "GET", "/admin/v1/jobs/latest", none, None).await;
    assert_eq!((status, &problem["code"]), (404, &json!("BOT-7400")));
    running.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_that_one_server_took_in_is_done_by_the_next() {
    let registry = Bench::new().await.registry;
    // Taken in by a server that stopped at once.
    let mut order = super::knowledge_work::KnowledgeOrder::new("before the restart");
    let digest = registry.store().put_blob("The shop is open.".into()).await.unwrap();
    let (name, size_bytes) = ("hours.txt".to_owned(), 17);
    order.put = vec![super::knowledge_work::UploadedFile { name, digest, size_bytes }];
    let jobs = botops_jobs::Jobs::open(registry.store().clone());
    let request = botops_jobs::JobRequest::new("knowledge", "help", "ada", order.to_json());
    let id = jobs.submit(request, chrono::Utc::now()).await.unwrap().job.id;
    let running = serve(&registry).await;
    let job = over(&running, &id).await;
    assert_eq!((&job["state"], &job["result"]["version"]), (&json!("finished"), &json!("help@1")));
    running.shutdown().await;
}
