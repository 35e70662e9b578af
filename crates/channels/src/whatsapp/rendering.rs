//! Answers as messages of the Graph API, within its limits.

use crate::{
    adapter::Piece,
    settings::Template,
    text_pieces::{pieces, shortened, texts},
    turns::TurnReply,
};
use serde_json::{Value, json};

/// The most characters of a text message.
const MOST_TEXT: usize = 4_096;
/// The most characters of the text above buttons and lists.
const MOST_INTERACTIVE: usize = 1_024;
/// The most buttons; more of them become a list.
const MOST_BUTTONS: usize = 3;
/// The most rows of a list.
const MOST_ROWS: usize = 10;
/// The most characters of the words on a button.
const MOST_BUTTON_TITLE: usize = 20;
/// The most characters of the words of a row, and of the line below them.
const MOST_ROW_TITLE: usize = 24;
const MOST_ROW_DESCRIPTION: usize = 72;
/// The most characters of a parameter of a template: the body with all of them has at most 1,024.
const MOST_PARAMETER: usize = 900;
/// The most bytes of the id of a button, and of a row.
const MOST_BUTTON_ID: usize = 256;
const MOST_ROW_ID: usize = 200;

pub(super) fn piece(body: &Value) -> Piece {
    Piece { target: String::new(), body: body.to_string() }
}

/// Renders a template to `to` instead of `piece`, whose text is the `{answer}` of its parameters.
pub(super) fn template(template: &Template, to: &str, piece: &Piece) -> Piece {
    let instead: Value = serde_json::from_str(&piece.body).unwrap_or_default();
    let texts = [&instead["text"]["body"], &instead["interactive"]["body"]["text"]];
    let answer = texts.into_iter().find_map(Value::as_str).unwrap_or_default();
    let parameter = |text: &String| {
        // The platform takes neither line breaks nor more than four spaces in a row.
        let text = text.replace("{answer}", answer);
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        json!({ "type": "text", "text": shortened(&text, MOST_PARAMETER) })
    };
    let parameters: Vec<Value> = template.parameters.iter().map(parameter).collect();
    let mut body = json!({
        "messaging_product": "whatsapp",
        "recipient_type": "individual",
        "to": to,
        "type": "template",
        "template": {
            "name": template.name,
            "language": { "code": template.language },
        },
    });
    if !parameters.is_empty() {
        body["template"]["components"] = json!([{ "type": "body", "parameters": parameters }]);
    }
    self::piece(&body)
}

/// Returns the body of a piece with the id of its call, which the statuses of the message repeat. The mark of a message as
/// read has none.
pub(super) fn with_id(piece: &Piece, id: &str) -> String {
    match serde_json::from_str::<Value>(&piece.body) {
        Ok(mut body) if body["type"].is_string() => {
            body["biz_opaque_callback_data"] = id.into();
            body.to_string()
        }
        _ => piece.body.clone(),
    }
}

/// Renders an answer to `to`: texts, and the buttons under the last of them.
pub(super) fn render(to: &str, reply: &TurnReply) -> Vec<Piece> {
    let message = |kind: &str, content: Value| {
        let mut body = json!({
            "messaging_product": "whatsapp", "recipient_type": "individual", "to": to, "type": kind,
        });
        body[kind] = content;
        piece(&body)
    };
    let mut texts: Vec<String> =
        texts(reply).iter().flat_map(|text| pieces(text, MOST_TEXT)).collect();
    let interactive = interactive(reply, &mut texts);
    let text = |text: &String| message("text", json!({ "preview_url": false, "body": text }));
    let mut rendered: Vec<Piece> = texts.iter().map(text).collect();
    rendered.extend(interactive.map(|interactive| message("interactive", interactive)));
    rendered
}

