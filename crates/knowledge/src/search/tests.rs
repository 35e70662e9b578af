//! Tests of ranking.

use super::{Mode, Query, SearchScratch};
use crate::{
    Filters, KnowledgeIndex,
    index::fixtures::{build, document, in_language},
};
use botops_documents::Document;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

const CATS: [&str; 4] = [
    "the cat sat on the mat",
    "dogs chase cats",
    "a dog and a cat play",
    "birds sing in the trees",
];

fn cats() -> Vec<Document> {
    CATS.iter().enumerate().map(|(at, text)| document(&at.to_string(), text)).collect()
}

/// Returns documents and scores of a search by words.
fn found(index: &KnowledgeIndex, text: &str, filters: &Filters, k: usize) -> Vec<(String, f64)> {
    let query = Query { text, k, filters, mode: Mode::Lexical, embedding: None };
    let hits = index.search(&query, &mut SearchScratch::default());
    hits.iter().map(|hit| (index.passage(hit.chunk).document.to_owned(), hit.score)).collect()
}

fn assert_scores(found: &[(String, f64)], expected: &[(&str, f64)]) {
    assert_eq!(found.len(), expected.len(), "{found:?}");
    for ((id, score), (expected_id, expected)) in found.iter().zip(expected) {
        assert_eq!(id, expected_id, "{found:?}");
        assert!((score - expected).abs() < 1e-6, "{id}: {score} is not {expected}");
    }
}

#[test]
fn scores_are_those_of_bm25s() {
    // bm25s 0.3.16: BM25(method="lucene", k1=1.2, b=0.75).get_scores of the stems (PyStemmer, english), with
    // tokenize(CATS, stopwords=None, token_pattern=r"(?u)\b\w+\b")
    let index = build(&cats());
    let all = Filters::default();
    assert_scores(
        &found(&index, "cat dog", &all, 10),
        &[("1", 0.570_555_5), ("2", 0.441_101_73), ("0", 0.149_863_42)],
    );
    assert_scores(
        &found(&index, "The birds", &all, 10),
        &[("3", 0.862_327_2), ("0", 0.410_146_27)],
    );
}

#[test]
fn a_score_is_idf_times_saturation() {
    // By hand: N = 4, df = 1: idf = ln(1 + 3.5 / 1.5) = 1.203973; length 3, mean 5: norm = 1.2 (0.25 + 0.75 * 3 / 5) = 0.84;
    // 1.203973 / 1.84 = 0.654333
    let index = build(&cats());
    assert_scores(&found(&index, "chasing", &Filters::default(), 10), &[("1", 0.654_333)]);
}

#[test]
fn equal_scores_are_ordered_by_document() {
    let documents: Vec<Document> =
        ["b", "a", "c"].map(|id| document(id, "one and the same text")).into();
    let ids: Vec<String> = found(&build(&documents), "same", &Filters::default(), 2)
        .into_iter()
        .map(|(id, _)| id)
        .collect();
    assert_eq!(ids, ["a", "b"]);
}

#[test]
fn a_word_is_stemmed_in_the_language_of_each_document() {
    let documents = [
        in_language("fr", "fr", "Les remboursements sont effectués sous dix jours"),
        in_language("de", "de", "Die Rückerstattungen erfolgen nach zehn Tagen"),
        in_language("en", "en-GB", "Refunds are made within ten days"),
        in_language("zh", "zh", "退款将在十天内完成"),
    ];
    let index = build(&documents);
    for (question, expected) in [
        ("un remboursement effectue", "fr"),
        ("Rueckerstattung Rückerstattung", "de"),
        ("when am I refunded", "en"),
        ("如何退款", "zh"),
    ] {
        let found = found(&index, question, &Filters::default(), 10);
        assert_eq!(
            found.first().map(|(id, _)| id.as_str()),
            Some(expected),
            "{question}: {found:?}"
        );
    }
}

#[test]
fn a_word_of_the_title_counts() {
    let mut documents = cats();
    documents[3].title = "Gardens".to_owned();
    let found = found(&build(&documents), "garden", &Filters::default(), 10);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].0, "3");
}

