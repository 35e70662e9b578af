//! Paths from the root of the repository, as annotations and code scanning need them.

use super::context::current_folder;
use botops_findings::{Finding, Result};
use std::{
    env,
    path::{Component, Path, PathBuf},
};

/// Turns paths as spelled by the user into paths from the root of the repository.
#[derive(Debug)]
pub(crate) struct RepositoryPaths {
    /// The folder that the paths start at.
    base: PathBuf,
    /// The root of the repository, without links; `None`: paths stay as they are.
    root: Option<PathBuf>,
}

impl RepositoryPaths {
    /// Returns the paths of files named from the current folder.
    pub(crate) fn from_current() -> Result<Self> {
        Ok(Self::from(&current_folder()?))
    }

    /// Returns the paths of files named from `base`. The root is `GITHUB_WORKSPACE` if `base` is inside it, else the
    /// nearest folder above `base` with a `.git`.
    pub(crate) fn from(base: &Path) -> Self {
        let base = base.canonicalize().unwrap_or_else(|_| base.to_owned());
        let set = env::var_os("GITHUB_WORKSPACE").filter(|path| !path.is_empty());
        let set = set.and_then(|path| Path::new(&path).canonicalize().ok());
        let root = set.filter(|root| base.starts_with(root)).or_else(|| {
            base.ancestors().find(|folder| folder.join(".git").exists()).map(Path::to_owned)
        });
        Self { base, root }
    }

    /// Returns the path of `file` from the root. A name that is no file, or a file outside the root, stays as it is.
    pub(crate) fn of(&self, file: &str) -> String {
        let inside = || {
            let root = self.root.as_deref()?;
            let path = self.base.join(file);
            if file.is_empty() || !path.exists() {
                return None;
            }
            let path = without_dots(&path);
            let inside = match path.strip_prefix(root) {
                Ok(inside) => inside.to_owned(),
                // The path may lead through a link.
                Err(_) => path.canonicalize().ok()?.strip_prefix(root).ok()?.to_owned(),
            };
            Some(inside.display().to_string())
        };
        inside().unwrap_or_else(|| file.to_owned())
    }

    /// Replaces the file of each finding.
    pub(crate) fn rewrite(&self, findings: &mut [Finding]) {
        for finding in findings {
            if let Some(file) = &finding.place.file {
                finding.place.file = Some(self.of(file));
            }
        }
    }
}

/// Resolves `.` and `..` by name. The file itself may be a link: it has its place in the repository all the same.
fn without_dots(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                out.pop();
            }
            part => out.push(part),
        }
    }
    out
}
