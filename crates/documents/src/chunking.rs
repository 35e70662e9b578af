//! A document cut into chunks by its structure.

use crate::{
    chunk::{Chunk, ChunkId, ChunkSpec},
    document::{Block, BlockKind, Document},
    tokens::{sentences, tokens},
};
use std::collections::HashMap;

/// The least size of a chunk that a section is cut into, in tokens.
pub const FEWEST_TOKENS: u32 = 16;
/// The greatest size of a chunk, in tokens.
pub const MOST_TOKENS: u32 = 2_000;
/// The most bytes of a token: a longer one, and text between tokens, counts as several. A text without spaces would otherwise be
/// one chunk of many megabytes.
const TOKEN_BYTES: usize = 40;
/// The most bytes of a heading, and of all headings above a chunk. A longer one is a paragraph: every chunk of its section would
/// repeat it.
const HEADING_BYTES: usize = 400;

impl Default for ChunkSpec {
    /// 200 tokens, 40 of them shared: a few paragraphs, which an encoder of 256 word pieces still reads to the end.
    fn default() -> Self {
        Self { tokens: 200, overlap: 40 }
    }
}

/// A part of a section that is not cut: a block, or a sentence of a long one.
struct Part<'a> {
    text: &'a str,
    /// The head of the table, if it is a row.
    head: Option<&'a str>,
    page: Option<u32>,
    n_tokens: u32,
    /// Whether it goes on in the line of the part before.
    joins: bool,
}

/// Cuts `document` into chunks, in the order of reading.
///
/// - no chunk has text of two sections: a heading begins a new one, and is part of [`Chunk::section`] instead of the text; a
///   heading of more than 400 bytes is a paragraph, and of headings that are longer together the highest are left out
/// - a block is whole unless it has more than `spec.tokens` tokens; then it is cut between sentences, and a sentence that is
///   too long, between words
/// - where a section is cut, the next chunk begins with the last sentences of the one before, up to `spec.overlap` tokens
/// - a chunk that begins with a row in the middle of a table begins with the head of the table, unless that is more than half a
///   chunk
/// - a token of more than 40 bytes counts as several
///
/// So the chunks together are at most a few times as long as the document, whoever wrote it.
#[must_use]
pub fn chunks(document: &Document, spec: &ChunkSpec) -> Vec<Chunk> {
    let mut out = Vec::new();
    let mut headings: Vec<(u8, String)> = Vec::new();
    let mut section: Vec<&Block> = Vec::new();
    let mut seen = HashMap::new();
    for block in &document.blocks {
        let BlockKind::Heading { level } = block.kind else {
            section.push(block);
            continue;
        };
        if block.text.len() > HEADING_BYTES {
            section.push(block);
            continue;
        }
        end_section(document, spec, &headings, &mut section, &mut seen, &mut out);
        headings.retain(|(above, _)| *above < level);
        // The title above everything would be in every section.
        if !(headings.is_empty() && block.text == document.title) {
            headings.push((level, block.text.clone()));
        }
        while headings.iter().map(|(_, text)| text.len()).sum::<usize>() > HEADING_BYTES {
            headings.remove(0);
        }
    }
    end_section(document, spec, &headings, &mut section, &mut seen, &mut out);
    out
}

fn end_section(
    document: &Document,
    spec: &ChunkSpec,
    headings: &[(u8, String)],
    blocks: &mut Vec<&Block>,
    seen: &mut HashMap<ChunkId, u32>,
    out: &mut Vec<Chunk>,
) {
    let parts = parts(blocks, spec.tokens.max(FEWEST_TOKENS));
    blocks.clear();
    let section: Vec<String> = headings.iter().map(|(_, text)| text.clone()).collect();
    for range in cuts(&parts, spec) {
        let (text, page) = joined(&parts[range]);
        let first = ChunkId::of(&document.id, &section, &text, 0);
        let n = seen.entry(first).or_insert(0);
        let id = ChunkId::of(&document.id, &section, &text, *n);
        *n += 1;
        out.push(Chunk { id, section: section.clone(), text, page });
    }
}

/// Returns the parts of the blocks of a section, none longer than `most` tokens.
fn parts<'a>(blocks: &[&'a Block], most: u32) -> Vec<Part<'a>> {
    let mut parts = Vec::new();
    let mut head = None;
    for block in blocks {
        head = match block.kind {
            BlockKind::TableRow { is_head: true } => Some(block.text.as_str()),
            BlockKind::TableRow { is_head: false } => head,
            _ => None,
        };
        let n_tokens = count(&block.text);
        if matches!(block.kind, BlockKind::TableRow { is_head: true }) && n_tokens > most / 2 {
            head = None;
        }
        let of_row = head.filter(|head| *head != block.text);
        if n_tokens <= most {
            let text = block.text.as_str();
            parts.push(Part { text, head: of_row, page: block.page, n_tokens, joins: false });
            continue;
        }
        let mut is_first = true;
        for range in sentences(&block.text) {
            for text in pieces(&block.text[range], most) {
                let n_tokens = count(text);
                let (page, joins) = (block.page, !is_first);
                parts.push(Part { text, head: of_row, page, n_tokens, joins });
                is_first = false;
            }
        }
    }
    parts
}

