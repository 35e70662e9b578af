//! Documents to an index; unchanged documents are copied from the previous one.

use super::{
    analysis::Group,
    chunk_table::ChunkTable,
    document_entry::DocumentEntry,
    knowledge_index::{KnowledgeIndex, group_of, new_identity},
    lexicon::{MOST_CHUNKS, UNITS},
    spec::IndexSpec,
    term_counts::TermCounts,
    vectors::{MOST_DIMENSIONS, MOST_VECTORS, Vectors},
};
use botops_digest::Digest;
use botops_documents::{Chunk, Document, chunks};
use botops_features::Encoder;
use botops_findings::{Fault, Result};
use std::{
    collections::HashMap,
    sync::{Arc, OnceLock},
};

/// A document to index, and the digest of its origin.
#[derive(Debug, Clone, Copy)]
pub struct IndexedDocument<'a> {
    /// The document. Its text is not read if the previous index has a document of this name and source.
    pub document: &'a Document,
    /// The digest of the original file and of the declared metadata.
    pub source: Digest,
}

impl KnowledgeIndex {
    /// Builds the index of `documents`, in any order.
    ///
    /// A document that `previous` has with the same name, source, title and language is copied from it, with its vectors if
    /// the encoder is the same, unless other settings make other chunks. The result is the same as without `previous`.
    ///
    /// # Errors
    /// `BOT-7207` (exit 2) for sizes of chunks that are not possible, `BOT-7205` (exit 3) if two documents have one name,
    /// `BOT-7206` for more than one index holds, `BOT-7204` for an encoder with too many dimensions.
    pub fn build(
        name: &str,
        documents: &[IndexedDocument<'_>],
        spec: &IndexSpec,
        encoder: Option<Arc<Encoder>>,
        previous: Option<&Self>,
    ) -> Result<Self> {
        spec.check()?;
        let mut sorted: Vec<&IndexedDocument<'_>> = documents.iter().collect();
        sorted.sort_by(|a, b| a.document.id.cmp(&b.document.id));
        if let Some(same) = sorted.windows(2).find(|two| two[0].document.id == two[1].document.id) {
            return Err(Fault::data(
                "BOT-7205",
                format!(
                    "two documents are named `{}`",
                    botops_text::display(&same[0].document.id, 80)
                ),
            )
            .hint("rename or remove one of them"));
        }
        if encoder.as_ref().is_some_and(|encoder| encoder.dim() > MOST_DIMENSIONS) {
            return Err(Fault::data(
                "BOT-7204",
                format!("the encoder has more than {MOST_DIMENSIONS} dimensions"),
            )
            .hint("choose a smaller encoder"));
        }
        let previous = previous.filter(|previous| previous.has_chunks_of(spec));
        let mut builder = Builder::new(spec, previous);
        if encoder.is_some() {
            builder.most_chunks = MOST_VECTORS;
        }
        for document in sorted {
            builder.add(document)?;
        }
        Ok(builder.finish(name, encoder))
    }

    /// Returns whether [`Self::build`] with `spec` copies the chunks of unchanged documents from this index.
    #[must_use]
    pub fn has_chunks_of(&self, spec: &IndexSpec) -> bool {
        let key = |spec: &IndexSpec| (spec.chunk, spec.weights, spec.languages.clone());
        key(&self.spec) == key(spec)
    }
}

/// The parts of an index while documents are added.
struct Builder<'a> {
    spec: &'a IndexSpec,
    previous: Option<&'a KnowledgeIndex>,
    /// The place of each document of the previous index.
    places: HashMap<&'a str, usize>,
    most_chunks: usize,
    documents: Vec<DocumentEntry>,
    chunks: ChunkTable,
    sections: HashMap<String, u32>,
    counts: TermCounts,
    groups: Vec<Group>,
    lengths: Vec<u32>,
    /// The new number of each chunk of the previous index that is kept.
    moved: Vec<Option<u32>>,
    /// The previous number of each chunk.
    from: Vec<Option<u32>>,
    title: Vec<(u32, u32)>,
    terms: Vec<(u32, u32)>,
}

impl<'a> Builder<'a> {
    fn new(spec: &'a IndexSpec, previous: Option<&'a KnowledgeIndex>) -> Self {
        let documents = previous.map(|previous| previous.documents.as_slice()).unwrap_or_default();
        Self {
            spec,
            previous,
            places: documents
                .iter()
                .enumerate()
                .map(|(at, entry)| (entry.id.as_str(), at))
                .collect(),
            most_chunks: MOST_CHUNKS,
            documents: Vec::new(),
            chunks: ChunkTable::default(),
            sections: HashMap::new(),
            counts: TermCounts::default(),
            groups: Vec::new(),
            lengths: Vec::new(),
            moved: vec![None; previous.map_or(0, KnowledgeIndex::n_chunks)],
            from: Vec::new(),
            title: Vec::new(),
            terms: Vec::new(),
        }
    }

