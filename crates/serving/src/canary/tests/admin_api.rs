//! The admin API over HTTP, on servers of one environment.

use super::*;
use crate::{
    admin,
    login::{AdminToken, Logins, SharedLogins},
};
use botops_connections::{ConnectionLimits, Places, address, bind, serve};
use botops_http::{Client, Method};
use botops_workspace::Secret;
use serde_json::{Value, json};
use tokio::{runtime::Handle, sync::watch};

const TOKEN: &str = "the shared token of these tests, long enough";

/// The admin listener of a server.
struct Api {
    url: String,
    http: Client,
    /// The listener stops when this is dropped.
    _stop: watch::Sender<bool>,
}

/// An answer: its status, its headers and its body.
struct Answer {
    status: u16,
    tag: Option<String>,
    body: Value,
}

impl Api {
    async fn of(server: &Server) -> Self {
        let token = AdminToken::new(&Secret::new(TOKEN)).unwrap();
        let clock = Arc::clone(&server.app.clock);
        let logins = Logins { token: Some(token), keys: None, issuers: None, users: None, clock };
        let logins = Arc::new(SharedLogins::new(logins));
        let (stop, stopped) = watch::channel(false);
        let canary = Some(Arc::clone(&server.canary));
        let routes = admin::routes(Arc::clone(&server.app), canary, (logins, None), &stopped);
        let listener = bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await.unwrap();
        let url = format!("http://{}/admin/v1/", address(&listener).unwrap());
        let places =
            Places::new(Arc::<App>::clone(&server.app), "admin", ConnectionLimits::default());
        serve(&Handle::current(), listener, routes, places, None, stopped);
        Self { url, http: crate::client::http().unwrap(), _stop: stop }
    }

