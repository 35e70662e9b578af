//! Telephone numbers as E.164: international ones of any country, national ones of a stated set of countries.

use super::{
    context::{Context, Words},
    tokens::Tokens,
};
use std::ops::RangeInclusive;

/// The most digits of a number, with its country code (ITU-T E.164).
const MOST_DIGITS: usize = 15;
/// The most tokens of a number.
const MOST_TOKENS: usize = 24;

/// The numbers of a country.
#[derive(Debug)]
pub(crate) struct Region {
    /// ISO 3166, such as `FR`.
    pub(crate) code: &'static str,
    /// The country code.
    country: &'static str,
    /// The prefix of national numbers; empty if there is none.
    trunk: &'static str,
    /// The number of digits without prefix and country code.
    digits: RangeInclusive<usize>,
    /// The first digits of a number.
    first: &'static str,
}

/// The countries whose national numbers are read, and whose international numbers are checked for their length;
/// a country has a row for each length that its numbers have.
pub(crate) const REGIONS: [Region; 15] = [
    region("FR", "33", "0", 9..=9, "123456789"),
    region("BE", "32", "0", 8..=8, "123456789"),
    region("BE", "32", "0", 9..=9, "4"),
    region("CH", "41", "0", 9..=9, "23456789"),
    region("LU", "352", "", 6..=9, "2345689"),
    region("GB", "44", "0", 9..=10, "1235789"),
    region("IE", "353", "0", 7..=9, "1245678"),
    region("DE", "49", "0", 7..=11, "123456789"),
    region("NL", "31", "0", 9..=9, "123456789"),
    region("ES", "34", "", 9..=9, "6789"),
    region("PT", "351", "", 9..=9, "2369"),
    region("IT", "39", "", 8..=11, "03"),
    region("AT", "43", "0", 7..=12, "123456789"),
    region("US", "1", "1", 10..=10, "23456789"),
    region("CA", "1", "1", 10..=10, "23456789"),
];

const fn region(
    code: &'static str,
    country: &'static str,
    trunk: &'static str,
    digits: RangeInclusive<usize>,
    first: &'static str,
) -> Region {
    Region { code, country, trunk, digits, first }
}

/// The country codes of two digits; 1 and 7 have one, all others three (ITU-T E.164, list of assigned codes).
const TWO_DIGITS: [&str; 44] = [
    "20", "27", "30", "31", "32", "33", "34", "36", "39", "40", "41", "43", "44", "45", "46", "47",
    "48", "49", "51", "52", "53", "54", "55", "56", "57", "58", "60", "61", "62", "63", "64", "65",
    "66", "81", "82", "84", "86", "90", "91", "92", "93", "94", "95", "98",
];

/// The first two digits of country codes of three digits; others are not assigned.
const THREE_DIGITS: [&str; 22] = [
    "21", "22", "23", "24", "25", "26", "29", "35", "37", "38", "42", "50", "59", "67", "68", "69",
    "85", "87", "88", "96", "97", "99",
];

/// A telephone number in a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PhoneHit {
    /// One past the last token.
    pub(crate) end: usize,
    /// The number as E.164.
    pub(crate) number: String,
}

/// Returns the numbers of the country `code`, such as `FR`; none if they are not known.
pub(crate) fn regions_of(code: &str) -> impl Iterator<Item = &'static Region> {
    REGIONS.iter().filter(move |region| region.code.eq_ignore_ascii_case(code))
}

/// Returns the countries whose national numbers a message may have: the declared one, then that of the language (`fr` is
/// FR, `en` is GB, `en-US` is US).
pub(crate) fn regions(c: &Context, declared: Option<&str>) -> Vec<&'static Region> {
    let of_language = c.region.as_deref().or(match c.words {
        Words::French => Some("FR"),
        Words::English => Some("GB"),
        Words::Any => None,
    });
    [declared, of_language].into_iter().flatten().flat_map(regions_of).collect()
}

/// A step of a number: the digits up to a token.
struct Step {
    /// One past the token.
    end: usize,
    /// The number of digits so far.
    n_digits: usize,
}

/// The digits that follow a position, as far as they may be one number.
struct Chain {
    digits: String,
    /// The lengths of the groups.
    groups: Vec<usize>,
    steps: Vec<Step>,
}

/// Returns the telephone number that starts at `at`, the longest valid one.
pub(crate) fn phone_at(t: &Tokens<'_>, at: usize, regions: &[&Region]) -> Option<PhoneHit> {
    if !opens(t, at) {
        return None;
    }
    let plus = t.is_mark(at, '+');
    let chain = chain(t, at + usize::from(plus))?;
    chain.steps.iter().rev().find_map(|step| {
        let ends = ends(t, step.end);
        let digits = &chain.digits[..step.n_digits];
        let groups = groups_up_to(&chain.groups, step.n_digits);
        let number = if plus {
            international(digits)
        } else if let Some(rest) = digits.strip_prefix("00") {
            international(rest)
        } else {
            regions.iter().find_map(|region| national(digits, groups, region))
        };
        Some(PhoneHit { end: step.end, number: number.filter(|_| ends)? })
    })
}

