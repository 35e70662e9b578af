mod sklearn;

use super::{spec::MAX_NGRAM, *};
use botops_findings::Result;
use botops_spec::Spec as _;
use proptest::prelude::*;

fn tfidf_spec(word: [usize; 2], chars: [usize; 2]) -> TfidfSpec {
    TfidfSpec { word_ngrams: word, char_ngrams: chars, sublinear_tf: false, ..TfidfSpec::default() }
}

fn fit(texts: &[&str], spec: &TfidfSpec) -> Result<(Tfidf, Counts)> {
    Tfidf::fit(texts, &spec.clone().check()?, |_| ())
}

fn terms(texts: &[&str], spec: &TfidfSpec) -> Vec<String> {
    let (tfidf, _) = fit(texts, spec).unwrap();
    tfidf.vocabulary().terms().iter().map(|term| term.text.clone()).collect()
}

fn fixture() -> serde_json::Value {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures/reference_values.json");
    let all: serde_json::Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    all["tfidf_lr"].clone()
}

#[test]
fn weights_equal_those_of_scikit_learn() {
    // The fixture is TfidfVectorizer().fit(docs), which drops one-letter words. `compat` does too; our own rules
    // do not, so they get the documents without such words.
    let values = fixture();
    let docs: Vec<&str> =
        values["docs"].as_array().unwrap().iter().map(|doc| doc.as_str().unwrap()).collect();
    let shortened: Vec<String> = docs
        .iter()
        .map(|doc| doc.split(' ').filter(|w| w.len() > 1).collect::<Vec<_>>().join(" "))
        .collect();
    let shortened: Vec<&str> = shortened.iter().map(String::as_str).collect();
    let ours = tfidf_spec([1, 1], [0, 0]);
    let sklearn = TfidfSpec { compat: Some(Compat::Sklearn), ..ours.clone() };
    for (docs, spec) in [(docs, sklearn), (shortened, ours)] {
        let (tfidf, counts) = fit(&docs, &spec).unwrap();
        let vocab: Vec<&str> =
            tfidf.vocabulary().terms().iter().map(|term| term.text.as_str()).collect();
        assert_eq!(serde_json::json!(vocab), values["vocab"]);
        for (idf, expected) in tfidf.idf().iter().zip(values["idf"].as_array().unwrap()) {
            assert!((f64::from(*idf) - expected.as_f64().unwrap()).abs() < 1e-6);
        }
        let matrix = tfidf.weigh(&counts, tfidf.idf());
        let (columns, row) = matrix.row(0);
        for (column, expected) in values["row0"].as_array().unwrap().iter().enumerate() {
            let value =
                columns.iter().position(|&c| c as usize == column).map_or(0.0, |at| row[at]);
            assert!((f64::from(value) - expected.as_f64().unwrap()).abs() < 1e-6);
        }
    }
}

#[test]
fn sublinear_tf_weighs_a_count_by_its_logarithm() {
    // scikit-learn 1.9.1: TfidfVectorizer(sublinear_tf=True).fit_transform(["no no yes"])
    let mut spec = tfidf_spec([1, 1], [0, 0]);
    spec.sublinear_tf = true;
    let (tfidf, counts) = fit(&["no no yes"], &spec).unwrap();
    let matrix = tfidf.weigh(&counts, tfidf.idf());
    assert_eq!(matrix.row(0).0, [0, 1]);
    assert!((matrix.row(0).1[0] - 0.861_037).abs() < 1e-6);
    assert!((matrix.row(0).1[1] - 0.508_542_3).abs() < 1e-6);
}

#[test]
fn words_and_characters_have_the_same_weight() {
    let (tfidf, _) = fit(&["where is it", "é"], &TfidfSpec::default()).unwrap();
    let matrix = tfidf.transform(&["where is it", "whe is", "whe", "zz"]);
    let parts = |row: usize| {
        let n_words = tfidf.vocabulary().n_words();
        let (columns, values) = matrix.row(row);
        columns.iter().zip(values).fold([0.0_f32; 2], |mut parts, (column, value)| {
            parts[usize::from(*column >= n_words)] += value * value;
            parts
        })
    };
    for row in 0..2 {
        assert!(parts(row).iter().all(|square| (square - 0.5).abs() < 1e-6), "{:?}", parts(row));
    }
    // The word `whe` is unknown, its characters are known; `zz` is unknown.
    assert!(parts(2)[0] == 0.0 && (parts(2)[1] - 1.0).abs() < 1e-6);
    assert!(matrix.row(3).0.is_empty());
}

