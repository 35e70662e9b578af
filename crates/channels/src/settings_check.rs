//! From the settings as they are written to those that channels take.

use crate::{
    hours::Hours,
    opt_outs::Words,
    settings::{
        ChannelSetting, ChannelSettings, Chatwoot, GenericWebhook, Handoff, HandoffShape, Platform,
        Slack, Telegram, Template, WhatsApp,
    },
    texts::{TextKind, Texts},
};
use botops_findings::{Fault, Result};
use botops_http::{SigningKey, Url, is_loopback};
use botops_workspace::{ChannelSource, Secret, TemplateSpec, Workspace};
use std::{collections::BTreeMap, time::Duration};

/// The most parameters of a template.
const MOST_PARAMETERS: usize = 16;
/// One hour.
const HOUR: Duration = Duration::from_secs(3600);
/// One day.
const DAY: Duration = Duration::from_secs(24 * 3600);

impl ChannelSettings {
    /// Checks the channels of a workspace, and reads their secrets.
    ///
    /// # Errors
    /// `BOT-7501` (exit 2) a value cannot be used; `BOT-1021` (exit 2) a secret cannot be read.
    pub fn read(workspace: &Workspace) -> Result<Self> {
        let mut channels = BTreeMap::new();
        for (name, source) in &workspace.channels.value {
            let check = Check { name, source };
            let setting = check.setting().map_err(|problem| match problem {
                Problem::Fault(fault) => *fault,
                Problem::Unfit { key, message, hint } => {
                    let key = match key.is_empty() {
                        true => format!("channels.{name}"),
                        false => format!("channels.{name}.{key}"),
                    };
                    Fault::usage("BOT-7501", format!("`{key}` {message}"))
                        .at(workspace.place(&key, &workspace.channels))
                        .hint(hint)
                }
            })?;
            channels.insert(name.clone(), setting);
        }
        Ok(Self { channels, old_identity_key: workspace.old_identity_key.value.resolve()? })
    }
}

/// The reason for which a channel is refused.
enum Problem {
    Fault(Box<Fault>),
    Unfit { key: String, message: String, hint: &'static str },
}

impl From<Fault> for Problem {
    fn from(fault: Fault) -> Self {
        Self::Fault(Box::new(fault))
    }
}

type Checked<T> = std::result::Result<T, Problem>;

fn unfit(key: &str, message: impl Into<String>, hint: &'static str) -> Problem {
    Problem::Unfit { key: key.to_owned(), message: message.into(), hint }
}

/// A channel that is checked.
struct Check<'a> {
    name: &'a str,
    source: &'a ChannelSource,
}

