//! The name of an encoder on the hub.

use botops_findings::{Fault, Result};
use std::{fmt, path::PathBuf, str::FromStr};

/// `hf://owner/name[@revision]`.
///
/// - owner and name are of ASCII letters, digits, `-`, `_` and `.`, and are neither `.` nor `..`
/// - so is each part of the revision between its slashes; `main` where none is named
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct HubSource {
    owner: String,
    name: String,
    revision: String,
}

const SCHEME: &str = "hf://";

impl HubSource {
    /// Returns whether `source` is meant to be one: anything else is a folder.
    #[must_use]
    pub fn is_meant(source: &str) -> bool {
        source.starts_with(SCHEME)
    }

    /// Returns the revision: a branch, a tag or a commit.
    #[must_use]
    pub fn revision(&self) -> &str {
        &self.revision
    }

    /// Returns its folder below the cache.
    pub(super) fn path(&self) -> PathBuf {
        // A slash of the revision would nest folders; `%` is in no name.
        [&self.owner, &self.name, &self.revision.replace('/', "%2F")].iter().collect()
    }

    /// Returns the path of `file` below the hub's endpoint, part by part.
    pub(super) fn resolve<'a>(&'a self, file: &'a str) -> impl Iterator<Item = &'a str> {
        // A hub takes a revision as one part: its slashes are escaped by whoever writes the URL.
        [self.owner.as_str(), &self.name, "resolve", &self.revision]
            .into_iter()
            .chain(file.split('/'))
    }
}

impl FromStr for HubSource {
    type Err = Fault;

    /// # Errors
    /// `BOT-7025` (exit 2) when it is not of the form.
    fn from_str(source: &str) -> Result<Self> {
        let fault = || {
            Fault::usage(
                "BOT-7025",
                format!("`{}` names no encoder of the hub", botops_text::display(source, 80)),
            )
            .hint("write `hf://owner/name` or `hf://owner/name@revision`, such as `hf://sentence-transformers/all-MiniLM-L6-v2`")
        };
        let rest = source.trim().strip_prefix(SCHEME).ok_or_else(fault)?;
        let (place, revision) = rest.split_once('@').unwrap_or((rest, "main"));
        let (owner, name) = place.split_once('/').ok_or_else(fault)?;
        let sound = |part: &str| {
            let plain = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'_' | b'.');
            !part.is_empty()
                && part.len() <= 96
                && part.bytes().all(plain)
                && part.bytes().any(|c| c != b'.')
        };
        if !sound(owner) || !sound(name) || !revision.split('/').all(sound) {
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
    fn what_could_leave_the_cache_folder_or_is_incomplete_is_refused() {
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
        assert!(HubSource::is_meant("hf://x") && !HubSource::is_meant("models/hf"));
    }
}
