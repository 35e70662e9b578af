//! Bytes of a file become text, or a fault that says what they are instead.

use botops_findings::{Fault, Place, Result};

/// How far into a file NUL bytes make it binary; deeper ones are damage within a text file.
const LOOKED_AT: usize = 8 << 10;

/// What a file of another kind starts with.
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

/// The fault of a file without anything in it.
pub(crate) fn empty(file: &str) -> Fault {
    Fault::data("BOT-2102", "the file is empty")
        .at(Place { file: Some(file.to_owned()), ..Place::default() })
        .hint("check what should have written it")
}

/// The fault of a file with nothing but a header.
pub(crate) fn no_record(file: &str) -> Fault {
    Fault::data("BOT-2102", "the file has a header and no record")
        .at(Place { file: Some(file.to_owned()), ..Place::default() })
        .hint("check what should have written it")
}

/// Where in its file a part begins.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Start {
    /// Its first byte, from 0.
    pub(crate) offset: u64,
    /// The line of that byte, from 1.
    pub(crate) line: u64,
    /// Records before it.
    pub(crate) records: u64,
}

impl Default for Start {
    fn default() -> Self {
        Self { offset: 0, line: 1, records: 0 }
    }
}

/// Refuses a file that begins like something that is no UTF-8 text.
///
/// # Errors
/// Exit 3: `BOT-2103` binary, `BOT-2104` UTF-16 or UTF-32.
pub(crate) fn check_beginning(bytes: &[u8], file: &str) -> Result<()> {
    let whole = || Place { file: Some(file.to_owned()), ..Place::default() };
    let utf16 = |which: &str| {
        Fault::data("BOT-2104", format!("the file is UTF-16 ({which}), and UTF-8 is wanted"))
            .at(whole())
            .hint(format!("convert it: `iconv -f UTF-16 -t UTF-8 {file} > utf8.csv`"))
    };
    match bytes {
        [0xff, 0xfe, 0, 0, ..] | [0, 0, 0xfe, 0xff, ..] => {
            return Err(Fault::data("BOT-2104", "the file is UTF-32, and UTF-8 is wanted")
                .at(whole())
                .hint(format!("convert it: `iconv -f UTF-32 -t UTF-8 {file} > utf8.csv`")));
        }
        [0xff, 0xfe, ..] => return Err(utf16("little endian")),
        [0xfe, 0xff, ..] => return Err(utf16("big endian")),
        _ => {}
    }
    if let Some((_, what)) = MAGIC.iter().find(|(magic, _)| bytes.starts_with(magic)) {
        let (what, hint) = what.split_once(": ").unwrap_or((what, "name a text file"));
        return Err(Fault::data("BOT-2103", format!("the file is no text: it is {what}"))
            .at(whole())
            .hint(hint));
    }
    let head = &bytes[..bytes.len().min(LOOKED_AT)];
    if head.contains(&0) {
        let zeros =
            |parity: usize| head.iter().skip(parity).step_by(2).filter(|&&b| b == 0).count();
        let (even, odd) = (zeros(0), zeros(1));
        // Latin text in UTF-16 has a zero in nearly every second byte, and none in the others.
        if odd * 3 > head.len() && even * 20 < head.len() {
            return Err(utf16("little endian, without a mark"));
        }
        if even * 3 > head.len() && odd * 20 < head.len() {
            return Err(utf16("big endian, without a mark"));
        }
        return Err(Fault::data("BOT-2103", "the file is binary: it holds NUL bytes")
            .at(whole())
            .hint("name a CSV, TSV, JSONL or Parquet file"));
    }
    Ok(())
}

/// Returns the text of a part of a file that begins at `start`.
///
/// # Errors
/// Exit 3: `BOT-2104` not UTF-8.
pub(crate) fn decode_part<'a>(
    bytes: &'a [u8],
    file: &str,
    start: Start,
    record_of: impl Fn(&str) -> Option<u64>,
) -> Result<&'a str> {
    std::str::from_utf8(bytes).map_err(|error| {
        let good = error.valid_up_to();
        let valid = std::str::from_utf8(&bytes[..good]).expect("valid up to there");
        let line_start = valid.rfind('\n').map_or(0, |at| at + 1);
        let (line, column) =
            (valid.matches('\n').count() as u64, valid[line_start..].chars().count() + 1);
        let cut = error.error_len().is_none();
        let what = if cut {
            "the file ends in the middle of a character".to_owned()
        } else {
            format!("the file is not UTF-8: byte 0x{:02X}", bytes[good])
        };
        let offset = start.offset + good as u64;
        let fault = Fault::data("BOT-2104", format!("{what} at offset {offset}")).at(Place {
            file: Some(file.to_owned()),
            record: record_of(valid).map(|record| start.records + record),
            line: Some(start.line + line),
            column: Some(column as u64),
            ..Place::default()
        });
        if cut {
            fault.hint("it may have been cut off: copy it again")
        } else {
            fault.hint(format!(
                "if it was saved as Windows-1252: `iconv -f WINDOWS-1252 -t UTF-8 {file} > utf8.csv`"
            ))
        }
    })
}
