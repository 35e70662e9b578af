//! The folder that the documents of a version are written to.

use botops_files::{Output, OutputKind};
use botops_findings::{Fault, Result};
use botops_knowledge::store::KnowledgeFile;
use botops_spec as spec;
use botops_text as text;
use std::{
    collections::BTreeMap,
    fs,
    path::{Component, Path, PathBuf},
};

/// Returns the path of each file within the folder: its name; for an address, the host and the path of it.
///
/// # Errors
/// `BOT-7244` (exit 2) a name leads out of the folder, or two files have one path.
pub(super) fn paths(files: &[KnowledgeFile]) -> Result<Vec<PathBuf>> {
    let mut taken: BTreeMap<String, &str> = BTreeMap::new();
    let mut paths = Vec::with_capacity(files.len());
    for file in files {
        let path = relative(&file.id);
        let shown = text::display(&file.id, 120);
        let is_inside =
            Path::new(&path).components().all(|part| matches!(part, Component::Normal(_)));
        if path.is_empty() || !is_inside {
            let message = format!("`{shown}` would be written outside of the folder");
            return Err(Fault::usage("BOT-7244", message)
                .hint("pull the index without its documents: leave `--documents` out"));
        }
        if let Some(other) = taken.insert(path.to_lowercase(), &file.id) {
            let message = format!(
                "`{shown}` and `{}` would be written to one file",
                text::display(other, 120)
            );
            return Err(Fault::usage("BOT-7244", message)
                .hint("pull the index without its documents: leave `--documents` out"));
        }
        paths.push(PathBuf::from(path));
    }
    Ok(paths)
}

fn relative(id: &str) -> String {
    let address = id.strip_prefix("https://").or_else(|| id.strip_prefix("http://"));
    let Some(address) = address else { return id.to_owned() };
    // Some systems refuse these characters in names.
    let plain =
        |c: char| if matches!(c, '?' | '*' | ':' | '<' | '>' | '|' | '"') { '_' } else { c };
    let path: String = address.chars().map(plain).collect();
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    match address.ends_with('/') || parts.len() == 1 {
        true => format!("{}/index", parts.join("/")),
        false => parts.join("/"),
    }
}

/// Checks that every file can be written below `folder`, without writing anything.
///
/// # Errors
/// `BOT-7244` (exit 2) a link leads out of the folder; those of [`Output::check_content`].
pub(super) fn check(folder: &Path, path: &Path, bytes: &[u8], force: bool) -> Result<()> {
    let mut above = folder.to_owned();
    let parents = path.parent().map(Path::components);
    for part in parents.into_iter().flatten() {
        above.push(part);
        match fs::symlink_metadata(&above) {
            Ok(meta) if !meta.is_dir() => {
                let message = format!("`{}` is not a folder", above.display());
                return Err(Fault::usage("BOT-7244", message)
                    .file(&above)
                    .hint("name an empty folder: `--documents FOLDER`"));
            }
            Ok(_) => {}
            Err(_) => break,
        }
    }
    Output::new(&folder.join(path), OutputKind::Other, force).check_content(bytes)
}

/// Writes a file below `folder`, and the folders above it.
///
/// # Errors
/// Those of [`check`], and of the disk.
pub(super) fn write(folder: &Path, path: &Path, bytes: &[u8], force: bool) -> Result<()> {
    check(folder, path, bytes, force)?;
    let full = folder.join(path);
    if let Some(above) = full.parent() {
        fs::create_dir_all(above).map_err(|error| spec::unreadable(above, &error))?;
    }
    Output::new(&full, OutputKind::Other, force).write(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_becomes_a_path_below_its_host() {
        for (id, path) in [
            ("a/b.md", "a/b.md"),
            ("https://example.com", "example.com/index"),
            ("https://example.com/help/", "example.com/help/index"),
            ("https://example.com:8443/a?b=c", "example.com_8443/a_b=c"),
        ] {
            assert_eq!(relative(id), path);
        }
    }
}