#[test]
fn filters_ask_for_one_of_the_values_of_each_key() {
    let mut documents = cats();
    documents[0].metadata.insert("topic".to_owned(), "mats".to_owned());
    documents[1].language = Some("en-US".to_owned());
    let index = build(&documents);
    let ids = |metadata: &[(&str, &[&str])]| {
        let metadata = metadata.iter().map(|(key, values)| {
            ((*key).to_owned(), values.iter().map(|value| (*value).to_owned()).collect())
        });
        let filters = Filters { metadata: metadata.collect(), access: BTreeSet::new() };
        let found = found(&index, "cat", &filters, 10).into_iter();
        found.map(|(id, _)| id).collect::<BTreeSet<_>>().into_iter().collect::<Vec<_>>()
    };
    assert_eq!(ids(&[("topic", &["mats", "rugs"])]), ["0"]);
    assert_eq!(ids(&[("document", &["2", "3"])]), ["2"]);
    assert_eq!(ids(&[("language", &["en-US"])]), ["1"]);
    assert_eq!(ids(&[("language", &["en"])]), ["0", "1", "2"]);
    assert_eq!(ids(&[("language", &["fr"])]), [""; 0]);
    assert_eq!(ids(&[("topic", &["mats"]), ("document", &["1"])]), [""; 0]);
}

#[test]
fn an_empty_index_or_question_finds_nothing() {
    let all = Filters::default();
    assert!(found(&build(&[]), "cat", &all, 10).is_empty());
    let index = build(&cats());
    for text in ["", " ?! ", "unheard"] {
        assert!(found(&index, text, &all, 10).is_empty(), "{text:?}");
    }
    assert!(found(&index, "cat", &all, 0).is_empty());
}

#[test]
fn without_an_encoder_every_mode_ranks_by_words() {
    let index = build(&cats());
    let filters = Filters::default();
    assert_eq!(index.effective_mode(Mode::Hybrid), Mode::Lexical);
    let hits = [Mode::Lexical, Mode::Dense, Mode::Hybrid].map(|mode| {
        let query = Query { text: "cat", k: 3, filters: &filters, mode, embedding: None };
        index.search(&query, &mut SearchScratch::default())
    });
    assert_eq!(hits[0].len(), 3);
    assert!(hits.iter().all(|mine| *mine == hits[0] && mine.iter().all(|hit| hit.dense.is_none())));
}

/// Draws texts of a few words, so that scores are often near each other.
fn texts() -> impl Strategy<Value = Vec<String>> {
    let word = prop::sample::select(vec!["a", "b", "c", "d", "e", "f", "g", "h", "rare", "odd"]);
    let text = prop::collection::vec(word, 1..12).prop_map(|words| words.join(" "));
    prop::collection::vec(text, 1..60)
}

proptest! {
    #[test]
    fn pruning_changes_neither_order_nor_scores(texts in texts(), question in texts(), k in 1_usize..8) {
        let documents: Vec<Document> =
            texts.iter().enumerate().map(|(at, text)| document(&format!("{at:03}"), text)).collect();
        let index = build(&documents);
        let question = question.concat();
        let all = found(&index, &question, &Filters::default(), documents.len());
        let few = found(&index, &question, &Filters::default(), k);
        prop_assert_eq!(&all[..k.min(all.len())], few.as_slice());
    }

    #[test]
    fn filters_hide_documents_and_keep_the_order_of_the_others(
        texts in texts(),
        question in texts(),
        hidden in prop::collection::vec(any::<bool>(), 60),
    ) {
        let mut documents: Vec<Document> =
            texts.iter().enumerate().map(|(at, text)| document(&format!("{at:03}"), text)).collect();
        for (document, hidden) in documents.iter_mut().zip(&hidden) {
            if *hidden {
                document.access.insert("staff".to_owned());
            }
        }
        let index = build(&documents);
        let question = question.concat();
        let staff = Filters { access: BTreeSet::from(["staff".to_owned()]), metadata: BTreeMap::new() };
        let all = found(&index, &question, &staff, documents.len());
        let open = found(&index, &question, &Filters::default(), documents.len());
        let visible = |id: &str| documents.iter().any(|document| document.id == id && document.access.is_empty());
        let expected: Vec<(String, f64)> = all.into_iter().filter(|(id, _)| visible(id)).collect();
        // Frequencies count hidden documents, too, so that even the scores are the same.
        prop_assert_eq!(open, expected);
    }
}

#[test]
fn a_cached_filter_belongs_to_its_index() {
    let mut hidden = cats();
    hidden[1].access.insert("staff".to_owned());
    let (open, hidden) = (build(&cats()), build(&hidden));
    let (filters, mut scratch) = (Filters::default(), SearchScratch::default());
    let query =
        Query { text: "dog", k: 9, filters: &filters, mode: Mode::Lexical, embedding: None };
    for _ in 0..3 {
        assert_eq!(open.search(&query, &mut scratch).len(), 2);
        assert_eq!(hidden.search(&query, &mut scratch).len(), 1);
    }
}
