//! The delta encodings of Parquet: numbers as differences, and texts by the prefix that they share with the text before.
//!
//! The sizes in a stream are compared with the number of values of its page, because the columnar engine allocates what
//! they name. `None` means that the stream is malformed.

/// DELTA_BINARY_PACKED: integers.
pub(super) const INTEGERS: i32 = 5;
/// DELTA_LENGTH_BYTE_ARRAY: lengths of texts, then the texts.
pub(super) const LENGTHS: i32 = 6;
/// DELTA_BYTE_ARRAY: lengths of shared prefixes, lengths of the rests, then the rests.
pub(super) const PREFIXES: i32 = 7;

/// The largest block of a stream. Writers use 128 values.
const LARGEST_BLOCK: u64 = 64 << 10;

/// Returns the number of bytes of the values that `bytes` hold, in an `encoding` of this module. There are at most
/// `n_values`.
pub(super) fn unpacked_bytes(bytes: &[u8], encoding: i32, n_values: u64) -> Option<u64> {
    let mut rest = bytes;
    let first = sum(&mut rest, n_values)?;
    match encoding {
        INTEGERS => Some(n_values.saturating_mul(8)),
        LENGTHS => Some(first),
        PREFIXES => first.checked_add(sum(&mut rest, n_values)?),
        _ => None,
    }
}

/// Reads a stream of at most `n_values` integers, and returns the sum of those above 0.
fn sum(rest: &mut &[u8], n_values: u64) -> Option<u64> {
    let block = varint(rest)?;
    let n_parts = varint(rest)?;
    let n = varint(rest)?;
    let mut value = zigzag(rest)?;
    let is_sound = (1..=LARGEST_BLOCK).contains(&block)
        && (1..=block).contains(&n_parts)
        && block.is_multiple_of(n_parts)
        && (block / n_parts).is_multiple_of(32)
        && n <= n_values;
    if !is_sound {
        return None;
    }
    let per_part = block / n_parts;
    let positive = |value: i64| u64::try_from(value).unwrap_or(0);
    let mut total = if n > 0 { positive(value) } else { 0 };
    let mut left = n.saturating_sub(1);
    while left > 0 {
        let least = zigzag(rest)?;
        let widths = take(rest, usize::try_from(n_parts).ok()?)?;
        for &width in widths {
            if left == 0 {
                break;
            }
            if width > 64 {
                return None;
            }
            let packed = take(rest, usize::from(width) * usize::try_from(per_part).ok()? / 8)?;
            for at in 0..per_part.min(left) {
                let delta = bits(packed, at * u64::from(width), width);
                value = value.wrapping_add(least).wrapping_add(delta as i64);
                total = total.saturating_add(positive(value));
            }
            left = left.saturating_sub(per_part);
        }
    }
    Some(total)
}

/// Returns the `width` bits from bit `at` on, the lowest first.
fn bits(bytes: &[u8], at: u64, width: u8) -> u64 {
    (0..u64::from(width)).fold(0, |value, i| {
        let at = at + i;
        let bit = bytes[(at / 8) as usize] >> (at % 8) & 1;
        value | u64::from(bit) << i
    })
}

fn take<'a>(rest: &mut &'a [u8], n: usize) -> Option<&'a [u8]> {
    let (taken, after) = rest.split_at_checked(n)?;
    *rest = after;
    Some(taken)
}

fn varint(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0_u64;
    for shift in (0..63).step_by(7) {
        let byte = take(rest, 1)?[0];
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    // The last byte of a number of 64 bits.
    let byte = take(rest, 1)?[0];
    (byte <= 1).then_some(value | u64::from(byte) << 63)
}

fn zigzag(rest: &mut &[u8]) -> Option<i64> {
    let value = varint(rest)?;
    Some((value >> 1) as i64 ^ -((value & 1) as i64))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `Hello` and `Helicopter`, as Spark writes them.
    const TEXTS: [u8; 32] = [
        128, 1, 4, 2, 0, 6, 0, 0, 0, 0, 128, 1, 4, 2, 10, 4, 0, 0, 0, 0, 72, 101, 108, 108, 111,
        105, 99, 111, 112, 116, 101, 114,
    ];

    #[test]
    fn the_lengths_of_texts_are_summed() {
        assert_eq!(unpacked_bytes(&TEXTS, PREFIXES, 2), Some(15));
        assert_eq!(unpacked_bytes(&TEXTS, PREFIXES, 1), None, "more values than the page has");
        assert_eq!(unpacked_bytes(&TEXTS[10..], LENGTHS, 2), Some(12));
        assert_eq!(unpacked_bytes(&TEXTS[..15], PREFIXES, 2), None, "cut off");
        // 1, 2, 3, 4, 5, 1 with a width of three bits, as the specification has it.
        let packed = [
            128,
            1,
            4,
            6,
            2,
            7,
            3,
            0,
            0,
            0,
            0b0110_1101,
            0b0000_1011,
            0,
            0,
            0,
            0,
            0,
            0,
            0,
            0,
            0,
            0,
        ];
        assert_eq!(unpacked_bytes(&packed, LENGTHS, 6), Some(16));
    }

    #[test]
    fn sizes_beyond_the_page_are_malformed() {
        // A block of 2^60 values in one part, and 2^40 values: each of no bits.
        let block = [0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x10, 1, 2, 0, 0, 0];
        assert_eq!(unpacked_bytes(&block, INTEGERS, 2), None);
        let count = [128, 1, 4, 0x80, 0x80, 0x80, 0x80, 0x80, 0x20, 0, 0, 0, 0, 0, 0];
        assert_eq!(unpacked_bytes(&count, INTEGERS, 1_000), None);
        for parts in [0, 3, 128] {
            assert_eq!(unpacked_bytes(&[128, 1, parts, 2, 0, 0, 0, 0, 0, 0], INTEGERS, 2), None);
        }
    }

    #[test]
    fn a_prefix_that_is_repeated_is_counted_each_time() {
        // 1,000 prefixes of 1,000 bytes without a rest, from a page of a few bytes: the differences have no bits.
        let constant = |first: u8, low: u8| {
            let blocks = [0_u8; 5].repeat(8);
            [vec![128, 1, 4, 0xe8, 7, first, low], blocks].concat()
        };
        let page =
            [constant(0xd0, 0x0f), constant(0, 0)[..6].to_vec(), [0_u8; 5].repeat(8)].concat();
        assert_eq!(unpacked_bytes(&page, PREFIXES, 1_000), Some(1_000_000));
    }
}
