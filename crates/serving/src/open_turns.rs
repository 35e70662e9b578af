//! Open turns: an action whose outcome is to be stored, by whoever called it or by the next message.
//!
//! The intent to call is stored with the turn before the call is made. A process that dies in between leaves the turn open:
//! from the time on at which the action must have ended, the outcome is unknown, and a person takes the conversation over.

use crate::{
    app::App,
    handoffs::{self, HandOff},
    kept_turns::{NewTurn, failed},
    problem::Problem,
    routing::Served,
    turn_answer::{Answer, Bodies},
};
use axum::http::StatusCode;
use botops_conversations::{Id, Named, StoredTurn, Turn};
use botops_dialogue::{
    ActionCall, ActionOutcome, Awaited, DialogueState, Effect, HandOffCall, Step,
};
use botops_findings::{Fault, Result as FaultResult};
use botops_telemetry::timed_wait;
use chrono::{DateTime, TimeDelta, Utc};
use std::{sync::Arc, time::Duration};

/// The code of an action whose outcome is unknown.
const UNKNOWN_OUTCOME: &str = "BOT-6152";

/// The number of the last turns among which hand-offs that are still open are searched for.
const SEARCHED_TURNS: u32 = 20;
/// The name that a log event of an action has.
const EVENT: &str = "action";

/// A turn whose action is called, and all that is needed to store its outcome.
pub(super) struct OpenTurn {
    /// The server.
    pub(super) app: Arc<App>,
    /// The model that decides on the outcome.
    pub(super) served: Arc<Served>,
    /// The client's id of the conversation, and its names.
    pub(super) conversation: (String, Named),
    /// The number of the turn, and its id.
    pub(super) at: (i64, Id),
    /// The call.
    pub(super) call: ActionCall,
    /// The state before the call.
    pub(super) state: DialogueState,
    /// The answer so far.
    pub(super) answer: Answer,
    /// The turn as it is stored.
    pub(super) turn: Turn,
}

/// The end of an open turn.
pub(super) enum Ended {
    /// The outcome is stored, and this is the answer.
    Stored(Bodies),
    /// It is not stored, and this is the answer all the same.
    Lost(Bodies),
    /// Somebody else had stored an outcome: this one.
    Before(Box<StoredTurn>),
}

impl OpenTurn {
    /// Calls the action, stores its outcome, and returns the answer.
    ///
    /// # Errors
    /// `BOT-6120` (503) the outcome could not be stored.
    pub(super) async fn finish(self) -> Result<Ended, Problem> {
        let Self { app, served, conversation: (client_id, named), at, call, state, answer, turn } =
            self;
        let now = app.clock.now();
        let (outcome, reason) = app.outgoing.act(&call, at.1, now.timestamp()).await;
        count(&app, (&call.action, &outcome, reason));
        let now = app.clock.now();
        let step = served.dialogue.after_call(&state, &outcome, now);
        let step_hands_off = matches!(step.effect, Some(Effect::HandOff(_)));
        let (bodies, turn, hand_off) = after(step, answer, turn);
        let Some(settings) = &app.conversations else { return Ok(Ended::Lost(bodies)) };
        let open = hand_off.is_some();
        let of = &settings.conversations;
        let settled = timed_wait("store", of.settle(&named, at, (&turn, open))).await;
        let ended = match settled {
            Ok(true) => Ended::Stored(bodies),
            Ok(false) => match of.turn(&named, at.0).await {
                Ok(Some(stored)) if stored.row.turn == at.1 => {
                    return Ok(Ended::Before(Box::new(stored)));
                }
                // It was erased meanwhile.
                Ok(_) => Ended::Lost(bodies),
                Err(fault) => {
                    failed(&app, settings, fault)?;
                    Ended::Lost(bodies)
                }
            },
            Err(fault) => {
                failed(&app, settings, fault)?;
                Ended::Lost(bodies)
            }
        };
        if step_hands_off {
            app.observer.trouble(&client_id, app.clock.now(), true);
        }
        if let Some(call) = hand_off {
            handoffs::deliver(&app, HandOff { client_id, named, at, call, turn });
        }
        Ok(ended)
    }
}

