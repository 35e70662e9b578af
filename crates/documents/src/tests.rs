//! Files in every format, and hostile ones.

use crate::{BlockKind, Declared, Document, FileSource, Limits, PdfReader, ReadFile, pdf, read};
use botops_findings::Result;
use proptest::prelude::*;
use std::io::Write as _;

/// Reads PDF files in this process.
struct Here;

impl PdfReader for Here {
    fn pages(&self, bytes: &[u8]) -> Result<Vec<String>> {
        let answer: serde_json::Value = serde_json::from_str(&pdf::answer(bytes)).unwrap();
        match answer["pages"].as_array() {
            Some(pages) => Ok(pages.iter().map(|it| it.as_str().unwrap().to_owned()).collect()),
            None => Err(botops_findings::Fault::data("BOT-7106", answer.to_string())),
        }
    }
}

fn read_as(name: &str, bytes: &[u8], limits: &Limits) -> Result<ReadFile> {
    read(&FileSource { name, bytes, declared: &Declared::default() }, limits, &Here)
}

fn only(name: &str, text: &str) -> Document {
    let mut read = read_as(name, text.as_bytes(), &Limits::default()).unwrap();
    assert_eq!(read.documents.len(), 1);
    read.documents.remove(0)
}

fn shown(document: &Document) -> Vec<String> {
    let of = |kind| match kind {
        BlockKind::Heading { level } => format!("h{level}"),
        BlockKind::Paragraph => "p".to_owned(),
        BlockKind::ListItem => "li".to_owned(),
        BlockKind::TableRow { is_head: true } => "th".to_owned(),
        BlockKind::TableRow { is_head: false } => "tr".to_owned(),
        BlockKind::Code => "pre".to_owned(),
    };
    document.blocks.iter().map(|it| format!("{}: {}", of(it.kind), it.text)).collect()
}

fn code(name: &str, bytes: &[u8]) -> (&'static str, u8) {
    let fault = read_as(name, bytes, &Limits::default()).unwrap_err();
    (fault.code(), fault.kind().exit_code())
}

#[test]
fn markdown_keeps_headings_lists_tables_and_code() {
    let document = only(
        "help/returns.md",
        "---\ntitle: Returns\nlanguage: en\nurl: https://shop.example/returns\naccess: [staff, \"partners\"]\nteam: care\nupdated_at: 2026-11-02\n---\n# Returns\n\nSend it back\nwithin **30 days**.\n\n- with the `receipt`\n- unused\n\n| size | fee |\n|---|---|\n| small | 2 EUR |\n\n```\nbox 1\n  box 2\n```\n<script>alert(1)</script>\n",
    );
    assert_eq!(
        shown(&document),
        [
            "h1: Returns",
            "p: Send it back within 30 days.",
            "li: with the receipt",
            "li: unused",
            "th: size | fee",
            "tr: small | 2 EUR",
            "pre: box 1\n  box 2",
        ]
    );
    assert_eq!((document.title.as_str(), document.language.as_deref()), ("Returns", Some("en")));
    assert_eq!(document.url.as_deref(), Some("https://shop.example/returns"));
    assert_eq!(
        document.access.iter().map(String::as_str).collect::<Vec<_>>(),
        ["partners", "staff"]
    );
    assert_eq!(document.metadata["team"], "care");
    assert_eq!(document.updated_at.unwrap().to_rfc3339(), "2026-11-02T00:00:00+00:00");
    let read = read_as("a.md", b"---\nno colon\n---\nText.", &Limits::default()).unwrap();
    assert_eq!(
        (read.findings[0].code.as_str(), read.findings[0].place.line),
        ("BOT-7108", Some(2))
    );
    assert_eq!(only("my-page.md", "---\nnot metadata").title, "my page");
}