/// Cuts a sentence into pieces of at most `most` tokens, after white space or, in a text without any, between tokens or in long
/// ones.
fn pieces(sentence: &str, most: u32) -> Vec<&str> {
    let mut out = Vec::new();
    let most_bytes = most as usize * TOKEN_BYTES;
    let mut rest = sentence;
    // Text behind a piece is read only as far as the piece may reach.
    while !rest.is_empty() {
        let fits = (0..=most_bytes.min(rest.len())).rev().find(|at| rest.is_char_boundary(*at));
        let fits = fits.expect("0 is a boundary");
        let base = rest.as_ptr() as usize;
        let next = tokens(&rest[..fits]).nth(most as usize);
        let at = match next {
            Some(next) => next.as_ptr() as usize - base,
            None if fits == rest.len() => rest.len(),
            // A word is not cut unless it alone fills the piece.
            None => {
                let mut before = rest[..fits].char_indices().rev();
                let space = before.find(|(_, c)| !c.is_alphanumeric());
                let end = space.map(|(at, c)| at + c.len_utf8());
                end.filter(|end| fits - end < TOKEN_BYTES).unwrap_or(fits)
            }
        };
        let (before, after) = rest.split_at(at);
        out.push(if after.is_empty() { before } else { before.trim_end() });
        rest = after;
    }
    out.retain(|piece| !piece.is_empty());
    out
}

/// Returns the size of a text: its tokens, or its bytes by those of the longest token if that is more.
fn count(text: &str) -> u32 {
    let by_length = text.len().div_ceil(TOKEN_BYTES);
    u32::try_from(tokens(text).count().max(by_length)).unwrap_or(u32::MAX)
}

