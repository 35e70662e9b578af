//! A bot on a server, over `/v1/chat`.

use super::{arguments::Args, message::Message, turn::Turn};
use crate::cli::session::context::Context;
use botops_findings::{Fault, Result};
use botops_serving::{ChatClient, ChatMessage};
use serde::Deserialize as _;

/// A server and the conversation with its bot.
pub(super) struct RemoteBot {
    client: ChatClient,
    url: String,
    language: Option<String>,
    conversation: String,
}

impl RemoteBot {
    /// Prepares a conversation with the bot at `url`.
    ///
    /// # Errors
    /// Those of [`ChatClient::over`]; `BOT-1021` (exit 2) the key cannot be read.
    pub(super) fn open(args: &Args, url: &str, context: &Context) -> Result<Self> {
        let key = context.workspace()?.client_key.value.resolve()?;
        Ok(Self {
            client: ChatClient::over(context.plain_http(), url, key.as_ref())?,
            url: url.to_owned(),
            language: args.language.clone(),
            conversation: args.conversation.clone().unwrap_or_else(new_id),
        })
    }

    pub(super) fn name(&self) -> &str {
        &self.url
    }

    pub(super) fn conversation(&self) -> &str {
        &self.conversation
    }

    pub(super) fn restart(&mut self) {
        self.conversation = new_id();
    }

    /// Sends a message, and returns its answer.
    ///
    /// # Errors
    /// Those of [`ChatClient::say`].
    pub(super) async fn answer(&self, message: &Message<'_>) -> Result<Turn> {
        let sent = ChatMessage {
            conversation_id: &self.conversation,
            message_id: &new_id(),
            text: message.text,
            language: self.language.as_deref(),
            button: message.button,
        };
        let answer = self.client.say(&sent).await.map_err(|fault| match fault.code() {
            "BOT-1081" | "BOT-1046" => fault.hint(
                "set `BOTOPS_CLIENT_KEY` to a key with the scope `chat`: `botops keys create --name NAME --scopes chat`",
            ),
            _ => fault,
        })?;
        let turn = Turn::deserialize(answer).map_err(|error| {
            Fault::internal(
                "BOT-6035",
                "the server's answer has a format that this version does not know",
            )
            .hint("use the same version of botops as the server")
            .caused_by(error)
        })?;
        Ok(Turn {
            text: message.text.to_owned(),
            button: message.button.map(str::to_owned),
            ..turn
        })
    }
}

/// Returns an id that nobody else has.
fn new_id() -> String {
    ulid::Ulid::generate().to_string()
}
