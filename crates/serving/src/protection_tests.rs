//! The public listener against clients that send too much, from elsewhere, or in another's name.

use super::{
    ListenerSettings, Message, MetricsAccess, PublicSettings, ReplayTarget, Running,
    ServerSettings, Sizes,
    app::App,
    clock::WallClock,
    public_gate::PublicGate,
    replay::replay,
    routing::Served,
    server::{listen, new_app},
    shadow, tests,
};
use botops_access::{
    Asked, ClientGate, OnSharedFailure, RateSpec, RouteRates, SharedLimits, Taken, TrustedProxies,
};
use botops_connections::bind;
use botops_digest::Digest;
use botops_http::{Method, PlainHttp, RequestBuilder, Response};
use futures::future::BoxFuture;
use serde_json::{Value, json};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

const PREDICT: &str = r#"{"text": "red apple"}"#;

fn primary() -> Served {
    let digest = Digest::of(b"support@1");
    let model = Arc::new(tests::model());
    Served::prepare(model, digest, "support@1".to_owned(), Some(digest), None).unwrap()
}

fn settings() -> ServerSettings {
    let listeners =
        ListenerSettings { metrics: MetricsAccess::Open, ..ListenerSettings::default() };
    ServerSettings {
        listeners,
        allowed_hosts: vec!["bots.example".to_owned()],
        ..tests::settings()
    }
}

fn app_of(public: PublicSettings, served: Served) -> Arc<App> {
    let settings = ServerSettings { public, ..settings() };
    let clock = Arc::new(WallClock::start());
    let app = new_app("support", &settings, clock, shadow::CAPACITY).unwrap();
    app.slot.set(Arc::new(served), None);
    app
}

async fn serve(public: PublicSettings) -> Running {
    start(app_of(public, primary())).await
}

async fn start(app: Arc<App>) -> Running {
    let gate = PublicGate::open(&app);
    start_behind(gate, app).await
}

async fn start_behind(gate: Arc<PublicGate>, app: Arc<App>) -> Running {
    let settings = settings();
    let listener = bind(settings.listen).await.unwrap();
    listen(app, (listener, None), &settings, gate).unwrap()
}

fn request(running: &Running, method: Method, path: &str) -> RequestBuilder {
    let url = format!("http://{}{path}", running.address());
    super::client::http().unwrap().request(method, url)
}

async fn post(running: &Running, path: &str, body: &str, headers: &[(&str, &str)]) -> Response {
    let request = request(running, Method::POST, path).header("content-type", "application/json");
    let request =
        headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    request.body(body.to_owned()).send().await.unwrap()
}

fn hourly(burst: u32) -> Option<botops_access::Rate> {
    Some("1/h".parse::<botops_access::Rate>().unwrap().burst(burst))
}

fn header<'a>(response: &'a Response, name: &str) -> &'a str {
    response.headers().get(name).map_or("", |value| value.to_str().unwrap())
}

async fn code(response: Response) -> String {
    let body: Value = serde_json::from_str(&response.text().await.unwrap()).unwrap();
    body["code"].as_str().unwrap().to_owned()
}

async fn metrics(running: &Running) -> String {
    request(running, Method::GET, "/metrics").send().await.unwrap().text().await.unwrap()
}

