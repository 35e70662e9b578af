//! `GET /v1/ws`: a conversation over a WebSocket. Its frames are JSON texts.
//!
//! The client says `hello` with its conversation, and sends messages; each gets the answer of `POST /v1/chat`, in order, one
//! at a time: a turn depends on the one before. A client that asks for them gets the sentences of a generated answer before it. A frame that cannot be answered gets an `error`, and the socket goes on. It
//! is closed when the credentials are no longer accepted, when a limit is reached, and when the server stops.

use crate::{
    admission::{ClientAddress, once_more},
    app::App,
    attempt::Refusal,
    exchange::{Exchange, MAX_ID_BYTES, Text, check_conversation, parse_within, unfit},
    kept_turns::Ids,
    knowledge_filter::{KnowledgeUse, MetadataFilter},
    pointer::Field,
    problem::Problem,
    public_gate::{Credentials, PublicRight},
    request_traces::{of_work, within},
    turn_engine::{self, Message, TurnAnswer},
    written_answer::Sentences,
};
use axum::{
    Extension,
    extract::{Request, State},
    http::{HeaderValue, StatusCode, header},
    response::Response,
};
use botops_access::PublicCaller;
use botops_connections::{End, NoHandshake, Received, Socket, SocketLimits, upgrade};
use botops_findings::{Fault, FaultKind};
use botops_telemetry::Kind;
use serde::Deserialize;
use serde_json::json;
use std::sync::Arc;
use tokio::sync::mpsc::unbounded_channel;

/// The subprotocol of the frames.
pub(super) const SUBPROTOCOL: &str = "botops.v1";
/// The most turns that are sent again at once from the store.
const PAGE: u32 = 50;
/// The most turns that are sent again.
const MOST_RESENT: i64 = 1_000;

/// A frame of a client.
#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "lowercase", deny_unknown_fields)]
enum Frame<'a> {
    /// Begins, once: names the conversation.
    Hello {
        /// The conversation.
        #[serde(borrow, default)]
        conversation_id: Option<Text<'a>>,
        /// The person who speaks.
        #[serde(borrow, default)]
        user_id: Option<Text<'a>>,
        /// The number of the last answer that the client has: later ones are sent again. -1 for all.
        #[serde(default)]
        resume_from: Option<i64>,
        /// Whether the sentences of a generated answer are sent before the answer.
        #[serde(default)]
        sentences: bool,
    },
    /// A message of the user, with the fields of `POST /v1/chat`.
    Message {
        /// The client's id of the message.
        #[serde(borrow, default)]
        message_id: Option<Text<'a>>,
        /// The message.
        #[serde(borrow)]
        text: Text<'a>,
        /// The language of the answer.
        #[serde(borrow, default)]
        language: Option<Text<'a>>,
        /// The payload of the button that the user pressed.
        #[serde(borrow, default)]
        button: Option<Text<'a>>,
        /// Whether documents may answer.
        #[serde(default)]
        use_knowledge: Option<bool>,
        /// The metadata that a document must have to answer.
        #[serde(default)]
        metadata: Option<MetadataFilter>,
    },
}

