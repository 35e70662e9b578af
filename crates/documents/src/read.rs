//! A file in any format to its documents.

use crate::{
    builder::Builder,
    document::{BlockKind, Document},
    docx, encoding,
    file::{FileSource, ReadFile},
    format::DocumentFormat,
    front_matter, html,
    limits::Limits,
    markdown,
    metadata::{access_tags, apply, finish, time},
    pdf::{self, PdfReader},
    plain_text, questions,
};
use botops_findings::{Fault, Finding, Result};

/// Reads the documents of `source`.
///
/// # Errors
/// `BOT-7100` (exit 3) the format is not read; `BOT-7101` (exit 3) the file is too large or has no text; `BOT-7102` (exit 3) it has
/// too much text; `BOT-7103` (exit 3) it cannot be read as what it is; `BOT-7104` (exit 3) a PDF is encrypted, `BOT-7105` (exit 3)
/// scanned, `BOT-7106` (exit 3) broken.
pub fn read(source: &FileSource<'_>, limits: &Limits, pdf: &dyn PdfReader) -> Result<ReadFile> {
    let wrong = |code, message: String| Fault::data(code, message).file(source.name);
    if source.bytes.len() > limits.file_bytes {
        let message = format!("`{}` has more than {} bytes", source.name, limits.file_bytes);
        return Err(wrong("BOT-7101", message).hint("split it, or import the text of it"));
    }
    let Some(format) = DocumentFormat::of(source.name, source.bytes) else {
        let message = format!("`{}` is a binary file of a format that is not read", source.name);
        return Err(wrong("BOT-7100", message)
            .hint("import Markdown, HTML, plain text, PDF, DOCX, CSV or JSON lines"));
    };
    let mut findings = Vec::new();
    let mut documents = match format {
        DocumentFormat::Pdf => vec![of_pdf(source, limits, pdf)?],
        DocumentFormat::Docx => vec![docx::read(source, limits)?],
        _ => {
            let text = encoding::text(source, format, limits)?;
            let (documents, found) = of_text(&text, format, source, limits)?;
            findings = found;
            documents
        }
    };
    documents.retain(|document| !document.blocks.is_empty());
    if documents.is_empty() {
        let message = format!("`{}` has no text", source.name);
        return Err(wrong("BOT-7101", message).hint("remove it, or write something in it"));
    }
    for document in &mut documents {
        finish(document, source, format);
    }
    Ok(ReadFile { documents, findings })
}

fn of_text(
    text: &str,
    format: DocumentFormat,
    source: &FileSource<'_>,
    limits: &Limits,
) -> Result<(Vec<Document>, Vec<Finding>)> {
    if format == DocumentFormat::Questions {
        let is_json = text.trim_start().starts_with('{');
        return if is_json {
            questions::json_lines(text, source, limits)
        } else {
            questions::csv(text, source, limits)
        };
    }
    let mut out = Builder::new(source.name, limits);
    let mut document = Document { id: source.name.to_owned(), ..Document::default() };
    let mut findings = Vec::new();
    match format {
        DocumentFormat::Html => {
            let page = html::read(text, &mut out)?;
            document.title = page.title.unwrap_or_default();
            document.language = page.language;
            document.url = page.canonical;
            let access = page.meta.get("access").map(String::as_str);
            document.access.extend(access.into_iter().flat_map(access_tags));
            let dated = ["article:modified_time", "last-modified", "date"];
            document.updated_at =
                dated.iter().find_map(|name| page.meta.get(*name)).and_then(|text| time(text));
        }
        DocumentFormat::Markdown => {
            let matter = front_matter::read(source.name, text);
            markdown::read(matter.rest, &mut out)?;
            findings = matter.findings;
            apply(&mut document, matter.values);
        }
        _ => plain_text::read(text, &mut out)?,
    }
    document.blocks = out.finish(BlockKind::Paragraph)?;
    Ok((vec![document], findings))
}

fn of_pdf(source: &FileSource<'_>, limits: &Limits, reader: &dyn PdfReader) -> Result<Document> {
    let pages = reader.pages(source.bytes).map_err(|fault| fault.file(source.name))?;
    let wrong = |code, message: String| Fault::data(code, message).file(source.name);
    if pages.len() > limits.pages {
        let message = format!("`{}` has more than {} pages", source.name, limits.pages);
        return Err(wrong("BOT-7102", message).hint("split it into several documents"));
    }
    if pages.is_empty() {
        return Err(wrong("BOT-7106", format!("`{}` has no pages that can be read", source.name))
            .hint("open it in a viewer and save it again, or import its text"));
    }
    let with_text = pages
        .iter()
        .filter(|page| page.chars().filter(|c| c.is_alphanumeric()).count() >= 8)
        .count();
    if with_text == 0 || with_text * 5 < pages.len() {
        let message = format!(
            "{with_text} of {} pages of `{}` have text: it is scanned",
            pages.len(),
            source.name
        );
        return Err(wrong("BOT-7105", message)
            .hint("run a program that recognises text over it, and import the result"));
    }
    let mut out = Builder::new(source.name, limits);
    for (n, page) in pages.iter().enumerate() {
        out.begin_page(u32::try_from(n + 1).unwrap_or(u32::MAX));
        pdf::paragraphs(page, &mut out)?;
    }
    let blocks = out.finish(BlockKind::Paragraph)?;
    Ok(Document { id: source.name.to_owned(), blocks, ..Document::default() })
}
