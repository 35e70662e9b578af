//! OTLP: the messages of OpenTelemetry as protocol buffers, as far as traces need them.
//!
//! The numbers of fields are those of `opentelemetry/proto/trace/v1/trace.proto` and its neighbors, which do not change.

use crate::ended::{Attribute, Ended, Kind, Value};

/// The wire types of protocol buffers.
const VARINT: u64 = 0;
const FIXED64: u64 = 1;
const BYTES: u64 = 2;
const FIXED32: u64 = 5;

/// The flags of a span besides that it is sampled: whether its parent is in another system is known, and whether it is.
const KNOWS_PARENT: u32 = 0x100;
const REMOTE_PARENT: u32 = 0x200;
/// The status of a span that failed.
const STATUS_ERROR: u64 = 2;

/// A message that is being written.
#[derive(Default)]
struct Message(Vec<u8>);

impl Message {
    fn varint(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.0.push((number as u8) | 0x80);
            number >>= 7;
        }
        self.0.push(number as u8);
    }

    fn key(&mut self, field: u64, wire: u64) {
        self.varint(field << 3 | wire);
    }

    fn number(&mut self, field: u64, number: u64) {
        self.key(field, VARINT);
        self.varint(number);
    }

    fn fixed64(&mut self, field: u64, bits: u64) {
        self.key(field, FIXED64);
        self.0.extend_from_slice(&bits.to_le_bytes());
    }

    fn bytes(&mut self, field: u64, bytes: &[u8]) {
        self.key(field, BYTES);
        self.varint(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
    }

    fn message(&mut self, field: u64, write: impl FnOnce(&mut Self)) {
        let mut inner = Self::default();
        write(&mut inner);
        self.bytes(field, &inner.0);
    }

    fn attribute(&mut self, field: u64, (key, value): &Attribute) {
        self.message(field, |pair| {
            pair.bytes(1, key.as_bytes());
            pair.message(2, |any| match value {
                Value::Text(text) => any.bytes(1, text.as_bytes()),
                Value::Bool(value) => any.number(2, u64::from(*value)),
                // A negative number is written as its two's complement.
                Value::Integer(number) => any.number(3, *number as u64),
                Value::Number(number) => any.fixed64(4, number.to_bits()),
            });
        });
    }

    fn span(&mut self, field: u64, span: &Ended) {
        self.message(field, |out| {
            out.bytes(1, &span.trace_id);
            out.bytes(2, &span.id);
            if let Some(state) = &span.state {
                out.bytes(3, state.as_bytes());
            }
            if let Some(parent) = &span.parent {
                out.bytes(4, parent);
            }
            out.bytes(5, span.name.as_bytes());
            out.number(
                6,
                match span.kind {
                    Kind::Internal => 1,
                    Kind::Server => 2,
                    Kind::Client => 3,
                },
            );
            out.fixed64(7, span.times.0);
            out.fixed64(8, span.times.1);
            span.attributes.iter().for_each(|attribute| out.attribute(9, attribute));
            if let Some(problem) = &span.error {
                out.message(15, |status| {
                    if !problem.is_empty() {
                        status.bytes(2, problem.as_bytes());
                    }
                    status.number(3, STATUS_ERROR);
                });
            }
            let remote = if span.has_remote_parent { REMOTE_PARENT } else { 0 };
            out.key(16, FIXED32);
            out.0.extend_from_slice(&(1 | KNOWS_PARENT | remote).to_le_bytes());
        });
    }
}

/// Writes the request `ExportTraceServiceRequest` with `spans` of the server that `resource` describes.
pub(crate) fn request(resource: &[Attribute], spans: &[Ended]) -> Vec<u8> {
    let mut request = Message(Vec::with_capacity(512 + 256 * spans.len()));
    request.message(1, |of_resource| {
        of_resource.message(1, |out| resource.iter().for_each(|it| out.attribute(1, it)));
        of_resource.message(2, |of_scope| {
            of_scope.message(1, |scope| {
                scope.bytes(1, b"botops");
                scope.bytes(2, env!("CARGO_PKG_VERSION").as_bytes());
            });
            spans.iter().for_each(|span| of_scope.span(2, span));
        });
    });
    request.0
}

/// Reads the number of refused spans and the reason from the answer `ExportTraceServiceResponse`; 0 if there is none, or it
/// cannot be read.
pub(crate) fn refused(answer: &[u8]) -> (u64, String) {
    let partial = fields(answer).find_map(|(field, content)| match content {
        Content::Bytes(bytes) if field == 1 => Some(bytes),
        _ => None,
    });
    let mut found = (0, String::new());
    for (field, content) in partial.into_iter().flat_map(fields) {
        match (field, content) {
            (1, Content::Number(number)) => found.0 = number,
            (2, Content::Bytes(text)) => found.1 = String::from_utf8_lossy(text).into_owned(),
            _ => {}
        }
    }
    found
}

enum Content<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

/// Returns the fields of a message; they end at the first one that cannot be read. Numbers of a fixed size are left out.
fn fields(mut message: &[u8]) -> impl Iterator<Item = (u64, Content<'_>)> {
    std::iter::from_fn(move || {
        loop {
            let key = read_varint(&mut message)?;
            match key & 7 {
                VARINT => return Some((key >> 3, Content::Number(read_varint(&mut message)?))),
                BYTES => {
                    let n = usize::try_from(read_varint(&mut message)?).ok()?;
                    return Some((key >> 3, Content::Bytes(message.split_off(..n)?)));
                }
                FIXED64 => drop(message.split_off(..8)?),
                FIXED32 => drop(message.split_off(..4)?),
                _ => return None,
            }
        }
    })
}

fn read_varint(message: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let byte = *message.split_off_first()?;
        number |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_refused_spans_of_an_answer_are_read_and_a_damaged_answer_refuses_none() {
        let mut answer = Message::default();
        answer.message(1, |partial| {
            partial.fixed64(9, 1);
            partial.number(1, 300);
            partial.bytes(2, "zu viele".as_bytes());
        });
        assert_eq!(refused(&answer.0), (300, "zu viele".to_owned()));
        for n in 0..answer.0.len() {
            assert_eq!(refused(&answer.0[..n]).0, 0, "cut after {n} bytes");
        }
        assert_eq!(refused(b""), (0, String::new()));
        assert_eq!(refused(b"<html>no protocol buffers</html>").0, 0);
        assert_eq!(refused(&[0xff; 40]).0, 0);
    }
}
