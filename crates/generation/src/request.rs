//! A question to a language model, with everything that it may use.

use std::time::{Duration, SystemTime};

/// A question with its passages, history and rules.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// The question, completed from the conversation.
    pub question: &'a str,
    /// The turns before it, oldest first. The last ones are sent.
    pub history: &'a [Turn<'a>],
    /// The passages, best first. Citation `[1]` means the first.
    pub passages: &'a [Passage<'a>],
    /// Further rules of the bot, such as its tone; may be empty.
    pub rules: &'a str,
    /// The language of the answer, such as `en`; `None` for that of the question.
    pub language: Option<&'a str>,
    /// The time, by which the budget counts days and the circuit breaker its pause.
    pub now: SystemTime,
    /// The part of the time-out that the turn used before, such as for [`FollowUp`].
    pub used: Duration,
}

/// A question that may need the conversation before it, such as `And for France?`.
#[derive(Debug, Clone, Copy)]
pub struct FollowUp<'a> {
    /// The question.
    pub question: &'a str,
    /// The turns before it, oldest first. The last ones are sent.
    pub history: &'a [Turn<'a>],
    /// The time, as in [`Request`].
    pub now: SystemTime,
}

/// One message of the conversation before the question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Turn<'a> {
    /// Who wrote it.
    pub speaker: Speaker,
    /// The text.
    pub text: &'a str,
}

/// The writer of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Speaker {
    /// The person who asks.
    Person,
    /// The bot.
    Bot,
}

/// A passage of a document that the answer may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Passage<'a> {
    /// The title of the document.
    pub title: &'a str,
    /// The headings above the passage; may be empty.
    pub section: &'a str,
    /// The text.
    pub text: &'a str,
}
