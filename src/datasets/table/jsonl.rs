//! JSON, one object a line, as rows of all keys.

use super::{Batch, Shape, batch::Filling};
use crate::{
    datasets::{
        ReadOptions,
        encoding::{Start, decode_part},
        jsonl::{keys, objects_of, record_at_end, scalar},
    },
    findings::{Place, Result},
};
use serde_json::Value;

/// Reads the rows of a file part by part. Its keys are those of the first part.
#[derive(Debug)]
pub(super) struct Parts {
    file: String,
    start: Start,
}

impl Parts {
    /// Begins a file.
    pub(super) fn new(file: &str) -> Self {
        Self { file: file.to_owned(), start: Start::default() }
    }

    /// Reads the whole lines at the beginning of `bytes`, and says how many bytes they are.
    pub(super) fn read(
        &mut self,
        bytes: &[u8],
        last: bool,
        shape: &mut Option<Shape>,
        options: &ReadOptions,
    ) -> Result<(usize, Option<Batch>)> {
        let whole = if last {
            bytes.len()
        } else {
            bytes.iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at + 1)
        };
        let text = decode_part(&bytes[..whole], &self.file, self.start, record_at_end)?;
        let objects = objects_of(text, &self.file, self.start)?;
        let place = Place { file: Some(self.file.clone()), ..Place::default() };
        if shape.is_none() && !objects.is_empty() {
            *shape = Some(Shape::of(keys(&objects), options, &place)?);
        }
        let Some(shape) = shape.as_ref().filter(|_| !objects.is_empty()) else {
            return Ok((whole, None));
        };
        let first = self.start.records + 1;
        let mut rows = Filling::new(shape.names.len(), first);
        rows.reserve(whole);
        for (record, (line, object)) in (first..).zip(&objects) {
            for (column, name) in shape.names.iter().enumerate() {
                let value = object.get(name);
                let cell = match value {
                    Some(Value::Array(_) | Value::Object(_)) if !shape.is_plain(column) => {
                        value.map(ToString::to_string)
                    }
                    _ => scalar(value, name).map_err(|fault| {
                        let (record, line) = (Some(record), Some(*line));
                        fault.at(Place { record, line, ..place.clone() })
                    })?,
                };
                rows.cell(cell.as_deref().unwrap_or_default().as_bytes());
            }
            rows.end_row(*line);
        }
        self.start = Start {
            offset: self.start.offset + whole as u64,
            line: self.start.line + text.matches('\n').count() as u64,
            records: self.start.records + rows.len() as u64,
        };
        Ok((whole, Some(rows.finish())))
    }
}
