//! The body of `POST /v1/chat`, and the answer to it.

use crate::{
    attempt::Refusal,
    exchange::{Exchange, Text, parse_within},
    kept_turns::Ids,
    knowledge_filter::{KnowledgeUse, MetadataFilter},
    turn_engine::{self, Message, TurnAnswer},
    written_answer::Sentences,
};
use serde::Deserialize;

/// The body.
#[derive(Deserialize, utoipa::ToSchema)]
#[schema(as = ChatRequest)]
#[serde(deny_unknown_fields)]
pub(super) struct Request<'a> {
    /// The conversation: it decides the arm of a rollout.
    #[serde(borrow, default)]
    conversation_id: Option<Text<'a>>,
    /// The message.
    #[serde(borrow)]
    text: Text<'a>,
    /// The language of the response, such as `en`; without it, the language of the message, guessed among those of the
    /// responses, else the default language of the bot.
    #[serde(borrow, default)]
    language: Option<Text<'a>>,
    /// The client's id of this message in its conversation: a message that is sent again gets its first answer.
    #[serde(borrow, default)]
    message_id: Option<Text<'a>>,
    /// The person who speaks, so that what is stored of them can be found and erased.
    #[serde(borrow, default)]
    user_id: Option<Text<'a>>,
    /// The payload of the button that the user pressed; `text` is then its title.
    #[serde(borrow, default)]
    button: Option<Text<'a>>,
    /// Whether documents may answer; true by default.
    #[serde(default)]
    use_knowledge: Option<bool>,
    /// The metadata that a document must have to answer, by key: a value, or a list of which it must have one. `language` and
    /// `document` are keys, too. At most 16 keys.
    #[serde(default)]
    metadata: Option<MetadataFilter>,
}

/// Answers the message in `body`. The sentences of a generated answer go to `sentences` before its end.
///
/// # Errors
/// Those of the body, and of [`turn_engine::answer`].
pub(super) async fn answer(
    exchange: &Exchange<'_>,
    body: &[u8],
    sentences: Option<&Sentences>,
) -> Result<TurnAnswer, Refusal> {
    let request: Request<'_> = parse_within(body, exchange.app.sizes.depth)?;
    let message = Message {
        ids: Ids {
            conversation: given(&request.conversation_id),
            message: given(&request.message_id),
            user: given(&request.user_id),
        },
        text: &request.text.0,
        language: given(&request.language),
        button: given(&request.button),
        knowledge: KnowledgeUse::of(request.use_knowledge, request.metadata.as_ref())?,
        is_given_back: false,
        sentences,
    };
    turn_engine::answer(exchange, &message).await
}

fn given<'a>(text: &'a Option<Text<'_>>) -> Option<&'a str> {
    text.as_ref().map(|text| &*text.0)
}
