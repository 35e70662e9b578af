//! The endpoints of the public API, and the scopes that each needs.
//!
//! The router is built from [`ENDPOINTS`], so a route without a row cannot exist.

use axum::http::Method;
use botops_access::{Scope, ScopeSet};
use botops_findings::Fault;

/// A request of the public API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PublicCall {
    /// Classifies texts.
    Predict,
    /// Answers a message.
    Chat,
    /// Takes the true intent of a message.
    Feedback,
    /// Searches the documents of the version.
    Search,
    /// Shows that the process lives.
    Health,
    /// Shows whether the server can answer.
    Readiness,
    /// Shows the metrics.
    Metrics,
    /// Sends the chat page.
    ChatPage,
    /// Sends the script that shows the chat page on other sites.
    Widget,
    /// Shows the server (Open Inference Protocol).
    V2Server,
    /// Shows that the process lives (Open Inference Protocol).
    V2Live,
    /// Shows whether the server can answer (Open Inference Protocol).
    V2Ready,
    /// Shows the inputs and outputs of the model (Open Inference Protocol).
    V2Model,
    /// Shows whether the model can answer (Open Inference Protocol).
    V2ModelReady,
    /// Classifies texts (Open Inference Protocol).
    V2Infer,
    /// Classifies a text (Rasa).
    RasaParse,
    /// Answers messages over a WebSocket.
    WebSocket,
    /// Answers a message (Rasa).
    RasaWebhook,
    /// Shows the OpenAPI document.
    OpenApi,
    /// Shows the documentation page.
    Docs,
    /// Answers the challenge of a messaging platform.
    ChannelChallenge,
    /// Takes signed messages of a messaging platform.
    Channel,
}

/// An endpoint: a method, a path, and who may call it.
#[derive(Debug, Clone, Copy)]
pub(super) struct PublicEndpoint {
    /// The method.
    pub(super) method: &'static Method,
    /// The path as the router matches it.
    pub(super) path: &'static str,
    /// The request.
    pub(super) call: PublicCall,
    /// Its name in the request log.
    pub(super) name: &'static str,
    /// The scopes of which one is needed; none for an endpoint without identity.
    pub(super) any_of: &'static [Scope],
}