/// Returns whether a telephone number may start at `at`.
fn opens(t: &Tokens<'_>, at: usize) -> bool {
    match t.mark(at) {
        Some('+') => !t.joined(at) || !(t.is_word(at - 1) || t.digits(at - 1).is_some()),
        Some('(') => t.opens(at),
        Some(_) => false,
        None => t.digits(at).is_some() && t.opens(at) && !(at > 0 && t.is_mark(at - 1, '+')),
    }
}

/// Returns whether a telephone number may end before `at`.
fn ends(t: &Tokens<'_>, at: usize) -> bool {
    t.closes(at) && !t.is_mark(at, '€') && !t.is_mark(at, '%') && !t.is_mark(at, '@')
}

/// Reads the digits from `at`, over single separators; `(0)` after other digits is left out.
fn chain(t: &Tokens<'_>, at: usize) -> Option<Chain> {
    let mut chain = Chain { digits: String::new(), groups: Vec::new(), steps: Vec::new() };
    let (mut next, mut open) = (at, false);
    while next < at + MOST_TOKENS {
        if let Some(digits) = t.digits(next) {
            if chain.digits.len() + digits.len() > MOST_DIGITS + 3 {
                break;
            }
            let is_trunk = open && digits == "0" && !chain.digits.is_empty();
            if !is_trunk {
                chain.digits.push_str(digits);
                chain.groups.push(digits.len());
            }
            next += 1;
            if open {
                // A parenthesis closes after one group.
                if !t.is_mark(next, ')') {
                    break;
                }
                next += 1;
                open = false;
            }
            if !is_trunk {
                chain.steps.push(Step { end: next, n_digits: chain.digits.len() });
            }
        }
        match t.mark(next) {
            Some('(') if !open && t.digits(next + 1).is_some() => {
                open = true;
                next += 1;
            }
            Some('.' | '-' | '/') if !open && t.digits(next + 1).is_some() && next > at => {
                next += 1
            }
            None if t.digits(next).is_some() && next > at => {}
            _ => break,
        }
    }
    (!chain.steps.is_empty()).then_some(chain)
}

/// Returns the groups that make the first `n` digits.
fn groups_up_to(groups: &[usize], n: usize) -> &[usize] {
    let mut sum = 0;
    let count = groups
        .iter()
        .take_while(|group| {
            sum += **group;
            sum <= n
        })
        .count();
    &groups[..count]
}

/// Returns the E.164 form of a number with its country code.
fn international(digits: &str) -> Option<String> {
    let two = digits.get(..2)?;
    let length = match two {
        _ if digits.starts_with(['1', '7']) => 1,
        two if TWO_DIGITS.contains(&two) => 2,
        two if THREE_DIGITS.contains(&two) && !digits.starts_with("999") => 3,
        _ => return None,
    };
    let (country, rest) = digits.split_at_checked(length)?;
    let mut known = REGIONS.iter().filter(|region| region.country == country).peekable();
    if known.peek().is_none() {
        let fits = (8..=MOST_DIGITS).contains(&digits.len()) && !rest.starts_with('0');
        return fits.then(|| format!("+{digits}"));
    }
    known.find_map(|region| {
        // `+33 06 …`: people keep the national prefix.
        let rest = match rest.strip_prefix(region.trunk) {
            Some(shorter) if region.trunk == "0" && region.holds(shorter) => shorter,
            _ => rest,
        };
        region.holds(rest).then(|| format!("+{country}{rest}"))
    })
}

/// Returns the E.164 form of a national number; `groups` are the lengths of its groups.
fn national(digits: &str, groups: &[usize], region: &Region) -> Option<String> {
    let rest = match region.country {
        // `555 010 0199` is a number, `5 550 100 199` is none.
        "1" => {
            let rest = digits.strip_prefix('1').filter(|rest| rest.len() == 10).unwrap_or(digits);
            let groups = if rest.len() < digits.len() && groups.first() == Some(&1) {
                &groups[1..]
            } else {
                groups
            };
            matches!(groups, [3, 3, 4] | [3, 7] | [10] | [11]).then_some(rest)?
        }
        _ if region.trunk.is_empty() => digits,
        _ => digits.strip_prefix(region.trunk)?,
    };
    // Without a prefix, any number of so many digits would be a telephone number: they need at least two groups.
    let is_clear = !region.trunk.is_empty() || groups.len() > 1 || digits.len() >= 9;
    (is_clear && region.holds(rest)).then(|| format!("+{}{rest}", region.country))
}

impl Region {
    /// Returns whether `digits` are a number of this country, without prefix.
    fn holds(&self, digits: &str) -> bool {
        self.digits.contains(&digits.len())
            && digits.chars().next().is_some_and(|first| self.first.contains(first))
    }
}