#[test]
fn html_keeps_what_a_reader_sees() {
    let document = only(
        "page.html",
        r#"<!doctype html><html lang="fr-CA"><head><title>Livraison &amp; retours</title>
        <link rel=canonical href="https://boutique.example/livraison"><style>p{color:red}</style></head>
        <body><nav><ul><li>Accueil</li></ul></nav><header><h1>Livraison</h1></header>
        <p>Deux jours<br>ouvrés.<p>Gratuite&nbsp;dès 50&nbsp;€.
        <script>var a = "<p>not text</p>";</script>
        <div hidden>secret</div><div style="display: none">also secret</div>
        <svg><title>icon</title><text>x</text></svg>
        <table><tr><th>Pays</th><th>Prix</th></tr><tr><td>France</td><td><p>5 €</p></td></tr></table>
        <pre>a
  b</pre><img src=x alt="une boîte" onerror=alert(1)><footer>mentions</footer></body></html>"#,
    );
    assert_eq!(
        shown(&document),
        [
            "h1: Livraison",
            "p: Deux jours ouvrés.",
            "p: Gratuite dès 50 €.",
            "th: Pays | Prix",
            "tr: France | 5 €",
            "pre: a\n  b",
            "p: une boîte",
        ]
    );
    assert_eq!(document.title, "Livraison & retours");
    assert_eq!(document.language.as_deref(), Some("fr-ca"));
    assert_eq!(document.url.as_deref(), Some("https://boutique.example/livraison"));
    let unsafe_link =
        only("a.html", "<html><link rel=canonical href='javascript:alert(1)'><p>Some text");
    assert_eq!(unsafe_link.url, None);
    // The content decides.
    assert_eq!(shown(&only("a.txt", "<html><body><p>One<script>x</script>")), ["p: One"]);
}

#[test]
fn deep_nesting_and_endless_elements_end_in_time() {
    let deep = format!("<html>{}<p>deep</p>", "<div>".repeat(60_000));
    assert_eq!(shown(&only("a.html", &deep)), ["p: deep"]);
    let hidden = format!("<html><p>one</p>{}", "<nav>".repeat(60_000));
    assert_eq!(shown(&only("a.html", &hidden)), ["p: one"]);
    let attributes: String = (0..20_000).map(|n| format!(" a{n}")).collect();
    for tag in [
        format!("<p{attributes}>text"),
        format!("<p>text</p{attributes}>"),
        // The tokenizer returns what is before such a tag late, or the tag before ends in a comment.
        format!("<<p{attributes}>text"),
        format!("&amp<p{attributes}>text"),
        format!("<!--<a b=\"--><p{attributes}>text"),
        format!("<script><a b=\"</script><p{attributes}>text"),
        format!("<p a='<b<b<b'{attributes}>text"),
    ] {
        assert_eq!(code("a.html", format!("<html>{tag}").as_bytes()), ("BOT-7102", 3));
    }
    // Text that only looks like such a tag, and one long value.
    let others = format!(
        "<html><script>if (a<b{attributes}) x;</script><p title='{attributes}'>a &lt;b{attributes}"
    );
    assert!(shown(&only("a.html", &others))[0].starts_with("p: a <b a0 a1"));
    let quotes = format!("{} deep", "> ".repeat(20_000));
    assert_eq!(only("a.md", &quotes).blocks.len(), 1);
}

#[test]
fn rows_of_questions_are_documents() {
    let text = "Question;Answer;URL;Team\nWhere is it?;\"In two days.\n\nOr three.\";https://shop.example/a;care\n;empty;;\n";
    let read = read_as("faq.csv", text.as_bytes(), &Limits::default()).unwrap();
    assert_eq!(read.findings.len(), 1);
    assert_eq!(
        (read.findings[0].code.as_str(), read.findings[0].place.record),
        ("BOT-7109", Some(2))
    );
    let row = &read.documents[0];
    assert_eq!((row.id.as_str(), row.title.as_str()), ("faq.csv#1", "Where is it?"));
    assert_eq!(shown(row), ["p: In two days.", "p: Or three."]);
    assert_eq!(row.metadata["team"], "care");
    let lines = "{\"question\": \"Who?\", \"answer\": \"We.\"}\n\n{\"question\": \"How?\", \"answer\": \"So.\", \"n\": 3}\n";
    let read = read_as("faq.jsonl", lines.as_bytes(), &Limits::default()).unwrap();
    assert_eq!(
        read.documents.iter().map(|it| it.id.as_str()).collect::<Vec<_>>(),
        ["faq.jsonl#1", "faq.jsonl#2"]
    );
    assert_eq!(code("faq.csv", b"a,b\n1,2\n"), ("BOT-7103", 3));
    assert_eq!(code("faq.jsonl", b"{\"question\": 1\n"), ("BOT-7103", 3));
    let fault = read_as(
        "faq.jsonl",
        b"{\"question\": \"a\", \"answer\": \"b\"}\n[1]\n",
        &Limits::default(),
    );
    assert_eq!(fault.unwrap_err().place().line, Some(2));
}

