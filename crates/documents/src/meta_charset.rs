//! The encoding that an HTML page declares itself.

use html5ever::{
    tendril::StrTendril,
    tokenizer::{
        BufferQueue, Tag, TagKind, Token, TokenSink, TokenSinkResult, Tokenizer, TokenizerOpts,
        states::RawKind,
    },
};
use std::cell::RefCell;

/// The bytes at the beginning of a page in which the standard looks for its encoding.
const LOOKED_AT: usize = 1_024;

struct Sink(RefCell<Option<String>>);

/// Returns the name of the encoding in `<meta charset>`, `<meta http-equiv="content-type">` or the declaration of XML.
pub(crate) fn meta_charset(bytes: &[u8]) -> Option<String> {
    // Names of encodings are ASCII, and so is whatever leads to them in every encoding that can be declared in this way.
    let begin: String = bytes
        .iter()
        .take(LOOKED_AT)
        .map(|byte| if byte.is_ascii() { char::from(*byte) } else { ' ' })
        .collect();
    if let Some(found) = of_xml(&begin) {
        return Some(found);
    }
    let tokenizer = Tokenizer::new(Sink(RefCell::new(None)), TokenizerOpts::default());
    let input = BufferQueue::default();
    input.push_back(StrTendril::from_slice(&begin));
    let _ = tokenizer.feed(&input);
    tokenizer.sink.0.into_inner()
}

/// Reads `<?xml version="1.0" encoding="…"?>`.
fn of_xml(begin: &str) -> Option<String> {
    let (declaration, _) = begin.strip_prefix("<?xml")?.split_once("?>")?;
    let (_, rest) = declaration.split_once("encoding")?;
    let rest = rest.trim_start().strip_prefix('=')?.trim_start();
    let quote = rest.chars().next().filter(|c| matches!(c, '"' | '\''))?;
    Some(rest[1..].split_once(quote)?.0.trim().to_owned())
}

impl TokenSink for Sink {
    type Handle = ();

    fn process_token(&self, token: Token, _line: u64) -> TokenSinkResult<()> {
        match token {
            Token::TagToken(tag) if tag.kind == TagKind::StartTag => match &*tag.name {
                "script" => TokenSinkResult::RawData(RawKind::ScriptData),
                "style" | "noframes" => TokenSinkResult::RawData(RawKind::Rawtext),
                "title" | "textarea" => TokenSinkResult::RawData(RawKind::Rcdata),
                "meta" => {
                    let mut found = self.0.borrow_mut();
                    *found = found.take().or_else(|| of_meta(&tag));
                    TokenSinkResult::Continue
                }
                _ => TokenSinkResult::Continue,
            },
            _ => TokenSinkResult::Continue,
        }
    }
}

fn of_meta(tag: &Tag) -> Option<String> {
    let attribute =
        |name: &str| tag.attrs.iter().find(|it| &*it.name.local == name).map(|it| &*it.value);
    if let Some(charset) = attribute("charset") {
        return Some(charset.trim().to_owned());
    }
    if !attribute("http-equiv")?.eq_ignore_ascii_case("content-type") {
        return None;
    }
    charset_of(attribute("content")?)
}

/// Returns the parameter `charset` of a content type, such as `text/html; charset=iso-8859-1`.
fn charset_of(content_type: &str) -> Option<String> {
    content_type.split(';').skip(1).find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        let value = value.trim().trim_matches(['"', '\'']);
        (name.trim().eq_ignore_ascii_case("charset") && !value.is_empty()).then(|| value.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_declaration_of_a_page_is_found_where_the_standard_looks_for_it() {
        for (page, found) in [
            ("<!doctype html><meta charset=\"ISO-8859-1\">", Some("ISO-8859-1")),
            (
                "<html><head><title><meta charset=a></title><META CharSet = koi8-r />",
                Some("koi8-r"),
            ),
            (
                "<meta http-equiv=\"Content-Type\" content=\"text/html; Charset='shift_jis'\">",
                Some("shift_jis"),
            ),
            ("<meta name=a content=\"text/html; charset=b\"><meta charset=c>", Some("c")),
            ("<?xml version=\"1.0\" encoding='iso-8859-15' ?><html>", Some("iso-8859-15")),
            ("<!-- <meta charset=utf-8> --><p>text</p>", None),
            ("<script>'<meta charset=utf-8>'</script>", None),
            ("<meta http-equiv=refresh content=\"1; charset=utf-8\">", None),
            ("<meta http-equiv=content-type content=text/html>", None),
            ("<?xml encoding=", None),
        ] {
            assert_eq!(meta_charset(page.as_bytes()).as_deref(), found, "{page}");
        }
        let late = format!("<!--{}--><meta charset=koi8-r>", " ".repeat(LOOKED_AT));
        assert_eq!(meta_charset(late.as_bytes()), None);
    }
}
