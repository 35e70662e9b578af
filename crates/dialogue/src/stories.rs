//! Stories replayed: each message goes through the dialogue, and the answers are compared with the expected ones.

use crate::{
    dialogue::Dialogue,
    entities::Entity,
    moment::Moment,
    plan::Plan,
    state::DialogueState,
    step::{ActionCall, Effect, Step, Understood},
    story_check::{outcome, wait},
    story_spec::{StorySpec, TurnSpec},
};
use botops_findings::Result;
use chrono::{DateTime, Utc};
use serde::Serialize;
use std::collections::BTreeSet;

/// The time of the first message of a story: noon of 1 January 2026.
const START: DateTime<Utc> =
    DateTime::from_timestamp(1_767_268_800, 0).expect("the seconds are in range");
/// The intent of a message that is not understood, as a story writes it.
pub(crate) const NOT_UNDERSTOOD: &str = "none";

/// A message as a model understood it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Heard {
    /// The intent; `None` if the model declined to answer.
    pub intent: Option<String>,
    /// The probability of the likeliest intent.
    pub confidence: f64,
    /// Intents with their probabilities, likeliest first.
    pub ranking: Vec<(String, f64)>,
    /// The entities that the learned tagger of the model found.
    pub tagged: Vec<Entity>,
}

/// The classifier of a model: a text to its intent.
pub type Classifier<'a> = &'a dyn Fn(&str) -> Heard;

/// The result of replayed stories.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StoryReport {
    /// Whether every story passed.
    pub passed: bool,
    /// The stories, as they were written.
    pub stories: Vec<StoryOutcome>,
    /// The intents of the dialogue that a turn was about.
    pub intents: Coverage,
    /// The branches that a turn took.
    pub branches: Coverage,
}

/// The result of one story.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StoryOutcome {
    /// The name.
    pub story: String,
    /// The number of turns that were replayed.
    pub n_turns: usize,
    /// Whether every answer was the expected one.
    pub passed: bool,
    /// The differences. The replay of a story ends at the first turn with one.
    pub differences: Vec<Difference>,
}

/// A difference between an expected and a found answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// The turn, from 1.
    pub turn: usize,
    /// The message.
    pub user: String,
    /// The key of the expectation, such as `reply` or `slots.order_number`.
    pub key: String,
    /// The expected value.
    pub expected: String,
    /// The found value.
    pub found: String,
}

/// The part of intents or branches that stories reached.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Coverage {
    /// The number that was reached.
    pub covered: usize,
    /// The number that there is.
    pub total: usize,
    /// The share, in [0, 1]; 1 if there is none.
    pub share: f64,
    /// Those that were not reached, in order.
    pub missing: Vec<String>,
}

impl Coverage {
    fn of(all: &BTreeSet<String>, reached: &BTreeSet<String>) -> Self {
        let missing: Vec<String> = all.difference(reached).cloned().collect();
        let covered = all.len() - missing.len();
        #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^53")]
        let share = if all.is_empty() { 1.0 } else { covered as f64 / all.len() as f64 };
        Self { covered, total: all.len(), share, missing }
    }
}

impl Dialogue {
    /// Replays `stories`. With a `classifier`, it decides the intent of each message, and a stated intent is expected; without
    /// one, each message has the stated intent.
    ///
    /// # Errors
    /// `BOT-1114` (exit 2) for a story that cannot be replayed, with its key.
    pub fn replay(
        &self,
        stories: &[StorySpec],
        classifier: Option<Classifier<'_>>,
    ) -> Result<StoryReport> {
        self.check_stories(stories)?;
        let mut reached = Reached::default();
        let stories: Vec<StoryOutcome> =
            stories.iter().map(|story| self.replay_one(story, classifier, &mut reached)).collect();
        Ok(StoryReport {
            passed: stories.iter().all(|story| story.passed),
            stories,
            intents: Coverage::of(&self.plan.declared, &reached.intents),
            branches: Coverage::of(&self.branches(), &reached.branches),
        })
    }

