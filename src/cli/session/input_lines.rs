//! Lines of text on an input, one at a time.

use botops_findings::{Fault, Place, Result};
use std::io::{BufRead as _, BufReader, Read};

/// Lines that are read when they arrive.
pub(crate) struct InputLines<R> {
    input: BufReader<R>,
    line: u64,
}

impl<R: Read> InputLines<R> {
    /// Makes a reader of `input`, which faults call standard input.
    pub(crate) fn of(input: R) -> Self {
        Self { input: BufReader::with_capacity(64 << 10, input), line: 0 }
    }

    /// Returns whether a whole line is there already.
    pub(crate) fn has_more(&self) -> bool {
        self.input.buffer().contains(&b'\n')
    }

    /// Reads the next line, without its end, and the first without a byte-order mark; `None` at the end of the input.
    ///
    /// # Errors
    /// `BOT-1017` (exit 1) the input cannot be read; `BOT-2104` (exit 3) the line is not UTF-8.
    pub(crate) fn next(&mut self) -> Result<Option<String>> {
        self.line += 1;
        let place = Place {
            file: Some("standard input".to_owned()),
            line: Some(self.line),
            ..Place::default()
        };
        let mut bytes = Vec::new();
        let n = match self.input.read_until(b'\n', &mut bytes) {
            Ok(n) => n,
            Err(error) => {
                let fault = Fault::internal("BOT-1017", "standard input cannot be read");
                return Err(fault.at(place).caused_by(error));
            }
        };
        if n == 0 {
            return Ok(None);
        }
        let mut text = String::from_utf8(bytes).map_err(|_| {
            Fault::data("BOT-2104", "the line is not valid UTF-8")
                .at(place)
                .hint("convert it with `iconv -t UTF-8`")
        })?;
        text.truncate(text.trim_end_matches(['\n', '\r']).len());
        if self.line == 1 && text.starts_with('\u{feff}') {
            text.remove(0);
        }
        Ok(Some(text))
    }
}
