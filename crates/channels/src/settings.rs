//! The settings of a channel, checked and with their secrets.

use crate::{hours::Hours, opt_outs::Words, texts::Texts};
use botops_http::SigningKey;
use botops_workspace::Secret;
use std::{collections::BTreeMap, time::Duration};

/// The settings of every channel, by name.
#[derive(Debug, Clone, Default)]
pub struct ChannelSettings {
    /// The channels.
    pub channels: BTreeMap<String, ChannelSetting>,
    /// The identity key before, under which opt-outs are still found.
    pub old_identity_key: Option<Secret>,
}

/// The settings of one channel.
#[derive(Debug, Clone)]
pub struct ChannelSetting {
    /// The platform.
    pub platform: Platform,
    /// The language of texts where neither the platform nor the answer names one.
    pub language: String,
    /// The polite texts.
    pub texts: Texts,
    /// The words that end and begin messages to a person.
    pub words: Words,
    /// The hours in which persons are there.
    pub hours: Option<Hours>,
    /// Where a conversation goes that a person continues.
    pub handoff: Option<Handoff>,
    /// How long the bot is silent after a hand-off, unless the conversation is given back before.
    pub silence: Duration,
    /// How long ids of messages and dead letters are kept.
    pub retention: Duration,
    /// The most tries of a turn and of a call before a message becomes a dead letter.
    pub attempts: u32,
    /// The most turns and calls at a time.
    pub concurrency: usize,
    /// The most messages that wait in this process.
    pub queue: usize,
    /// The networks besides the public internet that webhooks may be in.
    pub allow_private: Vec<String>,
}

/// The platform of a channel.
#[derive(Debug, Clone)]
pub enum Platform {
    /// The WhatsApp Cloud API.
    WhatsApp(WhatsApp),
    /// Signed JSON in both directions.
    Webhook(GenericWebhook),
    /// The Slack Events API.
    Slack(Slack),
    /// The Telegram Bot API.
    Telegram(Telegram),
    /// An agent bot of Chatwoot.
    Chatwoot(Chatwoot),
}

/// The settings of a WhatsApp number.
#[derive(Debug, Clone)]
pub struct WhatsApp {
    /// The id of the number.
    pub phone_number_id: String,
    /// The secret of the app, which signs requests.
    pub app_secret: Secret,
    /// The word of the verification challenge.
    pub verify_token: Secret,
    /// The token of calls.
    pub token: Secret,
    /// The address of the Graph API, without `/` at its end.
    pub base_url: String,
    /// The version of the Graph API, such as `v21.0`.
    pub version: String,
    /// The most calls in a second.
    pub per_second: u32,
    /// Whether messages are marked as read.
    pub mark_read: bool,
    /// The template that is sent outside the 24-hour window.
    pub template: Option<Template>,
    /// Whether an answer is sent again that the platform took and could not deliver for now.
    pub resend_failed: bool,
}

/// A template of WhatsApp.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    /// The name.
    pub name: String,
    /// The language, such as `en_US`.
    pub language: String,
    /// The texts of the parameters of its body, in order. `{answer}` in one is the text of the answer.
    pub parameters: Vec<String>,
}

/// The settings of a generic webhook.
#[derive(Debug, Clone)]
pub struct GenericWebhook {
    /// The keys that requests are signed with.
    pub keys: Vec<SigningKey>,
    /// The address of answers.
    pub url: Secret,
    /// The keys that sign answers.
    pub reply_keys: Vec<SigningKey>,
}

/// The settings of a Slack app.
#[derive(Debug, Clone)]
pub struct Slack {
    /// The secret that signs requests.
    pub signing_secret: Secret,
    /// The token of the bot.
    pub token: Secret,
    /// The address of the API, without `/` at its end.
    pub base_url: String,
}

/// The settings of a Telegram bot.
#[derive(Debug, Clone)]
pub struct Telegram {
    /// The token that requests carry.
    pub secret_token: Secret,
    /// The token of the bot.
    pub token: Secret,
    /// The address of the API, without `/` at its end.
    pub base_url: String,
}

/// The settings of an agent bot of Chatwoot.
#[derive(Debug, Clone)]
pub struct Chatwoot {
    /// The account.
    pub account_id: u64,
    /// The secret that signs events, or that the address has.
    pub secret: Secret,
    /// The token of the bot.
    pub token: Secret,
    /// The address of the server, without `/` at its end.
    pub base_url: String,
}

/// Where a conversation goes that a person continues.
#[derive(Debug, Clone)]
pub struct Handoff {
    /// The address.
    pub url: Secret,
    /// The form of the body.
    pub shape: HandoffShape,
    /// The keys that sign.
    pub keys: Vec<SigningKey>,
}

/// The form of the body of a hand-off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HandoffShape {
    /// `botops.channel-handoff/1`.
    Botops,
    /// The event `message_created` of an agent bot of Chatwoot.
    Chatwoot,
}
