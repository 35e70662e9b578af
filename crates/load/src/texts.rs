//! The utterances that are sent.

use botops_findings::{Fault, Result};
use std::path::Path;

/// The largest file of texts, in bytes.
const MOST_BYTES: u64 = 64 << 20;
/// The longest text, in bytes.
const LONGEST: usize = 16 << 10;

/// Returns the utterances of a profile without a file of texts.
pub(crate) fn built_in() -> Vec<String> {
    [
        "where is my parcel?",
        "my parcel has not arrived yet, and the tracking page shows nothing new since Monday",
        "I was charged twice for the same order",
        "can you send me the invoice of last month",
        "how do I change my password",
        "my account is locked, please help",
        "I want to return a pair of shoes",
        "what are your opening hours",
        "cancel my subscription",
        "do you deliver to Belgium?",
        "thanks, that is all",
        "talk to a person please",
        "où est mon colis ?",
        "je voudrais une facture pour ma dernière commande",
        "comment changer mon mot de passe",
        "merci, bonne journée",
    ]
    .map(str::to_owned)
    .to_vec()
}

/// Reads a file with one utterance a line; empty lines are left out.
///
/// # Errors
/// `BOT-1001` (exit 2) the file cannot be read or is larger than 64 MiB; `BOT-6288` (exit 2) it is not UTF-8, has no text, or a line is too long.
pub(crate) fn read(path: &Path) -> Result<Vec<String>> {
    let wrong = |message: String| Err(Fault::usage("BOT-6288", message).file(path));
    let bytes = botops_spec::bytes_within(path, MOST_BYTES)?;
    let Ok(text) = String::from_utf8(bytes) else {
        return wrong("the file of texts is not UTF-8".to_owned());
    };
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let mut texts = Vec::new();
    for (i, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.len() > LONGEST {
            return wrong(format!(
                "line {} has {} bytes: expected at most {LONGEST}",
                i + 1,
                line.len()
            ));
        }
        if !line.is_empty() {
            texts.push(line.to_owned());
        }
    }
    if texts.is_empty() {
        return wrong("the file of texts has no text".to_owned());
    }
    Ok(texts)
}
