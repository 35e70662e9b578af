//! The deployment log over a store that loses answers.

use super::*;
use botops_findings::FaultKind;
use futures::stream::BoxStream;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, PutMultipartOptions, PutOptions, PutPayload, PutResult, memory::InMemory,
    path::Path,
};
use std::sync::atomic::{AtomicBool, Ordering};

/// While ill, writes land and nothing is answered.
#[derive(Debug, Default)]
struct Mute {
    inner: InMemory,
    ill: AtomicBool,
}

impl Mute {
    fn answer<T>(&self, answer: object_store::Result<T>) -> object_store::Result<T> {
        if self.ill.load(Ordering::SeqCst) {
            Err(Error::Generic { store: "mute", source: "the answer was lost".into() })
        } else {
            answer
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
        self.answer(self.inner.put_opts(at, bytes, how).await)
    }
    async fn put_multipart_opts(
        &self,
        at: &Path,
        how: PutMultipartOptions,
    ) -> object_store::Result<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(at, how).await
    }
    async fn get_opts(&self, at: &Path, how: GetOptions) -> object_store::Result<GetResult> {
        self.answer(self.inner.get_opts(at, how).await)
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
        // One that a sloppy reader does not get back to the last bit.
        weight_percent: 0.100_000_000_000_000_02 * 3.0,
        rollout: None,
        slow_bound_seconds: Some(0.1 + 0.2),
        writer: None,
    }
}

async fn opened(store: &Store) -> RegistryHome {
    RegistryHome::open(Registry::open(store.clone()), "support", "test").await.unwrap().0
}

/// A store that can fall ill, a home on it, and one entry.
async fn setup() -> (Arc<Mute>, Store, RegistryHome) {
    let mute = Arc::new(Mute::default());
    let store =
        Store::wrap(Arc::clone(&mute) as _, "memory:").with_retries(botops_store::Retries::none());
    let home = opened(&store).await;
    home.write_down(entry("first")).await.unwrap();
    (mute, store, home)
}

async fn reasons(store: &Store) -> Vec<String> {
    let entries = deployment_log(store, "test").entries().await.unwrap();
    entries.into_iter().map(|entry| entry.payload.reason).collect()
}

#[tokio::test]
async fn an_entry_that_landed_and_was_not_answered_is_taken_for_our_own() {
    let (mute, store, home) = setup().await;
    mute.ill.store(true, Ordering::SeqCst);
    let fault = home.write_down(entry("second")).await.unwrap_err();
    assert_eq!(fault.kind(), FaultKind::Unreachable);
    mute.ill.store(false, Ordering::SeqCst);
    home.write_down(entry("second")).await.unwrap();
    assert_eq!(reasons(&store).await, ["first", "second"], "it is not written twice");
    home.write_down(entry("third")).await.unwrap();
    assert_eq!(reasons(&store).await, ["first", "second", "third"]);
}

#[tokio::test]
async fn what_was_decided_anew_goes_after_the_entry_that_was_not_answered() {
    let (mute, store, home) = setup().await;
    mute.ill.store(true, Ordering::SeqCst);
    home.write_down(entry("second")).await.unwrap_err();
    mute.ill.store(false, Ordering::SeqCst);
    home.write_down(entry("another")).await.unwrap();
    assert_eq!(reasons(&store).await, ["first", "second", "another"]);
}

#[tokio::test]
async fn another_servers_entry_is_still_another_servers() {
    let (mute, store, home) = setup().await;
    let other = opened(&store).await;
    mute.ill.store(true, Ordering::SeqCst);
    other.write_down(entry("second")).await.unwrap_err();
    mute.ill.store(false, Ordering::SeqCst);
    // The same payload, from another writer.
    assert_eq!(home.write_down(entry("second")).await.unwrap_err().code(), "BOT-6026");
    assert_eq!(home.write_down(entry("second")).await.unwrap_err().code(), "BOT-6026");
    other.write_down(entry("third")).await.unwrap();
    assert_eq!(reasons(&store).await, ["first", "second", "third"]);
}

#[test]
fn entries_without_a_writer_can_be_read() {
    let text = canonical_json(&entry("old"));
    assert!(!String::from_utf8(text.clone()).unwrap().contains("writer"));
    let read: Deployment = serde_json::from_slice(&text).unwrap();
    assert_eq!(read.writer, None);
}
