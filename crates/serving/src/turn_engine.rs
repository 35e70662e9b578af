//! The turn engine: one message of a user becomes one answer, whatever carried it.
//!
//! [`answer`] checks the message, reads its conversation, classifies, decides, stores the turn, and counts the answer. Who
//! calls it only reads the message from its transport, and writes the answer or the refusal to it. A refusal is not counted
//! here: the transport does that when it writes it, see [`Exchange::count_refusal`].
//!
//! A plain dialogue answers each message alone. Any other one decides on the state that the last turn left: it is read with
//! the end of the conversation, and stored with the turn. When another turn came first, it decides again, on the new state.

use crate::{
    admission::by_conversation,
    attempt::{Attempt, Refusal},
    exchange::{Exchange, MAX_ID_BYTES, ShownVersion, check_conversation, unfit},
    handoffs::{self, HandOff},
    kept_turns::{Appended, Begun, Ids, NewTurn},
    knowledge_answer::Said,
    knowledge_filter::KnowledgeUse,
    knowledge_turn::TurnKnowledge,
    metrics::arm_name,
    open_turns::{self, Ended, OpenTurn},
    pointer::Field,
    prediction_log::{Details, details_of},
    problem::{Problem, internal},
    repeated_turn::{Repeated, name_of_caller},
    speed::Panicked,
    turn_answer::Answer,
    turn_cost::cost_in_bytes,
    written_answer::Sentences,
};
use botops_conversations::{Head, Id, Named, StoredTurn, Turn};
use botops_dialogue::{
    ActionCall, ActionOutcome, DialogueState, Effect, Entities, Entity, Found, Lookup, Moment,
    Step, Understood, is_rephrase,
};
use botops_findings::Result as FaultResult;
use botops_models::Prediction;
use botops_telemetry::{carry, timed};
use botops_text::Language;
use chrono::{DateTime, Utc};
use serde_json::Value;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

/// The longest time of the search for entities in one message. The patterns of a support bot take microseconds.
pub(super) const ENTITY_TIME: Duration = Duration::from_millis(50);
/// The number of intents that a dialogue of several turns looks at.
const RANKED: usize = 5;
/// The longest payload of a button, in bytes.
const MAX_BUTTON_BYTES: usize = 4 * MAX_ID_BYTES;

/// The place of the message in the body.
const TEXT: Field = Field::Named("text");

/// A message of a user, as it came.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Message<'a> {
    /// The client's names of the conversation, the message and the person.
    pub(super) ids: Ids<'a>,
    /// The text.
    pub(super) text: &'a str,
    /// The language that the answer shall have.
    pub(super) language: Option<&'a str>,
    /// The payload of the button that the user pressed instead of typing.
    pub(super) button: Option<&'a str>,
    /// The knowledge that may answer it.
    pub(super) knowledge: KnowledgeUse<'a>,
    /// Whether a person who had the conversation gave it back with this message.
    pub(super) is_given_back: bool,
    /// Takes the sentences of a generated answer before its end.
    pub(super) sentences: Option<&'a Sentences>,
}

/// The answer to a message.
pub(super) struct TurnAnswer {
    /// The answer: a JSON object.
    pub(super) body: Vec<u8>,
    /// The number of the turn in its conversation, from 0; `None` if it is not stored.
    pub(super) number: Option<i64>,
    /// Whether the server keeps conversations and could not store this turn.
    pub(super) is_lost: bool,
    /// The version that answered, if the caller may see it.
    pub(super) shown: Option<ShownVersion>,
}

/// Checks a message, as far as that is possible without reading anything else.
///
/// # Errors
/// 422 if the text, an id or the payload of a button is empty or too long.
fn check(exchange: &Exchange<'_>, message: &Message<'_>) -> Result<(), Problem> {
    exchange.app.sizes.check_text(message.text, TEXT)?;
    check_conversation(message.ids.conversation)?;
    message.ids.check()?;
    match message.button {
        Some(payload) if payload.is_empty() || payload.len() > MAX_BUTTON_BYTES => {
            let most = MAX_BUTTON_BYTES;
            let text =
                format!("`button` must have 1 to {most} bytes, but this one has {}", payload.len());
            Err(unfit("BOT-6013", Field::Named("button"), text))
        }
        _ => Ok(()),
    }
}

