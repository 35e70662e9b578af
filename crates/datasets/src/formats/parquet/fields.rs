//! The columns of a Parquet file by their logical type: how the cells of each become text.

use polars::prelude::{ArrowDataType, ArrowField, ArrowSchema, ArrowTimeUnit};
use polars_parquet::read::{ParquetType, PhysicalType, PrimitiveLogicalType};

/// The name of the column whose lists of structs are read, in any case.
const ENTITIES: &str = "entities";
/// The most digits of a decimal number.
const MOST_DIGITS: usize = 38;

/// How the cells of a column become text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// The columnar engine reads them, and casts them to text.
    Plain,
    /// They are values that the engine is built without: times, decimals, short numbers.
    Value,
    /// They are UUIDs of 16 bytes.
    Uuid,
    /// They are lists that become JSON.
    Json,
}

/// A column of a Parquet file.
#[derive(Debug, Clone)]
pub(super) struct Field {
    pub(super) kind: Kind,
    pub(super) arrow: ArrowField,
}

impl Field {
    /// Returns the name of the column.
    pub(super) fn name(&self) -> &str {
        self.arrow.name.as_str()
    }

    /// Returns whether it is the column of the entities.
    pub(super) fn has_entities(&self) -> bool {
        self.name().eq_ignore_ascii_case(ENTITIES)
    }
}

/// A column whose cells have no text form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Skipped {
    /// The name of the column.
    pub(crate) name: String,
    /// The kind of its cells, as a noun: `a struct`.
    pub(crate) what: &'static str,
}

/// Divides the columns of `schema`, whose types in the file are `types`, into those that have a text form, and others.
pub(super) fn divided(schema: &ArrowSchema, types: &[ParquetType]) -> (Vec<Field>, Vec<Skipped>) {
    let (mut fields, mut skipped) = (Vec::new(), Vec::new());
    for (at, arrow) in schema.iter_values().enumerate() {
        let logical = types.get(at).and_then(logical_type);
        let mut arrow = arrow.clone();
        if arrow.dtype == ArrowDataType::FixedSizeBinary(2)
            && logical == Some(PrimitiveLogicalType::Float16)
        {
            arrow.dtype = ArrowDataType::Float16;
        }
        // In nanoseconds, a number of 64 bits ends in the year 2262.
        if let (ArrowDataType::Timestamp(unit, _), true) =
            (&mut arrow.dtype, types.get(at).is_some_and(is_int96))
        {
            *unit = ArrowTimeUnit::Microsecond;
        }
        match kind(&arrow, logical) {
            Ok(kind) => fields.push(Field { kind, arrow }),
            Err(what) => skipped.push(Skipped { name: arrow.name.to_string(), what }),
        }
    }
    (fields, skipped)
}

fn kind(field: &ArrowField, logical: Option<PrimitiveLogicalType>) -> Result<Kind, &'static str> {
    use ArrowDataType as Type;
    let is_entities = field.name.eq_ignore_ascii_case(ENTITIES);
    match &field.dtype {
        Type::FixedSizeBinary(16) if logical == Some(PrimitiveLogicalType::Uuid) => Ok(Kind::Uuid),
        Type::Int8
        | Type::Int16
        | Type::UInt8
        | Type::UInt16
        | Type::Float16
        | Type::Date32
        | Type::Date64
        | Type::Time32(_)
        | Type::Time64(_)
        | Type::Timestamp(..)
        | Type::Duration(_) => Ok(Kind::Value),
        Type::Decimal(digits, _) | Type::Decimal32(digits, _) | Type::Decimal64(digits, _)
            if *digits <= MOST_DIGITS =>
        {
            Ok(Kind::Value)
        }
        Type::List(inner) | Type::LargeList(inner) if has_json(&inner.dtype) => Ok(Kind::Json),
        Type::List(_) | Type::LargeList(_) | Type::FixedSizeList(..) | Type::Struct(_)
            if is_entities =>
        {
            Ok(Kind::Json)
        }
        Type::Struct(_) => Err("a struct"),
        Type::Map(..) => Err("a map"),
        Type::List(inner) | Type::LargeList(inner) => match &inner.dtype {
            // The engine reads a map as a list of structs.
            Type::Struct(_) => Err("a map or a list of structs"),
            dtype if is_bytes(dtype) => Err("a list of bytes"),
            _ => Err("a nested list"),
        },
        Type::FixedSizeList(..) => Err("a list of a fixed length"),
        dtype if is_plain(dtype) => Ok(Kind::Plain),
        Type::Interval(_) => Err("an interval"),
        Type::Decimal(..) | Type::Decimal32(..) | Type::Decimal64(..) | Type::Decimal256(..) => {
            Err("a decimal number of more than 38 digits")
        }
        _ => Err("a value without a text form"),
    }
}

/// Returns whether the columnar engine reads values of `dtype` as it is built.
fn is_plain(dtype: &ArrowDataType) -> bool {
    use ArrowDataType as Type;
    match dtype {
        Type::Null
        | Type::Boolean
        | Type::Int32
        | Type::Int64
        | Type::UInt32
        | Type::UInt64
        | Type::Float32
        | Type::Float64
        | Type::Utf8
        | Type::LargeUtf8
        | Type::Utf8View => true,
        dtype => is_bytes(dtype),
    }
}

/// Returns whether values of `dtype` are bytes, which may be no text.
pub(super) fn is_bytes(dtype: &ArrowDataType) -> bool {
    use ArrowDataType as Type;
    matches!(dtype, Type::Binary | Type::LargeBinary | Type::BinaryView | Type::FixedSizeBinary(_))
}

/// Returns whether an element of a list, of the type `dtype`, becomes JSON.
fn has_json(dtype: &ArrowDataType) -> bool {
    match dtype {
        ArrowDataType::List(inner) | ArrowDataType::LargeList(inner) => has_json(&inner.dtype),
        dtype => is_plain(dtype) && !is_bytes(dtype),
    }
}

/// Returns the logical type of a column that is not nested.
fn logical_type(column: &ParquetType) -> Option<PrimitiveLogicalType> {
    match column {
        ParquetType::PrimitiveType(column) => column.logical_type,
        ParquetType::GroupType { .. } => None,
    }
}

/// Returns whether a column holds times of 96 bits.
fn is_int96(column: &ParquetType) -> bool {
    matches!(column, ParquetType::PrimitiveType(column) if column.physical_type == PhysicalType::Int96)
}

/// Replaces the types in `field` that only decorate others by those: dictionary types by the type of their values, and
/// extension types by their storage; returns the number of replaced types.
pub(super) fn undecorated(field: &mut ArrowField) -> usize {
    match &mut field.dtype {
        ArrowDataType::Dictionary(_, values, _) => {
            field.dtype = (**values).clone();
            // It says that the column has categories.
            field.metadata = None;
            1
        }
        ArrowDataType::Extension(extension) => {
            field.dtype = extension.inner.clone();
            field.metadata = None;
            1 + undecorated(field)
        }
        ArrowDataType::List(inner) | ArrowDataType::LargeList(inner) => undecorated(inner),
        ArrowDataType::Struct(fields) => fields.iter_mut().map(undecorated).sum(),
        _ => 0,
    }
}
