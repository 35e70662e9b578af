//! The download: file by file into a folder aside, each checked against what the hub announced, then the whole
//! folder named.

use super::{
    FILES, Hub, HubSource, POOLING, local_folder,
    lock::{Lock, Locked},
    unwritable,
};
use botops_digest::{Digest, Hasher};
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

/// How long it may stay silent in the middle of a file; a large file may take as long as it comes.
const SILENCE: Duration = Duration::from_secs(60);
/// The hub sends large files from elsewhere, in one step or two.
const REDIRECTS: usize = 5;

/// What the hub said of a file before it sent it.
struct Announced {
    size: Option<u64>,
    digest: Option<Digest>,
    commit: Option<String>,
}

impl Hub {
    /// Downloads `source` into its folder.
    pub(super) async fn download(
        &self,
        source: &HubSource,
        advance: &(dyn Fn(u64) + Sync),
    ) -> Result<()> {
        let client = client()?;
        let target = self.folder(source);
        let home = target.parent().expect("the folder of an encoder is below the cache");
        let mut aside = aside(home).map_err(|error| unwritable(home, &error).caused_by(error))?;
        let mut files = BTreeMap::new();
        let mut commit = None;
        for name in FILES {
            let Some((response, announced)) = self.open(&client, source, name).await? else {
                continue;
            };
            let locked =
                receive(response, source, name, &announced, &aside.path.join(name), advance)
                    .await?;
            files.insert(name.to_owned(), locked);
            commit = commit.or(announced.commit);
        }
        let lock = Lock::new(source, commit, files);
        aside
            .keep(&lock, home, &target)
            .map_err(|error| unwritable(&target, &error).caused_by(error))
    }

    /// Asks for one file and follows the hub to where it lies; none where it may be missing and is.
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
            // Whoever the hub sends us on to is not to see the token.
            let of_hub = url.origin() == endpoint.origin();
            if let Some(token) = self.token.as_ref().filter(|_| of_hub) {
                request = request.bearer_auth(token);
            }
            let response = request.send().await.map_err(|error| unreachable(source, error))?;
            let status = response.status();
            // Of a large file, the digest is in the first answer alone: where it lies, nobody knows it.
            let said = announced.get_or_insert_with(|| Announced::of(&response));
            if status.is_redirection() {
                url = next(&url, &response).ok_or_else(|| {
                    Fault::unreachable(
                        "BOT-7026",
                        format!("the hub sends `{source}` on to no address"),
                    )
                    .hint(local_folder())
                })?;
                continue;
            }
            if status.is_success() {
                // An ETag of elsewhere may be the digest of something else, such as of the file's chunks.
                said.complete(&response, of_hub);
                let announced = announced.expect("it was just filled");
                return Ok(Some((response, announced)));
            }
            return match status {
                StatusCode::NOT_FOUND if name == POOLING => Ok(None),
                _ => Err(self.refused(source, name, status)),
            };
        }
        Err(Fault::unreachable("BOT-7026", format!("the hub sends `{source}` on and on"))
            .hint(local_folder()))
    }

    fn refused(&self, source: &HubSource, name: &str, status: StatusCode) -> Fault {
        let usage = |what: &str| Fault::usage("BOT-7027", format!("the hub {what}"));
        match status {
            StatusCode::NOT_FOUND => usage(&format!("has no `{name}` of `{source}`")).hint(
                "check owner, name and revision; botops reads encoders with config.json, tokenizer.json and model.safetensors",
            ),
            // The hub answers so of what does not exist, too.
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                let fault = usage(&format!("does not give `{name}` of `{source}` ({})", status.as_u16()));
                match self.token {
                    Some(_) => fault.hint("check owner and name, and that the owner of `HF_TOKEN` may read it"),
                    None => fault.hint("check owner and name; of a private or gated encoder, set `HF_TOKEN`"),
                }
            }
            _ => Fault::unreachable("BOT-7026", format!("the hub answers {} for `{name}` of `{source}`", status.as_u16()))
                .hint("try again later")
                .hint(local_folder()),
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

    /// Adds what the answer that holds the file says, where the first said nothing.
    fn complete(&mut self, response: &Response, of_hub: bool) {
        let Self { size, digest, commit } = Self::of(response);
        self.size = self.size.or(size).or(response.content_length());
        self.digest = self.digest.or(digest.filter(|_| of_hub));
        self.commit = self.commit.take().or(commit);
    }
}

/// Returns the digest that an ETag is, if it is one: of small files it is that of a git object instead.
fn sha256(etag: &str) -> Option<Digest> {
    let hex = etag.trim_start_matches("W/").trim_matches('"');
    format!("sha256:{}", hex.to_ascii_lowercase()).parse().ok()
}

/// Returns where `response` sends us: nowhere in the clear if we came by TLS.
fn next(url: &Url, response: &Response) -> Option<Url> {
    let to = response.headers().get(header::LOCATION)?.to_str().ok()?;
    let to = url.join(to).ok()?;
    let sound = matches!(to.scheme(), "http" | "https") && to.has_host();
    (sound && (url.scheme() == "http" || to.scheme() == "https")).then_some(to)
}

/// Writes the body of `response` to `path`, and checks it.
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
    let other = |what: String| {
        Fault::data("BOT-7029", format!("`{name}` of `{source}` came otherwise than announced: {what}"))
            .hint("something on the way alters or cuts what is downloaded: try again, or from another network")
    };
    if let Some(wanted) = announced.size.filter(|wanted| *wanted != size) {
        return Err(other(format!("{size} bytes for {wanted}")));
    }
    if let Some(wanted) = announced.digest.filter(|wanted| *wanted != digest) {
        return Err(other(format!("`{digest}` for `{wanted}`")));
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
    let why = why_unreachable(&error);
    // The address that a large file lies at holds a signature.
    Fault::unreachable("BOT-7026", format!("the hub cannot be reached for `{source}`: {why}"))
        .hint(local_folder())
        .caused_by(error.without_url())
}

/// A folder that goes away, with all in it, unless it was given its name.
struct Aside {
    path: PathBuf,
    kept: bool,
}

impl Aside {
    /// Gives it its name, `target` in `home`.
    fn keep(&mut self, lock: &Lock, home: &Path, target: &Path) -> io::Result<()> {
        lock.write(&self.path)?;
        File::open(&self.path)?.sync_all()?;
        match fs::rename(&self.path, target) {
            // Somebody else was faster; what they have is checked when it is read.
            Err(_) if target.is_dir() => return Ok(()),
            renamed => renamed?,
        }
        self.kept = true;
        File::open(home)?.sync_all()
    }
}

impl Drop for Aside {
    fn drop(&mut self) {
        if !self.kept {
            // What cannot be removed harms nobody.
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}

/// Makes a new folder below `home`; what a killed process left of its own is passed over.
fn aside(home: &Path) -> io::Result<Aside> {
    fs::create_dir_all(home)?;
    for number in 0_u32.. {
        // No revision begins so: it would be a name of an encoder's folder.
        let path = home.join(format!("%{number}.part"));
        match fs::create_dir(&path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            made => return made.map(|()| Aside { path, kept: false }),
        }
    }
    unreachable!("a folder does not hold four thousand million unfinished downloads")
}