/// A message as the model and the parsers understood it.
struct Heard<'m> {
    message: &'m Message<'m>,
    at: DateTime<Utc>,
    prediction: Prediction,
    /// The likeliest intents with their probabilities; empty for a plain dialogue.
    ranking: Vec<(usize, f64)>,
    entities: Vec<Entity>,
    entities_cut: bool,
    language: Option<Language<'m>>,
    /// The time of the request until it was understood.
    duration: Duration,
    /// The token for feedback on the answer.
    feedback_token: Option<String>,
    /// The details for the prediction log; `None` if there is no log.
    details: Option<Details>,
    /// Whether the user says the same again.
    is_rephrased: bool,
    knowledge: TurnKnowledge<'m>,
}

impl Heard<'_> {
    /// Takes what the prediction log holds of the message besides the prediction; `None` if there is no log.
    fn details(&mut self) -> Option<Details> {
        let mut details = self.details.take()?;
        details.entities = self.entities.iter().map(|entity| entity.entity.clone()).collect();
        match self.language {
            Some(Language::Declared(tag)) => details.declared = Some(tag.to_owned()),
            Some(Language::Guessed(guess)) => details.guessed = Some(guess.code().to_owned()),
            None => {}
        }
        Some(details)
    }
}

/// The decision on a message.
struct Decided {
    answer: Answer,
    /// The slots to store; `None` for those of the turn before.
    slots: Option<Value>,
    /// The state before a call.
    state: DialogueState,
    effect: Option<Effect>,
}

impl Decided {
    /// Returns whether the turn is stored as open: something is to be done, and its end to be stored.
    fn is_open(&self) -> bool {
        match &self.effect {
            Some(Effect::Call(_)) => true,
            Some(Effect::HandOff(call)) => call.webhook.is_some(),
            None => false,
        }
    }
}

/// A turn that is stored.
struct Placed {
    named: Named,
    /// Its number and its id.
    at: (i64, Id),
    turn: Turn,
}

