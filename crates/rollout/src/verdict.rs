//! Verdicts on answers: who gave them, and the form in which a replica publishes them.
//!
//! A verdict is about one message. It names the message and its conversation by keys, and the share under which the server
//! that answered judges that conversation: any replica can publish it, whether or not it saw the conversation.

use crate::slot::Slot;
use base64::{Engine as _, engine::general_purpose::STANDARD_NO_PAD};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Who gave a verdict. Of two verdicts on one message, that of the first in this order counts.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum VerdictSource {
    /// A person with the scope `review`.
    Reviewer,
    /// A program of the environment itself, such as a rehearsal.
    System,
    /// Anyone else, whatever key the client has.
    EndUser,
}

impl VerdictSource {
    /// Every source, the most trusted first.
    pub const ALL: [Self; 3] = [Self::Reviewer, Self::System, Self::EndUser];

    /// Returns the name, as in JSON and messages: `end_user`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Reviewer => "reviewer",
            Self::System => "system",
            Self::EndUser => "end_user",
        }
    }
}

/// Verdicts of one source with one result, on conversations under one share of traffic.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Judged {
    /// The share under which the server that answered judges the conversations, and their arm.
    #[serde(flatten)]
    pub slot: Slot,
    /// Who judged.
    pub source: VerdictSource,
    /// Whether the answer was wrong.
    pub wrong: bool,
    /// The messages and their conversations.
    pub verdicts: VerdictSet,
}

/// Messages and their conversations, by keys of 64 bits: sorted, each message once.
///
/// It is stored as base64 of 16 bytes for each message: its key and that of its conversation.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct VerdictSet(Vec<(u64, u64)>);

impl VerdictSet {
    /// Returns the number of messages.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Returns whether there are no messages.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Iterates over the messages, in rising order, with their conversations.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (u64, u64)> + '_ {
        self.0.iter().copied()
    }

    fn decoded(text: &str) -> Result<Self, String> {
        let bytes = STANDARD_NO_PAD.decode(text).map_err(|error| error.to_string())?;
        let (pairs, rest) = bytes.as_chunks::<16>();
        if !rest.is_empty() {
            return Err("the last verdict is cut off".to_owned());
        }
        let pair = |bytes: &[u8; 16]| {
            let both = u128::from_be_bytes(*bytes);
            ((both >> 64) as u64, both as u64)
        };
        let pairs: Vec<(u64, u64)> = pairs.iter().map(pair).collect();
        match pairs.is_sorted_by(|a, b| a.0 < b.0) {
            true => Ok(Self(pairs)),
            false => Err("a message is there twice, or out of order".to_owned()),
        }
    }
}

impl FromIterator<(u64, u64)> for VerdictSet {
    /// Collects `(message, conversation)`. Of several with one message, the first stays.
    fn from_iter<I: IntoIterator<Item = (u64, u64)>>(pairs: I) -> Self {
        let mut pairs: Vec<(u64, u64)> = pairs.into_iter().collect();
        pairs.sort_by_key(|pair| pair.0);
        pairs.dedup_by_key(|pair| pair.0);
        Self(pairs)
    }
}

impl Serialize for VerdictSet {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let bytes = self.0.iter().flat_map(|(message, unit)| [*message, *unit]);
        let bytes: Vec<u8> = bytes.flat_map(u64::to_be_bytes).collect();
        serializer.serialize_str(&STANDARD_NO_PAD.encode(bytes))
    }
}

impl<'de> Deserialize<'de> for VerdictSet {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::decoded(&text).map_err(|reason| de::Error::custom(format!("verdicts: {reason}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn verdicts_are_read_back_as_they_were(pairs: Vec<(u64, u64)>) {
            let set: VerdictSet = pairs.into_iter().collect();
            let text = serde_json::to_string(&set).unwrap();
            prop_assert_eq!(serde_json::from_str::<VerdictSet>(&text).unwrap(), set);
        }

        #[test]
        fn any_bytes_are_verdicts_with_that_one_form_or_refused(bytes: Vec<u8>) {
            let stored = STANDARD_NO_PAD.encode(bytes);
            if let Ok(set) = VerdictSet::decoded(&stored) {
                prop_assert_eq!(serde_json::to_string(&set).unwrap(), format!("\"{stored}\""));
            }
        }
    }

    #[test]
    fn a_message_is_there_once() {
        let set: VerdictSet = [(7, 1), (3, 2), (7, 9)].into_iter().collect();
        assert_eq!(set.iter().collect::<Vec<_>>(), [(3, 2), (7, 1)]);
        let twice: Vec<u8> = [3_u64, 2, 3, 2].into_iter().flat_map(u64::to_be_bytes).collect();
        assert!(
            VerdictSet::decoded(&STANDARD_NO_PAD.encode(&twice)).unwrap_err().contains("twice")
        );
        let cut = STANDARD_NO_PAD.encode(&twice[..24]);
        assert!(VerdictSet::decoded(&cut).unwrap_err().contains("cut off"));
    }
}
