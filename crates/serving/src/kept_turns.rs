//! The turns of `/v1/chat`: stored before they are answered, once for each message, and erased when they are old.

use crate::{
    app::App,
    conversation_settings::{ConversationSettings, OnStoreFailure},
    exchange::{Exchange, MAX_ID_BYTES, unfit},
    pointer::Field,
    problem::Problem,
    turn_order::MyTurn,
};
use axum::{
    http::{HeaderName, HeaderValue, StatusCode},
    response::Response,
};
use botops_conversations::{Head, Id, Named, Recorded, StoredTurn, Turn};
use botops_findings::{Fault, FaultKind};
use botops_telemetry::timed_wait;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::watch;

/// Says that a turn is not stored, though it was answered.
const X_STORED: HeaderName = HeaderName::from_static("x-botops-stored");
/// The place of the message id in the body.
const MESSAGE_ID: Field = Field::Named("message_id");
/// How often a turn is appended again because another one came first.
const TRIES: usize = 32;
/// The time between two erasures of old turns.
const ERASURE: Duration = Duration::from_secs(3_600);

/// The ids that a client gave with a message.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Ids<'a> {
    /// The conversation.
    pub(super) conversation: Option<&'a str>,
    /// The message.
    pub(super) message: Option<&'a str>,
    /// The person.
    pub(super) user: Option<&'a str>,
}

impl Ids<'_> {
    /// Checks the ids of the message and the person.
    ///
    /// # Errors
    /// 422 if one is empty or too long, or there is no conversation.
    pub(super) fn check(&self) -> Result<(), Problem> {
        for (field, id) in [(MESSAGE_ID, self.message), (Field::Named("user_id"), self.user)] {
            let Some(id) = id else { continue };
            if id.is_empty() || id.len() > MAX_ID_BYTES {
                let message = format!(
                    "`{}` must have 1 to {MAX_ID_BYTES} bytes, not {}",
                    name(field),
                    id.len()
                );
                return Err(unfit("BOT-6124", field, message));
            }
            if self.conversation.is_none() {
                let message = format!("`{}` needs a `conversation_id`", name(field));
                return Err(unfit("BOT-6124", field, message));
            }
        }
        Ok(())
    }
}

/// Returns the name of a member.
fn name(field: Field) -> &'static str {
    match field {
        Field::Named(name) => name,
        _ => "the body",
    }
}

/// The turn of a message, before it is stored.
pub(super) struct NewTurn<'a> {
    pub(super) settings: &'a ConversationSettings,
    pub(super) named: Named,
    pub(super) message_id: Option<&'a str>,
    /// The end of the conversation; `None` if the store failed, and the message is answered all the same.
    pub(super) head: Option<Head>,
    /// How often it was appended.
    tries: usize,
    /// When it was appended first.
    begun: Option<(Instant, i64)>,
    /// No other message of the conversation is answered by this server until this one is stored.
    turn: Option<MyTurn>,
}

/// The begin of a turn.
pub(super) enum Begun<'a> {
    /// It is not stored: there is no conversation, or the server keeps none.
    Unkept,
    /// The message came before, and its turn is stored.
    Known(NewTurn<'a>, Box<StoredTurn>),
    /// It is stored before it is answered.
    New(NewTurn<'a>),
}

/// The outcome of appending a turn.
pub(super) enum Appended {
    /// It is stored, as turn `number` of its conversation, under this id.
    Written { number: i64, id: Id },
    /// It is not, and the message is answered all the same.
    Lost,
    /// The message came before, and its turn is stored.
    Known(Box<StoredTurn>),
    /// Another turn came first: the end of the conversation is another one now.
    Moved,
}

impl<'a> NewTurn<'a> {
    /// Begins the turn of the message `text`.
    ///
    /// # Errors
    /// `BOT-6124` (422) a message id where the server keeps no conversations; `BOT-6121` (409) the message id was used for
    /// another text; `BOT-6122` (409) too many messages of the conversation wait; `BOT-6120` (503) the store failed.
    pub(super) async fn begin(
        exchange: &Exchange<'a>,
        ids: Ids<'a>,
        text: &str,
    ) -> Result<Begun<'a>, Problem> {
        let Some(conversation) = ids.conversation else { return Ok(Begun::Unkept) };
        let app = exchange.app;
        let Some(settings) = &app.conversations else {
            return match ids.message {
                Some(_) => {
                    let message =
                        "this server keeps no conversations, so a message cannot be repeated";
                    Err(unfit("BOT-6124", MESSAGE_ID, message))
                }
                None => Ok(Begun::Unkept),
            };
        };
        let of = &settings.conversations;
        let named = of.named(conversation, ids.user);
        let turn = app.turn_order.wait(named.conversation).await?;
        let read = async {
            let head = of.head(&named).await?;
            let known = match ids.message {
                Some(id) => of.known(&named, &head, (id, text)).await?,
                None => None,
            };
            Ok((head, known))
        };
        let new = |head, turn| {
            let message_id = ids.message;
            Self { settings, named, message_id, head, tries: 0, begun: None, turn }
        };
        let read = timed_wait("store", read).await;
        if read.is_ok() {
            answers_again(app);
        }
        match read {
            Ok((head, Some(known))) => Ok(Begun::Known(new(Some(head), None), Box::new(known))),
            Ok((head, None)) => Ok(Begun::New(new(Some(head), Some(turn)))),
            Err(fault) => {
                failed(app, settings, fault)?;
                Ok(Begun::New(new(None, None)))
            }
        }
    }

    /// Reads the end of the conversation from the store again.
    ///
    /// # Errors
    /// `BOT-6120` (503) the store failed.
    pub(super) async fn look_again(&mut self, app: &App) -> Result<(), Problem> {
        match self.settings.conversations.stored_head(&self.named).await {
            Ok(head) => self.head = Some(head),
            Err(fault) => self.give_up(app, fault)?,
        }
        Ok(())
    }

    /// Goes on without the store, if the server answers all the same.
    ///
    /// # Errors
    /// `BOT-6120` (503) if it does not.
    pub(super) fn give_up(&mut self, app: &App, fault: Fault) -> Result<(), Problem> {
        failed(app, self.settings, fault)?;
        self.head = None;
        self.turn = None;
        Ok(())
    }

    /// Lets other messages of the conversation be answered before this one is stored: a language model may take long.
    pub(super) fn let_others_pass(&mut self) {
        self.turn = None;
    }

    /// Appends `turn` to the end of the conversation. `open` says that a call of the turn is under way.
    ///
    /// # Errors
    /// `BOT-6121`, `BOT-6122` (409) others came first again and again, `BOT-6128` (422) it is too large, `BOT-6120` (503)
    /// the store failed.
    pub(super) async fn append(
        &mut self,
        app: &App,
        turn: &Turn,
        open: bool,
    ) -> Result<Appended, Problem> {
        let Some(head) = &self.head else { return Ok(Appended::Lost) };
        let (begun, at) =
            *self.begun.get_or_insert_with(|| (Instant::now(), app.clock.now().timestamp_millis()));
        self.tries += 1;
        if self.tries > TRIES {
            let message = "others spoke in this conversation at the same time, again and again";
            return Err(Fault::conflict("BOT-6122", message).hint("send the message again").into());
        }
        let number = head.next();
        let of = &self.settings.conversations;
        let appended = of.append(&self.named, head, (turn, open, at));
        match timed_wait("store", appended).await {
            Ok(Recorded::Written(id)) => {
                app.metrics.turns.stored.inc();
                app.metrics.turns.seconds.observe(begun.elapsed().as_secs_f64());
                // What the turn calls is called without it: that may take long, and the next message says so.
                self.turn = None;
                Ok(Appended::Written { number, id })
            }
            Ok(Recorded::Known(known)) => Ok(Appended::Known(known)),
            Ok(Recorded::Moved(moved)) => {
                self.head = Some(*moved);
                Ok(Appended::Moved)
            }
            Err(fault) => {
                self.give_up(app, fault)?;
                Ok(Appended::Lost)
            }
        }
    }
}

