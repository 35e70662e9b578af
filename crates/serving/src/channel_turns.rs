//! The turns of messages from channels: the same engine as `/v1/chat`, so that they are stored, judged and counted alike.

use crate::{
    app::App,
    attempt::Refusal,
    exchange::Exchange,
    kept_turns::Ids,
    problem::Problem,
    turn_answer::Answer,
    turn_engine::{self, Message},
};
use async_trait::async_trait;
use botops_access::{PublicCaller, ScopeSet};
use botops_channels::{
    Clock, ReplyButton, ReplySource, TurnFailure, TurnReply, TurnRequest, Turns,
};
use chrono::{DateTime, Utc};
use std::{
    sync::{Arc, Weak},
    time::Duration,
};

/// The bot of a server, for its channels. It does not keep the server.
pub(super) struct ChannelTurns(pub(super) Weak<App>);

#[async_trait]
impl Turns for ChannelTurns {
    async fn turn(&self, request: TurnRequest) -> Result<TurnReply, TurnFailure> {
        let Some(app) = self.0.upgrade() else {
            return Err(later("the server stops", None));
        };
        // The channel checked the signature; a message gives no rights on the server.
        let caller = PublicCaller::anonymous(ScopeSet::NONE);
        let exchange = Exchange::with(&app, "channels", &caller);
        let message = Message {
            ids: Ids {
                conversation: Some(&request.conversation),
                message: Some(&request.message),
                user: Some(&request.person),
            },
            text: &request.text,
            language: request.language.as_deref(),
            button: request.button.as_deref(),
            is_given_back: request.is_given_back,
            ..Message::default()
        };
        match turn_engine::answer(&exchange, &message).await {
            Ok(answer) => reply(&answer.body),
            Err(Refusal(problem, arm)) => {
                exchange.count_refusal(&problem, arm);
                Err(failure(&problem))
            }
        }
    }
}

/// Reads the reply in an answer of the engine.
fn reply(body: &[u8]) -> Result<TurnReply, TurnFailure> {
    let said: Answer = serde_json::from_slice(body)
        .map_err(|_| later("the answer of the bot cannot be read", None))?;
    let buttons = said.buttons.into_iter();
    Ok(TurnReply {
        texts: said.response.into_iter().collect(),
        buttons: buttons
            .map(|button| ReplyButton { id: button.payload, title: button.title })
            .collect(),
        sources: said
            .sources
            .into_iter()
            .map(|source| ReplySource { title: source.title, url: source.url })
            .collect(),
        handed_off: said.state.as_deref() == Some("handed_off"),
        language: said.language,
    })
}

/// Returns why a message has no answer. A message that cannot be used never has one; other refusals pass.
fn failure(problem: &Problem) -> TurnFailure {
    let status = problem.status.as_u16();
    let is_permanent = (400..500).contains(&status) && !matches!(status, 408 | 409 | 425 | 429);
    TurnFailure {
        is_permanent,
        retry_after: problem.retry_after,
        // The message may repeat the text of a person.
        reason: problem.fault.code().to_owned(),
    }
}

fn later(reason: &str, retry_after: Option<Duration>) -> TurnFailure {
    TurnFailure { is_permanent: false, retry_after, reason: reason.to_owned() }
}

/// The clock of the server, for its channels.
pub(super) struct ChannelClock(pub(super) Arc<dyn crate::clock::Clock>);

impl Clock for ChannelClock {
    fn now(&self) -> DateTime<Utc> {
        self.0.now()
    }

    fn monotonic(&self) -> Duration {
        self.0.monotonic()
    }
}
