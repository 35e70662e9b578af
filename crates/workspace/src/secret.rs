//! Secrets, and the references to them in a configuration file.

use botops_findings::{Fault, Place, Result};
use std::{
    collections::BTreeMap,
    fmt, fs,
    io::{self, Read as _},
    path::{Path, PathBuf},
};

/// The largest file of a secret that is read.
const MOST_BYTES: u64 = 1 << 20;

/// A secret that is never printed: `Debug` and `Display` write `[redacted]`.
#[derive(Clone)]
pub struct Secret(String);

impl Secret {
    /// Wraps a secret. Line breaks at its end are not part of it: files and command substitutions leave them there.
    #[must_use]
    pub fn new(secret: impl Into<String>) -> Self {
        let mut secret = secret.into();
        secret.truncate(secret.trim_end_matches(['\r', '\n']).len());
        Self(secret)
    }

    /// Returns the secret itself, for the code that sends it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

/// The source of a secret. The secret is read when a verb needs it, so that a missing variable does not break other verbs.
#[derive(Debug, Clone, Default)]
pub struct SecretSource(Source);

#[derive(Debug, Clone, Default)]
enum Source {
    /// There is no secret.
    #[default]
    None,
    /// The secret itself, from an environment variable of botops.
    Given(Secret),
    /// A reference in a configuration file, at this place.
    Reference(Reference, Place),
}

/// A reference to a secret.
#[derive(Debug, Clone)]
enum Reference {
    /// `${env:NAME}`, with the value of the variable.
    Variable(String, Option<Secret>),
    /// `${file:PATH}`.
    File(PathBuf),
}

impl SecretSource {
    /// Makes a source of a secret that is known.
    pub(super) fn given(secret: Secret) -> Self {
        Self(Source::Given(secret))
    }

    /// Makes a source of the secret that `reference`, `${env:NAME}` or `${file:PATH}`, refers to; relative paths start at
    /// `root`.
    ///
    /// # Errors
    /// `BOT-1021` if it is not a reference. The message contains no part of it, because it may be a secret.
    pub(super) fn parse(
        reference: &str,
        root: &Path,
        environment: &BTreeMap<String, String>,
        place: Place,
    ) -> Result<Self> {
        let reference = parse(reference, root, environment, &place)?;
        Ok(Self(Source::Reference(reference, place)))
    }

    /// Returns whether there is a secret, or a reference to one.
    #[must_use]
    pub fn is_set(&self) -> bool {
        !matches!(self.0, Source::None)
    }

    /// Returns the secret; `None` if none is set.
    ///
    /// Faults never contain any part of a secret.
    ///
    /// # Errors
    /// `BOT-1021` (exit 2) if the variable or file of the reference is missing, empty or unusable.
    pub fn resolve(&self) -> Result<Option<Secret>> {
        match &self.0 {
            Source::None => Ok(None),
            Source::Given(secret) => Ok(Some(secret.clone())),
            Source::Reference(reference, place) => resolve(reference, place).map(Some),
        }
    }
}

fn parse(
    reference: &str,
    root: &Path,
    environment: &BTreeMap<String, String>,
    place: &Place,
) -> Result<Reference> {
    let key = place.key.clone().unwrap_or_default();
    let fault = |message: String| Fault::usage("BOT-1021", message).at(place.clone());
    let inner = reference.trim().strip_prefix("${").and_then(|rest| rest.strip_suffix('}'));
    let Some((kind, name)) = inner.and_then(|inner| inner.split_once(':')) else {
        return Err(fault(format!("`{key}` is not a reference to a secret"))
            .hint(format!(
                "write `{key}: ${{env:BOTOPS_ADMIN_TOKEN}}` or `${{file:/run/secrets/name}}`"
            ))
            .hint("if a real secret was committed, replace it"));
    };
    match kind {
        "env" => {
            let value = environment.get(name).filter(|value| !value.is_empty());
            Ok(Reference::Variable(name.to_owned(), value.map(Secret::new)))
        }
        "file" => Ok(Reference::File(root.join(name))),
        other => {
            let other = botops_text::display(other, 20);
            Err(fault(format!("`{key}` has a reference of the unknown kind `{other}`"))
                .hint("write `${env:NAME}` or `${file:PATH}`"))
        }
    }
}

fn resolve(reference: &Reference, place: &Place) -> Result<Secret> {
    let key = place.key.clone().unwrap_or_default();
    let fault = |message: String| Fault::usage("BOT-1021", message).at(place.clone());
    let secret = match reference {
        Reference::Variable(_, Some(secret)) => secret.clone(),
        Reference::Variable(name, None) => {
            return Err(fault(format!(
                "`{key}` refers to the variable `{name}`, which is not set"
            ))
            .hint(format!("export {name}=…")));
        }
        Reference::File(path) => Secret::new(short_text(path).map_err(|error| {
            fault(format!(
                "`{key}` refers to the file `{}`, which cannot be read: {error}",
                path.display()
            ))
            .hint("write the secret into that file, readable only by you")
        })?),
    };
    if secret.expose().trim().is_empty() {
        return Err(fault(format!("`{key}` refers to an empty secret")));
    }
    if secret.expose().chars().any(char::is_control) {
        return Err(fault(format!("`{key}` refers to a secret with a control character"))
            .hint("a token is a single line of visible characters"));
    }
    Ok(secret)
}
/// Reads the text of a secret; a device may never end.
fn short_text(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    fs::File::open(path)?.take(MOST_BYTES + 1).read_to_string(&mut text)?;
    if text.len() as u64 > MOST_BYTES {
        return Err(io::Error::other(format!("it has more than {MOST_BYTES} bytes")));
    }
    Ok(text)
}
