//! The log of a data set: finding data sets and snapshots, and reading files out of them.

use super::{
    SCHEMA, Snapshot, SnapshotAction, SnapshotEvent, SnapshotFile, SnapshotManifest,
    SnapshotReference, SnapshotSelector, Snapshots, chunks, reference,
};
use crate::file_list;
use botops_digest::Digest;
use botops_findings::{Fault, Result};
use botops_spec as spec;
use botops_store::{Entry, Log, blob_path};
use botops_text as text;
use futures::{StreamExt as _, TryStreamExt as _};
use std::collections::BTreeSet;

/// Objects read at a time.
pub(crate) const AT_ONCE: usize = 8;
/// Bytes of a pack that are asked for at a time.
const REQUEST: u64 = 8 << 20;

impl Snapshots {
    pub(crate) fn log(&self, name: &str) -> Log<SnapshotEvent> {
        self.store.log(&format!("datasets/{name}/log"))
    }

    /// Lists the data sets, sorted.
    ///
    /// # Errors
    /// Those of the store, here and below.
    pub async fn names(&self) -> Result<Vec<String>> {
        let folders = self.store.folders("datasets").await?;
        futures::stream::iter(folders)
            .map(|name| async move {
                // A folder whose first entry was never finished is no data set yet.
                let empty = !reference::is_name(&name) || self.log(&name).is_empty().await?;
                Ok((!empty).then_some(name))
            })
            .buffered(AT_ONCE)
            .try_filter_map(async |name| Ok(name))
            .try_collect()
            .await
    }

    /// Returns what happened to a data set.
    ///
    /// # Errors
    /// `BOT-5063` no such data set (exit 2, the nearest named).
    pub async fn history(&self, name: &str) -> Result<Vec<Entry<SnapshotEvent>>> {
        reference::check_name(name)?;
        let entries = self.log(name).entries().await?;
        if entries.is_empty() { Err(self.unknown(name).await) } else { Ok(entries) }
    }

    pub(crate) async fn unknown(&self, name: &str) -> Fault {
        let message = format!("`{}` has no data set `{name}`", self.store.url());
        let fault = Fault::usage("BOT-5063", message);
        let names = self.names().await.unwrap_or_default();
        let fault = match spec::nearest(name, names.iter().map(String::as_str)) {
            Some(near) => fault.hint(format!("did you mean `{near}`?")),
            None => fault,
        };
        if names.is_empty() {
            fault.hint(format!("nothing is stored yet: `botops data snapshot PATH --name {name}`"))
        } else {
            fault.hint("see the data sets there are: `botops data log`")
        }
    }

    /// Resolves a reference.
    ///
    /// # Errors
    /// `BOT-5063` no such data set, `BOT-5064` no such snapshot or file (exit 2); `BOT-5004`, `BOT-5005` the manifest is
    /// gone or damaged, `BOT-5006` malformed, `BOT-5007` newer.
    pub async fn resolve(&self, reference: &SnapshotReference) -> Result<Snapshot> {
        let entries = self.history(&reference.name).await?;
        let number = select(&entries, reference)?;
        let snapshot = self.load(&reference.name, &entries, number).await?;
        match &reference.file {
            Some(file) if snapshot.manifest.file(file).is_none() => {
                Err(no_file(&snapshot, &format!("no file `{}`", text::display(file, 120))))
            }
            _ => Ok(snapshot),
        }
    }

