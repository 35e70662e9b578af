//! Answers: quotes are verbatim, the same input gives the same answer, and unrelated questions get none.

use crate::{
    Filters, IndexSpec, IndexedDocument, KnowledgeIndex, Mode, Query, SearchScratch,
    abstention::Abstention,
    answer::{AnswerSpec, Answered, Candidate, Extract, extract, from_index},
};
use botops_digest::Digest;
use botops_documents::{Block, BlockKind, Document};
use proptest::prelude::*;
use std::collections::BTreeMap;

const REFUNDS: &str = "Orders can be returned within 30 days. A refund reaches your card within 5 business days after we get the parcel. Gift cards are not refunded.";
const SHIPPING: &str = "Parcels leave our store in Lyon every morning. Shipping to Norway costs 12.50 euros. The carrier is Posten, founded in 1647.";

fn candidate<'a>(chunk: &'a str, section: &'a str, text: &'a str) -> Candidate<'a> {
    Candidate {
        chunk,
        title: "Help",
        section,
        url: Some("https://shop.example/help"),
        page: None,
        language: Some("en"),
        text,
        score: 1.0,
        cosine: None,
    }
}

fn answer(question: &str, candidates: &[Candidate<'_>], least: Option<f64>) -> Answered {
    let abstention = Abstention::default();
    extract(question, candidates, &AnswerSpec { abstention: &abstention, min_confidence: least })
}

fn given(question: &str, candidates: &[Candidate<'_>]) -> Extract {
    match answer(question, candidates, None) {
        Answered::Extract(extract) => extract,
        abstained @ Answered::Abstained { .. } => panic!("{question}: {abstained:?}"),
    }
}

#[test]
fn the_sentence_that_answers_is_quoted_with_its_source_and_the_words_that_answer() {
    let candidates = [candidate("a", "Refunds", REFUNDS), candidate("b", "Shipping", SHIPPING)];
    let refund = given("How long until a refund reaches my card?", &candidates);
    assert_eq!(
        refund.quote,
        "A refund reaches your card within 5 business days after we get the parcel."
    );
    assert!(refund.short_answer().contains('5'), "{}", refund.short_answer());
    let source = &refund.sources[0];
    assert_eq!((source.chunk.as_str(), source.section.as_str()), ("a", "Refunds"));
    assert_eq!((source.quote.as_str(), source.title.as_str()), (refund.quote.as_str(), "Help"));
    let cost = given("How much does shipping to Norway cost?", &candidates);
    assert_eq!(cost.quote, "Shipping to Norway costs 12.50 euros.");
    assert!(cost.short_answer().contains("12.50"), "{}", cost.short_answer());
    let founded = given("When was the carrier Posten founded?", &candidates);
    assert_eq!(founded.short_answer(), "1647");
}

#[test]
fn a_question_that_the_passages_do_not_answer_gets_no_answer() {
    let candidates = [candidate("a", "Refunds", REFUNDS), candidate("b", "Shipping", SHIPPING)];
    for question in ["Who won the election in Brazil?", "Do you repair bicycles on Sundays?"] {
        let answered = answer(question, &candidates, None);
        assert!(matches!(answered, Answered::Abstained { .. }), "{question}: {answered:?}");
        let best = answered.best().expect("the nearest sentence is kept for review");
        assert!(REFUNDS.contains(&best.quote) || SHIPPING.contains(&best.quote));
        assert!(answered.confidence() < Abstention::default().threshold());
    }
    for (question, candidates) in [("Refund?", &candidates[..0]), ("is it the", &candidates[..])] {
        let answered = answer(question, candidates, Some(0.0));
        assert_eq!((answered.best(), answered.confidence()), (None, 0.0), "{question}");
    }
    // A higher bar than the evidence.
    let strict = answer("How long until a refund reaches my card?", &candidates, Some(1.0));
    assert!(matches!(strict, Answered::Abstained { .. }));
}

#[test]
fn the_answer_of_a_listed_question_is_quoted_and_not_the_question() {
    let text = "Can I change my delivery address?\nWrite to us before noon, and we correct it.";
    let found = given("Can I change my delivery address?", &[candidate("a", "", text)]);
    assert_eq!(found.quote, "Write to us before noon, and we correct it.");
}

#[test]
fn french_passages_are_read_with_french_stems() {
    let text = "Les retours sont gratuits pendant 30 jours. Le remboursement est versé sous cinq jours ouvrés.";
    let french = Candidate { language: Some("fr"), ..candidate("a", "Retours", text) };
    let found = given("Quand les remboursements sont-ils versés ?", &[french]);
    assert_eq!(found.quote, "Le remboursement est versé sous cinq jours ouvrés.");
}

#[test]
fn each_passage_is_read_in_its_own_language() {
    // The best passage is English; only French stems make `versés` and `verse` one word.
    let english = candidate("a", "Refunds", "Remboursements: this page is in French, too.");
    let french = Candidate {
        language: Some("fr"),
        ..candidate("b", "Retours", "La boutique verse les sommes dues sous cinq jours.")
    };
    let question = "Quand les remboursements sont-ils versés ?";
    let found = |candidates: &[Candidate<'_>]| answer(question, candidates, Some(0.0)).signals();
    let alone = found(&[french]);
    assert!(alone.sentence > 0.0, "{alone:?}");
    let both =
        answer(question, &[english, Candidate { language: Some("fr"), ..french }], Some(0.0));
    let misread =
        answer(question, &[english, Candidate { language: Some("en"), ..french }], Some(0.0));
    assert!(both.signals().share < misread.signals().share, "{both:?} {misread:?}");
}

#[test]
fn other_passages_that_say_the_same_are_further_sources() {
    let again = "Norway: shipping costs 12.50 euros.";
    let candidates = [candidate("b", "Shipping", SHIPPING), candidate("c", "Prices", again)];
    let found = given("How much does shipping to Norway cost?", &candidates);
    let chunks: Vec<&str> = found.sources.iter().map(|source| source.chunk.as_str()).collect();
    assert_eq!(chunks.len(), 2, "{found:?}");
    for source in &found.sources {
        assert!(SHIPPING.contains(&source.quote) || again.contains(&source.quote));
    }
}

/// Text of several scripts, marks, line ends and blanks, with words of the questions in it.
fn passage() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        "[a-zA-Z0-9 .,?!\n()\"'é€ßœ漢字。‏-]{0,40}",
        Just("refund card 5 days. ".to_owned()),
        Just("İstanbul ﬁne Ⅷ e\u{301}. ".to_owned()),
        ".{0,12}",
    ];
    proptest::collection::vec(part, 0..12).prop_map(|parts| parts.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn every_quote_is_a_part_of_its_passage(
        texts in proptest::collection::vec(passage(), 0..4),
        question in "(refund|card|When|How many|Où|漢字|[a-z ]{0,8}|.{0,6}){1,4}",
        language in prop_oneof![Just(None), Just(Some("en")), Just(Some("fr")), Just(Some("xx"))],
    ) {
        let names: Vec<String> = (0..texts.len()).map(|at| at.to_string()).collect();
        let candidates: Vec<Candidate<'_>> = texts
            .iter()
            .zip(&names)
            .map(|(text, name)| Candidate { language, ..candidate(name, "", text) })
            .collect();
        let answered = answer(&question, &candidates, Some(0.0));
        prop_assert_eq!(&answered, &answer(&question, &candidates, Some(0.0)));
        prop_assert!((0.0..=1.0).contains(&answered.confidence()));
        if let Answered::Extract(extract) = answered {
            prop_assert_eq!(&extract.quote, &extract.sources[0].quote);
            prop_assert!(extract.quote.contains(extract.short_answer()));
            prop_assert!(!extract.short_answer().is_empty());
            for source in &extract.sources {
                let text = &texts[source.chunk.parse::<usize>().unwrap()];
                prop_assert!(text.contains(&source.quote), "{:?} is not in {:?}", source.quote, text);
            }
        }
    }
}

#[test]
fn a_very_long_sentence_is_quoted_around_its_answer() {
    let rest = "élan, ".repeat(400);
    let text = format!("{rest}the refund reaches the card within 5 days, {rest}");
    let found = given("When does the refund reach the card?", &[candidate("a", "", &text)]);
    assert!(found.quote.len() <= 1_000 && text.contains(&found.quote));
    assert!(found.quote.contains("refund") || found.quote.contains("5 days"), "{}", found.quote);
}

#[test]
fn an_index_answers_from_the_documents_that_the_caller_may_see() {
    let document = |id: &str, text: &str, access: &[&str]| Document {
        id: id.to_owned(),
        title: "Help".to_owned(),
        url: Some(format!("https://shop.example/{id}")),
        language: Some("en".to_owned()),
        updated_at: None,
        access: access.iter().map(|&tag| tag.to_owned()).collect(),
        metadata: BTreeMap::new(),
        blocks: vec![Block { kind: BlockKind::Paragraph, text: text.to_owned(), page: None }],
    };
    let documents = [
        document("refunds", REFUNDS, &[]),
        document("staff", "The margin on parcels to Norway is 4 euros.", &["staff"]),
    ];
    let indexed: Vec<IndexedDocument<'_>> = documents
        .iter()
        .map(|document| IndexedDocument { document, source: Digest::of(document.id.as_bytes()) })
        .collect();
    let index = KnowledgeIndex::build("help", &indexed, &IndexSpec::default(), None, None).unwrap();
    let mut scratch = SearchScratch::default();
    let mut ask = |text: &str, tags: &[&str]| {
        let access = tags.iter().map(|&tag| tag.to_owned()).collect();
        let filters = Filters { access, ..Filters::default() };
        let query = Query { text, k: 5, filters: &filters, mode: Mode::Hybrid, embedding: None };
        from_index::answer(&index, &query, None, &mut scratch)
    };
    let Answered::Extract(refund) = ask("How long until a refund reaches my card?", &[]) else {
        panic!("no answer");
    };
    assert_eq!(refund.sources[0].url.as_deref(), Some("https://shop.example/refunds"));
    assert_eq!(refund.sources[0].title, "Help");
    let margin = "What is the margin on parcels to Norway?";
    let hidden = ask(margin, &[]);
    assert!(matches!(hidden, Answered::Abstained { .. }), "{hidden:?}");
    assert!(hidden.best().is_none_or(|source| !source.quote.contains("margin")));
    let Answered::Extract(shown) = ask(margin, &["staff"]) else { panic!("no answer") };
    assert_eq!(shown.quote, "The margin on parcels to Norway is 4 euros.");
}
