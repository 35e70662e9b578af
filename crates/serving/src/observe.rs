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
            observed_at: Some(now),
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
mod tests {
    use super::*;

    fn outcome(request: u64, predicted: &str, fallback: bool) -> Outcome {
        Outcome { request, predicted: Some(predicted.into()), fallback, slow: false }
    }

    fn count(observation: &Observation, kind: FailureKind) -> [u64; 2] {
        observation
            .failures
            .iter()
            .filter(|count| count.kind == kind)
            .fold([0, 0], |[p, c], count| [p + count.primary, c + count.canary])
    }

    fn drain(observer: &Observer, weight: f64) -> Observation {
        observer.drain(weight, DateTime::UNIX_EPOCH)
    }

    #[test]
    fn a_conversation_is_one_unit_and_fails_once_per_kind() {
        let observer = Observer::default();
        for request in 0..5 {
            observer.message("c", Arm::Canary, 0.25, outcome(request, "a", request > 1));
        }
        let seen = drain(&observer, 0.25);
        assert_eq!((seen.primary_units, seen.canary_units), (0, 1));
        assert_eq!(count(&seen, FailureKind::Fallback), [0, 1]);
        assert_eq!(seen.observed_at, Some(DateTime::UNIX_EPOCH));
        observer.message("c", Arm::Canary, 0.25, outcome(9, "a", true));
        let seen = drain(&observer, 0.25);
        assert_eq!((seen.canary_units, seen.failures.len()), (0, 0));
        let nothing = Observation { observed_at: seen.observed_at, ..Observation::default() };
        assert_eq!(drain(&observer, 0.25), nothing);
    }

    #[test]
    fn a_failure_carries_the_weight_at_which_its_conversation_began() {
        let observer = Observer::default();
        observer.message("c", Arm::Canary, 0.05, outcome(1, "a", false));
        assert_eq!(drain(&observer, 0.05).canary_units, 1);
        assert_eq!(observer.feedback_on_request(1, "b"), Feedback::Counted);
        let seen = drain(&observer, 0.25);
        assert_eq!(seen.canary_units, 0);
        let expected =
            FailureCount { kind: FailureKind::Wrong, weight: 0.05, canary: 1, primary: 0 };
        assert_eq!(seen.failures, [expected]);
    }

    #[test]
    fn after_a_step_later_messages_of_a_conversation_count_for_neither_arm() {
        for arm in [Arm::Primary, Arm::Canary] {
            let observer = Observer::default();
            observer.message("c", arm, 0.05, outcome(1, "a", false));
            observer.message("c", arm, 0.25, outcome(2, "a", true));
            // The feedback is about the answer that is not remembered, not about the one before it.
            assert_eq!(observer.feedback_on_conversation("c", "b"), Feedback::Noted);
            assert_eq!(observer.feedback_on_request(2, "b"), Feedback::Unknown);
            // The same holds after the weight has changed back.
            observer.message("c", arm, 0.05, outcome(3, "a", true));
            assert!(drain(&observer, 0.25).failures.is_empty(), "{arm:?}");
            assert_eq!(observer.feedback_on_request(1, "b"), Feedback::Counted);
        }
    }

    #[test]
    fn with_equal_failure_rates_the_canary_has_its_share_of_failures_at_every_weight() {
        // Conversations have eight messages, one per round. The weight rises every five rounds, so that
        // most of them span a step. Both arms fail, slow down and answer wrongly at the same rates.
        const WEIGHTS: [f64; 4] = [0.05, 0.25, 0.5, 0.75];
        let observer = Observer::default();
        let mut random = botops_stats::random::Random::new(20);
        let mut failures: BTreeMap<(FailureKind, u32), [u64; 2]> = BTreeMap::new();
        let mut request = 0;
        for round in 0..5 * WEIGHTS.len() {
            let weight = WEIGHTS[round / 5];
            for begun in round.saturating_sub(7)..=round {
                for index in 0..1_000 {
                    let id = format!("{begun}-{index}");
                    request += 1;
                    let fallback = random.below(20) == 0;
                    let slow = random.below(20) == 0;
                    let outcome = Outcome { slow, ..outcome(request, "a", fallback) };
                    let arm = botops_rollout::assign("salt", &id, weight);
                    observer.message(&id, arm, weight, outcome);
                    if random.below(10) == 0 {
                        observer.feedback_on_conversation(&id, "b");
                    }
                    if random.below(20) == 0 {
                        observer.feedback_on_request(request.saturating_sub(8_000), "b");
                    }
                }
            }
            for count in drain(&observer, weight).failures {
                let sum = failures.entry((count.kind, billionths(count.weight))).or_default();
                add(sum, [count.primary, count.canary]);
            }
        }
        assert_eq!(failures.len(), 3 * WEIGHTS.len());
        for ((kind, weight), [primary, canary]) in failures {
            let weight = f64::from(weight) / BILLION;
            let n = (primary + canary) as f64;
            assert!(n > 500.0, "{kind:?} at {weight}: {n} failures");
            let z = (canary as f64 - n * weight) / (n * weight * (1.0 - weight)).sqrt();
            // Twelve comparisons. Counting the conversations that stay makes z 4 to 5 before a step.
            assert!(z.abs() < 3.5, "{kind:?} at {weight}: {canary} of {n}, z = {z:.1}");
        }
    }

