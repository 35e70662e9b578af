//! The branches of a dialogue: the steps that its turns can take, by name.

use crate::{dialogue::Dialogue, texts::Texts};
use std::collections::BTreeSet;

impl Dialogue {
    /// Returns the names of the branches that the dialogue declares: those of its intents, such as `return_request/respond`
    /// or `return_request/ask/order_number`, and those of its rules, such as `fallback`.
    ///
    /// A turn of an intent that the dialogue does not declare takes the branch `no_response`, which is not among them.
    #[must_use]
    pub fn branches(&self) -> BTreeSet<String> {
        let mut branches = BTreeSet::from(["fallback".to_owned()]);
        let plan = &self.plan;
        for intent in &plan.declared {
            self.add_branches(intent, &mut branches);
        }
        if plan.handoff.after_fallbacks.is_some() {
            branches.insert("fallback/hand_off".to_owned());
        }
        if plan.clarify.is_some() {
            branches.insert("clarify".to_owned());
        }
        let asks = plan
            .intents
            .values()
            .any(|intent| !intent.needs.is_empty() || !intent.confirm.is_empty());
        if asks || plan.clarify.is_some() {
            branches.insert("cancel".to_owned());
        }
        if plan.words.has_person() {
            branches.insert("hand_off".to_owned());
        }
        if self.can_hand_off() {
            branches.insert("handed_off".to_owned());
        }
        branches
    }

    /// Returns whether a turn can hand the conversation to a person.
    pub(crate) fn can_hand_off(&self) -> bool {
        let plan = &self.plan;
        plan.handoff.after_fallbacks.is_some()
            || plan.words.has_person()
            || plan.intents.values().any(|intent| {
                let slots = intent.needs.iter().filter_map(|need| plan.slots.get(need));
                intent.handoff
                    || intent.action.is_some()
                    || slots.into_iter().any(|slot| slot.handoff)
            })
    }

    fn add_branches(&self, intent: &str, branches: &mut BTreeSet<String>) {
        let mut add = |branch: String| _ = branches.insert(format!("{intent}/{branch}"));
        let responses = self.responses.get(intent);
        let Some(steps) = self.plan.intents.get(intent) else {
            responses_of(responses).into_iter().for_each(add);
            return;
        };
        if steps.handoff {
            add("hand_off".to_owned());
            return;
        }
        for slot in &steps.needs {
            add(format!("ask/{slot}"));
            if self.plan.slots.get(slot).is_some_and(|slot| slot.tries > 1) {
                add(format!("ask_again/{slot}"));
            }
            add(format!("give_up/{slot}"));
        }
        if !steps.confirm.is_empty() {
            for step in ["confirm", "confirm_again", "declined"] {
                add(step.to_owned());
            }
        }
        if steps.action.is_some() {
            for step in ["call", "refused", "failed", "unknown", "under_way"] {
                add(step.to_owned());
            }
        }
        responses_of(responses).into_iter().for_each(add);
    }
}

/// Returns the branches that lead to a response: one for each set of conditions, in any language.
fn responses_of(texts: Option<&Texts>) -> BTreeSet<String> {
    let variants = texts.into_iter().flat_map(|texts| texts.values().flatten());
    let named: BTreeSet<String> = variants
        .map(|variant| match variant.label.as_str() {
            "" => "respond".to_owned(),
            label => format!("respond[{label}]"),
        })
        .collect();
    if named.is_empty() { BTreeSet::from(["respond".to_owned()]) } else { named }
}