/// Answers `message`, and counts the answer.
///
/// # Errors
/// 422 if the message cannot be used, 429 if its conversation sends too many, 409 if its id was used for another text or an
/// action of the message before is under way, 503 if the store failed or the server is overloaded. The caller counts the
/// refusal.
pub(super) async fn answer(
    exchange: &Exchange<'_>,
    message: &Message<'_>,
) -> Result<TurnAnswer, Refusal> {
    check(exchange, message)?;
    let Message { ids, text, .. } = *message;
    by_conversation(exchange, ids.conversation).await?;

    let routing = exchange.routing()?;
    let mut kept = match NewTurn::begin(exchange, ids, text).await? {
        Begun::Unkept => None,
        Begun::New(new) => Some(new),
        Begun::Known(mut new, known) => {
            let attempt = Attempt::new(exchange, &routing, ids.conversation);
            return Ok(repeated(&attempt, &mut new, *known, ids).await?);
        }
    };
    let attempt = Attempt::new(exchange, &routing, ids.conversation);
    let served = attempt.choice.served;
    if let (Some(new), false) = (&mut kept, served.dialogue.is_plain()) {
        prepare(&attempt, new, ids).await?;
    }
    let work = || {
        let mut heard = hear(&attempt, message)?;
        let mut decided = decide(&attempt, &mut heard, kept.as_ref())?;
        if !heard.knowledge.is_waiting() {
            judge(&attempt, &mut heard, &mut decided, kept.as_ref());
        }
        Ok::<_, Refusal>((heard, decided))
    };
    let n_bytes = cost_in_bytes(text, served.dialogue.n_patterns());
    let (mut heard, mut decided) = exchange.take_turn(served.speed(), n_bytes, work).await??;
    let arm = Some(attempt.choice.arm);
    let refuse = |problem| Refusal(problem, arm);
    if heard.knowledge.is_waiting() {
        if let (Some(new), Some(_)) = (&mut kept, heard.knowledge.to_complete(exchange.app)) {
            new.let_others_pass();
        }
        heard.knowledge.complete(exchange.app, kept.as_ref()).await;
        let search = || {
            let mut decided = decide(&attempt, &mut heard, kept.as_ref())?;
            judge(&attempt, &mut heard, &mut decided, kept.as_ref());
            Ok::<_, Problem>(decided)
        };
        let (speed, n_bytes) = served.knowledge.cost(text);
        let searched = exchange.take_turn(speed, n_bytes, search).await;
        decided = searched.flatten().map_err(refuse)?;
    }
    if !decided.answer.sources.is_empty() && heard.knowledge.to_write(exchange.app).is_some() {
        if let Some(new) = &mut kept {
            new.let_others_pass();
        }
        heard.knowledge.write(exchange.app, kept.as_ref(), message.sentences).await;
        decided = decide(&attempt, &mut heard, kept.as_ref()).map_err(refuse)?;
    }
    let mut is_lost = false;
    let placed = loop {
        let Some(new) = &mut kept else { break None };
        let turn = turn(&attempt, &heard, &decided, new);
        match new.append(exchange.app, &turn, decided.is_open()).await.map_err(refuse)? {
            Appended::Written { number, id } => {
                break Some(Placed { named: new.named, at: (number, id), turn });
            }
            Appended::Lost => {
                is_lost = true;
                break None;
            }
            Appended::Known(known) => {
                return repeated(&attempt, new, *known, ids).await.map_err(refuse);
            }
            Appended::Moved if served.dialogue.is_plain() => {
                decided = decide(&attempt, &mut heard, Some(new)).map_err(refuse)?;
            }
            Appended::Moved => {
                prepare(&attempt, new, ids).await.map_err(refuse)?;
                decided = decide(&attempt, &mut heard, Some(new)).map_err(refuse)?;
            }
        }
    };
    attempt.mirror([(text, &heard.prediction)]);
    let counted = counted(&heard, &decided);
    let number = placed.as_ref().map(|placed| placed.at.0);
    let mut details = heard.details();
    if let Some(details) = &mut details {
        details.knowledge = heard.knowledge.record(&decided.answer.sources);
    }
    let is_with_person = decided.state.handed_off.is_some();
    let carried_out = match placed {
        None => Ok((is_lost, is_with_person, alone(&attempt, decided).write().body)),
        Some(placed) => {
            let client_id = ids.conversation.unwrap_or_default().to_owned();
            carry_out(&attempt, decided, placed, client_id).await
        }
    };
    if let Some(mut details) = details {
        details.handed_off = carried_out.as_ref().map_or(is_with_person, |done| done.1);
        details.unresolved = counted.fallback || heard.is_rephrased || details.handed_off;
        attempt.log(("chat", 0, text), (&heard.prediction, details), heard.duration);
    }
    let (is_lost, _, body) = carried_out.map_err(refuse)?;
    let shown = exchange.count_answer(&attempt.choice, 1, &counted, heard.duration);
    Ok(TurnAnswer { body, number, is_lost, shown })
}

/// Counts the decision for the judge, and makes the token for feedback on it.
///
/// The latency that the judge compares ends here, for both arms: the store and a language model are the same for both.
fn judge(
    attempt: &Attempt<'_>,
    heard: &mut Heard<'_>,
    decided: &mut Decided,
    new: Option<&NewTurn<'_>>,
) {
    heard.duration = attempt.exchange.elapsed().saturating_sub(heard.knowledge.waited);
    let judged = attempt.predicted(&counted(heard, decided), heard.duration);
    let judged_answer = (decided.answer.intent.as_str(), decided.answer.fallback);
    heard.feedback_token = attempt.feedback_token(judged_answer, judged);
    decided.answer.feedback_token.clone_from(&heard.feedback_token);
    let is_handed_off = matches!(decided.effect, Some(Effect::HandOff(_)));
    heard.is_rephrased = new.is_some_and(|new| is_rephrased(heard, new));
    if is_handed_off || heard.is_rephrased {
        attempt.trouble(is_handed_off);
    }
}

