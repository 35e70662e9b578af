//! Load on a server of the tests, which stalls, refuses and breaks connections.

use crate::{
    Driven, Facts, LoadReport, Profile, Target, drive, probe,
    profile::{Arrivals, MixSpec, Pacing, ProfileSpec, RetrySpec, StageSpec, ThinkSpec},
};
use botops_http::PlainHttp;
use botops_workspace::Secret;
use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

/// A request that came before the stall.
const BEFORE_STALL: usize = 100;
const STALL: Duration = Duration::from_secs(1);

/// Answers requests by their number, with a thread for each connection. It ends with the process.
fn serve(answer: impl Fn(usize, &str) -> String + Send + Sync + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let (answer, n) = (Arc::new(answer), Arc::new(AtomicUsize::new(0)));
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let (answer, n) = (Arc::clone(&answer), Arc::clone(&n));
            thread::spawn(move || talk(stream, &n, &*answer));
        }
    });
    address
}

fn talk(stream: TcpStream, n: &AtomicUsize, answer: &dyn Fn(usize, &str) -> String) {
    stream.set_nodelay(true).unwrap();
    let mut writer = stream.try_clone().unwrap();
    let mut reader = BufReader::new(stream);
    loop {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if reader.read_line(&mut head).unwrap_or(0) == 0 {
                return;
            }
        }
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
        if reader.read_exact(&mut body).is_err() {
            return;
        }
        let answer = answer(n.fetch_add(1, Ordering::SeqCst), &head);
        if answer.is_empty() || writer.write_all(answer.as_bytes()).is_err() {
            return;
        }
    }
}

fn status(status: &str, headers: &str) -> String {
    format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\n{headers}content-length: 2\r\n\r\n{{}}"
    )
}

/// A server that answers at once, and stops for a second after some requests.
fn stalled() -> String {
    let until: Mutex<Option<Instant>> = Mutex::new(None);
    serve(move |n, _| {
        let end = {
            let mut until = until.lock().unwrap();
            if n == BEFORE_STALL {
                *until = Some(Instant::now() + STALL);
            }
            *until
        };
        if let Some(left) = end.and_then(|end| end.checked_duration_since(Instant::now())) {
            thread::sleep(left);
        }
        status("200 OK", "")
    })
}

fn spec(pacing: Pacing, load: u32) -> ProfileSpec {
    let (users, rate) = match pacing {
        Pacing::Closed => (Some(load), None),
        Pacing::Open => (None, Some(f64::from(load))),
    };
    let stage = |name: &str, duration: &str| StageSpec {
        name: name.into(),
        duration: duration.into(),
        users,
        rate,
        thresholds: Vec::new(),
    };
    ProfileSpec {
        version: 1,
        name: "test".into(),
        pacing,
        stages: vec![stage("jump", "0s"), stage("hold", "3s")],
        think: ThinkSpec { min: "20ms".into(), max: "20ms".into() },
        arrivals: Arrivals::Even,
        max_in_flight: 4,
        mix: MixSpec { chat: 0, predict: 1, websocket: 0 },
        texts: None,
        timeout: "5s".into(),
        retry: None,
        seed: 3,
        thresholds: vec!["p99 < 100ms".into()],
    }
}

fn check(spec: &ProfileSpec) -> Profile {
    Profile::check(spec, vec!["hello".into()]).unwrap()
}

fn run(profile: Profile, url: &str) -> (LoadReport, Driven) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (driven, url) = runtime.block_on(async {
        let target = Target::new(url, None, PlainHttp::Loopback, "run").await.unwrap();
        let url = target.url().to_owned();
        let (driven, _) = drive(profile, target, |_| {}, std::future::pending::<()>()).await;
        (driven, url)
    });
    let facts = Facts {
        started_at: String::new(),
        botops: String::new(),
        platform: String::new(),
        cores: 1,
        ci: false,
        generator_cpu_seconds: None,
    };
    (LoadReport::of(&driven, &url, facts, false), driven)
}

