//! The download: files go into a temporary folder, are compared with the announced size and digest, and then
//! the folder is renamed.

use super::{
    Hub,
    faults::{offline_hint, unwritable},
    file_names::{FILES, POOLING},
    lock::{Lock, Locked},
    source::HubSource,
};
use botops_digest::{Digest, Hasher};
use botops_files::publish_folder;
use botops_findings::{Fault, Result};
use botops_http::{
    Client, ClientSpec, Proxy, Redirects, Response, StatusCode, Url, header, why_unreachable,
};
use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
    time::Duration,
};

/// The longest time without data in the middle of a file; the whole download has no limit.
const SILENCE: Duration = Duration::from_secs(60);
/// The most redirects; the hub redirects once or twice for large files.
const REDIRECTS: usize = 5;

/// The properties of a file that the hub announces in response headers.
struct Announced {
    size: Option<u64>,
    digest: Option<Digest>,
    commit: Option<String>,
}

impl Hub {
    /// Downloads `source` into its cache folder.
    pub(super) async fn download(
        &self,
        source: &HubSource,
        advance: &(dyn Fn(u64) + Sync),
    ) -> Result<()> {
        let client = client()?;
        let target = self.folder(source);
        let parent = target.parent().expect("the folder of an encoder is inside the cache folder");
        let mut temporary = temporary_folder(parent)
            .map_err(|error| unwritable(parent, &error).caused_by(error))?;
        let mut files = BTreeMap::new();
        let mut commit = None;
        for name in FILES {
            let Some((response, announced)) = self.open(&client, source, name).await? else {
                continue;
            };
            let locked =
                receive(response, source, name, &announced, &temporary.path.join(name), advance)
                    .await?;
            files.insert(name.to_owned(), locked);
            commit = commit.or(announced.commit);
        }
        let lock = Lock::new(source, commit, files);
        temporary.keep(&lock, &target).map_err(|error| unwritable(&target, &error).caused_by(error))
    }

    /// Requests one file, following redirects; returns `None` for a missing optional file.
    async fn open(
        &self,
        client: &Client,
        source: &HubSource,
        name: &str,
    ) -> Result<Option<(Response, Announced)>> {
        let endpoint = self.endpoint()?;
        let mut url = endpoint.clone();
        url.path_segments_mut()
            .expect("an http URL has a path")
            .pop_if_empty()
            .extend(source.resolve(name));
        let mut announced: Option<Announced> = None;
        for _ in 0..=REDIRECTS {
            let mut request = client.get(url.clone());
            // The token must not be sent to another host after a redirect.
            let is_hub = url.origin() == endpoint.origin();
            if let Some(token) = self.token.as_ref().filter(|_| is_hub) {
                request = request.bearer_auth(token);
            }
            let response = request.send().await.map_err(|error| unreachable(source, error))?;
            let status = response.status();
            // For a large file, only the first response has the digest: the storage host does not know it.
            let headers = announced.get_or_insert_with(|| Announced::of(&response));
            if status.is_redirection() {
                url = redirect_target(&url, &response).ok_or_else(|| {
                    Fault::unreachable(
                        "BOT-7026",
                        format!("the hub redirects `{source}` to an invalid address"),
                    )
                    .hint(offline_hint())
                })?;
                continue;
            }
            if status.is_success() {
                // The ETag of another host may be another digest, such as one of the file's chunks.
                headers.complete(&response, is_hub);
                let announced = announced.expect("it was set above");
                return Ok(Some((response, announced)));
            }
            return match status {
                StatusCode::NOT_FOUND if name == POOLING => Ok(None),
                _ => Err(self.refused(source, name, status)),
            };
        }
        Err(Fault::unreachable(
            "BOT-7026",
            format!("the hub redirects `{source}` more than {REDIRECTS} times"),
        )
        .hint(offline_hint()))
    }

    fn refused(&self, source: &HubSource, name: &str, status: StatusCode) -> Fault {
        let usage = |problem: &str| Fault::usage("BOT-7027", format!("the hub {problem}"));
        match status {
            StatusCode::NOT_FOUND => usage(&format!("has no `{name}` of `{source}`")).hint(
                "check owner, name and revision; an encoder needs config.json, tokenizer.json and model.safetensors",
            ),
            // The hub also answers so for an encoder that does not exist.
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                let fault = usage(&format!("denies access to `{name}` of `{source}` ({})", status.as_u16()));
                match self.token {
                    Some(_) => fault.hint("check owner and name, and that the account of `HF_TOKEN` has access"),
                    None => fault.hint("check owner and name; for a private or gated encoder, set `HF_TOKEN`"),
                }
            }
            _ => Fault::unreachable("BOT-7026", format!("the hub answers {} for `{name}` of `{source}`", status.as_u16()))
                .hint("try again later")
                .hint(offline_hint()),
        }
    }
}

