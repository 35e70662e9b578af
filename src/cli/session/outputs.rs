//! The files that a verb writes: never over an input, and never two outputs into one file.

use botops_datasets::Format;
use botops_files::is_standard_output;
use botops_findings::{Fault, Result};
use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// Refuses an output that is also an input.
///
/// # Errors
/// `BOT-1009` (exit 2).
pub(crate) fn distinct(output: Option<&Path>, inputs: &[Option<&Path>]) -> Result<()> {
    // `-` is standard output, and as an input standard input; neither is a file with this name.
    let Some(output) = output.filter(|path| !is_standard_output(path)) else { return Ok(()) };
    let Ok(real) = output.canonicalize() else { return Ok(()) };
    let is_same = |input: &&Path| input.canonicalize().is_ok_and(|input| input == real);
    if inputs.iter().flatten().any(is_same) {
        let message = format!("`{}` is an input, so it cannot be an output too", output.display());
        return Err(Fault::usage("BOT-1009", message)
            .file(output)
            .hint("name another file to write"));
    }
    Ok(())
}

/// Refuses outputs that are also inputs, and two outputs that go to one regular file. A device such as `/dev/null` may
/// take several.
///
/// # Errors
/// `BOT-1009` (exit 2).
pub(crate) fn distinct_outputs(outputs: &[Option<&Path>], inputs: &[Option<&Path>]) -> Result<()> {
    let mut taken: Vec<PathBuf> = Vec::new();
    for output in outputs.iter().flatten() {
        distinct(Some(output), inputs)?;
        let Some(target) = target(output) else { continue };
        if taken.contains(&target) {
            let message = format!("two outputs go to one file: `{}`", output.display());
            return Err(Fault::usage("BOT-1009", message)
                .file(output)
                .hint("name another file for one of them"));
        }
        taken.push(target);
    }
    Ok(())
}

/// Returns the regular file that a write to `path` reaches, whether it exists or not; `None` for a folder or a device, and
/// for standard output, which [`crate::cli`] checks.
fn target(path: &Path) -> Option<PathBuf> {
    if is_standard_output(path) {
        return None;
    }
    if fs::metadata(path).is_ok_and(|metadata| !metadata.is_file()) {
        return None;
    }
    let real = std::path::absolute(botops_files::resolve_links(path).ok()?).ok()?;
    let folder = real.parent()?;
    let folder = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
    Some(folder.join(real.file_name()?))
}

/// Refuses a name for `what`, which is CSV, whose ending says another format: the next command would read it as that.
///
/// # Errors
/// `BOT-1003` (exit 2).
pub(crate) fn csv_named(path: Option<&Path>, what: &str) -> Result<()> {
    let Some(path) = path else { return Ok(()) };
    match Format::of_name(&path.to_string_lossy()) {
        None | Some(Format::Csv) => Ok(()),
        Some(format) => {
            let name = path.display();
            let message =
                format!("{what} is CSV, and by its ending `{name}` is read as {}", format.name());
            Err(Fault::usage("BOT-1003", message).file(path).hint("end the name in .csv"))
        }
    }
}

/// As [`plain`], for a folder.
pub(crate) fn plain_of_folder(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "there is no such folder".to_owned(),
        io::ErrorKind::NotADirectory => "it is not a folder".to_owned(),
        _ => plain(error),
    }
}

/// Describes an I/O error in plain words.
pub(crate) fn plain(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "there is no such file".to_owned(),
        io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        io::ErrorKind::IsADirectory => "it is a directory".to_owned(),
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_csv_cannot_have_the_ending_of_another_format() {
        for name in ["p.csv", "P.CSV.gz", "p", "p.txt", "-", "/dev/null"] {
            csv_named(Some(Path::new(name)), "a patch").unwrap();
        }
        csv_named(None, "a patch").unwrap();
        for (name, format) in [("p.tsv", "tsv"), ("q.jsonl", "jsonl"), ("q.parquet", "parquet")] {
            let fault = csv_named(Some(Path::new(name)), "a patch").unwrap_err();
            let message = format!("a patch is CSV, and by its ending `{name}` is read as {format}");
            assert_eq!((fault.code(), fault.message()), ("BOT-1003", message.as_str()));
        }
    }
}
