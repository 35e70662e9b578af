//! The parts of a `.knowledge` file, written and read; every length and number is checked before it is used.

use super::{
    analysis::Group,
    chunk_table::ChunkTable,
    container::{self, EncoderKey, FileParts, Header, malformed},
    document_entry::DocumentEntry,
    knowledge_index::{KnowledgeIndex, group_of, new_identity},
    lexicon::{Lexicon, MOST_CHUNKS, Posting},
    spec::IndexSpec,
    vectors::{MOST_DIMENSIONS, Vectors},
};
use botops_digest::{Digest, canonical_json};
use botops_documents::ChunkId;
use botops_features::{Encoder, EncoderParts};
use botops_findings::{Fault, Result};
use std::sync::{Arc, OnceLock};

/// Names of the parts of the encoder, as in a model file.
const ENCODER_PARTS: [&str; 3] = ["encoder.json", "tokenizer", "encoder"];

/// The bytes of a row of the part `chunks`: identity, end of the text, section, page, weighted length.
const ROW: usize = 8 + 4 * 4;

impl KnowledgeIndex {
    /// Returns the `.knowledge` file.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut header = Header::new(&self.name, &self.spec, self.n_documents(), self.n_chunks());
        let mut parts = vec![
            ("documents", canonical_json(&self.documents)),
            ("sections", write_strings(&self.chunks.sections)),
            ("chunks", self.write_rows()),
            ("texts", self.chunks.texts.clone().into_bytes()),
            ("terms", write_terms(&self.lexicon)),
            ("postings", write_postings(&self.lexicon)),
        ];
        if let Some((vectors, encoder)) = self.vectors.as_ref().zip(self.encoder.as_ref()) {
            header.encoder = Some(EncoderKey { dim: vectors.dim as u64, digest: encoder.digest() });
            parts.push((
                "vectors",
                vectors.values.iter().map(|value| value.cast_unsigned()).collect(),
            ));
            parts.push((
                "scales",
                vectors.scales.iter().flat_map(|scale| scale.to_le_bytes()).collect(),
            ));
            let EncoderParts { metadata, tokenizer, weights } = encoder.parts();
            let contents = [metadata, tokenizer, weights].map(std::borrow::Cow::into_owned);
            parts.extend(ENCODER_PARTS.into_iter().zip(contents));
        }
        let (bytes, digest) = container::write(header, &parts);
        self.digest.get_or_init(|| digest);
        bytes
    }

    /// Returns the digest of the file. It is computed once; a large index has to be written for it.
    #[must_use]
    pub fn digest(&self) -> Digest {
        match self.digest.get() {
            Some(digest) => *digest,
            None => Digest::of(&self.to_bytes()),
        }
    }

    /// Reads a `.knowledge` file.
    ///
    /// # Errors
    /// `BOT-7200` (exit 3) not a knowledge file, `BOT-7201` cut short or altered, `BOT-7202` inconsistent, `BOT-7203` (exit
    /// 6) a newer format, `BOT-7204` (exit 3) vectors of another encoder than the one in the file, and those of
    /// [`Encoder::from_parts`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let parts = container::read(bytes)?;
        let header = &parts.header;
        let documents: Vec<DocumentEntry> = serde_json::from_slice(parts.get("documents")?)
            .map_err(|error| malformed("has a malformed table of documents").caused_by(error))?;
        let sorted = documents.windows(2).all(|two| two[0].id < two[1].id);
        if documents.len() as u64 != header.n_documents || !sorted {
            return Err(malformed("has a table of documents that is not sorted or not complete"));
        }
        let (chunks, lengths) = read_chunks(&parts, &documents)?;
        let lexicon = read_lexicon(&parts, groups_of(&chunks, &documents, &header.spec), lengths)?;
        let (vectors, encoder) = read_vectors(&parts, chunks.len())?.unzip();
        Ok(Self {
            name: header.name.clone(),
            spec: header.spec.clone(),
            documents,
            chunks,
            lexicon,
            vectors,
            encoder,
            digest: OnceLock::from(parts.digest),
            identity: new_identity(),
        })
    }

    fn write_rows(&self) -> Vec<u8> {
        let table = &self.chunks;
        let mut out = Vec::with_capacity(table.len() * ROW);
        for chunk in 0..table.len() {
            out.extend(table.ids[chunk].number().to_le_bytes());
            let lengths = &self.lexicon.lengths;
            for column in [&table.ends, &table.section, &table.page, lengths] {
                out.extend(column[chunk].to_le_bytes());
            }
        }
        out
    }
}