    fn replay_one(
        &self,
        story: &StorySpec,
        classifier: Option<Classifier<'_>>,
        reached: &mut Reached,
    ) -> StoryOutcome {
        let mut state = DialogueState::default();
        let mut now = story.at.unwrap_or(START);
        let mut differences = Vec::new();
        let mut n_turns = 0;
        for (at, turn) in (1..).zip(&story.turns) {
            now = now.checked_add_signed(wait(turn)).unwrap_or(now);
            let mut found = Compared { turn: at, user: &turn.user, differences: &mut differences };
            let Some(heard) = self.hear(turn, &state, classifier, &mut found) else { break };
            n_turns = at;
            let replayed = self.replay_turn(story, turn, &heard, &state, now);
            reached.add(&heard, &replayed, &self.plan);
            found.compare(turn, &replayed);
            state = replayed.last.state;
            if !differences.is_empty() {
                break;
            }
        }
        let passed = differences.is_empty();
        StoryOutcome { story: story.story.clone(), n_turns, passed, differences }
    }

    /// Returns the message of `turn` as understood; `None` if no intent is known, which is a difference.
    fn hear(
        &self,
        turn: &TurnSpec,
        state: &DialogueState,
        classifier: Option<Classifier<'_>>,
        found: &mut Compared<'_>,
    ) -> Option<Heard> {
        let stated = turn.intent.as_deref();
        if let Some(classifier) = classifier.filter(|_| turn.button.is_none()) {
            let heard = classifier(&turn.user);
            if let Some(stated) = stated {
                let intent = heard.intent.as_deref().unwrap_or(NOT_UNDERSTOOD);
                let shown = format!("{intent} ({:.2})", heard.confidence);
                found.expect("intent", stated, &shown, stated == intent);
            }
            return Some(heard);
        }
        let mut ranking: Vec<(String, f64)> =
            turn.ranking.iter().map(|(intent, &p)| (intent.clone(), p)).collect();
        ranking.sort_by(|(a, p), (b, q)| q.total_cmp(p).then_with(|| a.cmp(b)));
        let is_answer = state.awaited.is_some() || turn.button.is_some();
        let needs_no_intent = is_answer || self.plan.words.asks_for_a_person(&turn.user);
        if stated.is_none() && ranking.is_empty() && !needs_no_intent {
            found.expect(
                "intent",
                "a stated intent, because there is no model",
                "none is stated",
                false,
            );
            return None;
        }
        let intent = stated.filter(|&intent| intent != NOT_UNDERSTOOD).map(str::to_owned);
        let ranked = ranking.iter().find(|(ranked, _)| Some(ranked) == intent.as_ref());
        let confidence = match (&intent, ranked) {
            (_, Some((_, p))) => *p,
            (Some(_), None) => 1.0,
            (None, None) => 0.0,
        };
        Some(Heard { intent, confidence, ranking, tagged: Vec::new() })
    }

    fn replay_turn(
        &self,
        story: &StorySpec,
        turn: &TurnSpec,
        heard: &Heard,
        state: &DialogueState,
        now: DateTime<Utc>,
    ) -> Replayed {
        let language = story.language.as_deref();
        let moment = Moment::new(now, language);
        let entities = self.entities(&turn.user, &moment, heard.tagged.clone());
        let ranking: Vec<(&str, f64)> =
            heard.ranking.iter().map(|(intent, p)| (intent.as_str(), *p)).collect();
        let message = Understood {
            text: &turn.user,
            intent: heard.intent.as_deref(),
            confidence: heard.confidence,
            ranking: &ranking,
            entities: &entities,
            language,
            guessed: false,
            button: turn.button.as_deref(),
        };
        let first = self.turn(state, &message, now, &story.story);
        let mut branches = vec![first.branch.clone()];
        let call = match &first.effect {
            Some(Effect::Call(call)) => Some(call.clone()),
            _ => None,
        };
        // Without an outcome, the story goes on as after a crash: the state awaits it.
        let last = match (&call, outcome(turn)) {
            (Some(_), Some(outcome)) => self.after_call(&first.state, &outcome, now),
            _ => first,
        };
        if branches[0] != last.branch {
            branches.push(last.branch.clone());
        }
        Replayed { last, branches, call }
    }
}

