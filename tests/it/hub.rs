//! Encoders by name, from a hub on this machine: downloads, checks, the cache, and refusals with their messages.

use crate::terminal::{Terminal, two_intents};
use axum::{
    Router,
    extract::{Path as Parameters, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use botops_digest::Digest;
use botops_features::{Encoder, EncoderSpec, Hub, HubSource};
use botops_findings::{Fault, FaultKind};
use botops_http::PlainHttp;
use botops_tiny_encoder::Tiny;
use std::{
    collections::BTreeMap,
    fs,
    io::{Read as _, Write as _},
    net::SocketAddr,
    path::Path,
    sync::{Arc, Mutex},
};
use tempfile::TempDir;

/// The requests to the hub and to the server of large files: the path, and the token if there was one.
type Requests = Arc<Mutex<Vec<(String, Option<String>)>>>;

/// A hub with the encoder `owner/tiny`, and its faults.
#[derive(Clone, Default)]
struct FakeHub {
    files: BTreeMap<&'static str, Vec<u8>>,
    /// The digest of the weights that the hub announces.
    announced: String,
    /// The address of the server of large files.
    large_files_at: Option<SocketAddr>,
    /// The status of every answer, if set.
    status: Option<u16>,
    requests: Requests,
}

impl FakeHub {
    fn new() -> Self {
        let files = Tiny::bert().files();
        let announced = Digest::of(&files["model.safetensors"]).hex();
        Self { files, announced, ..Self::default() }
    }

    /// Serves the hub, and large files from another port. Returns the address of the hub.
    async fn serve(mut self) -> String {
        let large = Router::new().route("/{*file}", get(serve_file)).with_state(self.clone());
        self.large_files_at = Some(listen(large).await);
        let routes = Router::new()
            .route("/{owner}/{name}/resolve/{revision}/{*file}", get(resolve))
            .route("/cache/{*file}", get(serve_file))
            .with_state(self);
        format!("http://{}", listen(routes).await)
    }

    fn requests(&self) -> Vec<(String, Option<String>)> {
        self.requests.lock().unwrap().clone()
    }
}

async fn listen(routes: Router) -> SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, routes).await });
    address
}

fn record_request(hub: &FakeHub, path: String, headers: &HeaderMap) {
    let token = headers.get(header::AUTHORIZATION).map(|token| token.to_str().unwrap().to_owned());
    hub.requests.lock().unwrap().push((path, token));
}

/// Answers as the real hub does: small files directly or from its own cache, large ones from another server.
async fn resolve(
    State(hub): State<FakeHub>,
    Parameters((owner, name, revision, file)): Parameters<(String, String, String, String)>,
    headers: HeaderMap,
) -> Response {
    record_request(&hub, format!("{owner}/{name}@{revision}/{file}"), &headers);
    if let Some(status) = hub.status {
        return StatusCode::from_u16(status).unwrap().into_response();
    }
    let Some(bytes) = hub
        .files
        .get(file.as_str())
        .filter(|_| (owner.as_str(), name.as_str()) == ("owner", "tiny"))
    else {
        return StatusCode::NOT_FOUND.into_response();
    };
    match file.as_str() {
        "model.safetensors" => (
            StatusCode::FOUND,
            [
                (
                    header::LOCATION.as_str(),
                    format!("http://{}/{file}?signature=s3cret", hub.large_files_at.unwrap()),
                ),
                ("x-linked-etag", format!("\"{}\"", hub.announced)),
                ("x-linked-size", hub.files["model.safetensors"].len().to_string()),
                ("x-repo-commit", "0123456789abcdef0123456789abcdef01234567".to_owned()),
            ],
        )
            .into_response(),
        "tokenizer.json" => {
            (StatusCode::TEMPORARY_REDIRECT, [(header::LOCATION, format!("/cache/{file}"))])
                .into_response()
        }
        // The digest of a git object cannot be compared with the contents.
        _ => ([(header::ETAG, "\"d6f0a1b7c95f4a0c9f0e8f2b7c95f4a0c9f0e8f2\"")], bytes.clone())
            .into_response(),
    }
}

/// Returns the file, with an ETag that is not its digest.
async fn serve_file(
    State(hub): State<FakeHub>,
    Parameters(file): Parameters<String>,
    headers: HeaderMap,
) -> Response {
    record_request(&hub, file.clone(), &headers);
    let etag = format!("\"{}\"", "ab".repeat(32));
    match file.as_str() {
        // Only an ETag of the hub itself is trusted, and this is another server.
        "model.safetensors" => {
            ([(header::ETAG, etag)], hub.files[file.as_str()].clone()).into_response()
        }
        _ => hub.files[file.as_str()].clone().into_response(),
    }
}

fn source() -> HubSource {
    "hf://owner/tiny".parse().unwrap()
}

