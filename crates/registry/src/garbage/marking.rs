//! The references of a store: every digest that an object names, and those that the named blobs name.

use crate::Registry;
use botops_digest::Digest;
use botops_findings::{Fault, Result};
use botops_store::{Store, blob_path};
use futures::{StreamExt as _, TryStreamExt as _};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// The folders whose objects may name blobs.
const NAMING: [&str; 8] =
    ["models", "datasets", "deployments", "runs", "stages", "pipelines", "knowledge", "jobs"];
/// Those of them that neither runs nor the logs of models, data sets and deployments are in.
const BESIDE_RUNS: [&str; 4] = ["stages", "pipelines", "knowledge", "jobs"];
/// The folders whose objects name no blob that they need.
const SILENT: [&str; 15] = [
    "blobs",
    "probes",
    "sweeps",
    "gc",
    "erasures",
    "access",
    "monitoring",
    "predictions",
    "feedback",
    "tunes",
    "repairs",
    "mirrors",
    "backups",
    "drills",
    "channels",
];
/// Parts of a path of which the objects name no blob that the logs do not name.
const CACHES: [&str; 2] = ["/checkpoints/", "/observations/"];
/// Objects that are read at a time.
const AT_ONCE: usize = 16;
/// The hexadecimal digits of a digest.
const DIGITS: usize = 64;

/// The references that were found so far.
#[derive(Default)]
pub(super) struct Marks {
    /// The objects that were read.
    read: BTreeSet<String>,
    /// The digests that an object or a followed blob names.
    named: BTreeSet<Digest>,
    /// The blobs that were looked into.
    followed: BTreeSet<Digest>,
    /// The named manifests, each with the object that names it: what a missing one names is unknown.
    manifests: BTreeMap<Digest, String>,
}

impl Marks {
    /// Returns whether an object names `digest`.
    pub(super) fn names(&self, digest: &Digest) -> bool {
        self.named.contains(digest)
    }

    /// Reads the objects that were written since the last call; at first all, with the chains of all logs. `existing` are the
    /// blobs in the store, `erased` those that were erased on purpose.
    ///
    /// # Errors
    /// `BOT-5135` (exit 6) a folder is unknown; `BOT-5136` (exit 3) an object or a manifest cannot be read, so that its
    /// references are unknown; `BOT-5006`, `BOT-5007` a log is damaged or newer; those of the store.
    pub(super) async fn extend(
        &mut self,
        store: &Store,
        existing: &BTreeSet<Digest>,
        erased: &BTreeSet<Digest>,
    ) -> Result<()> {
        check_folders(store).await?;
        self.extend_from(&NAMING, store, existing, erased).await
    }

    /// Reads what [`Self::extend`] does, in `folders` only.
    async fn extend_from(
        &mut self,
        folders: &[&str],
        store: &Store,
        existing: &BTreeSet<Digest>,
        erased: &BTreeSet<Digest>,
    ) -> Result<()> {
        let is_first = self.read.is_empty();
        let mut paths = Vec::new();
        for folder in folders {
            let listed = store.objects(folder, None).await?;
            let names = |path: &String| {
                !self.read.contains(path) && !CACHES.iter().any(|cache| path.contains(cache))
            };
            paths.extend(listed.into_iter().filter(names));
        }
        if is_first {
            check_logs(store, &paths).await?;
        }
        let contents: Vec<(String, Option<Found>)> = futures::stream::iter(paths)
            .map(|path| async move {
                let found = match store.read(&path).await? {
                    Some(bytes) => Some(Found::in_object(store, &path, &bytes)?),
                    // It was removed since it was listed: nothing is named by it any more.
                    None => None,
                };
                Ok::<_, Fault>((path, found))
            })
            .buffered(AT_ONCE)
            .try_collect()
            .await?;
        for (path, found) in contents {
            if let Some(Found { digests, manifests }) = found {
                self.named.extend(digests);
                self.manifests.extend(manifests.into_iter().map(|it| (it, path.clone())));
            }
            self.read.insert(path);
        }
        self.follow(store, existing, erased).await
    }

    /// Looks into the named blobs for further references.
    async fn follow(
        &mut self,
        store: &Store,
        existing: &BTreeSet<Digest>,
        erased: &BTreeSet<Digest>,
    ) -> Result<()> {
        loop {
            let next: Vec<Digest> = self
                .named
                .iter()
                .filter(|digest| !self.followed.contains(digest))
                .filter(|digest| existing.contains(digest) || self.manifests.contains_key(digest))
                .copied()
                .collect();
            if next.is_empty() {
                return Ok(());
            }
            let manifests = &self.manifests;
            let found: Vec<BTreeSet<Digest>> = futures::stream::iter(next.clone())
                .map(|digest| async move {
                    let inside = references_in(store, &digest).await?;
                    match (inside, manifests.get(&digest)) {
                        (Some((inside, true)), _) | (Some((inside, _)), None) => Ok(inside),
                        (None, None) => Ok(BTreeSet::new()),
                        (None, Some(_)) if erased.contains(&digest) => Ok(BTreeSet::new()),
                        (found, Some(by)) => {
                            Err(unknown_manifest(store, &digest, by, found.is_some()))
                        }
                    }
                })
                .buffered(AT_ONCE)
                .try_collect()
                .await?;
            self.followed.extend(next);
            self.named.extend(found.into_iter().flatten());
        }
    }
}

