//! The name of an encoder on the hub.

use botops_findings::{Fault, Result};
use std::{fmt, path::PathBuf, str::FromStr};

/// `hf://owner/name[@revision]`.
///
/// - owner and name consist of ASCII letters, digits, `-`, `_` and `.`, have a character other than `.`, and
///   at most 96 characters
/// - the same holds for each part of the revision between slashes; the default revision is `main`
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct HubSource {
    owner: String,
    name: String,
    revision: String,
}

/// The scheme of a hub source.
const SCHEME: &str = "hf://";

impl HubSource {
    /// Returns whether `source` has the form of a hub source; anything else is a folder.
    #[must_use]
    pub fn is_hub_source(source: &str) -> bool {
        source.starts_with(SCHEME)
    }

    /// Returns the revision: a branch, a tag or a commit.
    #[must_use]
    pub fn revision(&self) -> &str {
        &self.revision
    }

    /// Returns the path of the encoder's folder, relative to the cache folder.
    pub(super) fn path(&self) -> PathBuf {
        // Escaped, because a slash would nest folders; no name contains `%`.
        [&self.owner, &self.name, &self.revision.replace('/', "%2F")].iter().collect()
    }

    /// Returns the segments of the URL path of `file`, relative to the hub's endpoint.
    pub(super) fn resolve<'a>(&'a self, file: &'a str) -> impl Iterator<Item = &'a str> {
        // The revision is one segment: the caller escapes its slashes in the URL.
        [self.owner.as_str(), &self.name, "resolve", &self.revision]
            .into_iter()
            .chain(file.split('/'))
    }
}

impl FromStr for HubSource {
    type Err = Fault;

    /// # Errors
    /// `BOT-7025` (exit 2) if it does not have the form `hf://owner/name[@revision]`.
    fn from_str(source: &str) -> Result<Self> {
        let fault = || {
            Fault::usage(
                "BOT-7025",
                format!("`{}` is not the name of an encoder on the hub", botops_text::display(source, 80)),
            )
            .hint("write `hf://owner/name` or `hf://owner/name@revision`, such as `hf://sentence-transformers/all-MiniLM-L6-v2`")
        };
        let rest = source.trim().strip_prefix(SCHEME).ok_or_else(fault)?;
        let (place, revision) = rest.split_once('@').unwrap_or((rest, "main"));
        let (owner, name) = place.split_once('/').ok_or_else(fault)?;
        let is_valid = |part: &str| {
            let plain = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'_' | b'.');
            !part.is_empty()
                && part.len() <= 96
                && part.bytes().all(plain)
                && part.bytes().any(|c| c != b'.')
        };
        if !is_valid(owner) || !is_valid(name) || !revision.split('/').all(is_valid) {
            return Err(fault());
        }
        Ok(Self { owner: owner.to_owned(), name: name.to_owned(), revision: revision.to_owned() })
    }
}

impl fmt::Display for HubSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{SCHEME}{}/{}@{}", self.owner, self.name, self.revision)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_owner_name_and_revision() {
        let source: HubSource = "hf://sentence-transformers/all-MiniLM-L6-v2".parse().unwrap();
        assert_eq!(source.to_string(), "hf://sentence-transformers/all-MiniLM-L6-v2@main");
        let source: HubSource = " hf://a/b@refs/pr/1 ".parse().unwrap();
        assert_eq!(
            (source.revision(), source.path()),
            ("refs/pr/1", ["a", "b", "refs%2Fpr%2F1"].iter().collect())
        );
        let parts: Vec<&str> = source.resolve("1_Pooling/config.json").collect();
        assert_eq!(parts, ["a", "b", "resolve", "refs/pr/1", "1_Pooling", "config.json"]);
    }

    #[test]
    fn a_source_that_is_incomplete_or_could_leave_the_cache_folder_is_refused() {
        for source in [
            "hf://",
            "hf://a",
            "hf://a/",
            "hf:///b",
            "hf://a/b@",
            "hf://a/b/c",
            "hf://../b",
            "hf://a/..",
            "hf://a/b@..",
            "hf://a/b@x/../y",
            "hf://a/b@/x",
            "hf://a/b c",
            "hf://a/b?x",
            "hf://a/b%2e",
            "folder",
            "hf://a/b\n/",
            "hf://a\\b/c",
        ] {
            let fault = source.parse::<HubSource>().unwrap_err();
            assert_eq!(fault.code(), "BOT-7025", "{source}");
            assert!(!fault.hints().is_empty());
        }
        assert!(HubSource::is_hub_source("hf://x") && !HubSource::is_hub_source("models/hf"));
    }
}
