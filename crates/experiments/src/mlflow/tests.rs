//! The export to a simulated server, which keeps the data, enforces the limits of the API and fails on request. The tests
//! in `tests/it/runs` use a real server.

use super::*;
use crate::{Artifact, CodeState, Environment, Experiments, RunRecord};
use axum::{
    Json, Router,
    body::Bytes as Body,
    extract::State,
    http::{HeaderMap, Method, StatusCode, Uri},
    response::{IntoResponse as _, Response},
};
use botops_digest::Digest;
use botops_evaluation::Metric;
use botops_findings::{Fault, FaultKind};
use botops_http::PlainHttp;
use botops_store::Store;
use botops_workspace::Secret;
use bytes::Bytes;
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex},
};

fn record() -> RunRecord {
    let params = (0..250).map(|i| (format!("model.p{i}"), json!(i)));
    RunRecord {
        schema: "botops.run/1".to_owned(),
        id: "20261120-0123456789ab".to_owned(),
        kind: "train".to_owned(),
        started_at: "2026-11-20T10:00:00Z".parse().unwrap(),
        finished_at: "2026-11-20T10:00:03Z".parse().unwrap(),
        params: params.chain([("model.head.kind".to_owned(), json!("linear_svm"))]).collect(),
        metrics: [("accuracy".to_owned(), Metric { value: 0.9, ci95: [0.88, 0.92], n: 500 })]
            .into(),
        data: [("test".to_owned(), Digest::of(b"test"))].into(),
        code: CodeState { git_commit: Some("abc".to_owned()), git_dirty: Some(false) },
        environment: Environment::default(),
        artifacts: vec![Artifact::of("model.botops", b"model"), Artifact::of("a #1/log.txt", b"")],
        stages: BTreeMap::new(),
        sources: BTreeMap::new(),
        recipe: None,
        measured_on: None,
        costs: Vec::new(),
        twin_of: None,
    }
}

/// The reaction of the server to one request.
#[derive(Debug, Clone, Copy)]
enum Reaction {
    /// It handles the request.
    Handle,
    /// It does nothing and answers with this status.
    Refuse(u16),
    /// It handles the request, but answers with this status.
    HandleAndFail(u16),
}

/// The state of the server, and its reactions to the next requests. After these it handles every request.
#[derive(Default)]
struct Tracking {
    experiments: Mutex<BTreeMap<String, &'static str>>,
    runs: Mutex<Vec<Value>>,
    files: Mutex<BTreeMap<String, Bytes>>,
    requests: Mutex<Vec<String>>,
    script: Mutex<VecDeque<Reaction>>,
    /// The header that every request must have.
    authorization: Option<&'static str>,
    /// The root of the artifact URIs of new runs.
    root: &'static str,
}

async fn answer(
    State(server): State<Arc<Tracking>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let path = uri.path().to_owned();
    server.requests.lock().unwrap().push(format!("{method} {path}"));
    let reaction = server.script.lock().unwrap().pop_front().unwrap_or(Reaction::Handle);
    let respond = |status: u16| (StatusCode::from_u16(status).unwrap(), "as told").into_response();
    if let Reaction::Refuse(status) = reaction {
        return respond(status);
    }
    let given = headers.get("authorization").map(|value| value.to_str().unwrap());
    if server.authorization.is_some_and(|expected| given != Some(expected)) {
        return (StatusCode::UNAUTHORIZED, "who are you?").into_response();
    }
    let done = match path.strip_prefix("/tracking/api/2.0/") {
        Some(path) => server.handle(path, uri.query().unwrap_or_default(), body),
        None => StatusCode::NOT_FOUND.into_response(),
    };
    match reaction {
        Reaction::HandleAndFail(status) => respond(status),
        _ => done,
    }
}

fn refusal(code: &str) -> Response {
    let status = if code == "RESOURCE_DOES_NOT_EXIST" { 404 } else { 400 };
    let body = Json(json!({"error_code": code, "message": "as the API has it\nand more"}));
    (StatusCode::from_u16(status).unwrap(), body).into_response()
}

