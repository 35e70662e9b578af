//! The bodies of the chat protocol of OpenAI, as far as they are used.

use crate::{
    failure::{FailureKind, GenerationFailure},
    generated::{Finish, Usage},
    prompt::Message,
    settings::{Delivery, GenerationSettings},
};
use serde::{Deserialize, Serialize};

#[derive(Serialize)]
struct Body<'a> {
    model: &'a str,
    messages: &'a [Message],
    max_tokens: u32,
    temperature: f64,
    stream: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    stream_options: Option<StreamOptions>,
}

#[derive(Serialize)]
struct StreamOptions {
    include_usage: bool,
}

/// Returns the body of a request for at most `max_tokens`. The temperature is 0: an answer from documents needs no invention.
pub(crate) fn body(
    settings: &GenerationSettings,
    messages: &[Message],
    max_tokens: u32,
) -> Vec<u8> {
    let stream = settings.delivery == Delivery::Streamed;
    let body = Body {
        model: &settings.model,
        messages,
        max_tokens,
        temperature: 0.0,
        stream,
        stream_options: stream.then_some(StreamOptions { include_usage: true }),
    };
    serde_json::to_vec(&body).expect("a struct of texts and numbers becomes JSON")
}

/// A whole answer, or a piece of one: pieces have `delta` where a whole one has `message`.
#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    model: Option<String>,
    #[serde(default)]
    choices: Option<Vec<Choice>>,
    #[serde(default)]
    usage: Option<Tokens>,
    #[serde(default)]
    error: Option<serde::de::IgnoredAny>,
}

#[derive(Deserialize)]
struct Choice {
    #[serde(default)]
    index: u32,
    #[serde(alias = "message", default)]
    delta: Option<Content>,
    #[serde(default)]
    finish_reason: Option<String>,
}

#[derive(Deserialize)]
struct Content {
    #[serde(default)]
    content: Option<String>,
    #[serde(default)]
    refusal: Option<String>,
}

#[derive(Deserialize)]
struct Tokens {
    #[serde(default)]
    prompt_tokens: u64,
    #[serde(default)]
    completion_tokens: u64,
}

/// The content of a whole answer or of a piece.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Part {
    pub(crate) text: String,
    pub(crate) finish: Option<Finish>,
    pub(crate) usage: Option<Usage>,
}

/// Reads a whole answer or a piece.
pub(crate) fn part(json: &[u8], settings: &GenerationSettings) -> Result<Part, GenerationFailure> {
    use FailureKind::{EndpointError, NotOfTheProtocol, OtherModel, Withheld};
    let fail = |kind, message: &str| Err(GenerationFailure::new(kind, message));
    let Ok(answer) = serde_json::from_slice::<Answer>(json) else {
        return fail(
            NotOfTheProtocol,
            "the answer of the endpoint is not the JSON of the protocol",
        );
    };
    if answer.error.is_some() {
        return fail(EndpointError, "the endpoint reports an error instead of an answer");
    }
    if let Some(model) = answer.model.as_deref().filter(|model| !model.is_empty())
        && !is_same_model(settings, model)
    {
        let shown = botops_text::display(model, 60);
        let message = format!("the model `{shown}` answered instead of `{}`", settings.model);
        return fail(OtherModel, &message);
    }
    let Some(choices) = answer.choices else {
        return fail(NotOfTheProtocol, "the answer of the endpoint has no `choices`");
    };
    let usage = answer.usage.map(|tokens| Usage {
        tokens_in: tokens.prompt_tokens,
        tokens_out: tokens.completion_tokens,
        is_reported: true,
    });
    let mut part = Part { usage, ..Part::default() };
    for choice in choices.into_iter().filter(|choice| choice.index == 0) {
        if let Some(content) = choice.delta {
            if content.refusal.is_some_and(|refusal| !refusal.is_empty()) {
                return fail(Withheld, "the model refuses to answer");
            }
            let text = content.content.unwrap_or_default();
            part.text.extend(text.chars().filter(|c| matches!(c, '\n' | '\t') || !c.is_control()));
        }
        part.finish = match choice.finish_reason.as_deref() {
            None | Some("") => part.finish,
            Some("stop" | "eos") => Some(Finish::Stop),
            Some("length") => Some(Finish::Length),
            Some("content_filter") => {
                return fail(Withheld, "the endpoint withholds the answer");
            }
            Some(other) => {
                let shown = botops_text::display(other, 40);
                let message = format!("the answer ends for the unknown reason `{shown}`");
                return fail(NotOfTheProtocol, &message);
            }
        };
    }
    Ok(part)
}