#[tokio::test]
async fn an_address_is_served_as_often_as_its_rate_says_and_is_told_so() {
    let rates = RateSpec { per_address: hourly(3), ..RateSpec::default() };
    let running = serve(PublicSettings { rates, ..PublicSettings::default() }).await;
    for left in (0..3).rev() {
        let answer = post(&running, "/v1/predict", PREDICT, &[]).await;
        assert_eq!(answer.status(), 200);
        assert_eq!(header(&answer, "ratelimit-policy"), "\"address\";q=3;w=10800");
        let reset = (3 - left) * 3_600;
        assert_eq!(header(&answer, "ratelimit"), format!("\"address\";r={left};t={reset}"));
        assert_eq!(header(&answer, "retry-after"), "");
    }
    for path in ["/v1/predict", "/v1/chat", "/v1/feedback", "/nowhere"] {
        let refused = post(&running, path, PREDICT, &[]).await;
        assert_eq!(refused.status(), 429, "{path}");
        assert_eq!(header(&refused, "content-type"), "application/problem+json");
        let wait: u64 = header(&refused, "retry-after").parse().unwrap();
        assert!((3_590..=3_600).contains(&wait), "{wait}");
        assert_eq!(header(&refused, "ratelimit"), "\"address\";r=0;t=10800");
        assert_eq!(header(&refused, "x-content-type-options"), "nosniff");
        assert_eq!(code(refused).await, "BOT-1095");
    }
    for path in ["/health", "/readiness", "/metrics"] {
        for _ in 0..5 {
            let answer = request(&running, Method::GET, path).send().await.unwrap();
            assert_eq!(
                (answer.status().as_u16(), header(&answer, "ratelimit")),
                (200, ""),
                "{path}"
            );
        }
    }
    let text = metrics(&running).await;
    assert!(text.contains("botops_rate_limited_total{limit=\"address\"} 4"), "{text}");
    running.shutdown().await;
}

#[tokio::test]
async fn a_caller_has_a_rate_of_its_own_and_a_guess_at_credentials_counts_for_its_address() {
    const TOKEN: &str = "a token of this test, long enough for any rule";
    let rates = RateSpec {
        per_key: hourly(2),
        per_address: hourly(8),
        per_conversation: hourly(1),
        ..RateSpec::default()
    };
    let app = app_of(PublicSettings { rates, ..PublicSettings::default() }, primary());
    let shared_token = Some(Digest::of(TOKEN.as_bytes()));
    let clients = ClientGate { is_open: true, shared_token, ..ClientGate::default() };
    let gate = PublicGate::new(&app, clients, None);
    let running = start_behind(gate, app).await;
    let bearer = format!("Bearer {TOKEN}");
    let authorized = [("authorization", bearer.as_str())];
    let message = r#"{"text": "red apple", "conversation_id": "c"}"#;
    let statuses = [
        post(&running, "/v1/chat", message, &authorized).await,
        // The same conversation of another caller.
        post(&running, "/v1/chat", message, &[]).await,
        post(&running, "/v1/chat", message, &authorized).await,
        post(&running, "/v1/predict", PREDICT, &authorized).await,
        post(&running, "/v1/predict", PREDICT, &[]).await,
        post(&running, "/v1/predict", PREDICT, &[("authorization", "Bearer guess")]).await,
        post(&running, "/v1/predict", PREDICT, &[("authorization", "Bearer guess")]).await,
        post(&running, "/v1/predict", PREDICT, &[("authorization", "Bearer guess")]).await,
        post(&running, "/v1/predict", PREDICT, &[("authorization", "Bearer guess")]).await,
    ];
    let names = statuses.each_ref().map(|answer| {
        let name = header(answer, "ratelimit").split(';').next().unwrap_or_default();
        (answer.status().as_u16(), name.trim_matches('"').to_owned())
    });
    let names = names.each_ref().map(|(status, name)| (*status, name.as_str()));
    assert_eq!(
        names,
        [
            (200, "conversation"),
            (200, "conversation"),
            (429, "conversation"),
            (429, "key"),
            (200, "address"),
            (401, "address"),
            (401, "address"),
            (401, "address"),
            (429, "address"),
        ]
    );
    running.shutdown().await;
}