fn hub(cache: &Path, endpoint: &str) -> Hub {
    Hub::new(cache, Some(endpoint), None, false)
}

/// Returns the fault of a download from the hub at `endpoint`, after which the cache must be empty.
async fn refused(endpoint: &str) -> Fault {
    let cache = TempDir::new().unwrap();
    let hub = hub(cache.path(), endpoint);
    let fault = hub.fetch(&source(), &|_| ()).await.unwrap_err();
    assert!(hub.cached(&source()).unwrap().is_none());
    let left: Vec<_> =
        fs::read_dir(cache.path().join("owner/tiny")).map_or(Vec::new(), Iterator::collect);
    assert!(left.is_empty(), "{left:?}");
    fault
}

#[tokio::test]
async fn an_encoder_is_downloaded_once_verified_and_cached() {
    let (fake, cache) = (FakeHub::new(), TempDir::new().unwrap());
    let endpoint = fake.clone().serve().await;
    let hub = hub(cache.path(), &endpoint);
    let came = Mutex::new(0);
    let files = hub.fetch(&source(), &|n| *came.lock().unwrap() += n).await.unwrap();
    assert_eq!(files.weights, fake.files["model.safetensors"]);
    assert_eq!(files.pooling.as_ref(), Some(&fake.files["1_Pooling/config.json"]));
    let total: usize = fake.files.values().map(Vec::len).sum();
    assert_eq!(came.into_inner().unwrap(), total as u64);
    assert!(Encoder::new(&files, &EncoderSpec::new("hf://owner/tiny")).is_ok());
    let requests: Vec<String> = fake.requests().into_iter().map(|(path, _)| path).collect();
    assert_eq!(
        requests,
        [
            "owner/tiny@main/config.json",
            "owner/tiny@main/tokenizer.json",
            "tokenizer.json",
            "owner/tiny@main/model.safetensors",
            "model.safetensors",
            "owner/tiny@main/1_Pooling/config.json",
        ]
    );
    // A second fetch sends no requests, and works offline.
    hub.fetch(&source(), &|_| ()).await.unwrap();
    assert_eq!(fake.requests().len(), requests.len());
    let offline = Hub::new(cache.path(), Some("http://127.0.0.1:1"), None, true);
    assert_eq!(offline.fetch(&source(), &|_| ()).await.unwrap().config, files.config);
    let home = cache.path().join("owner/tiny");
    let names: Vec<_> =
        fs::read_dir(&home).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["main"]);
    let lock: serde_json::Value =
        serde_json::from_slice(&fs::read(home.join("main/encoder.lock.json")).unwrap()).unwrap();
    assert_eq!(lock["source"], "hf://owner/tiny@main");
    assert_eq!(lock["commit"], "0123456789abcdef0123456789abcdef01234567");
    assert_eq!(lock["files"]["model.safetensors"]["digest"], format!("sha256:{}", fake.announced));
    assert_eq!(lock["files"]["model.safetensors"]["announced"], true);
    assert_eq!(lock["files"]["config.json"]["announced"], false);
}

#[tokio::test]
async fn a_revision_has_its_own_folder_and_pooling_is_optional() {
    let (mut fake, cache) = (FakeHub::new(), TempDir::new().unwrap());
    fake.files.remove("1_Pooling/config.json");
    let endpoint = fake.clone().serve().await;
    let hub = hub(cache.path(), &format!("{endpoint}/"));
    let source: HubSource = "hf://owner/tiny@refs/pr/1".parse().unwrap();
    assert!(hub.fetch(&source, &|_| ()).await.unwrap().pooling.is_none());
    assert_eq!(fake.requests()[0].0, "owner/tiny@refs/pr/1/config.json");
    assert!(cache.path().join("owner/tiny/refs%2Fpr%2F1/config.json").is_file());
}

#[tokio::test]
async fn a_token_is_sent_only_to_the_hub_and_never_printed() {
    let (fake, cache) = (FakeHub::new(), TempDir::new().unwrap());
    let endpoint = fake.clone().serve().await;
    let hub = Hub::new(cache.path(), Some(&endpoint), Some("hf_token\n".to_owned()), false);
    hub.fetch(&source(), &|_| ()).await.unwrap();
    for (path, token) in fake.requests() {
        // The weights are on another port, which is another origin.
        let expected = (path != "model.safetensors").then_some("Bearer hf_token");
        assert_eq!(token.as_deref(), expected, "{path}");
    }
    assert!(!format!("{hub:?}").contains("hf_token"));
}

