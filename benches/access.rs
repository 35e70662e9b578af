//! The check of a request of the public API: key, rate limits, and a token that was verified before.
//!
//! `cargo bench --bench access` makes 1,000 keys and prints the time of each check on one thread and on two: an accepted key
//! and its rate limit together must stay below 1 microsecond, and a second thread must not make the first one wait. It also
//! compares the times of wrong secrets that differ in their first and in their last byte: they must not tell which it is.
#![expect(clippy::print_stdout, reason = "a benchmark's output is what it prints")]

use botops_access::{
    ClientGate, Identity, IdentityKind, KeyAct, KeyLog, KeySpec, Limit, LiveKeys, Looked, NewKey,
    Rate, Scope, Writing,
};
use botops_digest::Digest;
use botops_store::Store;
use chrono::Utc;
use std::{
    hint::black_box,
    sync::Arc,
    time::{Duration, Instant},
};

/// The keys of the environment.
const KEYS: usize = 1_000;
/// The checks of one measurement.
const CHECKS: u32 = 400_000;
/// The measurements, of which the fastest counts: others are noise of the machine.
const ROUNDS: usize = 5;
/// The most time of key and rate limit together.
const MOST: Duration = Duration::from_micros(1);

fn gate() -> (ClientGate, Vec<NewKey>) {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let mut log = KeyLog::open(&Store::in_memory(), "bench").expect("a log");
        let by = Identity::new(IdentityKind::Claimed, "bench");
        let act = KeyAct { by, reason: String::new(), at: Utc::now() };
        let mut made = Vec::new();
        for n in 0..KEYS {
            let scopes = vec![Scope::Predict, Scope::Chat];
            let spec = KeySpec { name: format!("client-{n}"), scopes, lifetime: None };
            let (_, key) = log.create(&spec, &act, Writing::Real).await.expect("a key");
            made.push(key.expect("its secret"));
        }
        let live = LiveKeys::default();
        live.publish(Some(log.keys().clone()), Instant::now());
        let shared_token = Some(Digest::of(b"a shared token of more than 32 characters"));
        let keys = Some(Arc::new(live));
        (ClientGate { keys, shared_token, ..ClientGate::default() }, made)
    })
}

/// Returns the time of one call of `check` on `n_threads` at the same time; `check` gets a number that differs by thread.
fn time(n_threads: usize, check: impl Fn(usize) + Sync) -> Duration {
    let round = || {
        let check = &check;
        std::thread::scope(|scope| {
            let threads: Vec<_> = (0..n_threads)
                .map(|thread| {
                    scope.spawn(move || {
                        let begun = Instant::now();
                        (0..CHECKS).for_each(|i| check(thread * 7 + i as usize));
                        begun.elapsed() / CHECKS
                    })
                })
                .collect();
            let times = threads.into_iter().map(|it| it.join().expect("no check panics"));
            times.max().unwrap_or_default()
        })
    };
    (0..ROUNDS).map(|_| round()).min().unwrap_or_default()
}

fn main() {
    let (gate, keys) = gate();
    let headers: Vec<Vec<u8>> =
        keys.iter().map(|key| format!("Bearer {}", key.expose()).into_bytes()).collect();
    let accept = |header: &[u8]| {
        let looked = gate.look(Some(header), Utc::now(), Instant::now());
        match black_box(looked) {
            Ok(Looked::Caller(caller)) => caller,
            other => panic!("{other:?}"),
        }
    };
    let limit = Limit::new("key", Rate::per_second(1_000_000).burst(1_000_000));
    println!("check                                  1 thread     2 threads");
    let row = |name: &str, check: &(dyn Fn(usize) + Sync)| {
        let (one, two) = (time(1, check), time(2, check));
        println!("{name:<36} {:>8} ns   {:>8} ns", one.as_nanos(), two.as_nanos());
        one
    };
    row("a key, of 1,000 in turn", &|i| drop(black_box(accept(&headers[i % KEYS]))));
    row("a key, always the same", &|_| drop(black_box(accept(&headers[0]))));
    let both = row("a key and its rate limit", &|i| {
        let caller = accept(&headers[i % KEYS]);
        black_box(limit.take(&*caller.id));
    });
    let wrong = |at: usize| {
        let mut header = headers[0].clone();
        header[at] = if header[at] == b'0' { b'1' } else { b'0' };
        header
    };
    let secret = headers[0].len() - 64;
    let refuse = |header: &[u8]| {
        black_box(gate.look(Some(header), Utc::now(), Instant::now()).is_err());
    };
    let (first, last) = (wrong(secret), wrong(headers[0].len() - 1));
    row("a secret wrong in its first digit", &|_| refuse(&first));
    row("a secret wrong in its last digit", &|_| refuse(&last));
    let unknown = format!("Bearer botops_{}_{}", "0".repeat(12), "0".repeat(64)).into_bytes();
    row("a key that nobody made", &|_| refuse(&unknown));
    let verdict = if both < MOST { "below" } else { "ABOVE" };
    println!("\na key and its rate limit: {} ns, {verdict} 1 microsecond", both.as_nanos());
}
