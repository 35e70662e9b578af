//! Observations of conversations between two ticks: units by arm, failures by kind and weight.
//!
//! - one unit is one conversation, counted at its first message during a rollout
//! - a conversation fails at most once per kind, under the weight at which it began
//! - feedback measures `wrong`: a conversation whose answers nobody judged is neither right nor wrong. The answer
//!   carries all that a verdict needs in its token, so verdicts are collected apart, see `verdicts.rs`
//! - after the weight has changed, later messages of a conversation count for neither arm. At a step
//!   some conversations move from the primary to the canary and none move back, so counting those
//!   that stay would hide late failures of the primary. Feedback on earlier answers still counts
//! - memory is bounded: the observer remembers at least [`REMEMBERED`] and at most twice as many
//!   conversations, those with the latest messages. A forgotten conversation that goes on is a new unit

mod windows;

use self::windows::{Window, Windows};
use crate::{
    generations::Generations,
    unit_key::UnitKey,
    verdicts::{Feedback, Verdicts},
};
use botops_access::{JudgedAnswer, rollout_mark};
use botops_rollout::{
    Arm, FailureKind, MOST_KEYS, MOST_VERDICTS, Marked, ReplicaObservation, Seen, Slot, UnitSet,
    VerdictSource,
};
use chrono::{DateTime, Utc};
use std::{
    collections::BTreeMap,
    hash::BuildHasher,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

/// The fewest conversations that are remembered.
pub const REMEMBERED: usize = 100_000;
const SHARDS: usize = 16;
/// The resolution of weights: keys are in billionths.
const BILLION: f64 = 1e9;

/// The number of drains after the last message of a conversation during which it counts as going on: half an hour.
const GOING_ON: u64 = 900;

/// The place of a message in a rollout.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Place {
    /// The arm that answered.
    pub arm: Arm,
    /// The index of the step, from 0.
    pub step: u16,
    /// The share of the challenger, in [0, 1].
    pub weight: f64,
    /// Whether the share is changing: other servers may have another one, so a conversation that begins is not judged.
    pub changing: bool,
    /// Whether there is a bound on the latency.
    pub bounded: bool,
    /// The time of the message, if the plan names `handed_off` or `unresolved`.
    pub at: Option<DateTime<Utc>>,
}

/// The outcome of one message.
pub struct Outcome {
    /// Whether the prediction failed.
    pub failed: bool,
    /// Whether the answer was the fallback.
    pub fallback: bool,
    /// Whether the answer took longer than the bound.
    pub slow: bool,
}

/// A conversation that is judged: its key, the mark of the rollout, and the share under which it is judged.
pub type JudgedUnit = (u64, u64, Slot);

struct Conversation {
    /// The name in observations.
    key: u64,
    arm: Arm,
    /// The weight at which it began, in billionths.
    weight: u32,
    /// The share under which it is judged; `None` if it is not: it began in shadow, or while the share changed.
    slot: Option<Slot>,
    /// The kinds of failure so far, one bit each.
    failed: u8,
    /// Whether the challenger has classified one of its messages.
    shadowed: bool,
    /// Whether a message came after the weight had changed.
    outgrown: bool,
    /// The number of drains before its last message.
    drains: u64,
}

/// The news since the last observation: keys of conversations.
#[derive(Default)]
struct News {
    /// Those that began, by their share, and whether `slow` is measured on them.
    arms: BTreeMap<(Slot, bool), Vec<u64>>,
    failures: BTreeMap<(FailureKind, Slot), Vec<u64>>,
    /// Those whose window is over, by what it measures.
    measured: BTreeMap<(FailureKind, Slot), Vec<u64>>,
    shadow: Vec<u64>,
    disagreements: Vec<u64>,
    /// Those that began while the share changed.
    void: Vec<u64>,
}

struct Shard {
    conversations: Generations<Arc<str>, Conversation>,
    windows: Windows,
    news: News,
}

