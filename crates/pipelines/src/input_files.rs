//! The files that a stage reads: a path, or a pattern such as `data/part-*.csv` that names several.

use botops_datasets as datasets;
use botops_digest::Digest;
use botops_findings::{Fault, Result};
use std::{
    fs::File,
    path::{Path, PathBuf},
};

/// The folder that paths start at, as a hint.
pub(super) const RELATIVE: &str = "paths in a pipeline are relative to the folder of botops.yaml, or to the current folder without one";

/// An open input file, with its path below the root.
pub(super) type OpenFile = (PathBuf, File);

/// Returns the message of a file that cannot be read.
pub(super) fn unreadable(path: &Path, error: &std::io::Error) -> String {
    let reason = match error.kind() {
        std::io::ErrorKind::NotFound => "there is no such file".to_owned(),
        std::io::ErrorKind::IsADirectory => "it is a directory".to_owned(),
        _ => error.to_string(),
    };
    format!("`{}` cannot be read: {reason}", path.display())
}

/// Returns the files that `path` names, sorted, as paths below `root`.
///
/// # Errors
/// `BOT-1001` (exit 2) when no file matches a pattern.
pub(super) fn expand(root: &Path, path: &Path) -> Result<Vec<PathBuf>> {
    let is_pattern = path.to_string_lossy().contains(['*', '?', '[']);
    if !is_pattern || root.join(path).symlink_metadata().is_ok() {
        return Ok(vec![path.to_owned()]);
    }
    // Only the path is a pattern, whatever characters the folder of the workspace has.
    let mut literal = String::new();
    for c in root.to_string_lossy().chars() {
        match c {
            '*' | '?' | '[' => literal.push_str(&format!("[{c}]")),
            c => literal.push(c),
        }
    }
    let files = datasets::expand(&Path::new(&literal).join(path)).map_err(|fault| {
        let message = format!("no file matches `{}`", path.display());
        Fault::usage("BOT-1001", message).file(path).hint(RELATIVE).caused_by(fault)
    })?;
    let below = |file: PathBuf| file.strip_prefix(root).map(Path::to_owned).unwrap_or(file);
    Ok(files.into_iter().map(below).collect())
}

/// Opens the files that `path` names below `root`, and returns them with the digest of their bytes; of several files, it is
/// the digest of their names and digests.
///
/// # Errors
/// `BOT-1001` (exit 2) a file that cannot be read, or no file that matches.
pub(super) fn open(root: &Path, path: &Path) -> Result<(Vec<OpenFile>, Digest)> {
    let mut files = Vec::new();
    let mut digests = Vec::new();
    for path in expand(root, path)? {
        let unreadable = |error: std::io::Error| {
            Fault::usage("BOT-1001", unreadable(&path, &error)).file(&path).hint(RELATIVE)
        };
        let file = File::open(root.join(&path)).map_err(unreadable)?;
        digests.push((path.display().to_string(), Digest::of_reader(&file).map_err(unreadable)?));
        files.push((path, file));
    }
    Ok((files, combined(&digests)))
}

/// Returns the digest of files with these names and digests: that of a single file is its own.
pub(super) fn combined(digests: &[(String, Digest)]) -> Digest {
    match digests {
        [(_, digest)] => *digest,
        several => Digest::of_json(&several),
    }
}

/// Returns the digest of the files that `path` names below `root`.
///
/// # Errors
/// As [`open`].
pub(super) fn digest(root: &Path, path: &Path) -> Result<Digest> {
    open(root, path).map(|(_, digest)| digest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn a_pattern_names_files_below_any_root() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("[a] *b");
        fs::create_dir_all(root.join("data")).unwrap();
        for name in ["part-2.csv", "part-1.csv", "other.csv"] {
            fs::write(root.join("data").join(name), name).unwrap();
        }
        let names = |path: &str| expand(&root, Path::new(path)).unwrap();
        assert_eq!(
            names("data/part-*.csv"),
            [Path::new("data/part-1.csv"), Path::new("data/part-2.csv")]
        );
        assert_eq!(names("data/other.csv"), [Path::new("data/other.csv")]);
        assert_eq!(expand(&root, Path::new("no-*.csv")).unwrap_err().code(), "BOT-1001");
        let before = digest(&root, Path::new("data/part-*.csv")).unwrap();
        assert_eq!(digest(&root, Path::new("data/part-1.csv")).unwrap(), Digest::of(b"part-1.csv"));
        fs::write(root.join("data/part-3.csv"), "x").unwrap();
        assert_ne!(digest(&root, Path::new("data/part-*.csv")).unwrap(), before);
    }
}
