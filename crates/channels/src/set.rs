//! Every channel of a server, and the tasks that answer their messages.

use crate::{
    adapter::Adapter,
    channel::{Channel, Parts},
    chatwoot::ChatwootAdapter,
    claims::Claims,
    clock::Clock,
    counters::ChannelCounts,
    exchange::{ChannelResponse, ReceivedRequest},
    handed::HandedOver,
    inbox::{DeadLetters, Inbox},
    kept_answers::KEPT_SECONDS,
    name_key::NameKey,
    opt_outs::OptOuts,
    protection::Protection,
    sending::{ChannelPace, Http},
    settings::{ChannelSetting, ChannelSettings, Platform},
    slack::SlackAdapter,
    telegram::TelegramAdapter,
    turns::Turns,
    webhook::WebhookAdapter,
    whatsapp::WhatsAppAdapter,
};
use botops_conversations::{DataKeys, Names};
use botops_findings::Result;
use botops_store::Store;
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::task::JoinSet;

/// The time between two removals of old marks.
const EXPIRY: Duration = Duration::from_secs(24 * 3600);

/// The surroundings of channels.
pub struct ChannelContext {
    /// The store of the registry; channels keep their objects under `channels/`.
    pub store: Store,
    /// The bot that answers.
    pub turns: Arc<dyn Turns>,
    /// The clocks.
    pub clock: Arc<dyn Clock>,
    /// The identity key, under which conversations, persons and messages are named in the store.
    pub identity_key: Vec<u8>,
    /// The names of conversations and persons in the store of conversations, by which messages are erased with them.
    pub names: Names,
    /// The data keys that seal messages; without any, they are stored in clear, as conversations are.
    pub data_keys: Option<DataKeys>,
    /// The times.
    pub pace: ChannelPace,
}

/// Every channel of a server. Dropping it ends its tasks at once; messages that wait stay in the store, and another server,
/// or this one after its restart, answers them.
pub struct ChannelSet {
    channels: BTreeMap<String, Arc<Channel>>,
    store: Store,
    tasks: Mutex<JoinSet<()>>,
}

impl std::fmt::Debug for ChannelSet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.channels.keys()).finish()
    }
}

impl ChannelSet {
    /// Makes the channels of the settings. [`Self::start`] starts their tasks.
    ///
    /// # Errors
    /// `BOT-7502` (exit 2) the address of a webhook or of a hand-off cannot be called; `BOT-1018` (exit 1) the root
    /// certificates of the system cannot be read.
    pub fn new(settings: ChannelSettings, context: &ChannelContext) -> Result<Self> {
        let channels = settings.channels.into_iter().map(|(name, setting)| {
            let old = settings.old_identity_key.as_ref().map(|key| key.expose().as_bytes());
            let names = NameKey::new(&context.identity_key, old, &name);
            let channel = channel((name.clone(), names), setting, context)?;
            Ok((name, Arc::new(channel)))
        });
        Ok(Self {
            channels: channels.collect::<Result<_>>()?,
            store: context.store.clone(),
            tasks: Mutex::default(),
        })
    }

    /// Starts the tasks that answer messages which a crash or another server left, and that remove old marks. It is called once,
    /// on a runtime.
    pub fn start(&self) {
        for channel in self.channels.values() {
            self.tasks().spawn(sweep(Arc::clone(channel)));
        }
    }

    /// Returns the names of the channels.
    #[must_use]
    pub fn names(&self) -> Vec<&str> {
        self.channels.keys().map(String::as_str).collect()
    }

    /// Answers a request to the endpoint of the channel `name`. A 200 means that its messages are stored: they are answered even
    /// if this process is killed.
    pub async fn receive(&self, name: &str, request: &ReceivedRequest<'_>) -> ChannelResponse {
        let Some(channel) = self.channels.get(name) else {
            return ChannelResponse::refused(404, "BOT-7510", "there is no such channel");
        };
        let (response, conversations) = channel.receive(request).await;
        let mut tasks = self.tasks();
        while tasks.try_join_next().is_some() {}
        for conversation in conversations {
            let channel = Arc::clone(channel);
            tasks.spawn(async move { channel.work(&conversation).await });
        }
        response
    }

    /// Returns the counts of each channel.
    #[must_use]
    pub fn counts(&self) -> Vec<(&str, ChannelCounts)> {
        let counts = self.channels.iter();
        counts.map(|(name, channel)| (name.as_str(), channel.counters.counts())).collect()
    }

    /// Returns the messages of each channel that this process stored and has not processed.
    #[must_use]
    pub fn waiting(&self) -> Vec<(&str, usize)> {
        let channels = self.channels.iter();
        channels.map(|(name, channel)| (name.as_str(), channel.waiting())).collect()
    }

