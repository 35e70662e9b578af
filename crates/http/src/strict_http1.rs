//! A strict reading of HTTP/1.1 messages, before the parser of the server gets them.
//!
//! Two programs that read the same bytes as different requests can be played off against each other (request smuggling). The
//! parser of the server accepts some messages that another program may read in another way: lines that end with a bare LF, a
//! `Content-Length` beside a `Transfer-Encoding`, a repeated length, other encodings than `chunked`. Here they are refused.
//!
//! - every line of a head, a chunk size and a trailer ends with CR LF, and has no other CR and no NUL
//! - no header line begins with a space, because it would continue the line before
//! - there is one length at most: one `Content-Length` of digits, or one `Transfer-Encoding: chunked`
//! - a chunk begins with its size in hexadecimal digits, and ends with CR LF
//!
//! A connection that begins with the preface of HTTP/2 is not read any further.

/// The bytes with which a client of HTTP/2 begins.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// The most digits of a length: a longer one does not fit into 64 bits.
const MOST_DIGITS: usize = 19;
/// The most hexadecimal digits of a chunk size.
const MOST_HEX_DIGITS: usize = 15;

/// The reader of the bytes that a client sends on one connection.
#[derive(Debug)]
pub struct StrictReader {
    state: State,
    /// The begin of a line whose end was not read yet.
    partial: Vec<u8>,
    /// The most bytes of a line that are kept; a longer one is refused.
    longest_line: usize,
    /// The bytes of the preface of HTTP/2 that were read; `None` if the client speaks HTTP/1.
    preface: Option<usize>,
    head: Head,
}

/// A message that is not read: the place of the byte at which it was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Malformed {
    /// The number of bytes before it.
    pub at: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Before a request; whether an empty line was skipped.
    Start { skipped: bool },
    /// In the header lines of a request.
    Headers,
    /// In a body, with this many bytes left.
    Body { left: u64 },
    /// In the line with the size of a chunk.
    ChunkSize,
    /// In a chunk, with this many bytes left.
    Chunk { left: u64 },
    /// At the line end after a chunk.
    ChunkEnd,
    /// In the lines after the last chunk.
    Trailers,
    /// Not HTTP/1.
    Http2,
}

/// The header lines that say how long a request is.
#[derive(Debug, Default)]
struct Head {
    length: Option<u64>,
    is_chunked: bool,
}

impl StrictReader {
    /// Makes the reader of a connection whose lines may have `longest_line` bytes.
    #[must_use]
    pub fn new(longest_line: usize) -> Self {
        Self {
            state: State::Start { skipped: false },
            partial: Vec::new(),
            longest_line,
            preface: Some(0),
            head: Head::default(),
        }
    }

    /// Returns whether the head of a request has begun, and not ended.
    #[must_use]
    pub fn is_within_head(&self) -> bool {
        match self.state {
            State::Headers => true,
            State::Start { .. } => !self.partial.is_empty(),
            _ => false,
        }
    }

    /// Returns whether the client speaks HTTP/2.
    #[must_use]
    pub fn is_http2(&self) -> bool {
        self.state == State::Http2
    }

    /// Reads `bytes`, which continue those read before.
    ///
    /// # Errors
    /// The place of the first byte that is refused. Nothing is to be read after it.
    pub fn read(&mut self, bytes: &[u8]) -> Result<(), Malformed> {
        self.read_preface(bytes);
        let mut at = 0;
        while at < bytes.len() {
            let rest = &bytes[at..];
            at += match &mut self.state {
                State::Http2 => return Ok(()),
                State::Body { left } | State::Chunk { left } => {
                    let n = usize::try_from(*left).unwrap_or(usize::MAX).min(rest.len());
                    *left -= n as u64;
                    if *left == 0 {
                        self.state = match self.state {
                            State::Chunk { .. } => State::ChunkEnd,
                            _ => State::Start { skipped: false },
                        };
                    }
                    n
                }
                _ => match rest.iter().position(|byte| *byte == b'\n') {
                    Some(end) => {
                        let is_fit = if self.partial.is_empty() {
                            self.read_line(&rest[..end])
                        } else {
                            let mut line = std::mem::take(&mut self.partial);
                            line.extend_from_slice(&rest[..end]);
                            self.read_line(&line)
                        };
                        is_fit.ok_or(Malformed { at: at + end })?;
                        end + 1
                    }
                    None => {
                        if self.partial.len() + rest.len() > self.longest_line {
                            return Err(Malformed { at });
                        }
                        self.partial.extend_from_slice(rest);
                        rest.len()
                    }
                },
            };
        }
        Ok(())
    }

