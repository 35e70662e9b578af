//! Tests of building, writing and reading.

use super::{
    KnowledgeIndex,
    fixtures::{build, build_from, document, in_language, indexed, spec},
};
use botops_documents::{ChunkSpec, Document};
use proptest::prelude::*;

fn shop() -> Vec<Document> {
    let mut documents = vec![
        document("refunds.md", "Refunds are made within ten days. They go to the card that paid."),
        document(
            "hours.md",
            "The shop opens at nine and closes at six. On Sundays it is closed all day long, and so is the telephone line.",
        ),
        in_language("retours.md", "fr", "Les retours sont gratuits pendant trente jours."),
    ];
    documents[0].title = "Refunds".to_owned();
    documents[0].url = Some("https://example.com/refunds".to_owned());
    documents[1].metadata.insert("topic".to_owned(), "shop".to_owned());
    documents[2].access.insert("staff".to_owned());
    documents
}

#[test]
fn a_file_gives_the_same_index() {
    let index = build(&shop());
    let bytes = index.to_bytes();
    let read = KnowledgeIndex::from_bytes(&bytes).expect("the file is sound");
    assert_eq!(read.digest(), index.digest());
    assert_eq!(read.digest(), botops_digest::Digest::of(&bytes));
    assert_eq!(read.documents(), index.documents());
    assert_eq!(read.chunks, index.chunks);
    assert_eq!(read.lexicon, index.lexicon);
    assert_eq!((read.name(), read.spec()), (index.name(), index.spec()));
    assert_eq!(read.to_bytes(), bytes);
    assert_eq!(read.languages(), ["en", "fr"]);
}

#[test]
fn a_passage_has_its_source() {
    let index = build(&shop());
    assert_eq!(index.n_documents(), 3);
    let place = index.documents().iter().position(|entry| entry.id == "refunds.md");
    let chunks = index.chunks_of(place.expect("the document is in the index"));
    let passage = index.passage(chunks.start);
    assert_eq!(passage.title, "Refunds");
    assert_eq!(passage.url, Some("https://example.com/refunds"));
    assert!(passage.text.starts_with("Refunds are made"), "{passage:?}");
    assert_eq!((passage.language, passage.page, passage.section), (Some("en"), None, ""));
}

#[test]
fn the_order_of_documents_and_the_number_of_threads_change_no_byte() {
    let bytes = build(&shop()).to_bytes();
    let mut reversed = shop();
    reversed.reverse();
    for n_threads in [1, 3] {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(n_threads).build();
        let pool = pool.expect("threads can be started");
        assert_eq!(pool.install(|| build(&reversed).to_bytes()), bytes);
    }
}

#[test]
fn an_unchanged_document_is_not_read_again() {
    let (documents, previous) = (shop(), build(&shop()));
    let mut indexed = indexed(&documents);
    let entry = previous.documents().iter().find(|entry| entry.id == "hours.md");
    let without_text = entry.expect("the document is in the index").without_text();
    indexed[1].document = &without_text;
    let built = KnowledgeIndex::build("shop", &indexed, &spec(), None, Some(&previous));
    assert_eq!(built.expect("the documents are sound").to_bytes(), previous.to_bytes());
}

#[test]
fn two_documents_of_one_name_are_refused() {
    let documents = [document("a.md", "one"), document("a.md", "two")];
    let fault = KnowledgeIndex::build("shop", &indexed(&documents), &spec(), None, None);
    let fault = fault.expect_err("the names are the same");
    assert_eq!(fault.code(), "BOT-7205");
    assert!(fault.message().contains("a.md"), "{}", fault.message());
}

#[test]
fn sizes_of_chunks_are_checked() {
    for (tokens, overlap) in [(15, 0), (2_001, 0), (100, 51)] {
        let spec = super::IndexSpec { chunk: ChunkSpec { tokens, overlap }, ..spec() };
        let fault = KnowledgeIndex::build("shop", &[], &spec, None, None);
        assert_eq!(fault.expect_err("the sizes are not possible").code(), "BOT-7207");
    }
}

#[test]
fn an_empty_index_can_be_written_and_read() {
    let bytes = build(&[]).to_bytes();
    let read = KnowledgeIndex::from_bytes(&bytes).expect("the file is sound");
    assert_eq!((read.n_documents(), read.n_chunks()), (0, 0));
}

#[test]
fn a_file_of_another_kind_or_a_newer_format_is_refused() {
    let bytes = build(&shop()).to_bytes();
    let code =
        |bytes: &[u8]| KnowledgeIndex::from_bytes(bytes).expect_err("the file is refused").code();
    assert_eq!(code(b""), "BOT-7200");
    assert_eq!(code(b"PK\x03\x04"), "BOT-7200");
    assert_eq!(code(&bytes[..5]), "BOT-7201");
    assert_eq!(code(&bytes[..bytes.len() / 2]), "BOT-7201");
    let mut newer = bytes;
    newer[8] = 2;
    let fault = KnowledgeIndex::from_bytes(&newer).expect_err("the file is refused");
    assert_eq!(fault.code(), "BOT-7203");
    assert_eq!(fault.kind().exit_code(), 6);
}

/// Returns `bytes` with the digest at the end that they should have.
fn sealed(mut bytes: Vec<u8>) -> Vec<u8> {
    let content = bytes.len().saturating_sub(32);
    bytes.truncate(content);
    let digest = botops_digest::Digest::of(&bytes);
    bytes.extend_from_slice(digest.as_bytes());
    bytes
}

/// Searches an index that was read, so that a number out of place would be used.
fn exercise(index: &KnowledgeIndex) {
    let filters = crate::Filters::default();
    let mut scratch = crate::SearchScratch::default();
    for text in ["refunds are made at nine", "retours gratuits"] {
        let mode = crate::Mode::Hybrid;
        let query = crate::Query { text, k: 5, filters: &filters, mode, embedding: None };
        for hit in index.search(&query, &mut scratch) {
            assert!(!index.passage(hit.chunk).document.is_empty());
        }
    }
    (0..index.n_chunks() as u32).for_each(|chunk| drop(index.passage(chunk).text.to_owned()));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn a_mutated_file_never_panics(
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let mut bytes = build(&shop()).to_bytes();
        for (at, byte) in edits {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        for bytes in [bytes.clone(), sealed(bytes)] {
            if let Ok(index) = KnowledgeIndex::from_bytes(&bytes) {
                exercise(&index);
            }
        }
    }
}

proptest! {
    #[test]
    fn an_update_has_the_bytes_of_a_build_from_nothing(
        before in prop::collection::btree_map(0_u8..12, "[a-f]{1,3}( [a-f]{1,3}){0,30}", 0..12),
        after in prop::collection::btree_map(0_u8..12, "[a-f]{1,3}( [a-f]{1,3}){0,30}", 0..12),
        kept in prop::collection::btree_set(0_u8..12, 0..12),
    ) {
        let documents = |texts: &std::collections::BTreeMap<u8, String>| -> Vec<Document> {
            let language = |id: &u8| if id.is_multiple_of(3) { "fr" } else { "en" };
            texts.iter().map(|(id, text)| in_language(&id.to_string(), language(id), text)).collect()
        };
        let mut after = after;
        after.extend(before.iter().filter(|(id, _)| kept.contains(id)).map(|(id, text)| (*id, text.clone())));
        let previous = build(&documents(&before));
        let updated = build_from(&documents(&after), Some(&previous));
        prop_assert_eq!(updated.to_bytes(), build(&documents(&after)).to_bytes());
    }
}
