//! References to versions: `model`, `model@12`, `model@champion`, `model@latest`, `model@sha256:…`.

use super::CHAMPION;
use botops_findings::{Fault, Result};
use std::{fmt, str::FromStr};

/// A reference to a version: `model`, `model@12`, `model@champion`, `model@latest`, `model@sha256:…`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    /// The model.
    pub model: String,
    /// The version.
    pub selector: Selector,
}

/// The part of a reference that selects the version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selector {
    /// The number.
    Number(u64),
    /// The alias; a bare model name means `champion`.
    Alias(String),
    /// The newest version.
    Latest,
    /// The digest of the manifest in hexadecimal, or a unique prefix of at least 8 digits.
    Digest(String),
}

/// The fewest hexadecimal digits that select a version. Two digests share 8 digits by chance once in four billion.
const MIN_DIGITS: usize = 8;
/// The most bytes of a name.
const MAX_NAME: usize = 64;

impl FromStr for Reference {
    type Err = Fault;
    /// # Errors
    /// `BOT-5010` (exit 2).
    fn from_str(text: &str) -> Result<Self> {
        let (model, selector) = match text.split_once('@') {
            Some((model, selector)) => (model, Some(selector)),
            None => (text, None),
        };
        if looks_like_a_path(model) {
            return Err(Fault::usage(
                "BOT-5010",
                format!("`{text}` is a path, not a version in the registry"),
            )
            .hint("register the file first: `botops push FILE --name NAME`")
            .hint("then name it `NAME@latest`"));
        }
        if !is_name(model) {
            return Err(Fault::usage("BOT-5010", format!("`{text}` is not the name of a model"))
                .hint("write `model@12`, `model@champion`, `model@latest` or `model@sha256:…`")
                .hint("a model's name has lowercase letters, digits, `-` and `_`"));
        }
        let selector = match selector {
            None => Selector::Alias(CHAMPION.to_owned()),
            Some(selector) => Selector::from_str(selector).map_err(|problem| {
                Fault::usage("BOT-5010", format!("`{text}`: {problem}")).hint(format!(
                    "write `{model}@12`, `{model}@champion`, `{model}@latest` or `{model}@sha256:…`"
                ))
            })?,
        };
        Ok(Self { model: model.to_owned(), selector })
    }
}

impl FromStr for Selector {
    type Err = String;
    /// # Errors
    /// The problem, in words.
    fn from_str(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Err("nothing follows the `@`".to_owned());
        }
        if text == "latest" {
            return Ok(Self::Latest);
        }
        if let Some(hex) = text.strip_prefix("sha256:") {
            let digits = hex.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
            return if digits && (MIN_DIGITS..=64).contains(&hex.len()) {
                Ok(Self::Digest(hex.to_owned()))
            } else {
                Err(format!("a digest is `sha256:` and {MIN_DIGITS} to 64 lowercase hex digits"))
            };
        }
        if text.bytes().all(|byte| byte.is_ascii_digit()) {
            return match text.parse() {
                Ok(number) if number > 0 => Ok(Self::Number(number)),
                _ => Err("versions are numbered from 1".to_owned()),
            };
        }
        if is_alias(text) {
            Ok(Self::Alias(text.to_owned()))
        } else {
            Err(format!("`{text}` is not a number, an alias, `latest` or a digest"))
        }
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@", self.model)?;
        match &self.selector {
            Selector::Number(number) => write!(f, "{number}"),
            Selector::Alias(alias) => f.write_str(alias),
            Selector::Latest => f.write_str("latest"),
            Selector::Digest(hex) => write!(f, "sha256:{hex}"),
        }
    }
}

/// Returns whether `text` may name a model.
///
/// Names are lowercase, because some file systems ignore case, and have no dots, because file names have them.
pub(super) fn is_name(text: &str) -> bool {
    let inside = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_';
    (1..=MAX_NAME).contains(&text.len())
        && text.bytes().all(inside)
        && text.as_bytes()[0].is_ascii_alphanumeric()
}

/// Returns whether `text` may name an alias: a name that is neither a number nor `latest`.
pub(super) fn is_alias(text: &str) -> bool {
    is_name(text) && text.as_bytes()[0].is_ascii_lowercase() && text != "latest"
}

fn looks_like_a_path(text: &str) -> bool {
    text.contains(['/', '\\']) || text.starts_with(['.', '~']) || text.ends_with(".botops")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> String {
        match text.parse::<Reference>() {
            Ok(reference) => {
                assert_eq!(reference.to_string().parse::<Reference>().unwrap(), reference);
                format!("{:?}", reference.selector)
            }
            Err(fault) => {
                assert_eq!(fault.code(), "BOT-5010");
                assert!(!fault.hints().is_empty());
                fault.message().to_owned()
            }
        }
    }

    #[test]
    fn references_name_numbers_aliases_and_digests() {
        assert_eq!(read("support"), r#"Alias("champion")"#);
        assert_eq!(read("support@12"), "Number(12)");
        assert_eq!(read("support@007"), "Number(7)");
        assert_eq!(read("support@latest"), "Latest");
        assert_eq!(read("intent-fr_2@shadow-1"), r#"Alias("shadow-1")"#);
        assert_eq!(read("support@sha256:0123abcd"), r#"Digest("0123abcd")"#);
    }

    #[test]
    fn a_path_is_refused_with_a_hint_to_push_it() {
        for path in ["models/intents.botops", "./support", "intents.botops", "~/x", r"c:\x"] {
            assert_eq!(read(path), format!("`{path}` is a path, not a version in the registry"));
        }
        let fault = "intents.botops".parse::<Reference>().unwrap_err();
        assert_eq!(fault.hints()[0], "register the file first: `botops push FILE --name NAME`");
    }

    #[test]
    fn an_invalid_reference_is_refused_with_its_problem() {
        assert_eq!(read(""), "`` is not the name of a model");
        assert_eq!(read("Support@1"), "`Support@1` is not the name of a model");
        assert_eq!(read("support@"), "`support@`: nothing follows the `@`");
        assert_eq!(read("support@0"), "`support@0`: versions are numbered from 1");
        let many = "support@99999999999999999999999";
        assert_eq!(read(many), format!("`{many}`: versions are numbered from 1"));
        let short = "`support@sha256:0123`: a digest is `sha256:` and 8 to 64 lowercase hex digits";
        assert_eq!(read("support@sha256:0123"), short);
        let two = "`support@a@b`: `a@b` is not a number, an alias, `latest` or a digest";
        assert_eq!(read("support@a@b"), two);
        assert_eq!(
            read(&"a".repeat(65)),
            format!("`{}` is not the name of a model", "a".repeat(65))
        );
    }
}
