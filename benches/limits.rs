//! Who a request is from and whether it may pass: CPU time of a request, and the memory of a flood.
//!
//! `cargo bench --bench limits` checks the credentials of a request and counts it at all four limits (address, caller, route
//! and conversation), over 100,000 addresses and 10,000 conversations, on one thread and on four. The bound is a microsecond.
//! Then 10 million addresses send one request each.
#![expect(clippy::print_stdout, reason = "a benchmark's output is what it prints")]

#[path = "process/cpu.rs"]
mod cpu;
#[path = "process/memory.rs"]
mod memory;

use botops_access::{
    ClientGate, Limit, Looked, MAX_KEYS, Rate, RateSpec, RequestLimits, RouteRates, Sender,
    take_all,
};
use botops_digest::Digest;
use cpu::cpu_seconds;
use memory::peak_mb;
use std::{
    hint::black_box,
    net::{IpAddr, Ipv4Addr},
    thread,
    time::{Duration, Instant},
};

/// The requests of a measurement.
const REQUESTS: u32 = 1_000_000;
/// The credentials of all requests.
const TOKEN: &str = "Bearer a token of this benchmark, long enough for any rule";
/// The bound of a request.
const BOUND: Duration = Duration::from_micros(1);

fn limits() -> RequestLimits {
    let wide = Rate::per_second(1_000_000);
    let route = RouteRates { per_caller: Some(wide), total: None };
    RequestLimits::new(&RateSpec {
        per_key: Some(wide),
        per_address: Some(wide),
        per_conversation: Some(wide),
        routes: [("predict".to_owned(), route)].into(),
    })
}

fn gate() -> ClientGate {
    let token = TOKEN.strip_prefix("Bearer ").unwrap_or_default();
    let shared_token = Some(Digest::of(token.as_bytes()));
    ClientGate { shared_token, ..ClientGate::default() }
}

/// Admits requests, from `first` on. Returns how many passed.
fn admit(gate: &ClientGate, limits: &RequestLimits, ids: &[String], first: u32) -> u32 {
    let (now, mut passed) = (chrono::Utc::now(), 0);
    for n in first..first + REQUESTS {
        let address = IpAddr::V4(Ipv4Addr::from_bits(0x0a00_0000 + n % 100_000));
        let Ok(Looked::Caller(caller)) = gate.look(Some(TOKEN.as_bytes()), now, Instant::now())
        else {
            continue;
        };
        let sender = Sender { caller: Some(("shared", &caller.id)), address };
        let id = &ids[n as usize % ids.len()];
        let applied = limits
            .of_address(address)
            .into_iter()
            .chain(limits.of_caller("predict", &sender))
            .chain(limits.of_conversation(sender.caller, id));
        passed += u32::from(black_box(take_all(applied)).is_some_and(|it| it.is_allowed()));
    }
    passed
}

fn measure(n_threads: u32) -> Duration {
    let (gate, limits) = (gate(), limits());
    let ids: Vec<String> = (0..10_000).map(|n| format!("conversation-{n}")).collect();
    let begun = cpu_seconds();
    let passed: u32 = thread::scope(|scope| {
        let work: Vec<_> = (0..n_threads)
            .map(|n| {
                let (gate, limits, ids) = (&gate, &limits, &ids);
                scope.spawn(move || admit(gate, limits, ids, n * 25_000))
            })
            .collect();
        work.into_iter().map(|work| work.join().expect("a thread does not panic")).sum()
    });
    let spent = Duration::from_secs_f64(cpu_seconds() - begun);
    let each = spent / (n_threads * REQUESTS);
    println!("{n_threads} threads: {} ns of CPU a request, {passed} passed", each.as_nanos());
    each
}

fn main() {
    let each = measure(1);
    measure(4);
    let before = peak_mb();
    let limit = Limit::new("address", Rate::per_second(1).burst(3_600));
    let begun = cpu_seconds();
    let n_addresses: u32 = 10_000_000;
    for n in 0..n_addresses {
        black_box(limit.take(&n));
    }
    let per_address = Duration::from_secs_f64(cpu_seconds() - begun) / n_addresses;
    println!(
        "{n_addresses} addresses: {} ns of CPU each, {} states of at most {MAX_KEYS}, {:.1} MB more",
        per_address.as_nanos(),
        limit.n_keys(),
        peak_mb() - before,
    );
    assert!(limit.n_keys() <= MAX_KEYS);
    assert!(each < BOUND, "{each:?} a request, the bound is {BOUND:?}");
}
