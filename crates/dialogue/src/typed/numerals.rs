//! Numbers in digits, with the decimal conventions of both languages, and in words.

use super::{context::Words, tokens::Tokens};

/// The most digits of a number: all are exact in a double.
const MOST_DIGITS: usize = 15;
/// The most tokens of a number in words.
const MOST_WORDS: usize = 16;

/// A number in a text.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Numeral {
    /// One past its last token.
    pub(crate) end: usize,
    /// The number as a decimal, such as `1249.90`.
    pub(crate) decimal: String,
    /// The value of `decimal`.
    pub(crate) value: f64,
    /// Whether it is written in words.
    pub(crate) in_words: bool,
}

/// The meaning of a single `,` or `.` with three digits after it, as in `1,250`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Three {
    /// A thousand, with any separator: amounts of money have two decimals.
    Thousands,
    /// A thousand in English with `,`, else a decimal.
    ByLanguage,
}

impl Numeral {
    fn of(end: usize, decimal: String, in_words: bool) -> Option<Self> {
        let value = decimal.parse().ok()?;
        Some(Self { end, decimal, value, in_words })
    }

    /// Returns the value if it is a whole number below 2³².
    pub(crate) fn whole(&self) -> Option<u32> {
        self.decimal.parse().ok()
    }
}

/// Returns the number in digits that starts at `at`: `1 249,90`, `1,249.90`, `1.249,90`, `1'249.90`, `12`.
pub(crate) fn digits_at(t: &Tokens<'_>, at: usize, words: Words, three: Three) -> Option<Numeral> {
    let first = t.digits(at)?;
    if !t.opens(at) || first.len() > MOST_DIGITS {
        return None;
    }
    let mut parts: Vec<(char, &str)> = Vec::new();
    let mut end = at + 1;
    while parts.len() < 6 {
        let (separator, next) = match t.mark(end) {
            Some(mark @ (',' | '.' | '\'')) if t.joined(end) && t.joined(end + 1) => {
                (mark, end + 1)
            }
            None if t.digits(end).is_some() && !t.joined(end) => (' ', end),
            _ => break,
        };
        let Some(digits) = t.digits(next) else { break };
        let is_group = digits.len() == 3 && first.len() <= 3 && !first.starts_with('0');
        if matches!(separator, ' ' | '\'') {
            let same = parts.iter().all(|(other, _)| *other == separator);
            // `12 345 678` is one number; `3 120 €` may be two, and no reader can tell.
            let glued = t.joined(next + 1) && (t.is_word(next + 1) || t.is_mark(next + 1, '-'));
            if !is_group || !same || (separator == ' ' && glued) {
                break;
            }
        }
        parts.push((separator, digits));
        end = next + 1;
    }
    let (groups, decimals) = split(first, &parts, words, three)?;
    let n_digits = first.len() + groups.iter().chain(&decimals).map(|d| d.len()).sum::<usize>();
    if n_digits > MOST_DIGITS {
        return None;
    }
    let mut decimal = first.to_owned() + &groups.concat();
    if let Some(decimals) = decimals {
        decimal = format!("{decimal}.{decimals}");
    }
    Numeral::of(end, decimal, false)
}

