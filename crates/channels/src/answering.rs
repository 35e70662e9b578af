//! The task of a conversation: it claims it, and answers its messages one after the other.

use crate::{
    adapter::{Piece, Verdict},
    channel::Channel,
    claims::{Claim, Taken},
    handed::Holder,
    handoff_call,
    inbox::Waiting,
    message::Content,
    opt_outs::Wish,
    protection::client_id,
    sending::Http,
    texts::TextKind,
    turns::{TurnReply, TurnRequest},
};
use botops_findings::Result;
use std::{collections::HashSet, sync::PoisonError, time::Duration};

/// The end of a look at a conversation.
#[derive(PartialEq, Eq)]
enum Look {
    /// No message waits.
    Empty,
    /// Another server answers it.
    Held,
}

/// The outcome of a message that the bot answered.
const ANSWERED: &str = "answered";
/// The outcome of a message that a person answers.
const WITH_PERSON: &str = "with_person";

/// The end of a step.
enum Step<T> {
    /// It succeeded.
    Done(T),
    /// It failed for good, after so many tries.
    Failed(String, u32),
    /// The claim does not hold any more.
    Lost,
}

/// A call of an answer.
enum Part {
    /// To the platform.
    Platform(Piece),
    /// To the receiver of hand-offs.
    Handoff(Piece),
}

impl Channel {
    /// Answers the messages of a conversation until none waits.
    pub(crate) async fn work(&self, conversation: &str) {
        loop {
            let may_go_on = match self.look(conversation).await {
                Ok(Look::Empty) => true,
                Ok(Look::Held) => false,
                Err(_) => {
                    self.counters.store_failures.add();
                    false
                }
            };
            if self.rest(conversation, may_go_on) {
                return;
            }
        }
    }

    async fn look(&self, conversation: &str) -> Result<Look> {
        loop {
            let Some(mut claim) = self.claim(conversation).await? else { return Ok(Look::Held) };
            let drained = self.drain(conversation, &mut claim).await;
            self.claims.release(claim).await;
            if !drained? {
                return Ok(Look::Held);
            }
            // A server that stored a message while this one held the claim left it to this one.
            if !self.inbox.is_waiting(conversation).await? {
                return Ok(Look::Empty);
            }
        }
    }

    /// Claims a conversation; `None` if another server holds it.
    async fn claim(&self, conversation: &str) -> Result<Option<Claim>> {
        let observed = || self.observed.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.clock.monotonic();
        let expired = observed().get(conversation).cloned();
        let expired = expired.filter(|(_, since)| now.saturating_sub(*since) >= self.pace.lease);
        let expired = expired.map(|(observed, _)| observed);
        match self.claims.take(conversation, expired.as_ref()).await? {
            Taken::Ours(claim) => {
                observed().remove(conversation);
                if claim.was_taken_over {
                    self.counters.takeovers.add();
                }
                Ok(Some(claim))
            }
            Taken::Others(claim) => {
                let mut observed = observed();
                let known = observed.get(conversation).is_some_and(|(known, _)| *known == claim);
                if !known {
                    observed.insert(conversation.to_owned(), (claim, now));
                }
                Ok(None)
            }
            Taken::Raced => Ok(None),
        }
    }

    /// Answers what waits; returns false if the claim was lost.
    async fn drain(&self, conversation: &str, claim: &mut Claim) -> Result<bool> {
        loop {
            let waiting = self.inbox.waiting(conversation, &self.protection).await?;
            if waiting.is_empty() {
                return Ok(true);
            }
            for (name, waiting) in waiting {
                let place = (conversation, name.as_str());
                if !self.inbox.is_done(&name).await? {
                    let now = || self.clock.now().timestamp();
                    match self.answer(claim, place, &waiting).await? {
                        Step::Done(outcome) => {
                            if outcome == ANSWERED && self.adapter.keeps_answers() {
                                self.inbox.keep(place, &waiting.stored).await?;
                            }
                            self.inbox.finish(place, (outcome, now())).await?;
                            self.counters.processed.add();
                        }
                        Step::Failed(reason, attempts) => {
                            let letter = (reason.as_str(), attempts, now());
                            self.inbox.bury(place, &waiting, letter).await?;
                            self.counters.dead.add();
                        }
                        Step::Lost => return Ok(false),
                    }
                } else {
                    self.inbox.forget(conversation, &name).await?;
                }
                self.processed_one(conversation);
            }
        }
    }