#[tokio::test]
async fn a_token_goes_over_plain_http_only_to_this_machine_unless_that_is_allowed() {
    let cache = TempDir::new().unwrap();
    let hub = || {
        let token = Some("hf_token".to_owned());
        Hub::new(cache.path(), Some("http://hub.invalid:9"), token, false)
    };
    let fault = hub().fetch(&source(), &|_| ()).await.unwrap_err();
    assert_eq!((fault.code(), fault.kind()), ("BOT-1032", FaultKind::Usage));
    let fault = hub().over(PlainHttp::Anywhere).fetch(&source(), &|_| ()).await.unwrap_err();
    assert_eq!((fault.code(), fault.kind()), ("BOT-7026", FaultKind::Unreachable));
}

#[tokio::test]
async fn a_file_with_an_unexpected_digest_is_not_cached() {
    let mut fake = FakeHub::new();
    fake.announced = "cd".repeat(32);
    let fault = refused(&fake.serve().await).await;
    assert_eq!((fault.code(), fault.kind()), ("BOT-7029", FaultKind::Gate));
    assert!(
        fault.message().starts_with(
            "`model.safetensors` of `hf://owner/tiny@main` is not the file that the hub announced"
        ),
        "{fault}"
    );
}

#[tokio::test]
async fn an_unreachable_hub_is_safe_to_retry_and_a_folder_is_suggested() {
    for (endpoint, offline) in [("http://127.0.0.1:1", false), ("http://127.0.0.1:1", true)] {
        let cache = TempDir::new().unwrap();
        let hub = Hub::new(cache.path(), Some(endpoint), None, offline);
        let fault = hub.fetch(&source(), &|_| ()).await.unwrap_err();
        assert_eq!((fault.code(), fault.kind()), ("BOT-7026", FaultKind::Unreachable));
        assert!(
            fault.hints().iter().any(|hint| hint.contains("set `source` to a folder")),
            "{:?}",
            fault.hints()
        );
    }
    let busy = refused(&FakeHub { status: Some(503), ..FakeHub::new() }.serve().await).await;
    assert_eq!((busy.code(), busy.kind()), ("BOT-7026", FaultKind::Unreachable));
}

#[tokio::test]
async fn a_broken_download_leaves_no_file() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let _ = stream.read(&mut [0; 4096]).unwrap();
        stream
            .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n{\"model_type\"")
            .unwrap();
    });
    let fault = refused(&endpoint).await;
    server.join().unwrap();
    assert_eq!((fault.code(), fault.kind()), ("BOT-7026", FaultKind::Unreachable));
    assert!(fault.message().ends_with("the connection broke"), "{fault}");
}

#[tokio::test]
async fn files_that_the_hub_lacks_or_refuses_are_reported() {
    let mut fake = FakeHub::new();
    fake.files.remove("model.safetensors");
    let fault = refused(&fake.serve().await).await;
    assert_eq!((fault.code(), fault.kind()), ("BOT-7027", FaultKind::Usage));
    assert_eq!(fault.message(), "the hub has no `model.safetensors` of `hf://owner/tiny@main`");
    for status in [401, 403] {
        let fault =
            refused(&FakeHub { status: Some(status), ..FakeHub::new() }.serve().await).await;
        assert_eq!((fault.code(), fault.kind()), ("BOT-7027", FaultKind::Usage));
        assert!(fault.hints()[0].contains("`HF_TOKEN`"), "{:?}", fault.hints());
    }
}

#[tokio::test]
async fn endless_redirects_are_refused() {
    async fn redirect() -> Response {
        (StatusCode::FOUND, [(header::LOCATION, "/on")]).into_response()
    }
    let address = listen(Router::new().route("/{*path}", get(redirect))).await;
    let fault = refused(&format!("http://{address}")).await;
    assert_eq!(
        (fault.code(), fault.message()),
        ("BOT-7026", "the hub redirects `hf://owner/tiny@main` more than 5 times")
    );
}

#[tokio::test]
async fn an_altered_cache_is_not_used() {
    let cache = TempDir::new().unwrap();
    let hub = hub(cache.path(), &FakeHub::new().serve().await);
    hub.fetch(&source(), &|_| ()).await.unwrap();
    let folder = hub.folder(&source());
    let config = folder.join("config.json");
    let sound = fs::read(&config).unwrap();
    fs::write(&config, [&sound[..], b" "].concat()).unwrap();
    let fault = hub.cached(&source()).unwrap_err();
    assert_eq!((fault.code(), fault.kind()), ("BOT-7029", FaultKind::Gate));
    assert_eq!(fault.place().file.as_deref(), config.to_str());
    assert!(fault.hints()[0].starts_with("remove `"), "{:?}", fault.hints());
    // The altered file is not overwritten either: somebody may have changed it on purpose.
    assert_eq!(hub.fetch(&source(), &|_| ()).await.unwrap_err().code(), "BOT-7029");
    fs::write(&config, sound).unwrap();
    assert!(hub.cached(&source()).unwrap().is_some());
    fs::remove_file(folder.join("1_Pooling/config.json")).unwrap();
    assert_eq!(hub.cached(&source()).unwrap_err().code(), "BOT-7029");
    fs::remove_file(folder.join("encoder.lock.json")).unwrap();
    assert!(hub.cached(&source()).unwrap_err().message().ends_with("has no record of its digests"));
    fs::remove_dir_all(&folder).unwrap();
    assert!(hub.cached(&source()).unwrap().is_none());
}