#[tokio::test]
async fn a_forged_address_counts_only_from_a_trusted_proxy() {
    let rates = RateSpec { per_address: hourly(1), ..RateSpec::default() };
    let public = PublicSettings { rates, ..PublicSettings::default() };
    let running = serve(public.clone()).await;
    let statuses = async |running: &Running, name: &str, values: &[&str]| {
        let mut statuses = Vec::new();
        for value in values {
            statuses.push(
                post(running, "/v1/predict", PREDICT, &[(name, value)]).await.status().as_u16(),
            );
        }
        statuses
    };
    let forged = ["192.0.2.1", "192.0.2.2", "192.0.2.3"];
    assert_eq!(statuses(&running, "x-forwarded-for", &forged).await, [200, 429, 429]);
    running.shutdown().await;

    let proxies = vec!["127.0.0.0/8".parse().unwrap(), "10.0.0.0/8".parse().unwrap()];
    let trusted_proxies = TrustedProxies::new(proxies);
    let running = serve(PublicSettings { trusted_proxies, ..public }).await;
    let of = async |name, values: &[&str]| statuses(&running, name, values).await;
    assert_eq!(of("x-forwarded-for", &forged).await, [200, 200, 200]);
    assert_eq!(of("x-forwarded-for", &forged).await, [429, 429, 429]);
    // A client writes what it likes on the left; its proxy adds the address that it saw.
    let left = ["1.1.1.1, 192.0.2.1", "2.2.2.2,192.0.2.1, 10.1.1.1"];
    assert_eq!(of("x-forwarded-for", &left).await, [429, 429]);
    assert_eq!(of("forwarded", &["for=192.0.2.1", "for=192.0.2.9"]).await, [429, 200]);
    assert_eq!(of("x-forwarded-for", &["2001:db8::1", "2001:db8::ffff"]).await, [200, 429]);
    running.shutdown().await;
}

#[tokio::test]
async fn a_route_and_a_conversation_have_rates_of_their_own() {
    let rates = RateSpec {
        per_conversation: hourly(2),
        routes: [("feedback".to_owned(), RouteRates { per_caller: hourly(1), total: None })].into(),
        ..RateSpec::default()
    };
    let running = serve(PublicSettings { rates, ..PublicSettings::default() }).await;
    let verdict = r#"{"conversation_id": "c", "intent": "fruit"}"#;
    let answer = post(&running, "/v1/feedback", verdict, &[]).await;
    assert_eq!(
        (answer.status().as_u16(), header(&answer, "ratelimit")),
        (202, "\"route\";r=0;t=3600")
    );
    let refused = post(&running, "/v1/feedback", verdict, &[]).await;
    assert_eq!((refused.status().as_u16(), code(refused).await.as_str()), (429, "BOT-1095"));
    let message = |id: &str| json!({"text": "red apple", "conversation_id": id}).to_string();
    for (path, id, status) in [
        ("/v1/chat", "c", 200),
        ("/v1/predict", "c", 200),
        ("/v1/chat", "c", 429),
        ("/v1/predict", "c", 429),
        ("/v1/chat", "d", 200),
    ] {
        let answer = post(&running, path, &message(id), &[]).await;
        assert_eq!(answer.status(), status, "{path} {id}");
        assert_eq!(header(&answer, "ratelimit-policy"), "\"conversation\";q=2;w=7200");
    }
    assert_eq!(post(&running, "/v1/chat", PREDICT, &[]).await.status(), 200, "no conversation");
    running.shutdown().await;
}

#[tokio::test]
async fn a_replay_waits_for_its_rate_and_loses_no_message() {
    let per_address = Some("2/s".parse().unwrap());
    let rates = RateSpec { per_address, ..RateSpec::default() };
    let running = serve(PublicSettings { rates, ..PublicSettings::default() }).await;
    let messages: Vec<Message> = (0..5)
        .map(|n| Message {
            at: chrono::DateTime::UNIX_EPOCH,
            conversation_id: n.to_string(),
            text: "red apple".to_owned(),
            truth: None,
        })
        .collect();
    let url = format!("http://{}", running.address());
    let target = ReplayTarget { url, key: None, plain_http: PlainHttp::default() };
    replay(&target, &messages, &|_, _| ()).await.unwrap();
    let text = metrics(&running).await;
    assert!(text.contains("arm=\"primary\",code=\"200\"} 5"), "{text}");
    assert!(text.contains("botops_rate_limited_total{limit=\"address\"}"), "some waited: {text}");
    running.shutdown().await;
}

#[tokio::test]
async fn a_batch_of_lines_has_the_limits_of_the_settings() {
    let batches = crate::BatchSettings { lines: 2, ..crate::BatchSettings::default() };
    let running = serve(PublicSettings { batches, ..PublicSettings::default() }).await;
    let request = request(&running, Method::POST, "/v1/predict");
    let body = format!("{PREDICT}\n").repeat(3);
    let answer = request.header("content-type", "application/x-ndjson").body(body);
    let text = answer.send().await.unwrap().text().await.unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 3, "{text}");
    assert!(lines[1].contains("predictions") && lines[2].contains("BOT-6172"), "{text}");
    running.shutdown().await;
}

