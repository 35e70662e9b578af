//! The interface that every platform implements.

use crate::{
    counters::Counters,
    exchange::{ChannelResponse, ReceivedRequest},
    message::Incoming,
    turns::TurnReply,
};
use chrono::{DateTime, Utc};
use std::time::Duration;

/// A platform: how its requests are read and its calls are made. It waits for nothing and stores nothing.
pub(crate) trait Adapter: Send + Sync {
    /// Verifies and reads a request.
    fn receive(&self, request: &ReceivedRequest<'_>, counters: &Counters) -> Receipt;

    /// Renders an answer as the calls that send it, in order.
    fn render(&self, message: &Incoming, reply: &TurnReply) -> Vec<Piece>;

    /// Returns the call that marks a message as read.
    fn read_mark(&self, _message: &Incoming) -> Option<Piece> {
        None
    }

    /// Returns whether the platform takes no free text any more in answer to `message`.
    fn is_window_closed(&self, _message: &Incoming, _now: DateTime<Utc>) -> bool {
        false
    }

    /// Returns the call that is made instead of `piece` when the window is closed.
    fn reopening(&self, _message: &Incoming, _piece: &Piece) -> Option<Piece> {
        None
    }

    /// Makes the call of a piece. `id` is the same in every try.
    fn call(&self, piece: &Piece, id: &str, now: DateTime<Utc>) -> PlatformCall;

    /// Reads the answer to a call.
    fn verdict(&self, status: u16, body: &[u8]) -> Verdict;

    /// Returns whether the platform itself keeps messages from the bot that a person answers.
    fn knows_holder(&self) -> bool {
        false
    }

    /// Returns whether messages are kept after their answer, which the platform may report as not delivered.
    fn keeps_answers(&self) -> bool {
        false
    }

    /// Returns the most calls in a second; `None` without a limit.
    fn per_second(&self) -> Option<u32> {
        None
    }
}

/// The outcome of a request.
pub(crate) enum Receipt {
    /// The request is answered with this, and has no messages.
    Answer(ChannelResponse),
    /// The messages of the request, in order.
    Messages(Vec<Incoming>),
    /// The messages of the request, and reports about earlier calls.
    Reported(Vec<Incoming>, Vec<SendReport>),
}

/// A report that the platform took a call and could not deliver it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SendReport {
    /// The person who did not get it.
    pub(crate) person: Option<String>,
    /// The id of the call.
    pub(crate) call: Option<String>,
    /// The error code of the platform.
    pub(crate) code: i64,
    /// The consequence.
    pub(crate) fate: Fate,
}

/// The consequence of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Another try may succeed.
    Retry,
    /// No try will.
    GiveUp,
    /// The person wants no messages that the business begins.
    OptOut,
}

/// One call to the platform.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Piece {
    /// The method of the platform, or the end of the path; empty where there is only one.
    pub(crate) target: String,
    /// The body, which is JSON.
    pub(crate) body: String,
}

/// An HTTP call.
#[derive(Clone)]
pub(crate) struct PlatformCall {
    /// The address; it may be a secret.
    pub(crate) url: String,
    /// The headers besides the type of the body.
    pub(crate) headers: Vec<(&'static str, String)>,
    /// The body, which is JSON.
    pub(crate) body: String,
}

/// The meaning of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The platform took the message.
    Accepted,
    /// The platform refused it for now, and certainly sent nothing.
    Later(Option<Duration>),
    /// The platform failed, and may have sent it.
    Uncertain,
    /// The platform will never take it, for this reason, which contains nothing of the message.
    Permanent(String),
    /// The platform takes only a template.
    WindowClosed,
}

impl Verdict {
    /// Reads a status, where the platform says no more.
    pub(crate) fn of_status(status: u16) -> Self {
        match status {
            200..300 => Self::Accepted,
            408 | 425 | 429 | 503 => Self::Later(None),
            500..600 => Self::Uncertain,
            _ => Self::Permanent(format!("the platform answers {status}")),
        }
    }
}