    /// Returns the file of `snapshot` that `file` names, or its only one.
    ///
    /// # Errors
    /// `BOT-5064` (exit 2) there is none of that name, or several and none is named.
    pub fn file<'a>(&self, snapshot: &'a Snapshot, file: Option<&str>) -> Result<&'a SnapshotFile> {
        match (file, &snapshot.manifest.files[..]) {
            (None, [only]) => Ok(only),
            (None, files) => Err(no_file(snapshot, &format!("{} files", files.len()))),
            (Some(name), _) => snapshot.manifest.file(name).ok_or_else(|| {
                no_file(snapshot, &format!("no file `{}`", text::display(name, 120)))
            }),
        }
    }

    /// Returns the bytes of a file of `snapshot`, verified.
    ///
    /// # Errors
    /// `BOT-5004` a pack is gone (exit 1), `BOT-5005` damaged (exit 3), `BOT-5003`.
    pub async fn bytes(&self, snapshot: &Snapshot, file: &SnapshotFile) -> Result<Vec<u8>> {
        let mut bytes = Vec::with_capacity(file.size_bytes as usize);
        let mut from = 0;
        while from < file.chunks.len() {
            let (parts, next) = self.parts(snapshot, file, from).await?;
            for part in parts {
                bytes.extend_from_slice(&part);
            }
            from = next;
        }
        match Digest::of(&bytes) == file.digest {
            true => Ok(bytes),
            false => Err(contradicts(snapshot, file)),
        }
    }

    /// Returns the bytes of some chunks of `file` from the `from`-th on, each verified, and which one comes next.
    pub(crate) async fn parts(
        &self,
        snapshot: &Snapshot,
        file: &SnapshotFile,
        from: usize,
    ) -> Result<(Vec<Vec<u8>>, usize)> {
        let run = adjacent(file, from);
        let (first, last) = (&run[0], &run[run.len() - 1]);
        let pack = &snapshot.manifest.packs[first.pack as usize];
        let path = blob_path(&pack.digest);
        let range = first.start..last.start + last.stored_bytes;
        let stored = self.store.read_range(&path, range.clone()).await?;
        let whose =
            || format!("`{}` of `{}`", text::display(&file.path, 120), snapshot.reference());
        let Some(stored) = stored else {
            let message =
                format!("blob `{}`, which holds a part of {}, is gone", pack.digest, whose());
            return Err(Fault::internal("BOT-5004", message)
                .file(self.store.object_url(&path))
                .hint(format!("see all that is missing: `botops data verify {}`", snapshot.name))
                .hint(
                    "restore the object from a backup, or take the snapshot again from the files",
                ));
        };
        let mut parts = Vec::with_capacity(run.len());
        for chunk in run {
            let start = (chunk.start - range.start) as usize;
            let stored = stored.get(start..start + chunk.stored_bytes as usize).unwrap_or_default();
            let Some(bytes) = chunks::unpacked(stored, chunk) else {
                let message = format!(
                    "blob `{}` is damaged where it holds a part of {}",
                    pack.digest,
                    whose()
                );
                return Err(Fault::data("BOT-5005", message)
                    .file(self.store.object_url(&path))
                    .hint(format!(
                        "see all that is damaged: `botops data verify {}`",
                        snapshot.name
                    ))
                    .hint("restore the object from a backup"));
            };
            parts.push(bytes);
        }
        Ok((parts, from + run.len()))
    }

    /// Returns every blob that a snapshot in any log needs: manifests and packs.
    ///
    /// # Errors
    /// Those of the store, and of [`Self::resolve`]: while a manifest cannot be read, nobody knows what it names.
    pub async fn blobs(&self) -> Result<BTreeSet<Digest>> {
        let mut blobs = BTreeSet::new();
        for name in self.names().await? {
            let entries = self.history(&name).await?;
            let mut manifests = BTreeSet::new();
            for entry in &entries {
                let SnapshotAction::Taken { manifest, .. } = entry.payload.action;
                manifests.insert(manifest);
            }
            let packs: Vec<Vec<Digest>> = futures::stream::iter(&manifests)
                .map(|manifest| async {
                    let manifest = self.manifest(&name, manifest).await?;
                    Ok::<_, Fault>(manifest.packs.into_iter().map(|pack| pack.digest).collect())
                })
                .buffered(AT_ONCE)
                .try_collect()
                .await?;
            blobs.extend(manifests);
            blobs.extend(packs.into_iter().flatten());
        }
        Ok(blobs)
    }

    pub(crate) async fn load(
        &self,
        name: &str,
        entries: &[Entry<SnapshotEvent>],
        number: u64,
    ) -> Result<Snapshot> {
        let event = &entries[number as usize - 1].payload;
        let SnapshotAction::Taken { snapshot, manifest: manifest_digest, .. } = event.action;
        let manifest = self.manifest(name, &manifest_digest).await?;
        if manifest.identity() != snapshot {
            let message = format!("the manifest of `{name}@{number}` is of another snapshot");
            return Err(Fault::data("BOT-5006", message)
                .file(self.store.object_url(&blob_path(&manifest_digest)))
                .hint(format!("see everything that is wrong: `botops data verify {name}`")));
        }
        Ok(Snapshot {
            name: name.to_owned(),
            number,
            digest: snapshot,
            manifest_digest,
            at: event.at,
            actor: event.actor.clone(),
            manifest,
        })
    }

    pub(crate) async fn manifest(&self, name: &str, digest: &Digest) -> Result<SnapshotManifest> {
        let bytes = self.store.blob(digest).await?;
        parse(&bytes, name, &self.store.object_url(&blob_path(digest)))
    }
}

