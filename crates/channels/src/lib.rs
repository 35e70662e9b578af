//! Messaging channels: WhatsApp, signed webhooks, Slack, Telegram and Chatwoot over one interface.
//!
//! In: a [`ReceivedRequest`] of a platform. Out: a [`ChannelResponse`], and later calls to the platform with the answers.
//!
//! - Each channel does the same steps: verify, parse, store, answer ([`Turns`]), render, send.
//! - A request is accepted once its messages are in the store; they are answered even if the server is killed.
//! - The messages of a conversation are answered in order, by one server at a time.
//! - Stored messages are sealed if conversations are, and erased with their conversation or person ([`forget_messages`]).
//! - A message that cannot be answered becomes a dead letter ([`DeadLetters`]), which can be replayed.

mod adapter;
mod answering;
mod channel;
mod chatwoot;
mod claims;
mod clock;
mod counters;
mod desk_request;
mod erasing;
mod exchange;
mod handed;
mod handoff_call;
mod hours;
mod inbox;
mod kept_answers;
mod message;
mod name_key;
mod opt_outs;
mod protection;
mod reports;
mod sending;
mod set;
mod settings;
mod settings_check;
#[cfg(test)]
mod settings_check_tests;
mod slack;
mod telegram;
mod text_pieces;
mod texts;
mod turns;
mod verification;
mod webhook;
mod whatsapp;

#[cfg(test)]
mod tests;

pub use clock::Clock;
pub use counters::ChannelCounts;
pub use erasing::{ErasedMessages, ErasedNames, forget_messages, messages_under_other_keys};
pub use exchange::{ChannelResponse, MOST_BODY_BYTES, ReceivedRequest};
pub use handed::{HandedConversation, HandedConversations};
pub use hours::Hours;
pub use inbox::{DeadLetter, DeadLetters};
pub use opt_outs::Words;
pub use sending::ChannelPace;
pub use set::{ChannelContext, ChannelSet};
pub use settings::{
    ChannelSetting, ChannelSettings, Chatwoot, GenericWebhook, Handoff, HandoffShape, Platform,
    Slack, Telegram, Template, WhatsApp,
};
pub use texts::{TextKind, Texts};
pub use turns::{ReplyButton, ReplySource, TurnFailure, TurnReply, TurnRequest, Turns};