#[tokio::test]
async fn sizes_are_exact_and_a_route_has_its_own() {
    let sizes = Sizes {
        body_bytes: [("predict".to_owned(), 200)].into(),
        texts: 3,
        text_chars: 20,
        ..Sizes::default()
    };
    let running = serve(PublicSettings { sizes, ..PublicSettings::default() }).await;
    let padded = |n: usize| format!("{PREDICT}{}", " ".repeat(n - PREDICT.len()));
    let texts = |n: usize| json!({"texts": vec!["red apple"; n]}).to_string();
    let long = |n: usize| json!({"text": "é".repeat(n)}).to_string();
    let deep = |n: usize| format!("{{\"x\": {}", "[".repeat(n - 1));
    for (path, body, status, expected) in [
        ("/v1/predict", padded(200), 200, ""),
        ("/v1/predict", padded(201), 413, "BOT-6014"),
        ("/v1/chat", padded(64 << 10), 200, ""),
        ("/v1/chat", padded((64 << 10) + 1), 413, "BOT-6014"),
        ("/v1/predict", texts(3), 200, ""),
        ("/v1/predict", texts(4), 422, "BOT-6014"),
        ("/v1/predict", long(20), 200, ""),
        ("/v1/predict", long(21), 422, "BOT-6015"),
        ("/v1/chat", long(21), 422, "BOT-6015"),
        ("/v1/chat", deep(32), 422, "BOT-6013"),
        ("/v1/chat", deep(33), 400, "BOT-6111"),
        ("/v1/chat", deep(60_000), 400, "BOT-6111"),
    ] {
        let answer = post(&running, path, &body, &[]).await;
        let shown = &body[..body.len().min(60)];
        assert_eq!(answer.status(), status, "{path} {shown}");
        let text = answer.text().await.unwrap();
        assert!(text.contains(expected), "{path} {shown}: {text}");
        if status == 413 {
            let most = if path == "/v1/predict" { "200 bytes" } else { "65536 bytes" };
            assert!(text.contains(most), "{text}");
        }
    }
    running.shutdown().await;
}

#[tokio::test]
async fn every_answer_has_the_headers_that_browsers_obey() {
    let running = serve(PublicSettings::default()).await;
    let answers = [
        request(&running, Method::GET, "/health").send().await.unwrap(),
        request(&running, Method::GET, "/metrics").send().await.unwrap(),
        request(&running, Method::GET, "/nowhere").send().await.unwrap(),
        request(&running, Method::DELETE, "/v1/chat")
            .header("host", "evil.example")
            .send()
            .await
            .unwrap(),
        post(&running, "/v1/predict", PREDICT, &[]).await,
        post(&running, "/v1/predict", "{", &[]).await,
        post(&running, "/v1/predict", PREDICT, &[("content-type", "text/plain")]).await,
    ];
    for answer in answers {
        let url = answer.url().clone();
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            ("cache-control", "no-store"),
            ("referrer-policy", "no-referrer"),
            ("content-security-policy", "default-src 'none'; frame-ancestors 'none'"),
        ] {
            assert_eq!(header(&answer, name), value, "{url}: {name}");
        }
        assert!(header(&answer, "permissions-policy").contains("camera=()"), "{url}");
        assert_eq!(header(&answer, "strict-transport-security"), "", "this is no TLS");
        assert_eq!(header(&answer, "vary"), "", "no page of another site may call");
    }
    running.shutdown().await;
}

