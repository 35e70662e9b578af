//! The pages of a Parquet file: their headers are read and their sizes added up before the columnar engine allocates
//! anything. `Ok(None)` means that a page is malformed.

use super::{
    delta,
    footer::Chunk,
    thrift::{Cursor, I32, STRUCT},
};
use polars_parquet::parquet::compression::{Compression, DecompressionContext, decompress};
use std::io::{self, Read, Seek, SeekFrom};

/// The bytes that are read to parse the header of a page. Statistics can make one longer.
const HEADER_BYTES: u64 = 4 << 10;
/// The longest header of a page: one with statistics of the longest text.
const LONGEST_HEADER: u64 = 64 << 20;

/// The header of a page.
#[derive(Debug, Default)]
struct Header {
    kind: i32,
    /// The size of the page in memory, and in the file.
    sizes: [u64; 2],
    n_values: u64,
    encoding: i32,
    /// The sizes of the two lists of levels, in a data page of version 2.
    level_bytes: Option<u64>,
    is_packed: bool,
}

/// The kind of a data page of version 1.
const DATA: i32 = 0;
/// The kind of a dictionary page.
const DICTIONARY: i32 = 2;
/// The kind of a data page of version 2.
const DATA_V2: i32 = 3;

/// Calls `add` with the memory that each page of `chunk` takes, in bytes; it returns whether that is allowed.
///
/// Ends early if it is not.
pub(super) fn each_size<R: Read + Seek>(
    reader: &mut R,
    chunk: &Chunk,
    add: &mut impl FnMut(u64) -> bool,
) -> io::Result<Option<()>> {
    let (mut at, mut n_values) = (chunk.start, 0_u64);
    // An empty chunk may have no page; if it has one, the engine reads its dictionary.
    while at < chunk.end && (n_values < chunk.n_values || at == chunk.start) {
        let Some((header, begin)) = read_header(reader, at, chunk.end)? else { return Ok(None) };
        let [in_memory, in_file] = header.sizes;
        if begin + in_file > chunk.end {
            return Ok(None);
        }
        let mut size = in_memory;
        match header.kind {
            // An entry of a dictionary takes at least four bytes.
            DICTIONARY
                if at == chunk.start && header.n_values * chunk.leaf.width.min(4) <= in_memory =>
            {
                size = size.max(header.n_values * chunk.leaf.width);
            }
            DATA | DATA_V2 => {
                n_values += header.n_values;
                size = size.max(header.n_values.saturating_mul(chunk.leaf.width));
            }
            _ => return Ok(None),
        }
        if !add(size) {
            return Ok(Some(()));
        }
        if (delta::INTEGERS..=delta::PREFIXES).contains(&header.encoding)
            && header.kind != DICTIONARY
        {
            let packed = bytes_at(reader, begin, in_file)?;
            let Some(unpacked) = delta_bytes(&header, chunk, &packed) else { return Ok(None) };
            if !add(unpacked) {
                return Ok(Some(()));
            }
        }
        at = begin + in_file;
    }
    Ok((n_values >= chunk.n_values).then_some(()))
}

/// Reads the header at byte `at`, before `end`; returns it with the first byte after it.
fn read_header<R: Read + Seek>(
    reader: &mut R,
    at: u64,
    end: u64,
) -> io::Result<Option<(Header, u64)>> {
    for most in [HEADER_BYTES, LONGEST_HEADER] {
        let bytes = bytes_at(reader, at, most.min(end - at))?;
        let mut cursor = Cursor::new(&bytes);
        if let Some(header) = parse_header(&mut cursor) {
            return Ok(Some((header, at + (bytes.len() - cursor.left()) as u64)));
        }
        if (bytes.len() as u64) < most {
            break;
        }
    }
    Ok(None)
}

