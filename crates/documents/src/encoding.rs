//! The encoding of a text file, and its text.

use crate::{file::FileSource, format::DocumentFormat, limits::Limits, meta_charset::meta_charset};
use botops_findings::{Fault, Result};
use encoding_rs::{DecoderResult, Encoding, UTF_8, UTF_16BE, UTF_16LE};

/// The bytes that are decoded at a time, so that a text that grows is refused before all of it is in memory.
const PIECE: usize = 64 << 10;

/// Returns the text of a file.
///
/// The encoding is that of the byte-order mark; else the declared one; else, in HTML, that of `<meta charset>`; else UTF-8.
/// A text that is valid UTF-8 is read as UTF-8 even if it is declared in an encoding of one byte a character: such
/// declarations are mostly wrong, and a real text in such an encoding is almost never valid UTF-8.
///
/// # Errors
/// `BOT-7102` (exit 3) the text is too large; `BOT-7103` (exit 3) the bytes are not text in this encoding, or have zero characters.
pub(crate) fn text(
    source: &FileSource<'_>,
    format: DocumentFormat,
    limits: &Limits,
) -> Result<String> {
    let (encoding, bytes) = match Encoding::for_bom(source.bytes) {
        Some((encoding, mark)) => (encoding, &source.bytes[mark..]),
        None => (declared(source, format), source.bytes),
    };
    let is_utf_8 = encoding.is_single_byte() && std::str::from_utf8(bytes).is_ok();
    let encoding = if is_utf_8 { UTF_8 } else { encoding };
    let name = source.name;
    let text = match decoded(encoding, bytes, limits.file_bytes) {
        Ok(text) => text,
        Err(Undecodable::TooLong) => {
            let message = format!("`{name}` has more than {} bytes as UTF-8", limits.file_bytes);
            return Err(Fault::data("BOT-7102", message)
                .file(name)
                .hint("split it into several documents"));
        }
        Err(Undecodable::At(at)) => {
            let message = format!(
                "`{name}` is not {}: byte {at} is 0x{:02X}",
                encoding.name(),
                bytes.get(at).copied().unwrap_or_default()
            );
            return Err(Fault::data("BOT-7103", message).file(name).hint(
                "save it as UTF-8, for example with `iconv -f WINDOWS-1252 -t UTF-8 IN > OUT`, or declare its encoding in `<meta charset>`",
            ));
        }
    };
    if text.contains('\0') {
        let message =
            format!("`{name}` has zero characters: it is not text in {}", encoding.name());
        return Err(Fault::data("BOT-7103", message).file(name).hint("save it as UTF-8"));
    }
    Ok(text)
}

/// Returns the encoding without a mark: unknown names count for nothing, and nor does UTF-16, which `<meta>` cannot be read in.
fn declared(source: &FileSource<'_>, format: DocumentFormat) -> &'static Encoding {
    let known = |label: &str| Encoding::for_label_no_replacement(label.as_bytes());
    let outside = source.declared.charset.as_deref().and_then(known);
    let inside = || match format {
        DocumentFormat::Html => {
            let encoding = known(&meta_charset(source.bytes)?)?;
            Some(if encoding == UTF_16LE || encoding == UTF_16BE { UTF_8 } else { encoding })
        }
        _ => None,
    };
    outside.or_else(inside).unwrap_or(UTF_8)
}

/// The reason why bytes are no text.
#[derive(Debug, PartialEq, Eq)]
enum Undecodable {
    /// The text is longer than the limit.
    TooLong,
    /// The byte that no character begins or continues with.
    At(usize),
}

fn decoded(
    encoding: &'static Encoding,
    bytes: &[u8],
    most: usize,
) -> std::result::Result<String, Undecodable> {
    let mut decoder = encoding.new_decoder_without_bom_handling();
    let (mut text, mut at) = (String::new(), 0);
    loop {
        let end = bytes.len().min(at + PIECE);
        let is_last = end == bytes.len();
        let room = decoder.max_utf8_buffer_length_without_replacement(end - at);
        text.reserve(room.ok_or(Undecodable::TooLong)?);
        let (result, read) =
            decoder.decode_to_string_without_replacement(&bytes[at..end], &mut text, is_last);
        at += read;
        if text.len() > most {
            return Err(Undecodable::TooLong);
        }
        match result {
            DecoderResult::InputEmpty if is_last => return Ok(text),
            DecoderResult::InputEmpty | DecoderResult::OutputFull => {}
            DecoderResult::Malformed(wrong, after) => {
                return Err(Undecodable::At(
                    at.saturating_sub(usize::from(wrong) + usize::from(after)),
                ));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_that_grows_beyond_the_limit_is_refused_and_a_wrong_byte_is_found() {
        let long = vec![0xe9_u8; 3 * PIECE];
        let latin = encoding_rs::WINDOWS_1252;
        assert_eq!(decoded(latin, &long, long.len()), Err(Undecodable::TooLong));
        let text = decoded(latin, &long, 2 * long.len()).unwrap();
        assert_eq!(text, "é".repeat(3 * PIECE));
        let mut wrong = vec![b'a'; PIECE + 7];
        wrong.extend(b"\xff ok");
        assert_eq!(decoded(UTF_8, &wrong, usize::MAX), Err(Undecodable::At(PIECE + 7)));
        // A character that is cut at the end, and one that crosses two pieces.
        assert_eq!(decoded(UTF_8, b"caf\xc3", usize::MAX), Err(Undecodable::At(3)));
        let crossing = format!("{}é", "a".repeat(PIECE - 1));
        assert_eq!(decoded(UTF_8, crossing.as_bytes(), usize::MAX).unwrap(), crossing);
        assert_eq!(decoded(UTF_16LE, b"a\0\x3d\xd8b\0", usize::MAX), Err(Undecodable::At(2)));
    }
}
