//! Metrics pinned to values calculated by hand.

use super::{
    answer_text::{exact_match, normalized, token_f1},
    comparison::compare_knowledge,
    gaps::gaps,
    measure::measure_knowledge,
    outcome::{Asked, Found, QuestionOutcome, judge},
    question::{Question, QuestionSet},
    question_file::read_questions,
    report::{KnowledgeReport, KnowledgeSubject},
};
use botops_digest::Digest;
use botops_findings::FaultKind;

fn accepted(answers: &[&str]) -> Vec<String> {
    answers.iter().map(|answer| (*answer).to_owned()).collect()
}

fn set(lines: &str) -> QuestionSet {
    read_questions("questions.jsonl", lines.as_bytes(), None).unwrap()
}

fn found(document: &str, text: &str) -> Found {
    Found { document: document.to_owned(), chunk: format!("{document}#1"), text: text.to_owned() }
}

fn asked(documents: &[&str], answer: &str, confidence: f64) -> Asked {
    Asked {
        found: documents.iter().map(|document| found(document, "text")).collect(),
        answer: answer.to_owned(),
        quote: answer.to_owned(),
        chunk: documents.first().map(|document| format!("{document}#1")),
        confidence,
        is_answered: confidence >= 0.5,
    }
}

fn outcomes(set: &QuestionSet, asked: &[Asked]) -> Vec<QuestionOutcome> {
    set.questions.iter().zip(asked).enumerate().map(|(at, (q, a))| judge(at, q, a)).collect()
}

fn close(a: f64, b: f64) {
    assert!((a - b).abs() < 1e-12, "{a} is not {b}");
}

#[test]
fn answers_are_normalized_as_by_squad() {
    // `normalize_answer` of evaluate-v2.0.py, by hand: lower case, punctuation removed (not replaced), articles, spaces.
    assert_eq!(normalized("The  Eiffel-Tower, (Paris)!", None), "eiffeltower paris");
    assert_eq!(normalized("an apple a day", Some("en")), "apple day");
    // Articles are whole words: `\b(a|an|the)\b`.
    assert_eq!(normalized("theatre and Anna", None), "theatre and anna");
    // Only ASCII punctuation is removed in English.
    assert_eq!(normalized("«the» end", None), "« » end");
    // MLQA: Unicode punctuation, and the articles of German and Spanish; French keeps its articles.
    assert_eq!(normalized("Die „Rückgabe“ der Ware", Some("de-AT")), "rückgabe ware");
    assert_eq!(normalized("¿La casa?", Some("es")), "casa");
    assert_eq!(normalized("Le « retour »", Some("fr")), "le retour");
}

#[test]
fn token_f1_counts_words_as_often_as_both_have_them() {
    // P = 2/3, R = 2/2: 2 * 2/3 * 1 / (5/3) = 0.8.
    close(token_f1("within 30 days", &accepted(&["30 days"]), None), 0.8);
    // P = 1/2 and R = 1/4 differ: 2 / (2 + 4) = 1/3.
    close(token_f1("days later", &accepted(&["in thirty business days"]), None), 1.0 / 3.0);
    // A word twice in the answer, once in the truth: common 1, 2 * 1 / (2 + 1).
    close(token_f1("days days", &accepted(&["days"]), None), 2.0 / 3.0);
    // The best of the accepted answers.
    close(token_f1("the 30 days", &accepted(&["a month", "30 days"]), None), 1.0);
    // SQuAD 2.0: without words on one side, equal or nothing.
    close(token_f1("", &accepted(&["30 days"]), None), 0.0);
    close(token_f1("the", &accepted(&["a"]), None), 1.0);
    close(token_f1("", &[], None), 1.0);
    close(token_f1("30 days", &[], None), 0.0);
    assert!(exact_match("30 Days.", &accepted(&["the 30 days"]), None));
    assert!(!exact_match("30", &accepted(&["30 days"]), None));
    assert!(exact_match("", &[], None) && !exact_match("x", &[], None));
}

