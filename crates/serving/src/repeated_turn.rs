//! The answer that a message got before, as the caller who sends it again may see it.
//!
//! Whoever knows a conversation, a message id and its text can send the message again. The token for feedback is for the
//! caller who sent it first, and the version for callers who may see versions, whether or not the first one might.

use crate::{
    exchange::{Exchange, ShownVersion},
    metrics::arm_name,
};
use botops_access::CallerKind;
use botops_conversations::{StoredTurn, Turn};
use botops_rollout::Arm;
use serde_json::{Map, Value};

/// An answer that is given again.
pub(super) struct Repeated {
    /// The number of its turn in the conversation, from 0.
    pub(super) number: i64,
    /// The answer: a JSON object.
    pub(super) body: Vec<u8>,
    /// The version that answered, if this caller may see it.
    pub(super) shown: Option<ShownVersion>,
}

/// Returns the name under which the turn of a caller is stored; `None` for one of whom nothing is known.
pub(super) fn name_of_caller(exchange: &Exchange<'_>) -> Option<String> {
    let caller = exchange.caller?;
    let kind = match caller.kind {
        CallerKind::Anonymous => return None,
        CallerKind::Key => "key",
        CallerKind::Token => "token",
        CallerKind::SharedToken => "shared",
    };
    Some(exchange.app.unit_key.of_caller(kind, &caller.id))
}

impl Repeated {
    /// Returns the answer of `known`, as the caller of `exchange` may see it: byte for byte the first one for the same
    /// caller, if it may not see versions.
    pub(super) fn of(exchange: &Exchange<'_>, known: StoredTurn) -> Self {
        let number = known.row.number;
        let Some(turn) = known.turn else { return Self { number, body: Vec::new(), shown: None } };
        let is_same = turn.caller == name_of_caller(exchange);
        let sees_versions = exchange.shown(()).is_some();
        if is_same && !sees_versions {
            return Self { number, body: turn.answer.into_bytes(), shown: None };
        }
        // One that is no object was not written by this server, and this caller may see nothing of it.
        let mut answer: Map<String, Value> = serde_json::from_str(&turn.answer).unwrap_or_default();
        if !is_same {
            answer.remove("feedback_token");
        }
        let shown = sees_versions.then(|| version(exchange, &turn, &mut answer));
        let body = serde_json::to_vec(&answer).expect("an answer can be written as JSON");
        Self { number, body, shown }
    }
}

/// Adds the version of `turn` to its answer. Its name is known as long as the server has the model.
fn version(exchange: &Exchange<'_>, turn: &Turn, answer: &mut Map<String, Value>) -> ShownVersion {
    let routing = exchange.app.slot.load();
    let loaded = routing.iter().flat_map(|routing| {
        let canary = routing.split.as_ref().map(|split| (Arm::Canary, &split.canary));
        [Some((Arm::Primary, &routing.primary)), canary]
    });
    // Both arms may hold one model with different knowledge: the arm decides then.
    let same = loaded.flatten().filter(|(_, served)| served.digest_text == turn.digest);
    let served = same.min_by_key(|(arm, _)| arm_name(*arm) != turn.arm).map(|(_, served)| served);
    if let Some(served) = served {
        answer.insert("model".to_owned(), Value::from(&*served.reference));
    }
    answer.insert("digest".to_owned(), Value::from(turn.digest.as_str()));
    answer.insert("arm".to_owned(), Value::from(turn.arm.as_str()));
    ShownVersion::of_turn(served.map(|served| served.reference_header.clone()), turn)
}
