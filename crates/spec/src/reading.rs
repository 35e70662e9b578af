//! The text of a file, or a fault that says why it cannot be read.

use super::nearest_name::nearest;
use botops_findings::{Fault, Place, Result};
use std::{
    fs,
    io::{self, Read as _},
    path::Path,
};

/// The largest file of settings, rules or plans that is read.
pub const LARGEST_SPEC: u64 = 64 << 20;

/// Reads the text of the file at `path`.
///
/// # Errors
/// `BOT-1001` if it cannot be read or has more than [`LARGEST_SPEC`] bytes, `BOT-1010` (with line and column) if it is not
/// UTF-8.
pub fn text(path: &Path) -> Result<String> {
    let bytes = bytes_within(path, LARGEST_SPEC)?;
    String::from_utf8(bytes).map_err(|error| {
        let valid = error.utf8_error().valid_up_to();
        let bytes = error.as_bytes();
        let line_start = bytes[..valid].iter().rposition(|&b| b == b'\n').map_or(0, |i| i + 1);
        let line = bytes[..line_start].iter().filter(|&&b| b == b'\n').count() + 1;
        let column = String::from_utf8_lossy(&bytes[line_start..valid]).chars().count() + 1;
        Fault::usage("BOT-1010", format!("the file is not UTF-8: byte 0x{:02X}", bytes[valid]))
            .at(Place {
                file: Some(path.display().to_string()),
                line: Some(line as u64),
                column: Some(column as u64),
                ..Place::default()
            })
            .hint("save it as UTF-8")
    })
}

/// Reads the file at `path`, which may be a pipe or a device that never ends.
///
/// # Errors
/// `BOT-1001` (exit 2) if it cannot be read, or has more than `most` bytes.
pub fn bytes_within(path: &Path, most: u64) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    fs::File::open(path)
        .and_then(|file| file.take(most + 1).read_to_end(&mut bytes))
        .map_err(|error| unreadable(path, &error))?;
    if bytes.len() as u64 > most {
        let message = format!("`{}` has more than {most} bytes", path.display());
        return Err(Fault::usage("BOT-1001", message).file(path).hint("check the path"));
    }
    Ok(bytes)
}

/// Returns the fault for a file that cannot be opened; for a missing one, the hint is the nearest existing file.
pub fn unreadable(path: &Path, error: &io::Error) -> Fault {
    let shown = path.display();
    let fault = |message: String| Fault::usage("BOT-1001", message).file(path);
    if path.is_dir() {
        let fault = fault(format!("`{shown}` is a directory: expected a file"));
        return match files_of(path).into_iter().next() {
            Some(name) => fault.hint(format!(
                "give the path of a file in it, such as `{}`",
                path.join(name).display()
            )),
            None => fault.hint("give the path of a file"),
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
                let folder = folder.display();
                return fault.hint(format!("the folder `{folder}` does not exist either"));
            }
            let files = files_of(folder);
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            match nearest(&name, files.iter().map(String::as_str)) {
                Some(name) => {
                    fault.hint(format!("did you mean `{}`?", path.with_file_name(name).display()))
                }
                None => fault.hint("check the path, which is relative to the current folder"),
            }
        }
        io::ErrorKind::PermissionDenied => fault(format!("no permission to read `{shown}`"))
            .hint(format!("try `chmod u+r {shown}`")),
        _ => fault(format!("`{shown}` cannot be read: {error}")),
    }
}

/// Returns the names of the regular files in `folder`, sorted, without hidden ones; empty if it cannot be listed.
fn files_of(folder: &Path) -> Vec<String> {
    // A hint does not justify listing a folder of a million files.
    const MAX_ENTRIES: usize = 10_000;
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut names: Vec<String> = entries
        .take(MAX_ENTRIES)
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| !name.starts_with('.') && folder.join(name).is_file())
        .collect();
    names.sort_unstable();
    names
}