fn bytes_at<R: Read + Seek>(reader: &mut R, at: u64, n: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    reader.seek(SeekFrom::Start(at))?;
    reader.take(n).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn parse_header(cursor: &mut Cursor<'_>) -> Option<Header> {
    let size = |cursor: &mut Cursor<'_>| u64::try_from(cursor.i32()?).ok();
    let mut header = Header { is_packed: true, ..Header::default() };
    let mut described = None;
    cursor.fields(|cursor, id, kind| {
        match (id, kind) {
            (1, I32) => header.kind = cursor.i32()?,
            (2, I32) => header.sizes[0] = size(cursor)?,
            (3, I32) => header.sizes[1] = size(cursor)?,
            (5 | 7 | 8, STRUCT) => {
                described = Some(match id {
                    5 => DATA,
                    7 => DICTIONARY,
                    _ => DATA_V2,
                });
                parse_values(cursor, id == 8, &mut header)?;
            }
            (1..=3 | 5 | 7 | 8, _) => return None,
            _ => return Some(false),
        }
        Some(true)
    })?;
    (described == Some(header.kind)).then_some(header)
}

/// Reads the header of the values of a page.
fn parse_values(cursor: &mut Cursor<'_>, is_v2: bool, header: &mut Header) -> Option<()> {
    let (mut levels, mut n_nulls) = (0_u64, 0_u64);
    cursor.fields(|cursor, id, kind| {
        let number = |cursor: &mut Cursor<'_>| u64::try_from(cursor.i32()?).ok();
        match (id, kind, is_v2) {
            (1, I32, _) => header.n_values = number(cursor)?,
            (2, I32, false) | (4, I32, true) => header.encoding = cursor.i32()?,
            (2, I32, true) => n_nulls = number(cursor)?,
            (5 | 6, I32, true) => levels += number(cursor)?,
            (7, 1 | 2, true) => {
                header.is_packed = kind == 1;
                return Some(false);
            }
            (1 | 2, _, _) | (4..=7, _, true) => return None,
            _ => return Some(false),
        }
        Some(true)
    })?;
    if is_v2 {
        header.level_bytes = Some(levels);
    }
    let fits = levels <= header.sizes[0].min(header.sizes[1]) && n_nulls <= header.n_values;
    fits.then_some(())
}

/// Returns the bytes of the values of a page in a delta encoding.
fn delta_bytes(header: &Header, chunk: &Chunk, packed: &[u8]) -> Option<u64> {
    let raw_levels = usize::try_from(header.level_bytes.unwrap_or(0)).ok()?;
    let packed_values = packed.get(raw_levels..)?;
    let compression = match chunk.codec {
        _ if !header.is_packed => None,
        0 => None,
        1 => Some(Compression::Snappy),
        2 => Some(Compression::Gzip),
        4 => Some(Compression::Brotli),
        5 => Some(Compression::Lz4),
        6 => Some(Compression::Zstd),
        7 => Some(Compression::Lz4Raw),
        _ => return None,
    };
    let unpacked;
    let page = match compression {
        None => packed_values,
        Some(compression) => {
            // The caller allowed this size.
            let mut bytes =
                vec![0; usize::try_from(header.sizes[0]).ok()?.checked_sub(raw_levels)?];
            if !packed_values.is_empty() {
                let mut context = DecompressionContext::Unset;
                decompress(compression, packed_values, &mut bytes, &mut context).ok()?;
            }
            unpacked = bytes;
            &unpacked
        }
    };
    let mut rest = page;
    if header.level_bytes.is_none() {
        for max_level in [chunk.leaf.max_repetition, chunk.leaf.max_definition] {
            if max_level > 0 {
                let (length, after) = rest.split_first_chunk::<4>()?;
                rest = after.get(u32::from_le_bytes(*length) as usize..)?;
            }
        }
    }
    // A page of nulls alone may have no stream.
    if rest.is_empty() {
        return Some(0);
    }
    delta::unpacked_bytes(rest, header.encoding, header.n_values)
}