/// A document for some people must never be read as one for all.
#[test]
fn access_tags_are_read_however_they_are_written() {
    for matter in [
        "access: [staff, partners]",
        "access: staff, partners",
        "access:\n  - staff\n  - \"partners\"",
        "\"access\": ['staff', 'partners']",
        "Access:\n- partners\n- staff\nteam: care",
    ] {
        for dashes in ["---", "--- "] {
            let text = format!("{dashes}\n{matter}\n---\nText.");
            let read = read_as("a.md", text.as_bytes(), &Limits::default()).unwrap();
            let access: Vec<&str> = read.documents[0].access.iter().map(String::as_str).collect();
            assert_eq!(access, ["partners", "staff"], "{text}");
            assert_eq!(read.findings.len(), 0, "{text}");
        }
    }
    let page = "<html><meta name=Access content='staff, partners'><body><p>Some text";
    let csv = "question,answer,access\nWho?,We.,\"staff, partners\"\n";
    let list =
        "{\"question\": \"Who?\", \"answer\": \"We.\", \"access\": [\"staff\", \"partners\"]}";
    for (name, text) in [("a.html", page), ("a.csv", csv), ("a.jsonl", list)] {
        let document = only(name, text);
        let access: Vec<&str> = document.access.iter().map(String::as_str).collect();
        assert_eq!(access, ["partners", "staff"], "{text}");
        assert!(document.metadata.is_empty(), "{text}");
    }
}

#[test]
fn a_hostile_table_of_questions_stays_small_in_memory() {
    let name = "n".repeat(1 << 16);
    let columns: String = (0..200).map(|n| format!(",c{n}")).collect();
    let row = format!("Who?,We.,x{}\n", ",y".repeat(200));
    let text = format!("question,answer,{name}{columns}\n{}", row.repeat(50));
    let read = read_as("faq.csv", text.as_bytes(), &Limits::default()).unwrap();
    assert_eq!(read.documents.len(), 50);
    for document in &read.documents {
        assert_eq!(document.metadata.len(), 32);
        assert!(document.metadata.keys().all(|key| key.len() <= 64));
    }
    for (name, row) in [("faq.csv", "a,\n"), ("faq.jsonl", "{}\n")] {
        let rest = if name == "faq.csv" {
            "question,answer\nWho?,We.\n"
        } else {
            "{\"q\":\"Who?\",\"a\":\"We.\"}\n"
        };
        let text = format!("{rest}{}", row.repeat(10_000));
        let read = read_as(name, text.as_bytes(), &Limits::default()).unwrap();
        assert_eq!(read.findings.len(), 101);
        assert!(read.findings[100].message.starts_with("9900 more rows"));
    }
    let few = Limits { blocks: 3, ..Limits::default() };
    let text = "question,answer\nWho?,\"a\n\nb\n\nc\n\nd\"\n";
    assert_eq!(read_as("faq.csv", text.as_bytes(), &few).unwrap_err().code(), "BOT-7102");
}

