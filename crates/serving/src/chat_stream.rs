//! `POST /v1/chat` with `Accept: text/event-stream`: the sentences of a generated answer as they come, and then the answer.
//!
//! Each `sentence` was checked against the passages that it cites. The `answer` is the last event, and has the body of a plain
//! answer; it holds also where a language model failed after its first sentences. A message that is refused before its first
//! sentence gets a plain problem, and later an `error`. Whoever closes the connection ends the work of the language model.

use crate::{
    app::App,
    attempt::Refusal,
    chat_message,
    exchange::Exchange,
    kept_turns::mark_unstored,
    problem::{Problem, internal},
    turn_engine::TurnAnswer,
    written_answer::Sentences,
};
use axum::{
    body::Bytes,
    http::{HeaderMap, HeaderName, header},
    response::{
        IntoResponse as _, Response, Sse,
        sse::{Event, KeepAlive},
    },
};
use botops_access::PublicCaller;
use botops_telemetry::carry;
use futures::{Stream, StreamExt as _, stream};
use serde_json::json;
use std::{convert::Infallible, pin::Pin, sync::Arc, time::Duration};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// The media type of a stream of events.
const EVENTS: &str = "text/event-stream";
/// The time between two signs of life on a stream without events.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// Returns whether a request with `headers` asks for events: it names them among the types that it accepts.
pub(super) fn is_asked(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(header::ACCEPT).iter().filter_map(|it| it.to_str().ok());
    accepted.flat_map(|it| it.split(',')).any(|range| {
        let mut parts = range.split(';').map(str::trim);
        let is_events = parts.next().is_some_and(|kind| kind.eq_ignore_ascii_case(EVENTS));
        let is_refused = |parameter: &str| {
            let weight = parameter.strip_prefix("q=").or(parameter.strip_prefix("Q="));
            weight.is_some_and(|weight| weight.parse() == Ok(0.0))
        };
        is_events && !parts.any(is_refused)
    })
}

/// Answers the message in `body` with a stream, or with a problem.
pub(super) async fn stream(app: Arc<App>, caller: PublicCaller, body: Bytes) -> Response {
    let (sender, arrived) = unbounded_channel();
    let turn = Box::pin(carry(turn(app, caller, body, sender)));
    let mut following = Following { arrived, turn: Some(turn), ended: None };
    let (head, first) = match following.next().await {
        Some(Part::Sentence(sentence, head)) => (head, vec![sentence_event(&sentence)]),
        Some(Part::Answer(answer)) => (Some(answer.head), answer.events),
        Some(Part::Refused { response, .. }) => return *response,
        // A turn has an end.
        None => return Problem::from(internal()).into_response(),
    };
    let events = stream::iter(first).chain(later(following)).map(Ok::<Event, Infallible>);
    let heartbeat = KeepAlive::new().interval(HEARTBEAT);
    let mut response = Sse::new(events).keep_alive(heartbeat).into_response();
    if let Some(head) = head {
        let (head, _) = head.into_parts();
        response.extensions_mut().extend(head.extensions);
        let is_of_the_body = |name: &HeaderName| *name == header::CONTENT_TYPE;
        let named = head.headers.iter().filter(|(name, _)| !is_of_the_body(name));
        response.headers_mut().extend(named.map(|(name, value)| (name.clone(), value.clone())));
    }
    response
}

/// Returns the events of what comes after the first part.
fn later(following: Following) -> impl Stream<Item = Event> {
    let parts = stream::unfold(following, |mut following| async move {
        let events = match following.next().await? {
            Part::Sentence(sentence, _) => vec![sentence_event(&sentence)],
            Part::Answer(answer) => answer.events,
            Part::Refused { document, .. } => {
                vec![Event::default().event("error").data(document)]
            }
        };
        Some((stream::iter(events), following))
    });
    parts.flatten()
}

