//! Feedback tokens: an answer carries one, and a verdict on the answer brings it back.
//!
//! A token is encrypted and authenticated, so any server of the environment can judge a verdict without having seen the
//! request, and a client learns neither the arm nor the rollout from it. Its form, before base64url without padding:
//!
//! ```text
//! version 1 | key id, 4 bytes | process id, 16 bytes | nonce, 8 bytes | content | tag, 16 bytes
//! ```
//!
//! - each process derives its own key from `token_key` with HKDF-SHA256, from the environment, the model and a random
//!   process id, and counts its nonces: no two tokens share key and nonce, and a token of another environment is not valid
//! - everything in front of the content is authenticated with it (AES-256-GCM)
//! - the content has the same length for the same intent, in a rollout or not, on either arm
//! - two keys are valid at a time. The first makes tokens; see [`TokenKeys::parse`]

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use botops_digest::Digest;
use botops_findings::{Fault, Result};
use botops_rollout::{Arm, Slot};
use chrono::{DateTime, Utc};
use ring::{
    aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey},
    hkdf,
    rand::{SecureRandom as _, SystemRandom},
};
use std::{
    borrow::Cow,
    fmt,
    sync::atomic::{AtomicU64, Ordering},
};

/// The version of the form.
const VERSION: u8 = 1;
/// The fewest characters of a token key.
const FEWEST: usize = 32;
/// The most keys that are valid at a time.
const MOST_KEYS: usize = 2;
const KEY_ID_BYTES: usize = 4;
const PROCESS_BYTES: usize = 16;
const NONCE_BYTES: usize = 8;
const TAG_BYTES: usize = 16;
const HEAD_BYTES: usize = 1 + KEY_ID_BYTES + PROCESS_BYTES;
/// The length of the id of a request, in bytes.
const REQUEST_BYTES: usize = 24;
/// The content before the intent: flags, expiry, request, conversation, rollout, step and weight.
const FIXED_BYTES: usize = 1 + 8 + REQUEST_BYTES + 8 + 8 + 2 + 4;
/// The longest intent, in bytes. An answer with a longer one has no token.
const LONGEST_INTENT: usize = 256;
/// The longest token, in characters.
pub const LONGEST_FEEDBACK_TOKEN: usize =
    (HEAD_BYTES + NONCE_BYTES + FIXED_BYTES + LONGEST_INTENT + TAG_BYTES).div_ceil(3) * 4;

const IN_CONVERSATION: u8 = 1;
const IN_ROLLOUT: u8 = 2;
const ON_CANARY: u8 = 4;
const FALLBACK: u8 = 8;
const ALL_FLAGS: u8 = IN_CONVERSATION | IN_ROLLOUT | ON_CANARY | FALLBACK;

/// The keys of an environment for feedback tokens, the one that makes tokens first.
pub struct TokenKeys {
    keys: Vec<TokenKey>,
    /// Whether other servers have them, too.
    shared: bool,
}

struct TokenKey {
    id: [u8; KEY_ID_BYTES],
    key: hkdf::Prk,
}

/// The answer that a token is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JudgedAnswer<'a> {
    /// The id of the request, in bytes.
    pub request: [u8; 24],
    /// The key of its conversation (see [`botops_rollout::unit_key`]); `None` if the request names none.
    pub conversation: Option<u64>,
    /// The mark of the rollout (see [`rollout_mark`]) and the share under which the conversation is judged; `None` if it is
    /// not judged.
    pub place: Option<(u64, Slot)>,
    /// The predicted intent.
    pub intent: Cow<'a, str>,
    /// Whether the answer was the fallback.
    pub fallback: bool,
    /// The time from which a verdict does not count any more, in whole seconds.
    pub expires: DateTime<Utc>,
}

/// The reason why a token is not valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InvalidToken {
    /// It is not a token of a version that this program reads.
    Malformed,
    /// Its key is not one of the valid ones.
    UnknownKey,
    /// It was not made under the key of this environment and model, or it was changed.
    Forged,
}

/// Makes and opens the feedback tokens of one model in one environment.
pub struct FeedbackTokens {
    keys: TokenKeys,
    /// The environment and the model, as they enter the derivation of keys.
    scope: Vec<u8>,
    head: [u8; HEAD_BYTES],
    key: LessSafeKey,
    next: AtomicU64,
}

/// The number of bytes to derive.
struct Length(usize);

impl hkdf::KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

/// Returns a number that stands for the rollout `id` in tokens.
#[must_use]
pub fn rollout_mark(id: &str) -> u64 {
    u64::from_be_bytes(part(Digest::of(id.as_bytes()).as_bytes(), 0))
}

