//! A turn of a conversation, as it is shown and as it is written as JSON.

use crate::cli::terminal::entities::entities;
use botops_dialogue::{Button, Entity};
use botops_knowledge::Source;
use botops_text::display;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The most characters of a line that are shown.
const LONGEST_LINE: usize = 2_000;
/// The most sources of an answer that are shown.
const MOST_SOURCES: usize = 20;

/// A message and its answer. The names are those of `/v1/chat`.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Turn {
    /// The message.
    pub(super) text: String,
    /// The payload of the button that was pressed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) button: Option<String>,
    pub(super) intent: String,
    pub(super) confidence: f64,
    pub(super) fallback: bool,
    pub(super) entities: Vec<Entity>,
    pub(super) response: Option<String>,
    pub(super) language: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) buttons: Vec<Button>,
    /// The passages of documents that the answer was taken from.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) sources: Vec<Source>,
    /// `knowledge` or `generated`, if documents answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) answered_by: Option<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) slots: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) state: Option<String>,
    /// The likeliest intents, if they are known.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) ranking: Vec<Ranked>,
    /// The branch of the dialogue, if it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) branch: Option<String>,
    /// The version that answered, if the server shows it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) model: Option<String>,
    /// `primary` or `canary`, if the server shows it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) arm: Option<String>,
    /// Calls that a server would make, and that were not made.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) notes: Vec<String>,
}

/// An intent and its probability.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Ranked {
    pub(super) intent: String,
    pub(super) probability: f64,
}

impl Turn {
    /// Renders the answer, after the message if `with_message`, and how the message was understood if `explains`.
    pub(super) fn shown(&self, with_message: bool, explains: bool) -> String {
        let mut out = String::new();
        if with_message {
            out += &format!("> {}\n", display(&self.text, LONGEST_LINE));
        }
        match &self.response {
            // A line break is the bot's own; anything else that moves the cursor is shown, and not carried out.
            Some(text) => {
                for line in text.lines() {
                    out += &display(line, LONGEST_LINE);
                    out.push('\n');
                }
            }
            None => out += "(no response)\n",
        }
        for source in self.sources.iter().take(MOST_SOURCES) {
            out += &format!("  source: {}\n", display(&place(source), LONGEST_LINE));
        }
        for (number, button) in (1..).zip(&self.buttons) {
            out += &format!("  {number}) {}\n", display(&button.title, 200));
        }
        for note in &self.notes {
            out += &format!("  note: {}\n", display(note, LONGEST_LINE));
        }
        if explains {
            out += &self.explained();
        }
        out
    }

    fn explained(&self) -> String {
        let understood = match self.fallback {
            true => format!("fallback; the best guess is {} {:.3}", self.intent, self.confidence),
            false => format!("{} {:.3}", self.intent, self.confidence),
        };
        let others: Vec<String> = self
            .ranking
            .iter()
            .filter(|one| one.intent != self.intent)
            .map(|one| format!("{} {:.3}", one.intent, one.probability))
            .collect();
        let intent = match others.is_empty() {
            true => understood,
            false => format!("{understood}, then {}", others.join(", ")),
        };
        let entities = (!self.entities.is_empty()).then(|| entities(&self.entities));
        let slots: Vec<String> =
            self.slots.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let rows = [
            ("intent", Some(intent)),
            ("entities", entities),
            ("slots", some(slots)),
            ("state", self.state.clone()),
            ("branch", self.branch.clone()),
            ("language", self.language.clone()),
            ("model", self.model.clone()),
            ("arm", self.arm.clone()),
        ];
        rows.into_iter()
            .filter_map(|(name, value)| {
                Some(format!("  {name:<9} {}\n", display(&value?, LONGEST_LINE)))
            })
            .collect()
    }
}

/// Returns the title, the section, the page and the web address of a source.
fn place(source: &Source) -> String {
    let mut place = source.title.clone();
    if !source.section.is_empty() {
        place += &format!(" > {}", source.section);
    }
    if let Some(page) = source.page {
        place += &format!(", page {page}");
    }
    let is_web = |url: &&String| url.starts_with("https://") || url.starts_with("http://");
    if let Some(url) = source.url.as_ref().filter(is_web) {
        place += &format!(" <{url}>");
    }
    place
}

fn some(parts: Vec<String>) -> Option<String> {
    (!parts.is_empty()).then(|| parts.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_turn_shows_its_buttons_by_number_and_how_it_was_understood() {
        let turn = Turn {
            text: "return FR-204913".to_owned(),
            intent: "return_request".to_owned(),
            confidence: 0.875,
            entities: vec![Entity {
                role: Some("item".to_owned()),
                ..Entity::new("order_number", "FR-204913", 7, 16)
            }],
            response: Some("Return it?\nYou pay nothing.".to_owned()),
            buttons: vec![
                Button { title: "Yes".to_owned(), payload: "/affirm".to_owned() },
                Button { title: "No".to_owned(), payload: "/deny".to_owned() },
            ],
            slots: [("order_number".to_owned(), "FR-204913".to_owned())].into(),
            state: Some("awaiting_confirmation".to_owned()),
            ranking: vec![
                Ranked { intent: "return_request".to_owned(), probability: 0.875 },
                Ranked { intent: "complaint".to_owned(), probability: 0.0625 },
            ],
            ..Turn::default()
        };
        assert_eq!(
            turn.shown(true, true),
            "> return FR-204913\nReturn it?\nYou pay nothing.\n  1) Yes\n  2) No\n  \
             intent    return_request 0.875, then complaint 0.062\n  \
             entities  order_number=FR-204913 role=item\n  slots     order_number=FR-204913\n  \
             state     awaiting_confirmation\n"
        );
        assert_eq!(turn.shown(false, false), "Return it?\nYou pay nothing.\n  1) Yes\n  2) No\n");
    }

    #[test]
    fn the_sources_of_an_answer_are_shown_and_only_web_addresses_of_them() {
        let source = |url: &str| Source {
            title: "Returns\u{1b}[2J".to_owned(),
            section: "Shoes".to_owned(),
            url: Some(url.to_owned()),
            page: Some(3),
            chunk: "c".to_owned(),
            score: 1.0,
            quote: "30 days".to_owned(),
        };
        let turn = Turn {
            response: Some("30 days".to_owned()),
            sources: vec![source("https://shop.example/r"), source("javascript:alert(1)")],
            ..Turn::default()
        };
        let place = "  source: Returns\\u{1b}[2J > Shoes, page 3";
        let expected = format!("30 days\n{place} <https://shop.example/r>\n{place}\n");
        assert_eq!(turn.shown(false, false), expected);
    }

    #[test]
    fn an_answer_cannot_move_the_cursor() {
        let turn = Turn { response: Some("a\u{1b}[2Jb".to_owned()), ..Turn::default() };
        assert_eq!(turn.shown(false, false), "a\\u{1b}[2Jb\n");
        assert_eq!(Turn::default().shown(false, false), "(no response)\n");
    }
}
