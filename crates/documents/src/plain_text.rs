//! Plain text: paragraphs between empty lines.

use crate::{builder::Builder, document::BlockKind};
use botops_findings::Result;

/// Adds the paragraphs of `text` to `out`.
pub(crate) fn read(text: &str, out: &mut Builder<'_>) -> Result<()> {
    for line in text.lines() {
        if line.trim().is_empty() {
            out.end(BlockKind::Paragraph)?;
        } else {
            out.push(line)?;
            out.push(" ")?;
        }
    }
    out.end(BlockKind::Paragraph)
}
