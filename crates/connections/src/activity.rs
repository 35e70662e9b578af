//! The activity of one connection: what its client and the server wait for, and since when.
//!
//! The stream and the answers write down here how they get on; [`Activity::verdict`] compares it with the limits. It is read
//! once in a while, so a request costs a few writes to memory and no timer.

use crate::limits::ConnectionLimits;
use std::{
    sync::atomic::{
        AtomicBool, AtomicU32, AtomicU64,
        Ordering::{AcqRel, Relaxed},
    },
    time::{Duration, Instant},
};

/// The fewest bytes per second that a client may take of answers that wait for it, in the mean of a `write_timeout`.
const LEAST_BYTES_A_SECOND: u64 = 512;

/// The longest time between two verdicts while requests are in flight.
const LOOK: Duration = Duration::from_secs(5);

/// Never, for a time.
const NEVER: u64 = 0;

/// The activity of one connection. Times are in milliseconds since its begin, plus 1; 0 is never.
#[derive(Debug)]
pub(crate) struct Activity {
    begun: Instant,
    /// The begin of a head that is not complete.
    head_since: AtomicU64,
    /// The end of the last answer, or the begin of the connection.
    idle_since: AtomicU64,
    /// Requests whose answers are not written yet.
    in_flight: AtomicU32,
    /// Answers with a body that is not written yet.
    bodies: AtomicU32,
    /// Those of them that wait for the server and not for the client.
    waiting_bodies: AtomicU32,
    /// The last time that the connection took a part of a body.
    body_taken: AtomicU64,
    /// The time since when the client takes less than the server writes.
    blocked_since: AtomicU64,
    /// The number of bytes that it has taken since.
    taken_since: AtomicU64,
    /// Whether a message could be read in two ways.
    malformed: AtomicBool,
    /// Whether the connection speaks another protocol from here on.
    upgraded: AtomicBool,
}

/// The reason for which a connection is cut off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cut {
    /// The head of a request did not come in time.
    Headers,
    /// No request came for a long time.
    Idle,
    /// The client does not take its answers.
    Write,
    /// The handshake of TLS did not end in time.
    Handshake,
}

impl Cut {
    /// Returns the name in metrics.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Headers => "headers",
            Self::Idle => "idle",
            Self::Write => "write",
            Self::Handshake => "handshake",
        }
    }
}

/// The decision about a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is cut off.
    Cut(Cut),
    /// It goes on at least for this time, if its state does not change.
    Goes(Duration),
}

impl Activity {
    /// Makes the activity of a connection that begins at `now`, with a head that has to come.
    pub(crate) fn begin(now: Instant) -> Self {
        Self {
            begun: now,
            head_since: AtomicU64::new(1),
            idle_since: AtomicU64::new(1),
            in_flight: AtomicU32::new(0),
            bodies: AtomicU32::new(0),
            waiting_bodies: AtomicU32::new(0),
            body_taken: AtomicU64::new(NEVER),
            blocked_since: AtomicU64::new(NEVER),
            taken_since: AtomicU64::new(0),
            malformed: AtomicBool::new(false),
            upgraded: AtomicBool::new(false),
        }
    }

    fn millis(&self, now: Instant) -> u64 {
        let millis = now.saturating_duration_since(self.begun).as_millis();
        u64::try_from(millis).unwrap_or(u64::MAX - 1) + 1
    }

    /// Notes whether the head of a request has begun, and not ended.
    pub(crate) fn within_head(&self, is_within: bool) {
        if !is_within {
            self.head_since.store(NEVER, Relaxed);
        } else if self.head_since.load(Relaxed) == NEVER {
            self.head_since.store(self.millis(Instant::now()), Relaxed);
        }
    }

    /// Notes that a request was read.
    pub(crate) fn request_began(&self) {
        self.head_since.store(NEVER, Relaxed);
        self.in_flight.fetch_add(1, AcqRel);
    }

    /// Notes that a request is over.
    pub(crate) fn request_ended(&self) {
        // Before the count: whoever reads that none is in flight finds the time.
        self.idle_since.store(self.millis(Instant::now()), Relaxed);
        self.in_flight.fetch_sub(1, AcqRel);
    }

    /// Notes that an answer with a body began.
    pub(crate) fn body_began(&self) {
        self.body_taken.store(self.millis(Instant::now()), Relaxed);
        self.bodies.fetch_add(1, AcqRel);
    }

    /// Notes that the connection asked a body for its next part; `was_waiting` and `is_waiting` say whether the body had
    /// none before, and has none now.
    pub(crate) fn body_asked(&self, was_waiting: bool, is_waiting: bool) {
        self.body_taken.store(self.millis(Instant::now()), Relaxed);
        match (was_waiting, is_waiting) {
            (false, true) => self.waiting_bodies.fetch_add(1, AcqRel),
            (true, false) => self.waiting_bodies.fetch_sub(1, AcqRel),
            _ => 0,
        };
    }

    /// Notes that a body is over.
    pub(crate) fn body_ended(&self, was_waiting: bool) {
        self.bodies.fetch_sub(1, AcqRel);
        if was_waiting {
            self.waiting_bodies.fetch_sub(1, AcqRel);
        }
    }

    /// Notes that the client took `n` of `of` bytes; `None` if it took none.
    pub(crate) fn wrote(&self, n: Option<usize>, of: usize) {
        let blocked = self.blocked_since.load(Relaxed);
        match n {
            Some(n) if n >= of => {
                if blocked != NEVER {
                    self.blocked_since.store(NEVER, Relaxed);
                }
            }
            n => {
                if blocked == NEVER {
                    self.taken_since.store(0, Relaxed);
                    self.blocked_since.store(self.millis(Instant::now()), Relaxed);
                }
                self.taken_since.fetch_add(n.unwrap_or_default() as u64, Relaxed);
            }
        }
    }