/// Returns a PDF with one line of text on each page.
pub(crate) fn pdf_of(pages: &[&str]) -> Vec<u8> {
    let n = pages.len();
    let kids: Vec<String> = (0..n).map(|i| format!("{} 0 R", 4 + 2 * i)).collect();
    let mut objects = vec![
        "<< /Type /Catalog /Pages 2 0 R >>".to_owned(),
        format!("<< /Type /Pages /Kids [{}] /Count {n} >>", kids.join(" ")),
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>"
            .to_owned(),
    ];
    for (i, text) in pages.iter().enumerate() {
        let stream = format!("BT /F1 12 Tf 72 720 Td ({text}) Tj ET");
        objects.push(format!(
            "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Resources << /Font << /F1 3 0 R >> >> /Contents {} 0 R >>",
            5 + 2 * i
        ));
        objects.push(format!("<< /Length {} >>\nstream\n{stream}\nendstream", stream.len()));
    }
    let mut out = b"%PDF-1.4\n".to_vec();
    let mut places = Vec::new();
    for (i, object) in objects.iter().enumerate() {
        places.push(out.len());
        write!(out, "{} 0 obj\n{object}\nendobj\n", i + 1).unwrap();
    }
    let at = out.len();
    write!(out, "xref\n0 {}\n0000000000 65535 f \n", objects.len() + 1).unwrap();
    for place in places {
        writeln!(out, "{place:010} 00000 n ").unwrap();
    }
    write!(out, "trailer\n<< /Size {} /Root 1 0 R >>\nstartxref\n{at}\n%%EOF\n", objects.len() + 1)
        .unwrap();
    out
}

#[test]
fn a_pdf_gives_the_text_of_its_pages_and_a_scanned_or_broken_one_says_so() {
    let bytes = pdf_of(&["Returns within thirty days.", "Shipping takes two days."]);
    let read = read_as("guide.pdf", &bytes, &Limits::default()).unwrap();
    let document = &read.documents[0];
    let found: Vec<_> = document.blocks.iter().map(|it| (it.text.as_str(), it.page)).collect();
    assert_eq!(
        found,
        [("Returns within thirty days.", Some(1)), ("Shipping takes two days.", Some(2))]
    );
    assert_eq!(document.title, "guide");
    assert_eq!(code("scan.pdf", &pdf_of(&["", "", ""])), ("BOT-7105", 3));
    assert_eq!(code("none.pdf", &pdf_of(&[])), ("BOT-7106", 3));
    assert_eq!(code("cut.pdf", &bytes[..bytes.len() / 2]), ("BOT-7106", 3));
    let few = Limits { pages: 1, ..Limits::default() };
    assert_eq!(read_as("guide.pdf", &bytes, &few).unwrap_err().code(), "BOT-7102");
    // One whose text cannot be read, and that says it is encrypted.
    let encrypted = [&bytes[..bytes.len() / 2], b" /Encrypt 9 0 R".as_slice()].concat();
    assert!(pdf::answer(&encrypted).contains("encrypted"));
}

fn docx_of(xml: &str) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    writer.start_file("word/document.xml", zip::write::SimpleFileOptions::default()).unwrap();
    writer.write_all(xml.as_bytes()).unwrap();
    writer.finish().unwrap().into_inner()
}

