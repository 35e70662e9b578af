//! The messages on which a mirrored challenger disagreed with the primary, kept for review.
//!
//! A text is redacted before it is kept. Each server keeps those of the current rollout, the last [`MOST`], in memory only.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// The most disagreements that are kept.
const MOST: usize = 200;

/// The most characters of a text that are kept.
const MOST_CHARS: usize = 500;

/// A message on which the two models disagreed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Disagreement {
    /// When the message was answered.
    pub at: DateTime<Utc>,
    /// The text of the user, with personal data replaced by marks such as `[email]`, and cut after 500 characters.
    pub text: String,
    /// The prediction of the primary, which answered.
    pub primary: ShadowPrediction,
    /// The prediction of the challenger, which answered nobody; `None` if it failed.
    pub challenger: Option<ShadowPrediction>,
}

/// The prediction of one model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ShadowPrediction {
    /// The most likely intent.
    pub intent: String,
    /// Its probability, in [0, 1].
    pub confidence: f64,
    /// Whether the model declines to answer.
    pub fallback: bool,
}

/// The disagreements that one server keeps.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Disagreements {
    /// The id of the rollout.
    pub rollout: String,
    /// The number of messages on which the two models disagreed on this server since it began to mirror.
    pub found: u64,
    /// The last 200 of them, the newest first.
    pub disagreements: Vec<Disagreement>,
    /// The id of the server that keeps them, as in the log: other servers keep their own. Empty in the answer of an older
    /// server.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub server: String,
}

/// The disagreements about the current rollout.
#[derive(Default)]
pub(super) struct KeptDisagreements(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    rollout: String,
    found: u64,
    last: VecDeque<Disagreement>,
}

impl KeptDisagreements {
    /// Keeps `disagreement` about `rollout`, with its text redacted. Those about an earlier rollout are forgotten.
    pub(super) fn keep(&self, rollout: &str, disagreement: Disagreement) {
        let redacted = botops_text::redact(&disagreement.text);
        let text = match redacted.char_indices().nth(MOST_CHARS) {
            Some((end, _)) => format!("{}…", &redacted[..end]),
            None => redacted,
        };
        let mut kept = self.lock();
        if kept.rollout != rollout {
            *kept = Kept { rollout: rollout.to_owned(), ..Kept::default() };
        }
        kept.found += 1;
        if kept.last.len() == MOST {
            kept.last.pop_back();
        }
        kept.last.push_front(Disagreement { text, ..disagreement });
    }

    /// Returns those about `rollout`.
    pub(super) fn of(&self, rollout: &str) -> Disagreements {
        let kept = self.lock();
        let rollout = rollout.to_owned();
        if kept.rollout != rollout {
            return Disagreements { rollout, ..Disagreements::default() };
        }
        let disagreements = kept.last.iter().cloned().collect();
        Disagreements { rollout, found: kept.found, disagreements, server: String::new() }
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Disagreement {
        let prediction = |intent: &str| ShadowPrediction {
            intent: intent.to_owned(),
            confidence: 0.5,
            fallback: false,
        };
        Disagreement {
            at: DateTime::UNIX_EPOCH,
            text: text.to_owned(),
            primary: prediction("a"),
            challenger: Some(prediction("b")),
        }
    }

    #[test]
    fn the_last_200_of_a_rollout_are_kept_redacted_and_cut() {
        let kept = KeptDisagreements::default();
        assert_eq!(kept.of("r1").found, 0);
        for n in 0..250 {
            kept.keep("r1", found(&format!("message {n} of ada@example.com")));
        }
        let seen = kept.of("r1");
        assert_eq!((seen.found, seen.disagreements.len()), (250, MOST));
        assert_eq!(seen.disagreements[0].text, "message 249 of [email]");
        assert_eq!(seen.disagreements[MOST - 1].text, "message 50 of [email]");
        assert_eq!(kept.of("r2"), Disagreements { rollout: "r2".to_owned(), ..Default::default() });
        let long = "é".repeat(MOST_CHARS + 1);
        kept.keep("r2", found(&long));
        assert_eq!(kept.of("r2").disagreements[0].text.chars().count(), MOST_CHARS + 1);
        assert!(kept.of("r2").disagreements[0].text.ends_with("é…"));
        assert!(kept.of("r1").disagreements.is_empty(), "an earlier rollout is forgotten");
    }
}