#[tokio::test]
async fn an_invalid_endpoint_is_a_usage_error_only_when_it_is_needed() {
    for endpoint in ["huggingface.co", "ftp://huggingface.co", "https://user:pass@huggingface.co"] {
        let fault = refused(endpoint).await;
        assert_eq!((fault.code(), fault.kind()), ("BOT-7025", FaultKind::Usage), "{endpoint}");
    }
    // A cached encoder, or none, needs no hub.
    let (fake, cache) = (FakeHub::new(), TempDir::new().unwrap());
    let endpoint = fake.clone().serve().await;
    hub(cache.path(), &endpoint).fetch(&source(), &|_| ()).await.unwrap();
    hub(cache.path(), "nowhere").fetch(&source(), &|_| ()).await.unwrap();

    const PIPELINE: &str = "version: 1
name: plain
stages:
  - validate: { data: data.csv }
  - split: { from: validate, test_share: 0.25 }
  - train: { from: split, model: { head: { kind: complement_naive_bayes } } }
";
    tokio::task::spawn_blocking(|| {
        let terminal = Terminal::new();
        terminal.write("botops.yaml", "version: 1\nmodel: support\n").write("p.yaml", PIPELINE);
        terminal.write("data.csv", two_intents(60));
        let mut command = terminal.command("run p.yaml");
        let output = terminal.show(command.env("HF_ENDPOINT", "nowhere"));
        assert!(output.starts_with("exit: 0\n"), "{output}");
    })
    .await
    .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn training_and_pipelines_accept_a_hub_name_in_place_of_a_folder() {
    const PIPELINE: &str = "version: 1
name: named
stages:
  - validate: { data: data.csv }
  - split: { from: validate, test_share: 0.25 }
  - train:
      from: split
      model: { features: { kind: encoder, encoder: { source: hf://owner/tiny } }, goldens: 4 }
";
    let fake = FakeHub::new();
    let endpoint = fake.clone().serve().await;
    tokio::task::spawn_blocking(move || {
        let terminal = Terminal::new();
        terminal.write("botops.yaml", "version: 1\nmodel: support\n").write("p.yaml", PIPELINE);
        terminal.write("data.csv", two_intents(60));
        let train = |endpoint: &str, out: &str| {
            let line = format!("train data.csv --encoder hf://owner/tiny --out {out}");
            let mut command = terminal.command(&line);
            terminal.show(command.env("HF_ENDPOINT", endpoint).env("HF_TOKEN", "hf_s3cret"))
        };
        let output = train("http://127.0.0.1:1", "m.botops");
        assert!(output.starts_with("exit: 7\n") && output.contains("BOT-7026"), "{output}");
        assert!(!output.contains("hf_s3cret"), "{output}");
        assert!(!terminal.path().join("m.botops").exists());
        let output = train(&endpoint, "m.botops");
        assert!(output.starts_with("exit: 0\n"), "{output}");
        assert!(output.contains("hf://owner/tiny@main is downloaded into "), "{output}");
        let requests = fake.requests().len();
        // The encoder and its embeddings are now cached: no request, no embedding, and the same result.
        let output = train("http://127.0.0.1:1", "again.botops");
        assert!(output.starts_with("exit: 0\n") && !output.contains("downloaded"), "{output}");
        assert_eq!(fake.requests().len(), requests);
        let read = |name: &str| fs::read(terminal.path().join(name)).unwrap();
        assert_eq!(read("m.botops"), read("again.botops"));
        let output = terminal.run("run p.yaml");
        assert!(output.starts_with("exit: 0\n"), "{output}");
        let status = terminal.stdout("pipeline status p.yaml");
        assert!(!status.contains("stale"), "{status}");
        // An altered segment of the cache is reported, and the result is the same.
        let folder = terminal.path().join(".botops/embeddings");
        let kept = fs::read_dir(fs::read_dir(folder).unwrap().next().unwrap().unwrap().path());
        let segment = kept.unwrap().next().unwrap().unwrap().path();
        let mut bytes = fs::read(&segment).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        fs::write(&segment, bytes).unwrap();
        let output = train("http://127.0.0.1:1", "third.botops");
        assert!(output.starts_with("exit: 0\n") && output.contains("BOT-7028"), "{output}");
        assert_eq!(read("m.botops"), read("third.botops"));
        let output = terminal.run("train data.csv --encoder hf://owner --out n.botops");
        assert!(output.starts_with("exit: 2\n") && output.contains("BOT-7025"), "{output}");
    })
    .await
    .unwrap();
}
