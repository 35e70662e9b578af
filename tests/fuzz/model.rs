// The check of the reader of model files on any bytes.

use botops_digest::Digest;
use botops_models::{IntentModel, Scratch};
use serde_json::Value;

/// The bytes before the header: the mark, the version, and the length of the header.
const BEFORE_HEADER: usize = 16;
/// The length of the digest of the whole, in bytes.
const DIGEST: usize = 32;

/// Reads `bytes` as a model file, as they are and with the digests corrected, and classifies with the model.
///
/// # Panics
/// When the reader or the model panics, a fault has the wrong code, or a prediction is not a number.
pub(crate) fn read(bytes: &[u8]) {
    check(bytes);
    if let Some(corrected) = with_digests(bytes) {
        check(&corrected);
    }
}

fn check(bytes: &[u8]) {
    let model = match IntentModel::from_bytes(bytes) {
        Ok(model) => model,
        Err(fault) => {
            assert!(fault.code().starts_with("BOT-7"), "{fault:?}");
            return;
        }
    };
    let mut scratch = Scratch::default();
    for text in ["", "where is my parcel?", "où est mon colis ? 你好 🙂"] {
        let prediction = model.predict_with(text, &mut scratch);
        for value in [prediction.confidence, prediction.score, prediction.logit] {
            assert!(value.is_finite(), "{text}: {prediction:?}");
        }
    }
    let _ = model.self_test();
}

/// Returns `bytes` with the digests of the parts they hold; `None` if they have no header.
fn with_digests(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = bytes.to_vec();
    let length = u32::from_le_bytes(bytes.get(12..BEFORE_HEADER)?.try_into().ok()?) as usize;
    let first = BEFORE_HEADER.checked_add(length)?;
    let mut header: Value = serde_json::from_slice(bytes.get(BEFORE_HEADER..first)?).ok()?;
    for part in header.get_mut("parts")?.as_array_mut()? {
        let begin = first.checked_add(usize::try_from(part.get("offset")?.as_u64()?).ok()?)?;
        let end = begin.checked_add(usize::try_from(part.get("length")?.as_u64()?).ok()?)?;
        part["digest"] = Digest::of(bytes.get(begin..end)?).to_string().into();
    }
    let header = serde_json::to_vec(&header).ok()?;
    bytes.splice(BEFORE_HEADER..first, header.iter().copied());
    bytes[12..BEFORE_HEADER].copy_from_slice(&u32::try_from(header.len()).ok()?.to_le_bytes());
    let end = bytes.len().checked_sub(DIGEST)?;
    let digest = Digest::of(&bytes[..end]);
    bytes[end..].copy_from_slice(digest.as_bytes());
    Some(bytes)
}
