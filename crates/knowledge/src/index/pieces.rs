//! A document to chunks: the paragraphs of one section, together up to the size of a chunk.

use botops_documents::{BlockKind, Chunk, ChunkId, ChunkSpec, Document};
use std::collections::HashMap;

/// Returns the chunks of `document`.
pub(crate) fn pieces(document: &Document, spec: &ChunkSpec) -> Vec<Chunk> {
    let most = (spec.tokens as usize).max(1);
    let mut section: Vec<(u8, String)> = Vec::new();
    let mut drafts: Vec<(Vec<String>, String, Option<u32>)> = Vec::new();
    let mut held = 0;
    for block in &document.blocks {
        if let BlockKind::Heading { level } = block.kind {
            section.retain(|(above, _)| *above < level);
            section.push((level, block.text.clone()));
            held = usize::MAX;
            continue;
        }
        let words: Vec<&str> = block.text.split_inclusive(char::is_whitespace).collect();
        for part in words.chunks(most) {
            let headings: Vec<String> = section.iter().map(|(_, text)| text.clone()).collect();
            let text: String = part.concat();
            let text = text.trim_end();
            match drafts.last_mut() {
                Some((_, before, _)) if held.saturating_add(part.len()) <= most => {
                    before.push('\n');
                    before.push_str(text);
                    held += part.len();
                }
                _ => {
                    drafts.push((headings, text.to_owned(), block.page));
                    held = part.len();
                }
            }
        }
    }
    let mut seen: HashMap<(Vec<String>, String), u32> = HashMap::new();
    let chunks = drafts.into_iter().map(|(section, text, page)| {
        let n = seen.entry((section.clone(), text.clone())).or_default();
        let id = ChunkId::of(&document.id, &section, &text, *n);
        *n += 1;
        Chunk { id, section, text, page }
    });
    chunks.collect()
}
