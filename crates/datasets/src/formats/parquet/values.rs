//! The text form of values that the columnar engine is built without: times, decimals, short numbers, UUIDs; and the JSON of
//! nested values.

use super::fields::{Field, Kind};
use chrono::{DateTime, NaiveDate, NaiveTime, TimeDelta};
use polars::prelude::{ArrowDataType, ArrowField, ArrowTimeUnit, PolarsResult};
use polars_arrow::array::{
    Array, BinaryViewArray, BooleanArray, FixedSizeBinaryArray, FixedSizeListArray, ListArray,
    PrimitiveArray, StructArray, Utf8ViewArray,
};
use polars_parquet::read::{
    BasicDecompressor, FileMetadata, Filter, PageReader, column_iter_to_arrays,
};
use serde_json::Value;
use std::{
    io::{self, Cursor},
    ops::Range,
};

/// Reads the bytes of a file in a range.
pub(super) type ReadBytes<'a> = dyn FnMut(Range<u64>) -> io::Result<Vec<u8>> + 'a;

/// Reads the `rows` of the column `field`, in arrays of some row groups each.
pub(super) fn arrays(
    metadata: &FileMetadata,
    field: &ArrowField,
    rows: Range<usize>,
    read: &mut ReadBytes<'_>,
) -> PolarsResult<Vec<Box<dyn Array>>> {
    let (mut all, mut begin) = (Vec::new(), 0);
    for group in &metadata.row_groups {
        let end = begin + group.num_rows();
        let range = rows.start.max(begin)..rows.end.min(end);
        if let Some(columns) = group.columns_under_root_iter(&field.name)
            && !range.is_empty()
        {
            let (mut pages, mut types) = (Vec::new(), Vec::new());
            for column in columns {
                let bytes = Cursor::new(read(column.byte_range())?.into());
                let reader = PageReader::new(bytes, column, Vec::new(), usize::MAX);
                pages.push(BasicDecompressor::new(reader, Vec::new()));
                types.push(&column.descriptor().descriptor.primitive_type);
            }
            let filter = Filter::new_ranged(range.start - begin, range.end - begin);
            let (arrays, _) = column_iter_to_arrays(pages, types, field.clone(), Some(filter))?;
            all.extend(arrays);
        }
        begin = end;
    }
    Ok(all)
}

/// Reads the cells of the column `field` in `rows`, as text; `None` is null.
pub(super) fn cells(
    metadata: &FileMetadata,
    field: &Field,
    rows: Range<usize>,
    read: &mut ReadBytes<'_>,
) -> PolarsResult<Vec<Option<String>>> {
    let mut arrow = field.arrow.clone();
    if arrow.dtype == ArrowDataType::Float16 {
        arrow.dtype = ArrowDataType::FixedSizeBinary(2);
    }
    let mut cells = Vec::with_capacity(rows.len());
    for array in arrays(metadata, &arrow, rows, read)? {
        let array = array.as_ref();
        cells.extend((0..array.len()).map(|row| match field.kind {
            Kind::Json => (!array.is_null(row)).then(|| json(array, row).to_string()),
            _ => value(array, &field.arrow.dtype, row),
        }));
    }
    Ok(cells)
}

/// Returns the text form of the value at `row`; `None` for null, and for a value without one.
fn value(array: &dyn Array, dtype: &ArrowDataType, row: usize) -> Option<String> {
    use ArrowDataType as Type;
    if array.is_null(row) {
        return None;
    }
    Some(match dtype {
        Type::Int8 => primitive::<i8>(array, row)?.to_string(),
        Type::Int16 => primitive::<i16>(array, row)?.to_string(),
        Type::Int32 => primitive::<i32>(array, row)?.to_string(),
        Type::Int64 => primitive::<i64>(array, row)?.to_string(),
        Type::UInt8 => primitive::<u8>(array, row)?.to_string(),
        Type::UInt16 => primitive::<u16>(array, row)?.to_string(),
        Type::UInt32 => primitive::<u32>(array, row)?.to_string(),
        Type::UInt64 => primitive::<u64>(array, row)?.to_string(),
        Type::Float32 => format!("{:?}", primitive::<f32>(array, row)?),
        Type::Float64 => format!("{:?}", primitive::<f64>(array, row)?),
        Type::Float16 => format!("{:?}", half(bytes(array, row)?)?),
        Type::Boolean => array.as_any().downcast_ref::<BooleanArray>()?.value(row).to_string(),
        Type::Utf8View => text(array, row)?.to_owned(),
        Type::FixedSizeBinary(16) => uuid(bytes(array, row)?),
        Type::Date32 => day(i64::from(primitive::<i32>(array, row)?)),
        Type::Date64 => day(primitive::<i64>(array, row)?.div_euclid(86_400_000)),
        Type::Time32(unit) => clock_time(i64::from(primitive::<i32>(array, row)?), *unit),
        Type::Time64(unit) => clock_time(primitive::<i64>(array, row)?, *unit),
        Type::Timestamp(unit, zone) => {
            instant(primitive::<i64>(array, row)?, *unit, zone.is_some())
        }
        Type::Duration(unit) => seconds(primitive::<i64>(array, row)?, *unit),
        Type::Decimal(_, scale) | Type::Decimal32(_, scale) | Type::Decimal64(_, scale) => {
            decimal(primitive::<i128>(array, row)?, *scale)
        }
        _ => return None,
    })
}

