//! 71xx: documents and their formats.

use super::entry::Entry;
use crate::fault_kind::FaultKind;

pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        code: "BOT-7100",
        kind: Some(FaultKind::Gate),
        title: "a file in a format that is not read",
        explanation: "Documents are read from Markdown, HTML, plain text, PDF, DOCX, and tables of questions in CSV or JSON lines. The content decides, not the name: an archive or a picture with the name of a text is refused. Nothing was imported.",
    },
    Entry {
        code: "BOT-7101",
        kind: Some(FaultKind::Gate),
        title: "a document is too large or empty",
        explanation: "A file may have up to 32 MiB, and must hold some text. Split a larger file, or import its text.",
    },
    Entry {
        code: "BOT-7102",
        kind: Some(FaultKind::Gate),
        title: "a document has too much text",
        explanation: "The text of a document, its blocks, its pages or the rows of a table exceed their limits, which are checked again after unpacking and decoding: 16 MiB of text, 200,000 blocks, 5,000 pages, 100,000 rows. A small file that unpacks to much more is refused in this way, too.",
    },
    Entry {
        code: "BOT-7103",
        kind: Some(FaultKind::Gate),
        title: "a document cannot be read as what it is",
        explanation: "The bytes are not text in the encoding of the file: that of its byte-order mark, that which the server or `<meta charset>` declares, else UTF-8. Or a table has no columns `question` and `answer`, a line is not a JSON object, or a DOCX file is damaged. The message names the place.",
    },
    Entry {
        code: "BOT-7104",
        kind: Some(FaultKind::Gate),
        title: "a PDF is encrypted",
        explanation: "A PDF with a password cannot be read, even if viewers open it without asking. Save it without encryption, and import that file.",
    },
    Entry {
        code: "BOT-7105",
        kind: Some(FaultKind::Gate),
        title: "a PDF is scanned",
        explanation: "Most pages of the PDF hold pictures and no text. Run a program that recognises text over it first.",
    },
    Entry {
        code: "BOT-7106",
        kind: Some(FaultKind::Gate),
        title: "a PDF cannot be read",
        explanation: "The PDF is damaged, or reading it takes more memory or time than a document may. PDF files are read in a process of their own, which has limits; only this file is refused.",
    },
    Entry {
        code: "BOT-7107",
        kind: Some(FaultKind::Internal),
        title: "no process for PDF files",
        explanation: "botops reads a PDF in a second process of itself, which could not be started. Check that the program may start processes.",
    },
    Entry {
        code: "BOT-7108",
        kind: None,
        title: "a line of metadata is left out",
        explanation: "The metadata at the beginning of a Markdown file are lines of `key: value` or `key: [value, value]`. Other lines are left out.",
    },
    Entry {
        code: "BOT-7109",
        kind: None,
        title: "a row is left out",
        explanation: "A row of a table of questions has no question or no answer. It is left out.",
    },
];
