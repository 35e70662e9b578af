//! HTML: its readable text, with headings, lists and tables. Nothing active is kept, because only text is.

use crate::{
    builder::{Builder, one_line},
    document::BlockKind,
    html_tag::{OpenTag, beginning, pieces},
};
use botops_findings::Result;
use html5ever::{
    tendril::StrTendril,
    tokenizer::{
        BufferQueue, Tag, TagKind, Token, TokenSink, TokenSinkResult, Tokenizer, TokenizerOpts,
        states::RawKind,
    },
};
use std::{cell::RefCell, collections::BTreeMap};

/// The metadata of a page.
#[derive(Debug, Default)]
pub(crate) struct PageData {
    /// `<title>`.
    pub(crate) title: Option<String>,
    /// `lang` of `<html>`.
    pub(crate) language: Option<String>,
    /// The canonical address.
    pub(crate) canonical: Option<String>,
    /// `<meta name=… content=…>`.
    pub(crate) meta: BTreeMap<String, String>,
}

/// Elements whose content no reader sees, or that are not the text of the page.
const LEFT_OUT: [&str; 20] = [
    "script", "style", "noscript", "template", "svg", "math", "iframe", "object", "canvas", "nav",
    "aside", "footer", "form", "button", "select", "dialog", "video", "audio", "head", "textarea",
];
/// Elements without an end tag.
const VOID: [&str; 14] = [
    "area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "param", "source",
    "track", "wbr",
];
/// Elements that begin and end a block of text.
const BLOCKS: [&str; 24] = [
    "p",
    "div",
    "section",
    "article",
    "main",
    "header",
    "ul",
    "ol",
    "dl",
    "dt",
    "dd",
    "table",
    "thead",
    "tbody",
    "blockquote",
    "figure",
    "figcaption",
    "address",
    "details",
    "summary",
    "hr",
    "body",
    "fieldset",
    "caption",
];
/// The most elements that are left out inside one another; what is deeper counts as one of them.
const DEEPEST: usize = 512;
/// The most values of metadata that are kept.
const MOST_META: usize = 100;

struct State<'a, 'b> {
    out: &'a mut Builder<'b>,
    page: PageData,
    kind: BlockKind,
    cells: usize,
    is_head_row: bool,
    /// The elements under way whose content is left out, from the outermost.
    left_out: Vec<String>,
    in_title: bool,
    title: String,
    /// The tokens so far.
    n_tokens: usize,
    result: Result<()>,
}

struct Sink<'a, 'b>(RefCell<State<'a, 'b>>);

/// Adds the readable text of `html` to `out`, and returns the metadata.
///
/// The tokens of the standard's tokenizer are read one by one, so that no nesting is too deep.
pub(crate) fn read(html: &str, out: &mut Builder<'_>) -> Result<PageData> {
    let state = State {
        out,
        page: PageData::default(),
        kind: BlockKind::Paragraph,
        cells: 0,
        is_head_row: false,
        left_out: Vec::new(),
        in_title: false,
        title: String::new(),
        n_tokens: 0,
        result: Ok(()),
    };
    let tokenizer = Tokenizer::new(Sink(RefCell::new(state)), TokenizerOpts::default());
    let input = BufferQueue::default();
    // Returns whether a token came.
    let feed = |text: &str| {
        let before = tokenizer.sink.0.borrow().n_tokens;
        input.push_back(StrTendril::from_slice(text));
        // The end of a script stops the tokenizer; there is nothing to run.
        while !input.is_empty() {
            let _ = tokenizer.feed(&input);
        }
        tokenizer.sink.0.borrow().n_tokens > before
    };
    let mut tag = OpenTag::default();
    for piece in pieces(html) {
        let begin = beginning(piece);
        if !begin.is_empty() {
            tag.begin(begin, feed(begin));
        }
        let rest = &piece[begin.len()..];
        tag.push(rest, feed(rest));
        let state = &*tokenizer.sink.0.borrow();
        if tag.is_too_large() {
            return Err(state.out.too_many_attributes());
        }
        if state.result.is_err() {
            break;
        }
    }
    tokenizer.end();
    let State { out, mut page, kind, title, result, .. } = tokenizer.sink.0.into_inner();
    result?;
    out.end(kind)?;
    page.title = Some(one_line(&title)).filter(|title| !title.is_empty());
    Ok(page)
}

impl TokenSink for Sink<'_, '_> {
    type Handle = ();

    fn process_token(&self, token: Token, _line: u64) -> TokenSinkResult<()> {
        let state = &mut *self.0.borrow_mut();
        state.n_tokens += usize::from(!matches!(token, Token::ParseError(_)));
        if state.result.is_err() {
            return TokenSinkResult::Continue;
        }
        match token {
            Token::TagToken(tag) if tag.kind == TagKind::StartTag => {
                let raw = match &*tag.name {
                    "script" => Some(RawKind::ScriptData),
                    "style" | "xmp" | "iframe" | "noembed" | "noframes" => Some(RawKind::Rawtext),
                    "title" | "textarea" => Some(RawKind::Rcdata),
                    _ => None,
                };
                state.result = state.start(&tag);
                // In SVG and MathML, `<br/>` and `<title/>` end at once.
                match raw.filter(|_| !tag.self_closing) {
                    Some(kind) => TokenSinkResult::RawData(kind),
                    None => TokenSinkResult::Continue,
                }
            }
            Token::TagToken(tag) => {
                state.result = state.end(&tag.name);
                TokenSinkResult::Continue
            }
            Token::CharacterTokens(text) => {
                state.result = state.text(&text);
                TokenSinkResult::Continue
            }
            _ => TokenSinkResult::Continue,
        }
    }
}

