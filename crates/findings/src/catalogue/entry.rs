//! One entry of the catalogue.

use crate::fault_kind::FaultKind;

/// One stable code: its exit code and its explanation.
#[derive(Debug, Clone, Copy, serde::Serialize)]
pub struct Entry {
    /// The code, such as `BOT-2107`.
    pub code: &'static str,
    /// The kind of the fault, which decides the exit code; `None` for a code that only findings have.
    #[serde(rename = "exit")]
    pub kind: Option<FaultKind>,
    /// A short description, such as `duplicate text`.
    pub title: &'static str,
    /// The meaning of the code, why it matters, and the remedy.
    pub explanation: &'static str,
}
