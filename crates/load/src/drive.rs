//! The driver: users and requests at their times, until the stages are over.

use crate::{
    checked_profile::Profile,
    kind::Kind,
    levels::Levels,
    profile::{Arrivals, Pacing},
    reply::{NoAnswer, Reply},
    tally::{Ended, Recorder},
    target::Target,
    user::User,
};
use botops_stats::random::Random;
use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    task::JoinSet,
    time::{Instant, MissedTickBehavior, interval, sleep, sleep_until},
};

/// Timers have steps of 1 ms: a request that begins this much later than it was due began in time.
const TIMER: Duration = Duration::from_millis(2);
/// The time between two reports of progress.
const TICK: Duration = Duration::from_millis(500);
/// The stream of random numbers of the arrivals; those of users are their numbers.
const ARRIVALS: u64 = u64::MAX;

/// A load test under way.
#[derive(Debug, Clone, PartialEq)]
pub struct Progress {
    /// The time since the start.
    pub elapsed: Duration,
    /// The stage, from 0; `None` after the last one, while answers are awaited.
    pub stage: Option<usize>,
    /// The users, or the requests per second, at this time.
    pub load: f64,
    /// Requests that ended.
    pub requests: u64,
    /// Those without a good answer.
    pub errors: u64,
    /// The 95th percentile of the latency, in seconds; `None` before the first answer.
    pub p95: Option<f64>,
}

/// A load test that ended.
#[derive(Debug)]
pub struct Driven {
    pub(crate) profile: Profile,
    pub(crate) recorder: Recorder,
    /// The time from the start until the last answer.
    pub(crate) elapsed: Duration,
    /// The most requests that were under way at a time.
    pub(crate) most_under_way: usize,
}

/// State that all users share.
struct Shared {
    profile: Profile,
    target: Target,
    levels: Levels,
    start: Instant,
    recorder: Mutex<Recorder>,
    under_way: AtomicUsize,
    most_under_way: AtomicUsize,
}

/// A message to send.
struct Due {
    kind: Kind,
    /// The time after the start.
    at: Duration,
    /// Whether the user was free when it was due.
    is_free: bool,
}

/// Makes the load of `profile` on `target`, and returns the results when the last answer came or `stop` ends. `seen` gets the
/// progress twice a second.
///
/// Two requests of a connection are never under way at a time. All tasks may run on one thread.
pub async fn drive<S>(
    profile: Profile,
    target: Target,
    mut seen: impl FnMut(&Progress),
    stop: impl Future<Output = S>,
) -> (Driven, Option<S>) {
    let recorder = Mutex::new(Recorder::new(profile.stages.len()));
    let shared = Arc::new(Shared {
        levels: profile.levels(),
        profile,
        target,
        start: Instant::now(),
        recorder,
        under_way: AtomicUsize::new(0),
        most_under_way: AtomicUsize::new(0),
    });
    let mut tasks = JoinSet::new();
    match shared.profile.pacing {
        Pacing::Closed => {
            // Loads between two whole numbers have the rounded number of users.
            for user in 0..shared.levels.highest().round() as usize {
                tasks.spawn(live(Arc::clone(&shared), user));
            }
        }
        Pacing::Open => {
            tasks.spawn(arrive(Arc::clone(&shared)));
        }
    }
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    tokio::pin!(stop);
    let stopped = loop {
        tokio::select! {
            ended = tasks.join_next() => {
                if ended.is_none() {
                    break None;
                }
            }
            _ = ticks.tick() => seen(&shared.progress()),
            stopped = &mut stop => break Some(stopped),
        }
    };
    tasks.shutdown().await;
    let elapsed = shared.start.elapsed();
    let recorder =
        std::mem::replace(&mut *shared.recorder(), Recorder::new(shared.profile.stages.len()));
    let most_under_way = shared.most_under_way.load(Ordering::Relaxed);
    (Driven { profile: shared.profile.clone(), recorder, elapsed, most_under_way }, stopped)
}

impl Shared {
    fn recorder(&self) -> MutexGuard<'_, Recorder> {
        self.recorder.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn progress(&self) -> Progress {
        let elapsed = self.start.elapsed();
        let recorder = self.recorder();
        let latency = &recorder.all.latency;
        Progress {
            elapsed,
            stage: self.levels.segment_at(elapsed),
            load: self.levels.at(elapsed),
            requests: recorder.all.counts.requests,
            errors: recorder.all.counts.errors,
            p95: (!latency.is_empty()).then(|| latency.value_at_quantile(0.95) as f64 / 1e6),
        }
    }

    /// Draws a time between two messages of a user.
    fn think(&self, random: &mut Random) -> Duration {
        let (min, max) = self.profile.think;
        min + (max - min).mul_f64(random.unit())
    }

