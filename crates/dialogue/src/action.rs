//! Compiled actions: the address with encoded values, and the body with the slots.

use crate::{
    call_method::CallMethod,
    faults::part,
    intent_spec::ActionSpec,
    reference::{Known, Values},
    slots::duration,
    state::SlotValue,
    step::ActionCall,
    template::Template,
    texts::{Texts, compile},
};
use botops_findings::{Fault, Result};
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    time::Duration,
};
use url::Url;

/// The time that an action has by default.
const TIMEOUT: Duration = Duration::from_secs(5);
/// The longest time of an action.
const LONGEST: Duration = Duration::from_secs(30);
/// The longest address, in bytes.
const MAX_URL: usize = 4 << 10;

/// An action.
#[derive(Debug)]
pub(crate) struct Action {
    /// The pieces of the address; the placeholders between them are in its path or query.
    pieces: Vec<Piece>,
    method: CallMethod,
    pub(crate) timeout: Duration,
    pub(crate) idempotent: bool,
    pub(crate) refused: Texts,
    pub(crate) failed: Texts,
    pub(crate) handoff: bool,
}

#[derive(Debug)]
enum Piece {
    Text(String),
    Value(Template),
}

impl Action {
    /// Compiles the action at `key` of an intent that `needs` these slots.
    ///
    /// # Errors
    /// `BOT-1112` for an address, a duration or a placeholder that cannot be used, `BOT-1030` for a template.
    pub(crate) fn compile(
        key: &str,
        spec: &ActionSpec,
        needs: &[String],
        known: &Known<'_>,
        intents: &BTreeSet<&str>,
    ) -> Result<Self> {
        let pieces = pieces(&format!("{key}.url"), &spec.url, needs, known)?;
        let timeout = spec
            .timeout
            .as_deref()
            .map(|text| duration(&format!("{key}.timeout"), text, LONGEST))
            .transpose()?
            .unwrap_or(TIMEOUT);
        let texts = |part: &str, texts| compile(&format!("{key}.{part}"), texts, known, intents);
        Ok(Self {
            pieces,
            method: spec.method.unwrap_or_default(),
            timeout,
            idempotent: spec.idempotent,
            refused: texts("refused", &spec.refused)?,
            failed: texts("failed", &spec.failed)?,
            handoff: spec.handoff,
        })
    }

    /// Returns the call for `intent`; `None` if a value makes an address that points elsewhere, such as `..`, or one that is
    /// too long.
    pub(crate) fn call(
        &self,
        intent: &str,
        slots: &BTreeMap<String, SlotValue>,
    ) -> Option<ActionCall> {
        let values = Values { entities: &[], slots, action: None };
        let mut url = String::new();
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => url.push_str(text),
                Piece::Value(template) => {
                    let value = template.fill(&values);
                    if value.is_empty() {
                        return None;
                    }
                    url.push_str(&encoded(&value));
                }
            }
        }
        let path = url.split('?').next().unwrap_or_default();
        if url.len() > MAX_URL || path.split('/').any(|step| matches!(step, "." | "..")) {
            return None;
        }
        let body = match self.method.has_body() {
            true => slots
                .iter()
                .map(|(name, slot)| {
                    let value = slot.normalised.clone();
                    (name.clone(), value.unwrap_or_else(|| Value::from(slot.value.as_str())))
                })
                .collect(),
            false => Value::Null,
        };
        Some(ActionCall {
            action: intent.to_owned(),
            url,
            method: self.method,
            body,
            timeout: self.timeout,
            idempotent: self.idempotent,
        })
    }
}

/// Returns the pieces of the address `url`.
fn pieces(key: &str, url: &str, needs: &[String], known: &Known<'_>) -> Result<Vec<Piece>> {
    // Only slots: the entities of a message are gone when a question lies between it and the call.
    let no_entities = BTreeMap::new();
    let slots = Known { entities: &no_entities, action: false, ..*known };
    let mut pieces = Vec::new();
    let mut harmless = String::new();
    let mut rest = url;
    while let Some(start) = rest.find('{') {
        let Some(length) = rest[start..].find('}') else {
            return Err(
                part(key, "unclosed `{` in the address").hint("write `{order_number}` for a value")
            );
        };
        let placeholder = &rest[start..=start + length];
        let template = Template::compile(placeholder, key, &slots)?;
        let certain = placeholder.contains('|')
            || template
                .names()
                .all(|name| name.slot().is_some_and(|slot| needs.iter().any(|n| n == slot)));
        if !certain {
            let message = format!("the address uses `{placeholder}`, which may have no value");
            return Err(part(key, message).hint(
                "add the slot to `needs:` of the intent, or a value for other cases: `{size|any}`",
            ));
        }
        if !is_after_host(&format!("{harmless}{}", &rest[..start])) {
            return Err(part(
                key,
                format!("`{placeholder}` stands before the path of the address"),
            )
            .hint("values may only fill the path and the query, after the host"));
        }
        harmless.push_str(&rest[..start]);
        harmless.push('x');
        pieces.push(Piece::Text(rest[..start].to_owned()));
        pieces.push(Piece::Value(template));
        rest = &rest[start + length + 1..];
    }
    harmless.push_str(rest);
    pieces.push(Piece::Text(rest.to_owned()));
    check_address(key, &harmless)?;
    Ok(pieces)
}

/// Returns whether `start` of an address goes beyond its host.
fn is_after_host(start: &str) -> bool {
    start.split_once("://").is_some_and(|(_, rest)| rest.contains(['/', '?']))
}

/// Checks an address that this dialogue makes calls to.
///
/// # Errors
/// `BOT-1112`.
pub(crate) fn check_address(key: &str, address: &str) -> Result<()> {
    let fault = |message: String| -> Fault {
        part(key, message)
            .hint("write an address such as `https://shop.example/orders/{order_number}`")
    };
    let url = Url::parse(address)
        .map_err(|error| fault(format!("the address cannot be used: {error}")))?;
    if !matches!(url.scheme(), "https" | "http") || url.host_str().is_none_or(str::is_empty) {
        return Err(fault("the address is no web address".to_owned()));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(part(key, "the address contains a user name or a password")
            .hint("a dialogue is kept in the model file: let the server add secrets"));
    }
    if url.fragment().is_some() {
        return Err(fault("the address has a fragment, `#…`, which is never sent".to_owned()));
    }
    if url.path_segments().map(Iterator::count) != Some(n_steps(address)) {
        return Err(fault("the path of the address has a step `.` or `..`".to_owned()));
    }
    if address.len() > MAX_URL
        || address.contains(|c: char| c.is_whitespace() || c.is_control() || c == '\\')
    {
        return Err(fault("the address is too long, or contains white space or `\\`".to_owned()));
    }
    Ok(())
}

/// Returns the number of steps in the path of `address`, as written.
fn n_steps(address: &str) -> usize {
    let path = address.split(['?', '#']).next().unwrap_or_default();
    // Scheme, nothing, and host come first.
    path.split('/').count().saturating_sub(3).max(1)
}

/// Returns `value` with all bytes but letters, digits, `-`, `_`, `~` and `.` percent-encoded.
fn encoded(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_~.".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}