/// Makes buttons or a list under the last text, which is taken from `texts` as far as it fits.
fn interactive(reply: &TurnReply, texts: &mut Vec<String>) -> Option<Value> {
    let is_list = reply.buttons.len() > MOST_BUTTONS;
    let most_id = if is_list { MOST_ROW_ID } else { MOST_BUTTON_ID };
    let fits = |id: &str| !id.is_empty() && id.len() <= most_id;
    let buttons: Vec<_> = reply
        .buttons
        .iter()
        .filter(|button| fits(&button.id) && !button.title.trim().is_empty())
        .take(MOST_ROWS)
        .collect();
    if buttons.is_empty() {
        return None;
    }
    let mut parts = pieces(&texts.pop()?, MOST_INTERACTIVE);
    let body = parts.pop()?;
    texts.extend(parts);
    if !is_list {
        let buttons: Vec<Value> = buttons
            .iter()
            .map(|button| {
                let title = shortened(&button.title, MOST_BUTTON_TITLE);
                json!({ "type": "reply", "reply": { "id": button.id, "title": title } })
            })
            .collect();
        return Some(json!({
            "type": "button", "body": { "text": body }, "action": { "buttons": buttons },
        }));
    }
    let rows: Vec<Value> = buttons
        .iter()
        .map(|button| {
            let mut row =
                json!({ "id": button.id, "title": shortened(&button.title, MOST_ROW_TITLE) });
            if button.title.chars().count() > MOST_ROW_TITLE {
                row["description"] = shortened(&button.title, MOST_ROW_DESCRIPTION).into();
            }
            row
        })
        .collect();
    Some(json!({
        "type": "list",
        "body": { "text": body },
        "action": { "button": "☰", "sections": [{ "rows": rows }] },
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::turns::{ReplyButton, ReplySource};

    fn reply(text: &str, buttons: usize) -> TurnReply {
        let button = |n: usize| ReplyButton {
            id: format!("b{n}"),
            title: format!("The words of the button number {n}"),
        };
        TurnReply {
            texts: vec![text.to_owned()],
            buttons: (0..buttons).map(button).collect(),
            ..TurnReply::default()
        }
    }

    fn bodies(reply: &TurnReply) -> Vec<Value> {
        let pieces = render("15550000001", reply);
        pieces.iter().map(|piece| serde_json::from_str(&piece.body).unwrap()).collect()
    }

    #[test]
    fn a_text_has_the_documented_shape_and_is_cut_at_4096_characters() {
        let expected = json!({
            "messaging_product": "whatsapp", "recipient_type": "individual", "to": "15550000001",
            "type": "text", "text": { "preview_url": false, "body": "Hello" },
        });
        assert_eq!(bodies(&reply("Hello", 0)), [expected]);
        let long = "A sentence of some words. ".repeat(400);
        let cut = bodies(&reply(&long, 0));
        assert_eq!(cut.len(), 3);
        for body in cut {
            let text = body["text"]["body"].as_str().unwrap();
            assert!(text.chars().count() <= 4_096 && text.ends_with('.'), "{text}");
        }
    }

    #[test]
    fn up_to_3_buttons_are_buttons_and_up_to_10_are_a_list() {
        let body = bodies(&reply("Choose", 3)).remove(0);
        assert_eq!(body["interactive"]["type"], "button");
        assert_eq!(body["interactive"]["body"]["text"], "Choose");
        let buttons = body["interactive"]["action"]["buttons"].as_array().unwrap();
        assert_eq!(buttons.len(), 3);
        assert_eq!(buttons[0]["reply"], json!({ "id": "b0", "title": "The words of the bu…" }));
        let body = bodies(&reply("Choose", 12)).remove(0);
        assert_eq!(body["interactive"]["type"], "list");
        let rows = body["interactive"]["action"]["sections"][0]["rows"].as_array().unwrap();
        assert_eq!(rows.len(), 10);
        assert_eq!(rows[1]["description"], "The words of the button number 1");
    }

    #[test]
    fn a_long_text_above_buttons_is_sent_before_them_and_sources_follow_it() {
        let long = "A sentence of some words. ".repeat(60);
        let sent = bodies(&reply(&long, 1));
        let kinds: Vec<_> = sent.iter().map(|body| body["type"].as_str().unwrap()).collect();
        assert_eq!(kinds, ["text", "interactive"]);
        let source = ReplySource {
            title: "Returns".to_owned(),
            url: Some("https://shop.example.com/returns".to_owned()),
        };
        let with_source = TurnReply { sources: vec![source], ..reply("In 30 days.", 0) };
        let text = "In 30 days.\n\nReturns https://shop.example.com/returns";
        assert_eq!(bodies(&with_source)[0]["text"]["body"], text);
    }
}