#[test]
fn the_stall_of_a_server_shows_in_the_tail_though_few_requests_saw_it() {
    // 4 users, 50 messages a second each: in 3 s, 600 messages, of which 200 are due while the server stalls. Only 4 are on
    // their way then: 0.7 % of the times from sending are long, and a third of those from when messages were due.
    for pacing in [Pacing::Closed, Pacing::Open] {
        let load = if pacing == Pacing::Closed { 4 } else { 200 };
        let (report, _) = run(check(&spec(pacing, load)), &stalled());
        let all = &report.all;
        assert_eq!(all.counts.errors, 0, "{report:?}");
        assert!((500..=600).contains(&(all.counts.requests + all.counts.unsent)), "{all:?}");
        let (corrected, sent) = (all.latency_ms.unwrap(), all.service_ms.unwrap());
        assert!(corrected.p99 > 800.0, "{pacing:?}: {corrected:?}");
        assert!(corrected.p90 > 300.0, "{pacing:?}: {corrected:?}");
        assert!(
            sent.p99 < corrected.p99 / 2.0,
            "{pacing:?}: the stall is hidden without correction: {sent:?}"
        );
        assert!(!report.passed && report.corrected);
        let codes: Vec<String> = report.findings().into_iter().map(|it| it.code).collect();
        assert!(codes.contains(&"BOT-6281".to_owned()), "{codes:?}");
    }
}

#[test]
fn users_without_think_time_are_reported_as_not_corrected() {
    let mut spec = spec(Pacing::Closed, 2);
    spec.think = ThinkSpec { min: "0s".into(), max: "0s".into() };
    spec.stages[1].duration = "300ms".into();
    let (report, _) = run(check(&spec), &serve(|_, _| status("200 OK", "")));
    assert!(!report.corrected && report.all.counts.requests > 20, "{report:?}");
    assert!(report.findings().iter().any(|finding| finding.code == "BOT-6286"));
}

#[test]
fn requests_are_repeated_only_where_that_may_help_and_the_counts_show_it() {
    let answers = |n: usize, _: &str| match n % 10 {
        1 => status("503 Busy", "retry-after: 0\r\n"),
        3 => String::new(),
        5 => status("429 Slow", ""),
        7 => status("400 Bad", ""),
        _ => status("200 OK", ""),
    };
    let mut spec = spec(Pacing::Closed, 1);
    spec.stages[1].duration = "2s".into();
    let (without, _) = run(check(&spec), &serve(answers));
    let counts = without.all.counts;
    assert!(
        counts.shed > 0 && counts.limited > 0 && counts.broken > 0 && counts.refused > 0,
        "{counts:?}"
    );
    assert_eq!((counts.retries, counts.recovered), (0, 0));
    assert_eq!(counts.errors, counts.shed + counts.limited + counts.broken + counts.refused);
    assert_eq!(counts.without_retry_after, counts.limited);
    spec.retry = Some(RetrySpec { max: 4, backoff: "1ms".into(), longest: "5ms".into() });
    let (with, _) = run(check(&spec), &serve(answers));
    let counts = with.all.counts;
    assert!(counts.retries >= counts.recovered && counts.recovered > 0, "{counts:?}");
    // Only 400 stays: it is not repeated.
    assert_eq!(counts.errors, counts.refused);
    assert_eq!((counts.shed, counts.limited, counts.broken), (0, 0, 0));
}

#[test]
fn a_mistake_is_reported_before_there_is_load_and_the_key_is_in_no_message() {
    let ask = |url: &str| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let mut spec = spec(Pacing::Closed, 1);
        spec.timeout = "200ms".into();
        runtime.block_on(async {
            let key = Secret::new("bo_secret");
            let mut target =
                Target::new(url, Some(&key), PlainHttp::Loopback, "run").await.unwrap();
            assert!(!format!("{target:?}").contains("bo_secret"));
            probe(&check(&spec), &mut target).await
        })
    };
    let fails = |url: &str, code: &str, exit: u8, words: &str| {
        let fault = ask(url).unwrap_err();
        assert_eq!((fault.code(), fault.kind().exit_code()), (code, exit), "{fault}");
        assert!(fault.message().contains(words), "{fault}");
        assert!(!format!("{fault} {fault:?}").contains("bo_secret"));
    };
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    fails(&format!("http://{closed}"), "BOT-6282", 7, "no connection");
    fails(&serve(|_, _| String::new()), "BOT-6282", 7, "ended the connection");
    fails(
        &serve(|_, _| {
            thread::sleep(Duration::from_millis(600));
            status("200 OK", "")
        }),
        "BOT-6282",
        7,
        "in time",
    );
    fails(&serve(|_, _| status("401 Who", "")), "BOT-6283", 2, "401");
    fails(&serve(|_, _| status("404 Where", "")), "BOT-6284", 2, "404");
    // The test counts these.
    ask(&serve(|_, _| status("503 Busy", ""))).unwrap();
    ask(&serve(|_, _| status("429 Slow", ""))).unwrap();
    // The key is sent.
    ask(&serve(|_, head| {
        let is_sent = head.contains("authorization: Bearer bo_secret\r\n");
        status(if is_sent { "200 OK" } else { "401 Who" }, "")
    }))
    .unwrap();
}