/// Returns the group of each chunk.
fn groups_of(chunks: &ChunkTable, documents: &[DocumentEntry], spec: &IndexSpec) -> Vec<Group> {
    let groups = documents.iter().map(|document| group_of(document.language.as_deref(), spec));
    let groups: Vec<Group> = groups.collect();
    chunks.document.iter().map(|document| groups[*document as usize]).collect()
}

/// Reads the table of chunks, and their weighted lengths.
fn read_chunks(
    parts: &FileParts<'_>,
    documents: &[DocumentEntry],
) -> Result<(ChunkTable, Vec<u32>)> {
    let rows = parts.get("chunks")?;
    let n = rows.len() / ROW;
    if rows.len() % ROW != 0 || n as u64 != parts.header.n_chunks || n > MOST_CHUNKS {
        return Err(malformed("has a table of chunks that is not complete"));
    }
    let total = documents.iter().map(|document| u64::from(document.n_chunks)).sum::<u64>();
    if total != n as u64 {
        return Err(malformed("has documents with other chunks than the table of chunks"));
    }
    let texts = std::str::from_utf8(parts.get("texts")?)
        .map_err(|error| malformed("has texts that are not UTF-8").caused_by(error))?;
    let sections = read_strings(parts.get("sections")?, n)?;
    let mut table = ChunkTable { texts: texts.to_owned(), sections, ..ChunkTable::default() };
    let mut lengths = Vec::with_capacity(n);
    let mut before = 0;
    for row in rows.chunks_exact(ROW) {
        let (id, numbers) = row.split_first_chunk().expect("a row is longer than an identity");
        let mut numbers = numbers
            .chunks_exact(4)
            .map(|four| u32::from_le_bytes(four.try_into().expect("a chunk of 4 has 4 bytes")));
        let mut next = || numbers.next().expect("a row has four numbers");
        let (end, section, page, length) = (next(), next(), next(), next());
        let fits = end >= before
            && texts.is_char_boundary(end as usize)
            && (section as usize) < table.sections.len();
        if !fits {
            return Err(malformed("has a chunk outside the texts or the sections"));
        }
        before = end;
        table.ids.push(ChunkId::from_number(u64::from_le_bytes(*id)));
        table.ends.push(end);
        table.section.push(section);
        table.page.push(page);
        lengths.push(length);
    }
    if before as usize != texts.len() {
        return Err(malformed("has text that belongs to no chunk"));
    }
    for (at, document) in documents.iter().enumerate() {
        table.document.extend(std::iter::repeat_n(at as u32, document.n_chunks as usize));
    }
    Ok((table, lengths))
}

fn read_lexicon(parts: &FileParts<'_>, groups: Vec<Group>, lengths: Vec<u32>) -> Result<Lexicon> {
    let broken = || malformed("has terms that are not sorted, or postings that do not fit them");
    let (terms, postings) = (parts.get("terms")?, parts.get("postings")?);
    let mut lexicon = Lexicon { groups, lengths, ..Lexicon::default() };
    // A posting has at least 2 bytes, so that what is reserved is at most twice the part.
    lexicon.postings.reserve_exact(postings.len() / 2);
    lexicon.starts.push(0);
    let (mut terms, mut postings) = (Cursor(terms), Cursor(postings));
    let mut before: &[u8] = &[];
    while !terms.0.is_empty() {
        let length = terms.number().ok_or_else(broken)?;
        let term = terms.take(length as usize).ok_or_else(broken)?;
        let group = term.first().and_then(|byte| Group::from_byte(*byte)).ok_or_else(broken)?;
        if term <= before || term.len() < 2 {
            return Err(broken());
        }
        before = term;
        lexicon.bytes.extend_from_slice(term);
        lexicon.ends.push(u32::try_from(lexicon.bytes.len()).map_err(|_| broken())?);
        let count = postings.number().filter(|count| *count > 0).ok_or_else(broken)?;
        let mut next = 0_u32;
        for _ in 0..count {
            let gap = postings.number().ok_or_else(broken)?;
            let frequency = postings.take(1).ok_or_else(broken)?[0];
            let chunk = next.checked_add(gap).ok_or_else(broken)?;
            if lexicon.groups.get(chunk as usize) != Some(&group) || frequency == 0 {
                return Err(broken());
            }
            next = chunk + 1;
            lexicon.postings.push(Posting::new(chunk, frequency));
        }
        lexicon.starts.push(u32::try_from(lexicon.postings.len()).map_err(|_| broken())?);
    }
    if !postings.0.is_empty() {
        return Err(broken());
    }
    lexicon.postings.shrink_to_fit();
    lexicon.derive();
    Ok(lexicon)
}