#[test]
fn character_ngrams_equal_those_of_char_wb() {
    // scikit-learn 1.9.1: CountVectorizer(analyzer="char_wb", ngram_range=(2, 4)).fit(["a bé!"]).get_feature_names_out()
    assert_eq!(
        terms(&["a bé!"], &tfidf_spec([0, 0], [2, 4])),
        [" a", " a ", " b", " bé", " bé!", "! ", "a ", "bé", "bé!", "bé! ", "é!", "é! "]
    );
    // The longest n-grams, and shorter tokens as a whole.
    let longest = terms(&["abcdefgh i"], &tfidf_spec([0, 0], [8, MAX_NGRAM]));
    assert_eq!(longest, [" abcdefg", " i ", "abcdefgh", "bcdefgh "]);
    // CountVectorizer(analyzer="char_wb", ngram_range=(1, 1)).fit(["ab a"]): the space before and after is one term
    assert_eq!(terms(&["ab a"], &tfidf_spec([0, 0], [1, 1])), [" ", "a", "b"]);
    // CountVectorizer(analyzer="char_wb", ngram_range=(4, 5)).fit(["a bcd"]): a short word counts once, as a whole
    assert_eq!(terms(&["a bcd"], &tfidf_spec([0, 0], [4, 5])), [" a ", " bcd", " bcd ", "bcd "]);
}

#[test]
fn word_ngrams_skip_punctuation() {
    assert_eq!(
        terms(&["L’article, reçu!"], &tfidf_spec([1, 3], [0, 0])),
        ["article", "article reçu", "l", "l article", "l article reçu", "reçu"]
    );
    assert_eq!(terms(&["a b c"], &tfidf_spec([2, 2], [0, 0])), ["a b", "b c"]);
    assert_eq!(
        terms(&["l'argent d’aujourd'hui", "L argent"], &tfidf_spec([2, 2], [0, 0])),
        ["argent d", "aujourd hui", "d aujourd", "l argent"]
    );
    assert_eq!(
        terms(&["a b c d e f g h i"], &tfidf_spec([8, MAX_NGRAM], [0, 0])),
        ["a b c d e f g h", "b c d e f g h i"]
    );
    assert!(fit(&["?!"], &tfidf_spec([1, 2], [0, 0])).is_err_and(|f| f.code() == "BOT-7012"));
}

#[test]
fn stripped_accents_make_no_difference() {
    let stripped = TfidfSpec { strip_accents: true, ..tfidf_spec([1, 1], [2, 3]) };
    let with = terms(&["Où est l’été réglé ? Cœur"], &stripped);
    assert_eq!(with, terms(&["ou est l'ete regle ? coeur"], &stripped));
    assert!(with.contains(&"regle".to_owned()) && !with.contains(&"réglé".to_owned()));
    let (tfidf, _) = fit(&["réglé hier"], &stripped).unwrap();
    assert_eq!(tfidf.transform(&["Regle"]), tfidf.transform(&["RÉGLÉ"]));
    assert_eq!(tfidf.vocabulary().unseen_words("regle demain"), (2, 1));
}

#[test]
fn rare_terms_and_the_least_frequent_are_left_out() {
    let texts = ["a b", "a c", "a b b"];
    let mut rare = tfidf_spec([1, 1], [0, 0]);
    rare.min_df = 2;
    assert_eq!(terms(&texts, &rare), ["a", "b"]);
    let mut few = tfidf_spec([1, 1], [0, 0]);
    few.max_features = Some(2);
    // a and b occur three times, c once
    assert_eq!(terms(&texts, &few), ["a", "b"]);
    few.max_features = Some(1);
    assert_eq!(terms(&texts, &few), ["a"]);
}

#[test]
fn a_spec_out_of_range_is_refused_with_its_key() {
    for (change, key) in [
        (TfidfSpec { word_ngrams: [2, 1], ..TfidfSpec::default() }, "word_ngrams"),
        (TfidfSpec { char_ngrams: [0, 3], ..TfidfSpec::default() }, "char_ngrams"),
        (TfidfSpec { char_ngrams: [2, 9], ..TfidfSpec::default() }, "char_ngrams"),
        (TfidfSpec { min_df: 0, ..TfidfSpec::default() }, "min_df"),
        (TfidfSpec { max_features: Some(0), ..TfidfSpec::default() }, "max_features"),
        (TfidfSpec { select: Some(0), ..TfidfSpec::default() }, "select"),
    ] {
        let fault = change.check().unwrap_err();
        assert_eq!(fault.code(), "BOT-7010");
        assert!(fault.message().contains(key), "{fault}");
    }
}

