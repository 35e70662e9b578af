//! The client against a local server that speaks the protocol, in every way that it may fail.

mod endpoint;

use crate::{
    BreakerSpec, FailureKind, Finish, FollowUp, Generated, GenerationFailure, GenerationSettings,
    Generator, Passage, Request, Speaker, Turn,
};
use botops_workspace::{Generation, GenerationBudget, GenerationKey, GenerationPrice, Secret};
use endpoint::{Endpoint, Reply, event, piece, whole};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

pub(crate) fn written(url: &str) -> Generation {
    Generation {
        url: url.to_owned(),
        model: "small".to_owned(),
        served_as: None,
        key: GenerationKey::default(),
        rules: String::new(),
        timeout: Duration::from_secs(5),
        first_token_timeout: Duration::from_secs(2),
        max_tokens: 64,
        retries: 2,
        stream: true,
        allow_http: false,
        budget: GenerationBudget::default(),
        price: None,
    }
}

pub(crate) fn settings(url: &str) -> GenerationSettings {
    GenerationSettings::check(&written(url)).unwrap()
}

fn at(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_800_000_000 + seconds)
}

/// Asks a question, and returns the outcome with the pieces that were handed out.
async fn ask(
    generator: &Generator,
    now: SystemTime,
) -> (Result<Generated, GenerationFailure>, Vec<String>) {
    let passages =
        [Passage { title: "Refunds", section: "", text: "A refund takes 5 business days." }];
    let request = Request {
        question: "How long does a refund take?",
        history: &[],
        passages: &passages,
        rules: "",
        language: Some("en"),
        now,
        used: Duration::ZERO,
    };
    let mut pieces = Vec::new();
    let outcome = generator.generate(&request, &mut |piece| pieces.push(piece.to_owned())).await;
    (outcome, pieces)
}

fn generator(endpoint: &Endpoint, change: impl FnOnce(&mut Generation)) -> Generator {
    let mut written = written(&endpoint.url());
    change(&mut written);
    Generator::new(GenerationSettings::check(&written).unwrap()).unwrap()
}

async fn failure(reply: Reply, change: impl FnOnce(&mut Generation)) -> GenerationFailure {
    let endpoint = Endpoint::start(vec![reply]).await;
    ask(&generator(&endpoint, change), at(0)).await.0.unwrap_err()
}

fn stream(parts: &[String]) -> Reply {
    Reply::stream(parts.iter().map(|part| part.clone().into_bytes()).collect())
}

const USAGE: &str =
    r#"{"model":"small","choices":[],"usage":{"prompt_tokens":200,"completion_tokens":10}}"#;

#[tokio::test]
async fn pieces_arrive_in_order_with_citations_tokens_and_cost() {
    let parts = [
        piece("A refund takes "),
        piece("5 days [1]."),
        piece(" It is free [1][2]."),
        endpoint::last("stop"),
        event(USAGE),
        event("[DONE]"),
    ];
    let endpoint = Endpoint::start(vec![stream(&parts)]).await;
    let generator = generator(&endpoint, |it| {
        it.price = Some(GenerationPrice { input_per_million: 10.0, output_per_million: 100.0 });
    });
    let (outcome, pieces) = ask(&generator, at(0)).await;
    let generated = outcome.unwrap();
    assert_eq!(pieces, ["A refund takes ", "5 days [1].", " It is free [1][2]."]);
    assert_eq!(generated.text, pieces.concat());
    assert_eq!((generated.citations, generated.finish), (vec![1, 2], Finish::Stop));
    assert!(generated.usage.is_reported);
    assert_eq!((generated.usage.tokens_in, generated.usage.tokens_out), (200, 10));
    // By hand: 200 x 10 / 1e6 + 10 x 100 / 1e6.
    assert!((generated.cost - 0.003).abs() < 1e-12);
    assert_eq!(generator.spent(at(0)).tokens, 210);
    let sent: serde_json::Value = serde_json::from_str(&endpoint.bodies()[0]).unwrap();
    assert_eq!((sent["model"].as_str(), sent["stream"].as_bool()), (Some("small"), Some(true)));
    assert_eq!(sent["max_tokens"].as_u64(), Some(64));
    assert!(sent["messages"][1]["content"].as_str().unwrap().contains("5 business days"));
}

