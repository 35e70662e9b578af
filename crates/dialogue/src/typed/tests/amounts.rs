use super::{check, dialogue_of, found};
use proptest::prelude::*;

const AT: &str = "2026-11-30T11:00:00Z";

#[test]
fn amounts_in_both_conventions() {
    let dialogue = dialogue_of("{type: amount}");
    check(
        &dialogue,
        AT,
        &[
            ("en", "€46.80 and 15 euros", &["€46.80 => 46.8 EUR", "15 euros => 15.0 EUR"]),
            ("fr", "1 249,90 € et 119€", &["1 249,90 € => 1249.9 EUR", "119€ => 119.0 EUR"]),
            ("fr", "1\u{202f}249,90\u{a0}€", &["1\u{202f}249,90\u{a0}€ => 1249.9 EUR"]),
            (
                "en",
                "$1,249.90, $1,249, $1.249.000,50",
                &[
                    "$1,249.90 => 1249.9 USD",
                    "$1,249 => 1249.0 USD",
                    "$1.249.000,50 => 1249000.5 USD",
                ],
            ),
            ("fr", "1.249 € ou 1,249 €", &["1.249 € => 1249.0 EUR", "1,249 € => 1249.0 EUR"]),
            (
                "fr",
                "cinq euros, deux cent cinquante euros, quatre-vingt-dix-sept euros",
                &[
                    "cinq euros => 5.0 EUR",
                    "deux cent cinquante euros => 250.0 EUR",
                    "quatre-vingt-dix-sept euros => 97.0 EUR",
                ],
            ),
            (
                "en",
                "twenty pounds, forty-two dollars, one hundred and five euros",
                &[
                    "twenty pounds => 20.0 GBP",
                    "forty-two dollars => 42.0 USD",
                    "one hundred and five euros => 105.0 EUR",
                ],
            ),
            (
                "fr",
                "46€80, 5 euros 50, 5 euros et 50 centimes, 50 centimes",
                &[
                    "46€80 => 46.8 EUR",
                    "5 euros 50 => 5.5 EUR",
                    "5 euros et 50 centimes => 5.5 EUR",
                    "50 centimes => 0.5 EUR",
                ],
            ),
            (
                "fr",
                "mille euros, 2 k€, 1,5 million d'euros",
                &[
                    "mille euros => 1000.0 EUR",
                    "2 k€ => 2000.0 EUR",
                    "1,5 million d'euros => 1500000.0 EUR",
                ],
            ),
            (
                "en",
                "fifty cents, 20 pence, 20 quid",
                &["fifty cents => 0.5 USD", "20 pence => 0.2 GBP", "20 quid => 20.0 GBP"],
            ),
            (
                "fr-CH",
                "CHF 1'249.50, 20 francs",
                &["CHF 1'249.50 => 1249.5 CHF", "20 francs => 20.0 CHF"],
            ),
            ("en-CA", "$15", &["$15 => 15.0 CAD"]),
            (
                "en",
                "20 EUR, USD 15, US$3",
                &["20 EUR => 20.0 EUR", "USD 15 => 15.0 USD", "US$3 => 3.0 USD"],
            ),
            ("fr", "12,99€.", &["12,99€ => 12.99 EUR"]),
            ("en", "version 7.2, 64 GB, 1.2.3 €, FR-20 €, 2 of 3", &[]),
        ],
    );
    let canada = dialogue_of("{type: amount, region: ca}");
    check(&canada, AT, &[("en", "$15 or US$15", &["$15 => 15.0 CAD", "US$15 => 15.0 USD"])]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn every_amount_is_read_as_it_is_written(cents in 0_u64..100_000_000_000) {
        let dialogue = dialogue_of("{type: amount}");
        let (whole, rest) = (cents / 100, cents % 100);
        let grouped = |separator: &str| {
            let digits = whole.to_string();
            let mut out = String::new();
            for (i, c) in digits.chars().enumerate() {
                if i > 0 && (digits.len() - i).is_multiple_of(3) {
                    out.push_str(separator);
                }
                out.push(c);
            }
            out
        };
        let expected: f64 = format!("{whole}.{rest:02}").parse().unwrap();
        let expected = serde_json::json!(expected);
        for (language, text) in [
            ("en", format!("€{}.{rest:02}", grouped(","))),
            ("fr", format!("{},{rest:02} €", grouped(" "))),
            ("fr", format!("{},{rest:02} €", grouped("\u{202f}"))),
            ("fr", format!("{},{rest:02} euros", grouped("."))),
            ("en", format!("{whole}.{rest:02} EUR")),
        ] {
            prop_assert_eq!(found(&dialogue, &text, AT, language), vec![format!("{text} => {expected} EUR")]);
        }
    }
}
