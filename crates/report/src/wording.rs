//! Numbers and user text in a form that is easy to read.

use botops_text as text;
pub(super) use botops_text::{count, counted};

/// The least number that is written with an exponent.
const LARGE: f64 = 1e9;

/// Writes a number with three decimals; `–` if it is not finite.
pub(super) fn number(value: f64) -> String {
    match value.abs() {
        size if size < LARGE => format!("{value:.3}"),
        size if size.is_finite() => format!("{value:.3e}"),
        _ => "–".to_owned(),
    }
}

/// Writes a difference with its sign.
pub(super) fn signed(value: f64) -> String {
    // A difference that rounds to zero has no sign.
    if value.abs() < 0.0005 { "0.000".to_owned() } else { format!("{value:+.3}") }
}

/// Writes a share as a percentage; `–` if it is not finite.
pub(super) fn percent(share: f64) -> String {
    if share.is_finite() { format!("{:.1} %", share * 100.0) } else { "–".to_owned() }
}

/// Writes a p-value; below 0.001 as `< 0.001`.
pub(super) fn p_value(p: f64) -> String {
    if p < 0.001 { "< 0.001".to_owned() } else { number(p) }
}

/// Writes a p-value as an equation: `p = 0.041`, `p < 0.001`.
pub(super) fn p_equals(p: f64) -> String {
    if p < 0.001 { format!("p {}", p_value(p)) } else { format!("p = {}", p_value(p)) }
}

/// Returns `text` as one line of at most `max_chars` characters, with invisible characters made visible and personal
/// data replaced.
pub(super) fn line(text: &str, max_chars: usize) -> String {
    // Join white space first: many utterances contain line breaks, which should not appear as codes.
    let mut one_line = String::new();
    let mut spaces = true;
    for c in text.chars().take(max_chars.saturating_mul(4).saturating_add(16)) {
        if c.is_whitespace() {
            if !spaces {
                one_line.push(' ');
            }
            spaces = true;
        } else {
            one_line.push(c);
            spaces = false;
        }
    }
    text::display(&text::redact(one_line.trim_end()), max_chars)
}

/// Writes a share as counts and a percentage: "3 of 40 (7.5 %)".
pub(super) fn of(part: u64, whole: u64) -> String {
    let share = if whole == 0 { f64::NAN } else { part as f64 / whole as f64 };
    format!("{} of {} ({})", count(part), count(whole), percent(share))
}

/// Writes a number with at most two decimals and no trailing zeros: 5, 12.5.
pub(super) fn trimmed(value: f64) -> String {
    let text = format!("{value:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}
