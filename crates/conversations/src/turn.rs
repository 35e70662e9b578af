//! A turn of a conversation: a message and its answer.

use botops_findings::{Fault, Result};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The newest form of a stored turn.
const NEWEST: u32 = 1;
/// The most bytes of a stored turn, before it is sealed. A text has 5,000 characters, so that only a very long answer or
/// very many slots come near.
pub const MOST_TURN_BYTES: usize = 256 << 10;

/// The message of a turn, and what the bot made of it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Turn {
    /// The client's id of the message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message_id: Option<String>,
    /// The id of the request that was answered.
    pub request_id: String,
    /// The text of the user.
    pub text: String,
    /// The answer, byte for byte: a JSON document.
    pub answer: String,
    /// The intent; `None` if the model declined to answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub intent: Option<String>,
    /// The language of the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// The entities in the text: a list.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub entities: Value,
    /// The slots of the conversation after this turn: an object. Null if the bot keeps none.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub slots: Value,
    /// The digest of the model that answered.
    pub digest: String,
    /// The arm of the rollout: `primary` or `canary`.
    pub arm: String,
    /// The name of the caller who sent the message: an HMAC. `None` if nothing was known of the caller, or the client gave no
    /// id of the message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub caller: Option<String>,
}

/// A turn as bytes, with the version of its form.
#[derive(Serialize)]
struct Written<'a> {
    v: u32,
    #[serde(flatten)]
    turn: &'a Turn,
}

impl Turn {
    /// Returns the bytes to store.
    ///
    /// # Errors
    /// `BOT-6128` (exit 3) if there are more than [`MOST_TURN_BYTES`].
    pub(crate) fn to_bytes(&self) -> Result<Vec<u8>> {
        let bytes = serde_json::to_vec(&Written { v: NEWEST, turn: self })
            .expect("a turn can be written as JSON");
        if bytes.len() <= MOST_TURN_BYTES {
            return Ok(bytes);
        }
        let message =
            format!("the turn has {} bytes, but at most {MOST_TURN_BYTES} are stored", bytes.len());
        Err(Fault::data("BOT-6128", message).hint("keep answers and slots short"))
    }

    /// Reads a turn from its bytes.
    ///
    /// # Errors
    /// `BOT-6118` (exit 6) if a newer version of botops wrote it, `BOT-6123` (exit 3) if it is damaged.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Result<Self> {
        #[derive(Deserialize)]
        struct Version {
            v: u32,
        }
        let damaged = |error: serde_json::Error| {
            Fault::data("BOT-6123", "a stored turn cannot be read").caused_by(error)
        };
        let Version { v } = serde_json::from_slice(bytes).map_err(damaged)?;
        if v > NEWEST {
            let message = format!("a turn has the form {v}, but this botops reads up to {NEWEST}");
            return Err(Fault::policy("BOT-6118", message).hint("use a newer botops"));
        }
        serde_json::from_slice(bytes).map_err(damaged)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use serde_json::json;

    pub(crate) fn turn(text: &str) -> Turn {
        Turn {
            message_id: Some("m".to_owned()),
            request_id: "r-1".to_owned(),
            text: text.to_owned(),
            answer: "{\"response\" : \"d'accord\",  \"x\":1.10}".to_owned(),
            intent: Some("order_status".to_owned()),
            language: Some("fr".to_owned()),
            entities: json!([{"name": "order", "value": "20447"}]),
            slots: json!({"order": "20447"}),
            digest: "sha256:ab".to_owned(),
            arm: "primary".to_owned(),
            caller: None,
        }
    }

    #[test]
    fn a_turn_is_read_as_it_was_written() {
        let turn = turn("où est ma commande 20447 ?");
        let bytes = turn.to_bytes().unwrap();
        assert!(bytes.starts_with(b"{\"v\":1,"));
        assert_eq!(Turn::from_bytes(&bytes).unwrap(), turn);
    }

    #[test]
    fn newer_and_damaged_and_huge_turns_are_refused() {
        let code = |bytes: &[u8]| Turn::from_bytes(bytes).unwrap_err().code();
        assert_eq!(code(b"{\"v\":2,\"said\":\"hello\"}"), "BOT-6118");
        assert_eq!(code(b"{\"v\":1}"), "BOT-6123");
        assert_eq!(code(b"\xff"), "BOT-6123");
        let huge = turn(&"x".repeat(MOST_TURN_BYTES));
        assert_eq!(huge.to_bytes().unwrap_err().code(), "BOT-6128");
    }
}
