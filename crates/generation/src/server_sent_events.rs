//! The reader of a stream of server-sent events, by the rules of the HTML standard (section 9.2.6).
//!
//! In: bytes, cut anywhere, also inside a character or a line end. Out: the data of each event. Lines and events are bounded.

use std::fmt;

/// The most bytes of one line and of the data of one event. A piece of an answer has some hundred bytes.
const MOST_BYTES: usize = 256 * 1024;

/// A reader of server-sent events.
///
/// - how the bytes are cut does not change the events
/// - the data of an event that no empty line ends is never returned
#[derive(Debug, Default)]
pub struct EventStream {
    /// The bytes of the line that is not complete.
    line: Vec<u8>,
    /// The data of the event that is not complete; `None` before its first line of data.
    data: Option<String>,
    /// Whether the byte before was a carriage return: a line feed behind it belongs to the same line end.
    after_return: bool,
    /// Whether the first line was read: a byte order mark is only in front of it.
    is_begun: bool,
}

/// A stream that is no stream of events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnfitStream {
    /// A line is not UTF-8.
    NotUtf8,
    /// A line or an event is too long.
    TooLong,
}

impl fmt::Display for UnfitStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotUtf8 => f.write_str("a line is not UTF-8"),
            Self::TooLong => write!(f, "an event has more than {MOST_BYTES} bytes"),
        }
    }
}

impl std::error::Error for UnfitStream {}

impl EventStream {
    /// Reads the next bytes, and hands the data of each complete event to `event`, until it returns false.
    ///
    /// # Errors
    /// A line is not UTF-8, or a line or an event is too long. The stream cannot be read further.
    pub fn push(
        &mut self,
        mut bytes: &[u8],
        event: &mut impl FnMut(&str) -> bool,
    ) -> Result<(), UnfitStream> {
        while let Some(&first) = bytes.first() {
            if std::mem::take(&mut self.after_return) && first == b'\n' {
                bytes = &bytes[1..];
                continue;
            }
            let end = bytes.iter().position(|byte| matches!(byte, b'\n' | b'\r'));
            let part = &bytes[..end.unwrap_or(bytes.len())];
            if self.line.len() + part.len() > MOST_BYTES {
                return Err(UnfitStream::TooLong);
            }
            self.line.extend_from_slice(part);
            let Some(end) = end else { return Ok(()) };
            self.after_return = bytes[end] == b'\r';
            bytes = &bytes[end + 1..];
            let line = std::mem::take(&mut self.line);
            if !self.complete_line(&line, event)? {
                return Ok(());
            }
            self.line = line;
            self.line.clear();
        }
        Ok(())
    }

    /// Reads one line, and returns whether to read on.
    fn complete_line(
        &mut self,
        line: &[u8],
        event: &mut impl FnMut(&str) -> bool,
    ) -> Result<bool, UnfitStream> {
        let line = std::str::from_utf8(line).map_err(|_| UnfitStream::NotUtf8)?;
        let line = match std::mem::replace(&mut self.is_begun, true) {
            true => line,
            false => line.strip_prefix('\u{feff}').unwrap_or(line),
        };
        if line.is_empty() {
            return Ok(self.data.take().is_none_or(|data| event(&data)));
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        // Comments have an empty name. `event`, `id` and `retry` mean nothing in this protocol.
        if field == "data" {
            let value = value.strip_prefix(' ').unwrap_or(value);
            match &mut self.data {
                Some(data) if data.len() + value.len() >= MOST_BYTES => {
                    return Err(UnfitStream::TooLong);
                }
                Some(data) => {
                    data.push('\n');
                    data.push_str(value);
                }
                None => self.data = Some(value.to_owned()),
            }
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events(parts: &[&[u8]]) -> Result<Vec<String>, UnfitStream> {
        let (mut stream, mut found) = (EventStream::default(), Vec::new());
        for part in parts {
            stream.push(part, &mut |data: &str| {
                found.push(data.to_owned());
                true
            })?;
        }
        Ok(found)
    }

    /// Every kind of line end, a comment, fields without meaning, an empty value, several lines of data, characters of 2 to 4
    /// bytes, and an event without an end.
    const STREAM: &str = "\u{feff}: ping\r\n\r\ndata: {\"é\":\"😀\"}\n\ndata:a\rdata: b\r\rid: 4\nevent: x\r\ndata\r\n\r\ndata:  two\n\n\n\ndatum: no\n\ndata: [DONE]\n\ndata: lost";

    #[test]
    fn events_are_the_same_however_the_bytes_are_cut() {
        let bytes = STREAM.as_bytes();
        let whole = events(&[bytes]).unwrap();
        assert_eq!(whole, ["{\"é\":\"😀\"}", "a\nb", "", " two", "[DONE]"]);
        for first in 0..=bytes.len() {
            for second in first..=bytes.len() {
                let parts = [&bytes[..first], &bytes[first..second], &bytes[second..]];
                assert_eq!(events(&parts).unwrap(), whole, "cut at {first} and {second}");
            }
        }
        let single: Vec<&[u8]> = bytes.chunks(1).collect();
        assert_eq!(events(&single).unwrap(), whole);
    }

    #[test]
    fn the_reader_stops_where_it_is_asked_to() {
        let (mut stream, mut found) = (EventStream::default(), 0);
        let bytes = b"data: 1\n\ndata: 2\n\ndata: 3\n\n";
        stream
            .push(bytes, &mut |data: &str| {
                found += 1;
                data != "2"
            })
            .unwrap();
        assert_eq!(found, 2);
    }

    #[test]
    fn endless_lines_endless_events_and_other_bytes_are_refused() {
        assert_eq!(events(&[b"data: \xff\n\n"]), Err(UnfitStream::NotUtf8));
        let part = vec![b'x'; 100_000];
        assert_eq!(events(&[&part, &part, &part]), Err(UnfitStream::TooLong));
        let line = format!("data: {}\n", "x".repeat(100_000));
        let line = line.as_bytes();
        assert_eq!(events(&[line, line, line]), Err(UnfitStream::TooLong));
    }
}