fn primitive<T: polars_arrow::types::NativeType>(array: &dyn Array, row: usize) -> Option<T> {
    Some(array.as_any().downcast_ref::<PrimitiveArray<T>>()?.value(row))
}

fn text(array: &dyn Array, row: usize) -> Option<&str> {
    Some(array.as_any().downcast_ref::<Utf8ViewArray>()?.value(row))
}

fn bytes(array: &dyn Array, row: usize) -> Option<&[u8]> {
    Some(array.as_any().downcast_ref::<FixedSizeBinaryArray>()?.value(row))
}

/// Returns the day that is `days` after 1970-01-01.
fn day(days: i64) -> String {
    let epoch = NaiveDate::default();
    let day = TimeDelta::try_days(days).and_then(|days| epoch.checked_add_signed(days));
    day.map_or_else(|| days.to_string(), |day| day.to_string())
}

/// Returns the number of nanoseconds of one `unit`.
fn nanoseconds(unit: ArrowTimeUnit) -> i64 {
    match unit {
        ArrowTimeUnit::Second => 1_000_000_000,
        ArrowTimeUnit::Millisecond => 1_000_000,
        ArrowTimeUnit::Microsecond => 1_000,
        ArrowTimeUnit::Nanosecond => 1,
    }
}

/// Returns `value` as whole seconds and nanoseconds.
fn divided(value: i64, unit: ArrowTimeUnit) -> (i64, u32) {
    let nanoseconds = nanoseconds(unit);
    let per_second = 1_000_000_000 / nanoseconds;
    let rest = value.rem_euclid(per_second) * nanoseconds;
    (value.div_euclid(per_second), u32::try_from(rest).unwrap_or_default())
}

/// Returns a time of the day, such as `10:15:00`.
fn clock_time(value: i64, unit: ArrowTimeUnit) -> String {
    let (seconds, rest) = divided(value, unit);
    let time = u32::try_from(seconds)
        .ok()
        .and_then(|seconds| NaiveTime::from_num_seconds_from_midnight_opt(seconds, rest));
    time.map_or_else(|| value.to_string(), |time| time.format("%H:%M:%S%.f").to_string())
}

/// Returns a time since 1970, such as `2026-11-20T10:15:00`; in UTC, with `Z`, if it is in a zone.
fn instant(value: i64, unit: ArrowTimeUnit, is_zoned: bool) -> String {
    let (seconds, rest) = divided(value, unit);
    let Some(time) = DateTime::from_timestamp(seconds, rest) else { return value.to_string() };
    let zone = if is_zoned { "Z" } else { "" };
    format!("{}{zone}", time.format("%Y-%m-%dT%H:%M:%S%.f"))
}

