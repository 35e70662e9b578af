//! URLs in settings and messages: their scheme, and their passwords left out.

use std::borrow::Cow;

/// Returns the scheme of `text` if it begins like a URL, such as `s3` of `s3://bucket` and of the mistyped `s3:/bucket`.
///
/// One letter before a colon is no scheme: it is a drive such as `C:\data`.
#[must_use]
pub fn url_scheme(text: &str) -> Option<&str> {
    let (scheme, _) = text.split_once(':')?;
    let is_scheme = scheme.len() > 1
        && scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c));
    is_scheme.then_some(scheme)
}

/// Returns `text` with `[redacted]` in the place of the user and the password of every URL in it.
#[must_use]
pub fn without_credentials(text: &str) -> Cow<'_, str> {
    const MARK: &str = "://";
    if !text.contains(MARK) || !text.contains('@') {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(MARK) {
        let (before, after) = rest.split_at(at + MARK.len());
        out.push_str(before);
        // The last `@` ends the credentials: a password may contain one, a host does not.
        let ends = |c: char| c.is_whitespace() || "/?#\"'`<>".contains(c);
        let authority = &after[..after.find(ends).unwrap_or(after.len())];
        rest = match authority.rfind('@') {
            Some(end) => {
                out.push_str("[redacted]");
                &after[end..]
            }
            None => after,
        };
    }
    out.push_str(rest);
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mistyped_url_has_a_scheme_and_a_path_has_none() {
        for (text, scheme) in [
            ("s3://bucket/prefix", "s3"),
            ("s3:/bucket", "s3"),
            ("s3:bucket", "s3"),
            ("http:x", "http"),
            ("file:/srv", "file"),
            ("git+ssh:x", "git+ssh"),
        ] {
            assert_eq!(url_scheme(text), Some(scheme), "{text}");
        }
        for path in ["registry", "C:\\data", "./a:b", "/srv/a:b", ":x", "a/b:c", "1a:b", "", "é:x"]
        {
            assert_eq!(url_scheme(path), None, "{path}");
        }
    }

    #[test]
    fn passwords_in_urls_are_left_out() {
        let cases = [
            ("http://ada:sesame@host:9/x", "http://[redacted]@host:9/x"),
            ("(http://ada:ses@me@host), then", "(http://[redacted]@host), then"),
            (
                "url `https://token@a/x` and s3://b/c@d",
                "url `https://[redacted]@a/x` and s3://b/c@d",
            ),
            ("http://a:b@c http://d:e@f", "http://[redacted]@c http://[redacted]@f"),
            ("write to ada@example.com", "write to ada@example.com"),
            ("http://host/?q=a@b", "http://host/?q=a@b"),
        ];
        for (text, shown) in cases {
            assert_eq!(without_credentials(text), shown);
        }
    }
}
