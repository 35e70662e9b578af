//! A secret, and the references by which a file may name one.

use botops_findings::{Fault, Place, Result};
use std::{collections::BTreeMap, fmt, fs, path::Path};

/// A secret: never printed, `Debug` and `Display` show `[redacted]`.
#[derive(Clone)]
pub struct Secret(String);

impl Secret {
    /// Wraps a secret.
    #[must_use]
    pub fn new(secret: impl Into<String>) -> Self {
        Self(secret.into())
    }
    /// Returns the secret, for the one place that sends it.
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

/// Resolves `reference`, which is `${env:NAME}` or `${file:PATH}`; a relative path starts at `root`.
///
/// The last line break of a file is not part of the secret. Nothing of a secret is ever in a fault.
///
/// # Errors
/// `BOT-1021` when it is no reference, or when there is nothing behind it.
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
        return Err(fault(format!("`{key}` holds a secret, and a reference to one is wanted"))
            .hint(format!(
                "write `{key}: ${{env:BOTOPS_ADMIN_TOKEN}}` or `${{file:/run/secrets/name}}`"
            ))
            .hint("a secret that was committed is no secret any more: replace it"));
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
            let text = fs::read_to_string(&path).map_err(|error| {
                fault(format!(
                    "`{key}` refers to the file `{}`, which cannot be read: {error}",
                    path.display()
                ))
                .hint("write the secret into that file, readable by you alone")
            })?;
            text.trim_end_matches(['\r', '\n']).to_owned()
        }
        other => {
            let other = botops_text::display(other, 20);
            return Err(fault(format!("`{key}` is a reference of the unknown kind `{other}`"))
                .hint("write `${env:NAME}` or `${file:PATH}`"));
        }
    };
    if secret.trim().is_empty() {
        return Err(fault(format!("`{key}` refers to a secret that is empty")));
    }
    if secret.chars().any(char::is_control) {
        return Err(fault(format!("`{key}` refers to a secret with a control character in it"))
            .hint("a token is one line of visible characters"));
    }
    Ok(Secret::new(secret))
}