impl Registry {
    /// Returns the blobs that the results of stages, knowledge bases, jobs and pipelines in this store name, and those that
    /// these blobs name.
    ///
    /// # Errors
    /// `BOT-5136` (exit 3) an object cannot be read, so that its references are unknown; those of the store.
    pub async fn blobs_beside_runs(&self) -> Result<BTreeSet<Digest>> {
        let existing = self.store.blobs().await?.into_iter().map(|(digest, _)| digest).collect();
        let erased = self.store.erased_blobs().await?;
        let mut marks = Marks::default();
        marks.extend_from(&BESIDE_RUNS, &self.store, &existing, &erased).await?;
        Ok(marks.named)
    }
}

/// The digests that an object names.
struct Found {
    digests: BTreeSet<Digest>,
    /// Those under a key `manifest`.
    manifests: BTreeSet<Digest>,
}

impl Found {
    /// Reads the object `path`. One whose name ends in `.json` must be JSON.
    fn in_object(store: &Store, path: &str, bytes: &[u8]) -> Result<Self> {
        let mut manifests = BTreeSet::new();
        if path.ends_with(".json") {
            match serde_json::from_slice::<Value>(bytes) {
                Ok(value) if path.contains("/log/") => manifests_in(&value, &mut manifests),
                Ok(_) => {}
                Err(error) => {
                    let message = format!("the blobs that `{path}` names are unknown: {error}");
                    return Err(Fault::data("BOT-5136", message)
                        .file(store.object_url(path))
                        .hint("nothing was removed; list all problems: `botops registry verify`")
                        .hint(
                            "restore the object from a backup, or remove it if it is not needed",
                        ));
                }
            }
        }
        Ok(Self { digests: digests_in(bytes), manifests })
    }
}

/// Refuses a store with a folder that this botops does not know: its objects may name blobs in another way.
async fn check_folders(store: &Store) -> Result<()> {
    let folders = store.folders("").await?;
    let known = |folder: &String| NAMING.iter().chain(&SILENT).any(|known| folder == known);
    let Some(unknown) = folders.iter().find(|folder| !known(folder)) else { return Ok(()) };
    let message =
        format!("`{}` also holds `{unknown}/`, whose references to blobs are unknown", store.url());
    Err(Fault::policy("BOT-5135", message).file(store.object_url(unknown)).hint(
        "nothing was removed; move the folder out of the store, or use the version of botops that wrote it",
    ))
}

/// Checks the chains of all logs among `paths`: the references of a missing entry are unknown.
async fn check_logs(store: &Store, paths: &[String]) -> Result<()> {
    let logs: BTreeSet<&str> = paths
        .iter()
        .filter_map(|path| path.rsplit_once('/'))
        .map(|(folder, _)| folder)
        .filter(|folder| folder.ends_with("/log"))
        .collect();
    for log in logs {
        store.log::<Value>(log).entries().await?;
    }
    Ok(())
}

/// Returns the digests in a blob of JSON, and whether its bytes are those of its digest; `None` if it is absent. A blob that
/// is not JSON names none.
async fn references_in(store: &Store, digest: &Digest) -> Result<Option<(BTreeSet<Digest>, bool)>> {
    let path = blob_path(digest);
    let Some(first) = store.read_range(&path, 0..1).await? else { return Ok(None) };
    if !matches!(first.first(), Some(b'{' | b'[')) {
        return Ok(Some((BTreeSet::new(), false)));
    }
    let Some(bytes) = store.read(&path).await? else { return Ok(None) };
    Ok(Some((digests_in(&bytes), Digest::of(&bytes) == *digest)))
}

fn unknown_manifest(store: &Store, digest: &Digest, by: &str, is_damaged: bool) -> Fault {
    let state = if is_damaged { "damaged" } else { "missing" };
    let message = format!(
        "the manifest `{}`, which `{by}` names, is {state}: the blobs that it names are unknown",
        digest.short()
    );
    Fault::data("BOT-5136", message)
        .file(store.object_url(&blob_path(digest)))
        .hint("nothing was removed; restore it from a backup")
        .hint("or from another store: `botops registry verify --repair --from LOCATION`")
}

/// Adds the digests under a key `manifest`.
fn manifests_in(value: &Value, found: &mut BTreeSet<Digest>) {
    match value {
        Value::Object(members) => {
            let named = members.get("manifest").and_then(Value::as_str);
            found.extend(named.and_then(|text| text.parse::<Digest>().ok()));
            members.values().for_each(|value| manifests_in(value, found));
        }
        Value::Array(values) => values.iter().for_each(|value| manifests_in(value, found)),
        _ => {}
    }
}

/// Returns every run of exactly 64 hexadecimal digits in `bytes`, as a digest.
fn digests_in(bytes: &[u8]) -> BTreeSet<Digest> {
    let is_digit = |byte: &u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(byte);
    bytes
        .split(|byte| !is_digit(byte))
        .filter(|run| run.len() == DIGITS)
        .filter_map(|run| format!("sha256:{}", std::str::from_utf8(run).ok()?).parse().ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_found_wherever_it_stands() {
        let (a, b) = (Digest::of(b"a"), Digest::of(b"b"));
        let text = format!("{{\"x\":\"{a}\",\"y\":[\"{}\"],\"z\":\"{}f\"}}", b.hex(), b.hex());
        assert_eq!(digests_in(text.as_bytes()), BTreeSet::from([a, b]));
        assert_eq!(digests_in(b.hex().as_bytes()), BTreeSet::from([b]));
        let longer = format!("{}{}", a.hex(), b.hex());
        assert!(digests_in(longer.as_bytes()).is_empty());
    }

    #[test]
    fn a_manifest_is_found_at_any_depth() {
        let digest = Digest::of(b"manifest");
        let value = serde_json::json!({"payload": {"action": {"manifest": digest}}, "manifest": 7});
        let mut found = BTreeSet::new();
        manifests_in(&value, &mut found);
        assert_eq!(found, BTreeSet::from([digest]));
    }
}
