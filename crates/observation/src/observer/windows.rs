//! The windows of conversations: whether one was handed off, or stayed unresolved, is known half an hour after it began.
//!
//! Nothing of a conversation is reported before its window is over, on either arm. A conversation that outgrew the share
//! under which it began is not reported at all. Memory is bounded: beyond [`MOST`] open windows, conversations that begin
//! are not measured.

use botops_rollout::{RESOLUTION_WINDOW, Slot};
use chrono::{DateTime, TimeDelta, Utc};
use std::collections::{HashMap, VecDeque};

/// The most open windows.
pub(super) const MOST: usize = 10_000;

/// An open window.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Window {
    /// The share of the conversation.
    pub(super) slot: Slot,
    closes: DateTime<Utc>,
    /// Whether it was handed to a person.
    pub(super) handed_off: bool,
    /// Whether it is unresolved.
    pub(super) unresolved: bool,
}

/// The open windows of a shard, by the key of the conversation.
#[derive(Default)]
pub(super) struct Windows {
    open: HashMap<u64, Window>,
    /// The keys in the order in which their windows close.
    order: VecDeque<u64>,
}

impl Windows {
    /// Opens the window of a conversation that begins `at` a time.
    pub(super) fn begin(&mut self, key: u64, slot: Slot, at: DateTime<Utc>) {
        if self.open.len() >= MOST {
            return;
        }
        let length = TimeDelta::from_std(RESOLUTION_WINDOW).unwrap_or(TimeDelta::MAX);
        let closes = at.checked_add_signed(length).unwrap_or(DateTime::<Utc>::MAX_UTC);
        let window = Window { slot, closes, handed_off: false, unresolved: false };
        if self.open.insert(key, window).is_none() {
            self.order.push_back(key);
        }
    }

    /// Notes that a conversation is unresolved `at` a time, or handed off. After its window this changes nothing.
    pub(super) fn trouble(&mut self, key: u64, at: DateTime<Utc>, handed_off: bool) {
        if let Some(window) = self.open.get_mut(&key).filter(|window| at < window.closes) {
            window.unresolved = true;
            window.handed_off |= handed_off;
        }
    }

    /// Forgets a conversation.
    pub(super) fn forget(&mut self, key: u64) {
        self.open.remove(&key);
    }

    /// Returns a conversation whose window is over, each once.
    pub(super) fn closed(&mut self, now: DateTime<Utc>) -> Option<(u64, Window)> {
        loop {
            let &key = self.order.front()?;
            match self.open.get(&key) {
                Some(window) if window.closes > now => return None,
                found => {
                    let found = found.copied();
                    self.order.pop_front();
                    self.open.remove(&key);
                    if let Some(window) = found {
                        return Some((key, window));
                    }
                }
            }
        }
    }

    /// Forgets all conversations.
    pub(super) fn clear(&mut self) {
        self.open.clear();
        self.order.clear();
    }
}
