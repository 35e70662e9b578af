//! The ends of the conversations that this process answered last.

use crate::{head::Head, names::Id};
use std::{
    collections::HashMap,
    mem,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// The most conversations of one generation: two are in memory.
const MOST: usize = 4_096;

/// The ends of conversations, bounded: when the newer generation is full, the older one is dropped.
#[derive(Default)]
pub(crate) struct Heads(Mutex<Generations>);

#[derive(Default)]
struct Generations {
    newer: HashMap<Id, Head>,
    older: HashMap<Id, Head>,
}

impl Heads {
    fn generations(&self) -> MutexGuard<'_, Generations> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the end of a conversation, as it was kept last.
    pub(crate) fn get(&self, conversation: Id) -> Option<Head> {
        let generations = self.generations();
        let found = generations.newer.get(&conversation);
        found.or_else(|| generations.older.get(&conversation)).cloned()
    }

    /// Keeps the end of a conversation.
    pub(crate) fn keep(&self, conversation: Id, head: Head) {
        let mut generations = self.generations();
        if generations.newer.len() >= MOST {
            generations.older = mem::take(&mut generations.newer);
        }
        generations.newer.insert(conversation, head);
    }

    /// Drops the end of a conversation.
    pub(crate) fn forget(&self, conversation: Id) {
        let mut generations = self.generations();
        generations.newer.remove(&conversation);
        generations.older.remove(&conversation);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_ends_are_kept_and_the_oldest_dropped() {
        let heads = Heads::default();
        let id = |n: usize| Id::from_bytes(&(n as u128).to_be_bytes()).unwrap();
        for n in 0..3 * MOST {
            heads.keep(id(n), Head::default());
        }
        assert!(heads.get(id(0)).is_none());
        assert!(heads.get(id(3 * MOST - 1)).is_some() && heads.get(id(2 * MOST)).is_some());
        heads.forget(id(2 * MOST));
        assert!(heads.get(id(2 * MOST)).is_none());
        let generations = heads.generations();
        assert!(generations.newer.len() + generations.older.len() <= 2 * MOST);
    }
}
