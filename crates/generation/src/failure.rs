//! Failures of a language model, by class.

use crate::generated::Usage;
use std::{fmt, time::Duration};

/// The class of a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FailureKind {
    /// No connection could be made, or it broke before an answer.
    Unreachable,
    /// No answer, or no end of it, within the time.
    TimedOut,
    /// The endpoint refuses this request (a status of 3xx or 4xx but 429).
    Refused,
    /// The endpoint refuses the key (401 or 403).
    Unauthorized,
    /// The endpoint has too much to do (429).
    Busy,
    /// The endpoint reports an error of its own (5xx, or an error within a stream).
    EndpointError,
    /// The answer is not of the protocol: HTML, or not JSON.
    NotOfTheProtocol,
    /// The answer ended before its end.
    Cut,
    /// The answer does not end within its limits.
    TooLong,
    /// Another model answered.
    OtherModel,
    /// There is no text, or the endpoint withholds it.
    Withheld,
    /// The budget does not allow this request. Nothing was sent.
    OverBudget,
    /// The endpoint failed repeatedly and is not asked for a while. Nothing was sent.
    Paused,
}

impl FailureKind {
    /// Every class.
    pub const ALL: [Self; 13] = [
        Self::Unreachable,
        Self::TimedOut,
        Self::Refused,
        Self::Unauthorized,
        Self::Busy,
        Self::EndpointError,
        Self::NotOfTheProtocol,
        Self::Cut,
        Self::TooLong,
        Self::OtherModel,
        Self::Withheld,
        Self::OverBudget,
        Self::Paused,
    ];

    /// Returns the code that logs name.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::Unreachable => "BOT-7310",
            Self::TimedOut => "BOT-7311",
            Self::Refused => "BOT-7312",
            Self::Unauthorized => "BOT-7313",
            Self::Busy => "BOT-7314",
            Self::EndpointError => "BOT-7315",
            Self::NotOfTheProtocol => "BOT-7316",
            Self::Cut => "BOT-7317",
            Self::TooLong => "BOT-7318",
            Self::OtherModel => "BOT-7319",
            Self::Withheld => "BOT-7320",
            Self::OverBudget => "BOT-7321",
            Self::Paused => "BOT-7322",
        }
    }

    /// Returns the name for the label of a metric, such as `timed_out`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Unreachable => "unreachable",
            Self::TimedOut => "timed_out",
            Self::Refused => "refused",
            Self::Unauthorized => "unauthorized",
            Self::Busy => "busy",
            Self::EndpointError => "endpoint_error",
            Self::NotOfTheProtocol => "not_of_the_protocol",
            Self::Cut => "cut",
            Self::TooLong => "too_long",
            Self::OtherModel => "other_model",
            Self::Withheld => "withheld",
            Self::OverBudget => "over_budget",
            Self::Paused => "paused",
        }
    }

    /// Returns whether another try may succeed. A try that gave a piece of text is never repeated.
    pub(crate) fn may_be_repeated(self) -> bool {
        matches!(self, Self::Unreachable | Self::Busy | Self::EndpointError)
    }

    /// Returns whether it says something of the endpoint, and not of this request or of our own rules alone.
    pub(crate) fn counts_against_the_endpoint(self) -> bool {
        !matches!(self, Self::Refused | Self::Withheld | Self::OverBudget | Self::Paused)
    }
}

/// A request that got no answer. The message holds no part of the key, the question, the passages or the answer.
#[derive(Debug, Clone, PartialEq)]
pub struct GenerationFailure {
    /// The class.
    pub kind: FailureKind,
    /// The reason, as a clause such as "the endpoint answers 503".
    pub message: String,
    /// The tokens that were spent all the same.
    pub usage: Usage,
    /// Their cost.
    pub cost: f64,
    /// The tries before the last one.
    pub retries: u32,
    /// Whether pieces of text were handed out before it failed.
    pub had_text: bool,
    /// The time after which the endpoint asks to be called again.
    pub(crate) retry_after: Option<Duration>,
}

impl GenerationFailure {
    pub(crate) fn new(kind: FailureKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            usage: Usage::default(),
            cost: 0.0,
            retries: 0,
            had_text: false,
            retry_after: None,
        }
    }
}

impl fmt::Display for GenerationFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.kind.code(), self.message)
    }
}

impl std::error::Error for GenerationFailure {}

#[test]
fn every_class_has_a_code_and_a_name_of_its_own() {
    use std::collections::BTreeSet;
    let codes: BTreeSet<&str> = FailureKind::ALL.iter().map(|kind| kind.code()).collect();
    let names: BTreeSet<&str> = FailureKind::ALL.iter().map(|kind| kind.name()).collect();
    assert_eq!((codes.len(), names.len()), (FailureKind::ALL.len(), FailureKind::ALL.len()));
    for code in codes {
        assert!(botops_findings::catalogue::find(code).is_some(), "{code} is not in the catalogue");
    }
}
