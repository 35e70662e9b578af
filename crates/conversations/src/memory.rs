//! Conversations in memory, for tests and rehearsals.

use crate::{
    names::Id,
    sealing::WrappedKey,
    store::{Appended, ConversationStore, Erased, Row, Summary},
};
use async_trait::async_trait;
use botops_findings::Result;
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{Mutex, MutexGuard, PoisonError},
};

/// A store in memory: it ends with the process.
#[derive(Default)]
pub struct MemoryStore(Mutex<State>);

impl MemoryStore {
    /// Makes a store that keeps the last turn of each conversation only, which is all that a rehearsal needs.
    #[must_use]
    pub fn of_last_turns() -> Self {
        Self(Mutex::new(State { last_only: true, ..State::default() }))
    }
}

#[derive(Default)]
struct State {
    /// Whether a turn replaces the one before it.
    last_only: bool,
    conversations: BTreeMap<Id, BTreeMap<i64, Row>>,
    messages: HashMap<Id, (Id, i64)>,
    keys: BTreeMap<(Id, Id), WrappedKey>,
}

impl MemoryStore {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn of_message(&self, message: Id) -> Option<&Row> {
        let (conversation, number) = self.messages.get(&message)?;
        self.conversations.get(conversation)?.get(number)
    }

    fn last(&self, conversation: Id) -> Option<&Row> {
        self.conversations.get(&conversation)?.values().next_back()
    }
}

#[async_trait]
impl ConversationStore for MemoryStore {
    async fn append(&self, row: &Row, after: Option<Id>) -> Result<Appended> {
        let mut state = self.state();
        if let Some(known) = state.of_message(row.message) {
            return Ok(Appended::Known(known.clone()));
        }
        let last = state.last(row.conversation);
        let fits = match (last, after) {
            (None, None) => true,
            (Some(last), Some(after)) => last.turn == after && last.number + 1 == row.number,
            _ => false,
        };
        if !fits {
            return Ok(Appended::Moved(last.cloned()));
        }
        if state.last_only
            && let Some(before) = state.conversations.remove(&row.conversation)
        {
            before.values().for_each(|before| {
                state.messages.remove(&before.message);
            });
        }
        state.messages.insert(row.message, (row.conversation, row.number));
        state.conversations.entry(row.conversation).or_default().insert(row.number, row.clone());
        Ok(Appended::Written)
    }

    async fn settle(&self, row: &Row) -> Result<bool> {
        let mut state = self.state();
        let turns = state.conversations.get_mut(&row.conversation);
        let found = turns.and_then(|turns| turns.get_mut(&row.number));
        match found.filter(|found| found.turn == row.turn && (found.open || found.body == row.body))
        {
            Some(found) => {
                (found.open, found.body) = (row.open, row.body.clone());
                Ok(true)
            }
            None => Ok(false),
        }
    }

    async fn last(&self, conversation: Id) -> Result<Option<Row>> {
        Ok(self.state().last(conversation).cloned())
    }

    async fn of_message(&self, message: Id) -> Result<Option<Row>> {
        Ok(self.state().of_message(message).cloned())
    }

    async fn turns(&self, conversation: Id, from: i64, limit: u32) -> Result<Vec<Row>> {
        let state = self.state();
        let Some(turns) = state.conversations.get(&conversation) else { return Ok(Vec::new()) };
        Ok(turns.range(from..).take(limit as usize).map(|(_, row)| row.clone()).collect())
    }

    async fn recent(&self, after: Option<(i64, Id)>, limit: u32) -> Result<Vec<Summary>> {
        let state = self.state();
        let summary = |(conversation, turns): (&Id, &BTreeMap<i64, Row>)| {
            let (first, last) = (turns.values().next()?, turns.values().next_back()?);
            Some(Summary {
                conversation: *conversation,
                person: last.person,
                turns: turns.len() as i64,
                first: first.at,
                last: last.at,
            })
        };
        let mut found: Vec<Summary> = state.conversations.iter().filter_map(summary).collect();
        found.sort_unstable_by_key(|found| std::cmp::Reverse((found.last, found.conversation)));
        found.retain(|found| after.is_none_or(|after| (found.last, found.conversation) < after));
        found.truncate(limit as usize);
        Ok(found)
    }

    async fn of_person(&self, person: Id) -> Result<Vec<Id>> {
        let state = self.state();
        let has = |turns: &BTreeMap<i64, Row>| turns.values().any(|row| row.person == Some(person));
        let found = state.conversations.iter().filter(|(_, turns)| has(turns));
        Ok(found.map(|(conversation, _)| *conversation).collect())
    }

    async fn erase(&self, conversations: &[Id]) -> Result<Erased> {
        let mut state = self.state();
        let wanted: BTreeSet<Id> = conversations.iter().copied().collect();
        let n_keys = state.keys.len();
        state.keys.retain(|(conversation, _), _| !wanted.contains(conversation));
        let keys = (n_keys - state.keys.len()) as u64;
        let mut turns = 0;
        for conversation in &wanted {
            for row in state.conversations.remove(conversation).unwrap_or_default().into_values() {
                state.messages.remove(&row.message);
                turns += 1;
            }
        }
        Ok(Erased { turns, keys })
    }

    async fn expire(&self, before: i64, limit: u32) -> Result<u64> {
        let mut state = self.state();
        let rows = state.conversations.values().flat_map(BTreeMap::values);
        let old: Vec<Row> =
            rows.filter(|row| row.at < before).take(limit as usize).cloned().collect();
        for row in &old {
            state.messages.remove(&row.message);
            if let Some(turns) = state.conversations.get_mut(&row.conversation) {
                turns.remove(&row.number);
            }
        }
        state.conversations.retain(|_, turns| !turns.is_empty());
        Ok(old.len() as u64)
    }

    async fn sweep_keys(&self, before: i64) -> Result<u64> {
        let mut state = self.state();
        let State { keys, conversations, .. } = &mut *state;
        let n_keys = keys.len();
        keys.retain(|(conversation, _), key| {
            key.at >= before || conversations.contains_key(conversation)
        });
        Ok((n_keys - keys.len()) as u64)
    }

    async fn scrub(&self) -> Result<()> {
        Ok(())
    }

    async fn key(&self, conversation: Id, person: Id) -> Result<Option<WrappedKey>> {
        Ok(self.state().keys.get(&(conversation, person)).cloned())
    }

    async fn keep_key(&self, key: &WrappedKey) -> Result<WrappedKey> {
        let mut state = self.state();
        let kept = state.keys.entry((key.conversation, key.person)).or_insert_with(|| key.clone());
        kept.at = key.at;
        Ok(kept.clone())
    }

    async fn keys_not_under(&self, key_id: &str, limit: u32) -> Result<Vec<WrappedKey>> {
        let state = self.state();
        let others = state.keys.values().filter(|key| key.key_id != key_id);
        Ok(others.take(limit as usize).cloned().collect())
    }

    async fn replace_key(&self, key: &WrappedKey, before: &str) -> Result<bool> {
        let mut state = self.state();
        let found = state.keys.get_mut(&(key.conversation, key.person));
        match found.filter(|found| found.key_id == before) {
            Some(found) => {
                (found.key_id, found.wrapped) = (key.key_id.clone(), key.wrapped.clone());
                Ok(true)
            }
            None => Ok(false),
        }
    }
}
