//! The end of a conversation, as a language model gets it.

use crate::{
    app::App,
    kept_turns::NewTurn,
    written_answer::{beginning, without_citations},
};
use botops_conversations::Turn as Stored;
use botops_generation::{Speaker, Turn};
use botops_telemetry::timed_wait;
use serde::Deserialize;

/// The most turns: each is a message and its answer.
const TURNS: u32 = 3;
/// The most bytes of a message, and of all together.
const MESSAGE_BYTES: usize = 1_000;
const BYTES: usize = 4_000;

/// The last messages of a conversation, oldest first.
#[derive(Debug, Default)]
pub(super) struct History(Vec<(Speaker, String)>);

/// The part of a stored answer that a person read.
#[derive(Deserialize)]
struct Read {
    #[serde(default)]
    response: Option<String>,
}

impl History {
    /// Reads the end of the conversation of `new` from the store. A conversation that is not kept has none.
    ///
    /// If the store fails, there is none either: the turn cannot be stored then, and the settings decide on its answer.
    pub(super) async fn read(app: &App, new: Option<&NewTurn<'_>>) -> Self {
        let Some(new) = new else { return Self::default() };
        let Some((last, _)) = new.head.as_ref().and_then(|head| head.last()) else {
            return Self::default();
        };
        let read = new.settings.conversations.last_turns(&new.named, last, TURNS);
        match timed_wait("store", read).await {
            // A turn of an erased person has no text.
            Ok(turns) => Self::of(turns.into_iter().filter_map(|stored| stored.turn)),
            Err(fault) => {
                let message = format!(
                    "the language model gets no history: {}: {}",
                    fault.code(),
                    fault.message()
                );
                app.log.event(app.clock.now(), "warning", "generation", message);
                Self::default()
            }
        }
    }

    /// Returns the messages of `turns`, as far as they fit: the newest first.
    fn of(turns: impl DoubleEndedIterator<Item = Stored>) -> Self {
        let mut messages = Vec::new();
        let mut left = BYTES;
        'turns: for turn in turns.rev() {
            let answer = serde_json::from_str::<Read>(&turn.answer).ok().and_then(|it| it.response);
            let said = answer.map(|text| (Speaker::Bot, without_citations(&text)));
            for (speaker, text) in said.into_iter().chain([(Speaker::Person, turn.text)]) {
                let text = beginning(&text, MESSAGE_BYTES);
                if text.len() > left {
                    break 'turns;
                }
                left -= text.len();
                messages.push((speaker, text.to_owned()));
            }
        }
        messages.reverse();
        Self(messages)
    }

    /// Returns the messages.
    pub(super) fn turns(&self) -> Vec<Turn<'_>> {
        self.0.iter().map(|(speaker, text)| Turn { speaker: *speaker, text }).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn history(texts: &[(&str, &str)]) -> History {
        let stored = |&(text, answer): &(&str, &str)| {
            let answer = serde_json::json!({ "response": answer }).to_string();
            Stored { text: text.to_owned(), answer, ..Stored::default() }
        };
        History::of(texts.iter().map(stored))
    }

    #[test]
    fn messages_are_in_order_without_citations_and_the_oldest_are_left_out() {
        let short = history(&[("a", "It is so. [2]"), ("b", "c")]);
        let said: Vec<(Speaker, &str)> =
            short.0.iter().map(|(speaker, text)| (*speaker, text.as_str())).collect();
        assert_eq!(
            said,
            [
                (Speaker::Person, "a"),
                (Speaker::Bot, "It is so."),
                (Speaker::Person, "b"),
                (Speaker::Bot, "c")
            ]
        );
        let long = "é".repeat(2_000);
        let bounded = history(&[(&long, &long), (&long, &long), (&long, &long)]);
        let sizes: Vec<usize> = bounded.0.iter().map(|(_, text)| text.len()).collect();
        assert_eq!(sizes, [MESSAGE_BYTES; 4]);
    }
}