/// The observer of conversations. A message locks one of 16 shards, and only during a rollout.
pub struct Observer {
    hasher: std::hash::RandomState,
    shards: Vec<Mutex<Shard>>,
    verdicts: Verdicts,
    /// The mark of the rollout under way; 0 for none.
    mark: AtomicU64,
    epoch: AtomicU64,
    drains: AtomicU64,
    key: UnitKey,
}

impl Observer {
    /// Makes an observer that names conversations under `key`.
    pub fn new(key: UnitKey) -> Self {
        Self::remembering(REMEMBERED, key)
    }

    /// Makes an observer that remembers at least `conversations`.
    pub fn remembering(conversations: usize, key: UnitKey) -> Self {
        let each = conversations.div_ceil(SHARDS).max(1);
        Self {
            hasher: std::hash::RandomState::new(),
            shards: (0..SHARDS)
                .map(|_| {
                    let conversations = Generations::new(each);
                    let (windows, news) = (Windows::default(), News::default());
                    Mutex::new(Shard { conversations, windows, news })
                })
                .collect(),
            verdicts: Verdicts::remembering(conversations * 4),
            mark: AtomicU64::new(0),
            epoch: AtomicU64::new(0),
            drains: AtomicU64::new(0),
            key,
        }
    }

    fn shard(&self, conversation_id: &str) -> MutexGuard<'_, Shard> {
        // No count depends on the shard, so the hash may differ between processes.
        let index = (self.hasher.hash_one(conversation_id) as usize) % SHARDS;
        self.shards[index].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a message of `conversation_id`, in the rollout of `epoch`.
    ///
    /// Returns the conversation if verdicts on the answer count; `None` if it is not judged, or not any more.
    pub fn message(
        &self,
        conversation_id: &str,
        (place, epoch): (Place, u64),
        outcome: &Outcome,
    ) -> Option<JudgedUnit> {
        let weight = billionths(place.weight);
        let drains = self.drains.load(Ordering::Relaxed);
        let mut shard = self.shard(conversation_id);
        let Shard { conversations, windows, news } = &mut *shard;
        let (_, conversation) = conversations.entry(
            conversation_id,
            || Arc::from(conversation_id),
            || {
                let begun = begin(news, self.key.of(conversation_id), place);
                if let (Some(slot), Some(at)) = (begun.slot, place.at) {
                    windows.begin(begun.key, slot, at);
                }
                begun
            },
        );
        conversation.drains = drains;
        if conversation.weight != weight || conversation.arm != place.arm {
            conversation.outgrown = true;
            windows.forget(conversation.key);
        }
        if conversation.outgrown {
            return None;
        }
        if outcome.failed {
            fail(news, conversation, FailureKind::Error);
        }
        if outcome.fallback {
            fail(news, conversation, FailureKind::Fallback);
        }
        if outcome.slow {
            fail(news, conversation, FailureKind::Slow);
        }
        let mark = self.mark.load(Ordering::SeqCst);
        // The mark first: a rollout that begins now changes the epoch before it.
        let is_of_rollout = mark != 0 && self.epoch() == epoch;
        conversation.slot.filter(|_| is_of_rollout).map(|slot| (conversation.key, mark, slot))
    }

    /// Notes that `conversation_id` is unresolved `at` a time, because the bot did not understand, or the user said the same
    /// again; or that it is `handed_off`. Counted when the window of the conversation is over.
    pub fn trouble(&self, conversation_id: &str, at: DateTime<Utc>, handed_off: bool) {
        let mut shard = self.shard(conversation_id);
        let Shard { conversations, windows, .. } = &mut *shard;
        if let Some(conversation) = conversations.get_mut(conversation_id) {
            windows.trouble(conversation.key, at, handed_off);
        }
    }

    /// Counts a message of `conversation_id` that the challenger classified too; `differs` if it disagrees.
    ///
    /// A message of an earlier `epoch`, or of a conversation that was forgotten, is not counted.
    pub fn mirrored(&self, epoch: u64, conversation_id: &str, differs: bool) {
        let mut shard = self.shard(conversation_id);
        // Under the lock: a rollout that begins now changes the epoch first, then clears the shard.
        if self.epoch() != epoch {
            return;
        }
        let Shard { conversations, news, .. } = &mut *shard;
        let Some(conversation) = conversations.get_mut(conversation_id) else { return };
        if !conversation.shadowed {
            conversation.shadowed = true;
            news.shadow.push(conversation.key);
        }
        if differs {
            // The challenger disagrees, whichever arm answered.
            fail(news, conversation, FailureKind::Disagreement);
        }
    }

