//! The columns of a Parquet file: records to arrays, and back.

use crate::record::{Likely, Record};
use chrono::SecondsFormat;
use polars_arrow::{
    array::{Array, BooleanArray, PrimitiveArray, Utf8ViewArray},
    datatypes::{ArrowDataType, ArrowSchema, Field, TimeUnit},
    types::NativeType,
};

/// A column, in the order of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Column {
    At,
    RequestId,
    Index,
    Endpoint,
    Conversation,
    Text,
    TextHash,
    NChars,
    Language,
    Guessed,
    Digest,
    Arm,
    Intent,
    Confidence,
    Intent2,
    P2,
    Intent3,
    P3,
    Oos,
    Fallback,
    LatencyUs,
    Entities,
    HandedOff,
    Unresolved,
    AnsweredFrom,
    Chunks,
    AnswerConfidence,
    Tokens,
    Cost,
    Manifest,
}

/// Every column, in order.
pub(crate) const COLUMNS: [Column; 30] = [
    Column::At,
    Column::RequestId,
    Column::Index,
    Column::Endpoint,
    Column::Conversation,
    Column::Text,
    Column::TextHash,
    Column::NChars,
    Column::Language,
    Column::Guessed,
    Column::Digest,
    Column::Arm,
    Column::Intent,
    Column::Confidence,
    Column::Intent2,
    Column::P2,
    Column::Intent3,
    Column::P3,
    Column::Oos,
    Column::Fallback,
    Column::LatencyUs,
    Column::Entities,
    Column::HandedOff,
    Column::Unresolved,
    Column::AnsweredFrom,
    Column::Chunks,
    Column::AnswerConfidence,
    Column::Tokens,
    Column::Cost,
    Column::Manifest,
];