#[tokio::test]
async fn a_stream_cut_inside_characters_and_lines_is_read_as_a_whole() {
    let text = [piece("Un remboursement « prend » 5 jours 😀 [1]."), endpoint::last("stop")];
    let text = text.concat() + &event("[DONE]");
    let single: Vec<Vec<u8>> = text.bytes().map(|byte| vec![byte]).collect();
    let endpoint = Endpoint::start(vec![Reply::stream(single)]).await;
    let (outcome, _) = ask(&generator(&endpoint, |_| {}), at(0)).await;
    assert_eq!(outcome.unwrap().text, "Un remboursement « prend » 5 jours 😀 [1].");
}

#[tokio::test]
async fn a_whole_answer_is_read_with_and_without_a_stream_asked_for() {
    for stream in [true, false] {
        let endpoint = Endpoint::start(vec![Reply::json(200, &whole("Five days [1].", "length"))]);
        let endpoint = endpoint.await;
        let (outcome, pieces) = ask(&generator(&endpoint, |it| it.stream = stream), at(0)).await;
        let generated = outcome.unwrap();
        assert_eq!((generated.text.as_str(), pieces.len()), ("Five days [1].", 1));
        assert_eq!(generated.finish, Finish::Length);
    }
}

#[tokio::test]
async fn answers_that_are_no_answers_have_a_class() {
    use FailureKind::{Cut, EndpointError, NotOfTheProtocol, OtherModel, TooLong, Withheld};
    let done = event("[DONE]");
    let cases = [
        (Reply::new(200, "text/html", "<html>Log in</html>"), NotOfTheProtocol),
        (Reply::new(200, "application/json", "<html>"), NotOfTheProtocol),
        (Reply::new(200, "application/json", "{}"), NotOfTheProtocol),
        (Reply::new(200, "", "x"), NotOfTheProtocol),
        (stream(&[event("{no json")]), NotOfTheProtocol),
        (Reply::stream(vec![b"data: \xff\xfe\n\n".to_vec()]), NotOfTheProtocol),
        (stream(&[piece("Five days"), event(r#"{"error":{"message":"x"}}"#)]), EndpointError),
        (stream(&[piece("Five days")]), Cut),
        (stream(std::slice::from_ref(&done)), Cut),
        (stream(&[piece("Five").replace("small", "large")]), OtherModel),
        (stream(&[endpoint::last("stop"), done.clone()]), Withheld),
        (stream(&[piece("Five"), endpoint::last("content_filter"), done]), Withheld),
        (stream(&vec![piece(&"long ".repeat(100)); 100]), TooLong),
        (stream(&vec![": waiting\n".repeat(10_000); 100]), TooLong),
    ];
    for (at, (reply, kind)) in cases.into_iter().enumerate() {
        let failure = failure(reply, |_| {}).await;
        assert_eq!(failure.kind, kind, "case {at}: {failure}");
        assert_eq!(failure.retries, 0, "case {at}");
    }
}

#[tokio::test]
async fn an_endpoint_that_hangs_is_left_in_time() {
    let short = |it: &mut Generation| {
        it.first_token_timeout = Duration::from_millis(100);
        it.timeout = Duration::from_millis(400);
    };
    // Before its head, behind its head, and in the middle of an answer.
    let silent = failure(Reply::hang(), short).await;
    assert_eq!((silent.kind, silent.had_text), (FailureKind::TimedOut, false), "{silent}");
    let headed = failure(stream(&[": hello\n\n".to_owned()]).then_hang(), short).await;
    assert!(headed.message.contains("first piece"), "{headed}");
    assert!(headed.usage.tokens_in > 0, "the endpoint had accepted the request");
    let middle = failure(stream(&[piece("Five ")]).then_hang(), short).await;
    assert_eq!((middle.kind, middle.had_text, middle.retries), (FailureKind::TimedOut, true, 0));
    assert!(middle.message.contains("end of the answer"), "{middle}");
    // An endpoint that sends pieces for ever, each in time.
    let endless = failure(Reply::endless(&piece("go on ")), short).await;
    assert!(matches!(endless.kind, FailureKind::TimedOut | FailureKind::TooLong), "{endless}");
}

#[tokio::test]
async fn busy_and_broken_endpoints_are_asked_again_as_they_wish_and_others_are_not() {
    let good = || Reply::json(200, &whole("Five days [1].", "stop"));
    let busy = Reply::json(429, "{}").with_header("retry-after", "1");
    let endpoint = Endpoint::start(vec![busy, Reply::json(503, "{}"), good()]).await;
    let started = tokio::time::Instant::now();
    let generated = ask(&generator(&endpoint, |_| {}), at(0)).await.0.unwrap();
    assert_eq!(generated.retries, 2);
    assert!(started.elapsed() >= Duration::from_secs(1), "Retry-After was not honoured");

    // The wait would not end within the time-out: nothing is gained by waiting.
    let busy = Reply::json(429, "{}").with_header("retry-after", "3600");
    let endpoint = Endpoint::start(vec![busy, good()]).await;
    let failure = ask(&generator(&endpoint, |_| {}), at(0)).await.0.unwrap_err();
    assert_eq!((failure.kind, failure.retries), (FailureKind::Busy, 0));

    for (status, kind) in [
        (400, FailureKind::Refused),
        (404, FailureKind::Refused),
        (302, FailureKind::Refused),
        (401, FailureKind::Unauthorized),
        (204, FailureKind::NotOfTheProtocol),
    ] {
        let endpoint = Endpoint::start(vec![Reply::json(status, "{}"), good()]).await;
        let failure = ask(&generator(&endpoint, |_| {}), at(0)).await.0.unwrap_err();
        assert_eq!((failure.kind, endpoint.bodies().len()), (kind, 1), "{status}");
    }
    // Nothing is repeated once a piece was handed out.
    let broken = stream(&[piece("Five "), event(r#"{"error":{}}"#)]);
    let endpoint = Endpoint::start(vec![broken, good()]).await;
    let (outcome, pieces) = ask(&generator(&endpoint, |_| {}), at(0)).await;
    assert_eq!((outcome.unwrap_err().kind, pieces.len()), (FailureKind::EndpointError, 1));
    assert_eq!(endpoint.bodies().len(), 1);
}

#[tokio::test]
async fn an_endpoint_that_is_not_there_is_unreachable_after_its_tries() {
    let url = Endpoint::start(vec![]).await.url_of_nobody();
    let generator = Generator::new(settings(&url)).unwrap();
    let failure = ask(&generator, at(0)).await.0.unwrap_err();
    assert_eq!((failure.kind, failure.retries), (FailureKind::Unreachable, 2), "{failure}");
    assert_eq!((failure.usage.tokens(), generator.spent(at(0)).tokens), (0, 0));
}

#[tokio::test]
async fn an_exhausted_budget_sends_nothing() {
    let reply = || Reply::json(200, &whole("Five days [1].", "stop"));
    let endpoint = Endpoint::start(vec![reply(), reply(), reply()]).await;
    let generator = generator(&endpoint, |it| it.budget.tokens_per_day = Some(700));
    assert!(ask(&generator, at(0)).await.0.is_ok());
    let spent = generator.spent(at(0)).tokens;
    // The endpoint reports no tokens: `Five days [1].` has 14 bytes, which count as 5 tokens of 3 bytes.
    let body = endpoint.bodies()[0].len() as u64;
    assert_eq!(spent, body.div_ceil(3) + 5);
    let failure = ask(&generator, at(1)).await.0.unwrap_err();
    assert_eq!(failure.kind, FailureKind::OverBudget);
    assert!(failure.message.contains("tokens_per_day"), "{failure}");
    assert_eq!((endpoint.bodies().len(), generator.spent(at(1)).tokens), (1, spent));
    assert!(!generator.is_paused());
    assert!(ask(&generator, at(86_400)).await.0.is_ok(), "a new day has a new budget");
}

#[tokio::test]
async fn the_circuit_breaker_opens_and_closes() {
    let bad = || Reply::json(500, "{}");
    let good = Reply::json(200, &whole("Five days [1].", "stop"));
    let endpoint = Endpoint::start(vec![bad(), bad(), bad(), good]).await;
    let mut written = written(&endpoint.url());
    written.retries = 0;
    let breaker = BreakerSpec { failures: 2, pause: Duration::from_secs(30) };
    let settings = GenerationSettings::check(&written).unwrap().with_breaker(breaker);
    let generator = Generator::new(settings).unwrap();
    for _ in 0..2 {
        let failure = ask(&generator, at(0)).await.0.unwrap_err();
        assert_eq!(failure.kind, FailureKind::EndpointError);
    }
    assert!(generator.is_paused());
    let paused = ask(&generator, at(20)).await.0.unwrap_err();
    assert_eq!((paused.kind, endpoint.bodies().len()), (FailureKind::Paused, 2));
    // The first probe fails, and the second one succeeds.
    let probe = ask(&generator, at(40)).await.0.unwrap_err();
    assert_eq!(probe.kind, FailureKind::EndpointError);
    assert_eq!(ask(&generator, at(60)).await.0.unwrap_err().kind, FailureKind::Paused);
    assert!(ask(&generator, at(80)).await.0.is_ok());
    assert!(!generator.is_paused());
}

#[tokio::test]
async fn a_client_that_leaves_pays_for_the_tokens_and_frees_the_rest() {
    let endpoint = Endpoint::start(vec![stream(&[piece("Five ")]).then_hang()]).await;
    let generator = generator(&endpoint, |it| it.budget.tokens_per_day = Some(100_000));
    let left = tokio::time::timeout(Duration::from_millis(300), ask(&generator, at(0))).await;
    assert!(left.is_err(), "the answer never ends");
    let spent = generator.spent(at(0)).tokens;
    assert!((1..1_000).contains(&spent), "{spent}");
    assert!(!generator.is_paused());
}

#[tokio::test]
async fn a_follow_up_is_written_in_full_within_the_time_of_a_first_piece() {
    let history = [
        Turn { speaker: Speaker::Person, text: "How long does shipping to Germany take?" },
        Turn { speaker: Speaker::Bot, text: "Two days." },
    ];
    let follow_up = FollowUp { question: "And to France?", history: &history, now: at(0) };
    let endpoint = Endpoint::start(vec![Reply::json(
        200,
        &whole("How long does shipping to France take?", "stop"),
    )])
    .await;
    let full = generator(&endpoint, |it| it.stream = false).complete(&follow_up).await.unwrap();
    assert_eq!(full.text, "How long does shipping to France take?");
    let sent: serde_json::Value = serde_json::from_str(&endpoint.bodies()[0]).unwrap();
    assert_eq!(sent["max_tokens"], 64, "no more than an answer may have");
    let messages = sent["messages"].as_array().unwrap();
    let roles: Vec<&str> = messages.iter().map(|it| it["role"].as_str().unwrap()).collect();
    assert_eq!(roles, ["system", "user", "assistant", "user"]);
    assert!(messages[3]["content"].as_str().unwrap().contains("\nAnd to France?\n"), "{sent}");

    let silent = Endpoint::start(vec![Reply::hang()]).await;
    let asks = generator(&silent, |it| it.first_token_timeout = Duration::from_millis(100));
    let begun = std::time::Instant::now();
    let failure = asks.complete(&follow_up).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::TimedOut);
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn the_time_that_a_turn_used_before_is_taken_from_the_time_out() {
    let endpoint = Endpoint::start(vec![Reply::hang()]).await;
    let request = Request {
        question: "How long does a refund take?",
        history: &[],
        passages: &[],
        rules: "",
        language: None,
        now: at(0),
        used: Duration::from_millis(4_800),
    };
    let begun = std::time::Instant::now();
    let asks = generator(&endpoint, |it| it.first_token_timeout = Duration::from_secs(5));
    let failure = asks.generate(&request, &mut |_| {}).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::TimedOut);
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn the_key_is_sent_to_the_endpoint_and_shown_nowhere() {
    let refused = Reply::json(401, r#"{"error":{"message":"bad key sk-invented"}}"#);
    let endpoint = Endpoint::start(vec![refused]).await;
    let key = GenerationKey::known(Secret::new("sk-invented"));
    let generator = generator(&endpoint, |it| it.key = key);
    let failure = ask(&generator, at(0)).await.0.unwrap_err();
    assert_eq!(endpoint.heads()[0]["authorization"], "Bearer sk-invented");
    assert!(!endpoint.bodies()[0].contains("sk-invented"));
    let shown = format!("{failure} {failure:?} {generator:?}");
    assert!(shown.contains("[redacted]") && !shown.contains("sk-invented"), "{shown}");
}

#[test]
fn plain_http_to_another_machine_must_be_allowed() {
    let fault = GenerationSettings::check(&written("http://llm.internal:8000/v1")).unwrap_err();
    assert_eq!((fault.code(), fault.kind().exit_code()), ("BOT-7301", 2));
    assert!(fault.hints().iter().any(|hint| hint.contains("allow_http")), "{fault:?}");
    let mut allowed = written("http://llm.internal:8000/v1");
    allowed.allow_http = true;
    assert!(GenerationSettings::check(&allowed).is_ok());
    assert!(GenerationSettings::check(&written("https://llm.example.com/v1")).is_ok());
}
