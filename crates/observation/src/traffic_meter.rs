//! The traffic that a server has seen in the last day: conversations, and how they failed, also without a rollout.
//!
//! A forecast of a plan needs conversations an hour, and a count of requests does not tell them. So the meter keeps names of
//! conversations (see [`crate::unit_key`]). Beyond [`MOST`] of them it keeps every second one, then every fourth, by the last
//! bits of their names, and counts each for that many: at most about 1 MiB, and an error of about 1 % at any traffic.

use crate::observer::Outcome;
use botops_rollout::{Arm, FailureKind, FailureRate, TrafficRates};
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, HashMap},
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};
use utoipa::ToSchema;

/// The most conversations that are kept.
const MOST: usize = 32_768;
/// The time for which a conversation counts.
const WINDOW: Duration = Duration::from_secs(24 * 60 * 60);
/// The shortest time that gives a rate.
const LEAST_TIME: Duration = Duration::from_secs(10 * 60);
/// The fewest conversations that give a rate.
const LEAST_CONVERSATIONS: u64 = 100;

/// The traffic that a server counted.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ServerTraffic {
    /// Conversations that began at this server; those at other servers of the environment are not among them.
    pub conversations: u64,
    /// The hours in which they began: up to the last 24.
    pub hours: f64,
}

/// The conversations of the last day.
pub struct TrafficMeter(Mutex<Seen>);

struct Seen {
    /// When the meter began.
    began: Instant,
    /// Conversations whose name ends in at least this many zero bits are kept.
    level: u32,
    conversations: HashMap<u64, Conversation>,
}

struct Conversation {
    /// Its first message.
    began: Instant,
    /// Whether the primary answered all of it.
    on_primary: bool,
    failed: bool,
    fallback: bool,
}

impl TrafficMeter {
    /// Begins to count.
    pub fn start(now: Instant) -> Self {
        Self(Mutex::new(Seen { began: now, level: 0, conversations: HashMap::new() }))
    }

    /// Counts a message of the conversation `unit`, which `arm` answered.
    pub fn message(&self, unit: u64, arm: Arm, outcome: &Outcome, now: Instant) {
        let mut seen = self.seen();
        if unit.trailing_zeros() < seen.level {
            return;
        }
        let new = || Conversation { began: now, on_primary: true, failed: false, fallback: false };
        let known = seen.conversations.entry(unit).or_insert_with(new);
        known.on_primary &= arm == Arm::Primary;
        known.failed |= outcome.failed;
        known.fallback |= outcome.fallback;
        if seen.conversations.len() > MOST {
            seen.make_room(now);
        }
    }

