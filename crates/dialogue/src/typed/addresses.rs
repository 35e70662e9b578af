//! E-mail addresses and addresses of web pages.

use super::tokens::Tokens;
use std::ops::Range;

/// The longest e-mail address (RFC 5321), in bytes.
const LONGEST_EMAIL: usize = 254;
/// The longest part before the `@` (RFC 5321), in bytes.
const LONGEST_LOCAL: usize = 64;
/// The longest host name (RFC 1035), in bytes.
const LONGEST_HOST: usize = 253;
/// The longest address of a web page, in bytes.
const LONGEST_URL: usize = 2_048;
/// Endings of host names that are read without `https://` or `www.`; others are file names and typing errors too often.
const ENDINGS: [&str; 20] = [
    "com", "org", "net", "fr", "eu", "uk", "be", "ch", "ca", "de", "es", "it", "lu", "nl", "pt",
    "ie", "io", "info", "app", "shop",
];

/// An address in a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AddressHit {
    /// Its bytes.
    pub(crate) range: Range<usize>,
    /// Its normal form.
    pub(crate) address: String,
}

/// Returns the e-mail address whose `@` is the token `at`.
pub(crate) fn email_at(t: &Tokens<'_>, at: usize) -> Option<AddressHit> {
    if !t.is_mark(at, '@') {
        return None;
    }
    let text = t.text();
    let sign = t.bytes(at..at + 1).start;
    let local = text[..sign]
        .char_indices()
        .rev()
        .take_while(|(i, c)| is_local(*c) && sign - i <= LONGEST_LOCAL + 4)
        .last()
        .map(|(i, _)| &text[i..sign])?;
    // Sentences end before an address, and quotes and points may stand around it.
    let local = local.trim_start_matches(['.', '-', '+', '_', '%', '\'']);
    let is_local = local.len() <= LONGEST_LOCAL
        && local.ends_with(|c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '+'))
        && !local.contains("..");
    if local.is_empty() || !is_local {
        return None;
    }
    let host = host(&text[sign + 1..])?;
    let range = sign - local.len()..sign + 1 + host.len();
    if range.len() > LONGEST_EMAIL {
        return None;
    }
    Some(AddressHit { address: format!("{local}@{}", host.to_lowercase()), range })
}

/// Returns whether `c` may stand before an `@`.
fn is_local(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '.' | '_' | '%' | '+' | '-' | '\'')
}

/// Returns the host name that `text` starts with: labels with points between, the last one of 2 to 24 letters.
fn host(text: &str) -> Option<&str> {
    let end = text
        .char_indices()
        .find(|(i, c)| !(c.is_alphanumeric() || matches!(c, '.' | '-')) || *i > LONGEST_HOST)
        .map_or(text.len(), |(i, _)| i);
    let mut host = text[..end].trim_end_matches(['.', '-']);
    // `example.com.Merci` and `example.com-12` are a name and more: the longest name that is whole.
    loop {
        let labels: Vec<&str> = host.split('.').collect();
        let last = labels.last()?;
        let is_last =
            (2..=24).contains(&last.chars().count()) && last.chars().all(char::is_alphabetic);
        let are_labels = labels.iter().all(|label| {
            (1..=63).contains(&label.len()) && !label.starts_with('-') && !label.ends_with('-')
        });
        if labels.len() > 1 && is_last && are_labels {
            return Some(host);
        }
        host = host[..host.rfind('.')?].trim_end_matches(['.', '-']);
    }
}

/// Returns the web address that starts at the token `at`: `https://…`, `www.…`, or a host name with a usual ending.
pub(crate) fn url_at(t: &Tokens<'_>, at: usize) -> Option<AddressHit> {
    if !(t.is_word(at) || t.digits(at).is_some()) || (at > 0 && t.joined(at) && continues(t, at)) {
        return None;
    }
    let start = t.bytes(at..at + 1).start;
    let text = &t.text()[start..];
    let scheme = ["https://", "http://"].into_iter().find(|scheme| {
        text.get(..scheme.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(scheme))
    });
    let after = &text[scheme.map_or(0, str::len)..];
    let host = host(after)?;
    let rest = &after[host.len()..];
    let is_www = host.get(..4).is_some_and(|www| www.eq_ignore_ascii_case("www."));
    let ending = host.rsplit('.').next().unwrap_or_default().to_lowercase();
    let is_known = ENDINGS.contains(&ending.as_str()) && !rest.starts_with('@');
    if scheme.is_none() && !is_www && !is_known {
        return None;
    }
    let port = rest
        .strip_prefix(':')
        .map(|port| port.bytes().take_while(u8::is_ascii_digit).count())
        .filter(|n| (1..=5).contains(n))
        .map_or(0, |n| n + 1);
    let path = path(&rest[port..]);
    let length = scheme.map_or(0, str::len) + host.len() + port + path.len();
    if length > LONGEST_URL {
        return None;
    }
    let port = &rest[..port];
    let address = format!("{}{}{port}{path}", scheme.unwrap_or("https://"), host.to_lowercase());
    Some(AddressHit { range: start..start + length, address })
}

/// Returns whether the token at `at` continues an address: `b.com` of `a@b.com` and `a.b.com`.
fn continues(t: &Tokens<'_>, at: usize) -> bool {
    match t.mark(at - 1) {
        Some(mark) => matches!(mark, '@' | '.' | '-' | '/' | '_' | ':' | '%' | '+'),
        None => true,
    }
}

/// Returns the path, query and fragment that `text` starts with, without the marks that end a sentence.
fn path(text: &str) -> &str {
    if !text.starts_with(['/', '?', '#']) {
        return "";
    }
    let mut depth = 0_i32;
    let end = text
        .char_indices()
        .find(|(i, c)| {
            depth += i32::from(*c == '(') - i32::from(*c == ')');
            let stops = c.is_whitespace() || c.is_control() || "<>\"«»{}|\\^`".contains(*c);
            stops || depth < 0 || *i > LONGEST_URL
        })
        .map_or(text.len(), |(i, _)| i);
    text[..end].trim_end_matches(['.', ',', ';', ':', '!', '?', '\'', '’', '…', '*'])
}