impl Column {
    /// Returns its name in an export. Verbs that read tables take a column `intent` for the true one, and `entities` for spans, so
    /// those of predictions have other names.
    pub(crate) fn exported(self) -> &'static str {
        match self {
            Self::Intent => "predicted",
            Self::Entities => "entity_types",
            other => other.name(),
        }
    }

    /// Returns its name in the file.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::At => "time",
            Self::RequestId => "request_id",
            Self::Index => "index",
            Self::Endpoint => "endpoint",
            Self::Conversation => "conversation",
            Self::Text => "text",
            Self::TextHash => "text_hash",
            Self::NChars => "n_chars",
            Self::Language => "language",
            Self::Guessed => "guessed",
            Self::Digest => "digest",
            Self::Arm => "arm",
            Self::Intent => "intent",
            Self::Confidence => "confidence",
            Self::Intent2 => "intent_2",
            Self::P2 => "p_2",
            Self::Intent3 => "intent_3",
            Self::P3 => "p_3",
            Self::Oos => "oos",
            Self::Fallback => "fallback",
            Self::LatencyUs => "latency_us",
            Self::Entities => "entities",
            Self::HandedOff => "handed_off",
            Self::Unresolved => "unresolved",
            Self::AnsweredFrom => "answered_from",
            Self::Chunks => "chunks",
            Self::AnswerConfidence => "answer_confidence",
            Self::Tokens => "tokens",
            Self::Cost => "cost",
            Self::Manifest => "manifest",
        }
    }

    /// Returns its field in the schema.
    pub(crate) fn field(self) -> Field {
        let (dtype, nullable) = match self {
            Self::At => {
                (ArrowDataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into())), false)
            }
            Self::Index | Self::NChars => (ArrowDataType::UInt32, false),
            Self::LatencyUs => (ArrowDataType::UInt64, false),
            Self::Confidence => (ArrowDataType::Float64, false),
            Self::P2 | Self::P3 | Self::Oos | Self::AnswerConfidence | Self::Cost => {
                (ArrowDataType::Float64, true)
            }
            Self::Tokens => (ArrowDataType::UInt64, true),
            Self::Fallback | Self::HandedOff | Self::Unresolved => (ArrowDataType::Boolean, false),
            Self::RequestId | Self::Endpoint | Self::Digest | Self::Arm | Self::Intent => {
                (ArrowDataType::Utf8View, false)
            }
            Self::Conversation
            | Self::Text
            | Self::TextHash
            | Self::Language
            | Self::Guessed
            | Self::Intent2
            | Self::Intent3
            | Self::AnsweredFrom
            | Self::Chunks
            | Self::Entities
            | Self::Manifest => (ArrowDataType::Utf8View, true),
        };
        Field::new(self.name().into(), dtype, nullable)
    }

    /// Makes the array of this column of `records`.
    fn array(self, records: &[Record]) -> Box<dyn Array> {
        let texts = |of: &dyn Fn(&Record) -> Option<&str>| -> Box<dyn Array> {
            Box::new(Utf8ViewArray::from_slice(records.iter().map(of).collect::<Vec<_>>()))
        };
        let other = |record: &Record, at: usize| record.others.get(at).map(|it| it.p);
        match self {
            Self::At => {
                let times = PrimitiveArray::from_vec(records.iter().map(|it| it.at).collect());
                Box::new(times.to(self.field().dtype))
            }
            Self::RequestId => texts(&|it| Some(&it.request_id)),
            Self::Index => numbers(records.iter().map(|it| it.index)),
            Self::Endpoint => texts(&|it| Some(&it.endpoint)),
            Self::Conversation => texts(&|it| it.conversation.as_deref()),
            Self::Text => texts(&|it| it.text.as_deref()),
            Self::TextHash => texts(&|it| it.text_hash.as_deref()),
            Self::NChars => numbers(records.iter().map(|it| it.n_chars)),
            Self::Language => texts(&|it| it.language.as_deref()),
            Self::Guessed => texts(&|it| it.guessed.as_deref()),
            Self::Digest => texts(&|it| Some(&it.digest)),
            Self::Arm => texts(&|it| Some(&it.arm)),
            Self::Intent => texts(&|it| Some(&it.intent)),
            Self::Confidence => numbers(records.iter().map(|it| it.confidence)),
            Self::Intent2 => texts(&|it| it.others.first().map(|it| it.intent.as_str())),
            Self::P2 => optional(records.iter().map(|it| other(it, 0))),
            Self::Intent3 => texts(&|it| it.others.get(1).map(|it| it.intent.as_str())),
            Self::P3 => optional(records.iter().map(|it| other(it, 1))),
            Self::Oos => optional(records.iter().map(|it| it.oos)),
            Self::Fallback => bits(records.iter().map(|it| it.fallback)),
            Self::HandedOff => bits(records.iter().map(|it| it.handed_off)),
            Self::Unresolved => bits(records.iter().map(|it| it.unresolved)),
            Self::LatencyUs => numbers(records.iter().map(|it| it.latency_us)),
            Self::Entities => joined(records.iter().map(|it| &it.entities)),
            Self::AnsweredFrom => texts(&|it| it.answered_from.as_deref()),
            Self::Chunks => joined(records.iter().map(|it| &it.chunks)),
            Self::AnswerConfidence => optional(records.iter().map(|it| it.answer_confidence)),
            Self::Tokens => optional(records.iter().map(|it| it.tokens)),
            Self::Cost => optional(records.iter().map(|it| it.cost)),
            Self::Manifest => texts(&|it| it.manifest.as_deref()),
        }
    }

    /// Returns the value of this column as text; nothing if there is none.
    pub(crate) fn text(self, record: &Record) -> String {
        let other = |at: usize| record.others.get(at);
        let given = |text: &Option<String>| text.clone().unwrap_or_default();
        match self {
            Self::At => record.time().to_rfc3339_opts(SecondsFormat::Millis, true),
            Self::RequestId => record.request_id.clone(),
            Self::Index => record.index.to_string(),
            Self::Endpoint => record.endpoint.clone(),
            Self::Conversation => given(&record.conversation),
            Self::Text => given(&record.text),
            Self::TextHash => given(&record.text_hash),
            Self::NChars => record.n_chars.to_string(),
            Self::Language => given(&record.language),
            Self::Guessed => given(&record.guessed),
            Self::Digest => record.digest.clone(),
            Self::Arm => record.arm.clone(),
            Self::Intent => record.intent.clone(),
            Self::Confidence => record.confidence.to_string(),
            Self::Intent2 => other(0).map(|it| it.intent.clone()).unwrap_or_default(),
            Self::P2 => other(0).map(|it| it.p.to_string()).unwrap_or_default(),
            Self::Intent3 => other(1).map(|it| it.intent.clone()).unwrap_or_default(),
            Self::P3 => other(1).map(|it| it.p.to_string()).unwrap_or_default(),
            Self::Oos => record.oos.map(|oos| oos.to_string()).unwrap_or_default(),
            Self::Fallback => record.fallback.to_string(),
            Self::LatencyUs => record.latency_us.to_string(),
            Self::Entities => record.entities.join(","),
            Self::HandedOff => record.handed_off.to_string(),
            Self::Unresolved => record.unresolved.to_string(),
            Self::AnsweredFrom => given(&record.answered_from),
            Self::Chunks => record.chunks.join(","),
            Self::AnswerConfidence => {
                record.answer_confidence.map(|p| p.to_string()).unwrap_or_default()
            }
            Self::Tokens => record.tokens.map(|n| n.to_string()).unwrap_or_default(),
            Self::Cost => record.cost.map(|cost| cost.to_string()).unwrap_or_default(),
            Self::Manifest => given(&record.manifest),
        }
    }

    /// Puts the values of `array` into the same field of `records`. Returns false if it has another type.
    pub(crate) fn fill(self, array: &dyn Array, records: &mut [Record]) -> bool {
        match self {
            Self::At => each::<i64>(array, records, |it, at| it.at = at),
            Self::Index => each::<u32>(array, records, |it, n| it.index = n),
            Self::NChars => each::<u32>(array, records, |it, n| it.n_chars = n),
            Self::LatencyUs => each::<u64>(array, records, |it, n| it.latency_us = n),
            Self::Confidence => each::<f64>(array, records, |it, p| it.confidence = p),
            Self::Oos => each::<f64>(array, records, |it, p| it.oos = Some(p)),
            Self::P2 => each::<f64>(array, records, |it, p| likely(it, 0).p = p),
            Self::P3 => each::<f64>(array, records, |it, p| likely(it, 1).p = p),
            Self::Fallback => each_bit(array, records, |it, bit| it.fallback = bit),
            Self::HandedOff => each_bit(array, records, |it, bit| it.handed_off = bit),
            Self::Unresolved => each_bit(array, records, |it, bit| it.unresolved = bit),
            Self::RequestId => texts(array, records, |it, text| it.request_id = text),
            Self::Endpoint => texts(array, records, |it, text| it.endpoint = text),
            Self::Conversation => texts(array, records, |it, text| it.conversation = Some(text)),
            Self::Text => texts(array, records, |it, text| it.text = Some(text)),
            Self::TextHash => texts(array, records, |it, text| it.text_hash = Some(text)),
            Self::Language => texts(array, records, |it, text| it.language = Some(text)),
            Self::Guessed => texts(array, records, |it, text| it.guessed = Some(text)),
            Self::Digest => texts(array, records, |it, text| it.digest = text),
            Self::Arm => texts(array, records, |it, text| it.arm = text),
            Self::Intent => texts(array, records, |it, text| it.intent = text),
            Self::Intent2 => texts(array, records, |it, text| likely(it, 0).intent = text),
            Self::Intent3 => texts(array, records, |it, text| likely(it, 1).intent = text),
            Self::Entities => texts(array, records, |it, text| {
                it.entities = text.split(',').map(str::to_owned).collect();
            }),
            Self::AnsweredFrom => texts(array, records, |it, text| it.answered_from = Some(text)),
            Self::Chunks => texts(array, records, |it, text| {
                it.chunks = text.split(',').map(str::to_owned).collect();
            }),
            Self::AnswerConfidence => {
                each::<f64>(array, records, |it, p| it.answer_confidence = Some(p))
            }
            Self::Tokens => each::<u64>(array, records, |it, n| it.tokens = Some(n)),
            Self::Cost => each::<f64>(array, records, |it, cost| it.cost = Some(cost)),
            Self::Manifest => texts(array, records, |it, text| it.manifest = Some(text)),
        }
    }
}

