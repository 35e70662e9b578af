//! The limits of files that strangers may have written.

/// The limits of one file. The defaults hold for every verb and for uploads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The most bytes of a file.
    pub file_bytes: usize,
    /// The most bytes of text in a document, after decoding.
    pub text_bytes: usize,
    /// The most blocks of a document.
    pub blocks: usize,
    /// The most documents that one file holds.
    pub documents: usize,
    /// The most pages of a document.
    pub pages: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            file_bytes: 32 << 20,
            text_bytes: 16 << 20,
            blocks: 200_000,
            documents: 100_000,
            pages: 5_000,
        }
    }
}