#[tokio::test]
async fn pages_of_listed_sites_may_call_and_no_others() {
    let cors_origins = vec!["https://shop.example".parse().unwrap()];
    let running = serve(PublicSettings { cors_origins, ..PublicSettings::default() }).await;
    let preflight = async |origin: &str| {
        let request = request(&running, Method::OPTIONS, "/v1/chat")
            .header("origin", origin)
            .header("access-control-request-method", "POST")
            .header("access-control-request-headers", "authorization,content-type");
        request.send().await.unwrap()
    };
    let answer = preflight("https://shop.example").await;
    assert_eq!(answer.status(), 204);
    assert_eq!(header(&answer, "access-control-allow-origin"), "https://shop.example");
    assert_eq!(header(&answer, "access-control-allow-headers"), "authorization, content-type");
    assert!(header(&answer, "access-control-allow-methods").contains("POST"));
    assert_eq!(header(&answer, "access-control-allow-credentials"), "");
    assert_eq!(header(&answer, "vary"), "origin");
    let answer = post(&running, "/v1/chat", PREDICT, &[("origin", "https://shop.example")]).await;
    assert_eq!(answer.status(), 200);
    assert_eq!(header(&answer, "access-control-allow-origin"), "https://shop.example");
    assert!(header(&answer, "access-control-expose-headers").contains("retry-after"));

    for origin in
        ["https://evil.example", "null", "https://shop.example.evil", "http://shop.example"]
    {
        let answers = [
            preflight(origin).await,
            post(&running, "/v1/chat", PREDICT, &[("origin", origin)]).await,
        ];
        for answer in answers {
            assert_eq!(answer.status(), 403, "{origin}");
            assert_eq!(header(&answer, "access-control-allow-origin"), "", "{origin}");
            assert_eq!(header(&answer, "vary"), "origin");
            assert_eq!(code(answer).await, "BOT-1097");
        }
    }
    // Its own pages, and programs, which send no origin.
    let own = format!("http://{}", running.address());
    let named = [("origin", "https://bots.example"), ("host", "bots.example")];
    for headers in [&[("origin", own.as_str())][..], &named, &[]] {
        let answer = post(&running, "/v1/chat", PREDICT, headers).await;
        assert_eq!(answer.status(), 200, "{headers:?}");
        assert_eq!(header(&answer, "access-control-allow-origin"), "");
        assert_eq!(header(&answer, "vary"), "origin", "a cache must not give it to another page");
    }
    running.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_overloaded_server_refuses_at_once_and_answers_the_others_in_time() {
    let max_queue_delay = Duration::from_millis(400);
    let public = PublicSettings { max_queue_delay, ..PublicSettings::default() };
    let app = app_of(public, primary().slowed_by(Duration::from_millis(20)));
    // One turn at a time, so that the number of processors does not matter.
    let n_turns = app.turns.available_permits() as u32;
    let held = app.turns.acquire_many(n_turns - 1).await.unwrap();
    let running = start(Arc::clone(&app)).await;
    let client = super::client::http().unwrap();
    let url = format!("http://{}/v1/predict", running.address());
    let begun = Instant::now();
    let clients = (0..80).map(|_| {
        let (client, url) = (client.clone(), url.clone());
        tokio::spawn(async move {
            let (mut answered, mut shed) = (Vec::new(), Vec::new());
            while begun.elapsed() < Duration::from_secs(3) {
                let sent = Instant::now();
                let answer = client.post(&url).body(PREDICT).send();
                let answer = tokio::time::timeout(Duration::from_secs(5), answer).await;
                let answer = answer.expect("no client hangs").unwrap();
                let took = sent.elapsed();
                match answer.status().as_u16() {
                    200 => answered.push(took),
                    503 => {
                        assert_eq!(header(&answer, "retry-after"), "1");
                        assert_eq!(code(answer).await, "BOT-6110");
                        shed.push(took);
                        tokio::time::sleep(Duration::from_millis(100)).await;
                    }
                    other => panic!("{other}"),
                }
            }
            (answered, shed)
        })
    });
    let clients: Vec<_> = clients.collect();
    for _ in 0..10 {
        tokio::time::sleep(Duration::from_millis(200)).await;
        for path in ["/health", "/readiness", "/metrics"] {
            let answer = request(&running, Method::GET, path).send().await.unwrap();
            assert_eq!(answer.status(), 200, "{path} is never shed");
        }
    }
    let (mut answered, mut shed) = (Vec::new(), Vec::new());
    for client in clients {
        let (some, others) = client.await.unwrap();
        answered.extend(some);
        shed.extend(others);
    }
    drop(held);
    answered.sort_unstable();
    shed.sort_unstable();
    assert!(answered.len() > 20, "{} answers: the server still works", answered.len());
    let slowest = *answered.last().unwrap();
    // Twice the target in the queue, the turn itself, and the time of a busy machine.
    assert!(slowest < Duration::from_secs(3), "{slowest:?}");
    assert!(shed.len() > answered.len(), "{} shed, {} answered", shed.len(), answered.len());
    let median = shed[shed.len() / 2];
    assert!(median < max_queue_delay / 2, "most are refused at once: {median:?}");
    let text = metrics(&running).await;
    assert!(text.contains(&format!("botops_shed_total {}", shed.len())), "{}", shed.len());
    running.shutdown().await;
}

/// Shared limits that can be switched off, which allow three requests.
#[derive(Debug, Default)]
struct Switched {
    is_down: AtomicBool,
    n_asked: AtomicU32,
}

impl SharedLimits for Switched {
    fn take<'a>(&'a self, asked: &'a [Asked]) -> BoxFuture<'a, Result<Vec<Taken>, String>> {
        let n_asked = self.n_asked.fetch_add(1, Ordering::Relaxed);
        let answer = match self.is_down.load(Ordering::Relaxed) {
            true => Err("connection refused".to_owned()),
            false => Ok(vec![
                Taken {
                    remaining: 2_u32.saturating_sub(n_asked),
                    retry_after: (n_asked >= 3).then(|| Duration::from_secs(9)),
                };
                asked.len()
            ]),
        };
        Box::pin(async { answer })
    }
}

async fn shared(on_failure: OnSharedFailure) -> (Arc<Switched>, Running) {
    let rates = RateSpec { per_address: hourly(5), ..RateSpec::default() };
    let app =
        app_of(PublicSettings { rates: rates.clone(), ..PublicSettings::default() }, primary());
    let store = Arc::new(Switched::default());
    let limits = botops_access::RequestLimits::new(&rates);
    let app = App::changed(app, |public| {
        public.rate_limits = super::rate_limit::RateLimiting::new(
            limits,
            TrustedProxies::default(),
            Arc::clone(&public.metrics.limits),
        )
        .shared((Arc::clone(&store) as _, on_failure), (public.unit_key.clone(), "production"));
    });
    (store, start(app).await)
}

#[tokio::test]
async fn servers_count_together_and_alone_while_their_store_is_gone() {
    let (store, running) = shared(OnSharedFailure::Local).await;
    for status in [200, 200, 200, 429] {
        let answer = post(&running, "/v1/predict", PREDICT, &[]).await;
        assert_eq!(answer.status(), status, "the store decides");
    }
    assert!(metrics(&running).await.contains("botops_shared_limits_up{store=\"redis\"} 1"));
    store.is_down.store(true, Ordering::Relaxed);
    let asked = store.n_asked.load(Ordering::Relaxed);
    let answer = post(&running, "/v1/predict", PREDICT, &[]).await;
    assert_eq!(answer.status(), 200, "the fifth of its own rate");
    assert_eq!(post(&running, "/v1/predict", PREDICT, &[]).await.status(), 429);
    assert_eq!(store.n_asked.load(Ordering::Relaxed) - asked, 1, "it is left alone for a second");
    let text = metrics(&running).await;
    assert!(text.contains("botops_shared_limits_up{store=\"redis\"} 0"), "{text}");
    assert!(text.contains("botops_shared_limits_failures_total 1"), "{text}");
    running.shutdown().await;
}

#[tokio::test]
async fn without_the_store_requests_are_refused_if_the_operator_says_so() {
    let (store, running) = shared(OnSharedFailure::Refuse).await;
    store.is_down.store(true, Ordering::Relaxed);
    for _ in 0..2 {
        let answer = post(&running, "/v1/predict", PREDICT, &[]).await;
        assert_eq!((answer.status().as_u16(), header(&answer, "retry-after")), (503, "1"));
        assert_eq!(code(answer).await, "BOT-1096");
    }
    assert_eq!(request(&running, Method::GET, "/health").send().await.unwrap().status(), 200);
    store.is_down.store(false, Ordering::Relaxed);
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    store.n_asked.store(0, Ordering::Relaxed);
    assert_eq!(
        post(&running, "/v1/predict", PREDICT, &[]).await.status(),
        200,
        "it is asked again"
    );
    running.shutdown().await;
}