/// Returns the chunks of `file` from the `from`-th on that lie side by side in one pack, as many as are asked for at a time.
fn adjacent(file: &SnapshotFile, from: usize) -> &[super::Chunk] {
    let chunks = &file.chunks[from..];
    let mut stored = chunks[0].stored_bytes;
    let mut n = 1;
    while let [last, next, ..] = &chunks[n - 1..]
        && next.pack == last.pack
        && next.start == last.start + last.stored_bytes
        && stored + next.stored_bytes <= REQUEST
    {
        stored += next.stored_bytes;
        n += 1;
    }
    &chunks[..n]
}

pub(crate) fn contradicts(snapshot: &Snapshot, file: &SnapshotFile) -> Fault {
    let message = format!(
        "the chunks of `{}` of `{}` are not those of a file with its digest",
        text::display(&file.path, 120),
        snapshot.reference()
    );
    Fault::data("BOT-5006", message)
        .hint(format!("see everything that is wrong: `botops data verify {}`", snapshot.name))
}

fn no_file(snapshot: &Snapshot, has: &str) -> Fault {
    let reference = snapshot.reference();
    let paths: Vec<String> = snapshot
        .manifest
        .files
        .iter()
        .take(5)
        .map(|file| format!("`{reference}:{}`", text::display(&file.path, 120)))
        .collect();
    let more = if snapshot.manifest.files.len() > 5 { " and others" } else { "" };
    Fault::usage("BOT-5064", format!("`{reference}` has {has}, and one is wanted"))
        .hint(format!("name one of {}{more}", paths.join(", ")))
}

/// Returns the number of the snapshot that `reference` names.
fn select(entries: &[Entry<SnapshotEvent>], reference: &SnapshotReference) -> Result<u64> {
    let name = &reference.name;
    let newest = entries.len() as u64;
    let absent = |what: String| {
        Fault::usage("BOT-5064", what)
            .hint(format!("see the snapshots there are: `botops data log {name}`"))
    };
    match &reference.selector {
        SnapshotSelector::Latest => Ok(newest),
        SnapshotSelector::Number(number) if (1..=newest).contains(number) => Ok(*number),
        SnapshotSelector::Number(number) => {
            Err(absent(format!("`{name}` has no snapshot {number}: its newest is {newest}")))
        }
        SnapshotSelector::Digest(hex) => {
            let mut found: Vec<(Digest, u64)> = Vec::new();
            for (entry, number) in entries.iter().zip(1..) {
                let SnapshotAction::Taken { snapshot, .. } = entry.payload.action;
                // The same content taken again is the same snapshot: its first number stands for it.
                if snapshot.hex().starts_with(hex.as_str())
                    && !found.iter().any(|(known, _)| *known == snapshot)
                {
                    found.push((snapshot, number));
                }
            }
            match &found[..] {
                [(_, number)] => Ok(*number),
                [] => Err(absent(format!("`{name}` has no snapshot `sha256:{hex}`"))),
                several => {
                    let all: Vec<_> =
                        several.iter().map(|(_, n)| format!("`{name}@{n}`")).collect();
                    Err(absent(format!("`{reference}` may be {}", all.join(" or ")))
                        .hint("give more digits"))
                }
            }
        }
    }
}

/// Reads the manifest of a snapshot of the data set `name`, and checks all that reading files from it relies on.
pub(crate) fn parse(bytes: &[u8], name: &str, place: &str) -> Result<SnapshotManifest> {
    #[derive(serde::Deserialize)]
    struct Head {
        schema: String,
    }
    let broken = |what: String| {
        Fault::data("BOT-5006", format!("a manifest of the data set `{name}` {what}"))
            .file(place)
            .hint("restore the object from a backup")
    };
    let head: Head = serde_json::from_slice(bytes)
        .map_err(|error| broken(format!("cannot be read: {error}")))?;
    if head.schema != SCHEMA {
        let version = head.schema.strip_prefix("botops.snapshot/").map(str::parse::<u32>);
        return Err(match version {
            Some(Ok(version)) if version > 1 => Fault::policy(
                "BOT-5007",
                format!(
                    "a manifest of the data set `{name}` has the format `{}`, newer than this botops",
                    head.schema
                ),
            )
            .file(place)
            .hint("install a newer botops"),
            _ => broken(format!(
                "has the format `{}`, which is none of ours",
                text::display(&head.schema, 60)
            )),
        });
    }
    let manifest: SnapshotManifest = serde_json::from_slice(bytes)
        .map_err(|error| broken(format!("cannot be read: {error}")))?;
    match defect(&manifest, name) {
        Some(defect) => Err(broken(defect)),
        None => Ok(manifest),
    }
}

