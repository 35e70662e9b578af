//! Bodies of requests that are sent packed, with `Content-Encoding: gzip`.
//!
//! The limit on a body holds before and after it is unpacked: a few bytes can stand for a gigabyte.

use crate::problem::Problem;
use axum::http::{HeaderMap, StatusCode, header};
use botops_findings::Fault;
use flate2::write::MultiGzDecoder;
use std::{borrow::Cow, io::Write};

/// The most packed bytes that are unpacked in one step. Each may stand for 1,032 bytes.
const STEP: usize = 256;

/// Unpacks the parts of a body as they come; a body that is not packed passes through.
pub(super) struct Unpacker(Option<MultiGzDecoder<Vec<u8>>>);

impl Unpacker {
    /// Makes the unpacker of a body with `headers`.
    ///
    /// # Errors
    /// `BOT-6171` (415) the body is packed in another way.
    pub(super) fn new(headers: &HeaderMap) -> Result<Self, Problem> {
        let mut named = headers.get_all(header::CONTENT_ENCODING).iter();
        let encoding = named.next().map_or(&b""[..], |value| value.as_bytes()).trim_ascii();
        let is_one_of = |names: &[&[u8]]| names.iter().any(|it| encoding.eq_ignore_ascii_case(it));
        match named.next() {
            None if is_one_of(&[b"", b"identity"]) => Ok(Self(None)),
            None if is_one_of(&[b"gzip", b"x-gzip"]) => {
                Ok(Self(Some(MultiGzDecoder::new(Vec::new()))))
            }
            _ => {
                let shown = botops_text::display(&String::from_utf8_lossy(encoding), 40);
                let fault = Fault::usage("BOT-6171", format!("the server cannot unpack `{shown}`"))
                    .hint("send the body with `content-encoding: gzip`, or without one");
                Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, fault))
            }
        }
    }

    /// Unpacks `bytes`, which continue those before, to the end of `to`. Stops when `to` has more than `most` bytes; the
    /// rest of `bytes` is left out then.
    ///
    /// # Errors
    /// `BOT-6012` (400) they are not gzip.
    pub(super) fn push(
        &mut self,
        bytes: &[u8],
        to: &mut Vec<u8>,
        most: usize,
    ) -> Result<(), Problem> {
        let Some(decoder) = &mut self.0 else {
            let room = (most + 1).saturating_sub(to.len()).min(bytes.len());
            to.extend_from_slice(&bytes[..room]);
            return Ok(());
        };
        for step in bytes.chunks(STEP) {
            decoder.write_all(step).map_err(|_| broken())?;
            // The end of a member stays in the decoder until it is asked for.
            decoder.flush().map_err(|_| broken())?;
            to.append(decoder.get_mut());
            if to.len() > most {
                break;
            }
        }
        Ok(())
    }

    /// Checks that the body is complete, and adds its end to `to`.
    ///
    /// # Errors
    /// `BOT-6012` (400) it is not.
    pub(super) fn finish(&mut self, to: &mut Vec<u8>) -> Result<(), Problem> {
        let Some(decoder) = &mut self.0 else { return Ok(()) };
        decoder.try_finish().map_err(|_| broken())?;
        to.append(decoder.get_mut());
        Ok(())
    }
}

fn broken() -> Problem {
    let fault = Fault::usage("BOT-6012", "the body is declared as gzip, and is not complete gzip");
    Problem::new(StatusCode::BAD_REQUEST, fault)
}

/// Returns the body of a request with `headers` as it was before it was packed: at most `most` bytes.
///
/// # Errors
/// `BOT-6171` (415) it is packed in another way than gzip; `BOT-6012` (400) it is not gzip; `BOT-6014` (413) it is too large.
pub(super) fn unpacked<'a>(
    headers: &HeaderMap,
    body: &'a [u8],
    most: usize,
) -> Result<Cow<'a, [u8]>, Problem> {
    let mut unpacker = Unpacker::new(headers)?;
    if unpacker.0.is_none() {
        return Ok(Cow::Borrowed(body));
    }
    let mut plain = Vec::new();
    unpacker.push(body, &mut plain, most)?;
    if plain.len() <= most {
        unpacker.finish(&mut plain)?;
    }
    if plain.len() > most {
        let message = format!("the body is larger than {most} bytes once it is unpacked");
        let fault = Fault::usage("BOT-6014", message).hint("send fewer texts per request");
        return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, fault));
    }
    Ok(Cow::Owned(plain))
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;
    use flate2::{Compression, write::GzEncoder};

    fn packed(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn headers(encoding: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(header::CONTENT_ENCODING, HeaderValue::from_static(encoding))])
    }

    #[test]
    fn a_packed_body_is_read_and_its_limit_holds_after_it_is_unpacked() {
        let plain = b"{\"text\": \"where is my parcel\"}".repeat(40);
        for encoding in ["gzip", "GZIP", " x-gzip "] {
            let body = packed(&plain);
            assert_eq!(*unpacked(&headers(encoding), &body, plain.len()).unwrap(), *plain);
        }
        // Several members, as `cat a.gz b.gz` makes them.
        let members = [packed(&plain[..7]), packed(b""), packed(&plain[7..])].concat();
        assert_eq!(*unpacked(&headers("gzip"), &members, plain.len()).unwrap(), *plain);
        let problem = unpacked(&headers("gzip"), &members, plain.len() - 1).unwrap_err();
        assert_eq!((problem.status.as_u16(), problem.fault.code()), (413, "BOT-6014"));
        assert_eq!(*unpacked(&HeaderMap::new(), &plain, 0).unwrap(), *plain, "not packed");
        assert_eq!(*unpacked(&headers("identity"), &plain, 0).unwrap(), *plain);
    }

    #[test]
    fn a_bomb_is_cut_off_after_one_step() {
        let bomb = packed(&vec![0; 4 << 20]);
        let mut plain = Vec::new();
        Unpacker::new(&headers("gzip")).unwrap().push(&bomb, &mut plain, 1_000).unwrap();
        assert!(plain.len() > 1_000 && plain.len() <= STEP * 1_032 + 1_000, "{}", plain.len());
        assert_eq!(unpacked(&headers("gzip"), &bomb, 1_000).unwrap_err().fault.code(), "BOT-6014");
    }

    #[test]
    fn a_body_that_is_cut_damaged_or_packed_otherwise_is_refused() {
        let body = packed(b"{\"text\": \"where is my parcel\"}");
        let mut damaged = body.clone();
        *damaged.last_mut().unwrap() ^= 1;
        let code = |encoding, body: &[u8]| {
            let problem = unpacked(&headers(encoding), body, 1_000).unwrap_err();
            (problem.status.as_u16(), problem.fault.code())
        };
        for end in 1..body.len() {
            assert_eq!(code("gzip", &body[..end]), (400, "BOT-6012"), "{end}");
        }
        assert_eq!(code("gzip", &damaged), (400, "BOT-6012"));
        assert_eq!(code("gzip", b"{}"), (400, "BOT-6012"));
        for other in ["br", "zstd", "deflate", "gzip, gzip"] {
            assert_eq!(code(other, &body), (415, "BOT-6171"), "{other}");
        }
        let mut twice = headers("gzip");
        twice.append(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        assert!(unpacked(&twice, &body, 1_000).is_err());
    }
}
