//! Observations of conversations between two ticks: units by arm, failures by kind and weight.
//!
//! - one unit is one conversation, counted at its first message during a rollout
//! - a conversation fails at most once per kind, under the weight at which it began
//! - feedback measures `wrong`: a conversation whose answers nobody judged is neither right nor wrong
//! - after the weight has changed, later messages of a conversation count for neither arm. At a step
//!   some conversations move from the primary to the canary and none move back, so counting those
//!   that stay would hide late failures of the primary. Feedback on earlier answers still counts
//! - memory is bounded: the observer remembers at least [`REMEMBERED`] and at most twice as many
//!   conversations, those with the latest messages, and the last [`MESSAGES_REMEMBERED`] answers of
//!   each. A forgotten conversation that goes on is a new unit; feedback on it is not counted

use crate::unit_key::UnitKey;
use botops_labels::OOS;
use botops_rollout::{
    Arm, FailureKind, MOST_KEYS, Marked, ReplicaObservation, Seen, Slot, UnitSet,
};
use chrono::{DateTime, Utc};
use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    hash::{BuildHasher, Hash},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

/// The fewest conversations that are remembered.
pub(super) const REMEMBERED: usize = 100_000;
/// The most answers of a conversation that are remembered.
pub(super) const MESSAGES_REMEMBERED: usize = 16;
const SHARDS: usize = 16;
/// The resolution of weights: keys are in billionths.
const BILLION: f64 = 1e9;

/// The number of drains after the last message of a conversation during which it counts as going on: half an hour.
const GOING_ON: u64 = 900;

/// The place of a message in a rollout.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Place {
    /// The arm that answered.
    pub(super) arm: Arm,
    /// The index of the step, from 0.
    pub(super) step: u16,
    /// The share of the challenger, in [0, 1].
    pub(super) weight: f64,
    /// Whether the share is changing: other servers may have another one, so a conversation that begins is not judged.
    pub(super) changing: bool,
    /// Whether there is a bound on the latency.
    pub(super) bounded: bool,
}

/// The outcome of one message.
pub(super) struct Outcome {
    /// The number of the request.
    pub(super) request: u64,
    /// The predicted intent; `None` if the prediction failed.
    pub(super) predicted: Option<Arc<str>>,
    /// Whether the answer was the fallback.
    pub(super) fallback: bool,
    /// Whether the answer took longer than the bound.
    pub(super) slow: bool,
}

/// The result of one piece of feedback.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Feedback {
    /// The judge counts it.
    Counted,
    /// The answer was right, or its conversation does not count, or has already failed in this way.
    Noted,
    /// No such answer is remembered.
    Unknown,
}

struct Answer {
    request: u64,
    predicted: Option<Arc<str>>,
    fallback: bool,
}

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
    /// Whether feedback has judged one of its answers.
    judged: bool,
    /// Whether a message came after the weight had changed: the latest answer is not remembered then.
    outgrown: bool,
    /// The number of drains before its last message.
    drains: u64,
    answers: VecDeque<Answer>,
}

/// The news since the last observation: keys of conversations.
#[derive(Default)]
struct News {
    /// Those that began, by their share, and whether `slow` is measured on them.
    arms: BTreeMap<(Slot, bool), Vec<u64>>,
    failures: BTreeMap<(FailureKind, Slot), Vec<u64>>,
    /// Those with feedback.
    judged: BTreeMap<Slot, Vec<u64>>,
    shadow: Vec<u64>,
    disagreements: Vec<u64>,
    /// Those that began while the share changed.
    void: Vec<u64>,
    verdicts: Vec<String>,
}

struct Shard {
    conversations: Generations<Arc<str>, Conversation>,
    news: News,
}

/// The observer of conversations. A message locks one of 16 shards, and only during a rollout.
pub(super) struct Observer {
    hasher: std::hash::RandomState,
    shards: Vec<Mutex<Shard>>,
    requests: Vec<Mutex<Generations<u64, Arc<str>>>>,
    epoch: AtomicU64,
    drains: AtomicU64,
    key: UnitKey,
}

impl Observer {
    /// Makes an observer that names conversations under `key`.
    pub(super) fn new(key: UnitKey) -> Self {
        Self::remembering(REMEMBERED, key)
    }

