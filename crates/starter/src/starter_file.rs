//! A file of a new workspace.

/// A file of a new workspace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StarterFile {
    /// The path from the root of the workspace, with `/` between its parts.
    pub path: String,
    /// The content.
    pub content: Vec<u8>,
}

impl StarterFile {
    pub(crate) fn new(path: impl Into<String>, content: impl Into<Vec<u8>>) -> Self {
        Self { path: path.into(), content: content.into() }
    }
}
