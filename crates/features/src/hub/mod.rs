//! The download of encoders: `hf://owner/name[@revision]` becomes files in a cache folder.
//!
//! Files are checked when they are downloaded and whenever they are read.
//!
//! | path in the cache folder | content |
//! |---|---|
//! | `owner/name/revision/` | the files of one encoder, as [`EncoderFiles`] reads them |
//! | `owner/name/revision/encoder.lock.json` | their source, and the size and SHA-256 of each |
//!
//! Files in the cache are used without a request to the hub, so training works again without a network. To
//! update a branch such as `main`, remove its folder. This is the only module of the crate that uses the
//! network.

mod download;
mod faults;
mod file_names;
mod lock;
mod source;

pub use source::HubSource;

use super::EncoderFiles;
use botops_findings::{Fault, Result};
use botops_http::{PlainHttp, Url};
use faults::{offline_hint, unwritable};
use lock::Lock;
use std::path::PathBuf;

/// A hub of encoders, and the cache folder for its files.
pub struct Hub {
    cache: PathBuf,
    /// `None` if the given endpoint is not a valid URL; a download reports it.
    endpoint: Option<Url>,
    token: Option<String>,
    plain_http: PlainHttp,
    offline: bool,
}

/// Prints everything but the token.
impl std::fmt::Debug for Hub {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hub")
            .field("cache", &self.cache)
            .field("endpoint", &self.endpoint.as_ref().map(Url::as_str))
            .field("token", &self.token.as_ref().map(|_| "(set)"))
            .field("offline", &self.offline)
            .finish()
    }
}

/// The default endpoint.
const ENDPOINT: &str = "https://huggingface.co";

impl Hub {
    /// Makes a hub with the cache folder `cache`, such as `.botops/encoders`.
    ///
    /// `endpoint` is the value of `HF_ENDPOINT`, if set. `token` is the value of `HF_TOKEN`; it is sent only to
    /// the endpoint and never printed. With `offline`, no request is made. Nothing is opened or checked here,
    /// so an invalid endpoint does not affect commands that need no hub.
    #[must_use]
    pub fn new(
        cache: impl Into<PathBuf>,
        endpoint: Option<&str>,
        token: Option<String>,
        offline: bool,
    ) -> Self {
        let endpoint = endpoint.filter(|endpoint| !endpoint.trim().is_empty()).unwrap_or(ENDPOINT);
        let url = Url::parse(endpoint.trim())
            .ok()
            .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
            .filter(|url| url.username().is_empty() && url.password().is_none());
        let token = token.map(|token| token.trim().to_owned()).filter(|token| !token.is_empty());
        let plain_http = PlainHttp::default();
        Self { cache: cache.into(), endpoint: url, token, plain_http, offline }
    }

    /// Sends the token over `http://` only to hubs that `plain` allows; without this, only to one on this machine.
    #[must_use]
    pub fn over(self, plain: PlainHttp) -> Self {
        Self { plain_http: plain, ..self }
    }

    /// Returns the endpoint.
    ///
    /// # Errors
    /// `BOT-7025` (exit 2) if it is not an http or https URL, or contains a user name or password.
    fn endpoint(&self) -> Result<&Url> {
        self.endpoint.as_ref().ok_or_else(|| {
            Fault::usage("BOT-7025", "`HF_ENDPOINT` is not the URL of a hub")
                .hint(format!("write a URL such as `{ENDPOINT}`; put a token in `HF_TOKEN`"))
        })
    }

    /// Returns the cache folder of `source`, which need not exist.
    #[must_use]
    pub fn folder(&self, source: &HubSource) -> PathBuf {
        self.cache.join(source.path())
    }

    /// Returns whether requests are forbidden.
    #[must_use]
    pub fn is_offline(&self) -> bool {
        self.offline
    }

    /// Returns the files of `source` from the cache; `None` if they are not there.
    ///
    /// The digest of every file is compared with the one recorded at the download.
    ///
    /// # Errors
    /// `BOT-7029` (exit 3) if a file or the record of the digests was altered; `BOT-7020` if a file is missing;
    /// `BOT-1017` if one cannot be read.
    pub fn cached(&self, source: &HubSource) -> Result<Option<EncoderFiles>> {
        let folder = self.folder(source);
        if !folder.exists() {
            return Ok(None);
        }
        let lock = Lock::read(&folder)?;
        let files = EncoderFiles::read(&folder)?;
        lock.check(&files, &folder)?;
        Ok(Some(files))
    }

    /// Returns the files of `source` from the cache, or downloads them into the cache.
    ///
    /// `advance` is called with the number of bytes downloaded since its last call.
    ///
    /// # Errors
    /// - those of [`Hub::cached`]
    /// - `BOT-7025` (exit 2): the endpoint is not an http or https URL
    /// - `BOT-1032` (exit 2): the token would be sent unprotected
    /// - `BOT-7026` (exit 7): the hub cannot be reached, or requests are forbidden
    /// - `BOT-7027` (exit 2): the hub has no such encoder or file, or denies access with this token
    /// - `BOT-7028` (exit 1): the cache folder cannot be written
    /// - `BOT-7029` (exit 3): a downloaded file differs from the size or digest that the hub announced
    pub async fn fetch(
        &self,
        source: &HubSource,
        advance: &(dyn Fn(u64) + Sync),
    ) -> Result<EncoderFiles> {
        if let Some(files) = self.cached(source)? {
            return Ok(files);
        }
        if self.offline {
            return Err(Fault::unreachable(
                "BOT-7026",
                format!("`{source}` is not in the cache, and `HF_HUB_OFFLINE` forbids a download"),
            )
            .hint("to allow the download, unset `HF_HUB_OFFLINE`")
            .hint(offline_hint()));
        }
        let endpoint = self.endpoint()?;
        if self.token.is_some() {
            self.plain_http.check(endpoint, "`HF_TOKEN`")?;
        }
        self.download(source, advance).await?;
        self.cached(source)?
            .ok_or_else(|| unwritable(&self.folder(source), "it was removed during the download"))
    }
}
