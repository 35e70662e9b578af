//! Amounts of money: `€46.80`, `1 249,90 €`, `vingt euros`, `5 euros 50`, `2 k€`, `50 centimes`.

use super::{
    context::{Context, Words},
    numerals::{Numeral, Three, digits_at, number_at},
    tokens::Tokens,
};

/// An amount in a text.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct AmountHit {
    /// One past the last token.
    pub(crate) end: usize,
    pub(crate) amount: f64,
    /// The ISO 4217 code.
    pub(crate) currency: &'static str,
}

/// Codes that are written before or after an amount, folded; none is a word of either language.
const CODES: [(&str, &str); 19] = [
    ("eur", "EUR"),
    ("usd", "USD"),
    ("gbp", "GBP"),
    ("chf", "CHF"),
    ("jpy", "JPY"),
    ("cad", "CAD"),
    ("aud", "AUD"),
    ("nzd", "NZD"),
    ("sek", "SEK"),
    ("nok", "NOK"),
    ("dkk", "DKK"),
    ("pln", "PLN"),
    ("czk", "CZK"),
    ("cny", "CNY"),
    ("inr", "INR"),
    ("tnd", "TND"),
    ("dzd", "DZD"),
    ("xof", "XOF"),
    ("xaf", "XAF"),
];

/// Returns the currency of `$`, `dollar` and `cent` in a country; the US dollar by default.
fn dollar(region: Option<&str>) -> &'static str {
    match region {
        Some("CA") => "CAD",
        Some("AU") => "AUD",
        Some("NZ") => "NZD",
        Some("SG") => "SGD",
        Some("HK") => "HKD",
        _ => "USD",
    }
}

/// Returns the currency of the sign at `at`.
fn sign(t: &Tokens<'_>, at: usize, region: Option<&str>) -> Option<&'static str> {
    Some(match t.mark(at)? {
        '€' => "EUR",
        '£' => "GBP",
        '¥' => "JPY",
        '₹' => "INR",
        '$' => dollar(region),
        _ => return None,
    })
}

fn code(word: &str) -> Option<&'static str> {
    CODES.iter().find(|(code, _)| *code == word).map(|(_, iso)| *iso)
}

/// Returns the currency of a sign, code or word at `at`, and one past its last token.
fn currency_at(t: &Tokens<'_>, at: usize, region: Option<&str>) -> Option<(&'static str, usize)> {
    if let Some(currency) = sign(t, at, region) {
        return Some((currency, at + 1));
    }
    let word = t.word(at);
    if let Some(currency) = code(word) {
        return Some((currency, at + 1));
    }
    let next = t.word(at + 1);
    Some(match (word, next) {
        ("euro" | "euros", _) => ("EUR", at + 1),
        ("us" | "american", "dollars" | "dollar") => ("USD", at + 2),
        ("canadian", "dollars" | "dollar") => ("CAD", at + 2),
        ("dollar" | "dollars", "canadien" | "canadiens") => ("CAD", at + 2),
        ("dollar" | "dollars", "americain" | "americains") => ("USD", at + 2),
        ("dollar" | "dollars" | "buck" | "bucks", _) => (dollar(region), at + 1),
        ("pound" | "pounds", "sterling") | ("livre" | "livres", "sterling") => ("GBP", at + 2),
        ("pound" | "pounds" | "quid", _) => ("GBP", at + 1),
        ("franc" | "francs", "suisse" | "suisses") => ("CHF", at + 2),
        ("swiss", "franc" | "francs") => ("CHF", at + 2),
        ("franc" | "francs", "cfa") => ("XOF", at + 2),
        ("franc" | "francs", _) => ("CHF", at + 1),
        ("yen" | "yens", _) => ("JPY", at + 1),
        ("zl" | "zloty" | "zlotys", _) => ("PLN", at + 1),
        _ => return None,
    })
}

/// Returns the currency of hundredths at `at`, such as `centimes` or `pence`.
fn hundredths(
    t: &Tokens<'_>,
    at: usize,
    c: &Context,
    region: Option<&str>,
) -> Option<&'static str> {
    match t.word(at) {
        "centime" | "centimes" => Some(if region == Some("CH") { "CHF" } else { "EUR" }),
        "cent" | "cents" if c.words == Words::English => Some(dollar(region)),
        "cent" | "cents" => Some("EUR"),
        "penny" | "pence" => Some("GBP"),
        _ => None,
    }
}

/// Returns the amount that starts at `at`; `declared` is the country of the entity.
pub(crate) fn amount_at(
    t: &Tokens<'_>,
    at: usize,
    c: &Context,
    declared: Option<&str>,
) -> Option<AmountHit> {
    let region = declared.or(c.region.as_deref());
    before_number(t, at, c, region).or_else(|| after_number(t, at, c, region))
}