    /// Returns a number that changes with each rollout: a message mirrored for one does not count for the next.
    pub fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::SeqCst)
    }

    /// Counts the verdict of `source` on `answer`: its true intent is `truth`. The answer may be that of another server.
    pub fn verdict(
        &self,
        answer: &JudgedAnswer<'_>,
        source: VerdictSource,
        truth: &str,
    ) -> Feedback {
        let (Some(unit), Some((mark, slot))) = (answer.conversation, answer.place) else {
            return Feedback::Noted;
        };
        let message = self.key.of_message(&answer.request);
        let is_current = || mark == self.mark.load(Ordering::SeqCst);
        let wrong = is_wrong(answer, truth);
        self.verdicts.add((message, unit), (slot, source, wrong), is_current)
    }

    /// Returns what `replica` saw of `rollout` since the last call, made `now`, and begins the next observation.
    ///
    /// There is always one, which is also a sign of life; there are more if one cannot hold all of it.
    pub fn drain(
        &self,
        rollout: &str,
        replica: &str,
        now: DateTime<Utc>,
    ) -> Vec<ReplicaObservation> {
        let drains = self.drains.fetch_add(1, Ordering::Relaxed);
        let mut all = News::default();
        let mut open = 0;
        for shard in &self.shards {
            let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            all.append(std::mem::take(&mut shard.news));
            while let Some((key, window)) = shard.windows.closed(now) {
                all.close(key, window);
            }
            let newest = shard.conversations.values();
            open += newest
                .filter(|it| it.slot.is_some() && !it.outgrown && it.drains + GOING_ON > drains)
                .count() as u64;
        }
        let empty = || {
            let mut seen = ReplicaObservation::new(rollout, replica, 1, now);
            seen.open = open;
            seen
        };
        let mut written = vec![empty()];
        let mut room = MOST_KEYS;
        for (add, keys) in all.lists() {
            for part in keys.chunks(MOST_KEYS / 2) {
                if part.len() > room {
                    written.push(empty());
                    room = MOST_KEYS;
                }
                room -= part.len();
                let seen = written.last_mut().expect("there is always one");
                add.to(seen, part.iter().copied().collect());
            }
        }
        let mut room = MOST_VERDICTS;
        for list in self.verdicts.drain() {
            if list.verdicts.len() > room {
                written.push(empty());
                room = MOST_VERDICTS;
            }
            room -= list.verdicts.len();
            written.last_mut().expect("there is always one").judged.push(list);
        }
        written
    }

    /// Begins to observe `rollout`, or nothing, and forgets everything before.
    pub fn watch(&self, rollout: Option<&str>) {
        self.epoch.fetch_add(1, Ordering::SeqCst);
        self.mark.store(rollout.map_or(0, rollout_mark), Ordering::SeqCst);
        for shard in &self.shards {
            let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            shard.conversations.clear();
            shard.windows.clear();
            shard.news = News::default();
        }
        self.verdicts.clear();
    }
}

/// The list of an observation that keys belong to.
#[derive(Clone, Copy)]
enum List {
    Arm(Slot, bool),
    Failed(FailureKind, Slot),
    Measured(FailureKind, Slot),
    Shadow,
    Disagreements,
    Void,
}

impl List {
    /// Adds `units` to this list of `seen`.
    fn to(self, seen: &mut ReplicaObservation, units: UnitSet) {
        match self {
            Self::Arm(slot, bounded) => {
                let measures = if bounded { vec![FailureKind::Slow] } else { Vec::new() };
                seen.arms.push(Seen { slot, measures, units });
            }
            Self::Failed(kind, slot) => seen.failures.push(Marked { kind, slot, units }),
            Self::Measured(kind, slot) => seen.measured.push(Marked { kind, slot, units }),
            Self::Shadow => seen.shadow = seen.shadow.iter().chain(units.iter()).collect(),
            Self::Disagreements => {
                seen.disagreements = seen.disagreements.iter().chain(units.iter()).collect();
            }
            Self::Void => seen.void = seen.void.iter().chain(units.iter()).collect(),
        }
    }
}

