//! The footer of a Parquet file: its columns, and the parts of the file that hold them.
//!
//! The columnar engine trusts these numbers and allocates what they name. Here they are compared with each other and with
//! the size of the file first. `None` means that the footer is malformed.

use super::thrift::{BINARY, Cursor, I32, I64, LIST, STRUCT};

/// The deepest nesting of columns.
const DEPTH: u32 = 16;
/// The memory of a value of type BYTE_ARRAY besides its bytes.
const VIEW_BYTES: u64 = 16;
/// The largest Arrow schema that is stored beside the columns, in bytes: that of some 8,000 columns. The engine reads
/// nested types recursively.
const ARROW_SCHEMA_BYTES: usize = 1 << 20;

/// The parts of a footer that decide how much memory a file takes.
#[derive(Debug, Default)]
pub(super) struct Footer {
    /// The number of rows.
    pub(super) n_rows: u64,
    /// The column chunks.
    pub(super) chunks: Vec<Chunk>,
}

/// A column of values.
#[derive(Debug, Clone, Copy)]
pub(super) struct Leaf {
    /// The memory of one value, in bytes, without the bytes of a text.
    pub(super) width: u64,
    /// The largest definition level.
    pub(super) max_definition: u32,
    /// The largest repetition level.
    pub(super) max_repetition: u32,
}

/// The values of a column in a group of rows.
#[derive(Debug, Clone, Copy)]
pub(super) struct Chunk {
    /// The column.
    pub(super) leaf: Leaf,
    /// The compression of its pages.
    pub(super) codec: i32,
    /// The first byte in the file.
    pub(super) start: u64,
    /// One past the last byte in the file.
    pub(super) end: u64,
    /// The number of values.
    pub(super) n_values: u64,
}

/// An element of the schema: a column, or a group of columns.
#[derive(Debug, Default)]
struct Element {
    physical: Option<i32>,
    length: i32,
    repetition: i32,
    n_children: i32,
}

/// A column chunk as written.
#[derive(Debug, Default)]
struct ChunkFields {
    codec: i32,
    n_values: Option<i64>,
    length: Option<i64>,
    data_at: Option<i64>,
    dictionary_at: Option<i64>,
}

impl Footer {
    /// Reads a footer; the pages lie in the first `end` bytes of the file.
    pub(super) fn read(bytes: &[u8], end: u64) -> Option<Self> {
        let mut cursor = Cursor::new(bytes);
        let mut footer = Self::default();
        let mut leaves: Option<Vec<Leaf>> = None;
        let mut n_rows = None;
        cursor.fields(|cursor, id, kind| {
            match (id, kind) {
                (2, LIST) => leaves = Some(read_schema(cursor)?),
                (3, I64) => n_rows = Some(u64::try_from(cursor.i64()?).ok()?),
                (4, LIST) => {
                    let leaves = leaves.as_deref()?;
                    cursor.structs(|cursor| {
                        let n_rows = read_row_group(cursor, leaves, end, &mut footer.chunks)?;
                        footer.n_rows = footer.n_rows.checked_add(n_rows)?;
                        Some(())
                    })?;
                }
                (5, LIST) => cursor.structs(check_key_value)?,
                // The engine reads these fields as if they had the right kind.
                (1..=7, _)
                    if kind != [I32, LIST, I64, LIST, LIST, BINARY, LIST][id as usize - 1] =>
                {
                    return None;
                }
                _ => return Some(false),
            }
            Some(true)
        })?;
        (n_rows == Some(footer.n_rows)).then_some(footer)
    }
}

/// Refuses an Arrow schema of a size that no table has.
fn check_key_value(cursor: &mut Cursor<'_>) -> Option<()> {
    let mut key: &[u8] = b"";
    cursor.fields(|cursor, id, kind| {
        match (id, kind) {
            (1, BINARY) => key = cursor.binary()?,
            (2, BINARY) => {
                let length = cursor.binary()?.len();
                if key == b"ARROW:schema" && length > ARROW_SCHEMA_BYTES {
                    return None;
                }
            }
            (1 | 2, _) => return None,
            _ => return Some(false),
        }
        Some(true)
    })
}

/// Reads the schema, and returns its columns.
fn read_schema(cursor: &mut Cursor<'_>) -> Option<Vec<Leaf>> {
    let mut elements = Vec::new();
    cursor.structs(|cursor| {
        elements.push(read_element(cursor)?);
        Some(())
    })?;
    let mut elements = elements.into_iter();
    let root = elements.next()?;
    let mut leaves = Vec::new();
    let above = Leaf { width: 0, max_definition: 0, max_repetition: 0 };
    for _ in 0..root.n_children {
        read_tree(&mut elements, above, DEPTH, &mut leaves)?;
    }
    elements.next().is_none().then_some(leaves)
}