impl Check<'_> {
    fn setting(&self) -> Checked<ChannelSetting> {
        let spec = &self.source.spec;
        let is_plain =
            |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_';
        if self.name.is_empty() || self.name.len() > 40 || !self.name.chars().all(is_plain) {
            let hint = "use 1 to 40 lower-case letters, digits, `-` and `_`";
            return Err(unfit("", "has a name that cannot be part of an address", hint));
        }
        let mut texts = Texts::default();
        for (language, own) in &spec.texts {
            for (key, text) in own {
                let kind = TextKind::ALL.into_iter().find(|kind| kind.key() == key);
                let place = format!("texts.{language}.{key}");
                let hint = "the texts are `unsupported`, `opted_out`, `opted_in` and `closed`";
                let kind = kind.ok_or_else(|| unfit(&place, "is no text of a channel", hint))?;
                if text.trim().is_empty() || text.chars().count() > 1_024 {
                    let hint = "write 1 to 1,024 characters";
                    return Err(unfit(&place, "is empty or too long", hint));
                }
                texts.set(language, kind, text.trim().to_owned());
            }
        }
        let (out, back) = (spec.opt_out.as_deref(), spec.opt_in.as_deref());
        if out.is_some_and(<[String]>::is_empty) {
            let hint = "write `opt_out: [STOP]`, or leave it out for the usual words";
            return Err(unfit("opt_out", "has no word: persons could not opt out", hint));
        }
        Ok(ChannelSetting {
            platform: self.platform()?,
            language: spec.language.clone().unwrap_or_else(|| "en".to_owned()),
            texts,
            words: Words::default().with(out, back),
            hours: self.hours()?,
            handoff: self.handoff()?,
            silence: self.silence()?,
            retention: self.retention()?,
            attempts: within("attempts", spec.attempts, (1, 50, 8))?,
            concurrency: within("concurrency", spec.concurrency, (1, 1_024, 32))? as usize,
            queue: within("queue", spec.queue, (1, 1_000_000, 10_000))? as usize,
            allow_private: spec.allow_private.clone(),
        })
    }

    fn platform(&self) -> Checked<Platform> {
        let spec = &self.source.spec;
        let platforms = [
            self.whatsapp()?.map(Platform::WhatsApp),
            self.webhook()?.map(Platform::Webhook),
            match &spec.slack {
                Some(slack) => Some(Platform::Slack(Slack {
                    signing_secret: self.secret("slack.signing_secret")?,
                    token: self.secret("slack.token")?,
                    base_url: base_url(
                        "slack.base_url",
                        slack.base_url.as_deref(),
                        "https://slack.com/api",
                    )?,
                })),
                None => None,
            },
            match &spec.telegram {
                Some(telegram) => Some(Platform::Telegram(Telegram {
                    secret_token: self.secret("telegram.secret_token")?,
                    token: self.secret("telegram.token")?,
                    base_url: base_url(
                        "telegram.base_url",
                        telegram.base_url.as_deref(),
                        "https://api.telegram.org",
                    )?,
                })),
                None => None,
            },
            match &spec.chatwoot {
                Some(chatwoot) => Some(Platform::Chatwoot(Chatwoot {
                    account_id: chatwoot.account_id,
                    secret: self.secret("chatwoot.secret")?,
                    token: self.secret("chatwoot.token")?,
                    base_url: base_url("chatwoot.base_url", Some(&chatwoot.base_url), "")?,
                })),
                None => None,
            },
        ];
        let mut platforms = platforms.into_iter().flatten();
        match (platforms.next(), platforms.next()) {
            (Some(platform), None) => Ok(platform),
            (None, _) => {
                let hint = "write one of `whatsapp:`, `webhook:`, `slack:`, `telegram:` and `chatwoot:` under it";
                Err(unfit("", "has no platform", hint))
            }
            (Some(_), Some(_)) => {
                let hint = "write a channel of its own for each platform";
                Err(unfit("", "has several platforms", hint))
            }
        }
    }

    fn whatsapp(&self) -> Checked<Option<WhatsApp>> {
        let Some(spec) = &self.source.spec.whatsapp else { return Ok(None) };
        let is_id = !spec.phone_number_id.is_empty()
            && spec.phone_number_id.len() <= 40
            && spec.phone_number_id.bytes().all(|byte| byte.is_ascii_digit());
        if !is_id {
            let hint = "write the id of the number, in quotes: its digits are shown in the settings of the app";
            return Err(unfit("whatsapp.phone_number_id", "is not a number", hint));
        }
        let version = spec.version.clone().unwrap_or_else(|| "v21.0".to_owned());
        let digits = version.strip_prefix('v').unwrap_or_default();
        let is_version = digits.split('.').count() == 2
            && digits.len() <= 10
            && digits.split('.').all(|part| part.parse::<u16>().is_ok());
        if !is_version {
            return Err(unfit("whatsapp.version", "is no version", "write `version: v21.0`"));
        }
        Ok(Some(WhatsApp {
            phone_number_id: spec.phone_number_id.clone(),
            app_secret: self.secret("whatsapp.app_secret")?,
            verify_token: self.secret("whatsapp.verify_token")?,
            token: self.secret("whatsapp.token")?,
            base_url: base_url(
                "whatsapp.base_url",
                spec.base_url.as_deref(),
                "https://graph.facebook.com",
            )?,
            version,
            per_second: within("whatsapp.per_second", spec.per_second, (1, 1_000, 80))?,
            mark_read: spec.mark_read.unwrap_or(true),
            template: spec.template.as_ref().map(template).transpose()?,
            resend_failed: spec.resend_failed.unwrap_or(false),
        }))
    }

    fn webhook(&self) -> Checked<Option<GenericWebhook>> {
        let Some(spec) = &self.source.spec.webhook else { return Ok(None) };
        let mut keys = vec![self.key("webhook.secret")?];
        if spec.second_secret.is_some() {
            keys.push(self.key("webhook.second_secret")?);
        }
        let reply_keys = match spec.reply_secret {
            Some(_) => vec![self.key("webhook.reply_secret")?],
            None => keys.clone(),
        };
        Ok(Some(GenericWebhook { keys, url: self.secret("webhook.url")?, reply_keys }))
    }

    fn handoff(&self) -> Checked<Option<Handoff>> {
        let Some(spec) = &self.source.spec.handoff else { return Ok(None) };
        let shape = match spec.shape.as_deref() {
            None | Some("botops") => HandoffShape::Botops,
            Some("chatwoot") => HandoffShape::Chatwoot,
            Some(other) => {
                let shown = botops_text::display(other, 40);
                let message = format!("is `{shown}`, which is no form of a hand-off");
                return Err(unfit("handoff.shape", message, "write `botops` or `chatwoot`"));
            }
        };
        let keys = match spec.secret {
            Some(_) => vec![self.key("handoff.secret")?],
            None => Vec::new(),
        };
        Ok(Some(Handoff { url: self.secret("handoff.url")?, shape, keys }))
    }

    fn hours(&self) -> Checked<Option<Hours>> {
        let Some(spec) = &self.source.spec.hours else { return Ok(None) };
        let answers = spec.bot_answers_outside.unwrap_or(true);
        let hint = "write `hours: {time_zone: Europe/Paris, open: [mon-fri 09:00-18:00]}`";
        let hours = Hours::parse(&spec.time_zone, &spec.open, answers);
        hours.map(Some).map_err(|problem| unfit("hours", problem, hint))
    }

    fn retention(&self) -> Checked<Duration> {
        let Some(written) = &self.source.spec.retention else { return Ok(7 * DAY) };
        let days = written.trim().strip_suffix('d').and_then(|days| days.parse::<u32>().ok());
        match days {
            Some(days @ 1..=90) => Ok(days * DAY),
            _ => {
                let shown = botops_text::display(written, 40);
                let message = format!("is `{shown}`: expected 1d to 90d");
                Err(unfit("retention", message, "write it as `retention: 7d`"))
            }
        }
    }

    fn silence(&self) -> Checked<Duration> {
        let Some(written) = &self.source.spec.silence else { return Ok(DAY) };
        let of = |unit: char, one: Duration| {
            let n = written.trim().strip_suffix(unit)?.parse::<u32>().ok()?;
            one.checked_mul(n).filter(|it| (HOUR..=30 * DAY).contains(it))
        };
        of('h', HOUR).or_else(|| of('d', DAY)).ok_or_else(|| {
            let shown = botops_text::display(written, 40);
            let message = format!("is `{shown}`: expected 1h to 30d");
            unfit("silence", message, "write it as `silence: 24h`")
        })
    }

    fn secret(&self, key: &str) -> Checked<Secret> {
        let source = self.source.secrets.get(key);
        let resolved = source.map(|source| source.resolve()).transpose()?.flatten();
        resolved.ok_or_else(|| unfit(key, "is not set", "write a reference: `${env:NAME}`"))
    }

    fn key(&self, key: &str) -> Checked<SigningKey> {
        let secret = self.secret(key)?;
        SigningKey::new(secret.expose()).map_err(|problem| {
            let hint = "make one with `openssl rand -base64 32`";
            unfit(key, format!("refers to a secret that {problem}"), hint)
        })
    }
}

