//! The media types of bodies besides JSON.

use axum::http::{HeaderMap, header};

/// One JSON object a line.
pub(super) const LINES: &str = "application/x-ndjson";
/// JSON, and tensors after it, as in the Open Inference Protocol.
pub(super) const TENSORS: &str = "application/octet-stream";

/// Returns whether a body with `headers` is declared as `kind`, a media type in small letters.
pub(super) fn is_of_type(headers: &HeaderMap, kind: &str) -> bool {
    let declared = headers.get(header::CONTENT_TYPE).and_then(|it| it.to_str().ok());
    let declared = declared.and_then(|it| it.split(';').next()).unwrap_or_default();
    declared.trim().eq_ignore_ascii_case(kind)
}
