//! Secrets, and the references to them in a configuration file.

use botops_findings::{Fault, Place, Result};
use std::{collections::BTreeMap, fmt, fs, path::Path};

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

/// Returns the secret that `reference`, `${env:NAME}` or `${file:PATH}`, refers to; relative paths start at `root`.
///
/// Faults never contain any part of a secret.
///
/// # Errors
/// `BOT-1021` if it is not a reference, or if the variable or file is missing, empty or unusable.
pub(super) fn resolve(
    reference: &str,
    root: &Path,
    environment: &BTreeMap<String, String>,
    place: Place,
) -> Result<Secret> {
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
    let secret = match kind {
        "env" => match environment.get(name).filter(|value| !value.is_empty()) {
            Some(value) => value.clone(),
            None => {
                return Err(fault(format!(
                    "`{key}` refers to the variable `{name}`, which is not set"
                ))
                .hint(format!("export {name}=…")));
            }
        },
        "file" => {
            let path = root.join(name);
            fs::read_to_string(&path).map_err(|error| {
                fault(format!(
                    "`{key}` refers to the file `{}`, which cannot be read: {error}",
                    path.display()
                ))
                .hint("write the secret into that file, readable only by you")
            })?
        }
        other => {
            let other = botops_text::display(other, 20);
            return Err(fault(format!("`{key}` has a reference of the unknown kind `{other}`"))
                .hint("write `${env:NAME}` or `${file:PATH}`"));
        }
    };
    let secret = Secret::new(secret);
    if secret.expose().trim().is_empty() {
        return Err(fault(format!("`{key}` refers to an empty secret")));
    }
    if secret.expose().chars().any(char::is_control) {
        return Err(fault(format!("`{key}` refers to a secret with a control character"))
            .hint("a token is a single line of visible characters"));
    }
    Ok(secret)
}