/// Counts the outcome of an action, and logs one that is no answer.
fn count(app: &App, (action, outcome, reason): (&str, &ActionOutcome, &str)) {
    let turns = &app.metrics.turns;
    let (counter, level) = match outcome {
        ActionOutcome::Answered(_) => {
            turns.actions_answered.inc();
            return;
        }
        ActionOutcome::Refused { .. } => (&turns.actions_refused, "info"),
        ActionOutcome::Failed => (&turns.actions_failed, "warning"),
        ActionOutcome::Unknown => (&turns.actions_unknown, "warning"),
    };
    counter.inc();
    let name = botops_text::display(action, 60);
    let message = match outcome {
        ActionOutcome::Unknown => {
            format!("{UNKNOWN_OUTCOME}: the outcome of the action of `{name}` is unknown: {reason}")
        }
        ActionOutcome::Refused { status } => {
            format!("the action of `{name}` was refused with status {status}")
        }
        _ => format!("the action of `{name}` was not called: {reason}"),
    };
    app.log.event(app.clock.now(), level, EVENT, message);
}

/// Returns the answer and the turn after an outcome, and the hand-off that follows from it.
fn after(step: Step, mut answer: Answer, turn: Turn) -> (Bodies, Turn, Option<HandOffCall>) {
    let Step { state, reply, effect, .. } = step;
    let language = reply.language.clone();
    answer.reply(reply, Some(&state));
    let intent = (!answer.fallback).then(|| answer.intent.clone());
    let bodies = answer.write();
    let turn = Turn { answer: bodies.kept(), slots: state.stored(), language, intent, ..turn };
    let hand_off = match effect {
        Some(Effect::HandOff(call)) => call.webhook.is_some().then_some(call),
        // An outcome is the end of a turn.
        Some(Effect::Call(_)) | None => None,
    };
    (bodies, turn, hand_off)
}

/// Returns until when an action of the stored turn is under way; `None` if it awaits none.
fn awaits_until(stored: &StoredTurn) -> FaultResult<Option<(DialogueState, DateTime<Utc>)>> {
    let Some(turn) = stored.turn.as_ref().filter(|_| stored.row.open) else { return Ok(None) };
    let at = DateTime::from_timestamp_millis(stored.row.at).unwrap_or_default();
    let state = DialogueState::read(&turn.slots, at)?;
    let until = match state.awaited {
        Some(Awaited::Action { until, .. }) => until,
        _ => return Ok(None),
    };
    Ok(Some((state, until)))
}

