//! Numbers sealed under a random key: nobody else can guess one, make one, or read the number in it.
//!
//! A sealed number is 192 bits: a 128-bit code of the number, and the number itself under a mask that depends on that code
//! (a synthetic initialization vector, as in RFC 5297). The code is what AES-128-GCM returns for an empty message whose
//! nonce is the number: a block of AES. So it is as random as AES is to whoever lacks the key, and two numbers never have
//! the same code.

use botops_findings::{Fault, Result};
use ring::{
    aead::{AES_128_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    rand::{SecureRandom as _, SystemRandom},
};
use std::{fmt, str::FromStr};

/// The bytes of a code.
const CODE: usize = 16;
/// The bytes of a sealed number.
const BYTES: usize = CODE + 8;

/// A key that seals numbers. It lives as long as its process, and is never written.
pub struct IdKey {
    codes: LessSafeKey,
    masks: LessSafeKey,
}

/// A sealed number, written as 48 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SealedNumber([u8; BYTES]);

impl IdKey {
    /// Makes a key of random bits.
    ///
    /// # Errors
    /// `BOT-1060` (exit 1) if the system has no random bits.
    pub fn random() -> Result<Self> {
        let none = |_| {
            Fault::internal("BOT-1060", "the operating system returned no random bits for a key")
        };
        let key = || {
            let mut bytes = [0_u8; 16];
            SystemRandom::new().fill(&mut bytes).map_err(none)?;
            UnboundKey::new(&AES_128_GCM, &bytes).map(LessSafeKey::new).map_err(none)
        };
        Ok(Self { codes: key()?, masks: key()? })
    }

    /// Seals `number`: the same number always gives the same result.
    #[must_use]
    pub fn seal(&self, number: u64) -> SealedNumber {
        let code = self.code(number);
        let masked = number ^ self.mask(&code);
        let mut bytes = [0; BYTES];
        bytes[..CODE].copy_from_slice(&code);
        bytes[CODE..].copy_from_slice(&masked.to_be_bytes());
        SealedNumber(bytes)
    }

    /// Returns the number in `sealed`; `None` if this key did not seal it.
    #[must_use]
    pub fn open(&self, sealed: &SealedNumber) -> Option<u64> {
        let (code, masked) = sealed.0.split_first_chunk::<CODE>()?;
        let number = u64::from_be_bytes(masked.try_into().ok()?) ^ self.mask(code);
        let expected = self.code(number);
        // The time does not depend on where they differ.
        let differs = code.iter().zip(&expected).fold(0, |differs, (a, b)| differs | (a ^ b));
        (differs == 0).then_some(number)
    }

    fn code(&self, number: u64) -> [u8; CODE] {
        let mut nonce = [0; NONCE_LEN];
        nonce[NONCE_LEN - 8..].copy_from_slice(&number.to_be_bytes());
        block(&self.codes, nonce)
    }

    fn mask(&self, code: &[u8; CODE]) -> u64 {
        let mut nonce = [0; NONCE_LEN];
        nonce.copy_from_slice(&code[..NONCE_LEN]);
        let [a, b, c, d, e, f, g, h, ..] = block(&self.masks, nonce);
        u64::from_be_bytes([a, b, c, d, e, f, g, h])
    }
}

/// Returns the block of AES for `nonce`: the tag of an empty message. A nonce may come again, because there is no message
/// that it could betray.
fn block(key: &LessSafeKey, nonce: [u8; NONCE_LEN]) -> [u8; CODE] {
    let nonce = Nonce::assume_unique_for_key(nonce);
    let tag = key
        .seal_in_place_separate_tag(nonce, Aad::empty(), &mut [])
        .expect("an empty message is not too long");
    let mut block = [0; CODE];
    block.copy_from_slice(tag.as_ref());
    block
}

impl fmt::Debug for IdKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IdKey").finish_non_exhaustive()
    }
}

impl SealedNumber {
    /// Returns the bytes, of which the first 16 are as good as random.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; BYTES] {
        &self.0
    }
}

impl fmt::Display for SealedNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut text = [0_u8; 2 * BYTES];
        for (digits, byte) in text.chunks_exact_mut(2).zip(self.0) {
            digits[0] = DIGITS[usize::from(byte >> 4)];
            digits[1] = DIGITS[usize::from(byte & 15)];
        }
        f.write_str(std::str::from_utf8(&text).map_err(|_| fmt::Error)?)
    }
}

/// The text is no sealed number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotSealed;

impl FromStr for SealedNumber {
    type Err = NotSealed;

    /// Reads exactly the form that is written.
    fn from_str(text: &str) -> Result<Self, NotSealed> {
        let digit = |byte: u8| match byte {
            b'0'..=b'9' => Some(byte - b'0'),
            b'a'..=b'f' => Some(byte - b'a' + 10),
            _ => None,
        };
        let mut bytes = [0; BYTES];
        if text.len() != 2 * BYTES {
            return Err(NotSealed);
        }
        for (byte, digits) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
            let (high, low) = digit(digits[0]).zip(digit(digits[1])).ok_or(NotSealed)?;
            *byte = high << 4 | low;
        }
        Ok(Self(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn a_number_is_found_again_by_its_own_key_alone() {
        let (ours, theirs) = (IdKey::random().unwrap(), IdKey::random().unwrap());
        for number in [0, 1, 2, 1_000_000, u64::MAX] {
            let sealed = ours.seal(number);
            assert_eq!(sealed.to_string().parse(), Ok(sealed));
            assert_eq!((ours.open(&sealed), theirs.open(&sealed)), (Some(number), None));
            for bit in 0..8 * BYTES {
                let mut other = sealed;
                other.0[bit / 8] ^= 1 << (bit % 8);
                assert_eq!(ours.open(&other), None, "bit {bit} of {number}");
            }
        }
    }

    #[test]
    fn neighbours_have_nothing_in_common() {
        let key = IdKey::random().unwrap();
        let n = 20_000_u64;
        let sealed: Vec<SealedNumber> = (0..n).map(|number| key.seal(number)).collect();
        // The bytes of the mask are random as well: the number does not show in them.
        for part in [0..8, 8..16, 16..24] {
            let distinct: BTreeSet<&[u8]> = sealed.iter().map(|it| &it.0[part.clone()]).collect();
            assert_eq!(distinct.len() as u64, n, "{part:?}");
        }
        for bit in 0..8 * BYTES {
            let ones = sealed.iter().filter(|it| it.0[bit / 8] >> (bit % 8) & 1 == 1).count();
            // 6 standard deviations of a fair coin.
            let deviation = (ones as f64 - n as f64 / 2.0).abs() / (n as f64 / 4.0).sqrt();
            assert!(deviation < 6.0, "bit {bit}: {ones} of {n}");
        }
    }

    #[test]
    fn only_the_written_form_is_read() {
        let text = IdKey::random().unwrap().seal(7).to_string();
        assert_eq!(text.len(), 48);
        let upper = text.to_uppercase().replace(|c: char| c.is_ascii_digit(), "A");
        for other in [
            "",
            "0",
            &text[1..],
            &format!("{text}0"),
            &upper,
            &format!("+{}", &text[1..]),
            &"é".repeat(24),
        ] {
            assert_eq!(other.parse::<SealedNumber>(), Err(NotSealed), "{other}");
        }
    }
}