impl Tracking {
    fn handle(&self, path: &str, query: &str, body: Body) -> Response {
        if let Some(file) = path.strip_prefix("mlflow-artifacts/artifacts/") {
            self.files.lock().unwrap().insert(file.to_owned(), body);
            return Json(json!({})).into_response();
        }
        let sent: Value = serde_json::from_slice(&body).unwrap_or_default();
        match path {
            "mlflow/experiments/get-by-name" => {
                match self
                    .experiments
                    .lock()
                    .unwrap()
                    .get(query.trim_start_matches("experiment_name="))
                {
                    Some(stage) => Json(
                        json!({"experiment": {"experiment_id": "7", "lifecycle_stage": stage}}),
                    )
                    .into_response(),
                    None => refusal("RESOURCE_DOES_NOT_EXIST"),
                }
            }
            "mlflow/experiments/create" => {
                let name = sent["name"].as_str().unwrap().to_owned();
                match self.experiments.lock().unwrap().insert(name, "active") {
                    None => Json(json!({"experiment_id": "7"})).into_response(),
                    Some(_) => refusal("RESOURCE_ALREADY_EXISTS"),
                }
            }
            "mlflow/runs/create" => {
                let mut runs = self.runs.lock().unwrap();
                let id = format!("run{}", runs.len());
                let uri = format!("{}/7/{id}/artifacts", self.root);
                let info = json!({"run_id": id, "artifact_uri": uri, "status": "RUNNING"});
                let run = json!({"info": info, "data": {"tags": sent["tags"], "params": [], "metrics": []}});
                runs.push(run.clone());
                Json(json!({"run": run})).into_response()
            }
            "mlflow/runs/search" => {
                let wanted = sent["filter"].as_str().unwrap().to_owned();
                let runs = self.runs.lock().unwrap();
                let found: Vec<&Value> = runs
                    .iter()
                    .filter(|run| {
                        run["data"]["tags"].as_array().unwrap().iter().any(|tag| {
                            format!(
                                "tags.`{}` = '{}'",
                                tag["key"].as_str().unwrap(),
                                tag["value"].as_str().unwrap()
                            ) == wanted
                        })
                    })
                    .collect();
                Json(if found.is_empty() { json!({}) } else { json!({"runs": found}) })
                    .into_response()
            }
            "mlflow/runs/log-batch" => self.log(&sent),
            "mlflow/runs/update" => {
                let mut runs = self.runs.lock().unwrap();
                let run =
                    runs.iter_mut().find(|run| run["info"]["run_id"] == sent["run_id"]).unwrap();
                run["info"]["status"] = sent["status"].clone();
                Json(json!({})).into_response()
            }
            _ => StatusCode::NOT_FOUND.into_response(),
        }
    }

    fn log(&self, sent: &Value) -> Response {
        let mut runs = self.runs.lock().unwrap();
        let run = runs.iter_mut().find(|run| run["info"]["run_id"] == sent["run_id"]).unwrap();
        for (kind, most) in [("params", 100), ("tags", 100), ("metrics", 1_000)] {
            let new = sent[kind].as_array().cloned().unwrap_or_default();
            if new.len() > most {
                return refusal("INVALID_PARAMETER_VALUE");
            }
            let known = run["data"][kind].as_array_mut().unwrap();
            for member in new {
                match known.iter_mut().find(|old| old["key"] == member["key"]) {
                    Some(old) if kind == "params" && *old != member => {
                        return refusal("INVALID_PARAMETER_VALUE");
                    }
                    Some(old) => *old = member,
                    None => known.push(member),
                }
            }
        }
        Json(json!({})).into_response()
    }

    fn asked(&self, what: &str) -> usize {
        self.requests.lock().unwrap().iter().filter(|request| request.ends_with(what)).count()
    }
}

async fn serve(server: Tracking) -> (Arc<Tracking>, String) {
    let server = Arc::new(server);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    // Behind a prefix, as gateways put it.
    let url = format!("http://{}/tracking/", listener.local_addr().unwrap());
    let app = Router::new().fallback(answer).with_state(server.clone());
    tokio::spawn(async move { axum::serve(listener, app).await });
    (server, url)
}

fn server() -> Tracking {
    Tracking { root: "mlflow-artifacts:", ..Tracking::default() }
}

async fn export(url: &str, credentials: Credentials) -> Result<Exported, Fault> {
    let experiments = Experiments::open(Store::in_memory());
    for bytes in [&b"model"[..], b""] {
        experiments.store().put_blob(Bytes::copy_from_slice(bytes)).await.unwrap();
    }
    let server = Mlflow::new(PlainHttp::Loopback, url, credentials)?;
    server.export(&translate(&record(), "ada"), "support", &experiments, &|_| ()).await
}