#[test]
fn ranks_give_recall_mrr_and_ndcg() {
    let set = set(r#"{"id":"1","question":"one","documents":["a"]}
{"id":"2","question":"two","documents":["a","b"]}
{"id":"3","question":"three","documents":["z"],"language":"de"}
{"id":"4","question":"four","unanswerable":true}"#);
    let outcomes = outcomes(
        &set,
        &[
            asked(&["a", "b"], "x", 0.9),
            // The document at rank 2 has two passages: only its first one counts. The other one is at rank 4.
            asked(&["c", "b", "b", "a"], "x", 0.8),
            asked(&["a", "b", "c"], "x", 0.7),
            asked(&["a"], "x", 0.1),
        ],
    );
    let metrics = measure_knowledge(&set, &outcomes);
    close(metrics["recall_at_1"].value, 1.0 / 3.0);
    close(metrics["recall_at_3"].value, 2.0 / 3.0);
    close(metrics["mrr"].value, (1.0 + 0.5 + 0.0) / 3.0);
    // (1/log2(3) + 1/log2(5)) / (1/log2(2) + 1/log2(3)) = (0.6309298 + 0.4306766) / 1.6309298
    let second = (1.0 / 3.0_f64.log2() + 1.0 / 5.0_f64.log2()) / (1.0 + 1.0 / 3.0_f64.log2());
    close(metrics["ndcg"].value, (1.0 + second) / 3.0);
    assert!((second - 0.650_921).abs() < 1e-6, "{second}");
    assert_eq!((metrics["mrr"].n, metrics["answered_share"].n), (3, 4));
    close(metrics["unanswerable_accuracy"].value, 1.0);
    // Without accepted answers, an answer is wrong if its passage is elsewhere: the second and the third.
    close(metrics["false_answers"].value, 2.0 / 3.0);
    // By confidence: right, wrong, wrong, wrong (unanswerable): (0 + 1/2 + 2/3 + 3/4) / 4.
    close(metrics["aurc"].value, (0.5 + 2.0 / 3.0 + 0.75) / 4.0);
    assert!(!metrics.contains_key("token_f1"), "no question has an accepted answer");
    let [lower, upper] = metrics["mrr"].ci95;
    assert!(lower < metrics["mrr"].value && metrics["mrr"].value < upper);
}

#[test]
fn an_abstention_is_the_empty_answer() {
    let set = set(r#"{"id":"1","question":"one","answers":["30 days"]}
{"id":"2","question":"two","answers":["30 days"]}"#);
    let outcomes = outcomes(&set, &[asked(&["a"], "30 days", 0.4), asked(&["a"], "30 days", 0.6)]);
    let metrics = measure_knowledge(&set, &outcomes);
    close(metrics["exact_match"].value, 0.5);
    close(metrics["token_f1"].value, 0.5);
    close(metrics["answered_share"].value, 0.5);
    // Both are right, whether given or not.
    close(metrics["aurc"].value, 0.0);
}

#[test]
fn a_context_is_found_by_its_text_and_not_by_its_spaces() {
    let question = Question {
        context: Some("Returns are free.\nWithin 30 days.".to_owned()),
        ..set(r#"{"question":"one","answers":["30 days"]}"#).questions.remove(0)
    };
    let passages = ["Shipping costs 5.", "Within 30  days."];
    let asked = Asked {
        found: passages.iter().map(|text| found("a", text)).collect(),
        ..asked(&[], "", 0.0)
    };
    let outcome = judge(0, &question, &asked);
    assert_eq!((outcome.ranks, outcome.n_places), (vec![1], 1));
}

#[test]
fn two_indexes_are_compared_question_by_question() {
    let lines: Vec<String> = (0..12)
        .map(|n| {
            format!(
                r#"{{"id":"q{n}","question":"question {n}","documents":["a"],"answers":["yes"]}}"#
            )
        })
        .collect();
    let set = set(&lines.join("\n"));
    // The challenger finds 10 that the champion does not, and loses 1.
    let champion: Vec<Asked> =
        (0..12).map(|n| asked(if n < 2 { &["a"] } else { &["b", "a"] }, "no", 0.9)).collect();
    let challenger: Vec<Asked> =
        (0..12).map(|n| asked(if n == 0 { &["b"] } else { &["a"] }, "yes", 0.9)).collect();
    let (before, now) = (outcomes(&set, &champion), outcomes(&set, &challenger));
    let (a, b) = (Digest::of(b"a"), Digest::of(b"b"));
    let compared = compare_knowledge(&set, (a, &before), (b, &now)).unwrap();
    assert_eq!((compared.newly_wrong.len(), compared.newly_right.len()), (1, 10));
    // Exact McNemar of 1 against 10: 2 * (1 + 11) / 2^11.
    close(compared.mcnemar_p, 24.0 / 2048.0);
    // -1 once, 0 once, 0.5 ten times.
    close(compared.mrr_difference.unwrap().value, 4.0 / 12.0);
    close(compared.token_f1_difference.unwrap().value, 1.0);
    let other = compare_knowledge(&set, (a, &before[1..]), (b, &now)).unwrap_err();
    assert_eq!((other.code(), other.kind()), ("BOT-7264", FaultKind::Usage));
}

#[test]
fn questions_without_an_answer_are_grouped_by_their_subject() {
    let texts = [
        "Is there a gift wrap for parcels?",
        "How much does gift wrap cost?",
        "When does the warehouse open?",
        "Do you offer gift wrap?",
    ];
    let lines: Vec<String> = texts
        .iter()
        .enumerate()
        .map(|(n, text)| format!(r#"{{"id":"q{n}","question":"{text}","unanswerable":true}}"#))
        .collect();
    let set = set(&lines.join("\n"));
    let none = vec![asked(&[], "", 0.0); 4];
    let found = gaps(&set, &outcomes(&set, &none));
    assert_eq!(found.iter().map(|gap| gap.n).collect::<Vec<_>>(), [3, 1]);
    assert_eq!(found[0].questions, ["q0", "q1", "q3"]);
    assert_eq!(found[0].words[..2], ["gift", "wrap"]);
    assert_eq!(found[0].examples.len(), 3);
}

fn subject() -> KnowledgeSubject {
    KnowledgeSubject {
        name: "faq".to_owned(),
        digest: Digest::of(b"faq"),
        n_documents: 1,
        n_chunks: 1,
        mode: "lexical".to_owned(),
    }
}

#[test]
fn a_report_advises_the_least_confidence_of_its_questions() {
    let lines: Vec<String> = (0..120)
        .map(|n| {
            format!(
                r#"{{"id":"q{n}","question":"number {n}","documents":["a"],"answers":["yes"]}}"#
            )
        })
        .collect();
    let set = set(&lines.join("\n"));
    // The 60 answers at 0.8 are right, and the 60 at 0.3 are wrong, given or not.
    let report = |sure: &str| {
        let answers: Vec<Asked> = (0..120)
            .map(|n| if n < 60 { asked(&["a"], sure, 0.8) } else { asked(&["a"], "no", 0.3) })
            .collect();
        KnowledgeReport::of(subject(), &set, &outcomes(&set, &answers)).unwrap()
    };
    assert_eq!(report("yes").least_confidence, Some(0.31));
    assert_eq!(report("no").least_confidence, None);
    // A report that was written before there was advice is read.
    let mut json = serde_json::to_value(report("yes")).unwrap();
    json.as_object_mut().unwrap().remove("least_confidence").unwrap();
    let old: KnowledgeReport = serde_json::from_value(json).unwrap();
    assert_eq!(old.least_confidence, None);
}

#[test]
fn a_report_needs_ten_questions() {
    let set = set(r#"{"id":"1","question":"one","documents":["a"]}"#);
    let fault = KnowledgeReport::of(subject(), &set, &outcomes(&set, &[asked(&["a"], "x", 0.9)]));
    let fault = fault.unwrap_err();
    assert_eq!((fault.code(), fault.kind()), ("BOT-7261", FaultKind::Insufficient));
}

#[test]
fn bad_questions_are_refused_with_their_line() {
    let cases = [
        ("", "it has no question"),
        ("{\"question\":\"a\"}", "has neither `answers`"),
        ("{\"question\":\" \",\"answers\":[\"b\"]}", "has no text"),
        ("{\"question\":\"a\",\"answers\":[\"b\"],\"unanswerable\":true}", "is unanswerable, and"),
        ("{\"question\":\"a\",\"answer\":\"b\"}", "unknown field `answer`"),
        ("{\"data\": [1]}", "as SQuAD"),
    ];
    for (text, part) in cases {
        let fault = read_questions("q.jsonl", text.as_bytes(), None).unwrap_err();
        assert_eq!((fault.code(), fault.kind()), ("BOT-7260", FaultKind::Gate), "{text}");
        assert!(fault.message().contains(part), "{}", fault.message());
    }
    let twice = "{\"id\":\"a\",\"question\":\"x\",\"answers\":[\"y\"]}\n\n{\"id\":\"a\",\"question\":\"z\",\"answers\":[\"y\"]}";
    let fault = read_questions("q.jsonl", twice.as_bytes(), None).unwrap_err();
    assert_eq!(fault.place().line, Some(3));
    assert!(read_questions("q.jsonl", b"\xff", None).is_err());
}

#[test]
fn squad_gives_its_paragraph_as_context_and_impossible_questions_as_unanswerable() {
    let text = r#"{"version": "v2.0", "data": [{"title": "t", "paragraphs": [{"context": "Returns are free.", "qas": [
        {"id": "1", "question": "Are returns free?", "is_impossible": false, "answers": [{"text": "free", "answer_start": 12}]},
        {"id": "2", "question": "Who pays?", "is_impossible": true, "answers": [], "plausible_answers": []}]}]}]}"#;
    let set = read_questions("squad.json", text.as_bytes(), Some("en")).unwrap();
    let [first, second] = &set.questions[..] else { panic!("two questions") };
    assert_eq!(first.context.as_deref(), Some("Returns are free."));
    assert_eq!(
        (first.answers.as_slice(), first.language.as_deref()),
        (&["free".to_owned()][..], Some("en"))
    );
    assert!(second.is_unanswerable && !second.has_place() && second.has_truth());
}

#[test]
fn a_question_asked_twice_is_reported() {
    let set = set(r#"{"id":"1","question":"Are returns free?","answers":["yes"]}
{"id":"2","question":"are returns FREE?","answers":["yes"]}
{"id":"3","question":"are returns free?","answers":["yes"],"language":"de"}"#);
    let found = set.duplicates();
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].code.as_str(), found[0].place.line), ("BOT-7263", Some(2)));
}
