//! Utterances on standard input, one on each line.

use super::classification::Request;
use crate::cli::session::input_lines::InputLines;
use botops_findings::{Fault, Result};
use std::io::Read;

/// The most lines that are classified together.
const MOST_LINES: usize = 1_024;

/// Lines that are read as they arrive.
pub(super) struct Lines<R> {
    input: InputLines<R>,
    /// The fault of the line after those that were returned last.
    failed: Option<Fault>,
}

impl<R: Read> Lines<R> {
    /// Makes a reader of `input`.
    pub(super) fn of(input: R) -> Self {
        Self { input: InputLines::of(input), failed: None }
    }

    /// Waits for the next utterance, and returns it with those that arrived with it; empty at the end. Blank lines are
    /// skipped. The fault of a line is returned after the utterances before it.
    pub(super) fn arrived(&mut self) -> Result<Vec<Request>> {
        if let Some(fault) = self.failed.take() {
            return Err(fault);
        }
        let mut requests = Vec::new();
        loop {
            let text = match self.input.next() {
                Ok(Some(text)) => text,
                Ok(None) => break,
                Err(fault) if requests.is_empty() => return Err(fault),
                Err(fault) => {
                    self.failed = Some(fault);
                    break;
                }
            };
            if !text.trim().is_empty() {
                requests.push(Request { text, ..Request::default() });
            }
            if !requests.is_empty() && (!self.input.has_more() || requests.len() >= MOST_LINES) {
                break;
            }
        }
        Ok(requests)
    }

    /// Returns all utterances up to the end.
    pub(super) fn all(mut self) -> Result<Vec<Request>> {
        let mut requests = Vec::new();
        loop {
            let arrived = self.arrived()?;
            if arrived.is_empty() {
                return Ok(requests);
            }
            requests.extend(arrived);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(requests: Vec<Request>) -> Vec<String> {
        requests.into_iter().map(|request| request.text).collect()
    }

    /// Input that arrives in parts.
    struct Parts(Vec<&'static [u8]>);

    impl Read for Parts {
        fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
            let part = if self.0.is_empty() { b"" } else { self.0.remove(0) };
            into[..part.len()].copy_from_slice(part);
            Ok(part.len())
        }
    }

    #[test]
    fn blank_lines_are_skipped() {
        let requests = Lines::of(&b"hello\r\n\n  \n where is it?"[..]).all().unwrap();
        assert_eq!(texts(requests), ["hello", " where is it?"]);
    }

    #[test]
    fn a_line_is_answered_when_it_arrives_and_not_at_the_end() {
        let mut lines = Lines::of(Parts(vec![b"one\ntwo\nth", b"ree\n", b"\n", b"four"]));
        assert_eq!(texts(lines.arrived().unwrap()), ["one", "two"]);
        assert_eq!(texts(lines.arrived().unwrap()), ["three"]);
        assert_eq!(texts(lines.arrived().unwrap()), ["four"]);
        assert!(lines.arrived().unwrap().is_empty());
    }

    #[test]
    fn a_line_that_is_not_utf8_is_reported_by_its_number_after_the_lines_before_it() {
        let mut lines = Lines::of(&b"fine\n\ncaf\xe9\n"[..]);
        assert_eq!(texts(lines.arrived().unwrap()), ["fine"]);
        let fault = lines.arrived().unwrap_err();
        assert_eq!((fault.code(), fault.place().line), ("BOT-2104", Some(3)));
        let fault = Lines::of(&b"fine\ncaf\xe9\n"[..]).all().unwrap_err();
        assert_eq!(fault.place().line, Some(2));
    }

    #[test]
    fn the_first_line_has_no_byte_order_mark() {
        let requests = Lines::of("\u{feff}hello\n\u{feff}there\n".as_bytes()).all().unwrap();
        assert_eq!(texts(requests), ["hello", "\u{feff}there"]);
    }
}
