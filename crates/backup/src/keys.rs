//! The keys of a backup: recipients, for whom it is encrypted, and identities, which open it.

use age::{
    Decryptor, Encryptor,
    secrecy::ExposeSecret as _,
    x25519::{Identity, Recipient},
};
use botops_digest::{Digest, hmac_sha256};
use botops_findings::{Fault, Result};
use std::{
    fmt,
    io::{Read as _, Write as _},
    str::FromStr,
};

/// Separates the names of chunks from every other use of the recipients.
const PURPOSE: &[u8] = b"botops backup chunk names";

/// Recipients and identities, in the format of age (`age1…`, `AGE-SECRET-KEY-1…`). Without any, a backup is not encrypted.
#[derive(Default)]
pub struct Keys {
    recipients: Vec<Recipient>,
    identities: Vec<Identity>,
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys")
            .field("recipients", &self.recipients.len())
            .field("identities", &self.identities.len())
            .finish()
    }
}

/// The text of a key file or of a variable, and its name in messages.
#[derive(Debug, Clone, Copy)]
pub struct KeyText<'a> {
    /// The path of the file, or the name of the variable.
    pub source: &'a str,
    /// The content: one key a line; empty lines and those that begin with `#` are skipped.
    pub text: &'a str,
}

impl Keys {
    /// Reads keys. An identity is also a recipient if none is given, so that one file does for both.
    ///
    /// # Errors
    /// `BOT-5104` (exit 2) names the place of a line that is not a key, and no part of it.
    pub fn parse(recipients: Option<KeyText<'_>>, identities: Option<KeyText<'_>>) -> Result<Self> {
        let identities: Vec<Identity> = lines(identities, "an identity, `AGE-SECRET-KEY-1…`")?;
        let mut recipients: Vec<Recipient> = lines(recipients, "a recipient, `age1…`")?;
        if recipients.is_empty() {
            recipients = identities.iter().map(Identity::to_public).collect();
        }
        Ok(Self { recipients, identities })
    }

    /// Returns whether new backups are encrypted.
    #[must_use]
    pub fn encrypts(&self) -> bool {
        !self.recipients.is_empty()
    }

    /// Returns whether encrypted backups may be opened.
    #[must_use]
    pub fn opens(&self) -> bool {
        !self.identities.is_empty()
    }

    /// Returns the name of a chunk. Of an encrypted one it is keyed by the recipients, so that a reader of the bucket who does
    /// not know them cannot test for a known text.
    pub(crate) fn name(&self, plain: &[u8]) -> Digest {
        if self.recipients.is_empty() {
            return Digest::of(plain);
        }
        let mut texts: Vec<String> = self.recipients.iter().map(ToString::to_string).collect();
        texts.sort_unstable();
        let key = hmac_sha256(PURPOSE, texts.join("\n").as_bytes());
        hmac_sha256(key.as_bytes(), plain)
    }

    /// Encrypts `plain` for the recipients; returns it as it is if there are none.
    pub(crate) fn seal(&self, plain: Vec<u8>) -> Result<Vec<u8>> {
        if self.recipients.is_empty() {
            return Ok(plain);
        }
        let write = || -> Result<Vec<u8>, Box<dyn std::error::Error + Send + Sync>> {
            let recipients = self.recipients.iter().map(|it| it as &dyn age::Recipient);
            let mut sealed = Vec::with_capacity(plain.len() + 512);
            let mut writer = Encryptor::with_recipients(recipients)?.wrap_output(&mut sealed)?;
            writer.write_all(&plain)?;
            writer.finish()?;
            Ok(sealed)
        };
        write().map_err(|error| {
            Fault::internal("BOT-9001", "a chunk could not be encrypted").caused_by(error)
        })
    }

