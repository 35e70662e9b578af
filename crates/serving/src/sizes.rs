//! Limits on the size of a request: its body, its depth, the number of its texts and their length.

use crate::{pointer::Field, problem::Problem};
use axum::http::StatusCode;
use botops_channels::MOST_BODY_BYTES;
use botops_findings::Fault;
use botops_text::{LARGEST_GROWTH, length_within};
use std::collections::BTreeMap;

/// The largest body, in bytes, of a route without a limit of its own.
pub(super) const MAX_BODY_BYTES: usize = 64 << 10;
/// The longest text, in code points, as sent and in its normal form, unless a setting says otherwise.
pub(super) const MAX_TEXT_CHARS: usize = 5_000;
/// The most texts in one request, unless a setting says otherwise.
const MAX_TEXTS: usize = 1_024;
/// The most objects and lists in each other, unless a setting says otherwise. A body of ours has at most four.
pub(super) const MAX_DEPTH: usize = 32;

/// The limits on the size of a request.
#[derive(Debug, Clone)]
pub struct Sizes {
    /// The largest body, in bytes, of single routes, by name, such as `predict`; others take 64 KiB.
    pub body_bytes: BTreeMap<String, usize>,
    /// The most texts in one request.
    pub texts: usize,
    /// The longest text, in code points, as sent and in its normal form.
    pub text_chars: usize,
    /// The most objects and lists in each other, in a body of the public API.
    pub depth: usize,
}

impl Default for Sizes {
    fn default() -> Self {
        Self {
            body_bytes: BTreeMap::new(),
            texts: MAX_TEXTS,
            text_chars: MAX_TEXT_CHARS,
            depth: MAX_DEPTH,
        }
    }
}

impl Sizes {
    /// Returns the largest body of a route, in bytes.
    pub(super) fn body(&self, route: &str) -> usize {
        let usual = if route == "channels" { MOST_BODY_BYTES } else { MAX_BODY_BYTES };
        self.body_bytes.get(route).copied().unwrap_or(usual)
    }

    /// Checks the text at `field` as it was sent.
    ///
    /// # Errors
    /// 422 if it is empty or too long.
    pub(super) fn check_text(&self, text: &str, field: Field) -> Result<(), Problem> {
        let most = self.text_chars;
        if text.trim().is_empty() {
            return Err(unfit("BOT-6015", field, "`text` is empty".to_owned()));
        }
        if text.len() > most && text.chars().nth(most).is_some() {
            return Err(unfit(
                "BOT-6015",
                field,
                format!("`text` is longer than {most} characters"),
            ));
        }
        Ok(())
    }

    /// Checks the normal forms of the texts of a request to `route`, which the model reads: NFKC makes up to 18 characters
    /// of one. The text with index `i` is at `field(i)`, and all together at `whole`.
    ///
    /// Called in the turn of the request, because it normalizes the texts.
    ///
    /// # Errors
    /// 422 if one is too long, or all together.
    pub(super) fn check_normal_forms(
        &self,
        route: &str,
        texts: &[&str],
        whole: Field,
        field: impl Fn(usize) -> Field,
    ) -> Result<(), Problem> {
        let most = self.text_chars;
        if let [text] = texts
            && text.len() <= most / LARGEST_GROWTH
        {
            // A short text cannot grow too long, so that most requests do not pay for the count.
            return Ok(());
        }
        let all = self.body(route);
        let mut left = all;
        for (i, text) in texts.iter().enumerate() {
            let n_chars = length_within(text, most).ok_or_else(|| {
                let message =
                    format!("`text` is longer than {most} characters after normalization (NFKC)");
                unfit("BOT-6015", field(i), message)
            })?;
            left = left.checked_sub(n_chars).ok_or_else(|| {
                let message = format!(
                    "`texts` have more than {all} characters together after normalization (NFKC)"
                );
                unfit("BOT-6014", whole, message)
            })?;
        }
        Ok(())
    }
}