/// Returns whether an answer of `model` is one of the model that was asked: the name itself, the name in the settings, or the
/// name with a version behind it, such as `gpt-4o-2024-08-06`, or without the owner in front, such as `llama-3` of
/// `meta/llama-3`.
fn is_same_model(settings: &GenerationSettings, model: &str) -> bool {
    if let Some(served_as) = &settings.served_as {
        return model == served_as;
    }
    let asked = settings.model.as_str();
    let version = |name: &str| {
        model.strip_prefix(name).is_some_and(|rest| {
            let digits = rest.strip_prefix(['-', '@', ':']).unwrap_or("x");
            rest.is_empty()
                || rest == ":latest"
                || (!digits.is_empty() && digits.chars().all(|c| c.is_ascii_digit() || c == '-'))
        })
    };
    version(asked) || asked.rsplit_once('/').is_some_and(|(_, name)| version(name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::settings;

    #[test]
    fn names_of_the_same_model_are_accepted_and_others_are_not() {
        let same = |asked: &str, answered: &str| {
            let mut settings = settings("http://127.0.0.1:1");
            settings.model = asked.to_owned();
            is_same_model(&settings, answered)
        };
        assert!(same("gpt-4o", "gpt-4o") && same("gpt-4o", "gpt-4o-2024-08-06"));
        assert!(same("meta/llama-3", "llama-3") && same("llama3", "llama3:latest"));
        assert!(!same("gpt-4o", "gpt-4o-mini") && !same("gpt-4o", "gpt-4") && !same("a", "b"));
        assert!(!same("gpt-4o", "gpt-4o-") && !same("gpt-4o", "gpt-4o2024"));
        let mut alias = settings("http://127.0.0.1:1");
        alias.served_as = Some("deployment-7".to_owned());
        assert!(is_same_model(&alias, "deployment-7") && !is_same_model(&alias, "small"));
    }

    #[test]
    fn pieces_and_whole_answers_are_read_and_everything_else_has_a_class() {
        let settings = settings("http://127.0.0.1:1");
        let part = |json: &str| part(json.as_bytes(), &settings);
        let piece = r#"{"model":"small","choices":[{"index":1,"delta":{"content":"no"}},{"index":0,"delta":{"content":"a\u0007é"},"finish_reason":null}],"usage":null}"#;
        assert_eq!(part(piece).unwrap().text, "aé");
        let whole = r#"{"model":"small","choices":[{"index":0,"message":{"role":"assistant","content":"b"},"finish_reason":"length"}],"usage":{"prompt_tokens":7,"completion_tokens":3}}"#;
        let read = part(whole).unwrap();
        assert_eq!((read.text.as_str(), read.finish), ("b", Some(Finish::Length)));
        assert_eq!((read.usage.unwrap().tokens_in, read.usage.unwrap().tokens_out), (7, 3));
        assert_eq!(part(r#"{"choices":[]}"#).unwrap(), Part::default());
        let kind = |json: &str| part(json).unwrap_err().kind;
        assert_eq!(kind("<html>"), FailureKind::NotOfTheProtocol);
        assert_eq!(kind("{}"), FailureKind::NotOfTheProtocol);
        assert_eq!(kind(r#"{"error":{"message":"x"}}"#), FailureKind::EndpointError);
        assert_eq!(kind(r#"{"model":"large","choices":[]}"#), FailureKind::OtherModel);
        let refused = r#"{"choices":[{"delta":{"refusal":"no"}}]}"#;
        assert_eq!(kind(refused), FailureKind::Withheld);
        let filtered = r#"{"choices":[{"delta":{},"finish_reason":"content_filter"}]}"#;
        assert_eq!(kind(filtered), FailureKind::Withheld);
    }
}
