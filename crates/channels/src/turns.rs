//! The turns that answer messages: the boundary between a channel and the bot behind it.

use async_trait::async_trait;
use std::time::Duration;

/// The bot that answers messages. `serving` implements it over its own turns.
#[async_trait]
pub trait Turns: Send + Sync {
    /// Answers one message.
    ///
    /// A message can be asked for again with the same `message`, after a crash or a failure. The conversation store then
    /// returns the first answer, so no message makes two turns.
    ///
    /// # Errors
    /// There is no answer; [`TurnFailure::is_permanent`] says whether another try may have one.
    async fn turn(&self, request: TurnRequest) -> Result<TurnReply, TurnFailure>;
}

/// One message of a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TurnRequest {
    /// The channel, as `channels:` of `botops.yaml` names it.
    pub channel: String,
    /// The id of the conversation, unique among all channels: `CHANNEL:ID`.
    pub conversation: String,
    /// The id of the message, unique within the conversation.
    pub message: String,
    /// The id of the person, unique among all channels: `CHANNEL:ID`.
    pub person: String,
    /// The text; the title of the button for a button.
    pub text: String,
    /// The id of the button that the person chose.
    pub button: Option<String>,
    /// The language, if the platform or the settings name one.
    pub language: Option<String>,
    /// Whether a person had the conversation until now: the bot answers again.
    pub is_given_back: bool,
}

/// The answer to a message.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TurnReply {
    /// The texts, in order.
    pub texts: Vec<String>,
    /// The buttons under the last text.
    pub buttons: Vec<ReplyButton>,
    /// The documents that the answer is taken from.
    pub sources: Vec<ReplySource>,
    /// Whether the conversation goes to a person now.
    pub handed_off: bool,
    /// The language of the answer, if it is known.
    pub language: Option<String>,
}

/// A button under an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplyButton {
    /// The id, which comes back as [`TurnRequest::button`].
    pub id: String,
    /// The words on it.
    pub title: String,
}

/// A document that an answer is taken from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplySource {
    /// The title.
    pub title: String,
    /// The address.
    pub url: Option<String>,
}

/// A message without an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TurnFailure {
    /// Whether another try fails, too: the message becomes a dead letter.
    pub is_permanent: bool,
    /// The time until another try, if it is known.
    pub retry_after: Option<Duration>,
    /// The reason in words, without text of the person.
    pub reason: String,
}