/// Returns the schema of a file.
pub(crate) fn schema() -> ArrowSchema {
    COLUMNS.iter().map(|column| column.field()).map(|field| (field.name.clone(), field)).collect()
}

/// Returns the schema of an export: as [`schema`], with [`Column::exported`] names.
pub(crate) fn exported_schema() -> ArrowSchema {
    let field = |column: &Column| {
        let mut field = column.field();
        field.name = column.exported().into();
        (field.name.clone(), field)
    };
    COLUMNS.iter().map(field).collect()
}

/// Returns the arrays of `records`, one a column.
pub(crate) fn arrays(records: &[Record]) -> Vec<Box<dyn Array>> {
    COLUMNS.iter().map(|column| column.array(records)).collect()
}

fn bits(values: impl Iterator<Item = bool>) -> Box<dyn Array> {
    Box::new(BooleanArray::from_slice(values.collect::<Vec<_>>()))
}

fn numbers<T: NativeType>(values: impl Iterator<Item = T>) -> Box<dyn Array> {
    Box::new(PrimitiveArray::from_vec(values.collect()))
}

fn optional<T: NativeType>(values: impl Iterator<Item = Option<T>>) -> Box<dyn Array> {
    Box::new(values.collect::<PrimitiveArray<T>>())
}

/// Makes the array of lists of names, each joined by commas, or null if it is empty.
fn joined<'a>(lists: impl Iterator<Item = &'a Vec<String>>) -> Box<dyn Array> {
    let joined = lists.map(|list| (!list.is_empty()).then(|| list.join(",")));
    Box::new(Utf8ViewArray::from_slice(joined.collect::<Vec<_>>()))
}

