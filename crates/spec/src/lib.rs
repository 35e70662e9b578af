//! YAML files as typed specs, with faults that name the place, the nearest known key, and the remedy.
//!
//! In: the text of a YAML file. Out: a typed value, or a single [`Fault`] that names file, line, column and dotted key.
//! [`documents`] reads files whose keys are data.

mod block_hint;
mod checked;
mod nearest_name;
mod outline;
mod reading;
mod syntax_errors;
mod text_clip;
mod tree;
mod yaml_errors;

pub use checked::{Checked, Spec};
pub use nearest_name::nearest;
pub use outline::Outline;
pub use reading::{LARGEST_SPEC, bytes_within, text, unreadable};
pub use tree::{Node, Value, documents};

use botops_findings::{Fault, Place, Result};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::path::Path;

/// Reads and parses the YAML file at `path`; structs should be `deny_unknown_fields`.
///
/// # Errors
/// `BOT-1001` if the file cannot be read. With file, line and column (exit 2): `BOT-1010` for malformed YAML, `BOT-1011`
/// for an unknown key (with the nearest known one), `BOT-1012` for a value of the wrong type, `BOT-1013` for a missing
/// key, `BOT-1014` for a duplicate key.
pub fn read<T: DeserializeOwned>(path: &Path) -> Result<T> {
    parse(&text(path)?, &path.display().to_string())
}

/// Reads a YAML file with a `version:` key; `newest` is the newest supported version.
///
/// # Errors
/// As [`read`], and `BOT-1015` (exit 6) for a newer version, which is checked before all other keys.
pub fn read_versioned<T: DeserializeOwned>(path: &Path, newest: u32) -> Result<T> {
    let yaml = text(path)?;
    let file = path.display().to_string();
    check_version(&yaml, &file, newest)?;
    parse(&yaml, &file)
}

/// Parses `yaml`; faults name `file`.
///
/// Values follow YAML 1.2: `true` and `false` are the only booleans, so `no` and `on` are strings.
///
/// # Errors
/// As [`read`].
pub fn parse<T: DeserializeOwned>(yaml: &str, file: &str) -> Result<T> {
    let yaml = yaml.strip_prefix('\u{feff}').unwrap_or(yaml);
    deserialize(yaml).map_err(|error| {
        let fault = yaml_errors::fault(&error, yaml, file);
        let hint = block_hint::block_hint(&error, yaml, |yaml| deserialize::<T>(yaml).map(|_| ()));
        match hint {
            Some(hint) => fault.hint(hint),
            None => fault,
        }
    })
}

fn deserialize<T: DeserializeOwned>(yaml: &str) -> Result<T, serde_yaml::Error> {
    let options = serde_yaml::options! { with_snippet: false, strict_booleans: true };
    serde_yaml::from_str_with_options(yaml, options)
}

/// Writes `value` as YAML.
///
/// # Errors
/// `BOT-1019` if `value` has no YAML form (a map whose keys are not scalars).
pub fn render<T: Serialize>(value: &T) -> Result<String> {
    serde_yaml::to_string(value).map_err(|error| {
        Fault::internal("BOT-1019", "a value cannot be written as YAML").caused_by(error)
    })
}

/// Refuses `yaml` if its top-level `version:` is newer than `newest`.
///
/// # Errors
/// `BOT-1015` (exit 6) for a newer version, `BOT-1012` for version 0. Malformed YAML passes, because [`parse`] reports it
/// better.
pub fn check_version(yaml: &str, file: &str, newest: u32) -> Result<()> {
    #[derive(Deserialize)]
    struct Versioned {
        version: Option<u64>,
    }
    let options = serde_yaml::options! { with_snippet: false };
    let Ok(Versioned { version: Some(version) }) = serde_yaml::from_str_with_options(yaml, options)
    else {
        return Ok(());
    };
    let place = Place {
        file: Some(file.to_owned()),
        line: Outline::of(yaml).line("version"),
        key: Some("version".to_owned()),
        ..Place::default()
    };
    if version == 0 {
        return Err(Fault::usage("BOT-1012", "`version` is 0: versions start at 1")
            .at(place)
            .hint(format!("write `version: {newest}`")));
    }
    if version > u64::from(newest) {
        return Err(Fault::policy(
            "BOT-1015",
            format!(
                "the file has format version {version}, and this botops supports versions up to {newest}"
            ),
        )
        .at(place)
        .hint("upgrade botops, or use the file as it was before its upgrade"));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