fn unfit(code: &'static str, field: Field, message: String) -> Problem {
    let problem = Problem::new(StatusCode::UNPROCESSABLE_ENTITY, Fault::usage(code, message));
    problem.at(field.to_string())
}

/// Checks that at most `most` objects and lists in `json` are in each other, before anything is read from it.
///
/// # Errors
/// 400 if they are.
pub(super) fn check_depth(json: &[u8], most: usize) -> Result<(), Problem> {
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    for byte in json {
        if in_string {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => in_string = false,
                _ => {}
            }
            continue;
        }
        match byte {
            b'"' => in_string = true,
            b'{' | b'[' => {
                depth += 1;
                if depth > most {
                    let message = format!("the body is nested deeper than {most} levels");
                    let fault = Fault::usage("BOT-6111", message);
                    return Err(Problem::new(StatusCode::BAD_REQUEST, fault));
                }
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_depth_is_exact_and_brackets_in_strings_do_not_count() {
        let check_depth = |json: &[u8]| super::check_depth(json, MAX_DEPTH);
        let nested = |n: usize| format!("{}{}", "[{\"a\":".repeat(n / 2), "}]".repeat(n / 2));
        assert!(check_depth(nested(MAX_DEPTH).as_bytes()).is_ok());
        let problem = check_depth(nested(MAX_DEPTH + 2).as_bytes()).unwrap_err();
        assert_eq!((problem.status, problem.fault.code()), (StatusCode::BAD_REQUEST, "BOT-6111"));
        assert!(check_depth("[".repeat(MAX_DEPTH).as_bytes()).is_ok());
        assert!(check_depth("[".repeat(MAX_DEPTH + 1).as_bytes()).is_err(), "one over");
        let in_string = format!("{{\"text\": \"\\\"{}\\\\\"}}", "[".repeat(1_000));
        assert!(check_depth(in_string.as_bytes()).is_ok(), "{in_string}");
        let behind = format!("[\"\\\\\",{}", "[".repeat(MAX_DEPTH));
        assert!(check_depth(behind.as_bytes()).is_err(), "an escaped backslash ends no escape");
        assert!(check_depth("[],".repeat(1_000).as_bytes()).is_ok(), "side by side is not deep");
    }

    #[test]
    fn sizes_are_exact() {
        let sizes = Sizes {
            texts: 3,
            text_chars: 40,
            body_bytes: [("predict".to_owned(), 60)].into(),
            ..Sizes::default()
        };
        let check_text = |text: &str| sizes.check_text(text, Field::Named("text"));
        let check_normal_forms = |route: &str, texts: &[&str]| {
            sizes.check_normal_forms(route, texts, Field::Named("texts"), |i| {
                Field::Item("texts", i)
            })
        };
        assert!(check_text(&"é".repeat(40)).is_ok());
        assert!(check_text(&"é".repeat(41)).is_err());
        assert!(check_text(" \n").is_err());
        assert_eq!((sizes.body("predict"), sizes.body("chat")), (60, MAX_BODY_BYTES));
        // NFKC makes 18 characters of it.
        let grows = "\u{fdfa}\u{fdfa}";
        assert!(check_normal_forms("predict", &[grows]).is_ok(), "36 characters");
        assert!(check_normal_forms("predict", &[&format!("{grows}abcd")]).is_ok(), "40");
        let problem = check_normal_forms("predict", &[&format!("{grows}abcde")]).unwrap_err();
        assert_eq!(problem.fault.code(), "BOT-6015");
        assert!(check_normal_forms("predict", &[grows, &"a".repeat(24)]).is_ok(), "60");
        let problem = check_normal_forms("predict", &[grows, &"a".repeat(25)]).unwrap_err();
        assert_eq!(problem.fault.code(), "BOT-6014");
        assert!(check_normal_forms("chat", &[grows, &"a".repeat(25)]).is_ok());
    }
}