    /// Compares `bytes` with the preface of HTTP/2, if they are among the first of the connection.
    fn read_preface(&mut self, bytes: &[u8]) {
        let Some(n_read) = self.preface else { return };
        let left = &PREFACE[n_read..];
        let n = left.len().min(bytes.len());
        if left[..n] != bytes[..n] {
            self.preface = None;
        } else if n == left.len() {
            self.preface = None;
            self.state = State::Http2;
            self.partial = Vec::new();
        } else {
            self.preface = Some(n_read + n);
        }
    }

    /// Reads a line without its LF. Returns `None` if it is refused.
    fn read_line(&mut self, line: &[u8]) -> Option<()> {
        let line = line.strip_suffix(b"\r")?;
        if line.len() > self.longest_line || line.iter().any(|byte| matches!(byte, b'\r' | 0)) {
            return None;
        }
        self.state = match self.state {
            State::Start { skipped } if line.is_empty() => match skipped {
                false => State::Start { skipped: true },
                true => return None,
            },
            State::Start { .. } => {
                self.head = Head::default();
                State::Headers
            }
            State::Headers if line.is_empty() => self.head.state_after()?,
            State::Headers => {
                self.head.read(line)?;
                State::Headers
            }
            State::ChunkSize => match chunk_size(line)? {
                0 => State::Trailers,
                left => State::Chunk { left },
            },
            State::ChunkEnd if line.is_empty() => State::ChunkSize,
            State::ChunkEnd => return None,
            State::Trailers if line.is_empty() => State::Start { skipped: false },
            State::Trailers => State::Trailers,
            state @ (State::Body { .. } | State::Chunk { .. } | State::Http2) => state,
        };
        Some(())
    }
}

impl Head {
    /// Reads a header line. Returns `None` if it is refused.
    fn read(&mut self, line: &[u8]) -> Option<()> {
        if matches!(line.first(), Some(b' ' | b'\t')) {
            return None;
        }
        let colon = line.iter().position(|byte| *byte == b':')?;
        let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
        if name.eq_ignore_ascii_case(b"content-length") {
            let length = number(value, 10, MOST_DIGITS)?;
            return self.length.replace(length).is_none().then_some(());
        }
        if name.eq_ignore_ascii_case(b"transfer-encoding") {
            let is_first = !std::mem::replace(&mut self.is_chunked, true);
            return (is_first && value.eq_ignore_ascii_case(b"chunked")).then_some(());
        }
        Some(())
    }

    /// Returns the state after the head; `None` if it has two lengths.
    fn state_after(&self) -> Option<State> {
        match (self.length, self.is_chunked) {
            (Some(_), true) => None,
            (None, true) => Some(State::ChunkSize),
            (None | Some(0), false) => Some(State::Start { skipped: false }),
            (Some(left), false) => Some(State::Body { left }),
        }
    }
}

/// Reads the size of a chunk, which an extension may follow.
fn chunk_size(line: &[u8]) -> Option<u64> {
    let digits = line.split(|byte| *byte == b';').next().unwrap_or_default();
    number(digits, 16, MOST_HEX_DIGITS)
}