impl Announced {
    fn of(response: &Response) -> Self {
        let text =
            |name: &str| Some(response.headers().get(name)?.to_str().ok()?.trim().to_owned());
        let digest = |name: &str| sha256(&text(name)?);
        Self {
            size: text("x-linked-size").and_then(|size| size.parse().ok()),
            digest: digest("x-linked-etag").or_else(|| digest("etag")),
            commit: text("x-repo-commit").filter(|commit| {
                commit.len() <= 64 && commit.bytes().all(|c| c.is_ascii_hexdigit())
            }),
        }
    }

    /// Adds the headers of the response with the file, where earlier responses had none.
    fn complete(&mut self, response: &Response, is_hub: bool) {
        let Self { size, digest, commit } = Self::of(response);
        self.size = self.size.or(size).or(response.content_length());
        self.digest = self.digest.or(digest.filter(|_| is_hub));
        self.commit = self.commit.take().or(commit);
    }
}

/// Returns the SHA-256 in an ETag, if it is one; the ETag of a small file is the id of a git object.
fn sha256(etag: &str) -> Option<Digest> {
    let hex = etag.trim_start_matches("W/").trim_matches('"');
    format!("sha256:{}", hex.to_ascii_lowercase()).parse().ok()
}

/// Returns the target of a redirect; `None` if it is invalid, or leads from https to http.
fn redirect_target(url: &Url, response: &Response) -> Option<Url> {
    let to = response.headers().get(header::LOCATION)?.to_str().ok()?;
    let to = url.join(to).ok()?;
    let is_valid = matches!(to.scheme(), "http" | "https") && to.has_host();
    (is_valid && (url.scheme() == "http" || to.scheme() == "https")).then_some(to)
}

/// Writes the body of `response` to `path`, and compares it with the announced size and digest.
async fn receive(
    mut response: Response,
    source: &HubSource,
    name: &str,
    announced: &Announced,
    path: &Path,
    advance: &(dyn Fn(u64) + Sync),
) -> Result<Locked> {
    let full = |error: io::Error| unwritable(path, &error).caused_by(error);
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(full)?;
    }
    let mut file = File::create_new(path).map_err(full)?;
    let (mut hasher, mut size) = (Hasher::default(), 0);
    while let Some(bytes) = response.chunk().await.map_err(|error| unreachable(source, error))? {
        hasher.update(&bytes);
        file.write_all(&bytes).map_err(full)?;
        size += bytes.len() as u64;
        advance(bytes.len() as u64);
    }
    file.sync_all().map_err(full)?;
    let digest = hasher.finish();
    let mismatch = |difference: String| {
        Fault::data(
            "BOT-7029",
            format!("`{name}` of `{source}` is not the file that the hub announced: {difference}"),
        )
        .hint("the download was truncated or altered: try again, or use another network")
    };
    if let Some(expected) = announced.size.filter(|expected| *expected != size) {
        return Err(mismatch(format!("{size} bytes, expected {expected}")));
    }
    if let Some(expected) = announced.digest.filter(|expected| *expected != digest) {
        return Err(mismatch(format!("digest `{digest}`, expected `{expected}`")));
    }
    Ok(Locked { size, digest, announced: announced.digest.is_some() })
}

fn client() -> Result<Client> {
    let spec = ClientSpec {
        answer: None,
        silence: Some(SILENCE),
        redirects: Redirects::Refused,
        proxy: Proxy::Environment,
    };
    botops_http::client(&spec)
}

fn unreachable(source: &HubSource, error: botops_http::Error) -> Fault {
    let reason = why_unreachable(&error);
    // Without the URL: that of a large file contains a signature.
    Fault::unreachable("BOT-7026", format!("the hub cannot be reached for `{source}`: {reason}"))
        .hint(offline_hint())
        .caused_by(error.without_url())
}

/// A temporary folder, which is deleted when dropped unless it was kept.
struct TemporaryFolder {
    path: PathBuf,
    kept: bool,
}

impl TemporaryFolder {
    /// Writes `lock` and moves the folder to `target`.
    fn keep(&mut self, lock: &Lock, target: &Path) -> io::Result<()> {
        lock.write(&self.path)?;
        match publish_folder(&self.path, target) {
            // Another process was faster; its files are checked when they are read.
            Err(_) if target.is_dir() => return Ok(()),
            published => published?,
        }
        self.kept = true;
        Ok(())
    }
}

impl Drop for TemporaryFolder {
    fn drop(&mut self) {
        if !self.kept {
            // A folder that cannot be removed is harmless: it is never read.
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}

/// Creates a temporary folder in `parent`; folders of other or killed processes are skipped.
fn temporary_folder(parent: &Path) -> io::Result<TemporaryFolder> {
    fs::create_dir_all(parent)?;
    for number in 0_u32.. {
        // No revision begins with `%`, so this is not the folder of an encoder.
        let path = parent.join(format!("%{number}.part"));
        match fs::create_dir(&path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            created => return created.map(|()| TemporaryFolder { path, kept: false }),
        }
    }
    unreachable!("a folder does not hold 2^32 temporary folders")
}
