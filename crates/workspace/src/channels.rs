//! Messaging channels of a server: the block `channels`.

use crate::secret::SecretSource;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A channel under `channels:` of `botops.yaml` or of a profile: exactly one of `whatsapp`, `webhook`, `slack`, `telegram` and
/// `chatwoot`, and settings that all of them have.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ChannelSpec {
    /// A number of the WhatsApp Cloud API.
    pub whatsapp: Option<WhatsAppSpec>,
    /// Signed JSON in both directions.
    pub webhook: Option<ChannelWebhookSpec>,
    /// A Slack app with the Events API.
    pub slack: Option<SlackSpec>,
    /// A Telegram bot.
    pub telegram: Option<TelegramSpec>,
    /// An agent bot of Chatwoot.
    pub chatwoot: Option<ChatwootSpec>,
    /// The language of polite texts where neither the platform nor the answer names one (default `en`).
    pub language: Option<String>,
    /// The polite texts, by language and then by name: `unsupported`, `opted_out`, `opted_in` and `closed`. English and French
    /// have defaults.
    pub texts: BTreeMap<String, BTreeMap<String, String>>,
    /// The words that end messages to a person (default `STOP`, `ARRET` and others).
    pub opt_out: Option<Vec<String>>,
    /// The words that begin them again (default `START` and `UNSTOP`).
    pub opt_in: Option<Vec<String>>,
    /// The hours in which persons are there; always without it.
    pub hours: Option<HoursSpec>,
    /// Where a conversation goes that a person continues.
    pub handoff: Option<ChannelHandoffSpec>,
    /// How long the bot is silent after a hand-off, from `1h` to `30d` (default `24h`), unless the conversation is given back.
    pub silence: Option<String>,
    /// How long ids of messages and dead letters are kept, from `1d` to `90d` (default `7d`).
    pub retention: Option<String>,
    /// The most tries of a turn or call before a message becomes a dead letter, from 1 to 50 (default 8).
    pub attempts: Option<u32>,
    /// The most turns and calls at a time, from 1 to 1,024 (default 32).
    pub concurrency: Option<u32>,
    /// The most messages that wait in a server, from 1 to 1,000,000 (default 10,000).
    pub queue: Option<u32>,
    /// The networks besides the public internet that webhooks may be in, such as `10.20.0.0/16`; none without it.
    pub allow_private: Vec<String>,
}

/// The block `whatsapp` of a channel.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WhatsAppSpec {
    /// The id of the number, which is not the number.
    pub phone_number_id: String,
    /// The secret of the app, by reference: `${env:NAME}` or `${file:PATH}`. It signs requests.
    pub app_secret: String,
    /// The word of the verification challenge, by reference.
    pub verify_token: String,
    /// The token of calls, by reference.
    pub token: String,
    /// The address of the Graph API (default `https://graph.facebook.com`).
    #[serde(default)]
    pub base_url: Option<String>,
    /// The version of the Graph API (default `v21.0`).
    #[serde(default)]
    pub version: Option<String>,
    /// The most calls in a second, from 1 to 1,000 (default 80).
    #[serde(default)]
    pub per_second: Option<u32>,
    /// Whether messages are marked as read (default `true`).
    #[serde(default)]
    pub mark_read: Option<bool>,
    /// The template that is sent when 24 hours have passed since the message of the person.
    #[serde(default)]
    pub template: Option<TemplateSpec>,
    /// Whether an answer is sent again that the platform took and could not deliver for now (default `false`). Messages are
    /// then kept for a day after their answer.
    #[serde(default)]
    pub resend_failed: Option<bool>,
}

/// A template of WhatsApp.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TemplateSpec {
    /// The name.
    pub name: String,
    /// The language, such as `en_US`.
    pub language: String,
    /// The texts of the parameters of its body, in order, at most 16. `{answer}` in one is the text of the answer.
    #[serde(default)]
    pub parameters: Vec<String>,
}

/// The block `webhook` of a channel.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChannelWebhookSpec {
    /// The secret that requests are signed with, of at least 24 bytes, by reference: `${env:NAME}` or `${file:PATH}`.
    pub secret: String,
    /// A second secret that is accepted and signs answers too, by reference, while the other side changes.
    #[serde(default)]
    pub second_secret: Option<String>,
    /// The address of answers, or a reference to it.
    pub url: String,
    /// The secret that signs answers, by reference (default `secret`).
    #[serde(default)]
    pub reply_secret: Option<String>,
}

