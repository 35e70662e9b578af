//! Changes of what a bot can say: intents that a promotion adds or removes, and those without an answer.

use super::{Manifest, Version};
use botops_findings::{Fault, Result};
use serde::Serialize;

/// The most names in a message.
const SHOWN: usize = 8;

/// The intents that differ between two versions. A renamed intent is in both lists.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct IntentChanges {
    /// Those that only the challenger knows, sorted.
    pub added: Vec<String>,
    /// Those that only the champion knows, sorted.
    pub removed: Vec<String>,
}

/// Returns the intents that `challenger` adds to those of `champion`, and those that it lacks.
#[must_use]
pub fn intent_changes(champion: &Manifest, challenger: &Manifest) -> IntentChanges {
    let only = |of: &Manifest, other: &Manifest| {
        let mut names: Vec<String> =
            of.intents.iter().filter(|intent| !other.intents.contains(intent)).cloned().collect();
        names.sort();
        names
    };
    IntentChanges { added: only(challenger, champion), removed: only(champion, challenger) }
}

/// Refuses a promotion that changes what the bot can say and that nobody acknowledged: `challenger` adds or removes intents
/// against `champion`, or its dialogue cannot answer intents that the champion's can.
///
/// Each version comes with the intents that its dialogue cannot answer, `IntentModel::unanswered_intents`: all of them if
/// the model has no dialogue. What the champion could not answer either is no change. A first champion has nothing to be
/// compared with: it may have no dialogue at all, because then it only classifies, and else it must answer every intent.
///
/// # Errors
/// `BOT-5047` (exit 6) with the names.
pub fn check_labels(
    champion: Option<(&Version, &[String])>,
    challenger: (&Version, &[String]),
) -> Result<()> {
    let (version, unanswered) = challenger;
    let changes = champion.map_or_else(IntentChanges::default, |(champion, _)| {
        intent_changes(&champion.manifest, &version.manifest)
    });
    let is_new = |intent: &&String| match champion {
        Some((_, before)) => !before.contains(intent) && !changes.added.contains(intent),
        None => unanswered.len() < version.manifest.intents.len(),
    };
    let silent: Vec<&String> = unanswered.iter().filter(is_new).collect();
    let mut problems = Vec::new();
    let mut add = |words: &str, names: Vec<&String>| {
        if !names.is_empty() {
            problems.push(format!("{words} {}", listed(&names)));
        }
    };
    add("adds", changes.added.iter().collect());
    add("removes", changes.removed.iter().collect());
    add("has no answer to", silent);
    if problems.is_empty() {
        return Ok(());
    }
    let name = version.reference();
    let against = match champion {
        Some((champion, _)) => format!(" against the champion {}", champion.reference()),
        None => String::new(),
    };
    let message = format!("{name} {}{against}: nothing was promoted", problems.join(", and "));
    Err(Fault::policy("BOT-5047", message)
        .hint(format!("if that is intended: `botops promote {name} --accept-labels`"))
        .hint("in a pipeline, set `accept_labels: true` in the promote stage; in the admin API, in the request"))
}

/// Returns the first names in backticks, and the number of the others.
fn listed(names: &[&String]) -> String {
    let shown: Vec<String> = names.iter().take(SHOWN).map(|name| format!("`{name}`")).collect();
    match names.len().saturating_sub(SHOWN) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use botops_digest::Digest;
    use chrono::DateTime;

    fn version(number: u64, intents: &[&str]) -> Version {
        let intents = names(intents);
        Version {
            model: "support".to_owned(),
            number,
            manifest_digest: Digest::of(&number.to_be_bytes()),
            registered_at: DateTime::UNIX_EPOCH,
            actor: "ada".to_owned(),
            aliases: Vec::new(),
            yanked: None,
            deprecated: None,
            erased: None,
            manifest: Manifest {
                schema: "botops.model/1".to_owned(),
                model: "support".to_owned(),
                files: Vec::new(),
                run: None,
                data: None,
                params: [].into(),
                metrics: [].into(),
                gates: None,
                botops: "0.1.0".to_owned(),
                git_commit: None,
                creator: "ada".to_owned(),
                intents,
            },
        }
    }

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    /// Returns the message of the refusal; an empty text without one.
    fn refusal(champion: Option<(&[&str], &[&str])>, challenger: (&[&str], &[&str])) -> String {
        let known = champion.map(|(intents, silent)| (version(1, intents), names(silent)));
        let new = (version(2, challenger.0), names(challenger.1));
        let before = known.as_ref().map(|(version, silent)| (version, silent.as_slice()));
        match check_labels(before, (&new.0, &new.1)) {
            Ok(()) => String::new(),
            Err(fault) => {
                assert_eq!((fault.code(), fault.kind().exit_code()), ("BOT-5047", 6));
                assert!(fault.hints()[0].contains("--accept-labels"), "{fault}");
                fault.message().to_owned()
            }
        }
    }

    #[test]
    fn a_renamed_intent_is_added_and_removed() {
        let before = (&["balance", "card"][..], &[][..]);
        assert_eq!(
            refusal(Some(before), (&["balance", "cards"], &["cards"])),
            "support@2 adds `cards`, and removes `card` against the champion support@1: nothing was promoted"
        );
        assert_eq!(refusal(Some(before), (&["card", "balance"], &[])), "");
    }

    #[test]
    fn a_model_without_dialogue_does_not_replace_one_that_answers() {
        let intents = &["balance", "card"][..];
        assert_eq!(
            refusal(Some((intents, &["card"])), (intents, intents)),
            "support@2 has no answer to `balance` against the champion support@1: nothing was promoted"
        );
        assert_eq!(refusal(Some((intents, intents)), (intents, intents)), "");
        assert_eq!(refusal(Some((intents, intents)), (intents, &["card"])), "");
    }

    #[test]
    fn a_first_champion_only_classifies_or_answers_every_intent() {
        let intents = &["balance", "card"][..];
        assert_eq!(refusal(None, (intents, intents)), "");
        assert_eq!(refusal(None, (intents, &[])), "");
        assert_eq!(
            refusal(None, (intents, &["card"])),
            "support@2 has no answer to `card`: nothing was promoted"
        );
    }

    #[test]
    fn many_names_are_counted() {
        let many: Vec<String> = (0..12).map(|n| format!("intent_{n:02}")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        let message = refusal(Some((&many, &[])), (&[], &[]));
        assert!(message.contains("`intent_07` and 4 more against"), "{message}");
    }
}
