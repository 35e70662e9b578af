//! Blocks put together from pieces of text, within limits.

use crate::{
    document::{Block, BlockKind},
    limits::Limits,
};
use botops_findings::{Fault, Result};

/// Collects the blocks of a document.
pub(crate) struct Builder<'a> {
    limits: &'a Limits,
    name: &'a str,
    blocks: Vec<Block>,
    text: String,
    /// The bytes of text in `blocks`.
    size: usize,
    page: Option<u32>,
}

impl<'a> Builder<'a> {
    pub(crate) fn new(name: &'a str, limits: &'a Limits) -> Self {
        Self { limits, name, blocks: Vec::new(), text: String::new(), size: 0, page: None }
    }

    /// Sets the page of the blocks that begin from now on.
    pub(crate) fn begin_page(&mut self, page: u32) {
        self.page = Some(page);
    }

    /// Adds text to the block under way.
    ///
    /// # Errors
    /// `BOT-7102` (exit 3) the document has too much text.
    pub(crate) fn push(&mut self, text: &str) -> Result<()> {
        if self.size + self.text.len() + text.len() > self.limits.text_bytes {
            let message =
                format!("`{}` has more than {} bytes of text", self.name, self.limits.text_bytes);
            return Err(Fault::data("BOT-7102", message)
                .file(self.name)
                .hint("split it into several documents"));
        }
        self.text.push_str(text);
        Ok(())
    }

    /// Returns the fault of a page with a tag that takes too long to read.
    pub(crate) fn too_many_attributes(&self) -> Fault {
        let message = format!("`{}` has a tag with too many attributes", self.name);
        Fault::data("BOT-7102", message)
            .file(self.name)
            .hint("remove that tag, or import the text of the page")
    }

    /// Returns whether the block under way has no visible text.
    pub(crate) fn is_blank(&self) -> bool {
        self.text.trim().is_empty()
    }

    /// Ends the block under way; one without visible text is left out.
    ///
    /// # Errors
    /// `BOT-7102` (exit 3) the document has too many blocks.
    pub(crate) fn end(&mut self, kind: BlockKind) -> Result<()> {
        let text = match kind {
            BlockKind::Code => lines(&self.text),
            _ => one_line(&self.text),
        };
        self.text.clear();
        if text.is_empty() {
            return Ok(());
        }
        if self.blocks.len() == self.limits.blocks {
            let message =
                format!("`{}` has more than {} blocks of text", self.name, self.limits.blocks);
            return Err(Fault::data("BOT-7102", message)
                .file(self.name)
                .hint("split it into several documents"));
        }
        self.size += text.len();
        self.blocks.push(Block { kind, text, page: self.page });
        Ok(())
    }

    pub(crate) fn finish(mut self, last: BlockKind) -> Result<Vec<Block>> {
        self.end(last)?;
        Ok(self.blocks)
    }
}

/// Returns `text` in one line: white space and control characters become single spaces, and invisible characters go.
pub(crate) fn one_line(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut pending = false;
    for c in text.chars() {
        if c.is_whitespace() || c.is_control() {
            pending = !out.is_empty();
        } else if !is_invisible(c) {
            if std::mem::take(&mut pending) {
                out.push(' ');
            }
            out.push(c);
        }
    }
    out
}

/// Returns preformatted text without trailing spaces, control characters and empty lines around it.
fn lines(text: &str) -> String {
    let clean: String = text
        .chars()
        .filter(|c| *c == '\n' || *c == '\t' || !(c.is_control() || is_invisible(*c)))
        .collect();
    let lines: Vec<&str> = clean.lines().map(str::trim_end).collect();
    lines.join("\n").trim_matches('\n').to_owned()
}

/// Soft hyphens, zero-width characters and marks that change the direction of text: a reader does not see them.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}
