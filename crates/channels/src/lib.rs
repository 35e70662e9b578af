//! Messaging channels: WhatsApp, signed webhooks, Slack and Telegram over one interface.
//!
//! In: a [`ReceivedRequest`] of a platform. Out: a [`ChannelResponse`], and later calls to the platform with the answers. Each
//! channel does the same steps: verify, parse, store, answer ([`Turns`]), render, send.

mod clock;
mod counters;
mod exchange;
mod hours;
mod opt_outs;
mod settings;
mod texts;
mod turns;

pub use clock::Clock;
pub use counters::ChannelCounts;
pub use exchange::{ChannelResponse, MOST_BODY_BYTES, ReceivedRequest};
pub use hours::Hours;
pub use opt_outs::Words;
pub use settings::{
    ChannelSetting, ChannelSettings, GenericWebhook, Handoff, HandoffShape, Platform, Slack,
    Telegram, Template, WhatsApp,
};
pub use texts::{TextKind, Texts};
pub use turns::{ReplyButton, ReplySource, TurnFailure, TurnReply, TurnRequest, Turns};
