//! Which arm answers a conversation.

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

/// Assigns a conversation: `u64(SHA-256(salt || conversation_id)[0..8]) / 2^64 < weight` is the canary.
///
/// `weight` is in [0, 1]. Raising it never moves a conversation from the canary to the primary;
/// another salt draws other conversations first.
#[must_use]
pub fn assign(salt: &str, conversation_id: &str, weight: f64) -> Arm {
    let mut hasher = Hasher::default();
    hasher.update(salt.as_bytes());
    hasher.update(conversation_id.as_bytes());
    let digest = hasher.finish();
    let head: [u8; 8] = digest.as_bytes()[..8].try_into().expect("a digest has 32 bytes");
    // 53 bits keep the quotient below 1 after rounding.
    let point = (u64::from_be_bytes(head) >> 11) as f64 / (1_u64 << 53) as f64;
    if point < weight { Arm::Canary } else { Arm::Primary }
}