    /// Decrypts `sealed`. The inner result is `None` if the bytes are damaged.
    ///
    /// # Errors
    /// `BOT-5103` (exit 2) no identity opens it.
    pub(crate) fn open(&self, sealed: &[u8]) -> Result<Option<Vec<u8>>> {
        let Ok(decryptor) = Decryptor::new(sealed) else { return Ok(None) };
        if self.identities.is_empty() {
            return Err(Fault::usage("BOT-5103", "the backup is encrypted, and no identity was given")
                .hint("name the file of an identity with `--identity-file`, or set BOTOPS_BACKUP_IDENTITY"));
        }
        let identities = self.identities.iter().map(|it| it as &dyn age::Identity);
        let mut reader = match decryptor.decrypt(identities) {
            Ok(reader) => reader,
            Err(age::DecryptError::NoMatchingKeys) => {
                return Err(Fault::usage(
                    "BOT-5103",
                    "none of the identities that were given opens the backup",
                )
                .hint("name the identity of a recipient of the backup; nothing was changed")
                .hint("parts of it may be older than the newest key: a file may hold several identities, one a line"));
            }
            Err(_) => return Ok(None),
        };
        let mut plain = Vec::with_capacity(sealed.len());
        Ok(reader.read_to_end(&mut plain).is_ok().then_some(plain))
    }
}

/// Reads the keys of a text.
fn lines<K: FromStr<Err = &'static str>>(text: Option<KeyText<'_>>, kind: &str) -> Result<Vec<K>> {
    let Some(KeyText { source, text }) = text else { return Ok(Vec::new()) };
    let mut keys = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let key = line.parse().map_err(|_| {
            Fault::usage("BOT-5104", format!("line {number} of `{source}` is not {kind}"))
                .hint("`age-keygen` makes an identity and prints its recipient")
        })?;
        keys.push(key);
    }
    if keys.is_empty() {
        return Err(Fault::usage("BOT-5104", format!("`{source}` holds no key"))
            .hint(format!("write {kind} in it")));
    }
    Ok(keys)
}

/// Makes an identity, for tests and drills: its text, and that of its recipient.
#[must_use]
pub fn new_identity() -> (String, String) {
    let identity = Identity::generate();
    (identity.to_string().expose_secret().to_owned(), identity.to_public().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(recipients: Option<&str>, identities: Option<&str>) -> Result<Keys> {
        let text = |text| KeyText { source: "keys.txt", text };
        Keys::parse(recipients.map(text), identities.map(text))
    }

    #[test]
    fn a_chunk_opens_with_the_identity_of_a_recipient_only() {
        let ((one, of_one), (two, of_two), (other, _)) =
            (new_identity(), new_identity(), new_identity());
        let both = keys(Some(&format!("# team\n{of_one}\n\n{of_two}\n")), None).unwrap();
        let sealed = both.seal(b"text".to_vec()).unwrap();
        assert!(!sealed.windows(4).any(|it| it == b"text"));
        for identity in [&one, &two] {
            let opened = keys(None, Some(identity)).unwrap().open(&sealed).unwrap();
            assert_eq!(opened.unwrap(), b"text");
        }
        let wrong = keys(None, Some(&other)).unwrap().open(&sealed).unwrap_err();
        assert_eq!((wrong.code(), wrong.kind().exit_code()), ("BOT-5103", 2));
        assert_eq!(both.open(&sealed).unwrap_err().code(), "BOT-5103");
        for at in 0..sealed.len() {
            let mut damaged = sealed.clone();
            damaged[at] ^= 1;
            let opened = keys(None, Some(&one)).unwrap().open(&damaged);
            assert!(opened.is_err() || opened.unwrap().is_none(), "byte {at}");
        }
    }

    #[test]
    fn names_are_keyed_by_the_recipients_in_any_order() {
        let ((_, a), (_, b)) = (new_identity(), new_identity());
        let name = |text: String| keys(Some(&text), None).unwrap().name(b"x");
        assert_eq!(name(format!("{a}\n{b}")), name(format!("{b}\n{a}")));
        assert_ne!(name(a.clone()), name(b));
        assert_eq!(Keys::default().name(b"x"), Digest::of(b"x"));
        assert_ne!(name(a), Digest::of(b"x"));
    }

    #[test]
    fn a_line_that_is_no_key_is_named_and_not_shown() {
        let (identity, recipient) = new_identity();
        for (recipients, identities) in
            [(Some(identity.as_str()), None), (None, Some(recipient.as_str())), (Some("# x"), None)]
        {
            let fault = keys(recipients, identities).unwrap_err();
            assert_eq!(fault.code(), "BOT-5104");
            let message = fault.message();
            assert!(
                message.contains("keys.txt") && !message.contains(&identity[..20]),
                "{message}"
            );
        }
    }
}
