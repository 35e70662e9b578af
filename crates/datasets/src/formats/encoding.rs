//! Decoding: the bytes of a text file become UTF-8 text, or a fault that says which kind of file it is.

use botops_findings::{Fault, Place, Result};
use std::io::{self, Read};

/// The longest record, in bytes. A longer one has an open quote, or the file is not a table.
pub(crate) const LONGEST: usize = 64 << 20;

/// The bytes at the start of a file that show whether it is binary.
const BINARY_HEAD: usize = 8 << 10;
/// The place of the mark of a tar archive, whose beginning is a file name.
const TAR_MARK: std::ops::Range<usize> = 257..262;

/// The encoding of a text file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Encoding {
    /// UTF-8, with or without a byte-order mark.
    #[default]
    Utf8,
    /// Windows-1252, which contains Latin-1. Every byte is a character.
    Windows1252,
}

impl Encoding {
    /// Every encoding, with its name on a command line.
    pub const ALL: [(&'static str, Self); 2] =
        [("utf-8", Self::Utf8), ("windows-1252", Self::Windows1252)];

    /// Returns its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(_, encoding)| *encoding == self).map_or("", |(name, _)| name)
    }

    /// Returns the encoding called `word`, which may be another common name: `utf8`, `cp1252`, `latin-1`.
    #[must_use]
    pub fn of_name(word: &str) -> Option<Self> {
        match word.to_lowercase().replace(['-', '_'], "").as_str() {
            "utf8" => Some(Self::Utf8),
            "windows1252" | "cp1252" | "latin1" | "iso88591" => Some(Self::Windows1252),
            _ => None,
        }
    }

    /// Refuses a file whose first bytes, after a mark of UTF-8 if it `is_marked`, show that it is not text of this encoding.
    ///
    /// # Errors
    /// Those of [`check_beginning`]; `BOT-1040` (exit 2) for a mark of UTF-8 in a file of another encoding.
    pub(crate) fn check(self, bytes: &[u8], is_marked: bool, file: &str) -> Result<()> {
        if is_marked && self != Self::Utf8 {
            let message = format!("the file is marked as UTF-8, not {}", self.name());
            return Err(Fault::usage("BOT-1040", message)
                .file(file)
                .hint("leave out `--encoding`: the file begins with a byte-order mark"));
        }
        check_beginning(bytes, self, file)
    }
}

/// Windows-1252 text that is read as UTF-8.
pub(crate) struct Transcoded<R> {
    source: R,
    /// UTF-8 bytes, of which those from `at` on were not yet read.
    made: Vec<u8>,
    at: usize,
}

impl<R> Transcoded<R> {
    /// Reads `source`, which is Windows-1252.
    pub(crate) fn new(source: R) -> Self {
        Self { source, made: Vec::new(), at: 0 }
    }
}

impl<R: Read> Read for Transcoded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.at == self.made.len() {
            let mut bytes = vec![0; BINARY_HEAD];
            let n = self.source.read(&mut bytes)?;
            let (text, _) = encoding_rs::WINDOWS_1252.decode_without_bom_handling(&bytes[..n]);
            (self.made, self.at) = (text.into_owned().into_bytes(), 0);
        }
        let n = buffer.len().min(self.made.len() - self.at);
        buffer[..n].copy_from_slice(&self.made[self.at..self.at + n]);
        self.at += n;
        Ok(n)
    }
}

/// The first bytes of files of other kinds.
const MAGIC: &[(&[u8], &str)] = &[
    (b"PAR1", "a Parquet file: name it `.parquet`"),
    (b"PK\x03\x04", "a zip archive or a spreadsheet such as `.xlsx`: export it as CSV UTF-8"),
    (b"\xd0\xcf\x11\xe0", "an old Office document such as `.xls`: export it as CSV UTF-8"),
    (b"\x1f\x8b", "a gzip file: unpack it with `gunzip`"),
    (b"\x28\xb5\x2f\xfd", "a zstd file: unpack it with `unzstd`"),
    (b"BZh", "a bzip2 file: unpack it with `bunzip2`"),
    (b"\xfd7zXZ\x00", "an xz file: unpack it with `unxz`"),
    (b"%PDF", "a PDF"),
    (b"\x89PNG", "a picture"),
    (b"\xff\xd8\xff", "a picture"),
    (b"GIF8", "a picture"),
    (b"\x7fELF", "a program"),
    (b"SQLite format 3", "a SQLite database: export the table as CSV"),
    (b"ARROW1", "an Arrow file: convert it to Parquet or CSV"),
    (b"Obj\x01", "an Avro file: convert it to JSONL or CSV"),
];

/// The fault of an empty file.
pub(crate) fn empty(file: &str) -> Fault {
    Fault::data("BOT-2102", "the file is empty")
        .at(Place { file: Some(file.to_owned()), ..Place::default() })
        .hint("check the program that should have written it")
}

/// The fault of a file that has a header and no record.
pub(crate) fn no_record(file: &str) -> Fault {
    Fault::data("BOT-2102", "the file has a header and no record")
        .at(Place { file: Some(file.to_owned()), ..Place::default() })
        .hint("check the program that should have written it")
}

/// The fault of a record of more than 64 MiB.
pub(crate) fn too_long(place: Place) -> Fault {
    Fault::data("BOT-2163", format!("the record is longer than {} MiB", LONGEST >> 20))
        .at(place)
        .hint("look for a quote that is never closed, or split the record")
}