#[test]
fn a_docx_keeps_styles_and_tables_and_a_bomb_is_refused() {
    let xml = r#"<?xml version="1.0"?><w:document xmlns:w="x"><w:body>
        <w:p><w:pPr><w:pStyle w:val="Heading2"/></w:pPr><w:r><w:t>Returns &amp; more</w:t></w:r></w:p>
        <w:p><w:r><w:t>Within </w:t></w:r><w:del><w:r><w:t>14</w:t></w:r></w:del><w:r><w:rPr><w:vanish/></w:rPr><w:t>hidden </w:t></w:r><w:r><w:rPr><w:vanish w:val="0"/></w:rPr><w:t>30 days.</w:t></w:r></w:p>
        <w:p><w:pPr><w:numPr/></w:pPr><w:r><w:t>unused</w:t></w:r></w:p>
        <w:tbl><w:tr><w:tc><w:p><w:r><w:t>size</w:t></w:r></w:p></w:tc><w:tc><w:p><w:r><w:t>fee</w:t></w:r></w:p></w:tc></w:tr>
        <w:tr><w:tc><w:p><w:r><w:t>small</w:t></w:r></w:p></w:tc><w:tc><w:p><w:r><w:t>2</w:t></w:r></w:p></w:tc></w:tr></w:tbl>
        </w:body></w:document>"#;
    let read = read_as("a.docx", &docx_of(xml), &Limits::default()).unwrap();
    assert_eq!(
        shown(&read.documents[0]),
        [
            "h2: Returns & more",
            "p: Within 30 days.",
            "li: unused",
            "th: size | fee",
            "tr: small | 2"
        ]
    );
    let small = Limits { text_bytes: 4_096, ..Limits::default() };
    let bomb = docx_of(&format!("<a>{}</a>", " ".repeat(10 << 20)));
    assert!(bomb.len() < 100_000);
    assert_eq!(read_as("a.docx", &bomb, &small).unwrap_err().code(), "BOT-7102");
    assert_eq!(code("a.docx", b"PK\x03\x04 nothing"), ("BOT-7103", 3));
    let entities = r#"<!DOCTYPE a [<!ENTITY b "cccc">]><a>&b;</a>"#;
    assert_eq!(
        read_as("a.docx", &docx_of(entities), &Limits::default()).unwrap_err().code(),
        "BOT-7103"
    );
}

#[test]
fn binary_empty_and_oversized_files_are_refused() {
    assert_eq!(code("a.md", b"\x89PNG\r\n\x1a\n\0\0\0"), ("BOT-7100", 3));
    assert_eq!(code("a.md", b"  \n"), ("BOT-7101", 3));
    assert_eq!(code("a.html", b"<html><script>only()</script>"), ("BOT-7101", 3));
    assert_eq!(code("a.md", b"caf\xe9 noir"), ("BOT-7103", 3));
    let tight = Limits { file_bytes: 10, ..Limits::default() };
    assert_eq!(read_as("a.md", b"more than ten bytes", &tight).unwrap_err().code(), "BOT-7101");
    let tight = Limits { text_bytes: 10, ..Limits::default() };
    assert_eq!(read_as("a.md", b"more than ten bytes", &tight).unwrap_err().code(), "BOT-7102");
    let tight = Limits { blocks: 1, ..Limits::default() };
    assert_eq!(read_as("a.md", b"one\n\ntwo", &tight).unwrap_err().code(), "BOT-7102");
}

#[test]
fn the_language_is_declared_or_guessed_and_declared_metadata_wins() {
    let text = "Vous pouvez renvoyer un article dans les trente jours qui suivent la livraison.";
    assert_eq!(only("a.txt", text).language.as_deref(), Some("fr"));
    let declared = Declared {
        language: Some("EN_us".to_owned()),
        url: Some("https://shop.example/x".to_owned()),
        access: ["staff".to_owned()].into(),
        ..Declared::default()
    };
    let source = FileSource {
        name: "a.md",
        bytes: b"---\nlang: fr\naccess: [all]\n---\nText.",
        declared: &declared,
    };
    let read = read(&source, &Limits::default(), &Here).unwrap();
    let document = &read.documents[0];
    assert_eq!(document.language.as_deref(), Some("en-us"));
    assert_eq!(document.access.len(), 2);
    assert_eq!(document.url.as_deref(), Some("https://shop.example/x"));
}

proptest! {
    #[test]
    fn no_bytes_make_a_reader_panic(
        begin in prop::sample::select(vec!["", "<html>", "---\n", "| a | b |\n|-|-|\n", "question,answer\n", "{\"question\":", "PK\u{3}\u{4}"]),
        name in prop::sample::select(vec!["a.md", "a.html", "a.csv", "a.jsonl", "a.txt", "a.docx"]),
        text in "[<>a-z/\"'=&;#|\\-`*\\[\\]() \n\u{0}-\u{10ffff}]{0,200}",
    ) {
        let bytes = format!("{begin}{text}");
        let _ = read_as(name, bytes.as_bytes(), &Limits::default());
    }
}
