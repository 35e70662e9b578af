//! Verdicts that this server was given since its last observation.
//!
//! One verdict on a message counts: the first, unless a more trusted source follows. Other servers may be given others;
//! the union of observations keeps one of them. Memory is bounded: the messages judged last are remembered.

use crate::generations::Generations;
use botops_rollout::{Judged, MOST_VERDICTS, Slot, VerdictSource};
use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

const SHARDS: usize = 16;
/// The most verdicts that wait for an observation, in one shard: 160,000 in two seconds over all.
const MOST_NEWS: usize = 10_000;

/// The result of one piece of feedback.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Feedback {
    /// It counts for the rollout under way.
    Counted,
    /// It was read, and counts for no rollout.
    Noted,
    /// No such answer is known.
    Unknown,
}

/// The share of a conversation, the source, and whether the answer was wrong.
type Said = (Slot, VerdictSource, bool);

#[derive(Default)]
struct News {
    lists: BTreeMap<Said, Vec<(u64, u64)>>,
    n: usize,
}

struct Shard {
    judged: Generations<u64, VerdictSource>,
    news: News,
}

/// Verdicts by message.
pub(crate) struct Verdicts(Vec<Mutex<Shard>>);

impl Verdicts {
    /// Makes an empty collection that remembers at least `messages`.
    pub(crate) fn remembering(messages: usize) -> Self {
        let each = messages.div_ceil(SHARDS).max(1);
        let shard = |_| Mutex::new(Shard { judged: Generations::new(each), news: News::default() });
        Self((0..SHARDS).map(shard).collect())
    }

    fn shards(&self) -> impl Iterator<Item = MutexGuard<'_, Shard>> {
        self.0.iter().map(|shard| shard.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Adds a verdict on `message` in the conversation `unit`, if it is the first and the rollout `is_current`.
    pub(crate) fn add(
        &self,
        (message, unit): (u64, u64),
        said: Said,
        is_current: impl Fn() -> bool,
    ) -> Feedback {
        let shard = &self.0[(message as usize) % SHARDS];
        let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
        let Shard { judged, news } = &mut *shard;
        // Under the lock: a rollout that begins now is marked first, then clears the shard.
        if !is_current() || news.n >= MOST_NEWS {
            return Feedback::Noted;
        }
        let (_, source, _) = said;
        let mut is_first = false;
        let (_, known) = judged.entry(
            &message,
            || message,
            || {
                is_first = true;
                source
            },
        );
        if !is_first && source >= *known {
            return Feedback::Noted;
        }
        *known = source;
        news.lists.entry(said).or_default().push((message, unit));
        news.n += 1;
        Feedback::Counted
    }

    /// Takes the verdicts since the last call, in lists that fit into an observation.
    pub(crate) fn drain(&self) -> Vec<Judged> {
        let mut all: BTreeMap<Said, Vec<(u64, u64)>> = BTreeMap::new();
        for mut shard in self.shards() {
            for (said, verdicts) in std::mem::take(&mut shard.news).lists {
                all.entry(said).or_default().extend(verdicts);
            }
        }
        let lists = all.into_iter().flat_map(|((slot, source, wrong), mut verdicts)| {
            verdicts.sort_unstable();
            let parts = verdicts.chunks(MOST_VERDICTS / 2);
            let part = |part: &[(u64, u64)]| Judged {
                slot,
                source,
                wrong,
                verdicts: part.iter().copied().collect(),
            };
            parts.map(part).collect::<Vec<_>>()
        });
        lists.collect()
    }

    /// Forgets everything.
    pub(crate) fn clear(&self) {
        for mut shard in self.shards() {
            shard.judged.clear();
            shard.news = News::default();
        }
    }
}