impl TokenKeys {
    /// Reads the keys in `secret`: one, or two with white space between them. The first makes tokens, both are valid.
    ///
    /// To change a key without losing a verdict: give every server `old new`, then `new old`, and `new` alone once the
    /// tokens of the old key have expired.
    ///
    /// # Errors
    /// `BOT-6131` (exit 2) there is no key, a key has fewer than 32 characters, or there are more than two.
    pub fn parse(secret: &str) -> Result<Self> {
        let fault = |message: String| {
            Fault::usage("BOT-6131", message).hint(
                "make a key with `openssl rand -hex 32`, and give it to every server of the environment",
            )
        };
        let keys: Vec<&str> = secret.split_whitespace().collect();
        if keys.len() > MOST_KEYS {
            let n = keys.len();
            let message =
                format!("there are {n} token keys: at most {MOST_KEYS} are valid at a time");
            return Err(fault(message)
                .hint("name the key that makes tokens first, and the one before it second"));
        }
        if keys.is_empty() || keys.iter().any(|key| key.len() < FEWEST) {
            let message =
                format!("the token key is too short: it needs at least {FEWEST} characters");
            return Err(fault(message));
        }
        let keys = keys.into_iter().map(|key| TokenKey::new(key.as_bytes())).collect();
        Ok(Self { keys, shared: true })
    }

    /// Makes a key for one process: no other server can judge its tokens, and none is valid after it.
    ///
    /// # Errors
    /// `BOT-6132` (exit 1) if the system gives no random numbers.
    pub fn alone() -> Result<Self> {
        Ok(Self { keys: vec![TokenKey::new(&random::<32>()?)], shared: false })
    }

    /// Returns the ids of the keys, the one that makes tokens first. They do not tell the keys.
    #[must_use]
    pub fn ids(&self) -> Vec<String> {
        let hex = |key: &TokenKey| key.id.iter().map(|byte| format!("{byte:02x}")).collect();
        self.keys.iter().map(hex).collect()
    }
}

impl TokenKey {
    fn new(key: &[u8]) -> Self {
        let key = hkdf::Salt::new(hkdf::HKDF_SHA256, b"botops feedback token").extract(key);
        let mut id = [0; KEY_ID_BYTES];
        key.expand(&[b"id"], Length(KEY_ID_BYTES))
            .and_then(|okm| okm.fill(&mut id))
            .expect("four bytes can be derived");
        Self { id, key }
    }

    /// Returns the key of a process.
    fn of_process(&self, scope: &[u8], process: &[u8]) -> LessSafeKey {
        let info = [&b"process"[..], scope, process];
        let key = self.key.expand(&info, &AES_256_GCM).expect("32 bytes can be derived");
        LessSafeKey::new(UnboundKey::from(key))
    }
}

impl fmt::Debug for TokenKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TokenKeys").field(&self.ids()).finish()
    }
}

impl FeedbackTokens {
    /// Begins a process: it makes tokens under the first of `keys`, for `model` in `environment`.
    ///
    /// # Errors
    /// `BOT-6132` (exit 1) if the system gives no random numbers.
    pub fn new(keys: TokenKeys, environment: &str, model: &str) -> Result<Self> {
        let mut scope = Vec::new();
        for name in [environment, model] {
            scope.extend((name.len() as u64).to_be_bytes());
            scope.extend(name.as_bytes());
        }
        let process = random::<PROCESS_BYTES>()?;
        let first = &keys.keys[0];
        let mut head = [VERSION; HEAD_BYTES];
        head[1..=KEY_ID_BYTES].copy_from_slice(&first.id);
        head[1 + KEY_ID_BYTES..].copy_from_slice(&process);
        let key = first.of_process(&scope, &process);
        Ok(Self { keys, scope, head, key, next: AtomicU64::new(0) })
    }

    /// Returns the ids of the valid keys, the one that makes tokens first; none for a key of one process.
    #[must_use]
    pub fn shared_key_ids(&self) -> Vec<String> {
        if self.keys.shared { self.keys.ids() } else { Vec::new() }
    }

    /// Makes a token; `None` if the intent is empty or longer than 256 bytes.
    #[must_use]
    pub fn make(&self, answer: &JudgedAnswer<'_>) -> Option<String> {
        let intent = answer.intent.as_bytes();
        if intent.is_empty() || intent.len() > LONGEST_INTENT {
            return None;
        }
        let nonce = self.next.fetch_add(1, Ordering::Relaxed).to_be_bytes();
        let begin = HEAD_BYTES + NONCE_BYTES;
        let mut bytes = Vec::with_capacity(begin + FIXED_BYTES + intent.len() + TAG_BYTES);
        bytes.extend(self.head);
        bytes.extend(nonce);
        write(&mut bytes, answer);
        let tag = self
            .key
            .seal_in_place_separate_tag(
                of_counter(nonce),
                Aad::from(self.head),
                &mut bytes[begin..],
            )
            .expect("a short text can be sealed");
        bytes.extend(tag.as_ref());
        Some(URL_SAFE_NO_PAD.encode(bytes))
    }

