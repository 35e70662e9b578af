//! One channel: it stores the messages of requests, and wakes the tasks that answer them.

use crate::{
    adapter::{Adapter, Receipt},
    claims::{Claims, Observed},
    clock::Clock,
    counters::Counters,
    desk_request::{self, DeskNews},
    exchange::{ChannelResponse, MOST_BODY_BYTES, ReceivedRequest},
    handed::{HandedOver, Holder},
    inbox::{Inbox, Put},
    message::Incoming,
    name_key::NameKey,
    opt_outs::OptOuts,
    protection::Protection,
    sending::{ChannelPace, Http},
    settings::ChannelSetting,
    turns::Turns,
};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::sync::Semaphore;

/// The seconds after which a platform sends a request again that was not taken.
const RETRY_SECONDS: u32 = 5;

/// A channel of this process.
pub(crate) struct Channel {
    pub(crate) name: String,
    pub(crate) setting: ChannelSetting,
    pub(crate) adapter: Box<dyn Adapter>,
    pub(crate) http: Http,
    pub(crate) handoff_http: Option<Http>,
    pub(crate) inbox: Inbox,
    pub(crate) claims: Claims,
    pub(crate) opt_outs: OptOuts,
    pub(crate) handed: HandedOver,
    pub(crate) protection: Protection,
    pub(crate) names: NameKey,
    pub(crate) turns: Arc<dyn Turns>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) counters: Counters,
    pub(crate) pace: ChannelPace,
    /// The turns and calls that run at once.
    pub(crate) permits: Semaphore,
    /// The moment from which the next call may be made.
    pub(crate) next_call: Mutex<Duration>,
    /// The conversations that a task of this process works on.
    active: Mutex<Active>,
    /// The claims of other servers, and when each was first seen.
    pub(crate) observed: Mutex<HashMap<String, (Observed, Duration)>>,
}

/// The conversations at work.
#[derive(Default)]
struct Active {
    conversations: HashMap<String, Activity>,
    /// The messages of all of them.
    messages: usize,
}

/// A conversation at work.
#[derive(Default)]
struct Activity {
    /// Whether a message arrived since the task looked.
    is_woken: bool,
    /// The messages that this process stored and has not processed.
    messages: usize,
}

/// A channel before its work begins.
pub(crate) struct Parts {
    pub(crate) name: String,
    pub(crate) setting: ChannelSetting,
    pub(crate) adapter: Box<dyn Adapter>,
    pub(crate) http: Http,
    pub(crate) handoff_http: Option<Http>,
    pub(crate) inbox: Inbox,
    pub(crate) claims: Claims,
    pub(crate) opt_outs: OptOuts,
    pub(crate) handed: HandedOver,
    pub(crate) protection: Protection,
    pub(crate) names: NameKey,
    pub(crate) turns: Arc<dyn Turns>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) pace: ChannelPace,
}

impl Channel {
    pub(crate) fn new(parts: Parts) -> Self {
        Self {
            permits: Semaphore::new(parts.setting.concurrency),
            name: parts.name,
            setting: parts.setting,
            adapter: parts.adapter,
            http: parts.http,
            handoff_http: parts.handoff_http,
            inbox: parts.inbox,
            claims: parts.claims,
            opt_outs: parts.opt_outs,
            handed: parts.handed,
            protection: parts.protection,
            names: parts.names,
            turns: parts.turns,
            clock: parts.clock,
            counters: Counters::default(),
            pace: parts.pace,
            next_call: Mutex::default(),
            active: Mutex::default(),
            observed: Mutex::default(),
        }
    }

    /// Answers a request. Its messages are stored before it is accepted; the second value names the conversations whose task
    /// is to be started.
    pub(crate) async fn receive(
        &self,
        request: &ReceivedRequest<'_>,
    ) -> (ChannelResponse, Vec<String>) {
        if request.body.len() > MOST_BODY_BYTES {
            self.counters.malformed.add();
            let problem = "the body is too large";
            return (ChannelResponse::refused(413, "BOT-7511", problem), Vec::new());
        }
        if let Some(news) = desk_request::read(request, self.setting.handoff.as_ref()) {
            return (self.hear_desk(request, news).await, Vec::new());
        }
        let (messages, reports) = match self.adapter.receive(request, &self.counters) {
            Receipt::Answer(response) => return (response, Vec::new()),
            Receipt::Messages(messages) => (messages, Vec::new()),
            Receipt::Reported(messages, reports) => (messages, reports),
        };
        if self.waiting() + messages.len() > self.setting.queue && !messages.is_empty() {
            self.counters.overloaded.add();
            let problem = "too many messages wait: send the request again";
            let later = ChannelResponse::later(503, "BOT-7513", problem, RETRY_SECONDS);
            return (later, Vec::new());
        }
        let mut started: Vec<String> =
            match self.hear_reports(reports, request.now.timestamp()).await {
                Ok(conversations) => conversations
                    .into_iter()
                    .filter(|conversation| self.wake(conversation, 0))
                    .collect(),
                Err(_) => return (self.not_stored(), Vec::new()),
            };
        for (index, message) in messages.into_iter().enumerate() {
            match self.store(request, message, index).await {
                Ok(conversation) => started.extend(conversation),
                Err(_) => return (self.not_stored(), started),
            }
        }
        (ChannelResponse::accepted(), started)
    }