/// Reads the next element and all below it, at most `depth` levels. `above` holds the levels of the group that it is in.
fn read_tree(
    elements: &mut impl Iterator<Item = Element>,
    above: Leaf,
    depth: u32,
    leaves: &mut Vec<Leaf>,
) -> Option<()> {
    let element = elements.next()?;
    let (definition, repetition) = match element.repetition {
        0 => (0, 0),
        1 => (1, 0),
        2 => (1, 1),
        _ => return None,
    };
    let mut leaf = Leaf {
        width: 0,
        max_definition: above.max_definition + definition,
        max_repetition: above.max_repetition + repetition,
    };
    if element.n_children == 0 {
        leaf.width = match element.physical? {
            0 => 1,
            1 | 4 => 4,
            2 | 5 => 8,
            3 => 12,
            6 => VIEW_BYTES,
            7 if element.length > 0 => element.length as u64,
            _ => return None,
        };
        leaves.push(leaf);
        return Some(());
    }
    let depth = depth.checked_sub(1)?;
    (0..element.n_children).try_for_each(|_| read_tree(elements, leaf, depth, leaves))
}

fn read_element(cursor: &mut Cursor<'_>) -> Option<Element> {
    let mut element = Element::default();
    cursor.fields(|cursor, id, kind| {
        match (id, kind) {
            (1, I32) => element.physical = Some(cursor.i32()?),
            (2, I32) => element.length = cursor.i32()?,
            (3, I32) => element.repetition = cursor.i32()?,
            (5, I32) => element.n_children = cursor.i32()?,
            (1..=3 | 5, _) => return None,
            _ => return Some(false),
        }
        Some(true)
    })?;
    (element.n_children >= 0).then_some(element)
}

/// Reads a group of rows, adds its chunks to `chunks`, and returns its number of rows.
fn read_row_group(
    cursor: &mut Cursor<'_>,
    leaves: &[Leaf],
    end: u64,
    chunks: &mut Vec<Chunk>,
) -> Option<u64> {
    let mut found = Vec::new();
    let mut n_rows = None;
    cursor.fields(|cursor, id, kind| {
        match (id, kind) {
            (1, LIST) => cursor.structs(|cursor| {
                let leaf = *leaves.get(found.len())?;
                found.push(read_chunk(cursor, leaf, end)?);
                Some(())
            })?,
            (3, I64) => n_rows = Some(u64::try_from(cursor.i64()?).ok()?),
            (1 | 3, _) => return None,
            _ => return Some(false),
        }
        Some(true)
    })?;
    let n_rows = n_rows?;
    // A value of a nested column can be a part of a row.
    let fits = |chunk: &Chunk| match chunk.leaf.max_repetition {
        0 => chunk.n_values == n_rows,
        _ => chunk.n_values >= n_rows,
    };
    if found.len() != leaves.len() || !found.iter().all(fits) {
        return None;
    }
    chunks.extend(found);
    Some(n_rows)
}

fn read_chunk(cursor: &mut Cursor<'_>, leaf: Leaf, end: u64) -> Option<Chunk> {
    let mut chunk = None;
    cursor.fields(|cursor, id, kind| match (id, kind) {
        (3, STRUCT) => {
            chunk = Some(read_chunk_metadata(cursor)?);
            Some(true)
        }
        (3, _) => None,
        _ => Some(false),
    })?;
    let ChunkFields { codec, n_values, length, data_at, dictionary_at } = chunk?;
    let start = u64::try_from(dictionary_at.or(data_at)?).ok()?;
    let after = start.checked_add(u64::try_from(length?).ok()?)?;
    let n_values = u64::try_from(n_values?).ok()?;
    (after <= end).then_some(Chunk { leaf, codec, start, end: after, n_values })
}

fn read_chunk_metadata(cursor: &mut Cursor<'_>) -> Option<ChunkFields> {
    let mut chunk = ChunkFields::default();
    cursor.fields(|cursor, id, kind| {
        match (id, kind) {
            (4, I32) => chunk.codec = cursor.i32()?,
            (5, I64) => chunk.n_values = Some(cursor.i64()?),
            (7, I64) => chunk.length = Some(cursor.i64()?),
            (9, I64) => chunk.data_at = Some(cursor.i64()?),
            (11, I64) => chunk.dictionary_at = Some(cursor.i64()?),
            (4 | 5 | 7 | 9 | 11, _) => return None,
            _ => return Some(false),
        }
        Some(true)
    })?;
    Some(chunk)
}