/// Returns an amount such as `€46.80`, `US$15` or `CHF 20`.
fn before_number(
    t: &Tokens<'_>,
    at: usize,
    c: &Context,
    region: Option<&str>,
) -> Option<AmountHit> {
    let (currency, start) = match (t.word(at), t.mark(at + 1)) {
        ("us", Some('$')) if t.joined(at + 1) => ("USD", at + 2),
        ("ca", Some('$')) if t.joined(at + 1) => ("CAD", at + 2),
        _ => match sign(t, at, region) {
            Some(currency) => (currency, at + 1),
            None => (code(t.word(at))?, at + 1),
        },
    };
    // `€ 20`: one space at most, and nothing that the sign belongs to before it, as in `5 € 20`.
    let number = digits_at(t, start, c.words, Three::Thousands)?;
    if at > 0 && t.digits(at - 1).is_some() && (t.joined(at) || !t.joined(start)) {
        return None;
    }
    let (factor, end) = factor_at(t, number.end, false).unwrap_or((1, number.end));
    if !t.closes(end) {
        return None;
    }
    Some(AmountHit { end, amount: scaled(&number, factor)?, currency })
}

/// Returns an amount such as `46,80 €`, `46€80`, `vingt euros`, `2 k€`, `3 millions d'euros` or `50 centimes`.
fn after_number(t: &Tokens<'_>, at: usize, c: &Context, region: Option<&str>) -> Option<AmountHit> {
    let number = number_at(t, at, c.words, Three::Thousands)?;
    if let Some(currency) = hundredths(t, number.end, c, region) {
        let cents = number.whole().filter(|cents| *cents < 100)?;
        let amount = format!("0.{cents:02}").parse().ok()?;
        return Some(AmountHit { end: number.end + 1, amount, currency });
    }
    let (factor, next) = factor_at(t, number.end, true).unwrap_or((1, number.end));
    let (currency, end) = currency_at(t, next, region)?;
    if let Some(whole) = number.whole().filter(|_| factor == 1)
        && let Some((cents, end)) = cents_at(t, end, c, region)
    {
        let amount = format!("{whole}.{cents:02}").parse().ok()?;
        return Some(AmountHit { end, amount, currency });
    }
    // `5 €uros` and `5 €2` are mistakes that nothing can be made of.
    if t.joined(end) && (t.is_word(end) || t.digits(end).is_some()) {
        return None;
    }
    Some(AmountHit { end, amount: scaled(&number, factor)?, currency })
}

/// Returns the hundredths after a currency: `46€80`, `5 euros 50`, `5 euros et 50 centimes`.
fn cents_at(t: &Tokens<'_>, at: usize, c: &Context, region: Option<&str>) -> Option<(u32, usize)> {
    let and = usize::from(t.is(at, &["and", "et"]));
    let number = number_at(t, at + and, c.words, Three::Thousands);
    if let Some(number) = &number
        && hundredths(t, number.end, c, region).is_some()
    {
        return Some((number.whole().filter(|cents| *cents < 100)?, number.end + 1));
    }
    let cents = t.number(at, 2, 2)?;
    // After a sign the digits are joined, after `euros` one space stands between.
    let is_sign = t.mark(at - 1).is_some();
    let fits = t.joined(at) == is_sign && t.closes(at + 1);
    let counts = t.is_word(at + 1) && !t.joined(at + 1) && !is_sign && !ends_amount(t.word(at + 1));
    (fits && !counts).then_some((cents, at + 1))
}

/// Returns whether `word` does not count the number before it, so that `5 euros 50 sur` is 5.50.
fn ends_amount(word: &str) -> bool {
    [
        "sur", "de", "pour", "en", "et", "au", "a", "le", "par", "mais", "on", "for", "and", "in",
        "of", "to", "from", "ttc", "ht", "d", "que", "qui", "alors", "chez", "dans", "avec", "was",
        "is",
    ]
    .contains(&word)
}

/// Returns the factor at `at`, such as the `k` of `2 k€`, and one past its last token.
fn factor_at(t: &Tokens<'_>, at: usize, before_currency: bool) -> Option<(u32, usize)> {
    match t.word(at) {
        "k" => Some((1_000, at + 1)),
        "m" if t.raw(at) == "M" && (before_currency || t.joined(at)) => Some((1_000_000, at + 1)),
        "million" | "millions" => {
            let of = usize::from(t.is(at + 1, &["de", "d"]));
            let apostrophe = usize::from(of == 1 && t.is_mark(at + 2, '\''));
            Some((1_000_000, at + 1 + of + apostrophe))
        }
        _ => None,
    }
}

fn scaled(number: &Numeral, factor: u32) -> Option<f64> {
    // Decimals are moved in the text, so that 1.5 k is 1500 and not nearly so.
    let exponent = match factor {
        1 => "",
        1_000 => "e3",
        _ => "e6",
    };
    format!("{}{exponent}", number.decimal).parse().ok()
}