    /// Makes an observer that remembers at least `conversations`.
    pub(super) fn remembering(conversations: usize, key: UnitKey) -> Self {
        let each = conversations.div_ceil(SHARDS).max(1);
        Self {
            hasher: std::hash::RandomState::new(),
            shards: (0..SHARDS)
                .map(|_| {
                    let conversations = Generations::new(each);
                    Mutex::new(Shard { conversations, news: News::default() })
                })
                .collect(),
            requests: (0..SHARDS).map(|_| Mutex::new(Generations::new(each * 4))).collect(),
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

    fn requests(&self, request: u64) -> MutexGuard<'_, Generations<u64, Arc<str>>> {
        self.requests[(request as usize) % SHARDS].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a message of `conversation_id`.
    pub(super) fn message(&self, conversation_id: &str, place: Place, outcome: Outcome) {
        let key = {
            let weight = billionths(place.weight);
            let drains = self.drains.load(Ordering::Relaxed);
            let mut shard = self.shard(conversation_id);
            let Shard { conversations, news } = &mut *shard;
            let (key, conversation) = conversations.entry(
                conversation_id,
                || Arc::from(conversation_id),
                || begin(news, self.key.of(conversation_id), place),
            );
            conversation.drains = drains;
            if conversation.weight != weight || conversation.arm != place.arm {
                conversation.outgrown = true;
            }
            if conversation.outgrown {
                return;
            }
            if outcome.predicted.is_none() {
                fail(news, conversation, FailureKind::Error);
            }
            if outcome.fallback {
                fail(news, conversation, FailureKind::Fallback);
            }
            if outcome.slow {
                fail(news, conversation, FailureKind::Slow);
            }
            if conversation.answers.len() == MESSAGES_REMEMBERED {
                conversation.answers.pop_front();
            }
            conversation.answers.push_back(Answer {
                request: outcome.request,
                predicted: outcome.predicted,
                fallback: outcome.fallback,
            });
            key
        };
        self.requests(outcome.request).entry(&outcome.request, || outcome.request, || key);
    }

    /// Counts a message of `conversation_id` that the challenger classified too; `differs` if it disagrees.
    ///
    /// A message of an earlier `epoch`, or of a conversation that was forgotten, is not counted.
    pub(super) fn mirrored(&self, epoch: u64, conversation_id: &str, differs: bool) {
        let mut shard = self.shard(conversation_id);
        // Under the lock: a rollout that begins now changes the epoch first, then clears the shard.
        if self.epoch() != epoch {
            return;
        }
        let Shard { conversations, news } = &mut *shard;
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
    pub(super) fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::SeqCst)
    }

    /// Counts feedback: `truth` is the true intent of the last message in `request`.
    pub(super) fn feedback_on_request(&self, request: u64, truth: &str) -> Feedback {
        let key = self.requests(request).get_mut(&request).map(|key| Arc::clone(key));
        key.map_or(Feedback::Unknown, |key| self.feedback(&key, Some(request), truth))
    }

    /// Counts feedback: `truth` is the true intent of the last message in `conversation_id`.
    pub(super) fn feedback_on_conversation(&self, conversation_id: &str, truth: &str) -> Feedback {
        self.feedback(conversation_id, None, truth)
    }

    fn feedback(&self, conversation_id: &str, request: Option<u64>, truth: &str) -> Feedback {
        let mut shard = self.shard(conversation_id);
        let Shard { conversations, news } = &mut *shard;
        let Some(conversation) = conversations.get_mut(conversation_id) else {
            return Feedback::Unknown;
        };
        let answer = match request {
            Some(request) => conversation.answers.iter().rfind(|answer| answer.request == request),
            None if conversation.outgrown => return Feedback::Noted,
            None => conversation.answers.back(),
        };
        let Some(answer) = answer else { return Feedback::Unknown };
        // A prediction that failed is an error, neither right nor wrong.
        let Some(predicted) = answer.predicted.as_deref() else { return Feedback::Noted };
        // A fallback is a failure of its own kind, and the right answer to an out-of-scope message.
        let wrong = !answer.fallback && (truth == OOS || predicted != truth);
        news.verdicts.push(format!("{:016x}", self.key.of(&answer.request.to_string())));
        // In shadow, where the weight is zero, the arms are not compared.
        if let Some(slot) = conversation.slot.filter(|_| !conversation.judged) {
            conversation.judged = true;
            news.judged.entry(slot).or_default().push(conversation.key);
        }
        if wrong && fail(news, conversation, FailureKind::Wrong) {
            Feedback::Counted
        } else {
            Feedback::Noted
        }
    }

    /// Returns what `replica` saw of `rollout` since the last call, made `now`, and begins the next observation.
    ///
    /// There is always one, which is also a sign of life; there are more if one cannot hold all of it.
    pub(super) fn drain(
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
        if let Some(last) = written.last_mut() {
            all.verdicts.truncate(botops_rollout::MOST_VERDICTS);
            last.verdicts = all.verdicts;
        }
        written
    }

    /// Forgets everything, because a rollout begins or ends.
    pub(super) fn clear(&self) {
        self.epoch.fetch_add(1, Ordering::SeqCst);
        for shard in &self.shards {
            let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            shard.conversations.clear();
            shard.news = News::default();
        }
        for requests in &self.requests {
            requests.lock().unwrap_or_else(PoisonError::into_inner).clear();
        }
    }
}

/// The list of an observation that keys belong to.
#[derive(Clone, Copy)]
enum List {
    Arm(Slot, bool),
    Failed(FailureKind, Slot),
    Judged(Slot),
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
            Self::Judged(slot) => {
                seen.measured.push(Marked { kind: FailureKind::Wrong, slot, units });
            }
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
        for (slot, keys) in other.judged {
            self.judged.entry(slot).or_default().extend(keys);
        }
        self.shadow.extend(other.shadow);
        self.disagreements.extend(other.disagreements);
        self.void.extend(other.void);
        self.verdicts.extend(other.verdicts);
    }

