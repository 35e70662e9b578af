//! 73xx: answers that a language model writes.

use super::entry::Entry;
use crate::fault_kind::FaultKind;

pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        code: "BOT-7301",
        kind: Some(FaultKind::Usage),
        title: "the address of the language model cannot be used",
        explanation: "`knowledge.generation.url` of botops.yaml must be an `https://` address, or an `http://` address of this machine: questions, passages of documents and the key go to it. Write `allow_http: true` beside it if every network on the way is trusted.",
    },
    Entry {
        code: "BOT-7310",
        kind: None,
        title: "the language model cannot be reached",
        explanation: "No connection to `knowledge.generation.url` could be made, or it broke before an answer. The request was repeated as `retries` allows. The answer is taken from the documents instead.",
    },
    Entry {
        code: "BOT-7311",
        kind: None,
        title: "the language model does not answer in time",
        explanation: "The first piece of the answer did not arrive within `first_token_timeout`, or its end not within `timeout`. The request is not repeated, because the model may still work on it. The answer is taken from the documents instead.",
    },
    Entry {
        code: "BOT-7312",
        kind: None,
        title: "the language model refuses the request",
        explanation: "The endpoint answers with a status of 3xx or 4xx: 404 for a wrong address or model, 400 or 413 for a request that is longer than the model allows. Redirects are not followed. Compare `url`, `model`, `max_tokens` and `top_k` with the documentation of the endpoint.",
    },
    Entry {
        code: "BOT-7313",
        kind: None,
        title: "the language model refuses the key",
        explanation: "The endpoint answers 401 or 403. Check the secret that `knowledge.generation.key` refers to.",
    },
    Entry {
        code: "BOT-7314",
        kind: None,
        title: "the language model has too much to do",
        explanation: "The endpoint answers 429. The request is repeated after the time in `Retry-After`, or after a short wait, if that is within `timeout`. Ask the provider for a higher limit, or lower the number of requests.",
    },
    Entry {
        code: "BOT-7315",
        kind: None,
        title: "the language model reports an error",
        explanation: "The endpoint answers with a status of 5xx, or sends an error within a stream. The request is repeated if no piece of the answer arrived.",
    },
    Entry {
        code: "BOT-7316",
        kind: None,
        title: "the answer is not of the chat protocol",
        explanation: "The endpoint answers with HTML, with text that is not JSON, or with JSON without `choices`. Check that `knowledge.generation.url` is the address that `/chat/completions` is added to, such as `https://llm.example.com/v1`, and that no login page stands in front of it.",
    },
    Entry {
        code: "BOT-7317",
        kind: None,
        title: "the answer of the language model was cut",
        explanation: "The connection ended before the end of the answer. Pieces that were shown are no answer; the answer is taken from the documents instead.",
    },
    Entry {
        code: "BOT-7318",
        kind: None,
        title: "the answer of the language model does not end",
        explanation: "The answer has more bytes than `max_tokens` allows. The connection was closed.",
    },
    Entry {
        code: "BOT-7319",
        kind: None,
        title: "another model answered",
        explanation: "The endpoint names another model in its answer than `knowledge.generation.model`. A version behind the name, such as `-2024-08-06`, is accepted. If the endpoint calls the model by another name, write it to `served_as`.",
    },
    Entry {
        code: "BOT-7320",
        kind: None,
        title: "the language model gives no text",
        explanation: "The answer is empty, the model refuses to answer, or the endpoint withholds the text by its own rules. The answer is taken from the documents instead.",
    },
    Entry {
        code: "BOT-7321",
        kind: None,
        title: "the budget of the language model is used up",
        explanation: "The request could exceed a limit under `knowledge.generation.budget`, and was not sent. A request counts with the tokens of its text and with `max_tokens` until its answer is known. Days are days of UTC; each server counts for itself, and from zero when it starts.",
    },
    Entry {
        code: "BOT-7322",
        kind: None,
        title: "the language model is not asked for a while",
        explanation: "Five requests in a row failed. For 30 seconds all answers are taken from the documents; then one request tries the endpoint again, and the others follow if it succeeds.",
    },
];
