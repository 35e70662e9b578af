//! A page: one document, its version, and its policy.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use botops_digest::Digest;

/// The place of the style in the markup.
const STYLE: &str = "<!--style-->";
/// The place of the script in the markup.
const SCRIPT: &str = "<!--script-->";

/// A page: one HTML document, with the values of the headers that it needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    html: String,
    etag: String,
    policy: String,
}

impl Page {
    /// Puts `style` and `script` into `markup`, where its comments `<!--style-->` and `<!--script-->` stand.
    ///
    /// # Panics
    /// If a comment is missing, or one of the two would end its element early: a bug of the assets, which a test finds.
    pub(crate) fn assemble(markup: &str, style: &str, script: &str) -> Self {
        for (text, end) in [(style, "</style"), (script, "</script"), (script, "<!--")] {
            assert!(!text.to_ascii_lowercase().contains(end), "an asset contains `{end}`");
        }
        let (before, rest) = markup.split_once(STYLE).expect("the markup has a place of the style");
        let (between, after) =
            rest.split_once(SCRIPT).expect("the markup has a place of the script behind it");
        let html = format!(
            "{before}<style>{style}</style>{between}<script type=\"module\">{script}</script>{after}"
        );
        let etag = etag(&html);
        let policy = format!(
            "default-src 'none'; style-src {}; script-src {}; connect-src 'self'; img-src data:; base-uri 'none'; \
             form-action 'none'; frame-ancestors 'none'",
            source(style),
            source(script),
        );
        Self { html, etag, policy }
    }

    /// Puts `style` into `markup`, which has no script, where its comment `<!--style-->` stands.
    ///
    /// # Panics
    /// If the comment is missing, or the style would end its element early: a bug of the assets, which a test finds.
    pub(crate) fn without_script(markup: &str, style: &str) -> Self {
        assert!(!style.to_ascii_lowercase().contains("</style"), "the style ends its element");
        let (before, after) =
            markup.split_once(STYLE).expect("the markup has a place of the style");
        let html = format!("{before}<style>{style}</style>{after}");
        let etag = format!("\"{}\"", Digest::of(html.as_bytes()).hex());
        let policy = format!(
            "default-src 'none'; style-src {}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
            source(style)
        );
        Self { html, etag, policy }
    }

    /// The document.
    #[must_use]
    pub fn html(&self) -> &str {
        &self.html
    }

    /// The value of `ETag`: a strong tag, from the digest of the document.
    #[must_use]
    pub fn etag(&self) -> &str {
        &self.etag
    }

    /// The value of `Content-Security-Policy` of a page that no other page may show in a frame.
    #[must_use]
    pub fn policy(&self) -> &str {
        &self.policy
    }

    /// The value of `Content-Security-Policy` of a page that pages of `origins` may show in a frame; of none without any.
    #[must_use]
    pub fn policy_within(&self, origins: &[String]) -> String {
        match (origins, self.policy.strip_suffix("'none'")) {
            ([_, ..], Some(policy)) => format!("{policy}{}", origins.join(" ")),
            _ => self.policy.clone(),
        }
    }

    /// Returns whether a browser that sends this `If-None-Match` has the document already.
    #[must_use]
    pub fn is_known(&self, if_none_match: &str) -> bool {
        names(if_none_match, &self.etag)
    }
}

/// Returns a strong tag of `text`, from its digest.
pub(crate) fn etag(text: &str) -> String {
    format!("\"{}\"", Digest::of(text.as_bytes()).hex())
}

/// Returns whether `If-None-Match` names the tag.
pub(crate) fn names(if_none_match: &str, etag: &str) -> bool {
    // A proxy that compresses the document may weaken the tag.
    let mut tags = if_none_match.split(',').map(|tag| tag.trim().trim_start_matches("W/"));
    tags.any(|tag| tag == "*" || tag == etag)
}

/// Returns the source expression that allows exactly this inline `text`.
fn source(text: &str) -> String {
    format!("'sha256-{}'", STANDARD.encode(Digest::of(text.as_bytes()).as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_its_parts_and_its_policy_allows_these_and_nothing_else() {
        let page = Page::assemble("<a><!--style--><b><!--script--><c>", "p{}", "let a;");
        assert_eq!(
            page.html(),
            "<a><style>p{}</style><b><script type=\"module\">let a;</script><c>"
        );
        // printf 'p{}' | openssl dgst -sha256 -binary | base64
        let style = "sha256-gG2yISYereRMiG2lMXrbiUgi0Ubw9p7QCeWcroOvy9Y=";
        assert!(page.policy().contains(&format!("style-src '{style}';")), "{}", page.policy());
        assert!(!page.policy().contains("unsafe"), "{}", page.policy());
        assert!(page.policy().ends_with("; frame-ancestors 'none'"), "{}", page.policy());
        assert_eq!(page.policy_within(&[]), page.policy());
        let within =
            page.policy_within(&["https://a.example".to_owned(), "https://b.example".to_owned()]);
        assert!(
            within.ends_with("; frame-ancestors https://a.example https://b.example"),
            "{within}"
        );
        let other = Page::assemble("<a><!--style--><b><!--script--><c>", "p{}", "let b;");
        assert_ne!((page.etag(), page.policy()), (other.etag(), other.policy()));
    }

    #[test]
    fn a_browser_has_the_page_if_it_names_its_tag() {
        let page = Page::assemble("<!--style--><!--script-->", "", "");
        let tag = page.etag();
        for known in [tag.to_owned(), format!("W/{tag}"), format!("\"a\", {tag}"), "*".to_owned()] {
            assert!(page.is_known(&known), "{known}");
        }
        for other in ["", "\"a\"", tag.trim_matches('"')] {
            assert!(!page.is_known(other), "{other}");
        }
    }

    #[test]
    #[should_panic(expected = "`</script`")]
    fn a_script_that_would_end_its_element_is_a_bug() {
        let _ = Page::assemble("<!--style--><!--script-->", "", "a('</SCRIPT>')");
    }
}
