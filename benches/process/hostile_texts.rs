//! Texts that are made to be expensive: to normalize, to split into words, or to search for entities.

use botops_stats::random::Random;

/// A plain text, repeated: the measure of the others.
pub(crate) const PLAIN: &str = "where is my parcel, please? I paid with my card last week. ";

/// Units of hostile texts, each with a name.
const UNITS: [(&str, &str); 34] = [
    ("family emoji (ZWJ)", "👨\u{200d}👩\u{200d}👧\u{200d}👦"),
    ("emoji with skin tones", "👍🏽"),
    ("flags", "🇫🇷"),
    ("NFKC to 18 characters", "\u{fdfa}"),
    ("NFKC to 8 characters", "\u{fdfb}"),
    ("squared words", "㌀㍿"),
    ("numbers in parentheses", "⑴⒇"),
    ("mathematical letters", "𝐀𝔷"),
    ("full-width letters", "Ａｚ"),
    ("ligatures", "ﬃﬆ"),
    ("capital I with a dot", "İ"),
    ("sharp s", "ß"),
    ("apostrophe n", "ŉ"),
    ("letters with marks", "e\u{301}a\u{323}\u{302}"),
    ("marks alone", "\u{301}\u{323}\u{345}\u{315}"),
    ("marks in the wrong order", "\u{315}\u{301}\u{334}\u{323}"),
    ("Hangul syllables", "각힣"),
    ("Hangul letters", "\u{1100}\u{1161}\u{11a8}"),
    ("Chinese", "你好吗"),
    ("Devanagari", "हिन्दी"),
    ("Arabic", "مرحبا"),
    ("zero-width spaces", "\u{200b}"),
    ("soft hyphens", "a\u{ad}"),
    ("control characters", "\u{1}\u{1b}"),
    ("spaces", "  \t"),
    ("one long word", "a"),
    ("one long word with accents", "é"),
    ("words of one letter", "a b "),
    ("elisions", "l'a'"),
    ("typographic elisions", "l’a’"),
    ("e-mail addresses", "a@a.a."),
    ("digits", "0 1-2/3.4 "),
    ("order numbers", "#20447 FR-204913, "),
    ("braces", "{u{\\u{"),
];

/// Returns texts of `n_chars` characters with their names: of one unit each, then of random units.
pub(crate) fn hostile_texts(n_chars: usize) -> Vec<(String, String)> {
    let mut random = Random::new(12);
    let cut = |units: &mut dyn Iterator<Item = &str>| -> String {
        units.flat_map(str::chars).take(n_chars).collect()
    };
    let plain: Vec<&str> = PLAIN.split_inclusive(' ').collect();
    let pure =
        UNITS.iter().map(|(name, unit)| ((*name).to_owned(), cut(&mut std::iter::repeat(*unit))));
    let pure: Vec<(String, String)> = pure.collect();
    let mixed = (0..24).map(|i| {
        let n_kinds = 2 + random.below(5);
        let kinds: Vec<&str> = (0..n_kinds)
            .map(|_| match random.below(4) {
                0 => plain[random.below(plain.len())],
                _ => UNITS[random.below(UNITS.len())].1,
            })
            .collect();
        let text = cut(&mut std::iter::repeat_with(|| kinds[random.below(n_kinds)]));
        (format!("mixture {i}"), text)
    });
    let mixed: Vec<(String, String)> = mixed.collect();
    [pure, mixed].concat()
}

/// Returns the longest beginning of `text` whose normal form has at most `most` characters.
pub(crate) fn within(text: &str, most: usize) -> String {
    let mut chars: Vec<char> = text.chars().collect();
    loop {
        let text: String = chars.iter().collect();
        if botops_text::length_within(&text, most).is_some() {
            return text;
        }
        chars.truncate(chars.len() * 19 / 20);
    }
}