    /// Returns the dead letters of the channel `name`; `None` if there is no such channel.
    #[must_use]
    pub fn dead_letters(&self, name: &str) -> Option<DeadLetters> {
        self.channels.get(name).map(|_| DeadLetters::new(self.store.clone(), name))
    }

    /// Waits until no message waits in this process, or until `patience` has passed, and ends the tasks.
    pub async fn stop(&self, patience: Duration) {
        let step = Duration::from_millis(20);
        let mut left = patience;
        while self.waiting().iter().any(|(_, waiting)| *waiting > 0) && !left.is_zero() {
            tokio::time::sleep(step.min(left)).await;
            left = left.saturating_sub(step);
        }
        let mut tasks = std::mem::take(&mut *self.tasks());
        tasks.shutdown().await;
    }

    fn tasks(&self) -> MutexGuard<'_, JoinSet<()>> {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Makes a channel.
fn channel(
    (name, names): (String, NameKey),
    setting: ChannelSetting,
    context: &ChannelContext,
) -> Result<Channel> {
    let pace = context.pace;
    let (adapter, http): (Box<dyn Adapter>, Http) = match &setting.platform {
        Platform::WhatsApp(spec) => {
            (Box::new(WhatsAppAdapter::new(spec.clone())), Http::plain(pace.timeout)?)
        }
        Platform::Slack(spec) => {
            (Box::new(SlackAdapter::new(spec.clone())), Http::plain(pace.timeout)?)
        }
        Platform::Telegram(spec) => {
            (Box::new(TelegramAdapter::new(spec.clone())), Http::plain(pace.timeout)?)
        }
        Platform::Chatwoot(spec) => {
            (Box::new(ChatwootAdapter::new(spec.clone())), Http::plain(pace.timeout)?)
        }
        Platform::Webhook(spec) => {
            let key = format!("channels.{name}.webhook.url");
            let http = Http::guarded(&key, spec.url.expose(), &setting.allow_private)?;
            (Box::new(WebhookAdapter::new(&name, spec.clone())), http)
        }
    };
    let handoff_http = match &setting.handoff {
        Some(handoff) => {
            let key = format!("channels.{name}.handoff.url");
            Some(Http::guarded(&key, handoff.url.expose(), &setting.allow_private)?)
        }
        None => None,
    };
    let (store, clock) = (&context.store, &context.clock);
    Ok(Channel::new(Parts {
        adapter,
        http,
        handoff_http,
        inbox: Inbox::new(store.clone(), &name),
        claims: Claims::new(store.clone(), &name, (pace.lease, Arc::clone(clock))),
        opt_outs: OptOuts::new(store.clone(), &name),
        handed: HandedOver::new(store.clone(), &name),
        protection: Protection::new(&name, context.names.clone(), context.data_keys.clone()),
        names,
        turns: Arc::clone(&context.turns),
        clock: Arc::clone(clock),
        pace,
        name,
        setting,
    }))
}

/// Looks for conversations that nobody answers, for ever.
async fn sweep(channel: Arc<Channel>) {
    let mut tasks = JoinSet::new();
    let mut expired_at: Option<Duration> = None;
    loop {
        while tasks.try_join_next().is_some() {}
        match channel.inbox.conversations().await {
            Ok(conversations) => {
                // A claim of a conversation that does not wait any more is of no interest.
                let waiting: std::collections::HashSet<&String> = conversations.iter().collect();
                let mut observed = channel.observed.lock().unwrap_or_else(PoisonError::into_inner);
                observed.retain(|conversation, _| waiting.contains(conversation));
                drop(observed);
                for conversation in conversations {
                    if channel.wake(&conversation, 0) {
                        let channel = Arc::clone(&channel);
                        tasks.spawn(async move { channel.work(&conversation).await });
                    }
                }
            }
            Err(_) => channel.counters.store_failures.add(),
        }
        let now = channel.clock.monotonic();
        if expired_at.is_none_or(|at| now.saturating_sub(at) >= EXPIRY) {
            expired_at = Some(now);
            let kept = i64::try_from(channel.setting.retention.as_secs()).unwrap_or(i64::MAX);
            // A day more than messages are accepted for, so that clocks that differ make no duplicates.
            let before =
                channel.clock.now().timestamp().saturating_sub(kept).saturating_sub(86_400);
            let kept = channel.clock.now().timestamp().saturating_sub(KEPT_SECONDS);
            let expired = async {
                channel.inbox.expire(before).await?;
                channel.inbox.expire_kept(kept).await
            };
            if expired.await.is_err() {
                channel.counters.store_failures.add();
            }
        }
        tokio::time::sleep(channel.pace.sweep).await;
    }
}
