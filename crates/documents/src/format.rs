//! The format of a file, by its content.

use encoding_rs::{Encoding, UTF_8};
use serde::{Deserialize, Serialize};

/// The format of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DocumentFormat {
    /// Markdown.
    Markdown,
    /// HTML.
    Html,
    /// Plain text.
    Text,
    /// PDF.
    Pdf,
    /// A document of a word processor (Office Open XML).
    Docx,
    /// A table of questions and answers, in CSV or JSON lines.
    Questions,
}

impl DocumentFormat {
    /// Returns the format of a file: by its first bytes, else by the extension of its name; `None` for a binary file of a
    /// format that is not read.
    #[must_use]
    pub fn of(name: &str, bytes: &[u8]) -> Option<Self> {
        if bytes
            .iter()
            .take(1_024)
            .position(|byte| *byte == b'%')
            .is_some_and(|at| bytes[at..].starts_with(b"%PDF-"))
        {
            return Some(Self::Pdf);
        }
        if bytes.starts_with(b"PK\x03\x04") {
            return Some(Self::Docx);
        }
        let text = beginning(&bytes[..bytes.len().min(8_192)]);
        if text.contains('\0') {
            return None;
        }
        let text = text.trim_start().to_lowercase();
        if ["<!doctype html", "<html", "<head", "<body"].iter().any(|tag| text.starts_with(tag)) {
            return Some(Self::Html);
        }
        let extension = name.rsplit_once('.').map(|(_, extension)| extension.to_lowercase());
        Some(match extension.as_deref() {
            Some("html" | "htm" | "xhtml") => Self::Html,
            Some("csv" | "tsv" | "jsonl" | "ndjson") => Self::Questions,
            Some("md" | "markdown" | "mdx") => Self::Markdown,
            _ => Self::Text,
        })
    }
}

/// Returns the beginning of a file as text, to look at: its mark decides, and what cannot be decoded is replaced.
fn beginning(bytes: &[u8]) -> String {
    let (encoding, mark) = Encoding::for_bom(bytes).unwrap_or((UTF_8, 0));
    encoding.decode_without_bom_handling(&bytes[mark..]).0.into_owned()
}