#[tokio::test]
async fn a_run_is_exported_completely_and_a_second_export_changes_nothing() {
    let (server, url) = serve(server()).await;
    let first = export(&url, Credentials::None).await.unwrap();
    assert_eq!((first.outcome, first.files_sent), (Outcome::Created, 2));
    assert_eq!(first.page, format!("{}#/experiments/7/runs/run0", url));
    {
        let runs = server.runs.lock().unwrap();
        let members = |kind: &str| runs[0]["data"][kind].as_array().unwrap().len();
        assert_eq!((runs.len(), members("params"), members("metrics")), (1, 251, 3));
        assert_eq!(runs[0]["info"]["status"], "FINISHED");
        let files = server.files.lock().unwrap();
        let paths: Vec<&String> = files.keys().collect();
        assert_eq!(paths, ["7/run0/artifacts/a%20_1/log.txt", "7/run0/artifacts/model.botops"]);
        assert_eq!(files["7/run0/artifacts/model.botops"], "model");
    }
    let before = server.requests.lock().unwrap().len();
    let second = export(&url, Credentials::None).await.unwrap();
    assert_eq!(second, Exported { outcome: Outcome::Unchanged, files_sent: 0, ..first });
    assert_eq!(server.requests.lock().unwrap().len() - before, 2, "it only reads");
}

/// The number of requests in an export of [`record`]: look for the experiment and make it, look for the run and make it,
/// a batch of tags, three of params, one of metrics, two files, the last tag, the end.
const REQUESTS: usize = 13;

#[tokio::test]
async fn an_interrupted_export_is_completed_and_not_repeated() {
    for done in 0..REQUESTS {
        let (server, url) = serve(server()).await;
        let mut script = vec![Reaction::Handle; done];
        script.push(Reaction::Refuse(418));
        *server.script.lock().unwrap() = script.into();
        let fault = export(&url, Credentials::None).await.unwrap_err();
        assert_eq!((fault.code(), fault.kind()), ("BOT-5043", FaultKind::Internal), "{done}");
        let again = export(&url, Credentials::None).await.unwrap();
        // Before the fourth request there was no run yet.
        let expected = if done < 4 { Outcome::Created } else { Outcome::Completed };
        assert_eq!((again.outcome, server.runs.lock().unwrap().len()), (expected, 1), "{done}");
        assert_eq!(server.files.lock().unwrap().len(), 2);
        let last = export(&url, Credentials::None).await.unwrap();
        assert_eq!(last.outcome, Outcome::Unchanged, "{done}");
    }
}

#[tokio::test]
async fn a_request_that_fails_is_retried_and_takes_effect_once() {
    for reaction in [
        Reaction::Refuse(503),
        Reaction::HandleAndFail(502),
        Reaction::Refuse(429),
        Reaction::HandleAndFail(500),
    ] {
        for at in 0..REQUESTS {
            let (server, url) = serve(server()).await;
            let mut script = vec![Reaction::Handle; at];
            script.push(reaction);
            *server.script.lock().unwrap() = script.into();
            let exported = export(&url, Credentials::None).await.unwrap();
            assert_eq!(exported.outcome, Outcome::Created, "{reaction:?} at {at}");
            assert_eq!(server.runs.lock().unwrap().len(), 1, "{reaction:?} at {at}");
            assert_eq!(server.experiments.lock().unwrap().len(), 1, "{reaction:?} at {at}");
            assert_eq!(server.runs.lock().unwrap()[0]["info"]["status"], "FINISHED");
        }
    }
}

#[tokio::test]
async fn a_server_that_fails_or_does_not_listen_is_unreachable() {
    let (server, url) = serve(server()).await;
    *server.script.lock().unwrap() = vec![Reaction::Refuse(503); 6].into();
    let fault = export(&url, Credentials::None).await.unwrap_err();
    assert_eq!((fault.code(), fault.kind()), ("BOT-5041", FaultKind::Unreachable));
    assert_eq!(server.asked("get-by-name"), 6);
    // Bound and dropped, so nothing listens there.
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let fault = export(&format!("http://{free}"), Credentials::None).await.unwrap_err();
    assert_eq!((fault.code(), fault.kind()), ("BOT-5041", FaultKind::Unreachable));
    let message = format!("the tracking server at `http://{free}` cannot be reached: ");
    assert!(fault.message().starts_with(&message), "{fault}");
}

#[tokio::test]
async fn credentials_are_sent_and_never_shown_in_a_fault() {
    let basic = || Credentials::Basic { user: "ada".to_owned(), password: Secret::new("sesame") };
    // base64 of `ada:sesame`.
    for (expected, credentials) in [
        ("Bearer hunter2", Credentials::Token(Secret::new("hunter2"))),
        ("Basic YWRhOnNlc2FtZQ==", basic()),
    ] {
        let (_, url) = serve(Tracking { authorization: Some(expected), ..server() }).await;
        export(&url, credentials).await.unwrap();
    }
    let (_, url) = serve(Tracking { authorization: Some("Bearer other"), ..server() }).await;
    for (credentials, hint) in
        [(basic(), "check the credentials"), (Credentials::None, "set `MLFLOW")]
    {
        let shown = format!("{credentials:?}");
        let fault = export(&url, credentials).await.unwrap_err();
        assert_eq!((fault.code(), fault.kind()), ("BOT-5042", FaultKind::Policy));
        assert!(fault.hints()[0].starts_with(hint), "{:?}", fault.hints());
        let text = format!("{fault:?} {:?} {shown}", fault.hints());
        assert!(
            fault.message().ends_with("401: who are you?") && !text.contains("sesame"),
            "{text}"
        );
    }
}