fn sentence_event(sentence: &str) -> Event {
    Event::default().event("sentence").data(json!({ "text": sentence }).to_string())
}

/// A part of a stream.
enum Part {
    /// A sentence; the first one has the head of the response.
    Sentence(String, Option<Response>),
    /// The end: the answer.
    Answer(Whole),
    /// The end: a problem, as a response and as a document.
    Refused { response: Box<Response>, document: String },
}

/// The answer, as events, and the head of its response.
struct Whole {
    head: Response,
    events: Vec<Event>,
}

/// A turn under way.
struct Following {
    arrived: UnboundedReceiver<Part>,
    /// `None` once it is over.
    turn: Option<Pin<Box<dyn Future<Output = Part> + Send>>>,
    ended: Option<Part>,
}

impl Following {
    /// Returns the next part; `None` after the end.
    async fn next(&mut self) -> Option<Part> {
        loop {
            // Sentences come before the end, also if they came with it.
            if let Ok(part) = self.arrived.try_recv() {
                return Some(part);
            }
            let Some(turn) = &mut self.turn else { return self.ended.take() };
            tokio::select! {
                biased;
                Some(part) = self.arrived.recv() => return Some(part),
                ended = turn => (self.turn, self.ended) = (None, Some(ended)),
            }
        }
    }
}

/// Answers a message. Sentences go to `parts`; the end is returned.
async fn turn(
    app: Arc<App>,
    caller: PublicCaller,
    body: Bytes,
    parts: UnboundedSender<Part>,
) -> Part {
    let exchange = Exchange::with(&app, "chat", &caller);
    let (sender, mut checked) = unbounded_channel();
    let sentences = Sentences(sender);
    let answered = {
        let mut answering = Box::pin(chat_message::answer(&exchange, &body, Some(&sentences)));
        let mut is_first = true;
        let mut pass_on = |sentence| {
            let head =
                std::mem::take(&mut is_first).then(|| exchange.identified(Response::default()));
            // Nobody reads any more: the stream is dropped, and this future with it.
            let _ = parts.send(Part::Sentence(sentence, head));
        };
        loop {
            tokio::select! {
                biased;
                Some(sentence) = checked.recv() => pass_on(sentence),
                answered = &mut answering => {
                    while let Ok(sentence) = checked.try_recv() {
                        pass_on(sentence);
                    }
                    break answered;
                }
            }
        }
    };
    match answered {
        Ok(answer) => Part::Answer(whole(&exchange, answer)),
        Err(Refusal(problem, arm)) => {
            let document = serde_json::to_string(&problem.document())
                .expect("a problem can be written as JSON");
            Part::Refused { response: Box::new(exchange.refuse(problem, arm)), document }
        }
    }
}

fn whole(exchange: &Exchange<'_>, answer: TurnAnswer) -> Whole {
    let TurnAnswer { body, shown, is_lost, .. } = answer;
    let data = String::from_utf8(body).expect("JSON is UTF-8");
    let mut head = exchange.with_body(Vec::new(), shown);
    let mut events = vec![Event::default().event("answer").data(data)];
    if is_lost {
        mark_unstored(&mut head);
        // The head of the response may have been sent before.
        events.insert(0, Event::default().event("unstored").data("{}"));
    }
    Whole { head, events }
}

#[test]
fn events_are_sent_to_those_who_accept_them() {
    for (accept, is_expected) in [
        ("text/event-stream", true),
        ("application/json, Text/Event-Stream;q=0.5", true),
        ("*/*", false),
        ("text/*", false),
        ("application/json", false),
        ("text/event-stream;q=0", false),
        ("text/event-stream; q=0.000, application/json", false),
        ("text/event-streams", false),
    ] {
        let headers = HeaderMap::from_iter([(header::ACCEPT, accept.parse().unwrap())]);
        assert_eq!(is_asked(&headers), is_expected, "{accept}");
    }
    assert!(!is_asked(&HeaderMap::new()));
}