    /// Sends a message that is due, again while that may help, and records the end.
    async fn send(&self, user: &mut User, due: &Due, random: &mut Random) {
        let Due { kind, at, is_free } = *due;
        let begun = self.start.elapsed();
        let late = begun.saturating_sub(at);
        // From when it was due, except for the steps of the timer.
        let counted_from = if is_free && late <= TIMER { begun } else { at };
        if is_free {
            self.recorder().add_late(late);
        }
        let under_way = self.under_way.fetch_add(1, Ordering::Relaxed) + 1;
        self.most_under_way.fetch_max(under_way, Ordering::Relaxed);
        let texts = &self.profile.texts;
        let text = &texts[random.below(texts.len())];
        user.begin();
        let mut retries = 0;
        let reply = loop {
            let reply = user.attempt(&self.target, kind, text, self.profile.timeout).await;
            if !reply.may_pass() {
                break reply;
            }
            let asked = reply.retry_after();
            let pause = self.profile.retries.pause(retries + 1, asked, random.unit());
            let Some(pause) = pause else { break reply };
            retries += 1;
            sleep(pause).await;
        };
        self.under_way.fetch_sub(1, Ordering::Relaxed);
        let ended = self.start.elapsed();
        let (latency, service) = (ended - counted_from, ended - begun);
        let ended = Ended { kind, reply: &reply, latency, service, retries };
        self.recorder().add(self.levels.segment_at(at), &ended);
        // Nobody listens: to come back at once would only make this machine busy.
        if matches!(reply, Reply::Nothing(NoAnswer::NotConnected)) {
            sleep(TIMER).await;
        }
    }
}

/// Sends the messages of user `i` of a closed loop, in the times in which they are there.
///
/// Their times are drawn before the answers come: a message is due one think time after the one before was due. If that one is
/// not answered yet, the message is sent when it is, and its latency counts from when it was due.
async fn live(shared: Arc<Shared>, i: usize) {
    let mut random = Random::stream(shared.profile.seed, i as u64);
    let kind = shared.profile.mix.kind(i as u64);
    let mut user = User::new(i as u64);
    let is_paced = shared.profile.is_corrected();
    for (from, to) in shared.levels.presence(i) {
        // Users who come at the same time do not send at the same time.
        let mut at = from + shared.think(&mut random).mul_f64(random.unit());
        while at < to {
            let is_free = shared.start.elapsed() <= at;
            if is_free {
                sleep_until(shared.start + at).await;
            } else if is_paced && shared.start.elapsed() >= to {
                shared.recorder().add_unsent(shared.levels.segment_at(at), kind);
                at += shared.think(&mut random);
                continue;
            }
            shared
                .send(&mut user, &Due { kind, at, is_free: is_free || !is_paced }, &mut random)
                .await;
            at = match is_paced {
                true => at + shared.think(&mut random),
                false => shared.start.elapsed(),
            };
        }
    }
}

/// Sends the requests of an open loop at their times, at most so many at a time as the profile allows.
async fn arrive(shared: Arc<Shared>) {
    let seed = shared.profile.seed;
    let arrivals = match shared.profile.arrivals {
        Arrivals::Even => shared.levels.arrivals(None),
        Arrivals::Random => shared.levels.arrivals(Some(Random::stream(seed, ARRIVALS))),
    };
    let permits = Arc::new(Semaphore::new(shared.profile.max_in_flight));
    let idle: Arc<Mutex<Vec<User>>> = Arc::default();
    let (mut tasks, mut users) = (JoinSet::new(), 0);
    for (n, at) in (0_u64..).zip(arrivals) {
        sleep_until(shared.start + at).await;
        while tasks.try_join_next().is_some() {}
        let kind = shared.profile.mix.kind(n);
        let (permit, is_free) = match Arc::clone(&permits).try_acquire_owned() {
            Ok(permit) => (permit, true),
            Err(_) => match Arc::clone(&permits).acquire_owned().await {
                Ok(permit) => (permit, false),
                Err(_) => return,
            },
        };
        if !is_free && shared.start.elapsed() >= shared.levels.end() {
            shared.recorder().add_unsent(shared.levels.segment_at(at), kind);
            continue;
        }
        let user = lock(&idle).pop().unwrap_or_else(|| {
            users += 1;
            User::new(users)
        });
        let due = Due { kind, at, is_free };
        tasks.spawn(one(
            Arc::clone(&shared),
            user,
            due,
            (Random::stream(seed, n), permit),
            Arc::clone(&idle),
        ));
    }
    while tasks.join_next().await.is_some() {}
}

/// Sends one request of an open loop, and gives the user back.
async fn one(
    shared: Arc<Shared>,
    mut user: User,
    due: Due,
    (mut random, permit): (Random, OwnedSemaphorePermit),
    idle: Arc<Mutex<Vec<User>>>,
) {
    shared.send(&mut user, &due, &mut random).await;
    lock(&idle).push(user);
    drop(permit);
}

fn lock(users: &Mutex<Vec<User>>) -> MutexGuard<'_, Vec<User>> {
    users.lock().unwrap_or_else(PoisonError::into_inner)
}