/// Reads a number of digits only: no sign, no space.
fn number(digits: &[u8], radix: u32, most: usize) -> Option<u64> {
    let is_fit = (1..=most).contains(&digits.len())
        && digits.iter().all(|digit| char::from(*digit).is_digit(radix));
    let text = std::str::from_utf8(digits).ok().filter(|_| is_fit)?;
    u64::from_str_radix(text, radix).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONGEST: usize = 1 << 14;

    /// Reads `message` in pieces of `n` bytes. Returns the number of bytes before the refused one.
    fn refused_at(message: &[u8], n: usize) -> Option<usize> {
        let mut reader = StrictReader::new(LONGEST);
        for (i, piece) in message.chunks(n).enumerate() {
            if let Err(Malformed { at }) = reader.read(piece) {
                return Some(i * n + at);
            }
        }
        None
    }

    /// Asserts that `message` is read or refused whatever its pieces are.
    fn assert_refused(message: &str, is_refused: bool) {
        let whole = refused_at(message.as_bytes(), message.len());
        assert_eq!(whole.is_some(), is_refused, "{message:?}: {whole:?}");
        for n in 1..message.len() {
            assert_eq!(refused_at(message.as_bytes(), n), whole, "{message:?} in pieces of {n}");
        }
    }

    #[test]
    fn sound_messages_are_read_in_any_pieces() {
        for sound in [
            "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET / HTTP/1.0\r\n\r\n",
            "\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
            "POST / HTTP/1.1\r\nHost: a\r\ncontent-length: 4\r\n\r\n\n\n\r\0GET / HTTP/1.1\r\n\r\n",
            "POST / HTTP/1.1\r\nContent-Length: 0\r\n\r\n\r\nPOST / HTTP/1.1\r\n\r\n",
            "POST / HTTP/1.1\r\nTRANSFER-encoding: Chunked\r\n\r\n4;a=b\r\n\n\n\n\n\r\nA\r\n0123456789\r\n0\r\nt: 1\r\n\r\nGET / HTTP/1.1\r\n\r\n",
            "POST / HTTP/1.1\r\nX:\r\nEmpty: \t \r\n\r\n",
        ] {
            assert_refused(sound, false);
        }
    }

    #[test]
    fn a_message_that_can_be_read_in_two_ways_is_refused() {
        for two_ways in [
            // Bare LF, bare CR, NUL, folded lines.
            "GET / HTTP/1.1\nHost: a\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\n\n",
            "GET / HTTP/1.1\r\nHost: a\rX: b\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\0\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\n folded\r\n\r\n",
            "GET / HTTP/1.1\r\nno colon\r\n\r\n",
            "\r\n\r\nGET / HTTP/1.1\r\n\r\n",
            // Two lengths, and lengths that are no number.
            "POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx",
            "POST / HTTP/1.1\r\nContent-Length: 1\r\ncontent-length: 2\r\n\r\nxx",
            "POST / HTTP/1.1\r\nContent-Length: 1, 1\r\n\r\nx",
            "POST / HTTP/1.1\r\nContent-Length: +1\r\n\r\nx",
            "POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\nx",
            "POST / HTTP/1.1\r\nContent-Length: 0x1\r\n\r\nx",
            "POST / HTTP/1.1\r\nContent-Length: \r\n\r\nx",
            "POST / HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\nx",
            "POST / HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n0\r\n\r\n",
            // Encodings that another program may not know.
            "POST / HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
            "POST / HTTP/1.1\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
            "POST / HTTP/1.1\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
            "POST / HTTP/1.1\r\nTransfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n",
            "POST / HTTP/1.1\r\nTransfer-Encoding:\u{b}chunked\r\n\r\n0\r\n\r\n",
            "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            // Chunks.
            "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\nx\r\n0\r\n\r\n",
            "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1;a\nx\r\n0\r\n\r\n",
            "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0x1\r\nx\r\n0\r\n\r\n",
            "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n 1\r\nx\r\n0\r\n\r\n",
            "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\nx\r\n0\r\n\r\n",
            "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n\r\nx\r\n0\r\n\r\n",
            "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nxy\r\n0\r\n\r\n",
            "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\n0\r\n\r\n",
            "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\nx",
            "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nt: 1\n\r\n",
        ] {
            assert_refused(two_ways, true);
        }
    }

    #[test]
    fn a_line_may_not_be_longer_than_a_head() {
        let line = |n: usize| format!("GET /{} HTTP/1.1\r\n\r\n", "a".repeat(n));
        assert_eq!(refused_at(line(LONGEST - 16).as_bytes(), 1_000), None);
        assert!(refused_at(line(LONGEST).as_bytes(), 1_000).is_some());
        assert!(refused_at(line(LONGEST).as_bytes(), 1 << 20).is_some());
    }

    #[test]
    fn a_client_of_http2_is_known_by_its_preface_alone() {
        let frames = [PREFACE, b"\0\0\0\x04\0\0\0\0\0\n\n"].concat();
        for n in 1..frames.len() {
            assert_eq!(refused_at(&frames, n), None, "{n}");
        }
        let mut reader = StrictReader::new(LONGEST);
        assert!(!reader.is_http2() && !reader.is_within_head());
        reader.read(&PREFACE[..20]).unwrap();
        assert!(!reader.is_http2() && reader.is_within_head());
        reader.read(&PREFACE[20..]).unwrap();
        assert!(reader.is_http2() && !reader.is_within_head());
        // Only at the begin of the connection.
        let mut reader = StrictReader::new(LONGEST);
        reader.read(b"GET / HTTP/1.1\r\n\r\n").unwrap();
        reader.read(PREFACE).unwrap();
        assert!(!reader.is_http2());
        assert_refused("PRI * HTTP/2.0\r\n\r\nSM\r\nX\n", true);
    }

    #[test]
    fn the_head_of_a_request_begins_with_its_first_byte_and_ends_with_its_empty_line() {
        let mut reader = StrictReader::new(LONGEST);
        for (piece, is_within) in [
            ("P", true),
            ("OST / HTTP/1.1\r\n", true),
            ("content-length: 2\r\n", true),
            ("\r\n", false),
            ("x", false),
            ("y", false),
            ("G", true),
            ("ET / HTTP/1.1\r\n\r\n", false),
        ] {
            reader.read(piece.as_bytes()).unwrap();
            assert_eq!(reader.is_within_head(), is_within, "{piece:?}");
        }
    }
}