/// The block `slack` of a channel.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SlackSpec {
    /// The signing secret of the app, by reference: `${env:NAME}` or `${file:PATH}`.
    pub signing_secret: String,
    /// The token of the bot, by reference.
    pub token: String,
    /// The address of the API (default `https://slack.com/api`).
    #[serde(default)]
    pub base_url: Option<String>,
}

/// The block `telegram` of a channel.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TelegramSpec {
    /// The `secret_token` of `setWebhook`, by reference: `${env:NAME}` or `${file:PATH}`.
    pub secret_token: String,
    /// The token of the bot, by reference.
    pub token: String,
    /// The address of the API (default `https://api.telegram.org`).
    #[serde(default)]
    pub base_url: Option<String>,
}

/// The block `chatwoot` of a channel.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChatwootSpec {
    /// The id of the account, which its addresses show.
    pub account_id: u64,
    /// The secret of the agent bot, which signs events, by reference: `${env:NAME}` or `${file:PATH}`.
    pub secret: String,
    /// The access token of the agent bot, by reference.
    pub token: String,
    /// The address of the server, such as `https://app.chatwoot.com`.
    pub base_url: String,
}

/// The hours in which persons are there.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HoursSpec {
    /// The time zone, such as `Europe/Paris`.
    pub time_zone: String,
    /// The hours, such as `mon-fri 09:00-18:00`.
    pub open: Vec<String>,
    /// Whether the bot answers outside them, too, and only hand-offs wait (default `true`).
    #[serde(default)]
    pub bot_answers_outside: Option<bool>,
}

/// Where a conversation goes that a person continues.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChannelHandoffSpec {
    /// The address, or a reference to it: `${env:NAME}` or `${file:PATH}`.
    pub url: String,
    /// The form of the body: `botops` (default), or `chatwoot` for the event of an agent bot of Chatwoot.
    #[serde(default)]
    pub shape: Option<String>,
    /// The secret that signs, of at least 24 bytes, by reference. Without it, hand-offs are not signed.
    #[serde(default)]
    pub secret: Option<String>,
}

/// A channel as it is written, with the sources of its secrets.
#[derive(Debug, Clone, Default)]
pub struct ChannelSource {
    /// The settings. Values that are secrets are references.
    pub spec: ChannelSpec,
    /// The secrets, by key such as `whatsapp.token`.
    pub secrets: BTreeMap<&'static str, SecretSource>,
}

impl ChannelSpec {
    /// Returns the keys and references of secrets.
    pub(super) fn secrets(&self) -> Vec<(&'static str, &str)> {
        let mut found = Vec::new();
        if let Some(it) = &self.whatsapp {
            found.push(("whatsapp.app_secret", it.app_secret.as_str()));
            found.push(("whatsapp.verify_token", it.verify_token.as_str()));
            found.push(("whatsapp.token", it.token.as_str()));
        }
        if let Some(it) = &self.webhook {
            found.push(("webhook.secret", it.secret.as_str()));
            found.extend(it.second_secret.as_deref().map(|it| ("webhook.second_secret", it)));
            found.extend(it.reply_secret.as_deref().map(|it| ("webhook.reply_secret", it)));
            found.push(("webhook.url", it.url.as_str()));
        }
        if let Some(it) = &self.slack {
            found.push(("slack.signing_secret", it.signing_secret.as_str()));
            found.push(("slack.token", it.token.as_str()));
        }
        if let Some(it) = &self.telegram {
            found.push(("telegram.secret_token", it.secret_token.as_str()));
            found.push(("telegram.token", it.token.as_str()));
        }
        if let Some(it) = &self.chatwoot {
            found.push(("chatwoot.secret", it.secret.as_str()));
            found.push(("chatwoot.token", it.token.as_str()));
        }
        if let Some(it) = &self.handoff {
            found.push(("handoff.url", it.url.as_str()));
            found.extend(it.secret.as_deref().map(|it| ("handoff.secret", it)));
        }
        found
    }
}
