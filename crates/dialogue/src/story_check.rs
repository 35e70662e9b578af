//! The checks of stories before they are replayed.

use crate::{
    dialogue::Dialogue,
    step::ActionOutcome,
    story_spec::{StorySpec, TurnSpec},
};
use botops_findings::{Fault, Place, Result};
use botops_spec::nearest;
use chrono::TimeDelta;
use serde_json::Value;
use std::collections::BTreeSet;

/// The most stories of a dialogue.
const MAX_STORIES: usize = 10_000;
/// The states that a turn can lead to.
const STATES: &[&str] = &[
    "none",
    "awaiting_slot",
    "awaiting_confirmation",
    "awaiting_clarification",
    "awaiting_action",
    "handed_off",
];

impl Dialogue {
    /// Checks that `stories` can be replayed: names are those of the dialogue, durations can be read, and outcomes are clear.
    ///
    /// # Errors
    /// `BOT-1114` (exit 2), with the key.
    pub fn check_stories(&self, stories: &[StorySpec]) -> Result<()> {
        if stories.len() > MAX_STORIES {
            let message = format!("{} stories are more than {MAX_STORIES}", stories.len());
            return Err(invalid("tests", message).hint("split them into several files"));
        }
        let branches = self.branches();
        let mut names = BTreeSet::new();
        for (at, story) in stories.iter().enumerate() {
            let key = format!("tests[{at}]");
            if story.story.trim().is_empty() || !names.insert(story.story.as_str()) {
                let message =
                    format!("the name `{}` is empty, or that of an earlier story", story.story);
                return Err(
                    invalid(&format!("{key}.story"), message).hint("give each story its own name")
                );
            }
            if story.turns.is_empty() {
                return Err(invalid(
                    &format!("{key}.turns"),
                    format!("`{}` has no turns", story.story),
                )
                .hint("write at least one message, such as `- {user: Hello, intent: greet}`"));
            }
            for (n, turn) in story.turns.iter().enumerate() {
                check_turn(&format!("{key}.turns[{n}]"), turn, self, &branches)?;
            }
        }
        Ok(())
    }
}

fn check_turn(
    key: &str,
    turn: &TurnSpec,
    dialogue: &Dialogue,
    branches: &BTreeSet<String>,
) -> Result<()> {
    if turn.user.trim().is_empty() && turn.button.is_none() {
        return Err(invalid(
            &format!("{key}.user"),
            "a turn has neither a message nor a button".to_owned(),
        )
        .hint("write the message under `user:`, or a payload under `button:`"));
    }
    if let Some(after) = &turn.after {
        humantime::parse_duration(after.trim()).map_err(|error| {
            invalid(&format!("{key}.after"), format!("`{after}` is not a duration: {error}"))
                .hint("write a duration such as `40m`")
        })?;
    }
    let slots = dialogue.plan.slots.keys().map(String::as_str);
    for slot in turn.slots.keys() {
        named(&format!("{key}.slots"), "slot", slot, slots.clone())?;
    }
    if let Some(branch) = turn.branch.as_deref().filter(|&branch| branch != "no_response") {
        named(&format!("{key}.branch"), "branch", branch, branches.iter().map(String::as_str))?;
    }
    if let Some(state) = &turn.state {
        named(&format!("{key}.state"), "state", state, STATES.iter().copied())?;
    }
    for (intent, p) in &turn.ranking {
        if !(0.0..=1.0).contains(p) {
            let message = format!("the probability of `{intent}` is {p}");
            return Err(
                invalid(&format!("{key}.ranking"), message).hint("probabilities are from 0 to 1")
            );
        }
    }
    let Some(outcome) = &turn.outcome else { return Ok(()) };
    let given =
        [outcome.answered.is_some(), outcome.refused.is_some(), outcome.failed, outcome.unknown];
    let key = format!("{key}.outcome");
    if given.into_iter().filter(|&given| given).count() != 1 {
        return Err(invalid(&key, "an outcome has not exactly one of its keys".to_owned()).hint(
            "write one of `answered: {…}`, `refused: 404`, `failed: true` and `unknown: true`",
        ));
    }
    if let Some(status) = outcome.refused.filter(|status| !(300..600).contains(status)) {
        return Err(invalid(&key, format!("{status} is no status of a refusal"))
            .hint("a refusal has a status from 300 to 599"));
    }
    Ok(())
}

/// Returns the time before the message of `turn`, which was checked.
pub(crate) fn wait(turn: &TurnSpec) -> TimeDelta {
    let read = |text: &String| humantime::parse_duration(text.trim()).ok();
    let after =
        turn.after.as_ref().and_then(read).and_then(|after| TimeDelta::from_std(after).ok());
    // A limit keeps the time of a story within the years that a date can have.
    after.unwrap_or(TimeDelta::seconds(1)).min(TimeDelta::days(366))
}

/// Returns the outcome of the action in `turn`, which was checked.
pub(crate) fn outcome(turn: &TurnSpec) -> Option<ActionOutcome> {
    let outcome = turn.outcome.as_ref()?;
    Some(match (outcome.refused, outcome.failed, outcome.unknown) {
        (Some(status), ..) => ActionOutcome::Refused { status },
        (None, true, _) => ActionOutcome::Failed,
        (None, false, true) => ActionOutcome::Unknown,
        (None, false, false) => {
            ActionOutcome::Answered(outcome.answered.clone().unwrap_or(Value::Null))
        }
    })
}

fn invalid(key: &str, message: String) -> Fault {
    Fault::usage("BOT-1114", message).at(Place { key: Some(key.to_owned()), ..Place::default() })
}

/// Checks that `name` is one of `known`.
fn named<'a>(
    key: &str,
    kind: &str,
    name: &str,
    known: impl Iterator<Item = &'a str> + Clone,
) -> Result<()> {
    if known.clone().any(|other| other == name) {
        return Ok(());
    }
    let shown = botops_text::display(name, 60);
    let fault = invalid(key, format!("`{shown}` is no {kind} of the dialogue"));
    Err(match nearest(name, known) {
        Some(near) => fault.hint(format!("did you mean `{near}`?")),
        None => fault
            .hint("`botops dialogue test --format json` lists the branches that no story reached"),
    })
}