/// Answers `GET /v1/ws`.
pub(super) async fn websocket(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<PublicCaller>,
    Extension(right): Extension<Arc<PublicRight>>,
    request: Request,
) -> Response {
    let shared = Arc::clone(&app);
    let exchange = Exchange::with(&shared, "chat", &caller);
    if let Err(problem) = exchange.routing() {
        return exchange.refuse(problem, None);
    }
    let credentials = request.extensions().get::<Credentials>().cloned();
    let settings = app.websockets.clone();
    let limits = SocketLimits {
        message_bytes: app.sizes.body("chat"),
        ping: settings.ping,
        idle: settings.idle,
        tick: credentials.is_some().then_some(settings.check),
    };
    let offered = request.headers().get_all(header::SEC_WEBSOCKET_PROTOCOL).iter();
    let mut offered = offered.flat_map(|it| it.as_bytes().split(|byte| *byte == b','));
    let protocol = offered.any(|it| it.trim_ascii() == SUBPROTOCOL.as_bytes());
    let protocol = protocol.then_some(SUBPROTOCOL);
    let address = request.extensions().get::<ClientAddress>().copied();
    let caller = caller.clone();
    let serve = move |socket| async move {
        let talk = Talk { app, right, credentials, caller, address, hello: None };
        talk.serve(socket).await;
    };
    match upgrade(request, (limits, protocol), serve) {
        Ok(response) => exchange.identified(response),
        Err(reason) => {
            let mut response = exchange.refuse(no_handshake(reason), None);
            let headers = response.headers_mut();
            headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
            headers.insert(header::SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
            response
        }
    }
}

fn no_handshake(reason: NoHandshake) -> Problem {
    let (status, message) = match reason {
        NoHandshake::NotAsked => {
            (StatusCode::UPGRADE_REQUIRED, "this path speaks WebSocket, and the request does not")
        }
        NoHandshake::Version => (StatusCode::UPGRADE_REQUIRED, "the version of WebSocket is 13"),
        NoHandshake::Malformed => {
            (StatusCode::BAD_REQUEST, "a header of the WebSocket handshake is missing or wrong")
        }
        NoHandshake::Http2 => {
            (StatusCode::BAD_REQUEST, "WebSockets need a connection with HTTP/1.1")
        }
    };
    let fault = Fault::usage("BOT-6174", message)
        .hint("connect with a client for WebSockets; single messages go to `POST /v1/chat`");
    Problem::new(status, fault)
}

/// The conversation of a socket.
struct Hello {
    conversation: Option<String>,
    user: Option<String>,
    /// Whether the sentences of a generated answer are sent before the answer.
    sentences: bool,
}

/// One socket and its client.
struct Talk {
    app: Arc<App>,
    right: Arc<PublicRight>,
    credentials: Option<Credentials>,
    caller: PublicCaller,
    address: Option<ClientAddress>,
    hello: Option<Hello>,
}

/// The outcome of a frame.
enum Answered {
    /// It is answered, or refused; the socket goes on.
    Yes,
    /// The credentials are no longer accepted.
    Refused(Problem),
    /// The client has gone.
    Gone(End),
}

impl Talk {
    async fn serve(mut self, mut socket: Socket) {
        let app = Arc::clone(&self.app);
        let _open = app.metrics.websockets.open();
        let end = loop {
            let answered = match socket.next().await {
                Received::Text(text) => {
                    // A socket may be open for hours, so each message has a trace of its own.
                    let span = of_work(&app, "websocket message", Kind::Server);
                    within(span.as_ref(), self.answer(&mut socket, text.as_bytes())).await
                }
                Received::Tick => match self.check().await {
                    Err(problem) if is_final(&problem) => Answered::Refused(problem),
                    _ => Answered::Yes,
                },
                Received::End(end) => break end,
            };
            match answered {
                Answered::Yes => {}
                Answered::Gone(end) => break end,
                Answered::Refused(problem) => {
                    let reason = problem.fault.message().to_owned();
                    if socket.send(error(&problem, None)).await.is_ok() {
                        socket.refuse(&reason).await;
                    }
                    break End::Policy;
                }
            }
        };
        app.metrics.websockets.ended(end);
    }

    /// Checks that the caller may still send messages.
    async fn check(&mut self) -> Result<(), Problem> {
        self.caller = self.right.admit(self.credentials.as_ref()).await?;
        Ok(())
    }

    /// Answers a frame.
    async fn answer(&mut self, socket: &mut Socket, frame: &[u8]) -> Answered {
        self.app.metrics.websockets.received.inc();
        let admitted = match self.check().await {
            Err(problem) if is_final(&problem) => return Answered::Refused(problem),
            Err(problem) => Err(problem),
            Ok(()) => once_more(&self.app, "chat", &self.caller, self.address).await,
        };
        let caller = self.caller.clone();
        let app = Arc::clone(&self.app);
        let exchange = Exchange::with(&app, "chat", &caller);
        let read = admitted.and_then(|()| parse_within::<Frame<'_>>(frame, app.sizes.depth));
        let message_id = match &read {
            Ok(Frame::Message { message_id: Some(id), .. }) => Some(id.0.to_string()),
            _ => None,
        };
        let answered = match read {
            Ok(Frame::Hello { conversation_id, user_id, resume_from, sentences }) => {
                let ids = [&conversation_id, &user_id].map(|id| id.as_ref().map(|id| &*id.0));
                self.begin(&exchange, socket, (ids, resume_from, sentences)).await
            }
            Ok(Frame::Message { text, language, button, use_knowledge, metadata, .. }) => {
                let [language, button] =
                    [&language, &button].map(|it| it.as_ref().map(|it| &*it.0));
                match KnowledgeUse::of(use_knowledge, metadata.as_ref()) {
                    Err(problem) => Err(problem.into()),
                    Ok(knowledge) => {
                        let ids = Ids { message: message_id.as_deref(), ..Ids::default() };
                        let message = Message {
                            ids,
                            text: &text.0,
                            language,
                            button,
                            knowledge,
                            is_given_back: false,
                            sentences: None,
                        };
                        self.turn(&exchange, socket, message).await
                    }
                }
            }
            Err(problem) => Err(problem.into()),
        };
        match answered {
            Ok(()) => Answered::Yes,
            Err(Broken::Gone(end)) => Answered::Gone(end),
            Err(Broken::Refused(Refusal(problem, arm))) => {
                exchange.count_refusal(&problem, arm);
                match socket.send(error(&problem, message_id.as_deref())).await {
                    Ok(()) => Answered::Yes,
                    Err(end) => Answered::Gone(end),
                }
            }
        }
    }

    /// Answers a message.
    async fn turn(
        &self,
        exchange: &Exchange<'_>,
        socket: &mut Socket,
        message: Message<'_>,
    ) -> Result<(), Broken> {
        let message_id = message.ids.message;
        let Some(hello) = &self.hello else {
            return Err(
                unfit("BOT-6175", Field::Named("type"), "the first frame is `hello`").into()
            );
        };
        let conversation = hello.conversation.as_deref();
        // Where nothing is stored, the id of a message only names its answer.
        let is_kept = self.app.conversations.is_some() && conversation.is_some();
        let message = Message {
            ids: Ids {
                conversation,
                message: message_id.filter(|_| is_kept),
                user: hello.user.as_deref(),
            },
            ..message
        };
        let answer = match hello.sentences {
            true => in_sentences(exchange, socket, (message, message_id)).await?,
            false => turn_engine::answer(exchange, &message).await.map_err(Broken::Refused)?,
        };
        let frame = answer_frame(&answer.body, (answer.number, message_id), answer.is_lost);
        socket.send(frame).await.map_err(Broken::Gone)
    }

    /// Begins the conversation: sends the answers that the client does not have, and the number of the last one.
    async fn begin(
        &mut self,
        exchange: &Exchange<'_>,
        socket: &mut Socket,
        ([conversation, user], resume_from, sentences): ([Option<&str>; 2], Option<i64>, bool),
    ) -> Result<(), Broken> {
        if self.hello.is_some() {
            let message = "`hello` was said before: another conversation needs another socket";
            return Err(unfit("BOT-6175", Field::Named("type"), message).into());
        }
        check_conversation(conversation)?;
        Ids { conversation, message: None, user }.check()?;
        let last = match (conversation, &self.app.conversations) {
            (Some(conversation), Some(settings)) => {
                let of = &settings.conversations;
                let named = of.named(conversation, user);
                let head = of.head(&named).await.map_err(|fault| self.store_failed(&fault))?;
                let mut from = resume_from.map_or(head.next(), |number| number.saturating_add(1));
                from = from.max(0);
                if head.next() - from > MOST_RESENT {
                    let message = format!("more than {MOST_RESENT} turns came after `resume_from`");
                    return Err(unfit("BOT-6175", Field::Named("resume_from"), message).into());
                }
                while from < head.next() {
                    let turns = of.turns(named.conversation, from, PAGE).await;
                    let turns = turns.map_err(|fault| self.store_failed(&fault))?;
                    let Some(last) = turns.last() else { break };
                    from = last.row.number + 1;
                    for stored in turns {
                        let Some(turn) = stored.turn.filter(|it| it.answer.starts_with('{')) else {
                            continue;
                        };
                        let ids = (Some(stored.row.number), turn.message_id.as_deref());
                        let frame = answer_frame(turn.answer.as_bytes(), ids, false);
                        socket.send(frame).await.map_err(Broken::Gone)?;
                    }
                }
                head.next().checked_sub(1).filter(|number| *number >= 0)
            }
            _ => None,
        };
        let (conversation, user) = (conversation.map(str::to_owned), user.map(str::to_owned));
        self.hello = Some(Hello { conversation, user, sentences });
        exchange.count_repeat();
        let ready = json!({"type": "ready", "number": last}).to_string();
        socket.send(ready).await.map_err(Broken::Gone)
    }

    /// Returns the problem of a store that failed. Places in the store are for the log, and not for clients.
    fn store_failed(&self, fault: &Fault) -> Problem {
        let message = format!("{}: {}", fault.code(), fault.message());
        self.app.log.event(self.app.clock.now(), "error", "conversations", message);
        let message = "the conversation could not be read";
        Fault::unreachable("BOT-6120", message).hint("say `hello` again").into()
    }
}

/// The reason for which a frame is not answered.
enum Broken {
    /// It is refused.
    Refused(Refusal),
    /// The client has gone.
    Gone(End),
}

impl From<Problem> for Broken {
    fn from(problem: Problem) -> Self {
        Self::Refused(problem.into())
    }
}

/// Answers a message, and sends the sentences of a generated answer as they come. Ends the work of the language model if the
/// client leaves.
async fn in_sentences(
    exchange: &Exchange<'_>,
    socket: &mut Socket,
    (message, message_id): (Message<'_>, Option<&str>),
) -> Result<TurnAnswer, Broken> {
    let frame = |text: String| {
        let mut frame = json!({ "type": "sentence", "text": text });
        if let Some(id) = message_id {
            frame["message_id"] = json!(id);
        }
        frame.to_string()
    };
    let (sender, mut checked) = unbounded_channel();
    let sentences = Sentences(sender);
    let message = Message { sentences: Some(&sentences), ..message };
    let mut answering = Box::pin(turn_engine::answer(exchange, &message));
    let answered = loop {
        tokio::select! {
            biased;
            Some(sentence) = checked.recv() => {
                socket.send_now(frame(sentence)).await.map_err(Broken::Gone)?;
            }
            answered = &mut answering => break answered,
            end = socket.gone() => return Err(Broken::Gone(end)),
        }
    };
    while let Ok(sentence) = checked.try_recv() {
        socket.send(frame(sentence)).await.map_err(Broken::Gone)?;
    }
    answered.map_err(Broken::Refused)
}

/// Returns whether a problem of credentials does not pass by itself.
fn is_final(problem: &Problem) -> bool {
    problem.fault.kind() != FaultKind::Unreachable
}

/// Returns the frame of an answer, a JSON object.
fn answer_frame(
    answer: &[u8],
    (number, message_id): (Option<i64>, Option<&str>),
    is_lost: bool,
) -> String {
    let answer = std::str::from_utf8(answer).unwrap_or_default();
    let members = answer.strip_prefix('{').unwrap_or("}");
    let mut frame = String::with_capacity(answer.len() + 96);
    frame.push_str("{\"type\":\"answer\"");
    if let Some(id) = message_id {
        frame.push_str(",\"message_id\":");
        frame.push_str(&json!(id).to_string());
    }
    if let Some(number) = number {
        frame.push_str(&format!(",\"number\":{number}"));
    }
    if is_lost {
        frame.push_str(",\"stored\":false");
    }
    if members != "}" {
        frame.push(',');
    }
    frame.push_str(members);
    frame
}

/// Returns the frame of a problem.
fn error(problem: &Problem, message_id: Option<&str>) -> String {
    let mut frame = json!(problem.document());
    frame["type"] = json!("error");
    frame["urn"] = json!(format!("urn:botops:{}", problem.fault.code()));
    if let Some(id) = message_id.filter(|id| id.len() <= MAX_ID_BYTES) {
        frame["message_id"] = json!(id);
    }
    if let Some(time) = problem.retry_after {
        frame["retry_after"] = json!(time.as_secs() + u64::from(time.subsec_nanos() > 0));
    }
    frame.to_string()
}