/// Returns the parts of each chunk.
fn cuts(parts: &[Part<'_>], spec: &ChunkSpec) -> Vec<std::ops::Range<usize>> {
    let most = spec.tokens.max(FEWEST_TOKENS);
    let (mut out, mut start, mut size) = (Vec::new(), 0, 0);
    for (i, part) in parts.iter().enumerate() {
        if size > 0 && size + part.n_tokens > most {
            out.push(start..i);
            // Parts that the next chunk repeats: as many as fit beside the part that did not.
            let room = spec.overlap.min(most - part.n_tokens.min(most)).min(most / 2);
            let (mut from, mut repeated) = (i, 0);
            while from > start + 1 && repeated + parts[from - 1].n_tokens <= room {
                from -= 1;
                repeated += parts[from].n_tokens;
            }
            (start, size) = (from, repeated);
        }
        size += part.n_tokens;
    }
    if start < parts.len() {
        out.push(start..parts.len());
    }
    out
}

fn joined(parts: &[Part<'_>]) -> (String, Option<u32>) {
    let mut text = String::new();
    if let Some(head) = parts.first().and_then(|part| part.head) {
        text.push_str(head);
    }
    for part in parts {
        if !text.is_empty() {
            text.push(if part.joins { ' ' } else { '\n' });
        }
        text.push_str(part.text);
    }
    (text, parts.first().and_then(|part| part.page))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn document(blocks: Vec<(BlockKind, String)>) -> Document {
        Document {
            id: "a.md".to_owned(),
            title: "Title".to_owned(),
            blocks: blocks
                .into_iter()
                .map(|(kind, text)| Block { kind, text, page: None })
                .collect(),
            ..Document::default()
        }
    }

    fn heading(level: u8, text: &str) -> (BlockKind, String) {
        (BlockKind::Heading { level }, text.to_owned())
    }

    fn paragraph(text: &str) -> (BlockKind, String) {
        (BlockKind::Paragraph, text.to_owned())
    }

    #[test]
    fn a_chunk_holds_blocks_of_one_section_and_names_the_headings_above() {
        let document = document(vec![
            heading(1, "Title"),
            paragraph("Intro."),
            heading(2, "Returns"),
            paragraph("Within 30 days."),
            paragraph("With the receipt."),
            heading(3, "Exceptions"),
            paragraph("Not for food."),
            heading(2, "Shipping"),
            paragraph("Two days."),
        ]);
        let found = chunks(&document, &ChunkSpec::default());
        let found: Vec<(String, &str)> =
            found.iter().map(|it| (it.section.join(" > "), it.text.as_str())).collect();
        assert_eq!(
            found,
            [
                (String::new(), "Intro."),
                ("Returns".to_owned(), "Within 30 days.\nWith the receipt."),
                ("Returns > Exceptions".to_owned(), "Not for food."),
                ("Shipping".to_owned(), "Two days."),
            ]
        );
    }

    #[test]
    fn rows_repeat_the_head_of_their_table_and_a_cut_repeats_sentences() {
        let mut blocks = vec![(BlockKind::TableRow { is_head: true }, "Size | Price".to_owned())];
        for n in 0..30 {
            blocks.push((BlockKind::TableRow { is_head: false }, format!("S{n} | {n} euros")));
        }
        let found = chunks(&document(blocks), &ChunkSpec { tokens: 20, overlap: 0 });
        assert!(found.len() > 3);
        assert!(found.iter().all(|it| it.text.starts_with("Size | Price\nS")), "{found:?}");
        let text = (0..20).map(|n| format!("Sentence number {n} is here. ")).collect::<String>();
        let spec = ChunkSpec { tokens: 20, overlap: 6 };
        let found = chunks(&document(vec![paragraph(text.trim())]), &spec);
        assert!(found[0].text.ends_with("Sentence number 3 is here."), "{found:?}");
        assert!(found[1].text.starts_with("Sentence number 3 is here. Sentence number 4"));
    }

    #[test]
    fn an_edit_of_one_section_changes_no_chunk_of_another() {
        let of = |text: &str| {
            let same = [heading(2, "A"), paragraph("One."), heading(2, "B")];
            let rest = [paragraph(text), heading(2, "C"), paragraph("One."), paragraph("Two.")];
            chunks(&document([&same[..], &rest[..]].concat()), &ChunkSpec::default())
        };
        let (before, after) = (of("Old."), of("New, and longer than before."));
        assert_eq!((before[0].id, before[2].id), (after[0].id, after[2].id));
        assert_ne!(before[1].id, after[1].id);
        let text = serde_json::to_string(&before[0].id).unwrap();
        assert_eq!(serde_json::from_str::<ChunkId>(&text).unwrap(), before[0].id);
    }

    /// A stranger's file must not become an index many times its size.
    #[test]
    fn the_chunks_of_a_hostile_document_are_a_few_times_as_long_as_it() {
        let cell = |is_head, text: &str| (BlockKind::TableRow { is_head }, text.to_owned());
        let mut rows = vec![cell(true, &"a ".repeat(50_000)), cell(true, &"b".repeat(50_000))];
        rows.extend((0..20_000).map(|n| cell(false, &format!("row {n}"))));
        let mut sections: Vec<_> = (1..=5)
            .map(|level| heading(level, &"h ".repeat(if level < 3 { 9_000 } else { 190 })))
            .collect();
        for n in 0..5_000 {
            sections.extend([heading(6, &format!("section {n}")), paragraph("This is the text.")]);
        }
        let texts = ["x ", "x", "\u{301}", "字", "- "].map(|text| paragraph(&text.repeat(200_000)));
        for blocks in [rows, sections, texts.to_vec()] {
            let document = document(blocks);
            let size: usize = document.blocks.iter().map(|block| block.text.len()).sum();
            let found = chunks(&document, &ChunkSpec::default());
            let length = |it: &Chunk| it.text.len() + it.section.concat().len();
            let all: usize = found.iter().map(length).sum();
            assert!(all < 20 * size, "{all} of {size}");
            let longest = found.iter().map(length).max().unwrap();
            assert!(longest <= 200 * TOKEN_BYTES * 2, "{longest}");
        }
    }

    #[test]
    fn a_long_text_without_spaces_is_cut_and_none_of_it_is_lost() {
        for text in ["字".repeat(9_000), format!("{} {}", "ab".repeat(7_990), "c".repeat(30))] {
            let spec = ChunkSpec { tokens: 200, overlap: 0 };
            let found = chunks(&document(vec![paragraph(&text)]), &spec);
            assert!(found.len() > 1);
            let joined: String = found.iter().map(|it| it.text.as_str()).collect();
            assert_eq!(joined, text.replace(' ', ""));
        }
    }

    proptest! {
        #[test]
        fn every_token_is_in_a_chunk_in_order_and_no_chunk_is_too_long(
            texts in prop::collection::vec("([a-z]{1,6}[ .]{1,2}){0,60}", 1..6),
            most in FEWEST_TOKENS..60,
        ) {
            let document = document(texts.iter().map(|text| paragraph(text)).collect());
            let found = chunks(&document, &ChunkSpec { tokens: most, overlap: 0 });
            let all: Vec<&str> = texts.iter().flat_map(|text| tokens(text)).collect();
            let kept: Vec<&str> = found.iter().flat_map(|it| tokens(&it.text)).collect();
            prop_assert_eq!(kept, all);
            prop_assert!(found.iter().all(|it| tokens(&it.text).count() <= most as usize));
            let ids: std::collections::BTreeSet<_> = found.iter().map(|it| it.id).collect();
            prop_assert_eq!(ids.len(), found.len());
            let overlapping = chunks(&document, &ChunkSpec { tokens: most, overlap: most / 2 });
            prop_assert!(overlapping.iter().all(|it| tokens(&it.text).count() <= most as usize));
        }
    }
}