    /// Iterates over the lists of keys.
    fn lists(&self) -> impl Iterator<Item = (List, &[u64])> {
        let arms =
            self.arms.iter().map(|((slot, bounded), keys)| (List::Arm(*slot, *bounded), keys));
        let failed =
            self.failures.iter().map(|((kind, slot), keys)| (List::Failed(*kind, *slot), keys));
        let judged = self.judged.iter().map(|(slot, keys)| (List::Judged(*slot), keys));
        let others = [
            (List::Shadow, &self.shadow),
            (List::Disagreements, &self.disagreements),
            (List::Void, &self.void),
        ];
        let all = arms.chain(failed).chain(judged).chain(others);
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
        judged: false,
        outgrown: false,
        drains: 0,
        answers: VecDeque::new(),
    }
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

/// A map that forgets the keys that were not used lately.
///
/// It has two generations; when the younger is full, the older is dropped. It holds at least the `capacity`
/// keys used last, and at most twice as many.
struct Generations<K, V> {
    capacity: usize,
    young: HashMap<K, V>,
    old: HashMap<K, V>,
}

impl<K: Hash + Eq + Clone, V> Generations<K, V> {
    fn new(capacity: usize) -> Self {
        Self { capacity, young: HashMap::new(), old: HashMap::new() }
    }

    fn values(&self) -> impl Iterator<Item = &V> {
        self.young.values().chain(self.old.values())
    }

    fn clear(&mut self) {
        self.young = HashMap::new();
        self.old = HashMap::new();
    }

    fn make_room(&mut self) {
        if self.young.len() >= self.capacity {
            self.old = std::mem::take(&mut self.young);
        }
    }

    fn get_mut<Q: Hash + Eq + ?Sized>(&mut self, key: &Q) -> Option<&mut V>
    where
        K: std::borrow::Borrow<Q>,
    {
        if !self.young.contains_key(key) {
            let (key, value) = self.old.remove_entry(key)?;
            self.make_room();
            self.young.insert(key, value);
        }
        self.young.get_mut(key)
    }

    fn entry<Q: Hash + Eq + ?Sized>(
        &mut self,
        key: &Q,
        own: impl FnOnce() -> K,
        make: impl FnOnce() -> V,
    ) -> (K, &mut V)
    where
        K: std::borrow::Borrow<Q>,
    {
        let owned = match self.young.get_key_value(key) {
            Some((owned, _)) => owned.clone(),
            None => {
                let (owned, value) = self.old.remove_entry(key).unwrap_or_else(|| (own(), make()));
                self.make_room();
                self.young.insert(owned.clone(), value);
                owned
            }
        };
        let value = self.young.get_mut(key).expect("the key was found or inserted");
        (owned, value)
    }
}

#[cfg(test)]
mod tests;
