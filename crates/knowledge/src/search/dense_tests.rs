//! Tests of the ranking by vectors and of fusion, with a tiny encoder.

use super::{Mode, Query, SearchScratch, coverage::Coverage};
use crate::{
    Filters, KnowledgeIndex,
    index::{
        Group, QueryVector, Vectors,
        fixtures::{document, indexed, spec},
    },
};
use botops_documents::Document;
use botops_features::{Encoder, EncoderFiles, EncoderSpec};
use botops_tiny_encoder::Tiny;
use std::{collections::BTreeSet, sync::Arc};

fn encoder(seed: u64) -> Arc<Encoder> {
    let files = Tiny { seed, ..Tiny::bert() }.files();
    let files = EncoderFiles {
        config: files["config.json"].clone(),
        tokenizer: files["tokenizer.json"].clone(),
        weights: files["model.safetensors"].clone(),
        pooling: None,
    };
    Arc::new(Encoder::new(&files, &EncoderSpec::new("tiny")).expect("the encoder is sound"))
}

const TEXTS: [&str; 5] = [
    "my card is lost",
    "the payment failed",
    "how do i top up",
    "what is the exchange rate",
    "please refund the transfer",
];

fn documents() -> Vec<Document> {
    TEXTS.iter().enumerate().map(|(at, text)| document(&at.to_string(), text)).collect()
}

fn build(documents: &[Document], seed: u64, previous: Option<&KnowledgeIndex>) -> KnowledgeIndex {
    KnowledgeIndex::build("bank", &indexed(documents), &spec(), Some(encoder(seed)), previous)
        .expect("the documents are sound")
}

#[test]
fn similarities_are_the_products_of_the_embeddings() {
    let (index, encoder) = (build(&documents(), 7, None), encoder(7));
    let text = "a lost card";
    let question = encoder.embed(&[text], &|_| ());
    let filters = Filters::default();
    let query = Query { text, k: 5, filters: &filters, mode: Mode::Dense, embedding: None };
    let hits = index.search(&query, &mut SearchScratch::default());
    assert_eq!(hits.len(), 5);
    assert!(hits.windows(2).all(|two| two[0].score >= two[1].score));
    for hit in &hits {
        let embedding = encoder.embed(&[TEXTS[hit.chunk as usize]], &|_| ());
        let product: f32 = question.iter().zip(&embedding).map(|(a, b)| a * b).sum();
        // 8 bits of 32 coordinates of a vector of length 1.
        assert!((hit.score - f64::from(product)).abs() < 5e-3, "{} is not {product}", hit.score);
        assert_eq!((hit.dense, hit.lexical), (Some(hit.score), None));
    }
    let given = Query { embedding: Some(&question), ..query };
    assert_eq!(index.search(&given, &mut SearchScratch::default()), hits);
}

#[test]
fn a_fused_hit_has_both_scores_and_hides_what_filters_hide() {
    let mut documents = documents();
    documents[0].access = BTreeSet::from(["staff".to_owned()]);
    let index = build(&documents, 7, None);
    let filters = Filters::default();
    let query =
        Query { text: "lost card", k: 9, filters: &filters, mode: Mode::Hybrid, embedding: None };
    let mut scratch = SearchScratch::default();
    let open = index.search(&query, &mut scratch);
    assert_eq!(open.len(), 4);
    assert!(
        open.iter().all(|hit| hit.chunk != 0 && hit.dense.is_some() && hit.lexical == Some(0.0))
    );
    let staff = Filters { access: BTreeSet::from(["staff".to_owned()]), ..Filters::default() };
    let all = index.search(&Query { filters: &staff, ..query }, &mut scratch);
    assert_eq!(all.len(), 5);
    assert_eq!(all[0].chunk, 0);
    assert!(all[0].lexical > Some(0.0) && (0.0..=1.0).contains(&all[0].score));
}

#[test]
fn a_file_holds_the_encoder_and_an_update_copies_vectors() {
    let index = build(&documents(), 7, None);
    let bytes = index.to_bytes();
    let read = KnowledgeIndex::from_bytes(&bytes).expect("the file is sound");
    assert_eq!(read.to_bytes(), bytes);
    let mut edited = documents();
    edited[2] = document("2", "where is my refund");
    let updated = build(&edited, 7, Some(&read));
    assert_eq!(updated.to_bytes(), build(&edited, 7, None).to_bytes());
    // Another encoder copies no vector.
    assert_eq!(build(&edited, 8, Some(&read)).to_bytes(), build(&edited, 8, None).to_bytes());
}

#[test]
fn an_encoder_that_does_not_fit_is_refused() {
    let mut index = build(&documents(), 7, None);
    index.adopt_encoder(encoder(7)).expect("the encoder is the same");
    let fault = index.adopt_encoder(encoder(8)).expect_err("the encoder is another");
    assert_eq!((fault.code(), fault.kind().exit_code()), ("BOT-7204", 3));
    let mut words = crate::index::fixtures::build(&documents());
    let fault = words.adopt_encoder(encoder(7)).expect_err("the index has no vectors");
    assert_eq!(fault.code(), "BOT-7204");
}

#[test]
fn the_best_sentence_is_the_one_with_most_of_the_question() {
    let english = Group::of(Some("en"));
    let terms: [(&[u8], f32); 3] = [(b"refund", 3.0), (b"card", 1.0), (b"the", 0.5)];
    let mut coverage = Coverage::default();
    let mut share = |text: &str| coverage.best_sentence(text, english, &terms);
    assert_eq!(share("The card is here. Refunds, refunded. Nothing."), 3.0 / 4.5);
    assert_eq!(share("The cards were refunded!"), 1.0);
    assert_eq!(share("Nothing of it. At all."), 0.0);
    assert_eq!(coverage.best_sentence("The card", english, &[]), 0.0);
}

#[test]
fn a_similarity_is_a_cosine() {
    // A vector of zeros, which an encoder makes of no text, is at right angles to every other.
    let mut vectors = Vectors { dim: 2, ..Vectors::default() };
    vectors.push(&[0.0, 0.0]);
    vectors.push(&[3.0, -4.0]);
    let mut products = Vec::new();
    vectors.products(&QueryVector::new(&[30.0, -40.0]), &mut products);
    assert_eq!(products[0], 0.0);
    assert!((products[1] - 1.0).abs() < 5e-3, "{products:?}");
}