fn attribute<'t>(tag: &'t Tag, name: &str) -> Option<&'t str> {
    tag.attrs.iter().find(|it| &*it.name.local == name).map(|it| &*it.value)
}

fn is_hidden(tag: &Tag) -> bool {
    let style = || attribute(tag, "style").map(|style| style.replace(' ', "").to_lowercase());
    attribute(tag, "hidden").is_some()
        || attribute(tag, "aria-hidden") == Some("true")
        || style().is_some_and(|it| it.contains("display:none") || it.contains("visibility:hidden"))
}

impl State<'_, '_> {
    fn start(&mut self, tag: &Tag) -> Result<()> {
        let name = &*tag.name;
        self.metadata(name, tag);
        let is_void = VOID.contains(&name) || tag.self_closing;
        if !self.left_out.is_empty() {
            // Only an element of a kind that is left out can end one.
            if !is_void
                && self.left_out.last().is_some_and(|it| it == name)
                && self.left_out.len() < DEEPEST
            {
                self.left_out.push(name.to_owned());
            }
            return Ok(());
        }
        if (LEFT_OUT.contains(&name) || is_hidden(tag)) && !is_void {
            if name != "head" {
                self.flush()?;
                self.left_out.push(name.to_owned());
            }
            return Ok(());
        }
        match name {
            "h1" | "h2" | "h3" | "h4" | "h5" | "h6" => {
                self.flush()?;
                self.kind = BlockKind::Heading { level: name.as_bytes()[1] - b'0' };
            }
            "li" => {
                self.flush()?;
                self.kind = BlockKind::ListItem;
            }
            "pre" => {
                self.flush()?;
                self.kind = BlockKind::Code;
            }
            "tr" => {
                self.flush()?;
                (self.kind, self.cells, self.is_head_row) =
                    (BlockKind::TableRow { is_head: false }, 0, true);
            }
            "td" | "th" => {
                if self.cells > 0 {
                    self.out.push(" | ")?;
                }
                self.cells += 1;
                self.is_head_row &= name == "th";
            }
            "br" => self.out.push("\n")?,
            "img" => {
                if let Some(text) = attribute(tag, "alt") {
                    self.out.push(text)?;
                }
            }
            _ if BLOCKS.contains(&name) && !self.is_in_row() => self.flush()?,
            _ => {}
        }
        Ok(())
    }

    fn is_in_row(&self) -> bool {
        matches!(self.kind, BlockKind::TableRow { .. })
    }

    fn end(&mut self, name: &str) -> Result<()> {
        if name == "title" {
            self.in_title = false;
        }
        if let Some(innermost) = self.left_out.last() {
            if innermost == name {
                self.left_out.pop();
            }
            return Ok(());
        }
        match name {
            "tr" => {
                if self.is_head_row && self.cells > 0 {
                    self.kind = BlockKind::TableRow { is_head: true };
                }
                self.flush()
            }
            "h1" | "h2" | "h3" | "h4" | "h5" | "h6" | "li" | "pre" | "table" => self.flush(),
            _ if BLOCKS.contains(&name) && !self.is_in_row() => self.flush(),
            _ => Ok(()),
        }
    }

    fn text(&mut self, text: &str) -> Result<()> {
        if self.in_title {
            if self.title.len() + text.len() <= 4_096 {
                self.title.push_str(text);
            }
            return Ok(());
        }
        if self.left_out.is_empty() { self.out.push(text) } else { Ok(()) }
    }

    /// Ends the block under way; what follows is a paragraph.
    fn flush(&mut self) -> Result<()> {
        let kind = std::mem::replace(&mut self.kind, BlockKind::Paragraph);
        if !self.out.is_blank() || !matches!(kind, BlockKind::Paragraph) {
            self.out.end(kind)?;
        }
        self.out.end(BlockKind::Paragraph)
    }

    fn metadata(&mut self, name: &str, tag: &Tag) {
        let short = |text: &str| one_line(&text.chars().take(2_048).collect::<String>());
        match name {
            "html" => self.page.language = attribute(tag, "lang").map(short),
            // An SVG has titles of its own.
            "title" if self.left_out.is_empty() && self.title.is_empty() && !tag.self_closing => {
                self.in_title = true;
            }
            "link" if attribute(tag, "rel") == Some("canonical") => {
                self.page.canonical = attribute(tag, "href").map(short);
            }
            "meta" if self.page.meta.len() < MOST_META => {
                let key = attribute(tag, "name").or_else(|| attribute(tag, "property"));
                if let (Some(key), Some(value)) = (key, attribute(tag, "content")) {
                    self.page.meta.insert(short(key).to_lowercase(), short(value));
                }
            }
            _ => {}
        }
    }
}