    fn not_stored(&self) -> ChannelResponse {
        self.counters.store_failures.add();
        let problem = "messages cannot be stored: send the request again";
        ChannelResponse::later(503, "BOT-7514", problem, RETRY_SECONDS)
    }

    /// Notes that a person took a conversation or gave it back.
    async fn hear_desk(
        &self,
        request: &ReceivedRequest<'_>,
        news: Result<DeskNews, ChannelResponse>,
    ) -> ChannelResponse {
        let DeskNews { conversation, id, is_with_person } = match news {
            Ok(news) => news,
            Err(refused) => {
                match refused.status {
                    401 => self.counters.bad_signatures.add(),
                    _ => self.counters.malformed.add(),
                }
                return refused;
            }
        };
        let (place, name) = (self.names.conversation(&conversation), self.names.desk_request(&id));
        let now = request.now.timestamp();
        let noted = async {
            if self.inbox.is_done(&name).await? {
                // It was replayed: it must not undo what came after it.
                self.counters.duplicates.add();
                return Ok(());
            }
            let holder = self.handed.holder(&place, (now, self.setting.silence)).await?;
            match (is_with_person, holder) {
                (true, Holder::Bot | Holder::BotAgain) => {
                    let conversation = self.protection.conversation(&conversation);
                    self.handed.hand_over(&place, (conversation, now)).await?;
                    self.counters.taken.add();
                }
                (false, Holder::Person) => {
                    self.handed.give_back(&place).await?;
                    self.counters.given_back.add();
                }
                // It is so already, such as after a hand-off.
                (true, Holder::Person) | (false, Holder::Bot | Holder::BotAgain) => {}
            }
            self.inbox.mark_done(&name, ("desk", now)).await
        };
        match noted.await {
            Ok(()) => ChannelResponse::accepted(),
            Err(_) => self.not_stored(),
        }
    }

    /// Stores a message; returns its conversation if no task works on it yet.
    async fn store(
        &self,
        request: &ReceivedRequest<'_>,
        message: Incoming,
        index: usize,
    ) -> botops_findings::Result<Option<String>> {
        let age = request.now.timestamp().saturating_sub(message.at);
        if age > i64::try_from(self.setting.retention.as_secs()).unwrap_or(i64::MAX) {
            // Its mark may be gone: it could be processed twice.
            self.counters.stale.add();
            return Ok(None);
        }
        let conversation = self.names.conversation(&message.conversation);
        let name = self.names.message(&message.conversation, &message.id);
        let received = (request.now.timestamp_millis(), index);
        let message = self.protection.protect(&name, message, received)?;
        match self.inbox.put((&conversation, &name), &message).await? {
            Put::Done => {
                self.counters.duplicates.add();
                return Ok(None);
            }
            Put::Waiting => self.counters.duplicates.add(),
            Put::New => {
                self.counters.received.add();
                return Ok(self.wake(&conversation, 1).then_some(conversation));
            }
        }
        Ok(self.wake(&conversation, 0).then_some(conversation))
    }

    /// Returns the messages that wait in this process.
    pub(crate) fn waiting(&self) -> usize {
        self.active().messages
    }

    /// Notes that a conversation has messages; returns whether its task is to be started.
    pub(crate) fn wake(&self, conversation: &str, messages: usize) -> bool {
        let mut active = self.active();
        active.messages += messages;
        if let Some(activity) = active.conversations.get_mut(conversation) {
            activity.is_woken = true;
            activity.messages += messages;
            return false;
        }
        let activity = Activity { is_woken: false, messages };
        active.conversations.insert(conversation.to_owned(), activity);
        true
    }

    /// Notes that a message of a conversation is processed.
    pub(crate) fn processed_one(&self, conversation: &str) {
        let mut active = self.active();
        let Some(activity) = active.conversations.get_mut(conversation) else { return };
        if activity.messages > 0 {
            activity.messages -= 1;
            active.messages -= 1;
        }
    }

    /// Ends the task of a conversation; returns false if a message arrived meanwhile and it is to go on, which it does only if
    /// `may_go_on`.
    pub(crate) fn rest(&self, conversation: &str, may_go_on: bool) -> bool {
        let mut active = self.active();
        if may_go_on
            && let Some(activity) = active.conversations.get_mut(conversation)
            && std::mem::take(&mut activity.is_woken)
        {
            return false;
        }
        if let Some(activity) = active.conversations.remove(conversation) {
            active.messages -= activity.messages;
        }
        true
    }

    fn active(&self) -> MutexGuard<'_, Active> {
        self.active.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