/// Returns what is wrong with a manifest, if anything is.
fn defect(manifest: &SnapshotManifest, name: &str) -> Option<String> {
    if manifest.name != name {
        return Some(format!("says that it is of `{}`", text::display(&manifest.name, 60)));
    }
    if !manifest.files.windows(2).all(|pair| pair[0].path < pair[1].path) {
        return Some("has files that are not in order".to_owned());
    }
    // `a` and `a/b` cannot both be files.
    let paths: BTreeSet<&str> = manifest.files.iter().map(|file| file.path.as_str()).collect();
    for file in &manifest.files {
        let shown = text::display(&file.path, 120);
        if !file_list::is_safe(&file.path) {
            return Some(format!("has a file `{shown}`, which may lie outside its folder"));
        }
        let mut above = file.path.as_str();
        while let Some((folder, _)) = above.rsplit_once('/') {
            if paths.contains(folder) {
                return Some(format!(
                    "has `{}` as a file and as a folder",
                    text::display(folder, 120)
                ));
            }
            above = folder;
        }
        let mut size = 0_u64;
        for chunk in &file.chunks {
            let pack = manifest.packs.get(chunk.pack as usize);
            let end = chunk.start.checked_add(chunk.stored_bytes);
            let lies_in_it = pack.zip(end).is_some_and(|(pack, end)| end <= pack.size_bytes);
            if !lies_in_it || chunk.size_bytes == 0 || chunk.size_bytes > 4 * chunks::MOST as u64 {
                return Some(format!("has a chunk of `{shown}` that lies in no pack"));
            }
            size = size.saturating_add(chunk.size_bytes);
        }
        if size != file.size_bytes {
            return Some(format!("has chunks of `{shown}` that are not of its size"));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Chunk, Pack};

    fn manifest() -> SnapshotManifest {
        let digest = Digest::of(b"x");
        let chunk = |start| Chunk { digest, size_bytes: 10, pack: 0, start, stored_bytes: 5 };
        let file = |path: &str| SnapshotFile {
            path: path.to_owned(),
            digest,
            size_bytes: 20,
            chunks: vec![chunk(0), chunk(5)],
        };
        SnapshotManifest {
            schema: SCHEMA.to_owned(),
            name: "support".to_owned(),
            files: vec![file("a/b.csv"), file("c.csv")],
            packs: vec![Pack { digest, size_bytes: 10 }],
        }
    }

    #[test]
    fn a_manifest_that_lies_is_refused() {
        assert_eq!(defect(&manifest(), "support"), None);
        type Change = fn(&mut SnapshotManifest);
        let changes: [(Change, &str); 9] = [
            (|m| m.name = "other".into(), "says that it is of `other`"),
            (|m| m.files.swap(0, 1), "has files that are not in order"),
            (
                |m| m.files[0].path = "../b".into(),
                "has a file `../b`, which may lie outside its folder",
            ),
            (
                |m| m.files[0].path = "/b".into(),
                "has a file `/b`, which may lie outside its folder",
            ),
            (|m| m.files[1].path = "a/b.csv/c".into(), "has `a/b.csv` as a file and as a folder"),
            (|m| m.files[1].size_bytes = 21, "has chunks of `c.csv` that are not of its size"),
            (|m| m.files[1].chunks[1].pack = 1, "has a chunk of `c.csv` that lies in no pack"),
            (
                |m| m.files[1].chunks[1].start = u64::MAX,
                "has a chunk of `c.csv` that lies in no pack",
            ),
            (
                |m| m.files[1].chunks[1].size_bytes = 1 << 40,
                "has a chunk of `c.csv` that lies in no pack",
            ),
        ];
        for (change, said) in changes {
            let mut manifest = manifest();
            change(&mut manifest);
            assert_eq!(defect(&manifest, "support").as_deref(), Some(said));
            let bytes = botops_digest::canonical_json(&manifest);
            assert_eq!(parse(&bytes, "support", "place").unwrap_err().code(), "BOT-5006");
        }
    }

    #[test]
    fn a_newer_format_is_told_from_a_foreign_one() {
        let mut manifest = manifest();
        manifest.schema = "botops.snapshot/2".to_owned();
        let bytes = botops_digest::canonical_json(&manifest);
        assert_eq!(parse(&bytes, "support", "place").unwrap_err().code(), "BOT-5007");
        assert_eq!(
            parse(b"{\"schema\":\"x\"}", "support", "place").unwrap_err().code(),
            "BOT-5006"
        );
        assert_eq!(parse(b"{", "support", "place").unwrap_err().code(), "BOT-5006");
    }
}
