//! The arm that answers a conversation.

use botops_digest::Hasher;
use serde::{Deserialize, Serialize};

/// The two sides of a canary.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Arm {
    /// The champion.
    Primary,
    /// The challenger.
    Canary,
}

/// Returns the arm of a conversation: the canary if `u64(SHA-256(salt || conversation_id)[0..8]) / 2^64 < weight`.
///
/// `weight` is in [0, 1]. Raising it never moves a conversation from the canary to the primary. Another
/// salt draws other conversations first.
#[must_use]
pub fn assign(salt: &str, conversation_id: &str, weight: f64) -> Arm {
    let mut hasher = Hasher::default();
    hasher.update(salt.as_bytes());
    hasher.update(conversation_id.as_bytes());
    let digest = hasher.finish();
    let head: [u8; 8] = digest.as_bytes()[..8].try_into().expect("a digest has 32 bytes");
    // The top 53 bits: `f64` holds them exactly, so the quotient stays below 1.
    let point = (u64::from_be_bytes(head) >> 11) as f64 / (1_u64 << 53) as f64;
    if point < weight { Arm::Canary } else { Arm::Primary }
}