    /// Opens a token of any process of the environment. Whether it has expired is for the caller to compare.
    ///
    /// # Errors
    /// The reason why it is not valid. A client learns none of them.
    pub fn open(&self, token: &str) -> std::result::Result<JudgedAnswer<'static>, InvalidToken> {
        if token.len() > LONGEST_FEEDBACK_TOKEN {
            return Err(InvalidToken::Malformed);
        }
        let mut bytes = URL_SAFE_NO_PAD.decode(token).map_err(|_| InvalidToken::Malformed)?;
        let begin = HEAD_BYTES + NONCE_BYTES;
        if bytes.len() <= begin + FIXED_BYTES + TAG_BYTES || bytes[0] != VERSION {
            return Err(InvalidToken::Malformed);
        }
        let (head, sealed) = bytes.split_at_mut(HEAD_BYTES);
        let (nonce, sealed) = sealed.split_at_mut(NONCE_BYTES);
        let (id, process) = head[1..].split_at(KEY_ID_BYTES);
        let known = self.keys.keys.iter().find(|key| key.id == *id);
        let key = known.ok_or(InvalidToken::UnknownKey)?.of_process(&self.scope, process);
        let content = key
            .open_in_place(of_counter(part(nonce, 0)), Aad::from(&*head), sealed)
            .map_err(|_| InvalidToken::Forged)?;
        read(content).ok_or(InvalidToken::Malformed)
    }
}

impl fmt::Debug for FeedbackTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FeedbackTokens").field("keys", &self.keys).finish_non_exhaustive()
    }
}

fn random<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    SystemRandom::new().fill(&mut bytes).map_err(|_| {
        Fault::internal("BOT-6132", "the system gives no random numbers for feedback tokens")
    })?;
    Ok(bytes)
}

fn of_counter(counter: [u8; NONCE_BYTES]) -> Nonce {
    let mut nonce = [0; 12];
    nonce[12 - NONCE_BYTES..].copy_from_slice(&counter);
    Nonce::assume_unique_for_key(nonce)
}

/// Returns `N` bytes of `bytes` from `at`, which must be there.
fn part<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    bytes[at..at + N].try_into().expect("a part has its length")
}

/// Appends the content. What does not apply is zero, so that the length does not tell.
fn write(bytes: &mut Vec<u8>, answer: &JudgedAnswer<'_>) {
    let (rollout, slot) = match answer.place {
        Some((rollout, slot)) => (rollout, Some(slot)),
        None => (0, None),
    };
    let flag = |flag: u8, is_set: bool| if is_set { flag } else { 0 };
    bytes.push(
        flag(IN_CONVERSATION, answer.conversation.is_some())
            | flag(IN_ROLLOUT, slot.is_some())
            | flag(ON_CANARY, slot.is_some_and(|slot| slot.arm == Arm::Canary))
            | flag(FALLBACK, answer.fallback),
    );
    bytes.extend(answer.expires.timestamp().to_be_bytes());
    bytes.extend(answer.request);
    bytes.extend(answer.conversation.unwrap_or(0).to_be_bytes());
    bytes.extend(rollout.to_be_bytes());
    bytes.extend(slot.map_or(0, |slot| slot.step).to_be_bytes());
    bytes.extend(slot.map_or(0, |slot| slot.weight).to_be_bytes());
    bytes.extend(answer.intent.as_bytes());
}

/// Reads a content; `None` if no server writes it.
fn read(content: &[u8]) -> Option<JudgedAnswer<'static>> {
    let (fixed, intent) = content.split_at_checked(FIXED_BYTES)?;
    let flags = fixed[0];
    let is_set = |flag: u8| flags & flag != 0;
    let place = is_set(IN_ROLLOUT).then(|| {
        let arm = if is_set(ON_CANARY) { Arm::Canary } else { Arm::Primary };
        let step = u16::from_be_bytes(part(fixed, 49));
        let weight = u32::from_be_bytes(part(fixed, 51));
        (u64::from_be_bytes(part(fixed, 41)), Slot { step, weight, arm })
    });
    let is_sound = flags & !ALL_FLAGS == 0
        && place.is_none_or(|(_, slot)| slot.is_valid() && is_set(IN_CONVERSATION))
        && (1..=LONGEST_INTENT).contains(&intent.len());
    let intent = String::from_utf8(intent.to_vec()).ok().filter(|_| is_sound)?;
    Some(JudgedAnswer {
        request: part(fixed, 9),
        conversation: is_set(IN_CONVERSATION).then(|| u64::from_be_bytes(part(fixed, 33))),
        place,
        intent: intent.into(),
        fallback: is_set(FALLBACK),
        expires: DateTime::from_timestamp(i64::from_be_bytes(part(fixed, 1)), 0)?,
    })
}

#[cfg(test)]
mod tests;
