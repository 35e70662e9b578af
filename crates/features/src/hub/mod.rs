//! Encoders by name: `hf://owner/name[@revision]` becomes files in a cache folder, checked on the way in and
//! whenever they are read again.
//!
//! | below the cache folder | what |
//! |---|---|
//! | `owner/name/revision/` | the files of one encoder, as [`EncoderFiles`] reads them |
//! | `owner/name/revision/encoder.lock.json` | where they came from, and the size and SHA-256 of each |
//!
//! What is in the folder is used without asking the hub again, so a training can be repeated without a network;
//! remove the folder to have a moving revision (`main`) fetched anew. This is the one place of the features that
//! waits for others.

mod download;
mod lock;
mod source;

pub use source::HubSource;

use super::EncoderFiles;
use botops_findings::{Fault, Result};
use botops_http::Url;
use lock::Lock;
use std::path::{Path, PathBuf};

/// Where encoders are kept, and where they come from.
pub struct Hub {
    cache: PathBuf,
    /// None: what was named is no address, which is said when the hub is asked for something.
    endpoint: Option<Url>,
    token: Option<String>,
    offline: bool,
}

/// Everything but the token.
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

/// The endpoint where no other is named.
const ENDPOINT: &str = "https://huggingface.co";

/// The files of an encoder; the last may be missing.
const FILES: [&str; 4] = ["config.json", "tokenizer.json", "model.safetensors", POOLING];
const POOLING: &str = "1_Pooling/config.json";

impl Hub {
    /// Keeps encoders below `cache`, such as `.botops/encoders`.
    ///
    /// `endpoint` is that of `HF_ENDPOINT`, if set; `token` that of `HF_TOKEN`, which is sent to the endpoint alone
    /// and never shown. With `offline`, nothing is ever asked for. Nothing is opened, and nothing checked: whoever needs
    /// no hub is not held up by an endpoint that is none.
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
        Self { cache: cache.into(), endpoint: url, token, offline }
    }

    /// Returns the endpoint.
    ///
    /// # Errors
    /// `BOT-7025` (exit 2) when it is no http or https URL, or has a user in it.
    fn endpoint(&self) -> Result<&Url> {
        self.endpoint.as_ref().ok_or_else(|| {
            Fault::usage("BOT-7025", "`HF_ENDPOINT` is no address of a hub")
                .hint(format!("such as `{ENDPOINT}`; a token goes into `HF_TOKEN`"))
        })
    }

    /// Returns the folder in which `source` is kept, whether it is there or not.
    #[must_use]
    pub fn folder(&self, source: &HubSource) -> PathBuf {
        self.cache.join(source.path())
    }

    /// Returns whether nothing is ever asked for.
    #[must_use]
    pub fn is_offline(&self) -> bool {
        self.offline
    }

    /// Returns the files of `source` as they were downloaded before; none where they were not.
    ///
    /// Every file is digested and compared with what was noted when it was downloaded.
    ///
    /// # Errors
    /// `BOT-7029` (exit 3) when a file or the note of the digests was altered; `BOT-7020` when a file cannot be read.
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

    /// Returns the files of `source`: those of the cache, else those of the hub, which are kept.
    ///
    /// `advance` is told the number of bytes that came since it was told last.
    ///
    /// # Errors
    /// - those of [`Hub::cached`]
    /// - `BOT-7025` (exit 2): the endpoint is no http or https URL
    /// - `BOT-7026` (exit 7): the hub cannot be reached, or is not to be asked
    /// - `BOT-7027` (exit 2): the hub has no such encoder or file, or does not give it to this token
    /// - `BOT-7028` (exit 1): the cache folder cannot be written
    /// - `BOT-7029` (exit 3): what came is not what the hub announced
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
                format!("`{source}` is not in the cache, and the hub is not to be asked (offline)"),
            )
            .hint("to let the hub be asked, unset `HF_HUB_OFFLINE`")
            .hint(local_folder()));
        }
        self.endpoint()?;
        self.download(source, advance).await?;
        self.cached(source)?
            .ok_or_else(|| unwritable(&self.folder(source), "it was removed while it was written"))
    }
}

/// What helps whoever has no way to the hub.
fn local_folder() -> String {
    "name a folder that holds the encoder's config.json, tokenizer.json and model.safetensors as `source`, or run once where the hub can be reached and copy the cache folder".to_owned()
}

fn unwritable(path: &Path, why: impl std::fmt::Display) -> Fault {
    Fault::internal("BOT-7028", format!("the cache of encoders cannot be written: {why}"))
        .file(path)
        .hint("check the permissions and the free space of the folder")
}
