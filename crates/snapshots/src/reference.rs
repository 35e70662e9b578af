//! References to snapshots: `support`, `support@3`, `support@latest`, `support@sha256:…`; each may name a file: `support@3:train.csv`.

use botops_findings::{Fault, Result};
use std::{fmt, str::FromStr};

/// A reference to a snapshot, or to one of its files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotReference {
    /// The name of the data set.
    pub name: String,
    /// The snapshot of the data set.
    pub selector: SnapshotSelector,
    /// The file of the snapshot; `None` for the only one, or all.
    pub file: Option<String>,
}

/// A way to select a snapshot of a data set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SnapshotSelector {
    /// The snapshot with this number, from 1.
    Number(u64),
    /// The newest snapshot; also selected by a bare name.
    Latest,
    /// The snapshot with this identity, or a unique prefix of at least 8 hex digits.
    Digest(String),
}

/// The fewest hex digits of a digest that select a snapshot; two digests share them with a chance of 1 in 4 billion.
const LEAST_DIGITS: usize = 8;
const LONGEST_NAME: usize = 64;

impl FromStr for SnapshotReference {
    type Err = Fault;

    /// # Errors
    /// `BOT-5060` (exit 2).
    fn from_str(text: &str) -> Result<Self> {
        let shown = botops_text::display(text, 120);
        let (name, rest) = match text.split_once('@') {
            Some((name, rest)) => (name, Some(rest)),
            None => (text, None),
        };
        if !is_name(name) {
            return Err(Fault::usage("BOT-5060", format!("`{shown}` is not a snapshot reference"))
                .hint("write `name@3`, `name@latest` or `name@sha256:…`, and `name@3:train.csv` for one of its files")
                .hint("a data set name has lowercase letters, digits, `-` and `_`"));
        }
        let (selector, file) = match rest {
            None => (None, None),
            Some(rest) => {
                let prefix = if rest.starts_with("sha256:") { "sha256:".len() } else { 0 };
                match rest[prefix..].split_once(':') {
                    Some((selector, file)) => {
                        (Some(&rest[..prefix + selector.len()]), Some(file.to_owned()))
                    }
                    None => (Some(rest), None),
                }
            }
        };
        let invalid = |reason: String| {
            Fault::usage("BOT-5060", format!("`{shown}`: {reason}"))
                .hint(format!("write `{name}@3`, `{name}@latest` or `{name}@sha256:…`"))
        };
        if file.as_deref() == Some("") {
            return Err(invalid("no file follows the `:`".to_owned()));
        }
        let selector =
            selector.map_or(Ok(SnapshotSelector::Latest), parse_selector).map_err(invalid)?;
        Ok(Self { name: name.to_owned(), selector, file })
    }
}

fn parse_selector(text: &str) -> Result<SnapshotSelector, String> {
    if text == "latest" {
        return Ok(SnapshotSelector::Latest);
    }
    if let Some(hex) = text.strip_prefix("sha256:") {
        let digits = hex.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        return if digits && (LEAST_DIGITS..=64).contains(&hex.len()) {
            Ok(SnapshotSelector::Digest(hex.to_owned()))
        } else {
            Err(format!("a digest is `sha256:` and {LEAST_DIGITS} to 64 lowercase hex digits"))
        };
    }
    match text.parse() {
        Ok(number) if number > 0 && text.bytes().all(|b| b.is_ascii_digit()) => {
            Ok(SnapshotSelector::Number(number))
        }
        _ => Err(format!(
            "`{}` is not a number from 1, `latest` or a digest",
            botops_text::display(text, 60)
        )),
    }
}

impl fmt::Display for SnapshotReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@", self.name)?;
        match &self.selector {
            SnapshotSelector::Number(number) => write!(f, "{number}")?,
            SnapshotSelector::Latest => f.write_str("latest")?,
            SnapshotSelector::Digest(hex) => write!(f, "sha256:{hex}")?,
        }
        match &self.file {
            Some(file) => write!(f, ":{file}"),
            None => Ok(()),
        }
    }
}

/// Returns whether `text` may name a data set; the rule is that of model names.
pub(crate) fn is_name(text: &str) -> bool {
    let inside = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_';
    (1..=LONGEST_NAME).contains(&text.len())
        && text.bytes().all(inside)
        && text.as_bytes()[0].is_ascii_alphanumeric()
}

/// Checks that `name` may name a data set.
///
/// # Errors
/// `BOT-5061` (exit 2).
pub(crate) fn check_name(name: &str) -> Result<()> {
    if is_name(name) {
        return Ok(());
    }
    let shown = botops_text::display(name, 60);
    Err(Fault::usage("BOT-5061", format!("`{shown}` cannot be the name of a data set"))
        .hint("use up to 64 lowercase letters, digits, `-` and `_`: `--name support`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_name_snapshots_and_files() {
        for (text, shown) in [
            ("support", "support@latest"),
            ("support@3", "support@3"),
            ("support@latest:a/b.csv", "support@latest:a/b.csv"),
            ("support@sha256:0123abcd", "support@sha256:0123abcd"),
            ("support@sha256:0123abcd:a:b.csv", "support@sha256:0123abcd:a:b.csv"),
        ] {
            let reference: SnapshotReference = text.parse().unwrap();
            assert_eq!(reference.to_string(), shown);
            assert_eq!(shown.parse::<SnapshotReference>().unwrap(), reference);
        }
    }

    #[test]
    fn an_invalid_reference_is_refused_with_the_reason() {
        for (text, message) in [
            ("", "`` is not a snapshot reference"),
            ("data/train.csv", "`data/train.csv` is not a snapshot reference"),
            ("Support@1", "`Support@1` is not a snapshot reference"),
            ("support@0", "`support@0`: `0` is not a number from 1, `latest` or a digest"),
            ("support@+3", "`support@+3`: `+3` is not a number from 1, `latest` or a digest"),
            (
                "support@champion",
                "`support@champion`: `champion` is not a number from 1, `latest` or a digest",
            ),
            ("support@3:", "`support@3:`: no file follows the `:`"),
            (
                "support@sha256:0123",
                "`support@sha256:0123`: a digest is `sha256:` and 8 to 64 lowercase hex digits",
            ),
        ] {
            let fault = text.parse::<SnapshotReference>().unwrap_err();
            assert_eq!((fault.code(), fault.message()), ("BOT-5060", message));
        }
    }
}