/// Returns the prediction as it is counted: in a dialogue of several turns, an answer to a question of the bot is understood
/// though the model declines.
fn counted(heard: &Heard<'_>, decided: &Decided) -> Prediction {
    Prediction { fallback: decided.answer.fallback, ..heard.prediction }
}

/// Ends what the turns before left open.
async fn prepare(
    attempt: &Attempt<'_>,
    new: &mut NewTurn<'_>,
    ids: Ids<'_>,
) -> Result<(), Problem> {
    let (app, served) = (attempt.exchange.app.shared(), attempt.choice.served);
    let client_id = ids.conversation.unwrap_or_default();
    open_turns::recover_last(&app, (served, client_id), new).await?;
    match state(new) {
        Ok(state) if state.handed_off.is_some() => {
            open_turns::hand_off_again(&app, (served, client_id), new).await;
        }
        Ok(_) => {}
        Err(fault) => new.give_up(&app, fault)?,
    }
    Ok(())
}

/// Returns the answer that the same message got before.
async fn repeated(
    attempt: &Attempt<'_>,
    new: &mut NewTurn<'_>,
    known: StoredTurn,
    ids: Ids<'_>,
) -> Result<TurnAnswer, Problem> {
    let (exchange, served) = (attempt.exchange, attempt.choice.served);
    let known = match served.dialogue.is_plain() {
        true => known,
        false => {
            let app = exchange.app.shared();
            let client_id = ids.conversation.unwrap_or_default();
            open_turns::recover(&app, (served, client_id), new, known).await?
        }
    };
    exchange.app.metrics.turns.repeated.inc();
    exchange.count_repeat();
    let Repeated { number, body, shown } = Repeated::of(exchange, known);
    Ok(TurnAnswer { body, number: Some(number), is_lost: false, shown })
}

/// Carries out what the dialogue asks for, once the turn is stored. Returns whether the end could not be stored, whether the
/// conversation is with a person then, and the body of the answer.
async fn carry_out(
    attempt: &Attempt<'_>,
    decided: Decided,
    placed: Placed,
    client_id: String,
) -> Result<(bool, bool, Vec<u8>), Problem> {
    let Decided { answer, state, effect, .. } = decided;
    let is_with_person = state.handed_off.is_some();
    let Some(effect) = effect else {
        let body = match answer.shows_version() {
            true => answer.write().body,
            false => placed.turn.answer.into_bytes(),
        };
        return Ok((false, is_with_person, body));
    };
    let app = attempt.exchange.app.shared();
    let Placed { named, at, turn } = placed;
    let call = match effect {
        Effect::Call(call) => call,
        Effect::HandOff(call) => {
            handoffs::deliver(&app, HandOff { client_id, named, at, call, turn });
            return Ok((false, true, answer.write().body));
        }
    };
    let served = Arc::clone(attempt.choice.served);
    let conversation = (client_id, named);
    let open = OpenTurn { app, served, conversation, at, call, state, answer, turn };
    // A client that goes away does not end the call, and its outcome is stored all the same.
    let ended =
        tokio::spawn(carry(open.finish())).await.map_err(|_| Problem::from(internal()))??;
    Ok(match ended {
        Ended::Stored(bodies) => (false, bodies.handed_off, bodies.body),
        Ended::Lost(bodies) => (true, bodies.handed_off, bodies.body),
        Ended::Before(stored) => {
            let body = stored.turn.map(|turn| turn.answer.into_bytes());
            (false, is_with_person, body.unwrap_or_default())
        }
    })
}

/// Returns the answer of a message whose turn is not stored: nothing is called for it.
fn alone(attempt: &Attempt<'_>, decided: Decided) -> Answer {
    let Decided { mut answer, state, effect, .. } = decided;
    if let Some(Effect::Call(ActionCall { .. })) = effect {
        let now = attempt.exchange.app.clock.now();
        let dialogue = &attempt.choice.served.dialogue;
        let Step { reply, .. } = dialogue.after_call(&state, &ActionOutcome::Failed, now);
        answer.reply(reply, None);
    }
    answer.forget_conversation();
    answer
}