    /// Notes that a message could be read in two ways.
    pub(crate) fn refused_message(&self) {
        self.malformed.store(true, Relaxed);
    }

    /// Returns whether a message could be read in two ways.
    pub(crate) fn is_malformed(&self) -> bool {
        self.malformed.load(Relaxed)
    }

    /// Notes that the connection speaks another protocol from here on: the rest of its bytes is no HTTP.
    pub(super) fn upgrade(&self) {
        self.upgraded.store(true, Relaxed);
    }

    /// Returns whether the connection speaks another protocol.
    pub(super) fn is_upgraded(&self) -> bool {
        self.upgraded.load(Relaxed)
    }

    /// Returns what is to happen with the connection at `now`.
    pub(crate) fn verdict(&self, limits: &ConnectionLimits, now: Instant) -> Verdict {
        let now = self.millis(now);
        let left = |since: u64, limit: Duration| {
            let limit = u64::try_from(limit.as_millis()).unwrap_or(u64::MAX);
            limit.saturating_sub(now.saturating_sub(since))
        };
        let mut next = u64::try_from(LOOK.as_millis()).unwrap_or(u64::MAX);
        let blocked = self.blocked_since.load(Relaxed);
        if blocked != NEVER {
            let left = left(blocked, limits.write_timeout);
            if left == 0 {
                let seconds = now.saturating_sub(blocked) / 1_000;
                if self.taken_since.load(Relaxed) < LEAST_BYTES_A_SECOND * seconds.max(1) {
                    return Verdict::Cut(Cut::Write);
                }
                self.taken_since.store(0, Relaxed);
                self.blocked_since.store(now, Relaxed);
            } else {
                next = next.min(left);
            }
        }
        if self.bodies.load(Relaxed) > self.waiting_bodies.load(Relaxed) {
            let left = left(self.body_taken.load(Relaxed), limits.write_timeout);
            if left == 0 {
                return Verdict::Cut(Cut::Write);
            }
            next = next.min(left);
        }
        let head = self.head_since.load(Relaxed);
        if head != NEVER {
            let left = left(head, limits.headers_timeout);
            if left == 0 {
                return Verdict::Cut(Cut::Headers);
            }
            next = next.min(left);
        } else if self.in_flight.load(Relaxed) == 0 && blocked == NEVER {
            let left = left(self.idle_since.load(Relaxed), limits.idle_timeout);
            if left == 0 {
                return Verdict::Cut(Cut::Idle);
            }
            // Nothing else can happen without a byte of the client, which is noticed.
            next = left;
        }
        Verdict::Goes(Duration::from_millis(next.max(1)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits() -> ConnectionLimits {
        ConnectionLimits {
            headers_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(60),
            write_timeout: Duration::from_secs(20),
            ..ConnectionLimits::default()
        }
    }

    /// Sets the begin of the connection back, as if `seconds` had passed.
    fn pass(activity: &mut Activity, seconds: u64) {
        activity.begun -= Duration::from_secs(seconds);
    }

    fn verdict(activity: &Activity) -> Verdict {
        activity.verdict(&limits(), Instant::now())
    }

    #[test]
    fn the_first_head_comes_in_time_and_so_does_every_other() {
        let mut activity = Activity::begin(Instant::now());
        pass(&mut activity, 9);
        assert!(
            matches!(verdict(&activity), Verdict::Goes(left) if left <= Duration::from_secs(1))
        );
        pass(&mut activity, 1);
        assert_eq!(verdict(&activity), Verdict::Cut(Cut::Headers));
        activity.request_began();
        assert!(matches!(verdict(&activity), Verdict::Goes(_)));
        activity.request_ended();
        pass(&mut activity, 59);
        assert!(matches!(verdict(&activity), Verdict::Goes(_)), "a client may be idle for longer");
        activity.within_head(true);
        pass(&mut activity, 5);
        activity.within_head(true);
        pass(&mut activity, 5);
        assert_eq!(verdict(&activity), Verdict::Cut(Cut::Headers), "bytes give no more time");
        activity.within_head(false);
        assert_eq!(verdict(&activity), Verdict::Cut(Cut::Idle));
    }

    #[test]
    fn a_client_has_to_take_its_answer() {
        let mut activity = Activity::begin(Instant::now());
        activity.request_began();
        activity.body_began();
        pass(&mut activity, 19);
        assert!(
            matches!(verdict(&activity), Verdict::Goes(left) if left <= Duration::from_secs(1))
        );
        activity.body_asked(false, true);
        pass(&mut activity, 1_000);
        assert!(matches!(verdict(&activity), Verdict::Goes(_)), "the server has nothing to say");
        activity.body_asked(true, false);
        pass(&mut activity, 20);
        assert_eq!(verdict(&activity), Verdict::Cut(Cut::Write));
        activity.body_ended(false);
        activity.request_ended();
        assert!(matches!(verdict(&activity), Verdict::Goes(_)));
    }

    #[test]
    fn a_client_that_takes_too_few_bytes_is_cut_off() {
        let mut activity = Activity::begin(Instant::now());
        activity.request_began();
        activity.wrote(None, 100);
        activity.wrote(Some(40), 100_000);
        pass(&mut activity, 20);
        assert_eq!(verdict(&activity), Verdict::Cut(Cut::Write));
        activity.wrote(Some(11_000), 100_000);
        assert!(matches!(verdict(&activity), Verdict::Goes(_)), "it takes enough");
        pass(&mut activity, 20);
        assert_eq!(verdict(&activity), Verdict::Cut(Cut::Write), "it took enough only once");
        activity.wrote(Some(100), 100);
        assert!(matches!(verdict(&activity), Verdict::Goes(_)), "nothing waits for it");
    }
}
