//! The rehearsal of a promotion: a real server answers recorded traffic over HTTP, on the clock of the traffic.
//!
//! The clock stands still between ticks. The messages and the feedback of one interval are sent over
//! a few connections, each conversation in its own order; the tick follows when all are counted. An
//! observation is a sum over conversations, so their order does not matter, and the same input gives
//! the same decision.

use super::{
    AccessSettings, ConversationSettings, Message, OnStoreFailure, PublicSettings, Replication,
    RequestLog, ServerSettings, Side,
    canary::{Canary, Journal, Opened, Pace, Parts, RehearsedVersions},
    client::http,
    clock::{Clock, ManualClock},
    public_gate::PublicGate,
    replay::{Call, Caller, conversations},
    server::{listen, new_app},
    shadow,
};
use botops_connections::bind;
use botops_conversations::{Conversations, MemoryStore, Names};
use botops_findings::{Fault, Result};
use botops_http::Url;
use botops_registry::Champions;
use botops_rollout::{
    Decision, FailureKind, GatePolicy, Phase, Rollout, RolloutRequest, RolloutSpec,
};
use botops_store::Store;
use chrono::{DateTime, TimeDelta, Utc};
use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

/// Longer than any message waits.
const A_DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// The time between a message and its feedback.
const FEEDBACK_DELAY: TimeDelta = TimeDelta::minutes(5);

/// Rehearses the promotion of `challenger`: a server on a free loopback port answers `messages` over HTTP, and the judge
/// decides as it does in production.
///
/// - the same input gives the same decision, byte for byte: latency is reported and never decides
/// - feedback arrives five minutes after its message, on the clock of the traffic
/// - the rehearsal ends with the rollout or with the traffic. In the latter case the verdict is
///   `insufficient` and the reason names the missing evidence
/// - nobody resumes a rollout that paused: it keeps its weight, and may still be rolled back
/// - each side answers from its own knowledge, by quotes and with the thresholds of its indexes: no language model is asked
///
/// `progress` gets the number of messages replayed so far, and the total.
///
/// # Errors
/// `BOT-6020` (exit 4) there are no messages; `BOT-6001`; I/O on loopback.
pub async fn rehearse(
    model: &str,
    champion: Side,
    challenger: Side,
    spec: &RolloutSpec,
    messages: &[Message],
    progress: &(dyn Fn(u64, u64) + Sync),
) -> Result<Decision> {
    let mut spec = spec.clone();
    // The latency on loopback depends on this machine, not on the traffic.
    spec.judge.metrics.insert(FailureKind::Slow, GatePolicy::Observe);
    let policy = spec.check()?;
    let mut calls = calls(messages);
    let Some(first) = calls.first() else {
        return Err(Fault::insufficient("BOT-6020", "there is no traffic to rehearse with")
            .hint("name a file of recorded traffic with messages in it"));
    };
    let begin = first.at;
    let clock = Arc::new(ManualClock::new(begin));
    let settings = ServerSettings {
        listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
        admin_listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
        admin_token: None,
        allowed_hosts: Vec::new(),
        environment: "rehearsal".to_owned(),
        request_log: RequestLog::Off,
        access: AccessSettings::default(),
        listeners: crate::ListenerSettings::default(),
        replication: Replication::default(),
        webhooks: Vec::new(),
        // A busy machine must not change the decision, so no message is refused.
        public: PublicSettings { max_queue_delay: A_DAY, ..PublicSettings::default() },
        conversations: Some(in_memory()),
        actions: None,
        knowledge: crate::KnowledgeSettings::default(),
        predictions: None,
        monitoring: None,
        disks: std::collections::BTreeMap::new(),
        telemetry: Default::default(),
        uploads: Default::default(),
        channels: Default::default(),
    };
    let app = new_app(model, &settings, Arc::clone(&clock) as Arc<dyn Clock>, shadow::UNBOUNDED)?;
    // Nobody else can reach the server, so its feedback is trusted.
    app.is_inside.store(true, Ordering::Relaxed);
    let running = listen(
        Arc::clone(&app),
        (bind(settings.listen).await?, None),
        &settings,
        PublicGate::open(&app),
    )?;
    app.slot.set(Arc::new(RehearsedVersions::prepare(model, &champion)?), None);
    let (from, to) = (champion.manifest, challenger.manifest);
    let Opened { journal, .. } = Journal::open(Store::in_memory(), "rehearsal").await?;
    let parts = Parts {
        app: Arc::clone(&app),
        versions: Arc::new(RehearsedVersions { model: model.to_owned(), challenger }),
        journal,
        pace: Pace::alone(),
        unit_key: app.unit_key.clone(),
        champions: Champions::default(),
    };
    let canary = Arc::new(Canary::new(parts, true));
    let rollout = Rollout::request(
        RolloutRequest {
            // The id is the salt of the split, so it depends on the two versions alone.
            id: format!("rehearsal-{}-{}", from.short(), to.short()),
            model: model.to_owned(),
            champion: from,
            challenger: to,
            policy,
            actor: "rehearsal".to_owned(),
            reason: format!("rehearsed on {} recorded messages", messages.len()),
        },
        begin,
    );
    canary.launch_rehearsed(&rollout).await?;

    let url = Url::parse(&format!("http://{}", running.address())).expect("an address is a URL");
    let caller = Caller::new(http()?, url, messages);
    let interval = canary.read("latest", |view, _| view.interval())?;
    let interval = TimeDelta::from_std(interval)
        .map_err(|_| Fault::usage("BOT-6001", "`interval` is longer than any traffic"))?;
    let mut replay = Replay { canary: &canary, clock: &clock, begin, interval, ticks: 0 };
    let total = messages.len() as u64;
    let mut done = 0;
    progress(0, total);
    while !calls.is_empty() && !replay.is_still()? {
        let next = replay.tick_of(calls[0].at);
        if !replay.skip_to(next - 1).await? {
            break;
        }
        let until = replay.time_of(next);
        let n = calls.partition_point(|call| call.at <= until);
        let rest = calls.split_off(n);
        let newest = calls.last().map_or(until, |call| call.at);
        clock.set(newest);
        caller.send(conversations(&calls, messages)).await?;
        // The tick sees every message of its interval.
        app.shadow.flush().await;
        done += calls.iter().filter(|call| !call.feedback).count() as u64;
        progress(done, total);
        calls = rest;
        replay.tick(next).await?;
    }
    let decision = canary.read("latest", |active, mut decision| {
        if !active.rollout.is_over() && !matches!(active.rollout.phase, Phase::Paused { .. }) {
            decision.reason = format!("the recorded traffic ended: {}", decision.reason);
        }
        decision
    })?;
    drop(caller);
    running.shutdown().await;
    Ok(decision)
}

