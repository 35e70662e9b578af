//! The repaired file, ready to be written.

use botops_datasets::{Format, Packing, ReadOptions, writing::Packed};
use botops_expectations::Expectations;
use botops_findings::{Fault, Result};
use botops_validation::{Keep, ValidateOptions, Validation, validate_bytes};
use bytes::Bytes;
use std::{
    io::{self, Write as _},
    path::Path,
};

/// A repaired file.
#[derive(Debug, Clone)]
pub struct Repaired {
    /// The bytes of the file, unpacked.
    pub bytes: Bytes,
    /// The format of its records.
    pub format: Format,
    /// The options with which it is read.
    pub read: ReadOptions,
}

impl Repaired {
    /// Writes the file to `out`, packed with `packing`.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn write(&self, packing: Packing, out: &mut (dyn io::Write + Send)) -> io::Result<()> {
        let mut packed = Packed::new(packing, out)?;
        packed.write_all(&self.bytes)?;
        packed.finish()
    }

    /// Checks the file against `expectations`; findings call it `name`.
    ///
    /// # Errors
    /// As [`validate_bytes`].
    pub fn validate(
        &self,
        name: &str,
        expectations: &Expectations,
        options: &ValidateOptions<'_>,
    ) -> Result<Validation> {
        let bytes = self.bytes.clone();
        validate_bytes(bytes, name, &self.read, expectations, options, Keep::Counts)
    }
}

/// Checks that a file called `name` in this `format` may be repaired to `out`: its extension says no other format.
///
/// # Errors
/// `BOT-1003` (exit 2).
pub(crate) fn check_format(name: &str, format: Format, out: &Path) -> Result<()> {
    let is_json = |format| matches!(format, Format::Json | Format::Jsonl);
    let extension = format.name();
    match Format::of_name(&out.to_string_lossy()) {
        Some(other) if other != format && !(is_json(other) && format == Format::Jsonl) => {
            Err(Fault::usage(
                "BOT-1003",
                format!("`{name}` is {extension}, and a repair does not change the format"),
            )
            .file(out)
            .hint(format!(
                "end the name in .{extension}; `botops data export` writes another format"
            )))
        }
        _ => Ok(()),
    }
}
