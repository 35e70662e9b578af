use super::{
    super::lookup::{Letters, Lookup, letters_of},
    check, dialogue_of,
};
use proptest::prelude::*;
use std::collections::BTreeMap;

const AT: &str = "2026-11-30T11:00:00Z";

#[test]
fn names_are_found_with_their_synonyms_and_typing_errors() {
    let exact = dialogue_of(
        "{lookup: {Paris: [paname, 'ville lumière'], 'Aix-en-Provence': [Aix], Lyon: []}}",
    );
    check(
        &exact,
        AT,
        &[
            (
                "fr",
                "de PARIS à Paname, ville lumiere",
                &["PARIS => Paris", "Paname => Paris", "ville lumiere => Paris"],
            ),
            (
                "fr",
                "Aix en  Provence, aix",
                &["Aix en  Provence => Aix-en-Provence", "aix => Aix-en-Provence"],
            ),
            ("fr", "lyo\u{301}n !", &["lyo\u{301}n => Lyon"]),
            ("fr", "Pari, lion, parisien", &[]),
        ],
    );
    let one = dialogue_of("{lookup: {Paris: [], Marseille: [], Lyon: [], Pau: []}, distance: 1}");
    check(
        &one,
        AT,
        &[
            (
                "fr",
                "pari, pairs, parris, paaris, pxris",
                &[
                    "pari => Paris",
                    "pairs => Paris",
                    "parris => Paris",
                    "paaris => Paris",
                    "pxris => Paris",
                ],
            ),
            ("fr", "marsille, marseill", &["marsille => Marseille", "marseill => Marseille"]),
            ("fr", "pax, mareile, pairis et", &["pairis => Paris"]),
        ],
    );
    let two = dialogue_of(
        "{lookup: {Marseille: [], 'New York': [], 'New York City': [nyc]}, distance: 2}",
    );
    check(
        &two,
        AT,
        &[
            ("fr", "marsaile", &["marsaile => Marseille"]),
            (
                "en",
                "new york, newyork, new york ciy, nyd",
                &["new york => New York", "newyork => New York", "new york ciy => New York City"],
            ),
        ],
    );
}

/// Returns the optimal string alignment distance, the slow way.
fn distance(a: &[char], b: &[char]) -> usize {
    let mut d = vec![vec![0; b.len() + 1]; a.len() + 1];
    for i in 0..=a.len() {
        for j in 0..=b.len() {
            d[i][j] = if i == 0 || j == 0 {
                i + j
            } else {
                let cost = usize::from(a[i - 1] != b[j - 1]);
                let mut best = (d[i - 1][j] + 1).min(d[i][j - 1] + 1).min(d[i - 1][j - 1] + cost);
                if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                    best = best.min(d[i - 2][j - 2] + 1);
                }
                best
            };
        }
    }
    d[a.len()][b.len()]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]

    #[test]
    fn the_tree_finds_the_name_that_comparing_all_names_finds(
        names in proptest::collection::btree_set("[ab]{1,4}( [abc]{1,5})?", 1..8),
        text in "[abc]{1,6}( [abc]{1,6}){0,2}",
        edits in 0_u8..3,
    ) {
        let forms: BTreeMap<String, Vec<Vec<char>>> =
            names.iter().map(|name| (name.clone(), vec![letters_of(name)])).collect();
        let lookup = Lookup::of(&forms, edits);
        let letters = Letters::of(&text);
        let (hit, cut) = lookup.name_at(&letters, 0);
        prop_assert!(!cut);
        let chars: Vec<char> = text.chars().collect();
        let ends = (1..=chars.len()).filter(|&end| chars.get(end).is_none_or(|c| *c == ' '));
        let mut best = None;
        for end in ends {
            for (index, (name, forms)) in forms.iter().enumerate() {
                let n = forms[0].len();
                let most = usize::from(edits).min(match n { 0..4 => 0, 4..8 => 1, _ => 2 });
                let d = distance(&forms[0], &chars[..end]);
                if d <= most {
                    let found = (std::cmp::Reverse(n + 6 - 3 * d), d, index, end, name.as_str());
                    best = best.into_iter().chain([found]).min();
                }
            }
        }
        let expected = best.map(|(_, d, _, end, name)| (end, name, d));
        prop_assert_eq!(hit.map(|hit| (hit.end, hit.canonical, hit.edits)), expected);
    }
}
