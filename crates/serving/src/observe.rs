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

use botops_labels::OOS;
use botops_rollout::{Arm, FailureCount, FailureKind, MeasuredCount, Observation};
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
    arm: Arm,
    /// The weight at which it began, in billionths.
    weight: u32,
    /// The kinds of failure so far, one bit each.
    failed: u8,
    /// Whether the challenger has classified one of its messages.
    shadowed: bool,
    /// Whether feedback has judged one of its answers.
    judged: bool,
    /// Whether a message came after the weight had changed: the latest answer is not remembered then.
    outgrown: bool,
    answers: VecDeque<Answer>,
}

#[derive(Default)]
struct Tally {
    /// `[primary, canary]` by weight in billionths.
    units: BTreeMap<u32, [u64; 2]>,
    failures: BTreeMap<(FailureKind, u32), [u64; 2]>,
    /// Conversations with feedback: `[primary, canary]`.
    judged: [u64; 2],
    shadow_units: u64,
}

struct Shard {
    conversations: Generations<Arc<str>, Conversation>,
    tally: Tally,
}

/// The observer of conversations. A message locks one of 16 shards, and only during a rollout.
pub(super) struct Observer {
    hasher: std::hash::RandomState,
    shards: Vec<Mutex<Shard>>,
    requests: Vec<Mutex<Generations<u64, Arc<str>>>>,
    epoch: AtomicU64,
}

impl Default for Observer {
    fn default() -> Self {
        Self::remembering(REMEMBERED)
    }
}

impl Observer {
    /// Makes an observer that remembers at least `conversations`.
    pub(super) fn remembering(conversations: usize) -> Self {
        let each = conversations.div_ceil(SHARDS).max(1);
        Self {
            hasher: std::hash::RandomState::new(),
            shards: (0..SHARDS)
                .map(|_| {
                    let conversations = Generations::new(each);
                    Mutex::new(Shard { conversations, tally: Tally::default() })
                })
                .collect(),
            requests: (0..SHARDS).map(|_| Mutex::new(Generations::new(each * 4))).collect(),
            epoch: AtomicU64::new(0),
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

    /// Counts a message of `conversation_id` that `arm` answered while the canary had the share `weight`.
    pub(super) fn message(&self, conversation_id: &str, arm: Arm, weight: f64, outcome: Outcome) {
        let key = {
            let weight = billionths(weight);
            let mut shard = self.shard(conversation_id);
            let Shard { conversations, tally } = &mut *shard;
            let (key, conversation) = conversations.entry(
                conversation_id,
                || Arc::from(conversation_id),
                || {
                    tally.units.entry(weight).or_default()[side(arm)] += 1;
                    Conversation {
                        arm,
                        weight,
                        failed: 0,
                        shadowed: false,
                        judged: false,
                        outgrown: false,
                        answers: VecDeque::new(),
                    }
                },
            );
            if conversation.weight != weight || conversation.arm != arm {
                conversation.outgrown = true;
            }
            if conversation.outgrown {
                return;
            }
            if outcome.predicted.is_none() {
                fail(tally, conversation, arm, FailureKind::Error);
            }
            if outcome.fallback {
                fail(tally, conversation, arm, FailureKind::Fallback);
            }
            if outcome.slow {
                fail(tally, conversation, arm, FailureKind::Slow);
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
        let Shard { conversations, tally } = &mut *shard;
        let Some(conversation) = conversations.get_mut(conversation_id) else { return };
        if !conversation.shadowed {
            conversation.shadowed = true;
            tally.shadow_units += 1;
        }
        if differs {
            // The challenger disagrees, whichever arm answered.
            fail(tally, conversation, Arm::Canary, FailureKind::Disagreement);
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
        let Shard { conversations, tally } = &mut *shard;
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
        let arm = conversation.arm;
        // In shadow, where the weight is zero, the arms are not compared.
        if conversation.weight > 0 && !conversation.judged {
            conversation.judged = true;
            tally.judged[side(arm)] += 1;
        }
        if wrong && fail(tally, conversation, arm, FailureKind::Wrong) {
            Feedback::Counted
        } else {
            Feedback::Noted
        }
    }

    /// Returns the observation since the last call, made `now`, and begins the next one.
    ///
    /// `weight` is the current share of the canary. A conversation that began under another share, between a
    /// decision and its routing, is not a unit of this tick.
    pub(super) fn drain(&self, weight: f64, now: DateTime<Utc>) -> Observation {
        let weight = billionths(weight);
        let mut seen = Tally::default();
        for shard in &self.shards {
            let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            let tally = std::mem::take(&mut shard.tally);
            seen.shadow_units += tally.shadow_units;
            add(&mut seen.judged, tally.judged);
            for (weight, units) in tally.units {
                add(seen.units.entry(weight).or_default(), units);
            }
            for (key, failed) in tally.failures {
                add(seen.failures.entry(key).or_default(), failed);
            }
        }
        // At weight zero nothing is compared, so there are no units.
        let [primary_units, canary_units] =
            seen.units.get(&weight).copied().filter(|_| weight > 0).unwrap_or_default();
        let failures = seen
            .failures
            .into_iter()
            .filter(|((kind, weight), _)| *weight > 0 || *kind == FailureKind::Disagreement)
            .map(|((kind, weight), [primary, canary])| {
                let weight = f64::from(weight) / BILLION;
                FailureCount { kind, weight, canary, primary }
            })
            .collect();
        let [primary, canary] = seen.judged;
        let measured = (seen.judged != [0, 0]).then_some(MeasuredCount {
            kind: FailureKind::Wrong,
            canary,
            primary,
        });
        Observation {
            canary_units,
            primary_units,
            shadow_units: seen.shadow_units,
            failures,
            measured: measured.into_iter().collect(),
            units: Vec::new(),
            observed_at: Some(now),
            held: None,
        }
    }

    /// Forgets everything, because a rollout begins or ends.
    pub(super) fn clear(&self) {
        self.epoch.fetch_add(1, Ordering::SeqCst);
        for shard in &self.shards {
            let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            shard.conversations.clear();
            shard.tally = Tally::default();
        }
        for requests in &self.requests {
            requests.lock().unwrap_or_else(PoisonError::into_inner).clear();
        }
    }
}

/// Returns the index of an arm in `[primary, canary]`.
fn side(arm: Arm) -> usize {
    match arm {
        Arm::Primary => 0,
        Arm::Canary => 1,
    }
}

fn billionths(weight: f64) -> u32 {
    (weight * BILLION).round() as u32
}

fn add(sum: &mut [u64; 2], more: [u64; 2]) {
    sum[0] += more[0];
    sum[1] += more[1];
}

/// Counts a failure, once per kind. Returns whether it was the first of its kind.
fn fail(tally: &mut Tally, conversation: &mut Conversation, arm: Arm, kind: FailureKind) -> bool {
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
    tally.failures.entry((kind, conversation.weight)).or_default()[side(arm)] += 1;
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