    #[test]
    fn messages_answered_by_another_arm_than_the_first_are_not_counted() {
        let observer = Observer::default();
        observer.message("c", Arm::Primary, 0.05, outcome(1, "a", false));
        observer.message("c", Arm::Canary, 0.25, outcome(2, "a", true));
        assert_eq!(observer.feedback_on_request(2, "b"), Feedback::Unknown);
        let seen = drain(&observer, 0.05);
        assert_eq!((seen.primary_units, seen.canary_units), (1, 0));
        assert!(seen.failures.is_empty());
        // Feedback on an answer of the first arm still counts for that arm.
        assert_eq!(observer.feedback_on_request(1, "b"), Feedback::Counted);
        assert_eq!(count(&drain(&observer, 0.25), FailureKind::Wrong), [1, 0]);
    }

    #[test]
    fn out_of_scope_is_wrong_unless_the_bot_fell_back() {
        let observer = Observer::default();
        observer.message("answered", Arm::Primary, 0.5, outcome(1, "a", false));
        observer.message("fell back", Arm::Primary, 0.5, outcome(2, "a", true));
        observer.message("right", Arm::Primary, 0.5, outcome(3, "a", false));
        assert_eq!(observer.feedback_on_conversation("answered", OOS), Feedback::Counted);
        assert_eq!(observer.feedback_on_conversation("fell back", OOS), Feedback::Noted);
        assert_eq!(observer.feedback_on_conversation("fell back", "b"), Feedback::Noted);
        assert_eq!(observer.feedback_on_conversation("right", "a"), Feedback::Noted);
        assert_eq!(observer.feedback_on_conversation("nobody", "a"), Feedback::Unknown);
        let seen = drain(&observer, 0.5);
        assert_eq!(count(&seen, FailureKind::Wrong), [1, 0]);
        assert_eq!(count(&seen, FailureKind::Fallback), [1, 0]);
    }

    #[test]
    fn a_prediction_that_failed_is_an_error_and_feedback_on_it_is_not_wrong() {
        let observer = Observer::default();
        let failed = Outcome { request: 1, predicted: None, fallback: false, slow: false };
        observer.message("c", Arm::Canary, 0.5, failed);
        assert_eq!(observer.feedback_on_request(1, "a"), Feedback::Noted);
        assert_eq!(observer.feedback_on_request(1, OOS), Feedback::Noted);
        let seen = drain(&observer, 0.5);
        assert_eq!(count(&seen, FailureKind::Error), [0, 1]);
        assert_eq!(count(&seen, FailureKind::Wrong), [0, 0]);
        assert!(seen.measured.is_empty(), "{seen:?}");
    }

    #[test]
    fn feedback_measures_a_conversation_once_and_silence_does_not() {
        let observer = Observer::default();
        for (request, (id, arm)) in
            [("right", Arm::Primary), ("wrong", Arm::Canary), ("silent", Arm::Canary)]
                .into_iter()
                .enumerate()
        {
            observer.message(id, arm, 0.5, outcome(request as u64, "a", false));
        }
        observer.message("shadow", Arm::Primary, 0.0, outcome(9, "a", false));
        for _ in 0..2 {
            observer.feedback_on_conversation("right", "a");
            observer.feedback_on_conversation("wrong", "b");
            observer.feedback_on_conversation("shadow", "b");
        }
        let seen = drain(&observer, 0.5);
        let expected = MeasuredCount { kind: FailureKind::Wrong, canary: 1, primary: 1 };
        assert_eq!(seen.measured, [expected]);
        assert_eq!(count(&seen, FailureKind::Wrong), [0, 1]);
        assert!(drain(&observer, 0.5).measured.is_empty(), "once");
    }

    #[test]
    fn conversations_in_shadow_are_not_units_of_a_step() {
        let observer = Observer::default();
        for request in 0..3 {
            observer.message("c", Arm::Primary, 0.0, outcome(request, "a", true));
            observer.mirrored(0, "c", request == 1);
        }
        let seen = drain(&observer, 0.0);
        assert_eq!((seen.shadow_units, seen.primary_units, seen.canary_units), (1, 0, 0));
        assert_eq!(count(&seen, FailureKind::Disagreement), [0, 1]);
        assert_eq!(count(&seen, FailureKind::Fallback), [0, 0]);
    }

    #[test]
    fn a_message_mirrored_for_an_earlier_rollout_is_not_counted() {
        let observer = Observer::default();
        let epoch = observer.epoch();
        observer.message("c", Arm::Primary, 0.0, outcome(1, "a", false));
        observer.clear();
        observer.message("c", Arm::Primary, 0.0, outcome(2, "a", false));
        observer.mirrored(epoch, "c", true);
        observer.mirrored(observer.epoch(), "forgotten", true);
        let seen = drain(&observer, 0.0);
        assert_eq!((seen.shadow_units, seen.failures.len()), (0, 0));
    }

    #[test]
    fn units_that_began_under_another_share_are_left_out() {
        let observer = Observer::default();
        observer.message("late", Arm::Primary, 0.05, outcome(1, "a", false));
        observer.message("new", Arm::Primary, 0.25, outcome(2, "a", false));
        assert_eq!(drain(&observer, 0.25).primary_units, 1);
    }

    #[test]
    fn keys_that_were_not_used_lately_are_forgotten() {
        let mut map = Generations::new(100);
        for key in 0..10_000_u64 {
            map.entry(&key, || key, || key);
            assert!(map.get_mut(&0).is_some(), "used before every insertion");
            assert!(map.young.len() + map.old.len() <= 200);
        }
        assert!((9_900..10_000).all(|key| map.get_mut(&key).is_some()));
        assert!(map.get_mut(&5_000).is_none());
    }
}
