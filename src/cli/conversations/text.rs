//! The answers of `botops conversations` for people.

use super::answers::{Forgotten, ListLine, Shown, TurnLine};
use crate::cli::terminal::tables;
use botops_conversations::Id;
use botops_text::display;

/// The longest text of a turn that is shown.
const LONGEST: usize = 200;

pub(super) fn listed(conversations: &[ListLine]) -> String {
    if conversations.is_empty() {
        return "no conversation is stored\n".to_owned();
    }
    let rows = conversations.iter().map(|line| {
        vec![
            line.conversation.to_string(),
            line.person.as_ref().map_or_else(|| "-".to_owned(), Id::to_string),
            line.turns.to_string(),
            tables::time(&line.first),
            tables::time(&line.last),
        ]
    });
    tables::table(&["conversation", "person", "turns", "first (UTC)", "last (UTC)"], rows, &[2])
}

pub(super) fn shown(answer: &Shown) -> String {
    let mut out = String::new();
    for conversation in &answer.conversations {
        let name = conversation.conversation;
        let n = tables::counted(conversation.turns.unsigned_abs(), "turn", "turns");
        out.push_str(&format!("{name}: {n}\n"));
        for turn in answer.turns.iter().filter(|turn| turn.conversation == name) {
            out.push_str(&one(turn));
        }
    }
    out
}

fn one(turn: &TurnLine) -> String {
    let head = format!("  {} {}", turn.number, tables::time(&turn.at));
    let Some(text) = &turn.text else {
        return format!("{head}  (the key of the person was erased)\n");
    };
    let response = turn.answer.get("response").and_then(|response| response.as_str());
    let intent = turn.intent.as_deref().unwrap_or("fallback");
    let open = if turn.open { ", the outcome of its action is open" } else { "" };
    format!(
        "{head}  {}\n    -> {} ({}{open})\n",
        display(text, LONGEST),
        display(response.unwrap_or("-"), LONGEST),
        display(intent, LONGEST)
    )
}

pub(super) fn forgotten(answer: &Forgotten) -> String {
    let mut what = format!(
        "{} of {}",
        tables::counted(answer.turns, "turn", "turns"),
        tables::counted(answer.conversations as u64, "conversation", "conversations")
    );
    if answer.messages > 0 {
        let messages = tables::counted(answer.messages, "message", "messages");
        what = format!("{what} and {messages} of channels");
    }
    match answer.dry_run {
        true => format!("{what} would be erased (dry run)\n"),
        false => format!("{what} erased, with {} keys of persons\n", answer.keys),
    }
}
