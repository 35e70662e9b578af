//! Buttons: their payloads, and the meaning of a press.

use crate::{intent_spec::Meaning, plan::Plan, step::Button};
use serde_json::Value;

/// The payload of the button for yes.
pub(crate) const YES: &str = "botops:yes";
/// The payload of the button for no.
pub(crate) const NO: &str = "botops:no";
/// The longest payload that is read, in bytes.
const MAX_PAYLOAD: usize = 4 << 10;

/// A pressed button.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Press<'a> {
    /// Yes or no.
    Answer(Meaning),
    /// An intent of the dialogue, with values of slots.
    Intent { intent: &'a str, slots: Vec<(String, String)> },
}

impl<'a> Press<'a> {
    /// Reads a payload: the name of an intent, then slots as a JSON object, as in `return_request{"size":"M"}`; a leading `/`
    /// is skipped. `None` if it names no intent of the dialogue, or its slots cannot be read. Slots that the dialogue does
    /// not have are skipped.
    pub(crate) fn read(payload: &'a str, plan: &Plan) -> Option<Self> {
        match payload {
            YES => return Some(Self::Answer(Meaning::Yes)),
            NO => return Some(Self::Answer(Meaning::No)),
            long if long.len() > MAX_PAYLOAD => return None,
            _ => {}
        }
        let payload = payload.trim().strip_prefix('/').unwrap_or(payload.trim());
        let (intent, slots) = payload.split_at(payload.find('{').unwrap_or(payload.len()));
        let intent = intent.trim_end();
        if !plan.declared.contains(intent) {
            return None;
        }
        let slots = match slots {
            "" => Vec::new(),
            json => match serde_json::from_str(json).ok()? {
                Value::Object(fields) => fields
                    .into_iter()
                    .filter_map(|(slot, value)| Some((slot, value.as_str()?.to_owned())))
                    .filter(|(slot, _)| plan.slots.contains_key(slot))
                    .collect(),
                _ => return None,
            },
        };
        Some(Self::Intent { intent, slots })
    }
}

/// Returns the buttons for yes and no.
pub(crate) fn yes_and_no(yes: String, no: String) -> [Button; 2] {
    [Button { title: yes, payload: YES.to_owned() }, Button { title: no, payload: NO.to_owned() }]
}