    /// Sends a request with `headers`.
    async fn ask(
        &self,
        (method, path): (&str, &str),
        headers: &[(&str, &str)],
        body: &Value,
    ) -> Answer {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let url = format!("{}{path}", self.url);
        let mut request = self.http.request(method.clone(), url).bearer_auth(TOKEN);
        if method != Method::GET {
            request = request.json(body);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = request.send().await.unwrap();
        let header = |name: &str| answer.headers().get(name)?.to_str().ok().map(str::to_owned);
        let (status, tag) = (answer.status().as_u16(), header("etag"));
        assert!(header("x-request-id").is_some(), "{path}");
        let body = answer.text().await.unwrap();
        Answer { status, tag, body: serde_json::from_str(&body).unwrap_or(Value::String(body)) }
    }

    async fn get(&self, path: &str) -> Answer {
        self.ask(("GET", path), &[], &Value::Null).await
    }
}

fn start_body() -> Value {
    json!({
        "version": "challenger", "reason": "try it", "accept_labels": true,
        "plan": {
            "steps": [{"weight": 50, "deadline": "7d", "min_units": 100_000}],
            "interval": "10ms", "stale_after": "6h",
        },
    })
}

#[tokio::test]
async fn a_repeated_request_is_answered_again_at_every_server_and_changes_nothing() {
    let store = Store::in_memory();
    let (a, b) = (Server::start(&store).await, Server::start(&store).await);
    let (api, other) = (Api::of(&a).await, Api::of(&b).await);
    let key: &[(&str, &str)] = &[("idempotency-key", "start-1")];
    let start = ("POST", "models/m/rollouts");
    let first = api.ask(start, key, &start_body()).await;
    assert_eq!(first.status, 201, "{}", first.body);
    let id = first.body["rollout"]["id"].as_str().unwrap().to_owned();
    for api in [&api, &other] {
        let again = api.ask(start, key, &start_body()).await;
        assert_eq!((again.status, &again.body["rollout"]["id"]), (201, &json!(id)));
    }
    let mut changed = start_body();
    changed["reason"] = json!("another one");
    let refused = other.ask(start, key, &changed).await;
    assert_eq!((refused.status, &refused.body["code"]), (422, &json!("BOT-6046")));

    let path = format!("rollouts/{id}/pause");
    let key = &[("idempotency-key", "pause-1")];
    let (pause, why) = (("POST", path.as_str()), json!({"reason": "look closer"}));
    let paused = other.ask(pause, key, &why).await;
    assert_eq!((paused.status, &paused.body["rollout"]["phase"]["phase"]), (200, &json!("paused")));
    let entries = log(&store).await.len();
    let again = api.ask(pause, key, &why).await;
    assert_eq!((again.status, again.tag), (200, paused.tag.clone()));
    let path = format!("rollouts/{id}/pause?dry_run=true");
    let would = api.ask(("POST", &path), key, &why).await;
    assert_eq!(would.status, 200, "{}", would.body);
    // The same words without the key are a second command.
    let refused = api.ask(pause, &[], &why).await;
    assert_eq!((refused.status, &refused.body["code"]), (409, &json!("BOT-6002")));
    assert_eq!(log(&store).await.len(), entries);

    let path = format!("rollouts/{id}/rollback");
    let key = &[("idempotency-key", "abort-1")];
    for _ in 0..2 {
        let aborted = api.ask(("POST", &path), key, &json!({"reason": "enough"})).await;
        assert_eq!(aborted.status, 200, "{}", aborted.body);
        a.turns(3).await;
        assert!(matches!(a.phase(), Phase::RolledBack { .. }), "{:?}", a.phase());
    }
    let refused = api.ask(("POST", &path), &[], &json!({"reason": "enough"})).await;
    assert_eq!((refused.status, &refused.body["code"]), (409, &json!("BOT-6002")));

    // The first request again, after another rollout: it does not start a third one, and is answered as then.
    let second = api.ask(start, &[("idempotency-key", "start-2")], &start_body()).await;
    assert_eq!(second.status, 201, "{}", second.body);
    let late = api.ask(start, &[("idempotency-key", "start-1")], &start_body()).await;
    assert_eq!((late.status, &late.body["rollout"]["id"]), (201, &json!(id)));
    assert_eq!(late.body["rollout"]["phase"]["phase"], "pending", "{}", late.body);
    let at_abort = api.ask(("POST", &path), key, &json!({"reason": "enough"})).await;
    assert_eq!((at_abort.status, &at_abort.body["rollout"]["id"]), (200, &json!(id)));
    assert_eq!(at_abort.body["rollout"]["phase"]["phase"], "rolling_back", "{}", at_abort.body);
    let path = format!("rollouts/{id}/pause");
    let at_pause = other.ask(("POST", &path), &[("idempotency-key", "pause-1")], &why).await;
    assert_eq!((at_pause.status, at_pause.tag), (200, paused.tag));
    let bad = api.ask(start, &[("idempotency-key", "two words")], &start_body()).await;
    assert_eq!((bad.status, &bad.body["code"]), (400, &json!("BOT-6048")));
}

#[tokio::test]
async fn nobody_joins_a_rollout_that_is_being_rolled_back() {
    let store = Store::in_memory();
    let (a, b) = (Server::start(&store).await, Server::start(&store).await);
    let (api, other) = (Api::of(&a).await, Api::of(&b).await);
    let start = ("POST", "models/m/rollouts");
    let first = api.ask(start, &[], &start_body()).await;
    assert_eq!(first.status, 201, "{}", first.body);
    let id = first.body["rollout"]["id"].as_str().unwrap().to_owned();
    let joined = other.ask(start, &[], &start_body()).await;
    assert_eq!((joined.status, &joined.body["rollout"]["id"]), (200, &json!(id)));
    // A request that the challenger still answers keeps the rollback from its end.
    raised().await;
    a.turns(2).await;
    let held = a.app.slot.load().unwrap();
    assert!(held.split().is_some());
    let aborted =
        api.ask(("POST", "rollouts/latest/rollback"), &[], &json!({"reason": "no"})).await;
    assert_eq!(aborted.body["rollout"]["phase"]["phase"], "rolling_back", "{}", aborted.body);
    let entries = log(&store).await.len();
    for (api, path) in [
        (&api, "models/m/rollouts"),
        (&api, "models/m/rollouts?dry_run=true"),
        (&other, "models/m/rollouts"),
    ] {
        let refused = api.ask(("POST", path), &[], &start_body()).await;
        let code = &refused.body["code"];
        assert_eq!((refused.status, code), (409, &json!("BOT-6190")), "{}", refused.body);
        assert!(refused.body["detail"].as_str().unwrap().contains(&id), "{}", refused.body);
    }
    assert_eq!(log(&store).await.len(), entries, "nothing was started");
    drop(held);
    a.turns(3).await;
    assert!(matches!(a.phase(), Phase::RolledBack { .. }), "{:?}", a.phase());
    let second = other.ask(start, &[], &start_body()).await;
    assert_eq!(second.status, 201, "{}", second.body);
    assert_ne!(second.body["rollout"]["id"], json!(id));
}

#[tokio::test]
async fn a_freeze_is_one_entry_however_often_it_is_asked_for() {
    let store = Store::in_memory();
    let (a, b) = (Server::start(&store).await, Server::start(&store).await);
    let (api, other) = (Api::of(&a).await, Api::of(&b).await);
    let key = &[("idempotency-key", "freeze-1")];
    let why = json!({"reason": "holidays"});
    let dry = api.ask(("PUT", "freeze?dry_run=true"), key, &why).await;
    assert_eq!((dry.status, log(&store).await.len()), (200, 0), "{}", dry.body);
    for api in [&api, &other, &api] {
        let frozen = api.ask(("PUT", "freeze"), key, &why).await;
        assert_eq!((frozen.status, &frozen.body["frozen"]), (200, &json!(true)));
        assert_eq!(log(&store).await.len(), 1);
    }
    let thawed = other.ask(("DELETE", "freeze"), &[], &why).await;
    assert_eq!(thawed.status, 200, "{}", thawed.body);
    let refused = api.ask(("DELETE", "freeze"), &[], &why).await;
    assert_eq!((refused.status, &refused.body["code"]), (409, &json!("BOT-6054")));
}

#[tokio::test]
async fn a_freeze_its_end_and_a_rollback_of_the_model_need_a_reason() {
    let store = Store::in_memory();
    let a = Server::start(&store).await;
    let api = Api::of(&a).await;
    for (method, path) in [
        ("PUT", "freeze"),
        ("PUT", "freeze?dry_run=true"),
        ("DELETE", "freeze"),
        ("POST", "models/m/rollback"),
        ("POST", "models/m/rollback?dry_run=true"),
    ] {
        for reason in ["", " \t ", "\n"] {
            let refused = api.ask((method, path), &[], &json!({"reason": reason})).await;
            assert_eq!(
                (refused.status, &refused.body["code"]),
                (422, &json!("BOT-1034")),
                "{method} {path} {reason:?}: {}",
                refused.body
            );
        }
    }
    assert_eq!(log(&store).await.len(), 0);
}

#[tokio::test]
async fn the_rules_that_a_policy_only_warns_of_are_in_the_answer_the_log_and_the_status() {
    let store = Store::in_memory();
    let (a, b) = (Server::start(&store).await, Server::start(&store).await);
    let (api, other) = (Api::of(&a).await, Api::of(&b).await);
    a.versions.warns.store(true, Ordering::SeqCst);
    let warned = json!(["the policy asks for `accuracy` [BOT-6050]"]);
    let start = ("POST", "models/m/rollouts");
    let would = api.ask(("POST", "models/m/rollouts?dry_run=true"), &[], &start_body()).await;
    assert_eq!(would.body["next"]["warnings"], warned, "{}", would.body);
    let started = api.ask(start, &[], &start_body()).await;
    assert_eq!((started.status, &started.body["rollout"]["warnings"]), (201, &warned));
    b.turns(2).await;
    assert_eq!(other.get("rollouts/latest").await.body["rollout"]["warnings"], warned);
    let steps: Vec<_> = log(&store).await;
    let recorded = steps.iter().filter_map(|entry| entry.payload.rollout());
    for rollout in recorded {
        assert_eq!(json!(rollout.warnings), warned);
    }
}

#[tokio::test]
async fn a_plan_is_forecast_at_the_traffic_that_is_given_or_that_the_rollout_saw() {
    let store = Store::in_memory();
    let a = Server::start(&store).await;
    let api = Api::of(&a).await;
    let plan = ("POST", "plan");
    let failures =
        json!({"error": {"rate": 0.01, "measured": 1}, "fallback": {"rate": 0.08, "measured": 1}});
    let steps = json!([{"weight": 5, "deadline": "12h", "min_time": "1h", "min_units": 20}]);
    let body = |rate: f64| json!({"plan": {"steps": steps}, "conversations_per_hour": rate, "failures": failures});
    let enough = api.ask(plan, &[], &body(2_000.0)).await;
    assert_eq!(enough.status, 200, "{}", enough.body);
    let forecast = &enough.body["forecast"];
    assert_eq!(
        (&forecast["steps"][0]["seconds"], &forecast["problems"]),
        (&json!(3_600), &json!([]))
    );
    assert_eq!(enough.body["from_rollout"], Value::Null);
    let few = api.ask(plan, &[], &body(20.0)).await;
    let problem = few.body["forecast"]["problems"][0].as_str().unwrap();
    assert!(problem.contains("needs 20h for 20 conversations"), "{problem}");
    for (bad, code) in [
        (json!({}), "BOT-6072"),
        (json!({"conversations_per_hour": 100}), "BOT-6072"),
        (body(0.0), "BOT-6013"),
        (json!({"failures": {"error": {"rate": 2, "measured": 1}}}), "BOT-6013"),
        (json!({"plan": {"steps": []}}), "BOT-6001"),
    ] {
        let refused = api.ask(plan, &[], &bad).await;
        assert_eq!((refused.status, &refused.body["code"]), (422, &json!(code)), "{bad}");
    }
    assert_eq!(log(&store).await.len(), 0, "a forecast changes nothing");
    let started = api.ask(("POST", "models/m/rollouts"), &[], &start_body()).await;
    assert_eq!(started.status, 201, "{}", started.body);
    raised().await;
    a.turns(2).await;
    a.talk(0..200);
    a.turns(3).await;
    let live = api.ask(plan, &[], &json!({"plan": {"steps": steps}})).await;
    assert_eq!(live.status, 200, "{}", live.body);
    assert_eq!(live.body["from_rollout"], started.body["rollout"]["id"]);
    let rate = live.body["forecast"]["traffic"]["conversations_per_hour"].as_f64().unwrap();
    assert!(rate > 1_000.0, "{rate}");
}

#[tokio::test]
async fn a_weight_and_the_next_step_need_the_current_revision_and_a_rollback_does_not() {
    let store = Store::in_memory();
    let a = Server::start(&store).await;
    let api = Api::of(&a).await;
    let mut body = start_body();
    body["plan"]["steps"] = json!([
        {"weight": 20, "deadline": "7d", "min_units": 100_000},
        {"weight": 50, "deadline": "7d", "min_units": 100_000},
    ]);
    assert_eq!(api.ask(("POST", "models/m/rollouts"), &[], &body).await.status, 201);
    raised().await;
    a.turns(2).await;
    let tag = api.get("rollouts/latest").await.tag.unwrap();
    let decision = api.get("rollouts/latest/decision").await;
    assert_eq!(decision.tag.as_ref(), Some(&tag));
    let (weight, to) = (("PUT", "rollouts/latest/weight"), json!({"percent": 5, "reason": "slow"}));
    let stale = api.ask(weight, &[("if-match", "\"999\"")], &to).await;
    assert_eq!((stale.status, &stale.body["code"]), (412, &json!("BOT-6022")));
    let high = api.ask(weight, &[], &json!({"percent": 30})).await;
    assert_eq!((high.status, &high.body["code"]), (422, &json!("BOT-6009")));
    let lower = api.ask(weight, &[("if-match", &tag)], &to).await;
    assert_eq!((lower.status, &lower.body["weight_percent"]), (200, &json!(5.0)));
    assert_ne!(lower.tag, Some(tag.clone()));
    let next = ("POST", "rollouts/latest/advance");
    let stale = api.ask(next, &[("if-match", &tag)], &json!({"reason": "go on"})).await;
    assert_eq!(stale.status, 412, "{}", stale.body);
    let would = api.ask(("POST", "rollouts/latest/advance?dry_run=true"), &[], &json!({})).await;
    assert_eq!((would.status, &would.body["next"]["phase"]["step"]), (200, &json!(1)));
    let advanced = api.ask(next, &[], &json!({"reason": "go on"})).await;
    assert_eq!((advanced.status, &advanced.body["rollout"]["phase"]["step"]), (200, &json!(1)));
    let abort = ("POST", "rollouts/latest/rollback");
    let aborted = api.ask(abort, &[("if-match", &tag)], &json!({"reason": "enough"})).await;
    assert_eq!(aborted.status, 200, "a stale revision does not block a rollback");
}

#[tokio::test]
async fn a_change_at_one_server_ends_the_wait_at_another_and_is_in_its_events_and_its_audit_trail()
{
    let store = Store::in_memory();
    let (a, b) = (Server::start(&store).await, Server::start(&store).await);
    let (api, other) = (Api::of(&a).await, Api::of(&b).await);
    let started = api.ask(("POST", "models/m/rollouts"), &[], &start_body()).await;
    let id = started.body["rollout"]["id"].as_str().unwrap().to_owned();
    b.turns(2).await;
    let seen = other.get("rollouts/latest").await.body["rollout"]["revision"].as_u64().unwrap();
    let past = other.get(&format!("rollouts/{id}?wait=60s&since={}", seen + 7)).await;
    assert_eq!(past.status, 200, "another revision is answered at once");
    let same = other.get(&format!("rollouts/{id}?wait=0s&since={seen}")).await;
    assert_eq!(same.body["rollout"]["revision"], json!(seen));
    for bad in ["wait=2m", "since=x", "wiat=3s"] {
        let bad = other.get(&format!("rollouts/{id}?{bad}")).await;
        assert_eq!((bad.status, &bad.body["code"]), (400, &json!("BOT-6041")));
    }
    let path = format!("rollouts/{id}?wait=60s&since={seen}");
    let path_of_events = format!("rollouts/{id}/events");
    let change = async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        let pause = format!("rollouts/{id}/pause");
        assert_eq!(api.ask(("POST", &pause), &[], &json!({"reason": "look"})).await.status, 200);
        b.turns(2).await;
        let abort = format!("rollouts/{id}/rollback");
        assert_eq!(api.ask(("POST", &abort), &[], &json!({"reason": "enough"})).await.status, 200);
        a.turns(3).await;
        b.turns(2).await;
    };
    let (waited, stream, ()) = tokio::join!(other.get(&path), other.get(&path_of_events), change);
    assert_eq!(waited.body["rollout"]["phase"]["phase"], json!("paused"), "{}", waited.body);
    let text = stream.body.as_str().unwrap();
    for part in ["event: state", "event: decision", "\"paused\"", "\"rolled_back\"", "enough"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert_eq!(text.matches("\"phase\":\"paused\"").count(), 1, "{text}");
    // The rest of it, after the first event, and without a state.
    let first = text.lines().find_map(|line| line.strip_prefix("id: ")).unwrap();
    let rest = other.ask(("GET", &path_of_events), &[("last-event-id", first)], &Value::Null).await;
    let rest = rest.body.as_str().unwrap().to_owned();
    assert!(!rest.contains("event: state") && rest.contains("\"paused\""), "{rest}");
    let bad = other.ask(("GET", &path_of_events), &[("last-event-id", "x")], &Value::Null).await;
    assert_eq!((bad.status, &bad.body["code"]), (400, &json!("BOT-6013")));

    let entries = log(&store).await;
    let all = other.get("audit").await;
    assert_eq!(all.body["entries"].as_array().unwrap().len(), entries.len().min(100));
    let since = entries.len() as u64 - 1;
    let last = other.get(&format!("audit?since={since}")).await;
    assert_eq!(last.body["entries"][0]["seq"], json!(since + 1), "{}", last.body);
    assert_eq!(
        (&last.body["next"], &last.body["environment"]),
        (&Value::Null, &json!("production"))
    );
    assert_eq!(other.get("audit?since=99999").await.body["entries"], json!([]));
}

#[tokio::test]
async fn a_version_on_mirror_only_gets_no_conversation_on_any_server_and_is_not_promoted() {
    let store = Store::in_memory();
    let (a, b) = (Server::start(&store).await, Server::start(&store).await);
    let (api, other) = (Api::of(&a).await, Api::of(&b).await);
    a.versions.warns.store(true, Ordering::SeqCst);
    let shadow = ("PUT", "models/m/shadow");
    for (body, status, code) in [
        (json!({"version": "challenger", "percent": 0}), 422, "BOT-6001"),
        (json!({"version": "challenger", "for": "soon"}), 422, "BOT-6001"),
        (json!({"version": "challenger", "min_units": 0}), 422, "BOT-6001"),
        (json!({"version": "challenger", "until": "1h"}), 422, "BOT-6013"),
    ] {
        let refused = api.ask(shadow, &[], &body).await;
        assert_eq!((refused.status, &refused.body["code"]), (status, &json!(code)), "{body}");
    }
    assert!(log(&store).await.is_empty());
    let body = json!({"version": "challenger", "percent": 40, "for": "2h", "reason": "a look"});
    let begun = api.ask(shadow, &[], &body).await;
    assert_eq!(begun.status, 201, "{}", begun.body);
    assert_eq!(begun.body["rollout"]["warnings"], Value::Null, "the policy is for promotions");
    let id = begun.body["rollout"]["id"].as_str().unwrap().to_owned();
    a.turns(3).await;
    b.turns(3).await;
    for server in [&a, &b] {
        assert!(matches!(server.phase(), Phase::Shadow { .. }), "{:?}", server.phase());
        let routing = server.app.slot.load().unwrap();
        assert_eq!(routing.split().unwrap().weight, 0.0);
        let mirrored = |n: &usize| {
            let choice = routing.choose(Some(&format!("conversation {n}")), 0.0);
            assert_eq!(choice.arm, botops_rollout::Arm::Primary);
            choice.mirror.is_some()
        };
        let n = (0..1_000).filter(mirrored).count();
        assert!((340..460).contains(&n), "{n} of 1,000 are mirrored");
    }
    let again = other.ask(shadow, &[], &body).await;
    assert_eq!((again.status, &again.body["rollout"]["id"]), (200, &json!(id)), "it joins");
    for command in ["promote", "advance"] {
        let path = format!("rollouts/{id}/{command}");
        let refused = other.ask(("POST", &path), &[], &json!({"reason": "now"})).await;
        assert_eq!((refused.status, &refused.body["code"]), (409, &json!("BOT-6089")));
    }
    let start = ("POST", "models/m/rollouts");
    let refused = other.ask(start, &[], &start_body()).await;
    assert_eq!((refused.status, &refused.body["code"]), (409, &json!("BOT-6089")));
    let kept = other.get("rollouts/latest/disagreements").await;
    let server = kept.body["server"].as_str().unwrap().to_owned();
    assert_eq!(
        kept.body,
        json!({"rollout": id, "found": 0, "disagreements": [], "server": server})
    );
    let own = api.get("rollouts/latest/disagreements").await.body["server"].clone();
    assert!(own.is_string() && own != json!(server), "each server keeps its own: {own} {server}");
    assert_eq!(other.get("rollouts/01ARZ3NDEKTSV4RRFFQ69G5FAV/disagreements").await.status, 404);

    let path = format!("rollouts/{id}/rollback");
    let ended = other.ask(("POST", &path), &[], &json!({"reason": "seen enough"})).await;
    assert_eq!(ended.status, 200, "{}", ended.body);
    a.turns(3).await;
    b.turns(3).await;
    assert!(matches!(b.phase(), Phase::Finished { .. }), "{:?}", b.phase());
    assert!(b.app.slot.load().unwrap().split().is_none());
}

#[tokio::test]
async fn a_shadow_run_ends_finished_on_every_server_and_the_next_rollout_begins_at_once() {
    let store = Store::in_memory();
    let (a, b) = (Server::start(&store).await, Server::start(&store).await);
    let (api, other) = (Api::of(&a).await, Api::of(&b).await);
    let start = ("POST", "models/m/rollouts");
    let mut body = start_body();
    body["plan"] = json!({
        "strategy": "shadow", "shadow": {"min_units": 7, "deadline": "200ms"},
        "interval": "10ms", "stale_after": "6h",
    });
    let begun = api.ask(start, &[], &body).await;
    assert_eq!(begun.status, 201, "{}", begun.body);
    let id = begun.body["rollout"]["id"].as_str().unwrap().to_owned();
    tokio::time::sleep(Duration::from_millis(250)).await;
    a.turns(3).await;
    b.turns(2).await;
    let reason =
        "the shadow run is over: deadline of 200ms reached with 0 of 7 conversations mirrored";
    for (server, api) in [(&a, &api), (&b, &other)] {
        let shown = api.get(&format!("rollouts/{id}")).await;
        let phase = json!({"phase": "finished", "reason": reason, "units": 0});
        assert_eq!(shown.body["rollout"]["phase"], phase, "{}", shown.body);
        assert_eq!(shown.body["decision"]["verdict"], "insufficient", "nothing was mirrored");
        assert!(server.app.slot.load().unwrap().split().is_none());
        assert_eq!(server.app.slot.load().unwrap().primary.digest, digest("champion"));
    }
    let phases: Vec<_> = log(&store).await;
    let back = |entry: &Entry<Deployment>| {
        let phase = entry.payload.rollout().map(|rollout| rollout.phase.name());
        matches!(phase, Some("rolling_back" | "rolled_back"))
    };
    assert!(!phases.iter().any(back), "nothing was rolled back");
    let next = other.ask(start, &[], &start_body()).await;
    assert_eq!(next.status, 201, "{}", next.body);
}
