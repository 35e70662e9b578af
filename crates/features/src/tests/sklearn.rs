//! `compat: sklearn` compared with scikit-learn.

use super::*;

/// Reads `tests/fixtures/sklearn_tfidf.json`, made by scikit-learn 1.9.1.
///
/// In each case, `call` names the vectorizer; `terms`, `idf` and `rows` are its `get_feature_names_out()`,
/// `idf_` and `fit_transform(docs)`.
fn fixture() -> serde_json::Value {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures/sklearn_tfidf.json");
    serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap()
}

fn strings(value: &serde_json::Value) -> Vec<&str> {
    value.as_array().unwrap().iter().map(|text| text.as_str().unwrap()).collect()
}

fn range(value: &serde_json::Value) -> [usize; 2] {
    [0, 1].map(|i| usize::try_from(value[i].as_u64().unwrap()).unwrap())
}

fn close(got: f32, expected: &serde_json::Value) -> bool {
    (f64::from(got) - expected.as_f64().unwrap()).abs() < 1e-6
}

#[test]
fn every_value_equals_that_of_the_vectorizer() {
    let fixture = fixture();
    let docs = strings(&fixture["docs"]);
    let cases = fixture["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 6);
    for case in cases {
        let call = case["call"].as_str().unwrap();
        let spec = TfidfSpec {
            word_ngrams: range(&case["spec"]["word_ngrams"]),
            char_ngrams: range(&case["spec"]["char_ngrams"]),
            sublinear_tf: case["spec"]["sublinear_tf"].as_bool().unwrap(),
            min_df: u32::try_from(case["spec"]["min_df"].as_u64().unwrap_or(1)).unwrap(),
            strip_accents: case["spec"]["strip_accents"].as_bool().unwrap_or(false),
            compat: Some(Compat::Sklearn),
            ..TfidfSpec::default()
        };
        let (tfidf, counts) = fit(&docs, &spec).unwrap();
        assert_eq!(
            tfidf.vocabulary().terms().iter().map(|t| t.text.as_str()).collect::<Vec<_>>(),
            strings(&case["terms"]),
            "{call}"
        );
        if let Some(n_words) = case["n_words"].as_u64() {
            assert_eq!(u64::from(tfidf.vocabulary().n_words()), n_words, "{call}");
        }
        for (idf, expected) in tfidf.idf().iter().zip(case["idf"].as_array().unwrap()) {
            assert!(close(*idf, expected), "{call}");
        }
        // From the counts of the fit, and from a transform afterwards.
        for matrix in [tfidf.weigh(&counts, tfidf.idf()), tfidf.transform(&docs)] {
            for (row, expected) in case["rows"].as_array().unwrap().iter().enumerate() {
                let (columns, values) = matrix.row(row);
                let expected = expected.as_array().unwrap();
                assert_eq!(columns.len(), expected.len(), "{call}: row {row}");
                for ((column, value), expected) in columns.iter().zip(values).zip(expected) {
                    assert_eq!(u64::from(*column), expected[0].as_u64().unwrap(), "{call}");
                    assert!(close(*value, &expected[1]), "{call}: row {row}, {value} {expected}");
                }
            }
        }
    }
}

const DOCS: [&str; 7] = [
    "book a table now",
    "book a flight now",
    "cancel my flight",
    "hello there",
    "hello",
    "cancel the table booking",
    "hello my friend",
];
const INTENTS: [u32; 7] = [0, 0, 1, 2, 2, 1, 2];

fn plain(select: Option<usize>, compat: Option<Compat>) -> TfidfSpec {
    TfidfSpec { select, compat, ..super::tfidf_spec([1, 1], [0, 0]) }
}

#[test]
fn chi_square_equals_that_of_scikit_learn() {
    // scikit-learn 1.9.1: chi2(TfidfVectorizer().fit_transform(docs), intents)[0], columns sorted by name
    let expected = [
        2.886_751_346, // book
        1.360_206_085, // booking
        2.572_463_537, // cancel
        0.866_025_404, // flight
        0.900_474_437, // friend
        2.743_802_844, // hello
        0.531_690_534, // my
        2.886_751_346, // now
        0.798_617_49,  // table
        1.360_206_085, // the
        1.087_418_57,  // there
    ];
    let (tfidf, counts) = fit(&DOCS, &plain(None, Some(Compat::Sklearn))).unwrap();
    let x = tfidf.weigh(&counts, tfidf.idf());
    let rows: Vec<u32> = (0..7).collect();
    let got = chi_square(&x, &rows, &INTENTS, 3);
    assert_eq!(got.len(), expected.len());
    for (got, expected) in got.iter().zip(expected) {
        assert!((got - expected).abs() < 1e-6, "{got} {expected}");
    }
    // SelectKBest(chi2, k=k).fit(X, intents).get_support(): `booking` and `the` tie, and the last is kept.
    assert_eq!(strongest(&got, 3), [0, 5, 7]);
    assert_eq!(strongest(&got, 5), [0, 2, 5, 7, 9]);
    assert_eq!(strongest(&got, 8), [0, 1, 2, 4, 5, 7, 9, 10]);
    assert_eq!(strongest(&got, 99).len(), 11);
}

#[test]
fn with_compat_selected_terms_keep_their_values() {
    // SelectKBest(chi2, k=5).fit_transform(TfidfVectorizer().fit_transform(docs), intents)
    let expected: [[f32; 5]; 7] = [
        [0.577_350_27, 0.0, 0.0, 0.577_350_27, 0.0],
        [0.577_350_27, 0.0, 0.0, 0.577_350_27, 0.0],
        [0.0, 0.577_350_27, 0.0, 0.0, 0.0],
        [0.0, 0.0, 0.578_667, 0.0, 0.0],
        [0.0, 0.0, 1.0, 0.0, 0.0],
        [0.0, 0.451_635_15, 0.0, 0.0, 0.544_082_4],
        [0.0, 0.0, 0.479_185_15, 0.0, 0.0],
    ];
    let columns = [0, 2, 5, 7, 9];
    let spec = plain(Some(5), Some(Compat::Sklearn));
    let (tfidf, counts) = fit(&DOCS, &spec).unwrap();
    let rows: Vec<u32> = (0..7).collect();
    let as_of = tfidf.weigh_as_of(&counts, &rows, &INTENTS, 3);
    let (tfidf, counts) = tfidf.select(counts, &rows, &INTENTS, 3);
    assert_eq!(tfidf.selected().unwrap(), columns);
    let weighed = tfidf.weigh(&counts, tfidf.idf());
    for x in [as_of, weighed, tfidf.transform(&DOCS)] {
        for (row, expected) in expected.iter().enumerate() {
            let mut dense = [0.0; 11];
            let (at, values) = x.row(row);
            at.iter().zip(values).for_each(|(&column, &value)| dense[column as usize] = value);
            for (column, value) in dense.into_iter().enumerate() {
                let place = columns.iter().position(|&kept| kept == column as u32);
                let expected = place.map_or(0.0, |place| expected[place]);
                assert!((value - expected).abs() < 1e-6, "row {row}, column {column}: {value}");
            }
        }
    }
    let ids = tfidf.selected().unwrap();
    let (vocabulary, idf) = (tfidf.vocabulary().clone(), tfidf.idf().to_vec());
    let back = Tfidf::from_parts(spec.clone(), vocabulary.clone(), idf.clone(), Some(&ids));
    assert_eq!(back.unwrap(), tfidf);
    let wrong = Tfidf::from_parts(spec, vocabulary, idf, Some(&[11]));
    assert!(wrong.is_err_and(|fault| fault.code() == "BOT-7003"));
}

#[test]
fn without_compat_rows_have_only_the_selected_terms() {
    let spec = plain(Some(5), None);
    let (all, counts) = fit(&DOCS, &spec).unwrap();
    let rows: Vec<u32> = (0..7).collect();
    let as_of = all.weigh_as_of(&counts, &rows, &INTENTS, 3);
    let (tfidf, counts) = all.clone().select(counts, &rows, &INTENTS, 3);
    assert_eq!((tfidf.vocabulary().len(), tfidf.selected()), (5, None));
    let x = tfidf.weigh(&counts, tfidf.idf());
    let again = tfidf.transform(&DOCS);
    for row in 0..7 {
        let (columns, values) = x.row(row);
        let length: f32 = values.iter().map(|v| v * v).sum();
        assert!(columns.is_empty() || (length - 1.0).abs() < 1e-6);
        assert_eq!(columns, again.row(row).0);
        // With all columns the values are the same, and 0 for the other terms.
        let named = |tfidf: &Tfidf, (columns, values): (&[u32], &[f32])| -> Vec<(String, f32)> {
            let name = |&column: &u32| tfidf.vocabulary().terms()[column as usize].text.clone();
            let entries = columns.iter().map(name).zip(values.iter().copied());
            entries.filter(|(_, value)| *value != 0.0).collect()
        };
        let (got, expected) = (named(&all, as_of.row(row)), named(&tfidf, x.row(row)));
        assert_eq!(got.len(), expected.len());
        for ((a, v), (b, w)) in got.iter().zip(&expected) {
            assert!(a == b && (v - w).abs() < 1e-6, "{a} {v} {b} {w}");
        }
    }
    // Words that are not selected are still known.
    assert_eq!(tfidf.vocabulary().unseen_words("my own table"), (3, 1));
}

#[test]
fn selection_in_a_fold_ignores_the_other_rows() {
    // `now` separates the intents in the rows of the fold; the other row contradicts it.
    let docs = ["a now", "b now", "a later", "b later", "a now now later"];
    let intents = [0, 0, 1, 1, 1];
    let spec = TfidfSpec { select: Some(2), ..super::tfidf_spec([1, 1], [0, 0]) };
    let (tfidf, counts) = fit(&docs, &spec).unwrap();
    let fold = [0, 1, 2, 3];
    let x = tfidf.weigh_as_of(&counts, &fold, &intents, 2);
    let (alone, alone_counts) = fit(&docs[..4], &spec).unwrap();
    let (alone, _) = alone.select(alone_counts, &fold, &intents, 2);
    let kept: Vec<&str> = alone.vocabulary().terms().iter().map(|t| t.text.as_str()).collect();
    assert_eq!(kept, ["later", "now"]);
    let expected = alone.transform(&docs);
    for row in 0..5 {
        let values: Vec<f32> = x.row(row).1.iter().copied().filter(|v| *v != 0.0).collect();
        for (value, expected) in values.iter().zip(expected.row(row).1) {
            assert!((value - expected).abs() < 1e-6);
        }
        assert_eq!(values.len(), expected.row(row).1.len());
    }
}