/// A turn that was replayed.
struct Replayed {
    /// The last step: after the call of an action, if there was one.
    last: Step,
    branches: Vec<String>,
    call: Option<ActionCall>,
}

/// The intents and branches that turns reached.
#[derive(Default)]
struct Reached {
    intents: BTreeSet<String>,
    branches: BTreeSet<String>,
}

impl Reached {
    fn add(&mut self, heard: &Heard, replayed: &Replayed, plan: &Plan) {
        // The intent of an answer counts only if the answer means something by it.
        let meant = heard
            .intent
            .as_ref()
            .filter(|&intent| plan.intents.get(intent).is_some_and(|steps| steps.means.is_some()));
        self.intents.extend(meant.into_iter().chain(&replayed.last.reply.intent).cloned());
        self.branches.extend(replayed.branches.iter().cloned());
    }
}

/// The comparison of one turn.
struct Compared<'a> {
    turn: usize,
    user: &'a str,
    differences: &'a mut Vec<Difference>,
}

impl Compared<'_> {
    fn expect(&mut self, key: &str, expected: &str, found: &str, same: bool) {
        if !same {
            self.differences.push(Difference {
                turn: self.turn,
                user: self.user.to_owned(),
                key: key.to_owned(),
                expected: expected.to_owned(),
                found: found.to_owned(),
            });
        }
    }

    /// Compares the step with the expectations of `turn`.
    fn compare(&mut self, turn: &TurnSpec, replayed: &Replayed) {
        let step = &replayed.last;
        let none = "none";
        if let Some(expected) = &turn.branch {
            let found = replayed.branches.join(", then ");
            self.expect("branch", expected, &found, replayed.branches.contains(expected));
        }
        if let Some(expected) = &turn.reply {
            let text = step.reply.text.as_deref().unwrap_or_default();
            let same = one_space(text).contains(&one_space(expected));
            let found = if text.is_empty() { "no text" } else { text };
            self.expect("reply", expected, found, same);
        }
        if let Some(expected) = &turn.buttons {
            let found: Vec<&str> = step.reply.buttons.iter().map(|b| b.title.as_str()).collect();
            self.expect("buttons", &expected.join(", "), &found.join(", "), *expected == found);
        }
        if let Some(expected) = &turn.state {
            let found = step.state.name().unwrap_or(none);
            self.expect("state", expected, found, expected == found);
        }
        for (slot, expected) in &turn.slots {
            let found = step.state.slots.get(slot).map(|slot| slot.value.as_str());
            let expected = expected.as_deref();
            let key = format!("slots.{slot}");
            self.expect(
                &key,
                expected.unwrap_or("no value"),
                found.unwrap_or("no value"),
                expected == found,
            );
        }
        if let Some(expected) = turn.handoff {
            let found = match &step.effect {
                Some(Effect::HandOff(call)) => Some(call.reason),
                _ => None,
            };
            let shown = found.map_or(none, |reason| reason.as_str());
            self.expect("handoff", expected.as_str(), shown, found == Some(expected));
        }
        self.compare_call(turn, replayed.call.as_ref());
    }

    fn compare_call(&mut self, turn: &TurnSpec, call: Option<&ActionCall>) {
        if turn.outcome.is_some() && call.is_none() {
            self.expect("outcome", "the call of an action", "no call", false);
        }
        let Some(expected) = &turn.call else { return };
        let Some(call) = call else {
            return self.expect("call", "the call of an action", "no call", false);
        };
        if let Some(action) = &expected.action {
            self.expect("call.action", action, &call.action, *action == call.action);
        }
        if let Some(url) = &expected.url {
            self.expect("call.url", url, &call.url, *url == call.url);
        }
        if let Some(body) = &expected.body {
            let same = *body == call.body;
            self.expect("call.body", &body.to_string(), &call.body.to_string(), same);
        }
    }
}

/// Returns `text` with runs of white space as one space.
fn one_space(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
