//! References to versions of knowledge bases: `help`, `help@3`, `help@latest`, `help@sha256:…`.

use botops_findings::{Fault, Result};
use botops_text as text;
use std::{fmt, str::FromStr};

/// A reference to a version of a knowledge base.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnowledgeReference {
    /// The name of the knowledge base.
    pub name: String,
    /// The version.
    pub selector: KnowledgeSelector,
}

/// A way to select a version of a knowledge base.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KnowledgeSelector {
    /// The version with this number, from 1.
    Number(u64),
    /// The newest version; also selected by a bare name.
    Latest,
    /// The version whose manifest or index has this digest, or a unique prefix of at least 8 hex digits.
    Digest(String),
}

/// The fewest hex digits of a digest that select a version; two digests share them with a chance of 1 in 4 billion.
const LEAST_DIGITS: usize = 8;
const LONGEST_NAME: usize = 64;

impl FromStr for KnowledgeReference {
    type Err = Fault;

    /// # Errors
    /// `BOT-7230` (exit 2).
    fn from_str(reference: &str) -> Result<Self> {
        let shown = text::display(reference, 120);
        let (name, selector) = match reference.split_once('@') {
            Some((name, selector)) => (name, Some(selector)),
            None => (reference, None),
        };
        if !is_name(name) {
            let message = format!("`{shown}` is not a reference to a knowledge base");
            return Err(Fault::usage("BOT-7230", message)
                .hint("write `name@3`, `name@latest` or `name@sha256:…`")
                .hint("the name of a knowledge base has lowercase letters, digits, `-` and `_`"));
        }
        let selector = selector.map_or(Ok(KnowledgeSelector::Latest), selector_of);
        let selector = selector.map_err(|reason| {
            Fault::usage("BOT-7230", format!("`{shown}`: {reason}"))
                .hint(format!("write `{name}@3`, `{name}@latest` or `{name}@sha256:…`"))
        })?;
        Ok(Self { name: name.to_owned(), selector })
    }
}

fn selector_of(selector: &str) -> Result<KnowledgeSelector, String> {
    if selector == "latest" {
        return Ok(KnowledgeSelector::Latest);
    }
    if let Some(hex) = selector.strip_prefix("sha256:") {
        let digits = hex.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        return if digits && (LEAST_DIGITS..=64).contains(&hex.len()) {
            Ok(KnowledgeSelector::Digest(hex.to_owned()))
        } else {
            Err(format!("a digest is `sha256:` and {LEAST_DIGITS} to 64 lowercase hex digits"))
        };
    }
    match selector.parse() {
        Ok(number) if number > 0 && selector.bytes().all(|b| b.is_ascii_digit()) => {
            Ok(KnowledgeSelector::Number(number))
        }
        _ => Err(format!(
            "`{}` is not a number from 1, `latest` or a digest",
            text::display(selector, 60)
        )),
    }
}

impl fmt::Display for KnowledgeReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@", self.name)?;
        match &self.selector {
            KnowledgeSelector::Number(number) => write!(f, "{number}"),
            KnowledgeSelector::Latest => f.write_str("latest"),
            KnowledgeSelector::Digest(hex) => write!(f, "sha256:{hex}"),
        }
    }
}

/// Returns whether `name` may name a knowledge base; the rule is that of model names.
pub(crate) fn is_name(name: &str) -> bool {
    let inside = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_';
    (1..=LONGEST_NAME).contains(&name.len())
        && name.bytes().all(inside)
        && name.as_bytes()[0].is_ascii_alphanumeric()
}

/// Checks that `name` may name a knowledge base.
///
/// # Errors
/// `BOT-7231` (exit 2).
pub fn check_name(name: &str) -> Result<()> {
    if is_name(name) {
        return Ok(());
    }
    let message = format!("`{}` cannot be the name of a knowledge base", text::display(name, 60));
    Err(Fault::usage("BOT-7231", message)
        .hint("use up to 64 lowercase letters, digits, `-` and `_`: `--into help`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_name_versions() {
        for (text, shown) in [
            ("help", "help@latest"),
            ("help@3", "help@3"),
            ("help@latest", "help@latest"),
            ("help@sha256:0123abcd", "help@sha256:0123abcd"),
        ] {
            let reference: KnowledgeReference = text.parse().unwrap();
            assert_eq!(reference.to_string(), shown);
            assert_eq!(shown.parse::<KnowledgeReference>().unwrap(), reference);
        }
    }

    #[test]
    fn an_invalid_reference_is_refused_with_the_reason() {
        for (text, message) in [
            ("", "`` is not a reference to a knowledge base"),
            ("docs/help.md", "`docs/help.md` is not a reference to a knowledge base"),
            ("help@0", "`help@0`: `0` is not a number from 1, `latest` or a digest"),
            ("help@+3", "`help@+3`: `+3` is not a number from 1, `latest` or a digest"),
            (
                "help@sha256:0123",
                "`help@sha256:0123`: a digest is `sha256:` and 8 to 64 lowercase hex digits",
            ),
        ] {
            let fault = text.parse::<KnowledgeReference>().unwrap_err();
            assert_eq!((fault.code(), fault.message()), ("BOT-7230", message));
        }
        assert_eq!(check_name("../help").unwrap_err().code(), "BOT-7231");
    }
}