/// Stores an outcome of the action of `stored`, if whoever called it must have stopped: unknown, unless the action may be
/// repeated. Returns the turn as it is stored then.
///
/// # Errors
/// `BOT-6153` (409) the action may be under way; `BOT-6120` (503) the store failed.
pub(super) async fn recover(
    app: &Arc<App>,
    (served, client_id): (&Served, &str),
    new: &mut NewTurn<'_>,
    stored: StoredTurn,
) -> Result<StoredTurn, Problem> {
    let awaited = match awaits_until(&stored) {
        Ok(Some(awaited)) => awaited,
        Ok(None) => return Ok(stored),
        Err(fault) => {
            new.give_up(app, fault)?;
            return Ok(stored);
        }
    };
    let (state, until) = awaited;
    let now = app.clock.now();
    if now < until {
        return Err(under_way(until - now));
    }
    let StoredTurn { row, turn } = stored;
    let turn = turn.unwrap_or_default();
    let action = match &state.awaited {
        Some(Awaited::Action { intent, .. }) => intent.as_str(),
        _ => "?",
    };
    let pending = served.dialogue.pending_call(&state).filter(|call| call.idempotent);
    let (outcome, reason) = match pending {
        Some(call) => app.outgoing.act(&call, row.turn, now.timestamp()).await,
        None => (ActionOutcome::Unknown, "the server that called it stopped"),
    };
    count(app, (action, &outcome, reason));
    let step = served.dialogue.after_call(&state, &outcome, app.clock.now());
    let Ok(answer) = serde_json::from_str::<Answer>(&turn.answer) else {
        let fault = Fault::data("BOT-6123", "the answer of a stored turn cannot be read");
        new.give_up(app, fault)?;
        return Ok(StoredTurn { row, turn: Some(turn) });
    };
    let (_, turn, hand_off) = after(step, answer, turn);
    let at = (row.number, row.turn);
    let open = hand_off.is_some();
    let of = &new.settings.conversations;
    match of.settle(&new.named, at, (&turn, open)).await {
        Ok(true) => {
            if let Some(call) = hand_off {
                let turn = turn.clone();
                let (client_id, named) = (client_id.to_owned(), new.named);
                handoffs::deliver(app, HandOff { client_id, named, at, call, turn });
            }
            new.look_again(app).await?;
            Ok(StoredTurn { row, turn: Some(turn) })
        }
        Ok(false) => {
            // Another server stored an outcome.
            let found = of.turn(&new.named, at.0).await;
            new.look_again(app).await?;
            match found {
                Ok(Some(found)) => Ok(found),
                Ok(None) => Ok(StoredTurn { row, turn: Some(turn) }),
                Err(fault) => {
                    new.give_up(app, fault)?;
                    Ok(StoredTurn { row, turn: Some(turn) })
                }
            }
        }
        Err(fault) => {
            new.give_up(app, fault)?;
            Ok(StoredTurn { row, turn: Some(turn) })
        }
    }
}

/// Ends the open turn at the end of the conversation of `new`, if there is one.
///
/// # Errors
/// As [`recover`].
pub(super) async fn recover_last(
    app: &Arc<App>,
    (served, client_id): (&Served, &str),
    new: &mut NewTurn<'_>,
) -> Result<(), Problem> {
    let open = new.head.as_ref().filter(|head| head.is_open()).and_then(|head| head.last());
    let Some((number, _)) = open else { return Ok(()) };
    match new.settings.conversations.turn(&new.named, number).await {
        Ok(Some(stored)) if stored.row.open => {
            recover(app, (served, client_id), new, stored).await?;
        }
        // It was settled by another server, or erased.
        Ok(_) => new.look_again(app).await?,
        Err(fault) => new.give_up(app, fault)?,
    }
    Ok(())
}

/// Delivers the hand-offs of a conversation that are still open: the process that stored them stopped.
pub(super) async fn hand_off_again(
    app: &Arc<App>,
    (served, client_id): (&Served, &str),
    new: &NewTurn<'_>,
) {
    let Some((last, _)) = new.head.as_ref().and_then(|head| head.last()) else { return };
    let of = &new.settings.conversations;
    let Ok(turns) = of.last_turns(&new.named, last, SEARCHED_TURNS).await else { return };
    for StoredTurn { row, turn } in turns.into_iter().filter(|turn| turn.row.open) {
        let Some(turn) = turn else { continue };
        let at = DateTime::from_timestamp_millis(row.at).unwrap_or_default();
        let Ok(state) = DialogueState::read(&turn.slots, at) else { continue };
        let Some(handed_off) = state.handed_off else { continue };
        let slots = state.slot_values().into_iter();
        let call = HandOffCall {
            webhook: served.hand_off_webhook(),
            reason: handed_off.reason,
            intent: turn.intent.clone(),
            slots: slots.map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
        };
        let (client_id, named) = (client_id.to_owned(), new.named);
        let at = (row.number, row.turn);
        handoffs::deliver(app, HandOff { client_id, named, at, call, turn });
    }
}

/// The problem of a message in a conversation whose action is under way for at most `left`.
fn under_way(left: TimeDelta) -> Problem {
    let message = "an action of the message before is under way";
    let fault = Fault::conflict("BOT-6153", message).hint("send the message again in a moment");
    let left = left.to_std().unwrap_or_default().min(Duration::from_secs(1));
    Problem::new(StatusCode::CONFLICT, fault).retry_after(left)
}
