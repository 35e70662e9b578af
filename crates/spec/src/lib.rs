//! YAML to a typed spec, with the place of what is wrong and the nearest known key.
//!
//! In: the text of a file somebody wrote. Out: the typed value, or one [`Fault`] that names file,
//! line, column and dotted key, says in plain words what is wrong, and what to write instead.

pub(crate) mod nearest_name;
pub(crate) mod yaml_errors;

mod outline;
mod tree;

pub use nearest_name::nearest;
pub use outline::Outline;
pub use tree::{Node, Value, tree};

use botops_findings::{Fault, Place, Result};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::{fs, io, path::Path};
use yaml_errors::NoBlock;

/// Reads and parses the YAML file at `path`; structs should be `deny_unknown_fields`.
///
/// # Errors
/// `BOT-1001` when the file cannot be read; `BOT-1010` for malformed YAML, `BOT-1011` for an
/// unknown key (the nearest known one is named), `BOT-1012` for a value of a wrong type,
/// `BOT-1013` for a missing key, `BOT-1014` for a key written twice: all with file, line and
/// column, exit 2.
pub fn read<T: DeserializeOwned>(path: &Path) -> Result<T> {
    parse(&text(path)?, &path.display().to_string())
}

/// Reads a YAML file whose `version:` says for which format it was written; `newest` is the newest this program knows.
///
/// # Errors
/// As [`read`], and `BOT-1015` (exit 6) for a newer version, before anything else in it is looked at.
pub fn read_versioned<T: DeserializeOwned>(path: &Path, newest: u32) -> Result<T> {
    let yaml = text(path)?;
    let file = path.display().to_string();
    check_version(&yaml, &file, newest)?;
    parse(&yaml, &file)
}

/// Parses `yaml`, naming `file` in what it reports.
///
/// Values follow YAML 1.2: `true` and `false` are the only booleans, so `no` and `on` stay texts.
///
/// # Errors
/// As [`read`].
pub fn parse<T: DeserializeOwned>(yaml: &str, file: &str) -> Result<T> {
    let yaml = yaml.strip_prefix('\u{feff}').unwrap_or(yaml);
    typed(yaml).map_err(|error| {
        let fault = yaml_errors::fault(&error, yaml, file);
        match NoBlock::of(&error, yaml) {
            Some(there) => fault.hint(block_for::<T>(&there, yaml)),
            None => fault,
        }
    })
}

fn typed<T: DeserializeOwned>(yaml: &str) -> Result<T, serde_yaml::Error> {
    let options = serde_yaml::options! { with_snippet: false, strict_booleans: true };
    serde_yaml::from_str_with_options(yaml, options)
}

/// Says what block of keys to write for a text that is none: the key whose value it can be is found by trying.
fn block_for<T: DeserializeOwned>(there: &NoBlock, yaml: &str) -> String {
    let read = |block: &str| {
        let yaml = there.replaced(yaml, block);
        typed::<T>(&yaml).map_err(|error| (yaml_errors::fault(&error, &yaml, ""), error))
    };
    // A key that nothing has makes the parser name those there are.
    let unknown = read("{ \"\": 0 }").err();
    let known = unknown.as_ref().map_or(&[][..], |(_, error)| yaml_errors::known_keys(error));
    let fits = |key: &str| match read(&there.as_block(key)) {
        Ok(_) => true,
        // What is wrong elsewhere is wrong with any key.
        Err((fault, _)) => {
            let place = fault.place();
            place.line != Some(there.line)
                && place.key.as_ref().is_some_and(|key| !key.starts_with(&there.key))
        }
    };
    there.hint(known, known.iter().copied().find(|key| fits(key)))
}

/// Writes `value` as YAML.
///
/// # Errors
/// `BOT-1019` when `value` has no YAML form (a map whose keys are not scalars).
pub fn render<T: Serialize>(value: &T) -> Result<String> {
    serde_yaml::to_string(value).map_err(|error| {
        Fault::internal("BOT-1019", "a value could not be written as YAML").caused_by(error)
    })
}

