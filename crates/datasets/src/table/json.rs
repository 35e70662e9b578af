//! JSON, one object a line or one list of objects, as rows of all keys.

use super::{Batch, Shape, batch::Filling};
use crate::{
    ReadOptions,
    formats::json::{Reader, keys, scalar},
};
use botops_findings::{Fault, Place, Result};
use serde_json::Value;

/// Reads the rows of a file part by part. Its keys are those of the first part.
#[derive(Debug)]
pub(super) struct Parts {
    file: String,
    objects: Reader,
}

impl Parts {
    /// Begins a file of one object a line, whose text begins at the byte `offset`.
    pub(super) fn lines(file: &str, offset: u64) -> Self {
        Self { file: file.to_owned(), objects: Reader::lines(file, offset) }
    }

    /// Begins a file of one list, whose text begins at the byte `offset`.
    pub(super) fn list(file: &str, offset: u64) -> Self {
        Self { file: file.to_owned(), objects: Reader::list(file, offset) }
    }

    /// Reads the whole objects at the beginning of `bytes`, and says how many bytes they are.
    pub(super) fn read(
        &mut self,
        bytes: &[u8],
        last: bool,
        shape: &mut Option<Shape>,
        options: &ReadOptions,
    ) -> Result<(usize, Option<Batch>)> {
        let first = self.objects.records() + 1;
        let (whole, objects) = self.objects.read_whole(bytes, last)?;
        let place = Place { file: Some(self.file.clone()), ..Place::default() };
        if shape.is_none() && !objects.is_empty() {
            *shape = Some(Shape::of(keys(&objects), options, &place)?);
        }
        let Some(shape) = shape.as_ref().filter(|_| !objects.is_empty()) else {
            return Ok((whole, None));
        };
        let mut rows = Filling::new(shape.names.len(), first);
        rows.reserve(whole);
        for (record, (line, object)) in (first..).zip(&objects) {
            for (column, name) in shape.names.iter().enumerate() {
                let value = object.get(name);
                let cell = match value {
                    Some(Value::Array(_) | Value::Object(_)) if !shape.is_plain(column) => {
                        value.map(ToString::to_string)
                    }
                    _ => scalar(value, name)
                        .map_err(|fault| fault.at(self.objects.place(record, *line)))?,
                };
                rows.cell(cell.as_deref().unwrap_or_default());
            }
            rows.end_row(*line);
        }
        Ok((whole, Some(rows.finish())))
    }

    /// Ends the file.
    ///
    /// # Errors
    /// `BOT-2107` for a list that is not closed.
    pub(super) fn finish(&self) -> Result<()> {
        self.objects.finish()
    }

    /// The fault of an object that does not end in what there is of it.
    pub(super) fn too_long(&self) -> Fault {
        self.objects.too_long()
    }
}