const fn send(
    path: &'static str,
    (call, name): (PublicCall, &'static str),
    any_of: &'static [Scope],
) -> PublicEndpoint {
    PublicEndpoint { method: &Method::POST, path, call, name, any_of }
}

const fn connect(
    path: &'static str,
    (call, name): (PublicCall, &'static str),
    any_of: &'static [Scope],
) -> PublicEndpoint {
    PublicEndpoint { method: &Method::GET, path, call, name, any_of }
}

const fn look(path: &'static str, (call, name): (PublicCall, &'static str)) -> PublicEndpoint {
    PublicEndpoint { method: &Method::GET, path, call, name, any_of: &[] }
}

/// Every endpoint of the public API.
pub(super) const ENDPOINTS: [PublicEndpoint; 27] = [
    send("/v1/predict", (PublicCall::Predict, "predict"), &[Scope::Predict]),
    send("/v1/chat", (PublicCall::Chat, "chat"), &[Scope::Chat]),
    send("/v1/search", (PublicCall::Search, "search"), &[Scope::Search]),
    send("/v1/feedback", (PublicCall::Feedback, "feedback"), &[Scope::Feedback, Scope::Review]),
    look("/health", (PublicCall::Health, "health")),
    look("/livez", (PublicCall::Health, "health")),
    look("/readiness", (PublicCall::Readiness, "readiness")),
    look("/readyz", (PublicCall::Readiness, "readiness")),
    look("/metrics", (PublicCall::Metrics, "metrics")),
    look("/", (PublicCall::ChatPage, "chat_page")),
    look("/widget.js", (PublicCall::Widget, "chat_page")),
    look("/v2", (PublicCall::V2Server, "predict")),
    look("/v2/health/live", (PublicCall::V2Live, "health")),
    look("/v2/health/ready", (PublicCall::V2Ready, "readiness")),
    look("/v2/models/{model}", (PublicCall::V2Model, "predict")),
    look("/v2/models/{model}/ready", (PublicCall::V2ModelReady, "predict")),
    send("/v2/models/{model}/infer", (PublicCall::V2Infer, "predict"), &[Scope::Predict]),
    look("/v2/models/{model}/versions/{version}", (PublicCall::V2Model, "predict")),
    look("/v2/models/{model}/versions/{version}/ready", (PublicCall::V2ModelReady, "predict")),
    send(
        "/v2/models/{model}/versions/{version}/infer",
        (PublicCall::V2Infer, "predict"),
        &[Scope::Predict],
    ),
    send("/model/parse", (PublicCall::RasaParse, "predict"), &[Scope::Predict]),
    send("/webhooks/rest/webhook", (PublicCall::RasaWebhook, "chat"), &[Scope::Chat]),
    look("/openapi.json", (PublicCall::OpenApi, "docs")),
    look("/docs", (PublicCall::Docs, "docs")),
    connect("/v1/ws", (PublicCall::WebSocket, "chat"), &[Scope::Chat]),
    look("/channels/{name}", (PublicCall::ChannelChallenge, "channels")),
    // The channel checks the signature of each request.
    send("/channels/{name}", (PublicCall::Channel, "channels"), &[]),
];

impl PublicCall {
    /// Returns whether its requests are signed, so that they need no scope: the handler checks the signature over the body.
    #[cfg(test)]
    pub(super) fn is_signed(self) -> bool {
        matches!(self, Self::Channel)
    }
}

impl PublicEndpoint {
    /// The fault of a caller with `held`, which has no scope of this endpoint.
    ///
    /// Its code is `BOT-1046` (exit 6). The caller is not named: it may be a person.
    pub(super) fn missing_scope(&self, held: ScopeSet) -> Fault {
        let names = |scopes: &mut dyn Iterator<Item = Scope>, between: &str| {
            scopes.map(|scope| format!("`{scope}`")).collect::<Vec<_>>().join(between)
        };
        let needed = names(&mut self.any_of.iter().copied(), " or ");
        let held = match held {
            ScopeSet::NONE => "the credentials have no scope".to_owned(),
            held => format!("the credentials have {}", names(&mut held.iter(), ", ")),
        };
        let message = format!("`{}` needs the scope {needed}", self.path);
        Fault::policy("BOT-1046", message)
            .hint(format!("{held}; whoever runs the server can make a key with other scopes"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_endpoint_is_listed_once_and_what_is_sent_needs_a_scope_of_clients_or_a_signature() {
        let mut seen = BTreeSet::new();
        for endpoint in &ENDPOINTS {
            assert!(seen.insert((endpoint.method.as_str(), endpoint.path)), "{}", endpoint.path);
            let is_look = endpoint.method == Method::GET && endpoint.call != PublicCall::WebSocket;
            assert_eq!(endpoint.any_of.is_empty(), is_look || endpoint.call.is_signed());
            assert!(endpoint.any_of.iter().all(|scope| scope.is_of_clients()), "{}", endpoint.path);
        }
    }

    #[test]
    fn a_refusal_names_the_missing_scope_and_those_that_there_are() {
        let feedback = ENDPOINTS.into_iter().find(|it| it.call == PublicCall::Feedback).unwrap();
        let fault = feedback.missing_scope(ScopeSet::of(&[Scope::Chat, Scope::Read]));
        assert_eq!((fault.code(), fault.kind().exit_code()), ("BOT-1046", 6));
        assert_eq!(fault.message(), "`/v1/feedback` needs the scope `feedback` or `review`");
        assert!(fault.hints()[0].contains("have `read`, `chat`;"), "{fault}");
        let none = feedback.missing_scope(ScopeSet::NONE);
        assert!(none.hints()[0].contains("no scope"), "{none}");
    }
}