/// Returns the turn to store.
fn turn(attempt: &Attempt<'_>, heard: &Heard<'_>, decided: &Decided, new: &NewTurn<'_>) -> Turn {
    let (served, answer) = (attempt.choice.served, &decided.answer);
    let before = || new.head.as_ref().map_or(Value::Null, |head| head.slots().clone());
    Turn {
        message_id: new.message_id.map(str::to_owned),
        request_id: answer.request_id.clone(),
        text: heard.message.text.to_owned(),
        answer: answer.write().kept(),
        intent: (!answer.fallback).then(|| answer.intent.clone()),
        language: answer.language.clone(),
        entities: serde_json::to_value(&heard.entities).expect("entities can be written as JSON"),
        slots: decided.slots.clone().unwrap_or_else(before),
        digest: served.digest_text.clone(),
        arm: arm_name(attempt.choice.arm).to_owned(),
        caller: new.message_id.and_then(|_| name_of_caller(attempt.exchange)),
    }
}

/// Classifies the message, guesses its language if the request names none, and finds its entities.
fn hear<'m>(attempt: &Attempt<'_>, message: &'m Message<'m>) -> Result<Heard<'m>, Refusal> {
    let Attempt { exchange, choice, .. } = attempt;
    let (served, text) = (choice.served, message.text);
    exchange.app.sizes.check_normal_forms("chat", &[text], TEXT, |_| TEXT)?;
    let is_plain = served.dialogue.is_plain();
    let ranking = |prediction: &Prediction, proba: &[f64]| match is_plain {
        true => Vec::new(),
        false => {
            let ranked = prediction.likeliest(proba, RANKED).into_iter();
            ranked.map(|intent| (intent, proba[intent])).collect()
        }
    };
    let is_logged = exchange.app.predictions.is_some();
    let read = |prediction: &Prediction, proba: &[f64]| {
        let details = is_logged.then(|| details_of(served, prediction, proba));
        (ranking(prediction, proba), details)
    };
    let classify = || served.classify(text, read);
    let Ok((prediction, (ranking, details))) = timed("classify", classify) else {
        return Err(attempt.failed());
    };
    let language = match message.language {
        Some(asked) => Some(Language::Declared(asked)),
        None => served.guess_language(text).map(Language::Guessed),
    };
    let at = exchange.app.clock.now();
    let moment = Moment::new(at, language.map(Language::tag));
    let search = || {
        let tagged = served.tag(text)?;
        let searched = Instant::now();
        let is_in_time = || searched.elapsed() < ENTITY_TIME;
        Ok::<_, Panicked>(served.dialogue.entities_while(text, &moment, tagged, is_in_time))
    };
    let Ok(Entities { found: entities, cut: entities_cut }) = timed("entities", search) else {
        return Err(attempt.failed());
    };
    let duration = exchange.elapsed();
    Ok(Heard {
        message,
        at,
        prediction,
        ranking,
        entities,
        entities_cut,
        language,
        duration,
        feedback_token: None,
        details,
        is_rephrased: false,
        knowledge: TurnKnowledge::new(attempt, message.knowledge),
    })
}

