//! The deployment log over a store whose responses are lost.

use super::*;
use botops_digest::canonical_json;
use botops_findings::FaultKind;
use futures::stream::BoxStream;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, PutMultipartOptions, PutOptions, PutPayload, PutResult, memory::InMemory,
    path::Path,
};
use std::sync::atomic::{AtomicBool, Ordering};

/// A store whose writes succeed and whose responses are lost while `mute` is set.
#[derive(Debug, Default)]
struct Mute {
    inner: InMemory,
    mute: AtomicBool,
}

impl Mute {
    fn respond<T>(&self, response: object_store::Result<T>) -> object_store::Result<T> {
        if self.mute.load(Ordering::SeqCst) {
            Err(Error::Generic { store: "mute", source: "the response was lost".into() })
        } else {
            response
        }
    }
}

impl std::fmt::Display for Mute {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Mute")
    }
}

#[async_trait]
impl ObjectStore for Mute {
    async fn put_opts(
        &self,
        at: &Path,
        bytes: PutPayload,
        how: PutOptions,
    ) -> object_store::Result<PutResult> {
        self.respond(self.inner.put_opts(at, bytes, how).await)
    }
    async fn put_multipart_opts(
        &self,
        at: &Path,
        how: PutMultipartOptions,
    ) -> object_store::Result<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(at, how).await
    }
    async fn get_opts(&self, at: &Path, how: GetOptions) -> object_store::Result<GetResult> {
        self.respond(self.inner.get_opts(at, how).await)
    }
    fn delete_stream(
        &self,
        paths: BoxStream<'static, object_store::Result<Path>>,
    ) -> BoxStream<'static, object_store::Result<Path>> {
        self.inner.delete_stream(paths)
    }
    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, object_store::Result<ObjectMeta>> {
        self.inner.list(prefix)
    }
    fn list_with_offset(
        &self,
        prefix: Option<&Path>,
        offset: &Path,
    ) -> BoxStream<'static, object_store::Result<ObjectMeta>> {
        self.inner.list_with_offset(prefix, offset)
    }
    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> object_store::Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }
    async fn copy_opts(
        &self,
        from: &Path,
        to: &Path,
        how: CopyOptions,
    ) -> object_store::Result<()> {
        self.inner.copy_opts(from, to, how).await
    }
}

fn entry(reason: &str) -> Deployment {
    Deployment {
        schema: "botops.deployment/1".to_owned(),
        at: DateTime::UNIX_EPOCH,
        actor: "ada".to_owned(),
        reason: reason.to_owned(),
        model: "support".to_owned(),
        primary: Digest::of(b"champion"),
        phase: "ramping".to_owned(),
        // A number that an imprecise reader does not restore to the last bit.
        weight_percent: 0.100_000_000_000_000_02 * 3.0,
        rollout: None,
        slow_bound_seconds: Some(0.1 + 0.2),
        writer: None,
        admin: None,
    }
}

async fn opened(store: &Store) -> RegistrySource {
    RegistrySource::open(Registry::open(store.clone()), "support", "test").await.unwrap().0
}

/// Returns a store that can be muted, and a source on it whose log has one entry.
async fn setup() -> (Arc<Mute>, Store, RegistrySource) {
    let mute = Arc::new(Mute::default());
    let store =
        Store::wrap(Arc::clone(&mute) as _, "memory:").with_retries(botops_store::Retries::none());
    let source = opened(&store).await;
    source.record(entry("first")).await.unwrap();
    (mute, store, source)
}

async fn reasons(store: &Store) -> Vec<String> {
    let entries = deployment_log(store, "test").entries().await.unwrap();
    entries.into_iter().map(|entry| entry.payload.reason).collect()
}

#[tokio::test]
async fn an_entry_whose_response_was_lost_is_recognised() {
    let (mute, store, source) = setup().await;
    mute.mute.store(true, Ordering::SeqCst);
    let fault = source.record(entry("second")).await.unwrap_err();
    assert_eq!(fault.kind(), FaultKind::Unreachable);
    mute.mute.store(false, Ordering::SeqCst);
    source.record(entry("second")).await.unwrap();
    assert_eq!(reasons(&store).await, ["first", "second"], "the entry is not written twice");
    source.record(entry("third")).await.unwrap();
    assert_eq!(reasons(&store).await, ["first", "second", "third"]);
}

#[tokio::test]
async fn a_new_decision_goes_after_the_entry_whose_response_was_lost() {
    let (mute, store, source) = setup().await;
    mute.mute.store(true, Ordering::SeqCst);
    source.record(entry("second")).await.unwrap_err();
    mute.mute.store(false, Ordering::SeqCst);
    source.record(entry("another")).await.unwrap();
    assert_eq!(reasons(&store).await, ["first", "second", "another"]);
}

#[tokio::test]
async fn an_entry_of_another_server_is_a_conflict() {
    let (mute, store, source) = setup().await;
    let other = opened(&store).await;
    mute.mute.store(true, Ordering::SeqCst);
    other.record(entry("second")).await.unwrap_err();
    mute.mute.store(false, Ordering::SeqCst);
    // The same payload, from another writer.
    assert_eq!(source.record(entry("second")).await.unwrap_err().code(), "BOT-6026");
    assert_eq!(source.record(entry("second")).await.unwrap_err().code(), "BOT-6026");
    other.record(entry("third")).await.unwrap();
    assert_eq!(reasons(&store).await, ["first", "second", "third"]);
}

#[test]
fn entries_without_a_writer_can_be_read() {
    let text = canonical_json(&entry("old"));
    assert!(!String::from_utf8(text.clone()).unwrap().contains("writer"));
    let read: Deployment = serde_json::from_slice(&text).unwrap();
    assert_eq!(read.writer, None);
}