#[tokio::test]
async fn a_deleted_experiment_and_a_server_without_the_api_have_their_faults() {
    let server = server();
    server.experiments.lock().unwrap().insert("support".to_owned(), "deleted");
    let (_, url) = serve(server).await;
    let fault = export(&url, Credentials::None).await.unwrap_err();
    assert_eq!((fault.code(), fault.kind()), ("BOT-5045", FaultKind::Usage));
    let elsewhere = url.replace("/tracking/", "/elsewhere");
    let fault = export(&elsewhere, Credentials::None).await.unwrap_err();
    assert!(fault.message().ends_with("it answered 404"), "{fault}");
    assert!(fault.hints()[0].contains("--url"));
}

#[tokio::test]
async fn files_are_reported_as_not_sent_without_an_artifact_proxy() {
    let (server, url) = serve(Tracking { root: "s3://bucket", ..server() }).await;
    let exported = export(&url, Credentials::None).await.unwrap();
    assert_eq!((exported.files_sent, exported.files_elsewhere.as_deref()), (0, Some("s3")));
    assert!(server.files.lock().unwrap().is_empty());
}

#[test]
fn an_address_is_an_http_url_without_credentials() {
    let refused = |url: &str| {
        let fault = Mlflow::new(PlainHttp::Loopback, url, Credentials::None).unwrap_err();
        assert_eq!((fault.code(), fault.kind()), ("BOT-5040", FaultKind::Usage));
        assert!(!format!("{fault:?} {:?}", fault.hints()).contains("sesame"), "{fault}");
    };
    for url in
        ["", "127.0.0.1:5000", "file:///mlruns", "databricks", "http://", "http:/ /ada:sesame@host"]
    {
        refused(url);
    }
    refused("http://ada:sesame@host:5000");
    let server =
        Mlflow::new(PlainHttp::Loopback, "http://host:5000/#/experiments/1", Credentials::None);
    assert_eq!(server.unwrap().url(), "http://host:5000");
}

#[test]
fn credentials_go_over_plain_http_only_to_this_machine_unless_that_is_allowed() {
    let token = || Credentials::Token(Secret::new("t0psecret"));
    let password =
        || Credentials::Basic { user: "ada".to_owned(), password: Secret::new("t0psecret") };
    for credentials in [token(), password()] {
        let at = |plain, url| Mlflow::new(plain, url, credentials.clone());
        for safe in ["https://mlflow.example", "http://127.0.0.1:5000"] {
            at(PlainHttp::Loopback, safe).unwrap();
        }
        let fault = at(PlainHttp::Loopback, "http://mlflow.example").unwrap_err();
        assert_eq!((fault.code(), fault.kind()), ("BOT-1032", FaultKind::Usage));
        assert!(!fault.to_string().contains("t0psecret"), "{fault}");
        at(PlainHttp::Anywhere, "http://mlflow.example").unwrap();
    }
    Mlflow::new(PlainHttp::Loopback, "http://mlflow.example", Credentials::None).unwrap();
}

#[test]
fn a_run_is_shortened_to_the_limits_of_the_api() {
    let mut record = record();
    record.params = [
        ("classes".to_owned(), json!("é".repeat(7_000))),
        ("weight.où?".to_owned(), json!(1)),
        ("weight.o_!".to_owned(), json!(2)),
        ("x".repeat(300), json!(null)),
    ]
    .into();
    record.stages = [("gate".to_owned(), "failed".to_owned())].into();
    let run = translate(&record, "ada");
    assert_eq!(run.shortened, ["classes"]);
    assert_eq!(run.params["classes"].chars().count(), 6_000);
    assert_eq!(
        (run.params["weight.o__"].as_str(), run.params["weight.o___2"].as_str()),
        ("2", "1")
    );
    assert!(run.params.keys().all(|name| name.len() <= 250));
    assert_eq!(
        (run.status, run.start_time, run.end_time),
        ("FAILED", 1_795_168_800_000, 1_795_168_803_000)
    );
    assert_eq!(run.tags["mlflow.source.git.commit"], "abc");
    let metric = &run.metrics[1];
    assert_eq!(
        (metric.key.as_str(), metric.value, metric.timestamp),
        ("accuracy.ci95_lower", 0.88, run.end_time)
    );
}