/// Returns a duration in seconds, such as `1.5`.
fn seconds(value: i64, unit: ArrowTimeUnit) -> String {
    let nanoseconds = i128::from(value) * i128::from(nanoseconds(unit));
    let text = decimal(nanoseconds, 9);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Returns `value` with its last `scale` digits after the point.
fn decimal(value: i128, scale: usize) -> String {
    let sign = if value < 0 { "-" } else { "" };
    let digits = format!("{:0>width$}", value.unsigned_abs(), width = scale + 1);
    let (whole, rest) = digits.split_at(digits.len() - scale);
    if scale == 0 { format!("{sign}{whole}") } else { format!("{sign}{whole}.{rest}") }
}

/// Returns the number in the two `bytes` of an IEEE 754 half.
fn half(bytes: &[u8]) -> Option<f32> {
    let bits = u16::from_le_bytes(bytes.try_into().ok()?);
    let (exponent, fraction) = (bits >> 10 & 0x1f, f32::from(bits & 0x3ff) / 1024.0);
    let size = match exponent {
        0 => fraction * 2.0_f32.powi(-14),
        0x1f if fraction == 0.0 => f32::INFINITY,
        0x1f => f32::NAN,
        exponent => (1.0 + fraction) * 2.0_f32.powi(i32::from(exponent) - 15),
    };
    Some(if bits >> 15 == 1 { -size } else { size })
}

/// Returns 16 bytes as a UUID, such as `123e4567-e89b-12d3-a456-426614174000`.
fn uuid(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(36);
    for (at, byte) in bytes.iter().enumerate() {
        if [4, 6, 8, 10].contains(&at) {
            text.push('-');
        }
        text.push_str(&format!("{byte:02x}"));
    }
    text
}

/// Returns the value at `row` as JSON; members that are null are left out.
fn json(array: &dyn Array, row: usize) -> Value {
    if array.is_null(row) {
        return Value::Null;
    }
    let any = array.as_any();
    let elements = |list: Box<dyn Array>| (0..list.len()).map(|at| json(&*list, at)).collect();
    if let Some(list) = any.downcast_ref::<ListArray<i64>>() {
        return elements(list.value(row));
    }
    if let Some(list) = any.downcast_ref::<ListArray<i32>>() {
        return elements(list.value(row));
    }
    if let Some(list) = any.downcast_ref::<FixedSizeListArray>() {
        return elements(list.value(row));
    }
    if let Some(record) = any.downcast_ref::<StructArray>() {
        let named = record.fields().iter().zip(record.values());
        let members = named.map(|(field, values)| (field.name.to_string(), json(&**values, row)));
        return members.filter(|(_, value)| !value.is_null()).collect();
    }
    match (array.dtype(), value(array, array.dtype(), row)) {
        (_, None) => Value::Null,
        (ArrowDataType::Boolean, Some(word)) => Value::Bool(word == "true"),
        (dtype, Some(digits)) if dtype.is_numeric() => {
            serde_json::from_str(&digits).unwrap_or(Value::String(digits))
        }
        (_, Some(text)) => Value::String(text),
    }
}

/// Returns the number of bytes of the texts in `array`: each counts as often as an element names it.
pub(super) fn text_bytes(array: &dyn Array) -> u64 {
    let any = array.as_any();
    let of = |arrays: &[Box<dyn Array>]| arrays.iter().map(|array| text_bytes(&**array)).sum();
    if let Some(texts) = any.downcast_ref::<Utf8ViewArray>() {
        return texts.total_bytes_len() as u64;
    }
    if let Some(record) = any.downcast_ref::<StructArray>() {
        return of(record.values());
    }
    let lists = any.downcast_ref::<ListArray<i64>>().map(ListArray::values);
    lists.map_or(0, |values| text_bytes(&**values))
}

/// Returns the first row of `arrays`, whose values are bytes, that is not UTF-8, and the offset of its first wrong byte.
pub(super) fn first_invalid(arrays: &[Box<dyn Array>]) -> Option<(usize, usize)> {
    let mut begin = 0;
    for array in arrays {
        let any = array.as_any();
        let wrong = if let Some(values) = any.downcast_ref::<BinaryViewArray>() {
            first_wrong(values.iter())
        } else {
            first_wrong(any.downcast_ref::<FixedSizeBinaryArray>()?.iter())
        };
        if let Some((row, byte)) = wrong {
            return Some((begin + row, byte));
        }
        begin += array.len();
    }
    None
}

/// Returns the index of the first of `values` that is not UTF-8, and the offset of its first wrong byte.
fn first_wrong<'a>(values: impl Iterator<Item = Option<&'a [u8]>>) -> Option<(usize, usize)> {
    values.enumerate().find_map(|(row, value)| {
        std::str::from_utf8(value?).err().map(|error| (row, error.valid_up_to()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_have_the_text_form_that_rules_read() {
        use ArrowTimeUnit::{Microsecond, Millisecond, Nanosecond, Second};
        assert_eq!([day(0), day(-1), day(20_777)], ["1970-01-01", "1969-12-31", "2026-11-20"]);
        for (value, unit, text) in [
            (1_795_169_700, Second, "2026-11-20T10:15:00"),
            (1_795_169_700_250, Millisecond, "2026-11-20T10:15:00.250"),
            (1_795_169_700_000_001, Microsecond, "2026-11-20T10:15:00.000001"),
            (-1, Nanosecond, "1969-12-31T23:59:59.999999999"),
        ] {
            assert_eq!(instant(value, unit, false), text);
            assert_eq!(instant(value, unit, true), format!("{text}Z"));
        }
        assert_eq!(clock_time(36_900_500, Millisecond), "10:15:00.500");
        let decimals = [decimal(1990, 2), decimal(-5, 2), decimal(7, 0), decimal(0, 3)];
        assert_eq!(decimals, ["19.90", "-0.05", "7", "0.000"]);
        let durations = [seconds(1_500, Millisecond), seconds(-2, Second), seconds(0, Second)];
        assert_eq!(durations, ["1.5", "-2", "0"]);
        let halves = [0x3c00_u16, 0xc100, 0x0001, 0x7bff, 0x7c00];
        let expected = [1.0, -2.5, 5.960_464_5e-8, 65_504.0, f32::INFINITY];
        for (bits, number) in halves.into_iter().zip(expected) {
            assert_eq!(half(&bits.to_le_bytes()), Some(number));
        }
        let bytes: Vec<u8> = (0..16).map(|n| n * 17).collect();
        assert_eq!(uuid(&bytes), "00112233-4455-6677-8899-aabbccddeeff");
    }
}