/// Refuses `yaml` when its top-level `version:` is newer than `newest`.
///
/// # Errors
/// `BOT-1015` (exit 6) when it is; `BOT-1012` for version 0. Malformed YAML passes: [`parse`] says it better.
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
        return Err(Fault::usage("BOT-1012", "`version` is 0, and versions start at 1")
            .at(place)
            .hint(format!("write `version: {newest}`")));
    }
    if version > u64::from(newest) {
        return Err(Fault::policy(
            "BOT-1015",
            format!(
                "this file is of format version {version}, and this program knows versions up to {newest}"
            ),
        )
        .at(place)
        .hint("use a newer botops, or the file as it was before it was upgraded"));
    }
    Ok(())
}

/// Reads the text of the YAML file at `path`.
///
/// # Errors
/// `BOT-1001` when it cannot be read, `BOT-1010` when it is not UTF-8 (with line and column).
pub fn text(path: &Path) -> Result<String> {
    let bytes = fs::read(path).map_err(|error| unreadable(path, &error))?;
    String::from_utf8(bytes).map_err(|error| {
        let good = error.utf8_error().valid_up_to();
        let bytes = error.as_bytes();
        let line_start = bytes[..good].iter().rposition(|&b| b == b'\n').map_or(0, |i| i + 1);
        let line = bytes[..line_start].iter().filter(|&&b| b == b'\n').count() + 1;
        let column = String::from_utf8_lossy(&bytes[line_start..good]).chars().count() + 1;
        Fault::usage("BOT-1010", format!("the file is not UTF-8: byte 0x{:02X}", bytes[good]))
            .at(Place {
                file: Some(path.display().to_string()),
                line: Some(line as u64),
                column: Some(column as u64),
                ..Place::default()
            })
            .hint("save it as UTF-8")
    })
}

/// Returns the fault for a file that cannot be opened, naming the nearest file that is there.
pub fn unreadable(path: &Path, error: &io::Error) -> Fault {
    let shown = path.display();
    let fault = |message: String| Fault::usage("BOT-1001", message).file(path);
    if path.is_dir() {
        let fault = fault(format!("`{shown}` is a directory, and a file is wanted"));
        return match files_of(path).into_iter().next() {
            Some(name) => {
                fault.hint(format!("name a file in it, such as `{}`", path.join(name).display()))
            }
            None => fault.hint("name a file"),
        };
    }
    match error.kind() {
        io::ErrorKind::NotFound => {
            let fault = fault(format!("`{shown}` does not exist"));
            let folder = match path.parent() {
                Some(folder) if !folder.as_os_str().is_empty() => folder,
                _ => Path::new("."),
            };
            if !folder.is_dir() {
                return fault.hint(format!("there is no folder `{}` either", folder.display()));
            }
            let files = files_of(folder);
            let wanted = path.file_name().unwrap_or_default().to_string_lossy();
            match nearest(&wanted, files.iter().map(String::as_str)) {
                Some(name) => {
                    fault.hint(format!("did you mean `{}`?", path.with_file_name(name).display()))
                }
                None => fault.hint("check the path; it starts at the current folder"),
            }
        }
        io::ErrorKind::PermissionDenied => {
            fault(format!("`{shown}` may not be read")).hint(format!("try `chmod u+r {shown}`"))
        }
        _ => fault(format!("`{shown}` cannot be read: {error}")),
    }
}

/// Returns the names of the plain files in `folder`, sorted; empty when it cannot be listed.
fn files_of(folder: &Path) -> Vec<String> {
    // A folder of a million files is not worth reading for a hint.
    const MOST: usize = 10_000;
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut names: Vec<String> = entries
        .take(MOST)
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| !name.starts_with('.') && folder.join(name).is_file())
        .collect();
    names.sort_unstable();
    names
}

#[cfg(test)]
mod tests;
