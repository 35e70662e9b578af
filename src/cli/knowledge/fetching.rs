//! Documents fetched from a list of addresses.

use botops_documents::{DocumentFormat, Limits};
use botops_findings::{Fault, Result};
use botops_http::{CallRules, GuardedClient, Url};
use botops_spec as spec;
use botops_text as text;
use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _};
use std::{collections::BTreeSet, path::Path, time::Duration};

/// The most addresses of a list.
const MOST_ADDRESSES: usize = 10_000;
/// Pages fetched at a time.
const AT_ONCE: usize = 4;
/// The longest time for one page.
const PATIENCE: Duration = Duration::from_secs(30);
/// The most redirects of one page.
const MOST_REDIRECTS: usize = 5;

/// Whether addresses of private networks may be fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PrivateAddresses {
    Allowed,
    Refused,
}

/// A fetched document.
#[derive(Debug)]
pub(super) struct Fetched {
    /// The address of the list.
    pub(super) url: String,
    pub(super) bytes: Bytes,
    /// The encoding that the server declares.
    pub(super) charset: Option<String>,
}

/// Reads the addresses of `file`: one a line; empty lines and lines that begin with `#` are skipped.
///
/// # Errors
/// `BOT-1001` (exit 2) the file cannot be read; `BOT-7240` (exit 2) a line is not an address, or there are none or too many.
pub(super) fn addresses(file: &Path) -> Result<Vec<Url>> {
    let lines = spec::text(file)?;
    let mut urls = Vec::new();
    let mut seen = BTreeSet::new();
    for (line, number) in lines.lines().zip(1_u64..) {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let refused = |why: &str| {
            let message = format!("line {number} of the list {why}");
            Fault::usage("BOT-7240", message).file(file)
        };
        let mut url = Url::parse(line)
            .ok()
            .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
            .ok_or_else(|| {
                refused("is not an address").hint("write an `https://` address on each line")
            })?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(refused("holds a user or a password")
                .hint("fetch such a page yourself, and import its file"));
        }
        url.set_fragment(None);
        if seen.insert(url.clone()) {
            urls.push(url);
        }
    }
    let number = match urls.len() {
        0 => "the list has no address".to_owned(),
        n if n > MOST_ADDRESSES => {
            format!("the list has {n} addresses, more than {MOST_ADDRESSES}")
        }
        _ => return Ok(urls),
    };
    Err(Fault::usage("BOT-7240", number)
        .file(file)
        .hint("write one to 10,000 addresses, one on each line"))
}

/// Fetches `urls` in order. Redirects are followed within the hosts of the list only.
///
/// # Errors
/// `BOT-7241` (exit 6) an address is not allowed; `BOT-7242` (exit 7) it does not answer; `BOT-7243` (exit 3) it has no document.
pub(super) async fn fetch(
    urls: &[Url],
    private: PrivateAddresses,
    limits: &Limits,
    advance: &(dyn Fn() + Sync),
) -> Result<Vec<Fetched>> {
    let origins: BTreeSet<String> =
        urls.iter().map(|url| url.origin().ascii_serialization()).collect();
    let everywhere = ["0.0.0.0/0".to_owned(), "::/0".to_owned()];
    let client = GuardedClient::new(&CallRules {
        allow: origins.into_iter().collect(),
        allow_private: match private {
            PrivateAddresses::Allowed => everywhere.to_vec(),
            PrivateAddresses::Refused => Vec::new(),
        },
        most_bytes: limits.file_bytes,
    })?;
    let client = &client;
    futures::stream::iter(urls)
        .map(|url| async move {
            let fetched = one(client, url).await;
            advance();
            fetched
        })
        .buffered(AT_ONCE)
        .try_collect()
        .await
}

async fn one(client: &GuardedClient, first: &Url) -> Result<Fetched> {
    let shown = text::display(first.as_str(), 200);
    let unfit = |why: String| {
        Fault::data("BOT-7243", format!("`{shown}` {why}"))
            .hint("remove the address from the list, or import a file of the document")
    };
    let mut url = first.clone();
    for _ in 0..=MOST_REDIRECTS {
        let page = client.fetch(url.clone(), PATIENCE).await.map_err(|failure| {
            let message = format!("`{shown}` cannot be fetched: {}", failure.reason);
            if failure.is_refused {
                Fault::policy("BOT-7241", message)
                    .hint("list the host with an address of its own")
                    .hint("for a server of your own network, add `--allow-private`")
            } else {
                Fault::unreachable("BOT-7242", message)
                    .hint("try again later, or remove the address from the list")
            }
        })?;
        if (300..400).contains(&page.status) {
            let next = page.location.as_deref().and_then(|location| url.join(location).ok());
            url = next.ok_or_else(|| unfit("redirects to no address".to_owned()))?;
            continue;
        }
        if page.status != 200 {
            let message = format!("`{shown}` answers with status {}", page.status);
            return Err(Fault::unreachable("BOT-7242", message)
                .hint("open it in a browser; remove it from the list if it is gone"));
        }
        let bytes = page.body.map_err(|why| unfit(format!("cannot be imported: {why}")))?;
        let name = first.path();
        if !fits(&page.media_type, DocumentFormat::of(name, &bytes)) {
            let kind = text::display(&page.media_type, 60);
            return Err(unfit(format!("is declared as `{kind}`, and its content is not that")));
        }
        return Ok(Fetched {
            url: first.as_str().to_owned(),
            bytes: bytes.into(),
            charset: page.charset,
        });
    }
    Err(unfit(format!("redirects more than {MOST_REDIRECTS} times")))
}

/// Returns whether content of `format` may be declared as `media_type`.
fn fits(media_type: &str, format: Option<DocumentFormat>) -> bool {
    use DocumentFormat::{Docx, Html, Markdown, Pdf, Questions, Text};
    let Some(format) = format else { return false };
    match media_type {
        "" | "application/octet-stream" => true,
        "text/html" | "application/xhtml+xml" => format == Html,
        "application/pdf" => format == Pdf,
        "application/vnd.openxmlformats-officedocument.wordprocessingml.document" => format == Docx,
        "text/csv" | "application/jsonl" | "application/x-ndjson" | "application/json" => {
            matches!(format, Questions | Text)
        }
        "text/plain" | "text/markdown" | "text/x-markdown" => {
            matches!(format, Text | Markdown | Questions)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_must_be_of_the_declared_type() {
        use DocumentFormat::{Html, Markdown, Pdf, Text};
        assert!(fits("text/html", Some(Html)));
        assert!(!fits("text/html", Some(Pdf)));
        assert!(!fits("application/pdf", Some(Html)));
        assert!(fits("text/plain", Some(Markdown)));
        assert!(!fits("text/plain", Some(Html)), "a page of an error, for example");
        assert!(!fits("image/png", Some(Text)));
        assert!(!fits("", None));
    }
}
