//! The compact protocol of Thrift, in which the footer and the page headers of a Parquet file are written.
//!
//! Every length is compared with the bytes that are left before it is used. `None` means that the bytes are malformed.

/// The kind of a 32-bit integer.
pub(super) const I32: u8 = 5;
/// The kind of a 64-bit integer.
pub(super) const I64: u8 = 6;
/// The kind of bytes with a length.
pub(super) const BINARY: u8 = 8;
/// The kind of a list.
pub(super) const LIST: u8 = 9;
/// The kind of a struct.
pub(super) const STRUCT: u8 = 12;

/// The deepest nesting of values that are skipped.
const DEPTH: usize = 32;

/// A position in bytes of the compact protocol.
#[derive(Debug, Clone)]
pub(super) struct Cursor<'a> {
    rest: &'a [u8],
}

impl<'a> Cursor<'a> {
    /// Begins at the start of `bytes`.
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// Returns the number of bytes that are left.
    pub(super) fn left(&self) -> usize {
        self.rest.len()
    }

    fn take(&mut self, n: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(n)?;
        self.rest = rest;
        Some(taken)
    }

    fn byte(&mut self) -> Option<u8> {
        let (&byte, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(byte)
    }

    fn varint(&mut self) -> Option<u64> {
        let mut value = 0_u64;
        for shift in (0..70).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                return None;
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    /// Reads a 64-bit integer.
    pub(super) fn i64(&mut self) -> Option<i64> {
        let value = self.varint()?;
        Some((value >> 1) as i64 ^ -((value & 1) as i64))
    }

    /// Reads a 32-bit integer.
    pub(super) fn i32(&mut self) -> Option<i32> {
        i32::try_from(self.i64()?).ok()
    }

    /// Reads bytes with a length.
    pub(super) fn binary(&mut self) -> Option<&'a [u8]> {
        let length = usize::try_from(self.varint()?).ok()?;
        self.take(length)
    }

    /// Reads the head of a list: the kind of its elements and their number. Each element takes at least one byte.
    pub(super) fn list(&mut self) -> Option<(u8, usize)> {
        let head = self.byte()?;
        let size = match head >> 4 {
            15 => usize::try_from(self.varint()?).ok()?,
            size => usize::from(size),
        };
        (size <= self.rest.len()).then_some((head & 0x0f, size))
    }

    /// Reads a list of structs; `read` is called at the start of each.
    pub(super) fn structs(&mut self, mut read: impl FnMut(&mut Self) -> Option<()>) -> Option<()> {
        let (kind, size) = self.list()?;
        if kind != STRUCT && size > 0 {
            return None;
        }
        (0..size).try_for_each(|_| read(self))
    }

    /// Reads a struct. `read` is called with the id and the kind of each field and returns whether it read the value; a
    /// value that it leaves is skipped.
    ///
    /// Ids must rise: two readers could take different values of a repeated field.
    pub(super) fn fields(
        &mut self,
        read: impl FnMut(&mut Self, i16, u8) -> Option<bool>,
    ) -> Option<()> {
        self.fields_within(DEPTH, read)
    }

    fn fields_within(
        &mut self,
        depth: usize,
        mut read: impl FnMut(&mut Self, i16, u8) -> Option<bool>,
    ) -> Option<()> {
        let mut last = 0_i16;
        loop {
            let head = self.byte()?;
            let kind = head & 0x0f;
            if kind == 0 {
                return Some(());
            }
            let id = match head >> 4 {
                0 => i16::try_from(self.i64()?).ok()?,
                step => last.checked_add(i16::from(step))?,
            };
            if id <= last {
                return None;
            }
            last = id;
            if !read(self, id, kind)? {
                self.skip(kind, depth)?;
            }
        }
    }

    /// Skips a value, at most `depth` levels deep.
    fn skip(&mut self, kind: u8, depth: usize) -> Option<()> {
        let depth = depth.checked_sub(1)?;
        match kind {
            1 | 2 => {}
            3 => drop(self.byte()?),
            4..=6 => drop(self.varint()?),
            7 => drop(self.take(8)?),
            8 => drop(self.binary()?),
            9 | 10 => {
                let (kind, size) = self.list()?;
                for _ in 0..size {
                    self.skip_element(kind, depth)?;
                }
            }
            11 => {
                let size = usize::try_from(self.varint()?).ok()?;
                if size > self.rest.len() {
                    return None;
                }
                let kinds = if size > 0 { self.byte()? } else { 0 };
                for _ in 0..size {
                    self.skip_element(kinds >> 4, depth)?;
                    self.skip_element(kinds & 0x0f, depth)?;
                }
            }
            12 => self.fields_within(depth, |_, _, _| Some(false))?,
            13 => drop(self.take(16)?),
            _ => return None,
        }
        Some(())
    }

    /// Skips an element of a list or map, in which booleans take a byte.
    fn skip_element(&mut self, kind: u8, depth: usize) -> Option<()> {
        match kind {
            1 | 2 => self.byte().map(drop),
            _ => self.skip(kind, depth),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read_and_others_skipped() {
        // 1: i32 -3; 2: list of two i64; 4: struct { 1: true }; 5: binary "ab"; stop.
        let bytes = [0x15, 5, 0x19, 0x26, 2, 4, 0x2c, 0x11, 0, 0x18, 2, b'a', b'b', 0];
        let (mut seen, mut cursor) = (Vec::new(), Cursor::new(&bytes));
        let mut read = |cursor: &mut Cursor<'_>, id: i16, kind: u8| {
            seen.push((id, kind));
            match (id, kind) {
                (1, I32) => Some(cursor.i32()? == -3),
                (5, BINARY) => Some(cursor.binary()? == b"ab"),
                _ => Some(false),
            }
        };
        assert_eq!(cursor.fields(&mut read), Some(()));
        assert_eq!(seen, [(1, 5), (2, 9), (4, 12), (5, 8)]);
        assert_eq!(cursor.left(), 0);
    }

    #[test]
    fn lengths_beyond_the_bytes_and_endless_nesting_are_malformed() {
        for bytes in [
            // A list of 2^31 elements; a text of 2^60 bytes; a varint without an end; an unknown kind.
            &[0x19, 0xfc, 0xff, 0xff, 0xff, 0xff, 0x07, 0][..],
            &[0x18, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x10, 0],
            &[0x16, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0],
            &[0x1e, 0],
            // A field of the same id; no end.
            &[0x15, 2, 0x05, 2, 2, 0],
            &[0x15, 2],
        ] {
            assert_eq!(Cursor::new(bytes).fields(|_, _, _| Some(false)), None, "{bytes:?}");
        }
        let nested = |depth: usize| [vec![0x1c; depth], vec![0; depth + 1]].concat();
        assert_eq!(Cursor::new(&nested(30)).fields(|_, _, _| Some(false)), Some(()));
        assert_eq!(Cursor::new(&nested(100_000)).fields(|_, _, _| Some(false)), None);
    }
}
