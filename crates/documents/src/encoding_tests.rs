//! Files in encodings other than UTF-8.

use crate::{Declared, DocumentFormat, FileSource, Limits, PdfReader, ReadFile, read};
use botops_findings::{Fault, Result};
use encoding_rs::Encoding;

/// No file of these tests is a PDF.
struct NoPdf;

impl PdfReader for NoPdf {
    fn pages(&self, _: &[u8]) -> Result<Vec<String>> {
        Err(Fault::data("BOT-7106", "no PDF is expected"))
    }
}

fn read_declared(
    name: &str,
    bytes: &[u8],
    charset: Option<&str>,
    limits: &Limits,
) -> Result<ReadFile> {
    let declared = Declared { charset: charset.map(str::to_owned), ..Declared::default() };
    read(&FileSource { name, bytes, declared: &declared }, limits, &NoPdf)
}

fn text_of(name: &str, bytes: &[u8], charset: Option<&str>) -> String {
    let read = read_declared(name, bytes, charset, &Limits::default()).unwrap();
    let blocks = read.documents.iter().flat_map(|document| &document.blocks);
    blocks.map(|block| block.text.as_str()).collect::<Vec<_>>().join("|")
}

fn fault_of(name: &str, bytes: &[u8], charset: Option<&str>) -> Fault {
    read_declared(name, bytes, charset, &Limits::default()).unwrap_err()
}

fn encoded(text: &str, encoding: &str) -> Vec<u8> {
    let encoding = Encoding::for_label(encoding.as_bytes()).unwrap();
    let (bytes, _, is_lossy) = encoding.encode(text);
    assert!(!is_lossy);
    bytes.into_owned()
}

fn utf_16(text: &str, of: fn(u16) -> [u8; 2]) -> Vec<u8> {
    "\u{feff}".encode_utf16().chain(text.encode_utf16()).flat_map(of).collect()
}

#[test]
fn a_mark_of_the_byte_order_decides_in_every_format() {
    for of in [u16::to_le_bytes as fn(u16) -> [u8; 2], u16::to_be_bytes] {
        let page = utf_16("<!DOCTYPE html><meta charset=koi8-r><p>où est mon colis ? 😀", of);
        assert_eq!(text_of("a.txt", &page, Some("iso-8859-1")), "où est mon colis ? 😀");
        assert_eq!(DocumentFormat::of("a.txt", &page), Some(DocumentFormat::Html));
        assert_eq!(text_of("a.md", &utf_16("# Été\n\nUn jour.", of), None), "Été|Un jour.");
        let table = utf_16("question;answer\nOù ?;Là-bas.\n", of);
        assert_eq!(text_of("a.csv", &table, None), "Là-bas.");
    }
    assert_eq!(text_of("a.txt", "\u{feff}déjà".as_bytes(), Some("windows-1252")), "déjà");
}

#[test]
fn a_page_is_read_in_the_encoding_of_its_meta_element_and_that_of_the_server_wins() {
    for (label, text) in [
        ("ISO-8859-1", "Vous avez trente jours après réception."),
        ("windows-1252", "“trente jours” – 20 €"),
        ("iso-8859-15", "20 € à Paris"),
        ("koi8-r", "Верните товар"),
        ("shift_jis", "返品は三十日以内です"),
        ("gbk", "三十天内退货"),
        ("euc-kr", "삼십일 이내에 반품"),
        ("iso-2022-jp", "返品は三十日以内です"),
    ] {
        let page = format!("<html><head><meta charset=\"{label}\"></head><body><p>{text}");
        let bytes = encoded(&page, label);
        assert_eq!(text_of("a.html", &bytes, None), text, "{label}");
        assert_eq!(text_of("a.html", &bytes, Some(label)), text, "{label}");
        // Markdown and plain text cannot declare it, but a server can.
        assert_eq!(text_of("a.txt", &encoded(text, label), Some(label)), text, "{label}");
    }
    let page = encoded("<meta charset=koi8-r><p>déjà vu", "windows-1252");
    assert_eq!(text_of("a.html", &page, Some("iso-8859-1")), "déjà vu");
    let page = encoded("<?xml version=\"1.0\" encoding=\"iso-8859-1\"?><html><p>déjà", "latin1");
    assert_eq!(text_of("a.xhtml", &page, None), "déjà");
}

#[test]
fn valid_utf_8_is_read_as_such_though_a_declaration_says_latin_1() {
    let page = "<meta charset=iso-8859-1><p>déjà vu";
    assert_eq!(text_of("a.html", page.as_bytes(), None), "déjà vu");
    assert_eq!(text_of("a.txt", "déjà vu".as_bytes(), Some("iso-8859-1")), "déjà vu");
    // In an encoding of several bytes a character, the declaration holds: these bytes are valid UTF-8, too.
    assert_eq!(encoded("茅", "gbk"), "é".as_bytes());
    assert_eq!(text_of("a.txt", "é".as_bytes(), Some("gbk")), "茅");
}

#[test]
fn bytes_that_are_no_text_are_refused_with_their_place() {
    let fault = fault_of("a.txt", b"caf\xe9 noir", None);
    assert_eq!((fault.code(), fault.kind().exit_code()), ("BOT-7103", 3));
    assert_eq!(fault.message(), "`a.txt` is not UTF-8: byte 3 is 0xE9");
    let fault = fault_of("a.html", b"<meta charset=shift_jis><p>ab\x81", None);
    assert_eq!(fault.message(), "`a.html` is not Shift_JIS: byte 29 is 0x81");
    // An unknown name counts for nothing, and so does UTF-16 in a page that is read byte by byte.
    let fault = fault_of("a.html", b"<meta charset=klingon><p>\xe9", None);
    assert_eq!(fault.message(), "`a.html` is not UTF-8: byte 25 is 0xE9");
    assert_eq!(text_of("a.html", "<meta charset=utf-16le><p>déjà".as_bytes(), None), "déjà");
    assert_eq!(text_of("a.txt", b"plain", Some("iso-2022-kr")), "plain");
    // Half a character, a mark of UTF-32, and a program behind a long text.
    assert_eq!(fault_of("a.md", b"\xff\xfea\0\x3d\xd8", None).code(), "BOT-7103");
    assert_eq!(fault_of("a.md", b"\xff\xfe\0\0a\0\0\0", None).code(), "BOT-7100");
    let late = [vec![b'a'; 9_000], vec![0; 9]].concat();
    assert_eq!(fault_of("a.md", &late, None).code(), "BOT-7103");
    assert_eq!(fault_of("a.md", &late, Some("windows-1252")).code(), "BOT-7103");
}

#[test]
fn a_text_that_is_larger_after_decoding_is_refused() {
    let bytes = vec![0xe9_u8; 2_000];
    let limits = Limits { file_bytes: 3_000, ..Limits::default() };
    let fault = read_declared("a.txt", &bytes, Some("iso-8859-1"), &limits).unwrap_err();
    assert_eq!((fault.code(), fault.kind().exit_code()), ("BOT-7102", 3));
    let limits = Limits { file_bytes: 4_000, ..Limits::default() };
    assert!(read_declared("a.txt", &bytes, Some("iso-8859-1"), &limits).is_ok());
}
