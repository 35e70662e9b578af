//! Mistakes in the slots, intents, actions and rules of a dialogue, with their keys.

use botops_findings::{Fault, Place};
use botops_spec::nearest;

/// Returns a fault of the part at `key`: a value that cannot be used.
pub(crate) fn part(key: &str, message: impl Into<String>) -> Fault {
    Fault::usage("BOT-1112", message).at(Place { key: Some(key.to_owned()), ..Place::default() })
}

/// Returns a fault of `key`, which names `name`, no `kind` of the dialogue; with the nearest of the `known` ones.
pub(crate) fn unknown<'a>(
    key: &str,
    kind: &str,
    name: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> Fault {
    const SHOWN: usize = 8;
    let shown = botops_text::display(name, 60);
    let fault =
        Fault::usage("BOT-1113", format!("`{key}` names `{shown}`, no {kind} of the dialogue"))
            .at(Place { key: Some(key.to_owned()), ..Place::default() });
    let known: Vec<&str> = known.into_iter().collect();
    match nearest(name, known.iter().copied()) {
        Some(near) => fault.hint(format!("did you mean `{near}`?")),
        None if known.is_empty() => fault.hint(format!("declare it: there is no {kind} yet")),
        None => {
            let first: Vec<String> =
                known.iter().take(SHOWN).map(|name| format!("`{name}`")).collect();
            let more = known.len().saturating_sub(SHOWN);
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            fault.hint(format!("there are {}{more}", first.join(", ")))
        }
    }
}
