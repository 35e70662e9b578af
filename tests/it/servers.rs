//! Servers for tests: S3 by s3s-fs in this process and by moto in its own process, and a tracking server of MLflow.

use crate::support::tool;
use async_trait::async_trait;
use botops_store::Store;
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto::Builder,
};
use object_store::{
    ObjectStore,
    aws::{AmazonS3Builder, S3ConditionalPut},
    path::Path as ObjectPath,
    prefix::PrefixStore,
};
use s3s::{S3, S3Request, S3Response, S3Result, dto};
use std::{
    collections::BTreeMap,
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    os::unix::process::CommandExt as _,
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::Arc,
    thread::JoinHandle,
    time::{Duration, Instant},
};
use tokio::sync::oneshot;

/// The bucket that every server has.
pub(crate) const BUCKET: &str = "botops";
const KEY: &str = "test";
const SECRET: &str = "test-secret";

/// Returns the variables with which a store, or the program, reaches the server at `endpoint`.
pub(crate) fn settings(endpoint: &str) -> BTreeMap<String, String> {
    [
        ("AWS_ENDPOINT_URL", endpoint),
        ("AWS_ACCESS_KEY_ID", KEY),
        ("AWS_SECRET_ACCESS_KEY", SECRET),
        ("AWS_REGION", "us-east-1"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into()
}

/// Opens `s3://botops/<prefix>` at `endpoint`, as botops does and without botops, for tampering.
pub(crate) fn open(endpoint: &str, prefix: &str) -> (Store, Arc<dyn ObjectStore>) {
    let location = format!("s3://{BUCKET}/{prefix}");
    let store = Store::open(&location, &settings(endpoint)).unwrap();
    let raw = AmazonS3Builder::new()
        .with_endpoint(endpoint)
        .with_allow_http(true)
        .with_access_key_id(KEY)
        .with_secret_access_key(SECRET)
        .with_region("us-east-1")
        .with_bucket_name(BUCKET)
        .with_conditional_put(S3ConditionalPut::ETagMatch)
        .build()
        .unwrap();
    (store, Arc::new(PrefixStore::new(raw, ObjectPath::parse(prefix).unwrap())))
}

/// Returns whether a missing program fails a test, instead of skipping it.
pub(crate) fn require_all() -> bool {
    std::env::var_os("BOTOPS_REQUIRE_ALL").is_some_and(|value| value == "1")
}

/// Prints that a test is skipped because `what` is missing, or fails it under `BOTOPS_REQUIRE_ALL=1`.
pub(crate) fn skip(what: &str) {
    assert!(!require_all(), "BOTOPS_REQUIRE_ALL=1, and {what} is absent");
    eprintln!("SKIPPED: {what} is absent");
}

/// s3s-fs on a free loopback port, in its own thread. Stops when dropped.
pub(crate) struct S3Server {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
    _root: tempfile::TempDir,
}

impl S3Server {
    /// Starts a server with the empty bucket [`BUCKET`].
    pub(crate) fn start() -> Self {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir(root.path().join(BUCKET)).unwrap();
        let files = s3s_fs::FileSystem::new(root.path()).unwrap();
        let mut service = s3s::service::S3ServiceBuilder::new(Locked {
            files,
            writes: tokio::sync::Mutex::new(()),
        });
        service.set_auth(s3s::auth::SimpleAuth::from_single(KEY, SECRET));
        let service = service.build();

        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, mut stopped) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread()
                .worker_threads(2)
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async move {
                let listener = tokio::net::TcpListener::from_std(listener).unwrap();
                loop {
                    let socket = tokio::select! {
                        accepted = listener.accept() => accepted.unwrap().0,
                        _ = &mut stopped => return,
                    };
                    let service = service.clone();
                    tokio::spawn(async move {
                        let server = Builder::new(TokioExecutor::new());
                        let _ = server.serve_connection(TokioIo::new(socket), service).await;
                    });
                }
            });
        });
        Self { address, stop: Some(stop), thread: Some(thread), _root: root }
    }

    /// Returns its URL.
    pub(crate) fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for S3Server {
    fn drop(&mut self) {
        let _ = self.stop.take().map(|stop| stop.send(()));
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

/// s3s-fs checks and then writes, so two creates of one key may both succeed. One lock around writes makes it keep
/// the promise of S3. Races are tested on moto, which needs no such lock.
struct Locked {
    files: s3s_fs::FileSystem,
    writes: tokio::sync::Mutex<()>,
}

#[async_trait]
impl S3 for Locked {
    async fn put_object(
        &self,
        request: S3Request<dto::PutObjectInput>,
    ) -> S3Result<S3Response<dto::PutObjectOutput>> {
        let _alone = self.writes.lock().await;
        self.files.put_object(request).await
    }
    async fn get_object(
        &self,
        request: S3Request<dto::GetObjectInput>,
    ) -> S3Result<S3Response<dto::GetObjectOutput>> {
        self.files.get_object(request).await
    }
    async fn head_object(
        &self,
        request: S3Request<dto::HeadObjectInput>,
    ) -> S3Result<S3Response<dto::HeadObjectOutput>> {
        self.files.head_object(request).await
    }
    async fn list_objects_v2(
        &self,
        request: S3Request<dto::ListObjectsV2Input>,
    ) -> S3Result<S3Response<dto::ListObjectsV2Output>> {
        self.files.list_objects_v2(request).await
    }
    async fn delete_object(
        &self,
        request: S3Request<dto::DeleteObjectInput>,
    ) -> S3Result<S3Response<dto::DeleteObjectOutput>> {
        let _alone = self.writes.lock().await;
        self.files.delete_object(request).await
    }
    async fn delete_objects(
        &self,
        request: S3Request<dto::DeleteObjectsInput>,
    ) -> S3Result<S3Response<dto::DeleteObjectsOutput>> {
        let _alone = self.writes.lock().await;
        self.files.delete_objects(request).await
    }
}

/// A moto server on a free loopback port. Killed when dropped.
pub(crate) struct Moto {
    process: Child,
    address: SocketAddr,
}

impl Moto {
    /// Starts moto with the empty bucket [`BUCKET`]. Returns `None`, with a message, if it is not installed.
    ///
    /// The program is the one that `BOTOPS_MOTO_SERVER` names, or `moto_server` on the `PATH`.
    pub(crate) fn start() -> Option<Self> {
        let Some(program) = moto_server() else {
            skip("moto_server (pip install 'moto[server]'; BOTOPS_MOTO_SERVER names it)");
            return None;
        };
        // Another process may take the free port first; moto then ends at once.
        (0..5).find_map(|_| Self::start_once(&program)).or_else(|| panic!("moto does not start"))
    }

    fn start_once(program: &PathBuf) -> Option<Self> {
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let process = Command::new(program)
            .args(["-H", "127.0.0.1", "-p", &address.port().to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut moto = Self { process, address };
        let began = Instant::now();
        while began.elapsed() < Duration::from_secs(90) {
            if moto.process.try_wait().unwrap().is_some() {
                return None;
            }
            if moto.make_bucket(BUCKET).is_some() {
                return Some(moto);
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        None
    }

    /// Makes the empty bucket `name`.
    pub(crate) fn create_bucket(&self, name: &str) {
        self.make_bucket(name).unwrap();
    }

    fn make_bucket(&self, name: &str) -> Option<()> {
        let mut socket = TcpStream::connect(self.address).ok()?;
        socket.set_read_timeout(Some(Duration::from_secs(20))).ok()?;
        write!(
            socket,
            "PUT /{name} HTTP/1.1\r\nHost: {}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
            self.address
        )
        .ok()?;
        let mut answer = String::new();
        socket.read_to_string(&mut answer).ok()?;
        answer.lines().next()?.contains(" 200 ").then_some(())
    }

    /// Returns its URL.
    pub(crate) fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for Moto {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn moto_server() -> Option<PathBuf> {
    if let Some(named) = std::env::var_os("BOTOPS_MOTO_SERVER").filter(|named| !named.is_empty()) {
        return Some(PathBuf::from(named));
    }
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|folder| folder.join("moto_server"))
        .find(|program| program.is_file())
}

/// A tracking server of MLflow on a free loopback port, with its own database and files. Ended when dropped.
pub(crate) struct MlflowServer {
    process: Child,
    address: SocketAddr,
    _root: tempfile::TempDir,
}

impl MlflowServer {
    /// Starts a server. Returns `None`, with a message, if it is not installed.
    ///
    /// The program is the one that `BOTOPS_MLFLOW` names, or `mlflow` on the `PATH`.
    pub(crate) fn start() -> Option<Self> {
        let Some(program) = tool("BOTOPS_MLFLOW", "mlflow") else {
            skip("mlflow (pip install mlflow; BOTOPS_MLFLOW names it)");
            return None;
        };
        // Another process may take the free port first; the server then ends at once.
        (0..5).find_map(|_| Self::start_once(&program)).or_else(|| panic!("mlflow does not start"))
    }

    fn start_once(program: &PathBuf) -> Option<Self> {
        let root = tempfile::tempdir().unwrap();
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let log = std::fs::File::create(root.path().join("log")).unwrap();
        let process = Command::new(program)
            .args(["server", "--host", "127.0.0.1", "--port", &address.port().to_string()])
            .args(["--workers", "1", "--backend-store-uri"])
            .arg(format!("sqlite:///{}/runs.db", root.path().display()))
            .arg("--artifacts-destination")
            .arg(root.path().join("files"))
            .current_dir(root.path())
            .env("MLFLOW_DISABLE_TELEMETRY", "true")
            .env("MLFLOW_SERVER_ENABLE_JOB_EXECUTION", "false")
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            // The server starts workers, and all of them end with it.
            .process_group(0)
            .spawn()
            .unwrap();
        let mut server = Self { process, address, _root: root };
        let began = Instant::now();
        while began.elapsed() < Duration::from_secs(180) {
            if server.process.try_wait().unwrap().is_some() {
                return None;
            }
            if server.is_ready().is_some() {
                return Some(server);
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        let log = std::fs::read_to_string(server._root.path().join("log")).unwrap();
        panic!("mlflow does not answer:\n{log}");
    }

    fn is_ready(&self) -> Option<()> {
        let mut socket = TcpStream::connect(self.address).ok()?;
        socket.set_read_timeout(Some(Duration::from_secs(20))).ok()?;
        write!(
            socket,
            "GET /health HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n",
            self.address
        )
        .ok()?;
        let mut answer = String::new();
        socket.read_to_string(&mut answer).ok()?;
        answer.lines().next()?.contains(" 200 ").then_some(())
    }

    /// Returns its URL.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for MlflowServer {
    fn drop(&mut self) {
        let group = format!("-{}", self.process.id());
        let _ = Command::new("kill").args(["-KILL", "--", &group]).status();
        let _ = self.process.wait();
    }
}
