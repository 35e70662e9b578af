//! Markdown (CommonMark with tables).

use crate::{builder::Builder, document::BlockKind};
use botops_findings::Result;
use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

/// Adds the text of `markdown` to `out`. HTML inside is left out.
pub(crate) fn read(markdown: &str, out: &mut Builder<'_>) -> Result<()> {
    let options = Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH;
    let mut kind = BlockKind::Paragraph;
    let mut cells = 0_usize;
    for event in Parser::new_ext(markdown, options) {
        match event {
            Event::Start(Tag::Heading { level, .. }) => {
                out.end(kind)?;
                kind = BlockKind::Heading { level: level as u8 };
            }
            Event::Start(Tag::CodeBlock(_)) => {
                out.end(kind)?;
                kind = BlockKind::Code;
            }
            Event::Start(Tag::Item) => {
                out.end(kind)?;
                kind = BlockKind::ListItem;
            }
            Event::Start(Tag::TableHead) => {
                (kind, cells) = (BlockKind::TableRow { is_head: true }, 0);
            }
            Event::Start(Tag::TableRow) => {
                (kind, cells) = (BlockKind::TableRow { is_head: false }, 0);
            }
            Event::Start(Tag::TableCell) => {
                if cells > 0 {
                    out.push(" | ")?;
                }
                cells += 1;
            }
            Event::Start(Tag::Table(_) | Tag::List(_) | Tag::BlockQuote(_)) => out.end(kind)?,
            Event::End(
                TagEnd::Heading(_)
                | TagEnd::Paragraph
                | TagEnd::CodeBlock
                | TagEnd::Item
                | TagEnd::TableHead
                | TagEnd::TableRow,
            ) => {
                out.end(kind)?;
                // A second paragraph of an item is a paragraph.
                kind = BlockKind::Paragraph;
            }
            Event::Text(text) | Event::Code(text) => out.push(&text)?,
            Event::SoftBreak => out.push(" ")?,
            Event::HardBreak => out.push(" ")?,
            _ => {}
        }
    }
    out.end(kind)
}