/// Decides on the answer to a message that follows the end of its conversation, as `new` has it.
///
/// # Errors
/// The state of the conversation cannot be read.
fn decide(
    attempt: &Attempt<'_>,
    heard: &mut Heard<'_>,
    new: Option<&NewTurn<'_>>,
) -> Result<Decided, Problem> {
    let Attempt { exchange, choice, .. } = attempt;
    let served = choice.served;
    let intent = &*served.intents[heard.prediction.intent];
    let language = heard.language.map(Language::tag);
    let understood = (!heard.prediction.fallback).then_some(intent);
    let mut answer = Answer {
        request_id: exchange.id.to_string(),
        intent: intent.to_owned(),
        confidence: heard.prediction.confidence,
        entities: heard.entities.clone(),
        entities_cut: heard.entities_cut,
        response: None,
        language: None,
        fallback: heard.prediction.fallback,
        feedback_token: heard.feedback_token.clone(),
        model: exchange.shown(served.reference.to_string()),
        digest: exchange.shown(served.digest_text.clone()),
        arm: exchange.shown(arm_name(choice.arm).to_owned()),
        buttons: Vec::new(),
        slots: Default::default(),
        state: None,
        message_number: None,
        sources: Vec::new(),
        answered_by: None,
    };
    let head = new.and_then(|new| new.head.as_ref().map(|head| (new, head)));
    let is_plain = served.dialogue.is_plain();
    let mut before = match head {
        // A plain dialogue remembers only what knowledge needs.
        Some((new, _)) if !is_plain || !served.knowledge.is_empty() => state(new)?,
        _ => DialogueState::default(),
    };
    if heard.message.is_given_back {
        before.handed_off = None;
    }
    let asks = |lookup: &Option<Lookup>, heard: &mut Heard<'_>| match lookup {
        Some(lookup) if heard.message.button.is_none() || !matches!(lookup, Lookup::Any) => {
            let question = (heard.message.text, before.question.as_deref());
            heard.knowledge.find(attempt, lookup, question)
        }
        _ => Ok(None),
    };
    if is_plain {
        let lookup = understood.is_none().then_some(Lookup::Any);
        if let Some(said) = asks(&lookup, heard)? {
            let language = said.language.clone().or(language.map(str::to_owned));
            (answer.response, answer.language) = (Some(said.text.clone()), language);
            answer.fallback = false;
            let mut state = before;
            state.remember(&said.question);
            answer.take_knowledge(said);
            let slots = head.is_some().then(|| state.stored());
            return Ok(Decided { answer, slots, state, effect: None });
        }
        let response = served.dialogue.respond(understood, language, &heard.entities);
        (answer.response, answer.language) = response.unzip();
        return Ok(Decided { answer, slots: None, state: DialogueState::default(), effect: None });
    }
    let ranking: Vec<(&str, f64)> =
        heard.ranking.iter().map(|(intent, proba)| (&*served.intents[*intent], *proba)).collect();
    // The same on every server: nothing else tells conversations apart.
    let seed = new.map_or_else(String::new, |new| new.named.conversation.to_string());
    let turn = |heard: &Heard<'_>, found: Option<&Found<'_>>| {
        let understood = Understood {
            text: heard.message.text,
            intent: understood,
            confidence: heard.prediction.confidence,
            ranking: &ranking,
            entities: &heard.entities,
            language,
            guessed: matches!(heard.language, Some(Language::Guessed(_))),
            button: heard.message.button,
        };
        served.dialogue.turn_with(&before, &understood, (heard.at, &seed), found)
    };
    let mut step = turn(heard, None);
    let said = asks(&step.lookup, heard)?;
    if let Some(Said { text, language, question, .. }) = &said {
        step = turn(heard, Some(&Found { text, language: language.as_deref(), question }));
    }
    let Step { state, reply, effect, .. } = step;
    answer.reply(reply, head.is_some().then_some(&state));
    if let Some(said) = said {
        answer.take_knowledge(said);
    }
    answer.message_number = head.map(|(_, head)| head.next());
    Ok(Decided { answer, slots: Some(state.stored()), state, effect })
}

/// Returns whether the user says the same again, after an answer of the bot that was no question, and without a button.
fn is_rephrased(heard: &Heard<'_>, new: &NewTurn<'_>) -> bool {
    let Some(before) = new.head.as_ref().and_then(Head::text) else { return false };
    let is_asked = || state(new).is_ok_and(|state| state.awaited.is_some());
    heard.message.button.is_none() && is_rephrase(before, heard.message.text) && !is_asked()
}

/// Returns the state of the conversation before `new`.
///
/// # Errors
/// `BOT-1110` and `BOT-1111` if a newer botops wrote it, or it is damaged.
fn state(new: &NewTurn<'_>) -> FaultResult<DialogueState> {
    let Some(head) = &new.head else { return Ok(DialogueState::default()) };
    let at = head.at().and_then(DateTime::from_timestamp_millis).unwrap_or_default();
    DialogueState::read(head.slots(), at)
}