    fn add(&mut self, indexed: &IndexedDocument<'_>) -> Result<()> {
        let IndexedDocument { document, source } = indexed;
        let first = self.chunks.len();
        let place = self.places.get(document.id.as_str()).copied();
        let kept = place.zip(self.previous).filter(|(place, previous)| {
            let entry = &previous.documents[*place];
            entry.source == *source
                && entry.title == document.title
                && entry.language == document.language
        });
        let group = group_of(document.language.as_deref(), self.spec);
        match kept {
            Some((place, previous)) => self.copy(previous, place, group)?,
            None => self.read(document, group)?,
        }
        let n_chunks = (self.chunks.len() - first) as u32;
        self.documents.push(DocumentEntry::of(document, *source, n_chunks));
        Ok(())
    }

    fn copy(&mut self, previous: &KnowledgeIndex, place: usize, group: Group) -> Result<()> {
        for chunk in previous.chunks_of(place) {
            let (old, table) = (chunk as usize, &previous.chunks);
            self.moved[old] = Some(self.chunks.len() as u32);
            self.from.push(Some(chunk));
            self.lengths.push(previous.lexicon.lengths[old]);
            self.groups.push(group);
            self.chunks.ids.push(table.ids[old]);
            self.chunks.page.push(table.page[old]);
            self.append(table.text(chunk), table.section(chunk))?;
        }
        Ok(())
    }

    fn read(&mut self, document: &Document, group: Group) -> Result<()> {
        self.title.clear();
        self.counts.read(&document.title, group, self.spec.weights.title, &mut self.title);
        for Chunk { id, section, text, page } in chunks(document, &self.spec.chunk) {
            let number = self.chunks.len() as u32;
            self.from.push(None);
            self.groups.push(group);
            self.chunks.ids.push(id);
            self.chunks.page.push(page.unwrap_or(0));
            let section = section.join(" > ");
            self.append(&text, &section)?;
            self.terms.clear();
            self.terms.extend_from_slice(&self.title);
            self.counts.read(&section, group, self.spec.weights.section, &mut self.terms);
            self.counts.read(&text, group, UNITS as u8, &mut self.terms);
            self.lengths.push(self.counts.add(number, &mut self.terms));
        }
        Ok(())
    }

    /// Appends what new and copied chunks have in common.
    fn append(&mut self, text: &str, section: &str) -> Result<()> {
        let end = u32::try_from(self.chunks.texts.len() + text.len());
        let Some(end) = end.ok().filter(|_| self.chunks.len() <= self.most_chunks) else {
            return Err(Fault::data(
                "BOT-7206",
                format!(
                    "the documents have more than {} passages, or 4 GiB of text",
                    self.most_chunks
                ),
            )
            .hint("split the knowledge base, or make larger passages"));
        };
        self.chunks.texts.push_str(text);
        self.chunks.ends.push(end);
        let number = match self.sections.get(section) {
            Some(number) => *number,
            None => {
                let number = self.chunks.sections.len() as u32;
                self.sections.insert(section.to_owned(), number);
                self.chunks.sections.push(section.to_owned());
                number
            }
        };
        self.chunks.section.push(number);
        self.chunks.document.push(self.documents.len() as u32);
        Ok(())
    }

    fn finish(mut self, name: &str, encoder: Option<Arc<Encoder>>) -> KnowledgeIndex {
        let vectors = encoder.as_ref().map(|encoder| self.embed(encoder));
        if let Some(previous) = self.previous {
            self.counts.add_previous(&previous.lexicon, &self.moved);
        }
        self.chunks.texts.shrink_to_fit();
        KnowledgeIndex {
            name: name.to_owned(),
            spec: self.spec.clone(),
            documents: self.documents,
            chunks: self.chunks,
            lexicon: self.counts.into_lexicon(self.groups, self.lengths),
            vectors,
            encoder,
            digest: OnceLock::new(),
            identity: new_identity(),
        }
    }

    /// Returns the vectors of all chunks; those of the previous index are copied if they are of the same encoder.
    fn embed(&self, encoder: &Encoder) -> Vectors {
        let previous = self.previous.and_then(|previous| {
            let same =
                previous.encoder.as_ref().is_some_and(|mine| mine.digest() == encoder.digest());
            previous.vectors.as_ref().filter(|_| same)
        });
        let of = |chunk: usize| previous.zip(self.from[chunk]);
        let new: Vec<usize> = (0..self.chunks.len()).filter(|chunk| of(*chunk).is_none()).collect();
        let texts: Vec<String> = new.iter().map(|chunk| self.embedded_text(*chunk)).collect();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let embeddings = encoder.embed(&texts, &|_| ());
        let mut embeddings = embeddings.chunks_exact(encoder.dim());
        let mut vectors = Vectors { dim: encoder.dim(), ..Vectors::default() };
        for chunk in 0..self.chunks.len() {
            match of(chunk) {
                Some((previous, old)) => vectors.push_from(previous, old as usize),
                None => vectors.push(embeddings.next().expect("each new chunk has an embedding")),
            }
        }
        vectors
    }

    /// Returns the text that the encoder reads for a chunk.
    fn embedded_text(&self, chunk: usize) -> String {
        let number = chunk as u32;
        let title = &self.documents[self.chunks.document[chunk] as usize].title;
        let headings = [title.as_str(), self.chunks.section(number)];
        let headings = headings.into_iter().filter(|text| !text.is_empty());
        headings.chain([self.chunks.text(number)]).collect::<Vec<_>>().join("\n")
    }
}