/// Keeps the last turn of each conversation, in memory.
fn in_memory() -> ConversationSettings {
    let names = Names::new(b"rehearsal", None);
    ConversationSettings {
        conversations: Conversations::new(Arc::new(MemoryStore::of_last_turns()), names, None),
        retention: Duration::MAX,
        on_store_failure: OnStoreFailure::Refuse,
    }
}

/// The ticks of a rehearsal.
struct Replay<'a> {
    canary: &'a Arc<Canary>,
    clock: &'a ManualClock,
    begin: DateTime<Utc>,
    interval: TimeDelta,
    ticks: i64,
}

impl Replay<'_> {
    /// Returns the time of a tick.
    fn time_of(&self, tick: i64) -> DateTime<Utc> {
        self.begin
            + TimeDelta::microseconds(
                tick.saturating_mul(self.interval.num_microseconds().unwrap_or(i64::MAX)),
            )
    }

    /// Returns the number of the first tick that observes an event at `at`.
    fn tick_of(&self, at: DateTime<Utc>) -> i64 {
        let since = (at - self.begin).num_microseconds().unwrap_or(i64::MAX);
        let interval = self.interval.num_microseconds().unwrap_or(i64::MAX).max(1);
        ((since + interval - 1) / interval).max(self.ticks + 1)
    }

    /// Returns whether nothing more can happen: the rollout is over, or paused at weight zero.
    fn is_still(&self) -> Result<bool> {
        self.canary.read("latest", |active, _| {
            let rollout = &active.rollout;
            let paused = matches!(rollout.phase, Phase::Paused { .. });
            rollout.is_over() || paused && rollout.weight() <= 0.0
        })
    }

    /// Moves the clock to `tick` and takes it.
    async fn tick(&mut self, tick: i64) -> Result<()> {
        self.ticks = tick;
        self.clock.set(self.time_of(tick));
        self.canary.tick().await.map(|_| ())
    }

    /// Ticks through a time without traffic, up to `last`. Returns whether the rollout can still change.
    ///
    /// Without messages a decision depends on the time alone, and a decision that is due stays due. So a binary search
    /// finds the next tick that decides.
    async fn skip_to(&mut self, last: i64) -> Result<bool> {
        while self.ticks < last && self.canary.is_due(self.time_of(last)).await {
            let (mut idle, mut due) = (self.ticks, last);
            while due - idle > 1 {
                let middle = idle + (due - idle) / 2;
                if self.canary.is_due(self.time_of(middle)).await {
                    due = middle;
                } else {
                    idle = middle;
                }
            }
            self.tick(due).await?;
            if self.is_still()? {
                return Ok(false);
            }
        }
        self.ticks = self.ticks.max(last);
        Ok(true)
    }
}

/// Returns the calls by time. At the same time, messages come before feedback, in the recorded order.
fn calls(messages: &[Message]) -> Vec<Call> {
    let mut calls: Vec<Call> = Vec::with_capacity(messages.len() * 2);
    for (index, message) in messages.iter().enumerate() {
        calls.push(Call { at: message.at, index, feedback: false });
        if message.truth.is_some() {
            calls.push(Call { at: message.at + FEEDBACK_DELAY, index, feedback: true });
        }
    }
    calls.sort_by_key(|call| (call.at, call.feedback, call.index));
    calls
}
