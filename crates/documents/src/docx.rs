//! Documents of a word processor (DOCX): paragraphs with their styles, and tables.

use crate::{
    builder::Builder,
    document::{BlockKind, Document},
    file::FileSource,
    limits::Limits,
};
use botops_findings::{Fault, Result};
use quick_xml::{
    Reader,
    events::{BytesStart, Event},
};
use std::io::{Cursor, Read as _};

/// The part of the package with the text.
const BODY: &str = "word/document.xml";
/// Bytes of XML that one byte of text may take.
const MARKUP: usize = 16;

/// Reads the document of a package.
pub(crate) fn read(source: &FileSource<'_>, limits: &Limits) -> Result<Document> {
    let wrong = |code, message: String| Fault::data(code, message).file(source.name);
    let broken = |problem: String| {
        wrong("BOT-7103", format!("`{}` cannot be read as a DOCX file: {problem}", source.name))
            .hint("save it again as DOCX, or as plain text")
    };
    let mut package = zip::ZipArchive::new(Cursor::new(source.bytes))
        .map_err(|error| broken(error.to_string()))?;
    let part = match package.by_name(BODY) {
        Ok(part) => part,
        Err(zip::result::ZipError::FileNotFound) => {
            let message =
                format!("`{}` is an archive, and no document of a word processor", source.name);
            return Err(wrong("BOT-7100", message).hint("unpack it, and import the files in it"));
        }
        Err(error) => return Err(broken(error.to_string())),
    };
    let most = limits.text_bytes.saturating_mul(MARKUP);
    let mut xml = Vec::new();
    // The size in its header may be wrong.
    part.take(most as u64 + 1).read_to_end(&mut xml).map_err(|error| broken(error.to_string()))?;
    if xml.len() > most {
        let message = format!("`{}` unpacks to more than {most} bytes", source.name);
        return Err(wrong("BOT-7102", message).hint("split it into several documents"));
    }
    let mut out = Builder::new(source.name, limits);
    body(&xml, &mut out, &broken)?;
    let blocks = out.finish(BlockKind::Paragraph)?;
    Ok(Document { id: source.name.to_owned(), blocks, ..Document::default() })
}

/// Adds the text of the body. Entities of a document type are not expanded: there are none in these files.
fn body(xml: &[u8], out: &mut Builder<'_>, broken: &dyn Fn(String) -> Fault) -> Result<()> {
    let mut reader = Reader::from_reader(xml);
    let mut buffer = Vec::new();
    let (mut kind, mut in_text, mut is_hidden) = (BlockKind::Paragraph, false, false);
    let (mut depth_of_row, mut cells, mut row, mut deleted) = (0_u32, 0_usize, 0_usize, 0_u32);
    loop {
        match reader.read_event_into(&mut buffer).map_err(|error| broken(error.to_string()))? {
            Event::Start(tag) => match tag.local_name().as_ref() {
                b"p" if depth_of_row == 0 => kind = BlockKind::Paragraph,
                b"r" => is_hidden = false,
                b"t" => in_text = deleted == 0 && !is_hidden,
                b"del" | b"moveFrom" => deleted += 1,
                b"tbl" => row = 0,
                b"tr" => (depth_of_row, cells) = (depth_of_row + 1, 0),
                b"tc" if depth_of_row == 1 => {
                    if cells > 0 {
                        out.push(" | ")?;
                    }
                    cells += 1;
                }
                _ => {}
            },
            Event::Empty(tag) => match tag.local_name().as_ref() {
                b"pStyle" if depth_of_row == 0 => {
                    let style = tag
                        .attributes()
                        .flatten()
                        .find(|it| it.key.local_name().as_ref() == b"val");
                    kind = style.map_or(kind, |it| kind_of(&String::from_utf8_lossy(&it.value)));
                }
                b"vanish" | b"webHidden" => is_hidden = is_on(&tag),
                b"numPr" if depth_of_row == 0 => kind = BlockKind::ListItem,
                b"tab" | b"br" => out.push(" ")?,
                _ => {}
            },
            Event::Text(text) if in_text => {
                out.push(&text.decode().map_err(|error| broken(error.to_string()))?)?;
            }
            Event::GeneralRef(name) if in_text => out.push(entity(&name))?,
            Event::End(tag) => match tag.local_name().as_ref() {
                b"t" => in_text = false,
                b"del" | b"moveFrom" => deleted = deleted.saturating_sub(1),
                b"r" => is_hidden = false,
                b"p" if depth_of_row == 0 => out.end(kind)?,
                b"p" => out.push(" ")?,
                b"tr" => {
                    depth_of_row = depth_of_row.saturating_sub(1);
                    if depth_of_row == 0 {
                        out.end(BlockKind::TableRow { is_head: row == 0 })?;
                        row += 1;
                    }
                }
                _ => {}
            },
            Event::DocType(_) => return Err(broken("it declares a document type".to_owned())),
            Event::Eof => return Ok(()),
            _ => {}
        }
        buffer.clear();
    }
}

/// Returns whether a property such as `<w:vanish/>` is set: it is, unless its value says no.
fn is_on(tag: &BytesStart<'_>) -> bool {
    let value = tag.attributes().flatten().find(|it| it.key.local_name().as_ref() == b"val");
    value.is_none_or(|it| !matches!(&*it.value, b"0" | b"false" | b"off"))
}

fn kind_of(style: &str) -> BlockKind {
    let style = style.to_lowercase();
    let level = style.bytes().rev().find(u8::is_ascii_digit).map_or(1, |digit| digit - b'0');
    match style.as_str() {
        "title" => BlockKind::Heading { level: 1 },
        _ if ["heading", "titre", "berschrift"].iter().any(|name| style.contains(name)) => {
            BlockKind::Heading { level: level.clamp(1, 6) }
        }
        _ if style.contains("list") => BlockKind::ListItem,
        _ => BlockKind::Paragraph,
    }
}

/// Returns the text of an entity that XML itself defines; the others have none.
fn entity(name: &[u8]) -> &'static str {
    match name {
        b"amp" => "&",
        b"lt" => "<",
        b"gt" => ">",
        b"quot" => "\"",
        b"apos" => "'",
        _ => " ",
    }
}