    /// Returns the traffic of the last day, and the failures of the primary that need no feedback and no bound; `None` if
    /// fewer than 10 minutes or 100 conversations were counted.
    pub fn rates(&self, now: Instant) -> Option<(TrafficRates, ServerTraffic)> {
        let mut seen = self.seen();
        seen.forget(now);
        let time = now.saturating_duration_since(seen.began).min(WINDOW);
        let each = 1_u64 << seen.level;
        let conversations = seen.conversations.len() as u64 * each;
        if time < LEAST_TIME || conversations < LEAST_CONVERSATIONS {
            return None;
        }
        let hours = time.as_secs_f64() / 3600.0;
        let on_primary = || seen.conversations.values().filter(|known| known.on_primary);
        let judged = on_primary().count();
        let rate =
            |failed: usize| FailureRate { rate: failed as f64 / judged as f64, measured: 1.0 };
        let failures = match judged {
            0 => BTreeMap::new(),
            _ => BTreeMap::from([
                (FailureKind::Error, rate(on_primary().filter(|known| known.failed).count())),
                (FailureKind::Fallback, rate(on_primary().filter(|known| known.fallback).count())),
            ]),
        };
        let rates = TrafficRates { conversations_per_hour: conversations as f64 / hours, failures };
        Some((rates, ServerTraffic { conversations, hours }))
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seen {
    /// Forgets the conversations that began more than a day ago.
    fn forget(&mut self, now: Instant) {
        self.conversations.retain(|_, known| now.saturating_duration_since(known.began) < WINDOW);
    }

    /// Forgets the old conversations and, if that is not enough, keeps every second one from here on.
    fn make_room(&mut self, now: Instant) {
        self.forget(now);
        while self.conversations.len() > MOST / 2 && self.level < 63 {
            self.level += 1;
            let level = self.level;
            self.conversations.retain(|unit, _| unit.trailing_zeros() >= level);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::unit_key::UnitKey;

    const GOOD: Outcome = Outcome { failed: false, fallback: false, slow: false };

    fn hours(n: u64) -> Duration {
        Duration::from_secs(3_600 * n)
    }

    #[test]
    fn a_conversation_counts_once_however_many_messages_it_has() {
        let began = Instant::now();
        let meter = TrafficMeter::start(began);
        let key = UnitKey::new(b"a key");
        for n in 0..200 {
            let unit = key.of(&format!("conversation {n}"));
            for message in 0..3 {
                let failed = n % 20 == 0 && message == 1;
                let outcome = Outcome { failed, fallback: n % 4 == 0, slow: false };
                meter.message(unit, Arm::Primary, &outcome, began);
            }
        }
        assert_eq!(meter.rates(began + LEAST_TIME / 2), None, "too short a time");
        let (rates, counted) = meter.rates(began + hours(2)).unwrap();
        assert_eq!(counted, ServerTraffic { conversations: 200, hours: 2.0 });
        assert_eq!(rates.conversations_per_hour, 100.0);
        let rate = |kind| rates.failures[&kind];
        assert_eq!(rate(FailureKind::Error), FailureRate { rate: 0.05, measured: 1.0 });
        assert_eq!(rate(FailureKind::Fallback), FailureRate { rate: 0.25, measured: 1.0 });
        assert!(!rates.failures.contains_key(&FailureKind::Wrong), "nobody gave feedback");
    }

    #[test]
    fn a_day_later_a_conversation_counts_no_more_and_the_challenger_is_not_judged() {
        let began = Instant::now();
        let meter = TrafficMeter::start(began);
        for unit in 0..150 {
            meter.message(unit, Arm::Primary, &GOOD, began);
        }
        let broken = Outcome { failed: true, ..GOOD };
        for unit in 1_000..1_240 {
            let (arm, outcome) =
                if unit % 2 == 0 { (Arm::Canary, &broken) } else { (Arm::Primary, &GOOD) };
            meter.message(unit, arm, outcome, began + hours(20));
        }
        let (rates, counted) = meter.rates(began + hours(30)).unwrap();
        assert_eq!(counted, ServerTraffic { conversations: 240, hours: 24.0 });
        assert_eq!(
            (rates.conversations_per_hour, rates.failures[&FailureKind::Error].rate),
            (10.0, 0.0)
        );
        assert_eq!(meter.rates(began + hours(50)), None, "nobody came");
    }

    #[test]
    fn many_conversations_need_the_place_of_few_and_are_counted_within_two_percent() {
        let began = Instant::now();
        let meter = TrafficMeter::start(began);
        let key = UnitKey::new(b"a key");
        for n in 0..200_000_u64 {
            let unit = key.of(&n.to_string());
            let outcome = Outcome { fallback: n % 10 == 0, ..GOOD };
            meter.message(unit, Arm::Primary, &outcome, began);
        }
        assert!(meter.seen().conversations.len() <= MOST);
        let (rates, counted) = meter.rates(began + hours(1)).unwrap();
        assert!((196_000..204_000).contains(&counted.conversations), "{counted:?}");
        let fallback = rates.failures[&FailureKind::Fallback].rate;
        assert!((0.09..0.11).contains(&fallback), "{fallback}");
    }
}