/// Splits the parts after the first digits into groups of thousands and decimals; `None` for `1.2.3` and the like.
fn split<'a>(
    first: &str,
    parts: &[(char, &'a str)],
    words: Words,
    three: Three,
) -> Option<(Vec<&'a str>, Option<&'a str>)> {
    let Some((&(last_separator, last), before)) = parts.split_last() else {
        return Some((Vec::new(), None));
    };
    let can_group = first.len() <= 3 && !first.starts_with('0');
    let groups = |parts: &[(char, &'a str)]| -> Option<Vec<&'a str>> {
        let separator = parts.first().map(|(separator, _)| *separator);
        let even = parts.iter().all(|(s, digits)| Some(*s) == separator && digits.len() == 3);
        (even && (parts.is_empty() || can_group))
            .then(|| parts.iter().map(|(_, digits)| *digits).collect())
    };
    let is_decimal = match (before.first(), last_separator) {
        (_, ' ' | '\'') => false,
        (None, _) if last.len() != 3 || !can_group => true,
        (None, separator) => match three {
            Three::Thousands => false,
            Three::ByLanguage => separator == '.' || words == Words::French,
        },
        (Some((other, _)), separator) => *other != separator,
    };
    if is_decimal { Some((groups(before)?, Some(last))) } else { Some((groups(parts)?, None)) }
}

/// Returns the number in digits or in words that starts at `at`.
pub(crate) fn number_at(t: &Tokens<'_>, at: usize, words: Words, three: Three) -> Option<Numeral> {
    if t.digits(at).is_some() { digits_at(t, at, words, three) } else { words_at(t, at, words) }
}

/// Returns the number at `at`, or 1 for an article: `a week`, `une semaine`.
pub(crate) fn count_at(t: &Tokens<'_>, at: usize, words: Words) -> Option<Numeral> {
    if t.is(at, &["a", "an"]) && words != Words::French {
        return Numeral::of(at + 1, "1".to_owned(), true);
    }
    number_at(t, at, words, Three::ByLanguage)
}

/// A word of a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    /// 0 to 19, or a multiple of ten.
    Small(u32),
    /// A hundred.
    Hundred,
    /// A thousand or a million.
    Large(u32),
}

/// Returns the meaning of a number word, and its language; `None` as a language if both have it.
fn part(word: &str) -> Option<(Part, Option<Words>)> {
    use Words::{English, French};
    let (n, words) = match word {
        "zero" => (0, None),
        "six" => (6, None),
        "one" => (1, Some(English)),
        "two" => (2, Some(English)),
        "three" => (3, Some(English)),
        "four" => (4, Some(English)),
        "five" => (5, Some(English)),
        "seven" => (7, Some(English)),
        "eight" => (8, Some(English)),
        "nine" => (9, Some(English)),
        "ten" => (10, Some(English)),
        "eleven" => (11, Some(English)),
        "twelve" => (12, Some(English)),
        "thirteen" => (13, Some(English)),
        "fourteen" => (14, Some(English)),
        "fifteen" => (15, Some(English)),
        "sixteen" => (16, Some(English)),
        "seventeen" => (17, Some(English)),
        "eighteen" => (18, Some(English)),
        "nineteen" => (19, Some(English)),
        "twenty" => (20, Some(English)),
        "thirty" => (30, Some(English)),
        "forty" | "fourty" => (40, Some(English)),
        "fifty" => (50, Some(English)),
        "sixty" => (60, Some(English)),
        "seventy" => (70, Some(English)),
        "eighty" => (80, Some(English)),
        "ninety" => (90, Some(English)),
        "un" | "une" => (1, Some(French)),
        "deux" => (2, Some(French)),
        "trois" => (3, Some(French)),
        "quatre" => (4, Some(French)),
        "cinq" => (5, Some(French)),
        "sept" => (7, Some(French)),
        "huit" => (8, Some(French)),
        "neuf" => (9, Some(French)),
        "dix" => (10, Some(French)),
        "onze" => (11, Some(French)),
        "douze" => (12, Some(French)),
        "treize" => (13, Some(French)),
        "quatorze" => (14, Some(French)),
        "quinze" => (15, Some(French)),
        "seize" => (16, Some(French)),
        "vingt" | "vingts" => (20, Some(French)),
        "trente" => (30, Some(French)),
        "quarante" => (40, Some(French)),
        "cinquante" => (50, Some(French)),
        "soixante" => (60, Some(French)),
        "septante" => (70, Some(French)),
        "huitante" | "octante" => (80, Some(French)),
        "nonante" => (90, Some(French)),
        "hundred" => return Some((Part::Hundred, Some(English))),
        "cent" | "cents" => return Some((Part::Hundred, Some(French))),
        "thousand" => return Some((Part::Large(1_000), Some(English))),
        "mille" => return Some((Part::Large(1_000), Some(French))),
        "million" | "millions" => return Some((Part::Large(1_000_000), None)),
        _ => return None,
    };
    Some((Part::Small(n), words))
}

/// The sum of a number in words so far.
#[derive(Debug, Clone, Copy, Default)]
struct Sum {
    /// Thousands and millions.
    total: u32,
    /// The part below a thousand.
    current: u32,
    /// The last large word, so that they only get smaller.
    scale: Option<u32>,
    /// The number of words.
    n: usize,
}

impl Sum {
    /// Adds a word; `None` if it does not continue the number, as `three` after `two`.
    fn with(self, part: Part, french: bool) -> Option<Self> {
        let n = self.n + 1;
        let tens = self.current % 100;
        match part {
            Part::Small(0) => (self.n == 0).then_some(Self { n, ..self }),
            Part::Small(20) if french && tens == 4 => {
                Some(Self { current: self.current + 76, n, ..self })
            }
            Part::Small(value) => {
                let continues = match tens {
                    0 => self.n == 0 || self.current > 0 || self.total > 0,
                    60 | 80 if french => value < 20,
                    20..=90 if tens.is_multiple_of(10) => value < 10,
                    _ => false,
                };
                continues.then_some(Self { current: self.current + value, n, ..self })
            }
            Part::Hundred => match self.current {
                0 if self.n == 0 || self.total > 0 => Some(Self { current: 100, n, ..self }),
                1..=9 => Some(Self { current: self.current * 100, n, ..self }),
                _ => None,
            },
            Part::Large(scale) => {
                if self.scale.is_some_and(|last| last <= scale) || (scale > 1_000 && self.n == 0) {
                    return None;
                }
                if self.current == 0 && self.n > 0 {
                    return None;
                }
                let total = self.current.max(1).checked_mul(scale)?.checked_add(self.total)?;
                Some(Self { total, current: 0, scale: Some(scale), n })
            }
        }
    }
}

/// Returns the number in words that starts at `at`: `forty-two`, `quatre-vingt-dix-sept`, `two hundred and five`.
///
/// In English, `cent` and `cents` are money. A number is all in one language.
pub(crate) fn words_at(t: &Tokens<'_>, at: usize, words: Words) -> Option<Numeral> {
    let mut language = (words == Words::English).then_some(Words::English);
    let mut sum = Sum::default();
    let mut end = at;
    let mut next = at;
    while next < at + MOST_WORDS {
        let Some((part, of)) = part(t.word(next)) else { break };
        // Not `if words == English`: a French number in an English sentence is a number, except its hundreds.
        let is_hundred = part == Part::Hundred && of == Some(Words::French);
        if is_hundred && language == Some(Words::English) {
            break;
        }
        if sum.n > 0 && language.is_some() && of.is_some() && language != of {
            break;
        }
        let french = of.or(language) == Some(Words::French);
        let Some(longer) = sum.with(part, french) else { break };
        sum = longer;
        language = of.or(language);
        end = next + 1;
        next = end;
        let hyphen = t.is_mark(next, '-') && t.joined(next) && t.joined(next + 1);
        let and = t.is(next, &["and", "et"]);
        next += usize::from(hyphen || and);
        if hyphen && t.is(next, &["et"]) && t.is_mark(next + 1, '-') {
            next += 2;
        }
    }
    // A joined digit or apostrophe makes another word of it.
    let joined = t.joined(end) && (t.digits(end).is_some() || t.is_mark(end, '\''));
    if sum.n == 0 || joined || (t.joined(at) && t.mark(at - 1).is_none()) {
        return None;
    }
    Numeral::of(end, sum.total.checked_add(sum.current)?.to_string(), true)
}