    /// Answers one message; returns the outcome for its mark.
    async fn answer(
        &self,
        claim: &mut Claim,
        (conversation, name): (&str, &str),
        waiting: &Waiting,
    ) -> Result<Step<&'static str>> {
        if !self.claims.keep(claim).await? {
            return Ok(Step::Lost);
        }
        let message = &waiting.message;
        let person = self.names.persons(&message.person);
        let language = message.language.as_deref();
        let text =
            |kind| self.setting.texts.text(kind, language, &self.setting.language).to_owned();
        let polite = |text: String| TurnReply { texts: vec![text], ..TurnReply::default() };
        // A message that opted out and was not confirmed before a crash is confirmed now.
        let is_out = self.opt_outs.out_by(&person).await?.is_some_and(|by| by != name);
        let since = (self.clock.now().timestamp(), self.setting.silence);
        let holder = match self.handed.holder(conversation, since).await? {
            // The platform gave the conversation back.
            Holder::Person if self.adapter.knows_holder() => Holder::BotAgain,
            holder => holder,
        };
        let wish = self.setting.words.wish(message.text());
        if wish == Some(Wish::In) && !is_out {
            // The person may have refused templates only.
            self.opt_outs.opt_in(&person).await?;
        }
        let (reply, outcome) = match wish {
            Some(Wish::Out) if !is_out => (polite(text(TextKind::OptedOut)), "opted_out"),
            Some(Wish::In) if is_out => (polite(text(TextKind::OptedIn)), "opted_in"),
            _ if is_out => {
                self.counters.silenced.add();
                return Ok(Step::Done("silenced"));
            }
            _ if holder == Holder::Person => {
                self.counters.with_person.add();
                // Where nobody receives hand-offs, the message is kept as a turn of the conversation, without its answer.
                if self.setting.handoff.is_none() && !message.text().is_empty() {
                    match self.turn(claim, waiting, Holder::Person).await? {
                        Step::Done(_) => {}
                        Step::Failed(reason, attempts) => {
                            return Ok(Step::Failed(reason, attempts));
                        }
                        Step::Lost => return Ok(Step::Lost),
                    }
                }
                (TurnReply::default(), WITH_PERSON)
            }
            _ if matches!(message.content, Content::Unsupported { .. }) => {
                self.counters.unsupported.add();
                (polite(text(TextKind::Unsupported)), "unsupported")
            }
            _ if self.is_closed() && !self.bot_answers_outside() => {
                (polite(text(TextKind::Closed)), "closed")
            }
            _ => match self.turn(claim, waiting, holder).await? {
                Step::Done(reply) => (reply, ANSWERED),
                Step::Failed(reason, attempts) => return Ok(Step::Failed(reason, attempts)),
                Step::Lost => return Ok(Step::Lost),
            },
        };
        // Before the confirmation, which may fail.
        match outcome {
            "opted_in" => self.opt_outs.opt_in(&person).await?,
            "opted_out" => {
                self.opt_outs.opt_out(&person, (name, self.clock.now().timestamp())).await?;
            }
            _ => {}
        }
        let is_handed_off = reply.handed_off;
        let parts = match outcome {
            WITH_PERSON => self.handoff_part(waiting, &[]).into_iter().collect(),
            _ => self.parts(waiting, reply),
        };
        match self.send_parts(claim, name, (waiting, &parts)).await? {
            Step::Done(()) => {}
            Step::Failed(reason, attempts) => return Ok(Step::Failed(reason, attempts)),
            Step::Lost => return Ok(Step::Lost),
        }
        match holder {
            _ if is_handed_off => {
                let now = self.clock.now().timestamp();
                self.handed.hand_over(conversation, (waiting.stored.conversation, now)).await?;
            }
            Holder::BotAgain if outcome == ANSWERED => self.handed.clear(conversation).await?,
            _ => {}
        }
        Ok(Step::Done(outcome))
    }

    fn is_closed(&self) -> bool {
        self.setting.hours.as_ref().is_some_and(|hours| !hours.is_open(self.clock.now()))
    }

    fn bot_answers_outside(&self) -> bool {
        self.setting.hours.as_ref().is_none_or(|hours| hours.bot_answers_outside)
    }

    /// Renders an answer, with the hand-off after it.
    fn parts(&self, waiting: &Waiting, mut reply: TurnReply) -> Vec<Part> {
        let message = &waiting.message;
        if reply.handed_off && self.is_closed() {
            let language = reply.language.as_deref().or(message.language.as_deref());
            let text = self.setting.texts.text(TextKind::Closed, language, &self.setting.language);
            reply.texts.push(text.to_owned());
        }
        let pieces = self.adapter.render(message, &reply);
        let mut parts: Vec<Part> = pieces.into_iter().map(Part::Platform).collect();
        if reply.handed_off {
            parts.extend(self.handoff_part(waiting, &reply.texts));
        }
        parts
    }

    /// Renders the call to the receiver of hand-offs, if there is one.
    fn handoff_part(&self, waiting: &Waiting, texts: &[String]) -> Option<Part> {
        let handoff = self.setting.handoff.as_ref()?;
        let body = handoff_call::piece(handoff, &self.name, (&waiting.message, texts));
        Some(Part::Handoff(body))
    }

    /// Asks for the turn of a message, several times if it fails.
    async fn turn(
        &self,
        claim: &mut Claim,
        waiting: &Waiting,
        holder: Holder,
    ) -> Result<Step<TurnReply>> {
        let message = &waiting.message;
        let button = match &message.content {
            Content::Button { id, .. } => Some(id.clone()),
            _ => None,
        };
        let request = TurnRequest {
            channel: self.name.clone(),
            conversation: client_id(&self.name, &message.conversation),
            message: message.id.clone(),
            person: client_id(&self.name, &message.person),
            text: message.text().to_owned(),
            button,
            language: message.language.clone(),
            is_given_back: holder == Holder::BotAgain,
        };
        let mut failed = 0;
        loop {
            let turn = async {
                let _permit = self.permits.acquire().await;
                self.turns.turn(request.clone()).await
            };
            let Some(outcome) = self.while_holding(claim, turn).await? else {
                return Ok(Step::Lost);
            };
            let failure = match outcome {
                Ok(reply) => {
                    self.counters.turns.add();
                    return Ok(Step::Done(reply));
                }
                Err(failure) => failure,
            };
            failed += 1;
            self.counters.failed_turns.add();
            if failure.is_permanent || failed >= self.setting.attempts {
                return Ok(Step::Failed(format!("no answer: {}", failure.reason), failed));
            }
            let pause = tokio::time::sleep(self.pace.pause(failed, failure.retry_after));
            if self.while_holding(claim, pause).await?.is_none() {
                return Ok(Step::Lost);
            }
        }
    }

    /// Sends the parts of an answer that were not sent before.
    async fn send_parts(
        &self,
        claim: &mut Claim,
        name: &str,
        (waiting, parts): (&Waiting, &[Part]),
    ) -> Result<Step<()>> {
        // One part has no mark of its own: the mark of the message follows at once.
        let sent: HashSet<usize> = match parts.len() {
            0 | 1 => HashSet::new(),
            _ => self.inbox.sent(name).await?.into_iter().collect(),
        };
        // Where a person answers, the person reads it, too.
        let is_read = !matches!(parts, [Part::Handoff(_)]);
        if let Some(mark) = self.adapter.read_mark(&waiting.message).filter(|_| is_read) {
            // Nobody waits for it: one try, and no trouble if it fails.
            let call = self.adapter.call(&mark, name, self.clock.now());
            let try_once = self.call(&self.http, call);
            if self.while_holding(claim, try_once).await?.is_none() {
                return Ok(Step::Lost);
            }
        }
        // The template of a closed window, once it was sent: it stands for the parts that follow, too.
        let mut reopened = None;
        for (index, part) in parts.iter().enumerate().filter(|(index, _)| !sent.contains(index)) {
            if reopened.is_some() && matches!(part, Part::Platform(_)) {
                continue;
            }
            let id = format!("{name}-{index}");
            match self.send(claim, &id, (waiting, part), &mut reopened).await? {
                Step::Done(()) if matches!(part, Part::Handoff(_)) => self.counters.handoffs.add(),
                Step::Done(()) => {}
                Step::Failed(reason, attempts) => {
                    if matches!(part, Part::Handoff(_)) {
                        self.counters.failed_handoffs.add();
                        return Ok(Step::Failed(format!("no hand-off: {reason}"), attempts));
                    }
                    return Ok(Step::Failed(reason, attempts));
                }
                Step::Lost => return Ok(Step::Lost),
            }
            // The last part needs a mark only where another one may be sent again.
            let is_last = index + 1 == parts.len();
            if parts.len() > 1 && (!is_last || self.adapter.keeps_answers()) {
                self.inbox.mark_sent(name, index, self.clock.now().timestamp()).await?;
            }
        }
        Ok(Step::Done(()))
    }

    /// Sends one part, several times if it fails.
    async fn send(
        &self,
        claim: &mut Claim,
        id: &str,
        (waiting, part): (&Waiting, &Part),
        reopened: &mut Option<Piece>,
    ) -> Result<Step<()>> {
        let mut failed = 0;
        loop {
            let now = self.clock.now();
            let (http, call, is_platform) = match (part, &self.setting.handoff) {
                (Part::Platform(piece), _) => {
                    let is_closed = self.adapter.is_window_closed(&waiting.message, now);
                    if is_closed && reopened.is_none() {
                        match self.template(waiting, piece).await? {
                            Ok(template) => *reopened = Some(template),
                            Err(reason) => return Ok(Step::Failed(reason, failed)),
                        }
                    }
                    let piece = reopened.as_ref().unwrap_or(piece);
                    (Some(&self.http), self.adapter.call(piece, id, now), true)
                }
                (Part::Handoff(piece), Some(handoff)) => {
                    let url = handoff.url.expose();
                    let call = handoff_call::signed(url, &handoff.keys, (piece, id, now));
                    (self.handoff_http.as_ref(), call, false)
                }
                (Part::Handoff(_), None) => return Ok(Step::Done(())),
            };
            let Some(http) = http else { return Ok(Step::Done(())) };
            let Some(outcome) = self.while_holding(claim, self.call(http, call)).await? else {
                self.counters.uncertain_sends.add();
                return Ok(Step::Lost);
            };
            let (verdict, asked) = match outcome {
                Ok(answer) if is_platform => {
                    (self.adapter.verdict(answer.status, &answer.body), answer.retry_after)
                }
                Ok(answer) => (Verdict::of_status(answer.status), answer.retry_after),
                Err(unanswered) if unanswered.is_unsent => (Verdict::Later(None), None),
                Err(_) => (Verdict::Uncertain, None),
            };
            failed += 1;
            let asked = match verdict {
                Verdict::Accepted => {
                    self.counters.sent.add();
                    return Ok(Step::Done(()));
                }
                Verdict::Later(of_body) => {
                    self.counters.retried_sends.add();
                    asked.or(of_body)
                }
                Verdict::Uncertain => {
                    self.counters.uncertain_sends.add();
                    asked
                }
                Verdict::Permanent(reason) => return Ok(Step::Failed(reason, failed)),
                Verdict::WindowClosed => {
                    let (Part::Platform(piece), None) = (part, &*reopened) else {
                        return Ok(Step::Failed(NO_TEMPLATE.to_owned(), failed));
                    };
                    match self.template(waiting, piece).await? {
                        Ok(template) => *reopened = Some(template),
                        Err(reason) => return Ok(Step::Failed(reason, failed)),
                    }
                    continue;
                }
            };
            if failed >= self.setting.attempts {
                let reason = format!("the platform took no call in {failed} tries");
                return Ok(Step::Failed(reason, failed));
            }
            let pause = tokio::time::sleep(self.pace.pause(failed, asked));
            if self.while_holding(claim, pause).await?.is_none() {
                return Ok(Step::Lost);
            }
        }
    }

    /// Returns the template that is sent instead of a piece; the reason where there is none.
    async fn template(
        &self,
        waiting: &Waiting,
        piece: &Piece,
    ) -> Result<std::result::Result<Piece, String>> {
        let Some(template) = self.adapter.reopening(&waiting.message, piece) else {
            return Ok(Err(NO_TEMPLATE.to_owned()));
        };
        let person = self.names.persons(&waiting.message.person);
        match self.opt_outs.refuses_templates(&person).await? {
            true => Ok(Err(REFUSES_TEMPLATES.to_owned())),
            false => Ok(Ok(template)),
        }
    }

    /// Makes one call when the rate of the channel and its concurrency allow it.
    async fn call(
        &self,
        http: &Http,
        call: crate::adapter::PlatformCall,
    ) -> std::result::Result<crate::sending::Answered, crate::sending::Unanswered> {
        if let Some(per_second) = self.adapter.per_second() {
            let now = self.clock.monotonic();
            let at = {
                let mut next = self.next_call.lock().unwrap_or_else(PoisonError::into_inner);
                let at = (*next).max(now);
                *next = at + Duration::from_secs(1) / per_second.max(1);
                at
            };
            tokio::time::sleep(at.saturating_sub(now)).await;
        }
        let _permit = self.permits.acquire().await;
        http.call(call, self.pace.timeout).await
    }

    /// Runs `work`, and renews the claim meanwhile; `None` if the claim is lost, and `work` is dropped.
    async fn while_holding<T>(
        &self,
        claim: &mut Claim,
        work: impl Future<Output = T>,
    ) -> Result<Option<T>> {
        if !self.claims.keep(claim).await? {
            return Ok(None);
        }
        tokio::pin!(work);
        loop {
            tokio::select! {
                done = &mut work => return Ok(Some(done)),
                () = tokio::time::sleep(self.pace.lease / 6) => {
                    let holds = match self.claims.keep(claim).await {
                        Ok(holds) => holds,
                        // The store may come back before the claim ends; a call that is under way is not broken off.
                        Err(_) => self.claims.holds(claim),
                    };
                    if !holds {
                        return Ok(None);
                    }
                }
            }
        }
    }
}

/// The reason of a message of a person who wants no templates.
const REFUSES_TEMPLATES: &str = "the 24-hour window is closed, and the person wants no templates";
/// The reason of a message that came too long ago.
const NO_TEMPLATE: &str =
    "the 24-hour window is closed, and the settings name no template that reopens it";
