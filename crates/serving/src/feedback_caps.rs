//! How many verdicts of one caller count in an hour, so that one person alone never decides a rollout.
//!
//! - of a reviewer, and of a person with a token of their own: as many as a person gives
//! - of an anonymous caller: those from the network of the address
//! - of an API key of a client: no number of its own, because all its users speak through it; their class has a cap

use botops_access::{CallerKind, PublicCaller, Scope};
use botops_connections::network;
use botops_observation::{Generations, UnitKey};
use chrono::{DateTime, Utc};
use std::{
    net::IpAddr,
    sync::{Mutex, PoisonError},
};

/// The most verdicts of a reviewer that count in an hour.
const OF_REVIEWER: u32 = 600;
/// The most verdicts of a person, or of a network without credentials, that count in an hour.
const OF_PERSON: u32 = 120;
/// The callers that are remembered.
const MOST_CALLERS: usize = 50_000;

/// The verdicts of callers in the hour that runs.
pub(super) struct FeedbackCaps(Mutex<Generations<String, (i64, u32)>>);

/// Whether a verdict counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Counted {
    /// It does.
    Yes,
    /// It is the first of its caller in this hour that does not.
    FirstBeyond,
    /// It does not.
    Beyond,
}

impl Default for FeedbackCaps {
    fn default() -> Self {
        Self(Mutex::new(Generations::new(MOST_CALLERS)))
    }
}

impl FeedbackCaps {
    /// Counts a verdict of `caller`, at `address` if it is known, and returns whether it counts. Names are kept as HMACs under
    /// `names`.
    pub(super) fn count(
        &self,
        (caller, address): (&PublicCaller, Option<IpAddr>),
        names: &UnitKey,
        now: DateTime<Utc>,
    ) -> Counted {
        let is_reviewer = caller.scopes.has(Scope::Review);
        let most = if is_reviewer { OF_REVIEWER } else { OF_PERSON };
        let name = match caller.kind {
            CallerKind::Key if is_reviewer => names.of_caller("key", &caller.id),
            CallerKind::Token => names.of_caller("token", &caller.id),
            CallerKind::Key | CallerKind::SharedToken => return Counted::Yes,
            CallerKind::Anonymous => match address.map(network) {
                // A proxy that nobody named, or the users of this machine.
                None => return Counted::Yes,
                Some(address) if address.is_loopback() => return Counted::Yes,
                Some(address) => names.of_caller("address", &address.to_string()),
            },
        };
        let hour = now.timestamp().div_euclid(3_600);
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (_, entry) = known.entry(name.as_str(), || name.clone(), || (hour, 0));
        if entry.0 != hour {
            *entry = (hour, 0);
        }
        entry.1 = entry.1.saturating_add(1);
        match entry.1 {
            n if n <= most => Counted::Yes,
            n if n == most + 1 => Counted::FirstBeyond,
            _ => Counted::Beyond,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use botops_access::ScopeSet;
    use chrono::TimeDelta;

    fn caller(kind: CallerKind, id: &str, scopes: &[Scope]) -> PublicCaller {
        let anonymous = PublicCaller::anonymous(ScopeSet::of(scopes));
        PublicCaller { kind, id: id.into(), ..anonymous }
    }

    #[test]
    fn a_person_a_reviewer_and_a_network_have_a_cap_and_a_key_of_a_client_has_none() {
        let (caps, names) = (FeedbackCaps::default(), UnitKey::new(b"a key"));
        let now = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
        let counted = |caller: &PublicCaller, address: &str, n: u32, at| {
            let address = address.parse().ok();
            (0..n).filter(|_| caps.count((caller, address), &names, at) == Counted::Yes).count()
        };
        let chat = [Scope::Chat, Scope::Feedback];
        let anonymous = caller(CallerKind::Anonymous, "", &chat);
        assert_eq!(counted(&anonymous, "2001:db8::1", 100, now), 100);
        assert_eq!(counted(&anonymous, "2001:db8::2", 100, now), 20, "the same network");
        assert_eq!(counted(&anonymous, "192.0.2.1", 10, now), 10, "another network");
        assert_eq!(counted(&anonymous, "127.0.0.1", 1_000, now), 1_000, "this machine");
        let person = caller(CallerKind::Token, "https://a.example#ada", &chat);
        assert_eq!(counted(&person, "192.0.2.1", 200, now), 120);
        assert_eq!(counted(&person, "192.0.2.1", 200, now + TimeDelta::hours(1)), 120);
        let reviewer = caller(CallerKind::Key, "ada", &[Scope::Review]);
        assert_eq!(counted(&reviewer, "192.0.2.1", 1_000, now), 600);
        let client = caller(CallerKind::Key, "shop", &chat);
        assert_eq!(counted(&client, "192.0.2.1", 10_000, now), 10_000);
        let next = caps.count((&person, None), &names, now + TimeDelta::hours(1));
        assert_eq!(next, Counted::Beyond);
    }

    #[test]
    fn the_first_verdict_beyond_a_cap_is_told_apart() {
        let (caps, names) = (FeedbackCaps::default(), UnitKey::new(b"a key"));
        let person = caller(CallerKind::Token, "ada", &[Scope::Feedback]);
        let now = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
        let told: Vec<Counted> =
            (0..122).map(|_| caps.count((&person, None), &names, now)).collect();
        assert_eq!(told[119..], [Counted::Yes, Counted::FirstBeyond, Counted::Beyond]);
    }
}