/// Marks the answer to a message whose turn is lost.
pub(super) fn mark_unstored(response: &mut Response) {
    response.headers_mut().insert(X_STORED, HeaderValue::from_static("false"));
}

/// Decides on a message whose turn cannot be read or stored: it is refused, unless the server answers all the same.
///
/// # Errors
/// The fault itself if it is the request's; `BOT-6120` (503) if the store failed and the server refuses.
pub(super) fn failed(
    app: &App,
    settings: &ConversationSettings,
    fault: Fault,
) -> Result<(), Problem> {
    if matches!(fault.code(), "BOT-6121" | "BOT-6128") {
        return Err(fault.into());
    }
    // While the store fails, every message comes here: the log says so once.
    if app.metrics.turns.answers(false) {
        let message = format!("{}: {}", fault.code(), fault.message());
        app.log.event(app.clock.now(), "error", "conversations", message);
    }
    match settings.on_store_failure {
        OnStoreFailure::Answer => {
            app.metrics.turns.lost.inc();
            Ok(())
        }
        OnStoreFailure::Refuse => {
            app.metrics.turns.refused.inc();
            // Places in the store are for the log, and not for clients.
            let message = "the turn could not be stored, so it is not answered";
            let fault = Fault::unreachable("BOT-6120", message)
                .hint("send the message again, with the same `message_id`");
            let problem = Problem::new(StatusCode::SERVICE_UNAVAILABLE, fault);
            Err(problem.retry_after(Duration::from_secs(1)))
        }
    }
}

/// Notes that the store of conversations answered; the log says so if it failed before.
fn answers_again(app: &App) {
    if app.metrics.turns.answers(true) {
        let message = "the store of conversations answers again".to_owned();
        app.log.event(app.clock.now(), "info", "conversations", message);
    }
}

/// Erases old turns, now and then, until `stopped`. `times` divides the wait.
pub(super) async fn erase_old_turns(app: Arc<App>, times: u32, mut stopped: watch::Receiver<bool>) {
    let Some(settings) = &app.conversations else { return };
    loop {
        let expired = settings.conversations.expire(app.clock.now(), settings.retention).await;
        let now = app.clock.now();
        match expired {
            Ok(erased) if erased.turns > 0 => {
                app.metrics.turns.expired.inc_by(erased.turns);
                let message = format!("{} old turns are erased", erased.turns);
                app.log.event(now, "info", "conversations", message);
            }
            Ok(_) => answers_again(&app),
            Err(fault) => {
                let _ = app.metrics.turns.answers(false);
                let level =
                    if fault.kind() == FaultKind::Unreachable { "warning" } else { "error" };
                let message = format!("old turns: {}: {}", fault.code(), fault.message());
                app.log.event(now, level, "conversations", message);
            }
        }
        tokio::select! {
            () = tokio::time::sleep(ERASURE / times.max(1)) => {}
            _ = stopped.wait_for(|stopped| *stopped) => return,
        }
    }
}