/// The position in a file at which a part of it begins.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Start {
    /// The offset of its first byte, from 0.
    pub(crate) offset: u64,
    /// The line of that byte, from 1.
    pub(crate) line: u64,
    /// The number of characters before it on that line.
    pub(crate) column: usize,
    /// The number of records before it.
    pub(crate) records: u64,
}

impl Start {
    /// Begins a file whose text begins at the byte `offset`, after a byte-order mark.
    pub(crate) fn at(offset: u64) -> Self {
        Self { offset, line: 1, column: 0, records: 0 }
    }
}

/// Refuses a file whose first bytes show that it is not text.
///
/// A NUL among bytes that are not text makes a file binary. In a text, it is a character of its record or its header,
/// wherever it stands.
///
/// # Errors
/// Exit 3: `BOT-2103` binary, `BOT-2104` UTF-16 or UTF-32.
fn check_beginning(bytes: &[u8], encoding: Encoding, file: &str) -> Result<()> {
    let whole = || Place { file: Some(file.to_owned()), ..Place::default() };
    let utf16 = |order: &str| {
        Fault::data("BOT-2104", format!("the file is UTF-16 ({order}): expected UTF-8"))
            .at(whole())
            .hint(format!("convert it: `iconv -f UTF-16 -t UTF-8 {file} > utf8.csv`"))
    };
    match bytes {
        [0xff, 0xfe, 0, 0, ..] | [0, 0, 0xfe, 0xff, ..] => {
            return Err(Fault::data("BOT-2104", "the file is UTF-32: expected UTF-8")
                .at(whole())
                .hint(format!("convert it: `iconv -f UTF-32 -t UTF-8 {file} > utf8.csv`")));
        }
        [0xff, 0xfe, ..] => return Err(utf16("little endian")),
        [0xfe, 0xff, ..] => return Err(utf16("big endian")),
        _ => {}
    }
    if let Some((_, kind)) = MAGIC.iter().find(|(magic, _)| bytes.starts_with(magic)) {
        let (kind, hint) = kind.split_once(": ").unwrap_or((kind, "name a text file"));
        return Err(Fault::data("BOT-2103", format!("the file is not text: it is {kind}"))
            .at(whole())
            .hint(hint));
    }
    let head = &bytes[..bytes.len().min(BINARY_HEAD)];
    if !head.contains(&0) {
        return Ok(());
    }
    if head.get(TAR_MARK) == Some(b"ustar") {
        return Err(Fault::data("BOT-2103", "the file is not text: it is a tar archive")
            .at(whole())
            .hint("unpack it with `tar -xf`, and name a file of it"));
    }
    let line = head.split(|&byte| byte == b'\n').next().unwrap_or_default();
    let zeros = |parity: usize| head.iter().skip(parity).step_by(2).filter(|&&b| b == 0).count();
    let (even, odd) = (zeros(0), zeros(1));
    // Latin text in UTF-16 has a zero in nearly every second byte, and none in the others.
    if line.get(1) == Some(&0) && odd * 3 > head.len() && even * 20 < head.len() {
        return Err(utf16("little endian, without a mark"));
    }
    if line.first() == Some(&0) && even * 3 > head.len() && odd * 20 < head.len() {
        return Err(utf16("big endian, without a mark"));
    }
    let is_text = encoding == Encoding::Windows1252
        || std::str::from_utf8(head).map_or_else(|error| error.error_len().is_none(), |_| true);
    if !is_text {
        return Err(Fault::data("BOT-2103", "the file is binary: it contains NUL bytes")
            .at(whole())
            .hint("name a CSV, TSV, JSONL or Parquet file"));
    }
    Ok(())
}

/// Returns the longest valid UTF-8 text at the beginning of `bytes`, and whether the byte after it is damage.
///
/// Unless the bytes are the `last` ones of the file, a character that is cut in two at their end is not damage: it is
/// read with the next part.
pub(crate) fn decode(bytes: &[u8], last: bool) -> (&str, bool) {
    match std::str::from_utf8(bytes) {
        Ok(text) => (text, false),
        Err(error) => {
            let valid = std::str::from_utf8(&bytes[..error.valid_up_to()]).unwrap_or_default();
            (valid, last || error.error_len().is_some())
        }
    }
}

/// The fault of the first byte after `valid`, the text at the beginning of `bytes`, which begin at `start` in `file`.
/// The byte belongs to `record`; `None`: to the header, or to no record.
pub(crate) fn not_utf8(
    bytes: &[u8],
    valid: &str,
    file: &str,
    start: Start,
    record: Option<u64>,
) -> Fault {
    let good = valid.len();
    let column = match valid.rfind('\n') {
        Some(newline) => valid[newline + 1..].chars().count(),
        None => start.column + valid.chars().count(),
    };
    let is_cut =
        std::str::from_utf8(&bytes[good..]).is_err_and(|error| error.error_len().is_none());
    let message = if is_cut {
        "the file ends in the middle of a character".to_owned()
    } else {
        format!("the file is not UTF-8: byte 0x{:02X}", bytes[good])
    };
    let offset = start.offset + good as u64;
    let fault = Fault::data("BOT-2104", format!("{message} at offset {offset}")).at(Place {
        file: Some(file.to_owned()),
        record,
        line: Some(start.line + valid.matches('\n').count() as u64),
        column: Some(column as u64 + 1),
        ..Place::default()
    });
    if is_cut {
        fault.hint("it may have been cut off: copy it again")
    } else {
        fault.hint(format!(
            "if it was saved as Windows-1252, read it with `--encoding windows-1252`, or convert it: `iconv -f WINDOWS-1252 -t UTF-8 {file} > utf8.csv`"
        ))
    }
}