/// Calls `put` with each value that is not null.
fn each<T: NativeType>(
    array: &dyn Array,
    records: &mut [Record],
    put: impl Fn(&mut Record, T),
) -> bool {
    let Some(values) = array.as_any().downcast_ref::<PrimitiveArray<T>>() else { return false };
    for (record, value) in records.iter_mut().zip(values.iter()) {
        if let Some(value) = value {
            put(record, *value);
        }
    }
    true
}

fn each_bit(array: &dyn Array, records: &mut [Record], put: impl Fn(&mut Record, bool)) -> bool {
    let Some(bits) = array.as_any().downcast_ref::<BooleanArray>() else { return false };
    for (record, bit) in records.iter_mut().zip(bits.iter()) {
        if let Some(bit) = bit {
            put(record, bit);
        }
    }
    true
}

fn texts(array: &dyn Array, records: &mut [Record], put: impl Fn(&mut Record, String)) -> bool {
    let Some(values) = array.as_any().downcast_ref::<Utf8ViewArray>() else { return false };
    for (record, value) in records.iter_mut().zip(values.iter()) {
        if let Some(value) = value {
            put(record, value.to_owned());
        }
    }
    true
}

/// Returns the next likely intent number `at`, which is made if it is missing.
fn likely(record: &mut Record, at: usize) -> &mut Likely {
    while record.others.len() <= at {
        record.others.push(Likely { intent: String::new(), p: 0.0 });
    }
    &mut record.others[at]
}