impl News {
    /// Adds the news of another shard.
    fn append(&mut self, other: Self) {
        for (slot, keys) in other.arms {
            self.arms.entry(slot).or_default().extend(keys);
        }
        for (slot, keys) in other.failures {
            self.failures.entry(slot).or_default().extend(keys);
        }
        for (slot, keys) in other.measured {
            self.measured.entry(slot).or_default().extend(keys);
        }
        self.shadow.extend(other.shadow);
        self.disagreements.extend(other.disagreements);
        self.void.extend(other.void);
    }

    /// Adds a conversation whose window is over.
    fn close(&mut self, key: u64, window: Window) {
        let kinds = [
            (FailureKind::HandedOff, window.handed_off),
            (FailureKind::Unresolved, window.unresolved),
        ];
        for (kind, failed) in kinds {
            // A failure measures its kind.
            let list = if failed { &mut self.failures } else { &mut self.measured };
            list.entry((kind, window.slot)).or_default().push(key);
        }
    }

    /// Iterates over the lists of keys.
    fn lists(&self) -> impl Iterator<Item = (List, &[u64])> {
        let arms =
            self.arms.iter().map(|((slot, bounded), keys)| (List::Arm(*slot, *bounded), keys));
        let failed =
            self.failures.iter().map(|((kind, slot), keys)| (List::Failed(*kind, *slot), keys));
        let measured =
            self.measured.iter().map(|((kind, slot), keys)| (List::Measured(*kind, *slot), keys));
        let others = [
            (List::Shadow, &self.shadow),
            (List::Disagreements, &self.disagreements),
            (List::Void, &self.void),
        ];
        let all = arms.chain(failed).chain(measured).chain(others);
        all.filter(|(_, keys)| !keys.is_empty()).map(|(list, keys)| (list, keys.as_slice()))
    }
}

/// Begins a conversation.
fn begin(news: &mut News, key: u64, place: Place) -> Conversation {
    let weight = billionths(place.weight);
    let slot =
        (weight > 0 && !place.changing).then(|| Slot::new(place.step, place.weight, place.arm));
    match slot {
        Some(slot) => news.arms.entry((slot, place.bounded)).or_default().push(key),
        None if weight > 0 => news.void.push(key),
        None => {}
    }
    Conversation {
        key,
        arm: place.arm,
        weight,
        slot,
        failed: 0,
        shadowed: false,
        outgrown: false,
        drains: 0,
    }
}

/// Returns whether `answer` was wrong if `truth` is the true intent.
///
/// A fallback is a failure of its own kind, and the right answer to an out-of-scope message.
fn is_wrong(answer: &JudgedAnswer<'_>, truth: &str) -> bool {
    !answer.fallback && (truth == botops_labels::OOS || answer.intent != truth)
}

fn billionths(weight: f64) -> u32 {
    (weight * BILLION).round() as u32
}

/// Counts a failure, once per kind. Returns whether it was the first of its kind.
fn fail(news: &mut News, conversation: &mut Conversation, kind: FailureKind) -> bool {
    let bit = match kind {
        FailureKind::Error => 1,
        FailureKind::Fallback => 2,
        FailureKind::Wrong => 4,
        FailureKind::Slow => 8,
        FailureKind::Disagreement => 16,
        // They are counted when the window of the conversation is over.
        FailureKind::HandedOff | FailureKind::Unresolved => return false,
    };
    if conversation.failed & bit != 0 {
        return false;
    }
    conversation.failed |= bit;
    match (kind, conversation.slot) {
        (FailureKind::Disagreement, _) => news.disagreements.push(conversation.key),
        (_, Some(slot)) => {
            news.failures.entry((kind, slot)).or_default().push(conversation.key);
        }
        (_, None) => {}
    }
    true
}

#[cfg(test)]
mod tests;
