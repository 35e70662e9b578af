use super::super::tokens::Tokens;
use crate::{Dialogue, DialogueSpec, Moment};
use proptest::prelude::*;
use std::{sync::LazyLock, time::Instant};

/// A dialogue with every type and a list, in a zone with summer time.
static ALL: LazyLock<Dialogue> = LazyLock::new(|| {
    let yaml = "
timezone: Europe/Paris
entities:
  amount: {type: amount}
  city: {lookup: {Paris: [paname], Marseille: [], 'New York City': [nyc], aaaaaaaa: [aaaaaaab]}, distance: 2}
  date: {type: date}
  datetime: {type: datetime}
  email: {type: email}
  order: {type: order_number, pattern: '#(\\d+)'}
  phone: {type: phone, region: US}
  quantity: {type: quantity}
  time: {type: time}
  url: {type: url}
";
    let spec: DialogueSpec = botops_spec::parse(yaml, "d.yaml").expect("it is valid");
    Dialogue::compile(&spec).expect("it compiles")
});

fn moment(at: i64, language: &str) -> Moment<'_> {
    Moment::new(chrono::DateTime::from_timestamp(at, 0).expect("a time"), Some(language))
}

/// Pieces that make a parser read on.
const PIECES: &str = "(\\PC|[0-9@#€$ ./:'’-]|1 000|\\+33 |il y a |dans |in |fin |de la |next |the |demain|vendredi |\
    quatre-vingt|-dix|cent |mille |million|1er |mai |may |31/12|29 f|évrier|T09:00|h30| pm|heures |moins le quart|\
    à |at |euros|https://|www\\.|\\.com|\\(0\\)|e\u{301}|🙂|\u{0}|\u{a0}|new york |aaaaaaa){0,40}";

#[test]
fn hostile_texts_take_linear_time() {
    let moment = moment(1_796_000_000, "fr");
    let seconds = |text: &str| {
        let begun = Instant::now();
        std::hint::black_box(ALL.entities(text, &moment, Vec::new()));
        begun.elapsed().as_secs_f64()
    };
    for piece in [
        "1",
        "1 ",
        "1 000 ",
        "1.",
        "1,000,",
        "a",
        "a ",
        "@",
        "a@",
        "a.",
        "a@a.",
        "(",
        "(0)",
        "+33 ",
        "quatre-vingt-",
        "cent ",
        "mille ",
        "un million ",
        "il y a ",
        "de la ",
        "fin de l'",
        "next ",
        "12:",
        "12h",
        "1/",
        "2026-",
        "www.",
        "http://a",
        "e\u{301}",
        "\u{301}",
        "€",
        "1 €",
        "'",
        "new york ",
        "aaaaaaa",
        "aaaaaa ",
        "mar ",
        "the 1",
        "vendredi 1 ",
        "😀",
    ] {
        let long = piece.repeat(8_000 / piece.len());
        let quarter = &long[..piece.len() * (2_000 / piece.len())];
        // The machine may be busy: the shortest of many times is that of the work. Quadratic work takes 16 times as long.
        let (mut whole, mut part) = (f64::INFINITY, 0.0_f64);
        for _ in 0..40 {
            whole = whole.min(seconds(&long));
            part = part.max(seconds(quarter));
            if whole < 8.0 * part + 0.1 {
                break;
            }
        }
        assert!(whole < 8.0 * part + 0.1, "{piece:?}: {whole} s, and {part} s for a quarter");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, ..ProptestConfig::default() })]

    #[test]
    fn any_text_gives_sorted_disjoint_verbatim_values(
        text in PIECES,
        language in proptest::sample::select(vec!["en", "fr", "en-US", "fr_CA", "xx", ""]),
        at in -60_000_000_000_i64..250_000_000_000,
    ) {
        let moment = moment(at, language);
        let chars: Vec<char> = text.chars().collect();
        let found = ALL.entities(&text, &moment, Vec::new());
        prop_assert_eq!(&found, &ALL.entities(&text, &moment, Vec::new()));
        let mut end = 0;
        for entity in found {
            prop_assert!(entity.start >= end && entity.start < entity.end);
            let value: String = chars[entity.start..entity.end].iter().collect();
            prop_assert_eq!(&value, &entity.value);
            end = entity.end;
            prop_assert!(entity.normalised.is_some(), "{:?}", entity);
            if let Some(date) = entity.normalised.as_ref().and_then(|value| value.get("date")) {
                let date: Result<chrono::NaiveDate, _> = date.as_str().unwrap().parse();
                prop_assert!(date.is_ok(), "{:?}", entity);
            }
        }
    }

    #[test]
    fn tokens_cover_all_that_is_visible(text in PIECES) {
        let tokens = Tokens::of(&text);
        let mut end = 0;
        for at in 0..tokens.len() {
            let range = tokens.bytes(at..at + 1);
            prop_assert!(range.start >= end && range.end > range.start);
            prop_assert!(text[end..range.start].chars().all(|c| c.is_whitespace() || c.is_control()));
            prop_assert!(text.is_char_boundary(range.end));
            end = range.end;
        }
        prop_assert!(text[end..].chars().all(|c| c.is_whitespace() || c.is_control()));
    }
}