/// Checks a template.
fn template(spec: &TemplateSpec) -> Checked<Template> {
    let key = "whatsapp.template.parameters";
    if spec.parameters.len() > MOST_PARAMETERS {
        return Err(unfit(key, "has too many parameters", "write at most 16"));
    }
    for text in &spec.parameters {
        let fixed = text.replace("{answer}", "");
        if text.trim().is_empty() || text.chars().count() > 1_024 {
            return Err(unfit(key, "has an empty or too long text", "write 1 to 1,024 characters"));
        }
        if fixed.contains(['{', '}']) || fixed.chars().any(char::is_control) {
            let hint = "write `{answer}` for the text of the answer, and no line breaks";
            return Err(unfit(key, "has an unknown placeholder or a line break", hint));
        }
    }
    Ok(Template {
        name: spec.name.clone(),
        language: spec.language.clone(),
        parameters: spec.parameters.clone(),
    })
}

fn within(key: &str, value: Option<u32>, (least, most, default): (u32, u32, u32)) -> Checked<u32> {
    match value {
        Some(value) if !(least..=most).contains(&value) => {
            let message = format!("is {value}: expected {least} to {most}");
            Err(unfit(key, message, "leave it out for the default"))
        }
        value => Ok(value.unwrap_or(default)),
    }
}

/// Checks the address of an API, to which a token is sent.
fn base_url(key: &str, written: Option<&str>, default: &str) -> Checked<String> {
    let written = written.unwrap_or(default).trim().trim_end_matches('/');
    let is_usable = Url::parse(written).is_ok_and(|url| {
        let is_safe = url.scheme() == "https" || (url.scheme() == "http" && is_loopback(&url));
        is_safe
            && url.has_host()
            && url.username().is_empty()
            && url.password().is_none()
            && url.query().is_none()
            && url.fragment().is_none()
    });
    match is_usable {
        true => Ok(written.to_owned()),
        false => {
            Err(unfit(key, "is no `https://` URL", "leave it out for the API of the platform"))
        }
    }
}