#[test]
fn a_sparse_spec_without_ngrams_is_refused() {
    let none = FeatureSpec { word_ngrams: [0, 0], char_ngrams: [0, 0], ..FeatureSpec::default() };
    let fault = none.check_ranges().unwrap_err();
    assert_eq!(fault.code(), "BOT-7010");
    assert!(fault.message().contains("word_ngrams"), "{fault}");
    let (tfidf, counts) = fit(&["where is it"], &none.tfidf()).unwrap();
    assert_eq!((tfidf.vocabulary().len(), tfidf.vocabulary().unseen_words("it was")), (0, (2, 1)));
    assert_eq!(tfidf.weigh(&counts, tfidf.idf()).row(0), (&[][..], &[][..]));
}

#[test]
fn unseen_words_are_counted_among_all_words() {
    let mut spec = tfidf_spec([0, 0], [2, 3]);
    spec.min_df = 2;
    let (tfidf, _) = fit(&["where is it", "where was it"], &spec).unwrap();
    assert_eq!(tfidf.vocabulary().unseen_words("Where is she?"), (3, 1));
    assert_eq!(tfidf.vocabulary().unseen_words("!"), (0, 0));
}

#[test]
fn a_fold_is_weighted_as_a_fit_on_its_rows() {
    let texts = ["late parcel", "late bill", "wrong bill", "parcel lost again"];
    let spec = TfidfSpec::default();
    let (tfidf, counts) = fit(&texts, &spec).unwrap();
    let matrix = tfidf.weigh(&counts, &tfidf.idf_of(&counts, &[0, 1, 2]));
    let (alone, _) = fit(&texts[..3], &spec).unwrap();
    let expected = alone.transform(&texts);
    for row in 0..texts.len() {
        let named = |tfidf: &Tfidf, (columns, values): (&[u32], &[f32])| {
            columns
                .iter()
                .zip(values)
                .filter(|(_, value)| **value != 0.0)
                .map(|(&c, &v)| (tfidf.vocabulary().terms()[c as usize].clone(), v))
                .collect::<Vec<_>>()
        };
        let (got, expected) = (named(&tfidf, matrix.row(row)), named(&alone, expected.row(row)));
        assert_eq!(got.len(), expected.len());
        for ((a, x), (b, y)) in got.iter().zip(&expected) {
            assert_eq!(a, b);
            assert!((x - y).abs() < 1e-6);
        }
    }
}

#[test]
fn the_number_of_threads_changes_nothing() {
    let texts: Vec<String> =
        (0..2_000).map(|i| format!("text {} of {}", i * 7_919 % 613, i % 31)).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let fit = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| fit(&texts, &TfidfSpec::default()).unwrap())
    };
    let (one, two) = (fit(1), fit(2));
    assert!(one == two);
    assert_eq!(one.0.vocabulary().to_bytes(), two.0.vocabulary().to_bytes());
}

#[test]
fn a_vocabulary_survives_its_bytes() {
    let texts = ["où est mon colis ?", "where is my parcel", "n\u{1f642}n", "colis colissimo"];
    let spec = TfidfSpec::default();
    let (tfidf, _) = fit(&texts, &spec).unwrap();
    let bytes = tfidf.vocabulary().to_bytes();
    let back = Vocabulary::from_bytes(&bytes, &spec).unwrap();
    assert!(back == *tfidf.vocabulary());
    for end in 0..bytes.len() {
        assert!(Vocabulary::from_bytes(&bytes[..end], &spec).is_err(), "cut at {end}");
    }
    let mut huge = bytes.clone();
    huge[8..12].copy_from_slice(&u32::MAX.to_le_bytes());
    assert_eq!(Vocabulary::from_bytes(&huge, &spec).unwrap_err().code(), "BOT-7003");
}

proptest! {
    #[test]
    fn altered_vocabularies_never_panic(at in 0_usize..4_096, bit in 0_u32..8) {
        let spec = TfidfSpec::default();
        let (tfidf, _) = fit(&["où est mon colis ?", "where is my parcel"], &spec).unwrap();
        let mut bytes = tfidf.vocabulary().to_bytes();
        let at = at % bytes.len();
        bytes[at] ^= 1 << bit;
        let _ = Vocabulary::from_bytes(&bytes, &spec);
    }

    #[test]
    fn fitting_and_transforming_give_the_same_rows(texts in prop::collection::vec("[a-cé ,!]{0,12}", 2..5)) {
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let Ok((tfidf, counts)) = fit(&texts, &TfidfSpec::default()) else { return Ok(()) };
        let fitted = tfidf.weigh(&counts, tfidf.idf());
        let again = tfidf.transform(&texts);
        for row in 0..texts.len() {
            prop_assert_eq!(fitted.row(row).0, again.row(row).0);
            for (a, b) in fitted.row(row).1.iter().zip(again.row(row).1) {
                prop_assert!((a - b).abs() < 1e-6);
            }
        }
    }
}