fn read_vectors(parts: &FileParts<'_>, n: usize) -> Result<Option<(Vectors, Arc<Encoder>)>> {
    let Some(EncoderKey { dim, digest }) = &parts.header.encoder else {
        return Ok(None);
    };
    let (values, scales) = (parts.get("vectors")?, parts.get("scales")?);
    let dim = usize::try_from(*dim).ok().filter(|dim| (1..=MOST_DIMENSIONS).contains(dim));
    let dim = dim.ok_or_else(|| malformed("has vectors with too many dimensions, or none"))?;
    if values.len() != n * dim || scales.len() != n * 4 {
        return Err(malformed("has not one vector for each chunk"));
    }
    let scales = scales
        .chunks_exact(4)
        .map(|four| f32::from_le_bytes(four.try_into().expect("a chunk of 4 has 4 bytes")));
    let scales: Vec<f32> = scales.collect();
    // A coordinate of a vector of length 1 is at most 1.
    if !scales.iter().all(|scale| scale.is_finite() && (0.0..=1.0).contains(scale)) {
        return Err(malformed("has a vector with a scale that is not a small positive number"));
    }
    let [metadata, tokenizer, weights] = ENCODER_PARTS.map(|name| parts.get(name));
    let encoder = Encoder::from_parts(&EncoderParts {
        metadata: metadata?.into(),
        tokenizer: tokenizer?.into(),
        weights: weights?.into(),
    })?;
    if encoder.dim() != dim || encoder.digest() != *digest {
        return Err(Fault::data(
            "BOT-7204",
            format!(
                "the knowledge file has vectors of the encoder {} ({dim} dimensions), and holds the encoder {} ({} dimensions)",
                digest.short(),
                encoder.digest().short(),
                encoder.dim()
            ),
        )
        .hint("build it again from its documents: `botops knowledge import DIR --into NAME`"));
    }
    let values = values.iter().map(|value| value.cast_signed()).collect();
    Ok(Some((Vectors { dim, values, scales }, Arc::new(encoder))))
}

fn write_terms(lexicon: &Lexicon) -> Vec<u8> {
    let mut out = Vec::with_capacity(lexicon.bytes.len() + lexicon.n_terms());
    for term in 0..lexicon.n_terms() {
        let term = lexicon.term(term);
        write_number(term.len() as u32, &mut out);
        out.extend_from_slice(term);
    }
    out
}

/// Writes for each term the number of its postings; for each posting the chunks skipped since the one before, and the
/// frequency.
fn write_postings(lexicon: &Lexicon) -> Vec<u8> {
    let mut out = Vec::with_capacity(lexicon.postings.len() * 3);
    for term in 0..lexicon.n_terms() {
        let postings = lexicon.postings(term);
        write_number(postings.len() as u32, &mut out);
        let mut next = 0;
        for posting in postings {
            write_number(posting.chunk() - next, &mut out);
            out.push(posting.frequency());
            next = posting.chunk() + 1;
        }
    }
    out
}

fn write_strings(strings: &[String]) -> Vec<u8> {
    let mut out = Vec::new();
    for string in strings {
        write_number(string.len() as u32, &mut out);
        out.extend_from_slice(string.as_bytes());
    }
    out
}

fn read_strings(bytes: &[u8], most: usize) -> Result<Vec<String>> {
    let broken = || malformed("has malformed sections, or more of them than chunks");
    let (mut cursor, mut strings) = (Cursor(bytes), Vec::new());
    while !cursor.0.is_empty() {
        let length = cursor.number().filter(|_| strings.len() < most).ok_or_else(broken)?;
        let string = cursor.take(length as usize).ok_or_else(broken)?;
        strings.push(std::str::from_utf8(string).map_err(|_| broken())?.to_owned());
    }
    Ok(strings)
}

/// Appends `number` in groups of 7 bits, the lowest first; the highest bit of a byte says that another follows (LEB128).
fn write_number(mut number: u32, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// The bytes that are still to be read.
struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    /// Reads the next `length` bytes, if there are as many.
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    /// Reads a number of [`write_number`], in its shortest form only: equal contents have equal bytes.
    fn number(&mut self) -> Option<u32> {
        let mut number = 0_u32;
        for shift in (0..35).step_by(7) {
            let byte = self.take(1)?[0];
            let low = u32::from(byte & 0x7f);
            let shifted = low.checked_shl(shift).filter(|shifted| shifted >> shift == low)?;
            number |= shifted;
            if byte & 0x80 == 0 {
                return (low != 0 || shift == 0).then_some(number);
            }
        }
        None
    }
}
