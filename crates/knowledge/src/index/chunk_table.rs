//! The chunks of an index: texts in one buffer, the rest in columns.

use botops_documents::ChunkId;

/// The chunks of an index, by number.
///
/// - columns have one value per chunk
/// - `ends` rises, its values are boundaries of characters of `texts`, and the last is its length
/// - sections are places in `sections`, documents are places in the table of documents and do not fall
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct ChunkTable {
    pub(crate) texts: String,
    pub(crate) ends: Vec<u32>,
    pub(crate) ids: Vec<ChunkId>,
    pub(crate) section: Vec<u32>,
    /// The page, or 0.
    pub(crate) page: Vec<u32>,
    pub(crate) document: Vec<u32>,
    /// The headings above chunks, joined by ` > `; each once.
    pub(crate) sections: Vec<String>,
}

impl ChunkTable {
    /// Returns the number of chunks.
    pub(crate) fn len(&self) -> usize {
        self.ids.len()
    }

    /// Returns the text of chunk `chunk`.
    pub(crate) fn text(&self, chunk: u32) -> &str {
        let at = chunk as usize;
        let start = at.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.texts[start as usize..self.ends[at] as usize]
    }

    /// Returns the headings above chunk `chunk`, joined by ` > `.
    pub(crate) fn section(&self, chunk: u32) -> &str {
        &self.sections[self.section[chunk as usize] as usize]
    }
}
